//! What the cache costs where it does not help: a miss, a write, a server that is away. Reads have ten rows, writes one.

use std::cell::Cell;
use std::time::Instant;

use cacheops_sea_orm::{Cache, CachedConn, Cacheops, Connect};
use sea_orm::ActiveValue::{Set, Unchanged};
use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait};
use support::Server;

use crate::measure::{CALLS, Databases, Measured, article, query, rounds};

pub async fn run(Databases { sqlite, postgres, .. }: &Databases) {
    for (name, plain) in [("SQLite", Some(sqlite)), ("PostgreSQL", postgres.as_ref())] {
        let Some(plain) = plain else { continue };
        let mut server = Server::start();
        let bench = Bench::new(name, plain, &server).await;
        bench.there().await;
        server.kill();
        bench.away("killed").await;
        server.relaunch();
        bench.recovered().await;
        server.freeze();
        bench.away("frozen").await;
        server.thaw();
        bench.recovered().await;
    }
}

struct Bench<'a> {
    name: &'a str,
    plain: &'a DatabaseConnection,
    co: Cacheops,
    db: CachedConn,
    /// The same, which reads no rows before a write.
    blind: CachedConn,
    numbers: Cell<i32>,
}

impl<'a> Bench<'a> {
    async fn new(name: &'a str, plain: &'a DatabaseConnection, server: &Server) -> Self {
        let url = format!("redis://127.0.0.1:{}/", server.port());
        let co = Cacheops::connect(url).await.unwrap();
        Self {
            name,
            plain,
            db: co.connect(plain.clone()),
            blind: co.connector().pre_select(0).connect(plain.clone()),
            co,
            numbers: Cell::new(0),
        }
    }

    /// All that there is to compare, with the server there.
    async fn there(&self) {
        let Self { plain, co, db, blind, .. } = self;
        let mut reads: [Measured; 4] = Default::default();
        let mut updates: [Measured; 3] = Default::default();
        let mut inserts: [Measured; 2] = Default::default();
        let mut deletes: [Measured; 3] = Default::default();
        for _ in 0..rounds() {
            co.invalidate_all().await.unwrap();
            assert_eq!(cached(db, 10).await, 10);
            reads[0].round(10, || read(*plain)).await;
            reads[1].round(10, || read(db)).await;
            let before = co.stats();
            reads[2].round(10, || cached(db, 10)).await;
            // Each tag once: there are 988 with ten rows.
            let missed = || cached(db, 1012 + self.next() % 988);
            reads[3].round(10, missed).await;
            let after = co.stats();
            let counts = (after.hits - before.hits, after.misses - before.misses);
            assert_eq!(counts, (CALLS.into(), CALLS.into()), "hits and misses");
            updates[0].round(1, || update(*plain, self.next())).await;
            updates[1].round(1, || update(db, self.next())).await;
            updates[2].round(1, || update(blind, self.next())).await;
            let first = self.numbers.get();
            inserts[0].round(1, || insert(*plain, self.next())).await;
            inserts[1].round(1, || insert(db, self.next())).await;
            // For the third of those that delete.
            for _ in 0..CALLS {
                insert(*plain, self.next()).await;
            }
            self.numbers.set(first);
            deletes[0].round(1, || delete(*plain, self.next())).await;
            deletes[1].round(1, || delete(db, self.next())).await;
            deletes[2].round(1, || delete(blind, self.next())).await;
        }
        self.title("the server there");
        show(["read, without the adapter", "read, not cached", "hit", "miss, and stored"], &reads);
        show(["update, without the adapter", "update", "update, pre_select(0)"], &updates);
        show(["insert, without the adapter", "insert"], &inserts);
        show(["delete, without the adapter", "delete", "delete, pre_select(0)"], &deletes);
    }

    async fn away(&self, how: &str) {
        let Self { plain, co, db, .. } = self;
        let begun = Instant::now();
        assert_eq!(cached(db, 10).await, 10);
        let first = begun.elapsed();
        let mut reads: [Measured; 2] = Default::default();
        let mut updates: [Measured; 2] = Default::default();
        for _ in 0..rounds() {
            reads[0].round(10, || read(*plain)).await;
            reads[1].round(10, || cached(db, 10)).await;
            updates[0].round(1, || update(*plain, self.next())).await;
            updates[1].round(1, || update(db, self.next())).await;
        }
        assert!(!co.stats().available);
        self.title(&format!("the server {how}; the first read took {first:.1?}"));
        show(["read, without the adapter", "read, .cache()"], &reads);
        show(["update, without the adapter", "update"], &updates);
    }

    /// Waits until the server is asked again.
    async fn recovered(&self) {
        let begun = Instant::now();
        self.co.settled().await;
        println!("  back, with all that was to be told, after {:.1?}", begun.elapsed());
        let before = self.co.stats().hits;
        cached(&self.db, 10).await;
        cached(&self.db, 10).await;
        // What nothing concerned is still there where the server was not restarted.
        assert!(self.co.stats().hits > before);
    }

    fn next(&self) -> i32 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    fn title(&self, how: &str) {
        println!("\n{}, {how}; {} rounds", self.name, rounds());
        println!("  {:40}{:>9}{:>9}{:>9}", "microseconds a call", "wall", "CPU", "wall, x");
    }
}

fn show<const N: usize>(names: [&str; N], all: &[Measured; N]) {
    for (name, measured) in names.iter().zip(all) {
        let (wall, cpu, times) = (measured.wall(), measured.cpu(), measured.times(&all[0]));
        println!("  {name:40}{wall:>9.1}{cpu:>9.1}{times:>9.2}");
    }
}

async fn read<C: ConnectionTrait>(db: &C) -> usize {
    query(10).all(db).await.unwrap().len()
}

async fn cached(db: &CachedConn, tag: i32) -> usize {
    query(tag).cache().all(db).await.unwrap().len()
}

async fn update<C: ConnectionTrait>(db: &C, number: i32) -> usize {
    let id = Unchanged(5_000 + number % 1_000);
    let row = article::ActiveModel { id, views: Set(number.into()), ..Default::default() };
    row.update(db).await.map(|_| 1).unwrap()
}

async fn insert<C: ConnectionTrait>(db: &C, number: i32) -> usize {
    let row = article::ActiveModel {
        id: Set(100_000 + number),
        title: Set("a new title".into()),
        tag: Set(5),
        views: Set(0),
        public: Set(true),
        body: Set("0".repeat(100)),
    };
    row.insert(db).await.map(|_| 1).unwrap()
}

async fn delete<C: ConnectionTrait>(db: &C, number: i32) -> usize {
    let deleted = article::Entity::delete_by_id(100_000 + number).exec(db).await.unwrap();
    deleted.rows_affected as usize
}
