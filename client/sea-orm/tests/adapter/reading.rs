//! What a query can be asked through the cache.

use std::time::Duration;

use cacheops_sea_orm::{Cache, Cacheops, Connect, Objects, Ops, Profile};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};

use crate::entities::{article, category};
use crate::world::{World, builder, everything, new_article, now_cached, open, still_cached};

fn in_category(id: i32) -> sea_orm::Select<article::Entity> {
    article::Entity::find()
        .filter(article::Column::CategoryId.eq(id))
        .order_by_asc(article::Column::Id)
}

#[tokio::test]
async fn a_result_comes_back_whole_also_what_serde_does_not_see() {
    let w = World::new().await;

    let rows = now_cached!(w, in_category(1).cache().all(&w.db));

    assert_eq!(rows, in_category(1).all(&w.db).await.unwrap());
    assert_eq!(rows[0].secret, "secret 1");
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn builders_work_behind_cache_too_and_each_question_has_its_own_entry() {
    let w = World::new().await;
    let cached = || article::Entity::find().cache().filter(article::Column::CategoryId.eq(1));

    let one = now_cached!(w, cached().order_by_desc(article::Column::Id).one(&w.db)).unwrap();
    assert_eq!(one.id, 2);
    let two = now_cached!(w, cached().order_by_asc(article::Column::Id).limit(1).all(&w.db));
    assert_eq!(two[0].id, 1);
    assert_eq!(now_cached!(w, cached().count(&w.db)), 2);
    assert!(now_cached!(w, cached().exists(&w.db)));
    assert!(!now_cached!(w, cached().filter(article::Column::Id.eq(9)).exists(&w.db)));
    let views = || Expr::col(article::Column::Views);
    let sum: Option<i64> =
        now_cached!(w, cached().aggregate(views().sum().cast_as("BIGINT"), &w.db));
    assert_eq!(sum, Some(30));
    let most: Option<i64> = now_cached!(w, cached().aggregate(views().max(), &w.db));
    assert_eq!(most, Some(20));
    assert_eq!(now_cached!(w, cached().filter(article::Column::Id.eq(2)).get(&w.db)).id, 2);
    let missing = cached().filter(article::Column::Id.eq(9)).get(&w.db).await;
    assert!(matches!(missing, Err(DbErr::RecordNotFound(_))));
}

#[tokio::test]
async fn pages_are_cached_one_by_one() {
    let w = World::new().await;
    let pages =
        || article::Entity::find().order_by_asc(article::Column::Id).cache().paginate(&w.db, 3);

    let first = now_cached!(w, pages().fetch_page(0));
    let second = now_cached!(w, pages().fetch_page(1));
    assert_eq!((first.len(), second.len()), (3, 1));
    assert_eq!(now_cached!(w, pages().num_items()), 4);
    assert_eq!(pages().num_pages().await.unwrap(), 2);
    let mut walk = pages();
    assert_eq!(walk.fetch_and_next().await.unwrap(), Some(first));
    assert_eq!(walk.fetch_and_next().await.unwrap(), Some(second));
    assert_eq!(walk.fetch_and_next().await.unwrap(), None);
}

#[tokio::test]
async fn related_rows_belong_to_the_result_and_invalidate_it() {
    let w = World::new().await;
    let with_category = || {
        article::Entity::find()
            .find_also_related(category::Entity)
            .order_by_asc(article::Column::Id)
    };
    let with_articles = || {
        category::Entity::find()
            .find_with_related(article::Entity)
            .order_by_asc(category::Column::Id)
    };

    let rows = now_cached!(w, with_category().cache().all(&w.db));
    assert_eq!(rows[3].1.as_ref().unwrap().name, "art");
    let groups = now_cached!(w, with_articles().cache().all(&w.db));
    assert_eq!(groups, with_articles().all(&w.db).await.unwrap());
    assert_eq!(groups[0].1.len(), 2);

    category::Entity::update_many()
        .col_expr(category::Column::Name, Expr::value("fine art"))
        .filter(category::Column::Id.eq(2))
        .exec(&w.db)
        .await
        .unwrap();

    let rows = now_cached!(w, with_category().cache().all(&w.db));
    assert_eq!(rows[3].1.as_ref().unwrap().name, "fine art");
    assert_eq!(now_cached!(w, with_articles().cache().all(&w.db))[1].0.name, "fine art");
}

#[derive(Clone, Debug, PartialEq, FromQueryResult, serde::Serialize, serde::Deserialize)]
struct Short {
    id: i32,
    title: String,
}

#[tokio::test]
async fn other_types_tuples_json_and_raw_statements_are_cached() {
    let w = World::new().await;
    let short =
        || in_category(1).select_only().columns([article::Column::Id, article::Column::Title]);
    let raw = || {
        let sql = "SELECT id, title FROM article WHERE category_id = ? ORDER BY id";
        article::Entity::find()
            .from_raw_sql(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [1.into()]))
            .into_model::<Short>()
    };

    let models = now_cached!(w, short().into_model::<Short>().cache().all(&w.db));
    assert_eq!(models[1].title, "article 2");
    let tuples = now_cached!(w, short().cache().into_tuple::<(i32, String)>().all(&w.db));
    assert_eq!(tuples[1], (2, "article 2".to_owned()));
    let first = now_cached!(w, short().into_model::<Short>().cache().one(&w.db));
    assert_eq!(first.as_ref(), Some(&models[0]));
    let json = now_cached!(w, short().into_json().cache().all(&w.db));
    assert_eq!(json[0]["title"], "article 1");
    assert_eq!(now_cached!(w, raw().cache().all(&w.db)), models);

    article::Entity::insert(new_article(5, 1)).exec(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, raw().cache().all(&w.db)).len(), 3);
    assert_eq!(now_cached!(w, short().into_json().cache().all(&w.db)).len(), 3);
}

