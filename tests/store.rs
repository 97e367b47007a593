//! `CACHEOPS.STORE`: an entry with its conditions, time to live and version.

use support::{Events, Server, Stream, Value, eventually};

#[test]
fn a_stored_value_is_a_hit_until_a_row_matches_its_condition() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CACHEOPS.STORE q:7 seven PX 60000 ON post \"author=7&draft=0|id=3\" user *");

    assert_eq!(con.text("CACHEOPS.GET q:7").as_deref(), Some("seven"));
    con.invalidate("post id=4&author=7&draft=1");
    assert_eq!(con.text("CACHEOPS.GET q:7").as_deref(), Some("seven"));

    con.invalidate("post id=4&author=7&draft=0");

    assert_eq!(con.text("CACHEOPS.GET q:7"), None);
}

#[test]
fn keys_and_values_are_any_bytes() {
    let server = Server::start();
    let mut con = server.connect();
    let every_byte: Vec<u8> = (0..=255).collect();
    con.call([b"CACHEOPS.STORE".as_slice(), &every_byte, &every_byte, b"ON", b"post", b"*"])
        .expect("stored");

    let answer = con.call([b"CACHEOPS.GET".as_slice(), &every_byte]);

    assert_eq!(answer, Ok(Value::BulkString(every_byte)));
}

#[test]
fn an_empty_value_is_a_hit() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CACHEOPS.STORE none \"\" ON post author=7");

    assert_eq!(con.text("CACHEOPS.GET none").as_deref(), Some(""));
}

#[test]
fn versions_are_positive_below_2_to_the_53_and_grow() {
    let server = Server::start();
    let mut con = server.connect();

    let versions: Vec<i64> =
        (0..10).map(|n| con.store(&format!("q:{n}"), "post author=7")).collect();

    assert!(versions.iter().all(|version| (1..1 << 53).contains(version)), "{versions:?}");
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

#[test]
fn every_time_to_live_option_is_kept_by_the_server() {
    let server = Server::start();
    let mut con = server.connect();
    let now = server_time_ms(&mut con);
    for (key, option) in [
        ("px", "PX 60000".to_owned()),
        ("ex", "EX 60".to_owned()),
        ("pxat", format!("PXAT {}", now + 60_000)),
        ("exat", format!("EXAT {}", now / 1000 + 60)),
    ] {
        con.ok(&format!("CACHEOPS.STORE {key} value {option} ON post author=7"));

        let ttl = con.int(&format!("PTTL {key}"));
        assert!((50_000..=60_000).contains(&ttl), "{key}: {ttl}");
    }
}

#[test]
fn an_entry_without_a_time_to_live_persists() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.int("PTTL q"), -1);
}

#[test]
fn the_longest_time_to_live_is_one() {
    let server = Server::start();
    let mut con = server.connect();
    for option in ["PX 4611686018427387904", "EX 4611686018427387", "PXAT 4611686018427387904"] {
        con.ok(&format!("CACHEOPS.STORE q \"value of q\" {option} ON post author=7"));
        assert!(con.hits("q"), "{option}");
        assert!(con.int("PTTL q") > 1 << 61, "{option}");
    }
}

#[test]
fn storing_again_replaces_the_time_to_live() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CACHEOPS.STORE q value PX 60000 ON post author=7");
    con.ok("CACHEOPS.STORE q value ON post author=7");

    assert_eq!(con.int("PTTL q"), -1);
}

#[test]
fn an_expired_entry_is_a_miss_and_leaves_the_index() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CACHEOPS.STORE q value PX 1 ON post author=7");

    eventually("q has expired", || con.text("CACHEOPS.GET q").is_none());
    eventually("q is deleted", || con.int("DBSIZE") == 0);
    con.assert_index_is_empty();
}

#[test]
fn a_moment_in_the_past_leaves_no_entry_behind() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("CACHEOPS.STORE q new PXAT 1000 ON post author=7");

    assert_eq!(con.text("CACHEOPS.GET q"), None);
    eventually("q is deleted", || con.int("DBSIZE") == 0);
    con.assert_index_is_empty();
}

#[test]
fn options_come_in_any_order_and_letter_case() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("other", "user *");

    for options in [
        format!("px 60000 TOKEN {token}"),
        format!("Token {token} Px 60000"),
        format!("tOkEn {token} EX 60"),
    ] {
        assert!(
            con.text(&format!("cacheops.store q value {options} on post author=7")).is_some(),
            "{options}"
        );
        assert!(con.int("PTTL q") > 0, "{options}");
    }
}

