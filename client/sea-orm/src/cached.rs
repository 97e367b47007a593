//! A query that is looked up in the cache first.

use std::time::Duration;

use cacheops::{Codec, Deps, Format, Key, Ops};
use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, Related, Select, SelectGetableTuple, SelectModel, SelectTwo,
    SelectTwoMany, Selector, Statement, StatementBuilder, TryGetable, TryGetableMany, TryIntoModel,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::write_value;
use crate::paginate::CachedPaginator;
use crate::query::{CachedQuery, SelectQuery};
use crate::run::Run;
use crate::source::{Context, Source};
use crate::value::values_of;

/// [`cache`](Cache::cache) on every query of SeaORM.
pub trait Cache: CachedQuery {
    /// The query, to be looked up in the cache first. See [`Cached`].
    fn cache(self) -> Cached<Self> {
        Cached::new(self, Mode::Forced)
    }
}

impl<Q: CachedQuery> Cache for Q {}

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

#[derive(Clone, Debug)]
pub(crate) struct Options {
    mode: Mode,
    timeout: Option<Duration>,
    lock: Option<bool>,
    ops: Option<Ops>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As the profile of the table says.
    Profile,
    /// Whatever operations the profile has.
    Forced,
    /// Not at all.
    Off,
}

/// An error of the database, or a value that must not be stored.
enum Unstored<T> {
    Failed(DbErr),
    Value(T),
}

impl<Q> Cached<Q> {
    fn new(query: Q, mode: Mode) -> Self {
        Self { query, options: Options { mode, timeout: None, lock: None, ops: None } }
    }

    fn map<R>(self, make: impl FnOnce(Q) -> R) -> Cached<R> {
        Cached { query: make(self.query), options: self.options }
    }

    /// How long the result lives, unless it is invalidated.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
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
        let statement = self.query.statement(db.get_database_backend());
        Self::rows(&self.options, db, statement, Ops::FETCH).await
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn one<S: Source>(self, db: &S) -> Result<Option<Q::Item>, DbErr> {
        let statement = self.query.first_statement(db.get_database_backend());
        Ok(Self::rows(&self.options, db, statement, Ops::GET).await?.into_iter().next())
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

    async fn rows<S: Source>(
        options: &Options,
        db: &S,
        statement: Statement,
        op: Ops,
    ) -> Result<Vec<Q::Item>, DbErr> {
        ask(db, options, Q::table(), statement, (op, "rows"), Q::Codec::default(), Q::items).await
    }
}

impl<Q: SelectQuery> Cached<Q> {
    /// The number of rows.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn count<S: Source>(self, db: &S) -> Result<u64, DbErr> {
        let mut inner = self.query.select();
        inner.clear_order_by();
        count(db, &self.options, Q::table(), inner).await
    }

    /// Whether there is a row.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn exists<S: Source>(self, db: &S) -> Result<bool, DbErr> {
        let mut select = self.query.select();
        select.clear_selects().expr(Expr::cust("1")).clear_order_by().limit(1);
        let statement = build(db.get_database_backend(), &select);
        let exists = |rows: Vec<QueryResult>| Ok(vec![!rows.is_empty()]);
        let op = (Ops::EXISTS, "exists");
        let found: Vec<bool> =
            ask(db, &self.options, Q::table(), statement, op, Format::default(), exists).await?;
        Ok(found == [true])
    }

    /// The value of an aggregate function over all rows: `Expr::col(article::Column::Views).sum()`.
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
        T: TryGetable + Serialize + DeserializeOwned + Send + Sync,
    {
        let mut select = self.query.select();
        select.clear_selects().expr_as(expression.into(), "aggregate").clear_order_by();
        let statement = build(db.get_database_backend(), &select);
        let value = |rows: Vec<QueryResult>| -> Result<Vec<Option<T>>, DbErr> {
            rows.iter().map(|row| row.try_get::<Option<T>>("", "aggregate")).collect()
        };
        let op = (Ops::AGGREGATE, "aggregate");
        let values =
            ask(db, &self.options, Q::table(), statement, op, Format::default(), value).await?;
        Ok(values.into_iter().next().flatten())
    }

    /// The rows page by page.
    pub fn paginate<S: Source>(self, db: &S, page_size: u64) -> CachedPaginator<'_, S, Q> {
        CachedPaginator::new(self, db, page_size)
    }
}

pub(crate) async fn count<S: Source>(
    db: &S,
    options: &Options,
    table: Option<String>,
    rows: SelectStatement,
) -> Result<u64, DbErr> {
    let mut select = SelectStatement::new();
    select.expr(Expr::cust("COUNT(*) AS num_items")).from_subquery(rows, "sub_query");
    let statement = build(db.get_database_backend(), &select);
    let number = |rows: Vec<QueryResult>| -> Result<Vec<i64>, DbErr> {
        rows.iter().map(|row| row.try_get("", "num_items")).collect()
    };
    let op = (Ops::COUNT, "count");
    let found = ask(db, options, table, statement, op, Format::default(), number).await?;
    Ok(found.first().map_or(0, |&count| count as u64))
}

fn build(backend: DbBackend, select: &SelectStatement) -> Statement {
    StatementBuilder::build(select, &backend)
}

