//! What a cached read runs on.

use cacheops_adapter::{Session, write, write_in};
use cacheops_sql::Template;
use sqlx::Error;

use crate::database::{CachedDatabase, Target};
use crate::driver::SqlxDriver;
use crate::error::failed;
use crate::statement::Captured;

/// What cached reads run on: `&CachedPool` and `&mut CachedTx`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no pool or transaction with the cache",
    label = "cached reads need a `&CachedPool` or `&mut CachedTx`",
    note = "wrap the pool once, where the program opens it: `let db = co.pool(pool);` with `use cacheops_sqlx::Connect;`, \
            and begin transactions on `db`"
)]
pub trait Source<'c>: Send {
    /// The database.
    type Database: CachedDatabase;

    /// The parts of it.
    #[doc(hidden)]
    fn parts(self) -> Parts<'c, Self::Database>;
}

/// The parts of a pool or transaction.
pub struct Parts<'c, DB: CachedDatabase> {
    pub(crate) session: Session<'c>,
    pub(crate) target: Target<'c, DB>,
}

impl<'c, DB: CachedDatabase> Parts<'c, DB> {
    pub(crate) fn driver(self) -> (Session<'c>, SqlxDriver<'c, DB>) {
        (self.session, SqlxDriver::new(self.target))
    }

    /// Runs what is not a read behind `.cached()`, for its rows.
    pub(crate) async fn write(
        self,
        template: &Template,
        statement: Captured<DB>,
    ) -> Result<Vec<DB::Row>, Error> {
        let (session, mut driver) = self.driver();
        let ran = match session.state {
            Some(state) => write_in(session, state, &mut driver, template, &statement).await,
            None => write(session, driver, template, &statement).await,
        };
        Ok(ran.map_err(failed)?.rows)
    }
}
