//! The law on MariaDB, under its default collation and others. With `CACHEOPS_MARIADB=1` only.

use std::borrow::Cow;

use cacheops_sql::{ColumnKind, Dialect, Value};

use crate::law::{Column, Constant, date, decimal, holds, opaque, text, uuid};
use crate::live::{self, Live};

use ColumnKind::{BinaryText, Bool, Date as Day, Decimal, Int, Opaque, Text, Unknown, Uuid};

fn int(text: &str) -> Value<'static> {
    text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::UInt)).expect("an integer")
}

fn float(text: &str) -> Value<'static> {
    Value::Float(text.parse().expect("a float"))
}

fn single(text: &str) -> Value<'static> {
    Value::Float(text.parse::<f32>().expect("a float").into())
}

fn truth(text: &str) -> Value<'static> {
    Value::Bool(text != "0")
}

fn bytes(text: &str) -> Value<'static> {
    Value::Bytes(Cow::Owned(text.as_bytes().to_vec()))
}

const COLUMNS: &[Column] = &[
    Column { declared: "tinyint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "tinyint(1)", kinds: &[Int, Unknown], decode: int },
    // Where only truth values are stored.
    Column { declared: "tinyint(1) CHECK (c IN (0, 1))", kinds: &[Bool, Unknown], decode: truth },
    Column { declared: "smallint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "mediumint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "int", kinds: &[Int, Unknown], decode: int },
    Column { declared: "int unsigned", kinds: &[Int, Unknown], decode: int },
    Column { declared: "bigint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "bigint unsigned", kinds: &[Int, Unknown], decode: int },
    Column { declared: "decimal(8, 2)", kinds: &[Decimal, Unknown], decode: decimal },
    Column { declared: "decimal(30, 10)", kinds: &[Decimal, Unknown], decode: decimal },
    Column { declared: "float", kinds: &[Opaque, Unknown], decode: single },
    Column { declared: "double", kinds: &[Opaque, Unknown], decode: float },
    Column { declared: "varchar(20)", kinds: &[Text, Unknown], decode: text },
    Column { declared: "char(20)", kinds: &[Text, Unknown], decode: text },
    Column { declared: "text", kinds: &[Text, Unknown], decode: text },
    Column {
        declared: "varchar(20) COLLATE utf8mb4_unicode_520_ci",
        kinds: &[Text, Unknown],
        decode: text,
    },
    Column {
        declared: "varchar(20) COLLATE utf8mb4_nopad_bin",
        kinds: &[Text, BinaryText, Unknown],
        decode: text,
    },
    Column {
        declared: "varchar(20) COLLATE utf8mb4_bin",
        kinds: &[Text, BinaryText, Unknown],
        decode: text,
    },
    Column {
        // ü is ue there, but u in the collation of what is converted.
        declared: "varchar(20) CHARACTER SET latin1 COLLATE latin1_german2_ci",
        kinds: &[Opaque],
        decode: text,
    },
    Column { declared: "varbinary(20)", kinds: &[Opaque, Unknown], decode: bytes },
    Column { declared: "binary(16)", kinds: &[Uuid, Unknown], decode: bytes },
    Column { declared: "uuid", kinds: &[Uuid, Unknown], decode: uuid },
    Column { declared: "bit(4)", kinds: &[Opaque], decode: opaque },
    Column { declared: "enum('b', 'a', '1', '3', 'é')", kinds: &[Text], decode: text },
    Column { declared: "set('b', 'a', '1')", kinds: &[Opaque], decode: text },
    Column { declared: "year", kinds: &[Opaque], decode: int },
    // A number or text that is no day is the day 0000-00-00.
    Column { declared: "date", kinds: &[Day], decode: date },
    Column { declared: "datetime", kinds: &[Opaque], decode: opaque },
    Column { declared: "datetime(3)", kinds: &[Opaque], decode: opaque },
    Column { declared: "timestamp NULL", kinds: &[Opaque], decode: opaque },
    Column { declared: "time", kinds: &[Opaque], decode: opaque },
    Column { declared: "json", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "inet6", kinds: &[Opaque, Unknown], decode: opaque },
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "100",
    "1.0",
    "1.5",
    "1.50",
    "1.005",
    "0.1",
    "0.10",
    ".5",
    "5.",
    "1e0",
    "1e2",
    "10e-1",
    "01",
    "-0",
    "0.0",
    "16777216",
    "16777217",
    "33554433",
    "2147483647",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "0.30000000000000004",
    "1.0000000000000000001",
    "123456.789",
    "1.00000001",
    "1e15",
    "1e22",
    "24",
    "2024",
    "70",
    "20240105",
    "240105",
    "20240105000000",
    "120000",
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "a\t",
    "b",
    "é",
    "É",
    "e",
    "e\u{301}",
    "ß",
    "ss",
    "s",
    "æ",
    "ae",
    "ø",
    "o",
    "ü",
    "ue",
    "u",
    "ﬁ",
    "fi",
    "t",
    "f",
    "true",
    "false",
    "yes",
    "on",
    "0x10",
    "1_0",
    " 1",
    "1 ",
    "1a",
    "7 dwarfs",
    "7",
    "a7",
    "-1x",
    "NaN",
    "x&y=z|%",
    "5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab",
    "5F3C0A9E8D1B4C2A9E7F0123456789AB",
    "abcdefghijklmnop",
    "ABCDEFGHIJKLMNOP",
    "2024-01-05",
    "2024-1-5",
    "24-1-5",
    "2024/01/05",
    "2024-01-05 00:00:00",
    "2024-01-05T00:00:00",
    "12:00:00",
    "12:00:00.4",
    "1 12:00:00",
    "a,b",
    "b,a",
    "{}",
    "{\"a\": 1}",
    "::1",
    "0:0:0:0:0:0:0:1",
    "\u{0}",
    "\u{200b}a",
    "\u{1F600}",
    "\u{1F601}",
    "日本",
    "にほん",
    "ニホン",
    "ｱ",
    "ア",
    "а",
    "А",
    "й",
    "и",
    "\u{ad}a",
    "a\u{7}",
];

const CASTS: &[&str] = &[
    "SIGNED",
    "UNSIGNED",
    "CHAR",
    "CHAR(1)",
    "DECIMAL",
    "DECIMAL(8, 2)",
    "DATE",
    "DATETIME",
    "TIME",
    "DOUBLE",
    "BINARY",
];

fn constants() -> Vec<Constant> {
    let mut constants = Vec::new();
    // The mode without backslashes: they are only another way to write the same.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    for literal in ["true", "false", "DATE '2024-01-05'", "x'61'", "_utf8mb4 'a'", "b'1'"] {
        constants.push(Constant::literal(literal));
    }
    let mut sent = Vec::new();
    for number in NUMBERS {
        constants.push(Constant::literal(*number));
        if let Ok(value) = number.parse::<i64>() {
            sent.push(Constant::bound(value.to_string(), Value::Int(value)));
        } else if let Ok(value) = number.parse::<u64>() {
            sent.push(Constant::bound(value.to_string(), Value::UInt(value)));
        }
        let value: f64 = number.parse().expect("a number");
        sent.push(Constant::bound(format!("{value:e}"), Value::Float(value)));
        let single = f64::from(value as f32);
        sent.push(Constant::bound(format!("{single:e}"), Value::Float(single)));
        if !number.contains('e') {
            let exact =
                if number.contains('.') { (*number).to_owned() } else { format!("{number}.") };
            sent.push(Constant::bound(exact, decimal(number)));
        }
    }
    for value in NUMBERS.iter().chain(TEXTS) {
        constants.push(Constant::literal(quoted(value)));
        sent.push(Constant::bound(quoted(value), text(value)));
        sent.push(Constant::bound(format!("CAST({} AS BINARY)", quoted(value)), bytes(value)));
    }
    let id = "5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab";
    // How sqlx binds a UUID: as its bytes, or as text with hyphens.
    sent.push(Constant::bound("x'5f3c0a9e8d1b4c2a9e7f0123456789ab'", uuid(id)));
    sent.push(Constant::bound(quoted(id), uuid(id)));
    sent.push(Constant::bound(
        "x'6162636465666768696a6b6c6d6e6f70'",
        uuid("6162636465666768696a6b6c6d6e6f70"),
    ));
    for day in ["2024-01-05", "2024-12-31"] {
        sent.push(Constant::bound(format!("DATE '{day}'"), date(day)));
    }
    sent.push(Constant::bound("TIMESTAMP '2024-01-05 00:00:00'", Value::Opaque));
    sent.push(Constant::bound("TIME '12:00:00'", Value::Opaque));
    for cast in CASTS {
        for value in &sent {
            constants.push(Constant {
                sql: format!("CAST({} AS {cast})", value.sql),
                read: format!("CAST(? AS {cast})"),
                value: value.value.clone(),
            });
        }
        for value in NUMBERS.iter().chain(TEXTS) {
            constants.push(Constant::literal(format!("CAST({} AS {cast})", quoted(value))));
        }
    }
    constants.extend(sent);
    constants
}

#[test]
fn values_that_mariadb_calls_equal_have_one_form() {
    let Some(server) = live::mariadb() else { return };
    let mut live = Live::connect(&server.url("mysql"));
    live.run("CREATE DATABASE law CHARACTER SET utf8mb4");
    live.run("USE law");
    live.run("SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')");
    holds(&mut live, Dialect::MySql, COLUMNS, constants());
}
