//! The rows that a write is about to change: read, and locked until it is done.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cacheops_sql::{Kind, Returning, Template, WriteKind};
#[cfg(any(feature = "sqlx-sqlite", feature = "sqlx-mysql"))]
use sea_orm::RuntimeErr;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value, Values};

use crate::connection::Shared;
use crate::rows::{self, Row};
use crate::run::Run;
use crate::source::{Context, Source};
use crate::state::State;
use crate::transaction::CachedTxn;

/// The query for the rows that a write is about to change.
pub(crate) struct QueryBefore<'t> {
    pub(crate) target: &'t str,
    pub(crate) query: Statement,
}

/// Whether somebody has asked for the rows before the write.
pub(crate) enum Before {
    NotAsked,
    /// They are locked. None: they are too many.
    Asked(Option<Vec<Row>>),
}

/// Of which tables this user may read and lock whole rows: on PostgreSQL asked before, elsewhere known by an error.
#[derive(Default)]
pub(crate) struct Lockable(Mutex<HashMap<String, bool>>);

impl Lockable {
    fn get(&self, table: &str) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(table).copied()
    }

    fn set(&self, table: &str, may: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned(), may);
    }
}

/// The question for it. A name that means no table says no.
const MAY_LOCK: &str = "SELECT coalesce(has_table_privilege(found, 'SELECT') AND \
    has_any_column_privilege(found, 'UPDATE'), false) FROM (SELECT to_regclass($1::text)::oid AS found) AS named";

impl Shared {
    /// The query for the rows that a write is about to change, if it is of use.
    pub(crate) fn query_before<'t>(
        &self,
        template: &'t Template,
        run: &Run,
    ) -> Option<QueryBefore<'t>> {
        let wanted = match template.kind() {
            // What RETURNING gives is the new row.
            Kind::Write(WriteKind::Update) => true,
            Kind::Write(WriteKind::Delete) => *template.returning() == Returning::Nothing,
            _ => false,
        };
        if self.pre_select == 0 || !wanted {
            return None;
        }
        let statement = run.statement()?;
        let target = template.target()?;
        let old = template.old_rows()?;
        if !old.is_alone() && self.backend != DbBackend::Sqlite {
            return None;
        }
        let values: &[Value] = statement.values.as_ref().map_or(&[], |values| &values.0);
        let chosen: Option<Vec<Value>> =
            old.parameters().iter().map(|&at| values.get(at).cloned()).collect();
        let limit = self.pre_select + 1;
        let deletes = matches!(template.kind(), Kind::Write(WriteKind::Delete));
        let sql = match (self.backend, old.sql().strip_suffix(" FOR UPDATE")) {
            // It would run the inner query to its end, and lock all of its rows.
            (DbBackend::MySql, Some(query)) => format!("{query} LIMIT {limit} FOR UPDATE"),
            (DbBackend::Postgres, _) if deletes => {
                let unsecured = unsecured(target)?;
                format!("SELECT * FROM ({}) AS old_rows WHERE {unsecured} LIMIT {limit}", old.sql())
            }
            _ => format!("SELECT * FROM ({}) AS old_rows LIMIT {limit}", old.sql()),
        };
        let values = Some(Values(chosen?));
        Some(QueryBefore { target, query: Statement { sql, values, db_backend: self.backend } })
    }
}

/// With row security of PostgreSQL, rows that are deleted may be others than those that can be locked, and as many. Then
/// none are read, and if there were any, their number tells. A table of this name in any schema counts: the statement may
/// name one that is not looked for first.
fn unsecured(table: &str) -> Option<String> {
    let name = table.rsplit('.').next().filter(|name| !name.contains(['\'', '\\']))?;
    Some(format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = '{name}' AND relrowsecurity)"
    ))
}

impl CachedTxn {
    /// The rows that a write is about to change, locked. None if they are too many, or not to be read.
    pub(crate) async fn rows_before(
        &self,
        template: &Template,
        QueryBefore { target, query }: QueryBefore<'_>,
    ) -> Result<Option<Vec<Row>>, DbErr> {
        let context = self.context();
        let Context { shared, inner, .. } = context;
        let rows = async {
            let apart = context.state.is_some_and(State::is_apart);
            if !may_lock(shared, inner, target, apart).await? {
                return Ok(None);
            }
            Run::Query(query).on(inner).await.map(|ran| Some(ran.into_rows()))
        };
        let rows = match rows.await {
            // A user may have the right to write rows and not to read them. The next write does not try again.
            Err(error) if was_refused(shared.backend, &error) => {
                tracing::debug!(exception.message = %error, "cacheops: written without reading first");
                if !context.state.is_some_and(State::is_apart) {
                    shared.lockable.set(target, false);
                }
                return Ok(None);
            }
            rows => rows.inspect_err(|error| context.failed(error))?,
        };
        let few = rows.filter(|rows| rows.len() <= shared.pre_select);
        Ok(few
            .map(|rows| rows.iter().map(|row| rows::read(shared, template, target, row)).collect()))
    }
}

/// Whether a statement was refused before it ran, so that its transaction is as it was. PostgreSQL ends the transaction
/// with any error.
fn was_refused(backend: DbBackend, error: &DbErr) -> bool {
    #[cfg(any(feature = "sqlx-sqlite", feature = "sqlx-mysql"))]
    if let DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) =
        error
        && let Some(code) = error.as_database_error().and_then(|error| error.code())
    {
        return match backend {
            // Its SQLSTATE, of the class of syntax and access rules.
            DbBackend::MySql => code.starts_with("42"),
            // SQLITE_ERROR and SQLITE_AUTH, of the preparation.
            DbBackend::Sqlite => matches!(&*code, "1" | "23"),
            _ => false,
        };
    }
    let _ = (backend, error);
    false
}

/// Whether rows may be read and locked: on PostgreSQL an error would end the transaction, and the write may be allowed
/// all the same, by the privileges of single columns or to delete. Where the session may have another role by now, what
/// others were told does not count.
async fn may_lock<C: ConnectionTrait>(
    shared: &Shared,
    connection: &C,
    table: &str,
    apart: bool,
) -> Result<bool, DbErr> {
    if let Some(may) = shared.lockable.get(table).filter(|_| !apart) {
        return Ok(may);
    }
    if shared.backend != DbBackend::Postgres {
        return Ok(true);
    }
    let parts: Vec<_> =
        table.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    let may = match parts.len() {
        1 | 2 => {
            let values = [Value::from(parts.join("."))];
            let question = Statement::from_sql_and_values(shared.backend, MAY_LOCK, values);
            let rows = Run::Query(question).on(connection).await?.into_rows();
            rows.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false)
        }
        _ => false,
    };
    if !apart {
        shared.lockable.set(table, may);
    }
    Ok(may)
}
