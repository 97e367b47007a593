//! A statement is a write unless it is known to be a read. A function that is not known to be pure may write, wherever in the
//! statement it is called, so a transaction that has run it is one that has written.

use cacheops_sql::Kind;

use super::*;

/// Whether a transaction that has run the statement may go on to cache what it reads.
fn is_known_read(analyser: &Analyser, sql: &str) -> bool {
    matches!(analyser.analyse(sql).kind(), Kind::Read { volatile: false, .. })
}

/// Every place of a query where a function can be called, with `{}` for the call.
const PLACES: &[&str] = &[
    "SELECT {}",
    "SELECT {} FROM t",
    "SELECT a, ({}) AS b FROM t",
    "SELECT DISTINCT {} FROM t",
    "SELECT sum({}) FROM t",
    "SELECT sum(a) OVER (PARTITION BY {}) FROM t",
    "SELECT sum(a) OVER (ORDER BY {}) FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY {})",
    "SELECT CASE WHEN a = 1 THEN {} ELSE 0 END FROM t",
    "SELECT CASE {} WHEN 1 THEN 2 END FROM t",
    "SELECT a, coalesce(b, {}) FROM t",
    "SELECT CAST({} AS text) FROM t",
    "SELECT -{} FROM t",
    "SELECT NOT {} FROM t",
    "SELECT (SELECT {}) FROM t",
    "SELECT EXISTS (SELECT 1 WHERE {} = 1) FROM t",
    "SELECT * FROM {}",
    "SELECT * FROM {} AS f",
    "SELECT * FROM t, {} AS f",
    "SELECT * FROM t JOIN {} AS f ON true",
    "SELECT * FROM t LEFT JOIN {} AS f ON true WHERE t.a = 1",
    "SELECT * FROM (SELECT * FROM {}) AS f",
    "SELECT * FROM t WHERE a IN (SELECT * FROM {})",
    "SELECT * FROM t JOIN u ON t.a = {}",
    "SELECT * FROM t WHERE {} = 1",
    "SELECT * FROM t WHERE {}",
    "SELECT * FROM t WHERE a IN (1, {})",
    "SELECT * FROM t WHERE {} IN (1, 2)",
    "SELECT * FROM t WHERE a BETWEEN {} AND 3",
    "SELECT * FROM t WHERE a BETWEEN 1 AND {}",
    "SELECT * FROM t WHERE b LIKE {}",
    "SELECT * FROM t WHERE b LIKE 'x' ESCAPE {}",
    "SELECT * FROM t WHERE {} IS NULL",
    "SELECT * FROM t WHERE a = 1 AND (b = 2 OR {} > 3)",
    "SELECT a FROM t GROUP BY a, {}",
    "SELECT a FROM t GROUP BY a HAVING {} > 1",
    "SELECT * FROM t ORDER BY {}",
    "SELECT * FROM t ORDER BY a, {} DESC",
    "SELECT * FROM t LIMIT {}",
    "SELECT * FROM t LIMIT 1 OFFSET {}",
    "SELECT * FROM t UNION SELECT {}",
    "SELECT * FROM t UNION ALL SELECT * FROM t ORDER BY {}",
    "WITH x AS (SELECT {} AS a) SELECT * FROM t JOIN x ON x.a = t.a",
    "WITH x (a) AS (SELECT {}) SELECT * FROM t",
    "WITH RECURSIVE x (a) AS (SELECT 1 UNION ALL SELECT {} FROM x) SELECT * FROM x, t",
    "VALUES ({})",
    "VALUES (1), ({})",
];

