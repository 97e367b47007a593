//! Statements that look like one thing and do another: each of them once made a read miss a write.

use cacheops_sql::{Kind, Returning, WriteKind};

use super::*;

#[track_caller]
fn depends(dialect: Dialect, sql: &str, expected: &str) {
    let values = [Value::Int(11), Value::Int(22)];
    assert_eq!(reads(&analyser(dialect), sql, &values), expected, "{sql}");
}

#[track_caller]
fn changes(dialect: Dialect, sql: &str, expected: &str) {
    let values = [Value::Int(11), Value::Int(22)];
    assert_eq!(writes(&analyser(dialect), sql, &values), expected, "{sql}");
}

#[test]
fn conditions_with_operators_whose_precedence_the_parser_misreads_narrow_nothing() {
    // XOR and || are weaker than AND, BINARY is stronger than a comparison.
    depends(MySql, "SELECT * FROM t WHERE x = 1 AND a = 1 XOR b = 2", "t: *");
    depends(MySql, "SELECT * FROM t WHERE x = 1 AND a = 1 || b = 2", "t: *");
    depends(MySql, "SELECT * FROM t WHERE x = 1 AND BINARY a = 'x' OR b = 2", "t: *");
    depends(MySql, "SELECT * FROM t JOIN u ON t.x = 1 AND t.a = 1 XOR u.b = 2", "t: *; u: *");
    changes(MySql, "UPDATE t SET x = 5 WHERE x = 1 AND a = 1 XOR b = 2", "t: *");
    changes(MySql, "DELETE FROM t WHERE x = 1 AND a = 1 || b = 2", "t: *");
    // Others have || for texts, and only names of columns may be like that.
    depends(Postgres, "SELECT * FROM t WHERE x = 1 AND a = 'b' || 'c'", "t: x=1");
    depends(MySql, "SELECT * FROM t WHERE x = 1 AND `binary` = 2", "t: binary=2&x=1");
}

#[test]
fn a_join_without_on_takes_part_in_the_outer_join_behind_it() {
    // MySQL makes up rows for both tables, and the parser takes the second join first.
    let sql = "SELECT * FROM a JOIN b RIGHT JOIN c ON b.id = c.id WHERE a.x IS NULL AND a.y = 1";
    depends(MySql, sql, "a: y=1; b: *; c: *");
    let sql = "UPDATE a JOIN b RIGHT JOIN c ON b.id = c.id SET a.x = 4 WHERE a.x IS NULL";
    changes(MySql, sql, "a: *");
    let inner = "SELECT * FROM a JOIN (b JOIN c ON b.id = c.id) ON a.id = b.id WHERE a.x IS NULL";
    depends(MySql, inner, "a: x; b: *; c: *");
}

#[test]
fn a_qualified_column_may_belong_to_a_table_outside() {
    let sql = "SELECT * FROM s.t WHERE EXISTS (SELECT 1 FROM u AS t WHERE s.t.a = 5)";
    depends(Postgres, sql, "u: *; t: *");
    depends(Postgres, "SELECT * FROM s.t WHERE s.t.a = 5", "t: a=5");
    // On most systems MySQL's aliases differ by case.
    let sql = "SELECT * FROM t AS a WHERE EXISTS (SELECT 1 FROM u AS A WHERE a.x = 1)";
    depends(MySql, sql, "u: *; t: *");
    let sql = "SELECT * FROM t AS a WHERE EXISTS (SELECT 1 FROM u AS A WHERE A.x = 1)";
    depends(MySql, sql, "u: x=1; t: *");
    depends(Postgres, sql, "u: x=1; t: *");
}

#[test]
fn a_parameter_that_is_a_number_behind_an_at_sign_counts() {
    // SQLite binds two values.
    depends(Sqlite, "SELECT * FROM t WHERE a = @1 AND b = ?", "uncached");
    depends(Sqlite, "SELECT * FROM t WHERE a = @x AND b = ?", "t: a=11&b=22");
}

