//! Selects of many entities, cursors, and the pages of whatever can be selected.

use cacheops_sea_orm::{Cache, CachedConn};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, SelectExt, Statement,
};

use crate::forum::{
    self, GrandMentor, badge, essay, essay_topic, follow, member, remark, sticker, topic,
};
use crate::world::{now_cached, still_cached};

async fn rename_member(db: &CachedConn, id: i32, name: &str) {
    member::Entity::update_many()
        .col_expr(member::Column::Name, Expr::value(name))
        .filter(member::Column::Id.eq(id))
        .exec(db)
        .await
        .unwrap();
}

async fn remark_on(db: &CachedConn, id: i32, essay: i32) {
    let new = remark::ActiveModel { id: Set(id), essay_id: Set(essay), text: Set("new".into()) };
    remark::Entity::insert(new).exec(db).await.unwrap();
}

/// The query in each of its forms is what SeaORM says. Boxed: a row of six models makes a large future.
macro_rules! same {
    ($w:expr, $db:expr, $query:expr) => {
        Box::pin(async {
            let (w, db, query) = (&$w, &$db, || $query);
            assert_eq!(now_cached!(w, query().cache().all(db)), query().all(db).await.unwrap());
            assert_eq!(now_cached!(w, query().cache().one(db)), query().one(db).await.unwrap());
        })
        .await
    };
}

macro_rules! counted {
    ($w:expr, $db:expr, $query:expr) => {
        Box::pin(async {
            let (w, db, query) = (&$w, &$db, || $query);
            let count = query().count(db).await.unwrap();
            assert_eq!(now_cached!(w, query().cache().count(db)), count);
            assert!(now_cached!(w, query().cache().exists(db)));
            let pages = || query().cache().paginate(db, 2);
            let page = now_cached!(w, pages().fetch_page(1));
            assert_eq!(page, query().paginate(db, 2).fetch_page(1).await.unwrap());
        })
        .await
    };
}

#[tokio::test]
async fn joins_of_two_to_six_entities_are_what_seaorm_says_and_each_table_invalidates_them() {
    let (w, db) = forum::open().await;
    let essays = || essay::Entity::find().order_by_id_asc();
    let two = || essays().find_also_related(member::Entity);
    let both = || essays().find_both_related(member::Entity);
    let three = || two().find_also(member::Entity, badge::Entity);
    let chain = || two().and_also_related(badge::Entity);
    let four = || three().find_also(essay::Entity, remark::Entity).order_by_asc(remark::Column::Id);
    let five = || four().find_also(essay::Entity, topic::Entity).order_by_asc(topic::Column::Id);
    let six = || five().find_also(topic::Entity, sticker::Entity);

    same!(w, db, two());
    same!(w, db, both());
    same!(w, db, three());
    same!(w, db, four());
    same!(w, db, five());
    same!(w, db, six());
    // The same question as that of the three.
    assert_eq!(still_cached!(w, chain().cache().all(&db)), chain().all(&db).await.unwrap());
    counted!(w, db, two());
    counted!(w, db, three());
    counted!(w, db, four());
    counted!(w, db, five());
    counted!(w, db, six());

    rename_member(&db, 2, "Bea").await;
    assert_eq!(now_cached!(w, two().cache().all(&db))[2].1.as_ref().unwrap().name, "Bea");
    same!(w, db, both());
    same!(w, db, three());
    same!(w, db, four());
    same!(w, db, five());
    same!(w, db, six());
    remark_on(&db, 9, 2).await;
    still_cached!(w, three().cache().all(&db));
    same!(w, db, four());
    same!(w, db, five());
    same!(w, db, six());
    let link = essay_topic::ActiveModel { essay_id: Set(2), topic_id: Set(2) };
    essay_topic::Entity::insert(link).exec(&db).await.unwrap();
    still_cached!(w, four().cache().all(&db));
    same!(w, db, five());
    same!(w, db, six());
}

#[tokio::test]
async fn what_belongs_to_a_row_comes_back_in_groups() {
    let (w, db) = forum::open().await;
    let two = || member::Entity::find().find_with_related(essay::Entity);
    let star = || {
        essay::Entity::find()
            .find_also_related(remark::Entity)
            .find_also(essay::Entity, topic::Entity)
            .order_by_asc(essay::Column::Id)
    };
    let chain = || {
        member::Entity::find()
            .find_also_related(essay::Entity)
            .and_also_related(remark::Entity)
            .order_by_asc(member::Column::Id)
    };
    let four = || star().find_also(essay::Entity, member::Entity);

    assert_eq!(now_cached!(w, two().cache().all(&db)), two().all(&db).await.unwrap());
    let rows = now_cached!(w, star().consolidate().cache().all(&db));
    assert_eq!(rows, star().consolidate().all(&db).await.unwrap());
    assert!(!rows[0].1.is_empty());
    // The same question.
    assert_eq!(still_cached!(w, star().cache().consolidate().one(&db)), Some(rows[0].clone()));
    let rows = now_cached!(w, chain().consolidate().cache().all(&db));
    assert_eq!(rows, chain().consolidate().all(&db).await.unwrap());
    assert_eq!(rows[0].1[0].1.len(), 2);
    let rows = now_cached!(w, four().consolidate().cache().all(&db));
    assert_eq!(rows, four().consolidate().all(&db).await.unwrap());

    remark_on(&db, 9, 2).await;
    still_cached!(w, two().cache().all(&db));
    let rows = now_cached!(w, star().consolidate().cache().all(&db));
    assert_eq!(rows, star().consolidate().all(&db).await.unwrap());
    assert_eq!(now_cached!(w, chain().consolidate().cache().all(&db))[0].1[1].1[0].text, "new");
    now_cached!(w, four().consolidate().cache().all(&db));
}

