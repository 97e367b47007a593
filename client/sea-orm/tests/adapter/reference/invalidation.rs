//! "Invalidation", "Simple time-invalidated cache" and "Keeping stats".

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cacheops_sea_orm::cacheops::{Invalidated, ReadOutcome};
use cacheops_sea_orm::{Cache, CachedConn};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, ModelTrait, QueryFilter,
    QueryOrder,
};

use crate::entities::{article, article_tag, category, tag};
use crate::world::{World, builder, new_article, now_cached, still_cached};

async fn of_category(db: &CachedConn, id: i32) -> Result<Vec<String>, DbErr> {
    let query = article::Entity::find().filter(article::Column::CategoryId.eq(id));
    let rows = query.order_by_asc(article::Column::Id).cache().all(db).await?;
    Ok(rows.into_iter().map(|row| row.title).collect())
}

/// Renames an article where nobody hears of it.
async fn rename(w: &World, id: i32) -> article::Model {
    let mut article =
        article::Entity::find_by_id(id).one(&w.db).await.unwrap().unwrap().into_active_model();
    article.title = Set("renamed".into());
    article.update(w.db.inner()).await.unwrap()
}

#[tokio::test]
async fn by_object_by_model_and_all() {
    let w = World::new().await;
    let categories = || category::Entity::find().cache().all(&w.db);
    let warm = async || {
        of_category(&w.db, 1).await.unwrap();
        of_category(&w.db, 2).await.unwrap();
        categories().await.unwrap();
    };

    warm().await;
    let article = rename(&w, 1).await;
    assert_eq!(still_cached!(w, of_category(&w.db, 1))[0], "article 1");
    w.db.invalidate_obj(&article).await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0], "renamed");
    still_cached!(w, of_category(&w.db, 2));

    w.db.invalidate_model::<article::Entity>().await.unwrap();
    now_cached!(w, of_category(&w.db, 1));
    now_cached!(w, of_category(&w.db, 2));
    still_cached!(w, categories());

    w.co.invalidate_all().await.unwrap();
    now_cached!(w, of_category(&w.db, 1));
    now_cached!(w, categories());
}

/// `./manage.py invalidate articles.Article.34` and its like: one command of the server, from any language.
#[tokio::test]
async fn from_the_command_line() {
    let w = World::new().await;
    let mut con = w._server.connect();
    w._server.connect().ok("SET other 1");
    now_cached!(w, of_category(&w.db, 1));
    now_cached!(w, of_category(&w.db, 2));

    let article = rename(&w, 1).await;
    assert_eq!(con.invalidate(&format!("article id={}&category_id=1", article.id)), 1);
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0], "renamed");
    still_cached!(w, of_category(&w.db, 2));
    con.invalidate("article *");
    now_cached!(w, of_category(&w.db, 2));
    con.ok("CACHEOPS.FLUSH");
    now_cached!(w, of_category(&w.db, 2));
    assert_eq!(con.text("GET other").as_deref(), Some("1"), "not the other keys of the database");
}

#[tokio::test]
async fn turned_off_for_a_while_and_postponed() {
    let w = World::new().await;
    let change = async |db: &CachedConn, title: &str| {
        let mut article =
            article::Entity::find_by_id(1).one(db).await?.unwrap().into_active_model();
        article.title = Set(title.into());
        article.update(db).await
    };
    now_cached!(w, of_category(&w.db, 1));

    // with no_invalidation: obj.save()
    w.co.no_invalidation(change(&w.db, "in a scope")).await.unwrap();
    change(&w.db.without_invalidation(), "by a handle").await.unwrap();
    assert_eq!(still_cached!(w, of_category(&w.db, 1))[0], "article 1");

    // try: with no_invalidation: ... finally: invalidate_obj(...)
    let changed = w.co.no_invalidation(change(&w.db, "postponed")).await.unwrap();
    w.db.invalidate_obj(&changed).await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0], "postponed");

    // What comes after is told again.
    change(&w.db, "after").await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0], "after");
}

/// There `qs.update()` invalidates nothing and `qs.invalidated_update()` does; here each update is one of the second.
#[tokio::test]
async fn mass_updates_invalidate_what_they_change() {
    let w = World::new().await;
    now_cached!(w, of_category(&w.db, 1));
    now_cached!(w, of_category(&w.db, 2));

    article::Entity::update_many()
        .col_expr(article::Column::Title, Expr::value("mass"))
        .filter(article::Column::Views.lte(20))
        .exec(&w.db)
        .await
        .unwrap();

    assert_eq!(now_cached!(w, of_category(&w.db, 1)), ["mass", "mass"]);
    still_cached!(w, of_category(&w.db, 2));
}

