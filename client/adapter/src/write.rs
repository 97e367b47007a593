//! One write: which rows it changes, and when that is sent.

use cacheops::{Changes, OwnedConjunction};
use cacheops_sql::{Dialect, Kind, Returning, Template, Transaction, WriteKind};

use crate::change::{Observed, ObservedRow, Write};
use crate::core::Core;
use crate::driver::{Driver, ErrorClass, Outcome};
use crate::error::{WriteError, confirmed};
use crate::level::Level;
use crate::old_rows;
use crate::session::Session;
use crate::transaction::{Isolation, TxState};

/// Runs a write outside of a transaction, and sends what it changed after it. A write whose rows have to be read first is
/// run in a transaction of its own. For all statements but reads.
///
/// An adapter that is asynchronous runs it to its [completion](crate::run_to_completion).
///
/// # Errors
///
/// Those of the database; and [`WriteError::Unconfirmed`] in strict mode.
pub async fn write<D: Driver>(
    session: Session<'_>,
    mut driver: D,
    template: &Template,
    statement: &D::Statement,
) -> Result<D::Output, WriteError<D::Error>> {
    let Session { cacheops, core, .. } = session;
    let dialect = core.dialect();
    if let Kind::Transaction(kind) = template.kind() {
        return transaction_by_text(session, driver, kind, statement).await;
    }
    let prepared = driver.values(statement).map(|values| values.len());
    if cacheops.invalidates()
        && let Some(query) = old_rows::query(core, template, prepared)
    {
        let state = TxState::new(dialect, Isolation::Unspecified, true);
        match driver.begin().await {
            Ok(()) => {
                let mut level = Level::new(driver, cacheops.clone(), state);
                let (inner, levels) = level.split();
                let state = levels.state();
                match query.read(core, state, inner, template, statement).await {
                    Ok(rows) => {
                        // An error of these is one of the write. It is never run twice.
                        let old = OldRows::Read(rows);
                        let session = Session { state: Some(state), ..session };
                        let ran =
                            run_and_queue(session, state, inner, template, statement, old).await;
                        // Also after an error: the statement alone would keep what it did before it failed. PostgreSQL
                        // keeps nothing.
                        let commits = ran.is_ok() || dialect != Dialect::Postgres;
                        let end = move |mut driver: D| async move { driver.end(commits).await };
                        if commits {
                            let ended = level.commit(end).await;
                            return ran.and_then(|ran| ended.map(|()| ran));
                        }
                        // The first error is the one to report.
                        let _ = level.rollback(end).await;
                        return ran;
                    }
                    // To read and lock may be forbidden where the write itself is not.
                    Err(error) => {
                        tracing::debug!(exception.message = %error, "cacheops: written without reading first");
                        driver = level.into_inner();
                        if let Err(error) = driver.end(false).await {
                            tracing::debug!(exception.message = %error, "cacheops: not rolled back");
                        }
                    }
                }
            }
            Err(error) => {
                tracing::debug!(exception.message = %error, "cacheops: written without reading first");
            }
        }
    }
    let write = Write::new(template, driver.values(statement).unwrap_or_default());
    let mut pending = cacheops.pending(write.upper_bound(&core.cascades));
    let ran = match driver.run(statement).await {
        Ok(ran) => ran,
        Err(error) => {
            // A constraint that refuses the one statement. On SQLite it may FAIL and keep the rows before, as do
            // some engines of MySQL.
            let certain = dialect == Dialect::Postgres
                && matches!(template.kind(), Kind::Write(_))
                && prepared.is_some();
            if certain && driver.error_class(&error) == ErrorClass::Constraint {
                pending.cancel();
            } else {
                // What is not confirmed stays in the outbox, and the other error is the one to report.
                let _ = pending.send().await;
            }
            return Err(WriteError::Database(error));
        }
    };
    let seen = observed(core, &driver, template, &driver.outcome(&ran), None);
    if let Some(exact) = seen.and_then(|seen| write.refine(&core.cascades, &seen)) {
        pending.replace(exact);
    }
    confirmed(pending.send().await)?;
    Ok(ran)
}

/// Runs a write in a transaction, and queues what it changes until the outermost commit. For all statements but reads,
/// and for reads that [may end](TxState::may_end) the transaction.
///
/// # Errors
///
/// Those of the database; and [`WriteError::Unconfirmed`] in strict mode, if the statement may have ended the transaction
/// and so takes effect at once.
pub async fn write_in<D: Driver>(
    session: Session<'_>,
    state: &TxState,
    driver: &mut D,
    template: &Template,
    statement: &D::Statement,
) -> Result<D::Output, WriteError<D::Error>> {
    run_and_queue(session, state, driver, template, statement, OldRows::Unread).await
}

/// Queues the upper bound of a write whose end the adapter does not see: a stream.
pub async fn queue_upper_bound<D: Driver>(
    session: Session<'_>,
    state: &TxState,
    driver: &D,
    template: &Template,
    statement: &D::Statement,
) {
    let Session { cacheops, core, .. } = session;
    state.before_statement(cacheops, false).await;
    state.before_read(template);
    // Its error, which may end the transaction, is not seen either.
    if state.may_end(template) || core.dialect() != Dialect::Postgres {
        state.end();
    }
    let mut queued = state.begin_write();
    if cacheops.invalidates() {
        let write = Write::new(template, driver.values(statement).unwrap_or_default());
        queued.changes = write.upper_bound(&core.cascades);
    }
}

