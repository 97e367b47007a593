//! What the database changes by itself when rows disappear or change: foreign keys with an action, and what triggers of
//! their rows change.

use std::collections::{HashMap, HashSet};

use cacheops::{Changes, OwnedConjunction};
use cacheops_sql::Analyser;
use sea_orm::RelationDef;
use sea_orm::sea_query::{ForeignKeyAction, SchemaName, TableName, TableRef};

/// A foreign key whose rows are deleted, or lose their parent, with the row they refer to.
#[derive(Clone, Debug)]
struct Key {
    child: String,
    parent: String,
    /// Columns of the child and those of the parent that they refer to.
    columns: Vec<(String, String)>,
    deleted: Option<Then>,
    updated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Deleted,
    Null,
    Unknown,
}

/// The foreign keys of all registered entities.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cascades {
    keys: Vec<Key>,
    /// The tables that change, by a trigger, with rows of those that hold the keys.
    also: HashMap<String, Vec<String>>,
}

/// The name of a table in conditions.
pub(crate) fn name_of(analyser: &Analyser, table: &TableRef) -> String {
    let schema = match table {
        TableRef::Table(TableName(Some(SchemaName(_, schema)), _), _) => Some(schema.to_string()),
        _ => None,
    };
    analyser.name(schema.as_deref(), &table.sea_orm_table().to_string())
}

impl Cascades {
    /// The foreign keys among these relations.
    pub(crate) fn new(relations: &[RelationDef], analyser: &Analyser) -> Self {
        let mut cascades = Self::default();
        // The end that holds the key is `from` of a `belongs_to`.
        for relation in relations.iter().filter(|relation| !relation.is_owner) {
            let deleted = relation.on_delete.as_ref().and_then(then);
            let updated = relation.on_update.as_ref().and_then(then).is_some();
            if deleted.is_none() && !updated {
                continue;
            }
            let from = relation.from_col.iter().map(|name| analyser.name(None, &name.to_string()));
            let to = relation.to_col.iter().map(|name| analyser.name(None, &name.to_string()));
            let child = name_of(analyser, &relation.from_tbl);
            let mut also = analyser.changed_with(&child);
            also.retain(|table| *table != child);
            cascades.also.insert(child.clone(), also);
            let parent = name_of(analyser, &relation.to_tbl);
            let columns = from.zip(to).collect();
            cascades.keys.push(Key { child, parent, columns, deleted, updated });
        }
        cascades
    }

    /// Adds what follows where any rows of a table may have changed in any way.
    pub(crate) fn any(&self, table: &str, changes: &mut Changes) {
        let mut todo = vec![table];
        let mut seen = HashSet::new();
        while let Some(table) = todo.pop() {
            let children = self.keys.iter().filter(|key| key.parent == table).map(|key| &key.child);
            for other in children.chain(self.also.get(table).into_iter().flatten()) {
                if seen.insert(other) {
                    changes.add_table(other);
                    todo.push(other);
                }
            }
        }
    }

    /// Adds the tables that change with any rows of this one, which holds a key, and what follows from that.
    fn others(&self, child: &str, changes: &mut Changes) {
        for other in self.also.get(child).into_iter().flatten() {
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
            let Some(then) = key.deleted else { continue };
            if !rows.is_empty() {
                self.others(&key.child, changes);
            }
            for row in rows {
                let image = key.child_of(row);
                if !seen.insert((at, image.clone())) {
                    continue;
                }
                changes.add_row(&key.child, image.clone());
                match then {
                    Then::Deleted => {
                        self.follow(&key.child, std::slice::from_ref(&image), changes, seen);
                        continue;
                    }
                    Then::Null => {
                        for orphan in key.orphans(&image) {
                            changes.add_row(&key.child, orphan);
                        }
                    }
                    Then::Unknown => changes.add_table(&key.child),
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
            for (at, key) in keys.filter(|(_, key)| key.updated && key.parent == table) {
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

impl Key {
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

fn then(action: &ForeignKeyAction) -> Option<Then> {
    match action {
        ForeignKeyAction::Cascade => Some(Then::Deleted),
        ForeignKeyAction::SetNull => Some(Then::Null),
        ForeignKeyAction::SetDefault => Some(Then::Unknown),
        _ => None,
    }
}
