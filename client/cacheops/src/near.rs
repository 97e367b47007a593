//! Values kept in the process. Each is good only if the server says so, by its version.

use std::sync::Arc;

use crate::Version;

/// A bounded map from keys to values and their versions.
#[derive(Debug)]
pub(crate) struct Near(moka::sync::Cache<Vec<u8>, (Version, Arc<[u8]>)>);

impl Near {
    pub(crate) fn new(bytes: u64) -> Self {
        let weigher = |key: &Vec<u8>, (_, value): &(Version, Arc<[u8]>)| {
            // What the map itself needs for an entry, roughly.
            u32::try_from(key.len() + value.len() + 96).unwrap_or(u32::MAX)
        };
        Self(moka::sync::Cache::builder().max_capacity(bytes).weigher(weigher).build())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<(Version, Arc<[u8]>)> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, key: &[u8], version: Version, value: Arc<[u8]>) {
        self.0.insert(key.to_vec(), (version, value));
    }
}
