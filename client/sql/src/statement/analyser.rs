//! The analyser: a bounded cache of templates by text.

use std::sync::Arc;

use cacheops_condition::OwnedConjunction;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::canon::{Canon, Place, Side};
use crate::setting::{MAX_NAME_BYTES, Setting};
use crate::statement::compile;
use crate::statement::unparsed::by_first_word;
use crate::write::changed::with_others;
use crate::{Dialect, Schema, Template, Value, canon};

/// Longer texts are not parsed.
const MAX_SQL_BYTES: usize = 128 * 1024;
/// What a template may take on average. Those of usual statements take a quarter of it.
const BYTES_PER_TEMPLATE: usize = 8 * 1024;
/// Templates are kept in parts, each under a lock. One that has more than the half of a part is not kept.
const PARTS: usize = 4;

/// Compiles statements into [`Template`]s, once for each distinct text.
///
/// Any number of threads share one, by reference or in an `Arc`. A text that was compiled before costs one hash and one
/// comparison of the text.
///
/// ```
/// use cacheops_sql::{Analyser, Dialect, Schema, Value};
///
/// let analyser = Analyser::new(Dialect::Sqlite, Schema::new(), 1000);
/// for id in 1..=3 {
///     let template = analyser.analyse("SELECT title FROM article WHERE id = ?");
///     let dependencies = template.dependencies(&[Value::Int(id)]).unwrap();
///     assert_eq!(dependencies.get("article").unwrap(), format!("id={id}").as_bytes());
/// }
/// assert_eq!(analyser.templates(), 1);
/// ```
pub struct Analyser {
    setting: Setting,
    templates: Cache<Box<str>, Arc<Template>, Bytes>,
}

/// Weighs templates. The least is the average, so that the number is bounded too.
#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<Template>> for Bytes {
    fn weight(&self, sql: &Box<str>, template: &Arc<Template>) -> u64 {
        (sql.len() + template.bytes).max(BYTES_PER_TEMPLATE) as u64
    }
}

impl std::fmt::Debug for Analyser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyser")
            .field("dialect", &self.setting.dialect)
            .field("templates", &self.templates.len())
            .finish_non_exhaustive()
    }
}

impl Analyser {
    /// An analyser that keeps up to `capacity` templates, of 8 KiB each on average; those that are used least are evicted.
    ///
    /// Choose more than the application has distinct texts: a text that is not kept is parsed at each execution.
    /// Most templates take some hundred bytes. An INSERT of a thousand rows takes some megabytes, as much
    /// as hundreds of others; where `capacity` is small it is compiled anew each time.
    #[must_use]
    pub fn new(dialect: Dialect, schema: Schema, capacity: usize) -> Self {
        let setting =
            Setting { dialect, schema: schema.folded(dialect), misread: false, mutation: None };
        let bytes = capacity.saturating_mul(BYTES_PER_TEMPLATE) as u64;
        let parts = if capacity < 32 * PARTS { 1 } else { PARTS };
        let options = OptionsBuilder::new()
            .estimated_items_capacity(capacity)
            .weight_capacity(bytes)
            .shards(parts)
            .build();
        let templates = match options {
            Ok(options) => Cache::with_options(
                options,
                Bytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            Err(_) => Cache::with_weighter(capacity, bytes, Bytes),
        };
        Self { setting, templates }
    }

    /// The same with a deliberate mistake.
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn with_mutation(mut self, mutation: crate::Mutation) -> Self {
        self.setting.mutation = Some(mutation);
        self
    }

    /// The dialect it reads.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.setting.dialect
    }

    /// The template of a statement. It never fails: a text that is not understood has a template of the kind
    /// [`Other`](crate::Kind::Other).
    ///
    /// Texts above 128 KiB are not parsed and not kept: a read is then not cached, and a write changes the whole of its
    /// table.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Kind, Schema, Transaction};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 1000);
    /// assert!(analyser.analyse("SELECT * FROM article").is_cacheable());
    /// assert!(!analyser.analyse("SELECT * FROM article FOR UPDATE").is_cacheable());
    /// assert_eq!(*analyser.analyse("BEGIN").kind(), Kind::Transaction(Transaction::Begin));
    /// assert_eq!(*analyser.analyse("CALL rebuild()").kind(), Kind::Other);
    /// ```
    pub fn analyse(&self, sql: &str) -> Arc<Template> {
        if sql.len() > MAX_SQL_BYTES {
            return Arc::new(by_first_word(&self.setting, sql));
        }
        if let Some(template) = self.templates.get(sql) {
            return template;
        }
        // Two threads may compile the same text: both results are the same.
        let template = Arc::new(compile(&self.setting, sql));
        self.templates.insert(sql.into(), template.clone());
        template
    }

    /// Compiles a statement without a look-up and without keeping the template: for a text that is not repeated.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let analyser = Analyser::new(Dialect::MySql, Schema::new(), 1000);
    /// let script = analyser.compile("DELETE FROM article WHERE id IN (1, 2)");
    /// assert_eq!(script.changed_rows(&[]).to_pairs()[0].1, b"id=1|id=2");
    /// assert_eq!(analyser.templates(), 0);
    /// ```
    #[must_use]
    pub fn compile(&self, sql: &str) -> Template {
        if sql.len() > MAX_SQL_BYTES {
            return by_first_word(&self.setting, sql);
        }
        compile(&self.setting, sql)
    }

