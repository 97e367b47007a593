//! What the application's recorder of [`metrics`] hears: the feature `metrics`.

use metrics::{counter, histogram};

use crate::{InvalidateEvent, Invalidated, ReadEvent, StoreEvent};

/// Where several tables are concerned, the first; none at all has no name.
fn name(table: Option<&[u8]>) -> String {
    table.map(|table| String::from_utf8_lossy(table).into_owned()).unwrap_or_default()
}

pub(crate) fn read(event: &ReadEvent<'_>) {
    let (op, table) = (event.op.to_owned(), name(event.deps.iter().next().map(|(table, _)| table)));
    histogram!("cacheops_read_duration_seconds", "op" => op.clone(), "table" => table.clone())
        .record(event.elapsed);
    let result = event.outcome.as_str();
    counter!("cacheops_reads_total", "op" => op, "table" => table, "result" => result).increment(1);
}

pub(crate) fn stored(event: &StoreEvent<'_>) {
    let (op, table) = (event.op.to_owned(), name(event.deps.iter().next().map(|(table, _)| table)));
    let result = event.outcome.as_str();
    counter!("cacheops_stores_total", "op" => op, "table" => table, "result" => result)
        .increment(1);
}

pub(crate) fn invalidated(event: &InvalidateEvent<'_>) {
    let result = match event.outcome {
        Invalidated::Confirmed(links) => {
            // FLUSH answers entries.
            if !event.changes.is_everything() {
                counter!("cacheops_links_cut_total").increment(links);
            }
            "confirmed"
        }
        Invalidated::Queued => "queued",
        Invalidated::Skipped => return,
    };
    let count = |table: String, kind: &'static str| {
        counter!("cacheops_invalidations_total", "table" => table, "kind" => kind, "result" => result)
            .increment(1);
    };
    if event.changes.is_everything() {
        count(String::new(), "everything");
    }
    for (table, whole) in event.changes.kinds() {
        count(name(Some(table)), if whole { "table" } else { "rows" });
    }
}
