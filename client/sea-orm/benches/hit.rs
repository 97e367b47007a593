//! A hit through the adapter, beside the same query on SQLite and PostgreSQL, a bare GET with decoding, and the Redis
//! store of the crate `cached` with the same rows; then where its time goes. One call at a time, 1, 10 and 100 rows.
//!
//! `make bench-adapter`. Medians over rounds, which take turns, so that a busy machine is busy for all; a difference is the
//! median of the differences within a round. CPU is what all threads of this process used (from
//! `/proc/self/task/*/schedstat`), not the servers. `CACHEOPS_BENCH_ROUNDS` is the number of rounds.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use cached::ConcurrentCachedAsync;
use cached::stores::AsyncRedisCache;
use cacheops_sea_orm::cacheops::{Client, Codec, Deps, Key, Lookup, redis};
use cacheops_sea_orm::{Cache, CachedConn, CachedQuery, Cacheops, Connect};
use cacheops_sql::{Analyser, Dialect, Schema, Value};
use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend,
    EntityTrait, QueryFilter, QueryOrder, QueryTrait, Select, Statement,
};
use support::{Postgres, Server};

mod article {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, serde::Deserialize)]
    #[sea_orm(table_name = "article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub tag: i32,
        pub views: i64,
        pub public: bool,
        pub body: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

type Rows = Vec<article::Model>;
type RowsCodec = <Select<article::Entity> as CachedQuery>::Codec;

const CALLS: u32 = 100;
/// What takes nanoseconds is called so many times more.
const TINY: u32 = 20;
const SIZES: [usize; 3] = [1, 10, 100];

/// The tags 1, 10 and 100 are the number of their rows. All others have ten.
const TABLE: &str = "
    CREATE TABLE article (id INTEGER PRIMARY KEY, title TEXT NOT NULL, tag INTEGER NOT NULL, views BIGINT NOT NULL,
        public BOOLEAN NOT NULL, body TEXT NOT NULL);
    CREATE INDEX tagged ON article (tag);
    INSERT INTO article WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
        SELECT i, 'a title of some length ' || i,
            CASE WHEN i <= 1 THEN 1 WHEN i <= 11 THEN 10 WHEN i <= 111 THEN 100 ELSE 1000 + i / 10 END, i * 3, i % 2 = 1,
            '000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000'
        FROM n;
    ANALYZE";

fn query(rows: usize) -> Select<article::Entity> {
    let tagged = article::Entity::find().filter(article::Column::Tag.eq(rows as i32));
    tagged.order_by_asc(article::Column::Id)
}

/// Nanoseconds that the threads of this process were on a CPU. The kernel adds them up when it switches, so this sleeps.
fn settled_cpu() -> u64 {
    std::thread::sleep(Duration::from_millis(1));
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let spent = |stat: String| stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(spent)
        .sum()
}

#[derive(Default)]
struct Measured {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Measured {
    fn note(&mut self, calls: u32, (begun, before): (Instant, u64)) {
        let wall = begun.elapsed();
        self.cpu.push((settled_cpu() - before) as f64 / 1e3 / f64::from(calls));
        self.wall.push(wall.as_secs_f64() * 1e6 / f64::from(calls));
    }

    async fn round<F: Future<Output = usize>>(&mut self, rows: usize, call: impl Fn() -> F) {
        let before = settled_cpu();
        let start = (Instant::now(), before);
        for _ in 0..CALLS {
            assert_eq!(call().await, rows);
        }
        self.note(CALLS, start);
    }

    fn tiny<T>(&mut self, call: impl Fn() -> T) {
        let before = settled_cpu();
        let start = (Instant::now(), before);
        for _ in 0..CALLS * TINY {
            black_box(call());
        }
        self.note(CALLS * TINY, start);
    }

    fn cpu(&self) -> f64 {
        median(self.cpu.clone())
    }

    fn wall(&self) -> f64 {
        median(self.wall.clone())
    }

