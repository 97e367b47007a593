//! Any bytes as the arguments of every command: they are read or refused with a text, and never panic.
//!
//! The first byte sets the limits. Arguments end at a byte 0xFF, which keeps words whole for a dictionary and seeds readable.
#![no_main]

use cacheops_protocol::{
    ArgError, CheckArgs, Dependencies, Expiry, GetArgs, InvalidateArgs, Limits, MAX_NUMBER,
    ReapArgs, ReleaseArgs, ShardArgs, StoreArgs, TopArgs,
};
use libfuzzer_sys::fuzz_target;

const SMALL: Limits = Limits {
    key_bytes: 4,
    value_bytes: 4,
    name_bytes: 4,
    terms: 2,
    conjunctions: 3,
    condition_bytes: 40,
};

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let limits = if first & 1 == 0 { Limits::STREAM } else { SMALL };
    let args: Vec<&[u8]> =
        if rest.is_empty() { Vec::new() } else { rest.split(|&byte| byte == 0xff).collect() };

    if let Some(store) = accepted(StoreArgs::parse(&args, &limits)) {
        assert!(store.key.len() <= limits.key_bytes && store.value.len() <= limits.value_bytes);
        if let Some(Expiry::In(ms) | Expiry::At(ms)) = store.expiry {
            assert!((1..=1 << 62).contains(&ms));
        }
        for number in store.token.iter().chain(&store.version) {
            assert!((1..MAX_NUMBER).contains(number));
        }
        within(&store.on, &limits);
    }
    if let Some(get) = accepted(GetArgs::parse(&args)) {
        assert!(get.if_not.is_none_or(|version| version < MAX_NUMBER));
        if let Some(lock) = get.lock {
            assert!(get.token && (1..=3_600_000).contains(&lock.hold_ms));
            assert!(lock.wait_ms.is_none_or(|ms| (1..=3_600_000).contains(&ms)));
        }
    }
    if let Some(release) = accepted(ReleaseArgs::parse(&args)) {
        assert!((1..MAX_NUMBER).contains(&release.token));
    }
    if let Some(check) = accepted(CheckArgs::parse(&args, &limits)) {
        assert!((1..MAX_NUMBER).contains(&check.token));
        within(&check.on, &limits);
    }
    if let Some(invalidate) = accepted(InvalidateArgs::parse(&args, &limits, |table| table.len() % 2 == 0)) {
        assert!(!invalidate.on.is_empty());
    }
    if let Some(top) = accepted(TopArgs::parse(&args)) {
        assert!((1..=100).contains(&top.count));
    }
    if let Some(reap) = accepted(ReapArgs::parse(&args)) {
        assert!((1..=1_000_000).contains(&reap.chunk) && (1..=1_000_000).contains(&reap.min_size));
    }
    if let Some(shard) = accepted(ShardArgs::parse(&args)) {
        assert_eq!(shard.shard, !args.is_empty());
    }
});

/// What was read; a refusal must have a text of one short printable line, for it becomes an error reply.
fn accepted<T>(read: Result<T, ArgError>) -> Option<T> {
    match read {
        Ok(args) => Some(args),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 1000 && !text.ends_with('.'), "{text}");
            assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
            None
        }
    }
}

fn within(on: &Dependencies<'_>, limits: &Limits) {
    assert!(!on.is_empty());
    let mut conjunctions = 0;
    for (table, condition) in on {
        assert!(!table.is_empty() && condition.max_terms() <= limits.terms);
        assert!(table.len() <= limits.name_bytes);
        conjunctions += condition.conjunctions();
    }
    assert!(conjunctions <= limits.conjunctions);
}
