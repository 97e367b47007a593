//! Random queries before and after random writes, all through the adapter: whatever the database says, the cache must
//! say the same.
//!
//! `CACHEOPS_FUZZ_SECONDS` makes it longer than its ten seconds, `CACHEOPS_FUZZ_SEED` repeats a run.

use std::time::{Duration, Instant};

use cacheops_sea_orm::{Cache, CachedConn};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    ModelTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, TransactionSession,
    TransactionTrait,
};
use support::Random;

use crate::entities::{article, category, comment};
use crate::world::{World, new_article};

/// A term of a query on articles.
fn term(random: &mut Random) -> SimpleExpr {
    use article::Column::*;
    let small = |random: &mut Random| random.below(6) as i32;
    match random.below(11) {
        0 => Id.eq(small(random)),
        1 => CategoryId.eq(small(random)),
        2 => CategoryId.is_null(),
        3 => Public.eq(random.below(2) == 0),
        4 => Title.eq(format!("Article {}", small(random)).trim_end()),
        5 => Views.gt(i64::from(small(random)) * 10),
        6 => CategoryId.is_in([small(random), small(random)]),
        7 => Id.is_not_in([small(random), small(random)]),
        8 => CategoryId.ne(small(random)),
        9 => Id.in_subquery(
            Query::select()
                .column(comment::Column::ArticleId)
                .from(comment::Entity)
                .and_where(comment::Column::Text.eq(format!("t{}", random.below(3))))
                .to_owned(),
        ),
        _ => CategoryId.in_subquery(
            Query::select()
                .column(category::Column::Id)
                .from(category::Entity)
                .and_where(category::Column::Name.eq(format!("c{}", random.below(3))))
                .to_owned(),
        ),
    }
}

fn condition(random: &mut Random) -> Condition {
    let mut condition = if random.below(3) == 0 { Condition::any() } else { Condition::all() };
    for _ in 0..random.below(3) + 1 {
        condition = condition.add(term(random));
    }
    if random.below(6) == 0 { condition.not() } else { condition }
}

/// One question, cached and not.
#[derive(Clone, Debug)]
struct Question {
    condition: Condition,
    kind: u64,
}

impl Question {
    async fn ask(&self, db: &CachedConn) -> Result<(String, String), DbErr> {
        let articles = article::Entity::find()
            .filter(self.condition.clone())
            .order_by_asc(article::Column::Id);
        let inner = db.inner();
        Ok(match self.kind {
            0 => text(articles.clone().cache().all(db).await?, articles.all(inner).await?),
            1 => text(articles.clone().cache().count(db).await?, articles.count(inner).await?),
            2 => text(articles.clone().cache().one(db).await?, articles.one(inner).await?),
            3 => {
                let joined = articles.find_also_related(category::Entity);
                text(joined.clone().cache().all(db).await?, joined.all(inner).await?)
            }
            4 => {
                let grouped = articles.find_with_related(comment::Entity);
                let grouped = grouped.order_by_asc(comment::Column::Id);
                text(grouped.clone().cache().all(db).await?, grouped.all(inner).await?)
            }
            _ => {
                let some = articles.limit(2);
                text(some.clone().cache().all(db).await?, some.all(inner).await?)
            }
        })
    }
}

fn text<T: std::fmt::Debug>(cached: T, fresh: T) -> (String, String) {
    (format!("{cached:?}"), format!("{fresh:?}"))
}

/// What a write answers is of no interest.
fn done<T>(_: T) {}

