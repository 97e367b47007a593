//! Directives: defaults, bounds, and settings in the configuration file.

use support::{Server, as_map, as_text};

const NUMBERS: [(&str, &str, &str, &str); 16] = [
    // name, default, a valid value, one out of range
    ("reap-slice-us", "500", "1000", "1001"),
    ("reap-inline", "0", "1000", "1001"),
    ("max-value-bytes", "67108864", "1024", "-1"),
    ("max-key-bytes", "1024", "65000", "65001"),
    ("max-terms", "16", "64", "65"),
    ("max-conjunctions", "1024", "16384", "16385"),
    ("max-condition-bytes", "1048576", "1024", "1023"),
    ("max-tables", "4096", "100", "-1"),
    ("max-schemes", "256", "1024", "1025"),
    ("max-catalog-bytes", "16777216", "1024", "1023"),
    ("max-probes", "200000", "100000", "-1"),
    ("partial-scan", "1000", "500", "-1"),
    ("max-locks", "65536", "0", "1048577"),
    ("max-lock-bytes", "33554432", "0", "-1"),
    ("max-waiting", "2000", "0", "1000001"),
    ("tombstones", "524288", "1024", "1023"),
];
const POLICIES: [&str; 4] = ["on-restart", "on-restore", "on-promotion", "on-swapdb"];

#[test]
fn every_directive_has_its_default() {
    let server = Server::start();
    let settings = server.connect().map("CONFIG GET cacheops.*");

    for (name, default, ..) in NUMBERS {
        assert_eq!(as_text(&settings[&format!("cacheops.{name}")]), default, "{name}");
    }
    for name in POLICIES {
        assert_eq!(as_text(&settings[&format!("cacheops.{name}")]), "discard", "{name}");
    }
    assert_eq!(settings.len(), NUMBERS.len() + POLICIES.len());
}

#[test]
fn every_directive_is_set_while_running_within_its_bounds() {
    let server = Server::start();
    let mut con = server.connect();
    for (name, _, valid, invalid) in NUMBERS {
        con.ok(&format!("CONFIG SET cacheops.{name} {valid}"));
        con.error(&format!("CONFIG SET cacheops.{name} {invalid}"));
        con.error(&format!("CONFIG SET cacheops.{name} many"));

        let settings = con.map(&format!("CONFIG GET cacheops.{name}"));
        assert_eq!(as_text(&settings[&format!("cacheops.{name}")]), valid, "{name}");
    }
    for name in POLICIES {
        con.ok(&format!("CONFIG SET cacheops.{name} keep"));
        con.error(&format!("CONFIG SET cacheops.{name} maybe"));

        let settings = con.map(&format!("CONFIG GET cacheops.{name}"));
        assert_eq!(as_text(&settings[&format!("cacheops.{name}")]), "keep", "{name}");
    }
}

#[test]
fn directives_stand_in_the_configuration_file_and_survive_a_rewrite() {
    let server =
        Server::builder().arg("cacheops.max-terms", "3").arg("cacheops.on-restore", "keep").start();
    let mut con = server.connect();
    let settings = as_map(&con.ok("CONFIG GET cacheops.*"));
    assert_eq!(as_text(&settings["cacheops.max-terms"]), "3");
    assert_eq!(as_text(&settings["cacheops.on-restore"]), "keep");

    con.ok("CONFIG SET cacheops.max-terms 5");
    con.ok("CONFIG REWRITE");

    let config = std::fs::read_to_string(server.dir().join("server.conf")).expect("the file");
    assert!(config.contains("cacheops.max-terms 5"), "{config}");
}

#[test]
fn a_new_number_of_tombstones_forgets_no_invalidation() {
    let server = Server::start();
    let mut con = server.connect();
    // What is no power of two is rounded up to one.
    for slots in [1024, 1025, 1_000_000, 2048] {
        let token = con.store("known", "post author=1");
        con.invalidate("post author=7");

        con.ok(&format!("CONFIG SET cacheops.tombstones {slots}"));

        assert_eq!(
            con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7")),
            None,
            "{slots}"
        );
    }
}

#[test]
fn the_example_of_a_configuration_holds_the_defaults() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../redis.conf.example");
    let example = std::fs::read_to_string(example).expect("redis.conf.example");
    let lines: Vec<(&str, &str)> = example
        .lines()
        .filter_map(|line| line.split_once(' ').filter(|(name, _)| name.starts_with("cacheops.")))
        .collect();
    let builder =
        lines.iter().fold(Server::builder(), |builder, (name, value)| builder.arg(name, value));

    let server = builder.start();

    let written = server.connect().map("CONFIG GET cacheops.*");
    assert_eq!(lines.len(), written.len());
    assert_eq!(written, Server::start().connect().map("CONFIG GET cacheops.*"));
}

#[test]
fn limits_bind_stores_of_clients() {
    let server = Server::start();
    let mut con = server.connect();
    for (directive, limit, line) in [
        ("max-value-bytes", "10", "CACHEOPS.STORE q 12345678901 ON post author=7"),
        ("max-key-bytes", "10", "CACHEOPS.STORE q2345678901 v ON post author=7"),
        ("max-terms", "2", "CACHEOPS.STORE q v ON post a=1&b=2&c=3"),
        ("max-conjunctions", "2", "CACHEOPS.STORE q v ON post a=1|b=2 user c=3"),
        (
            "max-condition-bytes",
            "1024",
            &format!("CACHEOPS.STORE q v ON post a={}", "1".repeat(1100)),
        ),
    ] {
        con.ok(&format!("CONFIG SET cacheops.{directive} {limit}"));

        let error = con.error(line);

        assert!(error.contains(directive) || error.contains(limit), "{line}: {error}");
    }
    con.assert_index_is_empty();
    con.ok("CACHEOPS.STORE q v ON post a=1&b=2 user *");
}
