use cacheops_sql::Returning;

use super::*;

#[track_caller]
fn check(dialect: Dialect, cases: &[(&str, &str)]) {
    let values = [Value::Int(1), Value::from("Zoë"), Value::Null];
    for (sql, expected) in cases {
        assert_eq!(writes(&analyser(dialect), sql, &values), *expected, "{sql}");
    }
}

#[test]
fn an_insert_sends_what_is_known_of_its_rows() {
    check(
        Postgres,
        &[
            ("INSERT INTO t (id, name) VALUES ($1, $2)", "t: id=1&name=zoe"),
            ("INSERT INTO t (id, name) VALUES (1, $2), (2, upper($2))", "t: id=1&name=zoe|id=2"),
            ("INSERT INTO t (a, b) VALUES ($1, NULL) RETURNING *", "t: a=1&b"),
            ("INSERT INTO t (a, b) VALUES ($1, DEFAULT)", "t: a=1"),
            ("INSERT INTO t VALUES (1, 2)", "t: *"),
            ("INSERT INTO t DEFAULT VALUES", "t: *"),
            ("INSERT INTO t (a) SELECT b FROM u", "t: *"),
            ("INSERT INTO t (a, b, c) SELECT 5, b, $1 FROM u WHERE a = 9", "t: a=5&c=1"),
            ("INSERT INTO t (a, b) WITH c AS (SELECT 1 AS x) SELECT 5 AS a, x FROM c", "t: a=5"),
            ("INSERT INTO t (a, b) SELECT 5, * FROM u", "t: *"),
            ("INSERT INTO t SELECT 5, 6", "t: *"),
            // NULL in the row of the total.
            ("INSERT INTO t (a, b) SELECT 5 AS k, count(*) FROM u GROUP BY ROLLUP (k)", "t: *"),
            // Converted to the type of the other arm.
            ("INSERT INTO t (a) SELECT 16777217 UNION SELECT r FROM u", "t: *"),
            // What a column of unknown type makes of these is not known.
            ("INSERT INTO t (a, b, c) VALUES ($1, 1.005, 'text')", "t: a=1"),
        ],
    );
    check(
        MySql,
        &[
            ("INSERT INTO t SET a = ?, b = 'x'", "t: a=1&b=x"),
            ("INSERT INTO t (id, a) VALUES (0, ?)", "t: a=1"),
            ("INSERT IGNORE INTO t (a) VALUES (?)", "t: *"),
            ("INSERT INTO t (a, id, b) SELECT ?, 0, 7 FROM u", "t: a=1&b=7"),
        ],
    );
    check(Sqlite, &[("INSERT INTO t (id, a) VALUES (NULL, ?)", "t: a=1")]);
}

#[test]
fn an_upsert_covers_the_row_that_was_there() {
    check(
        Postgres,
        &[
            ("INSERT INTO t (id, a) VALUES ($1, 5) ON CONFLICT (id) DO NOTHING", "t: a=5&id=1"),
            (
                "INSERT INTO t (id, a) VALUES ($1, 5) ON CONFLICT (id) DO UPDATE SET a = excluded.a",
                "t: id=1",
            ),
            (
                "INSERT INTO t (id, a) VALUES ($1, 5) ON CONFLICT (id) DO UPDATE SET id = 9",
                "t: id=9|id=1",
            ),
            ("INSERT INTO t (id, a) VALUES ($1, 5) ON CONFLICT (b) DO UPDATE SET a = 1", "t: *"),
            (
                "INSERT INTO t (id, a) SELECT $1, x FROM u ON CONFLICT (id) DO UPDATE SET a = 1",
                "t: id=1",
            ),
            (
                "INSERT INTO t (id, a) SELECT x, 5 FROM u ON CONFLICT (id) DO UPDATE SET a = 1",
                "t: *",
            ),
            (
                "INSERT INTO t (id, a) VALUES ($1, 5) ON CONFLICT ON CONSTRAINT c DO UPDATE SET a = 1",
                "t: *",
            ),
        ],
    );
    check(
        MySql,
        &[
            ("INSERT INTO t (id) VALUES (?) ON DUPLICATE KEY UPDATE a = 1", "t: *"),
            ("REPLACE INTO t (id) VALUES (?)", "t: *"),
        ],
    );
    check(Sqlite, &[("INSERT OR REPLACE INTO t (id) VALUES (?)", "t: *")]);
}

