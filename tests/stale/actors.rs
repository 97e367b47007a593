//! Readers of every kind, and writers.

use std::collections::HashMap;
use std::pin::Pin;

use super::change::{Change, Detail};
use super::database::Snapshot;
use super::query::Query;
use super::wire::Reply;
use super::worker::{Lost, Seat};
use super::world::Question;

/// What somebody does until the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Actor {
    /// READ COMMITTED: each query sees what is newest. Its token comes with the miss.
    Committed,
    /// Several queries from one old snapshot. One token for all of them, taken before BEGIN.
    Snapshot,
    /// Queries a replica of the database that lags; its token comes with the miss.
    Lagging,
    /// Queries the same replica, with a token from before the position that the replica has reached.
    LaggingByPosition,
    /// Keeps values in process memory and proves them with CHECK.
    Insideout,
    /// Keeps values in process memory and proves them with `GET .. IFNOT`.
    NearCache,
    /// As the first kind, and only one of them fetches what is missing; the others wait in the server for it.
    SingleFlight,
    /// The same with values in process memory.
    NearSingleFlight,
    /// Takes tokens together with the positions of the database's primary.
    Surveyor,
    /// Sets plain keys, so that others must go where memory is short.
    Crowd,
    /// Deletes, copies, renames and expires keys of entries.
    Vandal,
    /// Commits, invalidates, and only then counts its change as acknowledged.
    Writer,
}

/// Values that a process keeps, by key.
#[derive(Default)]
pub struct Memory {
    /// With the token from before they were read.
    checked: HashMap<String, (u64, String)>,
    /// With their version.
    near: HashMap<String, (u64, String)>,
}

/// Short enough to end by themselves now and then, in milliseconds.
const WITH_LOCK: [&str; 4] = ["LOCK", "20", "WAIT", "10"];

enum Got {
    Hit,
    /// With a token, if one was asked for and nobody else holds the lock.
    Miss(Option<u64>),
}

impl Actor {
    /// Whether it needs a connection of its own.
    pub fn waits(self) -> bool {
        matches!(self, Self::SingleFlight | Self::NearSingleFlight)
    }
}

impl Actor {
    pub fn play<'w>(self, seat: Seat<'w>) -> Pin<Box<dyn Future<Output = ()> + 'w>> {
        Box::pin(async move {
            loop {
                // What was lost is begun anew; a writer never gives up what it has committed.
                let _ = match self {
                    Self::Committed => committed(&seat).await,
                    Self::Snapshot => snapshot(&seat).await,
                    Self::Lagging => lagging(&seat).await,
                    Self::LaggingByPosition => lagging_by_position(&seat).await,
                    Self::Insideout => insideout(&seat).await,
                    Self::NearCache => near_cache(&seat, &["TOKEN"]).await,
                    Self::SingleFlight => single_flight(&seat).await,
                    Self::NearSingleFlight => near_cache(&seat, &WITH_LOCK).await,
                    Self::Surveyor => surveyor(&seat).await,
                    Self::Crowd => crowd(&seat).await,
                    Self::Vandal => vandal(&seat).await,
                    Self::Writer => writer(&seat).await,
                };
            }
        })
    }
}

async fn committed(seat: &Seat<'_>) -> Result<(), Lost> {
    let question = seat.question();
    if let Got::Miss(token) = seat.get(&question, seat.token_option()).await? {
        seat.pause().await;
        let rows = seat.world.database.newest();
        seat.fill(question.query, &rows, token).await?;
    }
    Ok(())
}

async fn single_flight(seat: &Seat<'_>) -> Result<(), Lost> {
    let question = seat.question();
    if let Got::Miss(Some(token)) = seat.get(&question, &WITH_LOCK).await? {
        match seat.below(50) {
            // It changes its mind, or forgets that somebody waits.
            0 => {
                let key = &question.query.key;
                seat.call(&["CACHEOPS.RELEASE", key, &token.to_string()]).await?;
            }
            1 => {}
            _ => {
                seat.pause().await;
                let rows = seat.world.database.newest();
                seat.fill(question.query, &rows, Some(token)).await?;
            }
        }
    }
    Ok(())
}

