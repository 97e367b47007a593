//! A real database, spoken to in plain text: one statement there, texts back.
//!
//! Values are written into the statement with their types (`'5'::int8`), so a test sends the same constants as a program
//! that binds them, and hundreds of comparisons cost no more than their round trips.

use sqlx::{AssertSqlSafe, Connection as _, Decode, Row as _, ValueRef as _};

/// A MariaDB server, with `CACHEOPS_MARIADB=1` only.
pub fn mariadb() -> Option<support::MariaDb> {
    if std::env::var_os("CACHEOPS_MARIADB").is_none() {
        eprintln!("SKIPPED: no CACHEOPS_MARIADB=1");
        return None;
    }
    Some(support::MariaDb::start())
}

/// A connection and the runtime that drives it.
pub struct Live {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

enum Connection {
    Postgres(sqlx::PgConnection),
    MySql(sqlx::MySqlConnection),
}

/// A row: per column its text, or NULL.
pub type Texts = Vec<Option<String>>;

macro_rules! texts {
    ($rows:expr, $database:ty, |$value:ident| $text:expr) => {{
        let rows = $rows.map_err(|error| error.to_string())?;
        let text = |$value: <$database as sqlx::Database>::ValueRef<'_>| $text.expect("text");
        Ok(rows
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|at| {
                        let value = row.try_get_raw(at).expect("a column");
                        (!value.is_null()).then(|| text(value))
                    })
                    .collect()
            })
            .collect())
    }};
}

impl Live {
    /// Connects to the URL of a PostgreSQL, MySQL or MariaDB server.
    pub fn connect(url: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(async {
            if url.starts_with("postgres") {
                Connection::Postgres(sqlx::PgConnection::connect(url).await.expect("a connection"))
            } else {
                Connection::MySql(sqlx::MySqlConnection::connect(url).await.expect("a connection"))
            }
        });
        Self { runtime, connection }
    }

    /// The rows of a statement, or why the database refuses it.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Texts>, String> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &mut self.connection {
            Connection::Postgres(connection) => {
                let rows = self.runtime.block_on(sql.fetch_all(connection));
                texts!(rows, sqlx::Postgres, |value| value.as_str().map(str::to_owned))
            }
            Connection::MySql(connection) => {
                let rows = self.runtime.block_on(sql.fetch_all(connection));
                texts!(rows, sqlx::MySql, |value| <&[u8] as Decode<sqlx::MySql>>::decode(value)
                    .map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
            }
        }
    }

    /// Runs statements that must succeed.
    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.query(sql).unwrap_or_else(|error| panic!("{error} in {sql}"));
    }
}
