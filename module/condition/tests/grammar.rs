//! The grammar, rule by rule, and its round trip.

use cacheops_condition::{Bounds, Condition, Problem, write_conjunction};
use proptest::prelude::*;

type Parsed = Vec<Vec<(Vec<u8>, Option<Vec<u8>>)>>;

fn parse(text: &str) -> Result<Parsed, Problem> {
    parse_bytes(text.as_bytes())
}

fn parse_bytes(text: &[u8]) -> Result<Parsed, Problem> {
    let condition = Condition::parse(text).map_err(|error| error.problem)?;
    Ok(condition
        .iter()
        .map(|conjunction| {
            conjunction
                .terms()
                .map(|(field, value)| (field.to_vec(), value.map(<[u8]>::to_vec)))
                .collect()
        })
        .collect())
}

fn term(field: &str, value: Option<&str>) -> (Vec<u8>, Option<Vec<u8>>) {
    (field.into(), value.map(Into::into))
}

#[test]
fn reads_terms_nulls_and_empty_strings() {
    assert_eq!(parse("a=1"), Ok(vec![vec![term("a", Some("1"))]]));
    assert_eq!(parse("a"), Ok(vec![vec![term("a", None)]]));
    assert_eq!(parse("a="), Ok(vec![vec![term("a", Some(""))]]));
    assert_eq!(
        parse("a=1&b|c=x"),
        Ok(vec![vec![term("a", Some("1")), term("b", None)], vec![term("c", Some("x"))]])
    );
}

#[test]
fn a_star_is_special_only_as_a_whole_conjunction() {
    assert_eq!(parse("*"), Ok(vec![vec![]]));
    assert_eq!(parse("*|a=1"), Ok(vec![vec![], vec![term("a", Some("1"))]]));
    assert_eq!(parse("a=1|*"), Ok(vec![vec![term("a", Some("1"))], vec![]]));
    assert_eq!(parse("a=*"), Ok(vec![vec![term("a", Some("*"))]]));
    assert_eq!(parse("*=1"), Ok(vec![vec![term("*", Some("1"))]]));
    assert_eq!(parse("%2A"), Ok(vec![vec![term("*", None)]]));
    assert_eq!(parse("**"), Ok(vec![vec![term("**", None)]]));
    assert_eq!(parse("*&a"), Ok(vec![vec![term("*", None), term("a", None)]]));
}

#[test]
fn escapes_decode_anywhere_and_in_either_case() {
    assert_eq!(parse("%61=%7c"), Ok(vec![vec![term("a", Some("|"))]]));
    assert_eq!(parse("a%3Db=%26%25%7C"), Ok(vec![vec![term("a=b", Some("&%|"))]]));
    assert_eq!(parse("a%3C=<"), Ok(vec![vec![term("a<", Some("<"))]]));
    assert_eq!(parse("%40a"), Ok(vec![vec![term("@a", None)]]));
    assert_eq!(parse("a@=1&a$=2"), Ok(vec![vec![term("a@", Some("1")), term("a$", Some("2"))]]));
}

#[test]
fn every_other_byte_stands_for_itself() {
    assert_eq!(
        parse_bytes(b"\xff\x00=\r\n\xfe"),
        Ok(vec![vec![(b"\xff\x00".to_vec(), Some(b"\r\n\xfe".to_vec()))]])
    );
}

#[test]
fn names_the_rule_that_a_text_breaks() {
    for (text, problem) in [
        ("", Problem::EmptyCondition),
        ("|", Problem::EmptyConjunction),
        ("a=1|", Problem::EmptyConjunction),
        ("|a=1", Problem::EmptyConjunction),
        ("a||b", Problem::EmptyConjunction),
        ("a&", Problem::EmptyTerm),
        ("a&&b", Problem::EmptyTerm),
        ("&a", Problem::EmptyTerm),
        ("a&|b", Problem::EmptyTerm),
        ("=1", Problem::EmptyField),
        ("a=1&=2", Problem::EmptyField),
        ("a=%", Problem::BadEscape),
        ("a=%4", Problem::BadEscape),
        ("a=%4g", Problem::BadEscape),
        ("%zz=1", Problem::BadEscape),
        ("a=1=2", Problem::Reserved(b'=')),
        ("a<1", Problem::Reserved(b'<')),
        ("f(x)=1", Problem::Reserved(b'(')),
        ("a!=1", Problem::Reserved(b'!')),
        ("@a=1", Problem::Reserved(b'@')),
        ("a=1&$b", Problem::Reserved(b'$')),
        ("a=1&a=2", Problem::RepeatedField),
        ("a&%61=2", Problem::RepeatedField),
    ] {
        assert_eq!(parse(text), Err(problem), "{text}");
    }
}

