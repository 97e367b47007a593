//! Queries that can be cached: what they ask of the database, and how their results are kept.

use std::any::type_name;

use cacheops::Codec;
use cacheops_adapter::{CacheValue, Many, Maybe, Rows};
use sea_orm::{
    DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryResult, QuerySelect, QueryTrait, Select,
    SelectExt, SelectFive, SelectFiveModel, SelectFour, SelectFourMany, SelectFourModel,
    SelectModel, SelectSix, SelectSixModel, SelectThree, SelectThreeMany, SelectThreeModel,
    SelectTwo, SelectTwoMany, SelectTwoModel, SelectTwoRequired, SelectTwoRequiredModel, Selector,
    SelectorRaw, SelectorTrait, Statement, Topology, TopologyChain, TopologyStar, TryIntoModel,
};

use crate::codec::Whole;
use crate::items::Items;
use crate::rehearse::{self, Rehearsal};

/// A query whose result can be cached: SeaORM's selects, selectors and raw statements.
pub trait CachedQuery: Sized + Send {
    /// What one row becomes.
    type Item: Send + Sync;

    /// How a result is kept.
    type Codec: Codec<Vec<Self::Item>> + Default + Send + Sync;

    /// Whether the first item is made of the first row, and the rest need not be read.
    const ONE_ROW: bool = true;

    /// What it asks for all rows, and what it makes of them.
    fn all_rows(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>);

    /// What it asks for the first row, and what it makes of the answer.
    fn first_row(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>);

    /// The table of its profile; none if the statement's first table is to decide.
    fn table() -> Option<String> {
        None
    }

    /// What tells its rows, and its first row, from other results of the same statement and type.
    #[doc(hidden)]
    fn kinds() -> (&'static [u8], &'static [u8]) {
        (b"rows", b"first")
    }
}

/// One type may be read in several ways: by the order of the columns, or by a list of their names.
fn kinds_of<S>() -> (&'static [u8], &'static [u8]) {
    (type_name::<S>().as_bytes(), type_name::<Option<S>>().as_bytes())
}

/// What makes items of rows.
pub trait Reader<T>: FnOnce(Vec<QueryResult>) -> Result<Vec<T>, DbErr> + Send {}

impl<T, F: FnOnce(Vec<QueryResult>) -> Result<Vec<T>, DbErr> + Send> Reader<T> for F {}

/// A query that SeaORM can count and cut into pages.
pub trait SelectQuery:
    CachedQuery
    + SelectExt
    + PaginatorTrait<
        'static,
        Rehearsal,
        Selector: SelectorTrait<Item = <Self as CachedQuery>::Item> + Send + Sync,
    >
{
}

impl<Q> SelectQuery for Q where
    Q: CachedQuery
        + SelectExt
        + PaginatorTrait<'static, Rehearsal, Selector: SelectorTrait<Item = Q::Item> + Send + Sync>
{
}

pub(crate) fn selected<S: SelectorTrait>(rows: Vec<QueryResult>) -> Result<Vec<S::Item>, DbErr> {
    rows.into_iter().map(S::from_raw_query_result).collect()
}

/// The name of an entity's table.
pub(crate) fn table_of<E: EntityTrait>() -> String {
    E::default().table_name().to_owned()
}

/// Implements [`CachedQuery`] for a select of one or more entities: how an item is kept, and how SeaORM reads it.
macro_rules! select {
    ($select:ident<$first:ident $(, $other:ident)* $(; $topology:ident)?>, $item:ty, $kept:ty, $read:ty) => {
        impl<$first, $($other,)* $($topology)?> CachedQuery for $select<$first, $($other,)* $($topology)?>
        where
            $first: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<$first::Model>>,
            $($other: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<$other::Model>>,)*
            $($topology: Topology + Send,)?
        {
            type Item = $item;
            type Codec = Rows<$kept>;

            fn all_rows(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>) {
                (self.build(backend), selected::<$read>)
            }

            fn first_row(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>) {
                (self.limit(1).build(backend), selected::<$read>)
            }

            fn table() -> Option<String> {
                Some(table_of::<$first>())
            }
        }
    };
}

