//! What a recorder hears. Alone in its process: there is one recorder for all threads.

use std::convert::Infallible;

use cacheops::{Cacheops, Changes, Condition, Row};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use support::Server;

/// Name and labels, with what a counter says, or how often a duration was told.
fn heard(snapshot: metrics_util::debugging::Snapshot) -> Vec<(String, u64)> {
    let mut heard: Vec<_> = snapshot
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let value = match value {
                DebugValue::Counter(count) => count,
                DebugValue::Histogram(values) => values.len() as u64,
                DebugValue::Gauge(_) => unreachable!(),
            };
            (format!("{} {}", key.key().name(), labels.join(" ")), value)
        })
        .collect();
    heard.sort();
    heard
}

#[tokio::test]
async fn reads_and_invalidations_are_counted_by_table() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let server = Server::start();
    let cacheops = Cacheops::builder(format!("redis://127.0.0.1:{}/", server.port()))
        .response_timeout(support::deadline())
        .build()
        .await
        .unwrap();
    let read = async || {
        let author = Condition::all().term("author", 7);
        let load = || async { Ok::<_, Infallible>(1) };
        cacheops.read("posts").on("post", author).op("fetch").get_or_load(load).await.unwrap()
    };

    read().await;
    read().await;
    read().await;
    let row = Row::new().set("author", 7);
    cacheops.invalidate(Changes::row("post", &row)).await.unwrap();
    cacheops.invalidate_table("tag").await.unwrap();
    cacheops.invalidate_all().await.unwrap();

    let fetch = "op=fetch table=post";
    let confirmed = "result=confirmed";
    assert_eq!(
        heard(snapshotter.snapshot()),
        [
            (format!("cacheops_invalidations_total table= kind=everything {confirmed}"), 1),
            (format!("cacheops_invalidations_total table=post kind=rows {confirmed}"), 1),
            (format!("cacheops_invalidations_total table=tag kind=table {confirmed}"), 1),
            ("cacheops_links_cut_total ".to_owned(), 1),
            (format!("cacheops_read_duration_seconds {fetch}"), 3),
            (format!("cacheops_reads_total {fetch} result=hit"), 2),
            (format!("cacheops_reads_total {fetch} result=miss"), 1),
            (format!("cacheops_stores_total {fetch} result=stored"), 1),
        ]
    );
}
