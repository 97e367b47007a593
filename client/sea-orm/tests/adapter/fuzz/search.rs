//! The search: many cached questions, a write, and every question again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cacheops_sea_orm::CachedConn;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, IsolationLevel, TransactionTrait};
use support::{Random, Server};

use super::entities::{label, link, note, owner, thing};
use super::question::Question;
use super::tables::{self, LABEL, LINK, NOTE, OWNER, THING};
use super::worlds::{Databases, World, Wrong};
use super::writing::{row, write};

const QUESTIONS: usize = 40;
const WRITES: usize = 16;

/// What a search has come to.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub rounds: u64,
    /// Different questions, and those of them that are never cached.
    pub questions: u64,
    pub uncached: u64,
    /// Writes and transactions of writes, and those that the database refused.
    pub writes: u64,
    pub refused: u64,
    /// Answers after a write.
    pub asked: u64,
    /// Writes that changed any.
    pub effective: u64,
    /// Of these, results that it has changed.
    pub changed: u64,
    /// Answers that the cache kept through it, and those that it lost though they had not changed.
    pub kept: u64,
    pub lost: u64,
    /// Answers of the database to which it did not stick.
    pub odd: Vec<String>,
    pub stale: Vec<String>,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.questions += other.questions;
        self.uncached += other.uncached;
        self.writes += other.writes;
        self.refused += other.refused;
        self.asked += other.asked;
        self.effective += other.effective;
        self.changed += other.changed;
        self.kept += other.kept;
        self.lost += other.lost;
        self.odd.extend(other.odd);
        self.stale.extend(other.stale);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, questions, uncached, writes, refused, effective, .. } = self;
        let Self { asked, changed, kept, lost, odd, stale, .. } = self;
        write!(
            f,
            "{rounds} rounds, {questions} questions ({uncached} uncached), {writes} writes ({refused} refused, \
             {effective} effective), {asked} answers: {changed} changed, {kept} kept, {lost} lost, {} odd, {} stale",
            odd.len(),
            stale.len()
        )
    }
}

/// What to search, and how long.
pub struct Plan {
    pub lanes: usize,
    pub seed: u64,
    pub time: Duration,
    pub wrong: Option<Wrong>,
}

/// Searches until the time is over, or a stale answer is found.
pub async fn search(databases: &Databases, plan: &Plan) -> Found {
    let server = Server::start();
    let over = Arc::new(AtomicBool::new(false));
    let mut worlds = Vec::new();
    for lane in 0..plan.lanes {
        worlds.push(World::new(databases, &server, lane, plan.wrong).await);
    }
    let until = Instant::now() + plan.time;
    let mut lanes = Vec::new();
    for (lane, world) in worlds.into_iter().enumerate() {
        let seeds = (plan.seed.wrapping_add(lane as u64), plan.lanes as u64);
        lanes.push(tokio::spawn(run(world, seeds, until, over.clone())));
    }
    let mut found = Found::default();
    for lane in lanes {
        found.add(lane.await.unwrap());
    }
    found
}

async fn run(world: World, seeds: (u64, u64), until: Instant, over: Arc<AtomicBool>) -> Found {
    let mut found = Found::default();
    let mut seed = seeds.0;
    // On a slow machine too, something is found out.
    let late = until + support::deadline();
    let says_little = |found: &Found| found.changed == 0 || found.kept == 0;
    while (Instant::now() < until || says_little(&found) && Instant::now() < late)
        && !over.load(Ordering::Relaxed)
    {
        round(&world, seed, &mut found).await;
        if !found.stale.is_empty() {
            over.store(true, Ordering::Relaxed);
        }
        seed = seed.wrapping_add(seeds.1);
    }
    found
}

/// Rows to begin with, written beside the cache.
async fn fill(world: &World, random: &mut Random) {
    tables::clear(&world.raw).await.unwrap();
    let db = &world.raw;
    for id in 1..=6 {
        let new = owner::ActiveModel { id: Set(id), ..row(random, OWNER) };
        new.insert(db).await.unwrap();
    }
    for _ in 0..4 {
        let _ = row::<label::ActiveModel>(random, LABEL).insert(db).await;
    }
    for id in 1..=8 {
        let _ = thing::ActiveModel { id: Set(id), ..row(random, THING) }.insert(db).await;
        let _ = row::<link::ActiveModel>(random, LINK).insert(db).await;
    }
    for _ in 0..6 {
        let _ = row::<note::ActiveModel>(random, NOTE).insert(db).await;
    }
    tables::number(db).await.unwrap();
    world.co.invalidate_all().await.unwrap();
}

/// A question and its last answer.
struct Entry {
    question: Question,
    answer: String,
    /// The database has contradicted itself.
    odd: bool,
}

/// The cache never says it: the database does, by itself, or because a statement has to be prepared again.
const ERROR: &str = "an error";

fn said(answer: Result<String, sea_orm::DbErr>) -> String {
    answer.unwrap_or_else(|_| ERROR.into())
}

