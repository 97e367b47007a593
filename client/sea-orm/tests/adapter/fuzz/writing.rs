//! Writes as a program makes them with SeaORM.

use std::str::FromStr;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbBackend, DbErr, EntityTrait, IdenStatic,
    IntoActiveModel, Iterable, ModelTrait, QueryFilter, QueryOrder,
};
use support::Random;

use super::entities::{label, link, note, owner, thing};
use super::question::{of_notes, of_owners, of_things};
use super::raw;
use super::tables::{LABEL, LINK, NOTE, OWNER, TABLES, THING};
use super::values::{something, value};

/// What a write answers is of no interest.
fn done<T>(_: T) {}

/// A row of random values, without its key.
pub fn row<A: ActiveModelTrait>(random: &mut Random, table: usize) -> A
where
    <A::Entity as EntityTrait>::Column: IdenStatic,
{
    let mut model = A::default();
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let name = IdenStatic::as_str(&column);
        if name != "id" && !random.once_in(4) {
            let kind = TABLES[table].kind(name);
            let key = TABLES[table].key.contains(&name);
            model.set(column, if key { something(random, kind) } else { value(random, kind) });
        }
    }
    model
}

fn id(random: &mut Random) -> ActiveValue<i32> {
    Set(random.below(10) as i32 + 1)
}

fn new_thing(random: &mut Random) -> thing::ActiveModel {
    let key = if random.once_in(3) { NotSet } else { id(random) };
    thing::ActiveModel { id: key, ..row(random, THING) }
}

fn a_label(random: &mut Random) -> label::ActiveModel {
    let mut new: label::ActiveModel = row(random, LABEL);
    if new.slug.is_not_set() {
        new.slug = Set("red".into());
    }
    new
}

fn column(random: &mut Random) -> thing::Column {
    thing::Column::from_str(TABLES[THING].column(random).0)
        .unwrap_or_else(|_| panic!("a column of this name"))
}

/// One of the things that are there.
async fn a_thing<C: ConnectionTrait>(
    db: &C,
    random: &mut Random,
) -> Result<Option<thing::Model>, DbErr> {
    let mut all = thing::Entity::find().order_by_asc(thing::Column::Id).all(db).await?;
    Ok(if all.is_empty() { None } else { Some(all.swap_remove(random.below(all.len()))) })
}

/// Changes some columns of a thing.
fn change(random: &mut Random, thing: &mut thing::ActiveModel) {
    let other: thing::ActiveModel = row(random, THING);
    for _ in 0..1 + random.below(4) {
        let column = column(random);
        if let ActiveValue::Set(value) = other.get(column) {
            thing.set(column, value);
        }
    }
}

/// One random write. It may fail on a constraint.
pub async fn write<C: ConnectionTrait>(db: &C, random: &mut Random) -> Result<(), DbErr> {
    let returning = db.support_returning();
    match random.below(40) {
        0 => done(new_thing(random).insert(db).await?),
        1 => done(thing::Entity::insert(new_thing(random)).exec(db).await?),
        2 => {
            let key = if random.once_in(2) { id(random) } else { NotSet };
            let two = [0, 1].map(|_| thing::ActiveModel { id: NotSet, ..row(random, THING) });
            let many =
                [thing::ActiveModel { id: key, ..row(random, THING) }].into_iter().chain(two);
            match random.below(3) {
                0 => done(thing::Entity::insert_many(many).exec_without_returning(db).await?),
                1 if returning => {
                    done(thing::Entity::insert_many(many).exec_with_returning(db).await?);
                }
                _ => done(thing::Entity::insert_many(many).exec(db).await?),
            }
        }
        3..=7 => {
            if let Some(found) = a_thing(db, random).await? {
                let mut changed = found.into_active_model();
                change(random, &mut changed);
                if random.once_in(2) {
                    done(changed.update(db).await?);
                } else {
                    done(changed.save(db).await?);
                }
            }
        }
        8 => {
            // Nothing is known of the row but its key.
            let mut blind = thing::ActiveModel { id: id(random), ..Default::default() };
            change(random, &mut blind);
            done(thing::Entity::update(blind).exec(db).await?);
        }
        9 | 10 => {
            let column = column(random);
            let new = value(random, TABLES[THING].kind(IdenStatic::as_str(&column)));
            let update = thing::Entity::update_many()
                .col_expr(column, sea_orm::ColumnTrait::save_as(&column, Expr::val(new)))
                .filter(of_things(random));
            if returning && random.once_in(2) {
                done(update.exec_with_returning(db).await?);
            } else {
                done(update.exec(db).await?);
            }
        }
        11 => {
            let more = Expr::col(thing::Column::Number).add(1);
            let update = thing::Entity::update_many().col_expr(thing::Column::Number, more);
            done(update.filter(of_things(random)).exec(db).await?);
        }
        12 => {
            if let Some(found) = a_thing(db, random).await? {
                done(found.delete(db).await?);
            }
        }
        13 => done(thing::Entity::delete_by_id(random.below(8) as i32 + 1).exec(db).await?),
        14 if random.once_in(2) => {
            let delete = thing::Entity::delete_many().filter(of_things(random));
            if db.get_database_backend() != DbBackend::MySql && random.once_in(2) {
                done(delete.exec_with_returning(db).await?);
            } else {
                done(delete.exec(db).await?);
            }
        }
        15 | 16 => {
            let conflict = match random.below(3) {
                0 => OnConflict::column(thing::Column::Id)
                    .do_nothing_on([thing::Column::Id])
                    .to_owned(),
                1 => OnConflict::column(thing::Column::Id)
                    .update_columns([
                        thing::Column::OwnerId,
                        thing::Column::Name,
                        thing::Column::Flag,
                    ])
                    .to_owned(),
                _ => OnConflict::column(thing::Column::Id)
                    .value(
                        thing::Column::Number,
                        Expr::val(value(random, TABLES[THING].kind("number"))),
                    )
                    .to_owned(),
            };
            let insert = thing::Entity::insert(new_thing(random)).on_conflict(conflict);
            if random.once_in(2) {
                done(insert.exec_with_returning(db).await?);
            } else {
                done(insert.exec_without_returning(db).await?);
            }
        }
        17 | 18 => {
            let key = if random.once_in(3) { NotSet } else { id(random) };
            done(owner::ActiveModel { id: key, ..row(random, OWNER) }.insert(db).await?);
        }
        19 => done(owner::Entity::delete_by_id(random.below(8) as i32 + 1).exec(db).await?),
        20 => {
            let changed = owner::ActiveModel { id: id(random), ..row(random, OWNER) };
            done(changed.update(db).await?);
        }
        21 => done(owner::Entity::delete_many().filter(of_owners(random)).exec(db).await?),
        22 | 23 => done(note::ActiveModel { id: NotSet, ..row(random, NOTE) }.save(db).await?),
        24 => done(note::Entity::delete_many().filter(of_notes(random)).exec(db).await?),
        25 => done(note::ActiveModel { id: id(random), ..row(random, NOTE) }.update(db).await?),
        26 => {
            let conflict = OnConflict::column(label::Column::Slug)
                .update_column(label::Column::Number)
                .to_owned();
            let insert = label::Entity::insert(a_label(random)).on_conflict(conflict);
            done(insert.exec(db).await?);
        }
        27 => {
            let new: link::ActiveModel = row(random, LINK);
            done(link::Entity::insert(new).exec(db).await?);
        }
        28 => {
            let slug = a_label(random).slug.unwrap();
            done(label::Entity::delete_by_id(slug).exec(db).await?);
        }
        _ => raw::write(db, random).await?,
    }
    Ok(())
}
