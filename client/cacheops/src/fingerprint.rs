//! Hashes of names, and how deep a value may be that is looked at through serde.

/// How deep a value may be nested. Each level takes some stack, in the code of the application too, and a thread that is
/// out of it ends the process.
pub(crate) const MAX_DEPTH: u16 = 128;

pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
pub(crate) const FNV_PRIME: u64 = 0x0100_0000_01b3;

pub(crate) fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

pub(crate) const TOO_DEEP: &str = "the value is nested too deeply";
