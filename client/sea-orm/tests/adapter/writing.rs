//! What each kind of write invalidates, and what it leaves alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cacheops_sea_orm::{Cache, CachedConn, Connect};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    ModelTrait, QueryFilter, QueryOrder, Statement,
};

use crate::entities::{article, article_tag, category, comment, tag};
use crate::world::{Warnings, World, new_article, now_cached, open, still_cached};

async fn of_category(db: &CachedConn, id: i32) -> Result<Vec<article::Model>, DbErr> {
    let query = article::Entity::find().filter(article::Column::CategoryId.eq(id));
    query.order_by_asc(article::Column::Id).cache().all(db).await
}

async fn by_id(db: &CachedConn, id: i32) -> Result<Option<article::Model>, DbErr> {
    article::Entity::find_by_id(id).cache().one(db).await
}

/// All that the tests look at is cached.
async fn warm() -> World {
    let w = World::new().await;
    for id in [1, 2] {
        now_cached!(w, of_category(&w.db, id));
    }
    for id in [1, 2, 3, 4] {
        now_cached!(w, by_id(&w.db, id));
    }
    w
}

#[tokio::test]
async fn insert_concerns_its_category_and_no_other_row() {
    let w = warm().await;
    let new = article::ActiveModel { id: NotSet, ..new_article(0, 1) };

    let new = new.insert(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 3);
    still_cached!(w, of_category(&w.db, 2));
    still_cached!(w, by_id(&w.db, 1));
    assert_eq!(now_cached!(w, by_id(&w.db, new.id)), Some(new));
}

#[tokio::test]
async fn insert_without_its_row_is_known_by_its_key() {
    let w = warm().await;
    let new = article::ActiveModel { id: NotSet, ..new_article(0, 1) };
    assert_eq!(now_cached!(w, by_id(&w.db, 5)), None);

    let inserted = article::Entity::insert(new).exec(&w.db).await.unwrap();

    assert_eq!(inserted.last_insert_id, 5);
    assert!(now_cached!(w, by_id(&w.db, 5)).is_some());
    now_cached!(w, of_category(&w.db, 1));
    still_cached!(w, of_category(&w.db, 2));
    still_cached!(w, by_id(&w.db, 1));

    let many = [6, 7].map(|id| article::ActiveModel { id: NotSet, ..new_article(id, 2) });
    article::Entity::insert_many(many).exec(&w.db).await.unwrap();
    still_cached!(w, of_category(&w.db, 1));
    still_cached!(w, by_id(&w.db, 1));
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 4);
    let many = [8, 9].map(|id| article::ActiveModel { id: NotSet, ..new_article(id, 2) });
    article::Entity::insert_many(many).exec_without_returning(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 6);
}

#[tokio::test]
async fn update_concerns_the_row_as_it_was_and_as_it_is() {
    let w = warm().await;
    let mut moved = by_id(&w.db, 1).await.unwrap().unwrap().into_active_model();
    moved.category_id = Set(Some(2));

    moved.update(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 1);
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 3);
    assert_eq!(now_cached!(w, by_id(&w.db, 1)).unwrap().category_id, Some(2));
    still_cached!(w, by_id(&w.db, 2));

    let mut renamed = by_id(&w.db, 4).await.unwrap().unwrap().into_active_model();
    renamed.title = Set("new".into());
    renamed.save(&w.db).await.unwrap();
    still_cached!(w, of_category(&w.db, 1));
    assert_eq!(now_cached!(w, of_category(&w.db, 2))[2].title, "new");
    still_cached!(w, by_id(&w.db, 3));
}

#[tokio::test]
async fn delete_concerns_its_row() {
    let w = warm().await;

    by_id(&w.db, 1).await.unwrap().unwrap().delete(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 1);
    assert_eq!(now_cached!(w, by_id(&w.db, 1)), None);
    still_cached!(w, of_category(&w.db, 2));
    still_cached!(w, by_id(&w.db, 2));

    let deleted = article::Entity::delete_by_id(3).exec(&w.db).await.unwrap();
    assert_eq!(deleted.rows_affected, 1);
    still_cached!(w, of_category(&w.db, 1));
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 1);
}

