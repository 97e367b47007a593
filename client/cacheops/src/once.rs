//! Warnings that are given once, however often their cause occurs.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Of more causes than that, no further ones are remembered or warned of.
const MAX: usize = 1_000;

/// The causes that a handle has warned of.
#[derive(Debug, Default)]
pub struct Once(Mutex<HashSet<String>>);

impl Once {
    /// Whether this cause has not been warned of before.
    pub fn first(&self, cause: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < MAX && !known.contains(cause) && known.insert(cause.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_new_once_and_their_number_is_bounded() {
        let once = Once::default();
        assert!(once.first("a") && !once.first("a") && once.first("b"));

        for cause in 0..2 * MAX {
            once.first(&cause.to_string());
        }
        assert!(!once.first("c"));
    }
}
