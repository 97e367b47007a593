//! The shape of a type: what it asks serde for. Another release of a program may have a type of the same name with more
//! fields, and would find them empty in an entry that this one has written.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, PoisonError, RwLock};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use sha2::{Digest, Sha256};

/// Parts of a type that are looked at. A type that contains itself has no end.
const MAX_PARTS: usize = 256;
const MAX_DEPTH: usize = 8;

/// The shape of a type as a number, for one kind of format. Made once for each type.
pub(crate) fn of<T: DeserializeOwned>(readable: bool) -> u64 {
    // A type may panic at a value that it never meets otherwise. Where a panic ends the process, nothing is asked of it.
    if cfg!(panic = "abort") {
        return 0;
    }
    static KNOWN: LazyLock<RwLock<HashMap<(usize, bool), u64>>> = LazyLock::new(RwLock::default);
    // Functions of two types are one only if they do the same.
    let key = (trace::<T> as fn(bool) -> String as usize, readable);
    if let Some(shape) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return *shape;
    }
    let digest = Sha256::digest(trace::<T>(readable));
    let shape = digest[..8].iter().fold(0, |shape, byte| shape << 8 | u64::from(*byte));
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(key, shape);
    shape
}

/// All that is asked for, part by part: no value is ever made, so each part is a call of its own which ends there.
fn trace<T: DeserializeOwned>(readable: bool) -> String {
    let mut text = String::new();
    let mut todo = VecDeque::from([Vec::new()]);
    let mut parts = 0;
    while let Some(way) = todo.pop_front() {
        let seen = RefCell::new(Seen::default());
        let part = Part { way: Some(&way), seen: &seen, readable };
        // A type that does not expect an error here is not looked into.
        let _ = catch_unwind(AssertUnwindSafe(|| T::deserialize(part).is_ok()));
        let Seen { asked, inner } = seen.into_inner();
        let _ = write!(text, "{way:?} {asked};");
        if way.len() < MAX_DEPTH {
            for at in 0..inner {
                parts += 1;
                if parts < MAX_PARTS {
                    todo.push_back(way.iter().copied().chain([at]).collect());
                }
            }
        }
    }
    text
}

#[derive(Default)]
struct Seen {
    asked: String,
    /// How many parts it has.
    inner: usize,
}

/// A part of the value.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// The way from here to the part that is looked at. None: it has passed by, and any value will do.
    way: Option<&'a [usize]>,
    seen: &'a RefCell<Seen>,
    readable: bool,
}

/// Enough is known.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enough is known")
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// What to do with a part.
enum Step<'a> {
    /// It is the one.
    Look,
    /// Any value.
    Any,
    /// On to this part of it, and from there.
    On(usize, Part<'a>),
}

impl<'a> Part<'a> {
    fn step(self) -> Step<'a> {
        match self.way {
            None => Step::Any,
            Some([]) => Step::Look,
            Some([at, way @ ..]) => Step::On(*at, Part { way: Some(way), ..self }),
        }
    }

    /// Notes what is asked for.
    fn asked<T>(self, what: fmt::Arguments<'_>, inner: usize) -> Result<T, Stop> {
        *self.seen.borrow_mut() = Seen { asked: what.to_string(), inner };
        Err(Stop)
    }

    fn any(self) -> Self {
        Part { way: None, ..self }
    }
}

