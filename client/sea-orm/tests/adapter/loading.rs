//! Loaders: what belongs to each of some models.

use std::time::Duration;

use cacheops_sea_orm::{Cache, CachedConn, Ops};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, LoaderTrait, QueryFilter, TransactionTrait};

use crate::forum::{self, badge, essay, essay_topic, follow, member, remark, topic};
use crate::world::{now_cached, still_cached};

async fn insert_remark(db: &CachedConn, id: i32, essay: i32) {
    let new = remark::ActiveModel { id: Set(id), essay_id: Set(essay), text: Set("new".into()) };
    remark::Entity::insert(new).exec(db).await.unwrap();
}

#[tokio::test]
async fn one_and_many_are_what_seaorm_loads_and_only_their_rows_invalidate_them() {
    let (w, db) = forum::open().await;
    let members = forum::all::<member::Entity>(&db).await;
    let essays = forum::all::<essay::Entity>(&db).await;

    let badges = now_cached!(w, members.cache().load_one(badge::Entity, &db));
    assert_eq!(badges, members.load_one(badge::Entity, &db).await.unwrap());
    assert_eq!(badges[2], None);
    let written = now_cached!(w, members.cache().load_many(essay::Entity, &db));
    assert_eq!(written, members.load_many(essay::Entity, &db).await.unwrap());
    assert_eq!((written[0].len(), written[2].len()), (2, 0));
    let authors = now_cached!(w, essays.cache().load_one(member::Entity, &db));
    assert_eq!(authors, essays.load_one(member::Entity, &db).await.unwrap());
    let remarks = now_cached!(w, essays[..2].cache().load_many(remark::Entity, &db));
    assert_eq!(remarks[0].len(), 2);

    insert_remark(&db, 9, 3).await;
    still_cached!(w, essays[..2].cache().load_many(remark::Entity, &db));
    insert_remark(&db, 10, 2).await;
    assert_eq!(now_cached!(w, essays[..2].cache().load_many(remark::Entity, &db))[1].len(), 1);
    still_cached!(w, members.cache().load_many(essay::Entity, &db));
    badge::Entity::delete_by_id(1).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, members.cache().load_one(badge::Entity, &db))[0], None);
}

#[tokio::test]
async fn models_that_share_a_key_do_not_share_the_answer_of_fewer() {
    let (w, db) = forum::open().await;
    let essays = forum::all::<essay::Entity>(&db).await; // of members 1, 1, 2
    let fewer = [essays[0].clone(), essays[2].clone()]; // of members 1, 2
    let turned = [essays[2].clone(), essays[0].clone()];

    for essays in [&essays[..], &fewer, &turned] {
        let authors = essays.cache().load_one(member::Entity, &db).await.unwrap();
        assert_eq!(authors, essays.load_one(member::Entity, &db).await.unwrap());
        assert_eq!(still_cached!(w, essays.cache().load_one(member::Entity, &db)), authors);
    }
    let none: Vec<essay::Model> = Vec::new();
    assert!(none.cache().load_one(member::Entity, &db).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_table_between_counts_and_so_does_a_filter() {
    let (w, db) = forum::open().await;
    let essays = forum::all::<essay::Entity>(&db).await;
    let topics = forum::all::<topic::Entity>(&db).await;
    let rust = || topic::Entity::find().filter(topic::Column::Name.eq("rust"));

    let loaded = now_cached!(w, essays.cache().load_many(topic::Entity, &db));
    assert_eq!(loaded, essays.load_many(topic::Entity, &db).await.unwrap());
    assert_eq!(now_cached!(w, essays.cache().load_many(rust(), &db))[0].len(), 1);
    let back = now_cached!(w, topics.cache().load_many(essay::Entity, &db));
    assert_eq!(back, topics.load_many(essay::Entity, &db).await.unwrap());
    let legacy = |db| essays.cache().load_many_to_many(topic::Entity, essay_topic::Entity, db);
    let old = essays.load_many_to_many(topic::Entity, essay_topic::Entity, &db).await.unwrap();
    assert_eq!(now_cached!(w, legacy(&db)), old);

    let link = essay_topic::ActiveModel { essay_id: Set(2), topic_id: Set(2) };
    essay_topic::Entity::insert(link).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, essays.cache().load_many(topic::Entity, &db))[1].len(), 1);
    assert_eq!(now_cached!(w, topics.cache().load_many(essay::Entity, &db))[1].len(), 3);
    assert_eq!(now_cached!(w, legacy(&db))[1].len(), 1);
    topic::Entity::update_many()
        .col_expr(topic::Column::Name, Expr::value("c"))
        .filter(topic::Column::Id.eq(1))
        .exec(&db)
        .await
        .unwrap();
    assert_eq!(now_cached!(w, essays.cache().load_many(rust(), &db))[0].len(), 0);
    assert_eq!(now_cached!(w, legacy(&db))[0][0].name, "c");
}

