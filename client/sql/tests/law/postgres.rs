//! The law on PostgreSQL.

use cacheops_sql::{ColumnKind, Dialect, Value};
use support::Postgres;

use crate::law::{Column, Constant, Decode, date, decimal, holds, opaque, text, uuid};
use crate::live::Live;

use ColumnKind::{Bool, Bytes, Date as Day, Decimal, Int, Opaque, Text, Unknown, Uuid};

fn int(text: &str) -> Value<'static> {
    Value::Int(text.parse().expect("an integer"))
}

fn float(text: &str) -> Value<'static> {
    Value::Float(text.parse().unwrap_or(f64::NAN))
}

fn single(text: &str) -> Value<'static> {
    Value::Float(text.parse::<f32>().unwrap_or(f32::NAN).into())
}

fn truth(text: &str) -> Value<'static> {
    Value::Bool(text == "t" || text == "true")
}

fn bytes(text: &str) -> Value<'static> {
    let hex = text.strip_prefix("\\x").expect("bytes");
    let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16));
    Value::Bytes(bytes.collect::<Result<Vec<u8>, _>>().expect("digits").into())
}

const COLUMNS: &[Column] = &[
    Column { declared: "smallint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "integer", kinds: &[Int, Unknown], decode: int },
    Column { declared: "bigint", kinds: &[Int, Unknown], decode: int },
    Column { declared: "numeric", kinds: &[Decimal, Unknown], decode: decimal },
    Column { declared: "numeric(8, 2)", kinds: &[Decimal, Unknown], decode: decimal },
    Column { declared: "numeric(20, 0)", kinds: &[Decimal, Unknown], decode: decimal },
    Column { declared: "real", kinds: &[Opaque, Unknown], decode: single },
    Column { declared: "double precision", kinds: &[Opaque, Unknown], decode: float },
    Column { declared: "text", kinds: &[Text, Unknown, Opaque], decode: text },
    Column { declared: "varchar(12)", kinds: &[Text, Unknown], decode: text },
    Column { declared: "char(12)", kinds: &[Text, Unknown], decode: text },
    Column { declared: "citext", kinds: &[Text, Unknown], decode: text },
    Column { declared: "text COLLATE nocase", kinds: &[Opaque], decode: text },
    Column { declared: "boolean", kinds: &[Bool, Unknown], decode: truth },
    Column { declared: "uuid", kinds: &[Uuid, Unknown], decode: uuid },
    Column { declared: "date", kinds: &[Day, Unknown], decode: date },
    Column { declared: "time", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "time(0)", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "timetz", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "timestamp", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "timestamptz", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "interval", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "bytea", kinds: &[Opaque, Unknown, Bytes, Uuid], decode: bytes },
    Column { declared: "mood", kinds: &[Text, Unknown], decode: text },
    Column { declared: "jsonb", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "inet", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "money", kinds: &[Opaque], decode: opaque },
    Column { declared: "integer[]", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "text[]", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "int4range", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "positive", kinds: &[Int, Unknown], decode: int },
    Column { declared: "email", kinds: &[Text, Unknown], decode: text },
    Column { declared: "bit(4)", kinds: &[Opaque, Unknown], decode: opaque },
    Column { declared: "short", kinds: &[Text, Unknown], decode: text },
    Column { declared: "xml", kinds: &[Opaque, Unknown], decode: opaque },
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
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
    "16777216",
    "16777217",
    "16777218",
    "33554433",
    "2147483647",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "0.30000000000000004",
    "1.0000000000000000001",
    "123456.789",
    "1.10000002384185791015625",
    "1.00000001",
    "240105",
    "2024.005",
    "123456",
    "1e15",
    "1e22",
    "1e300",
];

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "a ",
    " a",
    "b",
    "é",
    "É",
    "e\u{301}",
    "ß",
    "ss",
    "ﬁ",
    "fi",
    "sad",
    "ok",
    "Sad",
    "t",
    "f",
    "true",
    "TRUE",
    " true",
    "false",
    "yes",
    "y",
    "on",
    "off",
    "no",
    "n",
    "0x10",
    "1_0",
    " 1",
    "1 ",
    "NaN",
    "infinity",
    "x&y=z|%",
    "5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab",
    "5F3C0A9E-8D1B-4C2A-9E7F-0123456789AB",
    "{5f3c0a9e8d1b4c2a9e7f0123456789ab}",
    "5f3c0a9e8d1b4c2a9e7f0123456789ab",
    "00000000-0000-0000-0000-000000000001",
    "2024-01-05",
    "2024-1-5",
    "January 5, 2024",
    "20240105",
    "2024-01-05 00:00:00",
    "2024-01-05T00:00:00Z",
    "2024-01-05 01:00:00+01",
    "12:00",
    "12:00:00",
    "12:00:00.4",
    "12:00:00+00",
    "13:00:00+01",
    "1 day",
    "24 hours",
    "\\x61",
    "a@b.example",
    "A@B.example",
    "{}",
    "{\"a\": 1}",
    "{\"a\":1.0}",
    "{1}",
    "{1,2}",
    "{ 1 }",
    "{a}",
    "{\"a\"}",
    "::1",
    "0:0:0:0:0:0:0:1",
    "127.0.0.1",
    "127.0.0.1/32",
    "$1.00",
    "$1",
    "[1,3)",
    "[1,2]",
    "1010",
    "epoch",
    "the same text again, and longer than the sixty-four bytes that are kept",
    "THE SAME text again, and longer than the sixty-four bytes that are kept",
];

