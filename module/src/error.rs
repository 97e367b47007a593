use std::fmt;

use cacheops_protocol::ArgError;

/// Why a command was refused. Nothing was changed and nothing replicated.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The server has a text of its own for this.
    Arity,
    Argument(ArgError),
    /// The key holds something else.
    WrongType,
    ReadOnly,
    /// The time to live ends beyond the end of time.
    ExpiryOverflow,
}

impl From<ArgError> for CommandError {
    fn from(error: ArgError) -> Self {
        match error {
            ArgError::Arity => Self::Arity,
            error => Self::Argument(error),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arity => f.write_str("ERR wrong number of arguments"),
            Self::Argument(error) => write!(f, "ERR {error}"),
            Self::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Self::ReadOnly => f.write_str("READONLY You can't write against a read only replica."),
            Self::ExpiryOverflow => {
                f.write_str("ERR invalid expire time, it ends beyond what the server can count")
            }
        }
    }
}
