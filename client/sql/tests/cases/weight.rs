//! What templates may take: their bytes are bounded, not only their number.

use super::*;

/// An INSERT of some rows of ten columns.
fn batch(rows: usize) -> String {
    let columns: Vec<String> = (0..10).map(|at| format!("column_{at}")).collect();
    let row = format!("({})", ["?"; 10].join(", "));
    format!("INSERT INTO t ({}) VALUES {}", columns.join(", "), vec![row; rows].join(", "))
}

#[test]
fn the_bytes_of_templates_are_bounded() {
    let (capacity, average) = (256, 8 * 1024);
    let analyser = Analyser::new(MySql, Schema::new(), capacity);
    for rows in (1..=960).step_by(4) {
        analyser.analyse(&batch(rows));
        assert!(analyser.template_bytes() <= capacity * average, "{}", analyser.template_bytes());
    }

    assert!(analyser.templates() > 1);
}

#[test]
fn a_template_that_is_used_often_is_not_evicted_by_large_ones() {
    let analyser = Analyser::new(MySql, Schema::new(), 256);
    let sql = "SELECT * FROM t WHERE id = ?";
    let first = analyser.analyse(sql);
    for rows in 1..=120 {
        analyser.analyse(&batch(rows));
        assert!(std::sync::Arc::ptr_eq(&first, &analyser.analyse(sql)), "after {rows} rows");
    }
}

#[test]
fn the_weight_of_a_template_grows_with_its_rows() {
    let bytes = |rows| {
        let analyser = Analyser::new(MySql, Schema::new(), 2000);
        analyser.analyse(&batch(rows));
        analyser.template_bytes()
    };
    let (ten, hundred) = (bytes(10), bytes(100));
    assert!(hundred > 8 * ten, "{ten} {hundred}");
    // Ten columns, each with a factor of its own.
    assert!(hundred > 100 * 10 * 100, "{hundred}");
}
