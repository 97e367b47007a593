//! What serde is asked for while a value is decoded, and whether the value comes back as it was.
//!
//! Two releases of a program may have types of one name that are not alike, and share a cache. So an entry has a number
//! for its *layout*: names, fields, variants and kinds, in the order in which the type requests them of serde while it
//! reads these very bytes. The writer decodes what it has encoded and notes the number; a reader whose type requests
//! something else gets another one, and takes the entry for a miss. Nothing is ever decoded but bytes that a value of the
//! application was encoded to: there is no sample that a type could reject, and no part that could hide behind another.
//!
//! serde can lose parts of a value silently: `skip_deserializing`, `skip_serializing` of a field with a default, two
//! names for one field. So the writer also compares what it has decoded with the value: both are serialised into a number
//! (see [`digest`]), and a field that the type would read, and that was not written, counts as lost.
//!
//! What serde buffers (`flatten`, untagged and internally tagged enums) is compared, but its layout stays unknown.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::{Deserialize, Serialize};

use crate::digest::digest;
use crate::fingerprint::{FNV_OFFSET, FNV_PRIME, MAX_DEPTH, TOO_DEEP, fnv};

/// Fields of a struct that are looked for; of a larger one the first.
const MAX_FIELDS: usize = 128;

/// What one decoding has requested so far.
pub(crate) struct Observer<'a> {
    layout: Cell<u64>,
    /// The numbers of lists of names, by their address: there are few, and rows repeat them.
    known: RefCell<Vec<(usize, usize, u64)>>,
    proof: Option<Proof<'a>>,
}

/// What is noted of a decoding that shall prove something.
struct Proof<'a> {
    /// Names of fields that the value left out of its own accord: `skip_serializing_if`.
    skipped: &'a HashSet<&'static str>,
    /// Fields that were looked for and not there.
    missing: RefCell<Vec<Missing>>,
    /// Such a field, put behind the others to see whether it is one of its own.
    probe: Option<Probe>,
}

struct Probe {
    missing: Missing,
    /// A field that was left out, and that is put before it: it may be a second name of that.
    before: Option<&'static str>,
    came: Cell<Came>,
}

/// What came of a probe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Its struct was not read to the end.
    Unread,
    /// Its name was read.
    Named,
    /// Its value was requested: it is a field of its own.
    Requested,
}

type Names = &'static [&'static str];

/// A field that a struct would read, and that is not among the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Missing {
    fields: Names,
    field: &'static str,
}

/// Why a value cannot be kept.
pub(crate) enum Flaw<E> {
    /// It does not decode.
    Decode(E),
    /// It cannot be serialised.
    Serialize(String),
    /// It comes back as another one.
    Differs,
    /// A field would come back empty.
    Lost(&'static str),
}

impl<E: fmt::Display> fmt::Display for Flaw<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "its bytes do not decode: {error}"),
            Self::Serialize(error) => f.write_str(error),
            Self::Differs => f.write_str(
                "what its bytes decode to is another value: serde leaves out or changes a part of it",
            ),
            Self::Lost(field) => {
                write!(f, "its field `{field}` is read by serde, but not written, and would be lost")
            }
        }
    }
}

/// Decodes with a seed: once for each call.
pub(crate) trait Source {
    type Error: fmt::Display;

    fn read<T: for<'de> Deserialize<'de>>(&self, root: Root<'_, '_, T>) -> Result<T, Self::Error>;
}

/// Decodes a value, and returns its layout with it.
pub(crate) fn read<T: for<'de> Deserialize<'de>, S: Source>(
    source: &S,
) -> Result<(T, u64), S::Error> {
    let observer = Observer::new(None);
    let value = source.read(Root::new(&observer))?;
    Ok((value, observer.layout.get()))
}