#[tokio::test]
async fn update_leaves_alone_what_depends_on_other_old_values() {
    async fn titled(db: &CachedConn, title: &str) -> Result<Vec<article::Model>, DbErr> {
        article::Entity::find().filter(article::Column::Title.eq(title)).cache().all(db).await
    }
    let w = warm().await;
    for title in ["article 1", "article 2", "new"] {
        now_cached!(w, titled(&w.db, title));
    }
    let mut renamed = by_id(&w.db, 1).await.unwrap().unwrap().into_active_model();
    renamed.title = Set("new".into());
    assert!(w.db.support_returning());

    // By RETURNING alone, the old title could have been any.
    renamed.update(&w.db).await.unwrap();

    still_cached!(w, titled(&w.db, "article 2"));
    still_cached!(w, of_category(&w.db, 2));
    assert_eq!(now_cached!(w, titled(&w.db, "article 1")).len(), 0);
    assert_eq!(now_cached!(w, titled(&w.db, "new")).len(), 1);

    let back = article::Entity::update_many()
        .col_expr(article::Column::Title, Expr::val("article 1"))
        .filter(article::Column::Id.is_in([1, 3]));
    assert_eq!(back.exec_with_returning(&w.db).await.unwrap().len(), 2);
    still_cached!(w, titled(&w.db, "article 2"));
    still_cached!(w, by_id(&w.db, 4));
    assert_eq!(now_cached!(w, titled(&w.db, "new")).len(), 0);
    assert_eq!(now_cached!(w, titled(&w.db, "article 1")).len(), 2);
}

#[tokio::test]
async fn update_or_replace_concerns_what_refers_to_the_row_in_its_way() {
    let w = warm().await;
    let comment = comment::ActiveModel { id: Set(1), article_id: Set(2), text: Set("b".into()) };
    comment.insert(&w.db).await.unwrap();
    let comments = || comment::Entity::find().cache().all(&w.db);
    assert_eq!(now_cached!(w, comments()).len(), 1);

    let sql = "UPDATE OR REPLACE article SET id = 2 WHERE id = 1";
    w.db.execute_unprepared(sql).await.unwrap();

    assert_eq!(now_cached!(w, comments()).len(), 0);
}

/// By a word, or by a comment before it: what refers to a row that is replaced goes with it.
#[tokio::test]
async fn replace_concerns_what_refers_to_the_row_in_its_way() {
    for verb in ["INSERT OR REPLACE", "REPLACE", "/* by hand */ REPLACE", "-- by hand\nREPLACE"] {
        let w = warm().await;
        let comment =
            comment::ActiveModel { id: Set(1), article_id: Set(2), text: Set("b".into()) };
        comment.insert(&w.db).await.unwrap();
        let comments = || comment::Entity::find().cache().all(&w.db);
        assert_eq!(now_cached!(w, comments()).len(), 1);

        let row = "2, 'new', 1, 0, 1, '', '2026-01-01T00:00:00Z'";
        let columns = "id, title, category_id, views, public, secret, created";
        let sql = format!("{verb} INTO article ({columns}) VALUES ({row})");
        w.db.execute_unprepared(&sql).await.unwrap();

        assert!(now_cached!(w, comments()).is_empty(), "{verb}");
    }
}

/// Rows too many to be read first are asked for once, not again within the transaction that was begun for them.
#[tokio::test]
async fn too_many_rows_are_asked_for_once() {
    let w = warm().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let mut connection = open(&w.dir, "blog.db").await;
    let count = Arc::clone(&asked);
    connection.set_metric_callback(move |info| {
        let before = info.statement.sql.contains("old_rows");
        count.fetch_add(usize::from(before), Ordering::SeqCst);
    });
    let db = w.co.connector().pre_select(2).connect(connection);

    let all = article::Entity::update_many().col_expr(article::Column::Views, Expr::val(0));
    assert_eq!(all.exec(&db).await.unwrap().rows_affected, 4);

    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0].views, 0);
}

