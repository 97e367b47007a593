//! A forum in SeaORM's dense format: relations of every kind, of a table to itself too, and keys of two columns.

use cacheops_sea_orm::{CachedConn, Connect};
use sea_orm::{ConnectionTrait, EntityTrait, RelationTrait};

use crate::world::World;

pub mod member {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "member")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub mentor_id: Option<i32>,
        #[sea_orm(self_ref, relation_enum = "Mentor", from = "mentor_id", to = "id")]
        pub mentor: BelongsTo<Option<Entity>>,
        #[sea_orm(has_one)]
        pub badge: HasOne<super::badge::Entity>,
        #[sea_orm(has_many)]
        pub essays: HasMany<super::essay::Entity>,
        #[sea_orm(self_ref, via = "follow", from = "Member", to = "Follower")]
        pub followers: HasMany<Entity>,
        #[sea_orm(self_ref, via = "follow", reverse)]
        pub following: HasMany<Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod badge {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "badge")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub colour: String,
        #[sea_orm(unique)]
        pub member_id: i32,
        #[sea_orm(belongs_to, from = "member_id", to = "id")]
        pub member: BelongsTo<super::member::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod essay {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "essay")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub member_id: i32,
        pub title: String,
        #[sea_orm(belongs_to, from = "member_id", to = "id")]
        pub member: BelongsTo<super::member::Entity>,
        #[sea_orm(has_many)]
        pub remarks: HasMany<super::remark::Entity>,
        #[sea_orm(has_many, via = "essay_topic")]
        pub topics: HasMany<super::topic::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod remark {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "remark")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub essay_id: i32,
        pub text: String,
        #[sea_orm(belongs_to, from = "essay_id", to = "id")]
        pub essay: BelongsTo<super::essay::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod topic {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "topic")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "essay_topic")]
        pub essays: HasMany<super::essay::Entity>,
        #[sea_orm(has_many)]
        pub stickers: HasMany<super::sticker::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod sticker {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "sticker")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub topic_id: i32,
        #[sea_orm(belongs_to, from = "topic_id", to = "id")]
        pub topic: BelongsTo<super::topic::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod essay_topic {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "essay_topic")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub essay_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub topic_id: i32,
        #[sea_orm(belongs_to, from = "essay_id", to = "id")]
        pub essay: BelongsTo<super::essay::Entity>,
        #[sea_orm(belongs_to, from = "topic_id", to = "id")]
        pub topic: BelongsTo<super::topic::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod follow {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(
        Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(table_name = "follow")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub member_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub follower_id: i32,
        #[sea_orm(belongs_to, from = "member_id", to = "id")]
        pub member: BelongsTo<super::member::Entity>,
        #[sea_orm(belongs_to, relation_enum = "Follower", from = "follower_id", to = "id")]
        pub follower: BelongsTo<super::member::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// From a member to the mentor of the mentor.
#[derive(Clone, Copy)]
pub struct GrandMentor;

impl sea_orm::Linked for GrandMentor {
    type FromEntity = member::Entity;
    type ToEntity = member::Entity;

    fn link(&self) -> Vec<sea_orm::RelationDef> {
        vec![member::Relation::Mentor.def(), member::Relation::Mentor.def()]
    }
}

/// As SQLite and PostgreSQL both understand them.
pub const TABLES: &str = "
    CREATE TABLE member (id INTEGER PRIMARY KEY, name TEXT NOT NULL, mentor_id INTEGER REFERENCES member);
    CREATE TABLE badge (id INTEGER PRIMARY KEY, colour TEXT NOT NULL, member_id INTEGER NOT NULL UNIQUE REFERENCES member);
    CREATE TABLE essay (id INTEGER PRIMARY KEY, member_id INTEGER NOT NULL REFERENCES member, title TEXT NOT NULL);
    CREATE TABLE remark (id INTEGER PRIMARY KEY, essay_id INTEGER NOT NULL REFERENCES essay, text TEXT NOT NULL);
    CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE sticker (id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL REFERENCES topic);
    CREATE TABLE essay_topic (essay_id INTEGER NOT NULL REFERENCES essay, topic_id INTEGER NOT NULL REFERENCES topic,
        PRIMARY KEY (essay_id, topic_id));
    CREATE TABLE follow (member_id INTEGER NOT NULL REFERENCES member, follower_id INTEGER NOT NULL REFERENCES member,
        PRIMARY KEY (member_id, follower_id));
    INSERT INTO member VALUES (1, 'Ann', NULL), (2, 'Ben', 1), (3, 'Cid', 2);
    INSERT INTO badge VALUES (1, 'red', 1), (2, 'blue', 2);
    INSERT INTO essay VALUES (1, 1, 'First'), (2, 1, 'Second'), (3, 2, 'Third');
    INSERT INTO remark VALUES (1, 1, 'fine'), (2, 1, 'good'), (3, 3, 'no');
    INSERT INTO topic VALUES (1, 'rust'), (2, 'sql');
    INSERT INTO sticker VALUES (1, 1), (2, 2);
    INSERT INTO essay_topic VALUES (1, 1), (1, 2), (3, 2);
    INSERT INTO follow VALUES (1, 2), (1, 3), (2, 1);
";

/// A world, and the forum in its database.
pub async fn open() -> (World, CachedConn) {
    let w = World::new().await;
    w.db.inner().execute_unprepared(TABLES).await.unwrap();
    let db =
        w.co.connector()
            .model::<badge::Entity>()
            .model::<essay::Entity>()
            .model::<remark::Entity>()
            .connect(w.db.inner().clone());
    (w, db)
}

pub async fn all<E: EntityTrait>(db: &CachedConn) -> Vec<E::Model>
where
    E::Model: Send + Sync,
{
    E::find().order_by_id_asc().all(db).await.unwrap()
}
