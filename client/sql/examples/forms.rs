//! The canonical forms of values, line by line: what a program in another language compares its own with.
//!
//! Reads `dialect type value` from its input, separated by tabs, and writes the form, or `-` where there is none. A value
//! stands between quotes, with `\u{..}` for any character, as in `docs/values.txt`. A form is written as in a condition,
//! and between quotes too.
//!
//! `printf 'sqlite\ttext\t" \\u{c9}a"\n' | cargo run -q -p cacheops-sql --example forms`

use std::io::{BufRead, Write};

use cacheops_sql::{Analyser, ColumnKind, Dialect, Schema, Table, Value};

fn main() -> std::io::Result<()> {
    let analyser = |dialect| {
        let table = Table::new("t")
            .column("text", ColumnKind::Text)
            .column("decimal", ColumnKind::Decimal)
            .column("int", ColumnKind::Int);
        Analyser::new(dialect, Schema::new().table(table), 1)
    };
    let databases = [
        ("postgresql", analyser(Dialect::Postgres)),
        ("mysql", analyser(Dialect::MySql)),
        ("sqlite", analyser(Dialect::Sqlite)),
    ];
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let line = line?;
        let answer = form(&databases, &line).unwrap_or_else(|| "? not understood".into());
        writeln!(output, "{answer}")?;
    }
    Ok(())
}

fn form(databases: &[(&str, Analyser)], line: &str) -> Option<String> {
    let mut parts = line.split('\t');
    let (dialect, kind, value) = (parts.next()?, parts.next()?, unquoted(parts.next()?)?);
    let (_, analyser) = databases.iter().find(|(name, _)| *name == dialect)?;
    let value = match kind {
        "text" => Value::Text(value.into()),
        "decimal" => Value::Decimal(value.into()),
        "int" => Value::Int(value.parse().ok()?),
        _ => return None,
    };
    let condition = analyser.row_image("t", [(kind, &value)]).to_text();
    let condition = String::from_utf8(condition).ok()?;
    Some(condition.split_once('=').map_or_else(|| "-".to_owned(), |(_, form)| quoted(form)))
}

fn quoted(form: &str) -> String {
    let mut quoted = String::from('"');
    for c in form.chars() {
        if c.is_control() {
            quoted.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            quoted.push(c);
        }
    }
    quoted.push('"');
    quoted
}

fn unquoted(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::new();
    while let Some((before, code)) = rest.split_once("\\u{") {
        let (code, after) = code.split_once('}')?;
        plain.push_str(before);
        plain.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}
