//! A thread that plays many readers and writers over one connection, a step of each in turn.
//!
//! Readers and writers are futures. In each *round* every one of them runs until it wants an answer of the server or
//! pauses; then all commands are sent at once, and the answers handed out. So between any two steps of one, others get
//! theirs: those of this thread in a random order, those of other threads as the server reads them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use support::{Random, deadline, wait_until};

use super::actors::{Actor, Memory};
use super::wire::{Reply, Wire};
use super::world::{Tally, World};

/// The server did not answer, or answered that it is not ready.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lost;

pub type Answer = Result<Reply, Lost>;
type Slot = Rc<Cell<Option<Answer>>>;

/// One reader's or writer's place in a thread.
pub struct Seat<'w> {
    pub world: &'w World,
    pub random: RefCell<Random>,
    /// What the process keeps, for all who sit in this thread.
    pub memory: Rc<RefCell<Memory>>,
    desk: Rc<Desk>,
}

/// What all seats of one thread share.
#[derive(Default)]
struct Desk {
    tally: RefCell<Tally>,
    commands: RefCell<Vec<u8>>,
    /// Who waits for the answers, in the order of the commands.
    waiting: RefCell<Vec<Slot>>,
}

/// Plays `actors` until the world is over, and returns what happened.
pub fn work(world: &World, actors: &[Actor], seed: u64) -> Tally {
    let mut random = Random::from_seed(seed);
    let desk = Rc::new(Desk::default());
    let memory = Rc::new(RefCell::new(Memory::default()));
    let mut playing: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = actors
        .iter()
        .map(|actor| {
            let random = RefCell::new(Random::from_seed(random.bits()));
            actor.play(Seat { world, random, memory: memory.clone(), desk: desk.clone() })
        })
        .collect();

    let mut wire = None;
    let mut counted = 0;
    let mut context = Context::from_waker(Waker::noop());
    while !world.is_over() {
        let first = random.below(playing.len());
        let (late, early) = playing.split_at_mut(first);
        for actor in early.iter_mut().chain(late) {
            let ended = actor.as_mut().poll(&mut context).is_ready();
            assert!(!ended, "nobody leaves before the end");
        }
        let hits = desk.tally.borrow().hits;
        world.count_hits(hits - counted);
        counted = hits;
        desk.exchange(&mut wire, world);
    }
    drop(playing);
    desk.tally.take()
}

impl Seat<'_> {
    /// Sends a command with the others of this round, and waits for its answer.
    ///
    /// # Panics
    ///
    /// On an error that a correct client does not see.
    pub async fn call(&self, words: &[&str]) -> Answer {
        let slot = Slot::default();
        Wire::pack(&mut self.desk.commands.borrow_mut(), words);
        self.desk.waiting.borrow_mut().push(slot.clone());
        let answer = poll_fn(|_| slot.take().map_or(Poll::Pending, Poll::Ready)).await;
        match answer {
            Ok(Reply::Error(text)) if is_nothing(&text) => Ok(Reply::Nil),
            Ok(Reply::Error(text)) if is_not_ready(&text) => self.lose().await,
            Ok(Reply::Error(text)) => panic!("{}: {text}", words.join(" ")),
            Err(Lost) => self.lose().await,
            answer => answer,
        }
    }

    async fn lose(&self) -> Answer {
        self.count(|tally| tally.lost += 1);
        self.rounds(1).await;
        Err(Lost)
    }

    /// Lets the others go on: mostly for a few rounds, now and then for many.
    pub async fn pause(&self) {
        let rounds = {
            let mut random = self.random.borrow_mut();
            if random.chance(5) { random.below(60) } else { random.below(4) }
        };
        self.rounds(rounds).await;
    }

    /// Lets the others go on for so many rounds.
    pub async fn rounds(&self, mut rounds: usize) {
        poll_fn(|_| {
            if rounds == 0 {
                return Poll::Ready(());
            }
            rounds -= 1;
            Poll::Pending
        })
        .await;
    }

    pub fn count(&self, work: impl FnOnce(&mut Tally)) {
        work(&mut self.desk.tally.borrow_mut());
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.random.borrow_mut().below(bound)
    }
}

impl Desk {
    /// Sends the commands of this round and hands out the answers. Connects first where that is necessary, and gives up
    /// what was sent where the connection ends.
    fn exchange(&self, wire: &mut Option<Wire>, world: &World) {
        let commands = self.commands.take();
        if commands.is_empty() {
            // All pause.
            return thread::yield_now();
        }
        let mut waiting = self.waiting.take().into_iter();
        if wire.is_none() {
            let connected = wait_until(deadline(), || {
                *wire = Wire::open(world.port()).ok();
                wire.is_some() || world.is_over()
            });
            assert!(connected, "no server to talk to");
        }
        if let Some(open) = wire {
            let mut sent = open.send(&commands);
            while sent.is_ok()
                && let Some(slot) = waiting.next()
            {
                let reply = open.receive();
                sent = match &reply {
                    Ok(_) => Ok(()),
                    Err(_) => Err(std::io::ErrorKind::ConnectionAborted.into()),
                };
                slot.set(Some(reply.map_err(|_| Lost)));
            }
            if sent.is_err() {
                *wire = None;
            }
        }
        waiting.for_each(|slot| slot.set(Some(Err(Lost))));
    }
}

/// There was no room, or nothing to rename: a command without effect.
fn is_nothing(error: &str) -> bool {
    error.starts_with("OOM ") || error == "ERR no such key"
}

fn is_not_ready(error: &str) -> bool {
    ["LOADING ", "READONLY ", "MASTERDOWN ", "UNBLOCKED "]
        .iter()
        .any(|code| error.starts_with(code))
}
