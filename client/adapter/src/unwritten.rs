//! Whether a transaction of PostgreSQL has written anything: then it has a number.

use std::sync::OnceLock;

use crate::driver::{Bind, Driver};
use crate::identity::flag;

/// Queries for the number, where the server has the function.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    has_function: OnceLock<bool>,
}

/// An unknown function would be an error, which ends the transaction.
const HAS_FUNCTION: &str =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'txid_current_if_assigned')";
const UNWRITTEN: &str = "SELECT pg_catalog.txid_current_if_assigned() IS NULL";

impl Unwritten {
    /// Whether the transaction of this connection has written nothing so far. True where the server does not say.
    pub(crate) async fn query<D: Driver>(&self, driver: &mut D) -> Result<bool, D::Error> {
        let has_function = match self.has_function.get() {
            Some(known) => *known,
            None => {
                let answer = query(driver, HAS_FUNCTION).await?;
                *self.has_function.get_or_init(|| answer)
            }
        };
        if has_function { query(driver, UNWRITTEN).await } else { Ok(true) }
    }
}

async fn query<D: Driver>(driver: &mut D, sql: &str) -> Result<bool, D::Error> {
    let rows = driver.query(sql.to_owned(), Bind::Nothing).await?.unwrap_or_default();
    let values = rows.first().map(|row| driver.columns(row)).unwrap_or_default();
    let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
    Ok(flag(&values, 0))
}