/// Kinds of which there is nothing more to tell.
macro_rules! plain {
    ($($method:ident $name:literal |$visitor:ident| $any:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, $visitor: V) -> Result<V::Value, Stop> {
            match self.step() {
                Step::Any => $any,
                _ => self.asked(format_args!($name), 0),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Part<'_> {
    type Error = Stop;

    plain! {
        deserialize_any "any" |visitor| visitor.visit_unit();
        deserialize_bool "bool" |visitor| visitor.visit_bool(false);
        deserialize_i8 "i8" |visitor| visitor.visit_i8(0);
        deserialize_i16 "i16" |visitor| visitor.visit_i16(0);
        deserialize_i32 "i32" |visitor| visitor.visit_i32(0);
        deserialize_i64 "i64" |visitor| visitor.visit_i64(0);
        deserialize_i128 "i128" |visitor| visitor.visit_i128(0);
        deserialize_u8 "u8" |visitor| visitor.visit_u8(0);
        deserialize_u16 "u16" |visitor| visitor.visit_u16(0);
        deserialize_u32 "u32" |visitor| visitor.visit_u32(0);
        deserialize_u64 "u64" |visitor| visitor.visit_u64(0);
        deserialize_u128 "u128" |visitor| visitor.visit_u128(0);
        deserialize_f32 "f32" |visitor| visitor.visit_f32(0.0);
        deserialize_f64 "f64" |visitor| visitor.visit_f64(0.0);
        deserialize_char "char" |visitor| visitor.visit_char(' ');
        deserialize_str "str" |visitor| visitor.visit_str("");
        deserialize_string "str" |visitor| visitor.visit_str("");
        deserialize_bytes "bytes" |visitor| visitor.visit_bytes(&[]);
        deserialize_byte_buf "bytes" |visitor| visitor.visit_bytes(&[]);
        deserialize_unit "unit" |visitor| visitor.visit_unit();
        deserialize_identifier "identifier" |visitor| visitor.visit_str("");
        deserialize_ignored_any "ignored" |visitor| visitor.visit_unit();
    }

    fn is_human_readable(&self) -> bool {
        self.readable
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("option"), 1),
            Step::Any => visitor.visit_none(),
            Step::On(_, part) => visitor.visit_some(part),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Any => visitor.visit_unit(),
            _ => self.asked(format_args!("struct {name}"), 0),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("struct {name}"), 1),
            Step::Any => visitor.visit_newtype_struct(self),
            Step::On(_, part) => visitor.visit_newtype_struct(part),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("list"), 1),
            Step::Any => visitor.visit_seq(Parts { before: 0, part: None, names: &[] }),
            Step::On(_, part) => {
                visitor.visit_seq(Parts { before: 0, part: Some(part), names: &[] })
            }
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("tuple {length}"), length),
            Step::Any => {
                let before = length.saturating_sub(1);
                visitor.visit_seq(Parts { before, part: Some(self), names: &[] })
            }
            Step::On(before, part) => {
                visitor.visit_seq(Parts { before, part: Some(part), names: &[] })
            }
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("map"), 1),
            Step::Any => visitor.visit_map(Parts { before: 0, part: None, names: &[] }),
            Step::On(_, part) => {
                visitor.visit_map(Parts { before: 0, part: Some(part), names: &[""] })
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("struct {name} {fields:?}"), fields.len()),
            Step::Any => {
                let before = fields.len().saturating_sub(1);
                visitor.visit_map(Parts { before, part: Some(self), names: fields })
            }
            // Fields may come in any order, so this one comes first.
            Step::On(at, part) => {
                let names = fields.get(at..=at).unwrap_or_default();
                visitor.visit_map(Parts { before: 0, part: Some(part), names })
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match self.step() {
            Step::Look => self.asked(format_args!("enum {name} {variants:?}"), variants.len()),
            Step::Any => visitor.visit_enum(Choice(variants.first().copied().ok_or(Stop)?, self)),
            Step::On(at, part) => {
                visitor.visit_enum(Choice(variants.get(at).copied().ok_or(Stop)?, part))
            }
        }
    }
}

/// The parts of a list, map or struct: any values, then the one that counts.
struct Parts<'a> {
    before: usize,
    part: Option<Part<'a>>,
    names: &'static [&'static str],
}

impl<'a> Parts<'a> {
    fn next(&mut self) -> Option<Part<'a>> {
        match self.before.checked_sub(1) {
            Some(before) => {
                self.before = before;
                self.part.map(Part::any)
            }
            None => self.part.take(),
        }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        self.next().map(|part| seed.deserialize(part)).transpose()
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        let Some((name, names)) = self.names.split_first() else { return Ok(None) };
        self.names = names;
        let name: StrDeserializer<'_, Stop> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self.next().ok_or(Stop)?)
    }
}

/// A variant of an enum.
struct Choice<'a>(&'static str, Part<'a>);

impl<'de, 'a> EnumAccess<'de> for Choice<'a> {
    type Error = Stop;
    type Variant = Content<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<'a>), Stop> {
        let name: StrDeserializer<'_, Stop> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.1)))
    }
}

/// What a variant holds.
struct Content<'a>(Part<'a>);

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        match self.0.step() {
            Step::Any => Ok(()),
            _ => self.0.asked(format_args!("nothing"), 0),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.0.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    mod one {
        #[derive(serde::Deserialize)]
        #[allow(dead_code)]
        pub struct Post {
            pub id: i32,
            pub title: String,
        }
    }

    mod two {
        #[derive(serde::Deserialize)]
        #[allow(dead_code)]
        pub struct Post {
            pub id: i32,
            pub title: String,
            #[serde(default)]
            pub subtitle: Option<String>,
        }
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Tree {
        name: String,
        children: Vec<Tree>,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Choices<T> {
        Nothing,
        One(T),
        Two(i64, T),
        Named { it: T },
    }

    fn differ<A: DeserializeOwned, B: DeserializeOwned>() {
        assert_ne!(trace::<A>(false), trace::<B>(false));
        assert_ne!(of::<A>(false), of::<B>(false));
        assert_eq!(of::<A>(false), of::<A>(false));
    }

    #[test]
    fn what_a_type_asks_for_is_seen_wherever_it_stands() {
        differ::<i32, i64>();
        differ::<String, Option<String>>();
        differ::<one::Post, two::Post>();
        differ::<Vec<one::Post>, Vec<two::Post>>();
        differ::<(u64, String, Vec<one::Post>), (u64, String, Vec<two::Post>)>();
        differ::<(one::Post, Option<one::Post>), (one::Post, Option<two::Post>)>();
        differ::<BTreeMap<String, one::Post>, BTreeMap<String, two::Post>>();
        differ::<Choices<one::Post>, Choices<two::Post>>();
    }

    #[test]
    fn a_type_without_end_has_a_shape() {
        assert!(trace::<Tree>(false).contains("[1, 0, 1]"));
        assert!(
            trace::<Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<Vec<Tree>>>>>>>>>>>(false).len() < 4096
        );
    }
}
