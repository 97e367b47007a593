//! `CACHEOPS.EXPLAIN`: why an entry is alive or dead.

use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Value, from_redis_value};

/// What the server knows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether the key is a hit.
    pub state: State,
    /// Why it is dead: `invalidated`, `dropped`, `flushed`, `unlinked`.
    pub reason: Option<String>,
    /// The table whose change killed it.
    pub table: Option<Vec<u8>>,
    /// The conjunction that the changed row satisfied, in the grammar's text.
    pub conjunction: Option<Vec<u8>>,
    /// The number of the invalidation that killed it.
    pub sequence: Option<u64>,
    /// When that was, since the Unix epoch.
    pub time: Option<Duration>,
    /// What is left of its time to live; none if it does not expire.
    pub ttl: Option<Duration>,
    /// The length of its value, in bytes.
    pub bytes: Option<u64>,
    /// The number that its store took.
    pub version: Option<u64>,
    /// Table and condition, in the grammar's text.
    pub conditions: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// A hit.
    Alive,
    /// A miss: invalidated, and its memory not yet given back.
    Dead,
    /// Not an entry of this cache.
    Foreign,
}

impl FromRedisValue for Explanation {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let fields = value.into_map_iter().map_err(|_| ParsingError::from("EXPLAIN is no map"))?;
        let mut explanation = Self {
            state: State::Foreign,
            reason: None,
            table: None,
            conjunction: None,
            sequence: None,
            time: None,
            ttl: None,
            bytes: None,
            version: None,
            conditions: Vec::new(),
        };
        for (name, value) in fields {
            let name: String = from_redis_value(name)?;
            match name.as_str() {
                "state" => {
                    explanation.state = match from_redis_value::<String>(value)?.as_str() {
                        "alive" => State::Alive,
                        "dead" => State::Dead,
                        "foreign" => State::Foreign,
                        _ => return Err("EXPLAIN has an unknown state".into()),
                    }
                }
                "reason" => explanation.reason = from_redis_value(value)?,
                "table" => explanation.table = bytes(value)?,
                "conjunction" => explanation.conjunction = bytes(value)?,
                "sequence" => explanation.sequence = from_redis_value(value)?,
                "time" => {
                    explanation.time =
                        from_redis_value::<Option<u64>>(value)?.map(Duration::from_millis)
                }
                "ttl" => {
                    // -1 stands for an entry that does not expire.
                    let ttl_ms = from_redis_value::<Option<i64>>(value)?;
                    explanation.ttl =
                        ttl_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis)
                }
                "bytes" => explanation.bytes = from_redis_value(value)?,
                "version" => explanation.version = from_redis_value(value)?,
                "conditions" => {
                    let texts: Vec<Vec<u8>> = from_redis_value(value)?;
                    let (pairs, _) = texts.as_chunks();
                    explanation.conditions =
                        pairs.iter().map(|[table, text]| (table.clone(), text.clone())).collect();
                }
                // A later module may tell more.
                _ => {}
            }
        }
        Ok(explanation)
    }
}

/// Bytes, whether the server calls them a bulk or a simple string.
fn bytes(value: Value) -> Result<Option<Vec<u8>>, ParsingError> {
    match value {
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        value => from_redis_value(value),
    }
}
