//! The show, chapter by chapter: what the cache does for one visitor at a time. The rest is in `crowd`.

use std::env;
use std::time::{Duration, Instant};

use cacheops_sea_orm::Cache;
use cacheops_sea_orm::cacheops::redis;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel,
    ModelTrait, QueryFilter, Statement, TransactionTrait,
};

use crate::entities::{author, book, book_tag, line, order, review, tag};
use crate::page::{Page, count, time};
use crate::question::{Question, Whom};
use crate::random::Random;
use crate::server::Server;
use crate::shop::{BESTSELLER, Process, Shop, Size, create};
use crate::{Failure, crowd};

const FULL: Size =
    Size { authors: 300, categories: 24, tags: 100, books: 5_000, reviews: 30_000, orders: 10_000 };
const SHORT: Size =
    Size { authors: 50, categories: 8, tags: 20, books: 500, reviews: 3_000, orders: 1_000 };

/// Of each kind, so many questions are timed, so often.
const TIMED: usize = 50;
const ROUNDS: usize = 4;

pub async fn tell(server: &mut Server, short: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let size = if short { SHORT } else { FULL };
    let page = &mut Page::new();
    let file = server.dir().join("shop.sqlite");
    let mut shop = open(page, server, size).await?;
    visit(page, &mut shop, size).await?;
    compare_times(page, &shop).await?;
    write(page, &mut shop).await?;
    order(page, &mut shop).await?;
    slow_reader(page, &mut shop).await?;
    other_program(page, &mut shop, server).await?;
    let other = Process::start(&server.url(), &file).await?;
    crowd::front_page(page, &mut shop).await?;
    crowd::everything(page, &shop.process, if short { 2_000 } else { 20_000 }).await?;
    crowd::stampede(page, &shop, &other).await?;
    let unit = Duration::from_millis(if short { 300 } else { 2_000 });
    crowd::at_work(page, &mut shop, other, server, unit).await?;
    crowd::counted(page, &shop.process).await?;
    let compared = count(shop.compared.into_inner());
    page.blank();
    page.say(
        &page.good(&format!("{compared} results compared with the database: none was stale.")),
    );
    page.note(&format!(
        "{} in all; the server has ended, and its files are removed.",
        time(started.elapsed())
    ));
    Ok(())
}

async fn open(page: &mut Page, server: &Server, size: Size) -> Result<Shop, Failure> {
    page.blank();
    page.say(&page.bold("cacheops: query results that are invalidated when their rows change"));
    page.chapter("A bookshop on SeaORM");
    let file = server.dir().join("shop.sqlite");
    let sizes = create(&file, size).await?;
    let process = Process::start(&server.url(), &file).await?;
    let sizes: Vec<_> = sizes.iter().map(|(table, n)| format!("{} {table}", count(*n))).collect();
    let client = process.co.client()?;
    let mut connection = client.connection();
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    let name = match (field("valkey_version:"), field("redis_version:")) {
        (Some(valkey), _) => format!("Valkey {valkey}"),
        (None, redis) => format!("Redis {}", redis.unwrap_or("?")),
    };
    page.say(&format!("database  an SQLite file: {}", sizes.join(", ")));
    page.say(&format!("cache     {name}, libcacheops.so {}", client.server().version));
    page.say(
        "changed   let db = co.connect(Database::connect(url).await?);   and .cache() on queries",
    );
    Ok(Shop::new(process))
}

fn questions(size: Size) -> Vec<Question> {
    let mut random = Random::seeded(7);
    let mut questions = vec![Question::BestSellers];
    for id in 1..=size.books / 10 {
        questions.extend([Question::Book(id), Question::Reviews(id), Question::Rating(id)]);
    }
    questions.extend((1..=size.authors).map(Question::OfAuthor));
    questions.extend((1..=size.tags).map(Question::Tagged));
    questions.extend(
        (1..=size.categories).flat_map(|id| [Question::Ranking(id), Question::ForSale(id)]),
    );
    questions.extend((1..=size.orders / 100).map(Question::Order));
    questions.extend((0..50).map(|_| Question::Shelf([(); 6].map(|()| random.id(size.books)))));
    questions
}

