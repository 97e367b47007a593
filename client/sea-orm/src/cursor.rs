//! Pages by a key in the place of a number.

use std::marker::PhantomData;

use cacheops::Codec;
use cacheops_adapter::{Maybe, Options, Rows};
use sea_orm::sea_query::{IntoValueTuple, SelectStatement};
use sea_orm::{
    Cursor, DbErr, EntityTrait, FromQueryResult, IdentityOf, IntoIdentity, PartialModelTrait,
    QueryResult, QuerySelect, Select, SelectModel, SelectThree, SelectThreeModel, SelectTwo,
    SelectTwoModel, SelectorTrait, Topology, TryIntoModel,
};

use crate::cached::Cached;
use crate::codec::Whole;
use crate::items::Items;
use crate::query::{CachedQuery, selected};
use crate::read::{ReadRequest, read};
use crate::rehearse::{self, Rehearsal};
use crate::source::Source;

/// A cached query that is read by a key, as SeaORM's own [`Cursor`] reads it. Its items are kept by `C`.
pub struct CachedCursor<S: SelectorTrait, C> {
    cursor: Cursor<S>,
    /// SeaORM asks for the last rows in reverse.
    reversed: bool,
    options: Options,
    table: Option<String>,
    codec: PhantomData<fn() -> C>,
}

impl<S: SelectorTrait, C> CachedCursor<S, C> {
    fn new<Q: CachedQuery>(cached: Cached<Q>, make: impl FnOnce(Q) -> Cursor<S>) -> Self {
        let Cached { query, options } = cached;
        let codec = PhantomData;
        Self { cursor: make(query), reversed: false, options, table: Q::table(), codec }
    }

    fn other<T: SelectorTrait>(
        self,
        make: impl FnOnce(Cursor<S>) -> Cursor<T>,
    ) -> CachedCursor<T, Items<T::Item>> {
        let Self { cursor, reversed, options, table, .. } = self;
        CachedCursor { cursor: make(cursor), reversed, options, table, codec: PhantomData }
    }

    /// Rows before this key.
    pub fn before(&mut self, key: impl IntoValueTuple) -> &mut Self {
        self.cursor.before(key);
        self
    }

    /// Rows after this key.
    pub fn after(&mut self, key: impl IntoValueTuple) -> &mut Self {
        self.cursor.after(key);
        self
    }

    /// In ascending order.
    pub fn asc(&mut self) -> &mut Self {
        self.cursor.asc();
        self
    }

    /// In descending order.
    pub fn desc(&mut self) -> &mut Self {
        self.cursor.desc();
        self
    }

    /// Only the first rows.
    pub fn first(&mut self, rows: u64) -> &mut Self {
        self.cursor.first(rows);
        self.reversed = false;
        self
    }

    /// Only the last rows.
    pub fn last(&mut self, rows: u64) -> &mut Self {
        self.cursor.last(rows);
        self.reversed = true;
        self
    }

    /// Rows as another type, which goes through serde.
    pub fn into_model<M: FromQueryResult>(self) -> CachedCursor<SelectModel<M>, Items<M>> {
        self.other(Cursor::into_model)
    }

    /// Rows as a partial model: only its columns are asked for. It goes through serde.
    pub fn into_partial_model<M: PartialModelTrait>(
        self,
    ) -> CachedCursor<SelectModel<M>, Items<M>> {
        self.other(Cursor::into_partial_model)
    }

    /// Rows as JSON.
    pub fn into_json(
        self,
    ) -> CachedCursor<SelectModel<sea_orm::JsonValue>, Items<sea_orm::JsonValue>> {
        self.other(Cursor::into_json)
    }

    /// The rows.
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr::KeyArityMismatch`] if a key has not as many values as the cursor columns.
    pub async fn all<D: Source>(&mut self, db: &D) -> Result<Vec<S::Item>, DbErr>
    where
        C: Codec<Vec<S::Item>> + Default,
    {
        let to = Rehearsal::of(db.get_database_backend());
        let statement = match rehearse::asked(self.cursor.all(to)) {
            Ok(statement) => statement,
            Err(result) => return result,
        };
        let reversed = self.reversed;
        let decode = move |rows: Vec<QueryResult>| {
            let mut items = selected::<S>(rows)?;
            if reversed {
                items.reverse();
            }
            Ok(items)
        };
        let kind: &[u8] = if reversed { b"last" } else { b"rows" };
        let request = ReadRequest::rows(&self.options, self.table.clone(), kind);
        read(db.context(), request, statement, C::default(), decode).await
    }
}

impl<S: SelectorTrait, C> Clone for CachedCursor<S, C>
where
    Cursor<S>: Clone,
{
    fn clone(&self) -> Self {
        let Self { cursor, reversed, options, table, codec } = self;
        let (options, table) = (options.clone(), table.clone());
        Self { cursor: cursor.clone(), reversed: *reversed, options, table, codec: *codec }
    }
}

impl<S: SelectorTrait, C> QuerySelect for CachedCursor<S, C> {
    type QueryStatement = SelectStatement;

    fn query(&mut self) -> &mut SelectStatement {
        self.cursor.query()
    }
}

impl<S: SelectorTrait, C> std::fmt::Debug for CachedCursor<S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedCursor").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<E> Cached<Select<E>>
where
    E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    /// The rows by a key, which they are then ordered by.
    pub fn cursor_by(
        self,
        columns: impl IntoIdentity,
    ) -> CachedCursor<SelectModel<E::Model>, Rows<Whole<E>>> {
        CachedCursor::new(self, |query| query.cursor_by(columns))
    }
}

/// Over rows of two entities.
type OfTwo<E, F> = CachedCursor<
    SelectTwoModel<<E as EntityTrait>::Model, <F as EntityTrait>::Model>,
    Rows<(Whole<E>, Maybe<Whole<F>>)>,
>;

/// Over rows of three.
type OfThree<E, F, G> = CachedCursor<
    SelectThreeModel<
        <E as EntityTrait>::Model,
        <F as EntityTrait>::Model,
        <G as EntityTrait>::Model,
    >,
    Rows<(Whole<E>, Maybe<Whole<F>>, Maybe<Whole<G>>)>,
>;

impl<E, F> Cached<SelectTwo<E, F>>
where
    E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
    F: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<F::Model>>,
{
    /// The rows by a key of the first entity.
    pub fn cursor_by(self, columns: impl IdentityOf<E>) -> OfTwo<E, F> {
        CachedCursor::new(self, |query| query.cursor_by(columns))
    }

    /// The rows by a key of the second entity.
    pub fn cursor_by_other(self, columns: impl IdentityOf<F>) -> OfTwo<E, F> {
        CachedCursor::new(self, |query| query.cursor_by_other(columns))
    }
}

impl<E, F, G, T> Cached<SelectThree<E, F, G, T>>
where
    E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
    F: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<F::Model>>,
    G: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<G::Model>>,
    T: Topology + Send,
{
    /// The rows by a key of the first entity.
    pub fn cursor_by(self, columns: impl IdentityOf<E>) -> OfThree<E, F, G> {
        CachedCursor::new(self, |query| query.cursor_by(columns))
    }
}
