//! Writes that several tables decide on, and writes behind a WITH.

use cacheops_sql::{Kind, Returning, WriteKind};

use super::*;

#[track_caller]
fn check(analyser: &Analyser, cases: &[(&str, &str)]) {
    let values = [Value::Int(1), Value::from("Zoë"), Value::Null];
    for (sql, expected) in cases {
        assert_eq!(writes(analyser, sql, &values), *expected, "{sql}");
    }
}

#[test]
fn update_from_sends_the_terms_that_hold_for_its_target() {
    let cases = [
        ("UPDATE t SET a = 5 FROM u WHERE u.id = t.id AND t.a = 3 AND u.b = 4", "t: a=3|a=5"),
        ("UPDATE t SET a = 5 FROM u WHERE u.id = t.id", "t: *"),
        // A constant comes over an equal column.
        ("UPDATE t SET a = 5 FROM u WHERE u.id = t.id AND u.id = 7", "t: id=7"),
        (
            "UPDATE t SET a = 5 FROM u JOIN v ON v.id = u.id WHERE u.id = t.id AND v.id = 7",
            "t: id=7",
        ),
        ("UPDATE t SET id = 5 FROM u WHERE u.id = t.id AND u.id = 7", "t: id=7|id=5"),
        // Only constants are known afterwards.
        ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id AND t.a = 3 AND t.b = 4", "t: a=3&b=4|b=4"),
        ("UPDATE t SET a = u.a FROM u WHERE u.id = t.id AND t.a = 3", "t: *"),
        (
            "UPDATE t AS x SET a = 5 FROM t AS y WHERE y.id = x.parent AND y.a = 3 AND x.b = 4",
            "t: b=4",
        ),
        // An outer join makes up rows of the others, none of the target.
        (
            "UPDATE t SET a = 5 FROM u LEFT JOIN v ON v.id = u.id AND u.b = 1 WHERE u.id = t.id AND t.c = 2",
            "t: c=2",
        ),
        (
            "UPDATE t SET a = 5 FROM u LEFT JOIN v ON v.id = u.id WHERE u.id = t.id AND u.id = 7",
            "t: id=7",
        ),
        (
            "UPDATE t SET a = 5 FROM u LEFT JOIN v ON v.id = u.id AND v.id = 7 WHERE u.id = t.id",
            "t: *",
        ),
        // An unqualified column may be the other table's.
        ("UPDATE t SET a = 5 FROM u WHERE u.id = t.id AND b = 3", "t: *"),
        (
            "UPDATE t SET a = 5 FROM (SELECT id FROM u WHERE b = 9) AS d WHERE d.id = t.id AND t.b = 3",
            "t: b=3",
        ),
    ];
    check(&analyser(Postgres), &cases);
    check(&analyser(Sqlite), &cases);

    let by_registry = "UPDATE article SET tag = 5 FROM author WHERE author.id = author_id AND age = 30 AND draft = false";
    check(&registered(Postgres), &[(by_registry, "article: draft=0")]);
    // What the database computes is another value afterwards, wherever it was known from.
    let schema = Schema::new().table(Table::new("t").generated("a", ColumnKind::Unknown));
    let generated = Analyser::new(Postgres, schema, 4);
    let sql = "UPDATE t SET b = 5 FROM u WHERE t.a = u.a AND u.a = 3 AND t.c = 2";
    check(&generated, &[(sql, "t: a=3&c=2|b=5&c=2")]);
    let view = "UPDATE v SET name = 'x' FROM author WHERE v.id = author.id AND v.id = 3";
    check(&registered(Postgres), &[(view, "article: *; author: *; audit: *")]);
}

#[test]
fn delete_using_sends_the_terms_that_hold_for_its_target() {
    check(
        &analyser(Postgres),
        &[
            ("DELETE FROM t USING u WHERE t.id = u.id", "t: *"),
            ("DELETE FROM t USING u WHERE t.id = u.id AND u.id = $1 AND u.b = 4", "t: id=1"),
            ("DELETE FROM t AS x USING u WHERE x.a IN (1, 2) AND u.b = 4", "t: a=1|a=2"),
            ("DELETE FROM t USING u WHERE t.a = $3", ""),
            ("DELETE FROM t USING u", "t: *"),
        ],
    );
    // No such thing in SQLite.
    check(&analyser(Sqlite), &[("DELETE FROM t USING u WHERE t.a = 1", "t: *; u: *")]);
}

