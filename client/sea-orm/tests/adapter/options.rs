//! `.ops .nocache .timeout .lock` and several databases on one cache.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cacheops_sea_orm::{Cache, CacheReads, Connect, Objects, Ops, Profile};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter};

use crate::entities::{TABLES, article, category, comment};
use crate::world::{
    Warnings, World, builder, everything, new_article, now_cached, open, still_cached,
};

#[tokio::test]
async fn an_entry_lives_as_long_as_the_query_says_or_else_the_profile() {
    let last = Arc::new(Mutex::new(Vec::new()));
    let build = |server: &support::Server| {
        let last = Arc::clone(&last);
        builder(server)
            .profile("article", Profile::new().timeout(Duration::from_secs(500)))
            .on_read(move |event| *last.lock().unwrap() = event.key.to_vec())
    };
    let w = World::with(build).await;
    let left = || {
        let key = String::from_utf8(last.lock().unwrap().clone()).unwrap();
        w._server.connect().int(&format!("PTTL {key}"))
    };

    article::Entity::find().cache().timeout(Duration::from_secs(5)).all(&w.db).await.unwrap();
    assert!((1..=5_000).contains(&left()));
    article::Entity::find_by_id(1).cache().one(&w.db).await.unwrap();
    assert!((400_000..=500_000).contains(&left()));
}

#[tokio::test]
async fn only_the_operations_that_are_asked_for_are_cached() {
    let w = World::with(everything).await;
    let query = || article::Entity::find().filter(article::Column::CategoryId.eq(1)).cache();
    let views = || Expr::col(article::Column::Views);

    for _ in 0..2 {
        assert!(!w.hits(query().ops(Ops::COUNT).all(&w.db)).await.0);
        assert!(!w.hits(query().ops(Ops::FETCH).one(&w.db)).await.0);
        assert!(!w.hits(query().ops(Ops::FETCH | Ops::GET).exists(&w.db)).await.0);
        let sum = query().ops(Ops::NONE).aggregate::<i64, _>(views(), &w.db);
        assert!(!w.hits(sum).await.0);
        assert!(!w.hits(query().nocache().all(&w.db)).await.0);
    }
    assert_eq!(w.co.stats().stores, 0);
    now_cached!(w, query().ops(Ops::COUNT).count(&w.db));
    now_cached!(w, article::Entity::objects().ops(Ops::COUNT | Ops::FETCH).all(&w.db));
}

/// Both depend on every article.
#[tokio::test]
async fn functions_of_different_samples_are_different_entries() {
    let w = World::new().await;
    let above = |views: i64| {
        let db = &w.db;
        let articles = article::Entity::find().filter(article::Column::Views.gt(views));
        let count = articles.clone();
        let computed = db.cached_as("above", articles);
        computed.get_or_load(move || async move { count.count(db).await })
    };

    assert_eq!((above(10).await.unwrap(), above(30).await.unwrap()), (3, 1));
    assert_eq!((still_cached!(w, above(10)), still_cached!(w, above(30))), (3, 1));
}

#[tokio::test]
async fn that_no_profile_fits_is_said_once() {
    let w =
        World::with(|server| builder(server).profile("article", Profile::new()).forbid("comment"))
            .await;
    let warnings = Warnings::of("cacheops_adapter::session");

    for _ in 0..2 {
        article::Entity::find().cache().all(&w.db).await.unwrap();
        comment::Entity::find().cache().all(&w.db).await.unwrap();
        category::Entity::objects().all(&w.db).await.unwrap();
        category::Entity::find().cache().nocache().all(&w.db).await.unwrap();
    }
    assert_eq!(warnings.seen(), 0);
    for _ in 0..2 {
        assert!(!w.hits(category::Entity::find().cache().all(&w.db)).await.0);
    }
    assert_eq!(warnings.seen(), 1);
}