#[tokio::test]
async fn a_table_that_is_joined_with_itself_invalidates_by_each_of_its_parts() {
    let (w, db) = forum::open().await;
    let linked =
        || member::Entity::find().find_also_linked(GrandMentor).order_by_asc(member::Column::Id);
    let with =
        || member::Entity::find().find_with_linked(GrandMentor).order_by_asc(member::Column::Id);

    let rows = now_cached!(w, linked().cache().all(&db));
    assert_eq!(rows, linked().all(&db).await.unwrap());
    assert_eq!(rows[2].1.as_ref().unwrap().name, "Ann");
    assert_eq!(
        still_cached!(
            w,
            member::Entity::find()
                .cache()
                .find_also_linked(GrandMentor)
                .order_by_asc(member::Column::Id)
                .all(&db)
        ),
        rows
    );
    assert_eq!(now_cached!(w, with().cache().all(&db)), with().all(&db).await.unwrap());
    let cid = forum::all::<member::Entity>(&db).await.remove(2);
    let grand = || sea_orm::ModelTrait::find_linked(&cid, GrandMentor);
    assert_eq!(now_cached!(w, grand().cache().get(&db)).name, "Ann");

    rename_member(&db, 1, "Amy").await;
    assert_eq!(now_cached!(w, linked().cache().all(&db))[2].1.as_ref().unwrap().name, "Amy");
    now_cached!(w, with().cache().all(&db));
    assert_eq!(now_cached!(w, grand().cache().get(&db)).name, "Amy");
    // The row in between.
    member::Entity::update_many()
        .col_expr(member::Column::MentorId, Expr::value(Option::<i32>::None))
        .filter(member::Column::Id.eq(2))
        .exec(&db)
        .await
        .unwrap();
    assert_eq!(now_cached!(w, linked().cache().all(&db))[2].1, None);
    assert_eq!(now_cached!(w, grand().cache().one(&db)), None);
}

#[tokio::test]
async fn a_table_between_is_part_of_the_result_from_both_sides() {
    let (w, db) = forum::open().await;
    let topics = || essay::Entity::find().find_with_related(topic::Entity);
    let essays = || topic::Entity::find().find_with_related(essay::Entity);

    assert_eq!(now_cached!(w, topics().cache().all(&db)), topics().all(&db).await.unwrap());
    assert_eq!(now_cached!(w, essays().cache().all(&db)), essays().all(&db).await.unwrap());

    essay_topic::Entity::delete_by_id((1, 2)).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, topics().cache().all(&db))[0].1.len(), 1);
    assert_eq!(now_cached!(w, essays().cache().all(&db))[1].1.len(), 1);
    let link = essay_topic::ActiveModel { essay_id: Set(2), topic_id: Set(1) };
    essay_topic::Entity::insert(link).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, topics().cache().all(&db))[1].1.len(), 1);
    assert_eq!(now_cached!(w, essays().cache().all(&db))[0].1.len(), 2);
}

#[tokio::test]
async fn a_key_of_two_columns_is_as_exact_as_one() {
    let (w, db) = forum::open().await;
    let by_id = |member, follower| follow::Entity::find_by_id((member, follower)).cache().one(&db);

    for (member, follower) in [(1, 2), (1, 3), (2, 1), (3, 1)] {
        now_cached!(w, by_id(member, follower));
    }
    follow::Entity::delete_by_id((1, 3)).exec(&db).await.unwrap();

    assert_eq!(now_cached!(w, by_id(1, 3)), None);
    let new = follow::ActiveModel { member_id: Set(3), follower_id: Set(1) };
    follow::Entity::insert(new).exec(&db).await.unwrap();
    assert!(now_cached!(w, by_id(3, 1)).is_some());
    still_cached!(w, by_id(1, 2));
    still_cached!(w, by_id(2, 1));
}

#[derive(Clone, Debug, PartialEq, FromQueryResult, serde::Serialize, serde::Deserialize)]
struct Title {
    id: i32,
    title: String,
}