#[test]
fn an_assignment_to_rowid_may_change_any_row() {
    // Where `id` is an INTEGER PRIMARY KEY.
    changes(Sqlite, "UPDATE t SET rowid = 7 WHERE id = 5", "t: *");
    changes(Sqlite, "UPDATE t SET _rowid_ = ? WHERE a = 5 AND id = 3", "t: *");
    changes(Sqlite, "INSERT INTO t (id, rowid) VALUES (5, 7)", "t: *");
    let upsert = "INSERT INTO t (id) VALUES (5) ON CONFLICT (id) DO UPDATE SET oid = 7";
    changes(Sqlite, upsert, "t: *");

    let sqlite = analyser(Sqlite);
    for sql in ["UPDATE t SET rowid = 7 WHERE id = 5 RETURNING *", upsert] {
        let template = sqlite.analyse(sql);
        assert_eq!(sqlite.unchanged_image(&template, [("id", &Value::Int(7))]), None, "{sql}");
        assert!(template.assigned_values(&[]).is_empty(), "{sql}");
    }
    // A column that is registered is a column.
    let table = Table::new("t").column("rowid", ColumnKind::Int);
    let registered = Analyser::new(Sqlite, Schema::new().table(table), 4);
    assert_eq!(writes(&registered, "UPDATE t SET rowid = 7 WHERE id = 5", &[]), "t: id=5");
}

#[test]
fn a_column_that_is_inserted_twice_is_not_known() {
    changes(Sqlite, "INSERT INTO t (a, a, b) VALUES (abs(1), 2, 3)", "t: b=3");
    changes(Sqlite, "INSERT INTO t (a, b, A) VALUES (1, 3, 2)", "t: b=3");
}

#[test]
fn an_inserted_zero_of_mysql_is_unknown_in_every_spelling() {
    for zero in ["0", "'0'", "0.0", "-0", "'00'", "FALSE"] {
        let sql = format!("INSERT INTO article (id, tag) VALUES ({zero}, 5)");
        assert_eq!(writes(&registered(MySql), &sql, &[]), "article: tag=5", "{sql}");
    }
    let sql = "UPDATE article SET tag = 0 WHERE id = 3";
    assert_eq!(writes(&registered(MySql), sql, &[]), "article: id=3");
}

#[test]
fn a_full_text_table_of_sqlite_has_a_column_of_its_own_name() {
    // `fts = 'hello'` searches, and the command takes the row with it out of the index.
    depends(Sqlite, "SELECT * FROM fts WHERE fts = 'hello'", "fts: *");
    changes(Sqlite, "INSERT INTO fts (fts, rowid, title) VALUES ('delete', 1, 'hello')", "fts: *");
}

#[test]
fn a_statement_inside_another_writes() {
    for sql in [
        "COPY (DELETE FROM t RETURNING *) TO STDOUT",
        "EXPLAIN (ANALYZE) UPDATE t SET a = 5",
        "EXPLAIN (VERBOSE, ANALYZE true) DELETE FROM t",
        "EXPLAIN ANALYZE DELETE FROM t",
    ] {
        changes(Postgres, sql, "t: *");
        assert_eq!(analyser(Postgres).analyse(sql).old_rows(), None, "{sql}");
    }
    changes(Postgres, "EXPLAIN DELETE FROM t", "");
    changes(Postgres, "COPY (SELECT * FROM t) TO STDOUT", "");
    // Of MariaDB.
    changes(MySql, "SET STATEMENT max_statement_time = 1 FOR UPDATE t SET a = 5", "; ..");
    changes(MySql, "SET max_statement_time = 1", "");
}

#[test]
fn a_script_writes_what_each_of_its_statements_writes() {
    changes(Postgres, "SELECT 1; DROP TABLE t", "t: *");
    changes(Postgres, "SELECT 1; COPY t FROM '/tmp/t'", "t: *");
    changes(Postgres, "SELECT 1; TRUNCATE t, u", "t: *; u: *");
    changes(Postgres, "SELECT 1; COPY (DELETE FROM t RETURNING *) TO STDOUT", "t: *");
    assert_eq!(
        writes(&registered(Postgres), "SELECT 1; DROP TABLE author", &[]),
        "author: *; audit: *"
    );
}

