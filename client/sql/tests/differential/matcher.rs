//! The rule by which the server invalidates: a field that a row does not have matches anything.

use cacheops_condition::Condition;

/// A condition, taken apart: per conjunction its terms.
pub type Terms = Vec<Vec<(Vec<u8>, Option<Vec<u8>>)>>;

pub fn parse(text: &[u8]) -> Terms {
    let condition = Condition::parse(text)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(text)));
    condition
        .iter()
        .map(|conjunction| {
            conjunction
                .terms()
                .map(|(field, value)| (field.to_vec(), value.map(<[u8]>::to_vec)))
                .collect()
        })
        .collect()
}

/// Whether any conjunction of the query matches any row.
pub fn matches(query: &Terms, rows: &Terms) -> bool {
    query.iter().any(|conjunction| {
        rows.iter().any(|row| {
            conjunction.iter().all(|(field, value)| {
                row.iter().find(|(name, _)| name == field).is_none_or(|(_, known)| known == value)
            })
        })
    })
}
