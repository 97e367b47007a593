//! What all clones and transactions of a connection share.

use cacheops_adapter::Core;
use sea_orm::DbBackend;

use crate::saving::Saving;

/// What all clones and transactions of a connection share.
pub(crate) struct Shared {
    pub(crate) core: Core,
    pub(crate) backend: DbBackend,
    pub(crate) saving: Saving,
    #[cfg(feature = "self-check")]
    pub(crate) checks: bool,
}
