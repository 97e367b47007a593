//! Values to bytes and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind};

/// How values of type `T` become the bytes of an entry.
///
/// The formats of serde are [`Format`]s. What does not fit serde has a codec of its own: the rows of
/// an ORM, or bytes that are to be kept as they are ([`Raw`]).
///
/// Bytes of an entry begin with a mark of eight bytes that stands for codec and type. An entry that
/// another codec or type has written is a miss, and so is one of a type that had other fields.
pub trait Codec<T> {
    /// The name of the format, and its version if it has more than one.
    fn name(&self) -> &str;

    /// A number for what is known of the shape of the type: names and kinds of its fields. Programs of two releases may
    /// share a cache, and a type that has changed still has its name.
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

    fn shape(&self) -> u64 {
        #[cfg(feature = "json")]
        let readable = *self == Self::Json;
        #[cfg(not(feature = "json"))]
        let readable = false;
        crate::shape::of::<T>(readable)
    }

    fn encode(&self, value: &T) -> Result<Vec<u8>, Error> {
        match self {
            Self::MessagePack => rmp_serde::to_vec_named(value).map_err(encoding),
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_vec(value).map_err(encoding),
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(encoding)
            }
            #[cfg(feature = "postcard")]
            Self::Postcard => postcard::to_allocvec(value).map_err(encoding),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, Error> {
        match self {
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(decoding),
            #[cfg(feature = "json")]
            Self::Json => serde_json::from_slice(bytes).map_err(decoding),
            #[cfg(feature = "bincode")]
            Self::Bincode => {
                // A length in damaged bytes must not become an allocation of that length.
                let config = bincode::config::standard().with_limit::<{ 1 << 30 }>();
                let decoded = bincode::serde::decode_from_slice(bytes, config).map_err(decoding)?;
                whole(decoded, bytes.len())
            }
            #[cfg(feature = "postcard")]
            Self::Postcard => {
                let (value, rest) = postcard::take_from_bytes(bytes).map_err(decoding)?;
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

/// The version of how this crate frames values and builds keys. A new one makes old entries misses.
pub(crate) const FORMAT_VERSION: u8 = 1;

/// What bytes of an entry begin with: version, codec and type.
pub(crate) fn mark<T, C: Codec<T>>(codec: &C) -> [u8; 8] {
    let mut hasher = Sha256::new();
    hasher.update([FORMAT_VERSION]);
    hasher.update(codec.name());
    hasher.update([0]);
    hasher.update(std::any::type_name::<T>());
    hasher.update([0]);
    hasher.update(codec.shape().to_be_bytes());
    let mut mark = [0; 8];
    mark.copy_from_slice(&hasher.finalize()[..8]);
    mark
}

/// The bytes of an entry, with their mark.
pub(crate) fn seal<T, C: Codec<T>>(codec: &C, value: &T) -> Result<Vec<u8>, Error> {
    let body = codec.encode(value)?;
    let mut bytes = Vec::with_capacity(8 + body.len());
    bytes.extend_from_slice(&mark(codec));
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The value of an entry, if its mark is right.
pub(crate) fn open<T, C: Codec<T>>(codec: &C, bytes: &[u8]) -> Result<T, Error> {
    match bytes.strip_prefix(&mark(codec)) {
        Some(body) => codec.decode(body),
        None => Err(Error::new(ErrorKind::Decode, "the entry is of another type or format")),
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
            let bytes = seal(&format, &post()).unwrap();

            assert_eq!(open::<Post, _>(&format, &bytes).unwrap(), post(), "{format:?}");
        }
        let bytes = seal(&Raw, &b"as it is".to_vec()).unwrap();
        assert_eq!(open::<Vec<u8>, _>(&Raw, &bytes).unwrap(), b"as it is");
    }

    #[test]
    fn another_type_format_or_length_does_not_decode() {
        for format in formats() {
            let bytes = seal(&format, &7_i64).unwrap();
            assert_eq!(open::<u64, _>(&format, &bytes).unwrap_err().kind(), ErrorKind::Decode);
            assert_eq!(open::<Post, _>(&format, b"short").unwrap_err().kind(), ErrorKind::Decode);
            for other in formats().into_iter().filter(|other| *other != format) {
                assert_eq!(open::<i64, _>(&other, &bytes).unwrap_err().kind(), ErrorKind::Decode);
            }

            let bytes = seal(&format, &post()).unwrap();
            for end in 0..bytes.len() {
                assert!(open::<Post, _>(&format, &bytes[..end]).is_err(), "{format:?} {end}");
            }
        }
    }
}
