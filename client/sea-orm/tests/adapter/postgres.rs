//! The adapter on PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cacheops_sea_orm::{Cache, CachedConn, Cacheops, Connect};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection,
    DbBackend, EntityTrait, IntoActiveModel, IsolationLevel, ModelTrait, QueryFilter, Statement,
    TransactionTrait,
};
use support::{Postgres, Server};

use crate::world::builder;

mod item {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "item")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub shelf: i16,
        pub value: i64,
        pub price: Decimal,
        pub token: Uuid,
        pub made: DateTimeWithTimeZone,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const TABLE: &str =
    "CREATE TABLE item (id SERIAL PRIMARY KEY, shelf SMALLINT NOT NULL, value BIGINT NOT NULL,
    price NUMERIC(10, 2) NOT NULL, token UUID NOT NULL, made TIMESTAMPTZ NOT NULL, note TEXT)";

async fn connection(postgres: &Postgres) -> DatabaseConnection {
    let mut options = ConnectOptions::new(postgres.url());
    options.max_connections(30).sqlx_logging(false).connect_timeout(Duration::from_secs(20));
    Database::connect(options).await.unwrap()
}

struct World {
    co: Cacheops,
    db: CachedConn,
    _server: Server,
    _postgres: Postgres,
}

async fn world() -> Option<World> {
    let postgres = Postgres::start()?;
    let server = Server::start();
    let co = builder(&server).build().await.unwrap();
    let connection = connection(&postgres).await;
    connection.execute_unprepared(TABLE).await.unwrap();
    let db = co.connect(connection);
    let items = (1..=20).map(new_item);
    item::Entity::insert_many(items).exec(&db).await.unwrap();
    db.execute_unprepared("SELECT setval('item_id_seq', 20)").await.unwrap();
    Some(World { co, db, _server: server, _postgres: postgres })
}

fn new_item(id: i32) -> item::ActiveModel {
    item::ActiveModel {
        id: Set(id),
        shelf: Set((id % 4) as i16),
        value: Set(0),
        price: Set("1.50".parse().unwrap()),
        token: Set(sea_orm::prelude::Uuid::from_u128(id as u128)),
        made: Set(sea_orm::prelude::DateTimeWithTimeZone::parse_from_rfc3339(
            "2024-02-29T12:00:00.5+05:30",
        )
        .unwrap()),
        note: Set(None),
    }
}

async fn shelf(db: &CachedConn, shelf: i16) -> Vec<item::Model> {
    item::Entity::find().filter(item::Column::Shelf.eq(shelf)).cache().all(db).await.unwrap()
}

async fn by_id(db: &CachedConn, id: i32) -> Option<item::Model> {
    item::Entity::find_by_id(id).cache().one(db).await.unwrap()
}

