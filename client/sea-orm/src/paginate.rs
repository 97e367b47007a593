//! Pages of a cached query: each is an entry of its own, and so is the number of rows.

use sea_orm::{DbErr, ItemsAndPagesNumber};

use crate::cached::{Cached, count};
use crate::query::SelectQuery;
use crate::source::Source;

/// The pages of a cached query, as SeaORM's own paginator has them.
#[derive(Debug)]
pub struct CachedPaginator<'db, S, Q> {
    cached: Cached<Q>,
    db: &'db S,
    page_size: u64,
    page: u64,
}

impl<'db, S: Source, Q: SelectQuery> CachedPaginator<'db, S, Q> {
    pub(crate) fn new(cached: Cached<Q>, db: &'db S, page_size: u64) -> Self {
        assert!(page_size != 0, "page_size should not be zero");
        Self { cached, db, page_size, page: 0 }
    }

    /// The rows of a page; the first is 0.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch_page(&self, page: u64) -> Result<Vec<Q::Item>, DbErr> {
        let Cached { query, options } = self.cached.clone();
        let query = query.limit(self.page_size).offset(self.page_size * page);
        Cached { query, options }.all(self.db).await
    }

    /// The rows of the page that it stands at.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch(&self) -> Result<Vec<Q::Item>, DbErr> {
        self.fetch_page(self.page).await
    }

    /// The rows of the page that it stands at, and a step to the next; none behind the last.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch_and_next(&mut self) -> Result<Option<Vec<Q::Item>>, DbErr> {
        let rows = self.fetch().await?;
        self.page += 1;
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The number of rows of all pages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn num_items(&self) -> Result<u64, DbErr> {
        let mut rows = self.cached.query.select();
        rows.reset_limit().reset_offset().clear_order_by();
        count(self.db, &self.cached.options, Q::table(), rows).await
    }

    /// The number of pages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn num_pages(&self) -> Result<u64, DbErr> {
        Ok(self.num_items().await?.div_ceil(self.page_size))
    }

    /// Both numbers, of one question.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn num_items_and_pages(&self) -> Result<ItemsAndPagesNumber, DbErr> {
        let number_of_items = self.num_items().await?;
        let number_of_pages = number_of_items.div_ceil(self.page_size);
        Ok(ItemsAndPagesNumber { number_of_items, number_of_pages })
    }

    /// The page that it stands at.
    pub fn cur_page(&self) -> u64 {
        self.page
    }
}
