//! Reading: one pass over the bytes, driven by a table of byte classes.

use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use crate::{Bounds, Condition, ConditionError, MAX_FIELDS, Piece, Problem, REPEATS, Span};

/// Must be escaped in a field.
pub(crate) const FIELD_RESERVED: u8 = 1;
/// Must be escaped in a value.
pub(crate) const VALUE_RESERVED: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let everywhere = b"%&|=";
    let mut at = 0;
    while at < everywhere.len() {
        classes[everywhere[at] as usize] = FIELD_RESERVED | VALUE_RESERVED;
        at += 1;
    }
    let fields = b"<>!~(),";
    at = 0;
    while at < fields.len() {
        classes[fields[at] as usize] = FIELD_RESERVED;
        at += 1;
    }
    classes
};

#[inline]
pub(crate) fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Without `KEEP` only whether the text is well formed, and how many conjunctions it has.
pub(crate) fn parse<const KEEP: bool>(
    text: &[u8],
    bounds: Bounds,
) -> Result<Condition<'_>, ConditionError> {
    if text.is_empty() {
        return Err(ConditionError { problem: Problem::EmptyCondition, at: 0 });
    }
    if text.len() > i32::MAX as usize {
        return Err(ConditionError { problem: Problem::TooLong, at: 0 });
    }
    let mut reader = Reader { text, at: 0, decoded: Vec::new(), seen: Seen::default() };
    let mut terms: SmallVec<[Span; 6]> = SmallVec::new();
    let mut ends: SmallVec<[u32; 4]> = SmallVec::new();
    // Where the conjunction before begins.
    let mut before = 0;
    loop {
        let first = terms.len();
        if !reader.take_star() {
            loop {
                let at = reader.at;
                let span = reader.term(terms.len() == first)?;
                let count = terms.len() - first;
                if count >= bounds.terms || span.field.len as usize > bounds.field_bytes {
                    return Err(ConditionError { problem: exceeded(count, bounds), at });
                }
                terms.push(span);
                if !reader.take(b'&') {
                    break;
                }
            }
        }
        let repeats = reader.no_field_twice(&terms[before..first], &terms[first..])?;
        if KEEP {
            ends.push(terms.len() as u32 | if repeats { REPEATS } else { 0 });
            before = first;
        } else {
            ends.push(0);
            terms.drain(..first);
        }
        if !reader.take(b'|') {
            break;
        }
    }
    // Every piece ends before a byte of `| & =` or at the end, so nothing can be left over.
    debug_assert_eq!(reader.at, text.len());
    if !KEEP {
        return Ok(Condition { text, decoded: Vec::new(), terms: SmallVec::new(), ends });
    }
    Ok(Condition { text, decoded: reader.decoded, terms, ends })
}

#[cold]
fn exceeded(terms: usize, bounds: Bounds) -> Problem {
    match terms >= bounds.terms {
        true if terms >= MAX_FIELDS => Problem::TooManyFields,
        true => Problem::TooManyTerms,
        false => Problem::LongField,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    decoded: Vec<u8>,
    seen: Seen,
}

/// Hashes of the names of a long conjunction. Keyed, for whoever sends the names could make them meet.
#[derive(Default)]
struct Seen(Option<(RandomState, Vec<u64>)>);

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether the whole conjunction is `*`.
    fn take_star(&mut self) -> bool {
        let found =
            self.peek() == Some(b'*') && matches!(self.text.get(self.at + 1), None | Some(b'|'));
        self.at += usize::from(found);
        found
    }

    fn term(&mut self, first: bool) -> Result<Span, ConditionError> {
        match self.peek() {
            Some(b'=') => return Err(self.error(Problem::EmptyField)),
            None | Some(b'|') if first => return Err(self.error(Problem::EmptyConjunction)),
            None | Some(b'|' | b'&') => return Err(self.error(Problem::EmptyTerm)),
            Some(byte @ (b'@' | b'$')) => return Err(self.error(Problem::Reserved(byte))),
            Some(_) => {}
        }
        let field = self.piece(FIELD_RESERVED)?;
        let value = if self.take(b'=') { self.piece(VALUE_RESERVED)? } else { Piece::NULL };
        match self.peek() {
            None | Some(b'|' | b'&') => Ok(Span { field, value }),
            Some(byte) => Err(self.error(Problem::Reserved(byte))),
        }
    }

    /// Reads up to the next unescaped byte that is reserved here.
    #[inline]
    fn piece(&mut self, reserved: u8) -> Result<Piece, ConditionError> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if class(byte) & reserved == 0 {
                self.at += 1;
            } else if byte == b'%' {
                return self.decode(start, reserved);
            } else {
                break;
            }
        }
        Ok(Piece { start: start as u32, len: (self.at - start) as u32 })
    }

    /// Goes on with a piece that has an escape: its bytes move to `decoded`.
    #[cold]
    fn decode(&mut self, start: usize, reserved: u8) -> Result<Piece, ConditionError> {
        let from = self.decoded.len();
        self.decoded.extend_from_slice(&self.text[start..self.at]);
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                let digits = self.text.get(self.at + 1).zip(self.text.get(self.at + 2));
                let decoded = digits.and_then(|(&high, &low)| Some(hex(high)? << 4 | hex(low)?));
                self.decoded.push(decoded.ok_or_else(|| self.error(Problem::BadEscape))?);
                self.at += 3;
            } else if class(byte) & reserved == 0 {
                self.decoded.push(byte);
                self.at += 1;
            } else {
                break;
            }
        }
        Ok(Piece { start: from as u32 | Piece::DECODED, len: (self.decoded.len() - from) as u32 })
    }

    /// Answers whether the fields are those of the conjunction before, in the same order.
    #[inline]
    fn no_field_twice(&mut self, before: &[Span], terms: &[Span]) -> Result<bool, ConditionError> {
        /// Up to here comparing all pairs beats sorting.
        const FEW: usize = 12;
        /// And up to here sorting beats hashing.
        const SOME: usize = 64;
        let name = |span: &Span| span.field.of(self.text, &self.decoded);
        // Rows of one statement have the same fields, which were looked at in the first of them.
        if before.len() == terms.len()
            && before.iter().zip(terms).all(|(before, term)| name(before) == name(term))
        {
            return Ok(!terms.is_empty());
        }
        let repeated = if terms.len() <= FEW {
            (1..terms.len())
                .any(|at| terms[..at].iter().any(|before| name(before) == name(&terms[at])))
        } else if terms.len() <= SOME {
            has_twins(terms.iter().map(name).collect())
        } else {
            self.is_repeated(terms)
        };
        if repeated { Err(self.error(Problem::RepeatedField)) } else { Ok(false) }
    }

    #[cold]
    fn is_repeated(&mut self, terms: &[Span]) -> bool {
        let name = |span: &Span| span.field.of(self.text, &self.decoded);
        let (state, hashes) = self.seen.0.get_or_insert_with(Default::default);
        hashes.clear();
        hashes.extend(terms.iter().map(|term| state.hash_one(name(term))));
        hashes.sort_unstable();
        if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return false;
        }
        // Two hashes that meet are no proof.
        has_twins(terms.iter().map(name).collect())
    }

    fn error(&self, problem: Problem) -> ConditionError {
        ConditionError { problem, at: self.at }
    }
}

fn has_twins(mut names: Vec<&[u8]>) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
