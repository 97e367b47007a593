//! Deliberate mistakes, so that the differential test can show that it detects such.

/// A mistake that an analyser might make. None is made unless the feature `fault-injection` is on.
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