/// Types that a driver may send a value as.
const NUMERIC_TYPES: &[(&str, Decode)] = &[
    ("int2", int),
    ("int4", int),
    ("int8", int),
    ("numeric", decimal),
    ("float4", single),
    ("float8", float),
];
const TEXT_TYPES: &[(&str, Decode)] = &[
    ("text", text),
    ("varchar", text),
    ("bpchar", text),
    ("citext", text),
    ("name", text),
    ("bool", truth),
    ("uuid", uuid),
    ("date", date),
    ("bytea", bytes),
    ("mood", text),
    ("time", opaque),
    ("timetz", opaque),
    ("timestamp", opaque),
    ("timestamptz", opaque),
    ("interval", opaque),
    ("jsonb", opaque),
    ("inet", opaque),
    ("money", opaque),
    ("int4[]", opaque),
    ("text[]", opaque),
    ("int4range", opaque),
    ("bit(4)", opaque),
];
/// Types that a statement may convert a parameter to.
const CASTS: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "numeric",
    "numeric(8, 2)",
    "real",
    "double precision",
    "text",
    "varchar",
    "varchar(3)",
    "char(3)",
    "citext",
    "boolean",
    "uuid",
    "date",
    "timestamp",
    "timestamptz",
    "mood",
    "positive",
    "email",
    "inet",
    "money",
    "jsonb",
    "time",
    "interval",
    "bytea",
    "name",
    "integer[]",
    "bit(4)",
];

fn constants(live: &mut Live) -> Vec<Constant> {
    let mut constants = Vec::new();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    constants.extend(["true", "false"].map(Constant::literal));
    constants.extend(["DATE '2024-01-05'", "E'a'", "$$a$$"].map(Constant::literal));
    for number in NUMBERS {
        constants.push(Constant::literal(*number));
    }
    let mut bind = |text: &str, kind: &str, decode: Decode| {
        let sql = format!("{}::{kind}", quoted(text));
        // The driver sends the value as the type has it.
        let shown = live.query(&format!("SELECT ({sql})::text")).ok()?.pop()?.pop()??;
        let value = if kind == "bpchar" { decode(text) } else { decode(&shown) };
        Some(Constant::bound(sql, value))
    };
    let mut sent = Vec::new();
    for number in NUMBERS {
        sent.extend(NUMERIC_TYPES.iter().filter_map(|(kind, decode)| bind(number, kind, *decode)));
    }
    for text in NUMBERS.iter().chain(TEXTS) {
        sent.extend(TEXT_TYPES.iter().filter_map(|(kind, decode)| bind(text, kind, *decode)));
        constants.push(Constant::literal(quoted(text)));
    }
    for cast in CASTS {
        for value in &sent {
            let plain = ["int8", "numeric", "float8", "text", "bool", "uuid", "date"];
            if !plain.iter().any(|kind| value.sql.ends_with(&format!("::{kind}"))) {
                continue;
            }
            constants.push(Constant {
                sql: format!("({})::{cast}", value.sql),
                read: format!("?::{cast}"),
                value: value.value.clone(),
            });
        }
        for text in NUMBERS.iter().chain(TEXTS) {
            constants.push(Constant::literal(format!("{}::{cast}", quoted(text))));
        }
    }
    constants.extend(sent);
    constants
}

#[test]
fn values_that_postgresql_calls_equal_have_one_form() {
    let Some(server) = Postgres::start() else { return };
    let mut live = Live::connect(&server.url());
    live.run("CREATE EXTENSION citext");
    live.run("CREATE TYPE mood AS ENUM ('sad', 'ok', 'a', '1')");
    live.run("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)");
    live.run("CREATE DOMAIN short AS varchar(3)");
    live.run("CREATE DOMAIN email AS citext CHECK (VALUE ~ '@')");
    live.run("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level1', deterministic = false)");
    let constants = constants(&mut live);
    holds(&mut live, Dialect::Postgres, COLUMNS, constants);
}
