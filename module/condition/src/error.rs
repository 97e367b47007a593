use std::fmt;

/// Why a condition could not be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConditionError {
    /// What is wrong.
    pub problem: Problem,
    /// The offset in bytes at which it was seen.
    pub at: usize,
}

/// The rules that a condition can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The text is empty.
    EmptyCondition,
    /// Nothing stands between two `|`, or at an end.
    EmptyConjunction,
    /// Nothing stands between two `&`, or at an end.
    EmptyTerm,
    /// A term begins with `=`.
    EmptyField,
    /// A `%` without two hex digits behind it.
    BadEscape,
    /// A byte that must be escaped where it stands.
    Reserved(u8),
    /// A field occurs twice in one conjunction.
    RepeatedField,
    /// More fields than [`MAX_FIELDS`](crate::MAX_FIELDS) in one conjunction.
    TooManyFields,
    /// The text is longer than 2 GiB.
    TooLong,
    /// More terms in one conjunction than [`Bounds`](crate::Bounds) allow.
    TooManyTerms,
    /// A field with a longer name than [`Bounds`](crate::Bounds) allow.
    LongField,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::EmptyCondition => {
                return f.write_str("the condition is empty; '*' stands for any row");
            }
            Problem::EmptyConjunction => {
                f.write_str("empty conjunction; '*' stands for any row")?
            }
            Problem::EmptyTerm => {
                f.write_str("empty term; a term is field=value, or a bare field for NULL")?
            }
            Problem::EmptyField => f.write_str("empty field name")?,
            Problem::BadEscape => f.write_str("'%' must be followed by two hex digits")?,
            Problem::Reserved(byte) => {
                write!(f, "'{}' must be escaped as %{byte:02X} here", char::from(byte))?;
            }
            Problem::RepeatedField => {
                f.write_str("a field may occur only once in a conjunction")?
            }
            Problem::TooManyFields => {
                write!(f, "more than {} fields in one conjunction", crate::MAX_FIELDS)?
            }
            Problem::TooManyTerms => f.write_str("too many terms in one conjunction")?,
            Problem::LongField => f.write_str("the name of a field is too long")?,
            Problem::TooLong => {
                return f.write_str("the condition is longer than 2147483647 bytes");
            }
        }
        write!(f, ", at byte {}", self.at)
    }
}

impl std::error::Error for ConditionError {}
