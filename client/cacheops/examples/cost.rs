//! What a read costs: encoding and decoding beside those of rmp_serde alone, a hit beside a bare GET and decoding, and a read while the server is away beside
//! its loader alone. It starts a server of its own: `make build`, then
//! `cargo run --release -p cacheops --example cost`.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use cacheops::{Cacheops, Codec, Condition, Format, Key};
use serde::{Deserialize, Serialize};
use support::Server;

const READS: u32 = 50_000;
const ROUNDS: usize = 5;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Post {
    id: i64,
    author_id: i64,
    title: String,
    body: String,
    score: f64,
    tags: Option<String>,
}

fn posts() -> Vec<Post> {
    let post = |id| Post {
        id,
        author_id: 7,
        title: format!("The title of post {id}"),
        body: "Some text. ".repeat(12),
        score: id as f64 / 3.0,
        tags: (id % 2 == 0).then(|| "a,b,c".to_owned()),
    };
    (0..10).map(post).collect()
}

async fn read(cacheops: &Cacheops) -> Vec<Post> {
    let key = Key::query("shop", "SELECT * FROM post WHERE author_id = ? ORDER BY id LIMIT 10");
    cacheops
        .read(key.value(&7).of::<Vec<Post>>())
        .on("post", Condition::all().term("author_id", 7))
        .get_or_load(|| async { Ok::<_, Infallible>(posts()) })
        .await
        .unwrap()
}

/// Time of one call.
fn time<T>(mut one: impl FnMut() -> T) -> Duration {
    let begun = Instant::now();
    for _ in 0..READS {
        std::hint::black_box(one());
    }
    begun.elapsed() / READS
}

/// Time, and processor time of this process, of one read; one after the other.
async fn measure<F: Future>(mut one: impl FnMut() -> F) -> (Duration, Duration) {
    let (begun, used) = (Instant::now(), processor_time());
    for _ in 0..READS {
        std::hint::black_box(one().await);
    }
    (begun.elapsed() / READS, (processor_time() - used) / READS)
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |n: usize| -> u64 {
        fields.split_whitespace().nth(n).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
    };
    // User and system time, in hundredths of a second.
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/", server.port());
    let cacheops = Cacheops::connect(&url).await?;
    assert_eq!(read(&cacheops).await, posts());
    let (bytes, posts_now) = (rmp_serde::to_vec_named(&posts())?, posts());
    let kept = Format::MessagePack.encode(&posts_now)?;
    for _ in 0..ROUNDS {
        let plain = time(|| rmp_serde::to_vec_named(&posts_now));
        let proven = time(|| Format::MessagePack.encode(&posts_now));
        let read = time(|| rmp_serde::from_slice::<Vec<Post>>(&bytes));
        let observed = time(|| Codec::<Vec<Post>>::decode(&Format::MessagePack, &kept));
        println!(
            "encode: rmp_serde {plain:.2?}, and proven {proven:.2?}    decode: rmp_serde {read:.2?}, observed {observed:.2?}"
        );
    }
    println!(
        "ten rows, {} bytes; {READS} reads each, time and processor time of the client",
        bytes.len()
    );

    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    redis::cmd("SET").arg("cost").arg(&bytes).exec_async(&mut connection.clone()).await?;
    let bare = async || -> Vec<Post> {
        let mut connection = connection.clone();
        let value: Vec<u8> =
            redis::cmd("GET").arg("cost").query_async(&mut connection).await.unwrap();
        rmp_serde::from_slice(&value).unwrap()
    };
    for _ in 0..ROUNDS {
        let get = measure(bare).await;
        let hit = measure(|| read(&cacheops)).await;
        println!("GET and decode {:.1?} {:.1?}    a hit {:.1?} {:.1?}", get.0, get.1, hit.0, hit.1);
    }
    assert_eq!(cacheops.stats().stores, 1);

    server.freeze();
    let begun = Instant::now();
    read(&cacheops).await;
    println!("the server is frozen: the first read {:.1?}", begun.elapsed());
    for _ in 0..ROUNDS {
        let load = measure(|| async { posts() }).await;
        let away = measure(|| read(&cacheops)).await;
        println!("the loader alone {:.1?}    a read {:.1?}", load.0, away.0);
    }
    server.thaw();
    let begun = Instant::now();
    cacheops.settled().await;
    println!("back {:.1?} after it goes on", begun.elapsed());
    Ok(())
}
