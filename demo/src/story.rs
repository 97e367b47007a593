//! The show, chapter by chapter.

use std::time::{Duration, Instant};

use cacheops::redis;
use cacheops::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use cacheops::{Client, Condition, Explanation, Row};
use futures_util::future::try_join_all;

use crate::Failure;
use crate::app::App;
use crate::page::{Page, count, time};
use crate::query::Query;
use crate::random::Random;
use crate::server::Server;
use crate::shop::{AUTHORS, BESTSELLER, BOOKS, CATEGORIES, Shop, TAGS};
use crate::stats;

/// Books whose pages are visited; the others stay uncached.
const VISITED: i64 = 1_500;
const SHELVES: usize = 60;
const FAN_OUT: usize = 50_000;
/// Queries of a kind that are timed, and keys of one MGET.
const MANY: usize = 100;
const MANY_ROUNDS: u32 = 10;
/// Stores on their way at once.
const PIPELINE: usize = 500;
/// A machine may be busy with other things; a show need not be quick to give up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Far more than reclaiming takes; past it something is wrong.
const RECLAIM_DEADLINE: Duration = Duration::from_secs(10);

pub async fn tell(server: &Server) -> Result<(), Failure> {
    let started = Instant::now();
    let mut page = Page::new();
    let mut app = open(&mut page, server).await?;
    warm(&mut page, &mut app).await?;
    compare_times(&mut page, &app).await?;
    change_rows(&mut page, &mut app).await?;
    slow_reader(&mut page, &mut app).await?;
    change_many(&mut page, &mut app).await?;
    explain(&mut page, &mut app).await?;
    fan_out(&mut page, &app.cache).await?;
    show_info(&mut page, &app).await?;
    let compared = count(app.compared);
    page.blank();
    page.say(&page.good(&format!("{compared} hits compared with the database: none was stale.")));
    page.note(&format!(
        "{} in all; the server and its files are gone now.",
        time(started.elapsed())
    ));
    Ok(())
}

async fn open(page: &mut Page, server: &Server) -> Result<App, Failure> {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
    let client = redis::Client::open(server.url())?;
    let connection = ConnectionManager::new_with_config(client, config).await?;
    let cache = Client::new(connection).await?;
    let fields = stats::info(&cache, "server").await?;
    let field =
        |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
    let server_version = match (field("valkey_version"), field("redis_version")) {
        (Some(valkey), _) => format!("Valkey {valkey}"),
        (None, redis) => format!("Redis {}", redis.unwrap_or("of unknown version")),
    };
    page.blank();
    page.say(&page.bold("cacheops: query results that go when the rows behind them change"));

    page.chapter("A bookshop");
    let shop = Shop::create(&server.dir().join("shop.sqlite"))?;
    let sizes = shop.sizes()?;
    let sizes: Vec<String> =
        sizes.iter().map(|(table, rows)| format!("{} {table}", count(*rows as u64))).collect();
    page.say(&format!("database  SQLite {}, a file", rusqlite::version()));
    page.say(&format!("rows      {}", sizes.join(", ")));
    page.say(&format!("cache     {server_version}, libcacheops.so {}", cache.server().version));
    Ok(App::new(shop, cache))
}

async fn warm(page: &mut Page, app: &mut App) -> Result<(), Failure> {
    page.chapter("Fill the cache");
    page.say("Each result is stored with the conditions it depends on, for example");
    let example = Query::Shelf([3, 14, 15, 92, 65, 35]);
    for query in [Query::Reviews(BESTSELLER), Query::Book(7), example] {
        let conditions = query.conditions(&app.shop.db)?;
        let texts = conditions.iter().map(|(table, condition)| {
            format!("{table} {}", String::from_utf8_lossy(&condition.to_bytes()))
        });
        page.note(&format!(
            "  {:<32}{}",
            Query::KINDS[query.kind()],
            shorten(&texts.collect::<Vec<_>>().join("  "), 64)
        ));
    }
    page.note("where a bare field means IS NULL, & means AND, | means OR.");

    let begun = Instant::now();
    // Nothing is written meanwhile, so one token from before the first query guards all.
    let token = app.cache.token().await?;
    for query in queries() {
        if !app.fill(query, token).await? {
            return Err(format!("the store of {} was refused", query.key()).into());
        }
    }
    let conditions = app.conditions().flatten();
    let conjunctions: usize = conditions
        .map(|(_, c)| 1 + c.to_bytes().iter().filter(|&&byte| byte == b'|').count())
        .sum();
    page.say(&format!(
        "{} queries run and stored in {}: {} conjunctions",
        count(app.entries()),
        time(begun.elapsed()),
        count(conjunctions)
    ));
    app.audit(&[]).await?;
    page.say(&verdict(page, app, "all are hits, and equal to a second run of their SQL"));
    Ok(())
}

