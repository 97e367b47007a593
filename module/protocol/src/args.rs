use cacheops_condition::{Bounds, Condition, Problem};
use smallvec::SmallVec;

use crate::ArgError;
use crate::error::printable;

/// The longest name of a table or a field that a client may use, in bytes. Databases allow 63 to 128 characters.
pub const MAX_NAME: usize = 1024;

/// Limits of the server's configuration; they bind clients, not the replication stream.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `cacheops.max-key-bytes`.
    pub key_bytes: usize,
    /// `cacheops.max-value-bytes`.
    pub value_bytes: usize,
    /// Length of a table or field name: the index keeps names for long.
    pub name_bytes: usize,
    /// `cacheops.max-terms`: terms of a conjunction.
    pub terms: usize,
    /// `cacheops.max-conjunctions`: conjunctions of an entry, over all tables.
    pub conjunctions: usize,
    /// `cacheops.max-condition-bytes`: tables and conditions of one command.
    pub condition_bytes: usize,
}

impl Limits {
    /// What the stream may bring: only what no entry can have is too much.
    pub const STREAM: Self = Self {
        key_bytes: u16::MAX as usize,
        value_bytes: 1 << 29,
        name_bytes: usize::MAX,
        terms: cacheops_condition::MAX_FIELDS,
        conjunctions: u16::MAX as usize,
        condition_bytes: usize::MAX,
    };
}

/// Tables and their conditions, borrowed from the arguments.
pub type Dependencies<'a> = SmallVec<[(&'a [u8], Condition<'a>); 2]>;

/// The arguments that are not read yet.
pub(crate) struct Cursor<'c, 'a> {
    args: &'c [&'a [u8]],
}

impl<'c, 'a> Cursor<'c, 'a> {
    pub(crate) fn new(args: &'c [&'a [u8]]) -> Self {
        Self { args }
    }

    pub(crate) fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    /// The value of an option that was just read.
    pub(crate) fn value(&mut self, option: &'static str) -> Result<&'a [u8], ArgError> {
        self.next().ok_or(ArgError::MissingValue(option))
    }

    /// The pairs of table and condition after `ON`, all that is left, each condition read by `read`.
    pub(crate) fn pairs(
        self,
        mut read: impl FnMut(&'a [u8], &'a [u8]) -> Result<Condition<'a>, ArgError>,
    ) -> Result<Dependencies<'a>, ArgError> {
        if self.args.is_empty() {
            return Err(ArgError::NoTable);
        }
        let (pairs, rest) = self.args.as_chunks::<2>();
        let mut dependencies = Dependencies::new();
        for &[table, text] in pairs {
            if table.is_empty() {
                return Err(ArgError::EmptyTable);
            }
            if let Some(option) = misplaced(table, text) {
                return Err(ArgError::OptionAfterOn(option));
            }
            dependencies.push((table, read(table, text)?));
        }
        match rest.first() {
            None => Ok(dependencies),
            Some(table) => Err(ArgError::NoCondition(printable(table))),
        }
    }

    /// [`Cursor::pairs`] of an entry or a check. The limits are looked at before and while the conditions are read: what is
    /// refused costs no more than what is accepted.
    pub(crate) fn pairs_within(self, limits: &Limits) -> Result<Dependencies<'a>, ArgError> {
        let bytes = self.args.iter().map(|argument| argument.len()).sum();
        at_most(
            "the length of tables and conditions",
            bytes,
            limits.condition_bytes,
            "cacheops.max-condition-bytes",
        )?;
        // Between conjunctions there is a byte that stands nowhere else.
        let texts = self.args.iter().skip(1).step_by(2);
        let conjunctions = texts.map(|text| 1 + count(text, b'|')).sum();
        at_most(
            "the number of conjunctions",
            conjunctions,
            limits.conjunctions,
            "cacheops.max-conjunctions",
        )?;
        let bounds = Bounds { terms: limits.terms, field_bytes: limits.name_bytes };
        self.pairs(|table, text| {
            if table.len() > limits.name_bytes {
                return Err(ArgError::LongName { limit: limits.name_bytes });
            }
            Condition::parse_within(text, bounds).map_err(|error| match error.problem {
                Problem::TooManyTerms => ArgError::Limit {
                    what: "the number of terms in a conjunction",
                    found: most_terms(text),
                    limit: limits.terms,
                    directive: "cacheops.max-terms",
                },
                Problem::LongField => ArgError::LongName { limit: limits.name_bytes },
                _ => ArgError::Condition { table: printable(table), error },
            })
        })
    }
}

fn count(text: &[u8], byte: u8) -> usize {
    text.iter().filter(|&&other| other == byte).count()
}

/// The terms of the longest conjunction.
fn most_terms(text: &[u8]) -> usize {
    let terms = text.split(|&byte| byte == b'|').map(|conjunction| 1 + count(conjunction, b'&'));
    terms.max().unwrap_or(0)
}

pub(crate) fn at_most(
    what: &'static str,
    found: usize,
    limit: usize,
    directive: &'static str,
) -> Result<(), ArgError> {
    if found > limit { Err(ArgError::Limit { what, found, limit, directive }) } else { Ok(()) }
}

/// An option with its number reads as a table and a condition, "field 5000 is NULL of table PX", which nobody means.
fn misplaced(table: &[u8], condition: &[u8]) -> Option<&'static str> {
    const OPTIONS: [&str; 6] = ["PX", "PXAT", "EX", "EXAT", "TOKEN", "VERSION"];
    if !condition.iter().all(u8::is_ascii_digit) {
        return None;
    }
    OPTIONS.into_iter().find(|option| table.eq_ignore_ascii_case(option.as_bytes()))
}

/// A decimal number without sign, blanks or leading zeros.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || (text.len() > 1 && text[0] == b'0') {
        return None;
    }
    text.iter().try_fold(0u64, |number, &digit| {
        let digit = digit.checked_sub(b'0').filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A number within a range.
pub(crate) fn number_in(
    text: &[u8],
    name: &'static str,
    range: std::ops::RangeInclusive<u64>,
    rule: &'static str,
) -> Result<u64, ArgError> {
    number(text).filter(|number| range.contains(number)).ok_or_else(|| ArgError::Number {
        name,
        value: printable(text),
        rule,
    })
}

/// Sets what an option gives, unless it was given before.
pub(crate) fn once<T>(
    place: &mut Option<T>,
    value: T,
    option: &'static str,
) -> Result<(), ArgError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArgError::Repeated(option)),
    }
}

pub(crate) fn unknown(option: &[u8], expected: &'static str) -> ArgError {
    ArgError::UnknownOption { option: printable(option), expected }
}
