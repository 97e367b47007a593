//! Conditions and rows, as one builds them.
//!
//! Whatever bytes a field or value holds, they are escaped when written: text from a user cannot
//! add a term or end a conjunction. The grammar itself is the crate cacheops-condition's.

use cacheops_condition::OwnedConjunction;

/// A value of a field: NULL, or bytes that are equal only if identical.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(Option<Vec<u8>>);

/// Which rows of one table a query result depends on: an OR of ANDs of `field = value`.
///
/// ```
/// use cacheops::Condition;
///
/// let drafts = Condition::all().term("author", 7).null("published_at");
/// assert_eq!(drafts.to_bytes(), b"author=7&published_at");
///
/// let either = drafts.or(Condition::all().term("title", "R&D"));
/// assert_eq!(either.to_bytes(), b"author=7&published_at|title=R%26D");
///
/// let shelf = Condition::all().one_of("id", [3, 5]).term("lang", "en");
/// assert_eq!(shelf.to_bytes(), b"id=3&lang=en|id=5&lang=en");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(Vec<OwnedConjunction>);

/// What is known of a row of one table. A field that is absent is unknown: it could have any value.
///
/// It is an [`OwnedConjunction`] that is built from values of Rust's types. An analyser of SQL makes such conjunctions
/// directly; [`Changes`](crate::Changes) takes both.
///
/// ```
/// use cacheops::Row;
///
/// assert_eq!(Row::new().set("id", 7).null("deleted_at").to_bytes(), b"deleted_at&id=7");
/// assert_eq!(Row::new().to_bytes(), b"*"); // nothing known: any row
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(OwnedConjunction);

/// The largest value of the directive `cacheops.max-conjunctions`. Lists multiply each other, and may be those of a user.
const MAX_CONJUNCTIONS: usize = 16_384;

impl Value {
    /// SQL's NULL, which is not the empty string.
    pub const NULL: Self = Self(None);
}

impl Condition {
    /// Every row of the table. The calls that follow narrow it.
    pub fn all() -> Self {
        Self(vec![OwnedConjunction::new()])
    }

    /// Narrows to the rows with this value: SQL's `AND field = value`.
    ///
    /// A field that already has a value keeps it. Two values of one field would match no row, and
    /// a condition may be too wide but never too narrow.
    pub fn term(self, field: impl AsRef<[u8]>, value: impl Into<Value>) -> Self {
        self.one_of(field, [value])
    }

    /// Narrows to the rows without a value: SQL's `AND field IS NULL`.
    pub fn null(self, field: impl AsRef<[u8]>) -> Self {
        self.term(field, Value::NULL)
    }

    /// Narrows to the rows with one of these values: SQL's `AND field IN (values)`.
    ///
    /// Every conjunction is repeated for each value. No value at all narrows nothing: what an empty
    /// list depends on cannot be written down, and `all` is always right. Neither do values that would
    /// make more than 16,384 conjunctions, the most that a server takes (by default it takes 1,024).
    pub fn one_of<V: Into<Value>>(
        self,
        field: impl AsRef<[u8]>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let field = field.as_ref();
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if values.is_empty() || self.0.len().saturating_mul(values.len()) > MAX_CONJUNCTIONS {
            return self;
        }
        let mut narrowed = Vec::with_capacity(self.0.len() * values.len());
        for terms in self.0 {
            if terms.get(field).is_some() {
                narrowed.push(terms);
                continue;
            }
            narrowed.extend(
                values.iter().map(|Value(value)| terms.clone().with(field, value.as_deref())),
            );
        }
        Self(narrowed)
    }

    /// Widens to the rows that satisfy either; to all rows, past 16,384 conjunctions.
    pub fn or(mut self, other: Self) -> Self {
        if self.0.len() + other.0.len() > MAX_CONJUNCTIONS {
            return Self::all();
        }
        for terms in other.0 {
            if !self.0.contains(&terms) {
                self.0.push(terms);
            }
        }
        // A conjunction without terms matches every row and makes the others idle.
        if self.0.iter().any(OwnedConjunction::is_empty) { Self::all() } else { self }
    }

    /// Whether the row satisfies the condition, or could: an unknown field matches anything.
    ///
    /// It is the rule by which the server invalidates.
    ///
    /// ```
    /// use cacheops::{Condition, Row};
    ///
    /// let condition = Condition::all().term("author", 7).null("deleted_at");
    /// assert!(condition.matches(&Row::new().set("id", 1).set("author", 7).null("deleted_at")));
    /// assert!(condition.matches(&Row::new().set("author", 7)));
    /// assert!(!condition.matches(&Row::new().set("author", 8)));
    /// ```
    pub fn matches(&self, row: &Row) -> bool {
        let satisfied = |terms: &OwnedConjunction| {
            terms.terms().all(|(field, value)| row.0.get(field).is_none_or(|known| known == value))
        };
        self.0.iter().any(satisfied)
    }

    /// The text that the server reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = Vec::new();
        OwnedConjunction::write_all(&self.0, &mut text);
        text
    }

    /// The conjunctions, of which a row has to satisfy one.
    pub(crate) fn conjunctions(&self) -> &[OwnedConjunction] {
        &self.0
    }
}

