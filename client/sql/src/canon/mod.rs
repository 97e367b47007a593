//! Canonical values: the one form of a value, whatever it was written as.
//!
//! **The law.** Two values that the database calls equal have the same form, or at least one of them has none. One form for
//! distinct values only invalidates too much; two forms for equal values serve stale data. So the form is a function of the
//! value alone: text loses its case, its accents and the blanks around it, and numbers and texts that look like numbers become the
//! same digits. The type of the column only decides whether a value has a form there.
//!
//! The forms are those of `docs/values.md`, which programs in other languages follow too.

mod number;
mod text;
mod unicode;

use sha2::{Digest, Sha256};

use crate::{ColumnKind, Date, Dialect, Value};

/// Longer forms are hashed.
pub(crate) const MAX_PLAIN_BYTES: usize = 64;

/// The part of a statement or row that a value comes from. It decides which conversions the value may undergo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A constant of a read's condition.
    Query,
    /// A value of a row that came from the database.
    Row,
    /// A constant of a write's condition.
    Predicate,
    /// What a write puts into a column. The database may convert it.
    Assigned,
}

/// What is known of a value's surroundings: the database, the column, the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dialect: Dialect,
    pub(crate) kind: ColumnKind,
    pub(crate) side: Side,
    /// A string literal of the statement, whose type the database guesses.
    pub(crate) literal: bool,
}

/// Whether a value has a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canon {
    /// The form was appended.
    Plain,
    /// The value is NULL, which has no bytes.
    Null,
    /// No form: nothing was appended.
    Opaque,
}

/// Appends the canonical form of `value` to `out`.
pub(crate) fn canonical(value: &Value<'_>, place: Place, out: &mut Vec<u8>) -> Canon {
    let start = out.len();
    let plain = match value {
        Value::Null => return Canon::Null,
        Value::Opaque | Value::Array(_) => false,
        _ if place.kind == ColumnKind::Opaque => false,
        Value::Bool(value) => place.integer(i128::from(*value), out),
        Value::Int(value) => place.integer(i128::from(*value), out),
        Value::UInt(value) => place.integer(i128::from(*value), out),
        Value::Float(value) => {
            value.fract() == 0.0
                && value.abs() < place.exact_floats()
                && (value.abs() < 1e6 || !place.rounds_floats())
                && place.integer(*value as i128, out)
        }
        Value::Decimal(text) => place.decimal(text, out),
        Value::Text(text) => place.text(text, out),
        Value::Bytes(bytes) => match <&[u8; 16]>::try_from(bytes.as_ref()) {
            Ok(bytes) => place.kind == ColumnKind::Uuid && place.uuid(bytes, out),
            Err(_) => place.bytes(bytes, out),
        },
        Value::Uuid(bytes) => place.uuid(bytes, out),
        Value::Date(date) => place.date(*date, out),
    };
    if !plain {
        out.truncate(start);
        return Canon::Opaque;
    }
    if out.len() - start > MAX_PLAIN_BYTES {
        hash(out, start);
    }
    Canon::Plain
}

impl Place {
    fn integer(self, value: i128, out: &mut Vec<u8>) -> bool {
        let fits = match self.kind {
            ColumnKind::Int => true,
            // SQLite may store a large one as a double.
            ColumnKind::Decimal => {
                self.side != Side::Assigned
                    || self.dialect != Dialect::Sqlite
                    || value.abs() < self.exact_when_assigned()
            }
            ColumnKind::Bool => value == 0 || value == 1,
            // MySQL compares text with a number as numbers: '7 dwarfs' = 7. SQLite and PostgreSQL compare texts.
            ColumnKind::Text | ColumnKind::BinaryText => self.dialect != Dialect::MySql,
            ColumnKind::Unknown => {
                // MySQL: 'any text' = 0.
                (self.dialect != Dialect::MySql || value != 0)
                    && match self.side {
                        Side::Assigned => value.abs() < self.exact_when_assigned(),
                        // A column of doubles has other integers for it too.
                        Side::Predicate => self.dialect == Dialect::Sqlite || value.abs() < 1 << 53,
                        Side::Query | Side::Row => true,
                    }
            }
            _ => false,
        };
        fits && {
            number::write_integer(value, out);
            true
        }
    }

    /// PostgreSQL keeps six digits of a float of four bytes that it puts into a column of decimals, and MySQL shows as
    /// many where the query is not a prepared statement.
    fn rounds_floats(self) -> bool {
        match self.dialect {
            Dialect::Postgres => {
                self.side == Side::Assigned
                    && matches!(self.kind, ColumnKind::Decimal | ColumnKind::Unknown)
            }
            Dialect::MySql => matches!(self.side, Side::Row | Side::Assigned),
            Dialect::Sqlite => false,
        }
    }

    /// Floats below it keep all their digits in a column of any type.
    fn exact_floats(self) -> f64 {
        match self.dialect {
            // A column of text gets fifteen digits.
            Dialect::Sqlite => 1e15,
            Dialect::Postgres | Dialect::MySql => 9_007_199_254_740_992.0, // 2^53
        }
    }

