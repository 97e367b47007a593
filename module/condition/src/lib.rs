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
//! Parsing copies nothing but the fields and values that hold an escape.
#![forbid(unsafe_code)]

mod error;
mod parse;
mod text;

pub use error::{ConditionError, Problem};
pub use text::{write_conjunction, write_field, write_value};

use smallvec::SmallVec;

/// Fields that one conjunction or row may name. Beyond it parsing fails: no table has as many columns.
pub const MAX_FIELDS: usize = 4096;

/// A parsed condition: one or more conjunctions, borrowed from their text.
#[derive(Debug, Clone)]
pub struct Condition<'a> {
    text: &'a [u8],
    /// What escapes decoded to; most conditions have none and this stays unallocated.
    decoded: Vec<u8>,
    terms: SmallVec<[Span; 8]>,
    /// For each conjunction, the end of its terms in `terms`.
    ends: SmallVec<[u32; 8]>,
}

/// Where a term's field and value lie, in the text or among the decoded bytes.
#[derive(Debug, Clone, Copy)]
struct Span {
    field: Piece,
    /// `None` is NULL.
    value: Option<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    len: u32,
    decoded: bool,
}

impl<'a> Condition<'a> {
    /// Reads a condition from its text.
    ///
    /// # Errors
    ///
    /// [`ConditionError`] names what is wrong and at which byte.
    pub fn parse(text: &'a [u8]) -> Result<Self, ConditionError> {
        parse::parse(text)
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
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        Conjunction { condition: self, terms: &self.terms[start..self.ends[at] as usize] }
    }

    #[inline]
    fn bytes(&self, piece: Piece) -> &[u8] {
        let source = if piece.decoded { &self.decoded[..] } else { self.text };
        &source[piece.start as usize..][..piece.len as usize]
    }
}

/// One conjunction of a [`Condition`], or one row: its terms, in the order of the text, no field twice.
#[derive(Debug, Clone, Copy)]
pub struct Conjunction<'c> {
    condition: &'c Condition<'c>,
    terms: &'c [Span],
}

/// A field and its value; `None` is NULL.
pub type Term<'c> = (&'c [u8], Option<&'c [u8]>);

impl<'c> Conjunction<'c> {
    /// The terms, in the order of the text.
    #[inline]
    pub fn terms(self) -> impl ExactSizeIterator<Item = Term<'c>> + 'c {
        self.terms.iter().map(move |span| {
            (self.condition.bytes(span.field), span.value.map(|piece| self.condition.bytes(piece)))
        })
    }

    /// How many terms there are; none is `*`, which any row satisfies.
    pub fn len(self) -> usize {
        self.terms.len()
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