#[tokio::test]
async fn mass_writes_are_precise_and_without_reading_first_they_are_still_right() {
    for pre_select in [256, 1, 0] {
        let w = warm().await;
        let connector = cacheops_sea_orm::Connect::connector(&w.co).pre_select(pre_select);
        let db = connector.connect(w.db.inner().clone());
        let views = Expr::col(article::Column::Views);

        let updated = article::Entity::update_many()
            .col_expr(article::Column::Views, sea_orm::sea_query::ExprTrait::add(views, 1))
            .filter(article::Column::Id.is_in([1, 2]))
            .exec(&db)
            .await
            .unwrap();

        assert_eq!(updated.rows_affected, 2);
        assert_eq!(now_cached!(w, of_category(&w.db, 1))[1].views, 21);
        if pre_select == 256 {
            still_cached!(w, of_category(&w.db, 2));
            still_cached!(w, by_id(&w.db, 3));
        }
        of_category(&w.db, 2).await.unwrap();

        let gone =
            article::Entity::delete_many().filter(article::Column::Views.gte(31)).exec(&db).await;
        assert_eq!(gone.unwrap().rows_affected, 1);
        assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 1);
        article::Entity::delete_many().exec(&db).await.unwrap();
        assert!(now_cached!(w, of_category(&w.db, 2)).is_empty());
        assert!(now_cached!(w, of_category(&w.db, 1)).is_empty());
    }
}

#[tokio::test]
async fn upserts_concern_the_row_that_was_there() {
    let w = warm().await;
    let conflict = || {
        OnConflict::column(article::Column::Id)
            .update_columns([article::Column::CategoryId, article::Column::Title])
            .to_owned()
    };

    article::Entity::insert(new_article(3, 1)).on_conflict(conflict()).exec(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 3);
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 1);
    assert_eq!(now_cached!(w, by_id(&w.db, 3)).unwrap().category_id, Some(1));
    article::Entity::insert(new_article(4, 1))
        .on_conflict(conflict())
        .exec_with_returning(&w.db)
        .await
        .unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 4);
    still_cached!(w, by_id(&w.db, 3));
}

#[tokio::test]
async fn raw_statements_definitions_and_scripts_are_seen() {
    let w = warm().await;
    let raw = |sql: &str| Statement::from_string(DbBackend::Sqlite, sql);

    w.db.execute_raw(raw("UPDATE article SET title = 'raw' WHERE category_id = 1")).await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1))[0].title, "raw");
    let sql = "DELETE FROM article WHERE id = 3 RETURNING *";
    assert!(w.db.query_one_raw(raw(sql)).await.unwrap().is_some());
    still_cached!(w, of_category(&w.db, 1));
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 1);
    let sql = "UPDATE article SET views = 0; DELETE FROM article WHERE id = 1;";
    w.db.execute_unprepared(sql).await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 1)).len(), 1);
    w.db.execute_unprepared("ALTER TABLE article RENAME COLUMN secret TO hidden").await.unwrap();
    assert!(of_category(&w.db, 1).await.is_err());
}

#[tokio::test]
async fn a_write_that_fails_concerns_no_more_than_it_says() {
    let w = warm().await;

    let again = article::Entity::insert(new_article(1, 2)).exec(&w.db).await;

    assert!(again.is_err());
    still_cached!(w, of_category(&w.db, 1));
    still_cached!(w, by_id(&w.db, 3));
}