/// The same, of PostgreSQL alone.
const OF_POSTGRES: &[&str] = &[
    "SELECT DISTINCT ON ({}) * FROM t",
    "SELECT count(*) FILTER (WHERE {} > 1) FROM t",
    "SELECT string_agg(b, {}) FROM t",
    "SELECT array_agg(a ORDER BY {}) FROM t",
    "SELECT percentile_cont({}) WITHIN GROUP (ORDER BY a) FROM t",
    "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN {} PRECEDING AND CURRENT ROW) FROM t",
    "SELECT a FROM t GROUP BY GROUPING SETS ((a), ({}))",
    "SELECT a FROM t GROUP BY ROLLUP (a, {})",
    "SELECT a FROM t GROUP BY CUBE (a, {})",
    "SELECT ARRAY[1, {}] FROM t",
    "SELECT ROW(1, {}) FROM t",
    "SELECT b[{}] FROM t",
    "SELECT b[1:{}] FROM t",
    "SELECT ({}).a FROM t",
    "SELECT ({}).* FROM t",
    "SELECT {}::text FROM t",
    "SELECT {} AT TIME ZONE 'UTC' FROM t",
    "SELECT a COLLATE \"C\", {} COLLATE \"C\" FROM t",
    "SELECT extract(year FROM {}) FROM t",
    "SELECT substring(b FROM {}) FROM t",
    "SELECT substring(b FROM 1 FOR {}) FROM t",
    "SELECT overlay(b PLACING {} FROM 1) FROM t",
    "SELECT position({} IN b) FROM t",
    "SELECT trim(both {} FROM b) FROM t",
    "SELECT ceil({}) FROM t",
    "SELECT make_interval(days => {}) FROM t",
    "SELECT make_interval(days := {}) FROM t",
    "SELECT * FROM t WHERE a = ANY({})",
    "SELECT * FROM t WHERE a = ANY(ARRAY[{}])",
    "SELECT * FROM t WHERE a = ALL({})",
    "SELECT * FROM t WHERE (a, b) = (1, {})",
    "SELECT * FROM t WHERE (a, b) IN ((1, {}))",
    "SELECT * FROM t WHERE a IS DISTINCT FROM {}",
    "SELECT * FROM t WHERE b ILIKE {}",
    "SELECT * FROM t WHERE b SIMILAR TO {}",
    "SELECT * FROM t WHERE b ~ {}",
    "SELECT * FROM t WHERE b @> {}",
    "SELECT * FROM t WHERE b ->> {} = 'x'",
    "SELECT * FROM t FETCH FIRST ({}) ROWS ONLY",
    "SELECT * FROM LATERAL {} AS f, t",
    "SELECT * FROM t, LATERAL {} AS f",
    "SELECT * FROM t CROSS JOIN LATERAL {} AS f",
    "SELECT * FROM t LEFT JOIN LATERAL {} AS f ON true",
    "SELECT * FROM ROWS FROM ({}, generate_series(1, 2)) AS f, t",
    "SELECT * FROM {} WITH ORDINALITY, t",
    "SELECT * FROM {} AS f (a int, b text), t",
    "SELECT * FROM t, unnest({}) AS f",
    "SELECT * FROM t, unnest(ARRAY[1], {}) AS f (a, b)",
    "SELECT * FROM t, generate_series(1, {}) AS f",
    "SELECT * FROM t TABLESAMPLE BERNOULLI ({})",
    "SELECT * FROM t TABLESAMPLE BERNOULLI (1) REPEATABLE ({})",
    "SELECT * FROM t TABLESAMPLE bump(1)",
    "SELECT * FROM XMLTABLE('/a' PASSING {} COLUMNS a int) AS x, t",
    "SELECT * FROM XMLTABLE('/a' PASSING b COLUMNS a int DEFAULT {}) AS x, t",
    "WITH x AS MATERIALIZED (SELECT {}) SELECT * FROM t",
    "WITH x AS NOT MATERIALIZED (SELECT {}) SELECT * FROM t",
    "(SELECT {}) UNION (SELECT a FROM t)",
    "SELECT * FROM t ORDER BY {} USING <",
    // Functions that bear no parentheses.
    "SELECT a OPERATOR(app.+) b FROM t",
    "SELECT a ~!@ b FROM t",
    "SELECT * FROM t WHERE a =!= 1",
    "SELECT * FROM t ORDER BY a <@@> b",
    "SELECT ((t)).bump FROM t",
    "SELECT (t).bump FROM t",
];

/// The statements that run another or keep it for later.
const OTHERS: &[&str] = &[
    "CALL bump()",
    "DO $$ BEGIN PERFORM bump(); END $$",
    "EXECUTE p",
    "EXECUTE p (1)",
    "EXPLAIN ANALYZE SELECT bump()",
    "EXPLAIN (ANALYZE) SELECT bump()",
    "PREPARE p AS SELECT bump()",
    "DECLARE c CURSOR FOR SELECT bump()",
    "FETCH ALL FROM c",
    "MOVE ALL IN c",
    "COPY (SELECT bump()) TO STDOUT",
    "COPY t FROM STDIN",
    "SET x = 1",
    "SET CONSTRAINTS ALL IMMEDIATE",
    "REFRESH MATERIALIZED VIEW v",
    "REINDEX TABLE t",
    "CLUSTER t",
    "SELECT 1; SELECT bump()",
    "CREATE TABLE x AS SELECT bump()",
    "SELECT bump() INTO x",
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t SELECT 1 RETURNING bump()",
    "UPDATE t SET a = 1",
    "DELETE FROM t",
    "TRUNCATE t",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "LOCK TABLE t",
    "REPLACE INTO t VALUES (1)",
    "HANDLER t OPEN",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "SET @a = bump()",
    "PRAGMA user_version = 1",
    "NONSENSE",
    "SELECT * FROM t WHERE ???",
];

