//! Texts that a database reads otherwise than the parser does, and values that it takes for others. What needs a server
//! to be shown is in `tests/law/traps.rs`.

use cacheops_sql::{Kind, Transaction};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

use super::*;

fn bound(value: &Value<'_>) -> Sql {
    match value {
        Value::Int(value) => Sql::Integer(*value),
        Value::Float(value) => Sql::Real(*value),
        Value::Text(value) => Sql::Text(value.to_string()),
        value => panic!("{value:?}"),
    }
}

/// Terms of a condition by field: a field that a row does not have matches anything.
fn meets(query: &str, row: &str) -> bool {
    query.split('|').any(|query| {
        row.split('|').any(|row| {
            query == "*"
                || query.split('&').all(|term| {
                    let field = term.split('=').next();
                    row.split('&').all(|known| known.split('=').next() != field || known == term)
                })
        })
    })
}

/// The write changes what the read finds on SQLite. Then its changed rows must match the dependencies.
#[track_caller]
fn holds(schema: &str, read: (&str, &[Value<'_>]), write: (&str, &[Value<'_>])) {
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(schema).unwrap();
    let query = || {
        let mut statement = database.prepare(read.0).unwrap();
        let columns = statement.column_count();
        let values = rusqlite::params_from_iter(read.1.iter().map(bound));
        let mut rows = statement.query(values).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            all.push((0..columns).map(|at| row.get::<_, Sql>(at).unwrap()).collect::<Vec<_>>());
        }
        all
    };
    let before = query();
    database.execute(write.0, rusqlite::params_from_iter(write.1.iter().map(bound))).unwrap();
    assert_ne!(query(), before, "{} changes nothing of {}", write.0, read.0);

    let sqlite = analyser(Sqlite);
    let (read_template, write_template) = (sqlite.analyse(read.0), sqlite.analyse(write.0));
    let Some(dependencies) = read_template.dependencies(read.1) else { return };
    let changes = write_template.changed_rows(write.1).to_pairs();
    let matched = write_template.may_change_more()
        || changes.iter().any(|(table, rows)| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            dependencies.get(table).is_some_and(|query| meets(&text(query), &text(rows)))
        });
    assert!(
        matched,
        "{} on {}, {} on {}",
        read.0,
        joined(&dependencies.to_pairs()),
        write.0,
        joined(&changes)
    );
}

#[test]
fn numbers_that_the_parser_splits_are_unknown() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a)";
    let read = ("SELECT * FROM t WHERE a = 31", &[][..]);
    holds(schema, read, ("INSERT INTO t (a) SELECT 0X1F", &[]));
    // PostgreSQL 16 has these too.
    for number in ["0X1F", "0o17", "0b11"] {
        let sql = format!("INSERT INTO t (a) SELECT {number}");
        assert_eq!(writes(&analyser(Postgres), &sql, &[]), "t: *", "{sql}");
    }
    assert_eq!(writes(&analyser(Postgres), "INSERT INTO t (a) SELECT 5 x", &[]), "t: a=5");
}

#[test]
fn long_numbers_with_a_point_are_doubles_to_sqlite() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t (a) VALUES (9007199254740992)";
    let delete = ("DELETE FROM t WHERE a = 9007199254740992", &[][..]);
    for text in ["9007199254740993.0", "9007199254740993e0", "+9007199254740993."] {
        let read = ("SELECT * FROM t WHERE a = ?", &[Value::from(text)][..]);
        holds(schema, read, delete);
        let read = ("SELECT * FROM t WHERE a = CAST(? AS NUMERIC)", &[Value::from(text)][..]);
        holds(schema, read, delete);
    }
    let read = "SELECT * FROM t WHERE a = ?";
    let digits = [Value::from("9007199254740993")];
    assert_eq!(reads(&analyser(Sqlite), read, &digits), "t: a=9007199254740993");

    // A column of text gets fifteen digits of a float.
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)";
    let float = || [Value::Float(9_007_199_254_740_991.0)];
    let database = Connection::open_in_memory().unwrap();
    database.execute_batch(schema).unwrap();
    database.execute("INSERT INTO t (a) VALUES (?)", [bound(&float()[0])]).unwrap();
    let stored: String = database.query_row("SELECT a FROM t", [], |row| row.get(0)).unwrap();
    let read = (read, &[Value::from(stored)][..]);
    holds(schema, read, ("INSERT INTO t (a) VALUES (?)", &float()));
}