/// Whether the cache answers, with this many rows.
async fn hit<T>(w: &World, ask: impl Future<Output = T>) -> bool {
    let before = w.co.stats();
    ask.await;
    let after = w.co.stats();
    after.hits == before.hits + 1 && after.misses == before.misses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_with_and_without_returning_are_precise() {
    let Some(w) = world().await else { return };
    async fn warm(w: &World) {
        for number in 0..4 {
            shelf(&w.db, number).await;
        }
        by_id(&w.db, 1).await;
        by_id(&w.db, 2).await;
    }
    warm(&w).await;
    assert!(hit(&w, shelf(&w.db, 1)).await && hit(&w, by_id(&w.db, 1)).await);
    assert_eq!(
        shelf(&w.db, 1).await,
        item::Entity::find().filter(item::Column::Shelf.eq(1_i16)).all(&w.db).await.unwrap()
    );

    // RETURNING tells the new row; of the old one all but what was assigned.
    let mut richer = by_id(&w.db, 1).await.unwrap().into_active_model();
    richer.value = Set(5);
    richer.update(&w.db).await.unwrap();
    assert!(hit(&w, shelf(&w.db, 0)).await && hit(&w, shelf(&w.db, 2)).await);
    assert!(hit(&w, by_id(&w.db, 2)).await);
    assert!(!hit(&w, shelf(&w.db, 1)).await && !hit(&w, by_id(&w.db, 1)).await);
    let mut moved = by_id(&w.db, 1).await.unwrap().into_active_model();
    moved.shelf = Set(2);
    moved.update(&w.db).await.unwrap();
    assert!(hit(&w, by_id(&w.db, 2)).await);
    assert!(!hit(&w, shelf(&w.db, 1)).await && !hit(&w, shelf(&w.db, 2)).await);
    assert!(!hit(&w, by_id(&w.db, 1)).await);
    warm(&w).await;

    let new = item::ActiveModel { id: sea_orm::ActiveValue::NotSet, ..new_item(3) }
        .insert(&w.db)
        .await
        .unwrap();
    assert_eq!(new.id, 21);
    assert!(hit(&w, shelf(&w.db, 1)).await && hit(&w, by_id(&w.db, 1)).await);
    assert!(!hit(&w, shelf(&w.db, 3)).await);

    new.delete(&w.db).await.unwrap();
    assert!(hit(&w, shelf(&w.db, 1)).await && hit(&w, by_id(&w.db, 1)).await);
    assert!(!hit(&w, shelf(&w.db, 3)).await);

    let shelf_two = item::Entity::update_many()
        .col_expr(item::Column::Value, Expr::col(item::Column::Value).add(1))
        .filter(item::Column::Shelf.eq(2_i16));
    shelf_two.exec(&w.db).await.unwrap();
    assert!(
        hit(&w, shelf(&w.db, 1)).await
            && !hit(&w, shelf(&w.db, 2)).await
            && !hit(&w, by_id(&w.db, 2)).await
    );
    assert_eq!(by_id(&w.db, 2).await.unwrap().value, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_leaves_alone_what_depends_on_other_old_values() {
    async fn valued(db: &CachedConn, value: i64) -> Vec<item::Model> {
        item::Entity::find().filter(item::Column::Value.eq(value)).cache().all(db).await.unwrap()
    }
    // Digits only, which on other databases might be compared as a number.
    async fn by_token(db: &CachedConn, token: u128) -> Option<item::Model> {
        let token = item::Column::Token.eq(sea_orm::prelude::Uuid::from_u128(token));
        item::Entity::find().filter(token).cache().one(db).await.unwrap()
    }
    let Some(w) = world().await else { return };
    let mut first = by_id(&w.db, 1).await.unwrap().into_active_model();
    first.value = Set(8);
    let mut first = first.update(&w.db).await.unwrap().into_active_model();
    for value in [0, 7, 8, 9] {
        valued(&w.db, value).await;
    }
    for token in [1, 2] {
        by_token(&w.db, token).await;
    }

    first.value = Set(9);
    first.update(&w.db).await.unwrap();

    assert!(hit(&w, valued(&w.db, 0)).await && hit(&w, valued(&w.db, 7)).await);
    assert!(hit(&w, by_token(&w.db, 2)).await);
    assert!(!hit(&w, valued(&w.db, 8)).await && !hit(&w, valued(&w.db, 9)).await);
    assert!(!hit(&w, by_token(&w.db, 1)).await);
    assert_eq!(valued(&w.db, 9).await.len(), 1);
}

/// `cargo test -p cacheops-sea-orm --test adapter what_reading_first -- --ignored --nocapture`: on PostgreSQL and SQLite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_reading_first_costs() {
    let Some(w) = world().await else { return };
    let files = tempfile::tempdir().unwrap();
    let sqlite = crate::world::open(&files, "items.db").await;
    let table = TABLE.replace("SERIAL", "INTEGER");
    sqlite.execute_unprepared(&table).await.unwrap();
    item::Entity::insert(new_item(1)).exec(&sqlite).await.unwrap();
    for (name, connection) in [("PostgreSQL", w.db.inner()), ("SQLite", &sqlite)] {
        let programs =
            [256, 0].map(|rows| w.co.connector().pre_select(rows).connect(connection.clone()));
        let mut spent = [Duration::ZERO; 2];
        for round in 0..1000 {
            for (db, spent) in programs.iter().zip(&mut spent) {
                let mut changed = new_item(1);
                changed.value = Set(round);
                let begun = std::time::Instant::now();
                changed.update(db).await.unwrap();
                *spent += begun.elapsed();
            }
        }
        let [first, not] = spent.map(|spent| spent / 1000);
        eprintln!("{name}: an update takes {first:?} with its row read first, {not:?} without");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeatable_read_does_not_store_what_it_sees_of_the_past() {
    let Some(w) = world().await else { return };
    for (level, refused) in
        [(IsolationLevel::RepeatableRead, 1), (IsolationLevel::ReadCommitted, 0)]
    {
        w.co.invalidate_all().await.unwrap();
        let before = w.co.stats().stores_refused;
        let reader = w.db.begin_with_config(Some(level), None).await.unwrap();
        item::Entity::find_by_id(9).one(&reader).await.unwrap();
        let mut changed =
            item::Entity::find_by_id(1).one(&w.db).await.unwrap().unwrap().into_active_model();
        changed.value = Set(changed.value.unwrap() + 1);
        let changed = changed.update(&w.db).await.unwrap();

        let seen = item::Entity::find_by_id(1).cache().one(&reader).await.unwrap().unwrap();
        reader.commit().await.unwrap();

        assert_eq!(w.co.stats().stores_refused - before, refused, "{level:?}");
        assert_eq!(seen.value, changed.value - refused as i64, "{level:?}");
        assert_eq!(by_id(&w.db, 1).await, Some(changed));
    }
}

/// What each reader may not see less of: set after the writer's commit has been confirmed.
#[derive(Default)]
struct Floor {
    values: [AtomicI64; 20],
    commits: AtomicU64,
}

async fn write(db: CachedConn, floor: Arc<Floor>, stop: Arc<AtomicBool>, seed: usize) {
    let levels = [None, Some(IsolationLevel::ReadCommitted), Some(IsolationLevel::RepeatableRead)];
    for round in seed.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = (round * 7 % 20) as i32 + 1;
        let tx = db.begin_with_config(levels[round % 3], None).await.unwrap();
        let sql = "UPDATE item SET value = value + 1 WHERE id = $1 RETURNING id, value";
        let update = Statement::from_sql_and_values(DbBackend::Postgres, sql, [id.into()]);
        // Two at one row: one of them fails under REPEATABLE READ.
        let Ok(Some(row)) = tx.query_one_raw(update).await else { continue };
        let value: i64 = row.try_get("", "value").unwrap();
        if round % 5 == 0 {
            tx.rollback().await.unwrap();
        } else if tx.commit().await.is_ok() {
            floor.values[id as usize - 1].fetch_max(value, Ordering::SeqCst);
            floor.commits.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct Seen {
    reads: AtomicU64,
    stale: AtomicU64,
}

impl Seen {
    fn enough(&self, floor: &Floor) -> bool {
        self.reads.load(Ordering::Relaxed) > 100 && floor.commits.load(Ordering::Relaxed) > 10
    }
}

#[derive(Clone, Copy)]
enum Reader {
    /// Through the adapter.
    Pool,
    /// Through the adapter, in a transaction that is older than its reads.
    Snapshot,
}

async fn read(
    db: CachedConn,
    floor: Arc<Floor>,
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    kind: Reader,
    seed: usize,
) {
    for round in seed.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = (round * 3 % 20) as i32 + 1;
        let least = floor.values[id as usize - 1].load(Ordering::SeqCst);
        let value = match kind {
            Reader::Pool => by_id(&db, id).await.unwrap().value,
            Reader::Snapshot => {
                let level = Some(IsolationLevel::RepeatableRead);
                let tx = db.begin_with_config(level, None).await.unwrap();
                for id in [id, id % 20 + 1] {
                    item::Entity::find_by_id(id).cache().one(&tx).await.unwrap();
                    tokio::task::yield_now().await;
                }
                tx.commit().await.unwrap();
                // What it sees itself may be old by right.
                continue;
            }
        };
        seen.reads.fetch_add(1, Ordering::Relaxed);
        if value < least {
            seen.stale.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether enough was read and written to say something, and how many reads were stale.
async fn check(kinds: &[Reader], tokens: bool) -> Option<(bool, u64)> {
    let w = Arc::new(world().await?);
    let readers_cache = builder(&w._server).tokens(tokens).build().await.unwrap();
    let read_by = readers_cache.connect(w.db.inner().clone());
    let (floor, stop, seen) =
        (Arc::new(Floor::default()), Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let mut readers = Vec::new();
    for (number, kind) in kinds.iter().cycle().take(12).enumerate() {
        readers.push(tokio::spawn(read(
            read_by.clone(),
            floor.clone(),
            stop.clone(),
            seen.clone(),
            *kind,
            number,
        )));
    }
    let writers: Vec<_> = (0..4)
        .map(|n| tokio::spawn(write(w.db.clone(), floor.clone(), stop.clone(), n * 5)))
        .collect();
    let seconds = support::number("CACHEOPS_STALE_SECONDS").unwrap_or(5);
    let enough = Instant::now() + Duration::from_secs(seconds);
    let late = enough + support::deadline();
    // On a slow machine too, enough is tried to say something.
    let goes_on = || match tokens {
        true => Instant::now() < enough || !seen.enough(&floor),
        false => seen.stale.load(Ordering::Relaxed) == 0,
    };
    while goes_on() && Instant::now() < late {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let (reads, stale) = (seen.reads.load(Ordering::Relaxed), seen.stale.load(Ordering::Relaxed));
    let commits = floor.commits.load(Ordering::Relaxed);
    eprintln!("{reads} reads, {commits} commits, {stale} stale; {:?}", readers_cache.stats());

    Some((seen.enough(&floor), stale))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_beside_concurrent_transactions() {
    let Some((enough, stale)) = check(&[Reader::Pool, Reader::Pool, Reader::Snapshot], true).await
    else {
        return;
    };

    assert_eq!(stale, 0);
    assert!(enough, "too little was tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tokens_the_same_check_finds_stale_reads() {
    let Some((_, stale)) = check(&[Reader::Pool, Reader::Pool, Reader::Snapshot], false).await
    else {
        return;
    };

    assert!(stale > 0, "the check is blind");
}
