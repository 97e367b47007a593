//! ACL: keys and commands are restricted as for any other command.

use support::{Client, Server, as_text};

#[test]
fn a_user_reaches_only_the_keys_it_was_given() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("mine:1", "post author=7");
    con.store("other:1", "post author=7");
    let mut user = log_in(&server, &mut con, "~mine:* +@all");

    assert!(user.hits("mine:1"));
    user.store("mine:2", "post author=8");
    for line in [
        "CACHEOPS.GET other:1",
        "CACHEOPS.MGET mine:1 other:1",
        "CACHEOPS.EXPLAIN other:1",
        "CACHEOPS.STORE other:1 v ON post author=7",
    ] {
        assert!(user.error(line).starts_with("NOPERM"), "{line}");
    }
    assert!(con.hits("other:1"));
}

#[test]
fn a_reader_cannot_store_or_invalidate() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let mut user = log_in(&server, &mut con, "~* +cacheops.get +cacheops.mget");

    assert!(user.hits("q"));
    for line in [
        "CACHEOPS.STORE q v ON post author=7",
        "CACHEOPS.INVALIDATE ON post *",
        "CACHEOPS.FLUSH",
        "CACHEOPS.REAP",
    ] {
        assert!(user.error(line).starts_with("NOPERM"), "{line}");
    }
    assert!(con.hits("q"));
}

#[test]
fn read_permission_of_a_key_does_not_let_store_write_it() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let mut user = log_in(&server, &mut con, "%R~* +@all");

    assert!(user.hits("q"));
    assert!(user.error("CACHEOPS.STORE q v ON post author=7").starts_with("NOPERM"));
}

#[test]
fn a_writer_that_may_invalidate_needs_no_key() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    let mut user = log_in(&server, &mut con, "+cacheops.invalidate");

    assert_eq!(user.invalidate("post author=7"), 1);
    con.wait_until_reclaimed();
    assert_eq!(con.int("EXISTS q"), 0);
}

#[test]
fn top_shows_values_only_to_who_may_read_all_keys() {
    let server = Server::start();
    let mut con = server.connect();
    for number in 0..9 {
        con.store(&format!("other:{number}"), "user email=bob@example.org&iban=DE02");
    }
    con.invalidate("user email=bob@example.org&iban=DE02");
    for number in 0..9 {
        con.store(&format!("other:{number}"), "user email=bob@example.org&iban=DE02");
    }
    let shown = "email=bob@example.org&iban=DE02";
    let hidden = "email=?&iban=?";

    for (rules, expected) in [
        ("~* +@all", shown),
        ("%R~* +@all", shown),
        ("~mine:* (~* +get) +@all", shown),
        ("~mine:* +@all", hidden),
        ("%W~* +@all", hidden),
        ("~mine:* ~?* +@all", shown),
        ("~[^o]* +@all", hidden),
        ("~? ~*o* ~*e* +@all", hidden),
        ("+@all", hidden),
    ] {
        let mut user = log_in(&server, &mut con, rules);
        for order in ["fanout", "memory", "invalidations"] {
            let top = user.list(&format!("CACHEOPS.TOP BY {order}"));
            let conjunctions: Vec<String> =
                top.iter().map(|row| as_text(&support::as_map(row)["conjunction"])).collect();
            assert_eq!(conjunctions, [expected], "{rules}: {order}");
        }
    }
    let script = "return redis.call('CACHEOPS.TOP')[1][4]";
    assert_eq!(as_text(&con.call(["EVAL", script, "0"]).expect("an answer")), hidden);
}