async fn entries(
    world: &World,
    reader: &CachedConn,
    random: &mut Random,
    found: &mut Found,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for _ in 0..5 * QUESTIONS {
        if entries.len() == QUESTIONS {
            break;
        }
        let question = Question::new(random, world.backend);
        let Ok(answer) = question.fresh(&world.raw).await else { continue };
        // Most of what is empty stays so.
        if matches!(&*answer, "" | "None" | "0" | "false" | "[]") && !random.once_in(4) {
            continue;
        }
        found.questions += 1;
        let before = world.co.stats();
        let cached = said(question.cached(reader).await);
        let after = world.co.stats();
        if cached != answer && cached != ERROR {
            found.stale.push(format!("at first: {question:?}\n  {cached}\n  {answer}"));
        }
        if after.misses + after.hits == before.misses + before.hits {
            found.uncached += 1;
            continue;
        }
        entries.push(Entry { question, answer, odd: false });
    }
    entries
}

async fn round(world: &World, seed: u64, found: &mut Found) {
    let random = &mut Random::from_seed(seed);
    fill(world, random).await;
    let reader = &world.programs[random.below(world.programs.len())];
    let mut entries = entries(world, reader, random, found).await;
    found.rounds += 1;
    for _ in 0..WRITES {
        let writer = &world.programs[random.below(world.programs.len())];
        world.log.start();
        let wrote = async {
            if random.once_in(4) {
                transaction(writer, &entries, random, found).await
            } else {
                write(writer, random).await.is_ok()
            }
        };
        let Ok(written) = tokio::time::timeout(support::deadline(), wrote).await else {
            panic!("CACHEOPS_FUZZ_SEED={seed} hangs after\n{}", world.log.text());
        };
        world.log.stop();
        found.writes += 1;
        found.refused += u64::from(!written);
        if !written && !random.once_in(8) {
            continue;
        }
        let changed_before = found.changed;
        for entry in &mut entries {
            let hits = world.co.stats().hits;
            let cached = said(entry.question.cached(reader).await);
            let hit = world.co.stats().hits > hits;
            // What was not in the cache has just been read from the database.
            let fresh = if hit || random.once_in(16) {
                said(entry.question.fresh(&world.raw).await)
            } else {
                cached.clone()
            };
            found.asked += 1;
            // PostgreSQL plans a statement anew after some times, and may refuse it then.
            if cached == ERROR || fresh == ERROR {
                entry.answer = fresh;
                continue;
            }
            if cached != fresh {
                // What does the database say to the very statement?
                let again = if hit {
                    world.co.invalidate_all().await.unwrap();
                    said(entry.question.cached(reader).await)
                } else {
                    cached.clone()
                };
                if again != cached && found.stale.is_empty() {
                    found.stale.push(report(seed, entry, &cached, &fresh, &world.log.text()));
                }
                // It contradicts itself: MariaDB may, where a statement is executed again.
                found.odd.push(report(seed, entry, &cached, &fresh, &world.log.text()));
                entry.odd = true;
                continue;
            }
            let changed = fresh != entry.answer;
            found.changed += u64::from(changed);
            found.kept += u64::from(hit && !changed);
            found.lost += u64::from(!hit && !changed);
            entry.answer = fresh;
        }
        entries.retain(|entry| !entry.odd);
        found.effective += u64::from(found.changed > changed_before);
        if !found.stale.is_empty() {
            return;
        }
    }
}

fn report(seed: u64, entry: &Entry, cached: &str, fresh: &str, log: &str) -> String {
    format!(
        "CACHEOPS_FUZZ_SEED={seed}\n{:?}\nwas {}\ncache says {cached}\ndatabase says {fresh}\nafter\n{log}\n",
        entry.question, entry.answer
    )
}

/// A transaction: some writes, perhaps a savepoint, questions before and after, and one of three ends.
async fn transaction(
    db: &CachedConn,
    entries: &[Entry],
    random: &mut Random,
    found: &mut Found,
) -> bool {
    let levels = [
        None,
        Some(IsolationLevel::ReadCommitted),
        Some(IsolationLevel::RepeatableRead),
        Some(IsolationLevel::Serializable),
    ];
    let tx = db.begin_with_config(levels[random.below(4)], None).await.unwrap();
    let mut written = false;
    for _ in 0..1 + random.below(3) {
        if random.once_in(2) && !entries.is_empty() {
            // Inside, the cache must say what the transaction itself sees.
            let entry = random.pick(entries);
            let cached = said(entry.question.cached(&tx).await);
            let fresh = said(entry.question.fresh(tx.inner()).await);
            if cached != fresh && [&cached, &fresh].iter().all(|said| *said != ERROR) {
                let question = &entry.question;
                found.stale.push(format!("in a transaction: {question:?}\n  {cached}\n  {fresh}"));
            }
        }
        if random.once_in(3) {
            let Ok(savepoint) = tx.begin().await else { break };
            written |= write(&savepoint, random).await.is_ok();
            let _ = match random.below(3) {
                0 => savepoint.commit().await,
                1 => savepoint.rollback().await,
                _ => {
                    drop(savepoint);
                    Ok(())
                }
            };
        } else {
            written |= write(&tx, random).await.is_ok();
        }
    }
    match random.below(5) {
        0 => tx.rollback().await.is_ok(),
        1 => {
            drop(tx);
            true
        }
        _ => tx.commit().await.is_ok() && written,
    }
}