fn queries() -> Vec<Query> {
    let mut random = Random::seeded(7);
    let mut queries = vec![Query::BestAuthors];
    queries.extend(
        (1..=VISITED).flat_map(|id| [Query::Book(id), Query::Reviews(id), Query::Rating(id)]),
    );
    queries.extend((1..=AUTHORS).map(Query::ByAuthor));
    queries.extend((1..=TAGS).map(Query::Tag));
    queries.extend((1..=CATEGORIES).map(Query::Ranking));
    queries.extend(
        (0..SHELVES).map(|_| {
            Query::Shelf(std::array::from_fn(|_| 1 + random.below(BOOKS as usize) as i64))
        }),
    );
    queries
}

async fn compare_times(page: &mut Page, app: &App) -> Result<(), Failure> {
    page.chapter("The database against the cache");
    let mut by_kind = vec![Vec::new(); Query::KINDS.len()];
    for query in queries() {
        if by_kind[query.kind()].len() < MANY {
            by_kind[query.kind()].push(query);
        }
    }
    page.note(&format!(
        "{:<32}{:>11}{:>11}{:>11}{:>10}",
        "per result", "SQL", "GET", "MGET 100", "SQL/GET"
    ));
    for (kind, queries) in Query::KINDS.into_iter().zip(by_kind) {
        // The first calls after a pause are slow on both sides; they are not timed.
        for query in &queries {
            query.run(&app.shop.db)?;
            app.cache.get(query.key()).await?.ok_or("a hit became a miss")?;
        }

        // Of the ranking there are few, of the best authors one.
        let rounds = if queries.len() < MANY { 10 } else { 3 };
        let calls = (rounds * queries.len()) as u32;

        let begun = Instant::now();
        for query in queries.iter().cycle().take(calls as usize) {
            query.run(&app.shop.db)?;
        }
        let sql = begun.elapsed() / calls;

        let keys: Vec<String> = queries.iter().map(|query| query.key()).collect();
        let begun = Instant::now();
        for key in keys.iter().cycle().take(calls as usize) {
            app.cache.get(key).await?.ok_or("a hit became a miss")?;
        }
        let get = begun.elapsed() / calls;

        let keys = &keys[..keys.len().min(MANY)];
        let begun = Instant::now();
        for _ in 0..MANY_ROUNDS {
            app.cache.get_many(keys).await?;
        }
        let many = begun.elapsed() / (MANY_ROUNDS * keys.len() as u32);

        let ratio = sql.as_secs_f64() / get.as_secs_f64();
        let ratio = if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") };
        page.say(&format!(
            "{kind:<32}{:>11}{:>11}{:>11}{ratio:>10}",
            time(sql),
            time(get),
            if keys.len() > 1 { time(many) } else { "-".into() }
        ));
    }
    page.note(
        "SQLite runs in this very process, without a network: its small queries beat any server.",
    );
    Ok(())
}

