//! `CACHEOPS.VERSION`, and what the server itself tells about the commands.

use support::{Server, Value, as_text};

#[test]
fn tells_version_grammar_and_capabilities() {
    let server = Server::start();
    let answer = server.connect().map("CACHEOPS.VERSION");

    assert_eq!(as_text(&answer["version"]), env!("CARGO_PKG_VERSION"));
    assert_eq!(answer["grammar"], Value::Int(1));
    assert!(matches!(answer["capabilities"], Value::Array(_)));
}

#[test]
fn every_command_is_registered_with_its_flags() {
    let server = Server::start();
    let mut con = server.connect();
    for (command, has, has_not) in [
        ("STORE", vec!["write", "denyoom"], vec![]),
        ("GET", vec!["readonly"], vec!["write", "denyoom"]),
        ("MGET", vec!["readonly"], vec!["write"]),
        ("INVALIDATE", vec![], vec!["write", "denyoom"]),
        ("FLUSH", vec![], vec!["write", "denyoom"]),
        ("REAP", vec![], vec!["denyoom"]),
        ("EXPLAIN", vec!["readonly"], vec!["write"]),
        ("TOP", vec!["readonly"], vec!["write"]),
        ("TABLES", vec!["readonly"], vec!["write"]),
        ("VERSION", vec![], vec!["write"]),
    ] {
        let answer = con.list(&format!("COMMAND INFO CACHEOPS.{command}"));
        let [Value::Array(info)] = &answer[..] else { panic!("CACHEOPS.{command} does not exist") };
        let Value::Array(flags) = &info[2] else { panic!("{info:?}") };
        let flags: Vec<String> = flags.iter().map(as_text).collect();

        for flag in has {
            assert!(flags.iter().any(|other| other == flag), "{command} is not {flag}: {flags:?}");
        }
        for flag in has_not {
            assert!(!flags.iter().any(|other| other == flag), "{command} is {flag}: {flags:?}");
        }
    }
}

#[test]
fn the_server_finds_the_keys_of_each_command() {
    let server = Server::start();
    let mut con = server.connect();
    for (line, keys) in [
        ("CACHEOPS.STORE q v ON post author=7", vec!["q"]),
        ("CACHEOPS.GET q", vec!["q"]),
        ("CACHEOPS.MGET q p", vec!["q", "p"]),
        ("CACHEOPS.EXPLAIN q", vec!["q"]),
    ] {
        let found: Vec<String> =
            con.list(&format!("COMMAND GETKEYS {line}")).iter().map(as_text).collect();
        assert_eq!(found, keys, "{line}");
    }
}
