//! From a handle of the cache and a connection of SeaORM to a connection that is cached.

use cacheops::Cacheops;
use cacheops_adapter::{Core, Identity, OLD_ROWS};
use cacheops_sql::{Analyser, Dialect, Schema};
use sea_orm::sea_query::TableRef;
use sea_orm::{
    DatabaseConnection, DbBackend, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn,
    PrimaryKeyTrait, RelationDef, RelationTrait, TryIntoModel,
};

use crate::address;
use crate::bypass;
use crate::codec;
use crate::connection::CachedConn;
use crate::relations::{foreign_keys, name_of};
use crate::saving::Saving;
use crate::shared::Shared;

/// [`connect`](Connect::connect) and [`connector`](Connect::connector) on a [`Cacheops`].
pub trait Connect {
    /// The connection with the cache, and nothing told about its tables.
    fn connect(&self, connection: DatabaseConnection) -> CachedConn;

    /// The same with more to be told: see [`Connector`].
    fn connector(&self) -> Connector;
}

impl Connect for Cacheops {
    fn connect(&self, connection: DatabaseConnection) -> CachedConn {
        self.connector().connect(connection)
    }

    fn connector(&self) -> Connector {
        Connector {
            cacheops: self.clone(),
            database: None,
            schema: Schema::new(),
            relations: Vec::new(),
            numbered: Vec::new(),
            saving: Saving::default(),
            pre_select: OLD_ROWS,
            statements: 2000,
            watch: false,
            #[cfg(feature = "self-check")]
            checks: false,
            #[cfg(feature = "fault-injection")]
            mutation: None,
        }
    }
}

/// What the adapter should know of a database, in the making.
///
/// ```no_run
/// # use cacheops::Cacheops;
/// # use sea_orm::DatabaseConnection;
/// use cacheops_sea_orm::{Connect, Schema};
///
/// # mod comment { use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, DeriveEntityModel)] #[sea_orm(table_name = "comment")]
/// # pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)] pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {} }
/// # fn connect(co: Cacheops, connection: DatabaseConnection) {
/// let db = co
///     .connector()
///     .name("shop")                                                     // in the place of host and database
///     .model::<comment::Entity>()                                       // its foreign keys cascade
///     .schema(Schema::new().view("published", ["article", "author"]))   // what only the database knows
///     .watch_bypass()                                                   // warn of writes beside the cache
///     .connect(connection);
/// # }
/// ```
#[must_use = "a connector does nothing until it is given a connection"]
pub struct Connector {
    cacheops: Cacheops,
    database: Option<String>,
    schema: Schema,
    relations: Vec<RelationDef>,
    numbered: Vec<(TableRef, String)>,
    saving: Saving,
    pre_select: usize,
    statements: usize,
    watch: bool,
    #[cfg(feature = "self-check")]
    checks: bool,
    #[cfg(feature = "fault-injection")]
    mutation: Option<cacheops_sql::Mutation>,
}

