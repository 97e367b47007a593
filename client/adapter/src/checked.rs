//! Values that are kept through serde.

use std::any::type_name;

use cacheops::{Codec, Error, ErrorKind, Format};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that is kept through serde: a row as a type of the application, and the result of a block or function.
///
/// Before it is stored, it is decoded and compared with the original. If they differ (a field is hidden from serde, a
/// number is not equal to itself), nothing is stored, and a warning names the type, once.
#[diagnostic::on_unimplemented(
    message = "a result of type `{Self}` cannot be kept in the cache",
    label = "not a value that serde can keep",
    note = "it is encoded, decoded and compared before it is stored: derive `serde::Serialize`, `serde::Deserialize` \
            and `PartialEq` for it, and for what it is made of"
)]
pub trait CacheValue: Serialize + DeserializeOwned + PartialEq {}

impl<T: Serialize + DeserializeOwned + PartialEq> CacheValue for T {}

/// MessagePack by serde, decoded and compared before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checked;

impl<T: CacheValue> Codec<T> for Checked {
    fn name(&self) -> &str {
        "checked serde 1"
    }

    /// The format has decoded it once, and knows what serde sees of it. `==` knows the rest: what `#[serde(skip)]` hides.
    fn encode(&self, value: &T) -> Result<Vec<u8>, Error> {
        let bytes = Format::MessagePack.encode(value)?;
        let back: T = Format::MessagePack.decode(&bytes)?;
        if back == *value { Ok(bytes) } else { Err(lossy::<T>()) }
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, Error> {
        Format::MessagePack.decode(bytes)
    }
}

/// The error of a value that decodes to another one. The handle warns of it once for each type.
pub(crate) fn lossy<T>() -> Error {
    let kind = type_name::<T>();
    let text = format!(
        "a value of type {kind} is another when it is decoded: a field is hidden from serde, or it is not equal to \
         itself; a model is kept by its columns if the adapter knows them"
    );
    Error::new(ErrorKind::Encode, text)
}