#[tokio::test]
async fn other_types_have_pages_and_a_count_too() {
    let (w, db) = forum::open().await;
    let titles = || essay::Entity::find().order_by_id_asc().into_model::<Title>();
    let tuples = || {
        essay::Entity::find()
            .select_only()
            .columns([essay::Column::Id, essay::Column::Title])
            .order_by_id_asc()
            .into_tuple::<(i32, String)>()
    };
    let raw = || {
        let sql = "SELECT id, title FROM essay WHERE member_id = ? ORDER BY id";
        essay::Entity::find()
            .from_raw_sql(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [1.into()]))
            .into_model::<Title>()
    };

    macro_rules! pages {
        ($query:ident, $second:expr) => {
            let pages = || $query().cache().paginate(&db, 2);
            let (first, second) =
                (now_cached!(w, pages().fetch_page(0)), now_cached!(w, pages().fetch_page(1)));
            assert_eq!(first, $query().paginate(&db, 2).fetch_page(0).await.unwrap());
            assert_eq!((first.len(), second.len()), (2, $second));
            assert_eq!(now_cached!(w, pages().num_items()), 2 + $second as u64);
            assert_eq!(pages().num_pages().await.unwrap(), 1 + $second as u64);
            // Without a limit it is the same question.
            assert_eq!(still_cached!(w, $query().cache().count(&db)), 2 + $second as u64);
            assert!($query().cache().exists(&db).await.unwrap());
            assert!(still_cached!(w, $query().cache().exists(&db)));
            let mut walk = pages();
            walk.set_page(1);
            assert_eq!(walk.fetch().await.unwrap(), second);
        };
    }
    pages!(titles, 1);
    pages!(tuples, 1);
    pages!(raw, 0);

    let new = essay::ActiveModel { id: Set(4), member_id: Set(1), title: Set("Fourth".into()) };
    essay::Entity::insert(new).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, titles().cache().count(&db)), 4);
    assert_eq!(now_cached!(w, tuples().cache().paginate(&db, 2).fetch_page(1)).len(), 2);
    assert_eq!(now_cached!(w, raw().cache().paginate(&db, 2).num_items()), 3);
}

#[tokio::test]
async fn exists_and_count_say_what_seaorm_says_of_limits_and_groups() {
    let (w, db) = forum::open().await;
    let behind = || essay::Entity::find().order_by_id_asc().limit(2).offset(5);
    let grouped = || {
        essay::Entity::find()
            .select_only()
            .column(essay::Column::MemberId)
            .group_by(essay::Column::MemberId)
            .having(essay::Column::Id.count().gt(1))
    };

    for query in [behind(), essay::Entity::find().limit(2), grouped()] {
        let exists = query.clone().exists(&db).await.unwrap();
        assert_eq!(query.clone().cache().exists(&db).await.unwrap(), exists);
        assert_eq!(still_cached!(w, query.clone().cache().exists(&db)), exists);
        let count = query.clone().count(&db).await.unwrap();
        assert_eq!(now_cached!(w, query.clone().cache().count(&db)), count);
        let items = query.clone().paginate(&db, 2).num_items().await.unwrap();
        assert_eq!(query.cache().paginate(&db, 2).num_items().await.unwrap(), items);
    }
}

#[tokio::test]
async fn cursors_are_cached_by_their_key_and_direction() {
    let (w, db) = forum::open().await;
    macro_rules! same {
        ($query:expr, $by:expr $(, $step:ident $key:expr)*) => {
            let rows = now_cached!(w, $query.cache().cursor_by($by)$(.$step($key))*.all(&db));
            assert_eq!(rows, $query.cursor_by($by)$(.$step($key))*.all(&db).await.unwrap());
        };
    }
    let remarks = remark::Entity::find;
    let with_essay = || remark::Entity::find().find_also_related(essay::Entity);

    same!(remarks(), remark::Column::Id, first 2);
    same!(remarks(), remark::Column::Id, after 1, first 2);
    same!(remarks(), remark::Column::Id, before 3, last 1);
    same!(remarks(), remark::Column::Id, last 2);
    same!(remarks(), (remark::Column::EssayId, remark::Column::Id), after (1, 1), first 5);
    same!(with_essay(), remark::Column::Id, first 2);
    same!(with_essay().and_also_related(member::Entity), remark::Column::Id, last 2);
    let other = || with_essay().cache().cursor_by_other(essay::Column::Id);
    assert_eq!(now_cached!(w, other().first(2).all(&db)).len(), 2);
    let json = || remarks().cache().cursor_by(remark::Column::Id).into_json();
    assert_eq!(now_cached!(w, json().desc().first(1).all(&db))[0]["id"], 3);
    let wrong = remarks().cache().cursor_by(remark::Column::Id).after((1, 2)).all(&db).await;
    assert!(matches!(wrong, Err(sea_orm::DbErr::KeyArityMismatch { .. })));

    remark_on(&db, 9, 1).await;
    same!(remarks(), remark::Column::Id, first 2);
    same!(remarks(), remark::Column::Id, last 2);
    same!(with_essay(), remark::Column::Id, first 2);
    assert_eq!(now_cached!(w, json().desc().first(1).all(&db))[0]["id"], 9);
}
