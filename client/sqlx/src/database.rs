//! What this crate must know of each database of sqlx.

use std::fmt::Debug;

use cacheops_sql::{Dialect, Value};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::{Connection, Database, Either, Error, Pool, SqlStr};

use crate::statement::Captured;

/// A database whose queries can be cached: `Postgres`, `MySql` and `Sqlite`, each behind the feature of its name.
///
/// Not `Any`: it hides which database is behind it, and so which dialect a statement is written in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no database whose queries cacheops can cache",
    label = "`Postgres`, `MySql` or `Sqlite` is needed, and the feature of cacheops-sqlx of that name",
    note = "`Any` is not supported: it hides the dialect of the statements"
)]
pub trait CachedDatabase: Database<Arguments: Clone + Debug + Sync> + Sync + Sealed {}

/// One connection, or a pool that gives one for each statement.
pub enum Target<'c, DB: Database> {
    /// A pool.
    Pool(&'c Pool<DB>),
    /// A connection.
    Connection(&'c mut DB::Connection),
}

impl<DB: Database> Target<'_, DB> {
    /// The same for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Target<'_, DB> {
        match self {
            Self::Pool(pool) => Target::Pool(pool),
            Self::Connection(connection) => Target::Connection(&mut **connection),
        }
    }
}

/// What a statement gives, in the order of sqlx: rows, and behind those of each statement its result.
pub(crate) type Step<DB> = Either<<DB as Database>::QueryResult, <DB as Database>::Row>;

/// The parts of [`CachedDatabase`] that are no business of applications.
pub trait Sealed: Database {
    /// The dialect of its statements.
    const DIALECT: Dialect;

    /// What begins a transaction for one write; none for sqlx's own.
    const BEGIN_WRITE: Option<&'static str>;

    /// Runs a statement.
    fn fetch_many<'e>(
        target: Target<'e, Self>,
        statement: Captured<Self>,
    ) -> BoxStream<'e, Result<Step<Self>, Error>>
    where
        Self: CachedDatabase;

    /// Runs a statement for its first row.
    fn fetch_optional<'e>(
        target: Target<'e, Self>,
        statement: Captured<Self>,
    ) -> BoxFuture<'e, Result<Option<Self::Row>, Error>>
    where
        Self: CachedDatabase;

    /// Prepares a statement.
    fn prepare_with<'e>(
        target: Target<'e, Self>,
        sql: SqlStr,
        parameters: &'e [Self::TypeInfo],
    ) -> BoxFuture<'e, Result<Self::Statement, Error>>;

    /// Describes a statement, for sqlx's macros.
    fn describe<'e>(
        target: Target<'e, Self>,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Self>, Error>>;

    /// The values that the text of some arguments shows; none if the text has another form.
    fn values(debug: &str) -> Option<Vec<Value<'static>>>;

    /// Whether that form is the expected one, by arguments of known values.
    fn shows_values() -> bool;

    /// A query with the values that a statement has at these positions, and its arguments. None if they cannot be bound
    /// apart from the statement.
    fn rebound(
        statement: &Captured<Self>,
        sql: &str,
        positions: &[usize],
    ) -> Option<(String, Self::Arguments)>
    where
        Self: CachedDatabase;

    /// Arguments of one text.
    fn one_text(text: &str) -> Self::Arguments;

    /// The names and values of a row's columns.
    fn columns(row: &Self::Row) -> Vec<(String, Value<'static>)>;

    /// How many rows a statement changed, and MySQL's `LAST_INSERT_ID()`.
    fn counts(result: &Self::QueryResult) -> (u64, Option<u64>);

    /// Where a pool leads: user, host, port and database.
    fn address(options: &<Self::Connection as Connection>::Options) -> Option<String>;

    /// Whether a statement was refused before it ran, so that its transaction is as it was.
    fn was_refused(code: &str) -> bool;
}

/// The arguments of a statement as values; none if it is not prepared.
pub(crate) fn values_of<DB: CachedDatabase>(
    statement: &Captured<DB>,
) -> Option<Vec<Value<'static>>> {
    let count = sqlx::Arguments::len(statement.arguments()?);
    let known = statement.debug().filter(|_| DB::shows_values()).and_then(DB::values);
    let known = known.filter(|values| values.len() == count);
    Some(known.unwrap_or_else(|| vec![Value::Opaque; count]))
}

macro_rules! runs {
    ($database:ty) => {
        fn fetch_many<'e>(
            target: Target<'e, Self>,
            statement: Captured<Self>,
        ) -> BoxStream<'e, Result<Step<Self>, Error>> {
            match target {
                Target::Pool(pool) => sqlx::Executor::fetch_many(pool, statement),
                Target::Connection(connection) => sqlx::Executor::fetch_many(connection, statement),
            }
        }

        fn fetch_optional<'e>(
            target: Target<'e, Self>,
            statement: Captured<Self>,
        ) -> BoxFuture<'e, Result<Option<Self::Row>, Error>> {
            match target {
                Target::Pool(pool) => sqlx::Executor::fetch_optional(pool, statement),
                Target::Connection(connection) => {
                    sqlx::Executor::fetch_optional(connection, statement)
                }
            }
        }

        fn prepare_with<'e>(
            target: Target<'e, Self>,
            sql: SqlStr,
            parameters: &'e [<Self as sqlx::Database>::TypeInfo],
        ) -> BoxFuture<'e, Result<<Self as sqlx::Database>::Statement, Error>> {
            match target {
                Target::Pool(pool) => sqlx::Executor::prepare_with(pool, sql, parameters),
                Target::Connection(connection) => {
                    sqlx::Executor::prepare_with(connection, sql, parameters)
                }
            }
        }

        fn describe<'e>(
            target: Target<'e, Self>,
            sql: SqlStr,
        ) -> BoxFuture<'e, Result<sqlx::Describe<Self>, Error>> {
            match target {
                Target::Pool(pool) => sqlx::Executor::describe(pool, sql),
                Target::Connection(connection) => sqlx::Executor::describe(connection, sql),
            }
        }

        fn one_text(text: &str) -> Self::Arguments {
            let mut arguments = Self::Arguments::default();
            // A text has always bytes.
            let added = sqlx::Arguments::add(&mut arguments, text.to_owned());
            debug_assert!(added.is_ok(), "a text is an argument");
            arguments
        }

        fn shows_values() -> bool {
            static SHOWS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
                let (arguments, expected) = samples();
                let shown = crate::debug::text_of(&arguments);
                let shows = shown.is_some_and(|text| {
                    <$database as Sealed>::values(&text).as_ref() == Some(&expected)
                });
                if !shows {
                    tracing::warn!(
                        "cacheops: this version of sqlx does not show bound values in the expected form; each counts as \
                         unknown, and writes and reads match more than they need"
                    );
                }
                shows
            });
            *SHOWS
        }
    };
}
pub(crate) use runs;