async fn snapshot(seat: &Seat<'_>) -> Result<(), Lost> {
    let token = if seat.world.tokens { Some(seat.token().await?) } else { None };
    seat.pause().await;
    let rows = seat.world.database.newest();
    for _ in 0..1 + seat.below(6) {
        let question = seat.question();
        if let Got::Miss(_) = seat.get(&question, &[]).await? {
            seat.fill(question.query, &rows, token).await?;
        }
    }
    Ok(())
}

async fn lagging(seat: &Seat<'_>) -> Result<(), Lost> {
    let question = seat.question();
    if let Got::Miss(token) = seat.get(&question, seat.token_option()).await? {
        let rows = seat.world.database.replica();
        seat.fill(question.query, &rows, token).await?;
    }
    Ok(())
}

async fn lagging_by_position(seat: &Seat<'_>) -> Result<(), Lost> {
    let question = seat.question();
    if let Got::Miss(_) = seat.get(&question, &[]).await? {
        let rows = seat.world.database.replica();
        // Without a token that is old enough the answer is used and not kept.
        if let Some(token) = seat.world.token_for(rows.version) {
            seat.fill(question.query, &rows, Some(token)).await?;
        }
    }
    Ok(())
}

async fn surveyor(seat: &Seat<'_>) -> Result<(), Lost> {
    let token = seat.token().await?;
    seat.world.note_position(token);
    seat.pause().await;
    Ok(())
}

async fn crowd(seat: &Seat<'_>) -> Result<(), Lost> {
    let key = format!("plain:{}", seat.below(2000));
    seat.call(&["SET", &key, &"x".repeat(2000)]).await?;
    Ok(())
}

async fn insideout(seat: &Seat<'_>) -> Result<(), Lost> {
    let question = seat.question();
    let query = question.query;
    let kept = seat.memory.borrow().checked.get(&query.key).cloned();
    if let Some((token, value)) = kept {
        let token = token.to_string();
        let mut words = vec!["CACHEOPS.CHECK", &token, "ON"];
        words.extend(query.conditions.iter().map(String::as_str));
        let good = seat.call(&words).await? == Reply::Integer(1);
        seat.count(|tally| tally.reads += 1);
        if good {
            seat.count(|tally| tally.judge(&question, value.as_bytes()));
            return Ok(());
        }
    }
    let token = seat.token().await?;
    seat.pause().await;
    let value = query.answer(&seat.world.database.newest());
    seat.pause().await;
    seat.count(|tally| tally.fills += 1);
    seat.memory.borrow_mut().checked.insert(query.key.clone(), (token, value));
    Ok(())
}

async fn vandal(seat: &Seat<'_>) -> Result<(), Lost> {
    seat.pause().await;
    let key = &seat.question().query.key;
    let copy = format!("copy:{key}");
    match seat.below(16) {
        0 => seat.call(&["DEL", key]).await?,
        1 => seat.call(&["UNLINK", key]).await?,
        2 => seat.call(&["PEXPIRE", key, "2"]).await?,
        3 => seat.call(&["PERSIST", key]).await?,
        // What comes back this way is dead, or there is nothing to come.
        4 => seat.call(&["RENAME", &copy, key]).await?,
        // What comes back this way may be as good as ever, or have died as a copy.
        5..11 => seat.call(&["COPY", key, &copy, "REPLACE"]).await?,
        _ => seat.call(&["COPY", &copy, key, "REPLACE"]).await?,
    };
    Ok(())
}

/// `options` are those of a GET that answers a miss with a token.
async fn near_cache(seat: &Seat<'_>, options: &[&str]) -> Result<(), Lost> {
    let question = seat.question();
    let query = question.query;
    let kept = seat.memory.borrow().near.get(&query.key).cloned();
    let (version, value) = kept.unwrap_or_default();
    let known = version.to_string();
    let words = [&["CACHEOPS.GET", &query.key, "IFNOT", &known], options].concat();
    let reply = seat.call(&words).await?;
    seat.count(|tally| tally.reads += 1);
    match reply {
        Reply::Integer(token) => {
            seat.pause().await;
            let rows = seat.world.database.newest();
            if let Some(version) = seat.fill(query, &rows, Some(token)).await? {
                let value = query.answer(&rows);
                seat.memory.borrow_mut().near.insert(query.key.clone(), (version, value));
            }
        }
        Reply::Array(parts) => match &parts[..] {
            [Reply::Integer(same), Reply::Nil] if *same == version => {
                seat.count(|tally| tally.judge(&question, value.as_bytes()));
            }
            [Reply::Integer(version), Reply::Bytes(value)] => {
                seat.count(|tally| tally.judge(&question, value));
                let value = String::from_utf8_lossy(value).into_owned();
                seat.memory.borrow_mut().near.insert(query.key.clone(), (*version, value));
            }
            other => panic!("IFNOT {version} is answered {other:?}"),
        },
        // Somebody else holds the lock, and has stored nothing in time.
        Reply::Nil if options == WITH_LOCK => {}
        other => panic!("GET .. IFNOT .. TOKEN is answered {other:?}"),
    }
    Ok(())
}

