//! "Setup" and "Usage": profiles, manual caching, functions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cacheops_sea_orm::cacheops::Builder;
use cacheops_sea_orm::{Cache, CachedConn, Objects, Ops, Profile};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use support::Server;

use crate::entities::{article, category, comment, tag};
use crate::world::{World, builder, new_article, now_cached, still_cached};

const MINUTE: Duration = Duration::from_secs(60);

/// `auth.user`, `auth.*`, `auth.permission`, `*.*` and a table that is forbidden.
fn settings(server: &Server) -> Builder {
    builder(server)
        .defaults(Profile::new().timeout(60 * MINUTE))
        .profile("category", Profile::new().ops(Ops::GET).timeout(15 * MINUTE))
        .profile("article*", Profile::new().ops(Ops::FETCH | Ops::GET))
        .profile("comment", Profile::new().ops(Ops::ALL))
        .profile("*", Profile::new())
        .forbid("tag")
}

/// The time to live of the only entry, in minutes, rounded up.
fn minutes(w: &World) -> u64 {
    let mut con = w._server.connect();
    con.wait_until_reclaimed();
    let key = con.text("RANDOMKEY").unwrap();
    let left = con.int(&format!("PTTL {key}"));
    (left as u64).div_ceil(60_000)
}

#[tokio::test]
async fn a_profile_caches_its_operations_and_lends_its_timeout() {
    let w = World::with(settings).await;

    // 'auth.user': {'ops': 'get', 'timeout': 60*15}: also post.author, where author is a foreign key.
    now_cached!(w, category::Entity::objects().filter(category::Column::Id.eq(1)).one(&w.db));
    assert_eq!(minutes(&w), 15);
    let article = article::Entity::find_by_id(1).one(&w.db).await.unwrap().unwrap();
    let author = || article.find_related(category::Entity).cache().ops(Ops::GET).one(&w.db);
    assert_eq!(now_cached!(w, author()).unwrap().name, "tech");
    assert!(!w.hits(category::Entity::objects().all(&w.db)).await.0);
    assert!(!w.hits(category::Entity::objects().all(&w.db)).await.0);

    // 'auth.*': {'ops': {'fetch', 'get'}, 'timeout': 60*60}
    w.co.invalidate_all().await.unwrap();
    now_cached!(w, article::Entity::objects().all(&w.db));
    assert_eq!(minutes(&w), 60);
    now_cached!(w, article::Entity::objects().one(&w.db));
    assert!(!w.hits(article::Entity::objects().count(&w.db)).await.0);
    assert!(!w.hits(article::Entity::objects().count(&w.db)).await.0);

    // 'auth.permission': {'ops': 'all', 'timeout': 60*60}
    now_cached!(w, comment::Entity::objects().all(&w.db));
    now_cached!(w, comment::Entity::objects().count(&w.db));
    now_cached!(w, comment::Entity::objects().exists(&w.db));
    let newest = || sea_orm::sea_query::ExprTrait::max(comment::Column::Id.into_expr());
    now_cached!(w, comment::Entity::objects().aggregate::<i32, _>(newest(), &w.db));
}

#[tokio::test]
async fn a_profile_without_operations_is_for_manual_caching_and_none_forbids_that_too() {
    let w = World::with(|server| builder(server).profile("*", Profile::new()).forbid("tag")).await;

    for _ in 0..2 {
        assert!(!w.hits(article::Entity::objects().all(&w.db)).await.0);
        assert!(!w.hits(tag::Entity::find().cache().all(&w.db)).await.0);
    }
    now_cached!(w, article::Entity::find().cache().filter(article::Column::Id.eq(1)).get(&w.db));
    let ordered = article::Entity::find().order_by_asc(article::Column::Id);
    now_cached!(w, ordered.clone().cache().all(&w.db));
}

