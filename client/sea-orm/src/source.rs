//! What a cached read is asked of: a connection or a transaction in it.

use cacheops::{Cacheops, Profile, Snapshot};
use sea_orm::{ConnectionTrait, DbErr};

use crate::connection::Shared;
use crate::state::State;

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

/// Why what was loaded must not be stored: an error, or what a write of its own transaction may be in.
pub(crate) enum Unstored<T, E> {
    Failed(E),
    Value(T),
}

/// How many statements other than reads its transaction had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writes(Option<u64>);

impl<'a, C> Context<'a, C> {
    /// By which snapshot a result of now is stored. None: the cache must be passed by.
    pub(crate) async fn moment(&self) -> Option<Option<&'a Snapshot>> {
        let Some(state) = self.state else { return Some(None) };
        let moment = state.moment(self.cacheops).await.ok()?;
        (!state.is_dirty()).then_some(moment)
    }

    /// The profile of a table. Where somebody wants to cache what has none, it is said once: that may be a mistake.
    pub(crate) fn profile(&self, table: &str, wanted: bool) -> Option<&'a Profile> {
        let Self { cacheops, shared, .. } = self;
        let profile = cacheops.profile(table);
        if profile.is_none()
            && wanted
            && cacheops.is_enabled()
            && !cacheops.forbids(table)
            && shared.unprofiled.first(table)
        {
            tracing::warn!(
                db.collection.name = table,
                "cacheops: not cached, since no profile fits this table; \
                 profile(\"*\", Profile::new()) is for all that have no other"
            );
        }
        profile
    }

    /// Notes that a statement failed.
    pub(crate) fn failed(&self, error: &DbErr) {
        if let Some(state) = self.state {
            state.failed(self.shared.backend, error);
        }
    }

    /// The writes so far: if they are others after a result was loaded, they may be in it and are not committed.
    pub(crate) fn writes(&self) -> Writes {
        Writes(self.state.map(State::writes))
    }
}

impl<T, E> Unstored<T, E> {
    /// What the caller gets, stored or not.
    pub(crate) fn settle(result: Result<T, Self>) -> Result<T, E> {
        match result {
            Ok(value) | Err(Self::Value(value)) => Ok(value),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}