/// Asks the cache, and if need be the database.
pub(crate) async fn ask<S, T, C>(
    db: &S,
    options: &Options,
    table: Option<String>,
    statement: Statement,
    (op, kind): (Ops, &str),
    codec: C,
    items: impl FnOnce(Vec<QueryResult>) -> Result<Vec<T>, DbErr> + Send,
) -> Result<Vec<T>, DbErr>
where
    S: Source,
    C: Codec<Vec<T>>,
{
    let Context { cacheops, shared, inner, state } = db.context();
    let template = shared.analyser.analyse(&statement.sql);
    let profile = match &table {
        Some(table) => cacheops.profile(table),
        None => template.tables().first().and_then(|table| cacheops.profile(table)),
    };
    let wanted = match (options.mode, options.ops) {
        (Mode::Off, _) => false,
        (_, Some(ops)) => ops.contains(op),
        (Mode::Forced, None) => true,
        (Mode::Profile, None) => profile.is_some_and(|profile| profile.get_ops().contains(op)),
    };
    let mut snapshot = None;
    let mut usable = wanted && cacheops.is_enabled();
    if let Some(state) = state {
        // Before the first statement, whether this one is cached or not.
        match state.moment(cacheops).await {
            Ok(moment) => snapshot = moment,
            Err(()) => usable = false,
        }
        usable &= !state.is_dirty();
    }
    let values = values_of(&statement);
    let (true, Some(profile), Some(conditions)) = (usable, profile, template.dependencies(&values))
    else {
        drop(values);
        return items(Run::Query(statement).on(inner).await?.into_rows());
    };
    let mut deps = Deps::none();
    for (table, condition) in conditions.iter() {
        deps = deps.and_text(table, condition);
    }
    drop(values);
    let database = if profile.get_db_agnostic() { "" } else { &*shared.database };
    let Some(key) = key_of::<T>(database, &statement, kind) else {
        return items(Run::Query(statement).on(inner).await?.into_rows());
    };
    let mut read =
        cacheops.read(key).deps(deps).forced(profile, op).alone(state.is_some()).codec(codec);
    if let Some(timeout) = options.timeout {
        read = read.timeout(timeout);
    }
    if let Some(lock) = options.lock {
        read = read.lock(lock);
    }
    if let Some(snapshot) = snapshot {
        read = read.snapshot(snapshot);
    }
    let writes = state.map(|state| state.writes());
    let load = || async {
        let rows = Run::Query(statement).on(inner).await.map_err(Unstored::Failed)?;
        let value = items(rows.into_rows()).map_err(Unstored::Failed)?;
        // A write of the same transaction has begun meanwhile: it may be in this value, and is not committed.
        if state.map(|state| state.writes()) != writes {
            return Err(Unstored::Value(value));
        }
        Ok(value)
    };
    match read.get_or_store(load).await {
        Ok(value) | Err(Unstored::Value(value)) => Ok(value),
        Err(Unstored::Failed(error)) => Err(error),
    }
}

/// The key of a result: database, statement, values, and the type that it is read as.
fn key_of<T>(database: &str, statement: &Statement, kind: &str) -> Option<Key> {
    let mut values = Vec::with_capacity(64);
    for value in statement.values.iter().flat_map(|values| &values.0) {
        write_value(value, &mut values).ok()?;
    }
    Some(Key::query(database, &statement.sql).part(&values).part(kind.as_bytes()).of::<T>().into())
}

impl<E: EntityTrait> Cached<Select<E>> {
    /// Rows as another type, which goes through serde.
    pub fn into_model<M: FromQueryResult>(self) -> Cached<Selector<SelectModel<M>>> {
        self.map(Select::into_model)
    }

    /// Rows as tuples.
    pub fn into_tuple<T: TryGetableMany>(self) -> Cached<Selector<SelectGetableTuple<T>>> {
        self.map(Select::into_tuple)
    }

    /// Rows as JSON.
    pub fn into_json(self) -> Cached<Selector<SelectModel<sea_orm::JsonValue>>> {
        self.map(Select::into_json)
    }

    /// Each row with the one that is related to it.
    pub fn find_also_related<R: EntityTrait>(self, related: R) -> Cached<SelectTwo<E, R>>
    where
        E: Related<R>,
    {
        self.map(|query| query.find_also_related(related))
    }

    /// Each row with all that are related to it.
    pub fn find_with_related<R: EntityTrait>(self, related: R) -> Cached<SelectTwoMany<E, R>>
    where
        E: Related<R>,
    {
        self.map(|query| query.find_with_related(related))
    }
}

impl<E> Cached<Select<E>>
where
    E: EntityTrait,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    /// One column of all rows.
    pub fn values<T: TryGetableMany>(
        self,
        column: impl ColumnTrait,
    ) -> Cached<Selector<SelectGetableTuple<T>>> {
        self.map(|query| query.select_only().column(column).into_tuple())
    }
}

impl<Q: QueryFilter> QueryFilter for Cached<Q> {
    type QueryStatement = Q::QueryStatement;

    fn query(&mut self) -> &mut Self::QueryStatement {
        self.query.query()
    }
}

impl<Q: QueryOrder> QueryOrder for Cached<Q> {
    type QueryStatement = Q::QueryStatement;

    fn query(&mut self) -> &mut SelectStatement {
        self.query.query()
    }
}

impl<Q: QuerySelect> QuerySelect for Cached<Q> {
    type QueryStatement = Q::QueryStatement;

    fn query(&mut self) -> &mut SelectStatement {
        self.query.query()
    }
}
