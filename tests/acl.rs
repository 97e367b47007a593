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
    con.ok(&format!("ACL SETUSER app on >secret resetkeys resetchannels {rules}"));
    let mut user = server.connect();
    user.ok("AUTH app secret");
    user
}
