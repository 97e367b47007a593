//! The forms that programs in other languages share: `docs/values.txt`, line by line.

use cacheops_sql::Date;

use super::*;

const VECTORS: &str = include_str!("../../../../docs/values.txt");

/// A type that a line names: what the value is here, and in which kind of column it stands.
fn value(kind: &str, text: &str) -> (Value<'static>, ColumnKind) {
    let owned = text.to_owned();
    match kind {
        "text" => (Value::Text(owned.into()), ColumnKind::Text),
        "int" => (Value::Int(text.parse().unwrap()), ColumnKind::Int),
        "bool" => (Value::Bool(text == "true"), ColumnKind::Bool),
        "decimal" => (Value::Decimal(owned.into()), ColumnKind::Decimal),
        "float" => (Value::Float(text.parse().unwrap()), ColumnKind::Unknown),
        "uuid" => {
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
            (Value::Uuid(std::array::from_fn(byte)), ColumnKind::Uuid)
        }
        "date" => {
            let part = |range: std::ops::Range<usize>| text[range].parse().unwrap();
            let date = Date { year: part(0..4), month: part(5..7) as u8, day: part(8..10) as u8 };
            (Value::Date(date), ColumnKind::Date)
        }
        "null" => (Value::Null, ColumnKind::Unknown),
        "datetime" | "time" | "json" => (Value::Opaque, ColumnKind::Unknown),
        // A character for each.
        "bytes" => {
            let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
            (Value::Bytes(bytes.into()), ColumnKind::Bytes)
        }
        other => panic!("a type that is not known: {other}"),
    }
}

fn unquoted(text: &str) -> String {
    let mut rest = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("quotes");
    let mut plain = String::new();
    while let Some((before, code)) = rest.split_once("\\u{") {
        let (code, after) = code.split_once('}').expect("a brace");
        plain.push_str(before);
        plain.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        rest = after;
    }
    plain + rest
}

/// The condition that a form makes: `*` for none.
fn condition(form: &str) -> String {
    match form {
        "-" => "*".into(),
        "NULL" => "c".into(),
        form => {
            let mut condition = b"c=".to_vec();
            cacheops_condition::write_value(&mut condition, unquoted(form).as_bytes());
            String::from_utf8(condition).unwrap()
        }
    }
}

#[test]
fn values_have_the_forms_that_all_programs_share() {
    let lines = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut compared, mut given) = (0, 0);
    for line in lines {
        let [kind, text, form, on_mysql] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("four parts: {line}");
        };
        let (value, column) = value(kind, &unquoted(text));
        for (dialect, form) in [(Postgres, form), (Sqlite, form), (MySql, on_mysql)] {
            let schema = Schema::new().table(Table::new("t").column("c", column));
            let analyser = Analyser::new(dialect, schema, 4);
            let row = analyser.row_image("t", [("c", &value)]).to_text();

            // Where a database may round a value there is none, which is never wrong.
            let row = String::from_utf8(row).unwrap();
            let none = dialect != Postgres && row == "*";
            assert!(none || row == condition(form), "{dialect:?}: {row} for {line}");
            given += usize::from(row != "*");

            // A query for it has that form or none.
            let query = if dialect == Postgres { "c = $1" } else { "c = ?" };
            let query = reads(
                &analyser,
                &format!("SELECT * FROM t WHERE {query}"),
                std::slice::from_ref(&value),
            );
            let expected = ["t: *".to_owned(), format!("t: {}", condition(form))];
            let null = value == Value::Null;
            assert!(null || expected.contains(&query), "{dialect:?}: {query} for {line}");
            compared += 1;
        }
    }
    assert!(compared > 500 && given > 400, "{given} of {compared}");
}
