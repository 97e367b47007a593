//! The rest of the show: what a function computes, what everything depends on, and many visitors at once.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cacheops_sea_orm::cacheops::redis;
use futures_util::future::try_join_all;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ActiveModelTrait, ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter};
use tokio::sync::RwLock;

use crate::Failure;
use crate::entities::{author, book, review, setting};
use crate::page::{Page, count, time};
use crate::question::{Question, Whom};
use crate::random::Random;
use crate::server::Server;
use crate::shop::{BESTSELLER, Process, Shop};
use crate::story::{buy, verdict};

/// Visitors who come at the same moment.
const CROWD: usize = 200;
const READERS: usize = 8;
/// Far more than recovery takes; past it something is wrong.
const DEADLINE: Duration = Duration::from_secs(10);

/// The front page: three questions and some text.
async fn render(db: &DatabaseConnection, language: &str) -> Result<String, DbErr> {
    let book = Question::Book(BESTSELLER).ask(Whom::Database(db)).await?;
    let rating = Question::Rating(BESTSELLER).ask(Whom::Database(db)).await?;
    let currency = setting::Entity::find_by_id("currency").one(db).await?;
    Ok(format!("<html lang={language}>{book:?} {rating:?} {currency:?}</html>"))
}

pub async fn front_page(page: &mut Page, shop: &mut Shop) -> Result<(), Failure> {
    page.chapter("A cached function: its result is stored with what it depends on");
    let Process { co, db, .. } = &shop.process;
    let front_page = async |language: &str| {
        let reviews = review::Entity::find().filter(review::Column::BookId.eq(BESTSELLER));
        let bestseller = book::Entity::find_by_id(BESTSELLER).find_also_related(author::Entity);
        db.cached_as("front page", bestseller)
            .and(reviews)
            .and(setting::Entity::find_by_id("currency"))
            .extra(language)
            .get_or_load(|| render(db.inner(), language))
            .await
    };
    let look = async || {
        let (mut hits, mut spent) = (0, [Duration::ZERO; 2]);
        for language in ["en", "it"] {
            let (before, begun) = (co.stats().hits, Instant::now());
            let seen = front_page(language).await?;
            spent[0] += begun.elapsed();
            hits += co.stats().hits - before;
            let begun = Instant::now();
            if seen != render(db.inner(), language).await? {
                return Err(Failure::from("the front page is STALE"));
            }
            spent[1] += begun.elapsed();
            shop.compared.fetch_add(1, Ordering::Relaxed);
        }
        Ok((hits, spent.map(|spent| spent / 2)))
    };
    let mut review = review::ActiveModel {
        id: NotSet,
        book_id: Set(2),
        stars: Set(1),
        body: Set("Not the front page.".into()),
        approved: Set(true),
    };
    let mut seen = vec![look().await?, look().await?];
    review.clone().insert(db).await?;
    seen.push(look().await?);
    review.book_id = Set(BESTSELLER);
    review.insert(db).await?;
    seen.push(look().await?);
    let hits: Vec<_> = seen.iter().map(|(hits, _)| *hits).collect();
    if hits != [0, 2, 2, 0] {
        return Err(format!("hits of the front page: {hits:?}, not [0, 2, 2, 0]").into());
    }
    let [kept, made] = seen[1].1;
    page.say("db.cached_as(\"front page\", query of the book).and(its reviews).and(the currency).extra(language)");
    page.say(&format!(
        "  computed in {}, a hit: {};  after a review of book 2: a hit;  of book 1: computed again",
        time(made),
        time(kept)
    ));
    shop.audit().await?;
    page.say(&verdict(page, shop));
    Ok(())
}

/// One row that thousands of results depend on.
pub async fn everything(
    page: &mut Page,
    process: &Process,
    visitors: usize,
) -> Result<(), Failure> {
    page.chapter("One row that everything depends on");
    let Process { co, db, .. } = process;
    let currency = async |value: &str| -> Result<(u64, Duration), Failure> {
        let (hits, begun) = (co.stats().hits, Instant::now());
        let visitors: Vec<_> = (0..visitors).collect();
        for some in visitors.chunks(500) {
            let prices = some.iter().map(|visitor| {
                let price = async move || Ok::<_, DbErr>(format!("{visitor}: 20 {value}"));
                let currency = setting::Entity::find_by_id("currency");
                db.cached_as("price", currency).extra(visitor).get_or_load(price)
            });
            for (visitor, price) in some.iter().zip(try_join_all(prices).await?) {
                if price != format!("{visitor}: 20 {value}") {
                    return Err(format!("the price is STALE: {price}").into());
                }
            }
        }
        Ok((co.stats().hits - hits, begun.elapsed()))
    };
    let (_, filled) = currency("EUR").await?;
    let (hits, read) = currency("EUR").await?;
    page.say(&format!(
        "{} visitors' prices depend on setting name=currency: stored in {}, {} hits in {}",
        count(visitors),
        time(filled),
        count(hits),
        time(read)
    ));
    process.told();
    let before = spent(process, "cacheops.invalidate").await?;
    let begun = Instant::now();
    let euro = setting::ActiveModel { name: Set("currency".into()), value: Set("CHF".into()) };
    euro.update(db).await?;
    let wrote = begun.elapsed();
    let server = spent(process, "cacheops.invalidate").await? - before;
    let (_, links) = process.told();
    let (hits, _) = currency("CHF").await?;
    if hits > 0 || links < visitors as u64 {
        return Err(format!("{hits} prices are hits after {links} links were cut").into());
    }
    page.say(&format!("UPDATE setting took {}, commit and invalidation included", time(wrote)));
    page.say(&format!(
        "  of it {} in the server, which cut {} links; every price was read again, and is new",
        page.good(&time(server)),
        count(links)
    ));
    Ok(())
}

