//! What the client sends and how it reads replies, against a server of a few lines: each test
//! says what it answers to which command. The behaviour of the module has tests of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cacheops::{Changes, Client, Condition, ErrorKind, Lookup, Row, State, Token, Version};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const VERSION: &str =
    "*6\r\n+version\r\n+0.1.0\r\n+grammar\r\n:1\r\n+capabilities\r\n*2\r\n+token\r\n+check\r\n";

/// A server that answers each command with the text its name has in `replies`.
struct Server {
    url: String,
    /// The commands so far, arguments joined by a space, connection set-up left out.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(replies: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, replies, Arc::clone(&log)));
            }
        });
        Self { url, seen }
    }

    fn count(&self, command: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| *seen == command).count()
    }

    fn last(&self) -> String {
        self.seen.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn serve(
    stream: TcpStream,
    replies: &[(&str, &str)],
    seen: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let count: usize = header(&mut stream).await?;
        let mut args = Vec::new();
        for _ in 0..count {
            let mut arg = vec![0; header(&mut stream).await? + 2];
            stream.read_exact(&mut arg).await.ok()?;
            args.push(String::from_utf8_lossy(&arg[..arg.len() - 2]).into_owned());
        }
        if args[0] == "CLIENT" {
            stream.write_all(b"+OK\r\n").await.ok()?;
            continue;
        }
        let reply = replies.iter().find(|(name, _)| *name == args[0]).map(|(_, reply)| *reply);
        let reply = reply.unwrap_or("-ERR unknown command 'X', with args beginning with: \r\n");
        seen.lock().unwrap().push(args.join(" "));
        stream.write_all(reply.as_bytes()).await.ok()?;
    }
}

/// The number of a line such as `*3` or `$5`.
async fn header(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.get(1..)?.trim().parse().ok()
}

