//! `sea_orm` for the tests of SeaORM, in which a connection is a cached one and each of its reads is checked: made
//! through the cache as well, and compared.

pub use real::*;

pub type DatabaseConnection = cacheops_sea_orm::CachedConn;
pub type DbConn = DatabaseConnection;
pub type DatabaseTransaction = cacheops_sea_orm::CachedTxn;
#[cfg(feature = "rbac")]
pub type RestrictedConnection = cacheops_sea_orm::CachedRestricted<DatabaseConnection>;
#[cfg(feature = "rbac")]
pub type RestrictedTransaction = cacheops_sea_orm::CachedRestricted<DatabaseTransaction>;

pub mod entity {
    pub use crate::{DatabaseConnection, DatabaseTransaction, DbConn};
    pub use real::entity::*;

    pub mod prelude {
        pub use crate::{DatabaseConnection, DatabaseTransaction, DbConn};
        pub use real::entity::prelude::*;
    }
}

pub mod prelude {
    pub use crate::entity::prelude::*;
}

/// Opens connections.
pub struct Database;

impl Database {
    pub async fn connect<C: Into<ConnectOptions>>(options: C) -> Result<DatabaseConnection, DbErr> {
        use cacheops_sea_orm::{Cacheops, Connect};
        let plain = real::Database::connect(options).await?;
        let url = std::env::var("CACHEOPS_SUITE_URL").expect("CACHEOPS_SUITE_URL is the server's");
        let co = Cacheops::connect(url).await.map_err(|error| DbErr::Custom(error.to_string()))?;
        let db = co.connector().check_reads().connect(plain);
        // Then the tests must fail.
        let blind = std::env::var_os("CACHEOPS_SUITE_BLIND").is_some();
        Ok(if blind { db.without_invalidation() } else { db })
    }
}
