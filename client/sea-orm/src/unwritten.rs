//! Whether a transaction of PostgreSQL has written anything: then it has a number.

use std::sync::OnceLock;

use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::run::Run;

/// Asks for the number, where the server can be asked.
#[derive(Default)]
pub(crate) struct Unwritten {
    can_be_asked: OnceLock<bool>,
}

/// An unknown function would be an error, which ends the transaction.
const CAN_BE_ASKED: &str =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'txid_current_if_assigned')";
const UNWRITTEN: &str = "SELECT pg_catalog.txid_current_if_assigned() IS NULL";

impl Unwritten {
    /// Whether the transaction of this connection has written nothing so far. True where the server does not say.
    pub(crate) async fn ask<C: ConnectionTrait>(&self, connection: &C) -> Result<bool, DbErr> {
        let can_be_asked = match self.can_be_asked.get() {
            Some(known) => *known,
            None => {
                let answer = ask(connection, CAN_BE_ASKED).await?;
                *self.can_be_asked.get_or_init(|| answer)
            }
        };
        if can_be_asked { ask(connection, UNWRITTEN).await } else { Ok(true) }
    }
}

async fn ask<C: ConnectionTrait>(connection: &C, sql: &str) -> Result<bool, DbErr> {
    let question = Statement::from_string(connection.get_database_backend(), sql);
    let rows = Run::Query(question).on(connection).await?.into_rows();
    rows.first().map_or(Ok(false), |row| row.try_get_by_index(0))
}
