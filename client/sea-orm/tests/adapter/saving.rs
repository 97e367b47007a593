//! `cache_on_save`: a saved row is in the cache for who asks for it next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cacheops_sea_orm::cacheops::CacheOnSave;
use cacheops_sea_orm::{Cache, Cacheops, Connect, Objects, Ops, Profile};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, ModelTrait, QueryFilter,
    TransactionTrait,
};

use crate::entities::{article, category};
use crate::world::{World, builder, new_article, now_cached, open, still_cached};

async fn world(by: CacheOnSave) -> World {
    let profile = Profile::new().ops(Ops::ALL).cache_on_save(by);
    World::with(|server| builder(server).profile("*", profile)).await
}

fn without_id(category: i32) -> article::ActiveModel {
    article::ActiveModel { id: NotSet, ..new_article(5, category) }
}

#[tokio::test]
async fn a_saved_row_is_there_for_who_asks_by_its_key() {
    let w = world(CacheOnSave::PrimaryKey).await;
    let by_id = |id| article::Entity::find_by_id(id).cache().one(&w.db);
    let filtered = |id| article::Entity::objects().filter(article::Column::Id.eq(id)).get(&w.db);

    let saved = without_id(1).insert(&w.db).await.unwrap();
    assert_eq!(still_cached!(w, by_id(saved.id)), Some(saved.clone()));
    assert_eq!(still_cached!(w, filtered(saved.id)), saved);

    let mut changed = saved.into_active_model();
    changed.title = Set("changed".into());
    let changed = changed.update(&w.db).await.unwrap();
    assert_eq!(still_cached!(w, filtered(changed.id)), changed);
    let mut again = changed.clone().into_active_model();
    again.category_id = Set(None);
    again.save(&w.db).await.unwrap();
    assert_eq!(still_cached!(w, filtered(changed.id)).category_id, None);

    changed.delete(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, by_id(5)), None);
    // Mass writes store nothing, nor what is not registered.
    article::Entity::insert(new_article(9, 1)).exec_without_returning(&w.db).await.unwrap();
    now_cached!(w, by_id(9));
    let new = category::ActiveModel { id: Set(9), name: Set("new".into()) };
    new.insert(&w.db).await.unwrap();
    now_cached!(w, category::Entity::find_by_id(9).cache().one(&w.db));
}

#[tokio::test]
async fn or_by_another_field() {
    let w = world(CacheOnSave::Field("title".into())).await;
    let titled =
        |title| article::Entity::find().filter(article::Column::Title.eq(title)).cache().one(&w.db);

    let saved = without_id(1).insert(&w.db).await.unwrap();

    assert_eq!(still_cached!(w, titled("article 5")), Some(saved.clone()));
    now_cached!(w, article::Entity::find_by_id(saved.id).cache().one(&w.db));
}

#[tokio::test]
async fn in_a_transaction_it_waits_for_the_commit() {
    let w = world(CacheOnSave::PrimaryKey).await;
    let by_id = |id| article::Entity::find_by_id(id).cache().one(&w.db);

    let tx = w.db.begin().await.unwrap();
    let saved = without_id(1).insert(&tx).await.unwrap();
    let undone = tx.begin().await.unwrap();
    article::ActiveModel { id: Set(6), ..without_id(1) }.insert(&undone).await.unwrap();
    undone.rollback().await.unwrap();
    let stores = w.co.stats().stores;
    tx.commit().await.unwrap();
    assert!(w.co.stats().stores > stores);
    assert_eq!(still_cached!(w, by_id(saved.id)), Some(saved));
    assert_eq!(by_id(6).await.unwrap(), None);

    let tx = w.db.begin().await.unwrap();
    article::ActiveModel { id: Set(7), ..without_id(1) }.insert(&tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(now_cached!(w, by_id(7)), None);
}

#[tokio::test]
async fn a_handle_that_does_not_invalidate_stores_nothing_either() {
    let w = world(CacheOnSave::PrimaryKey).await;
    let stores = w.co.stats().stores;

    without_id(1).insert(&w.db.without_invalidation()).await.unwrap();

    assert_eq!(w.co.stats().stores, stores);
}

/// Writes to a row as another process does, and comes back when this is confirmed.
fn another_writes(port: u16, path: std::path::PathBuf) {
    let write = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let builder = Cacheops::builder(format!("redis://127.0.0.1:{port}/"));
            let co =
                builder.response_timeout(support::deadline()).strict(true).build().await.unwrap();
            let url = format!("sqlite://{}", path.display());
            let db = co.connect(sea_orm::Database::connect(url).await.unwrap());
            titled("of another").update(&db).await.unwrap();
        });
    });
    write.join().unwrap();
}

fn titled(title: &str) -> article::ActiveModel {
    article::ActiveModel { id: Set(1), title: Set(title.into()), ..Default::default() }
}

/// The row is read again after the invalidation. Between this read and the store, another process writes.
#[tokio::test]
async fn a_write_before_the_store_is_never_hidden_by_the_row_that_was_saved() {
    let w = world(CacheOnSave::PrimaryKey).await;
    let armed = Arc::new(AtomicBool::new(false));
    let mut connection = open(&w.dir, "blog.db").await;
    connection.set_metric_callback({
        let (armed, port) = (Arc::clone(&armed), w._server.port());
        let path = w.dir.path().join("blog.db");
        move |info| {
            // Not the rows before the write.
            let sql = &info.statement.sql;
            let reads_again = sql.starts_with("SELECT") && !sql.contains("old_rows");
            if reads_again && armed.swap(false, Ordering::SeqCst) {
                another_writes(port, path.clone());
            }
        }
    });
    let db = w.co.connector().model::<article::Entity>().connect(connection);
    let by_id = || article::Entity::find_by_id(1).cache().get(&db);

    for in_transaction in [false, true] {
        by_id().await.unwrap();
        let refused = w.co.stats().stores_refused;
        if in_transaction {
            let tx = db.begin().await.unwrap();
            titled("ours").update(&tx).await.unwrap();
            armed.store(true, Ordering::SeqCst);
            tx.commit().await.unwrap();
        } else {
            armed.store(true, Ordering::SeqCst);
            titled("ours").update(&db).await.unwrap();
        }

        assert!(!armed.load(Ordering::SeqCst), "the row was read again");
        assert_eq!(w.co.stats().stores_refused, refused + 1);
        assert_eq!(now_cached!(w, by_id()).title, "of another");
    }
}

/// Between the invalidation and the read, another process writes: its row is the one that is stored.
#[tokio::test]
async fn a_write_before_the_row_is_read_again_is_what_is_stored() {
    let armed = Arc::new(AtomicBool::new(false));
    let place = Arc::new(std::sync::OnceLock::<(u16, std::path::PathBuf)>::new());
    let profile = Profile::new().ops(Ops::ALL).cache_on_save(CacheOnSave::PrimaryKey);
    let w = World::with(|server| {
        let (armed, place) = (Arc::clone(&armed), Arc::clone(&place));
        builder(server).profile("*", profile).on_invalidate(move |_| {
            if armed.swap(false, Ordering::SeqCst) {
                let (port, path) = place.get().unwrap().clone();
                another_writes(port, path);
            }
        })
    })
    .await;
    place.set((w._server.port(), w.dir.path().join("blog.db"))).unwrap();

    armed.store(true, Ordering::SeqCst);
    titled("ours").update(&w.db).await.unwrap();

    assert!(!armed.load(Ordering::SeqCst));
    let stored = still_cached!(w, article::Entity::find_by_id(1).cache().get(&w.db));
    assert_eq!(stored.title, "of another");
}
