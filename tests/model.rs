//! Seeded random operations on a server and on a naive twin: never a stale hit, and what nothing touched stays a hit.

use std::collections::BTreeMap;
use std::fmt::Write;

use support::{Client, Random, Server, Value, eventually, number};

const DATABASES: usize = 3;
const KEYS: usize = 12;
const TABLES: [&str; 2] = ["post", "user"];
const FIELDS: [&str; 3] = ["a", "b", "c"];
/// `None` is NULL.
const VALUES: [Option<&str>; 3] = [Some("0"), Some("1"), None];

#[test]
fn a_server_agrees_with_the_twin() {
    for seed in seeds(1, 12) {
        let server = Server::builder().arg("cacheops.on-swapdb", "keep").start();
        let mut run = Run::new(seed, &server);
        for _ in 0..600 {
            run.step();
            run.check_one();
        }
        run.check_all();
        run.empty();
    }
}

#[test]
fn a_server_that_reclaims_as_late_as_it_can_agrees_with_the_twin() {
    for seed in seeds(1001, 4) {
        let server = Server::builder().arg("cacheops.on-swapdb", "keep").start();
        let mut run = Run::new(seed, &server);
        for _ in 0..100 {
            run.transaction(12);
            run.check_all();
        }
        run.empty();
    }
}

#[test]
fn a_replica_agrees_with_its_primary_and_with_the_twin() {
    for seed in seeds(2001, 4) {
        let primary = Server::builder().arg("cacheops.on-swapdb", "keep").start();
        let replica =
            Server::builder().arg("cacheops.on-swapdb", "keep").replica_of(&primary).start();
        replica.catch_up_with(&primary);
        let mut run = Run::new(seed, &primary);
        for _ in 0..15 {
            for _ in 0..30 {
                run.step();
            }
            run.check_all();
            replica.catch_up_with(&primary);
            run.check_replica(&replica);
        }
        primary.connect().wait_until_reclaimed();
        replica.catch_up_with(&primary);
        assert_eq!(
            replica.connect().ok("DEBUG DIGEST"),
            primary.connect().ok("DEBUG DIGEST"),
            "seed {seed}"
        );
        run.empty();
        replica.catch_up_with(&primary);
        replica.connect().wait_for_empty_index();
    }
}

#[test]
fn a_server_that_keeps_over_restarts_agrees_with_the_twin() {
    for seed in seeds(3001, 3) {
        let mut server = Server::builder()
            .arg("cacheops.on-swapdb", "keep")
            .arg("cacheops.on-restart", "keep")
            .arg("appendonly", "yes")
            .start();
        let mut run = Run::new(seed, &server);
        for round in 0..6 {
            for _ in 0..60 {
                run.step();
            }
            match round % 3 {
                0 => server.restart(),
                1 => drop(server.connect().ok("DEBUG RELOAD")),
                _ => drop(server.connect().ok("DEBUG LOADAOF")),
            }
            run.reconnect(&server);
            run.check_all();
        }
        run.empty();
    }
}

/// So many seeds; `CACHEOPS_MODEL_FACTOR` times as many for a longer search.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    first..first + count * number("CACHEOPS_MODEL_FACTOR").unwrap_or(1)
}

/// Field and value; a value of `None` is NULL. A field that is absent is not in the map.
type Terms = BTreeMap<&'static str, Option<&'static str>>;

