//! The template of a write, given what is known of the rows that it changes.

use sqlparser::ast::ObjectName;

use crate::canon::Side;
use crate::condition::dnf::{Dnf, MAX_CONJUNCTIONS};
use crate::condition::factor::Conjunction;
use crate::condition::table::TableConditions;
use crate::mutation::Mutation;
use crate::parse::inventory::Inventory;
use crate::read::Compiler;
use crate::setting::Setting;
use crate::template::{Kind, Template, WriteKind};

/// The template of a write to one table, and of what the database changes along with it.
pub(crate) fn changed(setting: &Setting, table: String, images: Dnf, kind: WriteKind) -> Template {
    let mut template = changed_all(setting, vec![(table.clone(), images)], kind);
    template.target = target(setting, table);
    template
}

/// The table, if its rows that the statement changes are all that changes in it: not of a view, and not if the database
/// itself goes on to change others of its rows.
pub(crate) fn target(setting: &Setting, table: String) -> Option<String> {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    let also = setting.schema.get(&table).map(|table| table.also_changes()).unwrap_or_default();
    also.iter().for_each(|other| compiler.add(other, Dnf::any()));
    add_others(setting, &mut compiler);
    let again = compiler.tables.iter().any(|(other, _)| *other == table);
    (!again && setting.schema.view_of(&table).is_none()).then_some(table)
}

/// The same for several tables.
pub(crate) fn changed_all(
    setting: &Setting,
    tables: Vec<(String, Dnf)>,
    kind: WriteKind,
) -> Template {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    for (table, mut images) in tables {
        if setting.has(Mutation::LostImage) && images.0.len() > 1 {
            images.0.pop();
        }
        compiler.add(&table, images);
    }
    template_of(setting, compiler, Kind::Write(kind), false)
}

/// The tables that may change when rows of one do: itself or those that it is a view of, and others.
pub(crate) fn with_others(setting: &Setting, table: &str) -> Vec<String> {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    compiler.add(table, Dnf::any());
    add_others(setting, &mut compiler);
    compiler.tables.into_iter().map(|(table, _)| table).collect()
}

/// Adds what the database changes along with the tables.
pub(crate) fn add_others(setting: &Setting, compiler: &mut Compiler<'_>) {
    let mut next = 0;
    while let Some((table, _)) = compiler.tables.get(next) {
        next += 1;
        let also = setting.schema.get(table).map(|table| table.also_changes().to_vec());
        for other in also.into_iter().flatten() {
            compiler.add(&other, Dnf::any());
        }
    }
}

/// The images, or any row if they are too many.
pub(crate) fn whole_if_many(dnf: Dnf) -> Dnf {
    if dnf.0.len() > MAX_CONJUNCTIONS || dnf.0.iter().any(Conjunction::is_empty) {
        Dnf::any()
    } else {
        dnf
    }
}

/// All relations that the statement names, whole.
pub(crate) fn visible(setting: &Setting, inventory: &Inventory<'_>, kind: Kind) -> Template {
    whole(setting, &inventory.relations, kind, false)
}

/// The same, and perhaps others.
pub(crate) fn unknown(setting: &Setting, inventory: &Inventory<'_>, kind: Kind) -> Template {
    whole(setting, &inventory.relations, kind, inventory.relations.is_empty())
}

pub(crate) fn whole(
    setting: &Setting,
    relations: &[ObjectName],
    kind: Kind,
    more: bool,
) -> Template {
    let mut compiler = Compiler::new(setting, Side::Predicate);
    compiler.add_missed(relations);
    template_of(setting, compiler, kind, more)
}

/// The template that changes what was added to the compiler, and the tables that change along with it. `more`: it may
/// change others too.
pub(crate) fn template_of(
    setting: &Setting,
    mut compiler: Compiler<'_>,
    kind: Kind,
    more: bool,
) -> Template {
    add_others(setting, &mut compiler);
    let mut template = Template::of(kind);
    template.changes = TableConditions::of(compiler.tables);
    template.tables = template.changes.iter().map(|table| table.table.clone()).collect();
    template.unknown = more;
    template
}
