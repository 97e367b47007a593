//! The shop: its database, what visitors have asked so far, and the comparison of each answer.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cacheops_sea_orm::cacheops::Invalidated;
use cacheops_sea_orm::{CachedConn, Cacheops, Connect, Ops, Profile};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};

use crate::Failure;
use crate::entities::{author, book, book_tag, line, order, review, setting, tag};
use crate::question::{Answer, Question, Whom};

/// A machine may be busy with other things; a show need not be quick to give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The book that everybody has an opinion about.
pub const BESTSELLER: i32 = 1;

const GIVEN: &str = r#""Ada","Bruno","Chiara","Dimitri","Elif","Farid","Greta","Hana""#;
const FAMILY: &str = r#""Almeida","Brandt","Costa","Dvořák","Eriksen","Grigoryan","O''Neill""#;
const ADJECTIVES: &str = r#""Quiet","Last","100 %","Salt & Pepper","A = A","Unwritten""#;
const NOUNS: &str = r#""Harbour","Garden","Letters","Clock","River | Sea","Theorem""#;
const OPINIONS: &str = r#""Could not put it down.","A little long.","The ending!","Not for me.""#;

/// How large the shop is.
#[derive(Clone, Copy)]
pub struct Size {
    pub authors: i32,
    pub categories: i32,
    pub tags: i32,
    pub books: i32,
    pub reviews: i32,
    pub orders: i32,
}

/// A process of the application: a pool of connections to the database, and the cache.
#[derive(Clone)]
pub struct Process {
    pub co: Cacheops,
    pub db: CachedConn,
    told: Arc<Mutex<(usize, u64)>>,
}

impl Process {
    /// All that an application does for the cache: a handle, profiles, and the connection.
    pub async fn start(url: &str, file: &Path) -> Result<Self, Failure> {
        let told = Arc::new(Mutex::new((0, 0)));
        let hook = Arc::clone(&told);
        let co = Cacheops::builder(url)
            .profile("*", Profile::new())
            .profile("book", Profile::new().ops(Ops::GET | Ops::FETCH))
            .response_timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .on_invalidate(move |event| {
                let mut told = hook.lock().unwrap_or_else(PoisonError::into_inner);
                told.0 += event.changes.rows();
                if let Invalidated::Confirmed(links) = event.outcome {
                    told.1 += links;
                }
            })
            .build()
            .await?;
        let connection = open(file).await?;
        let db = co
            .connector()
            .model::<review::Entity>() // rows that the database deletes by itself
            .model::<book_tag::Entity>()
            .model::<line::Entity>()
            .connect(connection);
        Ok(Self { co, db, told })
    }

    /// What the cache was told since the last call: rows, and the links that they cut.
    pub fn told(&self) -> (usize, u64) {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the cache and the database, and compares.
    pub async fn ask(&self, question: Question, compared: &AtomicU64) -> Result<Answer, Failure> {
        let answer = question.ask(Whom::Cache(&self.db)).await?;
        let fresh = question.ask(Whom::Database(self.db.inner())).await?;
        if answer != fresh {
            return Err(format!("{question:?} is STALE: {answer:?}, not {fresh:?}").into());
        }
        compared.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }
}

pub struct Shop {
    pub process: Process,
    known: Vec<(Question, Answer)>,
    /// Answers that were compared with the database's.
    pub compared: AtomicU64,
}

/// What a look at every question showed.
#[derive(Default)]
pub struct Audit {
    /// Entries that were not there any more.
    pub gone: usize,
    /// Questions that have another answer than last time.
    pub changed: usize,
    pub hits: usize,
}

impl Shop {
    pub fn new(process: Process) -> Self {
        Self { process, known: Vec::new(), compared: AtomicU64::new(0) }
    }

    pub fn questions(&self) -> impl ExactSizeIterator<Item = Question> + '_ {
        self.known.iter().map(|(question, _)| *question)
    }

