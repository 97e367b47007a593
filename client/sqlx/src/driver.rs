//! sqlx's connections as the core of the adapters uses them.

use cacheops_adapter::{Bind, Driver, ErrorClass, Outcome};
use cacheops_sql::{Kind, Template, Value};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use sqlx::{AssertSqlSafe, Either, Error, SqlSafeStr, SqlStr, Transaction};

use crate::database::{CachedDatabase, Step, Target, values_of};
use crate::statement::Captured;

/// A pool or a connection, and the transaction that one write runs in.
pub struct SqlxDriver<'c, DB: CachedDatabase> {
    target: Target<'c, DB>,
    /// The pool's transaction. Dropped, it rolls back.
    transaction: Option<Transaction<'static, DB>>,
}

/// What a write gave, in the order of sqlx.
pub struct Output<DB: CachedDatabase> {
    pub(crate) rows: Vec<DB::Row>,
    /// The results of its statements, each with the number of rows before it.
    pub(crate) results: Vec<(usize, DB::QueryResult)>,
}

impl<DB: CachedDatabase> Output<DB> {
    /// Its rows and results in their order.
    pub(crate) fn into_steps(self) -> Vec<Result<Step<DB>, Error>> {
        let mut steps = Vec::with_capacity(self.rows.len() + self.results.len());
        let mut rows = self.rows.into_iter();
        let mut taken = 0;
        for (before, result) in self.results {
            steps.extend(rows.by_ref().take(before - taken).map(|row| Ok(Either::Right(row))));
            taken = before;
            steps.push(Ok(Either::Left(result)));
        }
        steps.extend(rows.map(|row| Ok(Either::Right(row))));
        steps
    }
}

/// Whether a statement only reads, as far as its text says.
pub(crate) fn reads(template: &Template) -> bool {
    matches!(template.kind(), Kind::Read { .. } | Kind::Session)
}

/// A stream of what a future gives.
pub(crate) fn stepped<'e, DB: CachedDatabase>(
    run: impl Future<Output = Result<Output<DB>, Error>> + Send + 'e,
) -> BoxStream<'e, Result<Step<DB>, Error>> {
    stream::once(run).map_ok(|output| stream::iter(output.into_steps())).try_flatten().boxed()
}

impl<'c, DB: CachedDatabase> SqlxDriver<'c, DB> {
    pub(crate) fn new(target: Target<'c, DB>) -> Self {
        Self { target, transaction: None }
    }

    fn target(&mut self) -> Target<'_, DB> {
        match &mut self.transaction {
            Some(transaction) => Target::Connection(&mut **transaction),
            None => self.target.reborrow(),
        }
    }

    async fn rows(&mut self, statement: Captured<DB>) -> Result<Vec<DB::Row>, Error> {
        if statement.first {
            let row = DB::fetch_optional(self.target(), statement).await?;
            return Ok(row.into_iter().collect());
        }
        let rows = DB::fetch_many(self.target(), statement);
        rows.try_filter_map(|step| async move { Ok(step.right()) }).try_collect().await
    }
}

impl<DB: CachedDatabase> Driver for SqlxDriver<'_, DB> {
    type Statement = Captured<DB>;
    type Rows = Vec<DB::Row>;
    type Output = Output<DB>;
    type Row = DB::Row;
    type Error = Error;

    fn sql<'s>(&self, statement: &'s Captured<DB>) -> &'s str {
        statement.text()
    }

    fn values<'s>(&self, statement: &'s Captured<DB>) -> Option<Vec<Value<'s>>> {
        values_of(statement)
    }

    fn write_parameters(&self, statement: &Captured<DB>, out: &mut Vec<u8>) -> Option<()> {
        if statement.arguments().is_some() {
            out.extend_from_slice(statement.debug()?.as_bytes());
        }
        Some(())
    }

    async fn fetch(&mut self, statement: Captured<DB>) -> Result<Vec<DB::Row>, Error> {
        self.rows(statement).await
    }

    async fn run(&mut self, statement: &Captured<DB>) -> Result<Output<DB>, Error> {
        let mut output = Output { rows: Vec::new(), results: Vec::new() };
        let mut steps = DB::fetch_many(self.target(), statement.clone());
        while let Some(step) = steps.next().await {
            match step? {
                Either::Left(result) => output.results.push((output.rows.len(), result)),
                Either::Right(row) => output.rows.push(row),
            }
        }
        Ok(output)
    }

    async fn query(
        &mut self,
        sql: String,
        bind: Bind<'_, Captured<DB>>,
    ) -> Result<Option<Vec<DB::Row>>, Error> {
        let (sql, arguments) = match bind {
            Bind::Nothing => (sql, DB::Arguments::default()),
            Bind::Text(text) => (sql, DB::one_text(text)),
            Bind::Parameters(statement, positions) => {
                match DB::rebound(statement, &sql, positions) {
                    Some(rebound) => rebound,
                    None => return Ok(None),
                }
            }
        };
        let sql: SqlStr = AssertSqlSafe(sql).into_sql_str();
        self.rows(Captured::new(sql, Some(arguments), true)).await.map(Some)
    }

    fn columns(&self, row: &DB::Row) -> Vec<(String, Value<'static>)> {
        DB::columns(row)
    }

    fn outcome<'o>(&self, output: &'o Output<DB>) -> Outcome<'o, DB::Row> {
        let counts = output.results.iter().map(|(_, result)| DB::counts(result));
        Outcome {
            returned: (!output.rows.is_empty()).then_some(&output.rows[..]),
            affected: Some(counts.clone().map(|(affected, _)| affected).sum()),
            last_insert_id: counts.last().and_then(|(_, id)| id),
        }
    }

    fn error_class(&self, error: &Error) -> ErrorClass {
        class_of::<DB>(error)
    }

    /// Not on a connection: the application may have begun a transaction on it.
    async fn begin(&mut self) -> Result<(), Error> {
        let Target::Pool(pool) = self.target else {
            return Err(Error::Protocol("a write on a connection reads no rows first".into()));
        };
        self.transaction = Some(match DB::BEGIN_WRITE {
            Some(begin) => pool.begin_with(begin).await?,
            None => pool.begin().await?,
        });
        Ok(())
    }

    async fn end(&mut self, commit: bool) -> Result<(), Error> {
        match self.transaction.take() {
            Some(transaction) if commit => transaction.commit().await,
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }
}

/// What an error says of its statement.
pub(crate) fn class_of<DB: CachedDatabase>(error: &Error) -> ErrorClass {
    let Some(error) = error.as_database_error() else { return ErrorClass::Other };
    let constraint = error.is_unique_violation()
        || error.is_foreign_key_violation()
        || error.is_check_violation();
    if constraint {
        ErrorClass::Constraint
    } else if error.code().is_some_and(|code| DB::was_refused(&code)) {
        ErrorClass::Refused
    } else {
        ErrorClass::Other
    }
}
