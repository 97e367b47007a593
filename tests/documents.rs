//! What the documents show of a prompt is what a server answers.
//!
//! Long numbers are versions and tokens: they may differ, but not in their distance from the first. What counts, and how
//! long it took, is compared by kind in the blocks of [`COUNTING`].

use std::fmt::Write;

use support::{Client, Server, Value};

const README: &str = include_str!("../README.md");
const COMMANDS: &str = include_str!("../COMMANDS.md");

/// More digits than any other number has: where the versions of a server begin is drawn from 2^40 to 2^52.
const LONG: usize = 12;

/// What every example of COMMANDS.md finds, unless it begins with it.
const BEFORE: [&str; 2] = [
    r#"CACHEOPS.STORE posts:7 "three posts" EX 3600 ON post author=7&deleted_at"#,
    r#"CACHEOPS.STORE home "all of it" ON post * author id=7|id=8"#,
];

/// Blocks whose answers depend on what else was done.
const COUNTING: [&str; 5] = [
    "> CACHEOPS.EXPLAIN",
    "> CACHEOPS.TABLES",
    "> CACHEOPS.REAP",
    "> CACHEOPS.FLUSH",
    "> CACHEOPS.INVALIDATE ON post id=43",
];

/// The blocks of a document that begin with a prompt.
fn blocks(document: &str) -> Vec<Vec<&str>> {
    let blocks = document.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| block.starts_with("> ")).map(|block| block.lines().collect()).collect()
}

/// An answer as `redis-cli` prints it.
fn show(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Nil => out.push_str("(nil)\n"),
        Value::Int(number) => writeln!(out, "(integer) {number}").unwrap(),
        Value::BulkString(bytes) => writeln!(out, "{:?}", String::from_utf8_lossy(bytes)).unwrap(),
        Value::Array(items) => {
            let width = items.len().to_string().len();
            for (at, item) in items.iter().enumerate() {
                let before = if at == 0 { 0 } else { indent };
                write!(out, "{:before$}{:>width$}) ", "", at + 1).unwrap();
                show(item, indent + width + 2, out);
            }
        }
        other => panic!("not known to the prompt: {other:?}"),
    }
}

/// The text with its long numbers replaced.
fn numbers(text: &str, replace: impl Fn(i64) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[start..].chars().take_while(char::is_ascii_digit).count();
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(digits);
        out += before;
        if digits < LONG {
            out += number
        } else {
            out += &replace(number.parse().unwrap())
        }
        rest = after;
    }
    out + rest
}

/// The first long number.
fn first_number(text: &str) -> Option<i64> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter(|word| word.len() >= LONG).find_map(|word| word.parse().ok())
}

fn answer(client: &mut Client, line: &str) -> String {
    let mut out = String::new();
    match client.run(line) {
        Ok(value) => show(&value, 0, &mut out),
        // Asked again for its text: an error changes nothing.
        Err(_) => writeln!(out, "(error) {}", client.error(line)).unwrap(),
    }
    out
}

/// Sends the lines of a block and compares the answers. `first` is the first number of the document, and of the server.
fn replay(client: &mut Client, block: &[&str], mut first: Option<(i64, i64)>) {
    let mut lines = block.iter().peekable();
    while let Some(line) = lines.next() {
        let mut expected = String::new();
        while let Some(text) = lines.next_if(|text| !text.starts_with("> ")) {
            // How long it took.
            if !text.starts_with('(') || !text.ends_with("s)") {
                writeln!(expected, "{text}").unwrap();
            }
        }
        let command = match first {
            Some((there, here)) => {
                numbers(&line[2..], |number| (number - there + here).to_string())
            }
            None => line[2..].to_owned(),
        };
        let seen = answer(client, &command);
        first = first.or_else(|| Some((first_number(&expected)?, first_number(&seen)?)));
        let (there, here) = first.unwrap_or_default();
        let mut seen = numbers(&seen, |number| format!("first + {}", number - here));
        let mut expected = numbers(&expected, |number| format!("first + {}", number - there));
        if COUNTING.iter().any(|counting| line.starts_with(counting)) {
            (seen, expected) = (without_counts(&seen), without_counts(&expected));
        }
        match expected.strip_suffix("...\n") {
            Some(beginning) => assert!(seen.starts_with(beginning.trim_end()), "{line}\n{seen}"),
            None => assert_eq!(seen, expected, "{line}"),
        }
    }
}

fn without_counts(text: &str) -> String {
    let parts = text.split("(integer) ").enumerate();
    parts
        .map(
            |(at, part)| {
                if at == 0 { part } else { part.trim_start_matches(|c: char| c.is_ascii_digit()) }
            },
        )
        .collect()
}

#[test]
fn the_readme_shows_what_a_server_answers() {
    let server = Server::start();
    let blocks = blocks(README);

    assert_eq!(blocks.len(), 1);
    replay(&mut server.connect(), &blocks[0], None);
}

#[test]
fn commands_md_shows_what_a_server_answers() {
    let server = Server::start();
    let blocks = blocks(COMMANDS);
    let there = first_number(&blocks[0].join("\n")).unwrap();

    assert!(blocks.len() > 10);
    for block in &blocks {
        let mut client = server.connect();
        client.ok("FLUSHALL");
        let begins = block[0].ends_with(BEFORE[0]);
        let here = (!begins).then(|| BEFORE.map(|line| client.int(line))[0]);
        match block[0] {
            line if line.starts_with("> CACHEOPS.RELEASE") => {
                client.int("CACHEOPS.GET nothing LOCK 10000");
            }
            line if line.starts_with("> CACHEOPS.TOP") => {
                for n in 0..9 {
                    client.store(&format!("t:{n}"), "post author=7");
                }
            }
            _ => {}
        }
        replay(&mut client, block, here.map(|here| (there, here)));
    }
}