impl Row {
    /// A row of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field; a second value replaces the first.
    pub fn set(mut self, field: impl AsRef<[u8]>, value: impl Into<Value>) -> Self {
        self.0.set(field.as_ref(), value.into().0.as_deref());
        self
    }

    /// Sets a field to NULL.
    pub fn null(self, field: impl AsRef<[u8]>) -> Self {
        self.set(field, Value::NULL)
    }

    /// The text that the server reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_text()
    }

    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        self.0.write(text);
    }
}

impl From<Row> for OwnedConjunction {
    fn from(row: Row) -> Self {
        row.0
    }
}

impl From<&Row> for OwnedConjunction {
    fn from(row: &Row) -> Self {
        row.0.clone()
    }
}

impl From<OwnedConjunction> for Row {
    fn from(conjunction: OwnedConjunction) -> Self {
        Self(conjunction)
    }
}

macro_rules! from_integer {
    ($($integer:ty)*) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Self(Some(value.to_string().into_bytes()))
            }
        }
    )*};
}
from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self(Some(value.as_bytes().to_vec()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        value.as_str().into()
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self(Some(value.into_bytes()))
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self(Some(value.to_vec()))
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self(Some(value))
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::NULL, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(condition: Condition) -> String {
        String::from_utf8(condition.to_bytes()).unwrap()
    }

    #[test]
    fn writes_the_grammar() {
        let all = Condition::all;
        for (condition, expected) in [
            (all(), "*"),
            (all().term("id", 7), "id=7"),
            (all().term("id", -7_i64).term("lang", "en"), "id=-7&lang=en"),
            (all().term("name", ""), "name="),
            (all().null("deleted_at"), "deleted_at"),
            (all().term("a", None::<i64>).term("b", Some(2)), "a&b=2"),
            (all().term("a", 1).or(all().term("a", 2)), "a=1|a=2"),
            (all().term("a", 1).or(all().term("a", 1)), "a=1"),
            (all().one_of("a", [1, 2]).one_of("b", [3, 4]), "a=1&b=3|a=1&b=4|a=2&b=3|a=2&b=4"),
        ] {
            assert_eq!(text(condition), expected);
        }
    }

    #[test]
    fn what_a_field_or_value_holds_stays_there() {
        let hostile = ["", "*", "a&b|c=d%e", "%41", "@$<>!~(),", "\u{e9}\n\0 "];
        for field in &hostile[1..] {
            for value in hostile {
                let text = Condition::all().term(field, value).null("n").to_bytes();

                let parsed = cacheops_condition::Condition::parse(&text).unwrap();

                assert_eq!(parsed.conjunctions(), 1);
                let mut terms: Vec<_> = parsed.iter().next().unwrap().terms().collect();
                terms.sort();
                let mut expected = [(field.as_bytes(), Some(value.as_bytes())), (b"n", None)];
                expected.sort();
                assert_eq!(terms, expected);
            }
            let text = Condition::all().null(field).to_bytes();
            let parsed = cacheops_condition::Condition::parse(&text).unwrap();
            assert_eq!(parsed.iter().next().unwrap().len(), 1, "{field} alone is still a term");
        }
    }

    #[test]
    fn is_never_narrower_than_asked() {
        let all = Condition::all;

        // A second value of a field, an empty list and an or with everything all widen.
        assert_eq!(text(all().term("a", 1).term("a", 2)), "a=1");
        assert_eq!(text(all().term("a", 1).one_of("b", Vec::<i64>::new())), "a=1");
        assert_eq!(text(all().term("a", 1).or(all())), "*");
        let many = all().one_of("a", 0..1_000_i64).one_of("b", 0..1_000_i64).one_of("c", [7]);
        assert_eq!(many.0.len(), 1_000, "a million conjunctions would be refused");
        assert!(many.matches(&Row::new().set("a", 1).set("b", -1).set("c", 7)));
        assert!(!many.matches(&Row::new().set("a", 1).set("b", 1).set("c", 8)));
        let most = || all().one_of("a", 0..16_384_i64);
        assert_eq!((most().0.len(), text(most().or(all().term("b", 1)))), (16_384, "*".into()));
        assert_eq!(text(all().term("a", 1).or(all().null("b")).term("a", 2)), "a=1|a=2&b");
    }

    #[test]
    fn matches_a_row_by_its_known_fields() {
        let condition = Condition::all().one_of("a", [1, 2]).null("b");
        for (row, expected) in [
            (Row::new().set("a", 1).null("b"), true),
            (Row::new().set("a", "1").null("b").set("c", 9), true),
            (Row::new().set("a", "01").null("b"), false),
            (Row::new().set("a", 1).set("b", ""), false),
            (Row::new().set("a", 3).null("b"), false),
            (Row::new().null("b"), true),
            (Row::new().set("a", 3), false),
            (Row::new(), true),
        ] {
            assert_eq!(condition.matches(&row), expected, "{row:?}");
        }
    }
}
