//! What RETURNING gives of the rows that a write changes.

use sqlparser::ast::{Expr, SelectItem, SelectItemQualifiedWildcardKind};

use super::assign::last_name;
use crate::Dialect;
use crate::setting::Setting;
use crate::template::Returning;

/// What RETURNING gives of the rows of the target. In a joined write a bare name may be another table's.
pub(crate) fn returning(
    dialect: Dialect,
    target: Option<String>,
    joined: bool,
    items: Option<&[SelectItem]>,
) -> Returning {
    let Some(items) = items else { return Returning::Nothing };
    let is_target = |name: String| target.as_ref() == Some(&name);
    match items {
        // On SQLite `*` has the columns of the target only.
        [SelectItem::Wildcard(_)] if !joined || dialect == Dialect::Sqlite => {
            return Returning::All;
        }
        [SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)]
            if last_name(dialect, &name.0).is_some_and(is_target) =>
        {
            return Returning::All;
        }
        _ => {}
    }
    let names = items.iter().map(|item| match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) if !joined => Some(dialect.name(ident)),
        // `old.a` is a value of the old row.
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => match idents.as_slice() {
            [.., table, column] if is_target(dialect.name(table)) => Some(dialect.name(column)),
            _ => None,
        },
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().map_or(Returning::Expressions, Returning::Columns)
}

/// The same, unless a trigger changes one of the columns afterwards.
pub(crate) fn settled_rows(setting: &Setting, table: &str, returning: Returning) -> Returning {
    let schema = &setting.schema;
    let changes = match &returning {
        Returning::All => schema.has_triggered(table),
        Returning::Columns(names) => names.iter().any(|name| schema.is_triggered(table, name)),
        Returning::Nothing | Returning::Expressions => false,
    };
    if changes { Returning::Expressions } else { returning }
}
