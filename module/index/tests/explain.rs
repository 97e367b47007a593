//! What the index says of an entry's end is true, or nothing.

use cacheops_condition::Condition;
use cacheops_index::{Index, Limits, Slot};

fn store(index: &mut Index, table: &[u8], condition: &[u8], limits: &Limits) -> Slot {
    let condition = Condition::parse(condition).expect("well formed");
    index.store(b"key", &[(table, condition)], None, limits).expect("there is room").slot
}

fn invalidate(index: &mut Index, table: &[u8], row: &[u8], limits: &Limits) {
    let row = Condition::parse(row).expect("well formed");
    assert_eq!(index.invalidate(&[(table, row)], || 5, limits).links, 1);
}

#[test]
fn a_forgotten_table_leaves_no_cause_rather_than_another_tables() {
    let limits = Limits { tables: 1, ..Limits::default() };
    let mut index = Index::new(1, [1, 2, 3, 4], 99, 1 << 10);
    let post = store(&mut index, b"post", b"author=7", &limits);
    invalidate(&mut index, b"post", b"author=7", &limits);

    // Its node and its scheme leave their numbers to those of a table that is dropped next.
    store(&mut index, b"user", b"id=1", &limits);
    invalidate(&mut index, b"user", b"*", &limits);

    let explanation = index.explain(post).expect("it waits to be reclaimed");
    assert!(!explanation.alive);
    assert_eq!(explanation.cause, None);
}

#[test]
fn forgotten_dead_leave_no_cause_rather_than_another_tables() {
    let limits = Limits::default();
    let mut index = Index::new(1, [1, 2, 3, 4], 99, 1 << 10);
    let post = store(&mut index, b"post", b"author=7", &limits);
    invalidate(&mut index, b"post", b"author=7", &limits);
    while index.has_dead() {
        index.forget(10);
    }

    store(&mut index, b"user", b"id=1", &limits);
    invalidate(&mut index, b"user", b"*", &limits);

    let explanation = index.explain(post).expect("its key is still there");
    assert_eq!((explanation.alive, explanation.cause), (false, None));
}
