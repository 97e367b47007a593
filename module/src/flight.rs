//! Single flight across all clients: who fetches what, who waits for it, and what they are told.
//!
//! The rules are `cacheops-flight`'s; here they meet the clock, the tokens and the clients. Those who wait are answered in
//! slices, so that a thousand of them never hold up the server. The locks know nothing of epochs: after a FLUSH, a SWAPDB or
//! a panic the owner's STORE is refused, and the lock passes on then.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use cacheops_flight::{Asked, Asker, Bounds, Due, Flights, Handover, Landed, Released};
use cacheops_index::UNNUMBERED;
use cacheops_protocol::LockArgs;
use smallvec::SmallVec;

use crate::config;
use crate::databases::Databases;
use crate::ffi::{self, Answer, BlockedClients, Context, Timer, with_state};
use crate::state::State;

/// Clients that one command or one slice of the timer answers: about a microsecond or two each.
const SLICE: usize = 256;
/// Bytes of values that it sends: copying them into replies takes about a tenth of a millisecond.
const SLICE_BYTES: usize = 1 << 20;
/// Between two slices.
const PAUSE_MS: u64 = 1;
/// A timer that is later than this will not fire any more.
const LATE_MS: u64 = 200;

/// The flights of all databases.
#[derive(Debug)]
pub(crate) struct Airspace {
    started: Instant,
    /// A lock stays with its database when two of them are swapped, as clients do.
    databases: Databases<Flights<u64>>,
    pub(crate) clients: BlockedClients,
    /// What those who wait have asked for.
    requests: BTreeMap<u64, Request>,
    /// What was stored, and who waited for it: answered some at a time.
    landings: VecDeque<Landing>,
    /// Bytes of the values in `landings`.
    landing_bytes: usize,
    /// Those whose wait ends with nothing, when it is their turn.
    let_go: VecDeque<u64>,
    /// The only timer, and when it fires.
    timer: Option<(u64, Timer)>,
    pub(crate) counts: FlightCounts,
}

#[derive(Debug)]
struct Landing {
    database: usize,
    waiters: Landed<u64>,
    version: u64,
    /// `None` if there was no room to keep it until everybody has it.
    value: Option<Rc<[u8]>>,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    database: usize,
    if_not: Option<u64>,
}

/// What INFO tells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FlightCounts {
    pub(crate) granted: u64,
    /// Tokens without a lock, because there were too many locks.
    pub(crate) unlocked: u64,
    pub(crate) passed_on: u64,
    pub(crate) waits: u64,
    pub(crate) served: u64,
    /// Waits that ended with nothing: the time was up, or the client gone.
    pub(crate) given_up: u64,
    /// Clients that were not kept waiting, because too many did.
    pub(crate) turned_away: u64,
}

impl Default for Airspace {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            databases: Databases::default(),
            clients: BlockedClients::default(),
            requests: BTreeMap::new(),
            landings: VecDeque::new(),
            landing_bytes: 0,
            let_go: VecDeque::new(),
            timer: None,
            counts: FlightCounts::default(),
        }
    }
}

impl Airspace {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn of(&mut self, database: usize) -> &mut Flights<u64> {
        self.databases.get_or_insert_with(database, Flights::default)
    }

    #[inline]
    fn are_locked(&self, database: usize) -> bool {
        self.databases.get(database).is_some_and(|flights| !flights.is_empty())
    }

    pub(crate) fn locks(&self) -> usize {
        self.databases.iter().map(|(_, flights)| flights.locks()).sum()
    }

    pub(crate) fn expired(&self) -> u64 {
        self.databases.iter().map(|(_, flights)| flights.expired()).sum()
    }

    fn answer(&mut self, number: u64, answer: Answer) {
        self.requests.remove(&number);
        self.clients.answer(number, answer);
    }

    fn hand_over(&mut self, handover: Handover<u64>) {
        self.counts.passed_on += 1;
        self.answer(handover.waiter, Answer::Token(handover.token));
    }

    fn time_out(&mut self, number: u64) {
        self.counts.given_up += 1;
        self.answer(number, Answer::Nil);
    }

