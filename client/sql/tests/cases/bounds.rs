//! Hostile and enormous statements: an answer in bounded time, and on a small stack.

use std::time::{Duration, Instant};

use super::*;

fn hostile() -> Vec<String> {
    let repeat = |text: &str, n: usize| text.repeat(n);
    let mut all = Vec::new();
    for n in [30, 100, 2000, 15_000] {
        all.push(format!("SELECT * FROM t WHERE {}a = 1{}", repeat("(", n), repeat(")", n)));
        all.push(format!("SELECT {}1{} FROM t", repeat("(", n), repeat(")", n)));
        all.push(format!("SELECT {}", repeat("(", n)));
        all.push(format!("SELECT * FROM {}t{}", repeat("(SELECT * FROM ", n), repeat(") x", n)));
        all.push(format!("SELECT * FROM {}t{}", repeat("(", n), repeat(")", n)));
        all.push(format!("SELECT * FROM t WHERE {}a", repeat("NOT ", n)));
        all.push(format!("SELECT * FROM t WHERE a = {}1", repeat("- ", n)));
        all.push(format!("SELECT * FROM t WHERE {}", vec!["a = 1"; n].join(" OR ")));
        all.push(format!("SELECT * FROM t WHERE {}", vec!["(a = 1 OR b = 2)"; n].join(" AND ")));
        all.push(format!("SELECT * FROM t WHERE a IN ({})", vec!["1"; n].join(",")));
        all.push(format!("SELECT * FROM t WHERE a = {}", vec!["1"; n].join(" + ")));
        all.push(format!("SELECT * FROM t WHERE a = {}", vec!["1"; n].join(" || ")));
        all.push(format!("SELECT * FROM t{}", repeat(", t", n)));
        all.push(format!("SELECT * FROM t{}", repeat(" JOIN t ON a = 1", n)));
        all.push(format!("SELECT * FROM t{}", repeat(" JOIN t", n)));
        all.push(format!("SELECT * FROM t{}{}", repeat(" JOIN t", n), repeat(" ON a = 1", n)));
        all.push(format!("SELECT * FROM {}t", repeat("(t LEFT JOIN t LEFT JOIN ", n)));
        all.push(vec!["SELECT * FROM t"; n].join(" UNION "));
        all.push(format!("SELECT {} FROM t", repeat("CASE WHEN a THEN ", n)));
        all.push(format!("SELECT {}1{} FROM t", repeat("f(", n), repeat(")", n)));
        all.push(format!("SELECT a{} FROM t", repeat("::int", n)));
        all.push(format!("SELECT a{} FROM t", repeat("[1]", n)));
        all.push(format!("SELECT * FROM t WHERE a{}", repeat(" IS NULL", n)));
        all.push(format!("SELECT * FROM t WHERE a{}", repeat(" COLLATE x", n)));
        all.push(format!("SELECT * FROM t WHERE a = ANY{}", repeat("(ARRAY[", n)));
        all.push(format!("SELECT * FROM t WHERE {}", repeat("EXISTS (SELECT 1 FROM t WHERE ", n)));
        all.push(format!("INSERT INTO t (a) VALUES {}", vec!["(1)"; n].join(",")));
        all.push(format!("{}SELECT 1", repeat("WITH a AS (", n)));
        all.push(format!("SELECT '{}", repeat("'", n)));
        all.push(format!("SELECT * FROM t WHERE a = '{}'", repeat("é'';", n)));
        all.push(repeat("/*", n));
        all.push(repeat(";", n));
        all.push(repeat("SELECT 1;", n));
        all.push(repeat("é", n));
        all.push(repeat("a.", n));
        all.push(format!("UPDATE t SET {} WHERE a = 1", vec!["a = 1"; n].join(", ")));
        all.push(format!("UPDATE {} SET", repeat("t ", n)));
    }
    // As many as are parsed at all.
    all.push(format!("SELECT * FROM t{}", repeat(" JOIN t", 1400)));
    all
}

