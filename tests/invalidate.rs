//! `CACHEOPS.INVALIDATE`: kills the entries whose condition a row satisfies, and no other.

use support::{Client, Events, Server, Stream, eventually};

#[test]
fn drops_only_the_entries_whose_conjunction_the_row_satisfies() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q:7", "post author=7");
    con.store("q:8", "post author=8");

    assert_eq!(con.invalidate("post id=42&author=7"), 1);

    assert_eq!(con.hits_of(&["q:7", "q:8"]), ["q:8"]);
}

#[test]
fn nothing_dies_where_nothing_depends_on_the_row() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.invalidate("post id=42&author=8"), 0);
    assert_eq!(con.invalidate("user author=7"), 0);

    assert!(con.hits("q"));
}

#[test]
fn every_term_of_a_conjunction_must_match() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("both", "post author=7&draft=0");
    con.store("either", "post author=7|draft=0");

    con.invalidate("post id=1&author=7&draft=1");

    assert_eq!(con.hits_of(&["both", "either"]), ["both"]);
}

#[test]
fn a_condition_without_terms_depends_on_every_row() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("all", "post *");

    assert_eq!(con.invalidate("post id=1"), 1);

    assert!(!con.hits("all"));
}

#[test]
fn a_field_that_the_row_lacks_matches_anything() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("7,0", "post author=7&draft=0");
    con.store("7,1", "post author=7&draft=1");
    con.store("8,0", "post author=8&draft=0");
    con.store("tag", "post tag=x");

    con.invalidate("post author=7");

    assert_eq!(con.hits_of(&["7,0", "7,1", "8,0", "tag"]), ["8,0"]);
}

#[test]
fn rows_joined_by_a_bar_are_old_and_new_images() {
    let server = Server::start();
    let mut con = server.connect();
    for category in [1, 2, 3] {
        con.store(&format!("c:{category}"), &format!("post category={category}"));
    }

    assert_eq!(con.invalidate("post id=9&category=1|id=9&category=3"), 2);

    assert_eq!(con.hits_of(&["c:1", "c:2", "c:3"]), ["c:2"]);
}

#[test]
fn a_star_drops_the_whole_table_and_no_other() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q:1", "post author=1");
    con.store("q:2", "post draft=0 user id=1");
    con.store("q:3", "user id=1");

    assert_eq!(con.invalidate("post *"), 2);

    assert_eq!(con.hits_of(&["q:1", "q:2", "q:3"]), ["q:3"]);
    assert_eq!(con.invalidate("post *"), 0);
}

#[test]
fn a_table_can_be_filled_again_after_it_was_dropped() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.invalidate("post *");
    con.store("q", "post author=7");

    assert!(con.hits("q"));
    assert_eq!(con.invalidate("post author=7"), 1);
    assert!(!con.hits("q"));
}

#[test]
fn several_tables_are_invalidated_by_one_command() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("p", "post author=7");
    con.store("u", "user id=1");
    con.store("t", "tag id=1");

    assert_eq!(con.invalidate("post author=7 user id=1"), 2);

    assert_eq!(con.hits_of(&["p", "u", "t"]), ["t"]);
}

#[test]
fn an_entry_that_is_matched_twice_counts_twice() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7|draft=0");

    assert_eq!(con.invalidate("post author=7&draft=0"), 2);
    assert_eq!(con.info("cacheops_links_cut"), 2);
    assert_eq!(con.info("cacheops_rows_invalidated"), 1);
    assert_eq!(con.info("cacheops_invalidations"), 1);
}

#[test]
fn an_entry_with_one_dead_condition_is_dead() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7 user id=1");

    con.invalidate("user id=1");

    assert!(!con.hits("q"));
    con.wait_for_empty_index();
}

#[test]
fn null_is_neither_the_empty_string_nor_an_unknown_value() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("null", "post deleted_at");
    con.store("empty", "post deleted_at=");
    con.store("word", "post deleted_at=null");

    con.invalidate("post id=1&deleted_at");
    assert_eq!(con.hits_of(&["null", "empty", "word"]), ["empty", "word"]);

    con.invalidate("post id=1&deleted_at=");
    assert_eq!(con.hits_of(&["null", "empty", "word"]), ["word"]);

    con.invalidate("post id=1");
    assert!(con.hits_of(&["null", "empty", "word"]).is_empty());
}

