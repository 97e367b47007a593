//! SQL text and bound values in, conditions of the cache out. No I/O: an adapter of an ORM asks it for every statement.
//!
//! * A **read** gets its *dependencies*: per table the condition that a row must satisfy to have any part in the
//!   result. They go behind `ON` in `CACHEOPS.STORE`.
//! * A **write** gets its *changes*: per table what is known of the rows before and after. They go behind `ON` in
//!   `CACHEOPS.INVALIDATE`.
//!
//! A statement is compiled into a [`Template`] once for each distinct text, and then only values are substituted.
//!
//! # How an adapter uses it
//!
//! ```
//! use cacheops_sql::{Analyser, Dialect, Kind, Schema, Value};
//!
//! let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
//!
//! // A read: the dependencies for STORE, or `None` if it must not be cached.
//! let read = analyser.analyse("SELECT * FROM article WHERE tag = $1 AND draft = false");
//! let dependencies = read.dependencies(&[Value::Int(2)]).unwrap();
//! assert_eq!(dependencies.get("article"), Some(&b"draft=0&tag=2"[..]));
//!
//! // A write without its rows: what the text and the values tell.
//! let write = analyser.analyse("UPDATE article SET tag = $1 WHERE tag = $2");
//! let rows = write.changed_rows(&[Value::Int(3), Value::Int(2)]);
//! assert_eq!(rows.to_pairs(), [("article".to_owned(), b"tag=2|tag=3".to_vec())]);
//! assert!(!write.may_change_more());
//!
//! // A write with its rows, which is exact: the old ones from this query, in the same transaction before the write ..
//! let old = write.old_rows().unwrap();
//! assert_eq!(old.sql(), "SELECT * FROM article WHERE tag = $1 FOR UPDATE");
//! assert_eq!(old.parameters(), [1]); // its $1 is the second value of the write
//!
//! // .. and the new ones from RETURNING or by primary key. Every row is a conjunction of its own.
//! let row = analyser.row_image("article", [("id", &Value::Int(7)), ("tag", &Value::Int(3))]);
//! assert_eq!(row.to_text(), b"id=7&tag=3");
//!
//! // Transactions, definitions and the rest.
//! assert!(matches!(analyser.analyse("COMMIT").kind(), Kind::Transaction(_)));
//! ```
//!
//! What to do with each [`Kind`]:
//!
//! | kind | |
//! |---|---|
//! | `Read`, cacheable | look up, or run and store with the dependencies |
//! | `Read`, not cacheable | run it |
//! | `Write`, `Ddl` | run it, then invalidate the changes; if it [may change more](Template::may_change_more), flush |
//! | `Transaction` | begin, commit, roll back the queue of invalidations |
//! | `Session` | run it |
//! | `Other` | the same as a write; it may also have begun or ended a transaction |
//!
//! # Never less
//!
//! *What is not understood depends on the whole table; what has no known table is not cached.* A read that calls a
//! function which is not known to be pure is not cached (see [`Schema::pure_function`]), nor is one that locks rows or
//! that the parser does not read. A write that is not understood changes the whole of each table it names, and
//! [`Template::may_change_more`] tells if there may be others.
//!
//! # Canonical values
//!
//! Conditions compare bytes, databases compare values. So each value has one form: `1`, `'1'`, `1.0` and `true` are `1`;
//! `1.50` is `1.5`; text loses its case, its accents and the blanks around it; a UUID is 32 hex digits; a form above 64
//! bytes is `h:` and the first 16 bytes of its SHA-256 in hex. The law is: *what the database calls equal has one form,
//! or one of the two has none*. Merging distinct values only invalidates too much. A value without a form (a float with
//! a fraction, a time, JSON) is no term of a condition, and a row leaves it out, which matches everything.
//!
//! The form depends on the value alone, so programs need not agree on a [`Schema`]; on MySQL, which compares a text with a
//! number as numbers, those that share a cache should. The schema decides where a value has a form at all: without it
//! MySQL's numbers in text columns, dates of rows, literals of PostgreSQL that may be dates, and some others have none.
//!
//! SHA-256 because every language has it at hand, it is the same in all of them, and only long values pay. The forms are
//! specified for programs in other languages in `docs/values.md`, with test vectors beside it.
//!
//! # What it cannot see
//!
//! * Triggers and foreign keys that change other tables: [`Table::also`]. Columns that the database computes, by GENERATED,
//!   ON UPDATE or a trigger, and that any statement compares: [`Table::generated`]. Columns that a trigger changes after
//!   RETURNING has shown them: [`Table::triggered`].
//! * What a function that writes has changed. A statement that calls a function or an operator that is not known to be
//!   pure, anywhere in its text, is not cached and is [`volatile`](Kind::Read): a transaction that has run one caches nothing
//!   after it. Which rows the function changed, nobody knows: invalidate them yourself.
//! * Functions that write and are called without a call in the text: by a view, a conversion to a type of the user's or the
//!   CHECK of a domain, a policy, an index, or because they overload the name of a built-in function or operator for types
//!   of their own. Of SQLite: those that the application registers under the name of a built-in one.
//! * Constraints of SQLite with ON CONFLICT REPLACE, which make any INSERT or UPDATE delete rows: [`Table::also`] with the
//!   table itself. A column that is NOT NULL ON CONFLICT REPLACE gets its default for NULL: [`Table::generated`].
//! * Views: [`Schema::view`], or [`Schema::closed`] so that nothing unknown is cached.
//! * Tables that a partition or child table of PostgreSQL belongs to, and the other way round: [`Table::also`].
//! * Sequences that are read as tables (`SELECT last_value FROM s`): [`Schema::closed`] refuses them. On PostgreSQL also
//!   functions that are written like columns, `t.f` for `f(t)`, unless the columns of `t` are registered.
//! * Contents that a table of SQLite for full-text search takes from another: [`Table::also`] of that one.
//! * Who asks, and how: row-level security, the time zone, the language and other settings of the session.
//! * On MySQL, a column of type ENUM, SET, BIT, DATE, TIME or YEAR that is compared with a number or gets one, or is
//!   compared with a text that is none of its values, unless its kind is given; modes of the session that let a write change
//!   what it stores (no strict mode), or that find the last number with IS NULL (`sql_auto_is_null`); what becomes of a TIME
//!   that is converted to a DATETIME, which depends on the day.
//! * On PostgreSQL, columns of type `money`, `name` and `"char"`, and of `numeric` with a negative scale, unless they are
//!   [`ColumnKind::Opaque`]. What a conversion to a domain makes of a value: `'abcd'::short`, of type `varchar(3)`. What a
//!   backslash means where `standard_conforming_strings` is off.
//! * Tables that only one session has, temporary or attached: it should not go on caching.
//! * Collations that call more equal than letters of different case or accent, PostgreSQL's nondeterministic ones among
//!   them: [`ColumnKind::Opaque`].
//!
//! # How it is tested
//!
//! * Tables of cases, statement by statement, for each dialect; the rules that make it sound, by name; hostile input.
//! * The law of values: on SQLite as a property, on PostgreSQL 15 and MariaDB 10.11 over each type of column, every value
//!   that can be stored in it against every constant that a program may compare it with (12,013 constants and 35 types
//!   on the one, 6,254 and 34 on the other).
//! * A differential test on the three: random queries before and after random writes. A result that has changed without
//!   a matching invalidation is a miss. SQLite, seed
//!   20261121, two workers, 11 minutes: 0 missed of 1,642,462 changed results. PostgreSQL, seed 20261121, four minutes:
//!   25,440 queries, 18,446 writes, 0 missed of 11,050; MariaDB, 30 seconds: 0 missed of 1,172. Five deliberate mistakes
//!   are seen.
//! * Conditions without parentheses, with all operators of a dialect: whatever row the database finds must match. 30 seconds
//!   on each: SQLite 416,851 conditions, PostgreSQL 132,648, MariaDB 164,032, none missed.
#![forbid(unsafe_code)]

mod canon;
mod condition;
mod dialect;
mod mutation;
mod parse;
mod read;
mod schema;
mod setting;
mod statement;
mod template;
mod value;
mod write;

pub use cacheops_condition::OwnedConjunction;
pub use condition::rows::ChangedRows;
pub use condition::text::Conditions;
pub use dialect::Dialect;
#[cfg(feature = "fault-injection")]
#[doc(hidden)]
pub use mutation::Mutation;
pub use parse::old_rows::OldRows;
pub use schema::{ColumnKind, Schema, Table};
pub use statement::analyser::Analyser;
pub use template::{Kind, Returning, Template, Transaction, WriteKind};
pub use value::{Date, Value};
