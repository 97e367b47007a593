//! One token for all fills of a transaction.

use crate::Token;
use crate::core::Core;

/// The moment before a transaction began, to guard every result that is read in it.
///
/// A transaction that reads from a snapshot of the database (REPEATABLE READ, SERIALIZABLE, SQLite)
/// sees the rows of the moment it began. A token taken later would vouch for rows that it cannot
/// see. See [`Cacheops::snapshot`](crate::Cacheops::snapshot).
#[derive(Clone, Debug)]
pub struct Snapshot(Moment);

#[derive(Clone, Debug)]
enum Moment {
    /// The server could not be asked.
    Unknown,
    Everywhere(Token),
    #[cfg(feature = "cluster")]
    PerShard(std::sync::Arc<crate::cluster::Tokens>),
}

impl Snapshot {
    pub(crate) async fn take(core: &Core) -> Self {
        let Some(client) = core.trusted() else { return Self(Moment::Unknown) };
        #[cfg(feature = "cluster")]
        if let crate::connection::Kind::Cluster(link) = &client.connection().0 {
            return match link.tokens().await {
                Ok(tokens) => Self(Moment::PerShard(std::sync::Arc::new(tokens))),
                Err(error) => {
                    core.link.failed(&client, &error);
                    Self(Moment::Unknown)
                }
            };
        }
        match client.token().await {
            Ok(token) => Self(Moment::Everywhere(token)),
            Err(error) => {
                core.link.failed(&client, &error);
                Self(Moment::Unknown)
            }
        }
    }

    /// The token for the shard of a key; none if it is not known.
    pub(crate) fn token_for(&self, key: &[u8]) -> Option<Token> {
        let _ = key;
        match &self.0 {
            Moment::Unknown => None,
            Moment::Everywhere(token) => Some(*token),
            #[cfg(feature = "cluster")]
            Moment::PerShard(tokens) => tokens.of(key),
        }
    }
}
