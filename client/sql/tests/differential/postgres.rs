//! A random database of PostgreSQL, where types decide what may be compared.

use cacheops_sql::{ColumnKind, Dialect, Value};
use support::Random;

use crate::database::{Bound, Kind, date, uuid_bytes};
use crate::live::Live;
use crate::server::Server;

const KINDS: &[Kind] = &[
    Kind { name: "a", declared: "integer", known: ColumnKind::Int, family: 'i' },
    Kind { name: "b", declared: "bigint", known: ColumnKind::Int, family: 'i' },
    Kind { name: "c", declared: "smallint", known: ColumnKind::Int, family: 'i' },
    Kind { name: "d", declared: "numeric(8, 2)", known: ColumnKind::Decimal, family: 'i' },
    Kind { name: "r", declared: "real", known: ColumnKind::Opaque, family: 'i' },
    Kind { name: "s", declared: "text", known: ColumnKind::Text, family: 's' },
    Kind { name: "q", declared: "char(9)", known: ColumnKind::Text, family: 's' },
    Kind { name: "n", declared: "citext", known: ColumnKind::Text, family: 's' },
    Kind { name: "f", declared: "boolean", known: ColumnKind::Bool, family: 'f' },
    Kind { name: "e", declared: "date", known: ColumnKind::Date, family: 'e' },
    Kind { name: "u", declared: "uuid", known: ColumnKind::Uuid, family: 'u' },
    Kind { name: "m", declared: "mood", known: ColumnKind::Text, family: 'm' },
    Kind { name: "z", declared: "timestamptz", known: ColumnKind::Opaque, family: 'z' },
];

const UUIDS: &[&str] =
    &["5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab", "00000000-0000-0000-0000-000000000001"];
const DATES: &[&str] = &["2024-01-05", "2024-01-06", "2023-12-31"];
const TEXTS: &[&str] =
    &["a", "A", "a ", "b", "é", "É", "1", "01", "1.0", " 1", "", "true", "1e0", "0", "x&y=z|%"];
const MOODS: &[&str] = &["sad", "ok"];

pub struct Postgres;

/// What all databases need, once a server.
pub fn prepare(live: &mut Live) {
    live.run("CREATE EXTENSION citext");
    live.run("CREATE TYPE mood AS ENUM ('sad', 'ok')");
    live.run("SET client_min_messages = warning");
    // The answers of the test are small, and its tables never analysed.
    live.run("SET jit = off");
}

fn bound(text: &str, kind: &str, value: Value<'static>) -> Bound {
    Bound {
        sql: rusqlite::types::Value::Null,
        typed: format!("('{text}'::{kind})"),
        literal: Some(format!("'{text}'")),
        value,
    }
}

fn number(text: &str, kind: &str, value: Value<'static>) -> Bound {
    Bound { literal: Some(text.to_owned()), ..bound(text, kind, value) }
}

fn value(random: &mut Random, column: &str) -> Bound {
    if random.once_in(9) {
        let kind = KINDS.iter().find(|kind| kind.name == column).map_or("int4", |k| k.declared);
        return Bound {
            typed: format!("(NULL::{kind})"),
            literal: Some("NULL".into()),
            ..bound("", "", Value::Null)
        };
    }
    let text = |text: &str| Value::Text(text.to_owned().into());
    match column {
        "s" | "q" | "n" => {
            let (chosen, kind) =
                (*random.pick(TEXTS), *random.pick(&["text", "varchar", "citext"]));
            bound(chosen, kind, text(chosen))
        }
        "f" => match random.once_in(2) {
            true => number("true", "bool", Value::Bool(true)),
            false => number("false", "bool", Value::Bool(false)),
        },
        "e" => {
            let day = *random.pick(DATES);
            if random.once_in(6) {
                return bound(day, "timestamp", Value::Opaque);
            }
            bound(day, "date", Value::Date(date(day)))
        }
        "u" => {
            let uuid = *random.pick(UUIDS);
            bound(uuid, "uuid", Value::Uuid(uuid_bytes(uuid)))
        }
        "m" => {
            let mood = *random.pick(MOODS);
            bound(mood, "mood", text(mood))
        }
        "z" => {
            let zone = random.pick(&["+00", "+01", "-05:30"]);
            let day = random.pick(DATES);
            bound(&format!("{day} 00:00:00{zone}"), "timestamptz", Value::Opaque)
        }
        "d" | "r" if random.once_in(2) => {
            let chosen = *random.pick(&["1.50", "2.250", "2.0", "0.1"]);
            match random.below(3) {
                0 => number(chosen, "float8", Value::Float(chosen.parse().unwrap())),
                1 => {
                    let value: f32 = chosen.parse().unwrap();
                    number(chosen, "float4", Value::Float(value.into()))
                }
                _ => number(chosen, "numeric", Value::Decimal(chosen.into())),
            }
        }
        _ => {
            let value = random.below(if column == "id" { 12 } else { 4 }) as i64;
            let text = value.to_string();
            let value = match random.below(10) {
                0 => return number(&text, "numeric", Value::Decimal(text.clone().into())),
                1 => return number(&text, "float8", Value::Float(value as f64)),
                _ => Value::Int(value),
            };
            let kind = *random.pick(&["int2", "int4", "int8"]);
            number(&text, kind, value)
        }
    }
}

impl Server for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const KINDS: &'static [Kind] = KINDS;

    fn value(random: &mut Random, column: &str) -> Bound {
        value(random, column)
    }

    fn stored(random: &mut Random, column: &str) -> Bound {
        loop {
            let value = value(random, column);
            if column != "id" || value.value != Value::Null {
                return value;
            }
        }
    }

    fn array(random: &mut Random, column: &str) -> Option<Bound> {
        let kind = match column {
            "s" | "n" => "text",
            "a" | "b" | "id" => "int8",
            "u" => "uuid",
            "e" => "date",
            _ => return None,
        };
        let (mut texts, mut values) = (Vec::new(), Vec::new());
        while texts.len() < random.below(4) {
            let value = value(random, column);
            // `'text'::type` without its type.
            let plain = value.typed.split('\'').nth(1).map(str::to_owned);
            match (&value.value, plain) {
                (Value::Int(_) | Value::Text(_) | Value::Uuid(_) | Value::Date(_), Some(plain)) => {
                    texts.push(format!("\"{plain}\""));
                }
                (Value::Null, _) => texts.push("NULL".into()),
                _ => continue,
            }
            values.push(value.value);
        }
        let list = texts.join(",");
        let value = Value::Array(values);
        Some(Bound { literal: None, ..bound(&format!("{{{list}}}"), &format!("{kind}[]"), value) })
    }

    fn decoded(column: &str, text: &str) -> Value<'static> {
        match column {
            "d" => Value::Decimal(text.to_owned().into()),
            "r" => Value::Float(text.parse::<f32>().unwrap().into()),
            "s" | "q" | "n" | "m" => Value::Text(text.to_owned().into()),
            "f" => Value::Bool(text == "t"),
            "e" => Value::Date(date(text)),
            "u" => Value::Uuid(uuid_bytes(text)),
            "z" => Value::Opaque,
            _ => Value::Int(text.parse().unwrap()),
        }
    }
}