async fn change_rows(page: &mut Page, app: &mut App) -> Result<(), Failure> {
    page.chapter("Change a row, send its old and new image");
    page.note(&format!("{:<52}{:>6}{:>6}{:>9}{:>8}", "", "links", "gone", "changed", "hits"));
    for (table, sql, rows) in [
        ("book", "UPDATE book SET price_cents = 999 WHERE id = 42", "id = 42"),
        ("book", "UPDATE book SET category_id = 5 WHERE id = 43", "id = 43"),
        ("book", "UPDATE book SET withdrawn_on = '2026-11-01' WHERE id = 1", "id = 1"),
        ("book", "UPDATE book SET withdrawn_on = NULL WHERE id = 1", "id = 1"),
        ("book", "UPDATE book SET title = 'A & B | 100 % = *' WHERE id = 9", "id = 9"),
        ("author", "UPDATE author SET name = 'N. N.' WHERE id = 17", "id = 17"),
        ("review", "INSERT INTO review VALUES (50000, 42, 5, 'At last!', 1)", "id = 50000"),
        ("review", "UPDATE review SET approved = 0 WHERE id = 50000", "id = 50000"),
        ("review", "DELETE FROM review WHERE id = 50000", "id = 50000"),
        (
            "book_tag",
            "INSERT OR IGNORE INTO book_tag VALUES (42, 9)",
            "book_id = 42 AND tag_id = 9",
        ),
        ("book", "UPDATE book SET price_cents = 1 WHERE id = 5999", "id = 5999"),
    ] {
        change(page, app, table, sql, rows).await?;
    }
    page.note("links: what the server reports, an upper bound.  gone: entries that are misses now, exactly");
    page.note("those whose condition a row satisfies.  changed: of these, how many results really differ.");
    page.say(&verdict(page, app, "after each change every query ran again: every hit is right"));
    Ok(())
}

/// One statement, its invalidation and its audit, as a line.
async fn change(
    page: &Page,
    app: &mut App,
    table: &str,
    sql: &str,
    rows: &str,
) -> Result<(), Failure> {
    let images = app.shop.write(table, sql, rows)?;
    let images: Vec<(&str, Row)> = images.into_iter().map(|image| (table, image)).collect();
    let cut = app.invalidation(&images).await?;
    let audit = app.audit(&images).await?;
    page.say(&format!(
        "{:<52}{:>6}{:>6}{:>9}{:>8}",
        shorten(sql, 51),
        count(cut),
        count(audit.died),
        count(audit.changed),
        count(audit.hits)
    ));
    app.refill(&audit).await
}

async fn slow_reader(page: &mut Page, app: &mut App) -> Result<(), Failure> {
    page.chapter("A reader that is too slow");
    let [slow, other] = [Query::Book(5_001), Query::Book(5_002)];
    let token = app.cache.token().await?;
    let old = [slow.run(&app.shop.db)?, other.run(&app.shop.db)?];
    let conditions = [slow.conditions(&app.shop.db)?, other.conditions(&app.shop.db)?];
    page.say("reader    takes a token, reads books 5001 and 5002, and is delayed");

    let sql = "UPDATE book SET price_cents = 1234 WHERE id = 5001";
    let images = app.shop.write("book", sql, "id = 5001")?;
    let images: Vec<(&str, Row)> = images.into_iter().map(|image| ("book", image)).collect();
    app.invalidation(&images).await?;
    let audit = app.audit(&images).await?;
    page.say("writer    changes the price of book 5001 and invalidates");

    let [old_slow, old_other] = old;
    let [slow_conditions, other_conditions] = conditions;
    if app.store(slow, old_slow, slow_conditions, token).await? {
        return Err("a result from before the change was stored".into());
    }
    page.say(&format!("reader    stores the old book 5001: {}", page.good("refused")));
    if !app.store(other, old_other, other_conditions, token).await? {
        return Err("a result that nothing concerned was refused".into());
    }
    page.say(&format!("reader    stores book 5002 with the same token: {}", page.good("stored")));
    let token = app.cache.token().await?;
    if !app.fill(slow, token).await? {
        return Err("a fresh result was refused".into());
    }
    page.say(&format!(
        "reader    reads book 5001 again, with a new token: {}",
        page.good("stored")
    ));
    app.refill(&audit).await?;
    app.audit(&[]).await?;
    page.say(&verdict(page, app, "every hit is right"));
    Ok(())
}

