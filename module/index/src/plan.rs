//! Which nodes do changed rows hit? Found out first, done later: a dry run stops in between.

use std::collections::BTreeSet;

use cacheops_condition::{Condition, Conjunction};

use crate::Limits;
use crate::core::Core;
use crate::scheme::{Hashes, Scheme, decode};

/// What an invalidation will touch.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Hashes of tables.
    pub(crate) tables: Vec<u64>,
    /// Numbers of known tables, for their counters.
    pub(crate) known: Vec<u32>,
    /// Hashes of conjunctions that a row satisfies, whether anything depends on them or not.
    pub(crate) conjunctions: Vec<u64>,
    pub(crate) nodes: Vec<u32>,
    /// Schemes that a partial row touched somewhere; some of their nodes may be in `nodes`.
    pub(crate) touched: Vec<u32>,
    /// Schemes to drop whole.
    pub(crate) dropped: Vec<u32>,
    pub(crate) rows: u64,
    /// Tables dropped by `*`.
    pub(crate) whole_tables: u64,
    /// Schemes and tables dropped because looking closer would have cost too much.
    pub(crate) over: u64,
    /// Positions of changes whose table is dropped because looking closer would have cost too much.
    pub(crate) cut_off: Vec<usize>,
    probes: usize,
    /// Tables that are dropped, whatever else their rows say.
    whole: BTreeSet<u32>,
    /// The numbers of the fields of the row in work, in its order; `None` if no scheme uses it.
    fields: Vec<Option<u16>>,
    /// What is known of the row in work, by field number.
    row: Vec<Known>,
}

/// What a row says of a field: the hash of its value, and which of its terms says so.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    hash: u64,
    term: Option<u16>,
}