#[tokio::test]
async fn the_profile_decides_for_objects_and_cache_insists() {
    let profiles = |server: &support::Server| {
        builder(server)
            .profile(
                "article",
                Profile::new().ops(Ops::GET | Ops::COUNT).timeout(Duration::from_secs(60)),
            )
            .forbid("category")
    };
    let w = World::with(profiles).await;
    let objects = || article::Entity::objects().filter(article::Column::CategoryId.eq(1));

    now_cached!(w, objects().one(&w.db));
    now_cached!(w, objects().count(&w.db));
    for _ in 0..2 {
        assert!(!w.hits(objects().all(&w.db)).await.0);
        assert!(!w.hits(category::Entity::find().cache().all(&w.db)).await.0);
        assert!(!w.hits(objects().nocache().count(&w.db)).await.0);
        assert!(!w.hits(objects().ops(Ops::FETCH).count(&w.db)).await.0);
    }
    now_cached!(w, objects().ops(Ops::FETCH).lock(true).timeout(Duration::from_secs(5)).all(&w.db));
    now_cached!(w, article::Entity::find().cache().all(&w.db));
}

#[tokio::test]
async fn what_cannot_be_cached_runs_as_without() {
    let w = World::new().await;
    let random = || article::Entity::find().order_by_asc(Expr::cust("random()")).cache();

    for _ in 0..2 {
        let (hit, rows) = w.hits(random().all(&w.db)).await;
        assert!(!hit);
        assert_eq!(rows.unwrap().len(), 4);
    }
    assert_eq!(w.co.stats().stores, 0);
}

#[tokio::test]
async fn databases_and_prefixes_do_not_share_results_unless_told_to() {
    let w = World::with(everything).await;
    let connection = open(&w.dir, "other.db").await;
    sea_orm::ConnectionTrait::execute_unprepared(&connection, crate::entities::TABLES)
        .await
        .unwrap();
    let other = w.co.connect(connection);

    assert_eq!(now_cached!(w, article::Entity::objects().count(&w.db)), 4);
    assert_eq!(now_cached!(w, article::Entity::objects().count(&other)), 0);
    article::Entity::insert(new_article(1, 1)).exec(&other).await.err(); // no such category, no foreign key
    assert_eq!(article::Entity::objects().count(&w.db).await.unwrap(), 4);

    let tenant = |co: &Cacheops| co.connector().name("tenants");
    let first = tenant(&w.co).connect(w.db.inner().clone());
    let second = tenant(&w.co).connect(w.db.inner().clone());
    now_cached!(w, article::Entity::objects().all(&first));
    still_cached!(w, article::Entity::objects().all(&second));
}
