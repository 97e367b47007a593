//! What a run of a test is told by the environment.

/// The number in a variable, if it is set: seconds of a longer run, a seed to repeat.
///
/// # Panics
///
/// If it is set to something else: what is meant to be a long run must not be a short one.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}