impl Connector {
    /// The name of the database in keys. Two connections with one name share their results, so they must see the same
    /// rows; where a profile says `db_agnostic`, names do not count.
    ///
    /// By default it is made of user, host, port and database, and of what the database says before the first cached
    /// read:
    ///
    /// * PostgreSQL: the identifier of the system, the OID of the database, role, `search_path`, time zone and other
    ///   settings that change how values are written.
    /// * MySQL: user, time zone, SQL mode and collation of the session, and the birth time of the oldest table.
    /// * SQLite: path, inode and birth time of the file. The file system must know birth times; if it does not, nothing
    ///   is cached without a name.
    ///
    /// So a database that was deleted and created again does not get the old one's results. That is decided once for
    /// each connection: where a database is replaced while programs run (restored in place, or dropped and created
    /// behind an open pool), call [`invalidate_all`](Cacheops::invalidate_all) afterwards, or restart them. The same
    /// holds for a name that is given here, which is taken as it is.
    ///
    /// A database in memory, and one whose driver's feature (`sqlx-postgres` ...) is not on, has a name that no other
    /// connection has. `localhost`, a socket or a file is another one on each machine: where several machines share a
    /// cache, give it a name. A connection with settings of the application's own that policies of row security look at
    /// needs a name of its own.
    pub fn name(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// What only the database knows: views, columns that it computes, tables that triggers change.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Registers an entity whose relations have `on_delete` or `on_update`: rows of its table that disappear or change
    /// with those they refer to are then invalidated too. Register all that hold such foreign keys, and those whose
    /// profile has `cache_on_save`: a row that is saved is then stored as the result of a get.
    ///
    /// On MySQL the key of the entity tells, too, what `LAST_INSERT_ID()` of an INSERT is.
    pub fn model<E>(mut self) -> Self
    where
        E: EntityTrait<Model: Sync + 'static, ActiveModel: TryIntoModel<E::Model>>,
    {
        self.relations.extend(E::Relation::iter().map(|relation| relation.def()));
        self.saving.add::<E>();
        codec::register::<E>();
        if E::PrimaryKey::auto_increment()
            && let Some(key) = E::PrimaryKey::iter().next()
        {
            self.numbered.push((E::default().table_ref(), key.into_column().as_str().to_owned()));
        }
        self
    }

    /// How many rows are read, and locked, before an UPDATE, and before a DELETE that does not return them; 256 by default.
    ///
    /// Outside of a transaction this makes a transaction of the statement. With 0, or for more rows, what the
    /// statement's text tells is invalidated: never too little, often more.
    pub fn pre_select(mut self, rows: usize) -> Self {
        self.pre_select = rows;
        self
    }

    /// How many analysed statements are kept; 2000 by default.
    pub fn statements(mut self, statements: usize) -> Self {
        self.statements = statements;
        self
    }

    /// Warns once, by `tracing`, for each table that is written through [`CachedConn::inner`] and its clones. Clones that
    /// were made before, and the pool below, are not watched. Takes the place of the connection's metric callback. Off by
    /// default.
    pub fn watch_bypass(mut self) -> Self {
        self.watch = true;
        self
    }

    /// Makes every read through the cache as well, and compares, for the tests of tests.
    #[cfg(feature = "self-check")]
    #[doc(hidden)]
    pub fn check_reads(mut self) -> Self {
        self.checks = true;
        self
    }

    /// Makes a mistake on purpose, for the tests of the tests.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn mutation(mut self, mutation: cacheops_sql::Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }

    /// The connection with the cache.
    pub fn connect(self, mut connection: DatabaseConnection) -> CachedConn {
        let backend = connection.get_database_backend();
        let dialect = match backend {
            DbBackend::Postgres => Dialect::Postgres,
            DbBackend::MySql => Dialect::MySql,
            _ => Dialect::Sqlite,
        };
        let database =
            self.database.map_or_else(|| address::identity(&connection), Identity::named);
        let analyser = || {
            let analyser = Analyser::new(dialect, self.schema.clone(), self.statements);
            #[cfg(feature = "fault-injection")]
            if let Some(mutation) = self.mutation {
                return analyser.with_mutation(mutation);
            }
            analyser
        };
        if self.watch {
            bypass::watch(&mut connection, analyser());
        }
        let named = analyser();
        let numbered = |(table, column): &(TableRef, String)| {
            (name_of(&named, table), named.name(None, column))
        };
        let numbered: Vec<_> = self.numbered.iter().map(numbered).collect();
        let keys = foreign_keys(&self.relations, &named);
        let saving = self.saving.on(&connection, &named);
        let core = Core::new(named, database)
            .with_foreign_keys(keys)
            .with_numbered(numbered)
            .with_old_rows(self.pre_select);
        let shared = Shared {
            core,
            backend,
            saving,
            #[cfg(feature = "self-check")]
            checks: self.checks,
        };
        CachedConn::new(connection, self.cacheops, shared)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("database", &self.database).finish_non_exhaustive()
    }
}