select!(Select<E>, E::Model, Whole<E>, SelectModel<E::Model>);
select!(
    SelectTwo<E, F>,
    (E::Model, Option<F::Model>),
    (Whole<E>, Maybe<Whole<F>>),
    SelectTwoModel<E::Model, F::Model>
);
select!(
    SelectTwoRequired<E, F>,
    (E::Model, F::Model),
    (Whole<E>, Whole<F>),
    SelectTwoRequiredModel<E::Model, F::Model>
);
select!(
    SelectThree<E, F, G; T>,
    (E::Model, Option<F::Model>, Option<G::Model>),
    (Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>),
    SelectThreeModel<E::Model, F::Model, G::Model>
);
select!(
    SelectFour<E, F, G, H; T>,
    (E::Model, Option<F::Model>, Option<G::Model>, Option<H::Model>),
    (Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>, Maybe<Whole<H>>),
    SelectFourModel<E::Model, F::Model, G::Model, H::Model>
);
select!(
    SelectFive<E, F, G, H, I; T>,
    (E::Model, Option<F::Model>, Option<G::Model>, Option<H::Model>, Option<I::Model>),
    (Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>, Maybe<Whole<H>>, Maybe<Whole<I>>),
    SelectFiveModel<E::Model, F::Model, G::Model, H::Model, I::Model>
);
select!(
    SelectSix<E, F, G, H, I, J; T>,
    (
        E::Model,
        Option<F::Model>,
        Option<G::Model>,
        Option<H::Model>,
        Option<I::Model>,
        Option<J::Model>
    ),
    (Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>, Maybe<Whole<H>>, Maybe<Whole<I>>, Maybe<Whole<J>>),
    SelectSixModel<E::Model, F::Model, G::Model, H::Model, I::Model, J::Model>
);

/// The same for selects whose rows SeaORM puts together: one item for each left row, with what belongs to it. The
/// rows of the first item cannot be told from those of the others, so they are all read for it.
macro_rules! consolidated {
    ($select:ident<$first:ident, $($other:ident),+ $(; $topology:ident)?>, $item:ty, $kept:ty) => {
        impl<$first, $($other),+> CachedQuery for $select<$first, $($other,)+ $($topology)?>
        where
            $first: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<$first::Model>>,
            $($other: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<$other::Model>>,)+
        {
            type Item = $item;
            type Codec = Rows<$kept>;

            const ONE_ROW: bool = false;

            fn all_rows(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>) {
                let rehearsal = Rehearsal::of(backend);
                let statement = rehearse::question(backend, self.clone().all(rehearsal));
                (statement, move |rows| rehearse::answered(rows, self.all(rehearsal)))
            }

            fn first_row(self, backend: DbBackend) -> (Statement, impl Reader<Self::Item>) {
                self.all_rows(backend)
            }

            fn table() -> Option<String> {
                Some(table_of::<$first>())
            }
        }
    };
}

consolidated!(SelectTwoMany<E, F>, (E::Model, Vec<F::Model>), (Whole<E>, Many<Whole<F>>));
consolidated!(
    SelectThreeMany<E, F, G; TopologyStar>,
    (E::Model, Vec<F::Model>, Vec<G::Model>),
    (Whole<E>, Many<Whole<F>>, Many<Whole<G>>)
);
consolidated!(
    SelectThreeMany<E, F, G; TopologyChain>,
    (E::Model, Vec<(F::Model, Vec<G::Model>)>),
    (Whole<E>, Many<(Whole<F>, Many<Whole<G>>)>)
);
consolidated!(
    SelectFourMany<E, F, G, H; TopologyStar>,
    (E::Model, Vec<F::Model>, Vec<G::Model>, Vec<H::Model>),
    (Whole<E>, Many<Whole<F>>, Many<Whole<G>>, Many<Whole<H>>)
);

/// What `into_model`, `into_tuple` and `into_json` make. Their items go through serde, unless they are models that were
/// seen before.
impl<S> CachedQuery for Selector<S>
where
    S: SelectorTrait + Send,
    S::Item: CacheValue + Send + Sync + 'static,
{
    type Item = S::Item;
    type Codec = Items<S::Item>;

    fn all_rows(self, backend: DbBackend) -> (Statement, impl Reader<S::Item>) {
        (self.into_statement(backend), selected::<S>)
    }

    fn first_row(self, backend: DbBackend) -> (Statement, impl Reader<S::Item>) {
        (rehearse::question(backend, self.one(Rehearsal::of(backend))), selected::<S>)
    }

    fn kinds() -> (&'static [u8], &'static [u8]) {
        kinds_of::<S>()
    }
}

impl<S> CachedQuery for SelectorRaw<S>
where
    S: SelectorTrait + Send,
    S::Item: CacheValue + Send + Sync + 'static,
{
    type Item = S::Item;
    type Codec = Items<S::Item>;

    fn all_rows(self, _: DbBackend) -> (Statement, impl Reader<S::Item>) {
        (self.into_statement(), selected::<S>)
    }

    fn first_row(self, backend: DbBackend) -> (Statement, impl Reader<S::Item>) {
        self.all_rows(backend)
    }

    fn kinds() -> (&'static [u8], &'static [u8]) {
        kinds_of::<S>()
    }
}