/// The layout of a value that was encoded, if it decodes to what it was.
pub(crate) fn prove<T, S>(
    digest_before: u64,
    skipped: &HashSet<&'static str>,
    source: &S,
    readable: bool,
) -> Result<u64, Flaw<S::Error>>
where
    T: Serialize + for<'de> Deserialize<'de>,
    S: Source,
{
    let proof = |probe| Proof { skipped, missing: RefCell::default(), probe };
    let observer = Observer::new(Some(proof(None)));
    let back: T = source.read(Root::new(&observer)).map_err(Flaw::Decode)?;
    let (digest_after, _) = digest(&back, readable).map_err(Flaw::Serialize)?;
    if digest_before != digest_after {
        return Err(Flaw::Differs);
    }
    let missing = observer.proof.map(|proof| proof.missing.into_inner()).unwrap_or_default();
    for missing in missing {
        // The second name of a field (`alias`) is refused as a duplicate, before its value is requested.
        let is_second_name = |before| {
            let probe = Probe { missing, before, came: Cell::new(Came::Unread) };
            let observer = Observer::new(Some(proof(Some(probe))));
            let _ = source.read::<T>(Root::new(&observer));
            let probe = observer.proof.and_then(|proof| proof.probe);
            probe.is_some_and(|probe| probe.came.get() == Came::Named)
        };
        let left_out = missing.fields.iter().copied().filter(|field| skipped.contains(field));
        if !std::iter::once(None).chain(left_out.map(Some)).any(is_second_name) {
            return Err(Flaw::Lost(missing.field));
        }
    }
    Ok(observer.layout.get())
}

impl<'a> Observer<'a> {
    fn new(proof: Option<Proof<'a>>) -> Self {
        Self { layout: Cell::new(FNV_OFFSET), known: RefCell::default(), proof }
    }

    fn note(&self, what: u64) {
        self.layout.set((self.layout.get() ^ what).wrapping_mul(FNV_PRIME).rotate_left(23));
    }

    fn note_name(&self, name: &'static str) {
        self.note(fnv(FNV_OFFSET, name.as_bytes()));
    }

    fn note_names(&self, names: Names) {
        let (address, length) = (names.as_ptr() as usize, names.len());
        let mut known = self.known.borrow_mut();
        let number = match known.iter().find(|(at, of, _)| (*at, *of) == (address, length)) {
            Some((_, _, number)) => *number,
            None => {
                let add = |hash, name: &&str| fnv(fnv(hash, name.as_bytes()), &[0xff]);
                let number = names.iter().fold(FNV_OFFSET, add);
                known.push((address, length, number));
                number
            }
        };
        drop(known);
        self.note(number);
    }
}

impl Proof<'_> {
    /// Notes which of these fields were not there.
    fn look(&self, fields: Names, present: u128) {
        for (at, field) in fields.iter().enumerate().take(MAX_FIELDS) {
            if present & (1 << at) != 0 || self.skipped.contains(field) {
                continue;
            }
            let missing = Missing { fields, field };
            let mut known = self.missing.borrow_mut();
            if !known.contains(&missing) {
                known.push(missing);
            }
        }
    }

    /// The names that are put behind those of this struct, last first.
    fn more(&self, fields: Names, present: u128) -> Vec<&'static str> {
        let Some(Probe { missing, before, .. }) = &self.probe else { return Vec::new() };
        let is_missing = |name: &str| {
            let at = fields.iter().position(|known| *known == name);
            at.is_some_and(|at| at < MAX_FIELDS && present & (1 << at) == 0)
        };
        if missing.fields != fields || !is_missing(missing.field) {
            return Vec::new();
        }
        let before = before.filter(|before| is_missing(before));
        std::iter::once(missing.field).chain(before).collect()
    }

    fn probed(&self, came: Came) {
        if let Some(probe) = &self.probe {
            probe.came.set(came);
        }
    }
}

/// The seed of a whole value.
pub(crate) struct Root<'o, 'a, T> {
    observer: &'o Observer<'a>,
    kind: std::marker::PhantomData<T>,
}

impl<'o, 'a, T> Root<'o, 'a, T> {
    fn new(observer: &'o Observer<'a>) -> Self {
        Self { observer, kind: std::marker::PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Root<'_, '_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(Observed {
            inner: deserializer,
            at: At { observer: self.observer, depth: 0 },
        })
    }
}

/// Who is told, and how deep it is there.
#[derive(Clone, Copy)]
struct At<'o, 'a> {
    observer: &'o Observer<'a>,
    depth: u16,
}

impl At<'_, '_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// A deserializer whose requests are noted.
struct Observed<'o, 'a, D> {
    inner: D,
    at: At<'o, 'a>,
}

/// The visitor of an observed request.
struct Watch<'o, 'a, V> {
    visitor: V,
    at: At<'o, 'a>,
    /// The fields of a struct.
    fields: Option<Names>,
}

struct Seed<'o, 'a, S> {
    seed: S,
    at: At<'o, 'a>,
}

/// The name of a field. Which one it is, is noted in `present`.
struct FieldSeed<'o, 'a, 'p, S> {
    seed: S,
    at: At<'o, 'a>,
    fields: Names,
    present: &'p mut u128,
}

