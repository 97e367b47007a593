//! A transaction whose changes are sent to the cache after its commit.

use std::sync::Arc;

use cacheops_adapter::{
    Core, Isolation, Level, Levels, Session, TxState, run_to_completion, write_in,
};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use sqlx::{Connection, Describe, Error, Execute, Executor, SqlStr, Transaction};

use crate::database::{CachedDatabase, Step, Target};
use crate::driver::{Output, SqlxDriver, reads, stepped};
use crate::error::failed;
use crate::source::{Parts, Source};
use crate::statement::Captured;

/// A transaction or savepoint of a [`CachedPool`](crate::CachedPool).
///
/// `&mut CachedTx` is an [`Executor`]. Cached reads use the cache until the transaction writes; from then on, it neither
/// reads from it nor fills it. What it changes is sent after the outermost commit. Dropped without commit, it is rolled
/// back, and nothing is sent.
#[derive(Debug)]
pub struct CachedTx<'t, DB: CachedDatabase> {
    level: Of<'t, DB>,
    core: Arc<Core>,
}

/// Its level. The outermost owns its connection, so that its commit can go on when its future is dropped.
#[derive(Debug)]
enum Of<'t, DB: CachedDatabase> {
    Transaction(Level<Transaction<'static, DB>>),
    Savepoint(Level<Transaction<'t, DB>>),
}

impl<DB: CachedDatabase> Of<'_, DB> {
    fn split(&mut self) -> (&mut DB::Connection, Levels<'_>) {
        match self {
            Self::Transaction(level) => {
                let (inner, levels) = level.split();
                (&mut **inner, levels)
            }
            Self::Savepoint(level) => {
                let (inner, levels) = level.split();
                (&mut **inner, levels)
            }
        }
    }

    fn state(&self) -> &TxState {
        match self {
            Self::Transaction(level) => level.state(),
            Self::Savepoint(level) => level.state(),
        }
    }
}

/// The isolation level of a statement that begins a transaction, and whether SQLite begins it with a lock.
pub(crate) fn begins(statement: &str) -> (Isolation, bool) {
    let text = statement.to_ascii_uppercase();
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphabetic()).collect();
    let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let isolation = if words.contains("SERIALIZABLE") {
        Isolation::Serializable
    } else if words.contains("REPEATABLE READ") {
        Isolation::RepeatableRead
    } else if words.contains("READ UNCOMMITTED") {
        Isolation::ReadUncommitted
    } else if words.contains("READ COMMITTED") {
        Isolation::ReadCommitted
    } else {
        Isolation::Unspecified
    };
    (isolation, words.contains("IMMEDIATE") || words.contains("EXCLUSIVE"))
}

impl<DB: CachedDatabase> CachedTx<'static, DB> {
    pub(crate) fn new(level: Level<Transaction<'static, DB>>, core: Arc<Core>) -> Self {
        Self { level: Of::Transaction(level), core }
    }
}