#[test]
fn a_vertical_tab_may_stand_before_a_number() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO t (a) VALUES (5)";
    for text in ["\u{b}5", "5\u{b}", " \u{b} 5"] {
        let value = [Value::from(text)];
        let delete = ("DELETE FROM t WHERE a = 5", &[][..]);
        holds(schema, ("SELECT * FROM t WHERE a = ?", &value), delete);
        let read = ("SELECT id FROM t WHERE a = 5", &[][..]);
        holds(schema, read, ("INSERT INTO t (a) VALUES (?)", &value));
        holds(schema, read, ("DELETE FROM t WHERE a = ?", &value));
    }
}

#[test]
fn tables_with_names_that_the_parser_does_not_read_are_tracked_whole() {
    let schema = "CREATE TABLE \"t😀\" (id INTEGER PRIMARY KEY, a)";
    let read = ("SELECT * FROM \"t😀\" WHERE a = 1", &[][..]);
    holds(schema, read, ("INSERT INTO t😀 (a) VALUES (1)", &[]));
    let sql = "INSERT INTO t€ (a) VALUES (1) ???";
    assert_eq!(writes(&analyser(Postgres), sql, &[]), "t€: *");
}

#[test]
fn vacuum_gives_new_numbers_to_the_rows_of_sqlite() {
    let schema = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1";
    holds(schema, ("SELECT rowid, a FROM t WHERE a = 2", &[]), ("VACUUM", &[]));
    assert!(!analyser(Postgres).analyse("VACUUM").may_change_more());
}

#[test]
fn commit_prepared_may_change_anything() {
    let kind = |sql| analyser(Postgres).analyse(sql).kind().clone();
    assert_eq!(kind("COMMIT"), Kind::Transaction(Transaction::Commit { chain: false }));
    for sql in ["COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "PREPARE TRANSACTION 'x'"] {
        assert_eq!(writes(&analyser(Postgres), sql, &[]), "; ..", "{sql}");
    }
}

#[test]
fn a_text_that_is_not_parsed_may_hide_a_statement() {
    // A name with an apostrophe hides no semicolon.
    let sql = "SELECT a AS [it's] FROM t WHERE a ISNULL; DELETE FROM u -- don't";
    assert_eq!(writes(&analyser(Sqlite), sql, &[]), "; ..");
    // Nor is a comment one that MySQL runs, however long the text is.
    let rows = vec!["(1)"; 10_000].join(",");
    let sql = format!("INSERT /*!50000 INTO u (a) VALUES */ {rows}");
    assert_eq!(writes(&analyser(MySql), &sql, &[]), "; ..");
    let sql = format!("INSERT /* 50000 */ INTO u (a) VALUES {rows}");
    assert_eq!(writes(&analyser(MySql), &sql, &[]), "u: *");
}

