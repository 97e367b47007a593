//! Calls of SeaORM played through without a database: first to hear what they ask, and, when rows have come, to let
//! SeaORM make of them what it always makes. So what is cached is what SeaORM itself would have said.

use std::cell::RefCell;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};

thread_local! {
    /// A rehearsal begins and ends in one poll, so one for each thread is enough.
    static SCENE: RefCell<Scene> = const { RefCell::new(Scene { asked: None, rows: None }) };
}

struct Scene {
    /// What was asked first.
    asked: Option<Statement>,
    /// What the first question is answered with; nothing is the answer to the others.
    rows: Option<Vec<QueryResult>>,
}

/// A connection that answers at once, and with nothing but what it was given.
#[derive(Debug)]
pub struct Rehearsal(DbBackend);

impl Rehearsal {
    pub(crate) fn of(backend: DbBackend) -> &'static Self {
        static MYSQL: Rehearsal = Rehearsal(DbBackend::MySql);
        static POSTGRES: Rehearsal = Rehearsal(DbBackend::Postgres);
        static SQLITE: Rehearsal = Rehearsal(DbBackend::Sqlite);
        match backend {
            DbBackend::MySql => &MYSQL,
            DbBackend::Postgres => &POSTGRES,
            _ => &SQLITE,
        }
    }

    fn answer(stmt: Statement) -> Vec<QueryResult> {
        SCENE.with_borrow_mut(|scene| {
            scene.asked.get_or_insert(stmt);
            scene.rows.take().unwrap_or_default()
        })
    }
}

fn played<T>(
    rows: Option<Vec<QueryResult>>,
    call: impl Future<Output = Result<T, DbErr>>,
) -> (Option<Statement>, Result<T, DbErr>) {
    SCENE.set(Scene { asked: None, rows });
    let call = std::pin::pin!(call);
    let result = match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(DbErr::Custom("a query waits for more than its database".into())),
    };
    (SCENE.replace(Scene { asked: None, rows: None }).asked, result)
}

/// What a call asks first. Where it asks nothing, its result.
pub(crate) fn asked<T>(
    call: impl Future<Output = Result<T, DbErr>>,
) -> Result<Statement, Result<T, DbErr>> {
    let (statement, result) = played(None, call);
    statement.ok_or(result)
}

/// The question of a call that asks one for certain.
pub(crate) fn question<T>(
    backend: DbBackend,
    call: impl Future<Output = Result<T, DbErr>>,
) -> Statement {
    let nothing = |_| Statement::from_string(backend, "SELECT 1 WHERE 1 = 0");
    asked(call).unwrap_or_else(nothing)
}

/// What a call makes of these rows.
pub(crate) fn answered<T>(
    rows: Vec<QueryResult>,
    call: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, DbErr> {
    played(Some(rows), call).1
}

#[async_trait]
impl ConnectionTrait for Rehearsal {
    fn get_database_backend(&self) -> DbBackend {
        self.0
    }

    async fn execute_raw(&self, _: Statement) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("a read must not execute anything".into()))
    }

    async fn execute_unprepared(&self, _: &str) -> Result<ExecResult, DbErr> {
        Err(DbErr::Custom("a read must not execute anything".into()))
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(Self::answer(stmt).into_iter().next())
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(Self::answer(stmt))
    }
}
