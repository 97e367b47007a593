//! A transaction or savepoint that an adapter holds: what is sent when it ends.

use std::sync::Arc;

use cacheops::{Cacheops, Changes, Pending};

use crate::error::{WriteError, confirmed};
use crate::transaction::TxState;

/// One level of a transaction, the transaction itself or a savepoint, with the ORM's object for it. Changes are sent after
/// the outermost commit.
///
/// Dropped without an end, the ORM's object is dropped, which must roll the level back.
#[derive(Debug)]
pub struct Level<T> {
    inner: Option<T>,
    cacheops: Cacheops,
    state: Arc<TxState>,
    depth: usize,
}

impl<T> Level<T> {
    /// The outermost level: after `BEGIN`, with the state that was made before.
    pub fn new(inner: T, cacheops: Cacheops, state: TxState) -> Self {
        Self { inner: Some(inner), cacheops, state: Arc::new(state), depth: 1 }
    }

    /// A savepoint in it: after the database has opened it.
    pub fn savepoint<S>(&self, inner: S) -> Level<S> {
        Levels { cacheops: &self.cacheops, state: &self.state }.savepoint(inner)
    }

    /// The ORM's object.
    pub fn inner(&self) -> &T {
        // It is taken only by the methods that consume this object.
        self.inner.as_ref().expect("the level has not ended")
    }

    /// The ORM's object.
    pub fn inner_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("the level has not ended")
    }

    /// The ORM's object, and the rest.
    pub fn split(&mut self) -> (&mut T, Levels<'_>) {
        let Self { inner, cacheops, state, .. } = self;
        (inner.as_mut().expect("the level has not ended"), Levels { cacheops, state })
    }

    /// The handle of the cache.
    pub fn cacheops(&self) -> &Cacheops {
        &self.cacheops
    }

    /// What all levels of the transaction share.
    pub fn state(&self) -> &TxState {
        &self.state
    }

    /// How many levels there are, with this one.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The ORM's object again, of a level in which nothing was written and that the caller rolls back.
    pub(crate) fn into_inner(mut self) -> T {
        self.inner.take().expect("the level has not ended")
    }

    /// Commits, and sends what the transaction has changed if this is its outermost level.
    ///
    /// # Errors
    ///
    /// Those of `commit`; and [`WriteError::Unconfirmed`] in strict mode.
    pub async fn commit<E, F, Fut>(mut self, commit: F) -> Result<(), WriteError<E>>
    where
        F: FnOnce(T) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        // If the outcome of the commit stays unknown, the drop of this sends it all the same.
        let pending = self.state.committed().map(|queue| self.cacheops.pending(queue));
        commit(inner).await.map_err(WriteError::Database)?;
        match pending {
            Some(pending) => confirmed(pending.send().await),
            None => Ok(()),
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// Those of `rollback`; and [`WriteError::Unconfirmed`] in strict mode, if rows may have stayed: some engines of MySQL
    /// know no transactions.
    pub async fn rollback<E, F, Fut>(mut self, rollback: F) -> Result<(), WriteError<E>>
    where
        F: FnOnce(T) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let mut level = RollingBack::new(&self);
        rollback(inner).await.map_err(WriteError::Database)?;
        match level.end() {
            Some(pending) => confirmed(pending.send().await),
            None => Ok(()),
        }
    }
}

/// What all levels of a transaction share.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'l> {
    /// The handle of the cache.
    pub cacheops: &'l Cacheops,
    state: &'l Arc<TxState>,
}

impl<'l> Levels<'l> {
    /// The state of the transaction.
    pub fn state(&self) -> &'l TxState {
        self.state
    }

    /// A savepoint: after the database has opened it.
    pub fn savepoint<S>(&self, inner: S) -> Level<S> {
        let depth = self.state.begin_level();
        let (cacheops, state) = (self.cacheops.clone(), Arc::clone(self.state));
        Level { inner: Some(inner), cacheops, state, depth }
    }
}

impl<T> Drop for Level<T> {
    fn drop(&mut self) {
        // Not ended by commit or rollback: the database rolls it back, before it runs any other statement. An ORM that
        // cannot request it, since a statement is running, panics, and the level stays.
        if let Some(inner) = self.inner.take() {
            let written = self.state.written();
            drop(inner);
            if let Some(kept) = self.state.rolled_back(self.depth, written) {
                drop(self.cacheops.pending(kept));
            }
        }
    }
}

/// A level that the database rolls back. Until it has, its rows are there for every statement of the transaction.
struct RollingBack<'l> {
    cacheops: &'l Cacheops,
    state: &'l TxState,
    depth: usize,
    written: Option<u64>,
    ended: bool,
}

impl<'l> RollingBack<'l> {
    fn new<T>(level: &'l Level<T>) -> Self {
        let Level { cacheops, state, depth, .. } = level;
        Self { cacheops, state, depth: *depth, written: state.written(), ended: false }
    }

    fn end(&mut self) -> Option<Pending> {
        self.ended = true;
        self.state.rolled_back(self.depth, self.written).map(|kept| self.cacheops.pending(kept))
    }
}

impl Drop for RollingBack<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // An ORM panics where it cannot roll back: then everything is as it was.
        if std::thread::panicking() {
            let queued: Changes = self.state.queued();
            drop(self.cacheops.pending(queued));
        } else {
            drop(self.end());
        }
    }
}
