//! A naive twin of the index, which keeps every entry with its condition and looks at all of them.
//!
//! It runs operations on both and panics where they disagree. The universe is small, so that whatever can meet does meet:
//! 12 keys, 3 tables, 4 fields, 3 values and NULL. Who chooses the operations includes this file: `model.rs` at random, the
//! fuzz target `index` by coverage.

use std::collections::{BTreeMap, BTreeSet};

use cacheops_condition::{Condition, write_conjunction};
use cacheops_index::{DeadKey, Index, Limits, Refused, Slot, Stamps, Stored, TopOrder};

/// So many tombstones that no two conjunctions of this universe share one.
pub const ROOMY: usize = 1 << 20;

/// Field and value, `None` for NULL.
pub type Terms = BTreeMap<u8, Option<u8>>;

/// One conjunction over one table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conjunction {
    pub table: u8,
    pub terms: Terms,
    /// Written behind the one before with `|` if that is over the same table; else as a pair of its own.
    pub joined: bool,
}

/// One to four conjunctions.
#[derive(Debug, Clone)]
pub struct Dnf(pub Vec<Conjunction>);

#[derive(Debug, Clone)]
pub enum Op {
    Store { key: u8, dnf: Dnf, token: Option<usize> },
    Invalidate { changes: Dnf },
    Check { dnf: Dnf, token: usize },
    Token,
    Remove { key: u8 },
    Rename { key: u8 },
    Reap { steps: usize },
    Forget { steps: usize },
    Audit { steps: usize, min_size: usize },
    Report,
    Flush,
    Reset,
    NewEpoch,
    Tombstones,
}

#[derive(Debug, Clone)]
struct Entry {
    dnf: Dnf,
    slot: Slot,
    stamps: Stamps,
    version: u64,
    alive: bool,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    number: u64,
    time: usize,
    epoch: usize,
}

#[derive(Debug)]
struct Invalidation {
    time: usize,
    sequence: u64,
    changes: Dnf,
}

pub struct World {
    index: Index,
    tombstones: usize,
    limits: Limits,
    /// With small limits the index may kill more than it must.
    exact: bool,
    entries: BTreeMap<u8, Entry>,
    tokens: Vec<Token>,
    history: Vec<Invalidation>,
    /// When the tombstones were replaced.
    resized: usize,
    /// Whether dead things were taken apart without naming their keys.
    forgot: bool,
    time: usize,
    epoch: usize,
    random: u64,
}

impl World {
    /// With `exact`, nothing may die without a cause; small limits forbid that.
    pub fn new(limits: Limits, exact: bool, tombstones: usize) -> Self {
        Self {
            index: Index::new(1, [1, 2, 3, 4], 99, tombstones),
            tombstones,
            limits,
            exact,
            entries: BTreeMap::new(),
            tokens: Vec::new(),
            history: Vec::new(),
            resized: 0,
            forgot: false,
            time: 0,
            epoch: 0,
            random: 1 << 45,
        }
    }

    pub fn run(&mut self, op: &Op) {
        self.time += 1;
        match op {
            Op::Store { key, dnf, token } => self.store(*key, dnf, *token),
            Op::Invalidate { changes } => self.invalidate(changes),
            Op::Check { dnf, token } => {
                let Some(&token) = self.tokens.get(*token) else { return };
                let unchanged =
                    with(dnf, |deps| self.index.check(deps, token.number, &self.limits));
                self.judge(dnf, token, unchanged == Ok(true), unchanged == Ok(false));
            }
            Op::Token => {
                let token =
                    Token { number: self.index.token(), time: self.time, epoch: self.epoch };
                self.tokens.insert(0, token);
                self.tokens.truncate(8);
            }
            Op::Remove { key } => {
                if let Some(entry) = self.entries.remove(key) {
                    self.index.remove(entry.slot);
                    assert!(!self.index.is_alive(entry.slot));
                    self.index.remove(entry.slot);
                }
            }
            Op::Rename { key } => {
                // The server unlinks the old name; the value lives on under another.
                if let Some(entry) = self.entries.get_mut(key) {
                    self.index.remove(entry.slot);
                    entry.slot = Slot::NONE;
                    entry.alive = false;
                    self.index.bury(&[*key]);
                }
            }
            Op::Reap { steps } => self.reap(*steps),
            Op::Forget { steps } => {
                self.index.forget(*steps);
                self.forgot = true;
            }
            Op::Audit { steps, min_size } => {
                let mut keys = Vec::new();
                assert!(self.index.audit(*steps, *min_size, &mut keys) <= *steps);
                for named in keys {
                    let held = self.entries.get(&named.key[0]).map(|entry| entry.slot);
                    assert!(held == Some(named.slot), "the audit named what is not there");
                }
            }
            Op::Report => self.report(),
            Op::Flush => {
                let random = self.next_random();
                self.index.flush(random);
                self.entries.values_mut().for_each(|entry| entry.alive = false);
            }
            Op::Reset => {
                let random = self.next_random();
                self.index.reset(random);
                self.entries.clear();
            }
            Op::NewEpoch => {
                let random = self.next_random();
                self.index.new_epoch(random);
            }
            Op::Tombstones => {
                self.index.resize_tombstones(2 * self.tombstones);
                self.resized = self.time;
            }
        }
        self.compare();
    }

