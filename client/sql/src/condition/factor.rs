//! The parts of a compiled condition: a field and the values that it may have.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use crate::canon::{Canon, Place, Side, canonical, integer_of};
use crate::{ColumnKind, Dialect, Value};

/// A field and its alternatives: `field = one of slots`.
#[derive(Debug, Clone)]
pub(crate) struct Factor {
    /// The column, as the catalogue spells it.
    pub(crate) column: String,
    /// The same, escaped, as it stands in a condition.
    pub(crate) field: Box<[u8]>,
    pub(crate) slots: SmallVec<[Slot; 1]>,
    pub(crate) place: Place,
    /// What a parameter that is NULL means here.
    pub(crate) null: NullMeans,
    /// Copied from another column that is compared with this one: valid only for values that all types compare alike.
    pub(crate) propagated: bool,
    /// The database computes the column, so an update may change it.
    pub(crate) generated: bool,
    /// The value is inserted, where zero may mean the next number (MySQL).
    pub(crate) inserted: bool,
    /// It is one of a list of rows, all of whose values in this column MySQL converts to one type.
    pub(crate) peers: Option<Arc<Peers>>,
}

/// The values that a list of rows has for one column.
#[derive(Debug)]
pub(crate) struct Peers {
    /// Of the constants, if there are any.
    pub(crate) class: Option<Class>,
    /// Parameters, from 0.
    pub(crate) parameters: Vec<usize>,
}

/// Types of values. MySQL does not convert the values of a list if all are of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Exact,
    Float,
    Text,
    Other,
}

impl Class {
    /// The class of a value; none of NULL, which goes with any.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Decimal(text) if text.contains(['e', 'E']) => Self::Float,
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Decimal(_) => Self::Exact,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            _ => Self::Other,
        })
    }
}

impl Peers {
    fn are_alike(&self, values: &[Value<'_>]) -> bool {
        let mut class = self.class;
        self.parameters.iter().all(|at| match values.get(*at).map(Class::of) {
            None => false,
            Some(None) => true,
            Some(Some(other)) => *class.get_or_insert(other) == other,
        })
    }
}

/// What NULL as a value means in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullMeans {
    /// `=`: no row at all.
    Nothing,
    /// A null-safe comparison: the rows where the column is NULL.
    IsNull,
    /// The comparison does not narrow anything.
    Unknown,
}

/// One of the values that a field may have.
#[derive(Debug, Clone)]
pub(crate) enum Slot {
    /// A constant of the text: its canonical form.
    Plain(Box<[u8]>),
    /// NULL.
    Null,
    /// A parameter, from 0.
    Parameter(usize, Cast),
    /// The elements of a parameter that is an array.
    Elements(usize, Cast),
    /// No value: the factor holds for all rows or for none, depending on this parameter.
    Guard(usize, Guard),
}

/// A condition on a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guard {
    Null,
    NotNull,
    /// True or false. NULL is neither.
    Is(bool),
}

impl Guard {
    /// Whether a parameter satisfies it. `None` if that is not known.
    fn holds(self, value: Option<&Value<'_>>) -> Option<bool> {
        match (self, value?) {
            (Self::Null, value) => Some(matches!(value, Value::Null)),
            (Self::NotNull, value) => Some(!matches!(value, Value::Null)),
            (Self::Is(wanted), Value::Bool(value)) => Some(*value == wanted),
            (Self::Is(_), Value::Null) => Some(false),
            (Self::Is(_), _) => None,
        }
    }
}

impl Slot {
    fn is_float(&self, values: &[Value<'_>]) -> bool {
        let (Self::Parameter(at, _) | Self::Elements(at, _)) = self else { return false };
        match values.get(*at) {
            Some(Value::Float(_)) => true,
            Some(Value::Array(elements)) => {
                elements.iter().any(|element| matches!(element, Value::Float(_)))
            }
            _ => false,
        }
    }
}

/// A conversion that does not change the canonical form, at least of some values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    None,
    Int,
    Unsigned,
    Text,
    Uuid,
    Bool,
    Date,
    /// A type of the user's: an enum, a domain.
    Custom,
    /// LOWER. The canonical form has no case.
    Lower,
    /// UPPER, which makes two letters of a few.
    Upper,
}

