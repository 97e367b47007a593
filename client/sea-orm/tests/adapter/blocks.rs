//! Blocks of reads, nested loads and nested saves.

use cacheops_sea_orm::{Cache, CacheReads};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, TransactionTrait};

use serde::ser::{Serialize, Serializer};

use crate::forum::{self, badge, essay, essay_topic, member, remark, topic};
use crate::world::{now_cached, still_cached};

#[tokio::test]
async fn a_block_depends_on_all_that_it_reads() {
    let (w, db) = forum::open().await;
    let page = |id: i32| {
        db.reads("page").by(&id).get_or_load(move |db| async move {
            let essays = essay::Entity::find().filter(essay::Column::MemberId.eq(id));
            let members = member::Entity::find().count(&db).await?;
            Ok((members, essays.all(&db).await?))
        })
    };

    let (members, essays) = now_cached!(w, page(1));
    assert_eq!((members, essays.len()), (3, 2));
    now_cached!(w, page(2));
    let new = essay::ActiveModel { id: Set(4), member_id: Set(1), title: Set("Fourth".into()) };
    essay::Entity::insert(new).exec(&db).await.unwrap();
    still_cached!(w, page(2));
    assert_eq!(now_cached!(w, page(1)).1.len(), 3);
    let new = member::ActiveModel { id: Set(4), name: Set("Dan".into()), mentor_id: Set(None) };
    member::Entity::insert(new).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, page(2)).0, 4);
}

#[tokio::test]
async fn a_block_that_cannot_be_cached_runs_each_time_and_one_that_writes_is_refused() {
    let (w, db) = forum::open().await;
    let random = || {
        db.reads("random").get_or_load(|db| async move {
            let order = sea_orm::sea_query::Expr::cust("random()");
            member::Entity::find().count(&db).await?;
            sea_orm::QueryOrder::order_by_asc(member::Entity::find(), order).all(&db).await
        })
    };
    for _ in 0..2 {
        let (hit, rows) = w.hits(random()).await;
        assert!(!hit);
        assert_eq!(rows.unwrap().len(), 3);
    }
    let writes = db.reads("writes").get_or_load(|db| async move {
        Ok(remark::Entity::delete_many().exec(&db).await?.rows_affected)
    });
    assert!(writes.await.unwrap_err().to_string().contains("must not write"));
    assert_eq!(remark::Entity::find().count(&db).await.unwrap(), 3);

    let tx = db.begin().await.unwrap();
    remark::Entity::delete_many().exec(&tx).await.unwrap();
    let count = || {
        tx.reads("count").get_or_load(|db| async move { remark::Entity::find().count(&db).await })
    };
    assert_eq!(count().await.unwrap(), 0);
    tx.rollback().await.unwrap();
    let count = || {
        db.reads("count").get_or_load(|db| async move { remark::Entity::find().count(&db).await })
    };
    assert_eq!(now_cached!(w, count()), 3);
}

/// With empty dependencies for the one, the other's would have been all.
#[tokio::test]
async fn what_is_made_of_two_queries_depends_on_both_or_is_not_kept() {
    let (w, db) = forum::open().await;
    let essays = || essay::Entity::find().filter(essay::Column::MemberId.eq(1));
    let random = || {
        let order = sea_orm::sea_query::Expr::cust("random()");
        sea_orm::QueryOrder::order_by_asc(topic::Entity::find(), order)
    };
    let both = db.deps(essays()).zip(db.deps(topic::Entity::find()));
    let both = both.map(|(essays, topics)| essays.and_all(topics)).unwrap();
    let made = || w.co.read("made").deps(both.clone()).get_or_load(async || Ok::<_, DbErr>(7));

    assert_eq!(now_cached!(w, made()), 7);
    let new = essay::ActiveModel { id: Set(9), member_id: Set(1), title: Set("New".into()) };
    essay::Entity::insert(new).exec(&db).await.unwrap();
    now_cached!(w, made());
    let new = topic::ActiveModel { id: Set(9), name: Set("new".into()) };
    topic::Entity::insert(new).exec(&db).await.unwrap();
    now_cached!(w, made());

    assert_eq!(db.deps(essays()).zip(db.deps(random())), None);
}

