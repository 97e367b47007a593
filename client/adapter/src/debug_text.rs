//! Comparison of two values by their `Debug` texts, for models, which need not implement `PartialEq`.

use std::fmt::{Debug, Write};

/// Two texts that are written anew for each pair of values.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    one: String,
    other: String,
}

impl Comparison {
    /// Whether the texts of two values are the same, up to the order of the entries of maps and sets: a hash map has
    /// none.
    pub(crate) fn same<T: Debug>(&mut self, one: &T, other: &T) -> bool {
        self.one.clear();
        self.other.clear();
        let written = write!(self.one, "{one:?}").and_then(|()| write!(self.other, "{other:?}"));
        written.is_ok() && same_text(&self.one, &self.other)
    }
}

fn same_text(one: &str, other: &str) -> bool {
    one == other
        || one.len() == other.len()
            && one.contains('{')
            && sorted(one).is_some_and(|one| sorted(other).is_some_and(|other| one == other))
}

/// The text with the entries between each pair of braces in their order as texts. None if the brackets do not match.
fn sorted(text: &str) -> Option<String> {
    let mut groups = vec![Group { bracket: None, entries: Vec::new(), entry: String::new() }];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let group = groups.last_mut()?;
        match letter {
            '"' => {
                group.entry.push(letter);
                literal(&mut letters, &mut group.entry)?;
            }
            // A bracket as a `char` is no bracket.
            '\'' => {
                group.entry.push(letter);
                let rest = letters.as_str();
                let quoted = rest.find('\'').filter(|end| (1..=2).contains(end));
                let head = quoted.map_or("", |end| &rest[..=end]);
                group.entry.push_str(head);
                letters = rest[head.len()..].chars();
            }
            '{' | '[' | '(' => {
                groups.push(Group {
                    bracket: Some(letter),
                    entries: Vec::new(),
                    entry: String::new(),
                });
            }
            '}' | ']' | ')' => {
                let group = groups.pop()?;
                let text = group.close(letter)?;
                groups.last_mut()?.entry.push_str(&text);
            }
            ',' => {
                let entry = std::mem::take(&mut group.entry);
                group.entries.push(entry);
            }
            _ => group.entry.push(letter),
        }
    }
    let group = groups.pop()?;
    if groups.is_empty() { Some(group.joined()) } else { None }
}

/// Copies a string literal up to its closing quote.
fn literal(letters: &mut std::str::Chars<'_>, out: &mut String) -> Option<()> {
    loop {
        let letter = letters.next()?;
        out.push(letter);
        match letter {
            '"' => return Some(()),
            '\\' => out.push(letters.next()?),
            _ => {}
        }
    }
}

/// What stands between two brackets, split at its commas.
struct Group {
    bracket: Option<char>,
    entries: Vec<String>,
    entry: String,
}

impl Group {
    /// The text with its brackets, if this is the one that closes it.
    fn close(mut self, bracket: char) -> Option<String> {
        let opening = match bracket {
            '}' => '{',
            ']' => '[',
            _ => '(',
        };
        if self.bracket != Some(opening) {
            return None;
        }
        if opening == '{' {
            self.entries.push(std::mem::take(&mut self.entry));
            for entry in &mut self.entries {
                // The first entry of a map has no blank before it.
                *entry = entry.trim().to_owned();
            }
            self.entries.sort_unstable();
            self.entry = self.entries.pop().unwrap_or_default();
        }
        Some(format!("{opening}{}{bracket}", self.joined()))
    }

    fn joined(mut self) -> String {
        self.entries.push(self.entry);
        self.entries.join(",")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn only_the_entries_of_maps_and_sets_may_be_in_another_order() {
        for (one, other, same) in [
            ("2026-01-02", "2026-02-01", false),
            ("Day(2026-01-02)", "Day(2026-02-01)", false),
            ("[1, 2]", "[2, 1]", false),
            ("(1, 2)", "(2, 1)", false),
            (r#""{1, 2}""#, r#""{2, 1}""#, false),
            (r#""a\"{1, 2}""#, r#""a\"{2, 1}""#, false),
            ("{1, 2}", "{2, 1}", true),
            ("{1, 12}", "{2, 11}", false),
            (
                r#"M { id: 1, tags: {"a": 1, "b": 2} }"#,
                r#"M { id: 1, tags: {"b": 2, "a": 1} }"#,
                true,
            ),
            (
                r#"M { id: 1, tags: {"a": 1, "b": 2} }"#,
                r#"M { id: 2, tags: {"a": 1, "b": 1} }"#,
                false,
            ),
            (r#"{"a": 1, "b": 2}"#, r#"{"a": 2, "b": 1}"#, false),
            (r#"{"a": {1, 2}, "b": {3, 4}}"#, r#"{"b": {4, 3}, "a": {2, 1}}"#, true),
            (r#"{"a": [1, 2], "b": [3, 4]}"#, r#"{"b": [3, 4], "a": [2, 1]}"#, false),
            ("{'{': 1, '\\'': 2}", "{'\\'': 2, '{': 1}", true),
            ("['{', 1, 2, '}']", "['{', 2, 1, '}']", false),
            // Of types that write no brackets in pairs, nothing is known.
            ("{1, 2", "{2, 1", false),
            ("{1, 2]", "{2, 1]", false),
            ("a } {1, 2}", "a } {2, 1}", false),
        ] {
            assert_eq!(same_text(one, other), same, "{one} and {other}");
            assert_eq!(same_text(other, one), same, "{other} and {one}");
            assert!(same_text(one, one), "{one}");
        }
    }

    #[test]
    fn maps_and_sets_that_were_filled_in_another_order_are_the_same() {
        let mut comparison = Comparison::default();
        let numbers = || (0..50).map(|number| (format!("{number}, {{"), number % 7));
        let one: HashMap<_, _> = numbers().collect();
        let other: HashMap<_, _> = numbers().rev().collect();
        assert!(comparison.same(&one, &other));
        let sets = |map: &HashMap<String, i32>| map.keys().cloned().collect::<HashSet<_>>();
        assert!(comparison.same(&sets(&one), &sets(&other)));

        let mut changed = other.clone();
        changed.insert("7, {".to_owned(), 1);
        assert!(!comparison.same(&one, &changed));
    }
}
