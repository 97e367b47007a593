//! A hit of ten rows through the adapter, beside the same query on SQLite and a bare GET with decoding, one at a time.
//!
//! `make bench-module && cargo bench -p cacheops-sea-orm`. Wall time and the time of this process on the CPU (user and
//! system, from `/proc/self/stat`), in microseconds a call. Rounds take turns, so that a busy machine is busy for all.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::time::Instant;

use cacheops_sea_orm::{Cache, Cacheops, Connect};
use sea_orm::{
    ColumnTrait, ConnectionTrait, Database, EntityTrait, QueryFilter, QueryOrder, QueryTrait,
};
use support::Server;

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

const ROUNDS: usize = 15;
const CALLS: usize = 1000;

/// Ticks of a hundredth of a second that this process was on a CPU.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[derive(Default)]
struct Measured {
    wall: Vec<f64>,
    ticks: u64,
}

impl Measured {
    async fn round<F: Future<Output = usize>>(&mut self, call: impl Fn() -> F) {
        let (begun, before) = (Instant::now(), ticks());
        for _ in 0..CALLS {
            assert_eq!(call().await, 10);
        }
        self.wall.push(begun.elapsed().as_secs_f64() * 1e6 / CALLS as f64);
        self.ticks += ticks() - before;
    }

    fn print(&mut self, name: &str) {
        self.wall.sort_by(f64::total_cmp);
        let cpu = self.ticks as f64 * 10_000.0 / (ROUNDS * CALLS) as f64;
        let median = self.wall[ROUNDS / 2];
        println!("{name:34} wall {median:7.1} us (least {:6.1})   cpu {cpu:6.1} us", self.wall[0]);
    }
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
}

async fn run() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let co = Cacheops::connect(url.clone()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bench.db");
    let mut options = sea_orm::ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.sqlx_logging(false);
    let db = co.connect(Database::connect(options).await.unwrap());
    db.execute_unprepared(
        "CREATE TABLE article (id INTEGER PRIMARY KEY, title TEXT NOT NULL, tag INTEGER NOT NULL, views BIGINT NOT NULL,
            public BOOLEAN NOT NULL, body TEXT NOT NULL);
         CREATE INDEX tagged ON article (tag);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO article SELECT i, 'a title of some length ' || i, i % 100, i * 3, i % 2, hex(zeroblob(60)) FROM n;",
    )
    .await
    .unwrap();
    let query = || {
        article::Entity::find().filter(article::Column::Tag.eq(7)).order_by_asc(article::Column::Id)
    };
    let rows = query().cache().all(&db).await.unwrap();

    // The same rows in MessagePack, as a plain value of the same connection's kind.
    let client = cacheops_sea_orm::cacheops::redis::Client::open(url).unwrap();
    let plain = client.get_multiplexed_async_connection().await.unwrap();
    let packed = rmp_serde::to_vec_named(&rows).unwrap();
    let set = cacheops_sea_orm::cacheops::redis::cmd("SET").arg("plain").arg(&packed).to_owned();
    set.query_async::<()>(&mut plain.clone()).await.unwrap();
    let bare = || {
        let mut plain = plain.clone();
        async move {
            let get = cacheops_sea_orm::cacheops::redis::cmd("GET").arg("plain").to_owned();
            let bytes: Vec<u8> = get.query_async(&mut plain).await.unwrap();
            rmp_serde::from_slice::<Vec<article::Model>>(&bytes).unwrap().len()
        }
    };
    let (mut get, mut hit, mut sqlite, mut text) =
        (Measured::default(), Measured::default(), Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        get.round(bare).await;
        hit.round(|| async { query().cache().all(&db).await.unwrap().len() }).await;
        sqlite.round(|| async { query().all(db.inner()).await.unwrap().len() }).await;
        text.round(|| async {
            let statement = std::hint::black_box(query().build(sea_orm::DbBackend::Sqlite));
            usize::from(!statement.sql.is_empty()) * 10
        })
        .await;
    }
    println!("ten rows, {} bytes in MessagePack, {ROUNDS} rounds of {CALLS} calls", packed.len());
    get.print("bare GET and rmp-serde");
    hit.print("hit through the adapter");
    sqlite.print("SQLite, file in the page cache");
    text.print("of the hit: SeaORM builds the SQL");
    let stats = co.stats();
    assert_eq!((stats.misses, stats.hits), (1, (ROUNDS * CALLS) as u64));
}