#[test]
fn storing_again_forgets_the_old_conditions() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.store("q", "post author=8");

    assert_eq!(con.invalidate("post author=7"), 0);
    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=8"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn storing_again_revives_a_dead_key() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.while_dead("post author=7", &["CACHEOPS.STORE q \"value of q\" ON post author=7"]);

    con.wait_until_reclaimed();

    assert!(con.hits("q"), "the reaper took an entry that was stored after the invalidation");
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn repeated_conjunctions_and_tables_are_merged() {
    let server = Server::start();
    let mut con = server.connect();
    con.store(
        "q",
        "post author=7|author=7 post author=7 post \"draft=0&author=1|author=1&draft=0\"",
    );

    assert_eq!(con.info("cacheops_links"), 2);
    assert_eq!(con.info("cacheops_conjunctions"), 2);
}

#[test]
fn entries_with_the_same_conjunction_share_it() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q:1", "post author=7&draft=0");
    con.store("q:2", "post draft=0&author=7");

    assert_eq!(con.info("cacheops_entries"), 2);
    assert_eq!(con.info("cacheops_links"), 2);
    assert_eq!(con.info("cacheops_conjunctions"), 1);
    assert_eq!(con.info("cacheops_schemes"), 1);
}

#[test]
fn a_token_from_before_an_invalidation_is_refused() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1");
    con.invalidate("post id=3&author=7");

    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7")), None);

    assert_eq!(con.text("CACHEOPS.GET q"), None);
    assert_eq!(con.int("EXISTS q"), 0);
    assert_eq!(con.info("cacheops_stores_refused_token"), 1);
}

#[test]
fn a_refused_store_leaves_the_entry_that_was_there() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("q", "user id=1");
    con.invalidate("post author=7");

    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7")), None);

    assert!(con.hits("q"));
    assert_eq!(con.invalidate("user id=1"), 1);
}

#[test]
fn a_token_outlives_invalidations_of_other_tables_and_other_conjunctions() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1");
    con.invalidate("user id=1");
    con.invalidate("post id=3&author=8");

    let version = con.text(&format!("CACHEOPS.STORE q fresh TOKEN {token} ON post author=7"));

    assert!(version.is_some());
    assert_eq!(con.text("CACHEOPS.GET q").as_deref(), Some("fresh"));
}

#[test]
fn a_token_is_refused_if_one_of_several_conditions_was_invalidated() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1 user id=1");
    con.invalidate("user id=5");

    let line = format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7 user id=4|id=5");
    assert_eq!(con.text(&line), None);
}

#[test]
fn a_partial_row_refuses_the_tokens_of_every_conjunction_it_may_touch() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1&draft=1");
    con.invalidate("post author=7");

    assert_eq!(
        con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7&draft=0")),
        None
    );
}

#[test]
fn a_dropped_table_refuses_every_token_from_before() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1");
    con.invalidate("post *");

    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7")), None);
}

#[test]
fn a_refused_store_registers_its_schemes() {
    let server = Server::start();
    let mut con = server.connect();
    let before = con.store("known", "post author=1");
    con.invalidate("post author=99&rare=9");
    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {before} ON post rare=1")), None);
    let token = con.store("known", "post author=1");
    con.invalidate("post author=99&rare=2");

    assert!(con.text(&format!("CACHEOPS.STORE q fresh TOKEN {token} ON post rare=1")).is_some());
    assert_eq!(con.invalidate("post author=99&rare=1"), 1);
}

#[test]
fn tokens_that_this_server_never_gave_are_refused() {
    let server = Server::start();
    let other = Server::start();
    let mut con = server.connect();
    let foreign = other.connect().store("q", "post author=7");
    let own = con.store("known", "post author=7");

    for token in [1, own + 1_000_000, (1 << 53) - 1, foreign] {
        assert_eq!(
            con.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7")),
            None,
            "{token}"
        );
    }
    assert_eq!(con.info("cacheops_stores_refused_token"), 4);
}

