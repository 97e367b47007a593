//! Cached reads.

use cacheops_sqlx::Cache;
use sqlx::{QueryBuilder, Row};

use crate::world::{Post, on_each_database, post};

on_each_database! {
    async fn the_second_read_is_a_hit_and_says_the_same(w) {
        let plain = sql("SELECT id, author, title, note FROM post WHERE author = $1 ORDER BY id");
        let plain: Vec<Post> = sqlx::query_as(plain).bind(1_i64).fetch_all(&w.db).await.unwrap();
        assert_eq!(plain, [post(1, 1, "post 1"), post(2, 1, "post 2")]);

        for hit in [false, true] {
            let (was_hit, posts) = w.hits(posts_of(1).fetch_all(&w.db)).await;
            assert_eq!((was_hit, posts.unwrap()), (hit, plain.clone()));
        }
        // Another value is another result.
        assert_eq!(w.posts(2).await, (false, vec![3]));
        assert_eq!(w.posts(9).await, (false, vec![]));
        assert_eq!(w.posts(9).await, (true, vec![]));
    }

    async fn one_row_is_another_result_than_all(w) {
        for hit in [false, true] {
            let (was_hit, all) = w.hits(posts_of(1).fetch_all(&w.db)).await;
            assert_eq!((was_hit, all.unwrap().len()), (hit, 2));
            let (was_hit, one) = w.hits(posts_of(1).fetch_one(&w.db)).await;
            assert_eq!((was_hit, one.unwrap().id), (hit, 1));
            let (was_hit, none) = w.hits(posts_of(9).fetch_optional(&w.db)).await;
            assert_eq!((was_hit, none.unwrap()), (hit, None));
            let missing = posts_of(9).fetch_one(&w.db).await;
            assert!(matches!(missing, Err(sqlx::Error::RowNotFound)));
        }
    }

    async fn scalars_tuples_and_built_queries_are_cached(w) {
        for hit in [false, true] {
            let count = sql("SELECT COUNT(*) FROM post WHERE author = $1");
            let count = sqlx::query_scalar::<Db, i64>(count).bind(1_i64).cached();
            let (was_hit, count) = w.hits(count.fetch_one(&w.db)).await;
            assert_eq!((was_hit, count.unwrap()), (hit, 2));

            let pairs = sqlx::query_as::<Db, (i64, String)>("SELECT id, title FROM post ORDER BY id");
            let (was_hit, pairs) = w.hits(pairs.cached().fetch_all(&w.db)).await;
            assert_eq!((was_hit, pairs.unwrap().len()), (hit, 3));

            let mut builder = QueryBuilder::<Db>::new("SELECT id, author, title, note FROM post WHERE id IN (");
            let mut ids = builder.separated(", ");
            ids.push_bind(1_i64);
            ids.push_bind(3_i64);
            builder.push(")");
            let (was_hit, posts) = w.hits(builder.build_query_as::<Post>().cached().fetch_all(&w.db)).await;
            assert_eq!((was_hit, posts.unwrap().len()), (hit, 2));
        }
        w.insert(4, 2).await;
        let count = sql("SELECT COUNT(*) FROM post WHERE author = $1");
        let count = sqlx::query_scalar::<Db, i64>(count).bind(1_i64).cached();
        assert!(w.hits(count.fetch_one(&w.db)).await.0, "author 2 has the new post");
    }

    /// Closures of one text and one type: their results are two.
    async fn mappers_of_one_statement_share_no_results(w) {
        let query = || sqlx::query::<Db>("SELECT id, author FROM post ORDER BY id");
        for hit in [false, true] {
            let ids = query().map(|row: <Db as sqlx::Database>::Row| row.get::<i64, _>(0)).cached();
            let authors = query().map(|row: <Db as sqlx::Database>::Row| row.get::<i64, _>(1)).cached();
            let (was_hit, ids) = w.hits(ids.fetch_all(&w.db)).await;
            assert_eq!((was_hit, ids.unwrap()), (hit, vec![1, 2, 3]));
            let (was_hit, authors) = w.hits(authors.fetch_all(&w.db)).await;
            assert_eq!((was_hit, authors.unwrap()), (hit, vec![1, 1, 2]));
        }
        for column in [0_usize, 1] {
            let mapped = query().map(move |row: <Db as sqlx::Database>::Row| row.get::<i64, _>(column)).cached();
            let (was_hit, found) = w.hits(mapped.fetch_all(&w.db)).await;
            let expected = if column == 0 { vec![1, 2, 3] } else { vec![1, 1, 2] };
            assert_eq!((was_hit, found.unwrap()), (false, expected), "a mapper with captured values");
        }
    }

    async fn what_must_not_be_cached_is_not(w) {
        for _ in 0..2 {
            let now = sqlx::query_as::<Db, (i64,)>("SELECT id FROM post WHERE CURRENT_TIMESTAMP IS NOT NULL ORDER BY id");
            assert!(!w.hits(now.cached().fetch_all(&w.db)).await.0);
            assert!(!w.hits(posts_of(1).enabled(false).fetch_all(&w.db)).await.0);
            assert!(!w.hits(posts_of(1).by_profile().fetch_all(&w.db)).await.0, "the profile has no operation");
        }
    }

    async fn errors_of_a_query_are_those_of_sqlx(w) {
        let wrong = sqlx::query_as::<Db, Post>("SELECT id FROM post").cached().fetch_all(&w.db).await;
        assert!(matches!(wrong, Err(sqlx::Error::ColumnNotFound(_))), "{wrong:?}");
        let unknown = sqlx::query_as::<Db, Post>("SELECT * FROM nothing").cached().fetch_all(&w.db).await;
        assert!(matches!(unknown, Err(sqlx::Error::Database(_))), "{unknown:?}");
        assert_eq!(w.posts(1).await, (false, vec![1, 2]));
    }

    /// A write that returns rows, behind `.cached()`.
    async fn a_write_behind_cached_is_a_write(w) {
        if std::any::type_name::<Db>().contains("MySql") {
            return;
        }
        w.warm().await;
        let update = sql("UPDATE post SET title = $1 WHERE id = $2 RETURNING id, author, title, note");
        let changed = sqlx::query_as::<Db, Post>(update).bind("new").bind(3_i64).cached().fetch_all(&w.db).await;
        assert_eq!(changed.unwrap(), [post(3, 2, "new")]);
        assert_eq!(w.cached().await, [1]);
    }
}
