//! `CACHEOPS.INVALIDATE`: what changed, as rows.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::channel::Channel;
use crate::{Changes, Error, ErrorKind, Row};

/// An invalidation in the making: name the rows, then await it.
///
/// All its rows go in one command and take effect together. It answers the number of links cut,
/// which is at least the number of entries that died (one that matched twice counts twice); 0 means
/// that nothing depended on the rows. Without rows nothing is sent.
#[derive(Debug)]
#[must_use = "an invalidation does nothing until it is awaited"]
pub struct Invalidate<'a> {
    channel: &'a Channel,
    dry_run: bool,
    /// Per table the rows so far, joined by `|`.
    tables: Vec<(Vec<u8>, Vec<u8>)>,
    /// Every entry of the database, whatever tables are named.
    everything: bool,
}

impl<'a> Invalidate<'a> {
    pub(crate) fn new(channel: &'a Channel) -> Self {
        Self { channel, dry_run: false, tables: Vec::new(), everything: false }
    }

    /// A row that was inserted or deleted. Where fields are missing: every row that has the rest.
    pub fn row(mut self, table: impl AsRef<[u8]>, row: &Row) -> Self {
        let table = table.as_ref();
        match self.tables.iter_mut().find(|(known, _)| known == table) {
            Some((_, rows)) => {
                rows.push(b'|');
                row.write(rows);
            }
            None => self.tables.push((table.to_vec(), row.to_bytes())),
        }
        self
    }

    /// A row that was updated: its image before and after. Both are needed, since a row may leave
    /// one result and enter another.
    pub fn changed(self, table: impl AsRef<[u8]>, old: Row, new: Row) -> Self {
        let table = table.as_ref();
        self.row(table, &old).row(table, &new)
    }

    /// Any row of the table: everything that depends on the table dies.
    pub fn table(self, table: impl AsRef<[u8]>) -> Self {
        self.row(table, &Row::new())
    }

    /// Only counts what would be cut. Of [`Changes::everything`] that cannot be asked: it is an error.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// All changes of a set. With [`Changes::everything`] the invalidation becomes a [`Client::flush`](crate::Client::flush), and returns the
    /// number of entries.
    pub fn changes(mut self, changes: &Changes) -> Self {
        self.everything |= changes.is_everything();
        for (table, text) in changes.texts() {
            match self.tables.iter_mut().find(|(known, _)| known == table) {
                Some((_, rows)) => {
                    rows.push(b'|');
                    rows.extend_from_slice(&text);
                }
                None => self.tables.push((table.to_vec(), text)),
            }
        }
        self
    }

    fn command(&self) -> redis::Cmd {
        let mut command = redis::cmd("CACHEOPS.INVALIDATE");
        if self.dry_run {
            command.arg("DRYRUN");
        }
        if self.channel.is_cluster() {
            command.arg("SHARD");
        }
        command.arg("ON");
        for (table, rows) in &self.tables {
            command.arg(table).arg(rows);
        }
        command
    }
}

impl<'a> IntoFuture for Invalidate<'a> {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.everything && self.dry_run {
                let text = "dry_run counts rows and tables only: leave `Changes::everything` out";
                return Err(Error::new(ErrorKind::InvalidRequest, text));
            }
            if self.everything {
                return self.channel.flush().await;
            }
            if self.tables.is_empty() {
                return Ok(0);
            }
            self.channel.query_all(&self.command()).await
        })
    }
}
