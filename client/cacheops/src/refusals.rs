//! Stores that the server answers with nil. Mostly their token is too old, which is no fault of anybody; but nil is also
//! the answer where an entry needs another table and the server tracks as many as it may, and then nothing of that table
//! is ever cached. The server counts these, so it is asked for the number once a minute at most, and only after a nil.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);

/// When the server was last asked.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    pub(crate) fn is_due(&self) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.is_none_or(|asked| asked.elapsed() >= PAUSE);
        if due {
            *asked = Some(Instant::now());
        }
        due
    }
}

/// The number in the reply of `INFO cacheops`.
pub(crate) fn refused_for_limits(info: &str) -> u64 {
    let field =
        |line: &str| line.strip_prefix("cacheops_stores_refused_limit:")?.trim().parse().ok();
    info.lines().find_map(field).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_number_of_refusals() {
        let info = "# cacheops\r\ncacheops_tables:3\r\ncacheops_stores_refused_limit:17\r\nx:1\r\n";

        assert_eq!((refused_for_limits(info), refused_for_limits("")), (17, 0));
    }
}