    /// How much more CPU than all of these together, within the same rounds.
    fn more_than<'a>(&self, others: impl IntoIterator<Item = &'a Self> + Clone) -> f64 {
        let rounds = self.cpu.iter().enumerate();
        let less = |round: usize| others.clone().into_iter().map(move |other| other.cpu[round]);
        median(rounds.map(|(round, cpu)| cpu - less(round).sum::<f64>()).collect())
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
}

async fn open(url: String) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1);
    Database::connect(options).await.unwrap()
}

async fn first_line(db: &DatabaseConnection, sql: &str) -> String {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Everything that is measured.
struct Bench {
    co: Cacheops,
    client: Client,
    db: CachedConn,
    postgres: Option<DatabaseConnection>,
    plain: redis::aio::MultiplexedConnection,
    cached: AsyncRedisCache<String, Rows>,
    analyser: Analyser,
}

async fn run() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let co = Cacheops::connect(url.clone()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let sqlite = open(format!("sqlite://{}?mode=rwc", dir.path().join("bench.db").display())).await;
    sqlite.execute_unprepared(TABLE).await.unwrap();
    let elephant = Postgres::start();
    let postgres = match &elephant {
        Some(elephant) => {
            let db = open(elephant.url()).await;
            db.execute_unprepared(TABLE).await.unwrap();
            Some(db)
        }
        None => None,
    };
    let client = co.client().unwrap();
    let info: String =
        redis::cmd("INFO").arg("server").query_async(&mut client.connection()).await.unwrap();
    let version = info.lines().filter(|line| line.contains("_version:")).collect::<Vec<_>>();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpus.lines().find(|line| line.starts_with("model name")).unwrap_or("?: ?");
    println!(
        "cpu       {} x{}",
        &model[model.find(':').unwrap() + 2..],
        cpus.matches("processor\t").count()
    );
    println!("server    {}", version.join(", "));
    println!(
        "SQLite    {}, file in the page cache",
        first_line(&sqlite, "SELECT sqlite_version()").await
    );
    if let Some(postgres) = &postgres {
        println!("Postgres  {}, unix socket", first_line(postgres, "SHOW server_version").await);
    }
    let load = || std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("load      {} before", load().trim());

    let plain = redis::Client::open(url.clone()).unwrap();
    let bench = Bench {
        db: co.connect(sqlite),
        co,
        client,
        postgres,
        plain: plain.get_multiplexed_async_connection().await.unwrap(),
        cached: AsyncRedisCache::builder("bench")
            .ttl(Duration::from_secs(3600))
            .connection_string(&url)
            .build()
            .await
            .unwrap(),
        analyser: Analyser::new(Dialect::Sqlite, Schema::new(), 2000),
    };
    let rounds = support::number("CACHEOPS_BENCH_ROUNDS").unwrap_or(100) as usize;
    for rows in SIZES {
        bench.measure(rows, rounds).await;
    }
    println!("\nload      {} after", load().trim());
}

impl Bench {
    async fn measure(&self, rows: usize, rounds: usize) {
        let Self { co, client, db, postgres, plain, cached, analyser } = self;
        let models = query(rows).cache().all(db).await.unwrap();
        // Theirs is MessagePack too, without the names of fields.
        let name = format!("rows {rows}");
        cached.async_cache_set(name.clone(), models.clone()).await.unwrap();
        let packed = rmp_serde::to_vec_named(&models).unwrap();
        let own = RowsCodec::default().encode(&models).unwrap();
        let set = async |key: &str, value: &[u8]| {
            let set = redis::cmd("SET").arg(key).arg(value).to_owned();
            set.query_async::<()>(&mut plain.clone()).await.unwrap();
        };
        set("packed", &packed).await;
        let get = async || -> Vec<u8> {
            let mut get = redis::cmd("GET");
            get.arg("packed").query_async(&mut plain.clone()).await.unwrap()
        };
        let statement = query(rows).build(DbBackend::Sqlite);
        let values = [Value::from(rows as i32)];
        let deps = || {
            let template = analyser.analyse(&statement.sql);
            let conditions = template.dependencies(&values).unwrap();
            conditions
                .iter()
                .fold(Deps::none(), |deps, (table, condition)| deps.and_text(table, condition))
        };
        let key = || -> Key {
            let key = Key::query("/tmp/some/where/bench.db", &statement.sql);
            key.part(&(rows as i64).to_be_bytes()).part(b"rows").of::<article::Model>().into()
        };
        let read = async || {
            let read = co.read("read").deps(deps()).codec(RowsCodec::default());
            let load = async || Ok::<_, sea_orm::DbErr>(models.clone());
            read.get_or_store(load).await.unwrap().len()
        };
        co.cache().delete("read").await.unwrap();
        read().await;
        let stored = client
            .store("lookup", &own)
            .on("article", cacheops_sea_orm::cacheops::Condition::all());
        stored.await.unwrap();
        let lookup = async || match client.lookup("lookup").await.unwrap() {
            Lookup::Hit(bytes) => bytes.len(),
            Lookup::Miss(_) => panic!("a miss"),
        };

        let mut whole: [Measured; 5] = Default::default();
        let mut parts: [Measured; 8] = Default::default();
        let misses = co.stats().misses;
        for _ in 0..rounds {
            let bare = async || rmp_serde::from_slice::<Rows>(&get().await).unwrap().len();
            whole[0].round(rows, bare).await;
            whole[1].round(rows, async || query(rows).cache().all(db).await.unwrap().len()).await;
            let theirs = async || cached.async_cache_get(&name).await.unwrap().unwrap().len();
            whole[2].round(rows, theirs).await;
            whole[3].round(rows, async || query(rows).all(db.inner()).await.unwrap().len()).await;
            if let Some(postgres) = postgres {
                whole[4].round(rows, async || query(rows).all(postgres).await.unwrap().len()).await;
            }
            parts[0].tiny(|| query(rows).build(DbBackend::Sqlite));
            parts[1].tiny(deps);
            parts[2].tiny(key);
            parts[3].round(own.len(), lookup).await;
            parts[4].tiny(|| RowsCodec::default().decode(&own).unwrap());
            parts[5].tiny(|| rmp_serde::from_slice::<Rows>(&packed).unwrap());
            parts[6].round(packed.len(), async || get().await.len()).await;
            parts[7].round(rows, read).await;
        }
        assert_eq!(co.stats().misses, misses, "something was no hit");

        println!(
            "\n{rows} rows: {} bytes of ours, {} of MessagePack; {rounds} rounds",
            own.len(),
            packed.len()
        );
        println!("  {:48}{:>9}{:>9}{:>12}", "microseconds a call", "wall", "CPU", "CPU - bare");
        let names = [
            "bare GET and rmp-serde",
            "hit through the adapter",
            "cached::AsyncRedisCache, async_cache_get",
            "SQLite, the query without the cache",
            "PostgreSQL, the same (its own CPU not counted)",
        ];
        for (name, measured) in names.iter().zip(&whole).filter(|(_, all)| !all.cpu.is_empty()) {
            let (wall, cpu) = (measured.wall(), measured.cpu());
            println!("  {name:48}{wall:>9.1}{cpu:>9.1}{:>12.1}", measured.more_than([&whole[0]]));
        }
        let names = [
            "of the hit: SeaORM builds the SQL",
            "            template found, conditions filled",
            "            key",
            "            CACHEOPS.GET .. TOKEN alone",
            "            decoded, columns",
            "of the bare GET: decoded, MessagePack",
            "                 GET alone",
            "the hit from its conditions on",
        ];
        for (name, measured) in names.iter().zip(&parts) {
            println!("  {name:48}{:>9.2}{:>9.2}", measured.wall(), measured.cpu());
        }
        let rest = whole[1].more_than(&parts[..5]);
        println!("  {:48}{:>9}{rest:>9.2}", "of the hit: the rest", "");
    }
}