#[tokio::test]
async fn a_nested_load_is_one_block() {
    let (w, db) = forum::open().await;
    let load = || {
        member::Entity::load()
            .filter(member::Column::Id.lte(2))
            .with(badge::Entity)
            .with((essay::Entity, topic::Entity))
    };
    let cached = || db.reads("members").get_or_load(|db| async move { load().all(&db).await });

    let members = now_cached!(w, cached());
    assert_eq!(members, load().all(&db).await.unwrap());
    assert_eq!(members[0].essays[0].topics.len(), 2);
    let link = essay_topic::ActiveModel { essay_id: Set(2), topic_id: Set(2) };
    essay_topic::Entity::insert(link).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, cached())[0].essays[1].topics.len(), 1);
    let mut blue: badge::ActiveModel =
        badge::Entity::find_by_id(2).one(&db).await.unwrap().unwrap().into();
    blue.colour = Set("green".into());
    sea_orm::ActiveModelTrait::update(blue, &db).await.unwrap();
    assert_eq!(now_cached!(w, cached())[1].badge.as_ref().unwrap().colour, "green");
    let new = remark::ActiveModel { id: Set(9), essay_id: Set(2), text: Set("new".into()) };
    remark::Entity::insert(new).exec(&db).await.unwrap();
    still_cached!(w, cached());
}

#[tokio::test]
async fn a_nested_save_invalidates_every_table_that_it_touches() {
    let (w, db) = forum::open().await;
    let members = || member::Entity::find().cache().count(&db);
    let badges = || badge::Entity::find().cache().count(&db);
    let essays = || essay::Entity::find().filter(essay::Column::MemberId.gt(3)).cache().count(&db);
    let of_ann = || essay::Entity::find().filter(essay::Column::MemberId.eq(1)).cache().count(&db);
    let remarks = || remark::Entity::find().cache().count(&db);
    let links = || essay_topic::Entity::find().cache().count(&db);
    let topics = || topic::Entity::find().cache().count(&db);
    macro_rules! counts {
        () => {
            [
                now_cached!(w, members()),
                now_cached!(w, badges()),
                now_cached!(w, essays()),
                now_cached!(w, remarks()),
                now_cached!(w, links()),
                now_cached!(w, topics()),
            ]
        };
    }
    assert_eq!(counts!(), [3, 2, 0, 3, 3, 2]);
    now_cached!(w, of_ann());
    let known = topic::Entity::find_by_id(1).one(&db).await.unwrap().unwrap();

    let eve = member::ActiveModel::builder()
        .set_name("Eve")
        .set_badge(badge::ActiveModel::builder().set_colour("grey"))
        .add_essay(
            essay::ActiveModel::builder()
                .set_title("Fifth")
                .add_remark(remark::ActiveModel::builder().set_text("nested"))
                .add_topic(sea_orm::IntoActiveModel::into_active_model(known))
                .add_topic(topic::ActiveModel::builder().set_name("new")),
        )
        .save(&db)
        .await
        .unwrap();

    assert_eq!(counts!(), [4, 3, 1, 4, 5, 3]);
    still_cached!(w, of_ann());
    eve.delete(&db).await.unwrap();
    assert_eq!(now_cached!(w, members()), 3);
    assert_eq!(now_cached!(w, badges()), 2);
    assert_eq!(now_cached!(w, essays()), 0);
    assert_eq!(now_cached!(w, remarks()), 3);
    assert_eq!(now_cached!(w, links()), 3);
    assert_eq!(still_cached!(w, topics()), 3);
    still_cached!(w, of_ann());
}

/// A parameter that serialises to so many levels, and takes no memory for them.
struct Nested(usize);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_unit(),
            levels => serializer.serialize_newtype_struct("Nested", &Self(levels - 1)),
        }
    }
}

#[tokio::test]
async fn a_block_whose_parameter_is_nested_too_deeply_runs_without_the_cache() {
    let (w, db) = forum::open().await;
    let count = |levels| {
        db.reads("count")
            .by(&Nested(levels))
            .get_or_load(|db| async move { member::Entity::find().count(&db).await })
    };

    now_cached!(w, count(3));
    still_cached!(w, count(3));
    for _ in 0..2 {
        let (hit, members) = w.hits(count(10_000_000)).await;
        assert!(!hit);
        assert_eq!(members.unwrap(), 3);
    }
}
