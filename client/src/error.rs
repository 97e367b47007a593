//! What can go wrong between an application and its cache.

use std::fmt;

use redis::{ErrorKind as Redis, RedisError, ServerErrorKind};

/// An error of the cache. [`kind`](Self::kind) tells what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    source: Option<RedisError>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server has not loaded `libcacheops.so`.
    ModuleMissing,
    /// The server's module is older than this crate needs.
    ModuleTooOld,
    /// The server's module lacks the capability that this call needs.
    Unsupported,
    /// The request is incomplete; it was not sent.
    InvalidRequest,
    /// The server refused the arguments: a limit, or a condition that breaks the grammar.
    Rejected,
    /// The key holds a value of another type.
    WrongType,
    /// The server is a replica; writes belong to its primary.
    ReadOnly,
    /// The server is at its `maxmemory` and may not evict.
    OutOfMemory,
    /// The user may not run the command, or could not log in.
    Denied,
    /// The server is there but cannot serve now: loading, failing over, refusing writes.
    Unavailable,
    /// The address is not a server's, or the connection failed or timed out. Whether the request
    /// was carried out is not known.
    Connection,
    /// The server answered something that this crate does not understand.
    UnexpectedReply,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    ///
    /// Reads and invalidations may be repeated at will. A store may be repeated if it carries a
    /// token; without one the result could have become stale in between.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Connection | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<RedisError> for Error {
    fn from(source: RedisError) -> Self {
        let kind = kind_of(&source);
        let text = match kind {
            ErrorKind::ModuleMissing => "the server has not loaded libcacheops.so".to_string(),
            _ => source.to_string(),
        };
        Self { kind, text, source: Some(source) }
    }
}

fn kind_of(error: &RedisError) -> ErrorKind {
    let unknown_command = |text: &str| text.to_ascii_lowercase().contains("unknown command");
    match error.code() {
        Some("WRONGTYPE") => return ErrorKind::WrongType,
        Some("OOM") => return ErrorKind::OutOfMemory,
        Some("NOAUTH" | "WRONGPASS") => return ErrorKind::Denied,
        Some("MISCONF" | "NOREPLICAS" | "BUSY") => return ErrorKind::Unavailable,
        _ => {}
    }
    match error.kind() {
        Redis::AuthenticationFailed => ErrorKind::Denied,
        Redis::Server(kind) => match kind {
            ServerErrorKind::ReadOnly => ErrorKind::ReadOnly,
            ServerErrorKind::NoPerm => ErrorKind::Denied,
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown => ErrorKind::Unavailable,
            _ if error.detail().is_some_and(unknown_command) => ErrorKind::ModuleMissing,
            _ => ErrorKind::Rejected,
        },
        Redis::Extension => ErrorKind::Rejected,
        Redis::Parse | Redis::UnexpectedReturnType => ErrorKind::UnexpectedReply,
        _ => ErrorKind::Connection,
    }
}