#[tokio::test]
async fn rows_that_the_database_deletes_by_itself_are_invalidated() {
    let w = warm().await;
    let text = |text: &str| Set(text.to_owned());
    for (id, article) in [(1, 1), (2, 1), (3, 3)] {
        let new =
            comment::ActiveModel { id: Set(id), article_id: Set(article), text: text("fine") };
        comment::Entity::insert(new).exec(&w.db).await.unwrap();
    }
    let comments = |article: i32| {
        comment::Entity::find().filter(comment::Column::ArticleId.eq(article)).cache().all(&w.db)
    };
    now_cached!(w, comments(1));
    now_cached!(w, comments(3));
    let orphans =
        || article::Entity::find().filter(article::Column::CategoryId.is_null()).cache().all(&w.db);
    now_cached!(w, orphans());

    article::Entity::delete_by_id(1).exec(&w.db).await.unwrap();
    assert!(now_cached!(w, comments(1)).is_empty());
    still_cached!(w, comments(3));
    now_cached!(w, of_category(&w.db, 1));

    category::Entity::delete_by_id(2).exec(&w.db).await.unwrap();
    assert!(now_cached!(w, of_category(&w.db, 2)).is_empty());
    assert_eq!(now_cached!(w, orphans()).len(), 2);
    still_cached!(w, of_category(&w.db, 1));
}

#[tokio::test]
async fn many_to_many_goes_through_the_table_between() {
    let w = warm().await;
    let tags = ["rust", "sql"].map(|slug| tag::ActiveModel { slug: Set(slug.into()) });
    tag::Entity::insert_many(tags).exec_without_returning(&w.db).await.unwrap();
    let one = by_id(&w.db, 1).await.unwrap().unwrap();
    let two = by_id(&w.db, 2).await.unwrap().unwrap();
    let tags_of = |article: &article::Model| article.find_related(tag::Entity).cache().all(&w.db);
    assert!(now_cached!(w, tags_of(&one)).is_empty());
    assert!(now_cached!(w, tags_of(&two)).is_empty());

    let link = article_tag::ActiveModel { article_id: Set(1), tag: Set("rust".into()) };
    article_tag::Entity::insert(link).exec(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, tags_of(&one)).len(), 1);
    still_cached!(w, tags_of(&two));
}

#[tokio::test]
async fn invalidation_by_hand_and_its_absence() {
    let w = warm().await;
    let article = by_id(&w.db, 1).await.unwrap().unwrap();

    w.db.invalidate_obj(&article).await.unwrap();
    now_cached!(w, of_category(&w.db, 1));
    still_cached!(w, of_category(&w.db, 2));
    w.db.invalidate_model::<article::Entity>().await.unwrap();
    now_cached!(w, of_category(&w.db, 2));
    now_cached!(w, of_category(&w.db, 1));

    let silent = w.db.without_invalidation();
    article::Entity::delete_by_id(2).exec(&silent).await.unwrap();
    assert_eq!(still_cached!(w, of_category(&w.db, 1)).len(), 2);
    w.co.no_invalidation(article::Entity::delete_by_id(3).exec(&w.db)).await.unwrap();
    still_cached!(w, of_category(&w.db, 2));
    w.co.invalidate_all().await.unwrap();
    assert_eq!(now_cached!(w, of_category(&w.db, 2)).len(), 1);
}

#[tokio::test]
async fn a_write_beside_the_cache_is_warned_of_once() {
    let w = World::new().await;
    let db = cacheops_sea_orm::Connect::connector(&w.co)
        .watch_bypass()
        .connect(crate::world::open(&w.dir, "blog.db").await);
    let warnings = Warnings::of("cacheops_sea_orm::bypass");

    article::Entity::delete_by_id(1).exec(&db).await.unwrap();
    by_id(&db, 2).await.unwrap();
    article::Entity::find().all(db.inner()).await.unwrap();
    assert_eq!(warnings.seen(), 0);
    article::Entity::delete_by_id(2).exec(db.inner()).await.unwrap();
    article::Entity::delete_by_id(3).exec(db.inner()).await.unwrap();
    assert_eq!(warnings.seen(), 1);
}
