//! Tables, their fields, and *schemes*: the sets of fields that conjunctions of a table use.
//!
//! A changed row is looked up once in each scheme of its table, so an invalidation costs what there are schemes, whatever
//! there are entries. An application has a handful of schemes for each table: one for each shape of query.

use std::collections::HashMap;
use std::rc::Rc;

use ahash::RandomState;
use smallvec::SmallVec;

use crate::clock::Tick;
use crate::node::NodeMap;

/// Field numbers of a scheme, ascending: the *scheme order* of its values.
pub(crate) type Fields = SmallVec<[u16; INLINE]>;
/// Fields that a scheme keeps in itself.
const INLINE: usize = 6;

/// Up to here comparing names beats hashing them.
const FEW: usize = 6;
/// Different fields that the conjunctions of one table may use.
const MAX_FIELDS: usize = 4096;

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: Rc<[u8]>,
    fields: Vec<Field>,
    numbers: HashMap<Rc<[u8]>, u16, RandomState>,
    /// Numbers of fields that no scheme uses any more.
    free: Vec<u16>,
    /// The hash of a scheme's fields, and its number.
    pub(crate) schemes: Vec<(u64, u32)>,
    /// The last tick at which a command resolved a condition of this table.
    pub(crate) used: Tick,
    pub(crate) refused: u64,
    pub(crate) invalidations: u64,
}

#[derive(Debug, Default)]
struct Field {
    /// Empty, which no field's name is, while the number is free.
    name: Rc<[u8]>,
    /// Schemes that use it.
    schemes: u32,
}

#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) table: u32,
    pub(crate) fields: Fields,
    /// A bit for each field; `None` if one has a number beyond 63.
    pub(crate) mask: Option<u64>,
    /// The hash of the table and the field names, with which the hash of each of its conjunctions begins.
    pub(crate) seed: u64,
    pub(crate) created: Tick,
    /// The last tick at which a conjunction was resolved to it.
    pub(crate) used: Tick,
    /// Entries that are not younger than this are dead by this scheme: it was dropped then.
    pub(crate) floor: Tick,
    /// The last tick at which it was dropped, or a row hit it that did not say all of its values.
    pub(crate) touched: Tick,
    pub(crate) map: NodeMap,
    /// Links from live entries.
    pub(crate) links: usize,
    /// Nodes that name this scheme, those of dropped maps included.
    pub(crate) nodes: usize,
    pub(crate) hits: u64,
}

impl Table {
    pub(crate) fn new(name: &[u8], now: Tick, state: RandomState) -> Self {
        Self {
            name: name.into(),
            fields: Vec::new(),
            numbers: HashMap::with_hasher(state),
            free: Vec::new(),
            schemes: Vec::new(),
            used: now,
            refused: 0,
            invalidations: 0,
        }
    }

    #[inline]
    pub(crate) fn field(&self, name: &[u8]) -> Option<u16> {
        if self.fields.len() <= FEW {
            return self.fields.iter().position(|known| *known.name == *name).map(|at| at as u16);
        }
        self.numbers.get(name).copied()
    }

    /// Whether so many fields more can be told apart.
    pub(crate) fn has_room_for(&self, fields: usize) -> bool {
        self.numbers.len() + fields <= MAX_FIELDS
    }

    /// The number of a field for a scheme that is about to use it; `None` when there are too many.
    pub(crate) fn take_field(&mut self, name: &[u8]) -> Option<u16> {
        let number = match self.field(name) {
            Some(number) => number,
            None if self.has_room_for(1) => {
                let name: Rc<[u8]> = name.into();
                let number = self.free.pop().unwrap_or(self.fields.len() as u16);
                let field = Field { name: Rc::clone(&name), schemes: 0 };
                match self.fields.get_mut(usize::from(number)) {
                    Some(free) => *free = field,
                    None => self.fields.push(field),
                }
                self.numbers.insert(name, number);
                number
            }
            None => return None,
        };
        if let Some(field) = self.fields.get_mut(usize::from(number)) {
            field.schemes += 1;
        }
        Some(number)
    }

    /// A scheme uses a field no more. Answers what its name took in the catalog if no other scheme uses it.
    pub(crate) fn release_field(&mut self, number: u16) -> usize {
        let Some(field) = self.fields.get_mut(usize::from(number)) else { return 0 };
        field.schemes = field.schemes.saturating_sub(1);
        if field.schemes > 0 {
            return 0;
        }
        let Field { name, .. } = std::mem::take(field);
        self.numbers.remove(&name);
        self.free.push(number);
        field_bytes(name.len())
    }

    /// How many schemes use a field.
    pub(crate) fn schemes_of(&self, name: &[u8]) -> u32 {
        let field = self.field(name).and_then(|number| self.fields.get(usize::from(number)));
        field.map_or(0, |field| field.schemes)
    }

    /// One more than the largest number of a field so far.
    pub(crate) fn fields(&self) -> usize {
        self.fields.len()
    }

    pub(crate) fn field_name(&self, number: u16) -> &[u8] {
        self.fields.get(usize::from(number)).map_or(&[], |field| &field.name)
    }
}