    /// Asks for the first time.
    pub async fn visit(&mut self, question: Question) -> Result<(), Failure> {
        let answer = self.process.ask(question, &self.compared).await?;
        self.known.push((question, answer));
        Ok(())
    }

    /// Asks everything again, and compares every answer with the database's of now. What was gone is there afterwards.
    pub async fn audit(&mut self) -> Result<Audit, Failure> {
        let mut audit = Audit::default();
        for (question, known) in &mut self.known {
            let hits = self.process.co.stats().hits;
            let answer = self.process.ask(*question, &self.compared).await?;
            match self.process.co.stats().hits > hits {
                true => audit.hits += 1,
                false => audit.gone += 1,
            }
            if answer != *known {
                audit.changed += 1;
                *known = answer;
            }
        }
        Ok(audit)
    }
}

/// The database without the cache.
pub async fn open(file: &Path) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", file.display()));
    options.max_connections(8).sqlx_logging(false).acquire_timeout(PATIENCE);
    options.map_sqlx_sqlite_opts(|options| {
        let options = options.pragma("journal_mode", "WAL").pragma("synchronous", "NORMAL");
        options.busy_timeout(PATIENCE)
    });
    Database::connect(options).await
}

/// Makes the tables and fills them, the same in every run. Answers how many rows each has.
pub async fn create(file: &Path, size: Size) -> Result<Vec<(&'static str, i32)>, DbErr> {
    let db = &open(file).await?;
    let schema = db.get_schema_builder().register(author::Entity).register(book::Entity);
    let schema = schema.register(tag::Entity).register(book_tag::Entity).register(review::Entity);
    let schema = schema.register(order::Entity).register(line::Entity).register(setting::Entity);
    schema.apply(db).await?;

    let Size { authors, categories, tags, books, reviews, orders } = size;
    let any = |salt: i32, of: i32| format!("(((i + {salt}) * 2654435761 >> 9) % {of})");
    let word = |salt: i32, words: &str| {
        let number = any(salt, words.split(',').count() as i32);
        format!("json_extract('[{words}]', '$[' || {number} || ']')")
    };
    let mut sizes = Vec::new();
    for (table, last, columns) in [
        ("author", authors, format!("i, {} || ' ' || {}", word(1, GIVEN), word(2, FAMILY))),
        ("tag", tags, "i, 'tag ' || i".to_owned()),
        (
            "book",
            books,
            format!(
                "i, 1 + {}, 1 + {}, 'The ' || {} || ' ' || {}, 500 + {}, {}, iif({} = 0 AND i > 1, '2025-12-31', NULL)",
                any(3, authors),
                any(4, categories),
                word(5, ADJECTIVES),
                word(6, NOUNS),
                any(7, 4_500),
                any(8, 100),
                any(9, 20)
            ),
        ),
        ("book_tag", 3 * books, format!("(i + 2) / 3, 1 + ((i + 2) / 3 * 7 + i % 3 * 4) % {tags}")),
        (
            // Every tenth is of the one book.
            "review",
            reviews,
            format!(
                "i, iif(i % 10 = 0, {BESTSELLER}, 1 + {}), 1 + {}, {}, {} > 0",
                any(10, books),
                any(11, 5),
                word(12, OPINIONS),
                any(13, 10)
            ),
        ),
        ("order", orders, format!("i, 1 + {}, {} > 0", any(14, 500), any(15, 8))),
        ("line", 2 * orders, format!("i, (i + 1) / 2, 1 + {}, 1 + {}", any(16, books), any(17, 3))),
        ("setting", 1, "'currency', 'EUR'".to_owned()),
    ] {
        let numbers =
            format!("WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last})");
        let insert = format!(r#"INSERT INTO "{table}" {numbers} SELECT {columns} FROM n"#);
        db.execute_unprepared(&insert).await?;
        sizes.push((table, last));
    }
    sizes.pop();
    Ok(sizes)
}