async fn visit(page: &mut Page, shop: &mut Shop, size: Size) -> Result<(), Failure> {
    page.chapter("Each query runs, and runs again");
    let begun = Instant::now();
    for question in questions(size) {
        shop.visit(question).await?;
    }
    let (asked, stored) = (shop.questions().len(), shop.process.co.stats().stores);
    page.say(&format!(
        "{} queries, {} results stored in {}",
        count(asked),
        count(stored),
        time(begun.elapsed())
    ));
    let audit = shop.audit().await?;
    page.say(&format!("again     {} hits, {} misses", count(audit.hits), count(audit.gone)));
    if audit.gone + audit.changed > 0 {
        return Err("a result that was just stored is a miss".into());
    }
    page.say(&verdict(page, shop));
    Ok(())
}

async fn compare_times(page: &mut Page, shop: &Shop) -> Result<(), Failure> {
    page.chapter("The database against the cache");
    page.note(&format!(
        "{:<36}{:>12}{:>12}{:>14}",
        "time of a query", "SQLite", "hit", "SQLite / hit"
    ));
    let process = &shop.process;
    for (kind, name) in Question::KINDS.into_iter().enumerate() {
        let of_kind = || shop.questions().filter(|question| question.kind() == kind).take(TIMED);
        let mut spent = [Duration::ZERO; 2];
        for _ in 0..ROUNDS {
            let whoms = [Whom::Database(process.db.inner()), Whom::Cache(&process.db)];
            for (whom, spent) in whoms.into_iter().zip(&mut spent) {
                let begun = Instant::now();
                for question in of_kind() {
                    question.ask(whom).await?;
                }
                *spent += begun.elapsed();
            }
        }
        let [sql, hit] = spent.map(|spent| spent / (ROUNDS * of_kind().count()) as u32);
        let ratio = sql.as_secs_f64() / hit.as_secs_f64();
        page.say(&format!("{name:<36}{:>12}{:>12}{ratio:>14.1}", time(sql), time(hit)));
    }
    page.note(
        "SQLite runs in this process, without a network: its small queries are faster than any server.",
    );
    if is_built_for_the_show() {
        page.note(
            "Built mostly without optimisation: PROFILE=release make run shows realistic times.",
        );
    }
    Ok(())
}

/// Whether this program is of the profile `show`, after which cargo names the directory.
fn is_built_for_the_show() -> bool {
    env::current_exe().is_ok_and(|exe| exe.parent().is_some_and(|dir| dir.ends_with("show")))
}

/// The heading of the lines that [`step`] prints.
fn heading(page: &Page) {
    page.note(&format!(
        "{:<52}{:>6}{:>7}{:>7}{:>9}{:>8}",
        "", "sent", "links", "misses", "changed", "hits"
    ));
}

/// A write, and a look at every question afterwards, as one line.
async fn step<T>(
    page: &Page,
    shop: &mut Shop,
    label: &str,
    write: impl Future<Output = Result<T, DbErr>>,
) -> Result<T, Failure> {
    shop.process.told();
    let written = write.await?;
    let (rows, links) = shop.process.told();
    let audit = shop.audit().await?;
    page.say(&format!(
        "{label:<52}{:>6}{:>7}{:>7}{:>9}{:>8}",
        count(rows),
        count(links),
        count(audit.gone),
        count(audit.changed),
        count(audit.hits)
    ));
    Ok(written)
}

