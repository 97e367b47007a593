//! What a handle is told once: names of its keys, and the times of its locks.

use std::fmt;
use std::time::Duration;

use crate::Deps;

/// How long a lock is held and waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LockTimes {
    pub(crate) hold: Duration,
    pub(crate) wait: Duration,
}

type Prefix = dyn Fn(&Deps) -> String + Send + Sync;

/// What stands before every key.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) namespace: String,
    pub(crate) prefix: Option<Box<Prefix>>,
}

impl Names {
    pub(crate) fn full(&self, key: &[u8], deps: &Deps) -> Vec<u8> {
        let prefix = self.prefix.as_ref().map(|prefix| prefix(deps)).unwrap_or_default();
        let mut full = Vec::with_capacity(prefix.len() + self.namespace.len() + key.len() + 1);
        full.extend_from_slice(prefix.as_bytes());
        full.extend_from_slice(self.namespace.as_bytes());
        full.push(b':');
        full.extend_from_slice(key);
        full
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({:?})", self.namespace)
    }
}
