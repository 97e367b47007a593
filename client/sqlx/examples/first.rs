//! The first program of docs/sqlx.md: a table, a cached query, a write.
//!
//! `REDIS_URL=redis://127.0.0.1:6379/ cargo run -p cacheops-sqlx --example first`; that server has loaded the module.

use cacheops_sqlx::{Cache, Cacheops, Connect};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqlitePoolOptions;

#[derive(Debug, PartialEq, sqlx::FromRow, Serialize, Deserialize)]
struct Post {
    id: i64,
    topic: String,
    title: String,
}

const TABLE: &str =
    "CREATE TABLE post (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, title TEXT NOT NULL)";
const INSERT: &str = "INSERT INTO post (topic, title) VALUES ($1, $2)";
const SELECT: &str = "SELECT id, topic, title FROM post WHERE topic = $1";
const UPDATE: &str = "UPDATE post SET title = $1 WHERE id = $2";

/// Reads twice, writes, and reads again.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let co = Cacheops::connect(std::env::var("REDIS_URL")?).await?;
    let plain = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query(TABLE).execute(&plain).await?;
    let db = co.pool(plain); // the one change

    sqlx::query(INSERT).bind("rust").bind("One").execute(&db).await?;

    let about_rust = || sqlx::query_as::<_, Post>(SELECT).bind("rust").cached().fetch_all(&db);
    println!("{:?}", about_rust().await?); // from the database
    println!("{:?}", about_rust().await?); // from the cache

    sqlx::query(UPDATE).bind("Two").bind(1).execute(&db).await?; // invalidates the results that depend on the row
    println!("{:?}", about_rust().await?); // from the database again

    let seen = co.stats();
    println!("{} hit, {} misses, {} link cut", seen.hits, seen.misses, seen.links_cut);
    Ok(())
}
