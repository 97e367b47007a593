//! The analyser: a bounded cache of templates by text.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use smallvec::SmallVec;

use crate::canon::{Canon, Place, Side};
use crate::compile::{self, Setting};
use crate::factor::escape_from;
use crate::{Dialect, Schema, Template, Value, canon};

/// Longer texts are not parsed.
const MAX_SQL_BYTES: usize = 128 * 1024;
/// What a template may take on average. Those of usual statements take a quarter of it.
const BYTES_PER_TEMPLATE: usize = 8 * 1024;
/// Templates are kept in parts, each under a lock. One that has more than the half of a part is not kept.
const PARTS: usize = 4;

/// Turns statements into templates, once for each distinct text.
///
/// It is shared by reference or in an `Arc`, by any number of threads. Cheap to ask for a text it knows: one hash and
/// one comparison of the text.
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
    /// An analyser that keeps up to `capacity` templates, of 8 KiB each on average; those that are used least give way.
    ///
    /// Most take some hundred bytes. An INSERT of a thousand rows takes some megabytes, so that its place is one of
    /// hundreds; where `capacity` is small it is compiled anew each time.
    pub fn new(dialect: Dialect, schema: Schema, capacity: usize) -> Self {
        let setting = Setting {
            dialect,
            schema: schema.folded(dialect),
            misread: false,
            #[cfg(feature = "fault-injection")]
            fault: None,
        };
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
    pub fn with_fault(mut self, fault: crate::Fault) -> Self {
        self.setting.fault = Some(fault);
        self
    }

    /// The dialect it reads.
    pub fn dialect(&self) -> Dialect {
        self.setting.dialect
    }

    /// The template of a text. It never fails: what is not understood is a template that says so.
    ///
    /// Texts above 128 KiB are not parsed and not kept: a read is then not cached, and a write counts for its whole
    /// table.
    pub fn analyse(&self, sql: &str) -> Arc<Template> {
        if sql.len() > MAX_SQL_BYTES {
            return Arc::new(compile::by_first_word(&self.setting, sql));
        }
        if let Some(template) = self.templates.get(sql) {
            return template;
        }
        // Two threads may compile the same text: both results are the same.
        let template = Arc::new(compile::compile(&self.setting, sql));
        self.templates.insert(sql.into(), template.clone());
        template
    }

    /// Compiles a text without looking for it and without keeping it.
    pub fn compile(&self, sql: &str) -> Template {
        if sql.len() > MAX_SQL_BYTES {
            return compile::by_first_word(&self.setting, sql);
        }
        compile::compile(&self.setting, sql)
    }

    /// How many templates are kept now.
    pub fn templates(&self) -> usize {
        self.templates.len()
    }

    /// About how many bytes these take, their texts included.
    pub fn template_bytes(&self) -> usize {
        self.templates.iter().map(|(sql, template)| sql.len() + template.bytes).sum()
    }

    /// The name that conditions have for a table, and for a column of it without a schema. Both are given as in the
    /// catalogue: SQLite and MySQL compare names without regard to case, and a schema counts only where there is a
    /// [default one](Schema::default_schema).
    pub fn name(&self, schema: Option<&str>, name: &str) -> String {
        let dialect = self.setting.dialect;
        let schema = schema.map(|schema| dialect.catalogue_name(schema));
        self.setting.schema.name(dialect, schema.as_deref(), dialect.catalogue_name(name))
    }

    /// The tables, by the names of conditions, that may change where any rows of this one do: itself, or what it is a
    /// [view](Schema::view) of, and what they [also](crate::Table::also) change.
    pub fn changed_with(&self, table: &str) -> Vec<String> {
        compile::with_others(&self.setting, table)
    }

    /// The condition of one row that came from the database, for `CACHEOPS.INVALIDATE ON table`.
    ///
    /// `table` and the columns are named as in the catalogue. Values without a canonical form are left out, so the row
    /// matches whatever a query asks of them. Give all columns that are known, of the old row and of the new one.
    pub fn row_condition<'v, N: AsRef<str>>(
        &self,
        table: &str,
        row: impl IntoIterator<Item = (N, &'v Value<'v>)>,
    ) -> Vec<u8> {
        let mut text = Vec::with_capacity(96);
        self.write_row(table, row, &mut text);
        text
    }

    /// What an old row must have been, given the new one: all but the columns that the write assigns and those that the
    /// database computes.
    ///
    /// With `UPDATE .. RETURNING *` (or an upsert) this and [`row_condition`](Self::row_condition) of each returned row
    /// are both images, without a second query. `None` if the write does not tell which columns it assigns, or has no
    /// old rows: an INSERT without upsert. Then [`Template::changes`] is right.
    pub fn old_image<'v, N: AsRef<str>>(
        &self,
        template: &Template,
        row: impl IntoIterator<Item = (N, &'v Value<'v>)>,
    ) -> Option<Vec<u8>> {
        let (table, assigned) = (template.target()?, template.assigned_columns()?);
        let dialect = self.setting.dialect;
        let kept = row.into_iter().filter(|(column, _)| {
            let column = dialect.catalogue_name(column.as_ref());
            !assigned.contains(&column) && !self.setting.schema.is_generated(table, &column)
        });
        Some(self.row_condition(table, kept))
    }

    /// Appends the condition of one row. Several rows of a table are joined by `|`.
    pub fn write_row<'v, N: AsRef<str>>(
        &self,
        table: &str,
        row: impl IntoIterator<Item = (N, &'v Value<'v>)>,
        text: &mut Vec<u8>,
    ) {
        let dialect = self.setting.dialect;
        let table = dialect.catalogue_name(table);
        let start = text.len();
        // The server refuses a field that occurs twice.
        let mut fields: SmallVec<[String; 8]> = SmallVec::new();
        for (column, value) in row {
            let column = dialect.catalogue_name(column.as_ref());
            if column.is_empty()
                || column.len() > compile::MAX_NAME_BYTES
                || fields.len() == cacheops_condition::MAX_FIELDS
                || fields.contains(&column)
            {
                continue;
            }
            let mark = text.len();
            if mark > start {
                text.push(b'&');
            }
            cacheops_condition::write_field(text, column.as_bytes());
            let place = Place {
                dialect,
                kind: self.setting.schema.kind(&table, &column),
                side: Side::Row,
                literal: false,
            };
            let equals = text.len();
            text.push(b'=');
            let value_start = text.len();
            match canon::canonical(value, place, text) {
                Canon::Plain => escape_from(text, value_start),
                Canon::Null => text.truncate(equals),
                Canon::Opaque => {
                    text.truncate(mark);
                    continue;
                }
            }
            fields.push(column);
        }
        if text.len() == start {
            text.push(b'*');
        }
    }
}