#[test]
fn values_are_equal_only_if_their_bytes_are() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    for row in
        ["author=07", "author=7.0", "author=7%20", "Author=7&author=8", "author=77", "author="]
    {
        assert_eq!(con.invalidate(&format!("post {row}")), 0, "{row}");
    }
    assert_eq!(con.invalidate("Post author=7"), 0);
    assert!(con.hits("q"));
}

#[test]
fn escaped_bytes_are_the_bytes_they_stand_for() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post na%6De=a%26b%7cc%3Dd%25");

    assert_eq!(con.invalidate("post name=%61%26b%7Cc%3dd%25&id=1"), 1);

    assert!(!con.hits("q"));
}

#[test]
fn an_escaped_star_is_a_field_and_not_the_whole_table() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");
    con.store("star", "post %2A");
    con.store("both", "post *&author=9");
    con.store("value", "post *=1");

    assert_eq!(con.invalidate("post %2a&author=8"), 1);
    assert_eq!(con.hits_of(&["q", "star", "both", "value"]), ["q", "both", "value"]);

    // It is special only as a whole conjunction.
    assert_eq!(con.invalidate("post *=1&author=8"), 1);
    assert_eq!(con.invalidate("post *&author=9"), 1);
    assert_eq!(con.hits_of(&["q", "star", "both", "value"]), ["q"]);
}

#[test]
fn the_order_of_terms_does_not_matter() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post c=3&a=1&b=2");

    assert_eq!(con.invalidate("post b=2&c=3&a=1&d=4"), 1);
}

#[test]
fn fields_and_values_do_not_run_into_each_other() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post a=1&b=23");

    for row in ["a=12&b=3", "a=1b&b=23", "a=123&b=", "a&b=123"] {
        assert_eq!(con.invalidate(&format!("post {row}")), 0, "{row}");
    }
    assert!(con.hits("q"));
}

#[test]
fn dry_run_counts_and_changes_nothing() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);
    let token = con.store("q:1", "post author=7");
    con.store("q:2", "post author=7|draft=0");
    stream.read(&mut con);

    assert_eq!(con.int("CACHEOPS.INVALIDATE DRYRUN ON post author=7&draft=0"), 3);
    assert_eq!(con.int("CACHEOPS.INVALIDATE dryrun ON post *"), 3);

    assert_eq!(con.hits_of(&["q:1", "q:2"]).len(), 2);
    assert!(stream.read(&mut con).is_empty());
    assert_eq!(con.info("cacheops_links_cut"), 0);
    assert!(con.text(&format!("CACHEOPS.STORE q:3 v TOKEN {token} ON post author=7")).is_some());
}

#[test]
fn shard_is_accepted_outside_a_cluster() {
    let server = Server::start();
    let mut con = server.connect();
    con.store("q", "post author=7");

    assert_eq!(con.int("CACHEOPS.INVALIDATE SHARD DRYRUN ON post author=7"), 1);
    assert_eq!(con.int("CACHEOPS.INVALIDATE shard ON post author=7"), 1);
}

#[test]
fn it_is_propagated_whether_or_not_something_died() {
    let server = Server::start();
    let mut con = server.connect();
    let mut stream = Stream::attach(&server);

    con.invalidate("post author=7");
    con.invalidate("unknown *");

    assert_eq!(
        stream.read(&mut con),
        ["CACHEOPS.INVALIDATE ON post author=7", "CACHEOPS.INVALIDATE ON unknown *"]
    );
}

