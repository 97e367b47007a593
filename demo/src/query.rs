//! The queries of the shop: their SQL, and the conditions that their results depend on.

use std::fmt::Write;

use cacheops::Condition;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params};

use crate::Failure;

/// A query with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// One book with its author and category: a join of three tables.
    Book(i64),
    /// The books of an author that are for sale.
    ByAuthor(i64),
    /// The latest reviews of a book.
    Reviews(i64),
    /// The number and the average of a book's stars.
    Rating(i64),
    /// Six books by their ids: `IN`.
    Shelf([i64; 6]),
    /// The books with a tag.
    Tag(i64),
    /// The best rated books of a category: a join, grouped.
    Ranking(i64),
    /// The best rated authors of the shop: three tables, hardly a WHERE.
    BestAuthors,
}

/// What a query's result depends on.
pub type Conditions = Vec<(&'static str, Condition)>;

impl Query {
    pub const KINDS: [&str; 8] = [
        "one book, 3 tables joined",
        "books of an author",
        "reviews of a book",
        "rating of a book (COUNT, AVG)",
        "shelf of six books (IN)",
        "books with a tag",
        "ranking of a category",
        "best authors of the shop",
    ];

    /// Its place in [`Self::KINDS`].
    pub fn kind(self) -> usize {
        match self {
            Self::Book(_) => 0,
            Self::ByAuthor(_) => 1,
            Self::Reviews(_) => 2,
            Self::Rating(_) => 3,
            Self::Shelf(_) => 4,
            Self::Tag(_) => 5,
            Self::Ranking(_) => 6,
            Self::BestAuthors => 7,
        }
    }

    /// The key of its entry.
    pub fn key(self) -> String {
        match self {
            Self::Book(id) => format!("book:{id}"),
            Self::ByAuthor(id) => format!("author:{id}:books"),
            Self::Reviews(id) => format!("book:{id}:reviews"),
            Self::Rating(id) => format!("book:{id}:rating"),
            Self::Shelf(ids) => format!("shelf:{}", list(&ids)),
            Self::Tag(id) => format!("tag:{id}:books"),
            Self::Ranking(id) => format!("category:{id}:ranking"),
            Self::BestAuthors => "authors:best".to_string(),
        }
    }

    /// Asks the database.
    pub fn run(self, db: &Connection) -> Result<String, Failure> {
        match self {
            Self::Book(id) => text(
                db,
                "SELECT b.id, b.title, b.price_cents, b.withdrawn_on, a.name, c.name,
                        b.author_id, b.category_id
                 FROM book b JOIN author a ON a.id = b.author_id
                             JOIN category c ON c.id = b.category_id
                 WHERE b.id = ?1",
                [id],
            ),
            Self::ByAuthor(id) => text(
                db,
                "SELECT id, title, price_cents FROM book
                 WHERE author_id = ?1 AND withdrawn_on IS NULL ORDER BY title, id",
                [id],
            ),
            Self::Reviews(id) => text(
                db,
                "SELECT id, stars, body FROM review
                 WHERE book_id = ?1 AND approved = 1 ORDER BY id DESC LIMIT 10",
                [id],
            ),
            Self::Rating(id) => text(
                db,
                "SELECT COUNT(*), ROUND(AVG(stars), 2) FROM review
                 WHERE book_id = ?1 AND approved = 1",
                [id],
            ),
            Self::Shelf(ids) => text(
                db,
                "SELECT id, title, price_cents FROM book
                 WHERE id IN (?, ?, ?, ?, ?, ?) AND withdrawn_on IS NULL ORDER BY id",
                ids,
            ),
            Self::Tag(id) => text(
                db,
                "SELECT b.id, b.title FROM book_tag bt JOIN book b ON b.id = bt.book_id
                 WHERE bt.tag_id = ?1 AND b.withdrawn_on IS NULL ORDER BY b.title, b.id LIMIT 20",
                [id],
            ),
            Self::Ranking(id) => text(
                db,
                "SELECT b.id, b.title, COUNT(*), ROUND(AVG(r.stars), 2)
                 FROM book b JOIN review r ON r.book_id = b.id AND r.approved = 1
                 WHERE b.category_id = ?1 AND b.withdrawn_on IS NULL
                 GROUP BY b.id ORDER BY AVG(r.stars) DESC, COUNT(*) DESC, b.id LIMIT 10",
                [id],
            ),
            Self::BestAuthors => text(
                db,
                "SELECT a.name, COUNT(*), ROUND(AVG(r.stars), 2)
                 FROM author a JOIN book b ON b.author_id = a.id JOIN review r ON r.book_id = b.id
                 WHERE r.approved = 1 AND b.withdrawn_on IS NULL
                 GROUP BY a.id ORDER BY AVG(r.stars) DESC, a.id LIMIT 10",
                [],
            ),
        }
    }

    /// The conditions of its result, in the state of the database that the result was read from.
    ///
    /// Where a join follows a reference out of a row that is itself a condition, the rows it leads
    /// to now are enough: to lead elsewhere, the first row would have to change.
    pub fn conditions(self, db: &Connection) -> Result<Conditions, Failure> {
        let all = Condition::all;
        let for_sale = || all().null("withdrawn_on");
        let approved = || all().term("approved", 1);
        Ok(match self {
            Self::Book(id) => {
                let references = "SELECT author_id, category_id FROM book WHERE id = ?1";
                let (author, category): (i64, i64) = db
                    .prepare_cached(references)?
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                vec![
                    ("book", all().term("id", id)),
                    ("author", all().term("id", author)),
                    ("category", all().term("id", category)),
                ]
            }
            Self::ByAuthor(id) => vec![("book", for_sale().term("author_id", id))],
            Self::Reviews(id) | Self::Rating(id) => {
                vec![("review", approved().term("book_id", id))]
            }
            Self::Shelf(ids) => vec![("book", for_sale().one_of("id", ids))],
            Self::Tag(id) => {
                let books = ids(db, "SELECT book_id FROM book_tag WHERE tag_id = ?1", id)?;
                vec![
                    ("book_tag", all().term("tag_id", id)),
                    ("book", for_sale().one_of("id", books)),
                ]
            }
            Self::Ranking(id) => {
                let books = "SELECT id FROM book WHERE category_id = ?1 AND withdrawn_on IS NULL";
                vec![
                    ("book", for_sale().term("category_id", id)),
                    ("review", approved().one_of("book_id", ids(db, books, id)?)),
                ]
            }
            Self::BestAuthors => {
                vec![("author", all()), ("book", for_sale()), ("review", approved())]
            }
        })
    }
}

/// A result as text: a line per row, values parted by tabs. Any encoding would do.
fn text(db: &Connection, sql: &str, params: impl Params) -> Result<String, Failure> {
    let mut select = db.prepare_cached(sql)?;
    let columns = select.column_count();
    let mut rows = select.query(params)?;
    let mut text = String::new();
    while let Some(row) = rows.next()? {
        for i in 0..columns {
            match row.get_ref(i)? {
                ValueRef::Null => text.push_str("NULL"),
                ValueRef::Integer(integer) => write!(text, "{integer}")?,
                ValueRef::Real(real) => write!(text, "{real}")?,
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    text.push_str(std::str::from_utf8(bytes)?)
                }
            }
            text.push(if i + 1 < columns { '\t' } else { '\n' });
        }
    }
    Ok(text)
}

fn ids(db: &Connection, sql: &str, parameter: i64) -> Result<Vec<i64>, Failure> {
    let mut select = db.prepare_cached(sql)?;
    let ids = select.query_map([parameter], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}