#[test]
fn texts_that_are_not_parsed_name_the_right_table() {
    changes(Postgres, r#"INSERT INTO U&"\0074" VALUES (1)"#, "; ..");
    changes(Postgres, "UPDATE /* /* */ x SET */ t SET ???", "; ..");
    changes(Postgres, "DELETE FROM t /* /* */ ' */; DELETE FROM u WHERE ???'", "; ..");
    changes(Postgres, "UPDATE /* a */ t /* b */ SET ???", "t: *");
    let schema = Schema::new().default_schema("public");
    let public = Analyser::new(Postgres, schema, 4);
    assert_eq!(writes(&public, "UPDATE other.t SET ???", &[]), "other: *; other.t: *; t: *");
}

#[test]
fn a_replace_that_is_not_parsed_deletes_too() {
    for (dialect, sql) in [
        (MySql, r"REPLACE INTO t (a) VALUES ('a\\b')"),
        (Sqlite, "INSERT OR REPLACE INTO t (a) VALUES ('a') ???"),
        (Sqlite, "REPLACE INTO t (a) VALUES ('a') ???"),
    ] {
        changes(dialect, sql, "t: *");
        assert!(analyser(dialect).analyse(sql).may_delete(), "{sql}");
    }
    assert!(!analyser(Sqlite).analyse("INSERT INTO t (a) VALUES ('a') ???").may_delete());

    // The parser does not know it behind a WITH.
    let with = "WITH x AS (SELECT 1) REPLACE INTO t (a) SELECT * FROM x";
    changes(Sqlite, with, "; ..");
    let kind = |dialect, sql| analyser(dialect).analyse(sql).kind().clone();
    assert!(matches!(kind(Sqlite, with), Kind::Other));
    let read = "WITH x AS (SELECT replace(a, 'b', 'c') FROM t) SELECT * FROM x WHERE a ISNULL";
    assert!(matches!(kind(Sqlite, read), Kind::Read { .. }));
}

#[test]
fn an_upsert_that_is_not_parsed_may_update() {
    for (dialect, sql) in [
        (MySql, r"INSERT INTO t (id, a) VALUES (1, 'a\\b') ON DUPLICATE KEY UPDATE id = 7"),
        (Sqlite, "INSERT INTO t (id) VALUES (1) ON CONFLICT (a + 1) DO UPDATE SET id = 7"),
    ] {
        changes(dialect, sql, "t: *");
        let template = analyser(dialect).analyse(sql);
        assert_eq!(*template.kind(), Kind::Write(WriteKind::Upsert), "{sql}");
        assert!(!template.may_delete(), "{sql}");
    }
}

#[test]
fn an_alias_may_be_called_like_a_keyword() {
    let template = analyser(Postgres).analyse("UPDATE t AS set SET a = 1 WHERE b = 2");
    let old = template.old_rows().map(|old| old.sql().to_owned());
    assert_eq!(old.as_deref(), Some("SELECT * FROM t AS set WHERE b = 2 FOR UPDATE"));
}

#[test]
fn constants_of_other_types_are_not_compared_as_integers() {
    let sql = "SELECT * FROM t WHERE (1::bool = 2::bool AND a = 5) OR b = 3";
    depends(Postgres, sql, "t: a=5|b=3");
    depends(Postgres, "SELECT * FROM t WHERE (1 = 2 AND a = 5) OR b = 3", "t: b=3");
}

#[test]
fn a_view_may_be_made_of_views() {
    let schema = Schema::new().view("v", ["t", "u"]).view("w", ["v", "x"]).view("loop", ["loop"]);
    let analyser = Analyser::new(Postgres, schema, 4);
    assert_eq!(reads(&analyser, "SELECT * FROM w", &[]), "x: *; t: *; u: *");
    assert_eq!(writes(&analyser, "DELETE FROM w WHERE a = 1", &[]), "x: *; t: *; u: *");
}

#[test]
fn the_clock_hides() {
    for sql in [
        "SELECT strftime('%s') FROM t",
        "SELECT unixepoch('subsec') FROM t",
        "SELECT * FROM t WHERE d > date(\"now\")",
        "SELECT datetime(x'6e6f77') FROM t",
    ] {
        depends(Sqlite, sql, "uncached");
    }
    depends(Sqlite, "SELECT strftime('%s', d) FROM t WHERE a = 1", "t: a=1");
    for sql in [
        "SELECT * FROM t WHERE at > 'today 10:00'",
        "SELECT * FROM t WHERE at > '10:00 Tomorrow'",
        "SELECT * FROM t WHERE at > 'yesterday Europe/Berlin'",
    ] {
        depends(Postgres, sql, "uncached");
    }
    let cast = analyser(Postgres);
    let sql = "SELECT * FROM t WHERE at > $1::timestamptz AND a = 1";
    assert_eq!(reads(&cast, sql, &[Value::from("today 10:00")]), "uncached");
    assert_eq!(reads(&cast, sql, &[Value::from("2020-01-01")]), "t: a=1");
    let sql = "SELECT * FROM t WHERE at > date($1) AND a = 1";
    assert_eq!(reads(&cast, sql, &[Value::from("today")]), "uncached");
    depends(Postgres, "SELECT * FROM t WHERE name = 'not now'", "t: name=not now");
}

#[test]
fn an_assigned_list_is_unknown_because_a_set_of_mysql_reorders_it() {
    // 'b,a' is stored as 'a,b'.
    changes(MySql, "INSERT INTO t (id, s) VALUES (2, 'b,a')", "t: id=2");
    let template = analyser(MySql).analyse("UPDATE t SET s = ?, n = 'b' WHERE id = 1");
    assert_eq!(template.assigned_values(&[Value::from("b,a")]).to_text(), b"n=b");
    assert_eq!(template.assigned_values(&[Value::from("b")]).to_text(), b"n=b&s=b");
    depends(MySql, "SELECT * FROM t WHERE s = 'a,b'", "t: s=a,b");
}

#[test]
fn a_part_of_a_column_is_not_a_column() {
    // `c` is of a composite type.
    changes(Postgres, "INSERT INTO t (c.x, a) VALUES (5, 1)", "t: *");
    changes(Postgres, "UPDATE t SET c.x = 5 WHERE x = 3 AND c = 'a'", "t: x=3");
}

#[test]
fn a_conversion_that_changes_the_value_is_no_constant() {
    // The largest number of ten digits.
    depends(MySql, "SELECT * FROM t WHERE n = CAST(99999999999 AS DECIMAL)", "t: *");
    depends(Postgres, "SELECT * FROM t WHERE n = CAST(99999999999 AS DECIMAL)", "t: n=99999999999");
    // One character.
    depends(Postgres, "SELECT * FROM t WHERE a = 'xyz'::\"char\"", "t: *");
}

#[test]
fn a_table_that_changes_itself_is_not_known_by_the_rows_that_are_written() {
    // A parent in the same table with ON DELETE CASCADE, by way of another table, and ON CONFLICT REPLACE.
    let schema = Schema::new()
        .table(Table::new("t").also(["t"]))
        .table(Table::new("a").also(["b"]))
        .table(Table::new("b").also(["a"]))
        .table(Table::new("c").also(["a"]));
    for dialect in [Sqlite, Postgres, MySql] {
        let analyser = Analyser::new(dialect, schema.clone(), 16);
        for (sql, expected) in [
            ("DELETE FROM t WHERE id = 1", "t: *"),
            ("INSERT INTO t (id) VALUES (1)", "t: *"),
            ("UPDATE a SET id = 1 WHERE id = 2", "a: *; b: *"),
        ] {
            let template = analyser.analyse(sql);
            assert_eq!(writes(&analyser, sql, &[]), expected, "{sql}");
            assert_eq!((template.target(), template.old_rows()), (None, None), "{sql}");
        }
        let sql = "DELETE FROM c WHERE id = 1";
        assert_eq!(writes(&analyser, sql, &[]), "c: id=1; a: *; b: *");
        assert_eq!(analyser.analyse(sql).target(), Some("c"));
    }
    let mysql = Analyser::new(MySql, schema, 16);
    for sql in
        ["DELETE t FROM t JOIN u ON t.id = u.id", "UPDATE t JOIN u ON t.id = u.id SET t.id = 5"]
    {
        let template = mysql.analyse(sql);
        assert_eq!((template.target(), template.old_rows()), (None, None), "{sql}");
    }
}

#[test]
fn a_function_of_another_schema_is_another_function() {
    depends(Postgres, "SELECT * FROM app.unnest(1) x, t WHERE t.a = 1", "uncached");
    depends(Postgres, "SELECT * FROM t CROSS JOIN LATERAL app.json_each(t.j) x", "uncached");
    depends(Postgres, "SELECT * FROM t JOIN LATERAL unnest(t.v) x ON true", "t: *");
}

#[test]
fn returning_is_not_used_for_columns_that_a_trigger_changes_later() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, c INT);
            CREATE TRIGGER later AFTER INSERT ON t BEGIN UPDATE t SET c = NEW.a + 1 WHERE id = NEW.id; END",
        )
        .unwrap();
    let of_c = |sql| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>("c")).unwrap();
    assert_eq!(of_c("INSERT INTO t (id, a) VALUES (1, 7) RETURNING *"), None);
    assert_eq!(of_c("SELECT * FROM t"), Some(8));

    let int = ColumnKind::Int;
    let table = Table::new("t").column("id", int).column("a", int).triggered("c", int);
    for dialect in [Sqlite, Postgres] {
        let analyser = Analyser::new(dialect, Schema::new().table(table.clone()), 16);
        assert_eq!(reads(&analyser, "SELECT * FROM t WHERE c = 8", &[]), "t: c=8");
        for (sql, changes) in [
            ("INSERT INTO t (id, a) VALUES (1, 7) RETURNING *", "t: a=7&id=1"),
            ("INSERT INTO t (id, a) VALUES (1, 7) RETURNING id, c", "t: a=7&id=1"),
            ("UPDATE t SET a = 7 WHERE id = 1 AND c = 5 RETURNING *", "t: c=5&id=1|a=7&id=1"),
        ] {
            assert_eq!(*analyser.analyse(sql).returning(), Returning::Expressions, "{sql}");
            assert_eq!(writes(&analyser, sql, &[]), changes, "{sql}");
        }
        let sql = "INSERT INTO t (id, a) VALUES (1, 7) RETURNING id, a";
        assert!(matches!(analyser.analyse(sql).returning(), Returning::Columns(_)));
        // What is deleted was like that.
        assert_eq!(*analyser.analyse("DELETE FROM t RETURNING *").returning(), Returning::All);
    }
}