#[test]
fn an_update_sends_the_old_and_the_new_image() {
    check(
        Postgres,
        &[
            ("UPDATE t SET a = 5 WHERE a = 3", "t: a=3|a=5"),
            ("UPDATE t SET a = $1 WHERE id = 7 AND a = 3", "t: a=3&id=7|a=1&id=7"),
            // The new image has all terms of the old one: it is covered.
            ("UPDATE t SET a = 5 WHERE id = 7", "t: id=7"),
            ("UPDATE t SET a = a + 1 WHERE a = 3 AND b = 4", "t: a=3&b=4|b=4"),
            ("UPDATE t SET a = b WHERE a = 3", "t: *"),
            ("UPDATE t SET (a, b) = (1, 2) WHERE a = 3", "t: a=3|a=1&b=2"),
            ("UPDATE t AS x SET a = NULL WHERE x.a IN (1, 2)", "t: a=1|a=2|a"),
            ("UPDATE t SET a = 5", "t: *"),
            ("UPDATE t SET a = 5 WHERE a > 3", "t: *"),
            (
                "UPDATE t SET a = 5 WHERE a = 3 AND id IN (SELECT id FROM u WHERE b = 1)",
                "t: a=3|a=5",
            ),
            // A part of the column `a`, and an element of an array.
            ("UPDATE t SET a.b = 5 WHERE a = $1", "t: *"),
            ("UPDATE t SET a[1] = 5 WHERE a = $1", "t: *"),
            ("UPDATE ONLY t SET a = 5 WHERE id = 1", "t: id=1"),
        ],
    );
    check(
        MySql,
        &[
            ("UPDATE t SET a = 5 WHERE b = ? ORDER BY id LIMIT 1", "t: b=1"),
            ("UPDATE LOW_PRIORITY t SET a = 5 WHERE a = 3", "t: a=3|a=5"),
            // What does not fit becomes something that does.
            ("UPDATE IGNORE t SET a = 5 WHERE a = 3 AND b = 4", "t: a=3&b=4|b=4"),
            ("SELECT 1; UPDATE IGNORE t SET a = 1", "t: *"),
            ("ANALYZE UPDATE t SET a = 1", "; .."),
        ],
    );
    check(Sqlite, &[("UPDATE OR REPLACE t SET a = 1 WHERE b = 2", "t: *")]);
}

#[test]
fn a_delete_sends_the_old_image() {
    check(
        Postgres,
        &[
            ("DELETE FROM t WHERE id = $1", "t: id=1"),
            ("DELETE FROM t WHERE a = 1 OR b IN (2, 3)", "t: a=1|b=2|b=3"),
            ("DELETE FROM t", "t: *"),
            ("DELETE FROM t WHERE a = $3", ""),
            ("TRUNCATE t, u", "t: *; u: *"),
            ("TRUNCATE t CASCADE", "t: *; .."),
        ],
    );
    check(
        MySql,
        &[
            ("DELETE LOW_PRIORITY QUICK IGNORE FROM t WHERE a = 1", "t: a=1"),
            ("DELETE FROM t WHERE a = 1 ORDER BY id LIMIT 1", "t: a=1"),
        ],
    );
}

#[test]
fn definitions_drop_what_they_name() {
    check(
        Postgres,
        &[
            ("DROP TABLE a, b", "a: *; b: *"),
            ("CREATE TABLE t (a int)", "t: *"),
            ("CREATE VIEW v AS SELECT * FROM t", "v: *; t: *"),
            ("ALTER TABLE t ADD COLUMN a int", "t: *"),
            ("ALTER TABLE t RENAME TO u", "t: *; .."),
            ("CREATE INDEX i ON t (a)", "t: *"),
        ],
    );
}

