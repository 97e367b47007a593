//! One read of SeaORM, through the cache.

use cacheops::Codec;
use cacheops_adapter::{Options, Rules};
use cacheops_sql::Kind;
use sea_orm::{DbErr, QueryResult, Statement};

use crate::driver::Connection;
use crate::run::Run;
use crate::source::Context;

/// What a read is, beside its statement.
pub(crate) struct ReadRequest<'a> {
    pub(crate) rules: Rules<'a>,
    /// What tells two results of one statement apart.
    pub(crate) kind: &'a [u8],
    /// How the statement is run.
    pub(crate) run: fn(Statement) -> Run,
}

impl<'a> ReadRequest<'a> {
    /// A read of all rows.
    pub(crate) fn rows(options: &'a Options, table: Option<String>, kind: &'a [u8]) -> Self {
        Self { rules: Rules::fetch(options, table), kind, run: Run::Query }
    }
}

/// Reads through the cache, and from the database if need be.
pub(crate) async fn read<I, T, C>(
    context: Context<'_, I>,
    ReadRequest { rules, kind, run }: ReadRequest<'_>,
    statement: Statement,
    codec: C,
    decode: impl FnOnce(Vec<QueryResult>) -> Result<T, DbErr> + Send,
) -> Result<T, DbErr>
where
    I: Connection,
    C: Codec<T>,
{
    let session = context.session;
    let template = session.core.analyser().analyse(&statement.sql);
    let run = run(statement);
    if !matches!(template.kind(), Kind::Read { .. } | Kind::Session) {
        // Whatever returns rows can be written behind `.cache()`.
        return decode(Box::pin(context.write(run)).await?.into_rows());
    }
    let driver = &mut context.driver();
    cacheops_adapter::read(session, driver, (rules, kind), &template, run, codec, decode).await
}