#[test]
fn a_generated_column_may_replace_null_by_its_default() {
    // NOT NULL ON CONFLICT REPLACE DEFAULT 5
    let table = Table::new("t").generated("n", ColumnKind::Int);
    let sqlite = Analyser::new(Sqlite, Schema::new().table(table), 16);
    let sql = "UPDATE t SET n = NULL WHERE id = 1";
    assert_eq!(writes(&sqlite, sql, &[]), "t: id=1");
    assert!(sqlite.analyse(sql).assigned_values(&[]).is_empty());
}

#[test]
fn a_temporary_schema_counts_as_the_default_one() {
    // It hides the one of the default schema, which is then only reached by its full name.
    for (dialect, default, sql) in [
        (Sqlite, "main", "DELETE FROM temp.t WHERE a = 5"),
        (Sqlite, "main", "DELETE FROM TEMP.t WHERE a = 5"),
        (Postgres, "public", "DELETE FROM pg_temp.t WHERE a = 5"),
        (Postgres, "public", "DELETE FROM pg_temp_3.t WHERE a = 5"),
    ] {
        let analyser = Analyser::new(dialect, Schema::new().default_schema(default), 4);
        assert_eq!(reads(&analyser, "SELECT * FROM t WHERE a = 5", &[]), "t: a=5");
        assert_eq!(writes(&analyser, sql, &[]), "t: a=5", "{sql}");
        let other = "DELETE FROM other.t WHERE a = 5";
        assert_eq!(writes(&analyser, other, &[]), "other.t: a=5");
    }
}

