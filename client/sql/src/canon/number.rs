//! The form of numbers: sign and digits without an exponent, and without zeros that do not change the value.

use smallvec::SmallVec;

/// The parts of a decimal number in text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'t> {
    negative: bool,
    whole: &'t [u8],
    fraction: &'t [u8],
    exponent: i32,
    /// Nothing but digits behind the sign.
    pub(crate) plain: bool,
}

/// What a written number looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// From the first digit that is not zero to the last; 0 for zero.
    pub(crate) digits: usize,
    pub(crate) integral: bool,
}

/// Exponents beyond it have no form: the zeros would have to be written.
const MAX_EXPONENT: i32 = 40;

/// Reads `[+-] digits [. digits] [e [+-] digits]`, the whole text.
pub(crate) fn parse(text: &[u8]) -> Option<Number<'_>> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (whole, text) = digits(text);
    let plain = text.is_empty();
    let (fraction, text) = match text {
        [b'.', rest @ ..] => digits(rest),
        _ => (&[][..], text),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match text {
        [] => 0,
        [b'e' | b'E', rest @ ..] => {
            let (negative, rest) = match rest {
                [b'-', rest @ ..] => (true, rest),
                [b'+', rest @ ..] => (false, rest),
                _ => (false, rest),
            };
            let (exponent, []) = digits(rest) else { return None };
            if exponent.is_empty() {
                return None;
            }
            let size = exponent.iter().fold(0_i32, |size, digit| {
                size.saturating_mul(10).saturating_add(i32::from(digit - b'0'))
            });
            if negative { -size } else { size }
        }
        _ => return None,
    };
    Some(Number { negative, whole, fraction, exponent, plain })
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

impl Number<'_> {
    /// Appends the canonical form, unless its exponent is out of bounds.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Option<Shape> {
        let mut digits: SmallVec<[u8; 64]> = SmallVec::from_slice(self.whole);
        digits.extend_from_slice(self.fraction);
        let leading = digits.iter().take_while(|&&digit| digit == b'0').count();
        if leading == digits.len() {
            out.push(b'0');
            return Some(Shape { digits: 0, integral: true });
        }
        if self.exponent.abs() > MAX_EXPONENT {
            return None;
        }
        // Digits before the point; negative if zeros follow it.
        let point = self.whole.len() as i64 + i64::from(self.exponent) - leading as i64;
        let end = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
        let digits = &digits[leading..end];
        if self.negative {
            out.push(b'-');
        }
        let whole = usize::try_from(point).unwrap_or(0);
        if whole == 0 {
            out.push(b'0');
        }
        out.extend(&digits[..whole.min(digits.len())]);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(digits.len())));
        let integral = digits.len() <= whole;
        if !integral {
            out.push(b'.');
            out.extend(std::iter::repeat_n(b'0', usize::try_from(-point).unwrap_or(0)));
            out.extend(&digits[whole..]);
        }
        Some(Shape { digits: if integral { whole } else { digits.len() }, integral })
    }
}

/// Appends an integer.
pub(crate) fn write_integer(value: i128, out: &mut Vec<u8>) {
    let mut digits = [0; 40];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    if let Ok(mut small) = u64::try_from(rest) {
        loop {
            at -= 1;
            digits[at] = b'0' + (small % 10) as u8;
            small /= 10;
            if small == 0 {
                break;
            }
        }
    } else {
        while rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend(&digits[at..]);
}
