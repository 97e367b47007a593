//! Deliberate mistakes, so that the differential test can show that it sees such.

use crate::condition::dnf::Dnf;

/// A mistake that an analyser might make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Mutation {
    /// The ON of an outer join narrows the side that is kept, too.
    OuterJoin,
    /// The constants in the ON of an outer join count for all rows, as those of WHERE do.
    OuterConstant,
    /// One conjunction of a read is forgotten.
    LostConjunction,
    /// A write sends only the old image.
    LostImage,
    /// In a write that several tables decide on, what binds one of them counts for the target.
    OtherTable,
}

impl Mutation {
    pub(crate) fn spoil(self, mut dnf: Dnf) -> Dnf {
        if self == Self::LostConjunction && dnf.0.len() > 1 {
            dnf.0.pop();
        }
        dnf
    }

    pub(crate) fn spoil_write(self, mut dnf: Dnf) -> Dnf {
        if self == Self::LostImage && dnf.0.len() > 1 {
            dnf.0.pop();
        }
        dnf
    }
}
