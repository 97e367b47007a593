//! Random operations on the flights and on a naive twin must agree.

use std::collections::BTreeSet;

use cacheops_flight::{Asked, Asker, Bounds, Due, Flights, Handover, Released};
use proptest::prelude::*;

const MAX_LOCKS: usize = 4;
const BOUNDS: Bounds = Bounds { locks: MAX_LOCKS, bytes: usize::MAX };

#[derive(Debug, Clone)]
enum Step {
    /// Asks, and waits for so many milliseconds if somebody holds the lock.
    Ask {
        key: u8,
        client: u64,
        lock_ms: u64,
        wait_ms: Option<u64>,
    },
    Land {
        key: u8,
    },
    /// Releases with the token that was given so many locks ago.
    Release {
        key: u8,
        ago: usize,
    },
    /// The waiter that came so many waiters ago leaves.
    Leave {
        ago: usize,
    },
    Disconnect {
        client: u64,
    },
    Pass {
        ms: u64,
    },
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, client) = (0..6u8, 0..5u64);
    let step = prop_oneof![
        8 => (key.clone(), client.clone(), 1..20u64, prop::option::of(1..30u64))
            .prop_map(|(key, client, lock_ms, wait_ms)| Step::Ask { key, client, lock_ms, wait_ms }),
        2 => key.clone().prop_map(|key| Step::Land { key }),
        3 => (key, 0..4usize).prop_map(|(key, ago)| Step::Release { key, ago }),
        2 => (0..5usize).prop_map(|ago| Step::Leave { ago }),
        1 => client.prop_map(|client| Step::Disconnect { client }),
        3 => (0..12u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..120)
}

/// What the flights should do, written down as plainly as possible.
#[derive(Default)]
struct Twin {
    locks: Vec<Lock>,
    waiters: Vec<Waiter>,
    gone: BTreeSet<u64>,
}

#[derive(Clone, Copy)]
struct Lock {
    key: u8,
    token: u64,
    client: u64,
    ends_at: u64,
}

#[derive(Clone, Copy)]
struct Waiter {
    handle: u64,
    key: u8,
    asker: Asker,
    until: u64,
}

impl Twin {
    fn position(&self, key: u8) -> Option<usize> {
        self.locks.iter().position(|lock| lock.key == key)
    }

    fn ask(&mut self, key: u8, asker: Asker, now: u64, token: u64) -> Asked {
        if let Some(at) = self.position(key) {
            let Lock { ends_at, client, .. } = self.locks[at];
            let is_over = ends_at <= now || self.gone.contains(&client);
            if !is_over || self.waiters.iter().any(|waiter| waiter.key == key) {
                return Asked::Locked;
            }
            self.locks.remove(at);
        } else if self.locks.len() >= MAX_LOCKS {
            return Asked::Full;
        }
        self.lock(key, asker, now, token);
        Asked::Granted(token)
    }

    fn lock(&mut self, key: u8, asker: Asker, now: u64, token: u64) {
        let ends_at = now + asker.lock_ms;
        self.locks.push(Lock { key, token, client: asker.client, ends_at });
    }

    fn land(&mut self, key: u8) -> Vec<u64> {
        let Some(at) = self.position(key) else { return Vec::new() };
        self.locks.remove(at);
        let landed = self.waiters.extract_if(.., |waiter| waiter.key == key);
        landed.map(|waiter| waiter.handle).collect()
    }

    fn pass_on(&mut self, at: usize, now: u64, token: u64) -> Option<Handover<u64>> {
        let key = self.locks.remove(at).key;
        let at = self.waiters.iter().position(|waiter| waiter.key == key)?;
        let Waiter { handle, asker, .. } = self.waiters.remove(at);
        self.lock(key, asker, now, token);
        Some(Handover { waiter: handle, token })
    }

    fn due(&mut self, now: u64, token: u64) -> Option<Due<u64>> {
        loop {
            let late = (0..self.waiters.len())
                .filter(|&at| self.waiters[at].until <= now)
                .min_by_key(|&at| (self.waiters[at].until, at));
            if let Some(at) = late {
                return Some(Due::TimedOut(self.waiters.remove(at).handle));
            }
            let of_gone = (0..self.locks.len())
                .filter(|&at| self.gone.contains(&self.locks[at].client))
                .min_by_key(|&at| (self.locks[at].client, self.locks[at].token));
            let ended = (0..self.locks.len())
                .filter(|&at| self.locks[at].ends_at <= now)
                .min_by_key(|&at| (self.locks[at].ends_at, self.locks[at].token));
            let at = of_gone.or(ended)?;
            if let Some(handover) = self.pass_on(at, now, token) {
                return Some(Due::PassedOn(handover));
            }
        }
    }
}

