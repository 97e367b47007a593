use super::*;

#[track_caller]
fn check(dialect: Dialect, cases: &[(&str, &str)]) {
    let values = [
        Value::Int(1),
        Value::from("Zoë"),
        Value::Null,
        Value::Array(vec![Value::Int(4), Value::Int(5)]),
    ];
    for (sql, expected) in cases {
        assert_eq!(reads(&analyser(dialect), sql, &values), *expected, "{sql}");
    }
}

#[test]
fn equations_are_terms() {
    check(
        Postgres,
        &[
            ("SELECT * FROM t", "t: *"),
            ("SELECT * FROM t WHERE id = $1", "t: id=1"),
            ("SELECT * FROM t WHERE $1 = id AND name = $2", "t: id=1&name=zoe"),
            ("SELECT * FROM t AS x WHERE x.id = 5 AND x.name = 'A|b'", "t: id=5&name=a%7Cb"),
            ("SELECT * FROM t WHERE a = 1 OR a = 2 OR b = 3", "t: a=1|a=2|b=3"),
            ("SELECT * FROM t WHERE a = 1 AND (b = 2 OR c > 3)", "t: a=1"),
            ("SELECT * FROM t WHERE a = -1 AND b = +2 AND c = 1.50", "t: a=-1&b=2&c=1.5"),
            (
                "SELECT * FROM t WHERE a IN (1, 2) AND b IN (3, 4)",
                "t: a=1&b=3|a=1&b=4|a=2&b=3|a=2&b=4",
            ),
            ("SELECT * FROM t WHERE id = ANY($4)", "t: id=4|id=5"),
            (
                "SELECT * FROM t WHERE id = ANY($4::int[]) AND b = ANY(ARRAY[6, 7])",
                "t: b=6&id=4|b=6&id=5|b=7&id=4|b=7&id=5",
            ),
            ("SELECT * FROM t WHERE (a, b) = (1, $1)", "t: a=1&b=1"),
            ("SELECT * FROM t WHERE (a, b) IN ((1, 2), (3, 4))", "t: a=1&b=2|a=3&b=4"),
            ("SELECT * FROM t WHERE a IS NULL AND b IS NOT NULL", "t: a"),
            (
                "SELECT * FROM t WHERE a AND NOT b AND c IS TRUE AND d IS FALSE",
                "t: a=1&b=0&c=1&d=0",
            ),
            ("SELECT * FROM t WHERE a = $1::int AND b = CAST($2 AS text)", "t: a=1&b=zoe"),
            ("SELECT * FROM t WHERE mood = CAST($2 AS \"mood\")", "t: mood=zoe"),
            ("SELECT * FROM t WHERE day = DATE '2024-01-05'", "t: day=2024-01-05"),
            (
                "SELECT \"Name\" FROM \"Article\" WHERE \"Name\" = 1 AND Plain = 2",
                "Article: Name=1&plain=2",
            ),
            ("SELECT * FROM ONLY t WHERE a = 1", "t: a=1"),
        ],
    );
    check(
        MySql,
        &[
            ("SELECT * FROM `T` WHERE `Id` = ? AND name = ?", "t: id=1&name=zoe"),
            ("SELECT * FROM db.t WHERE db.t.a <=> ? AND t.b = ?", "t: a=1&b=zoe"),
            ("SELECT * FROM t USE INDEX (i) WHERE a = ?", "t: a=1"),
        ],
    );
    check(
        Sqlite,
        &[
            ("SELECT * FROM t WHERE [a] = ? AND `b` = ? AND \"C\" IS ?", "t: a=1&b=zoe&c"),
            ("SELECT * FROM t WHERE a = ?2 AND b = ?1 AND c = ?", "t: "),
            ("SELECT * FROM t WHERE a = :x AND b = @y AND c = :x", "t: a=1&b=zoe&c=1"),
            ("SELECT * FROM t WHERE a IS 5 AND b IS NOT 6", "t: a=5"),
            ("SELECT * FROM t WHERE a IN () OR b == 1", "t: b=1"),
        ]
        .map(|(sql, expected)| (sql, if expected == "t: " { "t: *" } else { expected })),
    );
}

#[test]
fn conditions_that_are_no_equations_narrow_nothing() {
    for condition in [
        "a <> 1",
        "a > 1",
        "a BETWEEN 1 AND 1",
        "a LIKE 'x'",
        "a NOT IN (1, 2)",
        "NOT (a = 1)",
        "a + 1 = 2",
        "lower(a) <> 'x'",
        "lower(a) = lower(b)",
        "initcap(a) = 'x'",
        "a::text = '1'",
        "a = b",
        "a = 1 OR b > 2",
        "a IS DISTINCT FROM 1",
        "a = (SELECT 1)",
        "a = varchar '1'",
        "a = CAST(1 AS varchar(1))",
        "a = 1.5::int",
        "CASE WHEN a = 1 THEN true END",
        "a = 1 IS TRUE",
        "a = 'x' COLLATE \"C\"",
        "EXISTS (SELECT 1) AND a > ANY (ARRAY[1])",
        "1 = 1",
        "$1 = 1",
    ] {
        let sql = format!("SELECT * FROM t WHERE {condition}");
        assert_eq!(reads(&analyser(Postgres), &sql, &[Value::Int(1)]), "t: *", "{sql}");
    }
}