async fn write(page: &mut Page, shop: &mut Shop) -> Result<(), Failure> {
    page.chapter("Writes: each invalidates the results that depend on its rows");
    heading(page);
    let db = &shop.process.db.clone();
    let new = review::ActiveModel {
        id: NotSet,
        book_id: Set(42),
        stars: Set(5),
        body: Set("At last!".into()),
        approved: Set(true),
    };
    let review = step(page, shop, "review.insert(), of book 42", new.insert(db)).await?;
    let mut hidden = review.clone().into_active_model();
    hidden.approved = Set(false);
    step(page, shop, "review.update(): not approved", hidden.update(db)).await?;
    step(page, shop, "review.delete()", review.delete(db)).await?;
    let dear = book::ActiveModel { id: Set(43), price_cents: Set(9_999), ..Default::default() };
    step(page, shop, "book 43: a price, update()", dear.update(db)).await?;
    let name = author::ActiveModel { id: Set(17), name: Set("N. N.".into()) };
    step(page, shop, "author 17: a name, update()", name.update(db)).await?;
    let tagged = book_tag::ActiveModel { book_id: Set(42), tag_id: Set(9) };
    let keep = OnConflict::columns([book_tag::Column::BookId, book_tag::Column::TagId])
        .update_column(book_tag::Column::TagId)
        .to_owned();
    let upsert = book_tag::Entity::insert(tagged).on_conflict(keep);
    step(page, shop, "book 42 gets tag 9: an upsert", upsert.exec(db)).await?;
    let nested = book::ActiveModel::builder()
        .set_author_id(17)
        .set_category(5)
        .set_title("The Nested Save")
        .set_price_cents(100)
        .set_stock(1)
        .set_withdrawn_on(None)
        .add_tag(tag::ActiveModel::builder().set_name("new"));
    step(page, shop, "a book and its new tag, nested save()", nested.save(db)).await?;
    let cheaper = book::Entity::update_many()
        .col_expr(book::Column::PriceCents, Expr::col(book::Column::PriceCents).mul(9).div(10))
        .filter(book::Column::Category.eq(3))
        .filter(book::Column::AuthorId.lt(20));
    step(page, shop, "10 % off: update_many(), category 3, some authors", cheaper.exec(db)).await?;
    let rejected = review::Entity::delete_many()
        .filter(review::Column::BookId.eq(BESTSELLER))
        .filter(review::Column::Approved.eq(false));
    step(page, shop, "book 1: delete_many() of its rejected reviews", rejected.exec(db)).await?;
    let sql = "UPDATE book SET withdrawn_on = '2026-11-01' WHERE id IN (44, 45)";
    let raw = db.execute_raw(Statement::from_string(DbBackend::Sqlite, sql));
    step(page, shop, "books 44 and 45 withdrawn, by raw SQL", raw).await?;
    let gone = book::Entity::delete_by_id(46);
    step(page, shop, "book 46 deleted; tags and reviews go by cascade", gone.exec(db)).await?;
    page.note("sent: rows, old and new.  links: cut by the server.  changed: results that really differ. A table that");
    page.note(
        "is only joined has no condition of its own, so its rows invalidate more results than they change.",
    );
    page.say(&verdict(page, shop));
    Ok(())
}

/// An order of two books: three tables, and a savepoint.
pub async fn buy<C: TransactionTrait>(
    db: &C,
    customer: i32,
    books: [i32; 2],
) -> Result<(C::Transaction, i32), DbErr> {
    let tx = db.begin().await?;
    let order = order::ActiveModel { id: NotSet, customer: Set(customer), paid: Set(true) };
    let order = order.insert(&tx).await?.id;
    for book_id in books {
        let line = line::ActiveModel {
            id: NotSet,
            order_id: Set(order),
            book_id: Set(book_id),
            copies: Set(1),
        };
        line.insert(&tx).await?;
        let less = book::Entity::update_many()
            .col_expr(book::Column::Stock, Expr::col(book::Column::Stock).sub(1))
            .filter(book::Column::Id.eq(book_id));
        less.exec(&tx).await?;
    }
    Ok((tx, order))
}

