//! What all readers and writers share, and the judge.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::change::Change;
use super::database::{Commit, Database, Version};
use super::query::Query;

/// Stale hits that are told in words.
const EXAMPLES: usize = 5;
/// Positions of the primary that are remembered with their tokens.
const MAX_POSITIONS: usize = 256;

pub struct World {
    pub database: Database,
    pub queries: Vec<Query>,
    /// Whether stores carry tokens.
    pub tokens: bool,
    /// The server that clients talk to.
    port: AtomicU16,
    /// For each query the newest commit that changed its answer and whose invalidation was acknowledged.
    acknowledged: Vec<AtomicU64>,
    /// Positions of the primary, each with a token taken before it was read, oldest first.
    positions: Mutex<VecDeque<(Version, u64)>>,
    hits: AtomicU64,
    stopped: AtomicBool,
}

/// What a reader asks, and the newest change that a hit must not lack.
#[derive(Debug, Clone, Copy)]
pub struct Question<'w> {
    pub query: &'w Query,
    must: Version,
}

/// What happened, counted.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Questions to the cache that were answered.
    pub reads: u64,
    /// Those answered with a value: each of them was judged.
    pub hits: u64,
    pub fills: u64,
    /// Fills that the module refused because of their token.
    pub refused: u64,
    /// Invalidations that were acknowledged.
    pub invalidations: u64,
    /// Commands that got no answer, or one that says that the server is not ready.
    pub lost: u64,
    pub stale: u64,
    pub examples: Vec<String>,
}

impl World {
    pub fn new(port: u16, tokens: bool) -> Self {
        let queries = Query::all();
        let acknowledged = queries.iter().map(|_| AtomicU64::new(0)).collect();
        let database = Database::default();
        database.commit(&Change::first(), 1);
        Self {
            database,
            queries,
            tokens,
            port: AtomicU16::new(port),
            acknowledged,
            positions: Mutex::default(),
            hits: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    pub fn port(&self) -> u16 {
        self.port.load(SeqCst)
    }

    /// Sends clients to another server, once they lose this one.
    pub fn move_to(&self, port: u16) {
        self.port.store(port, SeqCst);
    }

    /// A question about to be sent: from now on its answer must know all that has been acknowledged.
    pub fn ask(&self, query: usize) -> Question<'_> {
        Question { query: &self.queries[query], must: self.acknowledged[query].load(SeqCst) }
    }

    /// Notes that the invalidation of a commit was answered.
    pub fn acknowledge(&self, commit: &Commit) {
        for (query, newest) in self.queries.iter().zip(&self.acknowledged) {
            if commit.images.iter().flatten().any(|image| query.is_changed_by(image)) {
                newest.fetch_max(commit.version, SeqCst);
            }
        }
    }

    /// Notes a token that was answered before the primary's position is read, here and now.
    pub fn note_position(&self, token: u64) {
        let version = self.database.newest().version;
        let mut positions = self.positions();
        positions.push_back((version, token));
        if positions.len() > MAX_POSITIONS {
            positions.pop_front();
        }
    }

    /// The youngest token from before all that a snapshot of this version lacks.
    pub fn token_for(&self, version: Version) -> Option<u64> {
        let positions = self.positions();
        positions.iter().rev().find(|(position, _)| *position <= version).map(|(_, token)| *token)
    }

    pub fn count_hits(&self, more: u64) {
        self.hits.fetch_add(more, SeqCst);
    }

    pub fn hits(&self) -> u64 {
        self.hits.load(SeqCst)
    }

    pub fn is_over(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Sends everybody home.
    pub fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    fn positions(&self) -> MutexGuard<'_, VecDeque<(Version, u64)>> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Judges a hit.
    pub fn judge(&mut self, question: &Question<'_>, value: &[u8]) {
        let Question { query, must } = question;
        let version = query.version_of(value);
        self.hits += 1;
        if version < *must {
            self.stale += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(format!(
                    "{} is from commit {version}, and commit {must} was acknowledged",
                    query.key
                ));
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.hits += other.hits;
        self.fills += other.fills;
        self.refused += other.refused;
        self.invalidations += other.invalidations;
        self.lost += other.lost;
        self.stale += other.stale;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}
