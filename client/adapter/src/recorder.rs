//! What a block of reads depends on.

use std::sync::{Arc, Mutex, PoisonError};

use cacheops::Deps;

/// The dependencies of all reads of a block, in the making. Clones share them.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Option<Deps>>>);

impl Default for Recorder {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Deps::none()))))
    }
}

impl Recorder {
    /// Adds what a read depends on. None: its result must not be cached, and the block's neither.
    pub fn record(&self, read: Option<Deps>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all = all.take().zip(read).map(|(deps, read)| deps.and_all(read));
    }

    /// All of them. None if the block's result must not be cached.
    pub fn take(&self) -> Option<Deps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