#[test]
fn a_list_of_rows_has_one_type_for_each_column() {
    // MariaDB makes numbers of all texts among which there is one, and most texts are zero.
    let mysql = analyser(MySql);
    let sql = "SELECT * FROM t WHERE (a, b) IN ((1, 'abc'), (2, 5))";
    assert_eq!(reads(&mysql, sql, &[]), "t: a=1|a=2");
    let sql = "SELECT * FROM t WHERE (a, b) IN ((1, 'abc'), (2, 'd'))";
    assert_eq!(reads(&mysql, sql, &[]), "t: a=1&b=abc|a=2&b=d");
    let sql = "SELECT * FROM t WHERE (a, b) IN ((1, 'abc'), (2, ?))";
    assert_eq!(reads(&mysql, sql, &["d".into()]), "t: a=1&b=abc|a=2&b=d");
    assert_eq!(reads(&mysql, sql, &[5.into()]), "t: a=1|a=2");
    let sql = "SELECT * FROM t WHERE (a, b) IN ((?, ?), (?, ?))";
    let values = |last: Value<'static>| [1.into(), "abc".into(), 2.into(), last];
    assert_eq!(reads(&mysql, sql, &values("d".into())), "t: a=1&b=abc|a=2&b=d");
    assert_eq!(reads(&mysql, sql, &values(5.into())), "t: a=1|a=2");
    assert_eq!(reads(&mysql, sql, &values(Value::Null)), "t: a=1&b=abc");
    assert_eq!(reads(&mysql, "SELECT * FROM t WHERE (a, b) IN ((1, 'abc'))", &[]), "t: a=1&b=abc");
}

#[test]
fn describe_and_desc_are_explain() {
    for sql in ["DESC ANALYZE UPDATE a, b SET a.x = ???", "DESCRIBE ANALYZE DELETE FROM t ???"] {
        assert_eq!(writes(&analyser(MySql), sql, &[]), "; ..", "{sql}");
    }
    assert!(matches!(analyser(MySql).analyse("DESCRIBE t ???").kind(), Kind::Read { .. }));
}

#[test]
fn names_of_mysql_are_compared_letter_by_letter() {
    // A sigma at the end of a word is no other letter.
    let sql = "UPDATE t SET ΟΔΟΣ = 5 WHERE οδοσ = 3";
    assert_eq!(writes(&analyser(MySql), sql, &[]), "t: οδοσ=3|οδοσ=5");
    // A common table expression differs from a table by case, on most systems.
    let sql = "WITH T AS (SELECT id FROM u) SELECT * FROM t JOIN T ON t.id = T.id";
    assert_eq!(reads(&analyser(MySql), sql, &[]), "u: *; t: *");
    let sql = "WITH T AS (SELECT id FROM u) SELECT * FROM T";
    assert_eq!(reads(&analyser(MySql), sql, &[]), "u: *");
    let sql = "WITH T AS (SELECT id FROM u) SELECT * FROM t";
    assert_eq!(reads(&analyser(Sqlite), sql, &[]), "u: *");
}

#[test]
fn conditions_whose_meaning_depends_on_a_setting_narrow_nothing() {
    // HIGH_NOT_PRECEDENCE and ANSI_QUOTES.
    let mysql = analyser(MySql);
    for condition in ["NOT a <> 1", "NOT NOT a = 1", "NOT a IS NOT NULL", "NOT a NOT IN (1)"] {
        let sql = format!("SELECT * FROM t WHERE {condition} AND b = 2");
        assert_eq!(reads(&mysql, &sql, &[]), "t: b=2", "{sql}");
    }
    assert_eq!(reads(&mysql, "SELECT * FROM t WHERE NOT (a <> 1)", &[]), "t: a=1");
    assert_eq!(writes(&mysql, "INSERT INTO t (a) SELECT 'x' \"y\"", &[]), "t: *");
    assert_eq!(reads(&mysql, "SELECT * FROM t WHERE a = 'x' 'y'", &[]), "t: a=xy");
    // transform_null_equals
    let postgres = analyser(Postgres);
    let sql = "SELECT * FROM t WHERE a = NULL OR b = 3";
    assert_eq!(reads(&postgres, sql, &[]), "t: *");
    assert_eq!(reads(&analyser(Sqlite), sql, &[]), "t: b=3");
    let safe = "SELECT * FROM t WHERE a IS NOT DISTINCT FROM NULL OR b = 3";
    assert_eq!(reads(&postgres, safe, &[]), "t: a|b=3");
}