struct FieldName<'p, D> {
    inner: D,
    fields: Names,
    present: &'p mut u128,
}

struct FieldVisitor<'p, V> {
    visitor: V,
    fields: Names,
    present: &'p mut u128,
}

struct Items<'o, 'a, A> {
    inner: A,
    at: At<'o, 'a>,
}

struct Pairs<'o, 'a, A> {
    inner: A,
    at: At<'o, 'a>,
    fields: Option<Names>,
    present: u128,
    /// Once all fields were read: names that are put behind them, last first.
    more: Option<Vec<&'static str>>,
}

/// The value of a field that was not written: none for an option, and an error for all else.
struct Nothing<E>(std::marker::PhantomData<E>);

impl<'de, E: serde::de::Error> Deserializer<'de> for Nothing<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, E> {
        Err(E::custom("a field that was not written"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Variants<'o, 'a, A> {
    inner: A,
    at: At<'o, 'a>,
}

impl<'o, 'a, D> Observed<'o, 'a, D> {
    fn watch<V>(at: At<'o, 'a>, visitor: V) -> Watch<'o, 'a, V> {
        Watch { visitor, at, fields: None }
    }
}

macro_rules! requests {
    ($($method:ident $code:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.at.observer.note($code);
            self.inner.$method(Self::watch(self.at, visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Observed<'_, '_, D> {
    type Error = D::Error;

    requests! {
        deserialize_any 1;
        deserialize_bool 2;
        deserialize_i8 3;
        deserialize_i16 4;
        deserialize_i32 5;
        deserialize_i64 6;
        deserialize_i128 7;
        deserialize_u8 8;
        deserialize_u16 9;
        deserialize_u32 10;
        deserialize_u64 11;
        deserialize_u128 12;
        deserialize_f32 13;
        deserialize_f64 14;
        deserialize_char 15;
        deserialize_str 16;
        // The same on the wire.
        deserialize_string 16;
        deserialize_bytes 17;
        deserialize_byte_buf 17;
        deserialize_option 18;
        deserialize_unit 19;
        deserialize_seq 20;
        deserialize_map 21;
        deserialize_identifier 22;
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.at.observer.note(23);
        self.inner.deserialize_ignored_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(24);
        self.at.observer.note_name(name);
        self.inner.deserialize_unit_struct(name, Self::watch(self.at, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(25);
        self.at.observer.note_name(name);
        self.inner.deserialize_newtype_struct(name, Self::watch(self.at, visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(26);
        self.at.observer.note(length as u64);
        self.inner.deserialize_tuple(length, Self::watch(self.at, visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(27);
        self.at.observer.note_name(name);
        self.at.observer.note(length as u64);
        self.inner.deserialize_tuple_struct(name, length, Self::watch(self.at, visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(28);
        self.at.observer.note_name(name);
        self.at.observer.note_names(fields);
        let watch = Watch { visitor, at: self.at, fields: Some(fields) };
        self.inner.deserialize_struct(name, fields, watch)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.at.observer.note(29);
        self.at.observer.note_name(name);
        self.at.observer.note_names(variants);
        self.inner.deserialize_enum(name, variants, Self::watch(self.at, visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! plain_visits {
    ($($method:ident $kind:ty;)*) => {
        $(fn $method<E: serde::de::Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

macro_rules! numbers {
    () => {
        plain_visits! {
            visit_bool bool;
            visit_i8 i8;
            visit_i16 i16;
            visit_i32 i32;
            visit_i64 i64;
            visit_i128 i128;
            visit_u8 u8;
            visit_u16 u16;
            visit_u32 u32;
            visit_u64 u64;
            visit_u128 u128;
            visit_f32 f32;
            visit_f64 f64;
            visit_char char;
        }

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.visitor.expecting(f)
        }

        fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
            self.visitor.visit_none()
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
            self.visitor.visit_unit()
        }
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, '_, V> {
    type Value = V::Value;

    numbers!();

    plain_visits! {
        visit_str &str;
        visit_borrowed_str &'de str;
        visit_string String;
        visit_bytes &[u8];
        visit_borrowed_bytes &'de [u8];
        visit_byte_buf Vec<u8>;
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Observed { inner, at: self.at.deeper()? })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Observed { inner, at: self.at.deeper()? })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Items { inner, at: self.at.deeper()? })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let at = self.at.deeper()?;
        // Where nothing is to be proven, the names are not looked at.
        let fields = self.fields.filter(|_| at.observer.proof.is_some());
        self.visitor.visit_map(Pairs { inner, at, fields, present: 0, more: None })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Variants { inner, at: self.at.deeper()? })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<'_, '_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.seed.deserialize(Observed { inner, at: self.at })
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, '_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Seed { seed, at: self.at })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Pairs<'_, '_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let (Some(fields), Some(proof)) = (self.fields, &self.at.observer.proof) else {
            return self.inner.next_key_seed(Seed { seed, at: self.at });
        };
        // Held back, so that it can be used after the last field too.
        let mut seed = Some(seed);
        let present = &mut self.present;
        let next = FieldSeed { seed: &mut seed, at: self.at, fields, present };
        if let Some(key) = self.inner.next_key_seed(next)? {
            return Ok(Some(key));
        }
        let more = self.more.get_or_insert_with(|| {
            proof.look(fields, self.present);
            proof.more(fields, self.present)
        });
        let (Some(name), Some(seed)) = (more.pop(), seed) else { return Ok(None) };
        if more.is_empty() {
            proof.probed(Came::Named);
        }
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        match (&self.more, &self.at.observer.proof) {
            (Some(more), Some(proof)) => {
                if more.is_empty() {
                    proof.probed(Came::Requested);
                }
                // No type is given a value for it, but an option that was left out may be none.
                seed.deserialize(Nothing(std::marker::PhantomData))
            }
            _ => self.inner.next_value_seed(Seed { seed, at: self.at }),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for FieldSeed<'_, '_, '_, &mut Option<S>> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let Self { seed, at, fields, present } = self;
        let Some(seed) = seed.take() else { return Err(D::Error::custom("a key is read twice")) };
        seed.deserialize(Observed { inner: FieldName { inner, fields, present }, at })
    }
}

macro_rules! name_requests {
    ($($method:ident;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let Self { inner, fields, present } = self;
            inner.$method(FieldVisitor { visitor, fields, present })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for FieldName<'_, D> {
    type Error = D::Error;

    name_requests! {
        deserialize_any;
        deserialize_str;
        deserialize_string;
        deserialize_bytes;
        deserialize_byte_buf;
        deserialize_identifier;
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum ignored_any
    }
}

impl<V> FieldVisitor<'_, V> {
    fn note(&mut self, name: &[u8]) {
        let at = self.fields.iter().position(|field| field.as_bytes() == name);
        if let Some(at) = at.filter(|at| *at < MAX_FIELDS) {
            *self.present |= 1 << at;
        }
    }
}

macro_rules! name_visits {
    ($($method:ident $kind:ty;)*) => {
        $(fn $method<E: serde::de::Error>(mut self, name: $kind) -> Result<V::Value, E> {
            self.note(AsRef::<[u8]>::as_ref(&name));
            self.visitor.$method(name)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for FieldVisitor<'_, V> {
    type Value = V::Value;

    numbers!();

    name_visits! {
        visit_str &str;
        visit_borrowed_str &'de str;
        visit_string String;
        visit_bytes &[u8];
        visit_borrowed_bytes &'de [u8];
        visit_byte_buf Vec<u8>;
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(inner)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(inner)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(inner)
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(inner)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(inner)
    }
}

impl<'o, 'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Variants<'o, 'a, A> {
    type Error = A::Error;
    type Variant = Variants<'o, 'a, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, inner) = self.inner.variant_seed(Seed { seed, at: self.at })?;
        Ok((name, Variants { inner, at: self.at }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Variants<'_, '_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.at.observer.note(30);
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.at.observer.note(31);
        self.inner.newtype_variant_seed(Seed { seed, at: self.at })
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.at.observer.note(32);
        self.at.observer.note(length as u64);
        self.inner.tuple_variant(length, Watch { visitor, at: self.at, fields: None })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: Names,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.at.observer.note(33);
        self.at.observer.note_names(fields);
        self.inner.struct_variant(fields, Watch { visitor, at: self.at, fields: Some(fields) })
    }
}
