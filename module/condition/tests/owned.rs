//! Conjunctions that own their terms, compared with a map of fields.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use cacheops_condition::{Condition, OwnedConjunction};
use proptest::prelude::*;

type Map = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
type Terms = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn owned(terms: &Terms) -> OwnedConjunction {
    terms.iter().map(|(field, value)| (field.as_slice(), value.as_deref())).collect()
}

fn map(conjunction: &OwnedConjunction) -> Map {
    let owned =
        |(field, value): (&[u8], Option<&[u8]>)| (field.to_vec(), value.map(<[u8]>::to_vec));
    conjunction.terms().map(owned).collect()
}

fn hash(conjunction: &OwnedConjunction) -> u64 {
    let mut hasher = DefaultHasher::new();
    conjunction.hash(&mut hasher);
    hasher.finish()
}

/// Few fields, so that they meet, and bytes that the grammar reserves.
fn terms() -> impl Strategy<Value = Terms> {
    let bytes = || prop::collection::vec(prop::sample::select(b"ab%&|=*@<\xff".to_vec()), 0..4);
    let field = prop::collection::vec(prop::sample::select(b"ab%&=*@".to_vec()), 1..3);
    prop::collection::vec((field, prop::option::of(bytes())), 0..8)
}

proptest! {
    #[test]
    fn is_a_map_of_fields_whose_last_value_counts(terms in terms()) {
        let conjunction = owned(&terms);
        let expected: Map = terms.iter().cloned().collect();

        prop_assert_eq!(map(&conjunction), expected.clone());
        prop_assert_eq!(conjunction.len(), expected.len());
        prop_assert!(conjunction.terms().map(|(field, _)| field).is_sorted());
        for (field, value) in &expected {
            prop_assert_eq!(conjunction.get(field), Some(value.as_deref()));
        }
        prop_assert_eq!(conjunction.get(b"unknown"), None);
    }

    #[test]
    fn its_text_is_parsed_to_the_same_terms(terms in terms()) {
        let conjunction = owned(&terms);
        let text = conjunction.to_text();

        prop_assert_eq!(OwnedConjunction::parse_all(&text).unwrap(), vec![conjunction.clone()]);
        let parsed = Condition::parse(&text).unwrap();
        prop_assert_eq!(parsed.iter().next().unwrap().to_text(), text);
    }

    #[test]
    fn equality_order_and_hash_are_those_of_the_terms(one in terms(), other in terms()) {
        let (left, right) = (owned(&one), owned(&other));
        let (one, other): (Map, Map) = (one.into_iter().collect(), other.into_iter().collect());

        prop_assert_eq!(left == right, one == other);
        prop_assert_eq!(left.cmp(&right), one.iter().cmp(other.iter()));
        prop_assert!(left != right || hash(&left) == hash(&right));
    }

    #[test]
    fn a_merge_takes_its_own_value_where_both_know_a_field(one in terms(), other in terms()) {
        let mut expected: Map = other.iter().cloned().collect();
        expected.extend(one.iter().cloned());

        prop_assert_eq!(map(&owned(&one).or(&owned(&other))), expected);
    }

    #[test]
    fn what_is_not_retained_is_unknown(terms in terms()) {
        let mut conjunction = owned(&terms);
        conjunction.retain(|field| field[0] == b'a');

        let expected: Map = terms.into_iter().filter(|(field, _)| field[0] == b'a').collect();
        prop_assert_eq!(map(&conjunction), expected);
    }
}

#[test]
fn a_field_that_is_set_again_has_the_new_value_only() {
    let mut row = OwnedConjunction::new().with(b"b", Some(b"1")).with(b"a", None);
    row.set(b"b", None);
    row.set(b"a", Some(b""));

    assert_eq!(row.to_text(), b"a=&b");
    assert_eq!(row.clone(), OwnedConjunction::parse_all(b"b&a=").unwrap().remove(0));
    assert_eq!(format!("{row:?}"), "a=&b");
    assert_eq!(OwnedConjunction::new().to_text(), b"*");
}
