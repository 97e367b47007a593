//! Single flight: of all who miss a key, one is told to fetch it, and the others wait for what it stores.
//!
//! ```text
//! key -> lock: token, client, end -> queue of waiters, in the order in which they asked
//!
//!           ask            land                  everybody who waits is served
//!   (free) ----> (locked) ------> (free)         release, end, disconnected:
//!                   |  ^                         the first who waits holds the lock, with a token of its own
//!                   +--+ next
//! ```
//!
//! A lock is known by its token, which nobody else was ever given: who has lost it can neither keep nor release it. It ends
//! when the result is stored, when its owner gives it up or is gone, and at the latest at its end; then it passes on to the
//! first who waits. A waiter leaves with what was stored, with the lock, or at the end of its patience.
//!
//! Nothing here knows a server or a clock. Times are milliseconds that the caller counts from wherever it likes, and a waiter
//! is a handle that the caller can wake. Asking, waiting, leaving cost O(log n) of locks and waiters; what may concern many at
//! once ([`Flights::due`], [`Flights::next_landed`]) is done in slices. All maps are trees: a hash map that doubles would hold up the server.
//!
//! Source: leases in Nishtala et al., *Scaling Memcache at Facebook*, 2013; the name from Go's `singleflight`.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

type Key = Rc<[u8]>;

/// Who asks, and for how long it may hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The connection that it asks through.
    pub client: u64,
    /// Milliseconds after which the lock passes on, whatever its owner does.
    pub lock_ms: u64,
}

/// How many locks there may be, and what they and those who wait may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Locks; none are granted if this is 0.
    pub locks: usize,
    /// Bytes, as [`Flights::bytes`] counts them.
    pub bytes: usize,
}

/// Who waited for a result that is stored; see [`Flights::next_landed`].
#[derive(Debug)]
pub struct Landed<H>(BTreeMap<u64, H>);

impl<H> Landed<H> {
    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What became of the wish to fetch a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The asker holds the lock now, and knows it by this token.
    Granted(u64),
    /// Somebody else holds it.
    Locked,
    /// There are too many locks for one more.
    Full,
}

/// A waiter that holds the lock from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handover<H> {
    /// The waiter.
    pub waiter: H,
    /// What it knows its lock by.
    pub token: u64,
}

/// What became of a lock that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released<H> {
    /// It was not theirs, or is not any more.
    NotOwner,
    /// Nobody waited for it.
    Free,
    /// It has passed on.
    PassedOn(Handover<H>),
}

/// What time, or the end of a connection, has brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due<H> {
    /// A lock has passed on.
    PassedOn(Handover<H>),
    /// A waiter's patience has ended.
    TimedOut(H),
}

/// The locks of one database, and who waits for them.
///
/// `H` is how the caller knows a waiter; no two wait under the same handle.
#[derive(Debug)]
pub struct Flights<H> {
    locks: BTreeMap<Key, Lock<H>>,
    waiters: BTreeMap<H, Waiter>,
    /// The locks of each client, by their tokens.
    owned: BTreeMap<(u64, u64), Key>,
    /// When locks end: time and token.
    lock_ends: BTreeMap<(u64, u64), Key>,
    /// When patience ends: time, place in the order of asking.
    wait_ends: BTreeMap<(u64, u64), H>,
    /// Clients that are gone while they held locks.
    gone: BTreeSet<u64>,
    /// Bytes of the keys that are locked.
    key_bytes: usize,
    asked: u64,
    expired: u64,
}

/// About what a lock takes beside its key: its places in four trees, which are two thirds full, and the head of the key.
const LOCK_BYTES: usize = 300;
/// About what one who waits takes here and in the tables of the caller.
const WAITER_BYTES: usize = 300;

#[derive(Debug)]
struct Lock<H> {
    token: u64,
    client: u64,
    ends_at: u64,
    queue: BTreeMap<u64, H>,
}

#[derive(Debug)]
struct Waiter {
    key: Key,
    asker: Asker,
    place: u64,
    until: u64,
}

