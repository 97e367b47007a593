use std::fmt;

use cacheops_condition::ConditionError;

/// What is wrong with the arguments of a command. The text names the argument and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArgError {
    /// Too few arguments, or too many: the server has a text of its own for this.
    Arity,
    /// Something that is no option stands where one may stand.
    UnknownOption {
        /// As it was given, made printable.
        option: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// The same option twice.
    Repeated(&'static str),
    /// Two options that exclude each other.
    Conflict(&'static str),
    /// An option that means nothing without another one.
    Needs {
        /// The option.
        option: &'static str,
        /// The other one.
        needed: &'static str,
    },
    /// An option without its value.
    MissingValue(&'static str),
    /// A value that is no number, or out of its range.
    Number {
        /// The argument.
        name: &'static str,
        /// As it was given, made printable.
        value: String,
        /// The range.
        rule: &'static str,
    },
    /// `ON` is missing.
    MissingOn,
    /// No table after `ON`.
    NoTable,
    /// The last table has no condition.
    NoCondition(String),
    /// A table with an empty name.
    EmptyTable,
    /// An option and its number after `ON`.
    OptionAfterOn(&'static str),
    /// A condition that breaks the grammar.
    Condition {
        /// Its table, made printable.
        table: String,
        /// The rule.
        error: ConditionError,
    },
    /// A limit of the server's configuration.
    Limit {
        /// What is too large, and how large it is.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
        /// The directive that says so.
        directive: &'static str,
    },
    /// A table or a field with a name that is too long.
    LongName {
        /// How long it may be.
        limit: usize,
    },
    /// In cluster mode every primary has to hear of it.
    ShardRequired,
}

impl fmt::Display for ArgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arity => f.write_str("wrong number of arguments"),
            Self::UnknownOption { option, expected } => write!(f, "unknown option '{option}', expected {expected}"),
            Self::Repeated(option) => write!(f, "option {option} is given twice"),
            Self::Conflict(options) => write!(f, "only one of {options} may be given"),
            Self::Needs { option, needed } => write!(f, "option {option} needs {needed}"),
            Self::MissingValue(option) => write!(f, "option {option} needs a value"),
            Self::Number { name, value, rule } => write!(f, "invalid {name} '{value}', it must be {rule}"),
            Self::MissingOn => f.write_str("ON is missing, it stands before the pairs of table and condition"),
            Self::NoTable => f.write_str("no table after ON, at least one pair of table and condition must follow"),
            Self::NoCondition(table) => write!(f, "table '{table}' has no condition, '*' stands for any row"),
            Self::EmptyTable => f.write_str("empty table name"),
            Self::OptionAfterOn(option) => {
                write!(f, "option {option} stands after ON, options stand before it")
            }
            Self::Condition { table, error } => write!(f, "invalid condition for table '{table}': {error}"),
            Self::Limit { what, found, limit, directive } => {
                write!(f, "{what} is {found}, more than the {limit} that {directive} allows")
            }
            Self::LongName { limit } => {
                write!(f, "the name of a table or a field is longer than {limit} bytes")
            }
            Self::ShardRequired => f.write_str(
                "in cluster mode SHARD is required: send the command with it to every primary, each knows only its own entries",
            ),
        }
    }
}

impl std::error::Error for ArgError {}

/// An argument as it may stand in an error: short and printable.
pub(crate) fn printable(argument: &[u8]) -> String {
    const MOST: usize = 64;
    let mut text = String::new();
    for &byte in argument.iter().take(MOST) {
        match byte {
            b' '..=b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if argument.len() > MOST {
        text.push_str("...");
    }
    text
}
