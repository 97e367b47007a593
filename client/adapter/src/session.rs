//! The parts of one statement's run: the handle, the database, the transaction and the block that it is in.

use cacheops::{Cacheops, Deps, Profile, Snapshot};
use cacheops_sql::{Dialect, Template, Value};

use crate::core::Core;
use crate::driver::{Driver, ErrorClass};
use crate::recorder::Recorder;
use crate::transaction::TxState;

/// What a statement runs in, without the connection.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The handle of the cache.
    pub cacheops: &'a Cacheops,
    /// The database.
    pub core: &'a Core,
    /// The transaction, if there is one.
    pub state: Option<&'a TxState>,
    /// The block of reads that it is part of, if there is one: it depends on all that is read.
    pub recorder: Option<&'a Recorder>,
}

/// How many statements other than reads a transaction had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writes(Option<u64>);

impl<'a> Session<'a> {
    /// A connection or pool, outside of a transaction.
    pub fn new(cacheops: &'a Cacheops, core: &'a Core) -> Self {
        Self { cacheops, core, state: None, recorder: None }
    }

    /// The database, as a key names it: the empty name, where all databases have the same rows. None: it is not known, and
    /// nothing must be cached.
    pub async fn database<D: Driver>(&self, driver: &mut D, agnostic: bool) -> Option<&'a str> {
        let database = &self.core.database;
        match database.known() {
            _ if agnostic => Some(""),
            Some(name) => Some(name),
            None => Box::pin(database.query(driver, self.core.dialect())).await,
        }
    }

    /// By which snapshot a result of now is stored, if one is needed. None: the cache must be bypassed.
    pub async fn snapshot(&self) -> Option<Option<&'a Snapshot>> {
        let Some(state) = self.state else { return Some(None) };
        let snapshot = state.snapshot(self.cacheops).await.ok()?;
        (!state.is_dirty()).then_some(snapshot)
    }

    /// The profile of a table. Where an explicit `.cache()` is of a table without one, that is logged once: it may be a
    /// mistake.
    pub fn profile(&self, table: &str, explicit: bool) -> Option<&'a Profile> {
        let Self { cacheops, core, .. } = self;
        let profile = cacheops.profile(table);
        if profile.is_none()
            && explicit
            && cacheops.is_enabled()
            && !cacheops.forbids(table)
            && core.unprofiled.first(table)
        {
            tracing::warn!(
                db.collection.name = table,
                "cacheops: not cached, since no profile fits this table; \
                 profile(\"*\", Profile::new()) is for all that have no other"
            );
        }
        profile
    }

    /// Adds what was read to the block, if there is one. None: the block must not be cached.
    pub fn record(&self, read: Option<Deps>) {
        if let Some(recorder) = self.recorder {
            recorder.record(read);
        }
    }

    /// After a statement that failed. What a block makes of an error is not cached: no invalidation says when the cause
    /// of the error is gone.
    pub fn failed<D: Driver>(&self, driver: &D, error: &D::Error) {
        self.failed_with(driver.error_class(error));
    }

    /// The same, with the class of the error.
    pub fn failed_with(&self, class: ErrorClass) {
        self.record(None);
        if let Some(state) = self.state {
            state.failed(class);
        }
    }

    /// Whether the database, too, says that the transaction has written nothing. No rule for texts is complete: a view
    /// or an operator may call a function that writes. Only PostgreSQL can be queried for it.
    pub async fn has_only_read<D: Driver>(&self, driver: &mut D) -> bool {
        if self.state.is_none() || self.core.dialect() != Dialect::Postgres {
            return true;
        }
        match Box::pin(self.core.unwritten.query(driver)).await {
            Ok(unwritten) => unwritten,
            Err(error) => {
                self.failed(driver, &error);
                false
            }
        }
    }

    /// The writes so far: if they are others after a result was loaded, they may be in it and are not committed.
    pub fn writes(&self) -> Writes {
        Writes(self.state.map(TxState::writes))
    }

    /// The rows that the result of a statement depends on; none if it must not be stored.
    pub fn deps(&self, template: &Template, values: &[Value<'_>]) -> Option<Deps> {
        if template.tables().iter().any(|table| self.cacheops.forbids(table)) {
            return None;
        }
        let conditions = template.dependencies(values)?;
        let add = |deps: Deps, (table, condition)| deps.and_text(table, condition);
        Some(conditions.iter().fold(Deps::none(), add))
    }

    /// Before a read that is not looked up in the cache, of a block or an application that runs it as it is.
    pub async fn before_read(&self, template: &Template) {
        if let Some(state) = self.state {
            state.before_statement(self.cacheops, true).await;
            state.before_read(template);
        }
    }
}
