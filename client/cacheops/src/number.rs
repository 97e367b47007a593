//! The numbers that order stores and invalidations on one server.

/// A moment of the server's history, taken before a query and shown when its result is stored.
///
/// One token may guard any number of stores. An old token is never wrong, it only makes a refusal
/// more likely. It means nothing to another server or database, or after a restart: there it is
/// refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u64);

/// The number that a store took: no other store of the same server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub(crate) u64);

impl Token {
    /// The token of a number that [`get`](Self::get) returned, here or in another process: it is kept with a value in a
    /// file, a cookie or a proxy. A number that no server gave is an unknown token, which guards nothing.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as the server knows it.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl Version {
    /// The version of a number that [`get`](Self::get) returned.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, as the server knows it.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The token of the moment in which this store was made.
    ///
    /// Versions and tokens come from one sequence, so the version of any store guards the queries
    /// that begin after it.
    pub fn token(self) -> Token {
        Token(self.0)
    }
}

/// A number that this process has not had before, in the order of asking: [`crate::flight`] tells by
/// it what came first, and keys that must never meet differ by it.
pub(crate) fn unique() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1
}
