//! Connections of a pool.

use crate::world::on_each_database;

on_each_database! {
    async fn writes_of_a_connection_are_seen_and_its_reads_are_plain(w) {
        w.warm().await;
        let mut connection = w.db.acquire().await.unwrap();
        let update = sql("UPDATE post SET title = $1 WHERE author = $2");
        sqlx::query(update).bind("x").bind(2_i64).execute(&mut connection).await.unwrap();
        assert_eq!(w.cached().await, [1]);
        let count = sqlx::query_scalar::<Db, i64>("SELECT COUNT(*) FROM post").fetch_one(&mut connection).await;
        assert_eq!(count.unwrap(), 3);
        drop(connection);
    }

    async fn a_transaction_by_text_on_a_connection_invalidates_everything_at_its_end(w) {
        w.warm().await;
        let mut connection = w.db.acquire().await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
        let delete = sqlx::query("DELETE FROM post WHERE id = 1").execute(&mut connection).await;
        delete.unwrap();
        sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
        assert!(w.cached().await.is_empty());
        assert_eq!(w.posts(1).await.1, [2]);
    }
}
