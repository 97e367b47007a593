//! Traps that only a server can show: a read, a write, and the read once more. If its result is another one, it was not
//! cached or the write invalidates it.

use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table, Value};
use support::Postgres;

use crate::live::{self, Live};
use crate::matcher::{matches, parse};

/// A statement as the database gets it, and as the analyser does.
struct Statement<'a> {
    run: &'a str,
    analysed: &'a str,
    values: &'a [Value<'a>],
}

impl<'a> Statement<'a> {
    fn plain(sql: &'a str) -> Self {
        Self { run: sql, analysed: sql, values: &[] }
    }
}

#[track_caller]
fn holds(
    live: &mut Live,
    analyser: &Analyser,
    setup: &str,
    read: Statement<'_>,
    write: Statement<'_>,
) {
    live.run(setup);
    let before = live.query(read.run).unwrap_or_else(|error| panic!("{error} in {}", read.run));
    live.run(write.run);
    let after = live.query(read.run).unwrap_or_else(|error| panic!("{error} in {}", read.run));
    assert_ne!(before, after, "{} changes nothing of {}", write.run, read.run);

    let template = analyser.compile(read.analysed);
    let Some(dependencies) = template.dependencies(read.values) else { return };
    let template = analyser.compile(write.analysed);
    if template.may_change_more() {
        return;
    }
    let changes = template.changed_rows(write.values).to_pairs();
    let seen = changes.iter().any(|(table, rows)| {
        dependencies.get(table).is_some_and(|condition| matches(&parse(condition), &parse(rows)))
    });
    assert!(
        seen,
        "{} depends on {:?}, {} changes {:?}",
        read.analysed,
        dependencies.to_pairs(),
        write.analysed,
        changes
    );
}

