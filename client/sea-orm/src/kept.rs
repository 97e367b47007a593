//! Results of types that only the caller knows. Models that were seen before are kept by their columns; everything else
//! goes through serde, and is decoded and compared before it is stored: serde may hide fields
//! (`#[serde(skip_deserializing)]` on a key), and a result without them would be another one.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use cacheops::{Codec, Error, ErrorKind, Format};
use sea_orm::{EntityTrait, TryIntoModel};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, BY_COLUMNS, Whole};

/// A value that is kept through serde: what `into_model` makes, and the result of a block or function.
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
        "sea-orm serde 1"
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

/// The items of a selector: by their columns if their type is that of a model that was seen before, else as [`Checked`]
/// does. Which of the two is decided once, when the codec is made: name, shape and bytes must be of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Items<T> {
    model: Option<ByColumns<T>>,
}

impl<T: 'static> Default for Items<T> {
    fn default() -> Self {
        Self { model: by_columns() }
    }
}

impl<T: CacheValue + 'static> Codec<Vec<T>> for Items<T> {
    fn name(&self) -> &str {
        match self.model {
            Some(_) => BY_COLUMNS,
            None => Codec::<Vec<T>>::name(&Checked),
        }
    }

    fn shape(&self) -> u64 {
        self.model.as_ref().map_or(0, |model| (model.shape)())
    }

    fn encode(&self, items: &Vec<T>) -> Result<Vec<u8>, Error> {
        self.model.as_ref().map_or_else(|| Checked.encode(items), |model| (model.encode)(items))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<T>, Error> {
        self.model.as_ref().map_or_else(|| Checked.decode(bytes), |model| (model.decode)(bytes))
    }
}

/// How models of one type are kept by their columns.
#[derive(Debug)]
struct ByColumns<M> {
    shape: fn() -> u64,
    encode: fn(&[M]) -> Result<Vec<u8>, Error>,
    decode: fn(&[u8]) -> Result<Vec<M>, Error>,
}

impl<M> Clone for ByColumns<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for ByColumns<M> {}

/// By the type of the model: a [`ByColumns`]. A selector does not say of which entity its items are, if of any.
type Models = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

static MODELS: LazyLock<RwLock<Models>> = LazyLock::new(RwLock::default);

/// Notes the model of an entity, whose columns are known here.
pub(crate) fn register<E>()
where
    E: EntityTrait<Model: 'static, ActiveModel: TryIntoModel<E::Model>>,
{
    let model = TypeId::of::<E::Model>();
    if MODELS.read().unwrap_or_else(PoisonError::into_inner).contains_key(&model) {
        return;
    }
    let by_columns = ByColumns::<E::Model> {
        shape: codec::shape::<E::Model, Whole<E>>,
        encode: codec::encode::<E::Model, Whole<E>>,
        decode: codec::decode::<E::Model, Whole<E>>,
    };
    let mut models = MODELS.write().unwrap_or_else(PoisonError::into_inner);
    models.insert(model, Box::new(by_columns));
}

fn by_columns<M: 'static>() -> Option<ByColumns<M>> {
    let models = MODELS.read().unwrap_or_else(PoisonError::into_inner);
    models.get(&TypeId::of::<M>())?.downcast_ref().copied()
}

/// The error of a value that does not come back as it was. The handle warns of it once for each type.
pub(crate) fn lossy<T>() -> Error {
    let kind = type_name::<T>();
    let text = format!(
        "a value of type {kind} is another when it is decoded: a field is hidden from serde, or it is not equal to \
         itself; a model is kept by its columns if its entity is registered with Connector::model"
    );
    Error::new(ErrorKind::Encode, text)
}
