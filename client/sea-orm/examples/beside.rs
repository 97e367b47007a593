//! A program that shares a database and a cache with programs in other languages, driven line by line.
//!
//! `read SELECT ..` answers `hit` or `miss` and the rows; `write UPDATE ..` answers `written`. `REDIS_URL` and `DATABASE_URL`
//! say where. The tests of the Django bridge run it beside a Django site.

use std::io::{BufRead, Write};

use cacheops_sea_orm::{Cache, Cacheops, Connect};
use sea_orm::{ConnectionTrait, Database, FromQueryResult, JsonValue, Statement};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let co = Cacheops::connect(std::env::var("REDIS_URL")?).await?;
    let plain = Database::connect(std::env::var("DATABASE_URL")?).await?;
    let backend = plain.get_database_backend();
    let db = co.connect(plain);
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, sql) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match command {
            "read" => {
                let hits = co.stats().hits;
                let statement = Statement::from_string(backend, sql);
                let rows = JsonValue::find_by_statement(statement).cache().all(&db).await?;
                let found = if co.stats().hits > hits { "hit" } else { "miss" };
                format!("{found} {}", JsonValue::from(rows))
            }
            "write" => {
                db.execute_unprepared(sql).await?;
                "written".to_owned()
            }
            other => return Err(format!("not a command: {other}").into()),
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}
