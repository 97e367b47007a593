use std::borrow::Cow;

use cacheops_sql::Date;

use super::*;

/// The form of a value in the row of a column of this kind; `?` if it has none.
fn form(dialect: Dialect, kind: ColumnKind, value: &Value<'_>) -> String {
    let analyser =
        Analyser::new(dialect, Schema::new().table(Table::new("t").column("c", kind)), 1);
    let text = String::from_utf8(analyser.row_image("t", [("c", value)]).to_text()).unwrap();
    match text.as_str() {
        "*" => "?".into(),
        "c" => "NULL".into(),
        text => text.strip_prefix("c=").unwrap().to_owned(),
    }
}

fn unknown(value: impl Into<Value<'static>>) -> String {
    form(Postgres, ColumnKind::Unknown, &value.into())
}

fn decimal(text: &'static str) -> Value<'static> {
    Value::Decimal(Cow::Borrowed(text))
}

const UUID: &str = "5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab";

#[test]
fn equal_values_have_one_form() {
    for group in [
        &[
            unknown(1),
            unknown(true),
            unknown("1"),
            unknown("01"),
            unknown("1.0"),
            unknown(1.0),
            unknown(decimal("1.00")),
        ][..],
        &[unknown(-150), unknown("-150"), unknown("-1.5e2"), unknown(decimal("-0150.0"))],
        &[
            unknown("1.5"),
            unknown("1.50"),
            unknown("01.5"),
            unknown("+1.5"),
            unknown(decimal("1.500")),
        ],
        &[
            unknown(0),
            unknown(false),
            unknown("-0"),
            unknown("0.00"),
            unknown("f"),
            unknown("FALSE"),
            unknown(-0.0),
        ],
        &[unknown("Zoë"), unknown("ZOE"), unknown("zoe  "), unknown("Zoe\u{308}")],
        &[unknown(""), unknown("   ")],
        &[
            unknown(UUID),
            unknown("{5F3C0A9E8D1B4C2A9E7F0123456789AB}"),
            unknown(*b"\x5f\x3c\x0a\x9e\x8d\x1b\x4c\x2a\x9e\x7f\x01\x23\x45\x67\x89\xab"),
        ],
        &[
            unknown(u64::MAX),
            unknown("18446744073709551615"),
            unknown(decimal("18446744073709551615")),
        ],
    ] {
        assert!(group.iter().all(|form| *form == group[0] && form != "?"), "{group:?}");
    }
    assert_eq!(unknown(None::<i64>), "NULL");
    assert_eq!(unknown("a&b|c=d%"), "a%26b%7Cc%3Dd%25");
}

#[test]
fn values_without_a_form_are_left_out() {
    for form in [
        unknown(1.5),
        unknown(9.1e15),
        unknown(f64::NAN),
        unknown(Value::Opaque),
        unknown(Value::Array(vec![Value::Int(1)])),
        unknown(vec![1_u8; 16]),
        unknown("1e99"),
        unknown("0.1000000000000000055"),
        unknown(Date { year: 2024, month: 1, day: 5 }),
    ] {
        assert_eq!(form, "?");
    }
}

#[test]
fn long_forms_are_hashed_as_every_language_can() {
    let text = "x".repeat(65);
    // printf 'x%.0s' $(seq 65) | sha256sum | cut -c1-32
    assert_eq!(unknown(text.clone()), "h:9537c5fdf120482f7d58d25e9ed583f5");
    assert_eq!(unknown(text.to_uppercase()), unknown(text));
    assert_eq!(unknown("x".repeat(64)).len(), 64);
}

#[test]
fn the_kind_of_the_column_decides_whether_there_is_a_form() {
    let date = Value::Date(Date { year: 2024, month: 1, day: 5 });
    for (kind, value, expected) in [
        (ColumnKind::Date, date.clone(), "2024-01-05"),
        (ColumnKind::Date, "2024-01-05".into(), "2024-01-05"),
        (ColumnKind::Date, "2024-1-5".into(), "?"),
        (ColumnKind::Date, "5 Jan 2024".into(), "?"),
        (ColumnKind::Uuid, UUID.into(), "5f3c0a9e8d1b4c2a9e7f0123456789ab"),
        (ColumnKind::Uuid, vec![0x5f_u8; 16].into(), "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f"),
        (
            ColumnKind::Uuid,
            "00000000-0000-0000-0000-000000000001".into(),
            "00000000000000000000000000000001",
        ),
        (ColumnKind::Uuid, "no".into(), "?"),
        (ColumnKind::Unknown, "00000000-0000-0000-0000-000000000001".into(), "?"),
        (ColumnKind::Int, 7.into(), "7"),
        (ColumnKind::Int, "7".into(), "7"),
        (ColumnKind::Int, "seven".into(), "?"),
        (ColumnKind::Bool, "true".into(), "1"),
        (ColumnKind::Bool, 2.into(), "?"),
        (ColumnKind::Text, "2024-01-05".into(), "2024-01-05"),
        (ColumnKind::Opaque, 7.into(), "?"),
        (ColumnKind::Opaque, Value::Null, "NULL"),
    ] {
        assert_eq!(form(Postgres, kind, &value), expected, "{kind:?} {value:?}");
    }
}

#[test]
fn a_uuid_of_digits_only_has_a_form_where_it_cannot_be_a_number() {
    let nil = Value::Uuid([0; 16]);
    let digits = "00000000000000000000000000000000";
    assert_eq!(form(Postgres, ColumnKind::Unknown, &nil), digits);
    for dialect in [MySql, Sqlite] {
        assert_eq!(form(dialect, ColumnKind::Unknown, &nil), "?");
        assert_eq!(form(dialect, ColumnKind::Uuid, &nil), digits);
    }
}

#[test]
fn mysql_compares_texts_and_numbers_as_numbers() {
    use ColumnKind::{BinaryText, Int, Text, Unknown};
    for (kind, value, expected) in [
        // '7 dwarfs' = 7 and 'any text' = 0: where the column is unknown, neither side may claim a form.
        (Unknown, Value::from("7 dwarfs"), "?"),
        (Unknown, "-.5x".into(), "?"),
        (Unknown, UUID.into(), "?"),
        (Unknown, "2024-01-05".into(), "?"),
        (Unknown, 0.into(), "?"),
        (Unknown, false.into(), "?"),
        (Unknown, "0".into(), "?"),
        (Unknown, "dwarfs".into(), "dwarfs"),
        (Unknown, 7.into(), "7"),
        (Int, 0.into(), "0"),
        (Int, "dwarfs".into(), "?"),
        (Text, 7.into(), "?"),
        (Text, "7 dwarfs".into(), "7 dwarfs"),
        (Text, "Renée".into(), "renee"),
        // Y to a Swede.
        (Text, "Müller".into(), "?"),
        (Unknown, "U\u{308}N".into(), "?"),
        (Text, "ön".into(), "?"),
        (BinaryText, "Müller".into(), "muller"),
        // The same as "xa" to most of its collations.
        (Text, "x\u{363}".into(), "?"),
        // What else the collation takes for equal is not known.
        (Text, "Straße".into(), "?"),
        (BinaryText, "Straße".into(), "straße"),
        // Compared as doubles.
        (Unknown, "9007199254740993".into(), "?"),
        (Unknown, 9_007_199_254_740_993_i64.into(), "9007199254740993"),
    ] {
        assert_eq!(form(MySql, kind, &value), expected, "{kind:?} {value:?}");
    }
}

/// The term of a read, of an INSERT or of a DELETE with this constant; `?` if it has none.
fn constant(dialect: Dialect, kind: ColumnKind, before: &str, value: Value<'_>) -> String {
    let analyser =
        Analyser::new(dialect, Schema::new().table(Table::new("t").column("c", kind)), 1);
    let sql = match (before, dialect) {
        ("INSERT", Postgres) => "INSERT INTO t (c) VALUES ($1)".into(),
        ("INSERT", _) => "INSERT INTO t (c) VALUES (?)".into(),
        (before, Postgres) => format!("{before} FROM t WHERE c = $1"),
        (before, _) => format!("{before} FROM t WHERE c = ?"),
    };
    let text = if before.starts_with("SELECT") {
        reads(&analyser, &sql, &[value])
    } else {
        writes(&analyser, &sql, &[value])
    };
    text.strip_prefix("t: c=").unwrap_or("?").to_owned()
}

#[test]
fn a_value_that_a_column_of_unknown_type_may_round_is_left_out_of_a_write() {
    use ColumnKind::{Decimal, Int, Unknown};
    const LARGE: i64 = 9_007_199_254_740_993;
    let large = || Value::Int(LARGE);
    for (dialect, kind, before, value, expected) in [
        // 9007199254740992 and 9007199254740993 are one double.
        (Postgres, Unknown, "SELECT *", large(), "9007199254740993"),
        (Postgres, Unknown, "DELETE", large(), "?"),
        (Postgres, Int, "DELETE", large(), "9007199254740993"),
        (Postgres, Unknown, "DELETE", decimal("9007199254740993"), "?"),
        (MySql, Unknown, "DELETE", large(), "?"),
        (Sqlite, Unknown, "DELETE", large(), "9007199254740993"),
        // A float of four bytes loses all but six digits on its way into a decimal.
        (Postgres, Decimal, "INSERT", 16_777_215.0.into(), "?"),
        (Postgres, Decimal, "INSERT", 999_999.0.into(), "999999"),
        (Postgres, Int, "INSERT", 16_777_215.0.into(), "16777215"),
    ] {
        assert_eq!(
            constant(dialect, kind, before, value.clone()),
            expected,
            "{dialect:?} {kind:?} {before} {value:?}"
        );
    }
}

#[test]
fn a_literal_of_postgresql_may_be_a_number_a_date_or_bytes_in_another_spelling() {
    for (literal, expected) in [
        ("'12345'", "t: c=12345"),
        ("'1.5'", "t: c=1.5"),
        // A column of four bytes rounds it to 16777216.
        ("'16777217'", "t: *"),
        ("'1.00000001'", "t: *"),
        ("'2024-01-05'", "t: c=2024-01-05"),
        ("'2024-1-5'", "t: *"),
        ("'January 5, 2024'", "t: *"),
        ("'240105'", "t: *"),
        ("'2024.005'", "t: *"),
        ("'J2460315'", "t: *"),
        ("'epoch'", "t: *"),
        ("'$1.00'", "t: *"),
        ("'abcdefghijklmnop'", "t: *"),
        ("'a12'", "t: c=a12"),
        ("'sad'", "t: c=sad"),
    ] {
        let sql = format!("SELECT * FROM t WHERE c = {literal}");
        assert_eq!(reads(&analyser(Postgres), &sql, &[]), expected, "{literal}");
    }
    // A parameter is text if it is bound as text.
    let sql = "SELECT * FROM t WHERE c = $1";
    assert_eq!(reads(&analyser(Postgres), sql, &["2024-1-5".into()]), "t: c=2024-1-5");
    // What is converted to these is written in another way.
    for cast in ["money", "inet", "name", "interval", "pg_catalog.bpchar"] {
        let sql = format!("SELECT * FROM t WHERE c = $1::{cast}");
        assert_eq!(reads(&analyser(Postgres), &sql, &["1".into()]), "t: *", "{cast}");
    }
    let mood = "SELECT * FROM t WHERE c = CAST($1 AS \"mood\")";
    assert_eq!(reads(&analyser(Postgres), mood, &["ok".into()]), "t: c=ok");
}

#[test]
fn values_that_mysql_converts_between_types_have_no_form() {
    use ColumnKind::{Int, Text, Unknown, Uuid};
    let uuid = || Value::Uuid(*b"abcdefghijklmnop");
    for (kind, before, value, expected) in [
        // Any text is 0: two of them can meet one row.
        (Unknown, "SELECT *", Value::from("dwarfs"), "dwarfs"),
        (Unknown, "DELETE", "dwarfs".into(), "?"),
        (Unknown, "DELETE", "false".into(), "?"),
        (Text, "DELETE", "dwarfs".into(), "dwarfs"),
        // The day 0000-00-00.
        (Unknown, "SELECT *", "".into(), "?"),
        // 1.4 is 1 for a column of integers, bits or times.
        (Int, "SELECT *", decimal("1.4"), "?"),
        (Unknown, "SELECT *", decimal("1.4"), "?"),
        // The second label of an ENUM.
        (Text, "INSERT", "2".into(), "?"),
        (Text, "DELETE", "2".into(), "2"),
        // Sixteen bytes, or a text of as many.
        (Unknown, "SELECT *", uuid(), "?"),
        (Text, "SELECT *", uuid(), "?"),
        (Uuid, "SELECT *", uuid(), "6162636465666768696a6b6c6d6e6f70"),
        (Unknown, "SELECT *", "abcdefghijklmnop".into(), "?"),
        (Text, "SELECT *", "abcdefghijklmnop".into(), "abcdefghijklmnop"),
        // Without a prepared statement a FLOAT shows six digits.
        (Unknown, "SELECT *", 16_777_216.0.into(), "16777216"),
    ] {
        assert_eq!(
            constant(MySql, kind, before, value.clone()),
            expected,
            "{kind:?} {before} {value:?}"
        );
    }
    assert_eq!(form(MySql, Unknown, &16_777_216.0.into()), "?");
    let schema = Schema::new().table(Table::new("t").column("c", Int));
    let sql = "SELECT * FROM t WHERE c = CAST(? AS CHAR)";
    assert_eq!(reads(&Analyser::new(MySql, schema, 1), sql, &["1".into()]), "t: *");
}

#[test]
fn a_converted_value_has_a_form_only_if_the_conversion_keeps_it() {
    let query = |cast: &str, value: Value<'_>| {
        let sql = format!("SELECT * FROM t WHERE c = CAST(? AS {cast})");
        reads(&analyser(Sqlite), &sql, &[value])
    };
    for (cast, value, expected) in [
        ("INTEGER", Value::Int(5), "t: c=5"),
        ("INTEGER", "5".into(), "t: c=5"),
        ("INTEGER", "5abc".into(), "t: *"),
        ("INTEGER", "1e2".into(), "t: *"),
        ("INTEGER", 5.7.into(), "t: *"),
        ("INTEGER", "5.7".into(), "t: *"),
        ("TEXT", "x".into(), "t: c=x"),
        ("TEXT", 5.into(), "t: c=5"),
        ("TEXT", 5.5.into(), "t: *"),
        ("DATE", "2024-01-05".into(), "t: *"),
        ("VARCHAR(1)", "xy".into(), "t: *"),
        ("REAL", 5.into(), "t: *"),
    ] {
        assert_eq!(query(cast, value.clone()), expected, "{cast} {value:?}");
    }
}

#[test]
fn a_row_is_written_with_all_that_is_known_of_it() {
    let mysql = analyser(MySql);
    let row = [
        ("Id", Value::Int(7)),
        ("a=b", Value::from("x y")),
        ("at", Value::Opaque),
        ("d", Value::Null),
    ];

    let image = mysql.row_image("T", row.iter().map(|(column, value)| (*column, value)));
    assert_eq!(image.to_text(), b"a%3Db=x y&d&id=7");
    assert_eq!(image.get(b"a=b"), Some(Some(&b"x y"[..])));

    let twice = [("id", Value::Int(7)), ("ID", Value::Int(8))];
    let once = mysql.row_image("t", twice.iter().map(|(column, value)| (*column, value)));
    assert_eq!(once.to_text(), b"id=7");
    assert!(mysql.row_image("t", [("at", &Value::Opaque)]).is_empty());
}
