//! From a handle of the cache and a connection of SeaORM to a connection that is cached.

use std::sync::atomic::{AtomicU64, Ordering};

use cacheops::Cacheops;
use cacheops_sql::{Analyser, Dialect, Schema};
use sea_orm::sea_query::TableRef;
use sea_orm::{
    DatabaseConnection, DbBackend, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn,
    PrimaryKeyTrait, RelationDef, RelationTrait, TryIntoModel,
};

use crate::before::Lockable;
use crate::bypass;
use crate::cascade::{Cascades, name_of};
use crate::connection::{CachedConn, Shared};
use crate::kept;
use crate::saving::Saving;
use crate::told::Told;

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
            pre_select: 256,
            statements: 2000,
            watch: false,
            #[cfg(feature = "fault-injection")]
            fault: None,
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
    #[cfg(feature = "fault-injection")]
    fault: Option<cacheops_sql::Fault>,
}

impl Connector {
    /// The name of the database in keys. Two connections with one name share their results, so they must see the same
    /// rows; where a profile says `db_agnostic`, names do not count.
    ///
    /// By default it is made of user, host, port and database, on PostgreSQL also of options, on MySQL of the time zone, or
    /// of the file's path. For a database in memory, and where the feature of its driver (`sqlx-postgres` ...) is not on,
    /// it is a name that no other connection has. `localhost`, a socket or a file is another one on each machine: where
    /// several machines share a cache, give it a name.
    ///
    /// What a session is told after it has begun is not in it. A connection with a `schema_search_path` of SeaORM's
    /// `ConnectOptions`, or with a role or setting that policies of row security look at, needs a name of its own.
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
        kept::register::<E>();
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

    /// Makes a mistake on purpose, for the tests of the tests.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn fault(mut self, fault: cacheops_sql::Fault) -> Self {
        self.fault = Some(fault);
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
            self.database.unwrap_or_else(|| identity(&connection).unwrap_or_else(unique));
        let analyser = || {
            let analyser = Analyser::new(dialect, self.schema.clone(), self.statements);
            #[cfg(feature = "fault-injection")]
            if let Some(fault) = self.fault {
                return analyser.with_fault(fault);
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
        let shared = Shared {
            backend,
            database,
            cascades: Cascades::new(&self.relations, &named),
            numbered: self.numbered.iter().map(numbered).collect(),
            saving: self.saving.on(&connection, &named),
            analyser: named,
            pre_select: self.pre_select,
            lockable: Lockable::default(),
            unprofiled: Told::default(),
        };
        CachedConn::new(connection, self.cacheops, shared)
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("database", &self.database).finish_non_exhaustive()
    }
}

/// Where a connection leads, as far as its driver tells.
fn identity(connection: &DatabaseConnection) -> Option<String> {
    #[cfg(any(feature = "sqlx-sqlite", feature = "sqlx-postgres", feature = "sqlx-mysql"))]
    use sea_orm::DatabaseConnectionType as Type;
    match &connection.inner {
        #[cfg(feature = "sqlx-sqlite")]
        Type::SqlxSqlitePoolConnection(_) => {
            let options = connection.get_sqlite_connection_pool().connect_options();
            let file = options.get_filename();
            let path = file.canonicalize().ok().filter(|path| path.is_file())?;
            // In memory it is a name and no file, even if there is one. Only this tells.
            if format!("{options:?}").contains("in_memory: true") {
                return None;
            }
            Some(format!("sqlite:{}", path.display()))
        }
        #[cfg(feature = "sqlx-postgres")]
        Type::SqlxPostgresPoolConnection(_) => {
            let options = connection.get_postgres_connection_pool().connect_options();
            let (host, port) = (options.get_host(), options.get_port());
            let place = options
                .get_socket()
                .map_or_else(|| host.to_owned(), |path| path.display().to_string());
            // Of them it depends which rows and tables are seen.
            let (user, more) = (options.get_username(), options.get_options().unwrap_or_default());
            let database = options.get_database()?;
            Some(format!("postgres:{user}@{place}:{port}/{database}?{more}"))
        }
        #[cfg(feature = "sqlx-mysql")]
        Type::SqlxMySqlPoolConnection(_) => {
            let options = connection.get_mysql_connection_pool().connect_options();
            let (host, port) = (options.get_host(), options.get_port());
            let place = options
                .get_socket()
                .map_or_else(|| host.to_owned(), |path| path.display().to_string());
            // A view may show each user other rows, and each time zone has other times. Only this tells which it is.
            let (user, all) = (options.get_username(), format!("{options:?}"));
            let zone = all.rsplit_once("timezone: ").and_then(|(_, rest)| rest.split(',').next());
            let (database, zone) = (options.get_database()?, zone.unwrap_or_default());
            Some(format!("mysql:{user}@{place}:{port}/{database}?{zone}"))
        }
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// A name that nobody else has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("unnamed:{}:{}:{number}", std::process::id(), now.as_nanos())
}
