//! Conjunctions that own their terms: how clients and analysers build and merge what they later write as text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::{Condition, ConditionError, Conjunction, Term, write_conjunction};

/// A conjunction, or what is known of one row, that owns its fields and values.
///
/// A field has a value or is NULL. A field that is absent is *unknown*: as a part of a row it could have any value, and
/// as a part of a condition it restricts nothing. Without any field it is `*`, every row.
///
/// Fields and values are bytes without escapes, equal only if identical. They are kept in the order of the fields, so that two
/// conjunctions with the same terms are equal and have the same text, in whatever order they were built. One buffer
/// holds all bytes: a row of any number of columns takes two allocations.
///
/// ```
/// use cacheops_condition::OwnedConjunction;
///
/// let mut row = OwnedConjunction::new();
/// row.set(b"title", Some(b"R&D"));
/// row.set(b"deleted_at", None);
/// assert_eq!(row.get(b"title"), Some(Some(&b"R&D"[..]))); // known
/// assert_eq!(row.get(b"deleted_at"), Some(None)); // known to be NULL
/// assert_eq!(row.get(b"id"), None); // unknown
/// assert_eq!(row.to_text(), b"deleted_at&title=R%26D");
/// ```
#[derive(Clone, Default)]
pub struct OwnedConjunction {
    /// Fields and values, each field directly before its value. The bytes of replaced terms stay.
    bytes: Vec<u8>,
    /// In the order of the fields, no field twice.
    terms: Vec<Place>,
}

/// Where a term lies among the bytes: its field, and behind it the value.
#[derive(Clone, Copy)]
struct Place {
    start: u32,
    field: u32,
    /// [`Place::NULL`] if there is none.
    value: u32,
}

impl Place {
    const NULL: u32 = u32::MAX;
}

