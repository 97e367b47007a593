//! Which database a connection leads to, as the keys of its results name it.
//!
//! Two connections share results if their names are equal, so a name holds all that decides which rows a statement sees
//! and how they are written: server, database, user, and settings of the session. It also holds what changes when a
//! database is deleted and created again under its old name: the file's inode and birth time, PostgreSQL's system
//! identifier and the database's OID, the age of MySQL's tables.
//!
//! The database is queried for it once, before the first cached read. Where the answer is incomplete, nothing is cached.

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cacheops_sql::{Dialect, Value};

use crate::driver::{Bind, Driver};

/// The name of a connection's database.
#[derive(Debug)]
pub struct Identity {
    /// What is known without a query.
    base: String,
    /// The whole name, for which the database is queried; none if the base is the whole. No reader waits for the query of
    /// another one, which may wait for a connection of the pool.
    whole: Option<OnceLock<String>>,
    warned: AtomicBool,
}

impl Identity {
    /// A name that the application has chosen.
    pub fn named(name: impl Into<String>) -> Self {
        Self { base: name.into(), whole: None, warned: AtomicBool::new(false) }
    }

    /// What the driver says of a connection, such as user, host, port and database. The rest is queried.
    pub fn at(address: impl Into<String>) -> Self {
        Self { whole: Some(OnceLock::new()), ..Self::named(address) }
    }

    /// A name that no other connection has.
    pub fn unique() -> Self {
        Self::named(unique())
    }

    /// What is known of it without a query, for people.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The name, if no query is needed for it.
    pub(crate) fn known(&self) -> Option<&str> {
        self.whole.as_ref().map_or(Some(&self.base), |whole| whole.get().map(String::as_str))
    }

    /// The name. None, and nothing must be cached, if the database does not say which it is.
    pub(crate) async fn query<D: Driver>(&self, driver: &mut D, dialect: Dialect) -> Option<&str> {
        let Some(whole) = &self.whole else { return Some(&self.base) };
        let rest = match dialect {
            Dialect::Postgres => postgres(driver).await,
            Dialect::MySql => mysql(driver).await,
            _ => sqlite(driver).await,
        };
        match rest {
            Ok(rest) => Some(whole.get_or_init(|| format!("{}?{rest}", self.base))),
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

async fn postgres<D: Driver>(driver: &mut D) -> Result<String, String> {
    let session = row(driver, POSTGRES).await?;
    // An identifier is for ever, the time of a start for as long as the server runs.
    let server = match flag(&session, 1) {
        true => "SELECT system_identifier::text FROM pg_catalog.pg_control_system()",
        false => "SELECT pg_catalog.pg_postmaster_start_time()::text",
    };
    let server = row(driver, server).await?;
    let (server, session) = (text(&server, 0), text(&session, 0));
    server
        .zip(session)
        .map(|(server, session)| format!("{server}|{session}"))
        .ok_or_else(unreadable)
}

/// MySQL gives a database no identity, but its oldest table has a birth time.
const MYSQL: &str = "
    SELECT CONVERT(CONCAT_WS('|', @@hostname, @@port, USER(), CURRENT_USER(), @@session.time_zone,
        @@session.sql_mode, @@session.collation_connection, @@session.character_set_results) USING utf8mb4),
        CAST((SELECT MIN(create_time) FROM information_schema.tables
            WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE') AS CHAR)";

async fn mysql<D: Driver>(driver: &mut D) -> Result<String, String> {
    let row = row(driver, MYSQL).await?;
    let session = text(&row, 0).ok_or_else(unreadable)?;
    let born = text(&row, 1).ok_or("no table of the database can be seen")?;
    Ok(format!("{born}|{session}"))
}

/// A database in memory has no file, and no other process reads it.
async fn sqlite<D: Driver>(driver: &mut D) -> Result<String, String> {
    let row = row(driver, "SELECT file FROM pragma_database_list WHERE name = 'main'").await?;
    match text(&row, 0).filter(|file| !file.is_empty()) {
        Some(file) => file_identity(Path::new(&file))
            .map_err(|error| format!("the file {file} has no identity: {error}")),
        None => Ok(unique()),
    }
}

/// The values of the first row of a query that has one.
async fn row<D: Driver>(driver: &mut D, sql: &str) -> Result<Vec<Value<'static>>, String> {
    let rows = driver.query(sql.to_owned(), Bind::Nothing).await;
    let rows = rows.map_err(|error: D::Error| displayed(&error))?;
    let rows = rows.unwrap_or_default();
    let first = rows.first().ok_or("a query that always has a row has none")?;
    Ok(driver.columns(first).into_iter().map(|(_, value)| value).collect())
}

fn displayed(error: &impl Display) -> String {
    error.to_string()
}

fn unreadable() -> String {
    "its answer has another type than expected".to_owned()
}

fn text(row: &[Value<'static>], at: usize) -> Option<String> {
    match row.get(at) {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    }
}

/// Whether a column of a row is true.
pub(crate) fn flag(row: &[Value<'static>], at: usize) -> bool {
    matches!(row.get(at), Some(Value::Bool(true) | Value::Int(1)))
}

/// A file's path, and what another file of that path does not have.
fn file_identity(file: &Path) -> std::io::Result<String> {
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

fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("unnamed:{}:{}:{number}", std::process::id(), now.as_nanos())
}