#[test]
fn each_reclaimed_key_is_propagated_and_announced_as_deleted() {
    let server = Server::builder().arg("notify-keyspace-events", "EA").start();
    let mut con = server.connect();
    let keys = store_many(&mut con, 50, "post author=7");
    con.store("q", "post author=8");
    let mut stream = Stream::attach(&server);
    let mut events = Events::listen(&server);

    con.invalidate("post author=7");
    eventually("the dead are gone", || con.int("DBSIZE") == 1);

    let heard = events.read(&mut con);
    let propagated = stream.read(&mut con);
    let unlinked: Vec<&str> = propagated
        .iter()
        .filter(|line| line.starts_with("UNLINK ") || line.starts_with("DEL "))
        .flat_map(|line| line.split(' ').skip(1))
        .collect();
    for key in &keys {
        assert!(unlinked.contains(&key.as_str()), "{key} is not in {propagated:?}");
        assert!(heard.contains(&format!("del {key}")), "{key} is not in {heard:?}");
    }
    assert!(!unlinked.contains(&"q"));
    assert_eq!(unlinked.len(), keys.len());
}

#[test]
fn a_hundred_thousand_entries_die_at_once_and_leave_memory_by_themselves() {
    const ENTRIES: usize = 100_000;
    let server = Server::start();
    let mut con = server.connect();
    let empty = con.info("used_memory");
    store_many(&mut con, ENTRIES, "post author=7 user *");
    con.store("q", "post author=8");

    assert_eq!(con.invalidate("post author=7"), ENTRIES as i64);
    assert!(!con.hits("k:0") && !con.hits("k:99999"));

    con.wait_until_reclaimed();
    assert_eq!(con.int("DBSIZE"), 1);
    assert!(con.hits("q"));
    assert_eq!(con.info("cacheops_reclaimed"), ENTRIES as i64);
    assert_eq!((con.info("cacheops_entries"), con.info("cacheops_links")), (1, 1));
    con.ok("DEL q");
    con.assert_index_is_empty();
    let left = con.info("used_memory") - empty;
    // What stays: the tombstones (4 MiB) and spare room. 100,000 entries take some 30 MB.
    assert!(left < 12_000_000, "{left} bytes more than before");
}

#[test]
fn a_partial_row_over_too_many_conjunctions_drops_the_scheme_and_is_counted() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.partial-scan 10");
    for author in 0..20 {
        con.store(&format!("q:{author}"), &format!("post author={author}&draft=0"));
    }
    con.store("other", "post tag=x");

    assert_eq!(con.invalidate("post author=3&tag=y"), 20);

    assert!(!con.hits("q:3") && !con.hits("q:4"));
    assert!(con.hits("other"));
    assert_eq!(con.info("cacheops_schemes_dropped"), 1);
    assert!(con.info("cacheops_over_invalidations") >= 1);
}

#[test]
fn a_command_past_the_limit_of_probes_drops_the_table_and_is_counted() {
    let server = Server::start();
    let mut con = server.connect();
    con.ok("CONFIG SET cacheops.max-probes 1000");
    con.store("q", "post author=7");
    con.store("other", "user id=1");
    let rows: Vec<String> = (100..1200).map(|author| format!("author={author}")).collect();

    con.invalidate(&format!("post {}", rows.join("|")));

    assert_eq!(con.hits_of(&["q", "other"]), ["other"]);
    assert_eq!(con.info("cacheops_over_invalidations"), 1);
}

#[test]
fn schemes_that_no_row_matches_are_probed_without_harm() {
    let server = Server::start();
    let mut con = server.connect();
    for field in 0..100 {
        con.store(&format!("q:{field}"), &format!("post f{field}=1"));
    }
    let row: Vec<String> =
        (0..100).map(|field| format!("f{field}={}", i32::from(field == 42))).collect();

    assert_eq!(con.invalidate(&format!("post {}", row.join("&"))), 1);

    assert!(!con.hits("q:42") && con.hits("q:41"));
}

/// Stores `k:0`, `k:1`, ... under the same conditions.
fn store_many(con: &mut Client, count: usize, conditions: &str) -> Vec<String> {
    let keys: Vec<String> = (0..count).map(|n| format!("k:{n}")).collect();
    con.pipeline(
        keys.iter().map(|key| format!("CACHEOPS.STORE {key} \"value of {key}\" ON {conditions}")),
    );
    keys
}
