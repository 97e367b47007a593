//! What the measurements share: a table of articles on two databases, and how time is taken.

use std::hint::black_box;
use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait,
    QueryFilter, QueryOrder, Select, Statement,
};
use support::{Postgres, Server};

pub mod article {
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

/// Calls of a round.
pub const CALLS: u32 = 100;
/// What takes nanoseconds is called so many times more.
const TINY: u32 = 20;

/// The tags 1, 10 and 100 are the number of their rows. All others have ten, beginning with 1012.
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

pub fn query(tag: i32) -> Select<article::Entity> {
    let tagged = article::Entity::find().filter(article::Column::Tag.eq(tag));
    tagged.order_by_asc(article::Column::Id)
}

/// How many rounds are asked for.
pub fn rounds() -> usize {
    support::number("CACHEOPS_BENCH_ROUNDS").unwrap_or(100) as usize
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

/// Microseconds a call, by round.
#[derive(Default)]
pub struct Measured {
    wall: Vec<f64>,
    cpu: Vec<f64>,
}

impl Measured {
    fn note(&mut self, calls: u32, (begun, before): (Instant, u64)) {
        let wall = begun.elapsed();
        self.cpu.push((settled_cpu() - before) as f64 / 1e3 / f64::from(calls));
        self.wall.push(wall.as_secs_f64() * 1e6 / f64::from(calls));
    }

    pub async fn round<F: Future<Output = usize>>(&mut self, rows: usize, call: impl Fn() -> F) {
        let before = settled_cpu();
        let start = (Instant::now(), before);
        for _ in 0..CALLS {
            assert_eq!(call().await, rows);
        }
        self.note(CALLS, start);
    }

    pub fn tiny<T>(&mut self, call: impl Fn() -> T) {
        let before = settled_cpu();
        let start = (Instant::now(), before);
        for _ in 0..CALLS * TINY {
            black_box(call());
        }
        self.note(CALLS * TINY, start);
    }

    pub fn is_empty(&self) -> bool {
        self.cpu.is_empty()
    }

    pub fn cpu(&self) -> f64 {
        median(self.cpu.clone())
    }

    pub fn wall(&self) -> f64 {
        median(self.wall.clone())
    }

    /// How much more CPU than all of these together, within the same rounds.
    pub fn more_than<'a>(&self, others: impl IntoIterator<Item = &'a Self> + Clone) -> f64 {
        let rounds = self.cpu.iter().enumerate();
        let less = |round: usize| others.clone().into_iter().map(move |other| other.cpu[round]);
        median(rounds.map(|(round, cpu)| cpu - less(round).sum::<f64>()).collect())
    }

    /// How many times as long as this one, within the same rounds.
    pub fn times(&self, other: &Self) -> f64 {
        median(self.wall.iter().zip(&other.wall).map(|(wall, other)| wall / other).collect())
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The databases with the articles.
pub struct Databases {
    pub sqlite: DatabaseConnection,
    /// Where it is installed.
    pub postgres: Option<DatabaseConnection>,
    _dir: tempfile::TempDir,
    _elephant: Option<Postgres>,
}

impl Databases {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sqlite =
            open(format!("sqlite://{}?mode=rwc", dir.path().join("bench.db").display())).await;
        sqlite.execute_unprepared("PRAGMA journal_mode = WAL").await.unwrap();
        sqlite.execute_unprepared("PRAGMA synchronous = NORMAL").await.unwrap();
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
        Self { sqlite, postgres, _dir: dir, _elephant: elephant }
    }
}

/// Prints the machine, its load, and what runs on it.
pub async fn introduce(Databases { sqlite, postgres, .. }: &Databases) {
    let server = Server::start();
    let info = server.connect().text("INFO server").unwrap();
    let version = info.lines().filter(|line| line.contains("_version:")).collect::<Vec<_>>();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpus.lines().find(|line| line.starts_with("model name")).unwrap_or("?: ?");
    let model = &model[model.find(':').unwrap() + 2..];
    println!("cpu       {model} x{}", cpus.matches("processor\t").count());
    println!("server    {}", version.join(", "));
    let sqlite = first_line(sqlite, "SELECT sqlite_version()").await;
    println!("SQLite    {sqlite}, file in the page cache, WAL, synchronous = NORMAL");
    if let Some(postgres) = postgres {
        let version = first_line(postgres, "SHOW server_version").await;
        println!("Postgres  {version}, unix socket, fsync = off");
    }
    println!("load      {} before", load());
}

pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap().trim().to_owned()
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
