//! `cache_on_save`: a row that was saved is read again, through the cache, by the question that will be asked for it.
//!
//! What RETURNING gave is not stored: another may have changed the row before our invalidation was confirmed, and no
//! token taken after it would tell. The row is read after the confirmation, as by any reader, with a token from before
//! that read; if it changes meanwhile, the server refuses it.

use std::collections::HashMap;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use cacheops::{CacheOnSave, Cacheops};
use cacheops_adapter::{Mode, Options, Rows, Session};
use cacheops_sql::{Analyser, Kind, Template, WriteKind};
use sea_orm::sea_query::TableRef;
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, Iterable, ModelTrait,
    PrimaryKeyToColumn, QueryFilter, QueryResult, Select, TryIntoModel, Value,
};

use crate::cached::first;
use crate::codec::Whole;
use crate::query::CachedQuery;
use crate::read::read as read_through;
use crate::relations::name_of;
use crate::run::{Ran, Run};
use crate::source::Context;

/// Beyond, the rows that a transaction saves are not read again.
const MAX_SAVED: usize = 64;

/// The entities whose rows can be stored when they are saved, and where they are read.
#[derive(Default)]
pub(crate) struct Saving {
    given: Vec<(TableRef, Entity)>,
    /// By the name of the table in conditions.
    entities: HashMap<String, Entity>,
    connection: Option<DatabaseConnection>,
}

/// One of them, without its type.
#[derive(Clone, Copy)]
struct Entity {
    key: fn(&QueryResult, &CacheOnSave) -> Option<Vec<Value>>,
    read: for<'a> fn(Context<'a, DatabaseConnection>, Saved) -> Reading<'a>,
}

type Reading<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A row that was saved: by which columns it will be asked for, and their values.
#[derive(Clone)]
pub(crate) struct Saved {
    entity: Entity,
    by: CacheOnSave,
    values: Vec<Value>,
}

/// The rows that a transaction has saved. Those of a savepoint that was rolled back may be among them: to read one
/// more row does no harm.
#[derive(Default)]
pub(crate) struct SavedRows(Mutex<Vec<Saved>>);

impl SavedRows {
    pub(crate) fn add(&self, saved: Option<Saved>) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.extend(saved);
        rows.truncate(MAX_SAVED);
    }

    pub(crate) fn take(&self) -> Vec<Saved> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Saving {
    /// Adds an entity.
    pub(crate) fn add<E>(&mut self)
    where
        E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
    {
        let entity =
            Entity { key: key::<E>, read: |context, saved| Box::pin(read::<E>(context, saved)) };
        self.given.push((E::default().table_ref(), entity));
    }

    /// With the connection to read by, and who knows the names.
    pub(crate) fn on(mut self, connection: &DatabaseConnection, analyser: &Analyser) -> Self {
        let given = self.given.drain(..);
        self.entities = given.map(|(table, entity)| (name_of(analyser, &table), entity)).collect();
        self.connection = Some(connection.clone());
        self
    }

    /// The row that a statement saved, if it is one and is to be stored.
    pub(crate) fn saved(
        &self,
        cacheops: &Cacheops,
        template: &Template,
        run: &Run,
        ran: &Ran,
    ) -> Option<Saved> {
        let Kind::Write(WriteKind::Insert | WriteKind::Upsert | WriteKind::Update) =
            template.kind()
        else {
            return None;
        };
        let (Run::One(_), Some([row])) = (run, ran.rows()) else { return None };
        let table = template.target()?;
        let entity = *self.entities.get(table)?;
        let by = cacheops.profile(table)?.get_cache_on_save();
        if *by == CacheOnSave::No || !cacheops.invalidates() {
            return None;
        }
        Some(Saved { entity, by: by.clone(), values: (entity.key)(row, by)? })
    }

    /// Reads saved rows through the cache. Nothing that goes wrong here concerns the writer.
    pub(crate) async fn read(&self, session: Session<'_>, saved: impl IntoIterator<Item = Saved>) {
        let Some(connection) = &self.connection else { return };
        for saved in saved {
            // Without the server there is nothing to store it in.
            if session.cacheops.last_error().is_some() {
                return;
            }
            let backend = connection.get_database_backend();
            let context = Context { session, connection, backend, writer: None };
            (saved.entity.read)(context, saved).await;
        }
    }
}

/// The columns by which a row will be asked for.
fn columns<E: EntityTrait>(by: &CacheOnSave) -> Option<Vec<E::Column>> {
    match by {
        CacheOnSave::PrimaryKey => {
            Some(E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect())
        }
        CacheOnSave::Field(name) => Some(vec![E::Column::from_str(name).ok()?]),
        _ => None,
    }
}

/// Their values, if the whole row is there and none of them is NULL.
fn key<E: EntityTrait>(row: &QueryResult, by: &CacheOnSave) -> Option<Vec<Value>> {
    let model = <E::Model as FromQueryResult>::from_query_result(row, "").ok()?;
    let value = |column| Some(model.get(column)).filter(|value| *value != value.as_null());
    columns::<E>(by)?.into_iter().map(value).collect()
}

async fn read<E>(context: Context<'_, DatabaseConnection>, saved: Saved)
where
    E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    let Some(columns) = columns::<E>(&saved.by) else { return };
    let filtered =
        |query: Select<E>, (column, value): (E::Column, Value)| query.filter(column.eq(value));
    let query = columns.into_iter().zip(saved.values).fold(E::find(), filtered);
    let (statement, decode) = query.first_row(context.backend);
    let options = Options::new(Mode::Forced);
    let request = first::<Select<E>>(&options);
    let codec = Rows::<Whole<E>>::default();
    if let Err(error) = read_through(context, request, statement, codec, decode).await {
        tracing::debug!(exception.message = %error, "cacheops: a saved row was not read again");
    }
}
