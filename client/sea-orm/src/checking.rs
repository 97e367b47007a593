//! For tests: each read through a cached connection is made through the cache as well, and compared.

use cacheops_adapter::{Checked, Mode, Options};
use cacheops_sql::{Kind, Template};
use sea_orm::{DbErr, FromQueryResult, JsonValue, QueryResult};

use crate::driver::Connection;
use crate::read::{ReadRequest, read};
use crate::run::Run;
use crate::source::Context;
use crate::value::values_of;

/// Makes the read twice through the cache and once without. Rows that have no form as JSON are left out, and what is not
/// cached.
///
/// # Panics
///
/// If the cache says something else than the database, before and after.
pub(crate) async fn check<C: Connection>(context: Context<'_, C>, template: &Template, run: &Run) {
    let Some(statement) = run.statement() else { return };
    let cacheable = matches!(template.kind(), Kind::Read { .. })
        && context.session.deps(template, &values_of(statement)).is_some();
    if !cacheable {
        return;
    }
    let plain = async || {
        let rows = Run::Query(statement.clone()).on(context.connection).await?.into_rows();
        documents(rows)
    };
    let Ok(before) = plain().await else { return };
    let options = Options::new(Mode::Forced);
    for _ in 0..2 {
        let request = ReadRequest::rows(&options, None, b"check");
        let cached = read(context, request, statement.clone(), Checked, documents).await;
        if cached.as_ref().ok() == Some(&before) {
            continue;
        }
        let after = plain().await;
        assert!(
            after.as_ref().ok() != Some(&before),
            "{}\nthe cache: {cached:?}\nthe database: {before:?}",
            statement.sql
        );
    }
}

fn documents(rows: Vec<QueryResult>) -> Result<Vec<JsonValue>, DbErr> {
    rows.iter().map(|row| JsonValue::from_query_result(row, "")).collect()
}