    /// How many templates are kept now.
    #[must_use]
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// About how many bytes these take, their texts included.
    #[must_use]
    pub fn template_bytes(&self) -> usize {
        self.templates.iter().map(|(sql, template)| sql.len() + template.bytes).sum()
    }

    /// The name that conditions use for a table, or, without a schema, for a column. Both are given as the catalogue spells
    /// them: SQLite and MySQL compare names without regard to case, and a schema counts only where there is a
    /// [default one](Schema::default_schema).
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema};
    ///
    /// let schema = Schema::new().default_schema("public");
    /// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
    /// assert_eq!(analyser.name(Some("public"), "Article"), "Article");
    /// assert_eq!(analyser.name(Some("audit"), "article"), "audit.article");
    /// ```
    #[must_use]
    pub fn name(&self, schema: Option<&str>, name: &str) -> String {
        let dialect = self.setting.dialect;
        let schema = schema.map(|schema| dialect.catalogue_name(schema));
        self.setting.schema.name(dialect, schema.as_deref(), dialect.catalogue_name(name))
    }

    /// The tables whose rows may change when rows of this one do: itself, or the tables that it is a [view](Schema::view)
    /// of, and those that [also](crate::Table::also) change with them.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Table};
    ///
    /// let schema = Schema::new().view("published", ["article"]).table(Table::new("article").also(["audit"]));
    /// let analyser = Analyser::new(Dialect::Postgres, schema, 1000);
    /// assert_eq!(analyser.changed_with("published"), ["article", "audit"]);
    /// ```
    #[must_use]
    pub fn changed_with(&self, table: &str) -> Vec<String> {
        with_others(&self.setting, table)
    }

    /// What is known of one row that came from the database, or that an application knows as it is stored.
    ///
    /// `table` and the columns are named as in the catalogue. Values without a canonical form are left out: such a column is
    /// unknown. Give all columns that are known, of the old row and of the new one.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Value};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 100);
    /// let (id, name) = (Value::Int(7), Value::from("Zo\u{eb}"));
    /// let row = analyser.row_image("article", [("id", &id), ("name", &name), ("tag", &Value::Null)]);
    /// assert_eq!(row.to_text(), b"id=7&name=zoe&tag");
    /// ```
    pub fn row_image<'v, N: AsRef<str>>(
        &self,
        table: &str,
        row: impl IntoIterator<Item = (N, &'v Value<'v>)>,
    ) -> OwnedConjunction {
        let dialect = self.setting.dialect;
        let table = dialect.catalogue_name(table);
        let row = row.into_iter();
        let mut image = OwnedConjunction::with_capacity(row.size_hint().0, 16 * row.size_hint().0);
        let mut form = Vec::new();
        for (column, value) in row {
            let column = dialect.catalogue_name(column.as_ref());
            // The server refuses longer names and more fields. Of two columns of one name the first counts.
            if column.is_empty()
                || column.len() > MAX_NAME_BYTES
                || image.len() == cacheops_condition::MAX_FIELDS
                || image.get(column.as_bytes()).is_some()
            {
                continue;
            }
            let place = Place {
                dialect,
                kind: self.setting.schema.kind(&table, &column),
                side: Side::Row,
                literal: false,
            };
            form.clear();
            match canon::canonical(value, place, &mut form) {
                Canon::Plain => image.set(column.as_bytes(), Some(&form)),
                Canon::Null => image.set(column.as_bytes(), None),
                Canon::Opaque => {}
            }
        }
        image
    }

    /// What is known of a row both before and after a write: all but the columns that the write assigns and those that the
    /// database computes.
    ///
    /// With `UPDATE .. RETURNING *` (or an upsert) this and [`row_image`](Self::row_image) of each returned row are both
    /// images, without a second query. `None` if the write does not say which columns it assigns, or has no old rows: an
    /// INSERT without upsert. Then [`Template::changed_rows`] is right.
    ///
    /// ```
    /// use cacheops_sql::{Analyser, Dialect, Schema, Value};
    ///
    /// let analyser = Analyser::new(Dialect::Postgres, Schema::new(), 100);
    /// let write = analyser.analyse("UPDATE article SET tag = tag + 1 WHERE id = $1 RETURNING *");
    /// let returned = [("id", &Value::Int(7)), ("tag", &Value::Int(3))];
    ///
    /// let new = analyser.row_image("article", returned);
    /// let old = analyser.unchanged_image(&write, returned).unwrap();
    /// assert_eq!((new.to_text(), old.to_text()), (b"id=7&tag=3".to_vec(), b"id=7".to_vec()));
    /// ```
    pub fn unchanged_image<'v, N: AsRef<str>>(
        &self,
        template: &Template,
        row: impl IntoIterator<Item = (N, &'v Value<'v>)>,
    ) -> Option<OwnedConjunction> {
        let (table, assigned) = (template.target()?, template.assigned_columns()?);
        let dialect = self.setting.dialect;
        let kept = row.into_iter().filter(|(column, _)| {
            let column = dialect.catalogue_name(column.as_ref());
            !assigned.contains(&column) && !self.setting.schema.is_generated(table, &column)
        });
        Some(self.row_image(table, kept))
    }
}