#[test]
fn negation_is_pushed_down() {
    check(
        Postgres,
        &[
            ("SELECT * FROM t WHERE NOT (a <> 1)", "t: a=1"),
            ("SELECT * FROM t WHERE NOT (a <> 1 OR b IS NOT NULL)", "t: a=1&b"),
            ("SELECT * FROM t WHERE NOT (a <> 1 AND b <> 2)", "t: a=1|b=2"),
            ("SELECT * FROM t WHERE NOT (a NOT IN (1, 2))", "t: a=1|a=2"),
            ("SELECT * FROM t WHERE NOT NOT a = 1", "t: a=1"),
            ("SELECT * FROM t WHERE NOT (a IS DISTINCT FROM 1)", "t: a=1"),
        ],
    );
}

#[test]
fn an_on_narrows_the_sides_whose_rows_it_filters() {
    check(
        Postgres,
        &[
            ("SELECT * FROM a JOIN b ON b.x = 1 AND a.y = 2 WHERE a.z = 3", "a: y=2&z=3; b: x=1"),
            ("SELECT * FROM a, b WHERE a.x = 1 AND b.y = 2", "a: x=1; b: y=2"),
            ("SELECT * FROM a CROSS JOIN b WHERE a.x = 1", "a: x=1; b: *"),
            ("SELECT * FROM a LEFT JOIN b ON b.x = 1 AND a.y = 2", "a: *; b: x=1"),
            ("SELECT * FROM a RIGHT JOIN b ON b.x = 1 AND a.y = 2", "a: y=2; b: *"),
            ("SELECT * FROM a FULL JOIN b ON b.x = 1 AND a.y = 2", "a: *; b: *"),
            ("SELECT * FROM a LEFT JOIN b ON b.id = a.id WHERE b.x = 1", "a: *; b: x=1"),
            ("SELECT * FROM a LEFT JOIN b ON b.id = a.id WHERE b.x = 1 OR a.y = 2", "a: *; b: *"),
            ("SELECT * FROM (a JOIN b ON b.x = 1) LEFT JOIN c ON c.z = 3", "a: *; b: x=1; c: z=3"),
            ("SELECT * FROM a JOIN b USING (id) WHERE a.x = 1", "a: x=1; b: *"),
            ("SELECT * FROM a NATURAL JOIN b WHERE b.x = 1", "a: *; b: x=1"),
            (
                "SELECT * FROM t AS a JOIN t AS b ON a.p = b.id WHERE a.x = 1 AND b.y = 2",
                "t: x=1|y=2",
            ),
            (
                "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.id = a.id AND b.x = 2) z",
                "b: x=2; a: *",
            ),
        ],
    );
}

#[test]
fn subqueries_are_found_anywhere_in_a_statement() {
    check(
        Postgres,
        &[
            ("SELECT count(*) FROM (SELECT * FROM t WHERE a = 1) AS sub", "t: a=1"),
            (
                "SELECT * FROM a WHERE x = 1 AND id IN (SELECT a_id FROM b WHERE b.y = 2)",
                "b: y=2; a: x=1",
            ),
            (
                "SELECT * FROM a WHERE a.x = 1 AND EXISTS (SELECT 1 FROM b AS q WHERE q.y = 2)",
                "b: y=2; a: x=1",
            ),
            (
                "SELECT (SELECT max(q.x) FROM b q WHERE q.y = a.y AND q.z = 1) FROM a",
                "b: z=1; a: *",
            ),
            ("SELECT * FROM a ORDER BY (SELECT 1 FROM b q WHERE q.z = 1)", "a: *; b: z=1"),
            (
                "SELECT x FROM a GROUP BY x HAVING x > (SELECT q.m FROM b q WHERE q.z = 1)",
                "b: z=1; a: *",
            ),
            ("SELECT * FROM a WHERE x = 1 UNION ALL SELECT * FROM a WHERE x = 2", "a: x=1|x=2"),
            ("SELECT * FROM a WHERE x = 1 EXCEPT SELECT * FROM b WHERE y = 2", "b: y=2; a: x=1"),
            ("WITH c AS (SELECT * FROM a WHERE x = 1) SELECT * FROM c WHERE c.y = 2", "a: x=1"),
            ("WITH a AS (SELECT * FROM a WHERE x = 1) SELECT * FROM a", "a: x=1"),
            (
                "WITH RECURSIVE c AS (SELECT * FROM a WHERE x = 1 UNION SELECT a.* FROM a JOIN c ON a.p = c.id) SELECT * FROM c",
                "a: *",
            ),
            ("SELECT DISTINCT ON (x) * FROM a WHERE x = 1 ORDER BY x LIMIT 3 OFFSET 1", "a: x=1"),
            ("SELECT rank() OVER (PARTITION BY x ORDER BY y) FROM a WHERE z = 1", "a: z=1"),
            ("SELECT * FROM generate_series(1, 3) g JOIN a ON a.x = g", "a: *"),
            ("SELECT * FROM a AS b(x, y) WHERE x = 1", "a: *"),
        ],
    );
}

