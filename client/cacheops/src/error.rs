//! What can go wrong between an application and its cache.

use std::fmt;

use redis::{ErrorKind as Redis, RedisError, ServerErrorKind};

/// An error of the cache. [`kind`](Self::kind) is for programs, its text often says what to do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    source: Option<RedisError>,
    unconfirmed: bool,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server has not loaded `libcacheops.so`: `loadmodule` in its configuration, or `MODULE LOAD`.
    ModuleMissing,
    /// The server's module is older than this crate needs: build the module of the same version.
    ModuleTooOld,
    /// The server's module lacks the capability that this call needs.
    Unsupported,
    /// The request is incomplete; it was not sent.
    InvalidRequest,
    /// The settings contradict each other, or an address cannot be read.
    InvalidConfig,
    /// A profile names a table that is not among the known ones.
    UnknownTable,
    /// The server refused the arguments: a limit, or a condition that breaks the grammar.
    Rejected,
    /// The value is longer than `cacheops.max-value-bytes` of the server allows.
    ValueTooLarge,
    /// The key holds a value of another type.
    WrongType,
    /// The server is a replica; writes belong to its primary.
    ReadOnly,
    /// The server is at its `maxmemory` and may not evict.
    OutOfMemory,
    /// The user may not run the command, or could not log in: `ACL SETUSER` of the server.
    Denied,
    /// The server cannot serve now: loading, failing over, refusing writes, or known to be away.
    Unavailable,
    /// The address is not a server's, or the connection failed. Whether the request was carried out
    /// is not known.
    Connection,
    /// No answer in time. Whether the request was carried out is not known.
    Timeout,
    /// A value could not be turned into bytes.
    Encode,
    /// The bytes of an entry are not a value of the type asked for.
    Decode,
    /// The server answered something that this crate does not understand.
    UnexpectedReply,
}

impl Error {
    /// An error of a [`Codec`](crate::Codec) that is written elsewhere.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None, unconfirmed: false }
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
        matches!(self.kind, ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Unavailable)
    }

    /// The same error, with the name of the server.
    pub(crate) fn of(self, server: &str) -> Self {
        Self { text: format!("{server}: {}", self.text), ..self }
    }

    /// Whether this is an invalidation that the server has not confirmed, which is an error in
    /// [strict mode](crate::Builder::strict) only.
    ///
    /// The write that it belongs to has taken effect in the database: do not repeat that. The
    /// invalidation is in the outbox and is sent again by the handle.
    pub fn is_unconfirmed(&self) -> bool {
        self.unconfirmed
    }

    /// The same error, as that of an invalidation which waits in the outbox.
    pub(crate) fn into_unconfirmed(self) -> Self {
        Self { unconfirmed: true, ..self }
    }

    /// Whether the server refuses the request as it is, and would each time.
    pub(crate) fn is_of_the_request(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Rejected
                | ErrorKind::ValueTooLarge
                | ErrorKind::WrongType
                | ErrorKind::OutOfMemory
                | ErrorKind::Denied
                | ErrorKind::InvalidRequest
        )
    }

    /// Whether the connection is of no more use: a request after this one would fail alike.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Connection
                | ErrorKind::Timeout
                | ErrorKind::ReadOnly
                | ErrorKind::ModuleMissing
                | ErrorKind::Denied
        )
    }
}

impl ErrorKind {
    /// What to do about it, where that is always the same.
    fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::ModuleMissing => "start it with `loadmodule libcacheops.so`",
            Self::ModuleTooOld => "load the module that belongs to this crate",
            Self::ValueTooLarge => "cache less, or raise the directive cacheops.max-value-bytes",
            Self::ReadOnly => "connect to the primary, or through its sentinels",
            Self::OutOfMemory => "raise `maxmemory`, or choose a policy that evicts",
            Self::Denied => {
                "check user and password, redis://user:password@host:port/database, and the rules of `ACL`"
            }
            Self::Timeout => "see `SLOWLOG` and `LATENCY DOCTOR`, or raise the response timeout",
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.advice() {
            Some(advice) => write!(f, "{}: {advice}", self.text),
            None => f.write_str(&self.text),
        }
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
            ErrorKind::Timeout => "the server did not answer in time".to_string(),
            _ => match (source.code(), source.detail()) {
                // As the server says it, without the quotes and full stops that would stand in the middle here.
                (Some(code), Some(detail)) => format!("{code} {}", detail.trim_end_matches('.')),
                _ => source.to_string(),
            },
        };
        Self { kind, text, source: Some(source), unconfirmed: false }
    }
}

fn kind_of(error: &RedisError) -> ErrorKind {
    let unknown_command = |text: &str| text.to_ascii_lowercase().contains("unknown command");
    let too_large = |text: &str| text.contains("cacheops.max-value-bytes");
    match error.code() {
        Some("WRONGTYPE") => return ErrorKind::WrongType,
        Some("OOM") => return ErrorKind::OutOfMemory,
        Some("NOAUTH" | "WRONGPASS") => return ErrorKind::Denied,
        Some("MISCONF" | "NOREPLICAS" | "BUSY") => return ErrorKind::Unavailable,
        _ => {}
    }
    match error.kind() {
        Redis::AuthenticationFailed => ErrorKind::Denied,
        Redis::InvalidClientConfig => ErrorKind::InvalidConfig,
        Redis::Server(kind) => match kind {
            ServerErrorKind::ReadOnly => ErrorKind::ReadOnly,
            ServerErrorKind::NoPerm => ErrorKind::Denied,
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown => ErrorKind::Unavailable,
            _ if error.detail().is_some_and(unknown_command) => ErrorKind::ModuleMissing,
            _ if error.detail().is_some_and(too_large) => ErrorKind::ValueTooLarge,
            _ => ErrorKind::Rejected,
        },
        Redis::Extension => ErrorKind::Rejected,
        Redis::Parse | Redis::UnexpectedReturnType => ErrorKind::UnexpectedReply,
        _ if error.is_timeout() => ErrorKind::Timeout,
        _ => ErrorKind::Connection,
    }
}