#[test]
fn hostile_statements_take_bounded_time_on_a_small_stack() {
    // What grows out of bounds takes minutes. In a debug build, on a busy machine, the slowest takes a second.
    let limit = support::deadline();
    let mut slowest = (Duration::ZERO, String::new());
    for dialect in [Postgres, MySql, Sqlite] {
        for sql in hostile() {
            let start = Instant::now();
            let shown: String = sql.chars().take(60).collect();
            let length = sql.len();
            let worker = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
                let template = analyser(dialect).compile(&sql);
                let _ = template.dependencies(&[]);
                let _ = template.changed_rows(&[]);
            });
            assert!(worker.unwrap().join().is_ok(), "{dialect:?} {shown}");
            let took = start.elapsed();
            assert!(took < limit, "{took:?} for {length} bytes of {dialect:?}: {shown}");
            if took > slowest.0 {
                slowest = (took, format!("{length} bytes of {dialect:?}: {shown}"));
            }
        }
    }
    println!("slowest: {slowest:?}");
}

#[test]
fn a_long_write_still_names_its_table() {
    let rows = vec!["($1, 'x')"; 15_000].join(", ");
    let insert = format!("INSERT INTO \"Public\".\"Article\" (a, b) VALUES {rows}");
    assert_eq!(writes(&analyser(Postgres), &insert, &[]), "Article: *");
    let list = vec!["1"; 50_000].join(", ");
    assert_eq!(
        writes(&analyser(MySql), &format!("DELETE FROM `T` WHERE a IN ({list})"), &[]),
        "t: *"
    );
    assert_eq!(
        writes(&analyser(Sqlite), &format!("UPDATE t SET a = 1 WHERE a IN ({list})"), &[]),
        "t: *"
    );
    assert_eq!(
        reads(&analyser(Sqlite), &format!("SELECT * FROM t WHERE a IN ({list})"), &[]),
        "uncached"
    );

    // A semicolon in a text or a comment separates nothing.
    let quoted = format!(
        "DELETE FROM t WHERE b = 'it''s;' /* ; */ AND \"c;\" = 1 AND a IN ({list}) -- ;\n;"
    );
    assert_eq!(writes(&analyser(Postgres), &quoted, &[]), "t: *");
    assert_eq!(reads(&analyser(Postgres), "SELECT string_agg(a, '; ') ((FROM t", &[]), "uncached");
    assert!(!analyser(Postgres).analyse("SELECT string_agg(a, '; ') ((FROM t").may_change_more());

    // Several statements: what else they do is not known.
    let two = format!("DELETE FROM t WHERE a IN ({list}); DELETE FROM u");
    assert_eq!(writes(&analyser(Postgres), &two, &[]), "; ..");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(600))]

    /// Whatever the text is, there is an answer, and its conditions can be read.
    #[test]
    fn any_text_gives_conditions_that_can_be_read(
        parts in proptest::collection::vec("(?i)select|from|where|and|or|not|in|is|null|update|set|delete|insert|into|values|join|left|on|exists|union|with|as|t|u|t\\.a|\"B\"|a|b|=|<>|<=>|\\(|\\)|,|\\*|\\?|\\$1|:n|1|1\\.5|'x'|'|;|--|é|any|array\\[1\\]|returning|cast|::int", 0..24),
    ) {
        let sql = parts.join(" ");
        let values = [Value::Int(1), Value::from("x"), Value::Null];
        for dialect in [Postgres, MySql, Sqlite] {
            let template = analyser(dialect).compile(&sql);
            let changes = template.changed_rows(&values).to_pairs();
            let reads = template.dependencies(&values).map(|reads| reads.to_pairs());
            for (_, condition) in changes.into_iter().chain(reads.into_iter().flatten()) {
                proptest::prop_assert!(cacheops_condition::Condition::parse(&condition).is_ok());
            }
        }
    }
}