#[test]
fn a_schema_resolves_names_and_views() {
    let one = [Value::Int(1)];
    for (sql, expected) in [
        (
            "SELECT * FROM article JOIN author ON author.id = author_id WHERE tag = $1 AND age = 3",
            "article: tag=1; author: age=3",
        ),
        ("SELECT * FROM article JOIN author ON true WHERE name = 'x'", "article: *; author: *"),
        (
            "SELECT * FROM author WHERE EXISTS (SELECT 1 FROM article WHERE tag = $1 AND age = 5)",
            "article: tag=1; author: *",
        ),
        ("SELECT * FROM v WHERE tag = 1", "article: *; author: *"),
        (
            "SELECT * FROM article JOIN author ON author.id = article.author_id WHERE author.id = $1",
            "article: author_id=1; author: id=1",
        ),
    ] {
        assert_eq!(reads(&registered(Postgres), sql, &one), expected, "{sql}");
    }
}

#[test]
fn qualifiers_are_ignored_unless_the_default_schema_is_known() {
    let known = Analyser::new(Postgres, Schema::new().default_schema("app"), 4);

    assert_eq!(reads(&analyser(Postgres), "SELECT * FROM other.t", &[]), "t: *");
    assert_eq!(reads(&known, "SELECT * FROM app.t", &[]), "t: *");
    assert_eq!(reads(&known, "SELECT * FROM other.t WHERE t.a = 1", &[]), "other.t: a=1");
}

#[test]
fn a_query_that_no_row_can_satisfy_still_depends_on_something() {
    assert_eq!(reads(&analyser(Postgres), "SELECT * FROM t WHERE 1 = 2", &[]), "t: *");
    assert_eq!(reads(&analyser(Postgres), "SELECT * FROM t WHERE a = $1", &[Value::Null]), "t: *");
    assert_eq!(
        reads(&analyser(Postgres), "SELECT * FROM a LEFT JOIN b ON b.x = $1", &[Value::Null]),
        "a: *"
    );
}

#[test]
fn long_lists_stay_granular_until_the_server_would_refuse_them() {
    let list = |n: usize| (0..n).map(|at| at.to_string()).collect::<Vec<_>>().join(", ");
    let query =
        |n| reads(&analyser(Postgres), &format!("SELECT * FROM t WHERE id IN ({})", list(n)), &[]);

    assert_eq!(query(700).matches('|').count(), 699);
    assert_eq!(query(1025), "t: *");

    // A second list that would multiply is left out, not the whole condition.
    let sql = format!("SELECT * FROM t WHERE id IN ({}) AND a IN (1, 2) AND b = 3", list(700));
    assert_eq!(reads(&analyser(Postgres), &sql, &[]), "t: a=1&b=3|a=2&b=3");

    let or: Vec<String> = (0..700).map(|at| format!("id = {at}")).collect();
    let sql = format!("SELECT * FROM t WHERE {}", or.join(" OR "));
    assert_eq!(reads(&analyser(Postgres), &sql, &[]).matches('|').count(), 699);
}

#[test]
fn at_most_sixteen_terms_are_kept() {
    let terms: Vec<String> = (0..20).map(|at| format!("c{at} = {at}")).collect();
    let sql = format!("SELECT * FROM t WHERE {}", terms.join(" AND "));

    assert_eq!(reads(&analyser(Postgres), &sql, &[]).matches('&').count(), 15);
}

#[test]
fn names_are_cut_where_postgresql_cuts_them() {
    let long = "n".repeat(70);
    let cut = "n".repeat(63);
    let sql = format!("SELECT * FROM {long} WHERE {long}n = 1");

    assert_eq!(reads(&analyser(Postgres), &sql, &[]), format!("{cut}: {cut}=1"));
    assert_eq!(reads(&analyser(Sqlite), &sql, &[]), format!("{long}: {long}n=1"));
}

#[test]
fn is_true_of_sqlite_compares_truth_values() {
    // 'any text' IS FALSE.
    for sql in [
        "SELECT a FROM t WHERE name IS NOT DISTINCT FROM FALSE",
        "SELECT a FROM t WHERE name IS (FALSE)",
        "SELECT a FROM t WHERE NOT name IS DISTINCT FROM FALSE",
    ] {
        assert_eq!(reads(&analyser(Sqlite), sql, &[]), "t: *", "{sql}");
    }
    let sql = "SELECT a FROM t WHERE name IS NOT DISTINCT FROM 'a'";
    assert_eq!(reads(&analyser(Sqlite), sql, &[]), "t: name=a");
}
