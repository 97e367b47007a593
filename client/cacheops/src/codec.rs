//! Values to bytes and back.

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::layout::{self, Root};
use crate::{Error, ErrorKind, digest};

/// How values of type `T` become the bytes of an entry.
///
/// The formats of serde are [`Format`]s. What does not fit serde has a codec of its own: the rows of
/// an ORM, or bytes that are to be kept as they are ([`Raw`]).
///
/// # Two releases, one cache
///
/// Programs of two releases may run at the same time, and an entry outlives its writer. An entry is a miss, and is
/// replaced, if it was written
///
/// * for another [`Builder::version`](crate::Builder::version), which the application chooses;
/// * by another codec, or as another type: types are told apart by [`type_name`](std::any::type_name);
/// * by a [`Format`] for a type with other fields, variants or kinds of numbers, or other names of them, in any part of
///   this value. They are compared as the type requests them of serde while it decodes the entry;
/// * by a codec with another [`shape`](Self::shape).
///
/// What cannot be seen: a field of the same name and type that means something else (an amount in cents, then in euros),
/// the code of a function, and what serde buffers before it reads it: fields inside of `#[serde(flatten)]`, and untagged
/// and internally tagged enums. For these change the version.
pub trait Codec<T> {
    /// The name of the format, and its version if it has more than one.
    fn name(&self) -> &str;

    /// A number for what the codec knows of the type's layout beyond its name: the columns of a row, say.
    fn shape(&self) -> u64 {
        0
    }

    /// The bytes of a value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`]. The value is then not stored.
    fn encode(&self, value: &T) -> Result<Vec<u8>, Error>;

    /// The value of the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`]. It is a miss then.
    fn decode(&self, bytes: &[u8]) -> Result<T, Error>;
}

/// The formats that serde provides.
///
/// serde may lose parts of a value without an error: a field with `skip_deserializing`, or with `skip_serializing` and a
/// default, comes back empty. So each value is decoded once before it is stored, and compared: if another one comes back,
/// encoding fails, nothing is stored, and the first time for each type a warning says why. `#[serde(skip)]` is a
/// statement of the type about itself, and is believed: such a field is not part of the value. An `alias` of a field that
/// `skip_serializing_if` has left out counts as a lost field, unless the field is an option.
///
/// A value may be nested 128 levels deep; a deeper one is not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// MessagePack with the names of fields. It describes itself, so it handles every model of serde:
    /// `flatten`, untagged enums, `skip_serializing_if`.
    #[default]
    MessagePack,
    /// JSON, to be read by people and by other languages.
    #[cfg(feature = "json")]
    Json,
    /// bincode 2.0.1, the last version that works, **unmaintained** since 2025
    /// ([RUSTSEC-2025-0141](https://rustsec.org/advisories/RUSTSEC-2025-0141)). It fails on `flatten`,
    /// untagged enums and `serde_json::Value`.
    #[cfg(feature = "bincode")]
    Bincode,
    /// postcard: small and fast. It fails on `flatten`, untagged enums and `serde_json::Value`.
    #[cfg(feature = "postcard")]
    Postcard,
}

/// Bytes that are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Raw;

impl<T: Serialize + DeserializeOwned> Codec<T> for Format {
    fn name(&self) -> &str {
        match self {
            Self::MessagePack => "messagepack",
            #[cfg(feature = "json")]
            Self::Json => "json",
            #[cfg(feature = "bincode")]
            Self::Bincode => "bincode2",
            #[cfg(feature = "postcard")]
            Self::Postcard => "postcard",
        }
    }

