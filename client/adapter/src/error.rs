//! The error of a write.

use std::fmt;

use cacheops::Invalidated;

/// Why a write or a commit failed.
#[derive(Debug)]
pub enum WriteError<E> {
    /// The database failed. What the write did, if anything, is what the database says.
    Database(E),
    /// The write has taken effect, and the server has not confirmed its invalidation, which in
    /// [`strict`](cacheops::Builder::strict) mode is an error. The invalidation is sent again once the server answers;
    /// the write must not be repeated.
    Unconfirmed(cacheops::Error),
}

impl<E> WriteError<E> {
    /// The error as the ORM's, with a function for the second kind.
    pub fn into_error(self, unconfirmed: impl FnOnce(cacheops::Error) -> E) -> E {
        match self {
            Self::Database(error) => error,
            Self::Unconfirmed(error) => unconfirmed(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for WriteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Unconfirmed(error) => {
                write!(f, "written, but not confirmed by the cache: {error}")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for WriteError<E> {}

/// The outcome of an invalidation, as one of the write.
pub(crate) fn confirmed<E>(
    sent: Result<Invalidated, cacheops::Error>,
) -> Result<(), WriteError<E>> {
    sent.map(drop).map_err(WriteError::Unconfirmed)
}