impl OwnedConjunction {
    /// A conjunction without terms: `*`, every row, or a row of which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), terms: Vec::new() }
    }

    /// An empty one with room for so many terms, which have so many bytes in all.
    #[must_use]
    pub fn with_capacity(terms: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), terms: Vec::with_capacity(terms) }
    }

    /// Reads all conjunctions of a condition.
    ///
    /// ```
    /// use cacheops_condition::OwnedConjunction;
    ///
    /// let rows = OwnedConjunction::parse_all(b"id=7&author=9|id=7&author=2")?;
    /// assert_eq!(rows[1].get(b"author"), Some(Some(&b"2"[..])));
    /// assert!(OwnedConjunction::parse_all(b"id=7&").is_err());
    /// # Ok::<(), cacheops_condition::ConditionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConditionError`] names what is wrong and at which byte.
    pub fn parse_all(text: &[u8]) -> Result<Vec<Self>, ConditionError> {
        Ok(Condition::parse(text)?.iter().map(Self::from).collect())
    }

    /// Appends the text of a condition that has these conjunctions; nothing if there are none.
    ///
    /// ```
    /// use cacheops_condition::OwnedConjunction;
    ///
    /// let rows = OwnedConjunction::parse_all(b"id=7&author=9|*")?;
    /// let mut text = Vec::new();
    /// OwnedConjunction::write_all(&rows, &mut text);
    /// assert_eq!(text, b"author=9&id=7|*");
    /// # Ok::<(), cacheops_condition::ConditionError>(())
    /// ```
    pub fn write_all<'c>(conjunctions: impl IntoIterator<Item = &'c Self>, out: &mut Vec<u8>) {
        for (at, conjunction) in conjunctions.into_iter().enumerate() {
            if at > 0 {
                out.push(b'|');
            }
            conjunction.write(out);
        }
    }

    /// Sets a field to a value or, with `None`, to NULL. It replaces what the field had before.
    ///
    /// A term that does not fit into 4 GiB with the others is left out: the field is then unknown.
    pub fn set(&mut self, field: &[u8], value: Option<&[u8]>) {
        let place = self.append(field, value);
        match (self.position(field), place) {
            (Ok(at), Some(place)) => self.terms[at] = place,
            (Ok(at), None) => drop(self.terms.remove(at)),
            (Err(at), Some(place)) => self.terms.insert(at, place),
            (Err(_), None) => {}
        }
    }

    /// The same conjunction with one more field, or another value of it.
    ///
    /// ```
    /// use cacheops_condition::OwnedConjunction;
    ///
    /// let row = OwnedConjunction::new().with(b"id", Some(b"7")).with(b"id", Some(b"8"));
    /// assert_eq!(row.to_text(), b"id=8");
    /// ```
    #[must_use]
    pub fn with(mut self, field: &[u8], value: Option<&[u8]>) -> Self {
        self.set(field, value);
        self
    }

    /// The value of a field: `None` if it is unknown, `Some(None)` if it is NULL.
    #[must_use]
    pub fn get(&self, field: &[u8]) -> Option<Option<&[u8]>> {
        let at = self.position(field).ok()?;
        Some(self.term(self.terms[at]).1)
    }

    /// Keeps the fields that `keep` accepts; the others become unknown.
    ///
    /// ```
    /// use cacheops_condition::OwnedConjunction;
    ///
    /// let mut row = OwnedConjunction::new().with(b"id", Some(b"7")).with(b"tag", Some(b"2"));
    /// row.retain(|field| field != b"tag");
    /// assert_eq!(row.to_text(), b"id=7");
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let bytes = &self.bytes;
        self.terms.retain(|place| keep(&bytes[place.start as usize..][..place.field as usize]));
    }

    /// The terms of both. Where both know a field, this one's value is taken.
    ///
    /// ```
    /// use cacheops_condition::OwnedConjunction;
    ///
    /// // A row that was read, and what the statement says of all rows that it writes.
    /// let row = OwnedConjunction::new().with(b"id", Some(b"7")).with(b"tag", Some(b"2"));
    /// let all = OwnedConjunction::new().with(b"tag", Some(b"9")).with(b"lang", Some(b"en"));
    /// assert_eq!(row.or(&all).to_text(), b"id=7&lang=en&tag=2");
    /// ```
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut merged = Self::with_capacity(
            self.terms.len() + other.terms.len(),
            self.bytes.len() + other.bytes.len(),
        );
        let (mut ours, mut theirs) = (self.terms().peekable(), other.terms().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some(ours), Some(theirs)) => ours.0.cmp(theirs.0),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return merged,
            };
            let term = match order {
                Ordering::Less => ours.next(),
                Ordering::Greater => theirs.next(),
                Ordering::Equal => {
                    theirs.next();
                    ours.next()
                }
            };
            if let Some((field, value)) = term
                && let Some(place) = merged.append(field, value)
            {
                merged.terms.push(place);
            }
        }
    }

    /// The terms, in the order of the fields.
    pub fn terms(&self) -> impl ExactSizeIterator<Item = Term<'_>> + '_ {
        self.terms.iter().map(|place| self.term(*place))
    }

    /// How many terms there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether this is `*`: no field is known, every row satisfies it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Appends the canonical text: see [`write_conjunction`].
    pub fn write(&self, out: &mut Vec<u8>) {
        write_conjunction(out, self.terms());
    }

    /// The canonical text.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.bytes.len() + 2 * self.terms.len() + 1);
        self.write(&mut text);
        text
    }

    /// Where the field stands, or would stand.
    fn position(&self, field: &[u8]) -> Result<usize, usize> {
        // Most conjunctions are built in the order of their fields.
        if let Some(last) = self.terms.last()
            && self.term(*last).0 < field
        {
            return Err(self.terms.len());
        }
        self.terms.binary_search_by(|place| self.term(*place).0.cmp(field))
    }

    fn append(&mut self, field: &[u8], value: Option<&[u8]>) -> Option<Place> {
        let start = self.bytes.len();
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
        let value_len = match value {
            Some(value) => len(value).filter(|len| *len != Place::NULL)?,
            None => Place::NULL,
        };
        let added = field.len() + value.map_or(0, <[u8]>::len);
        u32::try_from(start.checked_add(added)?).ok()?;
        let place =
            Place { start: u32::try_from(start).ok()?, field: len(field)?, value: value_len };
        self.bytes.extend_from_slice(field);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        Some(place)
    }

    fn term(&self, place: Place) -> Term<'_> {
        let rest = &self.bytes[place.start as usize..];
        let (field, rest) = rest.split_at(place.field as usize);
        (field, (place.value != Place::NULL).then(|| &rest[..place.value as usize]))
    }
}

impl<'t> Extend<Term<'t>> for OwnedConjunction {
    /// Sets each field; the last value of a field counts.
    fn extend<I: IntoIterator<Item = Term<'t>>>(&mut self, terms: I) {
        terms.into_iter().for_each(|(field, value)| self.set(field, value));
    }
}

impl<'t> FromIterator<Term<'t>> for OwnedConjunction {
    fn from_iter<I: IntoIterator<Item = Term<'t>>>(terms: I) -> Self {
        let mut conjunction = Self::new();
        conjunction.extend(terms);
        conjunction
    }
}

impl From<Conjunction<'_>> for OwnedConjunction {
    fn from(conjunction: Conjunction<'_>) -> Self {
        conjunction.terms().collect()
    }
}

impl PartialEq for OwnedConjunction {
    fn eq(&self, other: &Self) -> bool {
        self.terms().eq(other.terms())
    }
}

impl Eq for OwnedConjunction {}

impl PartialOrd for OwnedConjunction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OwnedConjunction {
    /// By the first term that differs; NULL comes before every value.
    fn cmp(&self, other: &Self) -> Ordering {
        self.terms().cmp(other.terms())
    }
}

impl Hash for OwnedConjunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        self.terms().for_each(|term| term.hash(state));
    }
}

impl fmt::Debug for OwnedConjunction {
    /// The text, with bytes that are no text escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_text().escape_ascii())
    }
}
