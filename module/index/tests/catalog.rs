//! What stays in the index when no entry needs it: names of tables and fields, and schemes. It is bounded in bytes.

use cacheops_condition::Condition;
use cacheops_index::{CatalogBytes, Index, Limits, Refused, Stored};

const LIMITS: Limits = Limits {
    tables: 4096,
    schemes: 128,
    catalog_bytes: 100_000,
    may_exceed: false,
    probes: 200_000,
    partial_scan: 1000,
};

fn index() -> (Index, CatalogBytes) {
    let catalogs = CatalogBytes::default();
    (Index::new(1, [1, 2, 3, 4], 99, 1024).sharing(catalogs.clone()), catalogs)
}

fn store(
    index: &mut Index,
    table: &str,
    condition: &str,
    limits: &Limits,
) -> Result<Stored, Refused> {
    let condition = Condition::parse(condition.as_bytes()).expect("well formed");
    index.store(b"key", &[(table.as_bytes(), condition)], None, limits)
}

fn check(index: &mut Index, table: &str, condition: &str) -> Result<bool, Refused> {
    let token = index.token();
    let condition = Condition::parse(condition.as_bytes()).expect("well formed");
    index.check(&[(table.as_bytes(), condition)], token, &LIMITS)
}

fn invalidate(index: &mut Index, table: &str, rows: &str) -> usize {
    let rows = Condition::parse(rows.as_bytes()).expect("well formed");
    index.invalidate(&[(table.as_bytes(), rows)], || 5, &LIMITS).links
}

/// Sixteen fields of a thousand bytes each, others for each number.
fn long_fields(number: usize) -> String {
    let fields: Vec<String> = (0..16).map(|field| format!("{number:04}-{field:0995}=1")).collect();
    fields.join("&")
}

fn conditions(index: &Index, stored: Stored) -> String {
    let conditions = index.conditions(stored.slot).expect("alive");
    String::from_utf8(conditions[0].1.clone()).expect("text")
}

#[test]
fn checks_fill_no_more_than_a_half() {
    let (mut index, catalogs) = index();
    let mut unanswered = 0;
    for number in 0..500 {
        // Tables of their own too: nothing of one check is of use to the next.
        let table = format!("table:{}", number / 4);
        unanswered += usize::from(check(&mut index, &table, &long_fields(number)).is_err());
        assert!(catalogs.get() <= LIMITS.catalog_bytes / 2, "{}", catalogs.get());
    }

    assert_eq!(unanswered, 0, "what nothing uses makes room for what is asked now");
    assert!(store(&mut index, "post", "author=7", &LIMITS).is_ok_and(|stored| stored.is_exact));
}

#[test]
fn a_check_that_fits_nowhere_registers_nothing() {
    let (mut index, catalogs) = index();
    // All of it is in use.
    for number in 0..4 {
        store(&mut index, "used", &long_fields(number), &LIMITS).expect("stored");
    }
    let before = (catalogs.get(), index.sizes().tables, index.sizes().schemes);

    for table in ["used", "new"] {
        assert_eq!(check(&mut index, table, &long_fields(9)), Err(Refused::Limit), "{table}");
    }

    assert_eq!((catalogs.get(), index.sizes().tables, index.sizes().schemes), before);
}

#[test]
fn past_the_bound_a_new_table_is_refused_and_a_new_scheme_becomes_a_part() {
    let (mut index, catalogs) = index();
    let mut number = 0;
    while store(&mut index, "used", &long_fields(number), &LIMITS).expect("stored").is_exact {
        number += 1;
    }
    let table = "t".repeat(LIMITS.catalog_bytes - catalogs.get());

    assert_eq!(number, 5, "of some 17,000 bytes each");
    assert_eq!(store(&mut index, &table, "author=7", &LIMITS), Err(Refused::Limit));
    assert!(catalogs.get() <= LIMITS.catalog_bytes);
    assert_eq!(invalidate(&mut index, "used", "other=1"), number + 1);
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let (mut index, catalogs) = index();
    for number in 0..300 {
        let stored = store(&mut index, &format!("t:{number}"), &long_fields(number), &LIMITS);
        index.remove(stored.expect("stored").slot);
    }
    assert!(catalogs.get() > LIMITS.catalog_bytes / 2);

    index.reset(7);

    assert_eq!((catalogs.get(), index.sizes().tables, index.sizes().schemes), (0, 0, 0));
}

#[test]
fn what_nothing_uses_can_be_forgotten_at_any_time() {
    let (mut index, catalogs) = index();
    let kept = store(&mut index, "post", "author=7", &LIMITS).expect("stored");
    let before = catalogs.get();
    for number in 0..30 {
        let table = format!("t:{}", number % 7);
        let stored = store(&mut index, &table, &format!("f{number}=1|*"), &LIMITS);
        index.remove(stored.expect("stored").slot);
    }
    assert!(catalogs.get() > 2 * before);

    for _ in 0..20 {
        index.forget_unused(5);
    }

    assert_eq!((catalogs.get(), index.sizes().tables, index.sizes().schemes), (before, 1, 1));
    assert!(index.is_alive(kept.slot));
    assert_eq!(invalidate(&mut index, "post", "author=7"), 1);
}

