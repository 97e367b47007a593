//! A bookshop on SeaORM and SQLite, its queries cached by the module on a real server, and every answer of the cache
//! compared with the database's.
//!
//! `cacheops-demo path/to/libcacheops.so [server] [--short]`; the server is `redis-server` unless named. It starts a
//! server of its own and ends it, leaves no file, and exits with 1 at the first mismatch.

#![forbid(unsafe_code)]

mod crowd;
mod entities;
mod page;
mod question;
mod random;
mod server;
mod shop;
mod story;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::page::Page;
use crate::server::Server;

/// Whatever ends the show early, as text for a person.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let page = Page::new();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n   {} {failure}", page.bad("FAILED"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let mut args: Vec<_> = env::args().skip(1).collect();
    let short = args.iter().any(|arg| arg == "--short");
    args.retain(|arg| arg != "--short");
    let mut args = args.into_iter();
    let module: PathBuf =
        args.next().ok_or("usage: cacheops-demo MODULE [SERVER] [--short]")?.into();
    let program = args.next().unwrap_or("redis-server".to_owned());
    let module = module.canonicalize().map_err(|error| format!("{}: {error}", module.display()))?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut server = Server::start(&program, &module).await?;
    // The server ends with this function, however it is left.
    tokio::select! {
        told = story::tell(&mut server, short) => told,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}
