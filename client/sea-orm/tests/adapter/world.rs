//! A server, a database file, and both connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cacheops_sea_orm::{CachedConn, Cacheops, Connect, Profile};
use sea_orm::{
    ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
};
use support::Server;

use crate::entities::{TABLES, article, article_tag, category, comment};

pub struct World {
    pub co: Cacheops,
    pub db: CachedConn,
    pub _server: Server,
    pub dir: tempfile::TempDir,
}

pub fn builder(server: &Server) -> cacheops_sea_orm::cacheops::Builder {
    Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .connect_timeout(support::deadline())
}

pub async fn open(dir: &tempfile::TempDir, name: &str) -> DatabaseConnection {
    let url = format!("sqlite://{}?mode=rwc", dir.path().join(name).display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|options| options.busy_timeout(support::deadline()));
    let connection = Database::connect(options).await.unwrap();
    connection.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
    connection
}

/// A few connections to a database elsewhere.
pub async fn pool(url: impl Into<String>, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url.into());
    options.max_connections(connections).sqlx_logging(false);
    options.acquire_timeout(2 * support::deadline());
    Database::connect(options).await.unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::with(builder).await
    }

    pub async fn with(build: impl FnOnce(&Server) -> cacheops_sea_orm::cacheops::Builder) -> Self {
        let server = Server::start();
        let co = build(&server).build().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir, "blog.db").await;
        connection.execute_unprepared(TABLES).await.unwrap();
        let db = co
            .connector()
            .model::<article::Entity>()
            .model::<comment::Entity>()
            .model::<article_tag::Entity>()
            .connect(connection);
        let world = Self { co, db, _server: server, dir };
        world.fill().await;
        world
    }

    /// Two categories with two articles each.
    async fn fill(&self) {
        let categories = [(1, "tech"), (2, "art")]
            .map(|(id, name)| category::ActiveModel { id: Set(id), name: Set(name.into()) });
        category::Entity::insert_many(categories).exec(&self.db).await.unwrap();
        let articles =
            [(1, 1), (2, 1), (3, 2), (4, 2)].map(|(id, category)| new_article(id, category));
        article::Entity::insert_many(articles).exec(&self.db).await.unwrap();
    }

    /// See [`hits`].
    pub async fn hits<T>(&self, ask: impl Future<Output = T>) -> (bool, T) {
        hits(&self.co, ask).await
    }
}

/// Whether the queries that `ask` makes are all answered by the cache, and what they say.
pub async fn hits<T>(co: &Cacheops, ask: impl Future<Output = T>) -> (bool, T) {
    let before = co.stats();
    let value = ask.await;
    let after = co.stats();
    let loaded = after.misses + after.bypasses - before.misses - before.bypasses;
    (after.hits > before.hits && loaded == 0, value)
}

/// [`hits`] as a method, for the macros below.
pub trait Hits {
    async fn hits<T>(&self, ask: impl Future<Output = T>) -> (bool, T);
}

impl Hits for Cacheops {
    async fn hits<T>(&self, ask: impl Future<Output = T>) -> (bool, T) {
        hits(self, ask).await
    }
}

pub fn new_article(id: i32, category: i32) -> article::ActiveModel {
    article::ActiveModel {
        id: Set(id),
        title: Set(format!("article {id}")),
        category_id: Set(Some(category)),
        views: Set(10 * i64::from(id)),
        public: Set(true),
        secret: Set(format!("secret {id}")),
        created: Set(
            sea_orm::prelude::DateTimeUtc::from_timestamp(1_700_000_000, 123_000_000).unwrap()
        ),
    }
}

/// Every table has this profile, so that all is cached by itself.
pub fn everything(server: &Server) -> cacheops_sea_orm::cacheops::Builder {
    builder(server).profile("*", Profile::new().ops(cacheops_sea_orm::Ops::ALL))
}

/// What this thread has been warned of by one part of the adapter.
pub struct Warnings {
    count: Arc<AtomicU64>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Warnings {
    /// Counts from now on.
    pub fn of(target: &'static str) -> Self {
        let count = Arc::new(AtomicU64::new(0));
        let counter = Counter { target, count: Arc::clone(&count) };
        Self { count, _guard: tracing::subscriber::set_default(counter) }
    }

    pub fn seen(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

struct Counter {
    target: &'static str,
    count: Arc<AtomicU64>,
}

impl tracing::Subscriber for Counter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == self.target && *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Asserts that the query, asked twice, came from the database and then from the cache, and tells what it said.
macro_rules! now_cached {
    ($world:expr, $query:expr) => {{
        let (hit, first) = $world.hits($query).await;
        assert!(!hit, "it should have been invalid");
        let (hit, second) = $world.hits($query).await;
        assert!(hit, "it should have been stored");
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first, second);
        second
    }};
}

/// Asserts that the query was answered by the cache, and tells what it said.
macro_rules! still_cached {
    ($world:expr, $query:expr) => {{
        let (hit, value) = $world.hits($query).await;
        assert!(hit, "it should not have been invalidated");
        value.unwrap()
    }};
}

pub(crate) use {now_cached, still_cached};
