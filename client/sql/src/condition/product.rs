//! The conjunctions that one becomes with values: one for each choice among the alternatives of its fields.

use smallvec::SmallVec;

use super::factor::{Alternatives, Conjunction, Factor, Filled};
use crate::Value;

/// A conjunction of factors, filled with values.
#[allow(clippy::large_enum_variant)] // taken apart at once
pub(super) enum Choices<'c> {
    /// No row can satisfy it.
    None,
    /// It has no term: any row satisfies it.
    AnyRow,
    Some(Product<'c>),
}

/// Fields with one or several values: `a IN (1, 2) AND b = 3` is `a=1&b=3|a=2&b=3`.
pub(super) struct Product<'c> {
    buffer: Vec<u8>,
    pub(super) fields: SmallVec<[(&'c Factor, Alternatives); 4]>,
}

impl<'c> Product<'c> {
    /// At most `left` conjunctions, which it takes from that number.
    pub(super) fn of(
        conjunction: &'c Conjunction,
        values: &[Value<'_>],
        left: &mut usize,
    ) -> Choices<'c> {
        let mut product = Self { buffer: Vec::new(), fields: SmallVec::new() };
        for factor in conjunction {
            let mut alternatives = Alternatives::new();
            match factor.fill(values, &mut product.buffer, &mut alternatives) {
                Filled::Impossible => return Choices::None,
                Filled::Unknown => {}
                Filled::Values => {
                    product.distinct(&mut alternatives);
                    product.fields.push((factor, alternatives));
                }
            }
        }
        // Too many: the longest list is left out, so that the conjunctions match more rows.
        while product.size() > *left {
            let fields = &product.fields;
            let longest = (0..fields.len()).max_by_key(|&at| fields[at].1.len());
            let Some(longest) = longest else { return Choices::AnyRow };
            product.fields.remove(longest);
        }
        if product.fields.is_empty() {
            return Choices::AnyRow;
        }
        *left -= product.size();
        Choices::Some(product)
    }

    fn size(&self) -> usize {
        self.fields.iter().fold(1_usize, |size, (_, list)| size.saturating_mul(list.len()))
    }

    pub(super) fn bytes(&self, (from, to): (u32, u32)) -> &[u8] {
        &self.buffer[from as usize..to as usize]
    }

    /// Drops alternatives that have the same form.
    fn distinct(&self, alternatives: &mut Alternatives) {
        let bytes = |range: &Option<(u32, u32)>| range.map(|range| self.bytes(range));
        alternatives.sort_by(|left, right| bytes(left).cmp(&bytes(right)));
        alternatives.dedup_by(|left, right| bytes(left) == bytes(right));
    }

    /// Calls `write` with the terms of each conjunction: fields and values, none for NULL.
    pub(super) fn each(
        &self,
        mut write: impl FnMut(&mut dyn Iterator<Item = (&'c Factor, Option<&[u8]>)>),
    ) {
        let mut choice: SmallVec<[usize; 4]> = self.fields.iter().map(|_| 0).collect();
        loop {
            let fields = self.fields.iter().zip(&choice);
            write(&mut fields.map(|((factor, alternatives), at)| {
                (*factor, alternatives[*at].map(|range| self.bytes(range)))
            }));
            // The next choice, as a counter steps: the last field changes first.
            let next = (0..choice.len()).rfind(|&at| choice[at] + 1 < self.fields[at].1.len());
            let Some(at) = next else { return };
            choice[at] += 1;
            choice[at + 1..].fill(0);
        }
    }
}
