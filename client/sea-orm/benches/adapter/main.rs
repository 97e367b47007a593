//! What the SeaORM adapter costs, and what it saves. `make bench-adapter`.
//!
//! One call at a time. Medians over rounds, which take turns, so that a busy machine is busy for all; a difference or ratio
//! is the median of those within a round. CPU is what all threads of this process used (from
//! `/proc/self/task/*/schedstat`), not the servers. `CACHEOPS_BENCH_ROUNDS` is the number of rounds; `hit` or `cost` as an
//! argument leaves the other part out.

#![forbid(unsafe_code)]
#![allow(missing_docs)]

mod cost;
mod hit;
mod measure;

use measure::{Databases, introduce, load};

fn main() {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|argument| argument == part);
    let run = async {
        let databases = Databases::new().await;
        introduce(&databases).await;
        if wanted("hit") {
            hit::run(&databases).await;
        }
        if wanted("cost") {
            cost::run(&databases).await;
        }
        println!("\nload      {} after", load());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run);
}
