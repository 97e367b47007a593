//! What a cached read runs on: a connection, or a transaction in it.

use std::pin::Pin;

use cacheops_adapter::Session;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::driver::{Connection, SeaDriver};
use crate::run::{Ran, Run};

/// A connection through which cached reads can be made: [`CachedConn`](crate::CachedConn),
/// [`CachedTxn`](crate::CachedTxn), and the [`Recorder`](crate::Recorder) of a block; no other. A function that takes
/// `&impl Source` can be called with all of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a connection without the cache",
    label = "cached reads need a `CachedConn` or `CachedTxn`",
    note = "wrap the connection once, where the program opens it: `let db = co.connect(connection);` with \
            `use cacheops_sea_orm::Connect;`, and begin transactions on `db`"
)]
pub trait Source: ConnectionTrait {
    /// SeaORM's connection.
    #[doc(hidden)]
    type Inner: Connection;

    /// The parts of it.
    #[doc(hidden)]
    fn context(&self) -> Context<'_, Self::Inner>;
}

/// The parts that a read needs.
pub struct Context<'a, C> {
    pub(crate) session: Session<'a>,
    pub(crate) connection: &'a C,
    pub(crate) backend: DbBackend,
    /// What runs statements that are not reads; none if they are refused.
    pub(crate) writer: Option<&'a dyn Writer>,
}

/// A connection or transaction that runs statements of any kind.
pub(crate) trait Writer: Sync {
    /// Runs a statement as without `.cache()`.
    fn write<'s>(&'s self, run: Run) -> Writing<'s>;
}

pub(crate) type Writing<'s> = Pin<Box<dyn Future<Output = Result<Ran, DbErr>> + Send + 's>>;

impl<C> Clone for Context<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Context<'_, C> {}

impl<'a, C: Connection> Context<'a, C> {
    pub(crate) fn driver(&self) -> SeaDriver<'a, C> {
        SeaDriver::new(self.connection, self.backend)
    }

    /// Runs what is not a read, as without `.cache()`.
    pub(crate) async fn write(&self, run: Run) -> Result<Ran, DbErr> {
        match self.writer {
            Some(writer) => writer.write(run).await,
            None => Err(DbErr::Custom("a block of reads must not write".into())),
        }
    }
}
