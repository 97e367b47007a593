//! The index alone: time of an operation against the one dimension that its group varies.
//!
//! ```text
//! index/store/conjunctions     conjunctions of the entry that is stored; the index holds 100 000 entries
//! index/store/entries          entries that the index holds; the one that is stored has one conjunction
//! index/hit/conjunctions       conjunctions of the entry that is looked at; the index holds 100 000 entries
//! index/remove/conjunctions    conjunctions of the entry that is removed; the index holds 100 000 entries
//! index/invalidate/fan_out     entries that one row kills
//! index/invalidate/schemes     schemes of the table; the row satisfies nothing
//! index/reap/entries           dead entries that are taken apart, down to none
//! ```
//!
//! Keys have 16 bytes, conditions are parsed outside of the time that is taken, and the inputs are the same in each run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use cacheops_condition::Condition;
use cacheops_index::{Index, Limits, Stored};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Entries of the index where another dimension varies.
const ENTRIES: u64 = 100_000;
const TOMBSTONES: usize = 1 << 19;
/// Entries that are timed together, so that the clock costs nothing.
const BATCH: u64 = 1000;

/// What an entry is stored with: its key, and one table with its condition.
type Entry<'t> = ([u8; 16], [(&'t [u8], Condition<'t>); 1]);

fn empty() -> Index {
    Index::new(1, [1, 2, 3, 4], 5, TOMBSTONES)
}

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"query:0000000000";
    let mut rest = number;
    for digit in key[6..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// The text of a condition with so many conjunctions of two terms, all on one scheme, none shared with another number.
fn text(number: u64, conjunctions: u64) -> Vec<u8> {
    let conjunctions: Vec<String> = (0..conjunctions)
        .map(|at| format!("author={}&status=published", number * conjunctions + at))
        .collect();
    conjunctions.join("|").into_bytes()
}

fn parse(text: &[u8]) -> Condition<'_> {
    Condition::parse(text).expect("well formed")
}

fn store(index: &mut Index, number: u64, condition: Condition<'_>) -> Stored {
    let deps = [(&b"post"[..], condition)];
    index.store(&key(number), &deps, None, &Limits::default()).expect("no limit is near")
}

/// An index with so many entries of so many conjunctions each.
fn filled(entries: u64, conjunctions: u64) -> (Index, Vec<Stored>) {
    let mut index = empty();
    let stored = (0..entries)
        .map(|number| store(&mut index, number, parse(&text(number, conjunctions))))
        .collect();
    (index, stored)
}

/// The next entry in an order that jumps about and visits each before one comes again.
fn scattered(at: &mut usize) -> usize {
    // It has no factor in common with the number of entries.
    *at = (*at + 61_843) % ENTRIES as usize;
    *at
}

/// Times `store` of `BATCH` new entries at a time, each time others; making and removing them is not timed.
fn time_stores(index: &mut Index, held: u64, conjunctions: u64, iterations: u64) -> Duration {
    let limits = Limits::default();
    let mut slots = Vec::new();
    let mut taken = Duration::ZERO;
    let mut done = 0;
    while done < iterations {
        let numbers = held + done..held + iterations.min(done + BATCH);
        let texts: Vec<Vec<u8>> =
            numbers.clone().map(|number| text(number, conjunctions)).collect();
        let new: Vec<Entry<'_>> = numbers
            .zip(&texts)
            .map(|(number, text)| (key(number), [(&b"post"[..], parse(text))]))
            .collect();
        slots.reserve(new.len());
        let start = Instant::now();
        for (key, deps) in &new {
            match index.store(key, deps, None, &limits) {
                Ok(stored) => slots.push(stored.slot),
                Err(refused) => panic!("{refused:?}"),
            }
        }
        taken += start.elapsed();
        assert_eq!(index.sizes().links as u64, (held + new.len() as u64) * conjunctions);
        slots.drain(..).for_each(|slot| index.remove(slot));
        done += new.len() as u64;
    }
    taken
}

/// Time of one `store` of a new entry against its conjunctions.
fn store_conjunctions(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/store/conjunctions");
    group.throughput(Throughput::Elements(1));
    for conjunctions in [1, 3, 8] {
        let (mut index, _) = filled(ENTRIES, conjunctions);
        group.bench_function(BenchmarkId::from_parameter(conjunctions), |b| {
            b.iter_custom(|times| time_stores(&mut index, ENTRIES, conjunctions, times));
        });
    }
    group.finish();
}

/// Time of one `store` of a new entry against the entries that the index holds.
fn store_entries(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/store/entries");
    group.throughput(Throughput::Elements(1));
    for entries in [1000, 10_000, 100_000, 1_000_000] {
        let (mut index, _) = filled(entries, 1);
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter_custom(|times| time_stores(&mut index, entries, 1, times));
        });
    }
    group.finish();
}

