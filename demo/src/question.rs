//! What visitors of the shop ask, each question in two ways: with `.cache()`, and without.

use cacheops_sea_orm::{Cache, CachedConn, Objects};
use sea_orm::sea_query::{Expr, Func, Order};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, FromQueryResult, JoinType,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Statement,
};
use serde::{Deserialize, Serialize};

use crate::entities::{author, book, line, order, review, tag};

/// A question with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A book and its author: a join.
    Book(i32),
    /// The books of an author. Cached by the profile of the table, nobody asks for it.
    OfAuthor(i32),
    /// Six books by their ids.
    Shelf([i32; 6]),
    /// A tag and its books, through a table between them.
    Tagged(i32),
    /// The latest ten reviews of a book.
    Reviews(i32),
    /// How many reviews a book has, and how many stars.
    Rating(i32),
    /// How many books of a category are for sale: COUNT.
    ForSale(i32),
    /// The best rated books of a category: a join, grouped.
    Ranking(i32),
    /// An order and its lines.
    Order(i32),
    /// What sold best: raw SQL with a CTE. Of all who miss it, one asks the database.
    BestSellers,
}

/// What the database or the cache answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Book(Option<(book::Model, Option<author::Model>)>),
    Books(Vec<book::Model>),
    Tagged(Vec<(tag::Model, Vec<book::Model>)>),
    Reviews(Vec<review::Model>),
    Rating(Option<(i64, Option<f64>)>),
    Count(u64),
    Ranking(Vec<(i32, String, i64)>),
    Order(Vec<(order::Model, Vec<line::Model>)>),
    BestSellers(Vec<BestSeller>),
}

/// A line of the list.
#[derive(Clone, Debug, PartialEq, FromQueryResult, Serialize, Deserialize)]
pub struct BestSeller {
    pub title: String,
    pub author: String,
    pub copies: i64,
}

const BEST_SELLERS: &str = r#"
    WITH sold AS (SELECT l.book_id, SUM(l.copies) AS copies FROM line l
                  JOIN "order" o ON o.id = l.order_id WHERE o.paid GROUP BY l.book_id)
    SELECT b.title, a.name AS author, sold.copies FROM sold
    JOIN book b ON b.id = sold.book_id JOIN author a ON a.id = b.author_id
    WHERE b.withdrawn_on IS NULL ORDER BY sold.copies DESC, b.id LIMIT 20"#;

/// Whom to ask.
#[derive(Clone, Copy)]
pub enum Whom<'a> {
    Cache(&'a CachedConn),
    Database(&'a DatabaseConnection),
}

/// The query as it is asked of the database, and with `.cache()` of the cache.
macro_rules! ask {
    ($whom:expr, $query:expr, $end:ident) => {
        match $whom {
            Whom::Cache(db) => $query.cache().$end(db).await?,
            Whom::Database(db) => $query.$end(db).await?,
        }
    };
}

impl Question {
    pub const KINDS: [&str; 10] = [
        "a book with its author",
        "books of an author, by profile",
        "shelf of six books (IN)",
        "books with a tag (many-to-many)",
        "latest reviews of a book",
        "rating of a book (COUNT, AVG)",
        "books for sale (count)",
        "ranking of a category (grouped)",
        "an order with its lines",
        "best sellers (raw SQL, CTE)",
    ];

    /// Its place in [`Self::KINDS`].
    pub fn kind(self) -> usize {
        match self {
            Self::Book(_) => 0,
            Self::OfAuthor(_) => 1,
            Self::Shelf(_) => 2,
            Self::Tagged(_) => 3,
            Self::Reviews(_) => 4,
            Self::Rating(_) => 5,
            Self::ForSale(_) => 6,
            Self::Ranking(_) => 7,
            Self::Order(_) => 8,
            Self::BestSellers => 9,
        }
    }

    pub async fn ask(self, whom: Whom<'_>) -> Result<Answer, DbErr> {
        Ok(match self {
            Self::Book(id) => {
                let query = book::Entity::find_by_id(id).find_also_related(author::Entity);
                Answer::Book(ask!(whom, query, one))
            }
            Self::OfAuthor(id) => Answer::Books(match whom {
                Whom::Cache(db) => of_author(book::Entity::objects(), id).all(db).await?,
                Whom::Database(db) => of_author(book::Entity::find(), id).all(db).await?,
            }),
            Self::Shelf(ids) => {
                let query = for_sale().filter(book::Column::Id.is_in(ids));
                Answer::Books(ask!(whom, query.order_by_asc(book::Column::Id), all))
            }
            Self::Tagged(id) => {
                let query = tag::Entity::find_by_id(id).find_with_related(book::Entity);
                Answer::Tagged(ask!(whom, query.order_by_asc(book::Column::Id), all))
            }
            Self::Reviews(id) => {
                let query = approved(id).order_by_desc(review::Column::Id).limit(10);
                Answer::Reviews(ask!(whom, query, all))
            }
            Self::Rating(id) => {
                let query = approved(id)
                    .select_only()
                    .column_as(review::Column::Id.count(), "number")
                    .expr_as(Func::avg(Expr::col(review::Column::Stars)), "stars")
                    .into_tuple();
                Answer::Rating(ask!(whom, query, one))
            }
            Self::ForSale(category) => {
                let query = for_sale().filter(book::Column::Category.eq(category));
                Answer::Count(ask!(whom, query, count))
            }
            Self::Ranking(category) => {
                let query = for_sale()
                    .join(JoinType::InnerJoin, book::Relation::Review.def())
                    .filter(book::Column::Category.eq(category))
                    .filter(review::Column::Approved.eq(true))
                    .select_only()
                    .columns([book::Column::Id, book::Column::Title])
                    .column_as(review::Column::Stars.sum(), "stars")
                    .group_by(book::Column::Id)
                    .order_by(review::Column::Stars.sum(), Order::Desc)
                    .order_by_asc(book::Column::Id)
                    .limit(10)
                    .into_tuple();
                Answer::Ranking(ask!(whom, query, all))
            }
            Self::Order(id) => {
                let query = order::Entity::find_by_id(id).find_with_related(line::Entity);
                Answer::Order(ask!(whom, query.order_by_asc(line::Column::Id), all))
            }
            Self::BestSellers => {
                let statement = Statement::from_string(DbBackend::Sqlite, BEST_SELLERS);
                let query = BestSeller::find_by_statement(statement);
                Answer::BestSellers(match whom {
                    Whom::Cache(db) => query.cache().lock(true).all(db).await?,
                    Whom::Database(db) => query.all(db).await?,
                })
            }
        })
    }
}

fn of_author<Q: QueryFilter + QueryOrder>(books: Q, id: i32) -> Q {
    let books = books.filter(book::Column::AuthorId.eq(id));
    books.filter(book::Column::WithdrawnOn.is_null()).order_by_asc(book::Column::Id)
}

fn for_sale() -> sea_orm::Select<book::Entity> {
    book::Entity::find().filter(book::Column::WithdrawnOn.is_null())
}

fn approved(book: i32) -> sea_orm::Select<review::Entity> {
    let of_book = review::Entity::find().filter(review::Column::BookId.eq(book));
    of_book.filter(review::Column::Approved.eq(true))
}