async fn change_many(page: &mut Page, app: &mut App) -> Result<(), Failure> {
    page.chapter("Change many rows, send a predicate");
    let sql = "UPDATE review SET approved = 1 WHERE book_id = 1 AND approved = 0";
    let changed = app.shop.db.execute(sql, [])?;
    let review = Row::new().set("book_id", BESTSELLER);
    let rows =
        [("review", review.clone().set("approved", 0)), ("review", review.set("approved", 1))];
    report_many(page, app, sql, changed, &rows).await?;
    page.note("the columns that the predicate leaves out are unknown, and no condition asks for them: exact.");

    let sql = "UPDATE book SET withdrawn_on = '2026-11-01' WHERE category_id = 7 AND withdrawn_on IS NULL";
    let book = Row::new().set("category_id", 7);
    let predicate = [
        ("book", book.clone().null("withdrawn_on")),
        ("book", book.set("withdrawn_on", "2026-11-01")),
    ];
    let links = app.invalidation(&predicate).dry_run().await?;
    let ids = "SELECT 'id IN (' || GROUP_CONCAT(id) || ')' FROM book
               WHERE category_id = 7 AND withdrawn_on IS NULL";
    let ids: String = app.shop.db.query_row(ids, [], |row| row.get(0))?;
    let images = app.shop.write("book", sql, &ids)?;
    let rows: Vec<(&str, Row)> = images.into_iter().map(|image| ("book", image)).collect();
    report_many(page, app, sql, rows.len() / 2, &rows).await?;
    page.note(&format!(
        "with all images: exact. As a predicate it would have cut {} links: a condition on book ids",
        count(links)
    ));
    page.note(
        "cannot be told apart from books of category 7, and what is unknown counts as a match.",
    );
    page.say(&verdict(page, app, "every hit is right"));
    Ok(())
}

async fn report_many(
    page: &Page,
    app: &mut App,
    sql: &str,
    changed: usize,
    rows: &[(&str, Row)],
) -> Result<(), Failure> {
    let before = stats::spent(&app.cache, "cacheops.invalidate").await?;
    let cut = app.invalidation(rows).await?;
    let spent = stats::spent(&app.cache, "cacheops.invalidate").await? - before;
    let audit = app.audit(rows).await?;
    page.say(sql);
    page.say(&format!(
        "  {} rows changed, {} rows sent, one command of {}: {} links, {} gone, {} changed, {} hits",
        count(changed),
        count(rows.len()),
        time(spent),
        count(cut),
        count(audit.died),
        count(audit.changed),
        count(audit.hits)
    ));
    app.refill(&audit).await
}

async fn explain(page: &mut Page, app: &mut App) -> Result<(), Failure> {
    page.chapter("Ask why an entry is dead");
    let sql = "UPDATE book SET price_cents = 777 WHERE id = 77";
    let images = app.shop.write("book", sql, "id = 77")?;
    let rows: Vec<(&str, Row)> = images.into_iter().map(|image| ("book", image)).collect();
    let texts: Vec<Vec<u8>> = rows.iter().map(|(_, row)| row.to_bytes()).collect();

    // Dead entries are reclaimed at once where few died. Here one is kept for the question.
    let mut connection = app.cache.connection();
    let inline = |n: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("cacheops.reap-inline").arg(n);
        set
    };
    inline("0").exec_async(&mut connection).await?;
    let (_, why): (u64, Option<Explanation>) = redis::pipe()
        .atomic()
        .cmd("CACHEOPS.INVALIDATE")
        .arg("ON")
        .arg("book")
        .arg(texts.join(&b'|'))
        .cmd("CACHEOPS.EXPLAIN")
        .arg("book:77")
        .query_async(&mut connection)
        .await?;
    inline("2").exec_async(&mut connection).await?;

    page.note("MULTI, CACHEOPS.INVALIDATE ON book ..., CACHEOPS.EXPLAIN book:77, EXEC");
    let why = why.ok_or("EXPLAIN of a dead entry is nil")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let or_none = |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or("-".to_string(), text);
    let sequence = why.sequence.map_or("-".to_string(), |number| number.to_string());
    for (name, value) in [
        ("state", format!("{:?}", why.state).to_lowercase()),
        ("reason", why.reason.clone().unwrap_or("-".into())),
        ("table", or_none(&why.table)),
        ("conjunction", or_none(&why.conjunction)),
        ("sequence", sequence),
        ("bytes", why.bytes.map_or("-".to_string(), count)),
    ] {
        page.say(&format!("{name:<14}{value}"));
    }
    for (table, condition) in &why.conditions {
        page.say(&format!("{:<14}{} {}", "depends on", text(table), text(condition)));
    }
    if why.conjunction.as_deref() != Some(b"id=77") {
        return Err("EXPLAIN does not name the conjunction that the row satisfied".into());
    }
    let audit = app.audit(&rows).await?;
    app.refill(&audit).await
}

