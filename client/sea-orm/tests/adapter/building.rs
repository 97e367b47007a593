//! SeaORM's builders behind `.cache()`, each with what invalidates it.

use cacheops_sea_orm::Cache;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, DbBackend, DeriveColumn, DerivePartialModel, EntityTrait, EnumIter,
    FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationTrait,
    Statement,
};

use crate::forum::{self, essay, essay_topic, member, remark, topic};
use crate::world::{now_cached, still_cached};

#[derive(Clone, Debug, PartialEq, DerivePartialModel, serde::Serialize, serde::Deserialize)]
#[sea_orm(entity = "essay::Entity")]
struct Heading {
    title: String,
    #[sea_orm(from_expr = "Expr::col((essay::Entity, essay::Column::Id)).add(100)")]
    number: i32,
}

#[derive(Clone, Debug, PartialEq, DerivePartialModel, serde::Serialize, serde::Deserialize)]
#[sea_orm(entity = "essay::Entity")]
struct Signed {
    title: String,
    #[sea_orm(nested)]
    member: Name,
}

#[derive(Clone, Debug, PartialEq, DerivePartialModel, serde::Serialize, serde::Deserialize)]
#[sea_orm(entity = "member::Entity")]
struct Name {
    name: String,
}

#[derive(Clone, Debug, PartialEq, FromQueryResult, serde::Serialize, serde::Deserialize)]
struct Tally {
    name: String,
    essays: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveColumn)]
enum Only {
    Title,
}

async fn write_essay(db: &cacheops_sea_orm::CachedConn, id: i32, member: i32) {
    let new = essay::ActiveModel { id: Set(id), member_id: Set(member), title: Set("New".into()) };
    essay::Entity::insert(new).exec(db).await.unwrap();
}

async fn rename(db: &cacheops_sea_orm::CachedConn, id: i32, name: &str) {
    let update = member::Entity::update_many().col_expr(member::Column::Name, Expr::value(name));
    update.filter(member::Column::Id.eq(id)).exec(db).await.unwrap();
}

#[tokio::test]
async fn partial_models_are_cached_with_those_nested_in_them() {
    let (w, db) = forum::open().await;
    let of_ann = || essay::Entity::find().filter(essay::Column::MemberId.eq(1)).order_by_id_asc();
    let headings = || of_ann().cache().into_partial_model::<Heading>();
    let signed = || of_ann().left_join(member::Entity).into_partial_model::<Signed>();

    let rows = now_cached!(w, headings().all(&db));
    assert_eq!(rows, of_ann().into_partial_model::<Heading>().all(&db).await.unwrap());
    assert_eq!(rows[1], Heading { title: "Second".into(), number: 102 });
    assert_eq!(now_cached!(w, signed().cache().all(&db)), signed().all(&db).await.unwrap());

    write_essay(&db, 8, 2).await;
    still_cached!(w, headings().all(&db));
    write_essay(&db, 9, 1).await;
    assert_eq!(now_cached!(w, headings().all(&db)).len(), 3);
    now_cached!(w, signed().cache().all(&db));
    rename(&db, 1, "Amy").await;
    still_cached!(w, headings().all(&db));
    assert_eq!(now_cached!(w, signed().cache().all(&db))[0].member.name, "Amy");
}

#[tokio::test]
async fn columns_by_name_values_and_raw_statements() {
    let (w, db) = forum::open().await;
    let of_ann = || essay::Entity::find().filter(essay::Column::MemberId.eq(1)).order_by_id_asc();
    let named = || {
        let only = of_ann().select_only().column_as(essay::Column::Title, "name");
        only.expr_as(Expr::col(essay::Column::Id).mul(10), "essays").into_model::<Tally>()
    };
    let values =
        || of_ann().select_only().column(essay::Column::Title).into_values::<String, Only>();
    let raw = || {
        let sql = "SELECT * FROM essay WHERE member_id = ? ORDER BY id";
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [1.into()]);
        essay::Entity::find().cache().from_raw_sql(statement)
    };

    assert_eq!(now_cached!(w, named().cache().all(&db)), named().all(&db).await.unwrap());
    assert_eq!(now_cached!(w, values().cache().all(&db)), ["First", "Second"]);
    assert_eq!(now_cached!(w, of_ann().cache().values::<i32>(essay::Column::Id).all(&db)), [1, 2]);
    assert_eq!(now_cached!(w, raw().all(&db)), of_ann().all(&db).await.unwrap());
    // The statement is the same and has no limit: the one row is an entry of its own.
    assert_eq!(now_cached!(w, raw().one(&db)).unwrap().id, 1);
    assert_eq!(still_cached!(w, raw().all(&db)).len(), 2);

    write_essay(&db, 8, 2).await;
    still_cached!(w, named().cache().all(&db));
    still_cached!(w, raw().all(&db));
    write_essay(&db, 9, 1).await;
    assert_eq!(now_cached!(w, named().cache().all(&db)).len(), 3);
    assert_eq!(now_cached!(w, values().cache().all(&db)).len(), 3);
    assert_eq!(now_cached!(w, raw().all(&db)).len(), 3);
}

