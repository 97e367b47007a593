//! What the database changes by itself when rows disappear: foreign keys with an action.

use std::collections::HashSet;

use cacheops::Changes;
use sea_orm::sea_query::ForeignKeyAction;
use sea_orm::{DbBackend, EntityTrait, Iterable, RelationTrait};

use crate::image::Image;

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
pub(crate) struct Cascades(Vec<Key>);

impl Cascades {
    /// Adds the foreign keys that an entity holds.
    pub(crate) fn add<E: EntityTrait>(&mut self) {
        for relation in E::Relation::iter().map(|relation| relation.def()) {
            // The end that holds the key is `from` of a `belongs_to`.
            if relation.is_owner {
                continue;
            }
            let deleted = relation.on_delete.as_ref().and_then(then);
            let updated = relation.on_update.as_ref().and_then(then).is_some();
            let name = |table: &sea_orm::sea_query::TableRef| {
                table.sea_orm_table().to_string().trim_matches('"').to_owned()
            };
            let from = relation.from_col.iter().map(ToString::to_string);
            let to = relation.to_col.iter().map(ToString::to_string);
            self.0.push(Key {
                child: name(&relation.from_tbl),
                parent: name(&relation.to_tbl),
                columns: from.zip(to).collect(),
                deleted,
                updated,
            });
        }
        self.0.retain(|key| key.deleted.is_some() || key.updated);
    }

    /// The same, with names as the database compares them.
    pub(crate) fn folded(mut self, backend: DbBackend) -> Self {
        if backend != DbBackend::Postgres {
            for key in &mut self.0 {
                key.child.make_ascii_lowercase();
                key.parent.make_ascii_lowercase();
            }
        }
        self
    }

    /// Adds what follows from the deletion of these rows of a table.
    pub(crate) fn deleted(&self, table: &str, rows: &[Image], changes: &mut Changes) {
        self.follow(table, rows, changes, &mut HashSet::new());
    }

    fn follow(
        &self,
        table: &str,
        rows: &[Image],
        changes: &mut Changes,
        seen: &mut HashSet<(usize, Vec<u8>)>,
    ) {
        for (at, key) in self.0.iter().enumerate().filter(|(_, key)| key.parent == table) {
            let Some(then) = key.deleted else { continue };
            for row in rows {
                let image = key.child_of(row);
                let text = image.to_bytes();
                if !seen.insert((at, text.clone())) {
                    continue;
                }
                changes.add_text(&key.child, text);
                match then {
                    Then::Deleted => {
                        self.follow(&key.child, std::slice::from_ref(&image), changes, seen);
                        continue;
                    }
                    Then::Null => {
                        let nulls =
                            |image: Image, (column, _): &(String, String)| image.with(column, None);
                        let orphan = key.columns.iter().fold(Image::default(), nulls);
                        changes.add_text(&key.child, orphan.to_bytes());
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
            let keys = self.0.iter().enumerate();
            for (at, key) in keys.filter(|(_, key)| key.updated && key.parent == table) {
                let concerned = columns.as_ref().is_none_or(|columns| {
                    key.columns.iter().any(|(_, column)| columns.contains(column))
                });
                if concerned && seen.insert(at) {
                    changes.add_table(&key.child);
                    let columns = key.columns.iter().map(|(column, _)| column.clone()).collect();
                    todo.push((key.child.clone(), Some(columns)));
                }
            }
        }
    }
}

impl Key {
    /// What is known of the children of a row.
    fn child_of(&self, parent: &Image) -> Image {
        self.columns.iter().fold(Image::default(), |image, (column, referred)| {
            match parent.get(referred) {
                Some(value) => image.with(column, value.clone()),
                None => image,
            }
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
