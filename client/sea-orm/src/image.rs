//! Images of rows in the grammar of conditions: what is known of a row, merged from several sources. Pure.

use std::collections::BTreeMap;

/// Fields as they are written (escaped), and their values; none is NULL. A field that is absent is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Image {
    /// The images that a condition lists.
    pub(crate) fn parse_all(condition: &[u8]) -> Vec<Self> {
        condition.split(|&byte| byte == b'|').map(Self::parse).collect()
    }

    /// The image of one conjunction.
    pub(crate) fn parse(conjunction: &[u8]) -> Self {
        if conjunction == b"*" {
            return Self::default();
        }
        let term = |term: &[u8]| match term.iter().position(|&byte| byte == b'=') {
            Some(at) => (term[..at].to_vec(), Some(term[at + 1..].to_vec())),
            None => (term.to_vec(), None),
        };
        Self(conjunction.split(|&byte| byte == b'&').map(term).collect())
    }

    /// What both tell; where they differ, this one is right.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let mut image = other.clone();
        image.0.extend(self.0.iter().map(|(field, value)| (field.clone(), value.clone())));
        image
    }

    /// The value of a field: unknown, or NULL, or known.
    pub(crate) fn get(&self, field: &str) -> Option<&Option<Vec<u8>>> {
        self.0.get(&escape(field))
    }

    /// With one more field.
    pub(crate) fn with(mut self, field: &str, value: Option<Vec<u8>>) -> Self {
        self.0.insert(escape(field), value);
        self
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return b"*".to_vec();
        }
        let mut text = Vec::with_capacity(24 * self.0.len());
        for (field, value) in &self.0 {
            if !text.is_empty() {
                text.push(b'&');
            }
            text.extend_from_slice(field);
            if let Some(value) = value {
                text.push(b'=');
                text.extend_from_slice(value);
            }
        }
        text
    }
}

/// A name as conditions write it.
fn escape(name: &str) -> Vec<u8> {
    cacheops::Row::new().null(name).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_row_is_merged_and_written_as_it_was_read() {
        let conditions = b"id=7&tag=2|deleted_at&title=R%26D|*";
        let images = Image::parse_all(conditions);

        let texts: Vec<_> = images.iter().map(Image::to_bytes).collect();
        assert_eq!(texts.join(&b'|'), conditions);
        assert_eq!(
            images[0].or(&Image::parse(b"tag=9&lang=en&a")).to_bytes(),
            b"a&id=7&lang=en&tag=2"
        );
        assert_eq!(images[1].get("deleted_at"), Some(&None));
    }
}
