//! Single flight inside the process: concurrent misses of one key run the loader once.
//!
//! A reader first asks the server. With a miss in hand it joins the flight of its key: the first
//! leads (it loads and stores), the others follow and are given the leader's bytes. What makes this
//! delicate is the reader that comes late: a value may have been loaded *before* an invalidation that
//! was acknowledged before the reader asked, and must then not reach it. So each landing says when its
//! leader asked for its token, and a follower takes the bytes only
//!
//! 1. if the leader asked the server *after* the follower's own question began: whatever the
//!    follower may know of was then in the database before the leader read it; or
//! 2. if both were given the same token: nothing at all happened on the server between the two; or
//! 3. if the server vouches for the stored entry: one small round trip, `GET key IFNOT version`.
//!
//! Otherwise it starts over and leads itself. All followers of the second round asked before the new
//! leader did, so two rounds are enough for everybody, however busy the tables are.
//!
//! A leader that is dropped abandons its flight: the followers start over and one of them leads. A
//! loader that fails lands nothing: each follower loads for itself, since the error is not theirs.
//!
//! A reader whose miss is older than a landing (it was slow to join) leads, but is told to ask again
//! first. Landings are remembered as one number per shard of the map, so that a hit costs nothing here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::number::unique;
use crate::{Token, Version};

const SHARDS: usize = 32;

/// A moment in this process. Later moments are greater.
pub(crate) type Stamp = u64;

/// The moment of now.
pub(crate) fn now() -> Stamp {
    unique()
}

/// All flights of one handle.
#[derive(Debug)]
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    flights: HashMap<Vec<u8>, watch::Receiver<Option<Outcome>>>,
    /// When the last flight of any key of this shard landed.
    landed: Stamp,
}

/// How a flight ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Landed(Landing),
    /// The loader failed.
    Failed,
    /// The leader was dropped.
    Abandoned,
}

/// What a leader brought.
#[derive(Clone, Debug)]
pub(crate) struct Landing {
    pub(crate) bytes: Arc<[u8]>,
    /// When the leader asked the server, before it had its token.
    pub(crate) asked: Stamp,
    pub(crate) token: Option<Token>,
    /// Where it was stored.
    pub(crate) version: Option<Version>,
}

impl Landing {
    /// Whether a reader that asked at `asked` and was given `token` may have it unproven.
    pub(crate) fn serves(&self, asked: Stamp, token: Option<Token>) -> bool {
        self.asked > asked || (token.is_some() && token == self.token)
    }
}

/// What a reader is to a flight.
#[derive(Debug)]
pub(crate) enum Role {
    Lead(Lead),
    Follow(Follow),
}

/// The one that loads. Dropped without an ending, it abandons the flight.
#[derive(Debug)]
pub(crate) struct Lead {
    flights: Arc<Flights>,
    key: Vec<u8>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Another flight landed since the reader asked: the entry may be there by now.
    pub(crate) late: bool,
}

/// One that waits.
#[derive(Debug)]
pub(crate) struct Follow(watch::Receiver<Option<Outcome>>);

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: Default::default(), hasher: RandomState::new() })
    }

    /// Joins the flight of a key, or begins it. `asked` is when the reader asked the server.
    pub(crate) fn join(self: &Arc<Self>, key: &[u8], asked: Stamp) -> Role {
        let mut shard = self.shard(key);
        let late = shard.landed > asked;
        match shard.flights.entry(key.to_vec()) {
            Entry::Occupied(flight) => Role::Follow(Follow(flight.get().clone())),
            Entry::Vacant(free) => {
                let (outcome, receiver) = watch::channel(None);
                free.insert(receiver);
                drop(shard);
                Role::Lead(Lead { flights: Arc::clone(self), key: key.to_vec(), outcome, late })
            }
        }
    }

    /// How many flights are in the air.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).flights.len()).sum()
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        lock(&self.shards[hash as usize % SHARDS])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lead {
    /// Ends the flight.
    pub(crate) fn end(self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&self, outcome: Outcome) {
        // First off the map: who comes from now on begins another flight.
        let mut shard = self.flights.shard(&self.key);
        if shard.flights.remove(&self.key).is_some() {
            if matches!(outcome, Outcome::Landed(_)) {
                shard.landed = now();
            }
            drop(shard);
            self.outcome.send_replace(Some(outcome));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.outcome.borrow().is_none() {
            self.settle(Outcome::Abandoned);
        }
    }
}

impl Follow {
    /// Waits for the end of the flight.
    pub(crate) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Abandoned),
            // The leader always says how it ended; should it not, it is gone.
            Err(_) => Outcome::Abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(flights: &Arc<Flights>, asked: Stamp) -> Lead {
        match flights.join(b"k", asked) {
            Role::Lead(lead) => lead,
            Role::Follow(_) => panic!("somebody leads already"),
        }
    }

    fn follow(flights: &Arc<Flights>) -> Follow {
        match flights.join(b"k", now()) {
            Role::Follow(follow) => follow,
            Role::Lead(_) => panic!("nobody leads"),
        }
    }

    fn landing(asked: Stamp, token: u64) -> Landing {
        let bytes = b"v".as_slice().into();
        Landing { bytes, asked, token: Some(Token(token)), version: None }
    }

    #[test]
    fn a_landing_serves_who_asked_before_its_leader_or_was_given_the_same_token() {
        let (before, asked, after) = (now(), now(), now());
        let landing = landing(asked, 7);
        for (reader, token, serves) in [
            (before, Some(6), true),
            (before, None, true),
            (after, Some(7), true),
            (after, Some(6), false),
            (after, Some(8), false),
            (after, None, false),
        ] {
            assert_eq!(landing.serves(reader, token.map(Token)), serves, "{reader} {token:?}");
        }
        // That nobody has a token proves nothing.
        let without = Landing { token: None, ..landing };
        assert!(!without.serves(after, None));
    }

    #[tokio::test]
    async fn every_follower_hears_how_a_flight_ended_and_the_next_reader_leads() {
        let flights = Flights::new();
        for ending in 0..3 {
            let leader = lead(&flights, now());
            let followers = [follow(&flights), follow(&flights)];
            assert_eq!(flights.len(), 1);
            match ending {
                0 => leader.end(Outcome::Landed(landing(now(), 7))),
                1 => leader.end(Outcome::Failed),
                _ => drop(leader),
            }
            for follower in followers {
                let heard = match follower.outcome().await {
                    Outcome::Landed(landing) => (0, landing.bytes.to_vec()),
                    Outcome::Failed => (1, Vec::new()),
                    Outcome::Abandoned => (2, Vec::new()),
                };
                assert_eq!(heard, (ending, if ending == 0 { b"v".to_vec() } else { Vec::new() }));
            }
            assert_eq!(flights.len(), 0);
        }
    }

    #[test]
    fn who_was_slow_to_join_is_told_that_a_flight_has_landed_meanwhile() {
        let flights = Flights::new();
        let slow = now();
        lead(&flights, now()).end(Outcome::Failed);
        assert!(!lead(&flights, slow).late, "nothing was stored");

        let leader = lead(&flights, now());
        let asked = now();
        leader.end(Outcome::Landed(landing(asked, 7)));

        assert!(lead(&flights, slow).late);
        assert!(!lead(&flights, now()).late);
    }
}
