//! The seam between the core and an ORM.

use std::fmt::Display;

use cacheops_sql::Value;

/// One connection, pool or open transaction of an ORM, as the core uses it.
///
/// An adapter implements it for a thin wrapper of the ORM's own type. Everything that decides what is cached and what is
/// invalidated is in this crate, and everything that only the ORM knows is behind these methods.
///
/// The core calls the methods one after the other, never two at once.
pub trait Driver: Send {
    /// SQL text with its bound values, as the ORM holds it.
    type Statement: Send + Sync;
    /// The result of a read, in the form that the caller of the ORM wants it.
    type Rows: Send;
    /// The result of a write: rows of RETURNING, or counters.
    type Output: Send;
    /// One row of [`Output`](Self::Output), and of a query of the core itself.
    type Row: Send + Sync;
    /// The ORM's error.
    type Error: Display + Send;

    /// The text of a statement.
    fn sql<'s>(&self, statement: &'s Self::Statement) -> &'s str;

    /// The values that are bound to a statement, in the order of its parameters. A value that the adapter does not know
    /// is [`Value::Opaque`]. None if the statement is not prepared: it then may be several.
    fn values<'s>(&self, statement: &'s Self::Statement) -> Option<Vec<Value<'s>>>;

    /// Appends the bound values to a key: two statements with the same text and the same bytes have the same result.
    /// None if a value has no bytes; the result is then not cached.
    fn write_parameters(&self, statement: &Self::Statement, out: &mut Vec<u8>) -> Option<()>;

    /// Runs a read of the application.
    fn fetch(
        &mut self,
        statement: Self::Statement,
    ) -> impl Future<Output = Result<Self::Rows, Self::Error>> + Send;

    /// Runs a write of the application, and collects every row that it returns.
    fn run(
        &mut self,
        statement: &Self::Statement,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;

    /// Runs a query of the core. None if the values of a statement cannot be bound to another one.
    fn query(
        &mut self,
        sql: String,
        bind: Bind<'_, Self::Statement>,
    ) -> impl Future<Output = Result<Option<Vec<Self::Row>>, Self::Error>> + Send;

    /// The names and values of a row's columns. A value of a type that the adapter cannot read is [`Value::Opaque`].
    fn columns(&self, row: &Self::Row) -> Vec<(String, Value<'static>)>;

    /// What a write reports of the rows that it changed.
    fn outcome<'o>(&self, output: &'o Self::Output) -> Outcome<'o, Self::Row>;

    /// What an error says of the statement and its transaction.
    fn error_class(&self, error: &Self::Error) -> ErrorClass;

    /// Opens a transaction, which the calls that follow run in: for one write whose rows are read first. On SQLite it
    /// must be `BEGIN IMMEDIATE`. Never called on a driver that is in a transaction.
    ///
    /// A driver that is dropped in a transaction must roll it back.
    fn begin(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Ends that transaction: commits it, or rolls it back.
    fn end(&mut self, commit: bool) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// The values of a query of the core.
#[derive(Debug)]
pub enum Bind<'a, S> {
    /// It has no parameters.
    Nothing,
    /// Its one parameter is this text.
    Text(&'a str),
    /// Its parameters are these of a statement of the application, by their positions, from 0.
    Parameters(&'a S, &'a [usize]),
}

/// What a write reports.
#[derive(Debug)]
pub struct Outcome<'o, R> {
    /// The rows of the statement, if it was run for rows.
    pub returned: Option<&'o [R]>,
    /// How many rows it changed, if the database says so.
    pub affected: Option<u64>,
    /// MySQL's `LAST_INSERT_ID()`; none, or zero, where there is none.
    pub last_insert_id: Option<u64>,
}

/// What an error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The statement violated a constraint of the database: a key, a foreign key.
    Constraint,
    /// The statement was refused before it ran, on MySQL and SQLite: its text or the user's privileges.
    Refused,
    /// Anything else.
    Other,
}
