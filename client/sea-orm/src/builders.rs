//! SeaORM's builder methods behind `.cache()`. They also stand before it, and some, like `select_also`, only there.

use sea_orm::sea_query::{IntoCondition, SelectStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Linked, PartialModelTrait, QueryFilter, QueryOrder,
    QuerySelect, Related, Select, SelectFour, SelectFourMany, SelectGetableTuple, SelectModel,
    SelectThree, SelectThreeMany, SelectTwo, SelectTwoMany, SelectTwoRequired, Selector,
    SelectorRaw, Statement, Topology, TopologyChain, TopologyStar, TryGetableMany, TryIntoModel,
};

use crate::cached::Cached;
use crate::codec;

impl<E> Cached<Select<E>>
where
    E: EntityTrait<Model: 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    /// Rows as another type: a model of any registered entity is kept by its columns, what is no model through serde.
    pub fn into_model<M: FromQueryResult>(self) -> Cached<Selector<SelectModel<M>>> {
        codec::register::<E>();
        self.map(Select::into_model)
    }

    /// The rows of this statement in the place of the query.
    pub fn from_raw_sql(self, statement: Statement) -> Cached<SelectorRaw<SelectModel<E::Model>>> {
        codec::register::<E>();
        self.map(|query| query.from_raw_sql(statement))
    }
}

impl<E: EntityTrait> Cached<Select<E>> {
    /// Rows as a partial model: only its columns are asked for. It goes through serde.
    pub fn into_partial_model<M: PartialModelTrait>(self) -> Cached<Selector<SelectModel<M>>> {
        self.map(Select::into_partial_model)
    }

    /// Rows as tuples.
    pub fn into_tuple<T: TryGetableMany>(self) -> Cached<Selector<SelectGetableTuple<T>>> {
        self.map(Select::into_tuple)
    }

    /// Rows as JSON.
    pub fn into_json(self) -> Cached<Selector<SelectModel<sea_orm::JsonValue>>> {
        self.map(Select::into_json)
    }

    /// One column of all rows.
    pub fn values<T: TryGetableMany>(
        self,
        column: impl ColumnTrait,
    ) -> Cached<Selector<SelectGetableTuple<T>>> {
        self.map(|query| query.select_only().column(column).into_tuple())
    }

    /// Each row with the one that is related to it, if there is one.
    pub fn find_also_related<R: EntityTrait>(self, related: R) -> Cached<SelectTwo<E, R>>
    where
        E: Related<R>,
    {
        self.map(|query| query.find_also_related(related))
    }

    /// Each row with the one that is related to it: rows without are left out.
    pub fn find_both_related<R: EntityTrait>(self, related: R) -> Cached<SelectTwoRequired<E, R>>
    where
        E: Related<R>,
    {
        self.map(|query| query.find_both_related(related))
    }

    /// Each row with all that are related to it.
    pub fn find_with_related<R: EntityTrait>(self, related: R) -> Cached<SelectTwoMany<E, R>>
    where
        E: Related<R>,
    {
        self.map(|query| query.find_with_related(related))
    }

    /// Each row with the one at the end of a link, if there is one.
    pub fn find_also_linked<L, R: EntityTrait>(self, link: L) -> Cached<SelectTwo<E, R>>
    where
        L: Linked<FromEntity = E, ToEntity = R>,
    {
        self.map(|query| query.find_also_linked(link))
    }

    /// Each row with all at the end of a link.
    pub fn find_with_linked<L, R: EntityTrait>(self, link: L) -> Cached<SelectTwoMany<E, R>>
    where
        L: Linked<FromEntity = E, ToEntity = R>,
    {
        self.map(|query| query.find_with_linked(link))
    }

    /// Joined with a related table.
    pub fn inner_join<R: EntityTrait>(self, related: R) -> Self
    where
        E: Related<R>,
    {
        self.map(|query| query.inner_join(related))
    }

    /// Joined with a related table; rows without a partner stay.
    pub fn left_join<R: EntityTrait>(self, related: R) -> Self
    where
        E: Related<R>,
    {
        self.map(|query| query.left_join(related))
    }

    /// Only rows that have a related one of this kind.
    pub fn has_related<R: EntityTrait>(self, related: R, condition: impl IntoCondition) -> Self
    where
        E: Related<R>,
    {
        self.map(|query| query.has_related(related, condition))
    }
}

impl<E: EntityTrait, F: EntityTrait> Cached<SelectTwo<E, F>> {
    /// With a third, which is related to the entity that is named first.
    pub fn find_also<T, R: EntityTrait>(
        self,
        from: T,
        related: R,
    ) -> Cached<SelectThree<E, F, R, TopologyStar>>
    where
        T: EntityTrait + Related<R>,
    {
        self.map(|query| query.find_also(from, related))
    }

    /// With a third, which is related to the second.
    pub fn and_also_related<R: EntityTrait>(
        self,
        related: R,
    ) -> Cached<SelectThree<E, F, R, TopologyChain>>
    where
        F: Related<R>,
    {
        self.map(|query| query.and_also_related(related))
    }
}

impl<E: EntityTrait, F: EntityTrait, G: EntityTrait, T: Topology> Cached<SelectThree<E, F, G, T>> {
    /// With a fourth, which is related to the entity that is named first.
    pub fn find_also<U, R: EntityTrait>(
        self,
        from: U,
        related: R,
    ) -> Cached<SelectFour<E, F, G, R, TopologyStar>>
    where
        U: EntityTrait + Related<R>,
    {
        self.map(|query| query.find_also(from, related))
    }

    /// One item for each row of the first entity, with all that belongs to it.
    pub fn consolidate(self) -> Cached<SelectThreeMany<E, F, G, T>> {
        self.map(SelectThree::consolidate)
    }
}

impl<E, F, G, H, T> Cached<SelectFour<E, F, G, H, T>>
where
    E: EntityTrait,
    F: EntityTrait,
    G: EntityTrait,
    H: EntityTrait,
    T: Topology,
{
    /// One item for each row of the first entity, with all that belongs to it.
    pub fn consolidate(self) -> Cached<SelectFourMany<E, F, G, H, T>> {
        self.map(SelectFour::consolidate)
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