#[test]
fn tables_that_also_change_are_sent_with_a_write() {
    let analyser = registered(Postgres);
    for (sql, expected) in [
        ("DELETE FROM author WHERE id = 1", "author: id=1; audit: *"),
        ("UPDATE v SET name = 'x'", "article: *; author: *; audit: *"),
        ("UPDATE article SET tag = 5 WHERE slug = 'x'", "article: slug=x|tag=5"),
        ("INSERT INTO article (tag, slug) VALUES (5, 'x')", "article: tag=5"),
        ("UPDATE article SET name = 'x' WHERE name = 'w'", "article: name=w|name=x"),
    ] {
        assert_eq!(writes(&analyser, sql, &[]), expected, "{sql}");
    }
}

#[test]
fn old_rows_are_read_by_the_text_of_the_write() {
    for (dialect, sql, expected, parameters) in [
        (
            Postgres,
            "UPDATE t AS x SET a = $1, b = 'WHERE' WHERE x.id = $3 AND x.c IN ($2, $3) RETURNING *",
            "SELECT * FROM t AS x WHERE x.id = $1 AND x.c IN ($2, $1) FOR UPDATE",
            &[2, 1][..],
        ),
        (Postgres, "DELETE FROM t;", "SELECT * FROM t FOR UPDATE", &[]),
        (
            MySql,
            "UPDATE LOW_PRIORITY `t` SET a = ? WHERE b = ? AND c = 'é?' AND d = ? ORDER BY id",
            "SELECT * FROM `t` WHERE b = ? AND c = 'é?' AND d = ? ORDER BY id FOR UPDATE",
            &[1, 2],
        ),
        (
            Postgres,
            "UPDATE t SET a = b IS DISTINCT FROM t.limit, at = now() WHERE at < now()",
            "SELECT * FROM t WHERE at < now() FOR UPDATE",
            &[],
        ),
        (
            Sqlite,
            "UPDATE t SET a = (SELECT max(b) FROM u WHERE c = ?)\nWHERE id = ?3 AND n = :name -- ?\n",
            "SELECT * FROM t WHERE id = ? AND n = ?",
            &[2, 3],
        ),
    ] {
        let template = analyser(dialect).analyse(sql);
        let old = template.old_rows().unwrap_or_else(|| panic!("{sql}"));
        assert_eq!((old.sql(), old.parameters()), (expected, parameters), "{sql}");
    }
    assert_eq!(registered(Postgres).analyse("DELETE FROM v").old_rows(), None);
}

#[test]
fn the_assigned_values_of_an_update_are_those_that_are_known() {
    for (sql, expected) in [
        ("UPDATE t SET a = 5, b = $1, c = NULL WHERE d = 3", "a=5&b=1&c"),
        ("UPDATE t SET a = a + 1, b = $3 WHERE a = 3", "b"),
        ("UPDATE t SET a = b", "*"),
        ("UPDATE t SET (a, b) = (SELECT 1, 2)", "*"),
        ("DELETE FROM t", "*"),
    ] {
        let template = analyser(Postgres).analyse(sql);
        let values = [Value::Int(1), Value::Opaque, Value::Null];
        assert_eq!(template.assigned_values(&values).to_text(), expected.as_bytes(), "{sql}");
    }
    let ignores = analyser(MySql).analyse("UPDATE IGNORE t SET a = 5");
    assert!(ignores.assigned_values(&[]).is_empty());
}

#[test]
fn old_rows_say_whether_other_rows_decide_on_them() {
    for (dialect, sql, alone) in [
        (Postgres, "UPDATE t SET a = 1 WHERE b = 2 AND c IN (1, 2) RETURNING *", true),
        (Postgres, "DELETE FROM t", true),
        (Postgres, "DELETE FROM t WHERE a IN (SELECT a FROM u)", false),
        (Postgres, "DELETE FROM t WHERE a IN (VALUES (1), (2))", false),
        (Postgres, "DELETE FROM t USING u WHERE t.a = u.a", false),
        (Postgres, "UPDATE t SET a = u.a FROM u WHERE t.a = u.a", false),
        (MySql, "DELETE t FROM t, u WHERE t.a = u.a", false),
        (MySql, "UPDATE t, u SET t.a = 1 WHERE t.a = u.a", false),
        (Sqlite, "WITH c AS (SELECT 1 AS x) DELETE FROM t WHERE a IN c", false),
    ] {
        let template = analyser(dialect).analyse(sql);
        assert_eq!(template.old_rows().is_some_and(|old| old.is_alone()), alone, "{sql}");
    }
}

