//! The form of texts, and of what the databases also read from a text: numbers, truth values, UUIDs, dates.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::Date;

/// The text without blanks around it, in lower case and without accents, compatibility forms and invisible characters:
/// what the usual collations compare.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    let trimmed = trim(text);
    let (mut upper, mut other) = (false, false);
    for byte in trimmed.bytes() {
        upper |= byte.is_ascii_uppercase();
        other |= !byte.is_ascii() || byte.is_ascii_control();
    }
    if !other {
        return if upper { trimmed.to_ascii_lowercase().into() } else { trimmed.into() };
    }
    if trimmed.is_ascii() {
        let folded: String = trimmed.chars().filter(|&c| !is_ignored(c)).collect();
        return Cow::Owned(trim(&folded).to_ascii_lowercase());
    }
    let folded: String = trimmed
        .nfkd()
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|&c| !is_mark(c) && !is_ignored(c))
        .map(|c| match c {
            'ς' => 'σ',
            'ı' => 'i',
            other => other,
        })
        .collect();
    Cow::Owned(folded.trim().to_owned())
}

/// Accents and other marks. Letters above other letters are letters to a collation.
fn is_mark(c: char) -> bool {
    let letter = matches!(c, '\u{363}'..='\u{36f}' | '\u{1dca}' | '\u{1dd3}'..='\u{1df4}');
    is_combining_mark(c) && !letter
}

/// Without blanks at its ends, the vertical tab among them: to a database it may stand before a number.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

/// Characters without any weight in a collation.
fn is_ignored(c: char) -> bool {
    match c {
        '\t'..='\r' => false,
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => true,
        _ => c.is_control(),
    }
}

/// Whether it has one of `äöüőűå`, which some collations do not take for the letters below the marks.
pub(crate) fn is_tailored(text: &str) -> bool {
    if text.is_ascii() {
        return false;
    }
    let mut before = ' ';
    text.nfkd().any(|c| {
        let base = std::mem::replace(&mut before, c);
        matches!(c, '\u{308}' | '\u{30a}' | '\u{30b}') && "aouAOU".contains(base)
    })
}

/// `1` or `0`, if the text is a word for a truth value.
pub(crate) fn truth(text: &str) -> Option<u8> {
    match text {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" => Some(b'1'),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" => Some(b'0'),
        _ => None,
    }
}

/// The 32 digits of a UUID, however hyphens and braces are set.
pub(crate) fn uuid(text: &[u8]) -> Option<[u8; 32]> {
    let text = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    if !(32..=40).contains(&text.len()) {
        return None;
    }
    let mut hex = [0; 32];
    let mut at = 0;
    for &byte in text {
        if byte == b'-' {
            continue;
        }
        if !byte.is_ascii_hexdigit() {
            return None;
        }
        *hex.get_mut(at)? = byte.to_ascii_lowercase();
        at += 1;
    }
    (at == hex.len()).then_some(hex)
}

pub(crate) fn hex(bytes: &[u8; 16]) -> [u8; 32] {
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&hex_byte(*byte));
    }
    hex
}

pub(crate) fn hex_byte(byte: u8) -> [u8; 2] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// Reads `YYYY-MM-DD`, and nothing else.
pub(crate) fn date(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0_i32, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i32::from(**digit - b'0'))
        })
    };
    Some(Date {
        year: number(&[y1, y2, y3, y4])?,
        month: number(&[m1, m2])? as u8,
        day: number(&[d1, d2])? as u8,
    })
}

/// Appends `YYYY-MM-DD`, if that is what the date is.
pub(crate) fn write_date(date: Date, out: &mut Vec<u8>) -> bool {
    if !(1..=9999).contains(&date.year)
        || !(1..=12).contains(&date.month)
        || !(1..=31).contains(&date.day)
    {
        return false;
    }
    let digit = |number: i32| b'0' + (number % 10) as u8;
    let (year, month, day) = (date.year, i32::from(date.month), i32::from(date.day));
    out.extend([digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), b'-']);
    out.extend([digit(month / 10), digit(month), b'-', digit(day / 10), digit(day)]);
    true
}

/// Whether it may be an integer in one of PostgreSQL's other spellings: `0x1F`, `1_000`.
pub(crate) fn is_odd_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    text.first().is_some_and(u8::is_ascii_digit)
        && text[1..].iter().all(|byte| byte.is_ascii_hexdigit() || b"_xXoO.".contains(byte))
        && text.iter().any(|byte| b"_xXoObB".contains(byte))
}

/// Whether PostgreSQL may read the literal as a number, date or amount that has another form.
pub(crate) fn is_odd(text: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec", b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun",
    ];
    const SHORT: &[&[u8]] =
        &[b"t", b"z", b"j", b"y", b"m", b"d", b"ad", b"bc", b"am", b"pm", b"utc", b"gmt"];
    if let Some(number) = super::number::parse(text) {
        // A float of four bytes keeps seven digits; 240105 and 2024.005 are days.
        let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
        let day = matches!(text, [_, _, _, _, b'.', _, _, _]) || text.len() == 6;
        let plain = number.write(&mut Vec::new()).is_some_and(|shape| shape.digits <= 7);
        return !plain || day && digits >= 6 && text[0].is_ascii_digit();
    }
    if uuid(text).is_some() || date(text).is_some() {
        return false;
    }
    let mut words = text.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let dated = |word: &[u8]| {
        SHORT.contains(&word) || word.len() >= 3 && WORDS.contains(&&word[..3]) && word.len() <= 9
    };
    text == b"epoch" || text.iter().any(u8::is_ascii_digit) && words.all(dated)
}

/// Whether MySQL reads more than zero out of the text where a number is needed.
pub(crate) fn begins_with_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    match text {
        [first, ..] if first.is_ascii_digit() => true,
        [b'.', second, ..] => second.is_ascii_digit(),
        _ => false,
    }
}
