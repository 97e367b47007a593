//! Invalidations that the server has not confirmed, kept until it has. Pure.

use crate::Changes;

/// What an outbox holds at most; beyond it, rows become whole tables, and these become everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// Which attempt to send something this is. What an earlier one reports counts for nothing: it may
/// have been given up, and its changes be part of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// A set of changes, so that what is told twice is kept once. Repeating one is harmless.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Changes,
    /// What is being sent now; it counts as unconfirmed.
    sending: Option<(Ticket, Changes)>,
    last: Ticket,
    bounds: Bounds,
    /// How often rows became tables, or tables everything.
    pub(crate) collapses: u64,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { waiting: Changes::new(), sending: None, last: Ticket(0), bounds, collapses: 0 }
    }

    /// Whether everything was confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }

    /// How many rows and tables wait.
    pub(crate) fn len(&self) -> usize {
        let rows = |changes: &Changes| changes.rows() + usize::from(changes.is_everything());
        rows(&self.waiting) + self.sending.as_ref().map_or(0, |(_, changes)| rows(changes))
    }

    pub(crate) fn push(&mut self, changes: Changes) {
        self.waiting.merge(changes);
        if self.is_over() {
            self.collapses += 1;
            self.waiting.widen();
        }
        if self.is_over() {
            self.collapses += 1;
            self.waiting = Changes::everything();
        }
    }

    /// Takes what waits, to send it. It comes back by [`failed`](Self::failed) or is forgotten by
    /// [`confirmed`](Self::confirmed).
    pub(crate) fn take(&mut self) -> Option<(Ticket, Changes)> {
        if let Some((_, unfinished)) = self.sending.take() {
            self.push(unfinished);
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.last = Ticket(self.last.0 + 1);
        let taken = (self.last, std::mem::take(&mut self.waiting));
        self.sending = Some(taken.clone());
        Some(taken)
    }

    pub(crate) fn confirmed(&mut self, ticket: Ticket) {
        self.ended(ticket);
    }

    /// It could not be sent.
    pub(crate) fn failed(&mut self, ticket: Ticket) {
        if let Some(changes) = self.ended(ticket) {
            self.push(changes);
        }
    }

    /// The server refuses it as it is: the next attempt says less and means more.
    pub(crate) fn refused(&mut self, ticket: Ticket) {
        let Some(mut changes) = self.ended(ticket) else { return };
        self.collapses += 1;
        let before = changes.clone();
        changes.widen();
        self.push(if changes == before { Changes::everything() } else { changes });
    }

    fn ended(&mut self, ticket: Ticket) -> Option<Changes> {
        self.sending.take_if(|(sending, _)| *sending == ticket).map(|(_, changes)| changes)
    }

    fn is_over(&self) -> bool {
        self.waiting.rows() > self.bounds.rows || self.waiting.bytes() > self.bounds.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Row;

    fn outbox(rows: usize) -> Outbox {
        Outbox::new(Bounds { rows, bytes: 1_000 })
    }

    fn next(outbox: &mut Outbox) -> Option<Changes> {
        outbox.take().map(|(_, changes)| changes)
    }

    fn row(id: i64) -> Changes {
        Changes::row("t", Row::new().set("id", id))
    }

    #[test]
    fn holds_what_was_not_confirmed() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        assert_eq!(next(&mut outbox), Some(row(1)));
        assert!(!outbox.is_empty(), "what is being sent is not confirmed");

        outbox.push(row(2));
        outbox.failed(outbox.last);
        let mut both = row(1);
        both.merge(row(2));
        assert_eq!(next(&mut outbox), Some(both));

        outbox.confirmed(outbox.last);
        assert!(outbox.is_empty());
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn what_was_taken_and_never_settled_is_taken_again() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        outbox.take();

        assert_eq!(next(&mut outbox), Some(row(1)));
    }

    #[test]
    fn an_attempt_that_was_given_up_confirms_nothing() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        let (given_up, _) = outbox.take().unwrap();
        outbox.push(row(2));
        let (ticket, _) = outbox.take().unwrap();

        outbox.confirmed(given_up);
        assert!(!outbox.is_empty());

        outbox.failed(given_up);
        outbox.confirmed(ticket);
        assert!(outbox.is_empty());
    }

    #[test]
    fn too_much_becomes_tables_and_then_everything() {
        let mut outbox = outbox(3);
        for id in 0..4 {
            outbox.push(row(id));
        }
        assert_eq!((next(&mut outbox), outbox.collapses), (Some(Changes::table("t")), 1));
        outbox.failed(outbox.last);

        for table in ["u", "v", "w"] {
            outbox.push(Changes::table(table));
        }
        assert_eq!(next(&mut outbox), Some(Changes::everything()));
        outbox.confirmed(outbox.last);

        outbox.push(Changes::row("t", Row::new().set("id", "x".repeat(2_000))));
        assert_eq!(next(&mut outbox), Some(Changes::table("t")));
    }

    #[test]
    fn what_the_server_refuses_is_said_more_simply() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        outbox.take();
        outbox.refused(outbox.last);
        assert_eq!(next(&mut outbox), Some(Changes::table("t")));
        outbox.refused(outbox.last);
        assert_eq!(next(&mut outbox), Some(Changes::everything()));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, u8),
        Take,
        Confirmed,
        Failed,
        Refused,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..4_u8, 0..8_u8).prop_map(|(table, id)| Step::Push(table, id)),
            2 => Just(Step::Take),
            1 => Just(Step::Confirmed),
            1 => Just(Step::Failed),
            1 => Just(Step::Refused),
        ]
    }

    fn covers(changes: &Changes, table: u8, id: u8) -> bool {
        let row = format!("id={id}");
        changes.is_everything()
            || changes.texts().any(|(known, rows)| {
                known == table.to_string().as_bytes()
                    && rows.split(|b| *b == b'|').any(|r| r == b"*" || r == row.as_bytes())
            })
    }

    proptest! {
        /// Whatever happens, what was not confirmed is in the next thing that is sent.
        #[test]
        fn loses_nothing(steps in prop::collection::vec(step(), 0..60), rows in 1..12_usize) {
            let mut outbox = outbox(rows);
            let (mut waiting, mut sending) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(table, id) => {
                        let row = Row::new().set("id", id);
                        outbox.push(Changes::row(table.to_string(), &row));
                        waiting.push((table, id));
                    }
                    Step::Take => {
                        outbox.take();
                        sending.append(&mut waiting);
                    }
                    Step::Confirmed => {
                        outbox.confirmed(outbox.last);
                        sending.clear();
                    }
                    Step::Failed | Step::Refused => {
                        if matches!(step, Step::Failed) { outbox.failed(outbox.last) } else { outbox.refused(outbox.last) }
                        waiting.append(&mut sending);
                    }
                }
                prop_assert_eq!(outbox.is_empty(), waiting.is_empty() && sending.is_empty());
            }
            let unconfirmed = [waiting, sending].concat();
            let next = next(&mut outbox).unwrap_or_default();
            for (table, id) in unconfirmed {
                prop_assert!(covers(&next, table, id), "{}.{} is not in {:?}", table, id, next);
            }
        }
    }
}
