//! Queries that can be cached: what they ask of the database, and how their results are kept.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use cacheops::{Codec, Format};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, ExecResult, FromQueryResult, QueryResult,
    QuerySelect, QueryTrait, Select, SelectThree, SelectThreeModel, SelectTwo, SelectTwoMany,
    SelectTwoModel, Selector, SelectorRaw, SelectorTrait, Statement, Topology, TryIntoModel,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Many, Maybe, Rows, Whole};

/// A query whose result can be cached: SeaORM's selects, selectors and raw statements.
pub trait CachedQuery: Sized + Send {
    /// What one row becomes.
    type Item: Send + Sync;

    /// How a result is kept.
    type Codec: Codec<Vec<Self::Item>> + Default + Debug + Send + Sync;

    /// What it asks for all rows.
    fn statement(self, backend: DbBackend) -> Statement;

    /// What it asks for the first row.
    fn first_statement(self, backend: DbBackend) -> Statement;

    /// The table of its profile; none if the statement's first table is to decide.
    fn table() -> Option<String> {
        None
    }

    /// The items of the rows.
    ///
    /// # Errors
    ///
    /// [`DbErr`] if a row does not fit.
    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr>;
}

/// A query that can be counted and cut into pages.
pub trait SelectQuery: CachedQuery + QuerySelect + Clone + Sync {
    /// The statement, to be changed.
    fn select(&self) -> SelectStatement;
}

fn models<M: FromQueryResult>(rows: &[QueryResult]) -> Result<Vec<M>, DbErr> {
    rows.iter().map(|row| M::from_query_result(row, "")).collect()
}

fn selected<S: SelectorTrait>(rows: Vec<QueryResult>) -> Result<Vec<S::Item>, DbErr> {
    rows.into_iter().map(S::from_raw_query_result).collect()
}

fn name_of<E: EntityTrait>() -> Option<String> {
    Some(E::default().table_name().to_owned())
}

impl<E> CachedQuery for Select<E>
where
    E: EntityTrait,
    E::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    type Item = E::Model;
    type Codec = Rows<Whole<E>>;

    fn statement(self, backend: DbBackend) -> Statement {
        self.build(backend)
    }

    fn first_statement(self, backend: DbBackend) -> Statement {
        self.limit(1).build(backend)
    }

    fn table() -> Option<String> {
        name_of::<E>()
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<E::Model>, DbErr> {
        models(&rows)
    }
}

impl<E> SelectQuery for Select<E>
where
    E: EntityTrait,
    E::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    fn select(&self) -> SelectStatement {
        self.as_query().clone()
    }
}