async fn fan_out(page: &mut Page, cache: &Client) -> Result<(), Failure> {
    page.chapter("One row that everything depends on");
    let value = "x".repeat(200);
    let keys: Vec<String> = (0..FAN_OUT).map(|i| format!("page:{i}")).collect();
    let begun = Instant::now();
    for batch in keys.chunks(PIPELINE) {
        let currency = || Condition::all().term("name", "currency");
        try_join_all(
            batch
                .iter()
                .map(|key| cache.store(key, &value).on("setting", currency()).into_future()),
        )
        .await?;
    }
    page.say(&format!(
        "{} pages of 200 bytes depend on setting name=currency (stored in {})",
        count(FAN_OUT),
        time(begun.elapsed())
    ));

    let before = stats::spent(cache, "cacheops.invalidate").await?;
    let row = Row::new().set("name", "currency");
    let begun = Instant::now();
    let cut = cache
        .invalidate()
        .changed("setting", row.clone().set("value", "EUR"), row.set("value", "CHF"))
        .await?;
    let answered = begun.elapsed();
    let hits = hits(cache, &keys).await?;
    if cut != FAN_OUT as u64 || hits > 0 {
        return Err(format!("{cut} links were cut and {hits} pages are still hits").into());
    }

    // What other clients feel while the memory is given back.
    let mut worst_ping = Duration::ZERO;
    loop {
        let ping = Instant::now();
        redis::cmd("PING").exec_async(&mut cache.connection()).await?;
        worst_ping = worst_ping.max(ping.elapsed());
        if stats::number(cache, "cacheops_dead").await? == 0 {
            break;
        }
        if begun.elapsed() > RECLAIM_DEADLINE {
            return Err("dead entries are not reclaimed".into());
        }
    }
    let reclaimed = begun.elapsed();
    let spent = stats::spent(cache, "cacheops.invalidate").await? - before;
    page.say(&format!(
        "INVALIDATE cut all {}: {} in the server",
        count(cut),
        page.good(&time(spent))
    ));
    page.say(&format!("  answered after {}; from then on every page is a miss", time(answered)));
    page.say(&format!(
        "  memory given back in slices, all within {}; slowest PING meanwhile {}",
        time(reclaimed),
        time(worst_ping)
    ));

    // The plain way, for scale: the application knows all keys and deletes them.
    let mut connection = cache.connection();
    for batch in keys.chunks(PIPELINE) {
        let mut set = redis::cmd("MSET");
        batch.iter().for_each(|key| {
            set.arg(key).arg(&value);
        });
        set.exec_async(&mut connection).await?;
    }
    redis::cmd("UNLINK").arg(&keys).exec_async(&mut connection).await?;
    let unlink = stats::spent(cache, "unlink").await?;
    page.note(&format!(
        "for scale: UNLINK of {} plain keys, all named: {}",
        count(FAN_OUT),
        time(unlink)
    ));
    Ok(())
}

async fn hits(cache: &Client, keys: &[String]) -> Result<usize, Failure> {
    let mut hits = 0;
    for batch in keys.chunks(1_000) {
        hits += cache.get_many(batch).await?.iter().flatten().count();
    }
    Ok(hits)
}

async fn show_info(page: &mut Page, app: &App) -> Result<(), Failure> {
    page.chapter("What the server counted: INFO cacheops");
    let fields = stats::info(&app.cache, "cacheops").await?;
    let cells: Vec<String> = fields
        .iter()
        .map(|(name, value)| {
            let name = name.strip_prefix("cacheops_").unwrap_or(name);
            format!("{name:<28}{:>12}", value.parse::<u64>().map_or_else(|_| value.clone(), count))
        })
        .collect();
    let half = cells.len().div_ceil(2);
    for (i, left) in cells[..half].iter().enumerate() {
        let right = cells.get(half + i).map_or("", |cell| cell.as_str());
        page.say(format!("{left}     {right}").trim_end());
    }
    let panics = stats::number(&app.cache, "cacheops_panics").await?;
    if panics > 0 { Err(format!("the module caught {panics} panics").into()) } else { Ok(()) }
}

fn verdict(page: &Page, app: &App, text: &str) -> String {
    format!("{} {text} ({} compared so far)", page.good("verified:"), count(app.compared))
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_string();
    }
    text.chars().take(width - 3).chain("...".chars()).collect()
}
