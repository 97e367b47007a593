//! Operations on the index and on its naive twin, which `module/index/tests/model.rs` chooses at random; here coverage leads.
//!
//! A conjunction is one number of 16 bits, which lets the fuzzer change it without shifting what follows.
#![no_main]

#[path = "../../module/index/tests/twin/mod.rs"]
mod twin;

use arbitrary::{Arbitrary, Unstructured};
use cacheops_index::Limits;
use libfuzzer_sys::fuzz_target;
use twin::{Conjunction, Dnf, Op, World};

impl Arbitrary<'_> for Conjunction {
    fn arbitrary(u: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let bits = u16::arbitrary(u)?;
        let fields = (0..4u8).filter(|field| bits >> field & 1 == 1);
        let terms = fields.map(|field| (field, (bits >> (4 + 2 * field) & 3) as u8));
        Ok(Self {
            table: (bits >> 12 & 3) as u8 % 3,
            terms: terms.map(|(field, value)| (field, value.checked_sub(1))).collect(),
            joined: bits >> 14 & 1 == 1,
        })
    }
}

impl Arbitrary<'_> for Dnf {
    fn arbitrary(u: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let count = u.int_in_range(1..=4)?;
        (0..count).map(|_| Conjunction::arbitrary(u)).collect::<Result<_, _>>().map(Self)
    }
}

impl Arbitrary<'_> for Op {
    fn arbitrary(u: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        let key = |u: &mut Unstructured<'_>| u.int_in_range(0..=11);
        let steps = |u: &mut Unstructured<'_>| u.int_in_range(1..=30);
        Ok(match u.int_in_range(0..=31u8)? {
            0..=6 => Self::Store { key: key(u)?, dnf: Dnf::arbitrary(u)?, token: None },
            7..=11 => Self::Store {
                key: key(u)?,
                dnf: Dnf::arbitrary(u)?,
                token: Some(u.int_in_range(0..=7)?),
            },
            12..=17 => Self::Invalidate { changes: Dnf::arbitrary(u)? },
            18 => Self::Check { dnf: Dnf::arbitrary(u)?, token: u.int_in_range(0..=7)? },
            19..=20 => Self::Token,
            21..=22 => Self::Remove { key: key(u)? },
            23 => Self::Rename { key: key(u)? },
            24..=25 => Self::Reap { steps: steps(u)? },
            26 => Self::Audit { steps: steps(u)?, min_size: u.int_in_range(0..=4)? },
            27 => Self::Report,
            28 => Self::Flush,
            29 => Self::Reset,
            30 => Self::NewEpoch,
            _ if bool::arbitrary(u)? => Self::Forget { steps: steps(u)? },
            _ => Self::Tombstones,
        })
    }
}

#[derive(Debug, Arbitrary)]
struct Input {
    /// Tables, schemes, probes, nodes of a partial scan and sixteenths of a kilobyte of the catalog; large ones unless given.
    limits: Option<[u8; 5]>,
    ops: Vec<Op>,
}

fuzz_target!(|input: Input| {
    let limits = input.limits.map(|[tables, schemes, probes, partial_scan, catalog]| Limits {
        tables: usize::from(tables % 4),
        schemes: usize::from(schemes % 5),
        probes: usize::from(probes % 24),
        partial_scan: usize::from(partial_scan % 5),
        catalog_bytes: usize::from(catalog) * 64,
        may_exceed: catalog == 7,
    });
    let mut world = World::new(limits.unwrap_or_default(), limits.is_none(), 1 << 10);
    for op in input.ops.iter().take(400) {
        world.run(op);
    }
    world.finish();
});
