//! The four ways in which SeaORM executes a statement, as one.

use sea_orm::{ConnectionTrait, DbErr, ExecResult, QueryResult, Statement};

tokio::task_local! {
    /// Set while a statement goes through a cached connection.
    static THROUGH: ();
}

/// Whether the statement that is running came through a cached connection.
pub(crate) fn is_through() -> bool {
    THROUGH.try_with(|()| ()).is_ok()
}

/// A statement, and how its answer is wanted.
pub(crate) enum Run {
    Execute(Statement),
    Unprepared(String),
    Query(Statement),
    One(Statement),
}

/// What a statement answered.
pub(crate) enum Ran {
    Executed(ExecResult),
    Rows(Vec<QueryResult>),
    One(Option<QueryResult>),
}

impl Run {
    pub(crate) fn sql(&self) -> &str {
        match self {
            Self::Execute(statement) | Self::Query(statement) | Self::One(statement) => {
                &statement.sql
            }
            Self::Unprepared(sql) => sql,
        }
    }

    pub(crate) fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Execute(statement) | Self::Query(statement) | Self::One(statement) => {
                Some(statement)
            }
            Self::Unprepared(_) => None,
        }
    }

    /// Runs it as it is.
    pub(crate) async fn on<C: ConnectionTrait>(&self, connection: &C) -> Result<Ran, DbErr> {
        let run = async {
            match self {
                Self::Execute(statement) => {
                    connection.execute_raw(statement.clone()).await.map(Ran::Executed)
                }
                Self::Unprepared(sql) => {
                    connection.execute_unprepared(sql).await.map(Ran::Executed)
                }
                Self::Query(statement) => {
                    connection.query_all_raw(statement.clone()).await.map(Ran::Rows)
                }
                Self::One(statement) => {
                    connection.query_one_raw(statement.clone()).await.map(Ran::One)
                }
            }
        };
        THROUGH.scope((), run).await
    }

    /// Runs a write: all its rows are wanted, also where the caller asks for one.
    pub(crate) async fn write_on<C: ConnectionTrait>(&self, connection: &C) -> Result<Ran, DbErr> {
        match self {
            Self::One(statement) => {
                let run = connection.query_all_raw(statement.clone());
                THROUGH.scope((), run).await.map(Ran::Rows)
            }
            run => run.on(connection).await,
        }
    }
}

impl Ran {
    pub(crate) fn rows(&self) -> Option<&[QueryResult]> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::Executed(_) | Self::One(_) => None,
        }
    }

    pub(crate) fn affected(&self) -> Option<u64> {
        match self {
            Self::Executed(result) => Some(result.rows_affected()),
            Self::Rows(rows) => Some(rows.len() as u64),
            Self::One(_) => None,
        }
    }

    pub(crate) fn into_executed(self) -> Result<ExecResult, DbErr> {
        match self {
            Self::Executed(result) => Ok(result),
            _ => Err(DbErr::Custom("a statement was not executed as asked".into())),
        }
    }

    pub(crate) fn into_rows(self) -> Vec<QueryResult> {
        match self {
            Self::Rows(rows) => rows,
            Self::One(row) => row.into_iter().collect(),
            Self::Executed(_) => Vec::new(),
        }
    }
}