/// The flights, their twin, and everything that was ever given.
#[derive(Default)]
struct Both {
    flights: Flights<u64>,
    twin: Twin,
    now: u64,
    /// One more than the last number that was given.
    next: u64,
    tokens: Vec<u64>,
    handles: Vec<u64>,
}

impl Both {
    fn run(&mut self, step: Step) {
        self.next += 1;
        let token = self.next;
        let now = self.now;
        match step {
            Step::Ask { key, client, lock_ms, wait_ms } => {
                // Whoever asks is connected, and so is who was given a lock.
                self.settle();
                let asker = Asker { client, lock_ms };
                let asked = self.flights.ask(&[key], asker, now, BOUNDS, || token);
                assert_eq!(asked, self.twin.ask(key, asker, now, token));
                match (asked, wait_ms) {
                    (Asked::Granted(token), _) => self.tokens.push(token),
                    (Asked::Locked, Some(ms)) => {
                        let handle = token + 1_000_000;
                        assert!(self.flights.wait(&[key], handle, asker, now + ms));
                        assert!(!self.flights.wait(&[key], handle, asker, now + ms));
                        self.twin.waiters.push(Waiter { handle, key, asker, until: now + ms });
                        self.handles.push(handle);
                    }
                    _ => {}
                }
            }
            Step::Land { key } => {
                let mut landed = self.flights.land(&[key]);
                let mut waited = Vec::new();
                while let Some((waiter, still_waits)) = self.flights.next_landed(&mut landed) {
                    assert!(still_waits);
                    waited.push(waiter);
                }
                assert_eq!(waited, self.twin.land(key));
            }
            Step::Release { key, ago } => {
                let Some(&old) = self.tokens.iter().rev().nth(ago) else { return };
                let at = self.twin.position(key).filter(|&at| self.twin.locks[at].token == old);
                let expected = match at {
                    None => Released::NotOwner,
                    Some(at) => match self.twin.pass_on(at, now, token) {
                        None => Released::Free,
                        Some(handover) => Released::PassedOn(handover),
                    },
                };
                assert_eq!(self.flights.release(&[key], old, now, || token), expected);
                self.tokens.push(token);
            }
            Step::Leave { ago } => {
                let Some(&handle) = self.handles.iter().rev().nth(ago) else { return };
                let at = self.twin.waiters.iter().position(|waiter| waiter.handle == handle);
                assert_eq!(self.flights.leave(handle), at.is_some());
                at.map(|at| self.twin.waiters.remove(at));
            }
            Step::Disconnect { client } => {
                // As a server does it: first the locks of the connection are marked, then it stops waiting.
                let owns = self.twin.locks.iter().any(|lock| lock.client == client);
                assert_eq!(
                    self.flights.disconnected(client),
                    owns && self.twin.gone.insert(client)
                );
                let of_client = |waiter: &mut Waiter| waiter.asker.client == client;
                for waiter in self.twin.waiters.extract_if(.., of_client) {
                    assert!(self.flights.leave(waiter.handle));
                }
            }
            Step::Pass { ms } => {
                self.now += ms;
                self.settle();
            }
            Step::Clear => {
                let cleared: BTreeSet<u64> = self.flights.clear().into_iter().collect();
                let twin = std::mem::take(&mut self.twin);
                assert_eq!(cleared, twin.waiters.iter().map(|waiter| waiter.handle).collect());
            }
        }
        self.check();
    }

    /// Does all that is due.
    fn settle(&mut self) {
        loop {
            self.next += 1;
            let token = self.next;
            let due = self.flights.due(self.now, || token);
            assert_eq!(due, self.twin.due(self.now, token));
            match due {
                None => break,
                Some(Due::PassedOn(Handover { token, .. })) => self.tokens.push(token),
                Some(Due::TimedOut(_)) => {}
            }
        }
        self.twin.gone.clear();
        assert!(self.flights.next_due().is_none_or(|time| time > self.now));
    }

