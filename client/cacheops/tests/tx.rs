//! The state machine of transactions beside a naive twin: a list of everything that happened, looked
//! at from the beginning each time.

use cacheops::{Changes, Row, TxStack};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Write,
    Record(u8),
    Commit(usize),
    Rollback(usize),
}

/// What an adapter must have sent, and whether its transaction is dirty, by the rules of SQL.
#[derive(Default)]
struct Twin {
    /// Levels that are open: what was done in each, in order.
    open: Vec<Vec<Done>>,
    sent: Vec<Changes>,
}

#[derive(Clone)]
enum Done {
    Wrote,
    Recorded(u8),
}

fn changes(id: u8) -> Changes {
    Changes::row("t", Row::new().set("id", id))
}

impl Twin {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Begin => self.open.push(Vec::new()),
            Step::Write => self.done(Done::Wrote),
            Step::Record(id) if self.open.is_empty() => self.sent.push(changes(*id)),
            Step::Record(id) => self.done(Done::Recorded(*id)),
            Step::Commit(depth) if (1..=self.open.len()).contains(depth) => {
                let ended: Vec<Done> = self.open.split_off(depth - 1).concat();
                match self.open.last_mut() {
                    Some(around) => around.extend(ended),
                    None => {
                        let mut all = Changes::new();
                        for done in ended {
                            if let Done::Recorded(id) = done {
                                all.merge(changes(id));
                            }
                        }
                        self.sent.push(all);
                    }
                }
            }
            Step::Rollback(depth) if (1..=self.open.len()).contains(depth) => {
                self.open.truncate(depth - 1);
            }
            Step::Commit(_) | Step::Rollback(_) => {}
        }
    }

    fn done(&mut self, done: Done) {
        if let Some(level) = self.open.last_mut() {
            level.push(done);
        }
    }

    fn is_dirty(&self) -> bool {
        self.open.iter().flatten().any(|done| matches!(done, Done::Wrote))
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Begin),
        2 => Just(Step::Write),
        3 => (0..9_u8).prop_map(Step::Record),
        2 => (0..6_usize).prop_map(Step::Commit),
        1 => (0..6_usize).prop_map(Step::Rollback),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_a_naive_twin(steps in prop::collection::vec(step(), 0..60)) {
        let (mut stack, mut twin) = (TxStack::new(), Twin::default());
        let mut sent = Vec::new();
        for step in &steps {
            twin.step(step);
            match step {
                Step::Begin => prop_assert_eq!(stack.begin(), twin.open.len()),
                Step::Write => stack.mark_dirty(),
                Step::Record(id) => sent.extend(stack.record(changes(*id))),
                Step::Commit(depth) => sent.extend(stack.commit(*depth)),
                Step::Rollback(depth) => stack.rollback(*depth),
            }
            prop_assert_eq!(stack.is_dirty(), twin.is_dirty(), "after {:?}", step);
            prop_assert_eq!(stack.depth(), twin.open.len());
        }
        prop_assert_eq!(sent, twin.sent);
    }
}
