//! Which database a connection leads to, as the keys of its results name it.
//!
//! Two connections share results if their names are equal, so a name holds all that decides which rows a statement sees
//! and how they are written: server, database, user, and settings of the session. It also holds what changes when a
//! database is deleted and created again under its old name: the file's inode and birth time, PostgreSQL's system
//! identifier and the database's OID, the age of MySQL's tables.
//!
//! The database is queried for it once, before the first cached read. Where the answer is incomplete, nothing is cached.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement};

use crate::run::Run;

/// The name of a connection's database.
pub(crate) struct Identity {
    /// What is known without a query.
    base: String,
    /// The whole name, for which the database is queried; none if the base is the whole. Nobody waits for another's
    /// query, who may wait for a connection of the pool.
    whole: Option<OnceLock<String>>,
    warned: AtomicBool,
}

impl Identity {
    /// A name that the application has chosen.
    pub(crate) fn named(base: String) -> Self {
        Self { base, whole: None, warned: AtomicBool::new(false) }
    }

    /// What the driver tells of a connection, and then the database; a name of its own where the driver is not known.
    pub(crate) fn of(connection: &DatabaseConnection) -> Self {
        match address(connection) {
            Some(base) => {
                Self { base, whole: Some(OnceLock::new()), warned: AtomicBool::new(false) }
            }
            None => Self::named(unique()),
        }
    }

    /// As far as it is known without a query: for people.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The name, if no query is needed for it.
    pub(crate) fn known(&self) -> Option<&str> {
        self.whole.as_ref().map_or(Some(&self.base), |whole| whole.get().map(String::as_str))
    }

    /// The name. None, and nothing must be cached, if the database does not say which it is.
    pub(crate) async fn ask<C: ConnectionTrait>(&self, connection: &C) -> Option<&str> {
        let Some(whole) = &self.whole else { return Some(&self.base) };
        match mark(connection).await {
            Ok(mark) => Some(whole.get_or_init(|| format!("{}?{mark}", self.base))),
            Err(error) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        exception.message = %error,
                        "cacheops: nothing is cached, since it is not known which database this is; \
                         Connector::name gives it a name"
                    );
                }
                None
            }
        }
    }
}

/// Where a connection leads, as far as its driver tells.
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

/// What the database says of itself and of the session.
async fn mark<C: ConnectionTrait>(connection: &C) -> Result<String, DbErr> {
    match connection.get_database_backend() {
        DbBackend::Postgres => postgres(connection).await,
        DbBackend::MySql => mysql(connection).await,
        _ => sqlite(connection).await,
    }
}

async fn row<C: ConnectionTrait>(connection: &C, sql: &str) -> Result<QueryResult, DbErr> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = Run::Query(statement).on(connection).await?.into_rows();
    let first = rows.into_iter().next();
    first.ok_or_else(|| DbErr::RecordNotFound("a query that always has a row has none".into()))
}

/// No error must come of these in a transaction, which it would end: only catalogues are read, and functions that are
/// there and may be called.
const POSTGRES: &str = "
    SELECT concat_ws('|', oid, current_user, session_user, current_setting('search_path'),
        (SELECT string_agg(name || '=' || setting, ',' ORDER BY name) FROM pg_catalog.pg_settings
            WHERE name IN ('TimeZone', 'DateStyle', 'IntervalStyle', 'lc_monetary', 'lc_numeric', 'lc_time',
                'bytea_output', 'extra_float_digits', 'row_security', 'default_text_search_config',
                'standard_conforming_strings', 'xmloption', 'xmlbinary', 'array_nulls'))),
        coalesce((SELECT bool_and(has_function_privilege(oid, 'EXECUTE')) FROM pg_catalog.pg_proc
            WHERE proname = 'pg_control_system'), false)
    FROM pg_catalog.pg_database WHERE datname = current_database()";

async fn postgres<C: ConnectionTrait>(connection: &C) -> Result<String, DbErr> {
    let session = row(connection, POSTGRES).await?;
    // An identifier is for ever, the time of a start for as long as the server runs.
    let server = match session.try_get_by_index(1)? {
        true => "SELECT system_identifier::text FROM pg_catalog.pg_control_system()",
        false => "SELECT pg_catalog.pg_postmaster_start_time()::text",
    };
    let server: String = row(connection, server).await?.try_get_by_index(0)?;
    let session: String = session.try_get_by_index(0)?;
    Ok(format!("{server}|{session}"))
}

/// MySQL gives a database no identity, but its oldest table has a birth time.
const MYSQL: &str = "
    SELECT CONVERT(CONCAT_WS('|', @@hostname, @@port, USER(), CURRENT_USER(), @@session.time_zone,
        @@session.sql_mode, @@session.collation_connection, @@session.character_set_results) USING utf8mb4),
        CAST((SELECT MIN(create_time) FROM information_schema.tables
            WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE') AS CHAR)";

async fn mysql<C: ConnectionTrait>(connection: &C) -> Result<String, DbErr> {
    let row = row(connection, MYSQL).await?;
    let session: String = row.try_get_by_index(0)?;
    let born: Option<String> = row.try_get_by_index(1)?;
    let born = born.ok_or_else(|| DbErr::Custom("no table of the database can be seen".into()))?;
    Ok(format!("{born}|{session}"))
}

/// A database in memory has no file, and no other process reads it.
async fn sqlite<C: ConnectionTrait>(connection: &C) -> Result<String, DbErr> {
    let sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    let file: Option<String> = row(connection, sql).await?.try_get_by_index(0)?;
    match file.filter(|file| !file.is_empty()) {
        Some(file) => file_mark(Path::new(&file))
            .map_err(|error| DbErr::Custom(format!("the file {file} has no identity: {error}"))),
        None => Ok(unique()),
    }
}

/// A file's path, and what another file of that path does not have.
fn file_mark(file: &Path) -> std::io::Result<String> {
    let path = file.canonicalize()?;
    let metadata = path.metadata()?;
    let born = metadata.created()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    #[cfg(unix)]
    let place = {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    };
    #[cfg(not(unix))]
    let place = (0, 0);
    Ok(format!("{}|{}:{}:{}", path.display(), place.0, place.1, born.as_nanos()))
}

/// A name that no other connection has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("unnamed:{}:{}:{number}", std::process::id(), now.as_nanos())
}