    fn check(&self) {
        assert_eq!(self.flights.locks(), self.twin.locks.len());
        assert_eq!(self.flights.waiting(), self.twin.waiters.len());
        let is_empty = self.twin.locks.is_empty() && self.twin.waiters.is_empty();
        assert_eq!(self.flights.bytes() == 0, is_empty);
        assert_eq!(self.flights.is_empty(), self.twin.locks.is_empty());
        for waiter in &self.twin.waiters {
            assert!(self.twin.position(waiter.key).is_some(), "a waiter without a lock");
        }
        let lock_ends = self.twin.locks.iter().map(|lock| lock.ends_at);
        let wait_ends = self.twin.waiters.iter().map(|waiter| waiter.until);
        let next = lock_ends.chain(wait_ends).min();
        assert_eq!(self.flights.next_due(), if self.twin.gone.is_empty() { next } else { Some(0) });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn flights_do_what_their_naive_twin_does(steps in steps()) {
        let mut both = Both::default();
        for step in steps {
            both.run(step);
        }
        // Whatever happened, in the end nobody waits and nothing is locked.
        both.now += 1_000_000;
        both.settle();
        both.now += 1_000_000;
        both.settle();
        prop_assert!(both.flights.is_empty());
        prop_assert_eq!(both.flights.waiting(), 0);
    }
}

#[test]
fn a_lock_is_fenced_by_its_token() {
    let mut flights = Flights::<u64>::default();
    let asker = Asker { client: 1, lock_ms: 10 };
    assert_eq!(flights.ask(b"q", asker, 0, BOUNDS, || 7), Asked::Granted(7));
    assert_eq!(flights.ask(b"q", asker, 10, BOUNDS, || 8), Asked::Granted(8));

    assert_eq!(flights.release(b"q", 7, 11, || 9), Released::NotOwner);
    assert_eq!(flights.release(b"q", 8, 11, || 9), Released::Free);
    assert!(flights.is_empty());
    assert_eq!(flights.expired(), 1);
}

#[test]
fn locks_and_waiters_are_bounded_in_bytes() {
    let mut flights = Flights::<u64>::default();
    let asker = Asker { client: 1, lock_ms: 10 };
    let bounds = Bounds { locks: 1000, bytes: 10_000 };
    let mut key = vec![b'k'; 1000];
    let mut granted = 0;
    while flights.ask(&key, asker, 0, bounds, || granted + 1) == Asked::Granted(granted + 1) {
        granted += 1;
        key.push(b'k');
    }
    let full = flights.bytes();

    assert!((5..10).contains(&granted) && (9_000..=10_000).contains(&full), "{granted}: {full}");
    assert_eq!(flights.ask(&key, asker, 0, bounds, || 99), Asked::Full);
    assert_eq!(flights.bytes(), full);

    flights.wait(&[b'k'; 1000], 1, asker, 20);
    assert!(flights.bytes() > full);
    while flights.due(100, || 99).is_some() {}
    while flights.due(1000, || 99).is_some() {}
    assert_eq!(flights.bytes(), 0);
}

#[test]
fn a_bound_of_no_locks_grants_none_not_even_one_that_has_ended() {
    let mut flights = Flights::<u64>::default();
    let asker = Asker { client: 1, lock_ms: 10 };
    assert_eq!(flights.ask(b"q", asker, 0, BOUNDS, || 7), Asked::Granted(7));
    let none = Bounds { locks: 0, ..BOUNDS };

    assert_eq!(flights.ask(b"q", asker, 5, none, || 8), Asked::Locked);
    assert_eq!(flights.ask(b"q", asker, 10, none, || 9), Asked::Full);
    assert!(flights.is_empty());
}

#[test]
fn who_waited_for_a_result_is_named_one_at_a_time_and_may_leave_in_between() {
    let mut flights = Flights::<u64>::default();
    let asker = Asker { client: 1, lock_ms: 10 };
    flights.ask(b"q", asker, 0, BOUNDS, || 7);
    for waiter in 0..1000 {
        assert!(flights.wait(b"q", waiter, asker, 50 + waiter));
    }

    let mut landed = flights.land(b"q");

    // Nothing is taken apart before it is asked for.
    assert_eq!((flights.locks(), flights.waiting()), (0, 1000));
    assert_eq!(flights.next_landed(&mut landed), Some((0, true)));
    assert!(flights.leave(1));
    assert_eq!(flights.due(52, || 8), Some(Due::TimedOut(2)));
    assert_eq!(flights.next_landed(&mut landed), Some((1, false)));
    assert_eq!(flights.next_landed(&mut landed), Some((2, false)));
    // A new lock of the key has nothing to do with them.
    assert_eq!(flights.ask(b"q", asker, 52, BOUNDS, || 9), Asked::Granted(9));
    assert_eq!(flights.release(b"q", 9, 52, || 10), Released::Free);
    assert_eq!(flights.next_landed(&mut landed), Some((3, true)));
    assert_eq!(flights.waiting(), 996);
}