#[test]
fn several_indexes_share_one_bound() {
    let (mut index, catalogs) = index();
    let mut other = Index::new(2, [1, 2, 3, 4], 99, 1024).sharing(catalogs.clone());
    for number in 0..6 {
        store(&mut index, "used", &long_fields(number), &LIMITS).expect("stored");
    }

    assert_eq!(
        store(&mut other, "new", &long_fields(0), &LIMITS).map(|stored| stored.is_exact),
        Ok(false)
    );
    index.flush(7);
    assert_eq!(
        store(&mut other, "new", &long_fields(0), &LIMITS).map(|stored| stored.is_exact),
        Ok(true)
    );
}

#[test]
fn what_another_server_has_accepted_is_neither_refused_nor_made_coarser() {
    let (mut index, catalogs) = index();
    let stream = Limits { tables: 1, schemes: 1, catalog_bytes: 1000, may_exceed: true, ..LIMITS };
    for number in 0..20 {
        let condition = format!("a{number}=1");
        let stored = store(&mut index, &format!("t:{}", number % 3), &condition, &stream);
        let stored = stored.expect("accepted");
        assert_eq!((stored.is_exact, conditions(&index, stored)), (true, condition));
    }
    assert_eq!((index.sizes().tables, index.sizes().schemes), (3, 20));
    let most = catalogs.get();

    // What no entry needs any more goes, so that a replica keeps no more than its primary.
    index.flush(7);
    for number in 0..200 {
        let stored = store(&mut index, "t:0", &format!("c{number}=1"), &stream).expect("accepted");
        index.remove(stored.slot);
    }
    assert!(index.sizes().schemes <= 2 && catalogs.get() < most, "{:?}", index.sizes());
}

#[test]
fn past_the_limit_of_schemes_a_conjunction_is_tracked_by_the_most_terms_that_have_one() {
    let (mut index, _) = index();
    let limits = Limits { schemes: 4, ..LIMITS };
    for condition in ["author=1", "author=1&draft=0", "topic=x"] {
        assert!(store(&mut index, "post", condition, &limits).expect("stored").is_exact);
    }

    let stored = store(&mut index, "post", "author=2&draft=0&hidden=0", &limits).expect("stored");

    assert_eq!((stored.is_exact, conditions(&index, stored)), (false, "author=2&draft=0".into()));
    assert_eq!(invalidate(&mut index, "post", "author=2&draft=1&hidden=0&topic=y"), 0);
    assert!(index.is_alive(stored.slot));
    assert_eq!(invalidate(&mut index, "post", "author=2&draft=0&hidden=1&topic=y"), 1);
    assert!(!index.is_alive(stored.slot));
}

#[test]
fn a_part_of_the_schemes_is_kept_for_single_fields() {
    let (mut index, _) = index();
    let limits = Limits { schemes: 16, ..LIMITS };
    for number in 0..12 {
        let condition = format!("a=1&b{number}=1");
        assert!(store(&mut index, "post", &condition, &limits).expect("stored").is_exact);
    }

    let stored = store(&mut index, "post", "short=1&reference=123456", &limits).expect("stored");

    assert_eq!((stored.is_exact, conditions(&index, stored)), (false, "reference=123456".into()));
    assert_eq!(index.sizes().schemes, 13);
}

#[test]
fn an_unrelated_row_kills_few_of_many_shapes_of_queries() {
    let (mut index, _) = index();
    let field = |bit: usize| format!("field{bit}=1");
    // All 1013 sets of two fields and more of ten.
    for shape in (1..1024usize).filter(|shape| shape.count_ones() > 1) {
        let terms: Vec<String> = (0..10).filter(|bit| shape & 1 << bit != 0).map(field).collect();
        store(&mut index, "post", &terms.join("&"), &LIMITS).expect("stored");
    }

    let unrelated: Vec<String> = (0..10).map(|bit| format!("field{bit}=2")).collect();

    assert_eq!(invalidate(&mut index, "post", &unrelated.join("&")), 0);
}

#[test]
fn the_scheme_that_is_unused_for_longest_makes_room() {
    let (mut index, _) = index();
    let limits = Limits { schemes: 2, ..LIMITS };
    for condition in ["a=1", "b=1", "a=2"] {
        let stored = store(&mut index, "post", condition, &limits).expect("stored");
        index.remove(stored.slot);
    }
    let token = index.token();
    store(&mut index, "post", "c=1", &limits).expect("stored");
    invalidate(&mut index, "post", "a=7&b=7&c=7");

    // The scheme of `a` existed at the token, so it is known that nothing it matches was invalidated since.
    let condition = Condition::parse(b"a=1").expect("well formed");
    assert_eq!(index.check(&[(b"post", condition)], token, &limits), Ok(true));
}
