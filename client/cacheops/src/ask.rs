//! `CACHEOPS.GET` with all its options, and `CACHEOPS.RELEASE`.

use std::time::Duration;

use redis::{RedisError, Value};

use crate::{Client, Error, ErrorKind, Token, Version};

/// A question for one entry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask {
    /// The value with this version is at hand; the server need only say that it is still good.
    pub(crate) if_not: Option<u64>,
    /// A miss shall bring a token.
    pub(crate) token: bool,
    /// Only one asker gets the token, for so long.
    pub(crate) lock: Option<Duration>,
    /// The others wait in the server, up to so long.
    pub(crate) wait: Option<Duration>,
}

/// The answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The value, and its version where the question was `if_not`.
    Hit(Vec<u8>, Option<Version>),
    /// What is at hand is good.
    Unchanged,
    /// Nothing. Without a token: a replica, or somebody else holds the lock.
    Miss(Option<Token>),
}

impl Ask {
    fn command(&self, key: &[u8]) -> redis::Cmd {
        let mut command = redis::cmd("CACHEOPS.GET");
        command.arg(key);
        if let Some(version) = self.if_not {
            command.arg("IFNOT").arg(version);
        }
        if self.token {
            command.arg("TOKEN");
        }
        if let Some(lock) = self.lock {
            command.arg("LOCK").arg(milliseconds(lock));
            if let Some(wait) = self.wait {
                command.arg("WAIT").arg(milliseconds(wait));
            }
        }
        command
    }
}

/// As the server takes them: from a millisecond to an hour.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 3_600_000)
}

impl Client {
    pub(crate) async fn ask(&self, key: &[u8], ask: Ask) -> Result<Answer, Error> {
        match self.query(&ask.command(key)).await? {
            // A value is never an integer at top level.
            Value::Int(token) => Ok(Answer::Miss(u64::try_from(token).ok().map(Token))),
            Value::Nil => Ok(Answer::Miss(None)),
            Value::Array(pair) if ask.if_not.is_some() => versioned(pair),
            value => Ok(Answer::Hit(bytes(value)?, None)),
        }
    }

    /// The token of now on the shard of a key; none on a replica.
    pub(crate) async fn token_of(&self, key: &[u8]) -> Result<Option<Token>, Error> {
        let token: Option<u64> = self.query(redis::cmd("CACHEOPS.TOKEN").arg(key)).await?;
        Ok(token.map(Token))
    }

    /// Gives up a lock that a GET with LOCK granted; false if it was not held any more.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] if the module has no locks.
    pub async fn release(&self, key: impl AsRef<[u8]>, token: Token) -> Result<bool, Error> {
        self.require("lock")?;
        self.query(redis::cmd("CACHEOPS.RELEASE").arg(key.as_ref()).arg(token.get())).await
    }
}

fn versioned(pair: Vec<Value>) -> Result<Answer, Error> {
    let mut pair = pair.into_iter();
    match (pair.next(), pair.next()) {
        (Some(Value::Int(_)), Some(Value::Nil)) => Ok(Answer::Unchanged),
        (Some(Value::Int(version)), Some(value)) => {
            Ok(Answer::Hit(bytes(value)?, u64::try_from(version).ok().map(Version)))
        }
        _ => Err(Error::new(ErrorKind::UnexpectedReply, "GET with IFNOT answered no version")),
    }
}

fn bytes(value: Value) -> Result<Vec<u8>, Error> {
    match value {
        // The common case moves the bytes, whatever their number.
        Value::BulkString(bytes) => Ok(bytes),
        value => Ok(redis::from_redis_value(value).map_err(RedisError::from)?),
    }
}
