//! Random writes to a forum. After each, whatever can be asked through the cache is what the database says.

use cacheops_sea_orm::{Cache, CacheReads, CachedConn};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, LoaderTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, SelectExt,
};
use support::Random;

use crate::forum::{self, GrandMentor, badge, essay, essay_topic, follow, member, remark, topic};

/// One write of any kind. What the database refuses was no write.
async fn write(db: &CachedConn, random: &mut Random) {
    let member_id = 1 + random.below(4) as i32;
    let essay_id = 1 + random.below(5) as i32;
    let topic_id = 1 + random.below(3) as i32;
    let id = 1 + random.below(8) as i32;
    let word = || format!("word {id}");
    let done = match random.below(14) {
        0 => member::ActiveModel { id: Set(member_id), name: Set(word()), mentor_id: NotSet }
            .update(db)
            .await
            .map(drop),
        1 => {
            let mentor = random.chance(70).then_some(essay_id);
            let update = member::Entity::update_many()
                .col_expr(member::Column::MentorId, Expr::value(mentor))
                .filter(member::Column::Id.eq(member_id));
            update.exec(db).await.map(drop)
        }
        2 => member::ActiveModel { id: NotSet, name: Set(word()), mentor_id: Set(Some(1)) }
            .insert(db)
            .await
            .map(drop),
        3 => member::Entity::delete_by_id(member_id).exec(db).await.map(drop),
        4 => {
            let badge =
                badge::ActiveModel { id: NotSet, colour: Set(word()), member_id: Set(member_id) };
            badge.insert(db).await.map(drop)
        }
        5 => {
            let delete = badge::Entity::delete_many().filter(badge::Column::MemberId.eq(member_id));
            delete.exec(db).await.map(drop)
        }
        6 => {
            let essay = essay::ActiveModel {
                id: Set(essay_id),
                member_id: Set(member_id),
                title: Set(word()),
            };
            match random.chance(50) {
                true => essay.update(db).await.map(drop),
                false => essay::Entity::insert(essay).exec(db).await.map(drop),
            }
        }
        7 => essay::Entity::delete_by_id(essay_id).exec(db).await.map(drop),
        8 => {
            let remark =
                remark::ActiveModel { id: Set(id), essay_id: Set(essay_id), text: Set(word()) };
            remark::Entity::insert(remark).exec_without_returning(db).await.map(drop)
        }
        9 => {
            let update = remark::Entity::update_many()
                .col_expr(remark::Column::EssayId, Expr::value(essay_id))
                .filter(remark::Column::Id.lte(id));
            update.exec(db).await.map(drop)
        }
        10 => remark::Entity::delete_by_id(id).exec(db).await.map(drop),
        11 => {
            let link =
                essay_topic::ActiveModel { essay_id: Set(essay_id), topic_id: Set(topic_id) };
            essay_topic::Entity::insert(link).exec(db).await.map(drop)
        }
        12 => essay_topic::Entity::delete_by_id((essay_id, topic_id)).exec(db).await.map(drop),
        _ => {
            let link =
                follow::ActiveModel { member_id: Set(member_id), follower_id: Set(essay_id) };
            match random.chance(50) {
                true => follow::Entity::insert(link).exec(db).await.map(drop),
                false => link.delete(db).await.map(drop),
            }
        }
    };
    done.ok();
}

