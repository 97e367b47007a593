//! From a handle of the cache and a pool of sqlx to a pool that is cached.

use cacheops::Cacheops;
use cacheops_adapter::{Core, ForeignKey, Identity, OLD_ROWS};
use cacheops_sql::{Analyser, Schema};
use sqlx::Pool;

use crate::database::CachedDatabase;
use crate::pool::CachedPool;

/// [`pool`](Connect::pool) and [`connector`](Connect::connector) on a [`Cacheops`].
pub trait Connect {
    /// The pool with the cache, and nothing declared about its tables.
    fn pool<DB: CachedDatabase>(&self, pool: Pool<DB>) -> CachedPool<DB>;

    /// The same with declarations: see [`Connector`].
    fn connector(&self) -> Connector;
}

impl Connect for Cacheops {
    fn pool<DB: CachedDatabase>(&self, pool: Pool<DB>) -> CachedPool<DB> {
        self.connector().pool(pool)
    }

    fn connector(&self) -> Connector {
        Connector {
            cacheops: self.clone(),
            name: None,
            schema: Schema::new(),
            keys: Vec::new(),
            numbered: Vec::new(),
            old_rows: OLD_ROWS,
            statements: 2000,
            #[cfg(feature = "fault-injection")]
            mutation: None,
        }
    }
}

/// Declares what neither SQL texts nor rows show of a database. Ends with [`pool`](Self::pool).
///
/// ```no_run
/// use cacheops_sqlx::{Action, Cacheops, Connect, ForeignKey, Schema};
/// # fn connect(co: Cacheops, pool: sqlx::Pool<sqlx::Sqlite>) {
/// let comments = ForeignKey {
///     child: "comment".to_owned(),
///     parent: "article".to_owned(),
///     columns: vec![("article_id".to_owned(), "id".to_owned())],
///     on_delete: Some(Action::Cascade),
///     on_update: None,
/// };
/// let db = co
///     .connector()
///     .name("shop")
///     .schema(Schema::new().view("published", ["article", "author"]))
///     .foreign_key(comments)
///     .pool(pool);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a connector does nothing until it is given a pool"]
pub struct Connector {
    cacheops: Cacheops,
    name: Option<String>,
    schema: Schema,
    keys: Vec<ForeignKey>,
    numbered: Vec<(String, String)>,
    old_rows: usize,
    statements: usize,
    #[cfg(feature = "fault-injection")]
    mutation: Option<cacheops_sql::Mutation>,
}

impl Connector {
    /// The name of the database in keys. Two pools with one name share their results, so they must see the same rows.
    ///
    /// By default it is made of user, host, port and database, and of what the database says before the first cached
    /// read: its identity, role, `search_path`, time zone and other settings that decide which rows a statement returns
    /// and how. A database in memory has a name that no other pool has. Where several machines share a cache, and
    /// `localhost` or a socket is another database on each, give it a name.
    pub fn name(mut self, database: impl Into<String>) -> Self {
        self.name = Some(database.into());
        self
    }

    /// Declares what only the database knows: views, columns that it computes, tables that triggers change.
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Declares a foreign key that deletes or changes rows: those are then invalidated too. Without it, rows that
    /// `ON DELETE CASCADE` deletes stay cached.
    pub fn foreign_key(mut self, key: ForeignKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Declares the column that MySQL numbers in a table: an INSERT is then known by the number of its row.
    pub fn auto_increment(mut self, table: impl Into<String>, column: impl Into<String>) -> Self {
        self.numbered.push((table.into(), column.into()));
        self
    }

    /// How many rows are read, and locked, before an UPDATE, and before a DELETE that does not return them; 256 by
    /// default.
    ///
    /// Outside of a transaction this makes a transaction of the statement. With 0, or for more rows, a write invalidates
    /// what its text implies: never too little, often more.
    pub fn old_rows(mut self, rows: usize) -> Self {
        self.old_rows = rows;
        self
    }

    /// How many analysed statements are kept; 2000 by default.
    pub fn statements(mut self, statements: usize) -> Self {
        self.statements = statements;
        self
    }

    /// Makes a mistake on purpose, for the tests of the tests.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn mutation(mut self, mutation: cacheops_sql::Mutation) -> Self {
        self.mutation = Some(mutation);
        self
    }

    /// The pool with the cache.
    pub fn pool<DB: CachedDatabase>(self, pool: Pool<DB>) -> CachedPool<DB> {
        let identity = match self.name {
            Some(name) => Identity::named(name),
            None => {
                DB::address(&pool.connect_options()).map_or_else(Identity::unique, Identity::at)
            }
        };
        let analyser = Analyser::new(DB::DIALECT, self.schema, self.statements);
        #[cfg(feature = "fault-injection")]
        let analyser = match self.mutation {
            Some(mutation) => analyser.with_mutation(mutation),
            None => analyser,
        };
        let core = Core::new(analyser, identity)
            .with_foreign_keys(self.keys)
            .with_numbered(self.numbered)
            .with_old_rows(self.old_rows);
        CachedPool::new(pool, self.cacheops, core)
    }
}