#[test]
fn a_write_to_a_join_of_mysql_changes_the_tables_that_it_names() {
    check(
        &analyser(MySql),
        &[
            ("UPDATE a JOIN b ON a.id = b.id SET a.x = 1", "a: *"),
            ("UPDATE a JOIN b ON a.id = b.id SET a.x = 1 WHERE b.id = 7 AND b.y = 3", "a: id=7"),
            ("UPDATE a, b SET a.x = 5 WHERE a.id = b.id AND a.x = 3", "a: x=3|x=5"),
            (
                "UPDATE a, b SET a.x = 5, b.y = 6 WHERE a.id = b.id AND a.x = 3 AND b.z = 4",
                "a: x=3|x=5; b: z=4",
            ),
            ("UPDATE IGNORE a, b SET a.x = 5 WHERE a.x = 3 AND a.c = 2", "a: c=2&x=3|c=2"),
            // The side that is kept is written whatever ON says; the other one only where it holds.
            (
                "UPDATE a LEFT JOIN b ON b.id = a.id AND a.x = 3 AND b.z = 4 SET a.x = 5, b.y = 6",
                "a: *; b: z=4",
            ),
            // Whose column it is only the registry knows.
            ("UPDATE a JOIN b ON a.id = b.id SET x = 5 WHERE a.c = 2", "a: c=2; b: *"),
            // Both names write to the same rows.
            ("UPDATE t a, t b SET a.x = 1, b.y = 2 WHERE a.id = b.parent AND a.y = 3", "t: *"),
            ("UPDATE t a, t b SET a.x = 1 WHERE a.id = b.parent AND a.y = 3", "t: y=3"),
            // Names that are none of a table.
            (
                "UPDATE a JOIN (SELECT 1 AS id) AS d ON d.id = a.id SET a.x = 1 WHERE a.c = 2",
                "a: c=2",
            ),
            ("UPDATE a JOIN b SET c.x = 1", "a: *; b: *"),
            // Those rows of `b` are written that stand beside a row of `a` which WHERE keeps.
            ("UPDATE a LEFT JOIN b ON b.id = a.id SET b.y = 6 WHERE a.id = 7", "b: id=7"),
            ("UPDATE a LEFT JOIN b ON b.id = a.id SET a.y = 6 WHERE b.id = 7", "a: id=7"),
            ("UPDATE a LEFT JOIN b ON b.id = a.id AND b.id = 7 SET a.y = 6", "a: *"),
            ("DELETE a FROM a JOIN b ON a.id = b.id", "a: *"),
            ("DELETE x FROM a AS x JOIN b ON x.id = b.id WHERE b.id = 5 AND b.y = 6", "a: id=5"),
            ("DELETE a, b FROM a JOIN b ON a.id = b.id WHERE a.c = 2", "a: c=2; b: *"),
            ("DELETE a.*, b.* FROM a JOIN b WHERE a.c = 2 AND b.d = 3", "a: c=2; b: d=3"),
            ("DELETE FROM a, b USING a JOIN b WHERE a.c = 2", "a: c=2; b: *"),
            ("DELETE QUICK FROM a USING a LEFT JOIN b ON a.id = b.id WHERE b.id IS NULL", "a: *"),
            ("DELETE x, y FROM t AS x JOIN t AS y WHERE x.c = 2 AND y.c = 3", "t: c=2|c=3"),
            ("DELETE z FROM a AS x JOIN b", "a: *; b: *"),
        ],
    );
    let owner = "UPDATE article, author SET tag = 5, age = 6 WHERE author.id = 7 AND draft = false";
    check(&registered(MySql), &[(owner, "article: draft=0; author: id=7; audit: *")]);
}

#[test]
fn a_write_behind_a_with_has_the_same_changes_as_without() {
    check(
        &analyser(Postgres),
        &[
            (
                "WITH c AS (SELECT 1 AS id) UPDATE t SET a = 5 FROM c WHERE c.id = t.id AND t.a = 3",
                "t: a=3|a=5",
            ),
            (
                "WITH c AS (SELECT 1 AS id) DELETE FROM t WHERE id IN (SELECT id FROM c) AND a = 3",
                "t: a=3",
            ),
            ("WITH c AS (SELECT 1 AS x) INSERT INTO t (a, b) SELECT 5, x FROM c", "t: a=5"),
            // The constant of a derived column is not looked for.
            ("WITH c AS (SELECT 1 AS id) DELETE FROM t USING c WHERE c.id = t.id", "t: *"),
        ],
    );
    check(
        &analyser(Sqlite),
        &[("WITH c AS (SELECT 1 AS id) UPDATE t SET a = 5 WHERE a = 3", "t: a=3|a=5")],
    );
    let template = analyser(Postgres).analyse("WITH c AS (SELECT 1) DELETE FROM t RETURNING *");
    assert_eq!(template.kind(), &Kind::Write(WriteKind::Delete));
    assert_eq!((template.target(), template.returning()), (Some("t"), &Returning::All));
}

