//! A database and a cache for each lane of a search, and what was said to both of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cacheops_sea_orm::{CachedConn, Cacheops, Connect};
use cacheops_sql::Mutation;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend};
use support::{MariaDb, Postgres, Server};

use super::entities::{link, note, thing};
use super::tables;

/// A mistake to be found.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// Nothing is invalidated.
    Silent,
    /// No foreign key is known.
    NoCascades,
    /// The analyser errs.
    Analyser(Mutation),
}

/// The server that all lanes share, in databases of their own.
pub enum Databases {
    Sqlite(tempfile::TempDir),
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Databases {
    async fn open(&self, lane: usize) -> DatabaseConnection {
        let name = format!("lane{lane}");
        match self {
            Self::Sqlite(dir) => {
                let connection = crate::world::open(dir, &name).await;
                connection.execute_unprepared("PRAGMA synchronous = OFF").await.unwrap();
                connection
            }
            Self::Postgres(server) => {
                let first = pool(server.url()).await;
                first.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
                let url = server.url();
                let (server, _) = url.rsplit_once('/').unwrap();
                pool(format!("{server}/{name}")).await
            }
            Self::MariaDb(server) => {
                let first = pool(server.url("mysql")).await;
                first.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
                pool(server.url(&name)).await
            }
        }
    }
}

/// One connection, so that no statement is prepared twice.
async fn pool(url: String) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).acquire_timeout(2 * support::deadline());
    Database::connect(options).await.unwrap()
}

/// What was said lately, while somebody wanted to know.
#[derive(Clone, Default)]
pub struct Log {
    on: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub fn start(&self) {
        self.lines.lock().unwrap().clear();
        self.on.store(true, Ordering::Relaxed);
    }

    pub fn stop(&self) {
        self.on.store(false, Ordering::Relaxed);
    }

    pub fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    fn note(&self, line: impl FnOnce() -> String) {
        if self.on.load(Ordering::Relaxed) {
            self.lines.lock().unwrap().push(line());
        }
    }
}

/// One lane: its database, and programs that see it each in a way of their own.
pub struct World {
    pub co: Cacheops,
    pub raw: DatabaseConnection,
    pub programs: Vec<CachedConn>,
    pub log: Log,
    pub backend: DbBackend,
}

impl World {
    pub async fn new(
        databases: &Databases,
        server: &Server,
        lane: usize,
        wrong: Option<Wrong>,
    ) -> Self {
        let mut raw = databases.open(lane).await;
        let backend = raw.get_database_backend();
        tables::create(&raw).await.unwrap();
        let log = Log::default();
        let statements = log.clone();
        raw.set_metric_callback(move |info| {
            let failed = if info.failed { "  -- failed" } else { "" };
            statements
                .note(|| format!("  {:?} {:?}{failed}", info.statement.sql, info.statement.values));
        });
        let told = log.clone();
        let co = Cacheops::builder(format!("redis://127.0.0.1:{}/{lane}", server.port()))
            .response_timeout(support::deadline())
            .connect_timeout(support::deadline())
            .on_invalidate(move |event| told.note(|| format!("  tells {:?}", event.changes)))
            .build()
            .await
            .unwrap();
        let program = |registered: bool, pre_select: usize| {
            let mut connector = co.connector().name("fuzz").pre_select(pre_select);
            if !matches!(wrong, Some(Wrong::NoCascades)) {
                connector = connector
                    .model::<thing::Entity>()
                    .model::<note::Entity>()
                    .model::<link::Entity>();
            }
            // MySQL compares texts with numbers as numbers: there, programs that share a cache register the same.
            let registered = if backend == DbBackend::MySql { lane % 2 == 1 } else { registered };
            if registered {
                connector = connector.schema(tables::schema());
            }
            if let Some(Wrong::Analyser(mutation)) = wrong {
                connector = connector.mutation(mutation);
            }
            let program = connector.connect(raw.clone());
            if matches!(wrong, Some(Wrong::Silent)) {
                program.without_invalidation()
            } else {
                program
            }
        };
        let programs =
            vec![program(false, 256), program(true, 256), program(false, 0), program(true, 2)];
        Self { co, raw, programs, log, backend }
    }
}
