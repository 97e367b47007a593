//! Writing: the one canonical text of a conjunction.

use crate::Term;
use crate::parse::{FIELD_RESERVED, VALUE_RESERVED, class};

/// Appends the canonical text of a conjunction; no term at all is `*`.
pub fn write_conjunction<'t>(out: &mut Vec<u8>, terms: impl IntoIterator<Item = Term<'t>>) {
    let start = out.len();
    for (field, value) in terms {
        if out.len() > start {
            out.push(b'&');
        }
        write_field(out, field);
        if let Some(value) = value {
            out.push(b'=');
            write_value(out, value);
        }
    }
    if out.len() == start {
        out.push(b'*');
    }
}

/// Appends a field name, escaped. A field that is just `*` is escaped too, since alone it would mean "any row".
pub fn write_field(out: &mut Vec<u8>, field: &[u8]) {
    for (at, &byte) in field.iter().enumerate() {
        let leading = at == 0 && (matches!(byte, b'@' | b'$') || field == b"*");
        if leading || class(byte) & FIELD_RESERVED != 0 {
            write_escape(out, byte);
        } else {
            out.push(byte);
        }
    }
}

/// Appends a value, escaped.
pub fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        if class(byte) & VALUE_RESERVED != 0 {
            write_escape(out, byte);
        } else {
            out.push(byte);
        }
    }
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}
