//! For tests: each read through a cached connection is made through the cache as well, and compared.

use cacheops_sql::{Kind, Template};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, JsonValue, QueryResult};

use crate::ask::{Asked, Rules, ask, deps_of};
use crate::cached::{Mode, Options};
use crate::kept::Checked;
use crate::run::Run;
use crate::source::Context;

/// Makes the read twice through the cache and once without. Rows that have no form as JSON are left out, and what is not
/// cached.
///
/// # Panics
///
/// If the cache says something else than the database, before and after.
pub(crate) async fn check<C: ConnectionTrait>(
    context: Context<'_, C>,
    template: &Template,
    run: &Run,
) {
    let Some(statement) = run.statement() else { return };
    let cacheable = matches!(template.kind(), Kind::Read { .. })
        && deps_of(context.cacheops, template, statement).is_some();
    if !cacheable {
        return;
    }
    let plain = async || {
        let rows = Run::Query(statement.clone()).on(context.inner).await?.into_rows();
        documents(rows)
    };
    let Ok(before) = plain().await else { return };
    let options = Options::new(Mode::Forced);
    for _ in 0..2 {
        let rules = Rules::fetch(&options, None);
        let asked = Asked { rules, kind: b"check", run: Run::Query };
        let cached = ask(context, asked, statement.clone(), Checked, documents).await;
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
