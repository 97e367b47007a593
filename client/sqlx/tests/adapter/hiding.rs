//! sqlx shows bound values only by `Debug`: that it does so in the expected form on each database.

use cacheops_sql::{Analyser, Dialect, Schema};
use cacheops_sqlx::Cache;

use crate::world::on_each_database;

on_each_database! {
    /// If values were not known, each write would match all results of its table.
    async fn bound_values_are_known(w) {
        w.warm().await;
        w.insert(4, 1).await;
        assert_eq!(w.cached().await, [2]);
    }

    async fn a_value_that_is_too_long_to_be_shown_is_a_wildcard(w) {
        w.warm().await;
        let long = "x".repeat(2 << 20);
        let select = || sql("SELECT id FROM post WHERE title = $1 OR author = $2");
        for _ in 0..2 {
            let query = sqlx::query_scalar::<Db, i64>(select()).bind(long.clone()).bind(1_i64).cached();
            let (hit, ids) = w.hits(query.fetch_all(&w.db)).await;
            assert_eq!((hit, ids.unwrap()), (false, vec![1, 2]), "it has no key");
        }
        let update = sql("UPDATE author SET name = $1 WHERE name = $2");
        sqlx::query(update).bind("y").bind(long).execute(&w.db).await.unwrap();
        assert_eq!(w.cached().await, [1, 2], "a table that no result depends on");
    }
}

#[test]
fn the_queries_for_old_rows_number_their_parameters_as_expected() {
    for (dialect, sql, expected) in [
        (Dialect::Postgres, "UPDATE post SET title = $1 WHERE id = $2", "$1"),
        (Dialect::Sqlite, "UPDATE post SET title = $1 WHERE id = $2", "?"),
        (Dialect::Sqlite, "UPDATE post SET title = ? WHERE id = ?", "?"),
    ] {
        let template = Analyser::new(dialect, Schema::new(), 10).analyse(sql);
        let old = template.old_rows().unwrap();
        assert!(old.sql().contains(expected), "{}", old.sql());
        assert_eq!(old.parameters(), [1]);
    }
}
