//! What reads differently on PostgreSQL: loaders compare rows, locks are said, arrays are columns.

use cacheops_sea_orm::cacheops::CacheOnSave;
use cacheops_sea_orm::{Cache, CachedConn, Cacheops, Connect, Profile};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, LoaderTrait, QueryFilter,
    QuerySelect,
};
use support::{Postgres, Server};

use crate::drift;
use crate::forum::{self, essay, essay_topic, member, remark, topic};
use crate::world::{builder, hits, now_cached, still_cached};

mod shelf {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelf")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub labels: Vec<String>,
        pub sizes: Option<Vec<i32>>,
        pub document: Option<Json>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

struct World {
    co: Cacheops,
    db: CachedConn,
    _server: Server,
    _postgres: Postgres,
}

impl World {
    async fn new() -> Option<Self> {
        let postgres = Postgres::start()?;
        let server = Server::start();
        let profile = Profile::new().cache_on_save(CacheOnSave::PrimaryKey);
        let co = builder(&server).profile("*", profile).build().await.unwrap();
        let connection = sea_orm::Database::connect(postgres.url()).await.unwrap();
        let tables = forum::TABLES.replace("INTEGER PRIMARY KEY", "SERIAL PRIMARY KEY");
        connection.execute_unprepared(&tables).await.unwrap();
        let shelf = "CREATE TABLE shelf (id UUID PRIMARY KEY, labels TEXT[] NOT NULL, sizes INT[], document JSONB)";
        connection.execute_unprepared(shelf).await.unwrap();
        let db = co.connector().model::<shelf::Entity>().connect(connection);
        Some(Self { co, db, _server: server, _postgres: postgres })
    }

    async fn hits<T>(&self, ask: impl Future<Output = T>) -> (bool, T) {
        hits(&self.co, ask).await
    }
}

#[tokio::test]
async fn loaders_are_as_exact_as_on_other_databases() {
    let Some(w) = World::new().await else { return };
    let db = &w.db;
    let essays = forum::all::<essay::Entity>(db).await;
    let load = || essays[..2].cache();

    let remarks = now_cached!(w, load().load_many(remark::Entity, db));
    assert_eq!(remarks, essays[..2].to_vec().load_many(remark::Entity, db).await.unwrap());
    now_cached!(w, load().load_many(topic::Entity, db));
    now_cached!(w, load().load_one(member::Entity, db));
    let on = |essay| async move {
        let new = remark::ActiveModel {
            id: Set(10 + essay),
            essay_id: Set(essay),
            text: Set("new".into()),
        };
        remark::Entity::insert(new).exec(db).await.unwrap();
    };
    on(3).await;
    still_cached!(w, load().load_many(remark::Entity, db));
    on(2).await;
    assert_eq!(now_cached!(w, load().load_many(remark::Entity, db))[1].len(), 1);
    let link = |essay| essay_topic::ActiveModel { essay_id: Set(essay), topic_id: Set(1) };
    essay_topic::Entity::insert(link(3)).exec(db).await.unwrap();
    still_cached!(w, load().load_many(topic::Entity, db));
    essay_topic::Entity::insert(link(2)).exec(db).await.unwrap();
    assert_eq!(now_cached!(w, load().load_many(topic::Entity, db))[1].len(), 1);
    still_cached!(w, load().load_one(member::Entity, db));
}

#[tokio::test]
async fn whatever_is_written_every_shape_says_what_the_database_says() {
    let Some(w) = World::new().await else { return };

    assert_eq!(drift::search(&w.db, &w.db, 80).await, Vec::<String>::new());

    assert!(w.co.stats().hits > 200);
}

#[tokio::test]
async fn a_query_that_locks_goes_to_the_database() {
    let Some(w) = World::new().await else { return };
    let locked = [
        member::Entity::find().lock(LockType::Update),
        member::Entity::find().lock_shared(),
        member::Entity::find().filter(member::Column::Id.eq(1)).lock_exclusive(),
    ];

    for query in locked {
        for _ in 0..2 {
            let (hit, rows) = w.hits(query.clone().cache().all(&w.db)).await;
            assert!(!hit && !rows.unwrap().is_empty());
        }
    }
    assert_eq!(w.co.stats().stores, 0);
}

#[tokio::test]
async fn arrays_and_documents_come_back_and_a_saved_row_is_there() {
    let Some(w) = World::new().await else { return };
    let documents = ["null", "[null, 1.5]", "{\"a\": 18446744073709551615}"];
    for (number, document) in documents.iter().enumerate() {
        let id = sea_orm::prelude::Uuid::from_u128(number as u128);
        let shelf = shelf::ActiveModel {
            id: Set(id),
            labels: Set(vec!["".into(), "é'\"{}".into()]),
            sizes: Set((number > 0).then(|| vec![i32::MIN, 0])),
            document: Set(Some(document.parse().unwrap())),
        };
        let saved = shelf.insert(&w.db).await.unwrap();
        let by_id = || shelf::Entity::find_by_id(id).cache().get(&w.db);
        assert_eq!(still_cached!(w, by_id()), saved);
        assert_eq!(shelf::Entity::find_by_id(id).one(w.db.inner()).await.unwrap(), Some(saved));
    }
    let labelled = |labels: Vec<String>| {
        shelf::Entity::find().filter(shelf::Column::Labels.eq(labels)).cache().all(&w.db)
    };
    assert!(now_cached!(w, labelled(vec!["x".into()])).is_empty());
    assert_eq!(now_cached!(w, labelled(vec!["".into(), "é'\"{}".into()])).len(), 3);
    shelf::Entity::delete_by_id(sea_orm::prelude::Uuid::from_u128(1)).exec(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, labelled(vec!["".into(), "é'\"{}".into()])).len(), 2);
}