/// About what the name of a field takes: its bytes, their counters, and its places in the list and the map of its table.
pub(crate) fn field_bytes(name: usize) -> usize {
    const COUNTERS: usize = 16;
    const MAP: usize = 32;
    name + COUNTERS + size_of::<Field>() + MAP
}

/// About what a scheme takes: itself and its place in the list of its table.
pub(crate) fn scheme_bytes(fields: usize) -> usize {
    const LIST: usize = 32;
    let spilled = if fields > INLINE { 2 * fields } else { 0 };
    size_of::<Scheme>() + LIST + spilled
}

/// About what a table takes without any field: itself, its name, its place in the map of tables, and the scheme of `*`,
/// which it can always have.
pub(crate) fn table_bytes(name: usize) -> usize {
    const COUNTERS: usize = 16;
    const MAP: usize = 40;
    name + COUNTERS + size_of::<Table>() + MAP + scheme_bytes(0)
}

/// Appends a value as a scheme's node keeps it: its length plus one, or zero for NULL, then its bytes.
pub(crate) fn encode(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(value) = value else { return out.push(0) };
    let mut length = value.len() as u64 + 1;
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(value);
}

/// Takes the next value off what [`encode`] wrote.
pub(crate) fn decode<'v>(values: &mut &'v [u8]) -> Option<Option<&'v [u8]>> {
    let mut length = 0u64;
    let mut shift = 0;
    loop {
        let (&byte, rest) = values.split_first()?;
        *values = rest;
        length |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    let Some(length) = length.checked_sub(1) else { return Some(None) };
    let (value, rest) = values.split_at_checked(usize::try_from(length).ok()?)?;
    *values = rest;
    Some(Some(value))
}

/// The keyed hashes of values, and of conjunctions from their values.
///
/// A conjunction's hash folds the hashes of its values in scheme order, so that a row's values are hashed once, however many
/// schemes they occur in. Two conjunctions with one hash stay two nodes (linking compares values) that die together.
#[derive(Debug, Clone)]
pub(crate) struct Hashes {
    pub(crate) state: RandomState,
    null: u64,
    factor: u64,
}

impl Hashes {
    pub(crate) fn new(seeds: [u64; 4]) -> Self {
        let state = RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]);
        Self { null: state.hash_one(1u8), factor: state.hash_one(2u8) | 1, state }
    }

    #[inline]
    pub(crate) fn value(&self, value: Option<&[u8]>) -> u64 {
        match value {
            Some(value) => self.state.hash_one(value),
            None => self.null,
        }
    }

    /// Folds the next value's hash into a conjunction's.
    #[inline]
    pub(crate) fn fold(&self, hash: u64, value: u64) -> u64 {
        let product = u128::from(hash ^ value) * u128::from(self.factor);
        (product as u64).rotate_left(23) ^ (product >> 64) as u64 ^ value.rotate_left(32)
    }

    pub(crate) fn table(&self, name: &[u8]) -> u64 {
        self.state.hash_one((0u8, name))
    }

    pub(crate) fn scheme(&self, table: &Table, fields: &[u16]) -> u64 {
        let names = fields.iter().map(|&field| self.value(Some(table.field_name(field))));
        names.fold(self.state.hash_one((1u8, &table.name)), |hash, name| self.fold(hash, name))
    }
}

/// A bit for each field of a set, if they all have one.
pub(crate) fn mask(fields: &[u16]) -> Option<u64> {
    fields.iter().try_fold(0, |mask, &field| Some(mask | 1u64.checked_shl(field.into())?))
}

/// The hash of a set of fields within its table.
pub(crate) fn fields_hash(fields: &[u16]) -> u64 {
    fields.iter().fold(fields.len() as u64, |hash, &field| {
        (hash.rotate_left(5) ^ u64::from(field)).wrapping_mul(0x517c_c1b7_2722_0a95)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_encoding() {
        let long = vec![7u8; 300];
        let values = [Some(&b"7"[..]), None, Some(b""), Some(&long[..]), None];
        let mut text = Vec::new();
        values.iter().for_each(|&value| encode(&mut text, value));
        let mut rest = &text[..];
        for value in values {
            assert_eq!(decode(&mut rest), Some(value));
        }
        assert_eq!(decode(&mut rest), None);
    }

    #[test]
    fn hashes_tell_values_lengths_nulls_and_places_apart() {
        let hashes = Hashes::new([1, 2, 3, 4]);
        let of = |values: &[Option<&[u8]>]| {
            values.iter().fold(9, |hash, &value| hashes.fold(hash, hashes.value(value)))
        };
        let all = [
            of(&[Some(b"1"), Some(b"2")]),
            of(&[Some(b"2"), Some(b"1")]),
            of(&[Some(b"12"), Some(b"")]),
            of(&[Some(b"1"), None]),
            of(&[None, Some(b"1")]),
            of(&[Some(b"1")]),
            of(&[]),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(!all[..at].contains(hash));
        }
    }
}
