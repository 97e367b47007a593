use cacheops_sql::{Kind, Transaction, WriteKind};

use super::*;

#[track_caller]
fn kind(dialect: Dialect, sql: &str) -> Kind {
    analyser(dialect).analyse(sql).kind().clone()
}

#[test]
fn transactions_are_recognised() {
    use Transaction::*;
    let name = || "s1".to_owned();
    for (sql, expected) in [
        ("BEGIN", Begin),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", Begin),
        ("BEGIN IMMEDIATE", Begin),
        ("COMMIT", Commit { chain: false }),
        ("COMMIT AND CHAIN", Commit { chain: true }),
        ("END", Commit { chain: false }),
        ("ROLLBACK", Rollback { chain: false }),
        ("ABORT", Rollback { chain: false }),
        ("SAVEPOINT s1", Savepoint(name())),
        ("RELEASE SAVEPOINT s1", Release(name())),
        ("RELEASE s1", Release(name())),
        ("ROLLBACK TO SAVEPOINT s1", RollbackTo(name())),
        ("ROLLBACK TO s1", RollbackTo(name())),
    ] {
        for dialect in [Postgres, Sqlite] {
            assert_eq!(kind(dialect, sql), Kind::Transaction(expected.clone()), "{sql}");
        }
    }
}

#[test]
fn kinds_of_statements() {
    let read = |locking, volatile, cacheable| Kind::Read { locking, volatile, cacheable };
    for (sql, expected) in [
        ("SELECT * FROM t", read(false, false, true)),
        ("SELECT * FROM t FOR UPDATE", read(true, false, false)),
        ("SELECT now() FROM t", read(false, true, false)),
        ("EXPLAIN SELECT * FROM t", read(false, true, false)),
        ("EXPLAIN ANALYZE DELETE FROM t", Kind::Write(WriteKind::Delete)),
        ("INSERT INTO t (a) VALUES (1)", Kind::Write(WriteKind::Insert)),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", Kind::Write(WriteKind::Upsert)),
        ("UPDATE t SET a = 1", Kind::Write(WriteKind::Update)),
        ("DELETE FROM t", Kind::Write(WriteKind::Delete)),
        ("TRUNCATE t", Kind::Write(WriteKind::Truncate)),
        ("CREATE TABLE t (a int)", Kind::Ddl),
        ("SET search_path = x", Kind::Session),
        ("VACUUM", Kind::Session),
        ("CALL f()", Kind::Other),
        ("", Kind::Session),
    ] {
        assert_eq!(kind(Postgres, sql), expected, "{sql}");
    }
    assert_eq!(kind(Sqlite, "PRAGMA foreign_keys = ON"), Kind::Session);
}

#[test]
fn parameters_are_numbered_as_drivers_bind_them() {
    let sqlite = analyser(Sqlite);
    let template =
        sqlite.analyse("SELECT * FROM t WHERE a = ?3 AND b = ? AND c = :n AND d = :n AND e = @m");
    assert_eq!(template.parameters(), 6);
    assert_eq!(template.parameter_names(), [(":n".to_owned(), 4), ("@m".to_owned(), 5)]);

    // A question mark in a text, a comment or an operator is none.
    let sql = "SELECT a ? 'x' FROM t /* ? */ WHERE b = '?' AND c = $2 -- ?";
    assert_eq!(analyser(Postgres).analyse(sql).parameters(), 2);
    let sql = "SELECT '?' FROM t WHERE `a?` = ? AND b IN (?, ?)";
    assert_eq!(analyser(MySql).analyse(sql).parameters(), 3);
}

#[test]
fn templates_are_kept_up_to_the_capacity() {
    let analyser = Analyser::new(Postgres, Schema::new(), 8);
    let first = analyser.analyse("SELECT * FROM t");
    assert!(std::sync::Arc::ptr_eq(&first, &analyser.analyse("SELECT * FROM t")));

    for at in 0..100 {
        analyser.analyse(&format!("SELECT {at} FROM t"));
    }

    assert!(analyser.templates() <= 8, "{}", analyser.templates());
}