/// The rows before a write.
enum OldRows {
    /// Nothing has read them.
    Unread,
    /// They are locked. None: they are too many.
    Read(Option<Vec<ObservedRow>>),
}

async fn run_and_queue<D: Driver>(
    session: Session<'_>,
    state: &TxState,
    driver: &mut D,
    template: &Template,
    statement: &D::Statement,
    old: OldRows,
) -> Result<D::Output, WriteError<D::Error>> {
    let Session { cacheops, core, .. } = session;
    // A transaction that begins with a write has no use for a token.
    state.before_statement(cacheops, false).await;
    let values = driver.values(statement);
    let prepared = values.as_ref().map(Vec::len);
    let write = Write::new(template, values.unwrap_or_default());
    let was_dirty = state.is_dirty();
    let mut queued = state.begin_write();
    let invalidates = cacheops.invalidates();
    let bound = if invalidates { write.upper_bound(&core.cascades) } else { Changes::new() };
    // What is visible before the outermost commit must not wait for it.
    let mut visible = Changes::new();
    if state.may_end(template) {
        state.end();
        visible = state.queued();
    }
    let ended = state.has_ended();
    if ended {
        visible.merge(bound.clone());
    }
    let visible = cacheops.pending(visible);
    queued.changes = bound;
    let may_read = invalidates && !ended && (was_dirty || state.may_read_first());
    let rows = match old {
        OldRows::Read(rows) => rows,
        OldRows::Unread if !may_read => None,
        OldRows::Unread => match old_rows::query(core, template, prepared) {
            Some(query) => query
                .read(core, state, driver, template, statement)
                .await
                .map_err(WriteError::Database)?,
            None => None,
        },
    };
    let ran = driver.run(statement).await;
    match &ran {
        Err(error) => state.failed(driver.error_class(error)),
        Ok(ran) => {
            // Another write of the same transaction is stopped by no lock.
            let rows = rows.filter(|_| queued.is_undisturbed());
            if invalidates
                && let Some(seen) = observed(core, driver, template, &driver.outcome(ran), rows)
                && let Some(exact) = write.refine(&core.cascades, &seen)
            {
                queued.changes = exact;
            }
        }
    }
    drop(queued);
    // An error too may come after the end: MySQL commits before it looks at a definition.
    confirmed(visible.send().await)?;
    ran.map_err(WriteError::Database)
}

/// BEGIN and COMMIT as statements: it is not known which connection of the pool they met.
async fn transaction_by_text<D: Driver>(
    session: Session<'_>,
    mut driver: D,
    kind: &Transaction,
    statement: &D::Statement,
) -> Result<D::Output, WriteError<D::Error>> {
    tracing::warn!(
        "cacheops: a transaction by SQL text; use begin() and commit(), or its rows may be cached before they \
         are committed"
    );
    // What is rolled back, too, others may have read here and stored.
    let ends = matches!(
        kind,
        Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_)
    );
    let pending = ends.then(|| session.cacheops.pending(Changes::everything()));
    let ran = driver.run(statement).await.map_err(WriteError::Database)?;
    if let Some(pending) = pending {
        confirmed(pending.send().await)?;
    }
    Ok(ran)
}

/// What the database has shown of the rows that a statement changed.
fn observed<D: Driver>(
    core: &Core,
    driver: &D,
    template: &Template,
    outcome: &Outcome<'_, D::Row>,
    old: Option<Vec<ObservedRow>>,
) -> Option<Observed> {
    let target = template.target()?;
    let named = matches!(template.returning(), Returning::All | Returning::Columns(_));
    let observed = |row| ObservedRow::new(&core.analyser, template, target, &driver.columns(row));
    let returned = outcome
        .returned
        .filter(|_| named)
        .map(|rows| rows.iter().map(observed).collect::<Vec<_>>());
    // A driver that runs a statement without RETURNING for rows does not say how many it changed.
    let affected = match outcome.returned {
        Some(_) if *template.returning() == Returning::Nothing => None,
        _ => outcome.affected,
    };
    match (old, returned) {
        // A row that another transaction has committed in between was changed and not seen.
        (Some(old), returned) if affected == Some(old.len() as u64) => Some(match returned {
            Some(returned) => Observed::Both(old, returned),
            None => Observed::Old(old),
        }),
        (_, Some(returned)) => Some(Observed::Returned(returned)),
        (_, None) => number(core, template, outcome).map(Observed::Numbered),
    }
}

/// The number that MySQL has given to a new row.
fn number<R>(
    core: &Core,
    template: &Template,
    outcome: &Outcome<'_, R>,
) -> Option<OwnedConjunction> {
    let single = core.dialect() == Dialect::MySql && outcome.affected == Some(1);
    if !single || *template.kind() != Kind::Write(WriteKind::Insert) {
        return None;
    }
    let number = outcome.last_insert_id?;
    let column = core.numbered.get(template.target()?)?;
    (1..=i64::MAX as u64).contains(&number).then(|| {
        OwnedConjunction::new().with(column.as_bytes(), Some(number.to_string().as_bytes()))
    })
}
