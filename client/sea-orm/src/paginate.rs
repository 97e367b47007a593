//! Pages of a cached query: each is an entry of its own, and so is the number of rows.

use std::pin::Pin;

use futures_util::Stream;
use sea_orm::{DbErr, ItemsAndPagesNumber, Paginator, PaginatorTrait};

use cacheops_adapter::Options;

use crate::cached::{Cached, count, rows};
use crate::query::{SelectQuery, selected};
use crate::read::read;
use crate::rehearse::{self, Rehearsal};
use crate::source::Source;

/// What makes items of the rows of a page.
type Selected<Q> = <Q as PaginatorTrait<'static, Rehearsal>>::Selector;

/// Pages as they are asked for.
pub type PageStream<'db, T> = Pin<Box<dyn Stream<Item = Result<Vec<T>, DbErr>> + Send + 'db>>;

/// The pages of a cached query, as SeaORM's own [`Paginator`] has them.
pub struct CachedPaginator<'db, S, Q: SelectQuery> {
    /// Makes the statements.
    pages: Paginator<'static, Rehearsal, Selected<Q>>,
    options: Options,
    db: &'db S,
    page_size: u64,
}

impl<Q: SelectQuery> Cached<Q> {
    /// The rows page by page.
    pub fn paginate<S: Source>(self, db: &S, page_size: u64) -> CachedPaginator<'_, S, Q> {
        CachedPaginator::new(self, db, page_size)
    }
}

impl<'db, S: Source, Q: SelectQuery> CachedPaginator<'db, S, Q> {
    pub(crate) fn new(cached: Cached<Q>, db: &'db S, page_size: u64) -> Self {
        let rehearsal = Rehearsal::of(db.get_database_backend());
        let pages = cached.query.paginate(rehearsal, page_size);
        Self { pages, options: cached.options, db, page_size }
    }

    /// The rows of a page; the first is 0.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch_page(&self, page: u64) -> Result<Vec<Q::Item>, DbErr> {
        let backend = self.db.get_database_backend();
        let statement = rehearse::question(backend, self.pages.fetch_page(page));
        let request = rows::<Q>(&self.options);
        let decode = selected::<Selected<Q>>;
        read(self.db.context(), request, statement, Q::Codec::default(), decode).await
    }

    /// The rows of the page that it stands at.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch(&self) -> Result<Vec<Q::Item>, DbErr> {
        self.fetch_page(self.cur_page()).await
    }

    /// The rows of the page that it stands at, and a step to the next; none behind the last.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fetch_and_next(&mut self) -> Result<Option<Vec<Q::Item>>, DbErr> {
        let rows = self.fetch().await?;
        self.next();
        Ok((!rows.is_empty()).then_some(rows))
    }

    /// The number of rows of all pages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn num_items(&self) -> Result<u64, DbErr> {
        let backend = self.db.get_database_backend();
        let statement = rehearse::question(backend, self.pages.num_items());
        count(self.db, &self.options, Q::table(), statement).await
    }

    /// The number of pages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn num_pages(&self) -> Result<u64, DbErr> {
        Ok(self.num_items_and_pages().await?.number_of_pages)
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

    /// The pages from the one that it stands at, until one is empty.
    pub fn into_stream(self) -> PageStream<'db, Q::Item>
    where
        Q: 'db,
    {
        let next = |mut pages: Self| async move {
            let page = pages.fetch_and_next().await?;
            Ok(page.map(|rows| (rows, pages)))
        };
        Box::pin(futures_util::stream::try_unfold(self, next))
    }

    /// The page that it stands at.
    pub fn cur_page(&self) -> u64 {
        self.pages.cur_page()
    }

    /// A step to the next page.
    pub fn next(&mut self) {
        self.pages.next();
    }

    /// A step to this page.
    pub fn set_page(&mut self, page: u64) {
        self.pages.set_page(page);
    }
}

impl<S, Q: SelectQuery> std::fmt::Debug for CachedPaginator<'_, S, Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedPaginator")
            .field("page_size", &self.page_size)
            .finish_non_exhaustive()
    }
}
