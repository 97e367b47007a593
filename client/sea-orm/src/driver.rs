//! SeaORM's connections as the core of the adapters uses them.

use cacheops_adapter::{Bind, Driver, ErrorClass, Outcome};
use cacheops_sql as sql;
#[cfg(any(feature = "sqlx-sqlite", feature = "sqlx-mysql"))]
use sea_orm::RuntimeErr;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait, Value, Values,
};

use crate::codec::write_value;
use crate::rows;
use crate::run::{Ran, Run};
use crate::value::values_of;

/// A connection that can begin transactions: a [`DatabaseConnection`](sea_orm::DatabaseConnection) or a
/// [`DatabaseTransaction`].
pub trait Connection:
    ConnectionTrait + TransactionTrait<Transaction = DatabaseTransaction>
{
}

impl<C: ConnectionTrait + TransactionTrait<Transaction = DatabaseTransaction>> Connection for C {}

/// A connection, and the transaction that one write runs in.
pub(crate) struct SeaDriver<'c, C> {
    connection: &'c C,
    backend: DbBackend,
    transaction: Option<DatabaseTransaction>,
}

impl<'c, C: Connection> SeaDriver<'c, C> {
    pub(crate) fn new(connection: &'c C, backend: DbBackend) -> Self {
        Self { connection, backend, transaction: None }
    }
}

impl<C: Connection> Driver for SeaDriver<'_, C> {
    type Statement = Run;
    type Rows = Vec<QueryResult>;
    type Output = Ran;
    type Row = QueryResult;
    type Error = DbErr;

    fn sql<'s>(&self, run: &'s Run) -> &'s str {
        run.sql()
    }

    fn values<'s>(&self, run: &'s Run) -> Option<Vec<sql::Value<'s>>> {
        run.statement().map(values_of)
    }

    fn write_parameters(&self, run: &Run, out: &mut Vec<u8>) -> Option<()> {
        let mut values = run.statement()?.values.iter().flat_map(|values| &values.0);
        values.try_for_each(|value| write_value(value, out)).ok()
    }

    async fn fetch(&mut self, run: Run) -> Result<Vec<QueryResult>, DbErr> {
        Ok(run.on(self.connection).await?.into_rows())
    }

    async fn run(&mut self, run: &Run) -> Result<Ran, DbErr> {
        match &self.transaction {
            Some(transaction) => run.write_on(transaction).await,
            None => run.write_on(self.connection).await,
        }
    }

    async fn query(
        &mut self,
        sql: String,
        bind: Bind<'_, Run>,
    ) -> Result<Option<Vec<QueryResult>>, DbErr> {
        let values = match bind {
            Bind::Nothing => None,
            Bind::Text(text) => Some(Values(vec![Value::from(text)])),
            Bind::Parameters(run, positions) => {
                let all = run.statement().and_then(|statement| statement.values.as_ref());
                let all = all.map_or(&[][..], |values| &values.0);
                Some(Values(positions.iter().filter_map(|&at| all.get(at).cloned()).collect()))
            }
        };
        let query = Run::Query(Statement { sql, values, db_backend: self.backend });
        let ran = match &self.transaction {
            Some(transaction) => query.on(transaction).await,
            None => query.on(self.connection).await,
        };
        Ok(Some(ran?.into_rows()))
    }

    fn columns(&self, row: &QueryResult) -> Vec<(String, sql::Value<'static>)> {
        rows::columns(row, self.backend)
    }

    fn outcome<'o>(&self, ran: &'o Ran) -> Outcome<'o, QueryResult> {
        Outcome {
            returned: ran.rows(),
            affected: ran.affected(),
            last_insert_id: match ran {
                Ran::Executed(result) if self.backend == DbBackend::MySql => {
                    Some(result.last_insert_id())
                }
                _ => None,
            },
        }
    }

    fn error_class(&self, error: &DbErr) -> ErrorClass {
        if error.sql_err().is_some() {
            ErrorClass::Constraint
        } else if was_refused(self.backend, error) {
            ErrorClass::Refused
        } else {
            ErrorClass::Other
        }
    }

    async fn begin(&mut self) -> Result<(), DbErr> {
        let sqlite_transaction_mode =
            (self.backend == DbBackend::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options =
            TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        self.transaction = Some(self.connection.begin_with_options(options).await?);
        Ok(())
    }

    async fn end(&mut self, commit: bool) -> Result<(), DbErr> {
        match self.transaction.take() {
            Some(transaction) if commit => transaction.commit().await,
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }
}

/// Whether a statement was refused before it ran, so that its transaction is as it was.
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