    /// Integers below it are stored as they are in a column of any type of number.
    fn exact_when_assigned(self) -> i128 {
        match self.dialect {
            Dialect::Sqlite => 1 << 53,
            // A column of single precision.
            Dialect::Postgres | Dialect::MySql => 1 << 24,
        }
    }

    fn decimal(self, text: &str, out: &mut Vec<u8>) -> bool {
        match number::parse(text.as_bytes()) {
            Some(number) => self.number(&number, true, out),
            None => false,
        }
    }

    /// A decimal, or a text that looks like a number.
    fn number(self, number: &number::Number<'_>, decimal: bool, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let Some(shape) = number.write(out) else { return false };
        // What has more digits than a double may be rounded on its way into a comparison.
        let precise = shape.digits <= 15;
        let compared_exactly = precise
            || shape.integral
                && match self.dialect {
                    // With a point or an exponent it is a double on its way.
                    Dialect::Sqlite => !decimal && number.plain,
                    Dialect::MySql => decimal || self.is_text(),
                    Dialect::Postgres => true,
                };
        let unknown = self.kind == ColumnKind::Unknown;
        let compared_exactly = compared_exactly
            && (precise
                || !unknown
                || self.side != Side::Predicate
                || self.dialect == Dialect::Sqlite);
        let fits = match self.kind {
            // MariaDB rounds what it compares with a column of integers.
            ColumnKind::Int => self.dialect != Dialect::MySql || shape.integral,
            ColumnKind::Decimal => true,
            ColumnKind::Bool => matches!(&out[start..], b"0" | b"1"),
            ColumnKind::Text | ColumnKind::BinaryText => !decimal || self.dialect != Dialect::MySql,
            // MySQL rounds for a column of bits or of times.
            ColumnKind::Unknown => {
                self.dialect != Dialect::MySql || shape.digits > 0 && shape.integral
            }
            _ => false,
        };
        fits && compared_exactly && (self.side != Side::Assigned || self.is_stored(shape, decimal))
    }

    /// Whether a column keeps such a number as it is: some round to their scale or precision.
    fn is_stored(self, shape: number::Shape, decimal: bool) -> bool {
        match self.kind {
            // '2' is the second label of an ENUM of MySQL, if none is called so.
            ColumnKind::Text if self.dialect == Dialect::MySql => false,
            ColumnKind::Unknown if self.dialect == Dialect::MySql && !decimal => false,
            ColumnKind::Text | ColumnKind::BinaryText => true,
            ColumnKind::Unknown if self.dialect != Dialect::Sqlite => {
                // PostgreSQL puts a parameter of type text into a column of text only.
                shape.integral
                    && (shape.digits <= 7 || self.dialect == Dialect::Postgres && !decimal)
            }
            ColumnKind::Unknown => shape.digits <= 15,
            ColumnKind::Decimal if self.dialect == Dialect::Sqlite => shape.digits <= 15,
            _ => shape.integral,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self.kind, ColumnKind::Int | ColumnKind::Decimal | ColumnKind::Bool)
    }

    fn is_text(self) -> bool {
        matches!(self.kind, ColumnKind::Text | ColumnKind::BinaryText)
    }

    fn text(self, text: &str, out: &mut Vec<u8>) -> bool {
        let folded = text::fold(text);
        let bytes = folded.as_bytes();
        match self.kind {
            ColumnKind::Date => return text::date(bytes).is_some_and(|date| self.date(date, out)),
            ColumnKind::Uuid => {
                return text::uuid(bytes).is_some_and(|hex| {
                    out.extend(hex);
                    true
                });
            }
            _ => {}
        }
        if !text.is_ascii() && !text.chars().all(unicode::is_assigned) {
            return false;
        }
        if self.dialect == Dialect::MySql
            && self.kind != ColumnKind::BinaryText
            && text::is_tailored(text)
        {
            // Swedish, MariaDB's own default, takes ü for y; others take ä for ae and å for aa.
            return false;
        }
        let unknown = self.kind == ColumnKind::Unknown;
        let written = matches!(self.side, Side::Predicate | Side::Assigned);
        if unknown && written && self.literal && self.dialect == Dialect::Postgres {
            // PostgreSQL reads a literal as whatever type the column has, in many spellings.
            return false;
        }
        if self.literal && self.dialect == Dialect::Postgres {
            // It may be read as bytes, in an encoding of their own.
            let bytes_in_text = text.contains('\\') || !text.is_ascii();
            if unknown && (text::is_odd(bytes) || bytes_in_text) {
                return false;
            }
        }
        if self.side == Side::Assigned && self.dialect == Dialect::MySql && bytes.contains(&b',') {
            // A column of type SET keeps its members in an order of its own.
            return false;
        }
        if unknown && text.len() == 16 && (self.literal || self.dialect == Dialect::MySql) {
            // It may stand for the bytes of a UUID.
            return false;
        }
        if let Some(hex) = text::uuid(bytes) {
            // Where it could be a number as well, it is not known which is meant.
            let numeric = match self.dialect {
                Dialect::MySql => text::begins_with_number(bytes),
                _ => number::parse(&hex).is_some(),
            };
            let fits = self.is_text() || unknown && !numeric;
            out.extend(hex);
            return fits;
        }
        // MySQL: any text is 0, so two of them can meet one row.
        let meets_zero = unknown && self.dialect == Dialect::MySql && self.side == Side::Predicate;
        if let Some(truth) = text::truth(&folded) {
            out.push(truth);
            return self.is_text()
                || unknown && !meets_zero
                || self.kind == ColumnKind::Bool && self.dialect != Dialect::MySql;
        }
        if let Some(number) = number::parse(bytes) {
            return self.number(&number, false, out);
        }
        let fits = match (self.kind, self.dialect) {
            (ColumnKind::BinaryText, _) => true,
            // Which other characters are equal depends on the collation.
            (ColumnKind::Text, Dialect::MySql) => folded.is_ascii(),
            (ColumnKind::Text, _) => true,
            (ColumnKind::Unknown, Dialect::MySql) => {
                // The empty text also equals the day 0000-00-00.
                !meets_zero
                    && !bytes.is_empty()
                    && folded.is_ascii()
                    && !text::begins_with_number(bytes)
            }
            (ColumnKind::Unknown, Dialect::Postgres) => !text::is_odd_number(bytes),
            (ColumnKind::Unknown, Dialect::Sqlite) => true,
            _ => false,
        };
        out.extend(bytes);
        fits
    }