impl<H> Default for Flights<H> {
    fn default() -> Self {
        Self {
            locks: BTreeMap::new(),
            waiters: BTreeMap::new(),
            owned: BTreeMap::new(),
            lock_ends: BTreeMap::new(),
            wait_ends: BTreeMap::new(),
            gone: BTreeSet::new(),
            key_bytes: 0,
            asked: 0,
            expired: 0,
        }
    }
}

impl<H: Copy + Ord> Flights<H> {
    /// Gives the lock of `key` to the asker, unless somebody holds it.
    ///
    /// `now` is the time, and `token` makes a number that it never made before. A lock whose end has passed while somebody waits
    /// for it is theirs: it passes on with the next [`Flights::due`].
    pub fn ask(
        &mut self,
        key: &[u8],
        asker: Asker,
        now: u64,
        bounds: Bounds,
        token: impl FnOnce() -> u64,
    ) -> Asked {
        match self.locks.get(key) {
            Some(lock) if !lock.queue.is_empty() => return Asked::Locked,
            Some(lock) if lock.ends_at > now && !self.gone.contains(&lock.client) => {
                return Asked::Locked;
            }
            Some(_) => {
                self.expired += 1;
                self.remove(key);
            }
            None => {}
        }
        if self.locks.len() >= bounds.locks || self.bytes() + LOCK_BYTES + key.len() > bounds.bytes
        {
            return Asked::Full;
        }
        let token = token();
        self.lock(key.into(), asker, token, now, BTreeMap::new());
        Asked::Granted(token)
    }

    /// Has a waiter wait for `key` until a time; false if nobody holds the lock, or the handle waits already.
    pub fn wait(&mut self, key: &[u8], waiter: H, asker: Asker, until: u64) -> bool {
        let Some((key, _)) = self.locks.get_key_value(key) else { return false };
        let key = Rc::clone(key);
        if self.waiters.contains_key(&waiter) {
            return false;
        }
        self.asked += 1;
        let place = self.asked;
        if let Some(lock) = self.locks.get_mut(&key) {
            lock.queue.insert(place, waiter);
        }
        self.wait_ends.insert((until, place), waiter);
        self.waiters.insert(waiter, Waiter { key, asker, place, until });
        true
    }

    /// The result of `key` is stored: its lock ends, and everybody who waited is to be answered. O(log n), however many they
    /// are: [`Flights::next_landed`] names them.
    pub fn land(&mut self, key: &[u8]) -> Landed<H> {
        Landed(self.remove(key).map_or_else(BTreeMap::new, |lock| lock.queue))
    }

    /// The next of those who waited, in the order of asking, and whether it still does. O(log n).
    pub fn next_landed(&mut self, landed: &mut Landed<H>) -> Option<(H, bool)> {
        let (_, waiter) = landed.0.pop_first()?;
        Some((waiter, self.forget(waiter).is_some()))
    }

    /// Gives up the lock that is known by `token`; the first who waits holds it then.
    pub fn release(
        &mut self,
        key: &[u8],
        token: u64,
        now: u64,
        next_token: impl FnOnce() -> u64,
    ) -> Released<H> {
        if self.locks.get(key).is_none_or(|lock| lock.token != token) {
            return Released::NotOwner;
        }
        match self.pass_on(key, now, next_token) {
            Some(handover) => Released::PassedOn(handover),
            None => Released::Free,
        }
    }

    /// A waiter does not wait any more; false if it did not.
    pub fn leave(&mut self, waiter: H) -> bool {
        let Some(Waiter { key, place, until, .. }) = self.waiters.remove(&waiter) else {
            return false;
        };
        self.wait_ends.remove(&(until, place));
        if let Some(lock) = self.locks.get_mut(&key) {
            lock.queue.remove(&place);
        }
        true
    }

    /// A connection has ended: its locks pass on with the next [`Flights::due`]. Answers whether it had any. O(log n).
    pub fn disconnected(&mut self, client: u64) -> bool {
        self.owned.range((client, 0)..=(client, u64::MAX)).next().is_some()
            && self.gone.insert(client)
    }

