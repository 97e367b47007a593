//! A query that is looked up in the cache first.

use std::time::Duration;

use cacheops::Ops;
use cacheops_adapter::{CacheValue, Checked, Mode, Options};
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    DbErr, EntityTrait, ModelTrait, QueryResult, QueryTrait, Select, Statement, StatementBuilder,
    TryGetable,
};

use crate::query::{CachedQuery, SelectQuery};
use crate::read::{ReadRequest, read};
use crate::rehearse::{self, Rehearsal};
use crate::run::Run;
use crate::source::Source;

/// [`cache`](Cache::cache) on every query of SeaORM, and on models whose relations are to be loaded.
pub trait Cache: Sized {
    /// What is cached.
    type Query;

    /// The query, to be looked up in the cache first. See [`Cached`].
    fn cache(self) -> Cached<Self::Query>;
}

impl<Q: CachedQuery> Cache for Q {
    type Query = Q;

    fn cache(self) -> Cached<Q> {
        Cached::new(self, Mode::Forced)
    }
}

impl<'m, M: ModelTrait> Cache for &'m [M] {
    type Query = &'m [M];

    fn cache(self) -> Cached<&'m [M]> {
        Cached::new(self, Mode::Forced)
    }
}

impl<'m, M: ModelTrait> Cache for &'m Vec<M> {
    type Query = &'m [M];

    fn cache(self) -> Cached<&'m [M]> {
        Cached::new(self, Mode::Forced)
    }
}

/// [`objects`](Objects::objects) on every entity.
pub trait Objects: EntityTrait {
    /// All rows, cached as the profile of the table says: an operation that is not in it goes to the database.
    fn objects() -> Cached<Select<Self>>
    where
        Select<Self>: CachedQuery,
    {
        Cached::new(Self::find(), Mode::Profile)
    }
}

impl<E: EntityTrait> Objects for E {}

/// A query that is looked up in the cache, and stored there if it was not found.
///
/// SeaORM's own builder methods go on working, before `.cache()` and after. A statement that cannot be cached (it
/// locks rows, calls `now()`, names no table) runs as without it, as does every query of a transaction that has
/// written.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is asked"]
pub struct Cached<Q> {
    pub(crate) query: Q,
    pub(crate) options: Options,
}

impl<Q> Cached<Q> {
    pub(crate) fn new(query: Q, mode: Mode) -> Self {
        Self { query, options: Options::new(mode) }
    }

    pub(crate) fn map<R>(self, make: impl FnOnce(Q) -> R) -> Cached<R> {
        Cached { query: make(self.query), options: self.options }
    }

    /// How long the result lives, unless it is invalidated.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// [`ttl`](Self::ttl) under the name that it has in django-cacheops.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.ttl(timeout)
    }

    /// Among all processes, one loads a missing result while the others wait for it.
    pub fn lock(mut self, lock: bool) -> Self {
        self.options.lock = Some(lock);
        self
    }

    /// Only these operations are cached, whatever the profile says.
    pub fn ops(mut self, ops: Ops) -> Self {
        self.options.ops = Some(ops);
        self
    }

    /// The query goes to the database.
    pub fn nocache(mut self) -> Self {
        self.options.mode = Mode::Off;
        self
    }
}

impl<Q: CachedQuery> Cached<Q> {
    /// All rows.
    ///
    /// # Errors
    ///
    /// Those of the database. What goes wrong with the cache is counted and logged.
    pub async fn all<S: Source>(self, db: &S) -> Result<Vec<Q::Item>, DbErr> {
        let (statement, decode) = self.query.all_rows(db.get_database_backend());
        let request = rows::<Q>(&self.options);
        read(db.context(), request, statement, Q::Codec::default(), decode).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn one<S: Source>(self, db: &S) -> Result<Option<Q::Item>, DbErr> {
        let (statement, decode) = self.query.first_row(db.get_database_backend());
        let request = first::<Q>(&self.options);
        let rows = read(db.context(), request, statement, Q::Codec::default(), decode).await?;
        Ok(rows.into_iter().next())
    }

    /// The first row, which must be there.
    ///
    /// # Errors
    ///
    /// [`DbErr::RecordNotFound`] if it is not, and those of the database.
    pub async fn get<S: Source>(self, db: &S) -> Result<Q::Item, DbErr> {
        let found = self.one(db).await?;
        found.ok_or_else(|| DbErr::RecordNotFound("no row fits the query".into()))
    }

    /// The same under SeaORM's name.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub async fn require_one<S: Source>(self, db: &S) -> Result<Q::Item, DbErr> {
        self.get(db).await
    }
}

