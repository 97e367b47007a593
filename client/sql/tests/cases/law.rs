//! The law of canonical values: what SQLite calls equal has one form, or one of the two has none.

use proptest::prelude::*;
use rusqlite::types::Value as Sql;

use cacheops_sql::ChangedRows;

use super::*;

/// How a column may be declared, and the kinds that it may be registered as.
const COLUMNS: &[(&str, &[ColumnKind])] = &[
    ("INTEGER", &[ColumnKind::Int, ColumnKind::Unknown]),
    ("NUMERIC", &[ColumnKind::Decimal, ColumnKind::Unknown]),
    ("DECIMAL(8,2)", &[ColumnKind::Decimal, ColumnKind::Unknown]),
    ("REAL", &[ColumnKind::Opaque, ColumnKind::Unknown, ColumnKind::Decimal]),
    ("TEXT", &[ColumnKind::Text, ColumnKind::Unknown, ColumnKind::Uuid, ColumnKind::Date]),
    ("TEXT COLLATE NOCASE", &[ColumnKind::Text, ColumnKind::Unknown]),
    ("TEXT COLLATE RTRIM", &[ColumnKind::Text, ColumnKind::BinaryText, ColumnKind::Unknown]),
    ("BLOB", &[ColumnKind::Unknown]),
    ("DATE", &[ColumnKind::Date, ColumnKind::Unknown]),
];

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?0{0,2}[0-3](\\.[05]{1,3}0{0,2})?(e[-+]?[0-2])?",
        "[ ]?[-+]?[0-9]{1,20}(\\.[0-9]{1,20})?[ ]?",
        "9007199254740993|9007199254740992|9007199254740992\\.0|9223372036854775807|9223372036854775808",
        "1\\.0000000000000000001|0\\.1|0\\.10|1e0|10e-1|\\.5|5\\.|1e400|-0|0x10|1_000",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        number(),
        "[aAbBéÉ]{0,2}[ ]{0,2}",
        "[ \\t]?(true|false|t|f|T|yes|on|off)",
        "2024-0[12]-0[12]",
        "5f3c0a9e-?8d1b-?4c2a-?9e7f-?0123456789[aA][bB]",
        "[\\PC]{0,3}",
        "[aA]{63,66}",
    ]
}

fn value() -> impl Strategy<Value = (Sql, Value<'static>)> {
    prop_oneof![
        prop_oneof![-3_i64..4, any::<i64>(), Just(1 << 53), Just((1 << 53) + 1)]
            .prop_map(|value| (Sql::Integer(value), Value::Int(value))),
        any::<bool>().prop_map(|value| (Sql::Integer(value.into()), Value::Bool(value))),
        prop_oneof![
            (-6_i32..7).prop_map(|half| f64::from(half) / 2.0),
            Just(9_007_199_254_740_992.0),
            Just(0.1),
            any::<f64>()
        ]
        .prop_filter("SQLite has no NaN", |value| !value.is_nan())
        .prop_map(|value| (Sql::Real(value), Value::Float(value))),
        text().prop_map(|value| (Sql::Text(value.clone()), Value::Text(value.into()))),
        // An adapter that binds decimals as text, and one that binds them as floats.
        "[-]?[0-9]{1,18}(\\.[0-9]{1,3})?"
            .prop_map(|value| (Sql::Text(value.clone()), Value::Decimal(value.into()))),
        "[-]?[0-9]{1,17}(\\.[0-9]{1,3})?"
            .prop_map(|value| (Sql::Real(value.parse().unwrap()), Value::Decimal(value.into()))),
        prop_oneof![Just(vec![b'a']), Just(vec![])]
            .prop_map(|value| (Sql::Blob(value.clone()), Value::Bytes(value.into()))),
    ]
}

fn decoded(value: &Sql) -> Value<'static> {
    match value {
        Sql::Null => Value::Null,
        Sql::Integer(value) => Value::Int(*value),
        Sql::Real(value) => Value::Float(*value),
        Sql::Text(value) => Value::Text(value.clone().into()),
        Sql::Blob(value) => Value::Bytes(value.clone().into()),
    }
}

/// The only term of a condition.
fn term(condition: &[u8]) -> Option<String> {
    let text = String::from_utf8(condition.to_vec()).unwrap();
    text.strip_prefix("c=").map(str::to_owned)
}

fn written(rows: &ChangedRows<'_>) -> Option<String> {
    rows.to_pairs().pop().and_then(|(_, text)| term(&text))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn values_that_sqlite_calls_equal_have_one_form(
        (stored, assigned) in value(),
        (constant, bound) in value(),
        column in 0..COLUMNS.len(),
        kind in any::<prop::sample::Index>(),
    ) {
        let (declared, kinds) = COLUMNS[column];
        let kind = kinds[kind.index(kinds.len())];
        let database = rusqlite::Connection::open_in_memory().unwrap();
        database.execute_batch(&format!("CREATE TABLE t (c {declared})")).unwrap();
        database.execute("INSERT INTO t (c) VALUES (?)", [&stored]).unwrap();
        let found: Option<Sql> = database
            .query_row("SELECT c FROM t WHERE c = ?", [&constant], |row| row.get(0))
            .ok();
        let schema = Schema::new().table(Table::new("t").column("c", kind));
        let analyser = Analyser::new(Sqlite, schema, 8);

        if let Some(found) = found {
            let query = analyser.analyse("SELECT * FROM t WHERE c = ?");
            let query = term(query.dependencies(std::slice::from_ref(&bound)).unwrap().get("t").unwrap());
            let row = term(&analyser.row_image("t", [("c", &decoded(&found))]).to_text());
            let insert = analyser.analyse("INSERT INTO t (c) VALUES (?)");
            let insert = written(&insert.changed_rows(std::slice::from_ref(&assigned)));
            let delete = analyser.analyse("DELETE FROM t WHERE c = ?");
            let delete = written(&delete.changed_rows(std::slice::from_ref(&bound)));

            for (what, other) in [("row", &row), ("insert", &insert), ("delete", &delete)] {
                if let (Some(query), Some(other)) = (&query, other) {
                    prop_assert_eq!(query, other, "{} as {:?}: compared with {:?}, {} of {:?}", declared, kind, &bound, what, &found);
                }
            }
            if let (Some(row), Some(delete)) = (&row, &delete) {
                prop_assert_eq!(row, delete);
            }
        }
    }
}
