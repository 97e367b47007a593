//! The database: a bookshop in an SQLite file, the same in every run.

use std::path::Path;

use cacheops::{Row, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::Failure;
use crate::random::Random;

pub const AUTHORS: i64 = 400;
pub const CATEGORIES: i64 = 24;
pub const TAGS: i64 = 120;
pub const BOOKS: i64 = 6_000;
const REVIEWS: i64 = 40_000;
/// The one that everybody has an opinion about.
pub const BESTSELLER: i64 = 1;
const BESTSELLER_REVIEWS: i64 = 2_000;

const SCHEMA: &str = "
    PRAGMA foreign_keys = ON;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE author   (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE tag      (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE book (
        id           INTEGER PRIMARY KEY,
        author_id    INTEGER NOT NULL REFERENCES author,
        category_id  INTEGER NOT NULL REFERENCES category,
        title        TEXT NOT NULL,
        price_cents  INTEGER NOT NULL,
        withdrawn_on TEXT
    );
    CREATE TABLE book_tag (
        book_id INTEGER NOT NULL REFERENCES book,
        tag_id  INTEGER NOT NULL REFERENCES tag,
        PRIMARY KEY (book_id, tag_id)
    );
    CREATE TABLE review (
        id       INTEGER PRIMARY KEY,
        book_id  INTEGER NOT NULL REFERENCES book,
        stars    INTEGER NOT NULL,
        body     TEXT NOT NULL,
        approved INTEGER NOT NULL
    );
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE INDEX book_author   ON book (author_id);
    CREATE INDEX book_category ON book (category_id);
    CREATE INDEX book_tag_tag  ON book_tag (tag_id);
    CREATE INDEX review_book   ON review (book_id, approved);
";

const GIVEN: [&str; 12] = [
    "Ada", "Bruno", "Chiara", "Dimitri", "Elif", "Farid", "Greta", "Hana", "Ivo", "Jun", "Karin",
    "Luca",
];
const FAMILY: [&str; 10] = [
    "Almeida",
    "Brandt",
    "Costa",
    "Dvořák",
    "Eriksen",
    "Fontana",
    "Grigoryan",
    "Haddad",
    "Ito",
    "O'Neill",
];
const ADJECTIVES: [&str; 10] = [
    "Quiet",
    "Last",
    "Broken",
    "Golden",
    "100 %",
    "Hidden",
    "Northern",
    "Salt & Pepper",
    "A = A",
    "Unwritten",
];
const NOUNS: [&str; 10] = [
    "Harbour",
    "Garden",
    "Winter",
    "Letters",
    "Cartographer",
    "Clock",
    "River | Sea",
    "Kitchen",
    "Orchard",
    "Theorem",
];
const OPINIONS: [&str; 6] = [
    "Could not put it down.",
    "A little long.",
    "My aunt liked it.",
    "The ending!",
    "Not for me.",
    "Read it twice.",
];

pub struct Shop {
    pub db: Connection,
}

impl Shop {
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let mut db = Connection::open(path)?;
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(SCHEMA)?;

        let mut random = Random::seeded(2014);
        let tx = db.transaction()?;
        {
            let mut author = tx.prepare("INSERT INTO author VALUES (?, ?)")?;
            for id in 1..=AUTHORS {
                let name = format!("{} {}", random.pick(&GIVEN), random.pick(&FAMILY));
                author.execute(params![id, name])?;
            }
            let mut category = tx.prepare("INSERT INTO category VALUES (?, ?)")?;
            for id in 1..=CATEGORIES {
                category.execute(params![id, format!("Category {id}")])?;
            }
            let mut tag = tx.prepare("INSERT INTO tag VALUES (?, ?)")?;
            for id in 1..=TAGS {
                tag.execute(params![id, format!("tag-{id}")])?;
            }
            let mut book = tx.prepare("INSERT INTO book VALUES (?, ?, ?, ?, ?, ?)")?;
            let mut book_tag = tx.prepare("INSERT OR IGNORE INTO book_tag VALUES (?, ?)")?;
            for id in 1..=BOOKS {
                let title = format!("The {} {}", random.pick(&ADJECTIVES), random.pick(&NOUNS));
                let withdrawn_on = (random.below(20) == 0).then_some("2025-12-31");
                book.execute(params![
                    id,
                    1 + random.below(AUTHORS as usize) as i64,
                    1 + random.below(CATEGORIES as usize) as i64,
                    title,
                    500 + random.below(4_500) as i64,
                    withdrawn_on
                ])?;
                for _ in 0..3 {
                    book_tag.execute([id, 1 + random.below(TAGS as usize) as i64])?;
                }
            }
            let mut review = tx.prepare("INSERT INTO review VALUES (?, ?, ?, ?, ?)")?;
            for id in 1..=REVIEWS {
                let (book_id, approved) = if id <= BESTSELLER_REVIEWS {
                    (BESTSELLER, id % 2)
                } else {
                    let approved = i64::from(random.below(10) > 0);
                    (1 + random.below(BOOKS as usize) as i64, approved)
                };
                let stars = 1 + random.below(5) as i64;
                review.execute(params![id, book_id, stars, random.pick(&OPINIONS), approved])?;
            }
            tx.execute("INSERT INTO setting VALUES ('currency', 'EUR')", [])?;
        }
        tx.commit()?;
        db.execute("UPDATE book SET withdrawn_on = NULL WHERE id = ?", [BESTSELLER])?;
        db.execute_batch("ANALYZE")?;
        Ok(Self { db })
    }

    /// The sizes of the tables, the largest first.
    pub fn sizes(&self) -> Result<Vec<(&'static str, i64)>, Failure> {
        let mut sizes = Vec::new();
        for table in ["author", "category", "tag", "book", "book_tag", "review", "setting"] {
            let count = format!("SELECT COUNT(*) FROM {table}");
            sizes.push((table, self.db.query_row(&count, [], |row| row.get(0))?));
        }
        sizes.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        Ok(sizes)
    }

    /// Runs a statement and returns the images of the rows it touched, old and new.
    ///
    /// `rows` selects them by columns that the statement does not change.
    pub fn write(&self, table: &str, sql: &str, rows: &str) -> Result<Vec<Row>, Failure> {
        let mut images = self.images(table, rows)?;
        self.db.execute(sql, [])?;
        images.extend(self.images(table, rows)?);
        Ok(images)
    }

    fn images(&self, table: &str, rows: &str) -> Result<Vec<Row>, Failure> {
        let mut select = self.db.prepare(&format!("SELECT * FROM {table} WHERE {rows}"))?;
        let names: Vec<String> = select.column_names().into_iter().map(Into::into).collect();
        let mut images = Vec::new();
        let mut found = select.query([])?;
        while let Some(row) = found.next()? {
            let mut image = Row::new();
            for (i, name) in names.iter().enumerate() {
                let value = match row.get_ref(i)? {
                    ValueRef::Null => Value::NULL,
                    ValueRef::Integer(integer) => integer.into(),
                    ValueRef::Text(text) | ValueRef::Blob(text) => text.into(),
                    // A float has many spellings; left out, the field is unknown.
                    ValueRef::Real(_) => continue,
                };
                image = image.set(name, value);
            }
            images.push(image);
        }
        Ok(images)
    }
}
