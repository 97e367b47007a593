//! Writes outside of transactions.

use std::time::Duration;

use cacheops_sqlx::{Action, Connect, ForeignKey};
use futures_util::TryStreamExt;
use sqlx::Executor;

use crate::world::on_each_database;

on_each_database! {
    async fn a_write_invalidates_what_it_changes_and_no_more(w) {
        w.warm().await;
        w.insert(4, 2).await;
        assert_eq!(w.cached().await, [1], "an insert");
        assert_eq!(w.posts(2).await.1, [3, 4]);

        let update = sql("UPDATE post SET title = $1 WHERE id = $2");
        sqlx::query(update).bind("new").bind(1_i64).execute(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [2], "an update by key");

        w.warm().await;
        let delete = sql("DELETE FROM post WHERE id = $1");
        let done = sqlx::query(delete).bind(4_i64).execute(&w.db).await.unwrap();
        assert_eq!((done.rows_affected(), w.cached().await), (1, vec![1]), "a delete by key");
        assert_eq!(w.posts(2).await.1, [3]);
    }

    async fn a_row_that_moves_is_invalidated_where_it_was_and_where_it_is(w) {
        w.insert(5, 3).await;
        w.warm().await;
        w.posts(3).await;
        let update = sql("UPDATE post SET author = $1 WHERE id = $2");
        sqlx::query(update).bind(2_i64).bind(1_i64).execute(&w.db).await.unwrap();
        assert_eq!((w.posts(3).await, w.cached().await), ((true, vec![5]), vec![]));
        assert_eq!((w.posts(1).await.1, w.posts(2).await.1), (vec![2], vec![1, 3]));
    }

    async fn a_write_through_any_method_of_an_executor_is_seen(w) {
        let text = || sql("UPDATE post SET note = $1 WHERE author = $2");
        w.warm().await;
        (&w.db).execute(sqlx::query(text()).bind("a").bind(1_i64)).await.unwrap();
        assert_eq!(w.cached().await, [2], "execute");
        w.warm().await;
        sqlx::query(text()).bind("b").bind(1_i64).fetch_all(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [2], "fetch_all");
        w.warm().await;
        sqlx::query(text()).bind("c").bind(1_i64).fetch_optional(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [2], "fetch_optional");
        w.warm().await;
        let stream = sqlx::query(text()).bind("d").bind(1_i64).fetch(&w.db);
        stream.try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(w.cached().await, [2], "fetch");
        w.warm().await;
        sqlx::raw_sql("UPDATE post SET note = 'e' WHERE author = 1").execute(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [2], "a text without parameters");
        w.warm().await;
        sqlx::raw_sql("UPDATE post SET note = 'f' WHERE author = 1; UPDATE post SET note = 'f' WHERE author = 2")
            .execute(&w.db)
            .await
            .unwrap();
        assert!(w.cached().await.is_empty(), "two statements");
        w.warm().await;
        (&w.db).execute("DROP TABLE numbered").await.unwrap();
        assert!(w.cached().await.len() <= 2, "a definition");
    }

    async fn values_of_every_kind_are_seen(w) {
        let text = "it's a \"post\" \\ with é and \n";
        w.warm().await;
        let insert = sql("INSERT INTO post (id, author, title, note) VALUES ($1, $2, $3, $4)");
        let insert = sqlx::query(insert).bind(7_i64).bind(2_i64).bind(text).bind(None::<String>);
        insert.execute(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [1]);

        let by_title = || {
            let select = sql("SELECT id FROM post WHERE title = $1");
            cacheops_sqlx::Cache::cached(sqlx::query_scalar::<Db, i64>(select).bind(text))
        };
        for hit in [false, true] {
            let (was_hit, ids) = w.hits(by_title().fetch_all(&w.db)).await;
            assert_eq!((was_hit, ids.unwrap()), (hit, vec![7]));
        }
        w.insert(8, 1).await;
        assert!(w.hits(by_title().fetch_all(&w.db)).await.0, "another title");
        let update = sql("UPDATE post SET note = 'x' WHERE title = $1");
        sqlx::query(update).bind(text).execute(&w.db).await.unwrap();
        assert!(!w.hits(by_title().fetch_all(&w.db)).await.0, "this title");
    }

    async fn a_failed_write_leaves_the_cache_as_it_must_be(w) {
        w.warm().await;
        let insert = sql("INSERT INTO post (id, author, title) VALUES ($1, $2, $3)");
        let failed = sqlx::query(insert).bind(1_i64).bind(2_i64).bind("x").execute(&w.db).await;
        let error = failed.unwrap_err();
        assert!(error.as_database_error().unwrap().is_unique_violation());
        assert_eq!((w.posts(1).await.1, w.posts(2).await.1), (vec![1, 2], vec![3]));
    }

    async fn rows_that_the_database_deletes_are_those_of_declared_keys(w) {
        let key = ForeignKey {
            child: "post".to_owned(),
            parent: "author".to_owned(),
            columns: vec![("author".to_owned(), "id".to_owned())],
            on_delete: Some(Action::Cascade),
            on_update: None,
        };
        let db = w.co.connector().foreign_key(key).pool(w.db.inner().clone());
        w.warm().await;
        let delete = sql("DELETE FROM author WHERE id = $1");
        sqlx::query(delete).bind(2_i64).execute(&db).await.unwrap();
        assert_eq!(w.cached().await, [1]);
    }

    async fn invalidation_by_hand_and_its_absence(w) {
        w.warm().await;
        sqlx::query("DELETE FROM post WHERE author = 1").execute(&w.db.without_invalidation()).await.unwrap();
        assert_eq!(w.cached().await, [1, 2]);
        w.db.invalidate_table("post").await.unwrap();
        assert!(w.cached().await.is_empty());
        assert_eq!(w.posts(1).await.1, [0_i64; 0]);

        w.warm().await;
        let unseen = w.db.unseen(async |plain| sqlx::query("DELETE FROM post WHERE id = 3").execute(plain).await);
        unseen.await.unwrap();
        assert!(w.cached().await.is_empty());
        w.warm().await;
        let failing = w.db.unseen(async |_| Err::<(), _>(sqlx::Error::RowNotFound)).await;
        assert!(failing.is_err() && w.cached().await.is_empty());
    }

    /// A lock of another transaction holds the write up; it goes on when its future is dropped.
    async fn a_write_whose_future_is_dropped_is_finished_and_sent(w) {
        if std::any::type_name::<Db>().contains("Sqlite") {
            return;
        }
        w.warm().await;
        let mut other = w.db.inner().begin().await.unwrap();
        sqlx::query("UPDATE post SET note = 'other' WHERE id = 1").execute(&mut *other).await.unwrap();
        let update = sqlx::query("UPDATE post SET title = 'mine' WHERE id = 1").execute(&w.db);
        assert!(tokio::time::timeout(Duration::from_millis(100), update).await.is_err());
        assert_eq!(w.cached().await, [1, 2]);
        other.commit().await.unwrap();
        let begun = std::time::Instant::now();
        while posts_of(1).fetch_all(&w.db).await.unwrap()[0].title != "mine" {
            assert!(begun.elapsed() < support::deadline(), "the write is not seen");
            tokio::task::yield_now().await;
        }
    }
}
