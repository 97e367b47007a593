//! Invalidations that the server has not confirmed, kept until it has. Pure.

use crate::Changes;

/// What an outbox holds at most; beyond it, rows become whole tables, and these become everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// A set of changes, so that what is told twice is kept once. Repeating one is harmless.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Changes,
    /// What is being sent now; it counts as unconfirmed.
    sending: Option<Changes>,
    bounds: Bounds,
    /// How often rows became tables, or tables everything.
    pub(crate) collapses: u64,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { waiting: Changes::new(), sending: None, bounds, collapses: 0 }
    }

    /// Whether everything was confirmed.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_none()
    }

    /// How many rows and tables wait.
    pub(crate) fn len(&self) -> usize {
        let rows = |changes: &Changes| changes.rows() + usize::from(changes.is_everything());
        rows(&self.waiting) + self.sending.as_ref().map_or(0, rows)
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
    pub(crate) fn take(&mut self) -> Option<Changes> {
        if let Some(unfinished) = self.sending.take() {
            self.push(unfinished);
        }
        if self.waiting.is_empty() {
            return None;
        }
        let changes = std::mem::take(&mut self.waiting);
        self.sending = Some(changes.clone());
        Some(changes)
    }

    pub(crate) fn confirmed(&mut self) {
        self.sending = None;
    }

    /// It could not be sent.
    pub(crate) fn failed(&mut self) {
        if let Some(changes) = self.sending.take() {
            self.push(changes);
        }
    }

    /// The server refuses it as it is: the next attempt says less and means more.
    pub(crate) fn refused(&mut self) {
        let Some(mut changes) = self.sending.take() else { return };
        self.collapses += 1;
        let before = changes.clone();
        changes.widen();
        self.push(if changes == before { Changes::everything() } else { changes });
    }

    fn is_over(&self) -> bool {
        self.waiting.rows() > self.bounds.rows || self.waiting.bytes() > self.bounds.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Row;

    fn outbox(rows: usize) -> Outbox {
        Outbox::new(Bounds { rows, bytes: 1_000 })
    }

    fn row(id: i64) -> Changes {
        Changes::row("t", &Row::new().set("id", id))
    }

    #[test]
    fn holds_what_was_not_confirmed() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        assert_eq!(outbox.take(), Some(row(1)));
        assert!(!outbox.is_empty(), "what is being sent is not confirmed");

        outbox.push(row(2));
        outbox.failed();
        let mut both = row(1);
        both.merge(row(2));
        assert_eq!(outbox.take(), Some(both));

        outbox.confirmed();
        assert!(outbox.is_empty());
        assert_eq!(outbox.take(), None);
    }

    #[test]
    fn what_was_taken_and_never_settled_is_taken_again() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        outbox.take();

        assert_eq!(outbox.take(), Some(row(1)));
    }

    #[test]
    fn too_much_becomes_tables_and_then_everything() {
        let mut outbox = outbox(3);
        for id in 0..4 {
            outbox.push(row(id));
        }
        assert_eq!((outbox.take(), outbox.collapses), (Some(Changes::table("t")), 1));
        outbox.failed();

        for table in ["u", "v", "w"] {
            outbox.push(Changes::table(table));
        }
        assert_eq!(outbox.take(), Some(Changes::everything()));
        outbox.confirmed();

        outbox.push(Changes::row("t", &Row::new().set("id", "x".repeat(2_000))));
        assert_eq!(outbox.take(), Some(Changes::table("t")));
    }

    #[test]
    fn what_the_server_refuses_is_said_more_simply() {
        let mut outbox = outbox(10);
        outbox.push(row(1));
        outbox.take();
        outbox.refused();
        assert_eq!(outbox.take(), Some(Changes::table("t")));
        outbox.refused();
        assert_eq!(outbox.take(), Some(Changes::everything()));
    }
}
