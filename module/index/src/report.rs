//! What people ask the index: counters, tables, top lists, and why an entry is dead.

use cacheops_condition::{Condition, write_field};

/// Counters since the index was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "INFO names and describes each of them")]
pub struct Counters {
    pub stores: u64,
    pub refused_token: u64,
    pub refused_limit: u64,
    pub invalidations: u64,
    pub rows: u64,
    pub links_cut: u64,
    pub over: u64,
    pub schemes_dropped: u64,
    pub tables_dropped: u64,
    pub collapsed: u64,
    pub flushes: u64,
    pub reclaimed: u64,
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a plain count")]
pub struct Sizes {
    pub entries: usize,
    /// Dead and not yet reclaimed; an entry that died twice counts twice.
    pub dead: usize,
    pub tables: usize,
    pub schemes: usize,
    pub conjunctions: usize,
    pub links: usize,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.stores += other.stores;
        self.refused_token += other.refused_token;
        self.refused_limit += other.refused_limit;
        self.invalidations += other.invalidations;
        self.rows += other.rows;
        self.links_cut += other.links_cut;
        self.over += other.over;
        self.schemes_dropped += other.schemes_dropped;
        self.tables_dropped += other.tables_dropped;
        self.collapsed += other.collapsed;
        self.flushes += other.flushes;
        self.reclaimed += other.reclaimed;
    }
}

impl std::ops::AddAssign for Sizes {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.dead += other.dead;
        self.tables += other.tables;
        self.schemes += other.schemes;
        self.conjunctions += other.conjunctions;
        self.links += other.links;
    }
}

/// Why an entry is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The table of the change.
    pub table: Vec<u8>,
    /// The conjunction that a row satisfied; `None` if all of a scheme was dropped.
    pub conjunction: Option<Vec<u8>>,
    /// The number of the invalidation.
    pub sequence: u64,
    /// When, as the caller of [`Index::invalidate`](crate::Index::invalidate) said.
    pub time_ms: u64,
}

/// All that the index knows of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether a read would hit.
    pub alive: bool,
    /// Why not, while that is still known.
    pub cause: Option<Cause>,
    /// Tables and the text of their conditions. Of a dead entry, those parts that still hold.
    pub conditions: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is a plain count")]
pub struct TableReport {
    pub name: Vec<u8>,
    pub schemes: usize,
    pub conjunctions: usize,
    pub links: usize,
    pub hits: u64,
    pub refused: u64,
    pub invalidations: u64,
}

/// What a top list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopOrder {
    /// Dependents.
    FanOut,
    /// Bytes of the index.
    Memory,
    /// Invalidations that hit a dependent.
    Invalidations,
}

/// One line of a top list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopReport {
    /// Its table.
    pub table: Vec<u8>,
    /// Its canonical text.
    pub conjunction: Vec<u8>,
    /// Entries that depend on it now.
    pub fan_out: usize,
    /// About so much memory of the index.
    pub bytes: usize,
    /// Invalidations that hit a dependent, as far as the sketch knows.
    pub invalidations: u64,
}

impl TopReport {
    /// Replaces each value of the conjunction, and each NULL, by `?`.
    pub fn hide_values(&mut self) {
        let mut text = Vec::new();
        if let Ok(condition) = Condition::parse(&self.conjunction) {
            for (field, _) in condition.iter().flat_map(|conjunction| conjunction.terms()) {
                if !text.is_empty() {
                    text.push(b'&');
                }
                write_field(&mut text, field);
                text.extend_from_slice(b"=?");
            }
        }
        if text.is_empty() {
            text.push(b'*');
        }
        self.conjunction = text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_values_names_the_fields() {
        for (text, expected) in [
            ("author=7&deleted_at", "author=?&deleted_at=?"),
            ("%2A&a%3Cb=%26c", "%2A=?&a%3Cb=?"),
            ("*", "*"),
        ] {
            let mut report = TopReport {
                table: b"post".to_vec(),
                conjunction: text.into(),
                fan_out: 1,
                bytes: 1,
                invalidations: 1,
            };

            report.hide_values();

            assert_eq!(String::from_utf8_lossy(&report.conjunction), expected);
        }
    }
}