impl<E, F> CachedQuery for SelectTwo<E, F>
where
    E: EntityTrait,
    F: EntityTrait,
    E::Model: Sync,
    F::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
    F::ActiveModel: TryIntoModel<F::Model>,
{
    type Item = (E::Model, Option<F::Model>);
    type Codec = Rows<(Whole<E>, Maybe<Whole<F>>)>;

    fn statement(self, backend: DbBackend) -> Statement {
        self.build(backend)
    }

    fn first_statement(self, backend: DbBackend) -> Statement {
        self.limit(1).build(backend)
    }

    fn table() -> Option<String> {
        name_of::<E>()
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr> {
        selected::<SelectTwoModel<E::Model, F::Model>>(rows)
    }
}

impl<E, F> SelectQuery for SelectTwo<E, F>
where
    E: EntityTrait,
    F: EntityTrait,
    E::Model: Sync,
    F::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
    F::ActiveModel: TryIntoModel<F::Model>,
{
    fn select(&self) -> SelectStatement {
        self.as_query().clone()
    }
}

impl<E, F> CachedQuery for SelectTwoMany<E, F>
where
    E: EntityTrait,
    F: EntityTrait,
    E::Model: Sync,
    F::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
    F::ActiveModel: TryIntoModel<F::Model>,
{
    type Item = (E::Model, Vec<F::Model>);
    type Codec = Rows<(Whole<E>, Many<Whole<F>>)>;

    fn statement(self, backend: DbBackend) -> Statement {
        self.build(backend)
    }

    /// The rows of the first item cannot be told from those of the others: all of them.
    fn first_statement(self, backend: DbBackend) -> Statement {
        self.build(backend)
    }

    fn table() -> Option<String> {
        name_of::<E>()
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr> {
        // One item for each left row, in the order of their first appearance.
        let key = |model: &E::Model| {
            let columns = <E::PrimaryKey as sea_orm::Iterable>::iter();
            let values = columns.map(|key| {
                sea_orm::ModelTrait::get(model, sea_orm::PrimaryKeyToColumn::into_column(key))
            });
            format!("{:?}", values.collect::<Vec<_>>())
        };
        let mut places = std::collections::HashMap::new();
        let mut items: Vec<Self::Item> = Vec::new();
        for (left, right) in selected::<SelectTwoModel<E::Model, F::Model>>(rows)? {
            let place = *places.entry(key(&left)).or_insert(items.len());
            if place == items.len() {
                items.push((left, Vec::new()));
            }
            items[place].1.extend(right);
        }
        Ok(items)
    }
}

impl<E, F, G, T> CachedQuery for SelectThree<E, F, G, T>
where
    E: EntityTrait,
    F: EntityTrait,
    G: EntityTrait,
    T: Topology + Send,
    E::Model: Sync,
    F::Model: Sync,
    G::Model: Sync,
    E::ActiveModel: TryIntoModel<E::Model>,
    F::ActiveModel: TryIntoModel<F::Model>,
    G::ActiveModel: TryIntoModel<G::Model>,
{
    type Item = (E::Model, Option<F::Model>, Option<G::Model>);
    type Codec = Rows<(Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>)>;

    fn statement(self, backend: DbBackend) -> Statement {
        self.build(backend)
    }

    fn first_statement(self, backend: DbBackend) -> Statement {
        self.limit(1).build(backend)
    }

    fn table() -> Option<String> {
        name_of::<E>()
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr> {
        selected::<SelectThreeModel<E::Model, F::Model, G::Model>>(rows)
    }
}

/// What `into_model`, `into_tuple` and `into_json` make: their items go through serde.
impl<S> CachedQuery for Selector<S>
where
    S: SelectorTrait + Send,
    S::Item: Serialize + DeserializeOwned + Send + Sync,
{
    type Item = S::Item;
    type Codec = Format;

    fn statement(self, backend: DbBackend) -> Statement {
        self.into_statement(backend)
    }

    fn first_statement(self, backend: DbBackend) -> Statement {
        let capture = Capture { backend, statement: Mutex::new(None) };
        // It asks one question and has its answer at once.
        {
            let mut asking = std::pin::pin!(self.one(&capture));
            let polled = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            debug_assert!(matches!(polled, Poll::Ready(Ok(None))));
        }
        let asked = capture.statement.into_inner().unwrap_or_else(PoisonError::into_inner);
        asked.unwrap_or_else(|| Statement::from_string(backend, "SELECT 1 WHERE 1 = 0"))
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr> {
        selected::<S>(rows)
    }
}

impl<S> CachedQuery for SelectorRaw<S>
where
    S: SelectorTrait + Send,
    S::Item: Serialize + DeserializeOwned + Send + Sync,
{
    type Item = S::Item;
    type Codec = Format;

    fn statement(self, _: DbBackend) -> Statement {
        self.into_statement()
    }

    fn first_statement(self, backend: DbBackend) -> Statement {
        self.statement(backend)
    }

    fn items(rows: Vec<QueryResult>) -> Result<Vec<Self::Item>, DbErr> {
        selected::<S>(rows)
    }
}

/// Hears what is asked, and answers that there is nothing.
pub(crate) struct Capture {
    pub(crate) backend: DbBackend,
    pub(crate) statement: Mutex<Option<Statement>>,
}

impl Capture {
    fn note(&self, statement: Statement) {
        if let Ok(mut asked) = self.statement.lock() {
            *asked = Some(statement);
        }
    }
}

#[async_trait]
impl ConnectionTrait for Capture {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("nothing is executed here".into()))
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("nothing is executed here".into()))
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.note(stmt);
        Ok(None)
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.note(stmt);
        Ok(Vec::new())
    }
}
