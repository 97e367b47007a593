//! The tables and relations of entities, as the core takes them.

use cacheops_adapter::{Action, ForeignKey};
use cacheops_sql::Analyser;
use sea_orm::RelationDef;
use sea_orm::sea_query::{ForeignKeyAction, SchemaName, TableName, TableRef};

/// The name of a table in conditions.
pub(crate) fn name_of(analyser: &Analyser, table: &TableRef) -> String {
    let schema = match table {
        TableRef::Table(TableName(Some(SchemaName(_, schema)), _), _) => Some(schema.to_string()),
        _ => None,
    };
    analyser.name(schema.as_deref(), &table.sea_orm_table().to_string())
}

/// The foreign keys among these relations.
pub(crate) fn foreign_keys(relations: &[RelationDef], analyser: &Analyser) -> Vec<ForeignKey> {
    // The end that holds the key is `from` of a `belongs_to`.
    let holders = relations.iter().filter(|relation| !relation.is_owner);
    let key = |relation: &RelationDef| {
        let from = relation.from_col.iter().map(|name| analyser.name(None, &name.to_string()));
        let to = relation.to_col.iter().map(|name| analyser.name(None, &name.to_string()));
        ForeignKey {
            child: name_of(analyser, &relation.from_tbl),
            parent: name_of(analyser, &relation.to_tbl),
            columns: from.zip(to).collect(),
            on_delete: relation.on_delete.as_ref().and_then(action),
            on_update: relation.on_update.as_ref().and_then(action),
        }
    };
    holders.map(key).collect()
}

fn action(action: &ForeignKeyAction) -> Option<Action> {
    match action {
        ForeignKeyAction::Cascade => Some(Action::Cascade),
        ForeignKeyAction::SetNull => Some(Action::SetNull),
        ForeignKeyAction::SetDefault => Some(Action::SetDefault),
        _ => None,
    }
}
