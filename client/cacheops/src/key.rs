//! The key of an entry.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::codec::{self, FORMAT_VERSION};

/// What a result is kept under: a name, or a hash of the query it belongs to.
///
/// The handle puts its prefix and its namespace before it.
///
/// ```
/// use cacheops::Key;
///
/// let named = Key::from("menu:en");
/// let query = Key::query("shop", "SELECT * FROM post WHERE author_id = ?").value(&7).of::<Vec<String>>();
/// assert_ne!(Key::from(query), named);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) Vec<u8>);

/// The key of a query, in the making.
///
/// Two queries have one key only if database, statement, values and kind of result are the same. It
/// is 128 bits of a SHA-256: values come from users, and nobody shall be able to choose two that meet.
#[derive(Clone, Debug)]
pub struct QueryKey(Sha256);

impl Key {
    /// The key of a query: the database it is asked of, and its statement. Go on with the values.
    pub fn query(database: impl AsRef<[u8]>, statement: impl AsRef<[u8]>) -> QueryKey {
        QueryKey(Sha256::new())
            .part(&[FORMAT_VERSION])
            .part(database.as_ref())
            .part(statement.as_ref())
    }

    /// The bytes, without prefix and namespace.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl QueryKey {
    /// One more value of the statement, as serde sees it: what it leaves out (`#[serde(skip)]`) does not count.
    pub fn value<V: Serialize + ?Sized>(self, value: &V) -> Self {
        match self.clone().try_value(value) {
            Some(key) => key,
            // What cannot be serialised must not have the key of something else: no two are alike.
            None => self.part(&crate::number::unique().to_be_bytes()).part(b"!"),
        }
    }

    /// One more value, or `None` if it has no bytes: serde refuses it, or it is nested too deeply for the stack.
    pub fn try_value<V: Serialize + ?Sized>(self, value: &V) -> Option<Self> {
        codec::argument(value, false).ok().map(|bytes| self.part(&bytes))
    }

    /// One more part, as bytes: a value in canonical form, a list of columns, a name.
    pub fn part(mut self, bytes: &[u8]) -> Self {
        // With the length first, no two lists of parts are one text.
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The type of the result, by its name. A type that changes between two releases keeps it: what happens then stands
    /// at [`Codec`](crate::Codec).
    pub fn of<T>(self) -> Self {
        self.part(std::any::type_name::<T>().as_bytes())
    }
}

impl From<QueryKey> for Key {
    fn from(QueryKey(hasher): QueryKey) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digest = hasher.finalize();
        let hex = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        Self(digest[..16].iter().flat_map(hex).collect())
    }
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self(name.as_bytes().to_vec())
    }
}

impl From<String> for Key {
    fn from(name: String) -> Self {
        Self(name.into_bytes())
    }
}

impl From<&String> for Key {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

impl From<&[u8]> for Key {
    fn from(name: &[u8]) -> Self {
        Self(name.to_vec())
    }
}

impl From<Vec<u8>> for Key {
    fn from(name: Vec<u8>) -> Self {
        Self(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_part_counts_and_so_do_their_borders() {
        let base = || Key::query("db", "SELECT ?");
        let keys = [
            base(),
            Key::query("db2", "SELECT ?"),
            Key::query("db", "SELECT ? "),
            Key::query("dbS", "ELECT ?"),
            base().value(&1),
            base().value("1"),
            base().value(&1).value(&2),
            base().value(&2).value(&1),
            base().value(&(1, 2)),
            base().part(b"ab").part(b"c"),
            base().part(b"a").part(b"bc"),
            base().of::<i64>(),
            base().of::<u64>(),
            base().value(&None::<i64>),
            base().value(""),
        ];
        let distinct: HashSet<Key> = keys.iter().cloned().map(Key::from).collect();
        assert_eq!(distinct.len(), keys.len());

        assert_eq!(Key::from(base().value(&7)), Key::from(base().value(&7)));
        assert_eq!(Key::from(base()).as_bytes().len(), 32);
    }

    #[test]
    fn what_cannot_be_serialised_shares_its_key_with_nothing() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("never"))
            }
        }

        let key = || Key::from(Key::query("db", "SELECT ?").value(&Never));

        assert_ne!(key(), key());
    }
}
