//! Conditions as an entry carries them through RDB files, DUMP and COPY.
//!
//! ```text
//! ( length of table 4 | table | length of condition 4 | condition text ) ...        lengths in little endian
//! ```

use cacheops_condition::Condition;

use crate::args::{Dependencies, Limits};

/// Bytes that no server with this module has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedEntry;

/// Appends tables and the text of their conditions.
pub fn write_conditions<'c>(
    out: &mut Vec<u8>,
    conditions: impl IntoIterator<Item = (&'c [u8], &'c [u8])>,
) {
    for (table, text) in conditions {
        for part in [table, text] {
            out.extend_from_slice(&(part.len() as u32).to_le_bytes());
            out.extend_from_slice(part);
        }
    }
}

/// Reads what [`write_conditions`] wrote.
///
/// # Errors
///
/// [`DamagedEntry`] unless there is at least one table, and every condition is well formed and within the stream's limits.
pub fn read_conditions(mut bytes: &[u8]) -> Result<Dependencies<'_>, DamagedEntry> {
    let mut dependencies = Dependencies::new();
    let mut conjunctions = 0;
    while !bytes.is_empty() {
        let table = take(&mut bytes)?;
        let condition = Condition::parse(take(&mut bytes)?).map_err(|_| DamagedEntry)?;
        conjunctions += condition.conjunctions();
        if table.is_empty() || conjunctions > Limits::STREAM.conjunctions {
            return Err(DamagedEntry);
        }
        dependencies.push((table, condition));
    }
    if dependencies.is_empty() { Err(DamagedEntry) } else { Ok(dependencies) }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DamagedEntry> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(DamagedEntry)?;
    let (part, rest) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(DamagedEntry)?;
    *bytes = rest;
    Ok(part)
}
