//! Writes that go round the cache on the same pool: seen by SeaORM's metric callback, and told once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use cacheops_sql::{Analyser, Kind};
use sea_orm::DatabaseConnection;

use crate::run;

pub(crate) fn watch(connection: &mut DatabaseConnection, analyser: Analyser) {
    let told = Mutex::new(HashSet::new());
    connection.set_metric_callback(move |info| {
        if run::is_through() {
            return;
        }
        let template = analyser.analyse(&info.statement.sql);
        if matches!(template.kind(), Kind::Write(_) | Kind::Ddl | Kind::Other) {
            let table = template.tables().first().cloned().unwrap_or_default();
            if told.lock().unwrap_or_else(PoisonError::into_inner).insert(table.clone()) {
                tracing::warn!(
                    db.collection.name = table,
                    "cacheops: a write beside the cached connection; what it changed is not invalidated"
                );
            }
        }
    });
}
