//! `local_get`: values of gets in the process, each proven by the server.

use cacheops_sea_orm::{Cache, CachedConn, Connect, Objects, Ops, Profile};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::entities::article;
use crate::world::{World, builder, open};

async fn retitle(db: &CachedConn, title: &str) {
    article::Entity::update_many()
        .col_expr(article::Column::Title, Expr::value(title))
        .filter(article::Column::Id.eq(1))
        .exec(db)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_get_is_served_from_the_process_until_anybody_writes() {
    let profile = Profile::new().ops(Ops::GET).local_get(true);
    let w = World::with(|server| builder(server).profile("*", profile)).await;
    // As another process has it.
    let theirs = builder(&w._server).build().await.unwrap();
    let other = theirs.connect(open(&w.dir, "blog.db").await);
    let title = async || {
        let near = w.co.stats().near_hits;
        let found = article::Entity::objects().filter(article::Column::Id.eq(1)).get(&w.db).await;
        (found.unwrap().title, w.co.stats().near_hits - near)
    };

    assert_eq!(title().await, ("article 1".to_owned(), 0));
    for _ in 0..2 {
        assert_eq!(title().await, ("article 1".to_owned(), 1));
    }
    retitle(&w.db, "ours").await;
    assert_eq!(title().await, ("ours".to_owned(), 0));
    assert_eq!(title().await, ("ours".to_owned(), 1));
    retitle(&other, "theirs").await;
    assert_eq!(title().await, ("theirs".to_owned(), 0));
    assert_eq!(title().await, ("theirs".to_owned(), 1));

    // Lists come from the server.
    let list = || article::Entity::find().cache().all(&w.db);
    let near = w.co.stats().near_hits;
    list().await.unwrap();
    assert!(w.hits(list()).await.0);
    assert_eq!(w.co.stats().near_hits, near);
}
