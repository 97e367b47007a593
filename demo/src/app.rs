//! The application: it fills the cache, writes to the database, and trusts nobody.

use cacheops::{Client, Invalidate, Row, Token};

use crate::Failure;
use crate::query::{Conditions, Query};
use crate::shop::Shop;

/// Keys of one MGET.
const BATCH: usize = 200;
/// Refusals of one fill in a row. Nobody else writes here, so the second is odd already.
const ATTEMPTS: usize = 3;
/// Faults that are told; one would be enough.
const FAULTS: usize = 5;

pub struct App {
    pub shop: Shop,
    pub cache: Client,
    entries: Vec<Entry>,
    /// Hits that were compared with a fresh result.
    pub compared: u64,
}

struct Entry {
    query: Query,
    key: String,
    result: String,
    conditions: Conditions,
}

/// What an invalidation did to the entries, by [`App::audit`].
pub struct Audit {
    pub died: usize,
    /// Of these, the entries whose query has another result now.
    pub changed: usize,
    pub hits: usize,
    /// The queries whose entries died.
    dead: Vec<usize>,
}

impl App {
    pub fn new(shop: Shop, cache: Client) -> Self {
        Self { shop, cache, entries: Vec::new(), compared: 0 }
    }

    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    pub fn conditions(&self) -> impl Iterator<Item = &Conditions> {
        self.entries.iter().map(|entry| &entry.conditions)
    }

    /// Runs a query and stores its result; false if the server refused it.
    pub async fn fill(&mut self, query: Query, token: Token) -> Result<bool, Failure> {
        let result = query.run(&self.shop.db)?;
        let conditions = query.conditions(&self.shop.db)?;
        self.store(query, result, conditions, token).await
    }

    /// Stores a result that was read after the token was taken; false if the server refused it.
    pub async fn store(
        &mut self,
        query: Query,
        result: String,
        conditions: Conditions,
        token: Token,
    ) -> Result<bool, Failure> {
        let key = query.key();
        let mut store = self.cache.store(&key, &result).token(token);
        for (table, condition) in &conditions {
            store = store.on(table, condition.clone());
        }
        let stored = store.await?.is_some();
        if stored {
            let entry = Entry { query, key, result, conditions };
            match self.entries.iter_mut().find(|known| known.query == query) {
                Some(known) => *known = entry,
                None => self.entries.push(entry),
            }
        }
        Ok(stored)
    }

    /// Fills what the last invalidation emptied.
    pub async fn refill(&mut self, audit: &Audit) -> Result<(), Failure> {
        let mut missing: Vec<Query> = audit.dead.iter().map(|&i| self.entries[i].query).collect();
        for _ in 0..ATTEMPTS {
            let token = self.cache.token().await?;
            let mut refused = Vec::new();
            for query in missing {
                if !self.fill(query, token).await? {
                    refused.push(query);
                }
            }
            if refused.is_empty() {
                return Ok(());
            }
            missing = refused;
        }
        Err(format!("{} stores were refused again and again", missing.len()).into())
    }

    /// The rows as one invalidation.
    pub fn invalidation(&self, rows: &[(&str, Row)]) -> Invalidate<'_> {
        rows.iter().fold(self.cache.invalidate(), |all, (table, row)| all.row(table, row))
    }

    /// Asks the cache for every entry and the database for every query, and compares.
    ///
    /// Gone must be exactly the entries whose conditions one of the rows satisfies, by the rule of
    /// [`cacheops::Condition::matches`], which knows nothing of the server. Every hit must be what the
    /// database says now.
    pub async fn audit(&mut self, rows: &[(&str, Row)]) -> Result<Audit, Failure> {
        let mut audit = Audit { died: 0, changed: 0, hits: 0, dead: Vec::new() };
        let mut faults = Vec::new();
        for start in (0..self.entries.len()).step_by(BATCH) {
            let batch = &self.entries[start..self.entries.len().min(start + BATCH)];
            let found = self.cache.get_many(batch.iter().map(|entry| &entry.key)).await?;
            for (i, (entry, found)) in batch.iter().zip(found).enumerate() {
                let expected_dead = entry.matches(rows);
                let fresh = entry.query.run(&self.shop.db)?;
                match found {
                    None => {
                        audit.died += 1;
                        audit.changed += usize::from(fresh != entry.result);
                        audit.dead.push(start + i);
                        if !expected_dead {
                            faults.push(format!("{} is gone, but no row concerns it", entry.key));
                        }
                    }
                    Some(hit) => {
                        audit.hits += 1;
                        self.compared += 1;
                        if hit != fresh.as_bytes() {
                            faults.push(format!("{} is STALE", entry.key));
                        } else if expected_dead {
                            faults.push(format!("{} is a hit, but a row concerns it", entry.key));
                        }
                    }
                }
            }
        }
        if faults.is_empty() {
            return Ok(audit);
        }
        let total = faults.len();
        faults.truncate(FAULTS);
        let more =
            if total > FAULTS { format!(" and {} more", total - FAULTS) } else { String::new() };
        Err(format!("the audit found: {}{more}", faults.join("; ")).into())
    }
}

impl Entry {
    fn matches(&self, rows: &[(&str, Row)]) -> bool {
        self.conditions.iter().any(|(table, condition)| {
            rows.iter().any(|(changed, row)| table == changed && condition.matches(row))
        })
    }
}