/// Everything that is asked, each as the cache says it and as the database does.
async fn differences(db: &CachedConn) -> Vec<&'static str> {
    let fresh: &DatabaseConnection = db.inner();
    let mut differences = Vec::new();
    macro_rules! same {
        ($name:literal, $cached:expr, $fresh:expr) => {
            let (cached, fresh) = Box::pin(async { ($cached.await, $fresh.await) }).await;
            if format!("{:?}", cached.unwrap()) != format!("{:?}", fresh.unwrap()) {
                differences.push($name);
            }
        };
    }
    let members = || member::Entity::find().order_by_id_asc();
    let essays = || essay::Entity::find().order_by_id_asc();
    let first = members().all(fresh).await.unwrap();
    let written = essays().all(fresh).await.unwrap();

    let required = || essays().find_both_related(member::Entity);
    same!("required", required().cache().all(db), required().all(fresh));
    let four = || {
        essays()
            .find_also_related(member::Entity)
            .find_also(member::Entity, badge::Entity)
            .find_also(essay::Entity, topic::Entity)
            .order_by_asc(topic::Column::Id)
    };
    same!("four", four().cache().all(db), four().all(fresh));
    same!("count", four().cache().count(db), four().count(fresh));
    same!("grouped", four().consolidate().cache().all(db), four().consolidate().all(fresh));
    let chain = || {
        members()
            .find_also_related(essay::Entity)
            .and_also_related(remark::Entity)
            .order_by_asc(essay::Column::Id)
            .order_by_asc(remark::Column::Id)
    };
    same!("chain", chain().consolidate().cache().all(db), chain().consolidate().all(fresh));
    let linked = || members().find_also_linked(GrandMentor);
    same!("linked", linked().cache().all(db), linked().all(fresh));
    let topics = || essays().find_with_related(topic::Entity).order_by_asc(topic::Column::Id);
    same!("topics", topics().cache().all(db), topics().all(fresh));
    let noted = || essays().has_related(remark::Entity, remark::Column::Text.eq("word 2"));
    same!("noted", noted().cache().all(db), noted().all(fresh));
    same!("exists", noted().cache().exists(db), noted().exists(fresh));
    let most = || {
        remark::Entity::find()
            .select_only()
            .column(remark::Column::EssayId)
            .column_as(remark::Column::Id.max(), "last")
            .group_by(remark::Column::EssayId)
            .having(remark::Column::Id.count().gt(1))
            .order_by_asc(remark::Column::EssayId)
            .into_tuple::<(i32, i32)>()
    };
    same!("groups", most().cache().all(db), most().all(fresh));
    let page = || most().cache().paginate(db, 1);
    same!("page", page().fetch_page(1), most().paginate(fresh, 1).fetch_page(1));
    let cursor = || remark::Entity::find().filter(remark::Column::EssayId.eq(2));
    same!(
        "cursor",
        cursor().cache().cursor_by(remark::Column::Id).last(2).all(db),
        cursor().cursor_by(remark::Column::Id).last(2).all(fresh)
    );

    same!(
        "badges",
        first.cache().load_one(badge::Entity, db),
        first.load_one(badge::Entity, fresh)
    );
    let sorted = || remark::Entity::find().order_by_id_asc();
    let some = &written[..written.len().min(2)];
    same!("remarks", some.cache().load_many(sorted(), db), some.load_many(sorted(), fresh));
    let named = || topic::Entity::find().order_by_id_asc();
    same!("via", some.cache().load_many(named(), db), some.load_many(named(), fresh));
    let mentor = || member::Relation::Mentor;
    same!(
        "pupils",
        first.cache().load_self_many(members(), mentor(), db),
        first.load_self_many(members(), mentor(), fresh)
    );
    same!(
        "followers",
        first.cache().load_self_via(follow::Entity, db),
        first.load_self_via(follow::Entity, fresh)
    );
    let load = || {
        let one = member::Entity::load().filter(member::Column::Id.eq(2));
        one.with(badge::Entity).with((essay::Entity, topic::Entity))
    };
    let nested = || db.reads("nested").get_or_load(|db| async move { load().all(&db).await });
    // What is not there comes back as what was not loaded.
    let text = |models: Vec<member::ModelEx>| rmp_serde::to_vec(&models).unwrap();
    same!("nested", async { nested().await.map(text) }, async {
        load().all(fresh).await.map(text)
    });
    differences
}

/// What was found stale, and after which write.
pub async fn search(writer: &CachedConn, reader: &CachedConn, writes: usize) -> Vec<String> {
    let mut random = Random::from_seed(5);
    let mut stale = Vec::new();
    differences(reader).await;
    for number in 0..writes {
        write(writer, &mut random).await;
        let found = differences(reader).await;
        stale.extend(found.iter().map(|shape| format!("{shape} after write {number}")));
    }
    stale
}

#[tokio::test]
async fn whatever_is_written_every_shape_says_what_the_database_says() {
    let (w, db) = forum::open().await;

    assert_eq!(search(&db, &db, 150).await, Vec::<String>::new());

    let stats = w.co.stats();
    assert!(stats.hits > 500, "{} hits of {} misses", stats.hits, stats.misses);
}

#[tokio::test]
async fn the_search_sees_a_writer_that_does_not_invalidate() {
    let (_w, db) = forum::open().await;

    assert!(search(&db.without_invalidation(), &db, 20).await.len() > 10);
}
