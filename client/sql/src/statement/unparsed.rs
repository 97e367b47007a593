//! What the first words of a text imply, where the parser cannot or must not read it.

use crate::Dialect;
use crate::canon::Side;
use crate::condition::dnf::Dnf;
use crate::read::Compiler;
use crate::setting::Setting;
use crate::template::{Kind, Template, Transaction, WriteKind};
use crate::write::changed::template_of;

/// A read that is not cached.
pub(super) const UNCACHED: Kind = Kind::Read { locking: false, volatile: true, cacheable: false };

/// Both spellings of the word in PostgreSQL.
pub(super) const ANALYZE: [&str; 2] = ["analyze", "analyse"];

/// VACUUM of SQLite, which renumbers the rows of tables without an integer key: a query may return `rowid`.
pub(super) fn vacuum() -> Template {
    Template { unknown: true, ..Template::of(Kind::Ddl) }
}

/// A text whose first words may not be those of the statement that runs.
pub(crate) fn unreadable() -> Template {
    let mut template = Template::of(Kind::Other);
    template.unknown = true;
    template
}

/// The template of such a text.
pub(crate) fn by_first_word(setting: &Setting, sql: &str) -> Template {
    let mut words = Words { dialect: setting.dialect, rest: sql };
    if setting.dialect == Dialect::MySql && runs_comments(sql) {
        return unreadable();
    }
    if setting.dialect == Dialect::Postgres && (has_nested_comment(sql) || has_lone_return(sql)) {
        return unreadable();
    }
    let first = words.keyword();
    let has = |word: &str| contains_word(sql, word);
    let one = is_single(setting.dialect, sql);
    let table = |words: &mut Words<'_>, kind, next: Option<&str>| {
        let mut compiler = Compiler::new(setting, Side::Predicate);
        let known = match words.table(setting) {
            Some(table) if next.is_none_or(|next| words.keyword() == next) => {
                compiler.add(&table, Dnf::any());
                true
            }
            _ => false,
        };
        template_of(setting, compiler, Kind::Write(kind), !known)
    };
    match first.as_str() {
        "select" | "values" | "show" | "table" if one => Template::of(UNCACHED),
        "explain" | "describe" | "desc" if one && !ANALYZE.iter().any(|word| has(word)) => {
            Template::of(UNCACHED)
        }
        "with"
            if one
                && !["insert", "update", "delete", "merge"].iter().any(|word| has(word))
                // `replace` is also the name of a function.
                && !(has("replace") && has("into")) =>
        {
            Template::of(UNCACHED)
        }
        // If more statements follow, one of them may be COMMIT.
        "insert" | "replace" if one => {
            words.skip(&[
                "or",
                "replace",
                "ignore",
                "abort",
                "fail",
                "rollback",
                "low_priority",
                "delayed",
                "high_priority",
            ]);
            words.skip(&["into"]);
            let replaces = setting.dialect != Dialect::Postgres && has("replace");
            let upserts = replaces || has("conflict") || has("duplicate");
            let kind = if upserts { WriteKind::Upsert } else { WriteKind::Insert };
            Template { replaces, ..table(&mut words, kind, None) }
        }
        "update" if one => {
            let mut compiler = Compiler::new(setting, Side::Predicate);
            let before_set = words.before_set(setting);
            for name in before_set.iter().flatten() {
                compiler.add(name, Dnf::any());
            }
            template_of(setting, compiler, Kind::Write(WriteKind::Update), before_set.is_none())
        }
        "delete" if one => {
            words.skip(&["from", "only"]);
            table(&mut words, WriteKind::Delete, Some("where"))
        }
        // MariaDB's SET STATEMENT .. FOR any other.
        "set" if setting.dialect == Dialect::MySql && has("statement") => unreadable(),
        // MariaDB runs what it analyses.
        "analyze" if ["insert", "update", "delete", "replace"].iter().any(|word| has(word)) => {
            unreadable()
        }
        "begin" | "start" if one => Template::of(Kind::Transaction(Transaction::Begin)),
        // COMMIT PREPARED commits the writes of another session.
        "commit" | "end" if one && !has("chain") && !has("prepared") => {
            Template::of(Kind::Transaction(Transaction::Commit { chain: false }))
        }
        "rollback" | "abort" if one && !has("chain") && !has("to") && !has("prepared") => {
            Template::of(Kind::Transaction(Transaction::Rollback { chain: false }))
        }
        "vacuum" if one && setting.dialect == Dialect::Sqlite => vacuum(),
        "set" | "use" | "pragma" | "analyze" | "vacuum" | "listen" | "notify" | "unlisten"
        | "reset" | "checkpoint" | "detach" | "lock" | "grant" | "revoke"
            if one =>
        {
            Template::of(Kind::Session)
        }
        "create" | "alter" | "drop" | "rename" => {
            let mut template = Template::of(Kind::Ddl);
            template.unknown = true;
            template
        }
        _ => unreadable(),
    }
}

