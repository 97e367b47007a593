//! A query that is looked up in the cache first.

use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use cacheops::Ops;
use cacheops_adapter::{CacheValue, Checked, Mode, Options, Rules};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::query::{Map, QueryAs, QueryScalar};
use sqlx::{Error, Executor, FromRow, IntoArguments};

use crate::capture::capture;
use crate::database::CachedDatabase;
use crate::driver::reads;
use crate::source::Source;

/// [`cached`](Cache::cached) on the queries of sqlx that make items of rows: `query_as`, `query_scalar`, the checked macros
/// `query_as!` and `query_scalar!`, and what has been mapped.
pub trait Cache<'q>: Fetch<'q> {
    /// The query, to be looked up in the cache first. See [`Cached`].
    fn cached(self) -> Cached<Self> {
        Cached { query: self, options: Options::new(Mode::Forced) }
    }
}

impl<'q, Q: Fetch<'q>> Cache<'q> for Q {}

/// A query that makes items of rows.
pub trait Fetch<'q>: Sized + Send {
    /// The database.
    type Database: CachedDatabase;

    /// What it makes of a row.
    type Item: Send;

    /// What tells its items from those of another query with the same text and type. None if nothing does.
    #[doc(hidden)]
    fn kind() -> Option<u64>;

    #[doc(hidden)]
    fn all<E>(self, executor: E) -> BoxFuture<'q, Result<Vec<Self::Item>, Error>>
    where
        E: Executor<'static, Database = Self::Database> + 'static;

    #[doc(hidden)]
    fn optional<E>(self, executor: E) -> BoxFuture<'q, Result<Option<Self::Item>, Error>>
    where
        E: Executor<'static, Database = Self::Database> + 'static;
}

macro_rules! fetches {
    () => {
        fn all<E>(self, executor: E) -> BoxFuture<'q, Result<Vec<O>, Error>>
        where
            E: Executor<'static, Database = DB> + 'static,
        {
            self.fetch_all(executor).boxed()
        }

        fn optional<E>(self, executor: E) -> BoxFuture<'q, Result<Option<O>, Error>>
        where
            E: Executor<'static, Database = DB> + 'static,
        {
            self.fetch_optional(executor).boxed()
        }
    };
}

impl<'q, DB, O, A> Fetch<'q> for QueryAs<'q, DB, O, A>
where
    DB: CachedDatabase,
    O: for<'r> FromRow<'r, DB::Row> + Send + Unpin + 'q,
    A: IntoArguments<DB> + 'q,
{
    type Database = DB;
    type Item = O;

    fn kind() -> Option<u64> {
        Some(0)
    }

    fetches!();
}

impl<'q, DB, O, A> Fetch<'q> for QueryScalar<'q, DB, O, A>
where
    DB: CachedDatabase,
    O: Send + Unpin + 'q,
    (O,): for<'r> FromRow<'r, DB::Row>,
    A: IntoArguments<DB> + 'q,
{
    type Database = DB;
    type Item = O;

    fn kind() -> Option<u64> {
        Some(0)
    }

    fetches!();
}

/// What `query_as!` and `map` make. The mapper is a part of the key by its type, which is another in each build of a program;
/// a mapper that captures values has no key, and its query runs without the cache.
impl<'q, DB, F, O, A> Fetch<'q> for Map<'q, DB, F, A>
where
    DB: CachedDatabase,
    F: FnMut(DB::Row) -> Result<O, Error> + Send + 'static,
    O: Send + Unpin + 'q,
    A: IntoArguments<DB> + Send + 'q,
{
    type Database = DB;
    type Item = O;

    fn kind() -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        TypeId::of::<F>().hash(&mut hasher);
        (size_of::<F>() == 0).then(|| hasher.finish())
    }

    fetches!();
}

