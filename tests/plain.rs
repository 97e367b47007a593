//! A server with the module serves plain commands exactly as one without it: replies, data, what is propagated, notifications.

use support::{Builder, Client, Events, Random, Server, Stream, as_text};

const SEED: u64 = 20_261_201;
const COMMANDS: usize = 4000;
const CONNECTIONS: usize = 3;
const DATABASES: usize = 4;
const KEYS: usize = 12;

#[test]
fn a_plain_workload_gives_the_same_replies_data_stream_replica_and_file_with_the_module() {
    let bare = run(Server::builder().without_module());
    let loaded = run(Server::builder());

    for (number, (bare, loaded)) in bare.replies.iter().zip(&loaded.replies).enumerate() {
        assert_eq!(loaded, bare, "reply {number}");
    }
    for (number, (bare, loaded)) in bare.stream.iter().zip(&loaded.stream).enumerate() {
        assert_eq!(loaded, bare, "propagated command {number}");
    }
    assert_eq!(loaded, bare);
}

#[test]
fn a_connection_stays_in_its_database_after_it_moves_or_copies_a_key_to_another() {
    let mut primary =
        Server::builder().arg("appendonly", "yes").arg("cacheops.on-restart", "keep").start();
    let replica = Server::builder().replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let (mut first, mut second, mut third) =
        (primary.connect(), primary.connect(), primary.connect());

    first.ok("SET a 1");
    assert_eq!(first.int("MOVE a 1"), 1);
    second.ok("SET b 2");
    assert_eq!(second.int("COPY b bb DB 1"), 1);
    third.ok("SET d 3");
    assert_eq!(third.int("DEL b"), 1);
    first.store("q", "post author=7");
    first.store("p", "post author=8");
    second.ok("SET e 4");

    assert!(third.hits("q"));
    assert_eq!(first.invalidate("post author=7"), 1);
    assert!(!third.hits("q"));
    third.wait_until_reclaimed();
    let expected = [vec!["d", "e", "p"], vec!["a", "bb"]];
    assert_eq!(keys(&primary), expected);
    replica.catch_up_with(&primary);
    assert_eq!(keys(&replica), expected);
    drop(replica);
    primary.restart();
    assert_eq!(keys(&primary), expected);
}

/// What a workload leaves behind.
#[derive(Debug, PartialEq)]
struct Outcome {
    replies: Vec<(String, String)>,
    /// What was propagated, each command with the database that it goes to.
    stream: Vec<(String, String)>,
    events: Vec<String>,
    digest: String,
    replica_digest: String,
    digest_after_restart: String,
}

fn run(builder: Builder) -> Outcome {
    let mut primary =
        builder.clone().arg("appendonly", "yes").arg("notify-keyspace-events", "KEA").start();
    let replica = builder.replica_of(&primary).start();
    replica.catch_up_with(&primary);
    let mut stream = Stream::attach(&primary);
    let mut events = Events::listen(&primary);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| primary.connect()).collect();
    let mut random = Random::from_seed(SEED);
    let mut replies = Vec::with_capacity(COMMANDS);

    for _ in 0..COMMANDS {
        let line = command(&mut random);
        let client = random.below(CONNECTIONS);
        let reply = match clients[client].run(&line) {
            Ok(value) => format!("{value:?}"),
            Err(error) => format!("{error}"),
        };
        replies.push((format!("connection {client}: {line}"), reply));
    }

    let mut con = primary.connect();
    let mut database = String::from("0");
    let mut propagated = Vec::new();
    for words in stream.read_all(&mut con) {
        match words[0].to_uppercase().as_str() {
            "SELECT" => database.clone_from(&words[1]),
            "PING" | "REPLCONF" => {}
            // A discard at the start.
            name if name.starts_with("CACHEOPS.") => {}
            _ => propagated.push((database.clone(), words.join(" "))),
        }
    }
    let events = events.read(&mut con);
    let digest = digest(&primary);
    replica.catch_up_with(&primary);
    let replica_digest = self::digest(&replica);
    drop((stream, replica));
    primary.restart();
    let digest_after_restart = self::digest(&primary);
    Outcome { replies, stream: propagated, events, digest, replica_digest, digest_after_restart }
}

/// A plain command of any kind whose effect depends on nothing but what came before it: no random choice, no relative time.
fn command(random: &mut Random) -> String {
    const LATER_MS: u64 = 4_000_000_000_000;
    let mut key = || format!("k{}", random.below(KEYS));
    let (a, b) = (key(), key());
    let database = random.below(DATABASES);
    let number = random.below(100);
    match random.below(40) {
        0..=2 => format!("SELECT {database}"),
        3..=5 => format!("SET {a} {number}"),
        6 => format!("SET {a} {number} PXAT {}", LATER_MS + number as u64),
        7 => format!("DEL {a} {b}"),
        8 => format!("UNLINK {a}"),
        9..=12 => format!("MOVE {a} {database}"),
        13..=15 => format!("COPY {a} {b} DB {database} REPLACE"),
        16 => format!("COPY {a} {b}"),
        17 => format!("RENAME {a} {b}"),
        18 => format!("RENAMENX {a} {b}"),
        19 => format!("LPUSH l{a} {number}"),
        20 => format!("SADD s{a} {number}"),
        21 => format!("HSET h{a} f{number} v"),
        22 => format!("ZADD z{a} {number} m{number}"),
        23 => format!("INCR {a}"),
        24 => format!("PEXPIREAT {a} {}", LATER_MS + number as u64),
        25 => format!("PEXPIREAT {a} 1"),
        26 => format!("PERSIST {a}"),
        27 => format!("APPEND {a} x"),
        28 => format!("GETDEL {a}"),
        29 => format!("SORT l{a} STORE l{b}"),
        30 => format!("SUNIONSTORE s{a} s{a} s{b}"),
        31 => format!("LMOVE l{a} l{b} LEFT RIGHT"),
        32 => format!("MSET {a} 1 {b} {number}"),
        33 => format!("XADD x{a} {number}-1 f v"),
        34 if random.once_in(5) => format!("SWAPDB {database} {}", random.below(DATABASES)),
        35 if random.once_in(10) => "FLUSHDB".to_owned(),
        36 => format!(
            "EVAL \"redis.call('MOVE', KEYS[1], ARGV[1]); return redis.call('SET', KEYS[2], 1)\" 2 {a} {b} {database}"
        ),
        37 => "DBSIZE".to_owned(),
        _ => format!("GET {a}"),
    }
}

fn digest(server: &Server) -> String {
    as_text(&server.connect().ok("DEBUG DIGEST"))
}

/// The names of databases 0 and 1.
fn keys(server: &Server) -> [Vec<String>; 2] {
    [0, 1].map(|database| {
        let mut names: Vec<String> =
            server.connect_to(database).list("KEYS *").iter().map(as_text).collect();
        names.sort();
        names
    })
}
