//! Random writes.

use cacheops_sql::Dialect;
use support::Random;

use crate::database::{ANY, Bound, Database, Statement};
use crate::query::Maker;

/// A write.
pub fn write(random: &mut Random, database: &dyn Database) -> Statement {
    let table = random.below(3);
    let mut values = Vec::new();
    let sqlite = database.dialect() == Dialect::Sqlite;
    let postgres = database.dialect() == Dialect::Postgres;
    let (insert_ignore, on_conflict) = match database.dialect() {
        Dialect::Sqlite => ("INSERT OR IGNORE", ""),
        Dialect::MySql => ("INSERT IGNORE", ""),
        _ => ("INSERT", " ON CONFLICT DO NOTHING"),
    };
    let sql = match random.below(16) {
        0..=2 => insert(random, database, table, "INSERT", &mut values),
        3 => insert(random, database, table, insert_ignore, &mut values) + on_conflict,
        4 if !postgres && random.once_in(2) => {
            let verbs: &[&str] =
                if sqlite { &["INSERT OR REPLACE", "REPLACE"] } else { &["REPLACE"] };
            let verb = *random.pick(verbs);
            insert(random, database, table, verb, &mut values)
        }
        4 | 5 => {
            let mut sql = insert(random, database, table, "INSERT", &mut values);
            if database.dialect() == Dialect::MySql {
                let set = assignments(random, database, table, &mut values, false);
                sql += &format!(" ON DUPLICATE KEY UPDATE {set}");
            } else if random.once_in(3) {
                sql += " ON CONFLICT (id) DO NOTHING";
            } else {
                let set = assignments(random, database, table, &mut values, true);
                sql += &format!(" ON CONFLICT (id) DO UPDATE SET {set}");
            }
            sql
        }
        6 => insert_select(random, database, table, insert_ignore, &mut values) + on_conflict,
        7..=9 => joined(random, database, table, &mut values),
        10 if postgres => inside_with(random, database, table, &mut values),
        10 | 11 => delete(random, database, table, &mut values),
        _ => {
            let or = *random.pick(&["", "", "", "", "OR IGNORE ", "OR REPLACE "]);
            let or = match database.dialect() {
                Dialect::Sqlite => or,
                Dialect::MySql if or == "OR IGNORE " => "IGNORE ",
                _ => "",
            };
            update(random, database, table, or, &mut values)
        }
    };
    Statement { sql, values }
}

/// A write whose rows several tables decide on.
pub fn joined_write(random: &mut Random, database: &dyn Database) -> Statement {
    let table = random.below(3);
    let mut values = Vec::new();
    let sql = joined(random, database, table, &mut values);
    Statement { sql, values }
}

fn update(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    or: &str,
    values: &mut Vec<Bound>,
) -> String {
    let set = assignments(random, database, table, values, false);
    let (condition, all) = Maker::condition(random, database, table, std::mem::take(values));
    *values = all;
    format!("UPDATE {or}t{table} SET {set} WHERE {condition}")
}

fn delete(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let (condition, all) = Maker::condition(random, database, table, std::mem::take(values));
    *values = all;
    format!("DELETE FROM t{table} WHERE {condition}")
}

/// A write whose rows another table decides on.
fn joined(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    match database.dialect() {
        Dialect::Postgres if random.once_in(3) => {
            let name = format!("t{table}");
            let given = std::mem::take(values);
            let (from, condition, all) = Maker::joined(random, database, (table, &name), given);
            *values = all;
            let returning = *random.pick(&["", "", " RETURNING *", " RETURNING t0.id, o.id"]);
            format!("DELETE FROM {name} USING {from} WHERE {condition}{returning}")
        }
        Dialect::MySql => write_to_join(random, database, table, values),
        _ => update_from(random, database, table, values),
    }
}

/// What MySQL writes to one or two tables of a join.
fn write_to_join(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let name = format!("t{table}");
    if random.once_in(3) {
        let given = std::mem::take(values);
        let (from, condition, all) = Maker::joined(random, database, (table, &name), given);
        *values = all;
        let targets = random.pick(&["", ", o", ""]);
        let inner = from.replace("RIGHT JOIN", "LEFT JOIN");
        return match random.below(2) {
            0 => format!("DELETE {name}{targets} FROM {name}, {inner} WHERE {condition}"),
            _ => format!("DELETE FROM {name}{targets} USING {name} JOIN {inner} WHERE {condition}"),
        };
    }
    let mut unused = Vec::new();
    let (from, condition, all) = Maker::joined(random, database, (table, &name), Vec::new());
    let set = assignments(random, database, table, &mut unused, false);
    let set = set.split(", ").map(|part| format!("{name}.{part}")).collect::<Vec<_>>().join(", ");
    // The marks of the FROM come first, then those of SET, then those of WHERE.
    let first = from.matches('?').count();
    values.extend(all[..first].iter().cloned());
    values.extend(unused);
    values.extend(all[first..].iter().cloned());
    let join = *random.pick(&[",", " JOIN", " LEFT JOIN"]);
    let on = if join == " LEFT JOIN" && !from.contains(',') && !from.contains("JOIN") {
        format!(" ON o.id = {name}.id")
    } else {
        String::new()
    };
    let join = if on.is_empty() && join == " LEFT JOIN" { "," } else { join };
    let more = if random.once_in(3) { ", o.id = o.id + 20" } else { "" };
    format!("UPDATE {name}{join} {from}{on} SET {set}{more} WHERE {condition}")
}

