//! Conditions of cached queries, and the one text grammar for them.
//!
//! A *condition* is a disjunction of *conjunctions* over one table, and a conjunction is a set of *terms*
//! `field = value`. The same text describes what a query depends on and what is known of a changed row:
//!
//! ```text
//! condition   = conjunction *( "|" conjunction )
//! conjunction = "*"  /  term *( "&" term )            "*" alone = no term: any row of the table
//! term        = field "=" value  /  field             a bare field means IS NULL
//! ```
//!
//! `%` and two hex digits stand for a byte, anywhere. `% & | =` are always written so, and in fields also
//! `< > ! ~ ( ) ,` and a leading `@` or `$`, which are kept for operators to come. Every other byte stands for itself.
//!
//! ```
//! use cacheops_condition::Condition;
//!
//! let condition = Condition::parse(b"author=7&deleted_at|id=1")?;
//! let texts: Vec<Vec<u8>> = condition.iter().map(|conjunction| conjunction.to_text()).collect();
//! assert_eq!(texts, [&b"author=7&deleted_at"[..], b"id=1"]);
//! # Ok::<(), cacheops_condition::ConditionError>(())
//! ```
//!
//! Parsing copies nothing but the fields and values that hold an escape. The server parses; what a client builds and merges
//! before it writes it is an [`OwnedConjunction`].
#![forbid(unsafe_code)]

mod error;
mod owned;
mod parse;
mod text;

pub use error::{ConditionError, Problem};
pub use owned::OwnedConjunction;
pub use text::{write_conjunction, write_field, write_value};

use smallvec::SmallVec;

/// Fields that one conjunction or row may name. Beyond it parsing fails: no table has as many columns.
pub const MAX_FIELDS: usize = 4096;

/// What a caller accepts of a condition; reading ends where it is exceeded.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Terms of one conjunction.
    pub terms: usize,
    /// Bytes of the name of a field.
    pub field_bytes: usize,
}

impl Bounds {
    /// Only [`MAX_FIELDS`] binds.
    pub const NONE: Self = Self { terms: MAX_FIELDS, field_bytes: usize::MAX };
}

/// A parsed condition: one or more conjunctions, borrowed from their text.
#[derive(Debug, Clone)]
pub struct Condition<'a> {
    text: &'a [u8],
    /// What escapes decoded to; most conditions have none and this stays unallocated.
    decoded: Vec<u8>,
    terms: SmallVec<[Span; 6]>,
    /// For each conjunction, the end of its terms in `terms`. The upper bit tells that it has the fields of the one before, in
    /// the same order.
    ends: SmallVec<[u32; 4]>,
}

/// The upper bit of [`Condition::ends`]. Texts are shorter than 2 GiB, and so there are fewer terms than this.
const REPEATS: u32 = 1 << 31;

/// Where a term's field and value lie, in the text or among the decoded bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    field: Piece,
    /// [`Piece::NULL`] if the term is a bare field.
    value: Piece,
}

/// A range of bytes, packed: conditions are moved about, and most have one or two terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// The upper bit tells that the range is one of the decoded bytes. Texts are shorter than 2 GiB.
    start: u32,
    len: u32,
}

impl Piece {
    const DECODED: u32 = 1 << 31;
    const NULL: Self = Self { start: u32::MAX, len: u32::MAX };

    #[inline]
    fn of<'b>(self, text: &'b [u8], decoded: &'b [u8]) -> &'b [u8] {
        let source = if self.start & Self::DECODED == 0 { text } else { decoded };
        &source[(self.start & !Self::DECODED) as usize..][..self.len as usize]
    }
}

impl<'a> Condition<'a> {
    /// Reads a condition from its text.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] names what is wrong and at which byte.
    pub fn parse(text: &'a [u8]) -> Result<Self, ConditionError> {
        parse::parse::<true>(text, Bounds::NONE)
    }

    /// [`Condition::parse`] that ends with the first conjunction or field that exceeds the bounds.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] names what is wrong and at which byte.
    pub fn parse_within(text: &'a [u8], bounds: Bounds) -> Result<Self, ConditionError> {
        parse::parse::<true>(text, bounds)
    }

    /// Reads a condition only to know whether it is well formed and how many conjunctions it has: each of them is `*` in the
    /// answer. For rows of a table that nothing depends on.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] names what is wrong and at which byte.
    pub fn count(text: &'a [u8]) -> Result<Self, ConditionError> {
        parse::parse::<false>(text, Bounds::NONE)
    }

    /// `*`: every row.
    pub fn any() -> Self {
        Self {
            text: b"*",
            decoded: Vec::new(),
            terms: SmallVec::new(),
            ends: SmallVec::from_slice(&[0]),
        }
    }

    /// The conjunctions, in the order of the text; repeated ones are kept.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Conjunction<'_>> + '_ {
        (0..self.ends.len()).map(|at| self.conjunction(at))
    }

    /// How many conjunctions there are: at least one.
    pub fn conjunctions(&self) -> usize {
        self.ends.len()
    }

    /// The most terms that one conjunction has.
    pub fn max_terms(&self) -> usize {
        self.iter().map(|conjunction| conjunction.len()).max().unwrap_or(0)
    }

    fn conjunction(&self, at: usize) -> Conjunction<'_> {
        let end = |at: usize| (self.ends[at] & !REPEATS) as usize;
        let start = if at == 0 { 0 } else { end(at - 1) };
        let repeats = self.ends[at] & REPEATS != 0;
        Conjunction { condition: self, terms: &self.terms[start..end(at)], repeats }
    }

    #[inline]
    fn bytes(&self, piece: Piece) -> &[u8] {
        piece.of(self.text, &self.decoded)
    }
}

/// One conjunction of a [`Condition`], or one row: its terms, in the order of the text, no field twice.
#[derive(Debug, Clone, Copy)]
pub struct Conjunction<'c> {
    condition: &'c Condition<'c>,
    terms: &'c [Span],
    repeats: bool,
}

/// A field and its value; `None` is NULL.
pub type Term<'c> = (&'c [u8], Option<&'c [u8]>);

impl<'c> Conjunction<'c> {
    /// The terms, in the order of the text.
    #[inline]
    pub fn terms(self) -> impl ExactSizeIterator<Item = Term<'c>> + 'c {
        self.terms.iter().map(move |span| {
            let value = (span.value != Piece::NULL).then(|| self.condition.bytes(span.value));
            (self.condition.bytes(span.field), value)
        })
    }

    /// How many terms there are; none is `*`, which any row satisfies.
    pub fn len(self) -> usize {
        self.terms.len()
    }

    /// Whether it has the fields of the conjunction before it, in the same order, as rows of one statement do.
    pub fn repeats_fields(self) -> bool {
        self.repeats
    }

    /// Whether this is `*`.
    pub fn is_empty(self) -> bool {
        self.terms.is_empty()
    }

    /// The canonical text: escapes in upper case and only where they are needed.
    pub fn to_text(self) -> Vec<u8> {
        let mut text = Vec::new();
        write_conjunction(&mut text, self.terms());
        text
    }
}