/// A table that is only joined is enough. One that has no profile is another thing.
#[tokio::test]
async fn nothing_that_depends_on_a_forbidden_table_is_kept() {
    for forbidden in [true, false] {
        let w = World::with(|server| {
            let builder = builder(server).profile("article", Profile::new().ops(Ops::ALL));
            if forbidden { builder.forbid("cat*") } else { builder }
        })
        .await;
        let joined = || article::Entity::find().find_also_related(category::Entity);
        let block = || {
            w.db.reads("block")
                .get_or_load(|db| async move { article::Entity::find().count(&db).await })
        };
        let joined_block = || {
            w.db.reads("joined block").get_or_load(|db| async move {
                let of = article::Entity::find().inner_join(category::Entity);
                of.count(&db).await
            })
        };
        let function = || w.db.cached_as("f", joined()).get_or_load(|| async { Ok::<_, DbErr>(1) });

        for again in [false, true] {
            assert_eq!(w.hits(block()).await.0, again);
            assert_eq!(w.hits(joined().cache().all(&w.db)).await.0, again && !forbidden);
            assert_eq!(w.hits(joined_block()).await.0, again && !forbidden);
            assert_eq!(w.hits(function()).await.0, again && !forbidden);
        }
    }
}

/// The same statement and type, kept in two ways: neither is in the other's place.
#[tokio::test]
async fn a_model_of_columns_and_one_of_serde_are_two_entries() {
    let w = World::new().await;
    let columns = || category::Entity::find().cache().all(&w.db);
    let serde = || category::Entity::find().into_model::<category::Model>().cache().all(&w.db);

    now_cached!(w, columns());
    now_cached!(w, serde());

    still_cached!(w, columns());
    still_cached!(w, serde());
    assert_eq!(w.co.stats().undecodable, 0);
}

#[tokio::test]
async fn with_a_lock_one_process_of_many_asks_the_database() {
    let w = World::with(everything).await;
    let mut processes = Vec::new();
    for _ in 0..6 {
        let co = builder(&w._server).build().await.unwrap();
        processes.push((co.connect(open(&w.dir, "blog.db").await), co));
    }

    let mut readers = tokio::task::JoinSet::new();
    for (db, _) in &processes {
        let db = db.clone();
        readers.spawn(async move { article::Entity::find().cache().lock(true).all(&db).await });
    }
    while let Some(rows) = readers.join_next().await {
        assert_eq!(rows.unwrap().unwrap().len(), 4);
    }

    let misses: u64 = processes.iter().map(|(_, co)| co.stats().misses).sum();
    assert_eq!(misses, 1);
}

#[tokio::test]
async fn two_databases_never_mix_their_rows_and_invalidate_each_other() {
    let w = World::with(everything).await;
    let connection = open(&w.dir, "other.db").await;
    connection.execute_unprepared(TABLES).await.unwrap();
    connection.execute_unprepared("INSERT INTO category VALUES (1, 'other')").await.unwrap();
    let other = w.co.connect(connection);
    let mut theirs = new_article(1, 1);
    theirs.title = sea_orm::ActiveValue::Set("theirs".into());
    article::Entity::insert(theirs).exec(&other).await.unwrap();
    let first = |db| article::Entity::objects().filter(article::Column::Id.eq(1)).get(db);
    let second = |db| article::Entity::objects().filter(article::Column::Id.eq(2)).one(db);

    assert_eq!(now_cached!(w, first(&w.db)).title, "article 1");
    assert_eq!(now_cached!(w, first(&other)).title, "theirs");
    assert!(now_cached!(w, second(&w.db)).is_some());
    assert!(now_cached!(w, second(&other)).is_none());

    // A condition names tables and no databases: the row of the same key is read again in both.
    article::Entity::delete_by_id(1).exec(&other).await.unwrap();
    assert_eq!(now_cached!(w, first(&w.db)).title, "article 1");
    assert!(first(&other).await.is_err());
    assert!(still_cached!(w, second(&w.db)).is_some());
    assert!(still_cached!(w, second(&other)).is_none());
}

#[tokio::test]
async fn databases_that_are_one_share_their_results_where_the_profile_says_so() {
    let profile = Profile::new().ops(Ops::ALL).db_agnostic(true);
    let w = World::with(|server| builder(server).profile("*", profile)).await;
    let replica = w.co.connector().name("replica").connect(w.db.inner().clone());

    let rows = now_cached!(w, article::Entity::objects().all(&w.db));
    assert_eq!(still_cached!(w, article::Entity::objects().all(&replica)), rows);
    article::Entity::delete_by_id(1).exec(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, article::Entity::objects().all(&replica)).len(), 3);
}
