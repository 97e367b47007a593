//! What a cached read is asked of: a connection or a transaction in it.

use cacheops::{Cacheops, Deps, Profile, Snapshot};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::block::Log;
use crate::connection::{CachedConn, Shared};
use crate::run::{Ran, Run};
use crate::state::State;
use crate::transaction::CachedTxn;

/// A connection through which cached reads can be made: [`CachedConn`], [`CachedTxn`], and the
/// [`Recorder`](crate::Recorder) of a block; no other. A function that takes `&impl Source` can be called with all of
/// them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a connection without the cache",
    label = "cached reads need a `CachedConn` or `CachedTxn`",
    note = "wrap the connection once, where the program opens it: `let db = co.connect(connection);` with \
            `use cacheops_sea_orm::Connect;`, and begin transactions on `db`"
)]
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
    pub(crate) outer: Outer<'a>,
}

/// Whose connection it is.
#[derive(Clone, Copy)]
pub(crate) enum Outer<'a> {
    Connection(&'a CachedConn),
    Transaction(&'a CachedTxn),
    /// A block, which depends on all that is read.
    Block(&'a Log),
    /// The adapter's own.
    Nobody,
}

impl<C> Clone for Context<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Context<'_, C> {}

/// Why what was loaded must not be stored: an error, or what a write of its own transaction may be in.
pub(crate) enum Unstored<T, E> {
    Failed(E),
    Value(T),
}

/// How many statements other than reads its transaction had begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Writes(Option<u64>);

impl<'a, C> Context<'a, C> {
    /// The database, as a key names it: nothing, where all databases have the same rows. None: it is not known, and
    /// nothing must be cached.
    pub(crate) async fn database(&self, agnostic: bool) -> Option<&'a str>
    where
        C: ConnectionTrait,
    {
        let database = &self.shared.database;
        match database.known() {
            _ if agnostic => Some(""),
            Some(name) => Some(name),
            None => Box::pin(database.ask(self.inner)).await,
        }
    }

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

    /// Runs what is not a read, as without `.cache()`.
    pub(crate) async fn write(&self, run: Run) -> Result<Ran, DbErr> {
        match self.outer {
            Outer::Connection(connection) => connection.run(run).await,
            Outer::Transaction(transaction) => transaction.run(run).await,
            Outer::Block(_) | Outer::Nobody => {
                Err(DbErr::Custom("a block of reads must not write".into()))
            }
        }
    }

    /// Notes what has been read, where a block depends on it. None: nothing must depend on it.
    pub(crate) fn note(&self, read: Option<Deps>) {
        if let Outer::Block(log) = self.outer {
            log.note(read);
        }
    }

    /// Whether it is read for a block.
    pub(crate) fn is_noted(&self) -> bool {
        matches!(self.outer, Outer::Block(_))
    }

    /// Notes that a statement failed. What a block makes of an error is not kept: nothing says when the error is over.
    pub(crate) fn failed(&self, error: &DbErr) {
        self.note(None);
        if let Some(state) = self.state {
            state.failed(self.shared.backend, error);
        }
    }

    /// Whether the database, too, says that the transaction has written nothing. No rule for texts is complete: a view
    /// or an operator may call a function that writes. Only PostgreSQL can be asked.
    pub(crate) async fn has_only_read(&self) -> bool
    where
        C: ConnectionTrait,
    {
        if self.state.is_none() || self.shared.backend != DbBackend::Postgres {
            return true;
        }
        let answer = Box::pin(self.shared.unwritten.ask(self.inner)).await;
        answer.inspect_err(|error| self.failed(error)).unwrap_or(false)
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