#[tokio::test]
async fn connect_tells_a_missing_module_from_an_old_one() {
    let missing = Server::start(&[]).await;
    let old =
        Server::start(&[("CACHEOPS.VERSION", "*4\r\n+version\r\n+0.0.1\r\n+grammar\r\n:0\r\n")])
            .await;

    for (server, kind) in [(missing, ErrorKind::ModuleMissing), (old, ErrorKind::ModuleTooOld)] {
        let error = Client::connect(server.url.as_str()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn store_names_everything_it_was_told() {
    let server =
        Server::start(&[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.STORE", ":71\r\n")]).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    let version = cache
        .store("posts", "[]")
        .on("post", Condition::all().term("title", "a&b|c").null("deleted_at"))
        .on("tag", Condition::all())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(version.get(), 71);
    assert_eq!(server.last(), "CACHEOPS.STORE posts [] ON post deleted_at&title=a%26b%7Cc tag *");

    let fill = cache.store("k", "v").on("t", Condition::all()).token(version.token());
    fill.ttl(Duration::from_millis(1500)).await.unwrap();
    assert_eq!(server.last(), "CACHEOPS.STORE k v PX 1500 TOKEN 71 ON t *");
}

#[tokio::test]
async fn a_store_that_depends_on_nothing_is_not_sent() {
    let server = Server::start(&[("CACHEOPS.VERSION", VERSION)]).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    let error = cache.store("k", "v").await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(server.last(), "CACHEOPS.VERSION");
}

#[tokio::test]
async fn a_refused_store_is_none() {
    let server =
        Server::start(&[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.STORE", "$-1\r\n")]).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    assert_eq!(cache.store("k", "v").on("t", Condition::all()).await.unwrap(), None);
}

#[tokio::test]
async fn invalidate_sends_all_rows_in_one_command() {
    let server =
        Server::start(&[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.INVALIDATE", ":3\r\n")]).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();
    let row = Row::new().set("id", 7);

    let cut = cache
        .invalidate()
        .changed("post", row.clone().set("a", 1), row.clone().null("a"))
        .table("tag")
        .row("post", &row)
        .dry_run()
        .await
        .unwrap();
    assert_eq!(cut, 3);
    assert_eq!(server.last(), "CACHEOPS.INVALIDATE DRYRUN ON post a=1&id=7|a&id=7|id=7 tag *");

    assert_eq!(cache.invalidate().await.unwrap(), 0);
    assert_eq!(cache.get_many::<&str>([]).await.unwrap(), []);
    assert!(server.last().starts_with("CACHEOPS.INVALIDATE"));
}

#[tokio::test]
async fn changes_that_are_everything_become_a_flush() {
    let server = Server::start(&[
        ("CACHEOPS.VERSION", VERSION),
        ("CACHEOPS.INVALIDATE", ":3\r\n"),
        ("CACHEOPS.FLUSH", ":7\r\n"),
    ])
    .await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();
    let everything = Changes::everything();

    assert_eq!(cache.invalidate().changes(&everything).await.unwrap(), 7);
    assert_eq!(server.last(), "CACHEOPS.FLUSH");
    let more = cache.invalidate().table("post").changes(&everything).table("tag");
    assert_eq!(more.await.unwrap(), 7);
    assert_eq!(server.count("CACHEOPS.FLUSH"), 2);
    assert_eq!(cache.invalidate().changes(&Changes::table("post")).await.unwrap(), 3);
}

#[tokio::test]
async fn a_dry_run_of_everything_is_an_error_and_flushes_nothing() {
    let replies = &[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.FLUSH", ":7\r\n")];
    let server = Server::start(replies).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    let error = cache.invalidate().changes(&Changes::everything()).dry_run().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.to_string().contains("dry_run"), "{error}");
    assert_eq!(server.last(), "CACHEOPS.VERSION");
}

#[tokio::test]
async fn a_token_is_kept_as_a_number_and_checked_by_its_key() {
    let server = Server::start(&[
        ("CACHEOPS.VERSION", VERSION),
        ("CACHEOPS.TOKEN", ":9\r\n"),
        ("CACHEOPS.CHECK", ":1\r\n"),
    ])
    .await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    let kept = cache.token_for("page").await.unwrap().get();
    assert_eq!(server.last(), "CACHEOPS.TOKEN page");
    let check = cache.check(Token::new(kept)).key("page");
    assert!(check.on("post", Condition::all().null("a")).await.unwrap());

    assert_eq!(server.last(), "CACHEOPS.CHECK 9 KEY page ON post a");
    assert_eq!(Version::new(7).get(), 7);
}

#[tokio::test]
async fn token_asks_only_a_module_that_has_it() {
    let with = Server::start(&[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.TOKEN", ":9\r\n")]).await;
    let without = Server::start(&[(
        "CACHEOPS.VERSION",
        "%3\r\n+version\r\n+0.1.0\r\n+grammar\r\n:1\r\n+capabilities\r\n*0\r\n",
    )])
    .await;

    let cache = Client::connect(with.url.as_str()).await.unwrap();
    assert_eq!(cache.token().await.unwrap().get(), 9);

    let cache = Client::connect(without.url.as_str()).await.unwrap();
    assert_eq!(cache.token().await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(without.last(), "CACHEOPS.VERSION");
}

#[tokio::test]
async fn lookup_tells_a_value_from_a_token() {
    for (reply, expected) in [
        ("$1\r\n7\r\n", Lookup::Hit(b"7".to_vec())),
        ("$0\r\n\r\n", Lookup::Hit(Vec::new())),
        ("$-1\r\n", Lookup::Miss(None)),
    ] {
        let replies = vec![("CACHEOPS.VERSION", VERSION), ("CACHEOPS.GET", reply)];
        let server = Server::start(Vec::leak(replies)).await;
        let cache = Client::connect(server.url.as_str()).await.unwrap();

        assert_eq!(cache.lookup("k").await.unwrap(), expected);
        assert_eq!(server.last(), "CACHEOPS.GET k TOKEN");
    }

    let server = Server::start(&[("CACHEOPS.VERSION", VERSION), ("CACHEOPS.GET", ":7\r\n")]).await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();
    let Lookup::Miss(Some(token)) = cache.lookup("k").await.unwrap() else { panic!("no token") };
    assert_eq!(token.get(), 7);
}

#[tokio::test]
async fn check_names_token_and_conditions() {
    let server = Server::start(&[
        ("CACHEOPS.VERSION", VERSION),
        ("CACHEOPS.TOKEN", ":9\r\n"),
        ("CACHEOPS.CHECK", ":1\r\n"),
    ])
    .await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();
    let token = cache.token().await.unwrap();

    assert!(cache.check(token).on("post", Condition::all().null("a")).await.unwrap());

    assert_eq!(server.last(), "CACHEOPS.CHECK 9 ON post a");
    let error = cache.check(token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test]
async fn get_tells_kinds_of_errors_apart() {
    for (reply, kind, retryable) in [
        ("-WRONGTYPE Operation against a key\r\n", ErrorKind::WrongType, false),
        ("-READONLY You can't write\r\n", ErrorKind::ReadOnly, false),
        ("-OOM command not allowed\r\n", ErrorKind::OutOfMemory, false),
        ("-LOADING dataset in memory\r\n", ErrorKind::Unavailable, true),
        ("-MISCONF errors writing to disk\r\n", ErrorKind::Unavailable, true),
        ("-NOPERM no permissions\r\n", ErrorKind::Denied, false),
        ("-ERR key is longer than 1024 bytes\r\n", ErrorKind::Rejected, false),
        (":1\r\n", ErrorKind::UnexpectedReply, false),
    ] {
        let replies = vec![("CACHEOPS.VERSION", VERSION), ("CACHEOPS.GET", reply)];
        let server = Server::start(Vec::leak(replies)).await;
        let cache = Client::connect(server.url.as_str()).await.unwrap();

        let error = cache.get("k").await.unwrap_err();

        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{reply}: {error}");
    }
}

#[tokio::test]
async fn explain_reads_the_map() {
    let server = Server::start(&[
        ("CACHEOPS.VERSION", VERSION),
        (
            "CACHEOPS.EXPLAIN",
            "*18\r\n+state\r\n+dead\r\n+reason\r\n+invalidated\r\n+table\r\n$4\r\npost\r\n\
             +conjunction\r\n$4\r\nid=7\r\n+sequence\r\n:99\r\n+time\r\n:1700000000000\r\n\
             +ttl\r\n:-1\r\n+future\r\n:1\r\n+conditions\r\n*2\r\n$4\r\npost\r\n$4\r\nid=7\r\n",
        ),
    ])
    .await;
    let cache = Client::connect(server.url.as_str()).await.unwrap();

    let why = cache.explain("k").await.unwrap().unwrap();

    assert_eq!(why.state, State::Dead);
    assert_eq!(why.reason.as_deref(), Some("invalidated"));
    assert_eq!(why.table.as_deref(), Some(&b"post"[..]));
    assert_eq!((why.sequence, why.ttl), (Some(99), None));
    assert_eq!(why.time, Some(Duration::from_secs(1_700_000_000)));
    assert_eq!(why.conditions, [(b"post".to_vec(), b"id=7".to_vec())]);
}

#[tokio::test]
async fn a_server_that_is_gone_is_a_retryable_error() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = cacheops::redis::aio::ConnectionManagerConfig::new().set_number_of_retries(0);
    let client = cacheops::redis::Client::open(format!("redis://{address}/")).unwrap();

    let result = cacheops::redis::aio::ConnectionManager::new_with_config(client, config).await;

    let error = cacheops::Error::from(result.err().unwrap());
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true));
}
