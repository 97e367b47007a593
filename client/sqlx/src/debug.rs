//! The bound values of a statement. sqlx does not show them, but by `Debug`: that text is parsed, strictly. A text that is
//! not of the expected form gives no values, and the statement is then treated as one whose values are not known.

use std::fmt::{self, Debug, Write};

/// Longer texts are not made.
const MAX_BYTES: usize = 1 << 20;

/// The `Debug` text of some arguments. None if it is too long.
pub(crate) fn text_of(arguments: &impl Debug) -> Option<String> {
    let mut text = Bounded(String::new());
    write!(text, "{arguments:?}").ok()?;
    Some(text.0)
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > MAX_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}

/// The rest of a `Debug` text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Skips exactly this text.
    pub(crate) fn expect(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    pub(crate) fn skip(&mut self, text: &str) -> bool {
        self.expect(text).is_some()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Letters, digits and underscores.
    pub(crate) fn word(&mut self) -> Option<&'t str> {
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        self.split(end.unwrap_or(self.0.len()))
    }

    /// A number with sign, fraction and exponent, `inf` and `NaN`.
    pub(crate) fn number(&mut self) -> Option<&'t str> {
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
        self.split(end.unwrap_or(self.0.len()))
    }

    fn split(&mut self, at: usize) -> Option<&'t str> {
        let (head, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        (!head.is_empty()).then_some(head)
    }

    /// The items of a list in brackets.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.expect("[")?;
        while !self.skip("]") {
            if !items.is_empty() {
                self.expect(", ")?;
            }
            items.push(item(self)?);
        }
        Some(items)
    }

    /// A list of bytes.
    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        self.list(|cursor| cursor.number()?.parse().ok())
    }

    /// A string literal, without its escapes.
    pub(crate) fn string(&mut self) -> Option<String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut letters = self.0.chars();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => text.push(match letters.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '0' => '\0',
                    'u' => {
                        let rest = letters.as_str().strip_prefix('{')?;
                        let (code, rest) = rest.split_once('}')?;
                        letters = rest.chars();
                        char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                    }
                    letter @ ('\\' | '"' | '\'') => letter,
                    _ => return None,
                }),
                letter => text.push(letter),
            }
        }
        self.0 = letters.as_str();
        Some(text)
    }

    /// Skips a value of any form up to the comma or bracket that ends it, and returns its text.
    pub(crate) fn any(&mut self) -> Option<&'t str> {
        let (start, mut depth) = (self.0, 0_usize);
        while let Some(letter) = self.0.chars().next() {
            match letter {
                '"' => {
                    self.string()?;
                    continue;
                }
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' | ',' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            self.0 = &self.0[letter.len_utf8()..];
        }
        let text = &start[..start.len() - self.0.len()];
        (depth == 0 && !text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_were() {
        for text in ["", "a\"b\\c'd", "\n\r\t\0\u{1}\u{7f}\u{301}é🦀", "\u{202e}]), \"x\": {"] {
            let literal = format!("{text:?}, rest");
            let mut cursor = Cursor::new(&literal);
            assert_eq!(cursor.string().as_deref(), Some(text));
            assert!(cursor.skip(", rest") && cursor.is_at_end());
        }
    }

    #[test]
    fn lists_and_values_of_any_form_are_found_in_their_place() {
        let debug = format!("{:?}", (vec![0_u8, 255], vec![("a,]", Some([1])), ("}", None)], 1.5));
        let mut cursor = Cursor::new(&debug);
        cursor.expect("(").unwrap();
        assert_eq!(cursor.bytes(), Some(vec![0, 255]));
        cursor.expect(", ").unwrap();
        let items = cursor.list(|cursor| cursor.any().map(str::to_owned)).unwrap();
        assert_eq!(items, [r#"("a,]", Some([1]))"#, r#"("}", None)"#]);
        cursor.expect(", ").unwrap();
        assert_eq!(cursor.number(), Some("1.5"));
        assert_eq!(cursor.any(), None);

        for broken in ["[1, 2", "[1 2]", "[256]", "[", "1]"] {
            assert_eq!(Cursor::new(broken).bytes(), None, "{broken}");
        }
        for broken in ["\"a", "\"\\", "\"\\x\"", "a\""] {
            assert_eq!(Cursor::new(broken).string(), None, "{broken}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_not_made() {
        assert!(text_of(&vec![0_u8; MAX_BYTES]).is_none());
        assert_eq!(text_of(&[1]).as_deref(), Some("[1]"));
    }
}
