//! What a write brings about in other tables, and tables under all the names that they have.

use cacheops_sea_orm::{Cache, CachedConn, Connect, Schema, Table};
use sea_orm::ActiveValue::{Set, Unchanged};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ModelTrait, QueryFilter,
    TransactionTrait,
};
use support::{Postgres, Server};

use crate::world::{Hits, World, builder, now_cached, pool, still_cached};

/// A table and columns whose names have capitals, which no statement of SQLite tells apart.
mod shelf {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "Shelf")]
    pub struct Model {
        #[sea_orm(primary_key, column_name = "Id")]
        pub id: i32,
        #[sea_orm(column_name = "Room")]
        pub room: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A view of it.
mod room {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "rooms")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub number: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Goes and moves with its shelf.
mod book {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "Book")]
    pub struct Model {
        #[sea_orm(primary_key, column_name = "Id")]
        pub id: i32,
        #[sea_orm(column_name = "Shelf")]
        pub shelf: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::shelf::Entity",
            from = "Column::Shelf",
            to = "super::shelf::Column::Id",
            on_delete = "Cascade",
            on_update = "Cascade"
        )]
        Shelf,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How many books there are, kept by a trigger.
mod tally {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "tally")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub books: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const TABLES: &str = r#"
    CREATE TABLE "Shelf" ("Id" INTEGER PRIMARY KEY, "Room" INTEGER NOT NULL);
    CREATE TABLE "Book" ("Id" INTEGER PRIMARY KEY,
        "Shelf" INTEGER NOT NULL REFERENCES "Shelf" ("Id") ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE VIEW rooms AS SELECT "Id" AS id, "Room" AS number FROM "Shelf";
    CREATE TABLE tally (id INTEGER PRIMARY KEY, books INTEGER NOT NULL);
    INSERT INTO "Shelf" VALUES (1, 10), (2, 20), (3, 30);
    INSERT INTO "Book" VALUES (1, 1), (2, 1), (3, 2), (4, 3);
    INSERT INTO tally VALUES (0, 4);"#;

/// The library on SQLite, with what is told of its schema.
async fn library(w: &World, triggers: &str, schema: Schema) -> CachedConn {
    w.db.inner().execute_unprepared(TABLES).await.unwrap();
    w.db.inner().execute_unprepared(triggers).await.unwrap();
    let connector = w.co.connector().model::<shelf::Entity>().model::<book::Entity>();
    connector.schema(schema).connect(w.db.inner().clone())
}

async fn shelf(db: &CachedConn, id: i32) -> Result<Option<shelf::Model>, DbErr> {
    shelf::Entity::find_by_id(id).cache().one(db).await
}

async fn book(db: &CachedConn, id: i32) -> Result<Option<book::Model>, DbErr> {
    book::Entity::find_by_id(id).cache().one(db).await
}

async fn tally(db: &CachedConn) -> Result<i32, DbErr> {
    Ok(tally::Entity::find_by_id(0).cache().one(db).await?.unwrap().books)
}

#[tokio::test]
async fn a_row_that_is_told_by_hand_is_of_the_table_that_statements_name() {
    let w = World::new().await;
    let db = library(&w, "", Schema::new().view("rooms", ["Shelf"])).await;
    let room = async || room::Entity::find_by_id(1).cache().one(&db).await;
    let one = now_cached!(w, shelf(&db, 1)).unwrap();
    now_cached!(w, shelf(&db, 2));

    db.invalidate_obj(&one).await.unwrap();
    now_cached!(w, shelf(&db, 1));
    still_cached!(w, shelf(&db, 2));
    db.invalidate_model::<shelf::Entity>().await.unwrap();
    now_cached!(w, shelf(&db, 1));
    now_cached!(w, shelf(&db, 2));

    // Any row of a view is of the tables that it is made of.
    let seen = now_cached!(w, room()).unwrap();
    db.invalidate_obj(&seen).await.unwrap();
    now_cached!(w, room());
    db.invalidate_model::<room::Entity>().await.unwrap();
    now_cached!(w, room());
}

#[tokio::test]
async fn names_with_capitals_cascade() {
    let w = World::new().await;
    let db = library(&w, "", Schema::new()).await;
    let first = now_cached!(w, shelf(&db, 1)).unwrap();
    let on = |shelf| book::Entity::find().filter(book::Column::Shelf.eq(shelf)).cache().all(&db);
    now_cached!(w, on(1));
    now_cached!(w, on(2));

    first.delete(&db).await.unwrap();
    assert_eq!(now_cached!(w, on(1)), []);
    still_cached!(w, on(2));

    let moved = r#"UPDATE "Shelf" SET "Id" = 7 WHERE "Id" = 2"#;
    db.execute_unprepared(moved).await.unwrap();
    assert_eq!(now_cached!(w, on(2)), []);
}

/// The trigger fires for the rows that a foreign key deletes too.
#[tokio::test]
async fn a_trigger_of_rows_that_cascade_is_one_of_their_parents() {
    let w = World::new().await;
    let trigger = r#"CREATE TRIGGER gone AFTER DELETE ON "Book" BEGIN
        UPDATE tally SET books = books - 1; END;"#;
    let schema = Schema::new().table(Table::new("Book").also(["tally"]));
    let db = library(&w, trigger, schema).await;

    assert_eq!(now_cached!(w, tally(&db)), 4);
    shelf::Entity::delete_by_id(1).exec(&db).await.unwrap();
    assert_eq!(now_cached!(w, tally(&db)), 2);

    let tx = db.begin().await.unwrap();
    shelf::Entity::delete_by_id(2).exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(now_cached!(w, tally(&db)), 1);
}

/// The trigger deletes rows to which others refer.
#[tokio::test]
async fn rows_that_a_trigger_deletes_take_others_along() {
    let w = World::new().await;
    let trigger = r#"CREATE TRIGGER closed AFTER UPDATE ON tally BEGIN
        DELETE FROM "Shelf" WHERE "Id" = NEW.books; END;"#;
    let schema = Schema::new().table(Table::new("tally").also(["Shelf"]));
    let db = library(&w, trigger, schema).await;
    now_cached!(w, book(&db, 1));

    let close = tally::ActiveModel { id: Unchanged(0), books: Set(1) };
    close.update(&db).await.unwrap();

    assert_eq!(now_cached!(w, book(&db, 1)), None);
}

/// In a schema of its own, where another is the default.
mod archived {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(schema_name = "archive", table_name = "paper")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub parent: Option<i32>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "Entity",
            from = "Column::Parent",
            to = "Column::Id",
            on_delete = "Cascade"
        )]
        Parent,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[tokio::test]