/// Time of one `hit` against the conjunctions of the entry; entries are looked at in scattered order.
fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/hit/conjunctions");
    group.throughput(Throughput::Elements(1));
    for conjunctions in [1, 3, 8] {
        let (mut index, entries) = filled(ENTRIES, conjunctions);
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(conjunctions), |b| {
            b.iter(|| {
                let entry = &entries[scattered(&mut at)];
                assert!(index.hit(black_box(entry.slot), entry.stamps.nodes()));
            });
        });
    }
    group.finish();
}

/// Time of one `remove` of a living entry against its conjunctions; those of a batch are scattered, and stored again after.
fn remove(c: &mut Criterion) {
    let mut group = c.benchmark_group("index/remove/conjunctions");
    group.throughput(Throughput::Elements(1));
    for conjunctions in [1, 3, 8] {
        let (mut index, mut slots) = filled(ENTRIES, conjunctions);
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(conjunctions), |b| {
            b.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                let mut left = times;
                while left > 0 {
                    let batch = left.min(BATCH);
                    left -= batch;
                    let chosen: Vec<usize> = (0..batch).map(|_| scattered(&mut at)).collect();
                    let start = Instant::now();
                    for &number in &chosen {
                        index.remove(slots[number].slot);
                    }
                    taken += start.elapsed();
                    assert_eq!(index.sizes().links as u64, (ENTRIES - batch) * conjunctions);
                    for number in chosen {
                        let text = text(number as u64, conjunctions);
                        slots[number] = store(&mut index, number as u64, parse(&text));
                    }
                }
                taken
            });
        });
    }
    group.finish();
}

/// An index where so many entries depend on `author=7`.
fn with_fan_out(fan_out: u64) -> Index {
    let mut index = empty();
    let shared = parse(b"author=7");
    // The first invalidation makes the array of tombstones, and the first of a row brings their pages in.
    store(&mut index, 0, shared.clone());
    index.invalidate(&[(b"post", shared.clone())], || 0, &Limits::default());
    while index.has_dead() {
        index.reap(10, &mut Vec::new());
    }
    for number in 0..fan_out {
        store(&mut index, number, shared.clone());
    }
    index
}

/// Time of one `invalidate` against the number of entries it kills, building and reclaiming excluded.
fn invalidate_fan_out(c: &mut Criterion) {
    let row = [(&b"post"[..], parse(b"id=42&author=7"))];
    let limits = Limits::default();
    let mut group = c.benchmark_group("index/invalidate/fan_out");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    for fan_out in [1, 100, 10_000, 1_000_000] {
        group.throughput(Throughput::Elements(fan_out));
        group.bench_function(BenchmarkId::from_parameter(fan_out), |b| {
            b.iter_batched_ref(
                || with_fan_out(fan_out),
                |index| {
                    assert_eq!(index.invalidate(&row, || 0, &limits).links as u64, fan_out);
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Time of one `invalidate` that finds nothing against the schemes of its table.
fn invalidate_schemes(c: &mut Criterion) {
    const FIELDS: u64 = 100;
    let row: Vec<String> = (0..FIELDS).map(|field| format!("field{field}=other")).collect();
    let row = row.join("&").into_bytes();
    let row = [(&b"post"[..], parse(&row))];
    let limits = Limits::default();
    let mut group = c.benchmark_group("index/invalidate/schemes");
    group.throughput(Throughput::Elements(1));
    for schemes in [1, 5, 20, 100] {
        let mut index = empty();
        for number in 0..schemes {
            store(&mut index, number, parse(format!("field{number}=1").as_bytes()));
        }
        assert_eq!(index.sizes().schemes as u64, schemes);
        group.bench_function(BenchmarkId::from_parameter(schemes), |b| {
            b.iter(|| assert_eq!(index.invalidate(black_box(&row), || 0, &limits).links, 0));
        });
    }
    group.finish();
}

/// Time to take dead entries of one conjunction apart and to name their keys, against their number.
fn reap(c: &mut Criterion) {
    let row = [(&b"post"[..], parse(b"id=42&author=7"))];
    let limits = Limits::default();
    let mut group = c.benchmark_group("index/reap/entries");
    group.sample_size(10);
    for entries in [100, 10_000, 100_000] {
        group.throughput(Throughput::Elements(entries));
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter_batched_ref(
                || {
                    let mut index = with_fan_out(entries);
                    index.invalidate(&row, || 0, &limits);
                    (index, Vec::with_capacity(entries as usize))
                },
                |(index, keys)| {
                    while index.has_dead() {
                        index.reap(1000, keys);
                    }
                    assert_eq!((keys.len() as u64, index.sizes().entries), (entries, 0));
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = store_conjunctions, store_entries, hit, remove, invalidate_fan_out,
        invalidate_schemes, reap
);
criterion_main!(benches);
