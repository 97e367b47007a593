//! A write that has taken effect, and of which the cache has not confirmed the invalidation.

use cacheops::{Error, Invalidated};
use sea_orm::{DbErr, TransactionError};

/// What such an error begins with. SeaORM's errors have no variant for it.
const WRITTEN: &str = "written, but not confirmed by the cache: ";

/// An invalidation that was not confirmed is an error of the write in strict mode only.
pub(crate) fn told(outcome: Result<Invalidated, Error>) -> Result<(), DbErr> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(DbErr::Custom(format!("{WRITTEN}{error}"))),
    }
}

/// Whether an error leaves the write undone. With [`strict`](cacheops::Builder::strict), a write or commit whose
/// invalidation the server did not confirm is an error, but it has taken effect: it must not be repeated.
///
/// ```
/// use cacheops_sea_orm::Unconfirmed;
/// # use sea_orm::DbErr;
/// # fn report(_: &DbErr) {}
/// # fn handle(result: Result<(), DbErr>) -> Result<(), DbErr> {
/// match result {
///     Err(error) if error.is_unconfirmed() => report(&error), // written; the invalidation is sent once the server answers
///     result => return result,
/// }
/// # Ok(()) }
/// # assert!(handle(Err(DbErr::Custom("no".into()))).is_err());
/// ```
pub trait Unconfirmed {
    /// True if it was written, and only the cache has not confirmed.
    fn is_unconfirmed(&self) -> bool;
}

impl Unconfirmed for DbErr {
    fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Custom(text) if text.starts_with(WRITTEN))
    }
}

impl<E> Unconfirmed for TransactionError<E> {
    fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_unconfirmed())
    }
}
