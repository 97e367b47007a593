//! What people ask the index: counters, tables, top lists, and why an entry is dead.

use cacheops_condition::{Condition, write_field};

use crate::arena::Handle;
use crate::core::Core;
use crate::dead::{Dead, Queue};
use crate::plan::Plan;
use crate::record::{Link, Record};
use crate::scheme::{Hashes, Scheme};
use crate::top::{Busy, Wide};
use crate::{Limits, Slot};

/// Batches of dead entries that one explanation looks through.
const MAX_SEARCHED: usize = 10_000;

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

/// The parts of an index that its reports are made of.
pub(crate) struct Reporter<'i> {
    pub(crate) hashes: &'i Hashes,
    pub(crate) core: &'i Core,
    pub(crate) dead: &'i Queue<Dead>,
    pub(crate) wide: &'i Wide,
    pub(crate) busy: &'i Busy,
}

impl Reporter<'_> {
    /// What the index knows of the entry at a slot. For people: looks through a bounded number of batches of dead entries.
    pub(crate) fn explain(&self, slot: Slot) -> Option<Explanation> {
        let record = Record::find(&self.core.records, Handle(slot.record), slot.born)?;
        let is_cut = |&link: &Link| self.core.is_linked(link, slot.born).is_none();
        let mut budget = MAX_SEARCHED;
        let cause =
            record.links().filter(is_cut).find_map(|link| self.cause(link, slot, &mut budget));
        let conditions = self.linked_conditions(record);
        Some(Explanation { alive: self.core.is_alive(record), cause, conditions })
    }

    /// The conditions of those links that hold.
    pub(crate) fn linked_conditions(&self, record: Record<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let born = record.born();
        let mut conditions: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for link in record.links() {
            let linked = self.core.is_linked(link, born);
            let Some(node) = linked.and_then(|_| self.core.nodes.get(link.node)) else { continue };
            let owner = self
                .core
                .schemes
                .get(node.scheme)
                .and_then(|scheme| self.core.tables.get(scheme.table));
            let table = owner.map_or(&[][..], |table| &table.name);
            let text = match conditions.iter_mut().find(|(known, _)| known == table) {
                Some((_, text)) => {
                    text.push(b'|');
                    text
                }
                None => {
                    conditions.push((table.to_vec(), Vec::new()));
                    match conditions.last_mut() {
                        Some((_, text)) => text,
                        None => continue,
                    }
                }
            };
            self.core.write_text(text, node.scheme, self.core.node_values(node));
        }
        conditions
    }

    /// Why a link is cut, if the batch that it went with still waits.
    fn cause(&self, link: Link, slot: Slot, budget: &mut usize) -> Option<Cause> {
        let (node, at, member, born) = (link.node, link.at, Handle(slot.record), slot.born);
        let most = std::mem::replace(budget, budget.saturating_sub(self.dead.len()));
        // Not that of another node, which has the number since this one went.
        let same = self.core.nodes.get(node).filter(|node| node.floor < born);
        let scheme_of_node = same.map(|node| node.scheme);
        self.dead.iter().take(most).find_map(|dead| {
            let (death, conjunction) = match dead {
                Dead::Node { death, values, values_len, members }
                    if death.node == node
                        && death.tick > born
                        && members.get(at) == Some(member) =>
                {
                    let values = self.core.values.get(*values).get(..*values_len as usize)?;
                    let mut text = Vec::new();
                    self.core.write_text(&mut text, death.scheme, values);
                    (death, Some(text))
                }
                Dead::Scheme { death, .. }
                    if death.tick > born && scheme_of_node == Some(death.scheme) =>
                {
                    (death, None)
                }
                _ => return None,
            };
            // A scheme that was forgotten since may have left its number to another.
            let scheme = self.core.schemes.get(death.scheme);
            let scheme = scheme.filter(|scheme| scheme.created < death.tick)?;
            let table = self.core.tables.get(scheme.table)?.name.to_vec();
            Some(Cause { table, conjunction, sequence: death.number, time_ms: death.time_ms })
        })
    }

    /// Every table. O(tables + schemes).
    pub(crate) fn tables(&self) -> Vec<TableReport> {
        let mut reports = Vec::with_capacity(self.core.tables.len());
        let mut from = 0;
        while let Some(number) = self.core.tables.next(from) {
            from = number + 1;
            let Some(table) = self.core.tables.get(number) else { continue };
            let schemes: Vec<&Scheme> = table
                .schemes
                .iter()
                .filter_map(|&(_, scheme)| self.core.schemes.get(scheme))
                .collect();
            reports.push(TableReport {
                name: table.name.to_vec(),
                schemes: schemes.len(),
                conjunctions: schemes.iter().map(|scheme| scheme.map.len()).sum(),
                links: schemes.iter().map(|scheme| scheme.links).sum(),
                hits: schemes.iter().map(|scheme| scheme.hits).sum(),
                refused: table.refused,
                invalidations: table.invalidations,
            });
        }
        reports
    }

    /// The conjunctions that cost most, from lists that are kept while working. O(1).
    pub(crate) fn top(&self, order: TopOrder, count: usize) -> Vec<TopReport> {
        let mut reports: Vec<TopReport> = match order {
            TopOrder::FanOut | TopOrder::Memory => {
                self.wide.nodes().filter_map(|node| self.top_report(node)).collect()
            }
            TopOrder::Invalidations => self
                .busy
                .iter()
                .map(|(table, text, invalidations)| TopReport {
                    table: table.to_vec(),
                    conjunction: text.to_vec(),
                    fan_out: 0,
                    bytes: 0,
                    invalidations,
                })
                .collect(),
        };
        if order == TopOrder::Invalidations {
            for report in &mut reports {
                if let Some((fan_out, bytes)) = self.size_of(&report.table, &report.conjunction) {
                    (report.fan_out, report.bytes) = (fan_out, bytes);
                }
            }
        }
        reports.sort_by_key(|report| {
            std::cmp::Reverse(match order {
                TopOrder::FanOut => report.fan_out as u64,
                TopOrder::Memory => report.bytes as u64,
                TopOrder::Invalidations => report.invalidations,
            })
        });
        reports.truncate(count);
        reports
    }

    fn top_report(&self, number: u32) -> Option<TopReport> {
        let node = self.core.nodes.get(number)?;
        let scheme =
            self.core.schemes.get(node.scheme).filter(|scheme| scheme.floor < node.floor + 1)?;
        let mut conjunction = Vec::new();
        self.core.write_text(&mut conjunction, node.scheme, self.core.node_values(node));
        Some(TopReport {
            table: self.core.tables.get(scheme.table)?.name.to_vec(),
            conjunction,
            fan_out: node.members.len(),
            bytes: node_bytes(node.members.len(), node.values_len),
            invalidations: self.busy.count_of(node.hash),
        })
    }

    /// The dependents of a conjunction given by its text, and the bytes they cost.
    fn size_of(&self, table: &[u8], conjunction: &[u8]) -> Option<(usize, usize)> {
        let condition = Condition::parse(conjunction).ok()?;
        let mut plan = Plan::default();
        plan.make(&[(table, condition)], self.core, self.hashes, &Limits::default());
        let mut text = Vec::new();
        let node =
            plan.nodes.iter().filter_map(|&number| self.core.nodes.get(number)).find(|node| {
                text.clear();
                self.core.write_text(&mut text, node.scheme, self.core.node_values(node));
                text == conjunction
            })?;
        Some((node.members.len(), node_bytes(node.members.len(), node.values_len)))
    }
}

/// About what a node and its links cost.
fn node_bytes(fan_out: usize, values_len: u32) -> usize {
    /// The node, its bucket and its share of free places.
    const NODE: usize = 64;
    /// In the members, and in the record.
    const LINK: usize = 4 + 8;
    NODE + values_len as usize + LINK * fan_out
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
