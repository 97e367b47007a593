//! Writes that nobody would be told of.

use cacheops_sea_orm::{Cache, CachedConn, Connect};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder};
use support::{Postgres, Server};

use crate::entities::category;
use crate::world::{World, builder, now_cached, pool};

async fn names(db: &CachedConn) -> Result<Vec<String>, DbErr> {
    let all = category::Entity::find().order_by_asc(category::Column::Id);
    Ok(all.cache().all(db).await?.into_iter().map(|row| row.name).collect())
}

#[tokio::test]
async fn what_was_read_before_a_rollback_by_hand_is_over() {
    let w = World::new().await;
    let path = w.dir.path().join("blog.db");
    let connection = pool(format!("sqlite://{}", path.display()), 1).await;
    let db = w.co.connector().pre_select(0).connect(connection);
    for (end, of) in [("ROLLBACK", "all"), ("ROLLBACK TO half", "half"), ("COMMIT", "none")] {
        db.execute_unprepared("BEGIN").await.unwrap();
        db.execute_unprepared("SAVEPOINT half").await.unwrap();
        db.execute_unprepared("UPDATE category SET name = 'undone' WHERE id = 1").await.unwrap();
        assert_eq!(names(&db).await.unwrap()[0], "undone");

        db.execute_unprepared(end).await.unwrap();

        let now = category::Entity::find_by_id(1).one(db.inner()).await.unwrap().unwrap().name;
        assert_eq!(names(&db).await.unwrap()[0], now, "{of}");
        let _ = db.execute_unprepared("ROLLBACK").await;
    }
}

/// The trigger marks rows in the place of deleting them. Then no row was deleted.
#[tokio::test]
async fn a_write_that_returns_no_row_is_told_by_its_text() {
    let w = World::new().await;
    let trigger = "CREATE TRIGGER soft BEFORE DELETE ON category BEGIN
        UPDATE category SET name = 'gone' WHERE id = OLD.id; SELECT RAISE(IGNORE); END";
    w.db.inner().execute_unprepared(trigger).await.unwrap();
    now_cached!(w, names(&w.db));

    let first = category::Entity::delete_many().filter(category::Column::Id.eq(1));
    assert!(first.exec_with_returning(&w.db).await.unwrap().is_empty());

    assert_eq!(now_cached!(w, names(&w.db)), ["gone", "art"]);
}

/// Every table has the tenant in its key.
mod tenants {
    pub mod writer {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "writer")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub tenant: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod story {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
        #[sea_orm(table_name = "story")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub tenant: i32,
            pub writer_id: Option<i32>,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {
            #[sea_orm(
                belongs_to = "super::writer::Entity",
                from = "(Column::Tenant, Column::WriterId)",
                to = "(super::writer::Column::Tenant, super::writer::Column::Id)",
                on_delete = "SetNull"
            )]
            Writer,
        }

        impl ActiveModelBehavior for ActiveModel {}
    }
}

/// PostgreSQL can be told which columns of a key become NULL.
#[tokio::test]
async fn on_postgres_a_part_of_a_key_may_stay_when_the_rest_is_taken_away() {
    use tenants::{story, writer};
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let connection = pool(postgres.url(), 4).await;
    let sql = "CREATE TABLE writer (tenant INTEGER, id INTEGER, PRIMARY KEY (tenant, id));
        CREATE TABLE story (id INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, writer_id INTEGER,
            FOREIGN KEY (tenant, writer_id) REFERENCES writer ON DELETE SET NULL (writer_id));
        INSERT INTO writer VALUES (5, 1); INSERT INTO story VALUES (1, 5, 1)";
    connection.execute_unprepared(sql).await.unwrap();
    let connector = builder(&server).build().await.unwrap().connector();
    let db = connector.model::<story::Entity>().connect(connection);
    let orphans = || {
        let of = story::Entity::find().filter(story::Column::Tenant.eq(5));
        of.filter(story::Column::WriterId.is_null()).cache().all(&db)
    };
    assert_eq!(orphans().await.unwrap().len(), 0);

    writer::Entity::delete_by_id((5, 1)).exec(&db).await.unwrap();

    assert_eq!(orphans().await.unwrap().len(), 1);
}
