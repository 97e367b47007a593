//! A small blog on axum, SeaORM and a SQLite file, cached on a server with the module.
//!
//! `blog redis://127.0.0.1:6379/ [address]`; `make run-blog` starts a server for it too.

#![forbid(unsafe_code)]

mod app;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cacheops_sea_orm::{Cacheops, Connect};
use sea_orm::Database;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let redis = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6379/".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let file = std::env::temp_dir().join(format!("blog-{}.db", std::process::id()));

    static READS: AtomicU64 = AtomicU64::new(0);
    let co = Cacheops::builder(redis)
        .on_read(|read| {
            let number = READS.fetch_add(1, Ordering::Relaxed) + 1;
            println!("{number:4} {:?} {} {:?}", read.outcome, read.op, read.elapsed);
        })
        .build()
        .await?;
    let connection = Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await?;
    let db = co.connector().model::<app::comment::Entity>().watch_bypass().connect(connection);
    app::create(&db).await?;

    let listener = tokio::net::TcpListener::bind(address).await?;
    let at = listener.local_addr()?;
    println!("the blog is at http://{at}/ : try");
    println!(
        "  curl -d '{{\"topic\":\"rust\",\"title\":\"One\"}}' -H content-type:application/json http://{at}/posts"
    );
    println!("  curl http://{at}/topics/rust    (twice)");
    let ended = axum::serve(listener, app::router(db)).with_graceful_shutdown(async {
        let _ = tokio::signal::ctrl_c().await;
    });
    let result = ended.await;
    let _ = tokio::time::timeout(Duration::from_secs(2), co.settled()).await;
    let _ = std::fs::remove_file(file);
    Ok(result?)
}