/// One random write. It may fail on a constraint.
async fn write<C: ConnectionTrait>(db: &C, random: &mut Random) -> Result<(), DbErr> {
    let id = random.below(8) as i32;
    let group = random.below(4) as i32;
    let mut article = new_article(id, group);
    article.title = Set(["article 1", "Article 2", "Article 3 "][random.below(3)].into());
    article.public = Set(random.below(2) == 0);
    if random.below(4) == 0 {
        article.category_id = Set(None);
    }
    match random.below(13) {
        0 => done(article.insert(db).await?),
        1 => done(
            article::Entity::insert(article::ActiveModel { id: NotSet, ..article })
                .exec(db)
                .await?,
        ),
        2 => {
            let other = new_article(id + 1, group);
            done(article::Entity::insert_many([article, other]).exec_without_returning(db).await?);
        }
        3 | 4 => {
            if let Some(found) = article::Entity::find_by_id(id).one(db).await? {
                let mut changed = found.into_active_model();
                changed.category_id = article.category_id;
                changed.public = article.public;
                changed.update(db).await?;
            }
        }
        5 => {
            let update = article::Entity::update_many()
                .col_expr(article::Column::CategoryId, Expr::value(group));
            update.filter(condition(random)).exec(db).await?;
        }
        6 => {
            let views = Expr::col(article::Column::Views).add(10);
            let update = article::Entity::update_many().col_expr(article::Column::Views, views);
            update.filter(condition(random)).exec(db).await?;
        }
        7 => {
            if let Some(found) = article::Entity::find_by_id(id).one(db).await? {
                found.delete(db).await?;
            }
        }
        8 => done(article::Entity::delete_many().filter(condition(random)).exec(db).await?),
        9 => {
            let name = format!("c{}", random.below(3));
            let new = category::ActiveModel { id: Set(group), name: Set(name) };
            let conflict = OnConflict::column(category::Column::Id)
                .update_column(category::Column::Name)
                .to_owned();
            category::Entity::insert(new).on_conflict(conflict).exec(db).await?;
        }
        10 => done(category::Entity::delete_by_id(group).exec(db).await?),
        11 => {
            let new = comment::ActiveModel {
                id: NotSet,
                article_id: Set(id),
                text: Set(format!("t{}", random.below(3))),
            };
            new.insert(db).await?;
        }
        _ => {
            let conflict = OnConflict::column(article::Column::Id)
                .update_columns([article::Column::CategoryId, article::Column::Public])
                .to_owned();
            article::Entity::insert(article).on_conflict(conflict).exec_with_returning(db).await?;
        }
    }
    Ok(())
}

/// What a run has come to.
#[derive(Debug, Default)]
struct Found {
    rounds: u64,
    /// Results that a write has changed.
    changed: u64,
    /// Answers that the cache gave after a write.
    kept: u64,
    stale: Vec<String>,
}

async fn search(w: &World, db: &CachedConn, random: &mut Random, until: Instant) -> Found {
    let mut found = Found::default();
    while Instant::now() < until && found.stale.is_empty() {
        found.rounds += 1;
        let question = |random: &mut Random| Question {
            condition: condition(random),
            kind: random.below(6) as u64,
        };
        let questions: Vec<_> = (0..8).map(|_| question(random)).collect();
        let mut before = Vec::new();
        for question in &questions {
            let (cached, fresh) = question.ask(db).await.unwrap();
            if cached != fresh {
                found.stale.push(format!("round {}: {question:?}", found.rounds));
            }
            before.push(fresh);
        }
        match random.below(4) {
            0 => {
                let tx = db.begin().await.unwrap();
                let _ = write(&tx, random).await;
                let savepoint = tx.begin().await.unwrap();
                let _ = write(&savepoint, random).await;
                if random.chance(50) {
                    savepoint.commit().await
                } else {
                    savepoint.rollback().await
                }
                .unwrap();
                if random.chance(75) { tx.commit().await } else { tx.rollback().await }.unwrap();
            }
            _ => done(write(db, random).await),
        }
        for (question, before) in questions.iter().zip(before) {
            let hits = w.co.stats().hits;
            let (cached, fresh) = question.ask(db).await.unwrap();
            if cached != fresh {
                found.stale.push(format!("round {}: {question:?}", found.rounds));
            }
            found.changed += u64::from(fresh != before);
            found.kept += w.co.stats().hits - hits;
        }
    }
    found
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn whatever_the_database_says_the_cache_says_the_same() {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("CACHEOPS_FUZZ_SEED", u64::from(clock.subsec_nanos()));
    let until = Instant::now() + Duration::from_secs(number("CACHEOPS_FUZZ_SECONDS", 10));
    let w = World::new().await;

    let found = search(&w, &w.db, &mut Random::from_seed(seed), until).await;

    eprintln!("seed {seed}: {found:?}");
    assert!(found.stale.is_empty(), "seed {seed}: {found:?}");
    assert!(found.changed > 0 && found.kept > 0);
}

#[tokio::test]
async fn the_search_sees_a_connection_that_does_not_invalidate() {
    let w = World::new().await;
    let silent = w.db.without_invalidation();

    let found =
        search(&w, &silent, &mut Random::from_seed(7), Instant::now() + support::deadline()).await;

    assert!(!found.stale.is_empty(), "the search is blind");
}