#[test]
fn postgresql() {
    let Some(server) = Postgres::start() else { return };
    let mut live = Live::connect(&server.url());
    let plain = Statement::plain;
    let unknown = Analyser::new(Dialect::Postgres, Schema::new(), 1);
    let check = |live: &mut Live, setup: &str, read: &str, write: &str| {
        holds(live, &unknown, setup, Statement::plain(read), Statement::plain(write));
    };
    let t = "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, a bigint, b int, name text); \
        INSERT INTO t VALUES (1, 1, 1, 'x'), (2, 16777216, 2, 'y')";

    // The other spelling of ANALYZE.
    let all = "SELECT * FROM t";
    check(&mut live, t, all, "EXPLAIN ANALYSE DELETE FROM t WHERE id = 1");
    check(&mut live, t, all, "EXPLAIN (ANALYSE) DELETE FROM t WHERE id = 1");

    // A comment begins in the middle of what looks like an operator.
    let insert = "INSERT INTO t (id, a, b) VALUES (5, 5, 9)";
    check(&mut live, t, "SELECT * FROM t WHERE a >-- 1 AND b = 3 AND id <\n 0", insert);
    check(&mut live, t, "SELECT * FROM t WHERE a >/* 1 AND b = 3 AND id >*/ 0", insert);

    // A carriage return ends a comment.
    let hidden = "-- c\rINSERT INTO t (id)\nSELECT 7 FROM ONLY (t) WHERE id = 1";
    check(&mut live, t, all, hidden);

    // Two literals in two lines are one.
    let schema = Schema::new().table(Table::new("t").column("name", ColumnKind::Text));
    let registered = Analyser::new(Dialect::Postgres, schema, 1);
    let read = plain("SELECT * FROM t WHERE name = 'foobar'");
    let write = plain("INSERT INTO t (id, name) SELECT 8, 'foo'\n  'bar'");
    holds(&mut live, &registered, t, read, write);

    // Functions of the user's that bear a name of another dialect, or of their own between quotes.
    let function = |name: &str, arguments: &str| {
        format!(
            "DROP TABLE IF EXISTS u; CREATE TABLE u (x int); {t}; CREATE OR REPLACE FUNCTION {name}({arguments}) \
            RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM u'"
        )
    };
    for (name, arguments, call) in [
        ("total", "bigint", "total(a)"),
        ("\"Lower\"", "bigint", "\"Lower\"(a)"),
        ("convert", "bigint, int", "convert(a, b)"),
    ] {
        let setup = function(name, arguments);
        let read = format!("SELECT {call} FROM t WHERE id = 1");
        check(&mut live, &setup, &read, "INSERT INTO u VALUES (1)");
    }
    let pure = Analyser::new(Dialect::Postgres, Schema::new().pure_function("twice"), 1);
    let setup = format!(
        "{t}; CREATE OR REPLACE FUNCTION twice(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1'"
    );
    let write = "CREATE OR REPLACE FUNCTION twice(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 3 * $1'";
    holds(&mut live, &pure, &setup, plain("SELECT twice(a) FROM t"), plain(write));

    // A word of the session, whatever columns there are.
    let setup = "DROP TABLE IF EXISTS r; CREATE TABLE r (\"current_role\" text); INSERT INTO r VALUES ('me')";
    let read = "SELECT * FROM r WHERE \"current_role\" = 'me'";
    let write = Statement {
        run: "DELETE FROM r WHERE current_role = 'postgres'",
        analysed: "DELETE FROM r WHERE current_role = $1",
        values: &[Value::from("postgres")],
    };
    holds(&mut live, &unknown, setup, plain(read), write);

    // One float makes floats of a whole list.
    let schema = Schema::new().table(Table::new("t").column("a", ColumnKind::Int));
    for analyser in [&unknown, &Analyser::new(Dialect::Postgres, schema, 1)] {
        let read = Statement {
            run: "SELECT * FROM t WHERE a IN (16777217, '3'::float4)",
            analysed: "SELECT * FROM t WHERE a IN (16777217, $1)",
            values: &[Value::Float(3.0)],
        };
        holds(&mut live, analyser, t, read, plain("DELETE FROM t WHERE a = 16777216"));
    }

    // A setting takes it for IS NULL.
    let read = Statement {
        run: "SET transform_null_equals = on; SELECT * FROM t WHERE name = NULL OR id = 100",
        analysed: "SELECT * FROM t WHERE name = NULL OR id = 100",
        values: &[],
    };
    let write = "INSERT INTO t (id, name) VALUES (11, NULL)";
    holds(&mut live, &unknown, t, read, plain(write));

    // A lock is written into the row.
    let lock = "DO $$ BEGIN PERFORM 1 FROM t WHERE id = 1 FOR UPDATE; END $$";
    let read = plain("SELECT xmax FROM t WHERE id = 1");
    let write =
        Statement { run: lock, analysed: "SELECT 1 FROM t WHERE id = 1 FOR UPDATE", values: &[] };
    holds(&mut live, &unknown, t, read, write);

    // Times that move on.
    for (literal, kind) in [
        ("E'today'", "date"),
        ("$$now$$", "timestamptz"),
        ("U&'now'", "timestamptz"),
        ("'today!'", "date"),
        ("'(now)'", "timestamptz"),
        ("'Mon now'", "timestamptz"),
        ("'{today}'", "date[]"),
        ("'{\"now\",epoch}'", "timestamptz[]"),
        ("'[yesterday,today)'", "daterange"),
        (
            "'today                                                                           '",
            "date",
        ),
    ] {
        live.run(&format!("SELECT {literal}::{kind}"));
        let read = unknown.compile(&format!("SELECT * FROM t WHERE x > {literal}"));
        assert!(!read.is_cacheable(), "{literal}");
    }
    live.run("SELECT \"timestamp\"('now'::text)");
    for (sql, value) in [
        ("SELECT * FROM t WHERE x > \"timestamp\"($1)", Value::from("now")),
        ("SELECT * FROM t WHERE x = ANY($1::date[])", Value::Array(vec!["today".into()])),
    ] {
        assert_eq!(unknown.compile(sql).dependencies(&[value]), None, "{sql}");
    }
}