#[tokio::test]
async fn a_table_that_refers_to_itself_is_loaded_too() {
    let (w, db) = forum::open().await;
    let members = forum::all::<member::Entity>(&db).await;
    let sorted = || member::Entity::find().order_by_id_asc();
    let mentor = || member::Relation::Mentor;

    let mentors = now_cached!(w, members.cache().load_self(sorted(), mentor(), &db));
    assert_eq!(mentors, members.load_self(sorted(), mentor(), &db).await.unwrap());
    let pupils = now_cached!(w, members.cache().load_self_many(sorted(), mentor(), &db));
    assert_eq!(pupils, members.load_self_many(sorted(), mentor(), &db).await.unwrap());
    let followers = now_cached!(w, members.cache().load_self_via(follow::Entity, &db));
    assert_eq!(followers, members.load_self_via(follow::Entity, &db).await.unwrap());
    let following = now_cached!(w, members.cache().load_self_via_rev(follow::Entity, &db));
    assert_eq!(following, members.load_self_via_rev(follow::Entity, &db).await.unwrap());
    assert_eq!((followers[0].len(), following[0].len()), (2, 1));

    follow::Entity::delete_by_id((1, 3)).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, members.cache().load_self_via(follow::Entity, &db))[0].len(), 1);
    assert!(now_cached!(w, members.cache().load_self_via_rev(follow::Entity, &db))[2].is_empty());
    let new = member::ActiveModel { id: Set(4), name: Set("Dan".into()), mentor_id: Set(Some(1)) };
    member::Entity::insert(new).exec(&db).await.unwrap();
    let pupils = now_cached!(w, members.cache().load_self_many(sorted(), mentor(), &db));
    assert_eq!(pupils[0].len(), 2);
}

#[tokio::test]
async fn a_loader_has_the_options_of_a_query_and_keeps_to_its_transaction() {
    let (w, db) = forum::open().await;
    let essays = forum::all::<essay::Entity>(&db).await;
    let load = || essays.cache();

    for _ in 0..2 {
        assert!(!w.hits(load().nocache().load_many(remark::Entity, &db)).await.0);
        assert!(!w.hits(load().ops(Ops::GET).load_many(remark::Entity, &db)).await.0);
    }
    let short = || load().timeout(Duration::from_secs(5)).lock(true);
    now_cached!(w, short().load_many(remark::Entity, &db));
    let wrong = essays.cache().load_one(remark::Entity, &db).await;
    assert!(wrong.unwrap_err().to_string().contains("HasMany"));

    let tx = db.begin().await.unwrap();
    still_cached!(w, load().load_many(remark::Entity, &tx));
    let new = remark::ActiveModel { id: Set(9), essay_id: Set(2), text: Set("new".into()) };
    remark::Entity::insert(new).exec(&tx).await.unwrap();
    assert_eq!(load().load_many(remark::Entity, &tx).await.unwrap()[1].len(), 1);
    assert_eq!(still_cached!(w, load().load_many(remark::Entity, &db))[1].len(), 0);
    tx.commit().await.unwrap();
    assert_eq!(now_cached!(w, load().load_many(remark::Entity, &db))[1].len(), 1);
}