#[test]
fn a_call_of_an_unknown_function_is_found_anywhere_in_a_statement() {
    let mut missed = Vec::new();
    for dialect in [Postgres, MySql, Sqlite] {
        let analyser = analyser(dialect);
        let own: &[&str] = if dialect == Postgres { OF_POSTGRES } else { &[] };
        for place in PLACES.iter().chain(own) {
            for call in ["bump()", "bump(1)", "bump (a)", "app.bump()", "\"bump\"()", "bump/* */()"]
            {
                let sql = place.replace("{}", call);
                if is_known_read(&analyser, &sql) {
                    missed.push(format!("{dialect:?}: {sql}"));
                }
                assert_eq!(reads(&analyser, &sql, &[]), "uncached", "{dialect:?}: {sql}");
            }
        }
    }
    assert!(missed.is_empty(), "{} taken for reads:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn no_statement_that_may_run_another_is_taken_for_a_read() {
    for dialect in [Postgres, MySql, Sqlite] {
        for sql in OTHERS {
            assert!(!is_known_read(&analyser(dialect), sql), "{dialect:?}: {sql}");
        }
    }
}

/// What each place is without the call: the test above would pass if nothing were a read.
#[test]
fn a_pure_function_does_not_stop_a_read_from_being_cached() {
    let mut lost = Vec::new();
    let schema = Schema::new().pure_function("bump").pure_function("app_bump");
    for dialect in [Postgres, MySql, Sqlite] {
        let analyser = Analyser::new(dialect, schema.clone(), 16);
        for place in PLACES {
            for call in ["abs(a)", "bump(a)", "lower(upper(b))", "1"] {
                let sql = place.replace("{}", call);
                // A table function is none of these.
                let table = ["FROM {}", ", {}", "JOIN {}"].iter().any(|from| place.contains(from));
                if !table && !is_known_read(&analyser, &sql) {
                    lost.push(format!("{dialect:?}: {sql}"));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
    let analyser = analyser(Postgres);
    for sql in [
        "SELECT * FROM t, generate_series(1, 2) AS f (n)",
        "SELECT * FROM t JOIN LATERAL jsonb_array_elements(t.b) AS e (x) ON true",
        "SELECT * FROM t, jsonb_to_recordset(t.b) AS e (x int, y numeric(10, 2))",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v (id, name) JOIN t ON t.id = v.id",
        "SELECT * FROM (VALUES (1, 'a')) v (id, name) JOIN t USING (id)",
        "WITH RECURSIVE x (a, b) AS (SELECT 1, 2 UNION ALL SELECT a, b FROM x), y (c) AS MATERIALIZED (SELECT 1) SELECT * FROM x, y, t",
        "SELECT a::numeric(10, 2), b::varchar(10), CAST(c AS character varying(5)), CAST(d AS timestamp(3)) FROM t",
        "SELECT count(*) FILTER (WHERE a > 1) OVER (PARTITION BY b) FROM t WHERE NOT (a = 1) AND (b = 2)",
        "SELECT a FROM t WHERE a = ANY ($1) AND b <> ALL (ARRAY[1]) AND EXISTS (SELECT 1 FROM u) AND a NOT IN (1)",
        "SELECT a OPERATOR(pg_catalog.+) 1 FROM t",
        "SELECT pg_catalog.lower(b) FROM t",
        "SELECT a -> 'x' ->> 'y', b @> '{}', c ? 'x', d && e, f <-> g, h ~* 'x', i || j, k #>> '{a}' FROM t",
        "SELECT ROW (1, 2), (a, b) = (1, 2), ARRAY (SELECT 1) FROM t GROUP BY GROUPING SETS ((a), (b))",
    ] {
        assert!(is_known_read(&analyser, sql), "{sql}");
    }
}

#[test]
fn a_column_that_a_known_table_does_not_have_may_be_a_function() {
    let schema =
        Schema::new().table(Table::new("t").column("a", ColumnKind::Int)).table(Table::new("u"));
    let postgres = Analyser::new(Postgres, schema.clone(), 16);
    for sql in [
        "SELECT t.bump FROM t",
        "SELECT x.bump FROM t AS x",
        "SELECT x.a FROM t AS x WHERE x.bump = 1",
        "SELECT t.a FROM app.t ORDER BY t.bump",
    ] {
        assert!(!is_known_read(&postgres, sql), "{sql}");
    }
    for sql in [
        "SELECT t.a FROM t",
        "SELECT t.tableoid FROM t",
        "SELECT u.whatever FROM u",
        "SELECT s.total FROM (SELECT t.a AS total FROM t) AS s",
        "SELECT bump FROM t",
    ] {
        assert!(is_known_read(&postgres, sql), "{sql}");
    }
    assert!(is_known_read(&Analyser::new(Sqlite, schema, 16), "SELECT t.bump FROM t"));
}

#[test]
fn a_space_before_the_parenthesis_makes_it_another_function_of_mysql() {
    // Without IGNORE_SPACE these names are functions of the database only right before their parenthesis.
    for sql in
        ["SELECT sum (a) FROM t", "SELECT max /* x */ (a) FROM t", "SELECT count\n(a) FROM t"]
    {
        assert!(!is_known_read(&analyser(MySql), sql), "{sql}");
        assert!(is_known_read(&analyser(Postgres), sql), "{sql}");
    }
    assert!(is_known_read(&analyser(MySql), "SELECT lower (b) FROM t WHERE a IN (1)"));
}

#[test]
fn the_rows_of_a_write_are_not_read_first_through_an_unknown_function() {
    for sql in [
        "DELETE FROM t WHERE a IN (SELECT * FROM bump())",
        "UPDATE t SET a = 1 FROM bump() AS f WHERE t.id = f.id",
        "UPDATE t SET a = 1 WHERE a =!= b",
        "DELETE FROM t USING LATERAL bump(1) AS f WHERE t.id = f.id",
    ] {
        assert!(analyser(Postgres).analyse(sql).old_rows().is_none(), "{sql}");
    }
}
