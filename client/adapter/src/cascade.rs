//! What the database changes by itself when rows disappear or change: foreign keys with an action, and what triggers of
//! their rows change.

use std::collections::{HashMap, HashSet};

use cacheops::{Changes, OwnedConjunction};
use cacheops_sql::Analyser;

/// A foreign key of the schema. Names are as in conditions: see [`Analyser::name`].
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// The table that holds the key.
    pub child: String,
    /// The table that it refers to.
    pub parent: String,
    /// The columns of the child, each with the column of the parent that it refers to.
    pub columns: Vec<(String, String)>,
    /// What happens to rows of the child when their parent is deleted, if anything.
    pub on_delete: Option<Action>,
    /// What happens to them when the key of their parent changes, if anything.
    pub on_update: Option<Action>,
}

/// What a foreign key does to rows of the table that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are deleted, or get the new key.
    Cascade,
    /// Columns of their key become NULL.
    SetNull,
    /// Columns of their key get their defaults.
    SetDefault,
}

/// The foreign keys that the application has declared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cascades {
    keys: Vec<ForeignKey>,
    /// The tables that change, by a trigger, with rows of those that hold the keys.
    triggered: HashMap<String, Vec<String>>,
}

impl Cascades {
    pub(crate) fn new(keys: impl IntoIterator<Item = ForeignKey>, analyser: &Analyser) -> Self {
        let has_action = |key: &ForeignKey| key.on_delete.is_some() || key.on_update.is_some();
        let keys: Vec<_> = keys.into_iter().filter(has_action).collect();
        let others = |child: &String| {
            let mut others = analyser.changed_with(child);
            others.retain(|table| table != child);
            (child.clone(), others)
        };
        let triggered = keys.iter().map(|key| others(&key.child)).collect();
        Self { keys, triggered }
    }

    /// Adds what follows where any rows of a table may have changed in any way.
    pub(crate) fn any(&self, table: &str, changes: &mut Changes) {
        let mut todo = vec![table];
        let mut seen = HashSet::new();
        while let Some(table) = todo.pop() {
            let children = self.keys.iter().filter(|key| key.parent == table).map(|key| &key.child);
            for other in children.chain(self.triggered.get(table).into_iter().flatten()) {
                if seen.insert(other) {
                    changes.add_table(other);
                    todo.push(other);
                }
            }
        }
    }

    /// Adds the tables that change with any rows of this one, which holds a key, and what follows from that.
    fn others(&self, child: &str, changes: &mut Changes) {
        for other in self.triggered.get(child).into_iter().flatten() {
            changes.add_table(other);
            self.any(other, changes);
        }
    }

    /// Adds what follows from the deletion of these rows of a table.
    pub(crate) fn deleted(&self, table: &str, rows: &[OwnedConjunction], changes: &mut Changes) {
        self.follow(table, rows, changes, &mut HashSet::new());
    }

    fn follow(
        &self,
        table: &str,
        rows: &[OwnedConjunction],
        changes: &mut Changes,
        seen: &mut HashSet<(usize, OwnedConjunction)>,
    ) {
        for (at, key) in self.keys.iter().enumerate().filter(|(_, key)| key.parent == table) {
            let Some(action) = key.on_delete else { continue };
            if !rows.is_empty() {
                self.others(&key.child, changes);
            }
            for row in rows {
                let image = key.child_of(row);
                if !seen.insert((at, image.clone())) {
                    continue;
                }
                changes.add_row(&key.child, image.clone());
                match action {
                    Action::Cascade => {
                        self.follow(&key.child, std::slice::from_ref(&image), changes, seen);
                        continue;
                    }
                    Action::SetNull => {
                        for orphan in key.orphans(&image) {
                            changes.add_row(&key.child, orphan);
                        }
                    }
                    Action::SetDefault => changes.add_table(&key.child),
                }
                let columns: Vec<String> =
                    key.columns.iter().map(|(column, _)| column.clone()).collect();
                self.updated(&key.child, Some(&columns), changes);
            }
        }
    }

    /// Adds what follows from new values of these columns, or of any: keys that others refer to.
    pub(crate) fn updated(&self, table: &str, columns: Option<&[String]>, changes: &mut Changes) {
        let mut todo = vec![(table.to_owned(), columns.map(<[String]>::to_vec))];
        let mut seen = HashSet::new();
        while let Some((table, columns)) = todo.pop() {
            let keys = self.keys.iter().enumerate();
            for (at, key) in keys.filter(|(_, key)| key.on_update.is_some() && key.parent == table)
            {
                let concerned = columns.as_ref().is_none_or(|columns| {
                    key.columns.iter().any(|(_, column)| columns.contains(column))
                });
                if concerned && seen.insert(at) {
                    changes.add_table(&key.child);
                    self.others(&key.child, changes);
                    let columns = key.columns.iter().map(|(column, _)| column.clone()).collect();
                    todo.push((key.child.clone(), Some(columns)));
                }
            }
        }
    }
}

impl ForeignKey {
    /// What may be known of a child afterwards. PostgreSQL can be told which columns of a key become NULL, so that a tenant
    /// that is part of it stays.
    fn orphans(&self, child: &OwnedConjunction) -> Vec<OwnedConjunction> {
        const MAX_COLUMNS: usize = 4;
        if self.columns.len() > MAX_COLUMNS {
            return vec![OwnedConjunction::new()];
        }
        self.columns.iter().fold(vec![child.clone()], |orphans, (column, _)| {
            let nulls: Vec<_> =
                orphans.iter().map(|o| o.clone().with(column.as_bytes(), None)).collect();
            orphans.into_iter().chain(nulls).collect()
        })
    }

    /// What is known of the children of a row.
    fn child_of(&self, parent: &OwnedConjunction) -> OwnedConjunction {
        self.columns.iter().fold(OwnedConjunction::new(), |image, (column, referred)| match parent
            .get(referred.as_bytes())
        {
            Some(value) => image.with(column.as_bytes(), value),
            None => image,
        })
    }
}