/// Whether the text holds one statement for certain: no semicolon outside of quotes and comments but at its end.
fn is_single(dialect: Dialect, sql: &str) -> bool {
    let text = sql.trim_end().trim_end_matches(';').as_bytes();
    if !text.contains(&b';') {
        return true;
    }
    // Where such a literal or comment ends depends on the dialect or the session.
    let dollar_quote = |pair: &[u8]| pair[0] == b'$' && !pair[1].is_ascii_digit();
    let odd: &[u8] = match dialect {
        Dialect::Postgres => b"\\#`",
        Dialect::MySql => b"\\#",
        Dialect::Sqlite => b"\\#[",
    };
    if text.iter().any(|byte| odd.contains(byte)) || text.windows(2).any(dollar_quote) {
        return false;
    }
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let end: &[u8] = match (first, tail.first()) {
            (b';', _) => return false,
            (b'\'' | b'"' | b'`', _) => std::slice::from_ref(first),
            (b'-', Some(b'-')) if tail.get(1).is_some_and(|next| !next.is_ascii_whitespace()) => {
                return false;
            }
            (b'-', Some(b'-')) => b"\n",
            (b'/', Some(b'*')) => b"*/",
            _ => {
                rest = tail;
                continue;
            }
        };
        // A doubled quote ends one literal and begins the next.
        let from = if end == b"*/" { 1 } else { 0 };
        let Some(inner) = tail.get(from..) else { return true };
        match inner.windows(end.len()).position(|window| window == end) {
            Some(at) => rest = &inner[at + end.len()..],
            None => return true,
        }
    }
    true
}

/// Whether a comment begins within a comment, or something looks like it. Only PostgreSQL then looks for two ends.
fn has_nested_comment(sql: &str) -> bool {
    let parts: Vec<&str> = sql.split("/*").collect();
    // Before the first there is no comment, and in the last none begins.
    parts.len() > 2 && parts[1..parts.len() - 1].iter().any(|comment| !comment.contains("*/"))
}

/// Whether MySQL runs what stands in a comment.
pub(crate) fn runs_comments(sql: &str) -> bool {
    sql.contains("/*!") || sql.contains("/*M!")
}

/// Whether a line ends in a way that only PostgreSQL takes for the end of a comment.
fn has_lone_return(sql: &str) -> bool {
    sql.contains("--") && sql.split('\r').skip(1).any(|rest| !rest.starts_with('\n'))
}

pub(crate) fn contains_word(sql: &str, word: &str) -> bool {
    sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|other| other.eq_ignore_ascii_case(word))
}

/// Reads a text word by word, past blanks and comments.
struct Words<'t> {
    dialect: Dialect,
    rest: &'t str,
}

impl Words<'_> {
    fn blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
            } else {
                break;
            }
        }
    }

    /// The next word in lower case; empty if there is none.
    fn keyword(&mut self) -> String {
        self.blanks();
        let end =
            self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_ascii_lowercase()
    }

    fn skip(&mut self, words: &[&str]) {
        loop {
            let before = self.rest;
            let word = self.keyword();
            if !words.contains(&word.as_str()) {
                self.rest = before;
                return;
            }
        }
    }

    /// All names between here and SET: tables, aliases and words, each of which may be a table that is written.
    fn before_set(&mut self, setting: &Setting) -> Option<Vec<String>> {
        const MAX: usize = 64;
        let mut names: Vec<String> = Vec::new();
        let mut last = String::new();
        while names.len() < MAX {
            let qualified = self.rest.starts_with('.') && setting.schema.schema_name().is_some();
            self.rest = self.rest.trim_start_matches(['.', ',', ')', '=']);
            let unquoted = !self.rest.trim_start().starts_with(['"', '`', '[']);
            let name = self.name()?;
            if unquoted && name.eq_ignore_ascii_case("set") {
                return Some(names);
            }
            if qualified {
                names.push(format!("{last}.{name}"));
            }
            last.clone_from(&name);
            names.push(name);
        }
        None
    }

    /// The next name, with its schema if that is not the default one.
    fn table(&mut self, setting: &Setting) -> Option<String> {
        let mut names = vec![self.name()?];
        loop {
            // Blanks and comments may stand around the dot.
            let before = self.rest;
            self.blanks();
            if self.rest.starts_with('#') {
                return None;
            }
            let Some(rest) = self.rest.strip_prefix('.') else {
                self.rest = before;
                break;
            };
            if before[..before.len() - rest.len()].contains('(') {
                return None;
            }
            self.rest = rest;
            names.push(self.name()?);
        }
        let table = names.pop()?;
        Some(setting.schema.name(self.dialect, names.pop().as_deref(), table))
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let quote = self.rest.chars().next()?;
        let close = match quote {
            '"' | '`' => quote,
            '[' => ']',
            _ => {
                let end = self.rest.find(|c: char| {
                    c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' && c != '$'
                });
                let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                self.rest = rest;
                // U&"..", a name in numbers.
                if rest.starts_with('&') {
                    return None;
                }
                let name = match self.dialect {
                    Dialect::Postgres => self.dialect.catalogue_name(&name.to_ascii_lowercase()),
                    dialect => dialect.catalogue_name(name),
                };
                return (!name.is_empty()).then_some(name);
            }
        };
        let (name, rest) = self.rest[1..].split_once(close)?;
        if rest.starts_with(close) {
            return None;
        }
        self.rest = rest;
        Some(self.dialect.catalogue_name(name))
    }
}
