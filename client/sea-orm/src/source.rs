//! What a cached read is asked of: a connection or a transaction in it.

use cacheops::Cacheops;
use sea_orm::ConnectionTrait;

use crate::connection::Shared;
use crate::transaction::State;

/// A connection through which cached reads can be made: [`CachedConn`](crate::CachedConn) and
/// [`CachedTxn`](crate::CachedTxn), and no other.
pub trait Source: ConnectionTrait {
    /// What lies below.
    #[doc(hidden)]
    type Inner: ConnectionTrait;

    /// The parts of it.
    #[doc(hidden)]
    fn context(&self) -> Context<'_, Self::Inner>;
}

/// The parts that a read needs.
pub struct Context<'a, C> {
    pub(crate) cacheops: &'a Cacheops,
    pub(crate) shared: &'a Shared,
    pub(crate) inner: &'a C,
    pub(crate) state: Option<&'a State>,
}