#[test]
fn a_qualified_name_is_recognised_in_texts_that_are_not_parsed() {
    let tail = "(a) VALUES (1) ON CONFLICT (a + 1) DO NOTHING";
    changes(Sqlite, &format!("INSERT INTO main.t {tail}"), "t: *");
    changes(Sqlite, &format!("INSERT INTO main . t {tail}"), "t: *");
    changes(Sqlite, &format!("INSERT INTO main /* ( */ .t {tail}"), "; ..");
    changes(MySql, "INSERT INTO s # c\n. t (a) VALUES ('\\\\')", "; ..");
    let long = "t".repeat(70);
    let unparsed = format!("DELETE FROM {long} WHERE ???");
    changes(Postgres, &unparsed, &format!("{}: *", &long[..63]));
    let public = Schema::new().default_schema("main");
    let sqlite = Analyser::new(Sqlite, public, 4);
    assert_eq!(writes(&sqlite, &format!("INSERT INTO temp.t {tail}"), &[]), "t: *");
    assert_eq!(writes(&sqlite, &format!("INSERT INTO x . t {tail}"), &[]), "x.t: *");
}

/// A view may call it, and what the view showed was cached.
#[test]
fn a_new_body_of_a_function_may_change_any_view() {
    let sql = "CREATE OR REPLACE FUNCTION visible(state text) RETURNS boolean LANGUAGE sql AS 'SELECT state <> ''draft'''";
    let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 10);
    assert!(analyser.analyse(sql).may_change_more());
}
