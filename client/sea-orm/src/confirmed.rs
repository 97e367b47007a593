//! A write that has taken effect, and of which the cache has not confirmed the invalidation.

use cacheops::{Error, Invalidated};
use cacheops_adapter::WriteError;
use sea_orm::{DbErr, TransactionError};

/// What such an error begins with. SeaORM's errors have no variant for it.
const WRITTEN: &str = "written, but not confirmed by the cache: ";

/// The outcome of an invalidation, as one of the write. An unconfirmed one is an error in strict mode only.
pub(crate) fn confirmed(sent: Result<Invalidated, Error>) -> Result<(), DbErr> {
    sent.map(drop).map_err(unconfirmed)
}

/// The error of a write that has taken effect.
pub(crate) fn unconfirmed(error: Error) -> DbErr {
    DbErr::Custom(format!("{WRITTEN}{error}"))
}

/// The error of a write, as SeaORM's.
pub(crate) fn failed(error: WriteError<DbErr>) -> DbErr {
    error.into_error(unconfirmed)
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