#[tokio::test]
async fn a_server_that_dies_degrades_the_cache_and_not_the_application() {
    let mut w = World::new().await;
    let all = || article::Entity::find().cache().all(&w.db);
    now_cached!(w, all());

    let mut first =
        article::Entity::find_by_id(1).one(&w.db).await.unwrap().unwrap().into_active_model();
    first.title = Set("written without the cache".into());
    w._server.kill();

    let rows = article::Entity::find().cache().all(&w.db).await.unwrap();
    first.update(&w.db).await.unwrap();
    let again = article::Entity::find().cache().all(&w.db).await.unwrap();
    assert_eq!((rows.len(), again[0].title.as_str()), (4, "written without the cache"));

    // And recovers by itself: nothing from before is trusted.
    w._server.relaunch();
    w.co.settled().await;
    assert_eq!(now_cached!(w, article::Entity::find().cache().all(&w.db)), again);
}

#[tokio::test]
async fn switched_off_everything_works_and_nothing_is_cached() {
    let w = World::with(|server| {
        builder(server).enabled(false).profile("*", Profile::new().ops(Ops::ALL))
    })
    .await;

    for _ in 0..2 {
        assert_eq!(article::Entity::objects().count(&w.db).await.unwrap(), 4);
        assert_eq!(article::Entity::find().cache().all(&w.db).await.unwrap().len(), 4);
        let computed = w.db.cached_as("f", article::Entity::find());
        assert_eq!(computed.get_or_load(|| async { Ok::<_, DbErr>(7) }).await.unwrap(), 7);
    }
    new_article(9, 1).insert(&w.db).await.unwrap();
    w.db.invalidate_model::<article::Entity>().await.unwrap();
    assert_eq!(w._server.connect().int("DBSIZE"), 0);
}

#[tokio::test]
async fn which_operations_of_a_query_are_cached_can_be_said() {
    let w = World::new().await;
    let query = || article::Entity::find().filter(article::Column::CategoryId.eq(1));

    now_cached!(w, query().cache().all(&w.db));

    // qs.cache(ops=['count']); paginator.page() hits the database
    let pages = || query().cache().ops(Ops::COUNT).paginate(&w.db, 10);
    now_cached!(w, pages().num_items());
    for _ in 0..2 {
        assert!(!w.hits(pages().fetch_page(0)).await.0);
        assert!(!w.hits(query().cache().ops(Ops::NONE).all(&w.db)).await.0);
    }
}

#[tokio::test]
async fn nocache_holds_for_what_is_made_of_the_query_and_timeout_too() {
    let w = World::with(settings).await;
    let query = article::Entity::objects().filter(article::Column::Public.eq(true));
    now_cached!(w, query.clone().all(&w.db));

    let uncached = query.clone().nocache();
    for filter in [article::Column::CategoryId.eq(1), article::Column::CategoryId.eq(2)] {
        for _ in 0..2 {
            assert!(!w.hits(uncached.clone().filter(filter.clone()).all(&w.db)).await.0);
        }
    }

    w.co.invalidate_all().await.unwrap();
    now_cached!(w, query.clone().timeout(3 * MINUTE).limit(2).all(&w.db));
    assert_eq!(minutes(&w), 3);
}

/// How many articles each category has, and how often that was computed.
async fn article_stats(db: &CachedConn, runs: &AtomicUsize) -> Result<Vec<(i32, u64)>, DbErr> {
    db.cached_as("article_stats", article::Entity::find())
        .timeout(2 * MINUTE)
        .get_or_load(|| async {
            runs.fetch_add(1, Ordering::Relaxed);
            let mut stats = Vec::new();
            for category in [1, 2] {
                let of = article::Entity::find().filter(article::Column::CategoryId.eq(category));
                stats.push((category, of.count(db).await?));
            }
            Ok(stats)
        })
        .await
}