#[derive(Clone)]
struct Entry {
    value: String,
    conditions: Vec<(&'static str, Vec<Terms>)>,
    hit: Hit,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Hit {
    /// Nothing touched it: anything but a hit is a lost entry.
    Must,
    /// A copy, which may be linked anew or born dead.
    May,
    /// Invalidated, restored or moved: a hit would be stale.
    Never,
}

struct Run {
    seed: u64,
    random: Random,
    clients: Vec<Client>,
    twin: Vec<BTreeMap<usize, Entry>>,
    log: String,
    in_transaction: bool,
    stored: usize,
    payload: Option<Vec<u8>>,
}

impl Run {
    fn new(seed: u64, server: &Server) -> Self {
        let mut run = Self {
            seed,
            random: Random::from_seed(seed),
            clients: Vec::new(),
            twin: vec![BTreeMap::new(); DATABASES],
            log: String::new(),
            in_transaction: false,
            stored: 0,
            payload: None,
        };
        run.reconnect(server);
        run
    }

    fn reconnect(&mut self, server: &Server) {
        self.clients = (0..DATABASES as i64).map(|database| server.connect_to(database)).collect();
    }

    /// Several steps of one database in one MULTI, so that nothing is reclaimed between them.
    fn transaction(&mut self, steps: usize) {
        let database = self.random.below(DATABASES);
        self.clients[database].ok("MULTI");
        self.in_transaction = true;
        for _ in 0..steps {
            self.step_in(database);
        }
        self.in_transaction = false;
        self.clients[database].ok("EXEC");
    }

    fn step(&mut self) {
        let database = self.random.below(DATABASES);
        self.step_in(database);
    }

    fn step_in(&mut self, database: usize) {
        let (key, other) = (self.random.below(KEYS), self.random.below(KEYS));
        match self.random.below(100) {
            0..40 => self.store(database, key),
            40..68 => self.invalidate(database),
            68..73 => {
                self.send(database, &format!("DEL k{key}"));
                self.twin[database].remove(&key);
            }
            73..76 => {
                self.send(database, &format!("UNLINK k{key}"));
                self.twin[database].remove(&key);
            }
            76..79 => {
                self.send(database, &format!("PEXPIREAT k{key} 1000"));
                self.twin[database].remove(&key);
            }
            79..82 => {
                self.send(database, &format!("EXPIRE k{key} 1000"));
            }
            82..85 => self.rename(database, key, other),
            85..89 => self.copy(database, key, other),
            89..92 => self.move_away(database, key),
            92..95 => self.restore(database, key, other),
            95..97 => {
                let two = self.random.below(DATABASES);
                self.send(database, &format!("SWAPDB {database} {two}"));
                self.twin.swap(database, two);
            }
            97 => {
                let mode = *self.random.pick(&["SYNC", "ASYNC"]);
                self.send(database, &format!("FLUSHDB {mode}"));
                self.twin[database].clear();
            }
            98 => {
                self.send(database, "CACHEOPS.FLUSH");
                for entry in self.twin[database].values_mut() {
                    entry.hit = Hit::Never;
                }
            }
            _ => {
                self.send(database, "CACHEOPS.REAP 5 1");
            }
        }
    }

    fn store(&mut self, database: usize, key: usize) {
        self.stored += 1;
        let value = format!("v{}", self.stored);
        let mut line = format!("CACHEOPS.STORE k{key} {value} PX 10000000 ON");
        let mut conditions = Vec::new();
        for table in TABLES.iter().take(1 + self.random.below(TABLES.len())) {
            let conjunctions: Vec<Terms> =
                (0..1 + self.random.below(3)).map(|_| self.terms()).collect();
            let _ = write!(line, " {table} {}", text_of(&conjunctions));
            conditions.push((*table, conjunctions));
        }
        self.send(database, &line);
        self.twin[database].insert(key, Entry { value, conditions, hit: Hit::Must });
    }

    fn invalidate(&mut self, database: usize) {
        let mut line = "CACHEOPS.INVALIDATE ON".to_owned();
        for _ in 0..1 + self.random.below(2) {
            let table = *self.random.pick(&TABLES);
            let rows: Vec<Terms> = (0..1 + self.random.below(2)).map(|_| self.row()).collect();
            let _ = write!(line, " {table} {}", text_of(&rows));
            for entry in self.twin[database].values_mut() {
                let conjunctions = entry
                    .conditions
                    .iter()
                    .filter(|(other, _)| *other == table)
                    .flat_map(|(_, all)| all);
                if conjunctions
                    .into_iter()
                    .any(|conjunction| rows.iter().any(|row| may_match(row, conjunction)))
                {
                    entry.hit = Hit::Never;
                }
            }
        }
        self.send(database, &line);
    }

    fn rename(&mut self, database: usize, key: usize, other: usize) {
        if self.random.chance(50) && !self.in_transaction {
            // A name that does not exist is an error, and changes nothing.
            let _ = self.clients[database].run("RENAME absent k0");
        }
        let Some(mut entry) = self.known(database, key) else { return };
        self.send(database, &format!("RENAME k{key} k{other}"));
        if key != other {
            entry.hit = Hit::Never;
            self.twin[database].remove(&key);
            self.twin[database].insert(other, entry);
        }
    }

    fn copy(&mut self, database: usize, key: usize, other: usize) {
        let to = self.random.below(DATABASES);
        if (key, database) == (other, to) {
            return;
        }
        let Some(mut entry) = self.known(database, key) else { return };
        self.send(database, &format!("COPY k{key} k{other} DB {to} REPLACE"));
        if entry.hit == Hit::Must {
            entry.hit = Hit::May;
        }
        self.twin[to].insert(other, entry);
    }

    fn move_away(&mut self, database: usize, key: usize) {
        let to = self.random.below(DATABASES);
        if to == database || self.twin[to].contains_key(&key) {
            return;
        }
        let Some(mut entry) = self.known(database, key) else { return };
        self.send(database, &format!("MOVE k{key} {to}"));
        entry.hit = Hit::Never;
        self.twin[database].remove(&key);
        self.twin[to].insert(key, entry);
    }

    /// Takes a payload now, or puts an earlier one back: by then it may be stale, so it is born dead.
    fn restore(&mut self, database: usize, key: usize, other: usize) {
        if self.in_transaction {
            return;
        }
        if let Value::BulkString(payload) = self.clients[database].ok(&format!("DUMP k{key}")) {
            self.payload = Some(payload);
        }
        let Some(payload) = &self.payload else { return };
        let name = format!("k{other}");
        let words = [b"RESTORE".as_slice(), name.as_bytes(), b"0", payload, b"REPLACE"];
        let answer = self.clients[database].call(words);
        let _ = writeln!(self.log, "{database}> RESTORE {name}: {answer:?}");
        if answer.is_ok() {
            let entry = Entry { value: String::new(), conditions: Vec::new(), hit: Hit::Never };
            self.twin[database].insert(other, entry);
        }
    }

    /// The entry of a key that certainly exists: a dead one may have been reclaimed at any moment.
    fn known(&self, database: usize, key: usize) -> Option<Entry> {
        self.twin[database].get(&key).filter(|entry| entry.hit == Hit::Must).cloned()
    }

    fn send(&mut self, database: usize, line: &str) {
        let _ = writeln!(self.log, "{database}> {line}");
        if let Err(error) = self.clients[database].run(line) {
            panic!("seed {}: {line}: {error}\n{}", self.seed, self.log);
        }
    }

    fn terms(&mut self) -> Terms {
        let mut terms = Terms::new();
        for field in FIELDS {
            if self.random.chance(45) {
                terms.insert(field, *self.random.pick(&VALUES));
            }
        }
        terms
    }

    /// Mostly whole rows, sometimes partial ones, seldom none at all.
    fn row(&mut self) -> Terms {
        let known = if self.random.chance(60) { 100 } else { 60 };
        let mut row = Terms::new();
        for field in FIELDS {
            if self.random.chance(known) {
                row.insert(field, *self.random.pick(&VALUES));
            }
        }
        row
    }

    fn check_one(&mut self) {
        let (database, key) = (self.random.below(DATABASES), self.random.below(KEYS));
        let answer = self.clients[database].text(&format!("CACHEOPS.GET k{key}"));
        self.judge("server", database, key, answer);
    }

    fn check_all(&mut self) {
        for database in 0..DATABASES {
            for key in 0..KEYS {
                let answer = self.clients[database].text(&format!("CACHEOPS.GET k{key}"));
                self.judge("server", database, key, answer);
            }
        }
    }

    fn check_replica(&mut self, replica: &Server) {
        for database in 0..DATABASES {
            let mut copy = replica.connect_to(database as i64);
            for key in 0..KEYS {
                let line = format!("CACHEOPS.GET k{key}");
                let (here, there) = (copy.text(&line), self.clients[database].text(&line));
                assert_eq!(
                    here, there,
                    "seed {}: replica differs: {database}> k{key}\n{}",
                    self.seed, self.log
                );
                self.judge("replica", database, key, here);
            }
        }
    }

    fn judge(&self, place: &str, database: usize, key: usize, answer: Option<String>) {
        let entry = self.twin[database].get(&key);
        let right = match (&answer, entry) {
            (None, None) => true,
            (None, Some(entry)) => entry.hit != Hit::Must,
            (Some(_), None) => false,
            (Some(value), Some(entry)) => entry.hit != Hit::Never && *value == entry.value,
        };
        if !right {
            let expected = entry.map(|entry| (entry.hit, &entry.value));
            panic!(
                "seed {}: {place}: {database}> k{key} is {answer:?}, not {expected:?}\n{}",
                self.seed, self.log
            );
        }
    }

    /// Deletes half of what is left, invalidates the rest: nothing may stay in memory.
    fn empty(&mut self) {
        for con in &mut self.clients {
            for key in 0..KEYS / 2 {
                con.ok(&format!("DEL k{key}"));
            }
            for table in TABLES {
                con.invalidate(&format!("{table} *"));
            }
        }
        let clients = &mut self.clients;
        eventually("what died leaves memory", || {
            clients.iter_mut().all(|con| con.int("DBSIZE") == 0)
        });
        clients[0].wait_for_empty_index();
        clients[0].assert_index_is_empty();
        assert_eq!(clients[0].info("cacheops_panics"), 0);
    }
}

/// Whether a row of which only some fields are known may satisfy a conjunction.
fn may_match(row: &Terms, conjunction: &Terms) -> bool {
    conjunction.iter().all(|(field, value)| row.get(field).is_none_or(|known| known == value))
}

fn text_of(disjunction: &[Terms]) -> String {
    let conjunctions: Vec<String> = disjunction
        .iter()
        .map(|terms| {
            if terms.is_empty() {
                return "*".to_owned();
            }
            let terms: Vec<String> = terms
                .iter()
                .map(|(field, value)| {
                    value.map_or_else(|| (*field).to_owned(), |value| format!("{field}={value}"))
                })
                .collect();
            terms.join("&")
        })
        .collect();
    conjunctions.join("|")
}