    /// Answers some of those whose turn it is.
    fn answer_some(&mut self) {
        let (mut clients, mut bytes) = (SLICE, SLICE_BYTES);
        while clients > 0
            && let Some(number) = self.let_go.pop_front()
        {
            clients -= 1;
            self.answer(number, Answer::Nil);
        }
        while clients > 0
            && bytes > 0
            && let Some(landing) = self.landings.front_mut()
        {
            let flights = self.databases.get_mut(landing.database);
            let next = flights.and_then(|flights| flights.next_landed(&mut landing.waiters));
            let (version, value) = (landing.version, landing.value.clone());
            let Some((number, still_waits)) = next else {
                self.landing_bytes -= value.map_or(0, |value| value.len());
                self.landings.pop_front();
                continue;
            };
            clients -= 1;
            if !still_waits {
                continue;
            }
            let if_not = self.requests.get(&number).and_then(|request| request.if_not);
            match value {
                Some(value) => {
                    bytes = bytes.saturating_sub(value.len());
                    self.counts.served += 1;
                    self.answer(number, Answer::Value { version, value, if_not });
                }
                None => {
                    self.counts.turned_away += 1;
                    self.answer(number, Answer::Nil);
                }
            }
        }
    }

    fn next_due(&self) -> Option<u64> {
        match self.landings.is_empty() && self.let_go.is_empty() {
            true => self.databases.iter().filter_map(|(_, flights)| flights.next_due()).min(),
            false => Some(0),
        }
    }

    /// About what locks, those who wait, and values on their way to them take.
    pub(crate) fn bytes(&self) -> usize {
        self.landing_bytes
            + self.databases.iter().map(|(_, flights)| flights.bytes()).sum::<usize>()
    }

    /// What the locks of a database may take.
    fn bounds(&self, database: usize) -> Bounds {
        let own = self.databases.get(database).map_or(0, Flights::bytes);
        let others = self.bytes() - own;
        Bounds {
            locks: config::max_locks(),
            bytes: config::max_lock_bytes().saturating_sub(others),
        }
    }

    /// Sets the timer to when something is due, unless it fires before that anyway.
    fn schedule(&mut self) {
        let now = self.now();
        let Some(due) = self.next_due().map(|due| due.max(now + PAUSE_MS)) else { return };
        if self.timer.as_ref().is_none_or(|&(time, _)| due < time) {
            self.timer = Some((due, ffi::schedule_flights(Duration::from_millis(due - now))));
        }
    }
}

/// A client has missed a key and offers to fetch it. Replies, or keeps it waiting.
pub(crate) fn ask(ctx: &Context, database: usize, key: &[u8], if_not: Option<u64>, lock: LockArgs) {
    let connection = ctx.connection();
    let asker = Asker { client: connection.unwrap_or_else(|| ctx.client()), lock_ms: lock.hold_ms };
    let token = with_state(|state| {
        #[cfg(feature = "panic-injection")]
        state.panic_if("lock");
        let now = state.flights.now();
        let (flights, index) = state.flights_and_index(database);
        if index.id() == UNNUMBERED {
            flights.counts.unlocked += 1;
            return Some(index.token());
        }
        let mut bounds = flights.bounds(database);
        // What cannot be stored need not be fetched by one alone. And a lock ends with the connection that took it: in a
        // script, or in what another module calls, the server does not say which one that is.
        if key.len() > config::argument_limits().key_bytes || connection.is_none() {
            bounds.locks = 0;
        }
        match flights.of(database).ask(key, asker, now, bounds, || index.next_token()) {
            Asked::Granted(token) => {
                flights.counts.granted += 1;
                flights.schedule();
                Some(token)
            }
            Asked::Full => {
                flights.counts.unlocked += 1;
                Some(index.token())
            }
            Asked::Locked => None,
        }
    });
    match (token, lock.wait_ms) {
        (Some(token), _) => ctx.reply_integer(token),
        (None, Some(wait_ms)) => {
            if !wait(ctx, Request { database, if_not }, key, asker, wait_ms) {
                ctx.reply_null();
            }
        }
        (None, None) => ctx.reply_null(),
    }
}