/// The result of filling a factor with values.
pub(crate) enum Filled {
    /// At least one alternative; `None` is NULL. Ends of the values in the buffer.
    Values,
    /// No value satisfies it.
    Impossible,
    /// Nothing can be said.
    Unknown,
}

/// The alternatives of one factor: ranges of a buffer.
pub(crate) type Alternatives = SmallVec<[Option<(u32, u32)>; 4]>;

impl Factor {
    /// A factor that depends on a parameter and not on the row. Its column is a name that no column has.
    pub(crate) fn guard(at: usize, guard: Guard, place: Place) -> Self {
        Self {
            column: format!("\0{at} {guard:?}"),
            field: Box::default(),
            slots: smallvec![Slot::Guard(at, guard)],
            place,
            null: NullMeans::Unknown,
            propagated: false,
            generated: false,
            inserted: false,
            peers: None,
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        const ALLOCATION: usize = 16;
        let texts = self.slots.iter().map(|slot| match slot {
            Slot::Plain(text) => text.len() + ALLOCATION,
            _ => 0,
        });
        let spilled =
            if self.slots.spilled() { self.slots.capacity() * size_of::<Slot>() } else { 0 };
        let peers = self.peers.as_ref().map_or(0, |peers| {
            (size_of::<Peers>() + 8 * peers.parameters.capacity()) / Arc::strong_count(peers)
        });
        let names = self.column.capacity() + self.field.len() + 2 * ALLOCATION;
        size_of::<Self>() + 2 * ALLOCATION + names + spilled + texts.sum::<usize>() + peers
    }

    /// Whether it may have more than one alternative.
    pub(crate) fn may_have_several(&self) -> bool {
        !matches!(
            self.slots.as_slice(),
            [Slot::Plain(_) | Slot::Null | Slot::Parameter(..) | Slot::Guard(..)]
        )
    }

    /// Whether both read the same values in the same way, so that their alternatives can be joined.
    pub(crate) fn reads_alike(&self, other: &Self) -> bool {
        self.place == other.place
            && self.null == other.null
            && self.propagated == other.propagated
            && self.generated == other.generated
            && self.inserted == other.inserted
            && self.peers.is_none()
            && other.peers.is_none()
    }

    /// Appends the values to `out` and their ranges to `alternatives`.
    pub(crate) fn fill(
        &self,
        values: &[Value<'_>],
        out: &mut Vec<u8>,
        alternatives: &mut Alternatives,
    ) -> Filled {
        if self.peers.as_ref().is_some_and(|peers| !peers.are_alike(values)) {
            return Filled::Unknown;
        }
        if self.slots.len() > 1
            && self.place.dialect == Dialect::Postgres
            && self.slots.iter().any(|slot| slot.is_float(values))
        {
            // PostgreSQL converts the whole list to floats.
            return Filled::Unknown;
        }
        for slot in &self.slots {
            match slot {
                Slot::Guard(at, guard) => {
                    return match guard.holds(values.get(*at)) {
                        Some(false) => Filled::Impossible,
                        Some(true) | None => Filled::Unknown,
                    };
                }
                Slot::Plain(bytes) => {
                    let start = out.len();
                    out.extend_from_slice(bytes);
                    alternatives.push(Some((start as u32, out.len() as u32)));
                }
                Slot::Null => alternatives.push(None),
                Slot::Parameter(at, cast) => {
                    let Some(value) = values.get(*at) else { return Filled::Unknown };
                    if !self.put(value, *cast, out, alternatives) {
                        return Filled::Unknown;
                    }
                }
                Slot::Elements(at, cast) => {
                    let Some(Value::Array(elements)) = values.get(*at) else {
                        return Filled::Unknown;
                    };
                    for element in elements {
                        if !self.put(element, *cast, out, alternatives) {
                            return Filled::Unknown;
                        }
                    }
                }
            }
        }
        if alternatives.is_empty() { Filled::Impossible } else { Filled::Values }
    }

    fn put(
        &self,
        value: &Value<'_>,
        cast: Cast,
        out: &mut Vec<u8>,
        alternatives: &mut Alternatives,
    ) -> bool {
        if self.propagated && !self.passes(value) {
            return false;
        }
        let start = out.len();
        match cast.apply(value, self.place, out) {
            Canon::Plain
                if self.inserted
                    && self.place.dialect == Dialect::MySql
                    && &out[start..] == b"0" =>
            {
                false
            }
            Canon::Plain => {
                alternatives.push(Some((start as u32, out.len() as u32)));
                true
            }
            Canon::Opaque => false,
            Canon::Null => match self.null {
                NullMeans::Nothing => true,
                NullMeans::IsNull => {
                    alternatives.push(None);
                    true
                }
                NullMeans::Unknown => false,
            },
        }
    }
}

impl Factor {
    /// Whether everything that equals the value in one column also equals it in another.
    fn passes(&self, value: &Value<'_>) -> bool {
        // A column of floats between the two equals several integers of that size.
        let exact = |value: u64| self.place.kind == ColumnKind::Int || value < 1 << 53;
        match value {
            Value::Null | Value::Uuid(_) => true,
            Value::Int(value) => exact(value.unsigned_abs()),
            Value::UInt(value) => exact(*value),
            _ => false,
        }
    }
}

impl Cast {
    /// Appends the canonical form of the value after the conversion.
    pub(crate) fn apply(self, value: &Value<'_>, place: Place, out: &mut Vec<u8>) -> Canon {
        use crate::ColumnKind::{BinaryText, Text, Uuid};
        if matches!(value, Value::Null) {
            return Canon::Null;
        }
        let kept = match (self, value) {
            (Self::None, _) => true,
            (Self::Int, Value::Int(_) | Value::Bool(_)) => true,
            (Self::Unsigned, Value::Int(value)) => *value >= 0,
            (Self::Unsigned, Value::Bool(_)) => true,
            (Self::Int | Self::Unsigned, Value::Text(text) | Value::Decimal(text)) => {
                let integer = integer_of(text);
                return match integer {
                    Some(value) if self == Self::Int || value >= 0 => {
                        canonical(&Value::Int(value), place, out)
                    }
                    _ => Canon::Opaque,
                };
            }
            // MariaDB rounds such a text where it is compared with a number.
            (Self::Text, _) if place.dialect == Dialect::MySql && place.is_number() => false,
            (Self::Text, Value::Text(_) | Value::Int(_) | Value::UInt(_) | Value::Bool(_)) => true,
            // Elsewhere it may be bound as bytes.
            (Self::Text, Value::Uuid(_)) => place.dialect == Dialect::Postgres,
            (Self::Uuid, Value::Uuid(_)) => true,
            (Self::Uuid, Value::Text(text)) => crate::canon::is_uuid(text),
            (Self::Bool, Value::Bool(_) | Value::Int(0 | 1)) => true,
            (Self::Bool, Value::Text(text)) => crate::canon::is_truth(text),
            (Self::Date, Value::Date(_)) => true,
            (Self::Date, Value::Text(text)) => {
                return crate::canon::as_date(text)
                    .map_or(Canon::Opaque, |date| canonical(&Value::Date(date), place, out));
            }
            (Self::Lower, Value::Text(_)) => true,
            // With ICU `ß` becomes `SS`. No other letter becomes one of ASCII that has another folded form.
            (Self::Upper, Value::Text(text)) => {
                text.is_ascii() && !text.to_ascii_lowercase().contains("ss")
            }
            (Self::Custom, Value::Text(_) | Value::Uuid(_)) => {
                place.side == Side::Query || matches!(place.kind, Text | BinaryText | Uuid)
            }
            _ => false,
        };
        if kept { canonical(value, place, out) } else { Canon::Opaque }
    }
}

/// A conjunction: its factors by field, each field once.
pub(crate) type Conjunction = SmallVec<[Arc<Factor>; 4]>;
