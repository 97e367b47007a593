//! What the measured entries are, and what they depend on: fixed by their number, the same for every rival.

use std::fmt::Write;

/// Terms of a conjunction, or the known values of a row.
pub type Fields = Vec<(&'static str, u64)>;

/// Per table a DNF.
pub type Condition = Vec<(&'static str, Vec<Fields>)>;

/// Time to live of everything stored, in milliseconds.
pub const PX: &str = "3600000";

/// Entries in a block: fan-outs are exact in each block, whatever the number of blocks.
const BLOCK: u64 = 100_000;

/// A key of 35 bytes: `tag` (3 bytes), 16 hexadecimal digits that scatter, 16 decimal digits of `number`.
pub fn key(tag: &str, number: u64) -> String {
    debug_assert_eq!(tag.len(), 3);
    format!("{tag}{:016x}{number:016}", scatter(number))
}

/// The number in a key made by [`key`].
pub fn number_of(key: &str) -> Option<u64> {
    key.get(19..35)?.parse().ok()
}

/// A value of `bytes` bytes.
pub fn value(bytes: usize) -> String {
    "0123456789abcdef".chars().cycle().take(bytes).collect()
}

/// The finaliser of SplitMix64: a permutation of the integers that looks random.
pub fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// One conjunction that a hundred entries of a block share.
pub fn one_shared(number: u64) -> Condition {
    vec![("post", vec![vec![("author_id", group(number, 100))]])]
}

/// One conjunction of its own.
pub fn one_unique(number: u64) -> Condition {
    vec![("post", vec![vec![("id", number)]])]
}

/// Three conjunctions over two tables with 10, 100 and 1000 dependents.
pub fn three_shared(number: u64) -> Condition {
    let by_category = vec![("category_id", group(number, 1000))];
    let by_author = vec![("author_id", group(number, 100))];
    vec![
        ("post", vec![by_category, by_author]),
        ("comment", vec![vec![("post_id", group(number, 10))]]),
    ]
}

/// Three shared conjunctions, and `unique` (at most three) that no other entry uses.
pub fn three_shared_and(unique: usize, number: u64) -> Condition {
    let mut condition = three_shared(number);
    let own = ["id", "slug_id", "uuid_id"].into_iter().take(unique);
    condition[0].1.extend(own.map(|field| vec![(field, number)]));
    condition
}

/// Eight conjunctions of four fields each, all of one scheme.
pub fn eight_of_four(number: u64) -> Condition {
    let conjunction = |kind: u64| {
        let author = ("author_id", (number + kind) % 1000);
        vec![author, ("category_id", kind), ("status", number % 2), ("language", 3)]
    };
    vec![("post", (0..8).map(conjunction).collect())]
}

/// The group of `number` when each group has `fan_out` members, scattered over a block.
fn group(number: u64, fan_out: u64) -> u64 {
    let groups = BLOCK / fan_out;
    number / BLOCK * groups + number % BLOCK % groups
}

/// A conjunction, or a row, in the grammar of the module.
pub fn conjunction_text(fields: &Fields) -> String {
    let mut text = String::new();
    for (position, (field, value)) in fields.iter().enumerate() {
        let separator = if position > 0 { "&" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{field}={value}");
    }
    text
}

/// The arguments `table condition [table condition ...]`.
pub fn arguments(condition: &Condition) -> Vec<String> {
    let text = |dnf: &[Fields]| dnf.iter().map(conjunction_text).collect::<Vec<_>>().join("|");
    condition.iter().flat_map(|(table, dnf)| [table.to_string(), text(dnf)]).collect()
}
