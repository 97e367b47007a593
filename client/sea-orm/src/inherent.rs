//! What SeaORM's connections offer beside their traits, on ours.

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, IsolationLevel, Schema,
    SchemaBuilder, TransactionError, TransactionTrait,
};

use crate::confirmed::confirmed;
use crate::connection::CachedConn;
use crate::transaction::CachedTxn;
use cacheops::Changes;

macro_rules! of_both {
    ($type:ty) => {
        impl $type {
            /// Which database it is.
            pub fn get_database_backend(&self) -> DbBackend {
                ConnectionTrait::get_database_backend(self)
            }

            /// A builder of tables for the database. Give it this connection, and the cache sees what it creates.
            pub fn get_schema_builder(&self) -> SchemaBuilder {
                Schema::new(self.get_database_backend()).builder()
            }

            /// A builder of tables for all entities of a module.
            #[cfg(feature = "entity-registry")]
            pub fn get_schema_registry(&self, prefix: &str) -> SchemaBuilder {
                let schema = Schema::new(self.get_database_backend());
                sea_orm::EntityRegistry::build_schema(schema, prefix)
            }

            /// Calls an async closure with a transaction, which is committed if the closure succeeds.
            ///
            /// # Errors
            ///
            /// Those of the closure, and of begin, commit and rollback.
            pub async fn transaction_async<F, T, E>(
                &self,
                callback: F,
            ) -> Result<T, TransactionError<E>>
            where
                F: for<'c> AsyncFnOnce(&'c CachedTxn) -> Result<T, E> + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                let transaction = self.begin().await.map_err(TransactionError::Connection)?;
                let result = callback(&transaction).await;
                transaction.end(result).await
            }

            /// The same with an isolation level or access mode.
            ///
            /// # Errors
            ///
            /// As [`transaction_async`](Self::transaction_async).
            pub async fn transaction_with_config_async<F, T, E>(
                &self,
                callback: F,
                isolation_level: Option<IsolationLevel>,
                access_mode: Option<AccessMode>,
            ) -> Result<T, TransactionError<E>>
            where
                F: for<'c> AsyncFnOnce(&'c CachedTxn) -> Result<T, E> + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                let begun = self.begin_with_config(isolation_level, access_mode).await;
                let transaction = begun.map_err(TransactionError::Connection)?;
                let result = callback(&transaction).await;
                transaction.end(result).await
            }
        }

        #[cfg(feature = "schema-sync")]
        #[async_trait::async_trait]
        impl sea_schema::Connection for $type {
            async fn query_all(
                &self,
                select: sea_orm::sea_query::SelectStatement,
            ) -> Result<Vec<sea_schema::sqlx_types::SqlxRow>, sea_orm::SqlxError> {
                sea_schema::Connection::query_all(self.plain(), select).await
            }

            async fn query_all_raw(
                &self,
                sql: String,
            ) -> Result<Vec<sea_schema::sqlx_types::SqlxRow>, sea_orm::SqlxError> {
                sea_schema::Connection::query_all_raw(self.plain(), sql).await
            }
        }
    };
}

of_both!(CachedConn);
of_both!(CachedTxn);

impl CachedConn {
    #[cfg(feature = "schema-sync")]
    fn plain(&self) -> &DatabaseConnection {
        self.inner()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn ping(&self) -> Result<(), DbErr> {
        self.inner().ping().await
    }

    /// Closes the pool, of all clones too. Invalidations that the cache has not confirmed are waited for with
    /// [`settled`](crate::Cacheops::settled).
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn close(self) -> Result<(), DbErr> {
        self.close_by_ref().await
    }

    /// The same for a connection that is borrowed.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn close_by_ref(&self) -> Result<(), DbErr> {
        self.inner().close_by_ref().await
    }

    /// The pool below. The cache does not see what is written through it.
    ///
    /// # Panics
    ///
    /// If the database is not SQLite.
    #[cfg(feature = "sqlx-sqlite")]
    pub fn get_sqlite_connection_pool(&self) -> &sea_orm::sqlx::SqlitePool {
        self.inner().get_sqlite_connection_pool()
    }

    /// The pool below. The cache does not see what is written through it.
    ///
    /// # Panics
    ///
    /// If the database is not PostgreSQL.
    #[cfg(feature = "sqlx-postgres")]
    pub fn get_postgres_connection_pool(&self) -> &sea_orm::sqlx::PgPool {
        self.inner().get_postgres_connection_pool()
    }

    /// The pool below. The cache does not see what is written through it.
    ///
    /// # Panics
    ///
    /// If the database is not MySQL.
    #[cfg(feature = "sqlx-mysql")]
    pub fn get_mysql_connection_pool(&self) -> &sea_orm::sqlx::MySqlPool {
        self.inner().get_mysql_connection_pool()
    }

    /// Calls an async closure with SeaORM's own connection, for what takes no other: migrations, `DatabaseExecutor`.
    /// Nobody sees what it writes, so afterwards all results are invalidated, also if it fails.
    ///
    /// ```no_run
    /// # use cacheops_sea_orm::CachedConn; use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
    /// # struct Migrator; impl Migrator { async fn up(_: &DatabaseConnection, _: Option<u32>) -> Result<(), DbErr> { Ok(()) } }
    /// # async fn run(db: CachedConn) -> Result<(), DbErr> {
    /// db.unseen(async |plain| Migrator::up(plain, None).await).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the closure; in strict mode an invalidation that the server did not confirm.
    pub async fn unseen<T>(
        &self,
        work: impl AsyncFnOnce(&DatabaseConnection) -> Result<T, DbErr>,
    ) -> Result<T, DbErr> {
        // If this future is dropped, the invalidation is sent all the same.
        let pending = self.cacheops().pending(Changes::everything());
        let result = work(self.inner()).await;
        let sent = confirmed(pending.send().await);
        result.and_then(|value| sent.map(|()| value))
    }
}

impl CachedTxn {
    /// Commits the transaction, and invalidates what it has changed. A savepoint becomes a part of the transaction
    /// around it.
    ///
    /// # Errors
    ///
    /// Those of the database; in strict mode an invalidation that the server did not confirm.
    pub async fn commit(self) -> Result<(), DbErr> {
        sea_orm::TransactionSession::commit(self).await
    }

    /// Takes back what the transaction or savepoint has written.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn rollback(self) -> Result<(), DbErr> {
        sea_orm::TransactionSession::rollback(self).await
    }
}