/// Keeps a client waiting; false if it must be answered at once.
fn wait(ctx: &Context, request: Request, key: &[u8], asker: Asker, wait_ms: u64) -> bool {
    with_state(|State { flights, .. }| {
        if flights.clients.len() >= config::max_waiting()
            || flights.bytes() > config::max_lock_bytes()
        {
            flights.counts.turned_away += 1;
            return false;
        }
        let until = flights.now() + wait_ms;
        let Some(number) = flights.clients.block(ctx) else { return false };
        flights.counts.waits += 1;
        flights.requests.insert(number, request);
        if !flights.of(request.database).wait(key, number, asker, until) {
            flights.time_out(number);
        }
        flights.schedule();
        true
    })
}

/// A result is stored: everybody who waited for it is told.
#[inline]
pub(crate) fn stored(database: usize, key: &[u8], version: u64, value: &[u8]) {
    with_state(|State { flights, .. }| {
        if !flights.are_locked(database) {
            return;
        }
        let waiters = flights.of(database).land(key);
        if waiters.is_empty() {
            return;
        }
        // One value is always kept; of more only what may be left behind.
        let has_room = flights.landings.is_empty()
            || flights.bytes() + value.len() <= config::max_lock_bytes();
        let value: Option<Rc<[u8]>> = has_room.then(|| value.into());
        flights.landing_bytes += value.as_ref().map_or(0, |value| value.len());
        flights.landings.push_back(Landing { database, waiters, version, value });
        flights.answer_some();
        flights.schedule();
    });
}

/// Gives up the lock that is known by a token, because its owner says so or because its STORE was refused. Answers whether
/// there was one.
pub(crate) fn release(database: usize, key: &[u8], token: u64) -> bool {
    with_state(|state| {
        if !state.flights.are_locked(database) {
            return false;
        }
        let (flights, index) = state.flights_and_index(database);
        let now = flights.now();
        let released = flights.of(database).release(key, token, now, || index.next_token());
        if let Released::PassedOn(handover) = released {
            flights.hand_over(handover);
        }
        flights.schedule();
        released != Released::NotOwner
    })
}

/// A client waits no more, for a reason of its own or of the server's.
pub(crate) fn left(state: &mut State, number: u64) {
    let flights = &mut state.flights;
    if let Some(request) = flights.requests.remove(&number)
        && flights.of(request.database).leave(number)
    {
        flights.counts.given_up += 1;
    }
}

/// A connection has ended. What it had locked passes on.
pub(crate) fn disconnected(client: u64) {
    with_state(|State { flights, .. }| {
        let mut had_locks = false;
        for (_, database) in flights.databases.iter_mut() {
            had_locks |= database.disconnected(client);
        }
        if had_locks {
            flights.schedule();
        }
    });
}

/// Does what is due. Called by the server's timer.
pub(crate) fn run() {
    with_state(|state| {
        if let Some((_, timer)) = state.flights.timer.take() {
            timer.fired();
        }
        state.flights.answer_some();
        let now = state.flights.now();
        let mut left = SLICE;
        let databases = state.flights.databases.iter();
        let locked: SmallVec<[usize; 16]> = databases
            .filter_map(|(database, flights)| (!flights.is_empty()).then_some(database))
            .collect();
        for database in locked {
            let (flights, index) = state.flights_and_index(database);
            while left > 0 {
                left -= 1;
                match flights.of(database).due(now, || index.next_token()) {
                    None => break,
                    Some(Due::PassedOn(handover)) => flights.hand_over(handover),
                    Some(Due::TimedOut(number)) => flights.time_out(number),
                }
            }
        }
        state.flights.schedule();
    });
}

/// Does what is due if the timer has been lost. Called a few times a second.
pub(crate) fn watch() {
    let is_late = with_state(|State { flights, .. }| {
        let now = flights.now();
        match &flights.timer {
            Some((time, _)) => time + LATE_MS < now,
            None => flights.next_due().is_some(),
        }
    });
    if is_late {
        run();
    }
}

impl State {
    /// Ends all flights: this server gives no tokens any more. Who waited is told nothing.
    pub(crate) fn end_flights(&mut self) {
        let flights = &mut self.flights;
        for (_, database) in flights.databases.iter_mut() {
            flights.let_go.extend(database.clear());
        }
        flights.schedule();
    }
}
