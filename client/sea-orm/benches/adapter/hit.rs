//! A hit through the adapter, beside the same query on SQLite and PostgreSQL, a bare GET with decoding, and the Redis
//! store of the crate `cached` with the same rows; then where its time goes. 1, 10 and 100 rows.

use std::time::Duration;

use cached::ConcurrentCachedAsync;
use cached::stores::AsyncRedisCache;
use cacheops_sea_orm::cacheops::{Client, Codec, Deps, Key, Lookup, redis};
use cacheops_sea_orm::{Cache, CachedConn, CachedQuery, Cacheops, Connect};
use cacheops_sql::{Analyser, Dialect, Schema, Value};
use sea_orm::{DatabaseConnection, DbBackend, QueryTrait, Select};
use support::Server;

use crate::measure::{Databases, Measured, article, query, rounds};

type Rows = Vec<article::Model>;
type RowsCodec = <Select<article::Entity> as CachedQuery>::Codec;

const SIZES: [usize; 3] = [1, 10, 100];

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

pub async fn run(Databases { sqlite, postgres, .. }: &Databases) {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let co = Cacheops::connect(url.clone()).await.unwrap();
    let plain = redis::Client::open(url.clone()).unwrap();
    let bench = Bench {
        db: co.connect(sqlite.clone()),
        client: co.client().unwrap(),
        co,
        postgres: postgres.clone(),
        plain: plain.get_multiplexed_async_connection().await.unwrap(),
        cached: AsyncRedisCache::builder("bench")
            .ttl(Duration::from_secs(3600))
            .connection_string(&url)
            .build()
            .await
            .unwrap(),
        analyser: Analyser::new(Dialect::Sqlite, Schema::new(), 2000),
    };
    for rows in SIZES {
        bench.measure(rows, rounds()).await;
    }
}

impl Bench {
    async fn measure(&self, rows: usize, rounds: usize) {
        let Self { co, client, db, postgres, plain, cached, analyser } = self;
        let models = query(rows as i32).cache().all(db).await.unwrap();
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
        let statement = query(rows as i32).build(DbBackend::Sqlite);
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
            read.get_or_load(load).await.unwrap().len()
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
            whole[1]
                .round(rows, async || query(rows as i32).cache().all(db).await.unwrap().len())
                .await;
            let theirs = async || cached.async_cache_get(&name).await.unwrap().unwrap().len();
            whole[2].round(rows, theirs).await;
            whole[3]
                .round(rows, async || query(rows as i32).all(db.inner()).await.unwrap().len())
                .await;
            if let Some(postgres) = postgres {
                whole[4]
                    .round(rows, async || query(rows as i32).all(postgres).await.unwrap().len())
                    .await;
            }
            parts[0].tiny(|| query(rows as i32).build(DbBackend::Sqlite));
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
        for (name, measured) in names.iter().zip(&whole).filter(|(_, all)| !all.is_empty()) {
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