    /// Bytes that are a text have the form of that text: PostgreSQL reads a literal as whatever the column holds. Sixteen
    /// may be a UUID.
    fn bytes(self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let known = match self.kind {
            ColumnKind::Bytes => true,
            // PostgreSQL writes them as `\x61` into a column of text.
            ColumnKind::Unknown => self.dialect != Dialect::Postgres || self.side != Side::Assigned,
            _ => false,
        };
        if !known || self.dialect == Dialect::MySql {
            return false;
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            let side = Side::Query;
            let place =
                Self { dialect: Dialect::Postgres, kind: ColumnKind::Text, side, literal: false };
            return place.text(text, out);
        }
        out.extend(b"x:");
        bytes.iter().for_each(|byte| out.extend(text::hex_byte(*byte)));
        true
    }

    fn uuid(self, bytes: &[u8; 16], out: &mut Vec<u8>) -> bool {
        let hex = text::hex(bytes);
        if self.dialect == Dialect::MySql && self.kind != ColumnKind::Uuid {
            // It may be bound as bytes, which are a text, which is a number.
            return false;
        }
        // PostgreSQL compares a UUID with nothing else. Elsewhere 32 digits may be compared as a number.
        let known = self.kind == ColumnKind::Uuid || self.is_text();
        let alone = self.dialect == Dialect::Postgres || number::parse(&hex).is_none();
        let fits = known || self.kind == ColumnKind::Unknown && alone;
        fits && {
            out.extend(hex);
            true
        }
    }

    fn date(self, date: Date, out: &mut Vec<u8>) -> bool {
        // A column of unknown type may hold dates in a spelling of its own: a query's date is compared with it,
        // but a row's date is not claimed to be spelled so.
        let known = self.kind == ColumnKind::Date
            || self.kind == ColumnKind::Unknown
                && self.side == Side::Query
                && self.dialect != Dialect::MySql;
        known && text::write_date(date, out)
    }
}

/// Replaces what was appended since `start` by `h:` and the first 16 bytes of its SHA-256, in hex.
#[cold]
fn hash(out: &mut Vec<u8>, start: usize) {
    let digest = Sha256::digest(&out[start..]);
    out.truncate(start);
    out.extend(b"h:");
    for byte in &digest[..16] {
        out.extend(text::hex_byte(*byte));
    }
}

/// The integer that a text is, written without an exponent: `CAST('1e2' AS INTEGER)` is 1 in SQLite.
pub(crate) fn integer_of(text: &str) -> Option<i64> {
    let mut digits = Vec::new();
    let text = text.trim_ascii();
    // SQLite makes a double of a long one with a point.
    if text.contains(['e', 'E']) || text.len() > 15 && text.contains('.') {
        return None;
    }
    number::parse(text.as_bytes())?.write(&mut digits)?;
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// Whether the text is a UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    text::uuid(text.trim_ascii().as_bytes()).is_some()
}

/// Whether the text is a truth value.
pub(crate) fn is_truth(text: &str) -> bool {
    let folded = text::fold(text);
    matches!(folded.as_ref(), "0" | "1") || text::truth(&folded).is_some()
}

/// The date that the text is, written `YYYY-MM-DD`.
pub(crate) fn as_date(text: &str) -> Option<Date> {
    text::date(text.trim_ascii().as_bytes())
}
