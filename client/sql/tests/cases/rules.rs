//! The rules that make an analyser sound, each one earned.

use super::*;

fn postgres(sql: &str, values: &[Value<'_>]) -> String {
    reads(&analyser(Postgres), sql, values)
}

#[test]
fn rule_1_is_null_on_the_nullable_side_of_an_outer_join_is_no_filter() {
    let left =
        "SELECT * FROM author LEFT JOIN book ON book.author_id = author.id WHERE book.id IS NULL";
    assert_eq!(postgres(left, &[]), "author: *; book: *");
    let right =
        "SELECT * FROM book RIGHT JOIN author ON book.author_id = author.id WHERE book.id IS NULL";
    assert_eq!(postgres(right, &[]), "book: *; author: *");
    let safe = "SELECT * FROM a LEFT JOIN b ON b.id = a.id WHERE b.x IS NOT DISTINCT FROM $1";
    assert_eq!(postgres(safe, &[Value::Null]), "a: *; b: *");
    assert_eq!(postgres(safe, &[Value::Int(3)]), "a: *; b: x=3");

    // In the ON it is one: the rows are looked at before the join makes up others.
    let on = "SELECT * FROM a LEFT JOIN b ON b.id = a.id AND b.deleted IS NULL";
    assert_eq!(postgres(on, &[]), "a: *; b: deleted");
}

#[test]
fn rule_2_the_on_of_an_outer_join_narrows_only_the_side_whose_rows_it_may_drop() {
    let left = "SELECT * FROM a LEFT JOIN b ON b.x = a.x AND a.x = 1";
    assert_eq!(postgres(left, &[]), "a: *; b: *");

    // A constant passes from one column to an equal one, NULL does not.
    let inner = "SELECT * FROM a JOIN b ON b.x = a.x JOIN c ON c.x = b.x WHERE a.x = $1";
    assert_eq!(postgres(inner, &[Value::Int(1)]), "a: x=1; b: x=1; c: x=1");
    assert_eq!(postgres(inner, &[Value::from("text")]), "a: x=text; b: *; c: *");
    let null = "SELECT * FROM a JOIN b ON b.x = a.x WHERE a.x IS NULL";
    assert_eq!(postgres(null, &[]), "a: x; b: *");
}

#[test]
fn rule_3_what_is_too_large_becomes_the_whole_table_or_loses_an_and() {
    let ors: Vec<String> = (0..300).map(|at| format!("(a{at} = 1 OR b{at} = 2)")).collect();
    let sql = format!("SELECT * FROM t WHERE {}", ors.join(" AND "));
    let condition = postgres(&sql, &[]);
    assert!(condition.matches('|').count() < 1024 && condition.len() > 100, "{condition}");

    let rows: Vec<String> = (0..1100).map(|at| format!("({at}, {at})")).collect();
    let sql = format!("SELECT * FROM t WHERE (a, b) IN ({})", rows.join(", "));
    assert_eq!(postgres(&sql, &[]), "t: *");

    // Under NOT an AND is an OR: none of its sides may be forgotten.
    let sql = "SELECT * FROM t WHERE NOT (a <> 1 AND b > 2)";
    assert_eq!(postgres(sql, &[]), "t: *");
}

#[test]
fn rule_4_equality_with_null_matches_nothing_and_null_safe_equality_matches_null() {
    let or = "SELECT * FROM t WHERE a = $1 OR b = $2";
    assert_eq!(postgres(or, &[Value::Null, Value::Int(2)]), "t: b=2");
    let list = "SELECT * FROM t WHERE a IN (NULL, 1, $1)";
    assert_eq!(postgres(list, &[Value::Null]), "t: a=1");
    let safe = "SELECT * FROM t WHERE a IS NOT DISTINCT FROM $1";
    assert_eq!(postgres(safe, &[Value::Null]), "t: a");
    assert_eq!(reads(&analyser(MySql), "SELECT * FROM t WHERE a <=> ?", &[Value::Null]), "t: a");
    assert_eq!(reads(&analyser(Sqlite), "SELECT * FROM t WHERE a IS ?", &[Value::Null]), "t: a");
}

#[test]
fn rule_5_an_unqualified_column_must_have_one_possible_owner() {
    assert_eq!(postgres("SELECT * FROM t WHERE a = 1", &[]), "t: a=1");
    assert_eq!(postgres("SELECT * FROM t, u WHERE a = 1", &[]), "t: *; u: *");
    let inner = "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE a = 1)";
    assert_eq!(postgres(inner, &[]), "u: *; t: *");
    let derived = "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM (SELECT * FROM u WHERE a = 1) z)";
    assert_eq!(postgres(derived, &[]), "u: *; t: *");
}

#[test]
fn rule_6_two_constants_for_one_column_keep_one() {
    let condition = postgres("SELECT * FROM t WHERE name = 'a' AND name = 'A '", &[]);
    assert_eq!(condition, "t: name=a");
    assert_eq!(postgres("SELECT * FROM t WHERE a = 1 AND a = 2", &[]), "t: a=1");
    assert_eq!(
        postgres("SELECT * FROM t WHERE a IN (1, 2) AND a = $1", &[Value::Int(3)]),
        "t: a=3"
    );
}

#[test]
fn rule_7_a_relation_that_was_not_compiled_is_tracked_whole_and_a_read_without_a_table_is_not_cached()
 {
    assert_eq!(postgres("SELECT do_write()", &[]), "uncached");
    assert_eq!(postgres("SELECT 1", &[]), "uncached");
    assert_eq!(postgres("SELECT do_write(a) FROM t", &[]), "uncached");
    assert_eq!(postgres("SELECT * FROM do_write()", &[]), "uncached");
    let window = "SELECT sum(x) FILTER (WHERE y IN (SELECT z FROM u)) OVER w FROM t WINDOW w AS (ORDER BY x)";
    assert_eq!(postgres(window, &[]), "u: *; t: *");
    let pure = Analyser::new(Postgres, Schema::new().pure_function("slugify"), 4);
    assert_eq!(reads(&pure, "SELECT slugify(a) FROM t WHERE a = 1", &[]), "t: a=1");
}

#[test]
fn rule_8_a_text_that_is_not_parsed_is_not_cached_and_changes_all_tables_that_it_names() {
    assert_eq!(postgres("SELECT * FROM t WHERE ((", &[]), "uncached");
    let write = |sql| writes(&analyser(Postgres), sql, &[]);
    assert_eq!(
        write("WITH d AS (DELETE FROM a RETURNING *) SELECT * INTO c FROM d JOIN b ON true"),
        "a: *; d: *; b: *"
    );
    assert_eq!(write("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE"), "a: *; b: *");
    assert_eq!(write("COPY t FROM STDIN"), "t: *");
    assert_eq!(write("CALL rebuild()"), "; ..");
    assert_eq!(write("UPDATE t SET ???"), "t: *");
    assert_eq!(write("DO $$ BEGIN DELETE FROM t; END $$"), "; ..");
    assert_eq!(write("SELECT 1; DELETE FROM t"), "t: *");
    assert_eq!(write("complete nonsense"), "; ..");
}

#[test]
fn rule_9_a_constant_of_where_passes_an_outer_join_to_the_rows_that_it_compares() {
    let one = [Value::Int(1)];
    for (join, expected) in [
        // Rows of `b` with another `x` find no partner among the rows that WHERE keeps.
        ("a LEFT JOIN b ON b.x = a.x WHERE a.x = $1", "a: x=1; b: x=1"),
        ("a FULL JOIN b ON b.x = a.x WHERE a.x = $1", "a: x=1; b: x=1"),
        ("a RIGHT JOIN b ON b.x = a.x WHERE b.x = $1", "a: x=1; b: x=1"),
        ("a LEFT JOIN b ON b.x = a.x AND b.y = 2 WHERE a.x = $1", "a: x=1; b: x=1&y=2"),
        // WHERE drops the rows that have no partner, so the join is an inner one.
        ("a LEFT JOIN b ON b.x = a.x WHERE b.x = $1", "a: x=1; b: x=1"),
        (
            "a LEFT JOIN b ON b.x = a.x LEFT JOIN c ON c.x = a.x WHERE c.x = $1",
            "a: x=1; b: x=1; c: x=1",
        ),
        // Through a table that may have no row, to one that is joined behind it.
        (
            "a LEFT JOIN b ON b.x = a.x LEFT JOIN c ON c.x = b.x WHERE a.x = $1",
            "a: x=1; b: x=1; c: x=1",
        ),
        ("a LEFT JOIN (b JOIN c ON c.x = b.x) ON b.x = a.x WHERE a.x = $1", "a: x=1; b: x=1; c: *"),
        ("a LEFT JOIN b ON b.x = a.x JOIN c ON c.x = b.x WHERE a.x = $1", "a: x=1; b: x=1; c: x=1"),
        ("a LEFT JOIN b ON b.x = a.x, c WHERE a.x = $1 AND c.x = b.x", "a: x=1; b: x=1; c: x=1"),
        // The constant of an inner ON counts where the join has a row for every row of the result.
        ("a JOIN b ON b.y = a.y AND b.x = $1 LEFT JOIN c ON c.x = b.x", "a: *; b: x=1; c: x=1"),
        ("a LEFT JOIN (b JOIN c ON c.y = b.y AND c.x = $1) ON a.x = c.x", "a: *; b: *; c: x=1"),
        // Both columns are of the side that is kept whatever ON says, or ON does not decide alone.
        ("a JOIN b ON a.y = b.y LEFT JOIN c ON a.x = b.x WHERE a.x = $1", "a: x=1; b: *; c: *"),
        ("a LEFT JOIN b ON b.x = a.x OR b.y = 2 WHERE a.x = $1", "a: x=1; b: *"),
        // The constant is no condition of WHERE.
        ("a LEFT JOIN b ON b.x = a.x AND b.x = $1", "a: *; b: x=1"),
        ("a LEFT JOIN b ON b.x = a.x WHERE a.x = $1 OR a.y = 2", "a: x=1|y=2; b: *"),
        ("a LEFT JOIN b ON b.x = a.x WHERE b.x IS NULL", "a: *; b: *"),
        ("a LEFT JOIN b USING (x) WHERE a.x = $1", "a: x=1; b: *"),
    ] {
        let sql = format!("SELECT * FROM {join}");
        assert_eq!(postgres(&sql, &one), expected, "{sql}");
        assert_eq!(reads(&analyser(Sqlite), &sql, &one), expected, "{sql}");
    }
    // A float that equals it equals other integers too.
    let sql = "SELECT * FROM a JOIN b ON b.x = a.x WHERE a.x = $1";
    let large = [Value::Int(1 << 53)];
    assert_eq!(postgres(sql, &large), "a: x=9007199254740992; b: *");
    // Rows of an array, as a batch loader queries them.
    let sql = "SELECT c.id, array_agg(m.mod_id) FROM collection c LEFT JOIN collection_mod m ON m.collection_id = c.id WHERE c.id = ANY($1) GROUP BY c.id";
    let ids = [Value::Array(vec![Value::Int(1), Value::Int(2)])];
    assert_eq!(
        postgres(sql, &ids),
        "collection: id=1|id=2; collection_mod: collection_id=1|collection_id=2"
    );
}

#[test]
fn a_comma_of_sqlite_binds_as_tightly_as_join() {
    // In SQLite the RIGHT JOIN may make up rows for both tables before it.
    let sql = "SELECT * FROM a, b RIGHT JOIN c ON b.id = c.id WHERE a.x IS NULL AND b.y IS NULL AND a.z = 1";
    assert_eq!(reads(&analyser(Sqlite), sql, &[]), "a: z=1; b: *; c: *");
}

#[test]
fn columns_that_change_by_themselves_are_no_terms() {
    assert_eq!(reads(&analyser(Sqlite), "SELECT * FROM t WHERE rowid = 5", &[]), "t: *");
    assert_eq!(postgres("SELECT * FROM t WHERE xmin = $1", &[Value::Int(7)]), "t: *");
}

#[test]
fn a_read_that_depends_on_more_than_tables_is_not_cached() {
    for sql in [
        "SELECT * FROM t WHERE at < now()",
        "SELECT * FROM t WHERE at < CURRENT_TIMESTAMP",
        "SELECT * FROM t WHERE owner = current_user",
        "SELECT random() FROM t",
        "SELECT * FROM t WHERE day = 'today'",
        "SELECT * FROM t TABLESAMPLE SYSTEM (10)",
        "SELECT * FROM t FOR UPDATE",
        "SELECT * FROM t FOR SHARE",
        "SELECT nextval('s') FROM t",
        "SELECT * FROM pg_class",
        "SELECT * FROM information_schema.tables",
        "SELECT * INTO u FROM t",
    ] {
        assert_eq!(postgres(sql, &[]), "uncached", "{sql}");
    }
    for sql in [
        "SELECT date('now') FROM t",
        "SELECT date(?) FROM t",
        "SELECT date() FROM t",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('t')",
    ] {
        assert_eq!(reads(&analyser(Sqlite), sql, &[]), "uncached", "{sql}");
    }
    assert_eq!(reads(&analyser(Sqlite), "SELECT date(a) FROM t WHERE b = 1", &[]), "t: b=1");
    for sql in [
        "SELECT @x, a FROM t",
        "SELECT @@version, a FROM t",
        "SELECT LAST_INSERT_ID() FROM t",
        "SELECT SQL_CALC_FOUND_ROWS * FROM t",
        "SELECT 1 /*! FROM t */",
        r"SELECT * FROM t WHERE a = 'x\'' ",
    ] {
        assert_eq!(reads(&analyser(MySql), sql, &[]), "uncached", "{sql}");
    }
}

#[test]
fn a_closed_schema_caches_no_read_of_an_unknown_table() {
    let closed = Analyser::new(Postgres, Schema::new().table(Table::new("t")).closed(), 4);

    assert_eq!(reads(&closed, "SELECT * FROM t WHERE a = 1", &[]), "t: a=1");
    assert_eq!(reads(&closed, "SELECT * FROM forgotten_view", &[]), "uncached");
    assert_eq!(reads(&closed, "WITH c AS (SELECT * FROM t) SELECT * FROM c", &[]), "t: *");
}