#[test]
fn finds_a_repeated_field_among_many() {
    let mut fields: Vec<String> = (0..100).map(|n| format!("f{n}=1")).collect();
    assert!(parse(&fields.join("&")).is_ok());
    fields.push("f7=2".into());
    assert_eq!(parse(&fields.join("&")), Err(Problem::RepeatedField));
    let many: Vec<String> = (0..=cacheops_condition::MAX_FIELDS).map(|n| format!("f{n}")).collect();
    assert_eq!(parse(&many.join("&")), Err(Problem::TooManyFields));
}

#[test]
fn an_error_says_where() {
    let error = Condition::parse(b"a=1&b<2").expect_err("reserved");
    assert_eq!(error.to_string(), "'<' must be escaped as %3C here, at byte 5");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(&b"%&|=*<>!~(),@$a"[..])],
        0..8,
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        condition in prop::collection::vec(prop::collection::btree_map(bytes(), prop::option::of(bytes()), 0..5), 1..5)
    ) {
        let condition: Parsed = condition
            .into_iter()
            .map(|terms| terms.into_iter().filter(|(field, _)| !field.is_empty()).collect())
            .collect();
        let mut text = Vec::new();
        for (at, conjunction) in condition.iter().enumerate() {
            if at > 0 {
                text.push(b'|');
            }
            write_conjunction(&mut text, conjunction.iter().map(|(field, value)| (&field[..], value.as_deref())));
        }
        prop_assert_eq!(parse_bytes(&text), Ok(condition));
    }

    #[test]
    fn no_text_panics_and_what_parses_has_one_canonical_text(text in prop::collection::vec(prop_oneof![
        prop::sample::select(&b"%&|=*<@$a1b2cF"[..]), any::<u8>()], 0..24)
    ) {
        if let Ok(condition) = Condition::parse(&text) {
            let canonical: Vec<Vec<u8>> = condition.iter().map(|conjunction| conjunction.to_text()).collect();
            let canonical = canonical.join(&b'|');
            prop_assert_eq!(parse_bytes(&canonical), parse_bytes(&text));
        }
    }
}

#[test]
fn reading_ends_where_a_bound_is_exceeded() {
    let bounds = Bounds { terms: 2, field_bytes: 4 };
    let read = |text: &str| {
        Condition::parse_within(text.as_bytes(), bounds)
            .map(|condition| condition.conjunctions())
            .map_err(|error| (error.problem, error.at))
    };

    assert_eq!(read("a=1&b=2|long=3|*"), Ok(3));
    // What is behind it is not looked at: it is not even well formed.
    assert_eq!(read("a=1|a=1&b=2&c=3&&&"), Err((Problem::TooManyTerms, 12)));
    assert_eq!(read("a=1|longer=3|%"), Err((Problem::LongField, 4)));
    assert_eq!(read("%61%61%61%61=1"), Ok(1), "of the name, not of its escapes");
}

#[test]
fn a_conjunction_knows_whether_it_repeats_the_fields_of_the_one_before() {
    let repeats = |text: &str| -> Vec<bool> {
        let condition = Condition::parse(text.as_bytes()).expect("well formed");
        condition.iter().map(|conjunction| conjunction.repeats_fields()).collect()
    };

    assert_eq!(repeats("a=1&b=2|a=3&b|%61=5&b=6"), [false, true, true]);
    assert_eq!(repeats("a=1&b=2|b=2&a=1|b=1|b=2&c=3|*|*"), [false; 6]);
    let wide: Vec<String> = (0..100).map(|field| format!("f{field}=1")).collect();
    let wide = wide.join("&");
    assert_eq!(repeats(&format!("{wide}|{wide}|a=1|a=2")), [false, true, false, true]);
    assert_eq!(
        parse(&format!("{wide}|{wide}&f7=2")),
        Err(Problem::RepeatedField),
        "the one before is no excuse"
    );
}

#[test]
fn a_field_that_occurs_twice_is_found_in_conjunctions_of_any_length() {
    for length in [2, 12, 13, 64, 65, 300] {
        let fields: Vec<String> = (0..length).map(|field| format!("f{field}")).collect();
        assert!(parse(&fields.join("&")).is_ok(), "{length}");
        for twin in [0, length / 2, length - 1] {
            let text = format!("{}&f{twin}=1", fields.join("&"));
            assert_eq!(parse(&text), Err(Problem::RepeatedField), "{length}: {twin}");
        }
    }
}

proptest! {
    #[test]
    fn counting_accepts_what_reading_accepts(text in "[ab&|=*%<41]{0,20}") {
        let read = Condition::parse(text.as_bytes());
        let counted = Condition::count(text.as_bytes());

        prop_assert_eq!(read.as_ref().err(), counted.as_ref().err());
        if let (Ok(read), Ok(counted)) = (read, counted) {
            prop_assert_eq!(read.conjunctions(), counted.conjunctions());
            prop_assert!(counted.iter().all(|row| row.is_empty()), "each stands for any row");
        }
    }
}
