//! The adapter on MariaDB, for `make test-mariadb`: no RETURNING in SeaORM, old rows from a locking SELECT, and a server
//! that commits when it likes.

use cacheops_sea_orm::{Cache, CachedConn};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    ModelTrait, QueryFilter, QueryOrder, TransactionTrait,
};
use support::{MariaDb, Server};

use crate::fuzz::entities::{label, link, owner, thing};
use crate::fuzz::worlds::{Databases, World};
use crate::world::{hits, still_cached};

struct Maria {
    world: World,
    /// In the order in which they should end.
    _servers: (Server, Databases),
}

impl Maria {
    /// Two owners, and four things: two of each.
    async fn new() -> Self {
        let (server, databases) = (Server::start(), Databases::MariaDb(MariaDb::start()));
        let world = World::new(&databases, &server, 0, None).await;
        let maria = Self { world, _servers: (server, databases) };
        for id in [1, 2] {
            let new = owner::ActiveModel { id: Set(id), ..Default::default() };
            new.insert(maria.db()).await.unwrap();
        }
        for id in 1..=4 {
            new_thing(Set(id)).insert(maria.db()).await.unwrap();
        }
        maria
    }

    fn db(&self) -> &CachedConn {
        &self.world.programs[0]
    }

    async fn hits<T>(&self, ask: impl Future<Output = T>) -> (bool, T) {
        hits(&self.world.co, ask).await
    }
}

fn new_thing(id: sea_orm::ActiveValue<i32>) -> thing::ActiveModel {
    let number = match &id {
        Set(id) => *id,
        _ => 0,
    };
    thing::ActiveModel {
        id,
        number: Set(Some(number)),
        owner_id: Set(Some(if number < 3 { 1 } else { 2 })),
        name: Set(Some(format!("thing {number}"))),
        ..Default::default()
    }
}

async fn of_owner(db: &CachedConn, owner: i32) -> Result<Vec<thing::Model>, DbErr> {
    let things = thing::Entity::find().filter(thing::Column::OwnerId.eq(owner));
    things.order_by_asc(thing::Column::Id).cache().all(db).await
}

async fn named(db: &CachedConn, name: &str) -> Result<Vec<thing::Model>, DbErr> {
    thing::Entity::find().filter(thing::Column::Name.eq(name)).cache().all(db).await
}

async fn by_id(db: &CachedConn, id: i32) -> Result<Option<thing::Model>, DbErr> {
    thing::Entity::find_by_id(id).cache().one(db).await
}

async fn links(db: &CachedConn) -> Result<Vec<link::Model>, DbErr> {
    let of_others = link::Column::ThingId.is_in([1, 2]);
    link::Entity::find().filter(of_others).cache().all(db).await
}

async fn warm(m: &Maria) {
    for id in 1..=4 {
        by_id(m.db(), id).await.unwrap();
        named(m.db(), &format!("thing {id}")).await.unwrap();
    }
    for owner in [1, 2] {
        of_owner(m.db(), owner).await.unwrap();
    }
}

