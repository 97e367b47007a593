//! Any bytes as a condition: what is read can be written canonically, and reads back as the same.
#![no_main]

use cacheops_condition::{Condition, MAX_FIELDS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let condition = match Condition::parse(text) {
        Ok(condition) => condition,
        Err(error) => {
            assert!(error.at <= text.len(), "{error}");
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(condition.iter().len(), condition.conjunctions());
    assert!(condition.conjunctions() > 0 && condition.max_terms() <= MAX_FIELDS);

    let written: Vec<Vec<u8>> = condition.iter().map(|conjunction| conjunction.to_text()).collect();
    let canonical = written.join(&b'|');

    let again = Condition::parse(&canonical).expect("what was written can be read");
    assert_eq!(again.conjunctions(), condition.conjunctions());
    for ((before, after), text) in condition.iter().zip(again.iter()).zip(&written) {
        assert!(before.terms().eq(after.terms()), "{before:?} became {after:?}");
        assert!(before.terms().all(|(field, _)| !field.is_empty()));
        assert_eq!(after.to_text(), *text, "the canonical text is its own");
        assert_eq!(before.is_empty(), text == b"*");
    }
});
