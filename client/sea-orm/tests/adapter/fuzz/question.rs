//! Questions: everything that a program can ask through SeaORM, and raw statements.

use std::str::FromStr;

use cacheops_sea_orm::{Cache, Source};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, JoinType,
    JsonValue, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, RelationTrait, SelectExt,
    Statement,
};
use support::Random;

use super::entities::{label, link, note, owner, thing};
use super::sql;
use super::tables::{self, TABLES};
use super::values::{something, value};

/// A term on one of the columns of an entity.
fn term<E: EntityTrait>(random: &mut Random, table: usize) -> Expr {
    let (name, kind) = TABLES[table].column(random);
    let column = E::Column::from_str(name).unwrap_or_else(|_| panic!("a column of this name"));
    let one = value(random, kind);
    match random.below(14) {
        0 => column.is_null(),
        1 => column.is_not_null(),
        2 => column.ne(one),
        3 | 4 => column.is_in([something(random, kind), something(random, kind)]),
        5 => column.is_not_in([something(random, kind), something(random, kind)]),
        6 => column.gt(something(random, kind)),
        7 => column.between(something(random, kind), something(random, kind)),
        _ => column.eq(one),
    }
}

fn notes(random: &mut Random) -> SelectStatement {
    let mut query = Query::select();
    query.column(note::Column::ThingId).from(note::Entity);
    query.and_where(term::<note::Entity>(random, tables::NOTE));
    query
}

/// A condition on things, also by what refers to them.
pub fn of_things(random: &mut Random) -> Condition {
    let mut condition = if random.once_in(3) { Condition::any() } else { Condition::all() };
    for _ in 0..random.below(3) + 1 {
        condition = match random.below(12) {
            0 => condition.add(thing::Column::Id.in_subquery(notes(random))),
            1 => condition.add(
                thing::Column::OwnerId.not_in_subquery(
                    Query::select()
                        .column(owner::Column::Id)
                        .from(owner::Entity)
                        .and_where(term::<owner::Entity>(random, tables::OWNER))
                        .to_owned(),
                ),
            ),
            2 => {
                let mut exists = notes(random);
                exists.and_where(
                    Expr::col((note::Entity, note::Column::ThingId))
                        .equals((thing::Entity, thing::Column::Id)),
                );
                condition.add(Expr::exists(exists))
            }
            3 => {
                let nested = Condition::any()
                    .add(term::<thing::Entity>(random, tables::THING))
                    .add(term::<thing::Entity>(random, tables::THING));
                condition.add(nested)
            }
            _ => condition.add(term::<thing::Entity>(random, tables::THING)),
        };
    }
    if random.once_in(7) { condition.not() } else { condition }
}

/// A condition on owners.
pub fn of_owners(random: &mut Random) -> Condition {
    Condition::all().add(term::<owner::Entity>(random, tables::OWNER))
}

/// A condition on notes.
pub fn of_notes(random: &mut Random) -> Condition {
    let condition = Condition::all().add(term::<note::Entity>(random, tables::NOTE));
    if random.once_in(3) {
        condition.add(term::<note::Entity>(random, tables::NOTE))
    } else {
        condition
    }
}

/// One question.
#[derive(Clone, Debug)]
pub enum Question {
    Things(Condition, u8),
    Owners(Condition, u8),
    Notes(Condition, u8),
    Labels(Condition),
    Links(Condition),
    ById(i32),
    Raw(Statement),
}

impl Question {
    pub fn new(random: &mut Random, backend: DbBackend) -> Self {
        match random.below(16) {
            0..=4 => Self::Things(of_things(random), random.below(14) as u8),
            5 => Self::Owners(of_owners(random), random.below(3) as u8),
            6 => Self::Notes(of_notes(random), random.below(3) as u8),
            7 => match random.below(3) {
                0 => {
                    Self::Labels(Condition::all().add(term::<label::Entity>(random, tables::LABEL)))
                }
                1 => Self::Links(Condition::all().add(term::<link::Entity>(random, tables::LINK))),
                _ => Self::ById(random.below(8) as i32 + 1),
            },
            _ => Self::Raw(sql::query(random, backend)),
        }
    }
}

/// The answers of a query in an order of their own, as the database need not have one.
fn sorted<T: std::fmt::Debug>(rows: Vec<T>) -> String {
    let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort_unstable();
    rows.join("\n")
}

fn shown<T: std::fmt::Debug>(value: T) -> String {
    format!("{value:?}")
}

