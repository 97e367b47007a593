//! Random operations on the index and on a naive twin, which keeps every entry with its condition and looks at all of them.

use std::collections::BTreeMap;

use cacheops_condition::Condition;
use cacheops_index::{DeadKey, Index, Limits, Refused, Slot, Stamps};
use proptest::prelude::*;

/// One conjunction: field and value, `None` for NULL.
type Terms = BTreeMap<u8, Option<u8>>;
/// Table number and its conjunctions.
type Dnf = Vec<(u8, Vec<Terms>)>;

#[derive(Debug, Clone)]
enum Op {
    Store { key: u8, dnf: Dnf, token: Option<usize> },
    Invalidate { changes: Dnf },
    Count { changes: Dnf },
    Token,
    Remove { key: u8 },
    Rename { key: u8 },
    Reap { steps: usize },
    Flush,
    Reset,
    NewEpoch,
    Tombstones,
}

fn terms() -> impl Strategy<Value = Terms> {
    prop::collection::btree_map(0..4u8, prop::option::of(0..3u8), 0..4)
}

fn dnf() -> impl Strategy<Value = Dnf> {
    prop::collection::vec((0..3u8, prop::collection::vec(terms(), 1..4)), 1..3)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (0..12u8, dnf(), prop::option::of(0..8usize)).prop_map(|(key, dnf, token)| Op::Store { key, dnf, token }),
        15 => dnf().prop_map(|changes| Op::Invalidate { changes }),
        3 => dnf().prop_map(|changes| Op::Count { changes }),
        8 => Just(Op::Token),
        5 => (0..12u8).prop_map(|key| Op::Remove { key }),
        2 => (0..12u8).prop_map(|key| Op::Rename { key }),
        6 => (1..30usize).prop_map(|steps| Op::Reap { steps }),
        1 => Just(Op::Flush),
        1 => Just(Op::Reset),
        1 => Just(Op::NewEpoch),
        1 => Just(Op::Tombstones),
    ]
}

fn text(conjunctions: &[Terms]) -> Vec<u8> {
    let mut text = Vec::new();
    for (at, terms) in conjunctions.iter().enumerate() {
        if at > 0 {
            text.push(b'|');
        }
        let terms: Vec<(Vec<u8>, Option<Vec<u8>>)> = terms
            .iter()
            .map(|(field, value)| {
                (
                    format!("f{field}").into_bytes(),
                    value.map(|value| format!("v{value}").into_bytes()),
                )
            })
            .collect();
        cacheops_condition::write_conjunction(
            &mut text,
            terms.iter().map(|(field, value)| (&field[..], value.as_deref())),
        );
    }
    text
}

/// Does a row, of which only some fields may be known, satisfy the conjunction or might it?
fn may_match(conjunction: &Terms, row: &Terms) -> bool {
    conjunction.iter().all(|(field, value)| row.get(field).is_none_or(|known| known == value))
}

fn hits(dnf: &Dnf, changes: &Dnf) -> bool {
    changes.iter().any(|(table, rows)| {
        dnf.iter().filter(|(dependency, _)| dependency == table).any(|(_, conjunctions)| {
            conjunctions
                .iter()
                .any(|conjunction| rows.iter().any(|row| may_match(conjunction, row)))
        })
    })
}

#[derive(Debug, Clone)]
struct Entry {
    dnf: Dnf,
    slot: Slot,
    stamps: Stamps,
    alive: bool,
}

/// A token, when it was given, and the epoch.
#[derive(Debug, Clone, Copy)]
struct Token {
    number: u64,
    time: usize,
    epoch: usize,
}

struct World {
    index: Index,
    limits: Limits,
    /// With small limits the index may kill more than it must.
    exact: bool,
    entries: BTreeMap<u8, Entry>,
    tokens: Vec<Token>,
    history: Vec<(usize, Dnf)>,
    /// When the tombstones were replaced.
    forgot: usize,
    time: usize,
    epoch: usize,
    random: u64,
}

