//! A run: who reads how, what disturbs them, and whether stale hits are expected.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use support::{Random, deadline, wait_until};

use super::actors::Actor;
use super::stage::{Disturbance, Stage};
use super::worker::work;
use super::world::{Tally, World};

const THREADS: usize = 3;
/// In each thread.
const READERS: usize = 24;
const WRITERS: usize = 2;
/// Readers that wait in the server, each in a thread of its own, and others beside them in one more thread.
const WAITERS: usize = 16;
const OTHERS: usize = 4;
/// Times that something happens to the server, at least; in longer runs once for so many hits.
const STRIKES: u64 = 8;
const HITS_PER_STRIKE: u64 = 20_000;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stale {
    Never,
    /// A limit that is known, or a proof that the checker sees.
    Some,
}

#[derive(Debug, Clone, Copy)]
pub struct Mode {
    pub name: &'static str,
    /// Kinds of readers, in turn; a surveyor is added where one is needed.
    pub readers: &'static [Actor],
    /// Whether stores carry tokens.
    pub tokens: bool,
    pub disturbance: Disturbance,
    pub expected: Stale,
    /// Its share of a long run, in percent of all hits wanted.
    pub share: u64,
}

/// What one run found.
pub struct Found {
    pub mode: Mode,
    pub tally: Tally,
    pub strikes: u64,
    pub took: Duration,
}

impl Mode {
    /// Reads until at least so many hits were judged.
    #[track_caller]
    pub fn run(&self, hits: u64, seed: u64) -> Found {
        let mut stage = Stage::set(self.disturbance);
        let world = World::new(stage.port(), self.tokens);
        let crews = self.crews();
        let strikes =
            if self.disturbance.strikes() { STRIKES.max(hits / HITS_PER_STRIKE) } else { 0 };

        let start = Instant::now();
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let world = &world;
            let mut seeds = Random::from_seed(seed);
            let threads: Vec<_> = crews
                .iter()
                .map(|crew| {
                    let seed = seeds.bits();
                    scope.spawn(move || {
                        let _guard = StopOnPanic(world);
                        work(world, crew, seed)
                    })
                })
                .collect();
            let _guard = StopOnPanic(world);
            // Between two strikes there are always as many hits, however long a strike takes.
            let spell = hits / (strikes + 1);
            for number in 0..strikes {
                wait_for_hits(world, world.hits() + spell);
                if world.is_over() {
                    break;
                }
                stage.strike(number, world);
            }
            wait_for_hits(world, hits.max(world.hits() + spell));
            world.stop();
            for thread in threads {
                match thread.join() {
                    Ok(more) => tally += more,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        stage.inspect();
        if self.waits() {
            assert!(stage.connect().info("cacheops_waits_served") > 0, "nobody waited");
        }
        Found { mode: *self, tally, strikes, took: start.elapsed() }
    }

    fn waits(&self) -> bool {
        self.readers.iter().any(|reader| reader.waits())
    }

    /// Who shares a thread and a connection with whom.
    fn crews(&self) -> Vec<Vec<Actor>> {
        let readers = self.readers.iter().copied().cycle();
        if self.waits() {
            let mut crews: Vec<_> = readers.take(WAITERS).map(|reader| vec![reader]).collect();
            crews.push([vec![Actor::Committed; OTHERS], vec![Actor::Writer; WRITERS]].concat());
            return crews;
        }
        let mut crew: Vec<Actor> = readers.take(READERS).collect();
        if self.readers.contains(&Actor::LaggingByPosition) {
            crew.push(Actor::Surveyor);
        }
        if let Disturbance::Eviction(_) = self.disturbance {
            crew.push(Actor::Crowd);
        }
        crew.extend([Actor::Writer; WRITERS]);
        vec![crew; THREADS]
    }
}

/// Waits for that many hits in all, as long as there are more of them all the time.
#[track_caller]
fn wait_for_hits(world: &World, wanted: u64) {
    while world.hits() < wanted && !world.is_over() {
        let before = world.hits();
        let went_on = wait_until(deadline(), || world.hits() > before || world.is_over());
        assert!(went_on, "no hits any more");
    }
}

/// A failure in one thread ends the others.
struct StopOnPanic<'w>(&'w World);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

impl Found {
    /// Fails unless what was expected was found.
    #[track_caller]
    pub fn verify(&self) {
        let Tally { stale, fills, invalidations, lost, examples, .. } = &self.tally;
        assert!(*fills > 0 && *invalidations > 0, "{self}");
        assert!(*lost > 0 || !self.mode.disturbance.kills(), "nobody noticed: {self}");
        match self.mode.expected {
            Stale::Never => assert_eq!(*stale, 0, "{self}\n{}", examples.join("\n")),
            Stale::Some => assert!(*stale > 0, "the checker is blind: {self}"),
        }
    }
}

/// The head of the table that [`Found`] writes the rows of.
pub const HEAD: &str = "\
| mode | reads | hits, checked | hit ratio | fills | refused | invalidations | strikes | stale hits | per million | seconds |
|---|---|---|---|---|---|---|---|---|---|---|";

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, tally, strikes, took } = self;
        let Tally { reads, hits, fills, refused, invalidations, stale, .. } = tally;
        let ratio = hits * 100 / reads.max(&1);
        let rate = *stale as f64 * 1e6 / *hits.max(&1) as f64;
        let seconds = took.as_secs_f64();
        write!(
            f,
            "| {} | {reads} | {hits} | {ratio} % | {fills} | {refused} | {invalidations} | {strikes} | {stale} | {rate:.0} | {seconds:.1} |",
            mode.name
        )
    }
}
