//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long a test waits for what must happen before it fails. Generous: a shared machine may be slow.
pub const DEADLINE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(2);

/// Polls `condition` until it holds or `deadline` has passed, and tells which.
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits up to [`DEADLINE`] for `condition`, and panics with `what` if it never holds.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_until(DEADLINE, condition), "not within {DEADLINE:?}: {what}");
}