#[test]
fn categories_keys_and_rights_are_those_of_commands_md() {
    let server = Server::start();
    let mut con = server.connect();
    let has_categories = con.list("ACL CAT").iter().any(|category| as_text(category) == "cacheops");
    let lines = [
        ("STORE", "STORE other:1 v ON post author=7"),
        ("GET", "GET other:1"),
        ("MGET", "MGET mine:1 other:1"),
        ("RELEASE", "RELEASE other:1 5"),
        ("TOKEN", "TOKEN other:1"),
        ("CHECK", "CHECK 5 KEY other:1 ON post author=7"),
        ("INVALIDATE", "INVALIDATE ON post author=7"),
        ("FLUSH", "FLUSH"),
        ("EXPLAIN", "EXPLAIN other:1"),
        ("TOP", "TOP"),
        ("TABLES", "TABLES"),
        ("REAP", "REAP"),
        ("VERSION", "VERSION"),
    ];
    let document = include_str!("../COMMANDS.md");
    let (_, section) = document.split_once("## ACL").expect("a section");

    for (command, line) in lines {
        let row = section.lines().find(|row| row.starts_with(&format!("| {command} |")));
        let cells: Vec<&str> = row.expect(command).split('|').map(str::trim).collect();
        let (categories, key) = (cells[2], cells[3]);

        let mut user = log_in(&server, &mut con, "~mine:* +@all");
        let is_refused = user
            .run(&format!("CACHEOPS.{line}"))
            .is_err_and(|error| error.code() == Some("NOPERM"));
        assert_eq!(is_refused, !key.is_empty(), "{line}");
        if key == "read" || key == "write" {
            let rules = if key == "read" { "%R~other:*" } else { "%W~other:*" };
            let mut user = log_in(&server, &mut con, &format!("~mine:* {rules} +@all"));
            user.ok(&format!("CACHEOPS.{line}"));
        }
        if !has_categories {
            continue;
        }
        let described = con.list(&format!("COMMAND INFO CACHEOPS.{command}"));
        let support::Value::Array(fields) = &described[0] else { panic!("{described:?}") };
        let support::Value::Array(found) = &fields[6] else { panic!("{fields:?}") };
        let mut found: Vec<String> = found.iter().map(as_text).collect();
        found.retain(|category| category != "@cacheops");
        found.sort();
        let mut written: Vec<String> =
            categories.split(' ').map(|category| category.replace('`', "")).collect();
        written.sort();
        assert_eq!(found, written, "{command}");
    }
}

#[test]
fn who_may_read_and_write_but_nothing_dangerous_cannot_look_at_others_or_flush() {
    let server = Server::start();
    let mut con = server.connect();
    if !con.list("ACL CAT").iter().any(|category| as_text(category) == "cacheops") {
        return;
    }
    con.store("app:1", "post author=7");
    let mut user = log_in(&server, &mut con, "~app:* +@read +@write +@connection -@dangerous");

    for line in ["TOP", "TABLES", "REAP", "FLUSH"] {
        assert!(user.error(&format!("CACHEOPS.{line}")).starts_with("NOPERM"), "{line}");
    }
    assert!(user.hits("app:1"));
    user.store("app:2", "post author=8");
    assert_eq!(user.invalidate("post author=8"), 1);
    let mut reader = log_in(&server, &mut con, "~* +@read");
    for line in ["TOP", "TABLES", "REAP", "FLUSH", "INVALIDATE ON post *"] {
        assert!(reader.error(&format!("CACHEOPS.{line}")).starts_with("NOPERM"), "{line}");
    }
}

#[test]
fn the_category_holds_the_commands_where_the_server_knows_such() {
    let server = Server::start();
    let mut con = server.connect();
    let categories: Vec<String> = con.list("ACL CAT").iter().map(as_text).collect();
    if !categories.contains(&"cacheops".to_owned()) {
        // Redis 7.0 has no API for it; Valkey has one.
        assert_eq!(con.info_field("valkey_version"), None, "Valkey has categories of modules");
        return;
    }

    let commands: Vec<String> = con.list("ACL CAT cacheops").iter().map(as_text).collect();

    for command in [
        "store",
        "get",
        "mget",
        "invalidate",
        "flush",
        "reap",
        "explain",
        "top",
        "tables",
        "version",
    ] {
        let name = format!("cacheops.{command}");
        assert!(
            commands.iter().any(|other| other.eq_ignore_ascii_case(&name)),
            "{name}: {commands:?}"
        );
    }
}

fn log_in(server: &Server, con: &mut Client, rules: &str) -> Client {
    con.ok(&format!("ACL SETUSER app reset on >secret {rules}"));
    let mut user = server.connect();
    user.ok("AUTH app secret");
    user
}