#[test]
fn tokens_of_another_database_are_refused() {
    let server = Server::start();
    let token = server.connect_to(1).store("q", "post author=7");
    let mut con = server.connect();
    con.store("known", "post author=7");

    assert_eq!(con.text(&format!("CACHEOPS.STORE q v TOKEN {token} ON post author=7")), None);
}

#[test]
fn a_full_server_refuses_to_store_but_invalidates() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.ok("CONFIG SET maxmemory 1");

    assert!(con.error("CACHEOPS.STORE p value ON post author=7").starts_with("OOM "));
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
    con.ok("CACHEOPS.FLUSH");
    con.ok("CACHEOPS.REAP");
}

#[test]
fn past_the_limit_of_tables_a_store_is_refused_and_counted() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-tables 2");
    con.store("q:1", "post author=7");
    con.store("q:2", "user id=1");

    assert_eq!(con.text("CACHEOPS.STORE q:3 value ON tag id=1"), None);

    assert_eq!(con.int("EXISTS q:3"), 0);
    assert_eq!(con.info("cacheops_stores_refused_limit"), 1);
    assert!(con.hits("q:1"));
    con.store("q:4", "user id=2");
}

#[test]
fn past_the_limit_of_schemes_a_conjunction_depends_on_the_whole_table() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-schemes 1");
    con.store("q:1", "post author=7");
    con.store("q:2", "post draft=0");

    assert_eq!(con.info("cacheops_collapsed_conjunctions"), 1);
    con.invalidate("post author=8&draft=1");

    assert_eq!(con.hits_of(&["q:1", "q:2"]), ["q:1"]);
}

#[test]
fn a_store_is_propagated_with_its_moment_of_expiry_and_its_version() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);
    let before = server_time_ms(&mut con);
    let version = con.int("CACHEOPS.STORE q value PX 60000 ON post author=7|draft=0 user *");
    let after = server_time_ms(&mut con);

    let commands = stream.read_all(&mut con);

    let [store] =
        commands.iter().filter(|words| words[0].starts_with("CACHEOPS")).collect::<Vec<_>>()[..]
    else {
        panic!("{commands:?}")
    };
    let on = store.iter().position(|word| word == "ON").expect("conditions");
    assert_eq!(store[..3], ["CACHEOPS.STORE", "q", "value"]);
    assert_eq!(option(&store[3..on], "VERSION"), Some(version));
    let expiry = option(&store[3..on], "PXAT").expect("PXAT");
    assert!((before + 60_000..=after + 60_000).contains(&expiry), "{store:?}");
    assert_eq!(store[on..], ["ON", "post", "author=7|draft=0", "user", "*"]);
}

#[test]
fn a_refused_store_is_not_propagated_as_an_entry() {
    let server = Server::start();
    let mut con = server.connect();
    let token = con.store("known", "post author=1");
    con.invalidate("post author=7");
    let mut stream = Stream::attach(&server);

    assert_eq!(con.text(&format!("CACHEOPS.STORE q stale TOKEN {token} ON post author=7")), None);

    let commands = stream.read(&mut con);
    assert!(!commands.iter().any(|line| line.contains("stale")), "{commands:?}");
}

#[test]
fn listeners_hear_of_a_store() {
    let server = Server::builder().arg("notify-keyspace-events", "EA").start();
    let mut con = server.connect();
    let mut events = Events::listen(&server);

    con.store("q", "post author=7");

    let heard = events.read(&mut con);
    assert_eq!(heard.iter().filter(|event| event.ends_with(" q")).count(), 1, "{heard:?}");
}

#[test]
fn an_entry_is_a_type_of_its_own_that_other_commands_cannot_change() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.text("TYPE q").as_deref(), Some("cacheops1"));
    for line in
        ["APPEND q x", "SETRANGE q 0 x", "INCR q", "GETDEL q", "LPUSH q x", "GET q", "SETBIT q 1 1"]
    {
        assert!(con.error(line).starts_with("WRONGTYPE"), "{line}");
    }
    assert!(con.hits("q"));
}

fn server_time_ms(con: &mut support::Client) -> i64 {
    let time: Vec<i64> =
        con.list("TIME").iter().map(|n| support::as_text(n).parse().expect("a number")).collect();
    time[0] * 1000 + time[1] / 1000
}

fn option(words: &[String], name: &str) -> Option<i64> {
    let at = words.iter().position(|word| word == name)?;
    words.get(at + 1)?.parse().ok()
}