    fn encode(&self, value: &T) -> Result<Vec<u8>, Error> {
        let readable = self.is_readable();
        // First: it bounds how deep the value is.
        let (digest, skipped) = digest::digest(value, readable).map_err(encoding)?;
        let mut bytes = vec![0; LAYOUT];
        self.write(value, &mut bytes)?;
        let body = Body { format: *self, bytes: &bytes[LAYOUT..] };
        let proven = layout::prove::<T, _>(digest, &skipped, &body, readable);
        let layout = proven.map_err(|flaw| {
            let kind = std::any::type_name::<T>();
            encoding(format_args!("a value of type {kind}: {flaw}"))
        })?;
        bytes[..LAYOUT].copy_from_slice(&layout.to_be_bytes());
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, Error> {
        let Some((written, bytes)) = bytes.split_first_chunk::<LAYOUT>() else {
            return Err(decoding("it is too short"));
        };
        let (value, layout) = layout::read(&Body { format: *self, bytes })?;
        if layout.to_be_bytes() != *written {
            return Err(decoding("fields or variants have changed since"));
        }
        Ok(value)
    }
}

/// The bytes of a layout, before those of the value.
const LAYOUT: usize = 8;

impl Format {
    /// Whether types write themselves for people.
    fn is_readable(self) -> bool {
        #[cfg(feature = "json")]
        return self == Self::Json;
        #[cfg(not(feature = "json"))]
        false
    }

    fn write<T: Serialize>(self, value: &T, bytes: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::MessagePack => rmp_serde::encode::write_named(bytes, value).map_err(encoding),
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_writer(bytes, value).map_err(encoding),
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                let config = bincode::config::standard();
                let body = bincode::serde::encode_to_vec(value, config).map_err(encoding)?;
                bytes.extend_from_slice(&body);
                Ok(())
            }
            #[cfg(feature = "postcard")]
            Self::Postcard => {
                let body = postcard::to_allocvec(value).map_err(encoding)?;
                bytes.extend_from_slice(&body);
                Ok(())
            }
        }
    }
}

/// A value as this format has written it.
struct Body<'b> {
    format: Format,
    bytes: &'b [u8],
}

impl layout::Source for Body<'_> {
    type Error = Error;

    fn read<T: for<'de> Deserialize<'de>>(&self, root: Root<'_, '_, T>) -> Result<T, Error> {
        let bytes = self.bytes;
        match self.format {
            Format::MessagePack => {
                let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
                root.deserialize(&mut deserializer).map_err(decoding)
            }
            #[cfg(feature = "json")]
            Format::Json => {
                let mut deserializer = serde_json::Deserializer::from_slice(bytes);
                let value = root.deserialize(&mut deserializer).map_err(decoding)?;
                deserializer.end().map_err(decoding)?;
                Ok(value)
            }
            #[cfg(feature = "bincode")]
            Format::Bincode => {
                // A length in damaged bytes must not become an allocation of that length.
                let config = bincode::config::standard().with_limit::<{ 1 << 30 }>();
                let decoded = bincode::serde::seed_decode_from_slice(root, bytes, config);
                whole(decoded.map_err(decoding)?, bytes.len())
            }
            #[cfg(feature = "postcard")]
            Format::Postcard => {
                let mut deserializer = postcard::Deserializer::from_bytes(bytes);
                let value = root.deserialize(&mut deserializer).map_err(decoding)?;
                let rest = deserializer.finalize().map_err(decoding)?;
                whole((value, bytes.len() - rest.len()), bytes.len())
            }
        }
    }
}

impl Codec<Vec<u8>> for Raw {
    fn name(&self) -> &str {
        "raw"
    }

    fn encode(&self, value: &Vec<u8>) -> Result<Vec<u8>, Error> {
        Ok(value.clone())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(bytes.to_vec())
    }
}

/// Formats without names do not notice that they have read another type; bytes left over tell.
#[cfg(any(feature = "bincode", feature = "postcard"))]
fn whole<T>((value, read): (T, usize), length: usize) -> Result<T, Error> {
    if read == length {
        return Ok(value);
    }
    Err(Error::new(ErrorKind::Decode, format!("{} bytes are left over", length - read)))
}

fn encoding(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Encode, format!("the value cannot be encoded: {error}"))
}

