//! Every refusal names the argument and the rule, changes nothing and propagates nothing.

use support::{Client, Server, Stream};

/// A line, and the words of which the error must hold one, letter case ignored.
type Refusal = (&'static str, &'static [&'static str]);

const ARITY: &[&str] = &["wrong number of arguments"];

const STORE: &[Refusal] = &[
    ("CACHEOPS.STORE", ARITY),
    ("CACHEOPS.STORE k", ARITY),
    ("CACHEOPS.STORE k v", ARITY),
    ("CACHEOPS.STORE k v ON", ARITY),
    ("CACHEOPS.STORE k v ON post", ARITY),
    ("CACHEOPS.STORE k v post author=7 user", &["option", "on", "syntax"]),
    ("CACHEOPS.STORE k v PX 1000 PX 1000 ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v PX 1000 EX 1000 ON post author=7", &["ex", "px", "time"]),
    ("CACHEOPS.STORE k v TOKEN 5 TOKEN 5 ON post author=7", &["token"]),
    ("CACHEOPS.STORE k v FOREVER 1 ON post author=7", &["forever"]),
    ("CACHEOPS.STORE k v ON post author=7 PX 1000", &["1000", "condition", "px"]),
    ("CACHEOPS.STORE k v PX 0 ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v PX -1 ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v EX 0 ON post author=7", &["ex"]),
    ("CACHEOPS.STORE k v PX 9223372036854775807 ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v EX 9223372036854775 ON post author=7", &["ex"]),
    ("CACHEOPS.STORE k v EX 9223372036854775808 ON post author=7", &["ex"]),
    ("CACHEOPS.STORE k v PX soon ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v PX 1.5 ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v PX \"\" ON post author=7", &["px"]),
    ("CACHEOPS.STORE k v PXAT 0 ON post author=7", &["pxat"]),
    ("CACHEOPS.STORE k v EXAT -1 ON post author=7", &["exat"]),
    ("CACHEOPS.STORE k v TOKEN 0 ON post author=7", &["token"]),
    ("CACHEOPS.STORE k v TOKEN -1 ON post author=7", &["token"]),
    ("CACHEOPS.STORE k v TOKEN 9007199254740992 ON post author=7", &["token"]),
    ("CACHEOPS.STORE k v TOKEN none ON post author=7", &["token"]),
    ("CACHEOPS.STORE k v VERSION 0 ON post author=7", &["version"]),
    ("CACHEOPS.STORE k v VERSION 9007199254740992 ON post author=7", &["version"]),
    ("CACHEOPS.STORE k v PX ON post author=7", &["px", "on", "wrong number"]),
];

/// Conditions that are errors wherever a condition stands.
const CONDITIONS: &[Refusal] = &[
    ("\"\"", &["empty"]),
    ("author=7|", &["empty", "conjunction"]),
    ("|author=7", &["empty", "conjunction"]),
    ("author=7||draft=0", &["empty", "conjunction"]),
    ("author=7&", &["empty", "field"]),
    ("&author=7", &["empty", "field"]),
    ("author=7&&draft=0", &["empty", "field"]),
    ("=7", &["empty", "field"]),
    ("author=7&author=8", &["once", "twice"]),
    ("author=7&author=7", &["once", "twice"]),
    ("author=7&author", &["once", "twice"]),
    ("author=7&%61uthor=8", &["once", "twice"]),
    ("author=7=8", &["="]),
    ("author=%", &["%", "escape"]),
    ("author=%4", &["%", "escape"]),
    ("author=%4g", &["%", "escape"]),
    ("au%zzthor=7", &["%", "escape"]),
    ("author<7", &["<", "reserved"]),
    ("author>=7", &[">", "reserved"]),
    ("author!=7", &["!", "reserved"]),
    ("lower(author)=7", &["(", "reserved"]),
    ("a,b=7", &[",", "reserved"]),
    ("@author=7", &["@", "reserved"]),
    ("$author=7", &["$", "reserved"]),
];

const INVALIDATE: &[Refusal] = &[
    ("CACHEOPS.INVALIDATE", ARITY),
    ("CACHEOPS.INVALIDATE ON", ARITY),
    ("CACHEOPS.INVALIDATE ON post", ARITY),
    ("CACHEOPS.INVALIDATE ON post author=7 user", &["wrong number of arguments", "condition"]),
    ("CACHEOPS.INVALIDATE post author=7 on", &["post", "option", "on"]),
    ("CACHEOPS.INVALIDATE DRYRUN DRYRUN ON post author=7", &["dryrun"]),
    ("CACHEOPS.INVALIDATE SHARD SHARD ON post author=7", &["shard"]),
    ("CACHEOPS.INVALIDATE FORCE ON post author=7", &["force"]),
];

const OTHERS: &[Refusal] = &[
    ("CACHEOPS.GET", ARITY),
    ("CACHEOPS.GET k FAST", &["fast", "wrong number"]),
    ("CACHEOPS.MGET", ARITY),
    ("CACHEOPS.FLUSH ALL", &["all"]),
    ("CACHEOPS.FLUSH SHARD SHARD", &["shard", "wrong number"]),
    ("CACHEOPS.REAP 0", &["chunk"]),
    ("CACHEOPS.REAP -1", &["chunk"]),
    ("CACHEOPS.REAP many", &["chunk"]),
    ("CACHEOPS.REAP 10 -1", &["min-size", "min"]),
    ("CACHEOPS.REAP 10 few", &["min-size", "min"]),
    ("CACHEOPS.REAP 10 10 10", ARITY),
    ("CACHEOPS.EXPLAIN", ARITY),
    ("CACHEOPS.EXPLAIN k k", ARITY),
    ("CACHEOPS.TOP BY beauty", &["beauty", "by"]),
    ("CACHEOPS.TOP COUNT 0", &["count"]),
    ("CACHEOPS.TOP COUNT 101", &["count"]),
    ("CACHEOPS.TOP COUNT 5 COUNT 5", &["count"]),
    ("CACHEOPS.TABLES post", ARITY),
];

#[test]
fn store_refuses_what_it_cannot_read() {
    let mut bench = Bench::new();
    for refusal in STORE {
        bench.refuses(refusal.0, refusal.1);
    }
}

#[test]
fn invalidate_refuses_what_it_cannot_read() {
    let mut bench = Bench::new();
    for refusal in INVALIDATE {
        bench.refuses(refusal.0, refusal.1);
    }
}

#[test]
fn both_refuse_a_condition_that_is_not_in_the_grammar() {
    let mut bench = Bench::new();
    for (condition, words) in CONDITIONS {
        bench.refuses(&format!("CACHEOPS.STORE k new ON user id=1 post {condition}"), words);
        bench.refuses(&format!("CACHEOPS.INVALIDATE ON post author=7 post {condition}"), words);
        bench.refuses(&format!("CACHEOPS.INVALIDATE DRYRUN ON post {condition}"), words);
    }
}

#[test]
fn the_other_commands_refuse_what_they_cannot_read() {
    let mut bench = Bench::new();
    for refusal in OTHERS {
        bench.refuses(refusal.0, refusal.1);
    }
}

#[test]
fn a_foreign_key_is_refused_and_stays() {
    let mut bench = Bench::new();
    bench.con.ok("SET foreign value");
    bench.stream.read(&mut bench.con);

    bench.refuses("CACHEOPS.STORE foreign v ON post author=7", &["wrongtype"]);
    bench.refuses("CACHEOPS.GET foreign", &["wrongtype"]);

    assert_eq!(bench.con.text("GET foreign").as_deref(), Some("value"));
}

#[test]
fn limits_are_errors_that_name_them() {
    let mut bench = Bench::new();
    let con = &mut bench.con;
    con.ok("CONFIG SET cacheops.max-value-bytes 10");
    con.ok("CONFIG SET cacheops.max-key-bytes 10");
    con.ok("CONFIG SET cacheops.max-terms 2");
    con.ok("CONFIG SET cacheops.max-conjunctions 2");
    bench.stream.read(&mut bench.con);

    bench.refuses("CACHEOPS.STORE k 12345678901 ON post author=7", &["value"]);
    bench.refuses("CACHEOPS.STORE k2345678901 v ON post author=7", &["key"]);
    bench.refuses("CACHEOPS.STORE k v ON post a=1&b=2&c=3", &["terms"]);
    bench.refuses("CACHEOPS.STORE k v ON post a=1|b=2|c=3", &["conjunctions"]);
}

#[test]
fn binary_rubbish_is_refused_and_the_server_lives() {
    let mut bench = Bench::new();
    let mut random = support::Random::from_seed(1);
    for _ in 0..2000 {
        let condition: Vec<u8> =
            (0..1 + random.below(12))
                .map(|_| {
                    if random.chance(60) {
                        *random.pick(b"ab=&|%*47<")
                    } else {
                        random.bits() as u8
                    }
                })
                .collect();
        // Most are errors; those that are not are conditions like any other.
        let _ = bench.con.call([
            b"CACHEOPS.STORE".as_slice(),
            b"q",
            b"v",
            b"PX",
            b"100000",
            b"ON",
            b"t",
            &condition,
        ]);
        let _ = bench.con.call([b"CACHEOPS.INVALIDATE".as_slice(), b"ON", b"t", &condition]);
        let _ = bench.con.call([b"CACHEOPS.EXPLAIN".as_slice(), b"q"]);
    }

    assert_eq!(bench.con.info("cacheops_panics"), 0);
    bench.con.ok("DEL q k");
    bench.con.wait_for_empty_index();
}

#[test]
fn a_command_of_many_arguments_is_read_or_refused_but_never_fatal() {
    let mut bench = Bench::new();
    let tables: Vec<String> = (0..20_000).map(|n| format!("t{n} a={n}")).collect();
    let rows = tables.join(" ");

    let stored = bench.con.run(&format!("CACHEOPS.STORE q v ON {rows}"));
    assert!(stored.is_err(), "more conjunctions than max-conjunctions");
    let _ = bench.con.run(&format!("CACHEOPS.INVALIDATE ON {rows}"));

    assert!(bench.con.hits("k"));
    assert_eq!(bench.con.info("cacheops_panics"), 0);
}

/// A server with one entry `k` that depends on `user id=1`, and a replica that listens.
struct Bench {
    con: Client,
    stream: Stream,
    _server: Server,
}

impl Bench {
    fn new() -> Self {
        let server = Server::start();
        let mut con = server.connect();
        con.store("k", "user id=1");
        let stream = Stream::attach(&server);
        Self { con, stream, _server: server }
    }

    #[track_caller]
    fn refuses(&mut self, line: &str, words: &[&str]) {
        let before = self.gauges();

        let error = self.con.error(line);

        let lower = error.to_lowercase();
        assert!(
            words.iter().any(|word| lower.contains(word)),
            "{line}: {error:?} holds none of {words:?}"
        );
        assert!(error.starts_with("ERR ") || error.starts_with("WRONGTYPE "), "{line}: {error:?}");
        assert!(
            !error.ends_with('.') || error.contains("wrong number"),
            "{line}: full stop: {error:?}"
        );
        assert!(self.con.hits("k"), "{line}: the entry is gone");
        assert_eq!(self.gauges(), before, "{line}: INFO changed");
        assert_eq!(self.stream.read(&mut self.con), [""; 0], "{line}: propagated");
    }

    fn gauges(&mut self) -> Vec<i64> {
        [
            "entries",
            "dead",
            "tables",
            "schemes",
            "conjunctions",
            "links",
            "stores",
            "invalidations",
            "links_cut",
            "flushes",
            "panics",
        ]
        .iter()
        .map(|field| self.con.info(&format!("cacheops_{field}")))
        .collect()
    }
}