#[test]
fn there_is_no_query_for_old_rows_if_it_may_find_other_rows_than_the_write() {
    for (dialect, sql) in [
        (Postgres, "INSERT INTO t (a) VALUES (1)"),
        (Postgres, "DELETE FROM t WHERE a = 5 AND random() < 0.5"),
        (Postgres, "DELETE FROM t WHERE id = (SELECT id FROM t ORDER BY random() LIMIT 1)"),
        (Postgres, "DELETE FROM t WHERE id = (SELECT id FROM t LIMIT 1)"),
        (Postgres, "DELETE FROM t WHERE id IN (SELECT DISTINCT ON (a) id FROM t)"),
        (Postgres, "UPDATE t SET a = 1 FROM (SELECT id FROM t LIMIT 1) l WHERE l.id = t.id"),
        (Postgres, "UPDATE t SET a = 1 WHERE at < clock_timestamp()"),
        (MySql, "UPDATE t SET a = 1 WHERE at < now()"),
        (MySql, "DELETE FROM t WHERE a = 1 LIMIT 1"),
        (Sqlite, "UPDATE t SET a = 1 WHERE at < datetime('now')"),
        // Where the query would see something else under the name.
        (Postgres, "WITH t AS (SELECT 1 AS id) DELETE FROM t WHERE id = 1"),
    ] {
        assert_eq!(analyser(dialect).analyse(sql).old_rows(), None, "{sql}");
    }
}

#[test]
fn a_template_has_its_returned_and_assigned_columns() {
    let postgres = analyser(Postgres);
    let template = postgres.analyse("UPDATE t SET a = 1, \"B\" = 2 WHERE id = 1 RETURNING *");
    assert_eq!(template.returning(), &Returning::All);
    assert_eq!(template.assigned_columns().unwrap(), ["a", "B"]);
    assert_eq!(template.target(), Some("t"));

    let template = postgres.analyse("INSERT INTO t (a) VALUES (1) RETURNING \"id\", \"t\".\"a\"");
    assert_eq!(template.returning(), &Returning::Columns(vec!["id".into(), "a".into()]));
    for sql in [
        "DELETE FROM t RETURNING id + 1",
        // The values of another row, and of the row before.
        "UPDATE t SET a = 1 FROM u WHERE u.id = t.id RETURNING u.id",
        "UPDATE t SET a = 1 FROM u WHERE u.id = t.id RETURNING id",
        "UPDATE t SET a = 1 FROM u WHERE u.id = t.id RETURNING *",
        "UPDATE t SET a = 1 RETURNING old.a",
    ] {
        assert_eq!(postgres.analyse(sql).returning(), &Returning::Expressions, "{sql}");
    }
    let template = postgres.analyse("UPDATE t AS x SET a = 1 FROM u RETURNING x.*");
    assert_eq!(template.returning(), &Returning::All);
    let template = postgres.analyse("DELETE FROM t USING u RETURNING t.id, t.a");
    assert_eq!(template.returning(), &Returning::Columns(vec!["id".into(), "a".into()]));
    let template = postgres.analyse("DELETE FROM t RETURNING id + 1");
    assert_eq!(template.returning(), &Returning::Expressions);
    assert_eq!(postgres.analyse("DELETE FROM t").returning(), &Returning::Nothing);
}