#[tokio::test]
async fn joins_groups_and_distinct_rows() {
    let (w, db) = forum::open().await;
    let tallies = || {
        member::Entity::find()
            .join(JoinType::InnerJoin, member::Relation::Essay.def())
            .select_only()
            .column(member::Column::Name)
            .column_as(essay::Column::Id.count(), "essays")
            .group_by(member::Column::Name)
            .having(essay::Column::Id.count().gt(1))
            .into_model::<Tally>()
    };
    let writers = || {
        member::Entity::find().inner_join(essay::Entity).distinct().order_by_asc(member::Column::Id)
    };
    let remarked = || {
        let fine = remark::Column::Text.eq("fine");
        essay::Entity::find().cache().has_related(remark::Entity, fine)
    };
    let on_sql = || {
        essay::Entity::find()
            .filter(
                essay::Column::Id.in_subquery(
                    essay_topic::Entity::find()
                        .select_only()
                        .column(essay_topic::Column::EssayId)
                        .filter(essay_topic::Column::TopicId.eq(2))
                        .into_query(),
                ),
            )
            .order_by_id_asc()
    };

    assert_eq!(
        now_cached!(w, tallies().cache().all(&db)),
        [Tally { name: "Ann".into(), essays: 2 }]
    );
    assert_eq!(now_cached!(w, writers().cache().all(&db)).len(), 2);
    assert_eq!(now_cached!(w, remarked().all(&db)).len(), 1);
    assert_eq!(now_cached!(w, on_sql().cache().all(&db)).len(), 2);

    write_essay(&db, 9, 3).await;
    now_cached!(w, tallies().cache().all(&db));
    assert_eq!(now_cached!(w, writers().cache().all(&db)).len(), 3);
    let new = remark::ActiveModel { id: Set(9), essay_id: Set(2), text: Set("fine".into()) };
    remark::Entity::insert(new).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, remarked().all(&db)).len(), 2);
    still_cached!(w, writers().cache().all(&db));
    let link = |topic_id| essay_topic::ActiveModel { essay_id: Set(2), topic_id: Set(topic_id) };
    now_cached!(w, on_sql().cache().all(&db));
    essay_topic::Entity::insert(link(1)).exec(&db).await.unwrap();
    still_cached!(w, on_sql().cache().all(&db));
    essay_topic::Entity::insert(link(2)).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, on_sql().cache().all(&db)).len(), 3);
}

#[tokio::test]
async fn joins_behind_cache_are_those_before_it() {
    let (w, db) = forum::open().await;
    let essays = || essay::Entity::find().cache();

    let both = now_cached!(w, essays().find_both_related(member::Entity).all(&db));
    assert_eq!(both.len(), 3);
    let four = essays()
        .find_also_related(member::Entity)
        .find_also(essay::Entity, remark::Entity)
        .find_also(essay::Entity, topic::Entity);
    assert_eq!(four.consolidate().all(&db).await.unwrap().len(), 3);
    let chain =
        essays().find_also_related(member::Entity).and_also_related(crate::forum::badge::Entity);
    assert_eq!(chain.all(&db).await.unwrap().len(), 3);
    let joined = essays().inner_join(remark::Entity).filter(remark::Column::Text.eq("no"));
    assert_eq!(joined.require_one(&db).await.unwrap().id, 3);
    let with = member::Entity::find().cache().left_join(essay::Entity);
    assert_eq!(with.filter(essay::Column::Id.is_null()).get(&db).await.unwrap().name, "Cid");
    let linked = member::Entity::find().cache().find_with_linked(forum::GrandMentor);
    assert_eq!(linked.all(&db).await.unwrap().len(), 3);
}

/// SQLite has no such clause, and SeaORM leaves it out.
#[test]
fn a_lock_is_part_of_the_statement_where_the_database_knows_it() {
    use sea_orm::sea_query::LockType;

    let locked = || essay::Entity::find().lock(LockType::Update);
    assert!(locked().build(DbBackend::Postgres).sql.ends_with("FOR UPDATE"));
    assert!(!locked().build(DbBackend::Sqlite).sql.contains("FOR UPDATE"));
}
