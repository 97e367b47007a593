//! The blog: two tables, four routes. Only `.cache()` tells that there is a cache.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use cacheops_sea_orm::{Cache, CachedConn};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

pub mod post {
    //! What somebody wrote.

    use sea_orm::entity::prelude::*;

    /// A post.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize)]
    #[sea_orm(table_name = "post")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key)]
        pub id: i32,
        /// Its topic.
        pub topic: String,
        /// Its title.
        pub title: String,
    }

    /// Nothing that it belongs to.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        /// What was answered.
        #[sea_orm(has_many = "super::comment::Entity")]
        Comment,
    }

    impl Related<super::comment::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Comment.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod comment {
    //! What somebody answered.

    use sea_orm::entity::prelude::*;

    /// A comment. It goes with its post.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize)]
    #[sea_orm(table_name = "comment")]
    pub struct Model {
        /// Its number.
        #[sea_orm(primary_key)]
        pub id: i32,
        /// Its post.
        pub post_id: i32,
        /// What it says.
        pub text: String,
    }

    /// The post.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        /// The post.
        #[sea_orm(
            belongs_to = "super::post::Entity",
            from = "Column::PostId",
            to = "super::post::Column::Id",
            on_delete = "Cascade"
        )]
        Post,
    }

    impl Related<super::post::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Post.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Makes the tables.
pub async fn create<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
    db.execute_unprepared(
        "CREATE TABLE post (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, title TEXT NOT NULL);
         CREATE TABLE comment (id INTEGER PRIMARY KEY, text TEXT NOT NULL,
             post_id INTEGER NOT NULL REFERENCES post ON DELETE CASCADE)",
    )
    .await?;
    Ok(())
}

/// The blog on a connection.
pub fn router(db: CachedConn) -> Router {
    Router::new()
        .route("/topics/{topic}", get(topic))
        .route("/posts", axum::routing::post(write))
        .route("/posts/{id}", get(show).put(retitle).delete(remove))
        .route("/posts/{id}/comments", axum::routing::post(comment))
        .with_state(db)
}

/// What a reader sends.
#[derive(Deserialize)]
struct Post {
    topic: String,
    title: String,
}

#[derive(Deserialize)]
struct Title {
    title: String,
}

#[derive(Deserialize)]
struct Comment {
    text: String,
}

#[derive(Serialize)]
struct Page {
    post: post::Model,
    comments: Vec<comment::Model>,
}

/// What went wrong, as a status.
struct Failed(DbErr);

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> axum::response::Response {
        let status = match self.0 {
            DbErr::RecordNotFound(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.0.to_string()).into_response()
    }
}

async fn topic(
    State(db): State<CachedConn>,
    Path(topic): Path<String>,
) -> Result<Json<Vec<post::Model>>, Failed> {
    let posts = post::Entity::find()
        .filter(post::Column::Topic.eq(topic))
        .order_by_desc(post::Column::Id)
        .limit(20);
    Ok(Json(posts.cache().all(&db).await?))
}

async fn show(State(db): State<CachedConn>, Path(id): Path<i32>) -> Result<Json<Page>, Failed> {
    let post = post::Entity::find_by_id(id).cache().get(&db).await?;
    let comments = comment::Entity::find()
        .filter(comment::Column::PostId.eq(id))
        .order_by_asc(comment::Column::Id);
    Ok(Json(Page { post, comments: comments.cache().all(&db).await? }))
}

async fn write(
    State(db): State<CachedConn>,
    Json(new): Json<Post>,
) -> Result<Json<post::Model>, Failed> {
    let post = post::ActiveModel { id: NotSet, topic: Set(new.topic), title: Set(new.title) };
    Ok(Json(post.insert(&db).await?))
}

async fn retitle(
    State(db): State<CachedConn>,
    Path(id): Path<i32>,
    Json(new): Json<Title>,
) -> Result<Json<post::Model>, Failed> {
    let mut post = post::Entity::find_by_id(id).cache().get(&db).await?.into_active_model();
    post.title = Set(new.title);
    Ok(Json(post.update(&db).await?))
}

async fn remove(State(db): State<CachedConn>, Path(id): Path<i32>) -> Result<StatusCode, Failed> {
    post::Entity::delete_by_id(id).exec(&db).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn comment(
    State(db): State<CachedConn>,
    Path(id): Path<i32>,
    Json(new): Json<Comment>,
) -> Result<Json<comment::Model>, Failed> {
    let comment = comment::ActiveModel { id: NotSet, post_id: Set(id), text: Set(new.text) };
    Ok(Json(comment.insert(&db).await?))
}