    /// Looks for one thing that time or the end of a connection has brought about by `now`, and does it. To be called until it
    /// answers nothing, or for as long as the caller has time.
    pub fn due(&mut self, now: u64, mut token: impl FnMut() -> u64) -> Option<Due<H>> {
        loop {
            if let Some((&(until, _), &waiter)) = self.wait_ends.first_key_value()
                && until <= now
            {
                self.leave(waiter);
                return Some(Due::TimedOut(waiter));
            }
            let key = self.ended(now)?;
            if let Some(handover) = self.pass_on(&key, now, &mut token) {
                return Some(Due::PassedOn(handover));
            }
        }
    }

    /// When [`Flights::due`] has something to do: at once (0), at a time, or never.
    pub fn next_due(&self) -> Option<u64> {
        if !self.gone.is_empty() {
            return Some(0);
        }
        let lock = self.lock_ends.first_key_value().map(|(&(time, _), _)| time);
        let wait = self.wait_ends.first_key_value().map(|(&(time, _), _)| time);
        lock.into_iter().chain(wait).min()
    }

    /// Ends everything, and answers who waited.
    pub fn clear(&mut self) -> VecDeque<H> {
        let waiters = std::mem::take(&mut self.wait_ends).into_values().collect();
        let expired = self.expired;
        *self = Self { expired, ..Self::default() };
        waiters
    }

    /// Whether there is no lock, hence nobody who waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    /// How many locks there are.
    pub fn locks(&self) -> usize {
        self.locks.len()
    }

    /// About what the locks and those who wait take.
    pub fn bytes(&self) -> usize {
        self.key_bytes + LOCK_BYTES * self.locks.len() + WAITER_BYTES * self.waiters.len()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// How many locks have reached their end, or lost their owner, so far.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The key of a lock whose end has passed, or whose owner is gone.
    fn ended(&mut self, now: u64) -> Option<Key> {
        while let Some(&client) = self.gone.first() {
            if let Some((_, key)) = self.owned.range((client, 0)..=(client, u64::MAX)).next() {
                self.expired += 1;
                return Some(Rc::clone(key));
            }
            self.gone.pop_first();
        }
        let (&(time, _), key) = self.lock_ends.first_key_value()?;
        if time > now {
            return None;
        }
        self.expired += 1;
        Some(Rc::clone(key))
    }

    /// Takes the lock of a key from its owner and gives it to the first who waits, if anybody does.
    fn pass_on(
        &mut self,
        key: &[u8],
        now: u64,
        token: impl FnOnce() -> u64,
    ) -> Option<Handover<H>> {
        let mut lock = self.remove(key)?;
        let (_, waiter) = lock.queue.pop_first()?;
        let Waiter { key, asker, .. } = self.forget(waiter)?;
        let token = token();
        self.lock(key, asker, token, now, lock.queue);
        Some(Handover { waiter, token })
    }

    fn lock(&mut self, key: Key, asker: Asker, token: u64, now: u64, queue: BTreeMap<u64, H>) {
        let Asker { client, lock_ms } = asker;
        let ends_at = now.saturating_add(lock_ms);
        self.key_bytes += key.len();
        self.owned.insert((client, token), Rc::clone(&key));
        self.lock_ends.insert((ends_at, token), Rc::clone(&key));
        self.locks.insert(key, Lock { token, client, ends_at, queue });
    }

    fn remove(&mut self, key: &[u8]) -> Option<Lock<H>> {
        let lock = self.locks.remove(key)?;
        self.key_bytes = self.key_bytes.saturating_sub(key.len());
        self.owned.remove(&(lock.client, lock.token));
        self.lock_ends.remove(&(lock.ends_at, lock.token));
        Some(lock)
    }

    /// A waiter that is in no queue any more.
    fn forget(&mut self, waiter: H) -> Option<Waiter> {
        let forgotten = self.waiters.remove(&waiter)?;
        self.wait_ends.remove(&(forgotten.until, forgotten.place));
        Some(forgotten)
    }
}
