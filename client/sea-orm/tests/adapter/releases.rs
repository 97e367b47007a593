//! Two releases of a program that share a cache, in which a type of one name is not the same.

use cacheops_sea_orm::Cache;
use sea_orm::{EntityTrait, QuerySelect};

use crate::entities::article;
use crate::world::World;

/// Two releases of a program: a type has one more field in the second, and the name it had.
#[tokio::test]
async fn what_another_release_has_stored_lacks_no_field() {
    let w = World::new().await;
    macro_rules! release {
        ($($field:ident: $type:ty),*) => {{
            #[derive(Debug, PartialEq, sea_orm::FromQueryResult, serde::Serialize, serde::Deserialize)]
            struct Row {
                id: i32,
                $($field: $type,)*
            }
            let rows = article::Entity::find().into_model::<Row>().cache().all(&w.db).await.unwrap();
            let kind = std::any::type_name::<Row>();
            (kind, rows.into_iter().map(|row| (row.id, $(row.$field,)*)).next().unwrap())
        }};
    }

    let (kind, _) = release!();
    let (same, row) = release!(title: Option<String>);

    assert_eq!(kind, same, "the test needs two types of one name");
    assert_eq!(row, (1, Some("article 1".to_owned())));
    let hits = w.co.stats().hits;
    release!();
    release!();
    assert_eq!(w.co.stats().hits, hits + 1, "each release stores its own");
}

/// The same for a model, which is kept by its columns.
#[tokio::test]
async fn columns_that_change_their_places_change_no_values() {
    let w = World::new().await;
    macro_rules! release {
        ($($field:ident),*) => {{
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = "article")]
            pub struct Model {
                #[sea_orm(primary_key)]
                pub id: i32,
                $(pub $field: String,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            let columns = [Column::Id, Column::Title, Column::Secret];
            let query = Entity::find().select_only().columns(columns).filter(Column::Id.eq(1));
            let row = query.cache().all(&w.db).await.unwrap().remove(0);
            (std::any::type_name::<Model>(), row.title, row.secret)
        }};
    }

    let first = release!(title, secret);
    let second = release!(secret, title);

    assert_eq!(first, second);
    assert_eq!(second.1, "article 1");
}