#[tokio::test]
async fn a_function_is_invalidated_by_any_change_addition_or_deletion() {
    let w = World::new().await;
    let runs = AtomicUsize::new(0);
    let ran = || runs.swap(0, Ordering::Relaxed);
    let stats = || article_stats(&w.db, &runs);

    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 2), (2, 2)], 1));
    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 2), (2, 2)], 0));
    assert_eq!(minutes(&w), 2);
    let added = new_article(9, 1).insert(&w.db).await.unwrap();
    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 3), (2, 2)], 1));
    let mut changed = added.clone().into_active_model();
    changed.category_id = Set(Some(2));
    changed.update(&w.db).await.unwrap();
    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 2), (2, 3)], 1));
    added.delete(&w.db).await.unwrap();
    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 2), (2, 2)], 1));
    category::ActiveModel { id: Set(5), name: Set("new".into()) }.insert(&w.db).await.unwrap();
    assert_eq!((stats().await.unwrap(), ran()), (vec![(1, 2), (2, 2)], 0));
}

/// A local function: the sample depends on an argument, the key on another.
async fn articles_block(w: &World, category: i32, count: u64) -> Result<Vec<i32>, DbErr> {
    let articles = || article::Entity::find().filter(article::Column::CategoryId.eq(category));
    let block = w.db.cached_as("articles_block", articles()).extra(&count);
    block
        .get_or_load(|| async {
            let ordered = articles().order_by_asc(article::Column::Id).limit(count);
            Ok(ordered.all(&w.db).await?.into_iter().map(|article| article.id).collect())
        })
        .await
}

#[tokio::test]
async fn a_local_function_is_kept_by_its_sample_and_its_extras() {
    let w = World::new().await;

    assert_eq!(now_cached!(w, articles_block(&w, 1, 5)), [1, 2]);
    assert_eq!(now_cached!(w, articles_block(&w, 1, 1)), [1]);
    assert_eq!(now_cached!(w, articles_block(&w, 2, 5)), [3, 4]);
    // We also omitted timeout here, so a default for the model will be used.
    assert_eq!(minutes(&w), 60);

    new_article(9, 1).insert(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, articles_block(&w, 1, 5)), [1, 2, 9]);
    now_cached!(w, articles_block(&w, 1, 1));
    still_cached!(w, articles_block(&w, 2, 5));

    // article_stats.invalidate(...)
    let articles = article::Entity::find().filter(article::Column::CategoryId.eq(2));
    let block = w.db.cached_as("articles_block", articles);
    assert!(block.extra(&5_u64).invalidate().await.unwrap());
    now_cached!(w, articles_block(&w, 2, 5));
    still_cached!(w, articles_block(&w, 1, 5));
}

#[tokio::test]
async fn a_function_may_depend_on_several_queries_and_models() {
    let w = World::with(|server| {
        builder(server)
            .profile("article", Profile::new().timeout(30 * MINUTE))
            .profile("comment", Profile::new().timeout(10 * MINUTE))
            .forbid("tag")
    })
    .await;
    let stats = || {
        let public = article::Entity::find().filter(article::Column::Public.eq(true));
        let stats = w.db.cached_as("stats", public).and(comment::Entity::find());
        stats.get_or_load(|| async { comment::Entity::find().count(&w.db).await })
    };

    now_cached!(w, stats());
    assert_eq!(minutes(&w), 10, "the least of both");
    let private = article::ActiveModel { public: Set(false), ..new_article(9, 1) };
    private.insert(&w.db).await.unwrap();
    still_cached!(w, stats());
    new_article(10, 1).insert(&w.db).await.unwrap();
    now_cached!(w, stats());
    let new = comment::ActiveModel { id: Set(1), article_id: Set(1), text: Set("x".into()) };
    new.insert(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, stats()), 1);

    let forbidden = || {
        let stats = w.db.cached_as("tags", article::Entity::find()).and(tag::Entity::find());
        stats.get_or_load(|| async { Ok::<_, DbErr>(1) })
    };
    assert!(!w.hits(forbidden()).await.0);
    assert!(!w.hits(forbidden()).await.0, "a model that must not be cached");
}
