//! Any bytes as the conditions of a saved entry, and what is read goes into an index, is explained, and comes out whole.
#![no_main]

use std::collections::BTreeSet;

use cacheops_condition::Condition;
use cacheops_index::{Index, Limits};
use cacheops_protocol::{Dependencies, read_conditions, write_conditions};
use libfuzzer_sys::fuzz_target;

/// Nothing is collapsed below these, so that what goes in must come out.
const WIDE: Limits = Limits {
    tables: 1 << 16,
    schemes: 1 << 16,
    catalog_bytes: usize::MAX,
    may_exceed: false,
    probes: 1 << 20,
    partial_scan: 1 << 20,
};
const NARROW: Limits =
    Limits { tables: 2, schemes: 2, catalog_bytes: 4096, probes: 10, partial_scan: 1, ..WIDE };

/// A field and its value.
type Term = (Vec<u8>, Option<Vec<u8>>);
type Conjunctions = BTreeSet<(Vec<u8>, BTreeSet<Term>)>;

fuzz_target!(|bytes: &[u8]| {
    let Ok(dependencies) = read_conditions(bytes) else { return };
    let mut index = Index::new(7, [1, 2, 3, 4], 5, 1 << 10);
    let token = index.token();

    // More fields than a table may have make a conjunction `*`: coarser, and still good.
    let exact = dependencies.iter().map(|(_, condition)| condition.max_terms()).sum::<usize>()
        * dependencies.iter().map(|(_, condition)| condition.conjunctions()).sum::<usize>()
        < 4096;
    let stored = index.store(b"first", &dependencies, Some(token), &WIDE).expect("room for it");
    let explained = index.explain(stored.slot).expect("it was stored");
    assert!(explained.alive && explained.cause.is_none());
    let conditions = index.conditions(stored.slot).expect("it is alive");
    assert_eq!(explained.conditions, conditions);

    // As the module saves it.
    let mut saved = Vec::new();
    write_conditions(&mut saved, conditions.iter().map(|(table, text)| (&table[..], &text[..])));
    let again = read_conditions(&saved).expect("what was saved can be loaded");
    if exact {
        assert_eq!(conjunctions(&again), conjunctions(&dependencies));
    }
    let copy = index.store(b"second", &again, None, &WIDE).expect("room for it");
    let copied = index.conditions(copy.slot).expect("it is alive");
    assert_eq!(sorted(copied), sorted(conditions), "a copy depends on the same");

    // One that is removed leaves the other alone; a row kills by each conjunction, and by all together.
    index.remove(stored.slot);
    assert!(!index.is_alive(stored.slot) && index.is_alive(copy.slot));
    let rows: Vec<(&[u8], Condition<'_>)> =
        dependencies.iter().map(|(table, condition)| (*table, condition.clone())).collect();
    let would = index.count(&rows, &WIDE);
    assert_eq!(index.invalidate(&rows, || 1, &WIDE).links, would);
    assert!(!index.is_alive(copy.slot), "its own conditions are rows that satisfy it");
    assert!(index.store(b"late", &dependencies, Some(token), &WIDE).is_err(), "a stale fill");
    index.remove(copy.slot);

    let mut keys = Vec::new();
    while index.has_dead() {
        index.reap(100, &mut keys);
    }
    assert!(keys.is_empty(), "they were removed before");
    let sizes = index.sizes();
    assert_eq!((sizes.entries, sizes.dead, sizes.links, sizes.conjunctions), (0, 0, 0, 0));

    narrow(&dependencies);
});

/// An index with hardly any room refuses, or tracks less exactly; it never keeps what it should have dropped.
fn narrow(dependencies: &Dependencies<'_>) {
    let mut index = Index::new(8, [4, 3, 2, 1], 6, 1 << 10);
    let Ok(stored) = index.store(b"key", dependencies, None, &NARROW) else {
        assert_eq!(index.sizes().links, 0, "a refused store left links");
        return;
    };
    assert!(index.is_alive(stored.slot));
    assert!(index.invalidate(dependencies, || 1, &NARROW).links > 0);
    assert!(!index.is_alive(stored.slot));
    let mut keys = Vec::new();
    while index.has_dead() {
        index.reap(1, &mut keys);
    }
    assert_eq!((keys.len(), index.sizes().entries, index.sizes().links), (1, 0, 0));
}

fn conjunctions(dependencies: &Dependencies<'_>) -> Conjunctions {
    let mut all = Conjunctions::new();
    for (table, condition) in dependencies {
        for conjunction in condition.iter() {
            let terms = conjunction.terms();
            let terms = terms.map(|(field, value)| (field.to_vec(), value.map(<[u8]>::to_vec)));
            all.insert((table.to_vec(), terms.collect()));
        }
    }
    all
}

/// By table, and the conjunctions of each by their text.
fn sorted(conditions: Vec<(Vec<u8>, Vec<u8>)>) -> BTreeSet<(Vec<u8>, BTreeSet<Vec<u8>>)> {
    conditions
        .into_iter()
        .map(|(table, text)| {
            (table, text.split(|&byte| byte == b'|').map(<[u8]>::to_vec).collect())
        })
        .collect()
}
