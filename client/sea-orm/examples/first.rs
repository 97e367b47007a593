//! The first program of the README: a table, a cached query, a write.
//!
//! `REDIS_URL=redis://127.0.0.1:6379/ cargo run -p cacheops-sea-orm --example first`; that server has loaded the module.

use cacheops_sea_orm::{Cache, Cacheops, Connect};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ActiveModelTrait, ColumnTrait, Database, EntityTrait, IntoActiveModel, QueryFilter};

mod post {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "post")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub topic: String,
        pub title: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
use post::{ActiveModel, Column, Entity as Post};

/// Reads twice, writes, and reads again.
#[tokio::main]
pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let co = Cacheops::connect(std::env::var("REDIS_URL")?).await?;
    let plain = Database::connect("sqlite::memory:").await?;
    plain.get_schema_builder().register(Post).apply(&plain).await?;
    let db = co.connect(plain); // the one change

    let post = ActiveModel { id: NotSet, topic: Set("rust".into()), title: Set("One".into()) };
    let post = post.insert(&db).await?;

    let about_rust = || Post::find().filter(Column::Topic.eq("rust")).cache().all(&db);
    println!("{:?}", about_rust().await?); // from the database
    println!("{:?}", about_rust().await?); // from the cache

    let mut post = post.into_active_model();
    post.title = Set("Two".into());
    post.update(&db).await?; // invalidates exactly the results that depend on the row
    println!("{:?}", about_rust().await?); // from the database again

    let seen = co.stats();
    println!("{} hit, {} misses, {} link cut", seen.hits, seen.misses, seen.links_cut);
    Ok(())
}
