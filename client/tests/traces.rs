//! Spans and events: what they are called and say, and what they never say.
//!
//! Alone in its process: whether a span is of interest is remembered for all threads, and one that nobody listened to at the
//! wrong moment would stay unheard.

use std::convert::Infallible;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

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
        self.line(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn spans_name_the_table_and_never_a_value() {
    let server = Server::start();
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
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
            .get_or_store(|| async { Ok::<_, Infallible>(mail.to_owned()) })
            .await
            .unwrap();
    }
    cacheops.invalidate(Changes::row("account", &Row::new().set("mail", mail))).await.unwrap();
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
