//! The README's lines for Rust, compiled and run.

use std::convert::Infallible;
use std::time::Duration;

use cacheops::{Cacheops, Changes, Condition, Row};
use support::Server;

/// Stands for the database.
async fn query(_sql: &str) -> Result<Vec<String>, Infallible> {
    Ok(vec!["a title".to_owned()])
}

#[tokio::test]
async fn the_lines_for_rust_do_what_they_say() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let cacheops = Cacheops::connect(url).await?;

    // Read: from the cache, or from the database and then into the cache.
    let titles: Vec<String> = cacheops
        .read("titles:author:7")
        .on("post", Condition::all().term("author", 7).null("deleted_at"))
        .timeout(Duration::from_secs(3600))
        .get_or_load(|| query("SELECT title FROM post WHERE author = 7 AND deleted_at IS NULL"))
        .await?;

    // Write: change the row in the database, then send its old and new values.
    let post = Row::new().set("id", 43).null("deleted_at");
    let mut changes = Changes::new();
    changes.add_change("post", post.clone().set("author", 9), post.set("author", 7));
    cacheops.invalidate(changes).await?;

    assert_eq!(titles, ["a title"]);
    assert_eq!(cacheops.stats().links_cut, 1);
    Ok(())
}

#[test]
fn the_readme_shows_these_lines() {
    let section = include_str!("../../../README.md").split("## From Rust\n").nth(1).unwrap();
    let shown = section.split("```rust\n").nth(1).unwrap();
    let shown = shown.split("```").next().unwrap().replace("\"redis://127.0.0.1/\"", "url");
    let mut source = include_str!("readme.rs").lines().map(str::trim);

    for line in shown.lines().map(str::trim) {
        assert!(source.any(|own| own == line), "{line}");
    }
}
