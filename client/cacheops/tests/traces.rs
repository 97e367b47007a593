//! Spans and events: what they are called and say, and what they never say.
//!
//! Alone in its process: whether a span is of interest is remembered for all threads, and one that nobody listened to at the
//! wrong moment would stay unheard.

use std::convert::Infallible;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cacheops::{Cacheops, Changes, Condition, Row};
use support::Server;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down everything that this crate tells.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Log {
    fn line(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut log = self.0.lock().unwrap();
        write!(log, "\n{}", metadata.name()).unwrap();
        record(&mut Line(&mut log));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cacheops")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line(event.metadata(), |line| {
            write!(line.0, " {}", event.metadata().level()).unwrap();
            event.record(line);
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Everything that was said in this process.
fn log() -> Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    let install = || {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        log
    };
    LOG.get_or_init(install).clone()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_be_found_is_named_again_while_it_is_away() {
    let log = log();
    let port = support::free_port();
    let url = format!("redis://user:secret@localhost:{port}/1");
    let cacheops = Cacheops::builder(url).build().await.unwrap();
    let said = || {
        let log = log.0.lock().unwrap();
        assert!(!log.contains("secret"), "{log}");
        let about =
            log.lines().filter(|line| line.contains(&format!("redis://localhost:{port}/1")));
        about.filter(|line| line.contains("reads go to the database")).count()
    };
    assert_eq!(said(), 0, "it has been said once, that the program starts without the server");
    assert!(log.0.lock().unwrap().contains("starts without the server"));

    // The clock goes on by itself, as fast as it can.
    tokio::time::timeout(Duration::from_secs(330), cacheops.settled()).await.unwrap_err();

    assert!((3..=6).contains(&said()), "{} times", said());
}

#[tokio::test]
async fn what_keeps_results_out_of_the_cache_is_a_warning_once_for_each_cause() {
    let log = log();
    let server = Server::builder().arg("cacheops.max-value-bytes", "100").start();
    let cacheops = Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .connect_timeout(support::deadline())
        .build()
        .await
        .unwrap();
    let warnings = |cause: &str| {
        let log = log.0.lock().unwrap();
        let lines = log.lines().filter(|line| line.contains(" WARN ") && line.contains(cause));
        lines.filter(|line| line.contains("not cached")).count()
    };

    for key in ["a", "b", "c"] {
        for table in ["large", "larger"] {
            let read = cacheops.read(key).on(table, Condition::all());
            read.get_or_load(|| async { Ok::<_, Infallible>("x".repeat(200)) }).await.unwrap();
        }
        let read = cacheops.read(key).on("table", Condition::all());
        read.get_or_load(|| async { Ok::<_, Infallible>(Lossy { id: 7 }) }).await.unwrap();
    }

    assert_eq!(warnings("cacheops.max-value-bytes"), 2, "one for each table");
    assert_eq!(warnings("Lossy"), 1);
    assert_eq!((cacheops.stats().stores_rejected, cacheops.stats().unencodable), (6, 3));
}

#[tokio::test]
async fn a_server_that_keeps_nothing_new_is_a_warning() {
    let log = log();
    let server = Server::builder().arg("cacheops.max-tables", "1").start();
    let replica = Server::builder().replica_of(&server).start();
    replica.catch_up_with(&server);
    let warnings = |cause: &str| {
        let log = log.0.lock().unwrap();
        log.lines().filter(|line| line.contains(" WARN ") && line.contains(cause)).count()
    };
    let read = async |server: &Server| {
        let cacheops = Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
            .response_timeout(support::deadline())
            .connect_timeout(support::deadline())
            .build()
            .await
            .unwrap();
        for table in ["one", "two", "three"] {
            let read = cacheops.read(table).on(table, Condition::all());
            read.get_or_load(|| async { Ok::<_, Infallible>(1) }).await.unwrap();
        }
        cacheops.stats()
    };

    assert_eq!(read(&server).await.stores_refused, 2);
    let warned = async {
        while warnings("cacheops.max-tables") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(support::deadline(), warned).await.unwrap();
    assert_eq!(warnings("cacheops.max-tables"), 1);

    replica.catch_up_with(&server);
    let stats = read(&replica).await;
    assert_eq!((stats.hits, stats.misses, stats.stores, stats.stores_refused), (1, 2, 0, 0));
    assert_eq!(warnings("is a replica"), 1);
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Lossy {
    #[serde(skip_deserializing)]
    id: i32,
}

#[tokio::test]
async fn spans_name_the_table_and_never_a_value() {
    let server = Server::start();
    let log = log();
    let cacheops = Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .connect_timeout(support::deadline())
        .build()
        .await
        .unwrap();

    let mail = "somebody@example.org";
    for _ in 0..2 {
        cacheops
            .read("user")
            .on("account", Condition::all().term("mail", mail))
            .op("get")
            .get_or_load(|| async { Ok::<_, Infallible>(mail.to_owned()) })
            .await
            .unwrap();
    }
    cacheops.invalidate(Changes::row("account", Row::new().set("mail", mail))).await.unwrap();
    cacheops.invalidate_all().await.unwrap();

    let log = log.0.lock().unwrap();
    for part in [
        "cacheops.read otel.kind=\"client\" db.system.name=\"redis\" db.operation.name=\"CACHEOPS.GET\"",
        "cacheops.op=\"get\" db.collection.name=\"account\"",
        "cacheops.result=\"miss\"",
        "cacheops.result=\"hit\"",
        "cacheops.store",
        "cacheops.invalidate",
        "db.operation.name=\"CACHEOPS.INVALIDATE\" cacheops.rows=1 db.collection.name=\"account\"",
        "cacheops.flush otel.kind=\"client\" db.system.name=\"redis\" db.operation.name=\"CACHEOPS.FLUSH\"",
    ] {
        assert!(log.contains(part), "{part} in: {log}");
    }
    assert!(!log.contains("somebody"), "{log}");
}
