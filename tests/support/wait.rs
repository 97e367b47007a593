//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long a test waits for what must happen before it fails. Generous: a shared machine may be slow, and a wrapper
/// such as valgrind makes it slower still.
pub fn deadline() -> Duration {
    Duration::from_secs(if std::env::var_os("CACHEOPS_WRAPPER").is_some() { 600 } else { 30 })
}

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

/// Waits up to [`deadline`] for `condition`, and panics with `what` if it never holds.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    let deadline = deadline();
    assert!(wait_until(deadline, condition), "not within {deadline:?}: {what}");
}
