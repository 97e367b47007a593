//! "Special topics" and "CAVEATS": transactions, dog-pile, several databases, sharing an instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cacheops_sea_orm::{Cache, CachedConn, Cacheops, Connect, Objects, Ops, Profile, Source};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement, TransactionTrait,
};

use crate::entities::{TABLES, article, category, comment};
use crate::world::{World, builder, everything, new_article, now_cached, open, still_cached};

async fn titles<S: Source>(db: &S) -> Result<Vec<String>, DbErr> {
    let query = article::Entity::find().filter(article::Column::CategoryId.eq(1));
    let rows = query.order_by_asc(article::Column::Id).cache().all(db).await?;
    Ok(rows.into_iter().map(|row| row.title).collect())
}

/// 1. Once a transaction is dirty, caching turns off. 2. Invalidations run on the outer commit. 3. Savepoints and
///    rollbacks are handled.
#[tokio::test]
async fn transactions_follow_three_rules() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));

    let tx = w.db.begin().await.unwrap();
    still_cached!(w, titles(&tx));
    new_article(8, 1).insert(&tx).await.unwrap();
    for _ in 0..2 {
        let (hit, seen) = w.hits(titles(&tx)).await;
        assert!(!hit && seen.unwrap().len() == 3, "its own rows, from the database");
    }
    let (before, counted) = (w.co.stats().stores, tx.cached_as("n", article::Entity::find()));
    assert_eq!(counted.get_or_load(|| async { Ok::<_, DbErr>(3) }).await.unwrap(), 3);
    assert_eq!(w.co.stats().stores, before, "a function of a dirty transaction is not kept");
    assert_eq!(still_cached!(w, titles(&w.db)).len(), 2, "others see what is committed");

    let savepoint = tx.begin().await.unwrap();
    new_article(9, 1).insert(&savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    new_article(10, 1).insert(&savepoint).await.unwrap();
    savepoint.commit().await.unwrap();
    still_cached!(w, titles(&w.db));
    tx.commit().await.unwrap();
    assert_eq!(now_cached!(w, titles(&w.db)).len(), 4);

    let tx = w.db.begin().await.unwrap();
    new_article(11, 1).insert(&tx).await.unwrap();
    tx.rollback().await.unwrap();
    still_cached!(w, titles(&w.db));
}

/// "Mind that simple cache doesn't turn itself off in transactions."
#[tokio::test]
async fn values_by_time_do_not_know_of_transactions() {
    let w = World::new().await;
    let tx = w.db.begin().await.unwrap();
    new_article(8, 1).insert(&tx).await.unwrap();

    w.co.cache().set("key", &1, Duration::from_secs(60)).await.unwrap();

    assert_eq!(w.co.cache().get::<i32>("key").await.unwrap(), Some(1));
    tx.rollback().await.unwrap();
    assert_eq!(w.co.cache().get::<i32>("key").await.unwrap(), Some(1));
}

/// A clean transaction keeps what its functions compute, and its own writes end that.
#[tokio::test]
async fn a_function_in_a_transaction_is_kept_while_it_is_clean() {
    let w = World::new().await;
    let count = async |tx: &cacheops_sea_orm::CachedTxn, writes: bool| {
        let articles = tx.cached_as("count", article::Entity::find()).extra(&writes);
        let counted = articles.get_or_load(|| async {
            if writes {
                new_article(20, 1).insert(tx).await?;
            }
            sea_orm::PaginatorTrait::count(article::Entity::find(), tx).await
        });
        counted.await
    };

    let tx = w.db.begin().await.unwrap();
    assert_eq!(now_cached!(w, count(&tx, false)), 4);
    let stores = w.co.stats().stores;
    assert_eq!(count(&tx, true).await.unwrap(), 5);
    assert_eq!(w.co.stats().stores, stores, "a function that writes itself");
    tx.rollback().await.unwrap();

    let fresh = w.db.cached_as("count", article::Entity::find()).extra(&true);
    assert_eq!(fresh.get_or_load(|| async { Ok::<_, DbErr>(4) }).await.unwrap(), 4);
}

