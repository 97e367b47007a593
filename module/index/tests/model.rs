//! Random operations on the index and on its naive twin.

mod twin;

use cacheops_index::Limits;
use proptest::prelude::*;
use twin::{Conjunction, Dnf, Op, ROOMY, World};

fn conjunction() -> impl Strategy<Value = Conjunction> {
    let terms = prop::collection::btree_map(0..4u8, prop::option::of(0..3u8), 0..4);
    (0..3u8, terms, any::<bool>()).prop_map(|(table, terms, joined)| Conjunction {
        table,
        terms,
        joined,
    })
}

fn dnf() -> impl Strategy<Value = Dnf> {
    prop::collection::vec(conjunction(), 1..5).prop_map(Dnf)
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..12u8;
    let steps = || 1..30usize;
    prop_oneof![
        30 => (key(), dnf(), prop::option::of(0..8usize)).prop_map(|(key, dnf, token)| Op::Store { key, dnf, token }),
        15 => dnf().prop_map(|changes| Op::Invalidate { changes }),
        3 => (dnf(), 0..8usize).prop_map(|(dnf, token)| Op::Check { dnf, token }),
        8 => Just(Op::Token),
        5 => key().prop_map(|key| Op::Remove { key }),
        2 => key().prop_map(|key| Op::Rename { key }),
        6 => steps().prop_map(|steps| Op::Reap { steps }),
        2 => (steps(), 0..5usize).prop_map(|(steps, min_size)| Op::Audit { steps, min_size }),
        1 => Just(Op::Report),
        1 => Just(Op::Flush),
        1 => Just(Op::Reset),
        1 => Just(Op::NewEpoch),
        1 => Just(Op::Tombstones),
    ]
}

/// Now and then the dead are taken apart without naming their keys, after which some are left behind.
fn op_or_forget() -> impl Strategy<Value = Op> {
    prop_oneof![200 => op(), 1 => (1..30usize).prop_map(|steps| Op::Forget { steps })]
}

fn check(ops: &[Op], limits: Limits, exact: bool) {
    let mut world = World::new(limits, exact, ROOMY);
    for op in ops {
        world.run(op);
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_twin_that_looks_at_every_entry(ops in prop::collection::vec(op(), 1..120)) {
        check(&ops, Limits::default(), true);
    }

    #[test]
    fn is_never_stale_when_limits_make_it_coarse(
        ops in prop::collection::vec(op_or_forget(), 1..120),
        tables in 1..4usize,
        schemes in 1..4usize,
        partial_scan in 0..4usize,
        probes in 0..20usize,
        catalog_bytes in 0..5000usize,
        may_exceed: bool,
    ) {
        let limits = Limits { tables, schemes, probes, partial_scan, catalog_bytes, may_exceed };
        check(&ops, limits, false);
    }
}
