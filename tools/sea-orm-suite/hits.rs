//! Prints how many reads the server has answered from its entries.

use cacheops_sea_orm::cacheops::redis::{Client, cmd};

fn main() {
    let url = std::env::var("CACHEOPS_SUITE_URL").expect("CACHEOPS_SUITE_URL is the server's");
    let mut connection = Client::open(url).unwrap().get_connection().unwrap();
    let info: String = cmd("INFO").arg("cacheops").query(&mut connection).unwrap();
    let hits = info.lines().find_map(|line| line.strip_prefix("cacheops_hits:"));
    println!("{}", hits.unwrap_or_else(|| panic!("INFO has no hits:\n{info}")));
}
