//! The example blog, over HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use cacheops_sea_orm::Connect;

use crate::world::{World, open};

#[path = "../../examples/blog/app.rs"]
mod app;

async fn ask(at: std::net::SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: blog\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn the_blog_serves_from_the_cache_and_never_what_was_replaced() {
    let w = World::new().await;
    let connection = open(&w.dir, "example.db").await;
    let db = w.co.connector().model::<app::comment::Entity>().watch_bypass().connect(connection);
    app::create(&db).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, app::router(db)).await });

    assert_eq!(ask(at, "GET", "/topics/rust", "").await, (200, "[]".to_owned()));
    let (status, _) = ask(at, "POST", "/posts", r#"{"topic":"rust","title":"One"}"#).await;
    assert_eq!(status, 200);
    let page = ask(at, "GET", "/topics/rust", "").await.1;
    assert_eq!(page, r#"[{"id":1,"topic":"rust","title":"One"}]"#);
    let hits = w.co.stats().hits;
    assert_eq!(ask(at, "GET", "/topics/rust", "").await.1, page);
    assert_eq!(w.co.stats().hits, hits + 1);
    assert_eq!(ask(at, "POST", "/posts/1/comments", r#"{"text":"fine"}"#).await.0, 200);
    let with_comment = r#"{"post":{"id":1,"topic":"rust","title":"One"},"comments":[{"id":1,"post_id":1,"text":"fine"}]}"#;
    assert_eq!(ask(at, "GET", "/posts/1", "").await.1, with_comment);
    assert_eq!(ask(at, "PUT", "/posts/1", r#"{"title":"Two"}"#).await.0, 200);
    assert!(ask(at, "GET", "/posts/1", "").await.1.contains("Two"));
    assert!(ask(at, "GET", "/topics/rust", "").await.1.contains("Two"));
    assert_eq!(ask(at, "DELETE", "/posts/1", "").await.0, 204);
    assert_eq!(ask(at, "GET", "/posts/1", "").await.0, 404);
    assert_eq!(ask(at, "GET", "/topics/rust", "").await.1, "[]");
    serving.abort();
}