impl Plan {
    /// Looks every row up in every scheme of its table.
    pub(crate) fn make(
        &mut self,
        changes: &[(&[u8], Condition<'_>)],
        core: &Core,
        hashes: &Hashes,
        limits: &Limits,
    ) {
        for list in [&mut self.nodes, &mut self.touched, &mut self.dropped, &mut self.known] {
            list.clear();
        }
        self.tables.clear();
        self.conjunctions.clear();
        self.cut_off = Vec::new();
        self.whole.clear();
        (self.rows, self.whole_tables, self.over, self.probes) = (0, 0, 0, 0);
        for (at, (name, rows)) in changes.iter().enumerate() {
            self.tables.push(hashes.table(name));
            self.rows += rows.conjunctions() as u64;
            let Some(number) = core.table(name) else { continue };
            self.known.push(number);
            for (row_at, row) in rows.iter().enumerate() {
                // A command may name a table more than once.
                if !self.whole.is_empty() && self.whole.contains(&number) {
                    if !self.cut_off.is_empty() {
                        self.cut_off.push(at);
                    }
                    break;
                }
                if row.is_empty() {
                    self.whole_tables += 1;
                    self.drop_table(number, core);
                    break;
                }
                if self.probes > limits.probes {
                    self.over += 1;
                    self.cut_off.push(at);
                    self.drop_table(number, core);
                    break;
                }
                let is_first = row_at == 0 || !row.repeats_fields();
                self.add_row(number, row, is_first, core, hashes, limits);
            }
        }
    }

    /// The links that would be cut.
    pub(crate) fn links(&mut self, core: &Core) -> usize {
        self.nodes.sort_unstable();
        self.nodes.dedup();
        self.dropped.sort_unstable();
        self.dropped.dedup();
        let schemes = self.dropped.iter().filter_map(|&number| core.schemes.get(number));
        let whole: usize = schemes.map(|scheme| scheme.links).sum();
        let nodes = self.nodes.iter().filter_map(|&number| core.nodes.get(number));
        let single = nodes.filter(|node| self.dropped.binary_search(&node.scheme).is_err());
        whole + single.map(|node| node.members.len()).sum::<usize>()
    }

    /// Gives back what an unusually large command has taken.
    pub(crate) fn shrink(&mut self) {
        const KEPT: usize = 1 << 14;
        let largest = [self.nodes.capacity(), self.conjunctions.capacity(), self.fields.capacity()];
        if largest.into_iter().any(|capacity| capacity > KEPT)
            || self.tables.capacity().max(self.touched.capacity()) > KEPT
        {
            *self = Self { cut_off: std::mem::take(&mut self.cut_off), ..Self::default() };
        }
    }

    fn drop_table(&mut self, number: u32, core: &Core) {
        self.whole.insert(number);
        let schemes = core.tables.get(number).map_or(&[][..], |table| &table.schemes);
        self.dropped.extend(schemes.iter().map(|&(_, scheme)| scheme));
    }

    fn add_row(
        &mut self,
        number: u32,
        row: Conjunction<'_>,
        has_new_fields: bool,
        core: &Core,
        hashes: &Hashes,
        limits: &Limits,
    ) {
        let Some(table) = core.tables.get(number) else { return };
        // Rows of one statement have the same fields: these are looked up once.
        if has_new_fields {
            self.fields.clear();
            self.fields.extend(row.terms().map(|(field, _)| table.field(field)));
            self.row.clear();
            self.row.resize(table.fields(), Known::default());
        }
        let mut mask = 0u64;
        for (at, ((_, value), field)) in row.terms().zip(&self.fields).enumerate() {
            // A field that no scheme of the table uses cannot matter.
            let &Some(field) = field else { continue };
            if let Some(known) = self.row.get_mut(usize::from(field)) {
                *known = Known { hash: hashes.value(value), term: Some(at as u16) };
                mask |= 1u64.checked_shl(field.into()).unwrap_or(0);
            }
        }
        for &(_, number) in &table.schemes {
            let Some(scheme) = core.schemes.get(number) else { continue };
            self.probes += 1;
            let is_known = match scheme.mask {
                Some(asked) => asked & !mask == 0,
                None => scheme.fields.iter().all(|&field| self.known(field).term.is_some()),
            };
            if !is_known {
                self.add_partial(number, scheme, row, core, limits);
                continue;
            }
            let fields = scheme.fields.iter();
            let hash =
                fields.fold(scheme.seed, |hash, &field| hashes.fold(hash, self.known(field).hash));
            self.conjunctions.push(hash);
            let mut found = scheme.map.first(&core.nodes, hash);
            while let Some(node) = found {
                self.nodes.push(node);
                found = scheme.map.next(&core.nodes, node);
            }
        }
    }

    fn known(&self, field: u16) -> Known {
        self.row.get(usize::from(field)).copied().unwrap_or_default()
    }

    /// A row that does not say all that a scheme asks: what it leaves open matches anything.
    fn add_partial(
        &mut self,
        number: u32,
        scheme: &Scheme,
        row: Conjunction<'_>,
        core: &Core,
        limits: &Limits,
    ) {
        let everything = scheme.fields.iter().all(|&field| self.known(field).term.is_none());
        let nodes = scheme.map.len();
        if everything || nodes > limits.partial_scan || self.probes + nodes > limits.probes {
            self.over += u64::from(!everything && nodes > 0);
            self.dropped.push(number);
            return;
        }
        self.touched.push(number);
        self.probes += nodes;
        // The known values, in scheme order.
        let known: Vec<Option<Option<&[u8]>>> = scheme
            .fields
            .iter()
            .map(|&field| row.terms().nth(self.known(field).term?.into()).map(|(_, value)| value))
            .collect();
        let (mut bucket, mut at) = (0, None);
        while let Some(node) = scheme.map.walk(&core.nodes, &mut bucket, at) {
            at = Some(node);
            let Some(found) = core.nodes.get(node) else { break };
            let mut values = core.node_values(found);
            if known.iter().all(|known| {
                let value = decode(&mut values).unwrap_or(None);
                known.is_none_or(|known| known == value)
            }) {
                self.nodes.push(node);
            }
        }
    }
}