/// The time that the server has spent in a command since it started.
async fn spent(process: &Process, command: &str) -> Result<Duration, Failure> {
    let mut connection = process.co.client()?.connection();
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
    let name = format!("cmdstat_{command}:");
    let line = stats.lines().find(|line| line.to_ascii_lowercase().starts_with(&name));
    let usec = line.and_then(|line| line.split_once("usec=")?.1.split(',').next());
    Ok(Duration::from_micros(usec.map_or(Ok(0), str::parse)?))
}

pub async fn stampede(page: &mut Page, shop: &Shop, other: &Process) -> Result<(), Failure> {
    page.chapter("A stampede");
    let processes = [&shop.process, other];
    let question = Question::BestSellers;
    let plain = |n: usize| question.ask(Whom::Database(processes[n % 2].db.inner()));
    let begun = Instant::now();
    let expected = try_join_all((0..CROWD).map(plain)).await?;
    let without = begun.elapsed();

    // What they all want is gone.
    let (tx, _) = buy(&shop.process.db, 1, [4, 5]).await?;
    tx.commit().await?;
    let before = processes.map(|process| process.co.stats());
    let cached = |n: usize| question.ask(Whom::Cache(&processes[n % 2].db));
    let begun = Instant::now();
    let answers = try_join_all((0..CROWD).map(cached)).await?;
    let with = begun.elapsed();
    let queries: u64 = processes
        .iter()
        .zip(&before)
        .map(|(process, before)| process.co.stats().misses - before.misses)
        .sum();
    let fresh = plain(0).await?;
    if answers.iter().any(|answer| *answer != fresh) {
        return Err("a result of the stampede is STALE".into());
    }
    shop.compared.fetch_add(CROWD as u64, Ordering::Relaxed);
    if queries != 1 {
        return Err(format!("{queries} queries for {CROWD} visitors of two processes").into());
    }
    page.say(&format!(
        "{CROWD} visitors of two processes request the best sellers at the same moment"
    ));
    page.say(&format!(
        "  without the cache   {} queries, all served after {}",
        expected.len(),
        time(without)
    ));
    page.say(&format!(
        "  with .lock(true)    {queries} query, all served after {}",
        page.good(&time(with))
    ));
    Ok(())
}

/// Answers of one part of the time.
#[derive(Default)]
struct Part {
    answers: AtomicU64,
    writes: AtomicU64,
    slowest_us: AtomicU64,
}

