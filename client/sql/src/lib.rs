//! Finds out from SQL text which rows a query result depends on and which rows a statement changes.
//!
//! The cache [cacheops](https://github.com/cacheops/cacheops) stores a query result together with the *condition* that a row
//! must satisfy to have any part in it, such as `tag=2&draft=0` for each table, and removes the result when a row that
//! satisfies the condition is changed. This crate makes these conditions: for PostgreSQL, MySQL, MariaDB and SQLite, from the
//! text of a statement and its bound values. It does no I/O. Applications use it through an adapter for their ORM; it is
//! for those who write such an adapter, or who want to know what the cache depends on.
//!
//! * A **read** gets its *dependencies*: for each table a condition, which follows `ON` in `CACHEOPS.STORE`.
//! * A **write** gets its *changed rows*: for each table what is known of the rows before and after the write. They follow
//!   `ON` in `CACHEOPS.INVALIDATE`.
//!
//! ```
//! use cacheops_sql::{Analyser, Dialect, Schema, Value};
//!
//! let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
//!
//! // A query: what its result depends on, or `None` if it must not be cached.
//! let read = analyser.analyse("SELECT * FROM article WHERE tag = $1 AND draft = false");
//! let dependencies = read.dependencies(&[Value::Int(2)]).unwrap();
//! assert_eq!(dependencies.get("article"), Some(&b"draft=0&tag=2"[..]));
//!
//! // A write, without its rows: what the text and the values imply.
//! let write = analyser.analyse("UPDATE article SET tag = $1 WHERE tag = $2");
//! let rows = write.changed_rows(&[Value::Int(3), Value::Int(2)]);
//! assert_eq!(rows.to_pairs(), [("article".to_owned(), b"tag=2|tag=3".to_vec())]);
//! ```
//!
//! An [`Analyser`] compiles each distinct text once, into a [`Template`], and keeps it; afterwards only values are filled in.
//!
//! # How an adapter uses it
//!
//! Every statement of a connection goes through [`Analyser::analyse`]. What to do with it depends on its [`Kind`]:
//!
//! | kind | |
//! |---|---|
//! | `Read`, cacheable | look the result up, or run the query and store the result with its dependencies |
//! | `Read`, not cacheable | run it |
//! | `Write`, `Ddl` | run it, then invalidate the changed rows; flush the cache if it [may change more](Template::may_change_more) |
//! | `Transaction` | begin, commit or roll back the queue of invalidations |
//! | `Session` | run it |
//! | `Other` | the same as a write; it may also have begun or ended a transaction |
//!
//! The text of a write often implies too much: `UPDATE article SET views = views + 1 WHERE slug = $1` leaves `id` and `tag`
//! of the row open, and invalidates results by either. With the rows it is exact:
//!
//! ```
//! # use cacheops_sql::{Analyser, Dialect, Schema, Value};
//! # let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
//! let write = analyser.analyse("UPDATE article SET tag = $1 WHERE tag = $2");
//!
//! // The old rows are those of this query, run before the write in the same transaction ..
//! let old = write.old_rows().unwrap();
//! assert_eq!(old.sql(), "SELECT * FROM article WHERE tag = $1 FOR UPDATE");
//! assert_eq!(old.parameters(), [1]); // its $1 is the second value of the write
//!
//! // .. and the new ones come from RETURNING, or have the values that the write assigns.
//! let row = analyser.row_image("article", [("id", &Value::Int(7)), ("tag", &Value::Int(2))]);
//! let assigned = write.assigned_values(&[Value::Int(3), Value::Int(2)]);
//! assert_eq!(row.to_text(), b"id=7&tag=2");
//! assert_eq!(assigned.or(&row).to_text(), b"id=7&tag=3");
//! ```
//!
//! # What it does not understand
//!
//! *A query depends on the whole of each table that it reads, unless its text restricts the rows in a way that is understood. A
//! query that reads no known table is not cached.* Nor is one that calls a function that is not known to be pure (see
//! [`Schema::pure_function`]), locks rows, or cannot be parsed. A write that is not understood changes the whole of each table
//! that it names, and [`Template::may_change_more`] says whether there may be others. So a limit of the analyser makes results
//! uncached or short-lived, but never stale.
//!
//! # Canonical values
//!
//! Conditions compare bytes, and databases compare values. So each value has one *canonical form*: `1`, `'1'`, `1.0` and `true`
//! are `1`; `1.50` is `1.5`; text loses its case, its accents and the blanks around it; a UUID is 32 hex digits; a form
//! above 64 bytes is `h:` and the first 16 bytes of its SHA-256 in hex. The law is: *two values that the database calls equal
//! have the same form, or at least one of them has none*. Merging distinct values only invalidates too much. A value without a
//! form (a float with a fraction, a time, JSON) is not part of a condition, and in a row its field is unknown, which matches
//! every condition.
//!
//! The form depends on the value alone, so programs that share a cache may register different [`Schema`]s, except on MySQL,
//! which compares a text with a number as numbers. The schema decides where a value has a form at all: without it
//! MySQL's numbers in text columns, dates of rows, literals of PostgreSQL that may be dates, and some others have none.
//!
//! SHA-256 because every language has it at hand, with the same result, and only long values pay for it. The forms are
//! specified for programs in other languages in `docs/values.md`, with test vectors beside it.
//!
//! # What it cannot see
//!
//! What depends on more than the text of a statement has to be registered, or must not be cached:
//!
//! * Triggers and foreign keys that change other tables: [`Table::also`]. Columns that the database computes, by GENERATED,
//!   ON UPDATE or a trigger, and that any statement compares: [`Table::generated`]. Columns that a trigger changes after
//!   RETURNING has shown them: [`Table::triggered`].
//! * What a function that writes has changed. A statement that calls a function or an operator that is not known to be
//!   pure, anywhere in its text, is not cached and is [`volatile`](Kind::Read): a transaction that has run one caches nothing
//!   after it. Which rows the function changed is not known: the application has to invalidate them.
//! * Functions that write and are called without a call in the text: by a view, a conversion to a type of the user's or the
//!   CHECK of a domain, a policy, an index, or because they overload the name of a built-in function or operator for types
//!   of their own. On SQLite: those that the application registers under the name of a built-in one.
//! * Constraints of SQLite with ON CONFLICT REPLACE, which make any INSERT or UPDATE delete rows: [`Table::also`] with the
//!   table itself. A column that is NOT NULL ON CONFLICT REPLACE gets its default for NULL: [`Table::generated`].
//! * Views: [`Schema::view`], or [`Schema::closed`] so that nothing unknown is cached.
//! * Tables that a partition or child table of PostgreSQL belongs to, and the other way round: [`Table::also`].
//! * Sequences that are read as tables (`SELECT last_value FROM s`): [`Schema::closed`] refuses them. On PostgreSQL also
//!   functions that are written like columns, `t.f` for `f(t)`, unless the columns of `t` are registered.
//! * Contents that a table of SQLite for full-text search takes from another table: [`Table::also`] of that table.
//! * The user and the session: row-level security, the time zone, the language and other settings.
//! * On MySQL, a column of type ENUM, SET, BIT, DATE, TIME or YEAR that is compared with a number or gets one, or is
//!   compared with a text that is none of its values, unless its kind is given; modes of the session that let a write change
//!   what it stores (no strict mode), or that find the last number with IS NULL (`sql_auto_is_null`); what becomes of a TIME
//!   that is converted to a DATETIME, which depends on the day.
//! * On PostgreSQL, columns of type `money`, `name` and `"char"`, and of `numeric` with a negative scale, unless they are
//!   [`ColumnKind::Opaque`]. What a conversion to a domain makes of a value: `'abcd'::short`, of type `varchar(3)`. What a
//!   backslash means where `standard_conforming_strings` is off.
//! * Tables that only one session has, temporary or attached: such a session should stop caching.
//! * Collations that call more equal than letters of different case or accent, PostgreSQL's nondeterministic ones among
//!   them: [`ColumnKind::Opaque`].
//!
//! # How it is tested
//!
//! * Tables of cases, statement by statement, for each dialect; the rules that make it sound, by name; hostile input.
//! * The law of values: on SQLite as a property, on PostgreSQL 15 and MariaDB 10.11 over each type of column, every value
//!   that can be stored in it against every constant that a program may compare it with (11,914 constants and 35 types
//!   on the one, 6,254 and 34 on the other).
//! * A differential search on the three: random queries before and after random writes. A result that has changed without
//!   a matching invalidation is a miss. One minute on each, seed 20261201: SQLite 198,528 queries, 180,983 writes, 0 missed
//!   of 115,381 changed results; PostgreSQL 47,134 queries, 33,978 writes, 0 missed of 23,691; MariaDB 0 missed of 15,911.
//!   A longer run on SQLite, before constants passed outer joins: 0 missed of 1,642,462. Five deliberate mistakes are
//!   detected, each after at most 513 changed results.
//! * Conditions without parentheses, with all operators of a dialect: each row that the database finds must match. 30 seconds
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