#[test]
fn mariadb() {
    let Some(server) = live::mariadb() else { return };
    let mut live = Live::connect(&server.url("mysql"));
    for sql in ["CREATE DATABASE traps CHARACTER SET utf8mb4", "USE traps"] {
        live.run(sql);
    }
    let plain = Statement::plain;
    let unknown = Analyser::new(Dialect::MySql, Schema::new(), 1);
    let check = |live: &mut Live, setup: &[&str], read: &str, write: &str| {
        let (last, first) = setup.split_last().expect("a statement");
        first.iter().for_each(|sql| live.run(sql));
        holds(live, &unknown, last, Statement::plain(read), Statement::plain(write));
    };
    let t = [
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(20))",
        "INSERT INTO t VALUES (1, 1, 'xyz'), (2, 2, 'abc')",
    ];

    // The types of a list of rows are made one.
    let schema = Schema::new()
        .table(Table::new("t").column("a", ColumnKind::Int).column("b", ColumnKind::Text));
    let registered = Analyser::new(Dialect::MySql, schema, 1);
    t.iter().take(2).for_each(|sql| live.run(sql));
    let read = plain("SELECT * FROM t WHERE (a, b) IN ((1, 'abc'), (2, 5))");
    holds(&mut live, &registered, t[2], read, plain("DELETE FROM t WHERE a = 1 AND b = 'xyz'"));

    // A vertical tab before a number.
    let read = Statement {
        run: "SELECT * FROM t WHERE a = '\u{b}2'",
        analysed: "SELECT * FROM t WHERE a = ?",
        values: &[Value::from("\u{b}2")],
    };
    t.iter().take(2).for_each(|sql| live.run(sql));
    holds(&mut live, &unknown, t[2], read, plain("DELETE FROM t WHERE a = 2"));

    // Names are compared letter by letter.
    check(
        &mut live,
        &["DROP TABLE IF EXISTS g", "CREATE TABLE g (`οδοσ` int)", "INSERT INTO g VALUES (3)"],
        "SELECT * FROM g WHERE οδοσ = 5",
        "UPDATE g SET ΟΔΟΣ = 5 WHERE οδοσ = 3",
    );

    // Swedish, which the server takes where no collation is named.
    let swedish = "CREATE TABLE s (n varchar(20)) CHARACTER SET latin1 COLLATE latin1_swedish_ci";
    let setup = ["DROP TABLE IF EXISTS s", swedish, "DELETE FROM s"];
    let schema = Schema::new().table(Table::new("s").column("n", ColumnKind::Text));
    for analyser in [&unknown, &Analyser::new(Dialect::MySql, schema, 1)] {
        setup.iter().take(2).for_each(|sql| live.run(sql));
        let read = plain("SELECT * FROM s WHERE n = 'Müller'");
        let write = "INSERT INTO s (n) VALUES ('Myller')";
        holds(&mut live, analyser, setup[2], read, plain(write));
    }

    // A letter above a letter.
    let unicode = "CREATE TABLE s (n varchar(20)) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci";
    ["DROP TABLE s", unicode].iter().for_each(|sql| live.run(sql));
    let read = plain("SELECT * FROM s WHERE n = 'x\u{363}'");
    holds(&mut live, &unknown, "DELETE FROM s", read, plain("INSERT INTO s (n) VALUES ('xa')"));

    // Modes that make NOT stronger than a comparison, and a name of what stands between double quotes.
    let modes = "SET sql_mode = CONCAT(@@sql_mode, ',HIGH_NOT_PRECEDENCE,ANSI_QUOTES')";
    t.iter().take(2).for_each(|sql| live.run(sql));
    live.run(modes);
    let read = plain("SELECT id FROM t WHERE NOT a <> 1");
    let write = plain("DELETE FROM t WHERE a = 2");
    holds(&mut live, &registered, t[2], read, write);
    let read = plain("SELECT id FROM t WHERE b = 'u'");
    let write = plain("INSERT INTO t (id, b) SELECT 8, 'u' \"v\"");
    holds(&mut live, &registered, "DELETE FROM t", read, write);
    live.run("SET sql_mode = DEFAULT");

    // Functions of the user's that bear a name of another dialect.
    check(
        &mut live,
        &[
            "CREATE OR REPLACE TABLE u (x int)",
            "CREATE OR REPLACE FUNCTION total(a int) RETURNS int READS SQL DATA RETURN (SELECT count(*) FROM u)",
            t[0],
            t[1],
            t[2],
        ],
        "SELECT total(a) FROM t WHERE id = 1",
        "INSERT INTO u VALUES (1)",
    );

    // A word of the session, whatever columns there are.
    live.run("CREATE OR REPLACE TABLE r (`current_user` varchar(80))");
    let write = Statement {
        run: "DELETE FROM r WHERE current_user = 'root@localhost'",
        analysed: "DELETE FROM r WHERE current_user = ?",
        values: &[Value::from("root@localhost")],
    };
    let schema = Schema::new().table(Table::new("r").column("current_user", ColumnKind::Text));
    let registered = Analyser::new(Dialect::MySql, schema, 1);
    let read = plain("SELECT * FROM r WHERE `current_user` = 'me'");
    holds(&mut live, &registered, "INSERT INTO r VALUES ('me')", read, write);
}