/// Several processes at once: each handle is one, with connections of its own.
async fn processes(w: &World, number: usize) -> Vec<CachedConn> {
    let mut processes = Vec::new();
    for _ in 0..number {
        let co = builder(&w._server).build().await.unwrap();
        processes.push(co.connector().name("shared").connect(w.db.inner().clone()));
    }
    processes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_lock_one_of_all_processes_computes() {
    let w = World::new().await;
    let runs = Arc::new(AtomicUsize::new(0));

    let calls = processes(&w, 4).await.into_iter().flat_map(|db| vec![db; 3]).map(|db| {
        let runs = Arc::clone(&runs);
        tokio::spawn(async move {
            let heavy = db.cached_as("heavy", article::Entity::find()).lock(true);
            let heavy = heavy.get_or_load(|| async {
                runs.fetch_add(1, Ordering::SeqCst);
                for _ in 0..50 {
                    article::Entity::find().all(&db).await?;
                }
                Ok::<_, DbErr>(7)
            });
            heavy.await.unwrap()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 7);
    }

    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_lock_one_of_all_processes_queries() {
    let w = World::new().await;
    let processes = processes(&w, 4).await;

    let calls = processes.clone().into_iter().flat_map(|db| vec![db; 3]).map(|db| {
        tokio::spawn(async move {
            let query = article::Entity::find().order_by_asc(article::Column::Id);
            query.cache().lock(true).all(&db).await.unwrap()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().len(), 4);
    }

    let stored: u64 = processes.iter().map(|db| db.cacheops().stats().stores).sum();
    assert_eq!(stored, 1);
    // No overhead on a hit: nobody waits.
    let (hits, waits) =
        (processes[0].cacheops().stats().hits, processes[0].cacheops().stats().waits);
    let query = article::Entity::find().order_by_asc(article::Column::Id);
    query.cache().lock(true).all(&processes[0]).await.unwrap();
    let stats = processes[0].cacheops().stats();
    assert_eq!((stats.hits, stats.waits), (hits + 1, waits));
}

/// There results are shared unless `db_agnostic` is False; here they are not unless it is true.
#[tokio::test]
async fn databases_share_results_only_where_the_profile_says_so() {
    for (agnostic, shared) in [(false, false), (true, true)] {
        let w = World::with(|server| {
            let profile = Profile::new().ops(Ops::GET).db_agnostic(agnostic);
            builder(server).profile("*", profile)
        })
        .await;
        let replica = open(&w.dir, "replica.db").await;
        replica.execute_unprepared(TABLES).await.unwrap();
        let replica = w.co.connect(replica);

        let of = |db: &CachedConn| {
            let (objects, db) = (category::Entity::objects(), db.clone());
            async move { objects.filter(category::Column::Id.eq(1)).one(&db).await }
        };
        assert!(now_cached!(w, of(&w.db)).is_some());
        assert_eq!(w.hits(of(&replica)).await.0, shared);

        // An invalidation concerns all: rows of a table have one name in all databases.
        w.db.invalidate_model::<category::Entity>().await.unwrap();
        assert!(!w.hits(of(&replica)).await.0);
    }
}

tokio::task_local! {
    static HOST: &'static str;
}

#[tokio::test]
async fn a_prefix_may_come_from_the_request_or_from_the_tables() {
    let w = World::with(|server| {
        everything(server).prefix(|query| {
            let tables: Vec<_> = query.iter().map(|(table, _)| table).collect();
            match tables[..] {
                [b"category"] => "helper:".to_owned(),
                _ => HOST.try_with(|host| format!("{host}:")).unwrap_or_default(),
            }
        })
    })
    .await;
    let mut con = w._server.connect();
    let mut keys = |pattern: &str| con.list(&format!("KEYS {pattern}")).len();

    HOST.scope("one.example", async { now_cached!(w, titles(&w.db)) }).await;
    HOST.scope("two.example", async { now_cached!(w, titles(&w.db)) }).await;
    HOST.scope("one.example", async { still_cached!(w, titles(&w.db)) }).await;
    now_cached!(w, category::Entity::objects().all(&w.db));
    assert_eq!((keys("one.example:*"), keys("two.example:*"), keys("helper:*")), (1, 1, 1));

    // A row that changes concerns the entries of all hosts.
    new_article(8, 1).insert(&w.db).await.unwrap();
    HOST.scope("one.example", async { now_cached!(w, titles(&w.db)) }).await;
    HOST.scope("two.example", async { now_cached!(w, titles(&w.db)) }).await;
}

/// Caveats 1 and 5: there, what is no equality is not granular. Here neither: never stale, sometimes too much.
#[tokio::test]
async fn other_conditions_and_slices_are_invalidated_as_without_them() {
    let w = World::new().await;
    let views = || {
        let query = article::Entity::find().filter(article::Column::Views.gt(10_000));
        query.filter(article::Column::CategoryId.eq(1)).cache().all(&w.db)
    };
    let sliced = || {
        let query = article::Entity::find().filter(article::Column::CategoryId.eq(1));
        query.order_by_asc(article::Column::Id).limit(1).cache().all(&w.db)
    };
    now_cached!(w, views());
    now_cached!(w, sliced());

    new_article(8, 2).insert(&w.db).await.unwrap();
    still_cached!(w, views());
    still_cached!(w, sliced());
    new_article(9, 1).insert(&w.db).await.unwrap();
    now_cached!(w, views());
    now_cached!(w, sliced());
}

/// Caveat 3: there an update of a "select_related" object leaves a stale result. Here it does not.
#[tokio::test]
async fn rows_that_were_joined_in_invalidate_too() {
    let w = World::new().await;
    let joined = || {
        let query = article::Entity::find().find_also_related(category::Entity);
        query.filter(article::Column::Id.eq(1)).cache().one(&w.db)
    };
    now_cached!(w, joined());

    category::ActiveModel { id: Set(1), name: Set("new".into()) }.update(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, joined()).unwrap().1.unwrap().name, "new");
}

/// Caveats 4, 6 and 7: mass updates, raw SQL and subqueries invalidate, and are invalidated.
#[tokio::test]
async fn raw_sql_and_subqueries_are_no_exceptions() {
    let w = World::new().await;
    let raw = async || {
        let sql = "SELECT * FROM article WHERE category_id = (SELECT id FROM category WHERE name = 'tech') ORDER BY id";
        let raw =
            article::Entity::find().from_raw_sql(Statement::from_string(DbBackend::Sqlite, sql));
        let rows = raw.cache().all(&w.db).await?;
        Ok::<Vec<i32>, DbErr>(rows.into_iter().map(|row| row.id).collect())
    };
    let subquery = || {
        let of = Query::select()
            .column(comment::Column::ArticleId)
            .from(comment::Entity)
            .and_where(comment::Column::Text.eq("wanted"))
            .to_owned();
        article::Entity::find().filter(article::Column::Id.in_subquery(of)).cache().all(&w.db)
    };
    assert_eq!(now_cached!(w, raw()).len(), 2);
    assert!(now_cached!(w, subquery()).is_empty());

    w.db.execute_unprepared("UPDATE category SET name = 'technology' WHERE id = 1").await.unwrap();
    assert!(now_cached!(w, raw()).is_empty());
    still_cached!(w, subquery());
    for (id, text, concerns) in [(1, "unwanted", false), (2, "wanted", true)] {
        let comment =
            comment::ActiveModel { id: Set(id), article_id: Set(3), text: Set(text.into()) };
        comment.insert(&w.db).await.unwrap();
        assert_eq!(w.hits(subquery()).await.0, !concerns);
    }
    comment::Entity::update_many()
        .col_expr(comment::Column::Text, Expr::value("late"))
        .filter(comment::Column::ArticleId.eq(3))
        .exec(&w.db)
        .await
        .unwrap();
    assert!(now_cached!(w, subquery()).is_empty());
}

/// Two applications on one server's database, with a namespace each: neither reads or flushes the other's names.
#[tokio::test]
async fn namespaces_keep_applications_apart() {
    let w = World::new().await;
    let other: Cacheops = builder(&w._server).namespace("other").build().await.unwrap();
    let other = other.connector().name("shared").connect(w.db.inner().clone());
    let this = w.co.connector().name("shared").connect(w.db.inner().clone());

    titles(&this).await.unwrap();
    titles(&other).await.unwrap();

    assert_eq!((w.co.stats().misses, other.cacheops().stats().misses), (1, 1));
}