/// A query that is looked up in the cache, and stored there if it was not found.
///
/// Its items go through serde, and are decoded and compared before they are stored: see [`CacheValue`]. A statement that
/// cannot be cached (it locks rows, calls `now()`, names no table) runs as without it, as does every query of a transaction
/// that has written.
///
/// ```
/// use cacheops_sqlx::{Cache, Cacheops, Connect};
/// # use cacheops_sqlx::Profile;
/// # use serde::{Deserialize, Serialize};
/// # use sqlx::sqlite::SqlitePoolOptions;
///
/// #[derive(sqlx::FromRow, Serialize, Deserialize, PartialEq)]
/// struct Post {
///     id: i64,
///     title: String,
/// }
/// # let server = support::Server::start();
/// # let url = format!("redis://127.0.0.1:{}/", server.port());
/// # tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(async {
/// # let co = Cacheops::builder(url).profile("*", Profile::new()).build().await?;
/// # let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
///
/// let db = co.pool(pool);
/// # sqlx::query("CREATE TABLE post (id INTEGER PRIMARY KEY, author INTEGER, title TEXT NOT NULL)").execute(&db).await?;
/// # for _ in 0..2 {
/// let posts: Vec<Post> = sqlx::query_as("SELECT id, title FROM post WHERE author = $1")
///     .bind(7)
///     .cached()
///     .fetch_all(&db)
///     .await?;
/// # assert!(posts.is_empty());
/// # }
/// # assert_eq!(co.stats().hits, 1);
///
/// sqlx::query("INSERT INTO post (author, title) VALUES ($1, $2)") // invalidates the posts of author 7
///     .bind(7)
///     .bind("Rust")
///     .execute(&db)
///     .await?;
/// # let posts: Vec<Post> = sqlx::query_as("SELECT id, title FROM post WHERE author = $1").bind(7).cached().fetch_all(&db).await?;
/// # assert_eq!((posts.len(), posts[0].id, posts[0].title.as_str(), co.stats().hits), (1, 1, "Rust", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is fetched"]
pub struct Cached<Q> {
    query: Q,
    options: Options,
}

impl<Q> Cached<Q> {
    /// How long the result lives, unless it is invalidated; by default what the profile of the table says.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Whether, among all processes, one loads a missing result while the others wait for it; by default what the profile
    /// says.
    pub fn lock(mut self, lock: bool) -> Self {
        self.options.lock = Some(lock);
        self
    }

    /// Uses the cache only if the profile of the table has the operation: [`Ops::FETCH`] for `fetch_all`, [`Ops::GET`] for the
    /// others.
    pub fn by_profile(mut self) -> Self {
        self.options.mode = Mode::Profile;
        self
    }

    /// Whether the cache is used at all.
    pub fn enabled(mut self, enabled: bool) -> Self {
        if !enabled {
            self.options.mode = Mode::Off;
        }
        self
    }
}

impl<'q, Q: Fetch<'q>> Cached<Q> {
    /// All items.
    ///
    /// # Errors
    ///
    /// Those of the database. What goes wrong with the cache is counted and logged.
    pub async fn fetch_all<'c, S>(self, db: S) -> Result<Vec<Q::Item>, Error>
    where
        S: Source<'c, Database = Q::Database>,
        Q::Item: CacheValue,
    {
        let Self { query, options } = self;
        let (statement, waiting) = capture(|to| query.all(to))?;
        let answer = |rows| waiting.answer(rows);
        read::<Q, _, _>(db, statement, &options, Ops::FETCH, answer).await
    }

    /// The first item, if there is one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch_optional<'c, S>(self, db: S) -> Result<Option<Q::Item>, Error>
    where
        S: Source<'c, Database = Q::Database>,
        Q::Item: CacheValue,
    {
        let Self { query, options } = self;
        let (mut statement, waiting) = capture(|to| query.optional(to))?;
        statement.first = true;
        let answer = |rows| waiting.answer(rows);
        read::<Q, _, _>(db, statement, &options, Ops::GET, answer).await
    }

    /// The first item, which must be there.
    ///
    /// # Errors
    ///
    /// [`Error::RowNotFound`] if it is not, and those of the database.
    pub async fn fetch_one<'c, S>(self, db: S) -> Result<Q::Item, Error>
    where
        S: Source<'c, Database = Q::Database>,
        Q::Item: CacheValue,
    {
        self.fetch_optional(db).await?.ok_or(Error::RowNotFound)
    }
}

async fn read<'q, 'c, Q, S, T>(
    db: S,
    statement: crate::statement::Captured<Q::Database>,
    options: &Options,
    op: Ops,
    answer: impl FnOnce(Vec<<Q::Database as sqlx::Database>::Row>) -> Result<T, Error> + Send,
) -> Result<T, Error>
where
    Q: Fetch<'q>,
    S: Source<'c, Database = Q::Database>,
    T: CacheValue,
{
    let parts = db.parts();
    let template = parts.session.core.analyser().analyse(statement.text());
    if !reads(&template) {
        return answer(parts.write(&template, statement).await?);
    }
    let (session, mut driver) = parts.driver();
    let kind = Q::kind();
    let off = Options::new(Mode::Off);
    let options = if kind.is_some() { options } else { &off };
    let mut rules = Rules::fetch(options, None);
    rules.op = op;
    let mut kind = kind.unwrap_or_default().to_le_bytes().to_vec();
    kind.extend_from_slice(op.name().as_bytes());
    let driver = &mut driver;
    cacheops_adapter::read(session, driver, (rules, &kind), &template, statement, Checked, answer)
        .await
}