/// A read of all rows of a query.
pub(crate) fn rows<Q: CachedQuery>(options: &Options) -> ReadRequest<'_> {
    ReadRequest::rows(options, Q::table(), Q::kinds().0)
}

/// A read of its first.
pub(crate) fn first<Q: CachedQuery>(options: &Options) -> ReadRequest<'_> {
    let mut request = rows::<Q>(options);
    request.rules.op = Ops::GET;
    // A raw statement has no limit: it must not be read to its end.
    if Q::ONE_ROW { ReadRequest { kind: Q::kinds().1, run: Run::One, ..request } } else { request }
}

/// A read of one number or the like.
fn single<'a>(
    options: &'a Options,
    table: Option<String>,
    op: Ops,
    kind: &'static [u8],
) -> ReadRequest<'a> {
    let mut request = ReadRequest::rows(options, table, kind);
    request.rules.op = op;
    ReadRequest { run: Run::One, ..request }
}

impl<Q: SelectQuery> Cached<Q> {
    /// The number of rows.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn count<S: Source>(self, db: &S) -> Result<u64, DbErr> {
        let backend = db.get_database_backend();
        let statement = rehearse::question(backend, self.query.count(Rehearsal::of(backend)));
        count(db, &self.options, Q::table(), statement).await
    }

    /// Whether there is a row.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn exists<S: Source>(self, db: &S) -> Result<bool, DbErr> {
        let backend = db.get_database_backend();
        let statement = rehearse::question(backend, self.query.exists(Rehearsal::of(backend)));
        let request = single(&self.options, Q::table(), Ops::EXISTS, b"exists");
        let exists = |rows: Vec<QueryResult>| Ok(!rows.is_empty());
        read(db.context(), request, statement, Checked, exists).await
    }
}

impl<Q: CachedQuery + QueryTrait<QueryStatement = SelectStatement>> Cached<Q> {
    /// The value of an aggregate function over all rows: `Expr::col(article::Column::Views).sum()`, with
    /// `sea_orm::sea_query::{Expr, ExprTrait}`.
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr`] if the value is of another type.
    pub async fn aggregate<T, S>(
        self,
        expression: impl Into<Expr>,
        db: &S,
    ) -> Result<Option<T>, DbErr>
    where
        S: Source,
        T: TryGetable + CacheValue + Send + Sync,
    {
        let mut select = self.query.into_query();
        select.clear_selects().expr_as(expression.into(), "aggregate").clear_order_by();
        let statement = StatementBuilder::build(&select, &db.get_database_backend());
        let request = single(&self.options, Q::table(), Ops::AGGREGATE, b"value");
        let value = |rows: Vec<QueryResult>| match rows.first() {
            Some(row) => row.try_get::<Option<T>>("", "aggregate"),
            None => Ok(None),
        };
        read(db.context(), request, statement, Checked, value).await
    }
}

pub(crate) async fn count<S: Source>(
    db: &S,
    options: &Options,
    table: Option<String>,
    statement: Statement,
) -> Result<u64, DbErr> {
    let number = |rows: Vec<QueryResult>| match rows.first() {
        Some(row) => Ok(row.try_get::<i64>("", "num_items")? as u64),
        None => Ok(0),
    };
    let request = single(options, table, Ops::COUNT, b"count");
    read(db.context(), request, statement, Checked, number).await
}