#[test]
fn words_that_read_the_session_are_no_columns() {
    let role = "SELECT * FROM t WHERE owner = CURRENT_ROLE";
    assert_eq!(reads(&analyser(MySql), role, &[]), "uncached");
    assert_eq!(reads(&analyser(Sqlite), role, &[]), "t: *");
    let me = [Value::from("me@here")];
    for (dialect, sql) in [
        (MySql, "DELETE FROM t WHERE current_user = ?"),
        (MySql, "DELETE FROM t WHERE current_role = ?"),
        (Postgres, "DELETE FROM t WHERE current_schema = $1"),
    ] {
        assert_eq!(writes(&analyser(dialect), sql, &me), "t: *", "{sql}");
    }
    let quoted = "DELETE FROM t WHERE \"current_schema\" = $1";
    assert_eq!(writes(&analyser(Postgres), quoted, &me), "t: current_schema=me@here");
}

#[test]
fn a_query_of_the_form_table_t_is_not_parsed() {
    // It may be of another schema, and the parser swallows two words behind it.
    let mysql = Analyser::new(MySql, Schema::new().default_schema("app"), 4);
    for sql in ["TABLE t", "SELECT * FROM (TABLE other.t) AS x", "SELECT * FROM (TABLE t) AS x"] {
        assert_eq!(reads(&mysql, sql, &[]), "uncached", "{sql}");
    }
    for (sql, expected) in [
        ("INSERT INTO t TABLE u", "t: *"),
        ("INSERT INTO t (a) TABLE u RETURNING id", "t: *"),
        ("INSERT INTO t TABLE u; COMMIT", "; .."),
        ("EXPLAIN ANALYZE INSERT INTO t TABLE u", "; .."),
    ] {
        assert_eq!(writes(&analyser(Postgres), sql, &[]), expected, "{sql}");
    }
    assert_eq!(*analyser(Postgres).analyse("INSERT INTO t TABLE u; COMMIT").kind(), Kind::Other);
}

#[test]
fn a_built_in_function_of_one_dialect_is_unknown_in_another() {
    for (dialect, call, cached) in [
        (Postgres, "total(a)", false),
        (Postgres, "ifnull(a, 1)", false),
        (Postgres, "lower(a)", true),
        (Postgres, "\"lower\"(a)", true),
        (Postgres, "\"Lower\"(a)", false),
        (Postgres, "convert(a, b)", false),
        (MySql, "total(a)", false),
        (MySql, "date_trunc('day', a)", false),
        (MySql, "ifnull(a, 1)", true),
        (MySql, "CONVERT(a, CHAR)", true),
        (Sqlite, "total(a)", true),
        (Sqlite, "date_trunc('day', a)", false),
        (Sqlite, "convert(a, b)", false),
    ] {
        let sql = format!("SELECT {call} FROM t");
        assert_eq!(analyser(dialect).analyse(&sql).is_cacheable(), cached, "{dialect:?} {sql}");
    }
    let schema = Schema::new().pure_function("Total").pure_function("slugify");
    let known = Analyser::new(Postgres, schema, 4);
    for call in ["total(a)", "Slugify(a)", "\"Slugify\"(a)"] {
        assert!(known.analyse(&format!("SELECT {call} FROM t")).is_cacheable(), "{call}");
    }
}

#[test]
fn system_columns_that_a_lock_changes_are_not_cached() {
    let postgres = analyser(Postgres);
    for column in ["ctid", "xmax", "t.xmax", "t.\"cmin\""] {
        let sql = format!("SELECT {column} FROM t WHERE id = 1");
        assert_eq!(reads(&postgres, &sql, &[]), "uncached", "{sql}");
    }
    assert_eq!(reads(&postgres, "SELECT xmin FROM t WHERE id = 1", &[]), "t: id=1");
    let sql = "DELETE FROM t WHERE ctid = '(0,1)'";
    assert!(postgres.analyse(sql).old_rows().is_some());
}

#[test]
fn a_literal_that_does_not_mean_the_current_time_is_cached() {
    for text in ["not now", "right now", "known", "nowhere", "todays", "das ist heute"] {
        let sql = format!("SELECT * FROM t WHERE name = '{text}'");
        assert!(analyser(Postgres).analyse(&sql).is_cacheable(), "{text}");
    }
}