async fn writer(seat: &Seat<'_>) -> Result<(), Lost> {
    seat.rounds(seat.below(60)).await;
    let (changes, detail, replayed) = {
        let mut random = seat.random.borrow_mut();
        let changes: Vec<Change> =
            (0..1 + random.below(3) / 2).map(|_| Change::any(&mut random)).collect();
        let detail = match random.below(100) {
            0 => Detail::Table,
            1..10 => Detail::Partial,
            _ => Detail::Full,
        };
        (changes, detail, random.below(3))
    };
    let commit = seat.world.database.commit(&changes, replayed);
    // The window that no cache closes: readers find the old value and the database has the new one.
    seat.pause().await;
    let rows: Vec<(&str, String)> = changes
        .iter()
        .zip(&commit.images)
        .filter_map(|(change, images)| change.rows(images, detail))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut words = vec!["CACHEOPS.INVALIDATE", "ON"];
    words.extend(rows.iter().flat_map(|(table, rows)| [*table, rows]));
    while seat.call(&words).await.is_err() {}
    seat.world.acknowledge(&commit);
    seat.count(|tally| tally.invalidations += 1);
    Ok(())
}

impl<'w> Seat<'w> {
    /// Some question; a few are asked more often than the others.
    fn question(&self) -> Question<'w> {
        let queries = self.world.queries.len();
        let query = self.below(1 + self.below(queries));
        self.world.ask(query)
    }

    async fn token(&self) -> Result<u64, Lost> {
        match self.call(&["CACHEOPS.TOKEN"]).await? {
            Reply::Integer(token) => Ok(token),
            other => panic!("TOKEN is answered {other:?}"),
        }
    }

    fn token_option(&self) -> &'static [&'static str] {
        if self.world.tokens { &["TOKEN"] } else { &[] }
    }

    /// Asks the cache, and judges what it answers.
    async fn get(&self, question: &Question<'_>, options: &[&str]) -> Result<Got, Lost> {
        let words = [&["CACHEOPS.GET", &question.query.key], options].concat();
        let reply = self.call(&words).await?;
        self.count(|tally| tally.reads += 1);
        Ok(match reply {
            Reply::Bytes(value) => {
                self.count(|tally| tally.judge(question, &value));
                Got::Hit
            }
            Reply::Integer(token) => Got::Miss(Some(token)),
            Reply::Nil => Got::Miss(None),
            other => panic!("GET is answered {other:?}"),
        })
    }

    /// Stores the answer from these rows some time later. Returns its version, or nothing if it was refused.
    async fn fill(
        &self,
        query: &Query,
        rows: &Snapshot,
        token: Option<u64>,
    ) -> Result<Option<u64>, Lost> {
        let value = query.answer(rows);
        self.pause().await;
        let token = token.map(|token| token.to_string());
        let mut words = vec!["CACHEOPS.STORE", &query.key, &value];
        if self.below(4) == 0 {
            words.extend(["PX", *self.random.borrow_mut().pick(&["1", "10", "1000"])]);
        }
        if let Some(token) = &token {
            words.extend(["TOKEN", token]);
        }
        words.push("ON");
        words.extend(query.conditions.iter().map(String::as_str));
        let version = match self.call(&words).await? {
            Reply::Integer(version) => Some(version),
            Reply::Nil => None,
            other => panic!("STORE is answered {other:?}"),
        };
        self.count(|tally| match version {
            Some(_) => tally.fills += 1,
            None => tally.refused += 1,
        });
        Ok(version)
    }
}