macro_rules! lost {
    ($m:expr, $query:expr) => {{
        let (hit, value) = $m.hits($query).await;
        assert!(!hit, "it should have been invalidated");
        value.unwrap()
    }};
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_the_writes_of_a_model_are_precise() {
    let m = Maria::new().await;
    let db = m.db();
    assert!(!db.support_returning());
    warm(&m).await;
    link::Entity::insert(link::ActiveModel { thing_id: Set(1), slug: Set("red".into()) })
        .exec(db)
        .await
        .unwrap_err();
    links(db).await.unwrap();

    // The number of the new row is that of the last insertion.
    let new = thing::ActiveModel { id: NotSet, ..new_thing(Set(2)) }.insert(db).await.unwrap();
    assert_eq!(new.id, 5);
    still_cached!(m, of_owner(db, 2));
    still_cached!(m, by_id(db, 1));
    assert_eq!(lost!(m, of_owner(db, 1)).len(), 3);

    let mut renamed = by_id(db, 1).await.unwrap().unwrap().into_active_model();
    renamed.name = Set(Some("THING 3".into()));
    renamed.update(db).await.unwrap();
    still_cached!(m, named(db, "thing 4"));
    still_cached!(m, of_owner(db, 2));
    still_cached!(m, by_id(db, 2));
    assert_eq!(lost!(m, named(db, "thing 1")).len(), 0);
    // The collation takes both for the same.
    assert_eq!(lost!(m, named(db, "thing 3")).len(), 2);
    assert_eq!(lost!(m, by_id(db, 1)).unwrap().name.as_deref(), Some("THING 3"));

    // Which things it was the parent of is not known.
    new.delete(db).await.unwrap();
    still_cached!(m, links(db));
    assert_eq!(lost!(m, of_owner(db, 1)).len(), 2);
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_mass_writes_are_precise_and_without_reading_first_they_are_still_right() {
    let m = Maria::new().await;
    // Reads 256 rows first, none, or two.
    for (number, program) in m.world.programs.iter().enumerate() {
        let precise = number < 2;
        warm(&m).await;
        let more = Expr::col(thing::Column::Number).add(10);
        let update = thing::Entity::update_many().col_expr(thing::Column::Number, more);
        let update = update.filter(thing::Column::Id.is_in([1, 2])).exec(program).await.unwrap();
        assert_eq!(update.rows_affected, 2);
        assert_eq!(lost!(m, of_owner(m.db(), 1)).len(), 2);
        lost!(m, by_id(m.db(), 2));
        still_cached!(m, by_id(m.db(), 3));
        if precise {
            still_cached!(m, of_owner(m.db(), 2));
            still_cached!(m, named(m.db(), "thing 3"));
        }

        // Nothing changes, and the row is found all the same.
        warm(&m).await;
        let same = thing::Entity::update_many()
            .col_expr(thing::Column::OwnerId, Expr::val(1))
            .filter(thing::Column::Name.eq("thing 2"));
        assert_eq!(same.exec(program).await.unwrap().rows_affected, 1);
        // A text is a term of its condition only where its column is known to be one.
        if number == 1 {
            still_cached!(m, of_owner(m.db(), 2));
            still_cached!(m, by_id(m.db(), 1));
        }

        // More rows than may be read.
        warm(&m).await;
        let all = thing::Entity::update_many().col_expr(thing::Column::Number, Expr::val(7));
        assert_eq!(all.exec(program).await.unwrap().rows_affected, 4);
        for id in 1..=4 {
            assert_eq!(lost!(m, by_id(m.db(), id)).unwrap().number, Some(7));
        }
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_what_a_definition_commits_is_told_before_the_transaction_ends() {
    for sql in
        ["TRUNCATE TABLE link", "CREATE TABLE more (id INTEGER)", "CREATE TABLE thing (id INTEGER)"]
    {
        let m = Maria::new().await;
        warm(&m).await;

        let tx = m.db().begin().await.unwrap();
        tx.execute_unprepared("UPDATE thing SET number = 50 WHERE id = 1").await.unwrap();
        // The last one fails, and has committed by then.
        let failed = tx.execute_unprepared(sql).await.is_err();
        assert_eq!(failed, sql.contains("thing"), "{sql}");
        tx.execute_unprepared("UPDATE thing SET number = 60 WHERE id = 2").await.unwrap();
        // There is nothing left to take back.
        let _ = tx.rollback().await;

        assert_eq!(lost!(m, by_id(m.db(), 1)).unwrap().number, Some(50), "{sql}");
        assert_eq!(lost!(m, by_id(m.db(), 2)).unwrap().number, Some(60), "{sql}");
    }
}

#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_upserts_and_ignored_errors_concern_their_table() {
    let m = Maria::new().await;
    let db = m.db();
    warm(&m).await;

    let sql = "UPDATE IGNORE thing SET number = 9 WHERE id = 1";
    db.execute_unprepared(sql).await.unwrap();
    still_cached!(m, by_id(db, 2));
    assert_eq!(lost!(m, by_id(db, 1)).unwrap().number, Some(9));

    let conflict =
        OnConflict::column(thing::Column::Id).update_column(thing::Column::Name).to_owned();
    let two = thing::ActiveModel { name: Set(Some("two".into())), ..new_thing(Set(2)) };
    thing::Entity::insert(two).on_conflict(conflict).exec(db).await.unwrap();
    assert_eq!(lost!(m, by_id(db, 2)).unwrap().name.as_deref(), Some("two"));

    // A key that others refer to, and that follows.
    label::ActiveModel { slug: Set("red".into()), number: Set(Some(1)) }.insert(db).await.unwrap();
    let new = link::ActiveModel { thing_id: Set(1), slug: Set("red".into()) };
    link::Entity::insert(new).exec(db).await.unwrap();
    lost!(m, links(db));
    still_cached!(m, links(db));
    let sql =
        "INSERT INTO label (slug, number) VALUES ('red', 2) ON DUPLICATE KEY UPDATE slug = 'blue'";
    db.execute_unprepared(sql).await.unwrap();
    assert_eq!(lost!(m, links(db))[0].slug, "blue");
}

/// The driver reads such a column as text where its bytes are one.
#[tokio::test]
#[ignore = "make test-mariadb"]
async fn on_mariadb_a_uuid_whose_bytes_are_a_text_is_found() {
    let m = Maria::new().await;
    let db = m.db();
    let token = sea_orm::prelude::Uuid::from_u128(1);
    let of_token = || thing::Entity::find().filter(thing::Column::Token.eq(token)).cache().all(db);
    let of_one = thing::ActiveModel { id: Set(1), token: Set(Some(token)), ..Default::default() };
    of_one.update(db).await.unwrap();
    assert_eq!(lost!(m, of_token()).len(), 1);

    let named = thing::ActiveModel { id: Set(1), name: Set(None), ..Default::default() };
    named.update(db).await.unwrap();

    assert_eq!(lost!(m, of_token())[0].name, None);
}
