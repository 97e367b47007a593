//! A write that has taken effect, and of which the cache has not confirmed the invalidation.

use std::fmt;

use cacheops_adapter::WriteError;
use sqlx::Error;

/// An invalidation that was not confirmed, inside of [`sqlx::Error::AnyDriverError`].
#[derive(Debug)]
struct NotConfirmed(cacheops::Error);

impl fmt::Display for NotConfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "written, but not confirmed by the cache: {}", self.0)
    }
}

impl std::error::Error for NotConfirmed {}

/// An unconfirmed invalidation is an error of the write in strict mode only.
pub(crate) fn failed(error: WriteError<Error>) -> Error {
    error.into_error(|error| Error::AnyDriverError(Box::new(NotConfirmed(error))))
}

/// The error for a cache that did not confirm an invalidation by hand.
pub(crate) fn confirmed(sent: Result<cacheops::Invalidated, cacheops::Error>) -> Result<(), Error> {
    sent.map(drop).map_err(|error| failed(WriteError::Unconfirmed(error)))
}

/// Whether an error leaves the write undone. With [`strict`](cacheops::Builder::strict), a write or commit whose
/// invalidation the server did not confirm is an error, but it has taken effect: it must not be repeated.
pub trait Unconfirmed {
    /// True if it was written, and only the cache has not confirmed.
    fn is_unconfirmed(&self) -> bool;
}

impl Unconfirmed for Error {
    fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::AnyDriverError(error) if error.is::<NotConfirmed>())
    }
}