async fn order(page: &mut Page, shop: &mut Shop) -> Result<(), Failure> {
    page.chapter("An order is a transaction");
    heading(page);
    let db = &shop.process.db.clone();
    let begun = buy(db, 77, [2, 3]);
    let (tx, _) = step(page, shop, "begun: order, two lines, two stocks; no commit", begun).await?;
    step(page, shop, "rolled back", tx.rollback()).await?;
    let begun = buy(db, 77, [2, 3]);
    let (tx, id) = step(page, shop, "begun again", begun).await?;
    let voucher = tx.begin().await?;
    author::ActiveModel { id: Set(18), name: Set("nobody".into()) }.update(&voucher).await?;
    voucher.rollback().await?;
    let own = Question::Order(id);
    let lines = line::Entity::find().filter(line::Column::OrderId.eq(id)).cache().all(&tx).await?;
    if lines.len() != 2
        || own.ask(Whom::Cache(db)).await? != own.ask(Whom::Database(db.inner())).await?
    {
        return Err("a transaction does not read its own rows, or others read them".into());
    }
    step(page, shop, "author 18 renamed in a savepoint, rolled back", async { Ok(()) }).await?;
    step(page, shop, "committed", tx.commit()).await?;
    shop.visit(own).await?;
    page.note("until the commit other readers get the old results from the cache, and the transaction reads its own rows.");
    page.say(&verdict(page, shop));
    Ok(())
}

async fn slow_reader(page: &mut Page, shop: &mut Shop) -> Result<(), Failure> {
    page.chapter("A reader that stores an outdated result");
    let Process { db, co, .. } = shop.process.clone();
    let slow = db.begin().await?;
    author::Entity::find_by_id(1).one(&slow).await?;
    page.say("reader    begins a transaction, which takes a snapshot of the database");
    book::ActiveModel { id: Set(50), price_cents: Set(1), ..Default::default() }
        .update(&db)
        .await?;
    page.say("writer    changes the price of book 50, and commits");
    let refused = co.stats().stores_refused;
    let old = book::Entity::find_by_id(50).cache().one(&slow).await?;
    slow.commit().await?;
    if co.stats().stores_refused != refused + 1 || old.is_none_or(|old| old.price_cents == 1) {
        return Err("a result from before the change was stored".into());
    }
    page.say(&format!("reader    reads the old price, and stores it: {}", page.good("refused")));
    let audit = shop.audit().await?;
    page.say(&format!("others    {} misses, {} hits", count(audit.gone), count(audit.hits)));
    page.say(&verdict(page, shop));
    Ok(())
}

async fn other_program(page: &mut Page, shop: &mut Shop, server: &Server) -> Result<(), Failure> {
    page.chapter("Another program writes, and sends one invalidation");
    let question = Question::Book(51);
    shop.process.ask(question, &shop.compared).await?;
    // Neither its connection nor its client has anything of ours.
    let foreign = crate::shop::open(&server.dir().join("shop.sqlite")).await?;
    foreign.execute_unprepared("UPDATE book SET title = 'A = B & C' WHERE id = 51").await?;
    // Now the comparison has to find something.
    if shop.process.ask(question, &shop.compared).await.is_ok() {
        return Err("the comparison does not detect a stale result".into());
    }
    page.say(
        "UPDATE book SET title = 'A = B & C' WHERE id = 51    the cache still has the old title",
    );
    let mut plain = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let mut told = redis::cmd("CACHEOPS.INVALIDATE");
    let links: u64 = told.arg("ON").arg("book").arg("id=51").query_async(&mut plain).await?;
    let audit = shop.audit().await?;
    page.say(&format!(
        "redis-cli CACHEOPS.INVALIDATE ON book id=51          {links} links, {} misses, {} changed",
        audit.gone, audit.changed
    ));
    page.note(
        "only the id is sent: the book may be any author's now, so more results are invalidated than have changed.",
    );
    page.say(&verdict(page, shop));
    foreign.close().await?;
    Ok(())
}

pub fn verdict(page: &Page, shop: &Shop) -> String {
    let compared = shop.compared.load(std::sync::atomic::Ordering::Relaxed);
    format!(
        "{} all queries repeated, every result is right ({} compared so far)",
        page.good("verified:"),
        count(compared)
    )
}