#[test]
fn a_write_that_replaces_rows_may_delete_them_however_it_is_written() {
    for (dialect, sql) in [
        (Sqlite, "REPLACE INTO t (id) VALUES (1)"),
        (Sqlite, "-- by hand\nREPLACE INTO t (id) VALUES (1)"),
        (Sqlite, "INSERT /* or not */ OR REPLACE INTO t (id) VALUES (1)"),
        (Sqlite, "WITH n AS (SELECT 1 AS id) INSERT OR REPLACE INTO t SELECT id FROM n"),
        (Sqlite, "UPDATE OR REPLACE t SET id = 1"),
        (MySql, "/* by hand */ REPLACE t SET id = 1"),
        (Postgres, "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone"),
        (Postgres, "DELETE FROM t WHERE id = 1"),
        (Postgres, "TRUNCATE t"),
    ] {
        assert!(analyser(dialect).analyse(sql).may_delete(), "{sql}");
    }
    for (dialect, sql) in [
        (Sqlite, "INSERT OR IGNORE INTO t (id) VALUES (1)"),
        (Sqlite, "INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = 2"),
        (MySql, "INSERT INTO t (id, a) VALUES (1, 2) ON DUPLICATE KEY UPDATE a = 2"),
        (Postgres, "UPDATE t SET id = 1"),
    ] {
        assert!(!analyser(dialect).analyse(sql).may_delete(), "{sql}");
    }
}

#[test]
fn the_unchanged_image_leaves_out_the_columns_that_the_write_assigns() {
    let analyser = registered(Postgres);
    let row = [("id", Value::Int(7)), ("tag", Value::Int(5)), ("slug", Value::from("x"))];
    let row = || row.iter().map(|(column, value)| (*column, value));
    let image = |sql: &str| {
        let image = analyser.unchanged_image(&analyser.analyse(sql), row());
        image.map(|image| String::from_utf8(image.to_text()).unwrap())
    };

    assert_eq!(image("UPDATE article SET tag = 5 WHERE id = 7 RETURNING *").unwrap(), "id=7");
    assert_eq!(image("UPDATE article SET name = 'x' RETURNING *").unwrap(), "id=7&tag=5");
    let upsert = "INSERT INTO article (id, tag) VALUES (7, 5) ON CONFLICT (id) DO UPDATE SET tag = 5 RETURNING *";
    assert_eq!(image(upsert).unwrap(), "id=7");
    for sql in [
        "INSERT INTO article (id, tag) VALUES (7, 5) RETURNING *",
        "DELETE FROM article RETURNING *",
        "UPDATE v SET tag = 5",
    ] {
        assert_eq!(image(sql), None, "{sql}");
    }
}

#[test]
fn values_that_name_a_moving_time_are_not_cached_where_they_may_be_converted() {
    let sql = "SELECT * FROM t WHERE day = $1::date";
    assert_eq!(reads(&analyser(Postgres), sql, &["today".into()]), "uncached");
    assert_eq!(reads(&analyser(Postgres), sql, &["2024-01-05".into()]), "t: day=2024-01-05");
}

/// A row that is invalidated by hand has the names that statements use.
#[test]
fn names_of_the_catalogue_are_those_of_conditions() {
    let schema = Schema::new()
        .default_schema("public")
        .view("seen", ["Post", "archive.post"])
        .table(Table::new("Post").also(["audit"]))
        .table(Table::new("audit").also(["total"]));
    for (dialect, own) in [(Sqlite, "post"), (MySql, "post"), (Postgres, "Post")] {
        let analyser = Analyser::new(dialect, schema.clone(), 16);
        assert_eq!(analyser.name(None, "Post"), own);
        assert_eq!(analyser.name(Some("public"), "Post"), own);
        assert_eq!(analyser.name(Some("archive"), "Post"), format!("archive.{own}"));
        assert_eq!(analyser.changed_with(own), [own, "audit", "total"]);
        assert_eq!(analyser.changed_with("seen"), [own, "archive.post", "audit", "total"]);
        assert_eq!(analyser.changed_with("other"), ["other"]);
        let sql = "DELETE FROM archive.post";
        assert_eq!(analyser.analyse(sql).target(), Some(&*analyser.name(Some("archive"), "post")));
    }
    assert_eq!(Analyser::new(Postgres, Schema::new(), 16).name(Some("archive"), "post"), "post");
}
