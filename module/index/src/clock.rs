//! Time as the index knows it: ticks inside, numbers outside.
//!
//! Every change takes the next *tick*. Ticks of one index never repeat, not even after a flush, and the upper bits hold the
//! index's id, so that a tick names one change of one index of this process. Clients see *numbers*: a fresh epoch draws a
//! random base, and a number is the base plus the ticks since. Numbers of another epoch, server or database are therefore
//! refused without a field that says where they come from, and they stay below 2^53, which Lua and JavaScript can hold.

/// Ticks that one index can take: 8.9 years at a million a second.
const TICK_BITS: u32 = 48;
/// Bases are drawn from 2^40 up to this; 2^52 numbers remain above it.
const MAX_BASE: u64 = 1 << 52;
const MIN_BASE: u64 = 1 << 40;

/// A moment of one index.
pub type Tick = u64;

#[derive(Debug)]
pub(crate) struct Clock {
    now: Tick,
    epoch: Tick,
    base: u64,
}

impl Clock {
    pub(crate) fn new(id: u16, random: u64) -> Self {
        let now = u64::from(id) << TICK_BITS | 1;
        Self { now, epoch: now, base: base(random) }
    }

    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    pub(crate) fn advance(&mut self) -> Tick {
        self.now += 1;
        self.now
    }

    /// From here on all numbers given so far are refused.
    pub(crate) fn new_epoch(&mut self, random: u64) {
        self.now += 1;
        self.epoch = self.now;
        self.base = base(random);
    }

    pub(crate) fn number(&self, tick: Tick) -> u64 {
        self.base.wrapping_add(tick.wrapping_sub(self.epoch))
    }

    /// The tick of a number that this epoch has given.
    pub(crate) fn tick(&self, number: u64) -> Option<Tick> {
        let since = number.checked_sub(self.base)?;
        let tick = self.epoch.checked_add(since)?;
        (tick <= self.now).then_some(tick)
    }
}

fn base(random: u64) -> u64 {
    MIN_BASE + random % (MAX_BASE - MIN_BASE)
}

/// The id of the index that a tick belongs to.
pub fn index_id(tick: Tick) -> u16 {
    (tick >> TICK_BITS) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_good_only_in_its_epoch_and_below_2_53() {
        let mut clock = Clock::new(3, u64::MAX);
        let first = clock.number(clock.now());
        let later = clock.advance();
        assert_eq!(clock.tick(first), Some(later - 1));
        assert_eq!(clock.number(later), first + 1);
        assert!(first + (1 << TICK_BITS) < 1 << 53);
        for unknown in [0, first - 1, first + 2, u64::MAX] {
            assert_eq!(clock.tick(unknown), None);
        }
        clock.new_epoch(17);
        assert_eq!(clock.tick(first + 1), None);
        assert_eq!(index_id(clock.now()), 3);
    }
}
