//! Transactions and savepoints.

use crate::world::on_each_database;

on_each_database! {
    async fn changes_are_sent_after_the_commit(w) {
        w.warm().await;
        let mut tx = w.db.begin().await.unwrap();
        let insert = sql("INSERT INTO post (id, author, title) VALUES ($1, $2, $3)");
        sqlx::query(insert).bind(4_i64).bind(2_i64).bind("x").execute(&mut tx).await.unwrap();
        if !std::any::type_name::<Db>().contains("Sqlite") {
            assert_eq!(w.cached().await, [1, 2]);
        }
        // It sees its own row, and stores nothing of it.
        let (hit, posts) = w.hits(posts_of(2).fetch_all(&mut tx)).await;
        assert_eq!((hit, posts.unwrap().len()), (false, 2));
        tx.commit().await.unwrap();
        assert_eq!(w.cached().await, [1]);
        assert_eq!(w.posts(2).await.1, [3, 4]);
    }

    async fn what_is_rolled_back_or_dropped_is_not_sent(w) {
        for drops in [false, true] {
            w.warm().await;
            let mut tx = w.db.begin().await.unwrap();
            sqlx::query("DELETE FROM post WHERE author = 1").execute(&mut tx).await.unwrap();
            if drops {
                drop(tx);
            } else {
                tx.rollback().await.unwrap();
            }
            if !std::any::type_name::<Db>().contains("MySql") {
                assert_eq!(w.cached().await, [1, 2], "dropped: {drops}");
            }
            assert_eq!(w.posts(1).await.1, [1, 2]);
        }
    }

    async fn a_transaction_that_only_reads_uses_the_cache_and_fills_it(w) {
        assert_eq!(w.posts(1).await, (false, vec![1, 2]));
        let mut tx = w.db.begin().await.unwrap();
        assert!(w.hits(posts_of(1).fetch_all(&mut tx)).await.0);
        assert!(!w.hits(posts_of(2).fetch_all(&mut tx)).await.0);
        tx.commit().await.unwrap();
        assert_eq!(w.posts(2).await, (true, vec![3]));
    }

    async fn a_savepoint_that_is_rolled_back_takes_only_its_changes_with_it(w) {
        w.warm().await;
        let mut tx = w.db.begin().await.unwrap();
        let mut kept = tx.begin().await.unwrap();
        sqlx::query("DELETE FROM post WHERE id = 1").execute(&mut kept).await.unwrap();
        kept.commit().await.unwrap();
        let mut lost = tx.begin().await.unwrap();
        sqlx::query("DELETE FROM post WHERE id = 3").execute(&mut lost).await.unwrap();
        lost.rollback().await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((w.posts(1).await, w.posts(2).await.1), ((false, vec![2]), vec![3]));
    }

    async fn what_the_cache_cannot_see_ends_its_use(w) {
        w.warm().await;
        let mut tx = w.db.begin().await.unwrap();
        assert!(w.hits(posts_of(1).fetch_all(&mut tx)).await.0);
        sqlx::query("DELETE FROM post WHERE id = 1").execute(tx.inner()).await.unwrap();
        let (hit, posts) = w.hits(posts_of(1).fetch_all(&mut tx)).await;
        assert_eq!((hit, posts.unwrap().len()), (false, 1));
        tx.rollback().await.unwrap();
        assert_eq!(w.posts(1).await, (true, vec![1, 2]));
    }
}

/// Of a snapshot that is older than another transaction's commit, nothing is stored as new.
#[tokio::test]
async fn on_postgres_a_snapshot_stores_no_row_that_was_changed_since() {
    use crate::world::postgres::*;
    let Some(w) = world().await else { return };
    let mut old = w.db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    posts_of(2).fetch_all(&mut old).await.unwrap();
    sqlx::query("DELETE FROM post WHERE id = 1").execute(&w.db).await.unwrap();

    let (_, seen) = w.hits(posts_of(1).fetch_all(&mut old)).await;
    assert_eq!(seen.unwrap().len(), 2);
    old.commit().await.unwrap();

    assert_eq!(w.posts(1).await, (false, vec![2]));
}