async fn on_postgresql_the_schema_is_part_of_the_name() {
    let Some(postgres) = Postgres::start() else { return };
    let server = Server::start();
    let connection = pool(postgres.url(), 4).await;
    let tables = "CREATE SCHEMA archive;
        CREATE TABLE archive.paper (id INTEGER PRIMARY KEY,
            parent INTEGER REFERENCES archive.paper (id) ON DELETE CASCADE);
        INSERT INTO archive.paper VALUES (1, NULL), (2, 1), (3, 2), (4, NULL)";
    connection.execute_unprepared(tables).await.unwrap();
    let co = builder(&server).build().await.unwrap();
    let connector = co.connector().model::<archived::Entity>();
    let db = connector.schema(Schema::new().default_schema("public")).connect(connection);
    let paper = |id| archived::Entity::find_by_id(id).cache().one(&db);
    let first = now_cached!(co, paper(1)).unwrap();
    now_cached!(co, paper(3));
    now_cached!(co, paper(4));

    db.invalidate_obj(&first).await.unwrap();
    now_cached!(co, paper(1));
    still_cached!(co, paper(4));
    db.invalidate_model::<archived::Entity>().await.unwrap();
    now_cached!(co, paper(4));

    now_cached!(co, paper(3));
    first.delete(&db).await.unwrap();
    assert_eq!(now_cached!(co, paper(3)), None);
}
