//! Values as numbers, to tell whether one that was decoded is the one that was encoded.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hasher;

use serde::{Serialize, ser};

use crate::fingerprint::{FNV_OFFSET, MAX_DEPTH, TOO_DEEP, fnv};

/// The number of a value, to be compared with that of another of its type; and the names of fields that it has left out
/// of its own accord (`skip_serializing_if`).
pub(crate) fn digest<T: Serialize + ?Sized>(
    value: &T,
    readable: bool,
) -> Result<(u64, HashSet<&'static str>), String> {
    let skipped = RefCell::new(HashSet::new());
    let digest = value.serialize(Digest { skipped: &skipped, readable, depth: 0 });
    digest.map(|digest| (digest, skipped.into_inner())).map_err(|Unserialised(text)| text)
}

/// A serializer into a number: values of one type that serialise alike have the same. Lists and maps count without their
/// order, since sets are lists to serde, and theirs changes from one decoding to the next.
#[derive(Clone, Copy)]
struct Digest<'s> {
    skipped: &'s RefCell<HashSet<&'static str>>,
    readable: bool,
    depth: u16,
}

/// Why a value cannot be serialised.
#[derive(Debug)]
struct Unserialised(String);

impl fmt::Display for Unserialised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unserialised {}

impl ser::Error for Unserialised {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Parts of a value.
struct Parts<'s> {
    inside: Digest<'s>,
    so_far: u64,
    /// The key of a pair.
    key: u64,
    ordered: bool,
}

/// Spreads the bits of two numbers over one.
fn mix(one: u64, other: u64) -> u64 {
    let product =
        u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xd1b5_4a32_d192_ed03);
    (product as u64) ^ ((product >> 64) as u64) ^ one.rotate_left(29) ^ other
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Names are short, and many.
fn of_name(name: &str) -> u64 {
    fnv(FNV_OFFSET, name.as_bytes())
}

impl<'s> Digest<'s> {
    fn deeper(self) -> Result<Self, Unserialised> {
        if self.depth == MAX_DEPTH {
            return Err(Unserialised(TOO_DEEP.to_owned()));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn parts(self, start: u64, ordered: bool) -> Result<Parts<'s>, Unserialised> {
        Ok(Parts { inside: self.deeper()?, so_far: start, key: 0, ordered })
    }
}

impl Parts<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Unserialised> {
        let digest = part.serialize(self.inside)?;
        self.add_digest(digest);
        Ok(())
    }

    fn add_digest(&mut self, digest: u64) {
        self.so_far = match self.ordered {
            true => mix(self.so_far, digest),
            false => self.so_far.wrapping_add(mix(0x5851_f42d_4c95_7f2d, digest)),
        };
    }

    fn add_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unserialised> {
        self.add_digest(of_name(name));
        self.add(value)
    }

    fn skip(&self, name: &'static str) {
        self.inside.skipped.borrow_mut().insert(name);
    }
}

macro_rules! digests {
    ($($method:ident $kind:ty, |$value:ident| $code:literal, $digest:expr;)*) => {
        $(fn $method(self, $value: $kind) -> Result<u64, Unserialised> {
            Ok(mix($code, $digest))
        })*
    };
}

impl<'s> ser::Serializer for Digest<'s> {
    type Ok = u64;
    type Error = Unserialised;
    type SerializeSeq = Parts<'s>;
    type SerializeTuple = Parts<'s>;
    type SerializeTupleStruct = Parts<'s>;
    type SerializeTupleVariant = Parts<'s>;
    type SerializeMap = Parts<'s>;
    type SerializeStruct = Parts<'s>;
    type SerializeStructVariant = Parts<'s>;

    digests! {
        serialize_bool bool, |value| 1, u64::from(value);
        serialize_i8 i8, |value| 2, value as u64;
        serialize_i16 i16, |value| 3, value as u64;
        serialize_i32 i32, |value| 4, value as u64;
        serialize_i64 i64, |value| 5, value as u64;
        serialize_i128 i128, |value| 6, mix(value as u64, (value >> 64) as u64);
        serialize_u8 u8, |value| 7, u64::from(value);
        serialize_u16 u16, |value| 8, u64::from(value);
        serialize_u32 u32, |value| 9, u64::from(value);
        serialize_u64 u64, |value| 10, value;
        serialize_u128 u128, |value| 11, mix(value as u64, (value >> 64) as u64);
        serialize_f32 f32, |value| 12, u64::from(value.to_bits());
        serialize_f64 f64, |value| 13, value.to_bits();
        serialize_char char, |value| 14, u64::from(u32::from(value));
        serialize_str &str, |value| 15, hash(value.as_bytes());
        serialize_bytes &[u8], |value| 16, hash(value);
        serialize_unit_struct &'static str, |name| 17, of_name(name);
    }

    fn serialize_none(self) -> Result<u64, Unserialised> {
        Ok(mix(18, 0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, Unserialised> {
        Ok(mix(19, value.serialize(self.deeper()?)?))
    }

    fn serialize_unit(self) -> Result<u64, Unserialised> {
        Ok(mix(20, 0))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<u64, Unserialised> {
        Ok(mix(21, of_name(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<u64, Unserialised> {
        Ok(mix(22, value.serialize(self.deeper()?)?))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<u64, Unserialised> {
        Ok(mix(mix(23, of_name(variant)), value.serialize(self.deeper()?)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'s>, Unserialised> {
        self.parts(24, false)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'s>, Unserialised> {
        self.parts(25, true)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'s>, Unserialised> {
        self.parts(26, true)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'s>, Unserialised> {
        self.parts(mix(27, of_name(variant)), true)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'s>, Unserialised> {
        self.parts(28, false)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'s>, Unserialised> {
        self.parts(29, true)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'s>, Unserialised> {
        self.parts(mix(30, of_name(variant)), true)
    }

    fn is_human_readable(&self) -> bool {
        self.readable
    }
}

macro_rules! parts {
    ($($kind:ident $method:ident;)*) => {
        $(impl ser::$kind for Parts<'_> {
            type Ok = u64;
            type Error = Unserialised;

            fn $method<T: Serialize + ?Sized>(&mut self, part: &T) -> Result<(), Unserialised> {
                self.add(part)
            }

            fn end(self) -> Result<u64, Unserialised> {
                Ok(self.so_far)
            }
        })*
    };
}

parts! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = u64;
    type Error = Unserialised;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unserialised> {
        self.key = key.serialize(self.inside)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unserialised> {
        let pair = mix(self.key, value.serialize(self.inside)?);
        self.add_digest(pair);
        Ok(())
    }

    fn end(self) -> Result<u64, Unserialised> {
        Ok(self.so_far)
    }
}

macro_rules! structs {
    ($($kind:ident;)*) => {
        $(impl ser::$kind for Parts<'_> {
            type Ok = u64;
            type Error = Unserialised;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unserialised> {
                self.add_field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Unserialised> {
                self.skip(name);
                Ok(())
            }

            fn end(self) -> Result<u64, Unserialised> {
                Ok(self.so_far)
            }
        })*
    };
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}