impl World {
    fn new(limits: Limits, exact: bool) -> Self {
        Self {
            index: Index::new(1, [1, 2, 3, 4], 99, 1 << 12),
            limits,
            exact,
            entries: BTreeMap::new(),
            tokens: Vec::new(),
            history: Vec::new(),
            forgot: 0,
            time: 0,
            epoch: 0,
            random: 1 << 45,
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random += 1 << 33;
        self.random
    }

    fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        self.time += 1;
        match op {
            Op::Store { key, dnf, token } => self.store(*key, dnf, *token)?,
            Op::Invalidate { changes } => {
                let would =
                    self.with(changes, |index, changes, limits| index.count(changes, limits));
                let cut = self.with(changes, |index, changes, limits| {
                    index.invalidate(changes, || 5, limits).links
                });
                prop_assert_eq!(would, cut, "a dry run counts what is then cut");
                self.history.push((self.time, changes.clone()));
                let mut died = 0;
                for entry in self
                    .entries
                    .values_mut()
                    .filter(|entry| entry.alive && hits(&entry.dnf, changes))
                {
                    entry.alive = false;
                    died += 1;
                }
                prop_assert!(cut >= died, "{} links cut, {} died", cut, died);
            }
            Op::Count { changes } => {
                self.with(changes, |index, changes, limits| index.count(changes, limits));
            }
            Op::Token => {
                self.tokens.insert(
                    0,
                    Token { number: self.index.token(), time: self.time, epoch: self.epoch },
                );
                self.tokens.truncate(8);
            }
            Op::Remove { key } => {
                if let Some(entry) = self.entries.remove(key) {
                    self.index.remove(entry.slot);
                    prop_assert!(!self.index.is_alive(entry.slot));
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
            Op::Reap { steps } => self.reap(*steps)?,
            Op::Flush => {
                let random = self.next_random();
                self.index.flush(random);
                self.entries.values_mut().for_each(|entry| entry.alive = false);
                self.epoch += 1;
            }
            Op::Reset => {
                let random = self.next_random();
                self.index.reset(random);
                self.entries.clear();
                self.epoch += 1;
            }
            Op::NewEpoch => {
                let random = self.next_random();
                self.index.new_epoch(random);
                self.epoch += 1;
            }
            Op::Tombstones => {
                self.index.resize_tombstones(1 << 11);
                self.forgot = self.time;
            }
        }
        self.compare()
    }

    fn with<R>(
        &mut self,
        dnf: &Dnf,
        call: impl FnOnce(&mut Index, &[(&[u8], Condition<'_>)], &Limits) -> R,
    ) -> R {
        let texts: Vec<([u8; 2], Vec<u8>)> =
            dnf.iter().map(|(table, rows)| ([b't', *table], text(rows))).collect();
        let parsed: Vec<(&[u8], Condition<'_>)> = texts
            .iter()
            .map(|(table, text)| (&table[..], Condition::parse(text).expect("well formed")))
            .collect();
        call(&mut self.index, &parsed, &self.limits)
    }

    fn store(&mut self, key: u8, dnf: &Dnf, token: Option<usize>) -> Result<(), TestCaseError> {
        let token = token.and_then(|at| self.tokens.get(at).copied());
        let number = token.map(|token| token.number);
        let stored =
            self.with(dnf, |index, deps, limits| index.store(&[key], deps, number, limits));
        if let Some(token) = token {
            let since = self.history.iter().filter(|(time, _)| *time > token.time);
            let stale = since.clone().any(|(_, changes)| hits(dnf, changes));
            let old = token.epoch != self.epoch || token.time < self.forgot;
            let busy = since.clone().any(|(_, changes)| {
                changes
                    .iter()
                    .any(|(table, _)| dnf.iter().any(|(dependency, _)| dependency == table))
            });
            if stale || old {
                prop_assert!(stored.is_err(), "a stale fill was accepted");
            }
            if !old && !busy {
                prop_assert!(stored != Err(Refused::Token), "a fill of quiet tables was refused");
            }
        } else if self.exact {
            prop_assert!(stored.is_ok());
        }
        if let Ok(stored) = stored {
            prop_assert_eq!(stored.version, self.index.token());
            prop_assert!(stored.version < 1 << 53);
            let entry =
                Entry { dnf: dnf.clone(), slot: stored.slot, stamps: stored.stamps, alive: true };
            if let Some(replaced) = self.entries.insert(key, entry) {
                self.index.remove(replaced.slot);
            }
        }
        Ok(())
    }

    fn reap(&mut self, steps: usize) -> Result<(), TestCaseError> {
        let mut keys: Vec<DeadKey> = Vec::new();
        self.index.reap(steps, &mut keys);
        for dead in keys {
            let name = dead.key[0];
            // As the server does: the key goes only if what it holds is dead.
            if let Some(entry) = self.entries.get(&name).cloned() {
                if entry.slot == dead.slot {
                    prop_assert!(!entry.alive || !self.exact, "a living entry was named");
                }
                if !self.index.is_alive(entry.slot) {
                    self.index.remove(entry.slot);
                    self.entries.remove(&name);
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        for (key, entry) in &mut self.entries {
            let alive = self.index.is_alive(entry.slot);
            prop_assert!(!alive || entry.alive, "key {} is served stale", key);
            if self.exact {
                prop_assert!(alive || !entry.alive, "key {} died without a cause", key);
            }
            prop_assert_eq!(alive, self.index.hit(entry.slot, entry.stamps.nodes()));
            entry.alive = alive;
            if let Some(explanation) = self.index.explain(entry.slot) {
                prop_assert_eq!(explanation.alive, alive);
            }
        }
        Ok(())
    }

    /// Everything that is dead can be reclaimed, and then nothing of it is left.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        while self.index.has_dead() {
            self.reap(10)?;
        }
        let alive = self.entries.values().filter(|entry| self.index.is_alive(entry.slot)).count();
        prop_assert_eq!(self.entries.len(), alive, "dead entries were left behind");
        prop_assert_eq!(self.index.sizes().entries, alive);
        prop_assert_eq!(self.index.sizes().dead, 0);
        for (_, entry) in std::mem::take(&mut self.entries) {
            self.index.remove(entry.slot);
        }
        let sizes = self.index.sizes();
        prop_assert_eq!((sizes.entries, sizes.links, sizes.conjunctions), (0, 0, 0));
        Ok(())
    }
}

fn check(ops: &[Op], limits: Limits, exact: bool) -> Result<(), TestCaseError> {
    let mut world = World::new(limits, exact);
    for op in ops {
        world.run(op)?;
    }
    world.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_twin_that_looks_at_every_entry(ops in prop::collection::vec(op(), 1..120)) {
        check(&ops, Limits::default(), true)?;
    }

    #[test]
    fn is_never_stale_when_limits_make_it_coarse(
        ops in prop::collection::vec(op(), 1..120),
        tables in 1..4usize,
        schemes in 1..4usize,
        partial_scan in 0..4usize,
        probes in 0..20usize,
    ) {
        check(&ops, Limits { tables, schemes, probes, partial_scan }, false)?;
    }
}