fn decoding(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, format!("the entry is not of this type: {error}"))
}

/// The bytes of an argument, for a key. One that is nested too deeply for the stack is an error, as any that serde refuses.
pub(crate) fn argument<A: Serialize + ?Sized>(argument: &A, named: bool) -> Result<Vec<u8>, Error> {
    digest::digest(argument, false).map_err(encoding)?;
    let bytes = match named {
        true => rmp_serde::to_vec_named(argument),
        false => rmp_serde::to_vec(argument),
    };
    bytes.map_err(encoding)
}

/// The version of how this crate frames values and builds keys. A new one makes old entries misses.
pub(crate) const FORMAT_VERSION: u8 = 2;

/// What the bytes of an entry begin with: this crate's version, the application's, codec and type.
fn header<T, C: Codec<T>>(codec: &C, version: &str) -> [u8; 8] {
    let mut hasher = Sha256::new();
    hasher.update([FORMAT_VERSION]);
    for part in [version, codec.name(), std::any::type_name::<T>()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.update(codec.shape().to_be_bytes());
    let mut header = [0; 8];
    header.copy_from_slice(&hasher.finalize()[..8]);
    header
}

/// The bytes of an entry, with their header.
pub(crate) fn frame<T, C: Codec<T>>(codec: &C, version: &str, value: &T) -> Result<Vec<u8>, Error> {
    let body = codec.encode(value)?;
    let mut bytes = Vec::with_capacity(8 + body.len());
    bytes.extend_from_slice(&header(codec, version));
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The value of an entry, if its header is right.
pub(crate) fn unframe<T, C: Codec<T>>(codec: &C, version: &str, bytes: &[u8]) -> Result<T, Error> {
    match bytes.strip_prefix(&header(codec, version)) {
        Some(body) => codec.decode(body),
        None => {
            Err(Error::new(ErrorKind::Decode, "the entry is of another version, type or format"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Post {
        id: i64,
        title: String,
        tags: Vec<String>,
        parent: Option<u32>,
    }

    fn formats() -> Vec<Format> {
        vec![
            Format::MessagePack,
            #[cfg(feature = "json")]
            Format::Json,
            #[cfg(feature = "bincode")]
            Format::Bincode,
            #[cfg(feature = "postcard")]
            Format::Postcard,
        ]
    }

    fn post() -> Post {
        Post {
            id: -7, title: "R&D\0é".into(), tags: vec!["a".into(), String::new()], parent: None
        }
    }

    #[test]
    fn every_format_gives_back_what_it_was_given() {
        for format in formats() {
            let bytes = frame(&format, "1", &post()).unwrap();

            assert_eq!(unframe::<Post, _>(&format, "1", &bytes).unwrap(), post(), "{format:?}");
        }
        let bytes = frame(&Raw, "1", &b"as it is".to_vec()).unwrap();
        assert_eq!(unframe::<Vec<u8>, _>(&Raw, "1", &bytes).unwrap(), b"as it is");
    }

    #[test]
    fn another_type_format_or_length_does_not_decode() {
        for format in formats() {
            let bytes = frame(&format, "1", &7_i64).unwrap();
            assert_eq!(
                unframe::<u64, _>(&format, "1", &bytes).unwrap_err().kind(),
                ErrorKind::Decode
            );
            assert_eq!(
                unframe::<Post, _>(&format, "1", b"short").unwrap_err().kind(),
                ErrorKind::Decode
            );
            for other in formats().into_iter().filter(|other| *other != format) {
                assert_eq!(
                    unframe::<i64, _>(&other, "1", &bytes).unwrap_err().kind(),
                    ErrorKind::Decode
                );
            }

            let bytes = frame(&format, "1", &post()).unwrap();
            for end in 0..bytes.len() {
                assert!(
                    unframe::<Post, _>(&format, "1", &bytes[..end]).is_err(),
                    "{format:?} {end}"
                );
            }
        }
    }
}