impl<DB: CachedDatabase> CachedTx<'_, DB> {
    /// The connection without the cache, which does not see what is written through it. So from this call on, the
    /// transaction neither reads from the cache nor fills it.
    pub fn inner(&mut self) -> &mut DB::Connection {
        let (connection, levels) = self.level.split();
        levels.state().bypass();
        connection
    }

    /// Opens a savepoint.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn begin(&mut self) -> Result<CachedTx<'_, DB>, Error> {
        let core = Arc::clone(&self.core);
        let (connection, levels) = self.level.split();
        levels.state().before_statement(levels.cacheops, true).await;
        let inner = connection.begin().await?;
        Ok(CachedTx { level: Of::Savepoint(levels.savepoint(inner)), core })
    }

    /// Commits, and sends what the transaction has changed. A savepoint is released: its changes are those of the
    /// transaction now.
    ///
    /// # Errors
    ///
    /// Those of the database; in strict mode also one that [`is_unconfirmed`](crate::Unconfirmed::is_unconfirmed).
    pub async fn commit(self) -> Result<(), Error> {
        match self.level {
            Of::Transaction(level) => {
                let commit = async move { level.commit(Transaction::commit).await };
                run_to_completion(commit).await.map_err(failed)
            }
            Of::Savepoint(level) => level.commit(Transaction::commit).await.map_err(failed),
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.level {
            Of::Transaction(level) => level.rollback(Transaction::rollback).await,
            Of::Savepoint(level) => level.rollback(Transaction::rollback).await,
        }
        .map_err(failed)
    }

    /// The session, and the connection.
    fn session(&mut self) -> (Session<'_>, &mut DB::Connection) {
        let (connection, levels) = self.level.split();
        let session = Session::new(levels.cacheops, &self.core);
        (Session { state: Some(levels.state()), ..session }, connection)
    }

    /// Runs a statement, and queues what it changes.
    async fn run(&mut self, statement: Captured<DB>) -> Result<Output<DB>, Error> {
        let (connection, levels) = self.level.split();
        let state = levels.state();
        let session = Session { state: Some(state), ..Session::new(levels.cacheops, &self.core) };
        let template = session.core.analyser().analyse(statement.text());
        let mut driver = SqlxDriver::new(Target::Connection(connection));
        write_in(session, state, &mut driver, &template, &statement).await.map_err(failed)
    }
}

impl<'c, DB: CachedDatabase> Source<'c> for &'c mut CachedTx<'_, DB> {
    type Database = DB;

    fn parts(self) -> Parts<'c, DB> {
        let (session, connection) = self.session();
        Parts { session, target: Target::Connection(connection) }
    }
}

impl<'c, DB: CachedDatabase> Executor<'c> for &'c mut CachedTx<'_, DB> {
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let statement = match Captured::of(query) {
            Ok(statement) => statement,
            Err(error) => return stream::once(future::ready(Err(error))).boxed(),
        };
        let template = self.core.analyser().analyse(statement.text());
        if !reads(&template) || self.level.state().may_end(&template) {
            return stepped(self.run(statement));
        }
        let (session, connection) = self.session();
        let failing = move |error: &Error| {
            session.failed_with(crate::driver::class_of::<DB>(error));
        };
        let begin = async move {
            session.before_read(&template).await;
            let rows = DB::fetch_many(Target::Connection(connection), statement);
            Ok::<_, Error>(rows.inspect_err(failing))
        };
        stream::once(begin).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let statement = match Captured::of(query) {
            Ok(statement) => statement,
            Err(error) => return future::ready(Err(error)).boxed(),
        };
        let template = self.core.analyser().analyse(statement.text());
        if !reads(&template) || self.level.state().may_end(&template) {
            return async move { Ok(self.run(statement).await?.rows.into_iter().next()) }.boxed();
        }
        async move {
            let (session, connection) = self.session();
            session.before_read(&template).await;
            let row = DB::fetch_optional(Target::Connection(connection), statement).await;
            row.inspect_err(|error| session.failed_with(crate::driver::class_of::<DB>(error)))
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'c: 'e,
    {
        let (_, connection) = self.session();
        DB::prepare_with(Target::Connection(connection), sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'c: 'e,
    {
        let (_, connection) = self.session();
        DB::describe(Target::Connection(connection), sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_isolation_level_is_read_from_the_statement_that_begins() {
        for (statement, isolation, immediate) in [
            ("BEGIN", Isolation::Unspecified, false),
            ("begin isolation  level\nread committed", Isolation::ReadCommitted, false),
            (
                "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                Isolation::RepeatableRead,
                false,
            ),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", Isolation::Serializable, false),
            ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", Isolation::ReadUncommitted, false),
            ("BEGIN IMMEDIATE", Isolation::Unspecified, true),
            ("BEGIN EXCLUSIVE TRANSACTION", Isolation::Unspecified, true),
        ] {
            assert_eq!(begins(statement), (isolation, immediate), "{statement}");
        }
    }
}
