//! Loaders: what belongs to each of some models, in one question.

use std::str::FromStr;

use cacheops_adapter::{
    Columns, Combined, Driver, Many, Maybe, Mode, Options, Rows, Rules, is_agnostic, key_of,
};
use sea_orm::{
    DbErr, EntityOrSelect, EntityTrait, LoaderTrait, ModelTrait, QueryTrait, Related,
    RelatedSelfVia, RelationDef, RelationTrait, Statement, TryIntoModel,
};

use crate::block::Recorder;
use crate::cached::Cached;
use crate::codec::{Whole, write_value};
use crate::query::table_of;
use crate::read::{ReadRequest, read};
use crate::rehearse::{self, Rehearsal};
use crate::run::Run;
use crate::source::Source;

/// The model of the table that the models are rows of.
type Own<M> = <<M as ModelTrait>::Entity as EntityTrait>::Model;

/// What is loaded for some models, cached: SeaORM's [`LoaderTrait`] behind `.cache()`.
///
/// ```no_run
/// # mod author { use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, DeriveEntityModel)] #[sea_orm(table_name = "author")]
/// # pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)] pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {} }
/// # mod article { use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, DeriveEntityModel)] #[sea_orm(table_name = "article")]
/// # pub struct Model { #[sea_orm(primary_key)] pub id: i32, pub author_id: i32 }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation { #[sea_orm(belongs_to = "super::author::Entity", from = "Column::AuthorId",
/// # to = "super::author::Column::Id")] Author }
/// # impl Related<super::author::Entity> for Entity { fn to() -> RelationDef { Relation::Author.def() } }
/// # impl ActiveModelBehavior for ActiveModel {} }
/// # use article::Entity as Article; use author::Entity as Author;
/// # use cacheops_sea_orm::{Cache, CachedConn}; use sea_orm::EntityTrait;
/// # fn main() {}
/// # async fn run(db: CachedConn) -> Result<(), sea_orm::DbErr> {
/// let articles = Article::find().cache().all(&db).await?;
/// let authors: Vec<Option<author::Model>> = articles.cache().load_one(Author, &db).await?;
/// # Ok(()) }
/// ```
///
/// One entry holds what was loaded for all of the models. It depends on the rows that the question names, those of a
/// table between included; of the models themselves only the columns count by which they are related.
impl<M: ModelTrait + Sync> Cached<&[M]> {
    /// The related row of each model: see [`LoaderTrait::load_one`].
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr`] if the relation is one to many.
    pub async fn load_one<R, Q, S>(self, query: Q, db: &S) -> Result<Vec<Option<R::Model>>, DbErr>
    where
        R: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<R::Model>>,
        Q: EntityOrSelect<R>,
        S: Source,
        M::Entity: Related<R>,
    {
        let (models, query) = (&self.query, query.select());
        let call = move |to| LoaderTrait::load_one(models, query.clone(), to);
        let loader = Loader { models, name: "load_one", by: <M::Entity as Related<R>>::to() };
        loader.load::<R, _, Maybe<Whole<R>>, _, _>(self.options, db, call).await
    }

    /// The related rows of each model, also over a table between: see [`LoaderTrait::load_many`].
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn load_many<R, Q, S>(self, query: Q, db: &S) -> Result<Vec<Vec<R::Model>>, DbErr>
    where
        R: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<R::Model>>,
        Q: EntityOrSelect<R>,
        S: Source,
        M::Entity: Related<R>,
    {
        let (models, query) = (&self.query, query.select());
        let call = move |to| LoaderTrait::load_many(models, query.clone(), to);
        let loader = Loader { models, name: "load_many", by: way::<M::Entity, R>() };
        loader.load::<R, _, Many<Whole<R>>, _, _>(self.options, db, call).await
    }

    /// The related rows of each model over a table between, in the order of that table: see
    /// [`LoaderTrait::load_many_to_many`].
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr`] if the table between is another.
    pub async fn load_many_to_many<R, Q, V, S>(
        self,
        query: Q,
        via: V,
        db: &S,
    ) -> Result<Vec<Vec<R::Model>>, DbErr>
    where
        R: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<R::Model>>,
        Q: EntityOrSelect<R>,
        V: EntityTrait<Model: Sync>,
        S: Source,
        M::Entity: Related<R>,
    {
        let (models, query, backend) = (&self.query, query.select(), db.get_database_backend());
        let first =
            LoaderTrait::load_many_to_many(models, query.clone(), via, Rehearsal::of(backend));
        let first = match rehearse::asked(first) {
            Ok(statement) => statement,
            Err(result) => return result,
        };
        let loader = Loader { models, name: "load_many_to_many", by: way::<M::Entity, R>() };
        // The second question follows from the rows of the first, and from the query.
        let second = query.clone().build(backend);
        let context = db.context();
        let (session, mut driver) = (context.session, context.driver());
        let kind = loader.kind().and_then(|mut kind| {
            kind.extend_from_slice(second.sql.as_bytes());
            kind.push(0);
            driver.write_parameters(&Run::Query(second.clone()), &mut kind)?;
            Some(kind)
        });
        let table = table_of::<R>();
        let profile = session.cacheops.profile(&table);
        let agnostic = profile.is_some_and(|profile| {
            let analyse = |statement: &Statement| session.core.analyser().analyse(&statement.sql);
            let (between, far) = (analyse(&first), analyse(&second));
            is_agnostic(session.cacheops, profile, [&*between, &*far])
        });
        let rules = Rules::fetch(&self.options, Some(table));
        let combined = Combined::new(session, &mut driver, rules, agnostic).await;
        let first = Run::Query(first);
        let named = context.driver();
        let key = |database: &str| {
            key_of::<_, Vec<Vec<R::Model>>>(&named, database, &first, kind.as_deref()?)
        };
        let (recorder, storable) = (Recorder::new(&context), combined.storable());
        let load = async {
            let loaded = LoaderTrait::load_many_to_many(models, query, via, &recorder).await?;
            let deps = storable.check(session, &mut driver, recorder.log.take()).await;
            Ok((loaded, deps))
        };
        combined.get_or_load(key, Rows::<Many<Whole<R>>>::default(), load).await
    }

    /// The row of the same table that each model refers to: see [`LoaderTrait::load_self`].
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr`] if the relation leads elsewhere.
    pub async fn load_self<Q, S>(
        self,
        query: Q,
        relation: <M::Entity as EntityTrait>::Relation,
        db: &S,
    ) -> Result<Vec<Option<Own<M>>>, DbErr>
    where
        M::Entity: EntityTrait<
                Model: Sync + 'static,
                ActiveModel: TryIntoModel<Own<M>>,
                Relation: Clone + Send,
            >,
        Q: EntityOrSelect<M::Entity>,
        S: Source,
    {
        let (models, query, by) = (&self.query, query.select(), relation.def());
        let call = move |to| LoaderTrait::load_self(models, query.clone(), relation.clone(), to);
        let loader = Loader { models, name: "load_self", by };
        loader.load::<M::Entity, _, Maybe<Whole<M::Entity>>, _, _>(self.options, db, call).await
    }

    /// The rows of the same table that refer to each model: see [`LoaderTrait::load_self_many`].
    ///
    /// # Errors
    ///
    /// Those of the database, and [`DbErr`] if the relation leads elsewhere.
    pub async fn load_self_many<Q, S>(
        self,
        query: Q,
        relation: <M::Entity as EntityTrait>::Relation,
        db: &S,
    ) -> Result<Vec<Vec<Own<M>>>, DbErr>
    where
        M::Entity: EntityTrait<
                Model: Sync + 'static,
                ActiveModel: TryIntoModel<Own<M>>,
                Relation: Clone + Send,
            >,
        Q: EntityOrSelect<M::Entity>,
        S: Source,
    {
        let (models, query, by) = (&self.query, query.select(), relation.def());
        let by = if by.is_owner { by } else { by.rev() };
        let call =
            move |to| LoaderTrait::load_self_many(models, query.clone(), relation.clone(), to);
        let loader = Loader { models, name: "load_self_many", by };
        loader.load::<M::Entity, _, Many<Whole<M::Entity>>, _, _>(self.options, db, call).await
    }

    /// The rows of the same table that each model leads to, over a table between: see
    /// [`LoaderTrait::load_self_via`].
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn load_self_via<V, S>(self, via: V, db: &S) -> Result<Vec<Vec<Own<M>>>, DbErr>
    where
        M::Entity: RelatedSelfVia<V>
            + EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<Own<M>>>,
        V: EntityTrait,
        S: Source,
    {
        let models = &self.query;
        let call = move |to| LoaderTrait::load_self_via(models, via, to);
        let by = <M::Entity as RelatedSelfVia<V>>::via();
        let loader = Loader { models, name: "load_self_via", by };
        loader.load::<M::Entity, _, Many<Whole<M::Entity>>, _, _>(self.options, db, call).await
    }

    /// The rows of the same table that lead to each model, over a table between: see
    /// [`LoaderTrait::load_self_via_rev`].
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn load_self_via_rev<V, S>(self, via: V, db: &S) -> Result<Vec<Vec<Own<M>>>, DbErr>
    where
        M::Entity: RelatedSelfVia<V>
            + EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<Own<M>>>,
        V: EntityTrait,
        S: Source,
    {
        let models = &self.query;
        let call = move |to| LoaderTrait::load_self_via_rev(models, via, to);
        let by = <M::Entity as RelatedSelfVia<V>>::to().rev();
        let loader = Loader { models, name: "load_self_via_rev", by };
        loader.load::<M::Entity, _, Many<Whole<M::Entity>>, _, _>(self.options, db, call).await
    }
}

/// How rows of an entity lead to those of another: over a table between, if there is one.
fn way<E: Related<R>, R: EntityTrait>() -> RelationDef {
    E::via().unwrap_or_else(E::to)
}

/// What is loaded for models, and by which of their columns.
struct Loader<'m, M> {
    models: &'m [M],
    name: &'static str,
    by: RelationDef,
}

impl<M: ModelTrait> Loader<'_, M> {
    /// Loads one `T` for each model.
    async fn load<R, T, K, S, F>(
        self,
        mut options: Options,
        db: &S,
        call: impl Fn(&'static Rehearsal) -> F + Send,
    ) -> Result<Vec<T>, DbErr>
    where
        R: EntityTrait,
        T: Send + std::fmt::Debug,
        K: Columns<T>,
        S: Source,
        F: Future<Output = Result<Vec<T>, DbErr>>,
    {
        let to = Rehearsal::of(db.get_database_backend());
        let statement = match rehearse::asked(call(to)) {
            Ok(statement) => statement,
            // There are no models, or the relation is not of this kind.
            Err(result) => return result,
        };
        let kind = self.kind().unwrap_or_else(|| {
            options.mode = Mode::Off;
            Vec::new()
        });
        let request = ReadRequest::rows(&options, Some(table_of::<R>()), &kind);
        let decode = move |rows| rehearse::answered(rows, call(to));
        read(db.context(), request, statement, Rows::<K>::default(), decode).await
    }

    /// The loader, and for whom: the question names each key once and in no order that counts, the answer has as many
    /// parts as there are models.
    fn kind(&self) -> Option<Vec<u8>> {
        let column = |name: &sea_orm::sea_query::DynIden| {
            <M::Entity as EntityTrait>::Column::from_str(&name.to_string()).ok()
        };
        let columns: Vec<_> = self.by.from_col.iter().map(column).collect::<Option<_>>()?;
        let mut kind = self.name.as_bytes().to_vec();
        for model in self.models {
            for column in &columns {
                write_value(&model.get(*column), &mut kind).ok()?;
            }
        }
        Some(kind)
    }
}
