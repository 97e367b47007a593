//! Where a connection leads, as far as its driver says.

#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-mysql"))]
use std::path::Path;

use cacheops_adapter::Identity;
use sea_orm::DatabaseConnection;

/// The name of a connection's database: the driver's address and what the database says; a unique name where the driver is
/// not known.
pub(crate) fn identity(connection: &DatabaseConnection) -> Identity {
    address(connection).map_or_else(Identity::unique, Identity::at)
}

fn address(connection: &DatabaseConnection) -> Option<String> {
    #[cfg(any(feature = "sqlx-sqlite", feature = "sqlx-postgres", feature = "sqlx-mysql"))]
    use sea_orm::DatabaseConnectionType as Type;
    match &connection.inner {
        #[cfg(feature = "sqlx-sqlite")]
        Type::SqlxSqlitePoolConnection(_) => Some("sqlite".to_owned()),
        #[cfg(feature = "sqlx-postgres")]
        Type::SqlxPostgresPoolConnection(_) => {
            let options = connection.get_postgres_connection_pool().connect_options();
            let place = place(options.get_socket().map(|path| path.as_path()), options.get_host());
            let (port, user) = (options.get_port(), options.get_username());
            let more = options.get_options().unwrap_or_default();
            Some(format!("postgres:{user}@{place}:{port}/{}?{more}", options.get_database()?))
        }
        #[cfg(feature = "sqlx-mysql")]
        Type::SqlxMySqlPoolConnection(_) => {
            let options = connection.get_mysql_connection_pool().connect_options();
            let place = place(options.get_socket().map(|path| path.as_path()), options.get_host());
            let (port, user) = (options.get_port(), options.get_username());
            Some(format!("mysql:{user}@{place}:{port}/{}", options.get_database()?))
        }
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-mysql"))]
fn place(socket: Option<&Path>, host: &str) -> String {
    socket.map_or_else(|| host.to_owned(), |path| path.display().to_string())
}
