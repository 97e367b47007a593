//! The rows that a write is about to change: read, and locked until it is done.

use cacheops_sql::{Dialect, Kind, Returning, Template, WriteKind};

use crate::change::ObservedRow;
use crate::core::Core;
use crate::driver::{Bind, Driver, ErrorClass};
use crate::identity::flag;
use crate::transaction::TxState;

/// The query for the rows that a write is about to change.
#[derive(Debug)]
pub(crate) struct OldRowsQuery<'t> {
    target: &'t str,
    sql: String,
    /// The parameters of the write that it has, by their positions.
    parameters: &'t [usize],
}

/// The query for the rows that a prepared write with so many values is about to change, if they are of use.
pub(crate) fn query<'t>(
    core: &Core,
    template: &'t Template,
    values: Option<usize>,
) -> Option<OldRowsQuery<'t>> {
    let wanted = match template.kind() {
        // What RETURNING gives is the new row.
        Kind::Write(WriteKind::Update) => true,
        Kind::Write(WriteKind::Delete) => *template.returning() == Returning::Nothing,
        _ => false,
    };
    if core.old_rows == 0 || !wanted {
        return None;
    }
    let values = values?;
    let target = template.target()?;
    let old = template.old_rows()?;
    let dialect = core.dialect();
    if !old.is_alone() && dialect != Dialect::Sqlite {
        return None;
    }
    let parameters = old.parameters();
    if parameters.iter().any(|&at| at >= values) {
        return None;
    }
    let limit = core.old_rows + 1;
    let deletes = matches!(template.kind(), Kind::Write(WriteKind::Delete));
    let sql = match (dialect, old.sql().strip_suffix(" FOR UPDATE")) {
        // It would run the inner query to its end, and lock all of its rows.
        (Dialect::MySql, Some(query)) => format!("{query} LIMIT {limit} FOR UPDATE"),
        (Dialect::Postgres, _) if deletes => {
            let unsecured = unsecured(target)?;
            format!("SELECT * FROM ({}) AS old_rows WHERE {unsecured} LIMIT {limit}", old.sql())
        }
        _ => format!("SELECT * FROM ({}) AS old_rows LIMIT {limit}", old.sql()),
    };
    Some(OldRowsQuery { target, sql, parameters })
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

impl OldRowsQuery<'_> {
    /// The rows, locked. None if they are too many, or cannot be read.
    pub(crate) async fn read<D: Driver>(
        self,
        core: &Core,
        state: &TxState,
        driver: &mut D,
        template: &Template,
        statement: &D::Statement,
    ) -> Result<Option<Vec<ObservedRow>>, D::Error> {
        let Self { target, sql, parameters } = self;
        let bypassed = state.is_bypassed();
        let rows = match may_lock(core, driver, target, bypassed).await {
            Ok(false) => return Ok(None),
            Ok(true) => driver.query(sql, Bind::Parameters(statement, parameters)).await,
            Err(error) => Err(error),
        };
        let rows = match rows {
            Ok(Some(rows)) => rows,
            Ok(None) => return Ok(None),
            Err(error) => {
                let class = driver.error_class(&error);
                // A user may have the right to write rows and not to read them. The next write does not try again.
                // PostgreSQL ends the transaction with any error.
                if class == ErrorClass::Refused && core.dialect() != Dialect::Postgres {
                    tracing::debug!(exception.message = %error, "cacheops: written without reading first");
                    if !bypassed {
                        core.lockable.set(target, false);
                    }
                    return Ok(None);
                }
                state.failed(class);
                return Err(error);
            }
        };
        if rows.len() > core.old_rows {
            return Ok(None);
        }
        let observed =
            |row| ObservedRow::new(&core.analyser, template, target, &driver.columns(row));
        Ok(Some(rows.iter().map(observed).collect()))
    }
}

/// The query for privileges. A name that means no table says no.
const MAY_LOCK: &str = "SELECT coalesce(has_table_privilege(found, 'SELECT') AND \
    has_any_column_privilege(found, 'UPDATE'), false) FROM (SELECT to_regclass($1::text)::oid AS found) AS named";

/// Whether rows may be read and locked: on PostgreSQL an error would end the transaction, and the write may be allowed
/// all the same, by the privileges of single columns or to delete. Where the session may have another role by now, what
/// is known of others does not count.
async fn may_lock<D: Driver>(
    core: &Core,
    driver: &mut D,
    table: &str,
    bypassed: bool,
) -> Result<bool, D::Error> {
    if let Some(may) = core.lockable.get(table).filter(|_| !bypassed) {
        return Ok(may);
    }
    if core.dialect() != Dialect::Postgres {
        return Ok(true);
    }
    let parts: Vec<_> =
        table.split('.').map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    let may = match parts.len() {
        1 | 2 => {
            let name = parts.join(".");
            let rows = driver.query(MAY_LOCK.to_owned(), Bind::Text(&name)).await?;
            let rows = rows.unwrap_or_default();
            let values = rows.first().map(|row| driver.columns(row)).unwrap_or_default();
            let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
            flag(&values, 0)
        }
        _ => false,
    };
    if !bypassed {
        core.lockable.set(table, may);
    }
    Ok(may)
}