    /// For a new epoch.
    fn next_random(&mut self) -> u64 {
        self.epoch += 1;
        self.random += 1 << 33;
        self.random
    }

    fn store(&mut self, key: u8, dnf: &Dnf, token: Option<usize>) {
        let token = token.and_then(|at| self.tokens.get(at).copied());
        let number = token.map(|token| token.number);
        let stored = with(dnf, |deps| self.index.store(&[key], deps, number, &self.limits));
        match token {
            Some(token) => {
                self.judge(dnf, token, stored.is_ok(), stored == Err(Refused::Token));
            }
            None => assert!(stored != Err(Refused::Token)),
        }
        assert!(!self.exact || stored != Err(Refused::Limit));
        let Ok(stored) = stored else { return };
        assert_eq!(stored.version, self.index.token());
        assert!(stored.version < 1 << 53);
        let Stored { slot, stamps, version, .. } = stored;
        let entry = Entry { dnf: dnf.clone(), slot, stamps, version, alive: true };
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.index.remove(replaced.slot);
        }
    }

    /// The token rule, against all invalidations there were.
    fn judge(&self, dnf: &Dnf, token: Token, accepted: bool, refused: bool) {
        let mut since = self.history.iter().filter(|past| past.time > token.time).peekable();
        let old = token.epoch != self.epoch || token.time < self.resized;
        // Two conjunctions may share a tombstone, so that only silence everywhere is sure to accept.
        let quiet = if self.tombstones < ROOMY {
            since.peek().is_none()
        } else {
            !since.clone().any(|past| shares_a_table(dnf, &past.changes))
        };
        let stale = since.any(|past| hits(dnf, &past.changes));
        assert!(!(accepted && (stale || old)), "a stale fill was accepted");
        assert!(!refused || old || !quiet, "a good fill was refused");
    }

    fn invalidate(&mut self, changes: &Dnf) {
        let would = with(changes, |rows| self.index.count(rows, &self.limits));
        let cut = with(changes, |rows| self.index.invalidate(rows, || 5, &self.limits));
        assert_eq!(would, cut.links, "a dry run counts what is then cut");
        assert_eq!(cut.sequence, self.index.token());
        let (time, sequence) = (self.time, cut.sequence);
        self.history.push(Invalidation { time, sequence, changes: changes.clone() });
        let mut died = 0;
        for entry in self.entries.values_mut() {
            if entry.alive && hits(&entry.dnf, changes) {
                entry.alive = false;
                died += 1;
            }
        }
        assert!(cut.links >= died, "{} links cut, {died} died", cut.links);
    }

    fn reap(&mut self, steps: usize) {
        let mut keys: Vec<DeadKey> = Vec::new();
        assert!(self.index.reap(steps, &mut keys) <= steps);
        assert!(keys.len() <= steps);
        for dead in keys {
            assert!(!self.index.is_alive(dead.slot), "a living entry was named");
            let name = dead.key[0];
            // As the server does: the key goes only if what it holds is dead.
            if let Some(entry) = self.entries.get(&name)
                && !self.index.is_alive(entry.slot)
            {
                self.index.remove(entry.slot);
                self.entries.remove(&name);
            }
        }
    }

    fn report(&self) {
        let tables = self.index.tables();
        let sizes = self.index.sizes();
        assert_eq!(tables.len(), sizes.tables);
        assert_eq!(tables.iter().map(|table| table.schemes).sum::<usize>(), sizes.schemes);
        for order in [TopOrder::FanOut, TopOrder::Memory, TopOrder::Invalidations] {
            let top = self.index.top(order, 10);
            assert!(top.len() <= 10);
            assert!(top.iter().all(|line| Condition::parse(&line.conjunction).is_ok()));
        }
    }

    /// The twin's opinion of every entry, and of why it died.
    fn compare(&mut self) {
        let mut links = 0;
        for (key, entry) in &mut self.entries {
            let alive = self.index.is_alive(entry.slot);
            assert!(!alive || entry.alive, "key {key} is served stale");
            assert!(!self.exact || alive || !entry.alive, "key {key} died without a cause");
            assert_eq!(alive, self.index.hit(entry.slot, entry.stamps.nodes()));
            entry.alive = alive;
            let Some(explanation) = self.index.explain(entry.slot) else {
                assert!(!alive);
                continue;
            };
            assert_eq!(explanation.alive, alive);
            let conjunctions: BTreeSet<(Vec<u8>, Vec<u8>)> = explanation
                .conditions
                .into_iter()
                .flat_map(|(table, text)| {
                    let all = text.split(|&byte| byte == b'|').map(<[u8]>::to_vec);
                    all.map(move |text| (table.clone(), text)).collect::<Vec<_>>()
                })
                .collect();
            links += conjunctions.len();
            if self.exact {
                let depends: BTreeSet<_> = entry.dnf.0.iter().map(named).map(ordered).collect();
                let kept: BTreeSet<_> = conjunctions.into_iter().map(ordered).collect();
                assert!(if alive { kept == depends } else { kept.is_subset(&depends) });
            }
            if let Some(cause) = explanation.cause {
                assert!(!alive);
                let past = self.history.iter().find(|past| past.sequence == cause.sequence);
                let past = past.expect("the cause is an invalidation that was");
                assert!(cause.sequence > entry.version || past.time == self.time);
                let on_table = |of: &&Conjunction| table(of) == cause.table;
                assert!(past.changes.0.iter().any(|row| on_table(&row)));
                assert!(entry.dnf.0.iter().any(|depends| on_table(&depends)));
                assert!(!self.exact || hits(&entry.dnf, &past.changes), "an innocent row");
            }
        }
        // An entry that a flush or `forget` has left without a key is not in the twin, but has no links either.
        assert_eq!(self.index.sizes().links, links);
        let of_tables: usize = self.index.tables().iter().map(|table| table.links).sum();
        assert_eq!(of_tables, links);
    }

    /// Everything that is dead can be reclaimed, and then nothing of it is left.
    pub fn finish(&mut self) {
        while self.index.has_dead() {
            self.reap(10);
        }
        let alive = self.entries.values().filter(|entry| self.index.is_alive(entry.slot)).count();
        if !self.forgot {
            assert_eq!(self.entries.len(), alive, "dead entries were left behind");
            assert_eq!(self.index.sizes().entries, alive);
        }
        assert_eq!(self.index.sizes().dead, 0);
        for (_, entry) in std::mem::take(&mut self.entries) {
            self.index.remove(entry.slot);
        }
        let sizes = self.index.sizes();
        assert_eq!((sizes.entries, sizes.links, sizes.conjunctions), (0, 0, 0));
    }
}