/// Readers and writers of two processes at once, while the server is killed and comes back. A reader compares its answer
/// with the database's before the next write.
pub async fn at_work(
    page: &mut Page,
    shop: &mut Shop,
    other: Process,
    server: &mut Server,
    unit: Duration,
) -> Result<(), Failure> {
    page.chapter("The shop at work, and the server is killed");
    let processes = [shop.process.clone(), other];
    let questions: Vec<_> = shop.questions().collect();
    let compared = &shop.compared;
    let (gate, stop) = (&RwLock::new(()), &AtomicBool::new(false));
    let (parts, now) = (&<[Part; 3]>::default(), &AtomicUsize::new(0));
    let (processes, questions) = (&processes, &questions);

    let read = |n: usize| async move {
        let mut random = Random::seeded(n as u64);
        while !stop.load(Ordering::Relaxed) {
            // Most ask for the same few.
            let range = questions.len() / [20, 1][usize::from(random.below(4) == 0)];
            let question = questions[random.below(range)];
            let _no_write = gate.read().await;
            let begun = Instant::now();
            processes[n % 2].ask(question, compared).await?;
            let part = &parts[now.load(Ordering::Relaxed)];
            part.slowest_us.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
            part.answers.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<_, Failure>(())
    };
    let write = |n: usize| async move {
        let mut random = Random::seeded(100 + n as u64);
        while !stop.load(Ordering::Relaxed) {
            {
                let _alone = gate.write().await;
                write_something(&processes[n], &mut random).await?;
            }
            parts[now.load(Ordering::Relaxed)].writes.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok::<_, Failure>(())
    };
    let hits = || processes.iter().map(|process| process.co.stats().hits).sum::<u64>();
    let direct = async {
        let mut marks = vec![hits()];
        tokio::time::sleep(unit).await;
        marks.push(hits());
        now.store(1, Ordering::Relaxed);
        server.kill();
        tokio::time::sleep(unit).await;
        let waiting: u64 = processes.iter().map(|process| process.co.stats().outbox).sum();
        marks.push(hits());
        let settled = {
            // Where one process finds the server before the other, it may read what the other could not tell yet.
            let _nobody = gate.write().await;
            server.launch().await?;
            let back = Instant::now();
            for process in processes {
                tokio::time::timeout(DEADLINE, process.co.settled())
                    .await
                    .map_err(|_| "the cache does not come back")?;
            }
            back.elapsed()
        };
        now.store(2, Ordering::Relaxed);
        tokio::time::sleep(unit).await;
        marks.push(hits());
        stop.store(true, Ordering::Relaxed);
        Ok::<_, Failure>((marks, waiting, settled))
    };
    let ((marks, waiting, settled), _, _) = tokio::try_join!(
        direct,
        try_join_all((0..READERS).map(read)),
        try_join_all((0..2).map(write)),
    )?;

    page.note(&format!(
        "{:<36}{:>10}{:>9}{:>9}{:>19}",
        "", "answers", "hits", "writes", "slowest, compared"
    ));
    let names = ["the server is there", "it was killed", "it is back, empty"];
    for (at, (name, part)) in names.into_iter().zip(parts).enumerate() {
        let answers = part.answers.load(Ordering::Relaxed);
        let hits = (100 * (marks[at + 1] - marks[at])).checked_div(answers).unwrap_or(0);
        page.say(&format!(
            "{name:<36}{:>10}{:>8}%{:>9}{:>19}",
            count(answers),
            hits.min(100),
            count(part.writes.load(Ordering::Relaxed)),
            time(Duration::from_micros(part.slowest_us.load(Ordering::Relaxed)))
        ));
    }
    page.say(&format!(
        "{} changes waited in the outbox; {} after the server was back it was flushed, and reads were hits again",
        count(waiting),
        time(settled)
    ));
    shop.audit().await?;
    let audit = shop.audit().await?;
    page.say(&format!("at the end {} hits, {} misses", count(audit.hits), count(audit.gone)));
    page.say(&verdict(page, shop));
    Ok(())
}

async fn write_something(process: &Process, random: &mut Random) -> Result<(), DbErr> {
    let db = &process.db;
    let id = random.id(40);
    match random.below(6) {
        0 => {
            let (tx, _) = buy(db, id, [id, id + 1]).await?;
            if random.below(3) == 0 { tx.rollback().await? } else { tx.commit().await? }
        }
        1 => {
            let review = review::ActiveModel {
                id: NotSet,
                book_id: Set(id),
                stars: Set(random.id(5)),
                body: Set("Written in a hurry.".into()),
                approved: Set(random.below(2) == 0),
            };
            review.insert(db).await?;
        }
        2 => {
            review::Entity::delete_by_id(random.id(2_000)).exec(db).await?;
        }
        3 => {
            let name = Set(format!("Author no. {}", random.below(1_000)));
            author::ActiveModel { id: Set(id), name }.update(db).await?;
        }
        _ => {
            let price_cents = Set(random.id(5_000));
            let book = book::ActiveModel { id: Set(id), price_cents, ..Default::default() };
            book.update(db).await?;
        }
    }
    Ok(())
}

pub async fn counted(page: &mut Page, process: &Process) -> Result<(), Failure> {
    page.chapter("Counters since the restart: INFO cacheops");
    let mut connection = process.co.client()?.connection();
    let info: String = redis::cmd("INFO").arg("cacheops").query_async(&mut connection).await?;
    let fields: Vec<_> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let value = |name: &str| {
        let known = fields.iter().find(|(field, _)| field.strip_prefix("cacheops_") == Some(name));
        known.map_or("?", |(_, value)| value).to_owned()
    };
    for names in [
        ["entries", "conjunctions", "index_bytes"],
        ["hits", "misses", "stores"],
        ["stores_refused_token", "invalidations", "links_cut"],
        ["over_invalidations", "reclaimed", "slowest_invalidation_us"],
    ] {
        let cells = names.map(|name| format!("{name:<26}{:>10}", value(name)));
        page.say(cells.join("    ").trim_end());
    }
    match value("panics").as_str() {
        "0" => Ok(()),
        panics => Err(format!("the module caught {panics} panics").into()),
    }
}