#[tokio::test]
async fn many_to_many_changes_too() {
    let w = World::new().await;
    tag::ActiveModel { slug: Set("rust".into()) }.insert(&w.db).await.unwrap();
    let article = article::Entity::find_by_id(1).one(&w.db).await.unwrap().unwrap();
    let tags = || article.find_related(tag::Entity).cache().all(&w.db);
    assert!(now_cached!(w, tags()).is_empty());

    let link = article_tag::ActiveModel { article_id: Set(2), tag: Set("rust".into()) };
    let other = link.insert(&w.db).await.unwrap();
    assert!(still_cached!(w, tags()).is_empty());
    let link = article_tag::ActiveModel { article_id: Set(1), tag: Set("rust".into()) };
    let link = link.insert(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, tags()).len(), 1);
    other.delete(&w.db).await.unwrap();
    still_cached!(w, tags());
    link.delete(&w.db).await.unwrap();
    assert!(now_cached!(w, tags()).is_empty());
}

/// `@cached(timeout=...)`, its `invalidate` and `key(...).set(...)`, and `cache.get/set/delete`.
#[tokio::test]
async fn values_by_time_alone() {
    let w = World::new().await;
    let hour = Duration::from_secs(3600);
    let top = |category: i32| w.co.cached("top_articles", hour).extra(&category);
    let call = async |category: i32, value: u32| {
        let top = top(category).get_or_load(|| async { Ok::<_, std::convert::Infallible>(value) });
        top.await.unwrap()
    };

    assert_eq!((call(1, 10).await, call(2, 20).await), (10, 20));
    new_article(9, 1).insert(&w.db).await.unwrap();
    assert_eq!((call(1, 11).await, call(2, 21).await), (10, 20));
    assert!(top(1).invalidate().await.unwrap());
    assert_eq!((call(1, 12).await, call(2, 22).await), (12, 20));
    w.co.cache().set(top(1).whole_key(), &13_u32, hour).await.unwrap();
    assert_eq!(call(1, 14).await, 13);

    let cache = w.co.cache();
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
    cache.set("key", &"data".to_owned(), hour).await.unwrap();
    assert_eq!(cache.get::<String>("key").await.unwrap().as_deref(), Some("data"));
    cache.delete("key").await.unwrap();
    assert_eq!(cache.get::<String>("key").await.unwrap(), None);
}

#[tokio::test]
async fn reads_and_invalidations_can_be_heard() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (reads, changes) = (Arc::clone(&heard), Arc::clone(&heard));
    let w = World::with(|server| {
        builder(server)
            .on_read(move |event| {
                let hit = event.outcome == ReadOutcome::Hit;
                let table = event.deps.iter().next().unwrap().0.to_vec();
                let table = String::from_utf8(table).unwrap();
                reads.lock().unwrap().push(format!("{} {table} {hit}", event.op));
            })
            .on_invalidate(move |event| {
                assert!(matches!(event.outcome, Invalidated::Confirmed(_)));
                let tables =
                    event.changes.tables().map(String::from_utf8_lossy).collect::<Vec<_>>();
                let rows = event.changes.rows();
                changes.lock().unwrap().push(format!("{} {rows}", tables.join(",")));
            })
    })
    .await;
    heard.lock().unwrap().clear();

    of_category(&w.db, 1).await.unwrap();
    of_category(&w.db, 1).await.unwrap();
    // Once for each create or delete.
    let new = new_article(9, 1).insert(&w.db).await.unwrap();
    new.delete(&w.db).await.unwrap();
    // The old and the new row.
    article::Entity::update_many()
        .col_expr(article::Column::CategoryId, Expr::value(2))
        .filter(article::Column::Id.eq(1))
        .exec(&w.db)
        .await
        .unwrap();
    w.db.invalidate_model::<article::Entity>().await.unwrap();

    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard[..2], ["fetch article false", "fetch article true"]);
    assert_eq!(heard[2], "article 1");
    assert!(
        heard[3].starts_with("article"),
        "the deleted row, and what falls with it: {}",
        heard[3]
    );
    assert_eq!(heard[4..], ["article 2", "article 1"]);
}
