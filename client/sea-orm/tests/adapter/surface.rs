//! A cached connection in the place of SeaORM's own.

use cacheops_sea_orm::{Cache, CacheReads, CachedConn, Connect, Source, Unconfirmed};
use sea_orm::*;
use support::Server;

use crate::entities::{article, category};
use crate::forum::{self, essay};
use crate::world::{World, builder, now_cached, open, still_cached};

async fn names(db: &impl Source) -> Result<Vec<String>, DbErr> {
    let rows = category::Entity::find().order_by_id_asc().cache().all(db).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

async fn count(db: &impl Source) -> Result<u64, DbErr> {
    article::Entity::find().cache().count(db).await
}

/// With all of SeaORM's traits in scope, as its examples have them.
#[tokio::test]
async fn the_methods_of_a_connection_are_there_without_an_import() {
    let w = World::new().await;
    let db: &CachedConn = &w.db;
    assert_eq!(db.get_database_backend(), DbBackend::Sqlite);
    db.ping().await.unwrap();
    assert!(!db.get_sqlite_connection_pool().is_closed());
    db.get_schema_builder().register(essay::Entity).apply(db).await.unwrap();
    assert_eq!(essay::Entity::find().count(db).await.unwrap(), 0);

    let tx = db.begin().await.unwrap();
    assert_eq!(tx.get_database_backend(), DbBackend::Sqlite);
    tx.rollback().await.unwrap();
    db.begin().await.unwrap().commit().await.unwrap();

    let connection = open(&w.dir, "closed.db").await;
    let closed = w.co.connect(connection);
    closed.clone().close().await.unwrap();
    closed.close_by_ref().await.unwrap();
    assert!(closed.ping().await.is_err());
}

/// `commit` and `rollback` are found where no trait of SeaORM is.
mod without_imports {
    use cacheops_sea_orm::{CachedRestricted, CachedTxn};

    pub async fn end(tx: CachedTxn, commit: bool) {
        if commit { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }

    pub async fn end_restricted(tx: CachedRestricted<CachedTxn>, commit: bool) {
        if commit { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
}

#[tokio::test]
async fn async_closures_are_transactions() {
    let w = World::new().await;
    assert_eq!(now_cached!(w, names(&w.db)), ["tech", "art"]);
    let rename = async |name: &str, fails: bool| {
        let name = name.to_owned();
        w.db.transaction_async(async |tx| {
            let row = category::ActiveModel { id: Set(1), name: Set(name.clone()) };
            row.update(tx).await?;
            assert_eq!(names(tx).await?[0], name);
            if fails { Err(DbErr::Custom("no".into())) } else { Ok(7) }
        })
        .await
    };

    assert!(matches!(rename("undone", true).await, Err(TransactionError::Transaction(_))));
    assert_eq!(still_cached!(w, names(&w.db)), ["tech", "art"]);
    assert_eq!(rename("new", false).await.unwrap(), 7);
    assert_eq!(now_cached!(w, names(&w.db)), ["new", "art"]);

    let nested = w.db.transaction_with_config_async(
        async |tx| {
            let inner =
                tx.transaction_async(async |tx| category::Entity::delete_by_id(2).exec(tx).await);
            inner.await.map_err(|error| DbErr::Custom(error.to_string()))
        },
        None,
        Some(AccessMode::ReadWrite),
    );
    assert_eq!(nested.await.unwrap().rows_affected, 1);
    assert_eq!(now_cached!(w, names(&w.db)), ["new"]);

    let tx = w.db.begin().await.unwrap();
    category::Entity::delete_by_id(1).exec(&tx).await.unwrap();
    without_imports::end(tx, false).await;
    assert_eq!(still_cached!(w, names(&w.db)), ["new"]);
    let tx = w.db.begin().await.unwrap();
    category::Entity::delete_by_id(1).exec(&tx).await.unwrap();
    without_imports::end(tx, true).await;
    assert!(now_cached!(w, names(&w.db)).is_empty());
}

#[tokio::test]
async fn a_restricted_connection_has_the_methods_of_seaorms_and_invalidates_what_it_commits() {
    use sea_orm::rbac::{RbacEngine, RbacSnapshot, RbacUserId};

    let w = World::new().await;
    w.db.replace_rbac(RbacEngine::from_snapshot(RbacSnapshot::danger_unrestricted()));
    let db = w.db.restricted_for(RbacUserId(0)).unwrap();
    assert_eq!(db.user_id(), RbacUserId(0));
    db.user_can_run(&category::Entity::find().into_query()).unwrap();
    let (resources, permissions) = db.resources_and_permissions().unwrap();
    assert_eq!((&*resources[0].table, &*permissions[0].action), ("*", "*"));
    assert!(db.user_can(permissions[0].clone(), resources[0].clone()).unwrap());
    let [(role, 1)] = &db.roles_and_ranks().unwrap()[..] else { panic!("there is one role") };
    assert_eq!(&db.current_user_role_permissions().unwrap().role, role);
    assert!(db.role_hierarchy_edges(role.id).unwrap().is_empty());
    assert_eq!(db.role_permissions_by_resources(role.id).unwrap().len(), 1);

    assert_eq!(now_cached!(w, names(&w.db)), ["tech", "art"]);
    let rename = async |name: &str, fails: bool| {
        let name = name.to_owned();
        db.transaction_async(async |tx| {
            assert_eq!(tx.user_id(), RbacUserId(0));
            let row = category::ActiveModel { id: Set(1), name: Set(name.clone()) };
            row.update(tx).await?;
            if fails { Err(DbErr::Custom("no".into())) } else { Ok(7) }
        })
        .await
    };
    assert!(matches!(rename("undone", true).await, Err(TransactionError::Transaction(_))));
    assert_eq!(still_cached!(w, names(&w.db)), ["tech", "art"]);
    assert_eq!(rename("new", false).await.unwrap(), 7);
    assert_eq!(now_cached!(w, names(&w.db)), ["new", "art"]);

    let nested = db.transaction_with_config_async(
        async |tx| {
            let inner =
                tx.transaction_async(async |tx| category::Entity::delete_by_id(2).exec(tx).await);
            inner.await.map_err(|error| DbErr::Custom(error.to_string()))
        },
        None,
        Some(AccessMode::ReadWrite),
    );
    assert_eq!(nested.await.unwrap().rows_affected, 1);
    assert_eq!(now_cached!(w, names(&w.db)), ["new"]);

    for (commit, left) in [(false, 1), (true, 0)] {
        let tx = db.begin().await.unwrap();
        category::Entity::delete_by_id(1).exec(&tx).await.unwrap();
        without_imports::end_restricted(tx, commit).await;
        let (hit, rows) = w.hits(names(&w.db)).await;
        assert_eq!((hit, rows.unwrap().len()), (!commit, left));
    }
}

/// The functions are called with a connection, a transaction and a block.
#[tokio::test]
async fn a_block_calls_the_applications_own_functions_and_depends_on_what_they_read() {
    let w = World::new().await;
    let page = || {
        w.db.reads("page").get_or_load(|db| async move {
            let nested = db.reads("nested").get_or_load(|db| async move { count(&db).await });
            Ok::<_, DbErr>((names(&db).await?, nested.await?))
        })
    };
    names(&w.db).await.unwrap();
    let before = w.co.stats();
    let (first, articles) = page().await.unwrap();
    assert_eq!((first.len(), articles), (2, 4));
    assert_eq!(w.co.stats().hits, before.hits + 1, "what was cached was not read again");
    still_cached!(w, page());

    let row = category::ActiveModel { id: Set(2), name: Set("arts".into()) };
    row.update(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, page()).0, ["tech", "arts"]);
    // Of a hit, too.
    names(&w.db).await.unwrap();
    article::Entity::delete_by_id(1).exec(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, page()).1, 3);
    let row = category::ActiveModel { id: Set(2), name: Set("all arts".into()) };
    row.update(&w.db).await.unwrap();
    assert_eq!(now_cached!(w, page()).0, ["tech", "all arts"]);
}

/// A future holds what it waits for.
#[tokio::test]
async fn a_read_in_a_block_takes_no_more_of_the_stack_than_a_read() {
    let w = World::new().await;
    let read = names(&w.db);
    let block = w.db.reads("outer").get_or_load(|db| async move {
        let inner = db.reads("inner").get_or_load(|db| async move { names(&db).await });
        Ok::<_, DbErr>((inner.await?, names(&db).await?))
    });
    let (of_read, of_block) = (size_of_val(&read), size_of_val(&block));

    assert!(of_read < 16 << 10 && of_block < 16 << 10, "{of_read} and {of_block} bytes");
    assert_eq!(block.await.unwrap().0, read.await.unwrap());
}

#[tokio::test]
async fn a_block_stores_nothing_of_an_uncacheable_or_failed_read_in_it() {
    let w = World::new().await;
    let random = || {
        w.db.reads("random").get_or_load(|db| async move {
            let order = sea_orm::sea_query::Expr::cust("random()");
            let rows = category::Entity::find().order_by_asc(order).cache().all(&db).await?;
            Ok::<_, DbErr>(rows.len())
        })
    };
    let failed = || {
        w.db.reads("failed").get_or_load(|db| async move {
            let missing = Statement::from_string(DbBackend::Sqlite, "SELECT nothing FROM category");
            let rows = category::Model::find_by_statement(missing).cache().all(&db).await;
            names(&db).await?;
            Ok::<_, DbErr>(rows.is_err())
        })
    };
    for _ in 0..2 {
        let (hit, rows) = w.hits(random()).await;
        assert!(!hit && rows.unwrap() == 2);
        let (hit, is_err) = w.hits(failed()).await;
        assert!(!hit && is_err.unwrap());
    }
}

#[tokio::test]
async fn pages_are_a_stream_too() {
    let (w, db) = forum::open().await;
    let pages = || essay::Entity::find().order_by_id_asc().cache().paginate(&db, 2).into_stream();
    let all = async |stream: cacheops_sea_orm::PageStream<'_, essay::Model>| {
        use futures_util::TryStreamExt;
        stream.try_collect::<Vec<_>>().await
    };
    let read = now_cached!(w, all(pages()));
    assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn a_cursor_over_two_entities_is_cloned() {
    let (_w, db) = forum::open().await;
    let mut cursor = essay::Entity::find()
        .find_also_related(forum::member::Entity)
        .cache()
        .cursor_by(essay::Column::Id);
    let mut other = cursor.clone();
    assert_eq!(cursor.first(1).all(&db).await.unwrap().len(), 1);
    assert_eq!(other.first(2).all(&db).await.unwrap().len(), 2);
}

#[tokio::test]
async fn work_that_nobody_sees_invalidates_everything() {
    let w = World::new().await;
    names(&w.db).await.unwrap();
    let done = w.db.unseen(async |plain| {
        let sql = "UPDATE category SET name = 'migrated'";
        plain.execute_unprepared(sql).await?;
        Ok(7)
    });
    assert_eq!(done.await.unwrap(), 7);
    assert_eq!(now_cached!(w, names(&w.db)), ["migrated", "migrated"]);

    let failed = w.db.unseen(async |plain| {
        plain.execute_unprepared("UPDATE category SET name = 'half'").await?;
        Err::<(), _>(DbErr::Custom("the second step".into()))
    });
    assert!(failed.await.is_err());
    assert_eq!(now_cached!(w, names(&w.db)), ["half", "half"]);
}

#[tokio::test]
async fn an_unconfirmed_write_is_told_from_one_that_failed() {
    let server = Server::start();
    let co = builder(&server).strict(true).build().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let connection = open(&dir, "strict.db").await;
    let sql = "CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO category VALUES (1, 'a')";
    connection.execute_unprepared(sql).await.unwrap();
    let db = co.connect(connection);
    let insert =
        |id, name: &str| category::ActiveModel { id: Set(id), name: Set(name.into()) }.insert(&db);

    let refused = insert(1, "twice").await.unwrap_err();
    assert!(!refused.is_unconfirmed(), "{refused}");
    drop(server);
    let unconfirmed = insert(2, "b").await.unwrap_err();
    assert!(unconfirmed.is_unconfirmed(), "{unconfirmed}");
    assert_eq!(category::Entity::find().count(&db).await.unwrap(), 2, "it was written");
    let committed =
        db.transaction_async(async |tx| category::Entity::delete_by_id(2).exec(tx).await);
    assert!(committed.await.unwrap_err().is_unconfirmed());
    assert_eq!(category::Entity::find().count(&db).await.unwrap(), 1, "it was committed");
    assert!(!db.execute_unprepared("nonsense").await.unwrap_err().is_unconfirmed());
}