/// One write inside the WITH of another, or of a query.
fn inside_with(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let inner = match random.below(3) {
        0 => insert(random, database, table, "INSERT", values) + " ON CONFLICT DO NOTHING",
        1 => delete(random, database, table, values),
        _ => update(random, database, table, "", values),
    };
    let other = (table + 1 + random.below(2)) % 3;
    let main = match random.below(4) {
        0 => "SELECT count(*) FROM d".to_owned(),
        1 => format!("INSERT INTO t{other} (id) SELECT id + 10 FROM d ON CONFLICT (id) DO NOTHING"),
        2 => {
            delete(random, database, other, values)
                + &format!(" AND t{other}.id IN (SELECT id FROM d)")
        }
        _ => update(random, database, other, "", values),
    };
    format!("WITH d AS ({inner} RETURNING *) {main}")
}

fn constant(
    random: &mut Random,
    database: &dyn Database,
    column: &str,
    values: &mut Vec<Bound>,
) -> String {
    let value = database.stored(random, column);
    if random.once_in(3)
        && !matches!(value.value, cacheops_sql::Value::Float(_))
        && let Some(literal) = value.literal
    {
        return literal;
    }
    values.push(value);
    "?".into()
}

/// A column of the table that fits into this one.
fn like(random: &mut Random, database: &dyn Database, table: usize, column: &str) -> String {
    let family = database.family(column);
    let columns = database.tables()[table].columns.iter();
    let fits: Vec<&str> = columns
        .filter(|kind| family == ANY || kind.family == family)
        .map(|kind| kind.name)
        .collect();
    if fits.is_empty() { "id".into() } else { (*random.pick(&fits)).into() }
}

fn insert(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    verb: &str,
    values: &mut Vec<Bound>,
) -> String {
    let mut columns: Vec<&str> = database.tables()[table]
        .columns
        .iter()
        .map(|kind| kind.name)
        .filter(|_| !random.once_in(3))
        .collect();
    if !random.once_in(4) || columns.is_empty() {
        columns.insert(0, "id");
    }
    let rows: Vec<String> = (0..1 + random.below(2))
        .map(|_| {
            let row: Vec<String> =
                columns.iter().map(|column| constant(random, database, column, values)).collect();
            format!("({})", row.join(", "))
        })
        .collect();
    format!("{verb} INTO t{table} ({}) VALUES {}", columns.join(", "), rows.join(", "))
}

fn insert_select(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    verb: &str,
    values: &mut Vec<Bound>,
) -> String {
    let other = random.below(3);
    let shape = &database.tables()[table];
    let (mut columns, mut items) = (vec!["id"], vec![format!("o.id + {}", random.below(9))]);
    for kind in &shape.columns {
        if random.once_in(3) {
            continue;
        }
        columns.push(kind.name);
        // A column of truth values holds nothing else, or an adapter reads what is not there.
        items.push(if kind.name == "f" || random.once_in(2) {
            constant(random, database, kind.name, values)
        } else {
            format!("o.{}", like(random, database, other, kind.name))
        });
    }
    let mut sql = format!(
        "{verb} INTO t{table} ({}) SELECT {} FROM t{other} AS o",
        columns.join(", "),
        items.join(", ")
    );
    // In SQLite what comes behind may be taken for the condition of a join.
    sql += if random.once_in(2) { " WHERE o.id < 4" } else { " WHERE true" };
    sql
}

fn update_from(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
) -> String {
    let name = format!("t{table}");
    let set = assignments(random, database, table, values, false);
    let given = std::mem::take(values);
    let (mut from, condition, all) = Maker::joined(random, database, (table, &name), given);
    *values = all;
    let mut common = String::new();
    if random.once_in(4)
        && let Some((first, rest)) = from.split_once(" AS o")
    {
        common = format!("WITH o AS (SELECT * FROM {first} WHERE id < 5) ");
        from = format!("o{rest}");
    }
    format!("{common}UPDATE {name} SET {set} FROM {from} WHERE {condition}")
}

fn assignments(
    random: &mut Random,
    database: &dyn Database,
    table: usize,
    values: &mut Vec<Bound>,
    upsert: bool,
) -> String {
    let shape = &database.tables()[table];
    let mut assigned: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..1 + random.below(2) {
        let column = if random.once_in(12) { "id" } else { random.pick(&shape.columns).name };
        if assigned.contains(&column) {
            continue;
        }
        assigned.push(column);
        let numeric = matches!(database.family(column), ANY | 'i');
        let value = match random.below(5) {
            0 if upsert => format!("excluded.{column}"),
            0 if column != "f" => format!("t{table}.{}", like(random, database, table, column)),
            1 if column != "f" && numeric => format!("t{table}.{column} + 1"),
            _ => constant(random, database, column, values),
        };
        parts.push(format!("{column} = {value}"));
    }
    parts.join(", ")
}