/// Asks, with `.cache()` or without it.
macro_rules! ask {
    ($question:expr, $db:expr, $aggregate:expr, $($cache:tt)*) => {
        match $question.clone() {
            Question::Things(condition, kind) => {
                let things = thing::Entity::find().filter(condition);
                let ordered = things.clone().order_by_asc(thing::Column::Id);
                match kind {
                    0 | 1 => sorted(things $($cache)* .all($db).await?),
                    2 => shown(things $($cache)* .count($db).await?),
                    3 => shown(things $($cache)* .exists($db).await?),
                    4 => shown(ordered $($cache)* .one($db).await?),
                    5 => shown(ordered.limit(2).offset(1) $($cache)* .all($db).await?),
                    6 => shown(ordered $($cache)* .paginate($db, 2).fetch_page(0).await?),
                    7 => sorted(things.find_also_related(owner::Entity) $($cache)* .all($db).await?),
                    8 => {
                        let related = ordered.find_with_related(note::Entity);
                        shown(related.order_by_asc(note::Column::Id) $($cache)* .all($db).await?)
                    }
                    9 => {
                        let related = ordered.find_with_related(label::Entity);
                        shown(related.order_by_asc(label::Column::Slug) $($cache)* .all($db).await?)
                    }
                    10 => {
                        let some = things.select_only();
                        let some = some.columns([thing::Column::Number, thing::Column::Flag]);
                        sorted(some.into_tuple::<(Option<i32>, Option<bool>)>() $($cache)* .all($db).await?)
                    }
                    11 => sorted(things.into_json() $($cache)* .all($db).await?),
                    12 => {
                        let joined = things
                            .join(JoinType::InnerJoin, thing::Relation::Owner.def())
                            .filter(owner::Column::Grade.gte(0))
                            .select_only()
                            .column(owner::Column::Grade)
                            .column_as(thing::Column::Id.count(), "things")
                            .group_by(owner::Column::Grade);
                        sorted(joined.into_tuple::<(Option<i16>, i64)>() $($cache)* .all($db).await?)
                    }
                    _ => $aggregate(things, $db).await?,
                }
            }
            Question::Owners(condition, kind) => {
                let owners = owner::Entity::find().filter(condition).order_by_asc(owner::Column::Id);
                match kind {
                    0 => sorted(owners $($cache)* .all($db).await?),
                    1 => {
                        let related = owners.find_with_related(thing::Entity);
                        shown(related.order_by_asc(thing::Column::Id) $($cache)* .all($db).await?)
                    }
                    _ => shown(owners $($cache)* .count($db).await?),
                }
            }
            Question::Notes(condition, kind) => {
                let notes = note::Entity::find().filter(condition).order_by_asc(note::Column::Id);
                match kind {
                    0 => sorted(notes $($cache)* .all($db).await?),
                    1 => sorted(notes.find_also_related(thing::Entity) $($cache)* .all($db).await?),
                    _ => shown(notes $($cache)* .one($db).await?),
                }
            }
            Question::Labels(condition) => {
                sorted(label::Entity::find().filter(condition) $($cache)* .all($db).await?)
            }
            Question::Links(condition) => {
                sorted(link::Entity::find().filter(condition) $($cache)* .all($db).await?)
            }
            Question::ById(id) => shown(thing::Entity::find_by_id(id) $($cache)* .one($db).await?),
            Question::Raw(statement) => {
                sorted(JsonValue::find_by_statement(statement) $($cache)* .all($db).await?)
            }
        }
    };
}

type Things = sea_orm::Select<thing::Entity>;

async fn sum_cached<S: Source>(things: Things, db: &S) -> Result<String, DbErr> {
    let sum = Expr::col(thing::Column::Number).max();
    Ok(shown(things.cache().aggregate::<i32, _>(sum, db).await?))
}

async fn sum_fresh<C: ConnectionTrait>(things: Things, db: &C) -> Result<String, DbErr> {
    let sum = Expr::col(thing::Column::Number).max();
    let sum = things.select_only().expr_as(sum, "n").into_tuple::<Option<i32>>().one(db).await?;
    Ok(shown(sum.flatten()))
}

impl Question {
    /// What the cache says.
    pub async fn cached<S: Source>(&self, db: &S) -> Result<String, DbErr> {
        Ok(ask!(self, db, sum_cached, .cache()))
    }

    /// What the database says. An error is an answer too.
    pub async fn fresh<C: ConnectionTrait>(&self, db: &C) -> Result<String, DbErr> {
        Ok(ask!(self, db, sum_fresh,))
    }
}
