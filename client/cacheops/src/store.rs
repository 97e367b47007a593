//! `CACHEOPS.STORE`: a value and the conditions it depends on.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use crate::channel::Channel;
use crate::{Condition, Deps, Error, ErrorKind, Token, Version};

/// The longest time that the server takes.
const MAX_TTL_MS: u64 = 1 << 62;

/// A store in the making: name the conditions with [`on`](Self::on), then await it.
///
/// It answers the entry's version, or `None`: refused, because a row it depends on may have changed
/// since the token, or because the server tracks no more tables. A refusal is no error; the value
/// is still good for whoever asked, it just is not cached. No key is changed by it.
#[derive(Debug)]
#[must_use = "a store does nothing until it is awaited"]
pub struct Store<'a> {
    channel: &'a Channel,
    key: &'a [u8],
    value: &'a [u8],
    ttl: Option<Duration>,
    token: Option<Token>,
    tables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'a> Store<'a> {
    pub(crate) fn new(channel: &'a Channel, key: &'a [u8], value: &'a [u8]) -> Self {
        Self { channel, key, value, ttl: None, token: None, tables: Vec::new() }
    }

    /// Lets the entry expire. Without it the entry lives until it is invalidated or evicted.
    ///
    /// The server counts in milliseconds; less than one becomes one.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Refuses the store if what it depends on was invalidated since this token, which must be
    /// from before the query.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes the entry depend on the rows of `table` that satisfy `condition`. Several conditions
    /// on one table are or-ed.
    pub fn on(mut self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.tables.push((table.as_ref().to_vec(), condition.to_bytes()));
        self
    }

    /// Makes the entry depend on all of these.
    pub fn deps(mut self, deps: &Deps) -> Self {
        self.tables.extend(deps.iter().map(|(table, text)| (table.to_vec(), text.to_vec())));
        self
    }

    fn command(&self) -> Result<redis::Cmd, Error> {
        if self.tables.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "an entry must depend on a table: call `on`",
            ));
        }
        let mut command = redis::cmd("CACHEOPS.STORE");
        command.arg(self.key).arg(self.value);
        if let Some(ttl) = self.ttl {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, MAX_TTL_MS);
            command.arg("PX").arg(ttl_ms);
        }
        if let Some(Token(token)) = self.token {
            command.arg("TOKEN").arg(token);
        }
        command.arg("ON");
        for (table, condition) in &self.tables {
            command.arg(table).arg(condition);
        }
        Ok(command)
    }
}

impl<'a> IntoFuture for Store<'a> {
    type Output = Result<Option<Version>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let version: Option<u64> = self.channel.query(&self.command()?).await?;
            Ok(version.map(Version))
        })
    }
}
