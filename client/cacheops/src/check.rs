//! `CACHEOPS.CHECK`: is a value that is kept elsewhere still good?

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::channel::Channel;
use crate::{Condition, Deps, Error, ErrorKind, Token};

/// A check in the making: name the conditions with [`on`](Self::on), then await it.
///
/// It answers whether nothing that the conditions match was invalidated since the token. That makes
/// a value in the process's memory, a file or a proxy as safe as an entry. What the server does not
/// know counts as changed.
///
/// ```
/// use cacheops::{Client, Condition, Token};
///
/// # let server = support::Server::start();
/// # let url = format!("redis://127.0.0.1:{}/", server.port());
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let client = Client::connect(url).await?;
/// let posts = || Condition::all().term("author", 7);
/// # client.check(client.token_for("page").await?).key("page").on("post", posts()).await?;
/// let token = client.token_for("page").await?; // before the database is read
/// let kept = format!("{} the page", token.get()); // in a file, say
///
/// let number = kept.split(' ').next().unwrap().parse()?;
/// let good = client.check(Token::new(number)).key("page").on("post", posts()).await?;
/// assert!(good);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// Invalidations that a [`Cacheops`](crate::Cacheops) keeps in its outbox are unknown to the server:
/// [`Cacheops::check`](crate::Cacheops::check) takes them into account.
#[derive(Debug)]
#[must_use = "a check does nothing until it is awaited"]
pub struct Check<'a> {
    channel: &'a Channel,
    token: Token,
    key: Option<Vec<u8>>,
    tables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(channel: &'a Channel, token: Token) -> Self {
        Self { channel, token, key: None, tables: Vec::new() }
    }

    /// The key by which the token was taken: see [`Client::token_for`](crate::Client::token_for). In a cluster it chooses the shard and is required;
    /// elsewhere it changes nothing.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    /// The rows of `table` that the value depends on.
    pub fn on(mut self, table: impl AsRef<[u8]>, condition: Condition) -> Self {
        self.tables.push((table.as_ref().to_vec(), condition.to_bytes()));
        self
    }

    /// All of these.
    pub fn deps(mut self, deps: &Deps) -> Self {
        self.tables.extend(deps.iter().map(|(table, text)| (table.to_vec(), text.to_vec())));
        self
    }

    fn command(&self) -> Result<redis::Cmd, Error> {
        self.channel.require("check")?;
        if self.tables.is_empty() {
            let text = "a value must depend on a table: call `on`";
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        if self.key.is_none() && self.channel.is_cluster() {
            let text = "in a cluster a token is of one shard: call `key` with the key of the token";
            return Err(Error::new(ErrorKind::InvalidRequest, text));
        }
        let mut command = redis::cmd("CACHEOPS.CHECK");
        command.arg(self.token.get());
        if let Some(key) = &self.key {
            command.arg("KEY").arg(key);
        }
        command.arg("ON");
        for (table, condition) in &self.tables {
            command.arg(table).arg(condition);
        }
        Ok(command)
    }
}

impl<'a> IntoFuture for Check<'a> {
    type Output = Result<bool, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let command = self.command()?;
            self.channel.query_at(self.key.as_deref().unwrap_or_default(), &command).await
        })
    }
}
