//! Writes that go round the cache on the same pool: seen by SeaORM's metric callback, and logged once for each table.

use cacheops::Once;
use cacheops_sql::{Analyser, Kind};
use sea_orm::DatabaseConnection;

use crate::run;

pub(crate) fn watch(connection: &mut DatabaseConnection, analyser: Analyser) {
    let warned = Once::default();
    connection.set_metric_callback(move |info| {
        if run::is_through() {
            return;
        }
        let template = analyser.analyse(&info.statement.sql);
        if matches!(template.kind(), Kind::Write(_) | Kind::Ddl | Kind::Other) {
            let table = template.tables().first().map_or("", String::as_str);
            if warned.first(table) {
                tracing::warn!(
                    db.collection.name = table,
                    "cacheops: a write beside the cached connection; what it changed is not invalidated"
                );
            }
        }
    });
}
