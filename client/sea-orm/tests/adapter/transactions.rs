//! Transactions: what they see, and when others hear of it.

use cacheops_sea_orm::{Cache, CachedConn, CachedTxn, Source};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    IsolationLevel, QueryFilter, TransactionTrait,
};

use crate::entities::article;
use crate::world::{World, new_article, now_cached, still_cached};

async fn titles<S: Source>(db: &S) -> Result<Vec<String>, DbErr> {
    let query = article::Entity::find().filter(article::Column::CategoryId.eq(1));
    Ok(query.cache().all(db).await?.into_iter().map(|row| row.title).collect())
}

async fn rename<C: sea_orm::ConnectionTrait>(db: &C, id: i32, title: &str) -> Result<(), DbErr> {
    let mut article = article::Entity::find_by_id(id).one(db).await?.unwrap().into_active_model();
    article.title = Set(title.into());
    article.update(db).await?;
    Ok(())
}

#[tokio::test]
async fn others_hear_of_it_after_the_commit_and_the_writer_sees_its_own() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));

    let tx = w.db.begin().await.unwrap();
    still_cached!(w, titles(&tx));
    rename(&tx, 1, "new").await.unwrap();
    assert_eq!(titles(&tx).await.unwrap()[0], "new");
    assert_eq!(still_cached!(w, titles(&w.db))[0], "article 1");
    tx.commit().await.unwrap();

    assert_eq!(now_cached!(w, titles(&w.db))[0], "new");
}

#[tokio::test]
async fn rolled_back_or_dropped_it_never_happened() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));

    let tx = w.db.begin().await.unwrap();
    rename(&tx, 1, "new").await.unwrap();
    tx.rollback().await.unwrap();
    let tx = w.db.begin().await.unwrap();
    rename(&tx, 1, "new").await.unwrap();
    assert_eq!(titles(&tx).await.unwrap()[0], "new");
    drop(tx);

    assert_eq!(still_cached!(w, titles(&w.db))[0], "article 1");
    assert_eq!(titles(&w.db).await.unwrap(), ["article 1", "article 2"]);
}

#[tokio::test]
async fn savepoints_give_their_changes_to_what_is_around_them_or_to_nobody() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));

    let tx = w.db.begin().await.unwrap();
    let undone = tx.begin().await.unwrap();
    rename(&undone, 1, "undone").await.unwrap();
    undone.rollback().await.unwrap();
    assert_eq!(titles(&tx).await.unwrap()[0], "article 1");
    let kept = tx.begin().await.unwrap();
    rename(&kept, 2, "kept").await.unwrap();
    kept.commit().await.unwrap();
    assert_eq!(titles(&tx).await.unwrap()[1], "kept");
    still_cached!(w, titles(&w.db));
    tx.commit().await.unwrap();

    assert_eq!(now_cached!(w, titles(&w.db)), ["article 1", "kept"]);
}

#[tokio::test]
async fn closures_commit_or_roll_back() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));
    fn renamed(
        tx: &CachedTxn,
        good: bool,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + '_>> {
        Box::pin(async move {
            rename(tx, 1, "new").await?;
            if good { Ok(()) } else { Err(DbErr::Custom("no".into())) }
        })
    }

    w.db.transaction(|tx| renamed(tx, false)).await.unwrap_err();
    still_cached!(w, titles(&w.db));
    let level = Some(IsolationLevel::Serializable);
    w.db.transaction_with_config(|tx| renamed(tx, true), level, None).await.unwrap();

    assert_eq!(now_cached!(w, titles(&w.db))[0], "new");
}

#[tokio::test]
async fn what_an_old_snapshot_sees_is_not_stored_after_a_newer_write() {
    let w = World::new().await;
    let reader = w.db.begin().await.unwrap();
    // The snapshot of the reader begins with its first statement.
    article::Entity::find_by_id(4).one(&reader).await.unwrap();

    rename(&w.db, 1, "new").await.unwrap();
    let seen = titles(&reader).await.unwrap();
    reader.commit().await.unwrap();

    assert_eq!(seen[0], "article 1");
    assert_eq!(w.co.stats().stores_refused, 1);
    assert_eq!(now_cached!(w, titles(&w.db))[0], "new");
}

#[tokio::test]
async fn a_clean_transaction_fills_for_others() {
    let w = World::new().await;
    let tx = w.db.begin().await.unwrap();
    now_cached!(w, titles(&tx));
    tx.commit().await.unwrap();

    still_cached!(w, titles(&w.db));
}

#[tokio::test]
async fn a_write_whose_future_is_dropped_is_told_with_the_commit() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));

    let tx = w.db.begin().await.unwrap();
    {
        let write = rename(&tx, 1, "new");
        let mut write = std::pin::pin!(write);
        // Polled until the statement is on its way, then forgotten.
        for _ in 0..10_000 {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(write.as_mut().poll(context).is_ready())
            });
            if polled.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    tx.commit().await.unwrap();

    // Whether the statement has run before it was forgotten is the database's to say.
    let row = article::Entity::find_by_id(1).one(w.db.inner()).await.unwrap().unwrap();
    assert_eq!(titles(&w.db).await.unwrap()[0], row.title);
}

#[tokio::test]
async fn nested_graphs_are_saved_in_one_transaction() {
    let w = World::new().await;
    now_cached!(w, titles(&w.db));
    async fn both(db: &CachedConn) -> Result<(), DbErr> {
        let tx = db.begin().await?;
        new_article(7, 1).insert(&tx).await?;
        new_article(8, 1).insert(&tx).await?;
        tx.commit().await
    }

    both(&w.db).await.unwrap();

    assert_eq!(now_cached!(w, titles(&w.db)).len(), 4);
}

#[tokio::test]
async fn what_is_written_behind_a_commit_by_hand_is_told_at_once() {
    let w = World::new().await;
    let by_id = |id| article::Entity::find_by_id(id).cache().one(&w.db);
    for id in [1, 2] {
        now_cached!(w, by_id(id));
    }

    let tx = w.db.begin().await.unwrap();
    tx.execute_unprepared("UPDATE article SET views = 1 WHERE id = 1").await.unwrap();
    tx.execute_unprepared("COMMIT").await.unwrap();
    assert_eq!(now_cached!(w, by_id(1)).unwrap().views, 1);
    tx.execute_unprepared("UPDATE article SET views = 2 WHERE id = 2").await.unwrap();
    // There is nothing left to take back.
    let _ = tx.rollback().await;

    assert_eq!(now_cached!(w, by_id(2)).unwrap().views, 2);
}
