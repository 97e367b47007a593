//! `CACHEOPS.CHECK`: is a value that is kept elsewhere still good?

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::{Client, Condition, Error, ErrorKind, Token};

/// A check in the making: name the conditions with [`on`](Self::on), then await it.
///
/// It answers whether nothing that the conditions match was invalidated since the token. That makes
/// a value in the process's memory, a file or a proxy as safe as an entry. What the server does not
/// know counts as changed.
#[derive(Debug)]
#[must_use = "a check does nothing until it is awaited"]
pub struct Check<'a> {
    cache: &'a Client,
    token: Token,
    tables: Vec<(Vec<u8>, Condition)>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(cache: &'a Client, token: Token) -> Self {
        Self { cache, token, tables: Vec::new() }
    }

    /// The rows of `table` that the value depends on.
    pub fn on(mut self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.tables.push((table.as_ref().to_vec(), condition));
        self
    }

    fn command(&self) -> Result<redis::Cmd, Error> {
        self.cache.require("check")?;
        if self.tables.is_empty() {
            let text = "a value must depend on a table: call `on`";
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        let mut command = redis::cmd("CACHEOPS.CHECK");
        command.arg(self.token.get()).arg("ON");
        for (table, condition) in &self.tables {
            command.arg(table).arg(condition.to_bytes());
        }
        Ok(command)
    }
}

impl<'a> IntoFuture for Check<'a> {
    type Output = Result<bool, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.cache.query(&self.command()?).await })
    }
}
