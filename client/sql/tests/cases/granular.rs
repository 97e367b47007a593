//! Conditions that real applications write, and that are terms although they are no plain equation.

use super::*;

const NONE: Value<'static> = Value::Null;

#[test]
fn lower_and_upper_of_a_column_are_terms_because_canonical_text_has_no_case() {
    let postgres = analyser(Postgres);
    for condition in [
        "LOWER(email) = LOWER($1)",
        "lower(email) = $1",
        "email = lower($1)",
        "LOWER($1) = LOWER(u.email)",
        "LOWER(email) = LOWER($1::text)",
        "lower(email) IN ($1)",
        "LOWER(email) = ANY(ARRAY[LOWER($1)])",
        "upper(email) = upper($1)",
    ] {
        let sql = format!("SELECT * FROM u WHERE {condition}");
        assert_eq!(
            reads(&postgres, &sql, &[Value::from("Bob@X.org")]),
            "u: email=bob@x.org",
            "{sql}"
        );
        // A number is compared as a number somewhere.
        assert_eq!(reads(&postgres, &sql, &[Value::Int(7)]), "u: *", "{sql}");
    }
    let list = Value::Array(vec![Value::from("A"), Value::from("b")]);
    assert_eq!(
        reads(&postgres, "SELECT * FROM u WHERE LOWER(name) = ANY($1)", &[list]),
        "u: name=a|name=b"
    );

    // ICU's UPPER makes SS of the German letter, and marks are letters there.
    for value in ["Stra\u{df}e", "STRASSE", "\u{345}"] {
        assert_eq!(
            reads(&postgres, "SELECT * FROM u WHERE UPPER(name) = $1", &[Value::from(value)]),
            "u: *"
        );
    }
    // NULL equals nothing.
    assert_eq!(reads(&postgres, "SELECT * FROM u WHERE LOWER(a) = $1 OR b = 1", &[NONE]), "u: b=1");
    // What a write says of its rows it says for certain.
    assert_eq!(writes(&postgres, "DELETE FROM u WHERE LOWER(a) = $1", &[Value::from("x")]), "u: *");
}

#[test]
fn a_filter_that_a_null_parameter_disables_is_a_term_for_other_values() {
    let one = [Value::Int(1), Value::Int(2)];
    let off = [NONE, Value::Int(2)];
    for (condition, on, otherwise) in [
        ("($1 IS NULL OR a = $1) AND b = $2", "t: a=1&b=2", "t: b=2"),
        ("($1::int IS NULL OR a = $1) AND b = $2", "t: a=1&b=2", "t: b=2"),
        ("(a = $1 OR $1 IS NULL)", "t: a=1", "t: *"),
        ("NOT ($1 IS NOT NULL AND a <> $1)", "t: a=1", "t: *"),
        ("a = COALESCE($1, a) AND b = $2", "t: a=1&b=2", "t: b=2"),
        ("b = $2 AND COALESCE($1, t.a) = t.a", "t: a=1&b=2", "t: b=2"),
        ("CASE WHEN $1 IS NULL THEN true ELSE a = $1 END", "t: a=1", "t: *"),
        ("CASE WHEN $1 IS NOT NULL THEN a = $1 ELSE b = $2 END", "t: a=1", "t: b=2"),
        ("$1 IS NOT NULL AND a = $1 OR $1 IS NULL AND b = $2", "t: a=1", "t: b=2"),
    ] {
        let sql = format!("SELECT * FROM t WHERE {condition}");
        assert_eq!(reads(&analyser(Postgres), &sql, &one), on, "{sql}");
        assert_eq!(reads(&analyser(Postgres), &sql, &off), otherwise, "{sql}");
        // What is not given is not known.
        assert!(
            ["t: *", "t: b=2"].contains(
                &reads(&analyser(Postgres), &sql, &[Value::Opaque, Value::Int(2)]).as_str()
            )
        );
    }
    for (flag, expected) in
        [(Value::Bool(true), "t: a=2"), (Value::Bool(false), "t: *"), (NONE, "t: *")]
    {
        let sql = "SELECT * FROM t WHERE NOT $1 OR a = $2";
        let not = if flag == NONE { "t: a=2" } else { expected };
        assert_eq!(
            reads(&analyser(Postgres), sql, &[flag.clone(), Value::Int(2)]),
            not,
            "{flag:?}"
        );
        let sql = "SELECT * FROM t WHERE CASE WHEN $1::bool THEN a = $2 ELSE true END";
        assert_eq!(reads(&analyser(Postgres), sql, &[flag, Value::Int(2)]), "t: *");
    }
    // In a join each side is decided by it.
    let sql = "SELECT * FROM a JOIN b ON b.x = a.x WHERE ($1 IS NULL OR a.y = $1) AND b.z = $2";
    assert_eq!(reads(&analyser(Postgres), sql, &one), "a: y=1; b: z=2");
    assert_eq!(reads(&analyser(Postgres), sql, &off), "a: *; b: z=2");
    // MySQL makes NULL of what it cannot convert, and a write has no circumstances.
    let sql = "SELECT * FROM t WHERE (CAST(? AS DATE) IS NULL OR a = ?)";
    assert_eq!(reads(&analyser(MySql), sql, &one), "t: *");
    let sql = "DELETE FROM t WHERE ($1 IS NULL OR a = $1)";
    assert_eq!(writes(&analyser(Postgres), sql, &one), "t: *");
}

