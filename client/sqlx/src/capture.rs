//! An executor that takes the statement of a query, and is given its rows later. So a query of sqlx can be looked up in the
//! cache before it runs, and makes its items of rows that were fetched elsewhere.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use sqlx::{Describe, Either, Error, Execute, Executor, SqlStr};

use crate::database::{CachedDatabase, Step};
use crate::statement::Captured;

/// Where the statement and the rows of one query meet.
pub(crate) struct Capture<DB: CachedDatabase>(Arc<Mutex<State<DB>>>);

struct State<DB: CachedDatabase> {
    statement: Option<Result<Captured<DB>, Error>>,
    rows: Option<std::vec::IntoIter<DB::Row>>,
}

/// A query that waits for its rows.
pub(crate) struct Waiting<'q, DB: CachedDatabase, T> {
    capture: Capture<DB>,
    future: Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'q>>,
}

impl<DB: CachedDatabase> fmt::Debug for Capture<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

impl<DB: CachedDatabase> Clone for Capture<DB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<DB: CachedDatabase> Capture<DB> {
    fn with<T>(&self, act: impl FnOnce(&mut State<DB>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The next row, once there are rows.
    fn next(&self) -> Poll<Option<DB::Row>> {
        self.with(|state| match &mut state.rows {
            Some(rows) => Poll::Ready(rows.next()),
            None => Poll::Pending,
        })
    }

    fn take<'q>(&self, query: impl Execute<'q, DB>) {
        let statement = Captured::of(query);
        self.with(|state| state.statement = Some(statement));
    }
}

/// Starts a query, and takes its statement.
pub(crate) fn capture<'q, DB: CachedDatabase, T>(
    start: impl FnOnce(Capture<DB>) -> BoxFuture<'q, Result<T, Error>>,
) -> Result<(Captured<DB>, Waiting<'q, DB, T>), Error> {
    let capture = Capture(Arc::new(Mutex::new(State { statement: None, rows: None })));
    let mut waiting = Waiting { future: start(capture.clone()), capture };
    if let Poll::Ready(ended) = waiting.poll() {
        return Err(ended.err().unwrap_or_else(|| no_statement("ended")));
    }
    let statement = waiting.capture.with(|state| state.statement.take());
    let statement = statement.unwrap_or_else(|| Err(no_statement("waits")))?;
    Ok((statement, waiting))
}

fn no_statement(how: &str) -> Error {
    Error::Protocol(format!("a query {how} without a statement"))
}

impl<DB: CachedDatabase, T> Waiting<'_, DB, T> {
    fn poll(&mut self) -> Poll<Result<T, Error>> {
        self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    /// What the query makes of these rows.
    pub(crate) fn answer(mut self, rows: Vec<DB::Row>) -> Result<T, Error> {
        self.capture.with(|state| state.rows = Some(rows.into_iter()));
        match self.poll() {
            Poll::Ready(items) => items,
            Poll::Pending => Err(Error::Protocol("a query waits for more than its rows".into())),
        }
    }
}

impl<DB: CachedDatabase> Executor<'static> for Capture<DB> {
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step<DB>, Error>>
    where
        'static: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.take(query);
        stream::poll_fn(move |_| self.next().map(|row| row.map(|row| Ok(Either::Right(row)))))
            .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<DB::Row>, Error>>
    where
        'static: 'e,
        E: 'q + Execute<'q, DB>,
    {
        self.take(query);
        future::poll_fn(move |_| self.next().map(Ok)).boxed()
    }

    fn prepare_with<'e>(
        self,
        _: SqlStr,
        _: &'e [DB::TypeInfo],
    ) -> BoxFuture<'e, Result<DB::Statement, Error>>
    where
        'static: 'e,
    {
        future::ready(Err(no_statement("is prepared"))).boxed()
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<Describe<DB>, Error>>
    where
        'static: 'e,
    {
        future::ready(Err(no_statement("is described"))).boxed()
    }
}