#[test]
fn each_write_inside_a_with_adds_its_changes() {
    check(
        &analyser(Postgres),
        &[
            (
                "WITH d AS (DELETE FROM a WHERE x = 3 RETURNING *) SELECT * FROM d JOIN b ON true",
                "a: x=3",
            ),
            (
                "WITH d AS (DELETE FROM a WHERE x = 3 RETURNING y) INSERT INTO b (x, y) SELECT 4, y FROM d",
                "a: x=3; b: x=4",
            ),
            (
                "WITH d AS (UPDATE a SET x = 1 WHERE x = 2), e AS (UPDATE a SET y = 3 WHERE y = 4) SELECT 1",
                "a: x=2|x=1|y=4|y=3",
            ),
            (
                "WITH d AS (INSERT INTO a (x) VALUES (1) RETURNING *), e AS (DELETE FROM b) UPDATE a SET x = 2 WHERE x = 5",
                "a: x=1|x=5|x=2; b: *",
            ),
            (
                "WITH m AS (MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE) DELETE FROM c WHERE x = 1",
                "a: *; b: *; c: x=1",
            ),
        ],
    );
    let template = analyser(Postgres).analyse("WITH d AS (DELETE FROM a) DELETE FROM b");
    assert_eq!(template.target(), None);
    assert_eq!(template.old_rows(), None);
}

#[test]
fn a_joined_write_has_a_query_for_its_old_rows() {
    for (dialect, sql, expected, parameters) in [
        (
            Postgres,
            "UPDATE t AS x SET a = $1, b = x.b IS DISTINCT FROM 3 FROM u WHERE u.id = x.id AND u.b = $2 RETURNING x.*",
            "SELECT * FROM t AS x WHERE EXISTS (SELECT 1 FROM u WHERE u.id = x.id AND u.b = $1) FOR UPDATE",
            &[1][..],
        ),
        (
            Postgres,
            "WITH update AS (SELECT $1 AS id) DELETE FROM t USING update WHERE t.id = update.id AND t.a = $2;",
            "WITH update AS (SELECT $1 AS id) SELECT * FROM t WHERE EXISTS (SELECT 1 FROM update WHERE t.id = update.id AND t.a = $2) FOR UPDATE",
            &[0, 1],
        ),
        (
            Sqlite,
            "UPDATE t SET a = ? FROM u, v WHERE u.id = t.id AND v.b = ?",
            "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u, v WHERE u.id = t.id AND v.b = ?)",
            &[1],
        ),
        (
            MySql,
            "UPDATE LOW_PRIORITY a x JOIN b ON b.id = x.id AND b.c = ? SET x.y = ? WHERE x.z = ?",
            "SELECT DISTINCT x.* FROM a x JOIN b ON b.id = x.id AND b.c = ? WHERE x.z = ? FOR UPDATE",
            &[0, 2],
        ),
        (
            MySql,
            "DELETE a.* FROM a, b WHERE a.id = b.id",
            "SELECT DISTINCT a.* FROM a, b WHERE a.id = b.id FOR UPDATE",
            &[],
        ),
        (
            MySql,
            "DELETE FROM a USING a JOIN b USING (id) WHERE b.c = ?",
            "SELECT DISTINCT a.* FROM a JOIN b USING (id) WHERE b.c = ? FOR UPDATE",
            &[0],
        ),
    ] {
        let template = analyser(dialect).analyse(sql);
        let old = template.old_rows().unwrap_or_else(|| panic!("{sql}"));
        assert_eq!((old.sql(), old.parameters()), (expected, parameters), "{sql}");
    }
    // Two targets.
    let two = "UPDATE a JOIN b ON a.id = b.id SET a.x = 1, b.y = 2";
    assert_eq!(analyser(MySql).analyse(two).old_rows(), None);
    let nested = "UPDATE (a JOIN c ON a.id = c.id) JOIN b ON a.id = b.id SET b.y = 2";
    assert_eq!(analyser(MySql).analyse(nested).old_rows(), None);
}