#[test]
fn names_in_a_subquery_are_resolved_where_no_table_surrounds_it() {
    let one = [Value::Int(1)];
    for sql in [
        "SELECT EXISTS (SELECT 1 FROM t WHERE a = $1)",
        "SELECT EXISTS (SELECT 1 FROM t WHERE a = $1) AS found",
        "SELECT (SELECT count(*) FROM t WHERE a = $1)",
        "SELECT NOT EXISTS (SELECT * FROM t WHERE a = $1), 1",
        "SELECT coalesce((SELECT b FROM t WHERE a = $1), 0)",
    ] {
        assert_eq!(reads(&analyser(Postgres), sql, &one), "t: a=1", "{sql}");
    }
    for sql in [
        // SQLite and MySQL know the names of results already.
        "SELECT 5 AS a, EXISTS (SELECT 1 FROM t WHERE a = $1)",
        "SELECT 1 AS a, (SELECT EXISTS (SELECT 1 FROM t WHERE a = $1))",
        "SELECT b FROM (SELECT 1 AS b) x ORDER BY (SELECT 1 FROM t WHERE a = $1)",
        "SELECT (SELECT (SELECT 1 FROM t WHERE a = $1)) FROM (VALUES (1)) AS x (a)",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS a) y WHERE EXISTS (SELECT 1 FROM t WHERE a = $1))",
    ] {
        assert_eq!(reads(&analyser(Postgres), sql, &one), "t: *", "{sql}");
    }
}

#[test]
fn bytes_are_terms() {
    let postgres = analyser(Postgres);
    let sql = "SELECT * FROM session WHERE token = $1";
    let bytes = |bytes: &[u8]| [Value::Bytes(bytes.to_vec().into())];
    assert_eq!(reads(&postgres, sql, &bytes(&[0xff, 0, 0x7f])), "session: token=x:ff007f");
    assert!(reads(&postgres, sql, &bytes(&[0xfe; 64])).starts_with("session: token=h:"));
    // PostgreSQL reads a literal as bytes where the column holds them.
    assert_eq!(reads(&postgres, sql, &bytes(b"Abc")), "session: token=abc");
    assert_eq!(
        reads(&postgres, "SELECT * FROM session WHERE token = 'Abc'", &[]),
        "session: token=abc"
    );
    for literal in ["'\\x616263'", "'a\\142c'", "E'\\\\x616263'", "'\u{e9}'"] {
        let sql = format!("SELECT * FROM session WHERE token = {literal}");
        assert_eq!(reads(&postgres, &sql, &[]), "session: *", "{sql}");
    }
    // Sixteen may be a UUID, and MySQL compares them with texts.
    assert_eq!(reads(&postgres, sql, &bytes(&[7; 16])), "session: *");
    assert_eq!(reads(&analyser(MySql), "SELECT * FROM s WHERE token = ?", &bytes(b"abc")), "s: *");
    assert_eq!(
        postgres.row_image("session", [("token", &bytes(b"Abc")[0])]).to_text(),
        b"token=abc"
    );
    // A column of text gets `\x616263`.
    let insert = "INSERT INTO session (token) VALUES ($1)";
    assert_eq!(writes(&postgres, insert, &bytes(b"abc")), "session: *");
    let schema = Schema::new().table(Table::new("session").column("token", ColumnKind::Bytes));
    let known = Analyser::new(Postgres, schema, 4);
    assert_eq!(writes(&known, insert, &bytes(b"abc")), "session: token=abc");
}

#[test]
fn a_long_list_is_cached() {
    let list: Vec<String> = (1..=5000).map(|at| format!("${at}")).collect();
    let sql = format!("SELECT * FROM t WHERE id IN ({})", list.join(", "));
    let values: Vec<Value<'_>> = (0..5000).map(Value::Int).collect();
    assert_eq!(reads(&analyser(Postgres), &sql, &values), "t: *");
}

#[test]
fn built_in_functions_and_operators_that_are_immutable_are_pure() {
    for expression in [
        "date_bin('15 minutes', at, TIMESTAMP '2020-01-01')",
        "to_tsvector('english', body) @@ plainto_tsquery('english', $1)",
        "ts_rank(setweight(to_tsvector('simple', title), 'A'), phraseto_tsquery('simple', $1)) > 0",
        "numnode(to_tsquery('a')) = 1 AND tsv @@ websearch_to_tsquery($1)",
        "jsonb_path_match(b, '$.a == 1')",
        "int4range(a, b) && int4range(1, 5)",
        "host(ip) = $1",
        "lower_inc(period) AND NOT isempty(period)",
        "embedding <=> $1 < 0.5",
        "name % $1",
    ] {
        let sql = format!("SELECT * FROM t WHERE c = 1 AND {expression}");
        assert_eq!(reads(&analyser(Postgres), &sql, &[Value::from("x")]), "t: c=1", "{sql}");
    }
    for expression in
        ["ts_rewrite('a', 'SELECT 1')", "ts_stat('SELECT 1')", "query_to_xml('x')", "nextval('s')"]
    {
        let sql = format!("SELECT {expression} FROM t");
        assert_eq!(reads(&analyser(Postgres), &sql, &[]), "uncached", "{sql}");
    }
    // Elsewhere it is the session.
    assert_eq!(reads(&analyser(MySql), "SELECT @@sql_mode FROM t", &[]), "uncached");
}