fn table(conjunction: &Conjunction) -> Vec<u8> {
    vec![b't', b'0' + conjunction.table]
}

fn named(conjunction: &Conjunction) -> (Vec<u8>, Vec<u8>) {
    let mut text = Vec::new();
    let terms: Vec<([u8; 2], Option<[u8; 2]>)> = conjunction
        .terms
        .iter()
        .map(|(field, value)| ([b'f', b'0' + field], value.map(|value| [b'v', b'0' + value])))
        .collect();
    write_conjunction(
        &mut text,
        terms.iter().map(|(field, value)| (&field[..], value.as_ref().map(|value| &value[..]))),
    );
    (table(conjunction), text)
}

/// With the terms of the text in one order: a scheme keeps its fields in the order in which they came.
fn ordered((table, text): (Vec<u8>, Vec<u8>)) -> (Vec<u8>, BTreeSet<Vec<u8>>) {
    (table, text.split(|&byte| byte == b'&').map(<[u8]>::to_vec).collect())
}

/// Calls with the tables and conditions as they are parsed from text.
fn with<R>(dnf: &Dnf, call: impl FnOnce(&[(&[u8], Condition<'_>)]) -> R) -> R {
    let mut texts: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for conjunction in &dnf.0 {
        let (name, text) = named(conjunction);
        match texts.last_mut() {
            Some((before, texts)) if conjunction.joined && *before == name => {
                texts.push(b'|');
                texts.extend(text);
            }
            _ => texts.push((name, text)),
        }
    }
    let parsed: Vec<(&[u8], Condition<'_>)> = texts
        .iter()
        .map(|(table, text)| (&table[..], Condition::parse(text).expect("well formed")))
        .collect();
    call(&parsed)
}

/// Does a row, of which only some fields may be known, satisfy the conjunction or might it?
fn may_match(conjunction: &Terms, row: &Terms) -> bool {
    conjunction.iter().all(|(field, value)| row.get(field).is_none_or(|known| known == value))
}

fn hits(dnf: &Dnf, changes: &Dnf) -> bool {
    changes.0.iter().any(|row| {
        dnf.0
            .iter()
            .any(|depends| depends.table == row.table && may_match(&depends.terms, &row.terms))
    })
}

fn shares_a_table(dnf: &Dnf, changes: &Dnf) -> bool {
    changes.0.iter().any(|row| dnf.0.iter().any(|depends| depends.table == row.table))
}
