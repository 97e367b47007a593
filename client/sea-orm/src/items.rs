//! Items of types that only the caller knows. Models that were seen before are kept by their columns; everything else goes
//! through serde, which may hide fields (`#[serde(skip_deserializing)]` on a key).

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use cacheops::{Codec, Error};
use cacheops_adapter::{CacheValue, Checked, Columns, Rows, decode_rows, encode_rows, shape_of};

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
            Some(_) => Rows::<()>::NAME,
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

/// Notes a model whose columns `C` knows.
pub(crate) fn register<M: std::fmt::Debug + 'static, C: Columns<M> + 'static>() {
    let model = TypeId::of::<M>();
    if MODELS.read().unwrap_or_else(PoisonError::into_inner).contains_key(&model) {
        return;
    }
    let by_columns = ByColumns::<M> {
        shape: shape_of::<M, C>,
        encode: encode_rows::<M, C>,
        decode: decode_rows::<M, C>,
    };
    let mut models = MODELS.write().unwrap_or_else(PoisonError::into_inner);
    models.insert(model, Box::new(by_columns));
}

fn by_columns<M: 'static>() -> Option<ByColumns<M>> {
    let models = MODELS.read().unwrap_or_else(PoisonError::into_inner);
    models.get(&TypeId::of::<M>())?.downcast_ref().copied()
}
