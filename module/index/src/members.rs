//! The dependents of one conjunction: record handles, each at a position that its record knows.
//!
//! One dependent, the common case of a query by primary key, takes no memory of its own.

use crate::arena::Handle;
use crate::seg::SegVec;

#[derive(Debug, Default)]
pub(crate) enum Members {
    #[default]
    None,
    One(Handle),
    Many(Box<SegVec<u32>>),
}

impl Members {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Members::None => 0,
            Members::One(_) => 1,
            Members::Many(many) => many.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a dependent and answers its position.
    #[inline]
    pub(crate) fn push(&mut self, member: Handle) -> u32 {
        match self {
            Members::None => {
                *self = Members::One(member);
                0
            }
            Members::One(first) => {
                let mut many = Box::new(SegVec::default());
                many.push(first.0);
                many.push(member.0);
                *self = Members::Many(many);
                1
            }
            Members::Many(many) => {
                many.push(member.0);
                many.len() as u32 - 1
            }
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<Handle> {
        match self {
            Members::None => None,
            Members::One(member) => (at == 0).then_some(*member),
            Members::Many(many) => many.get(at as usize).map(Handle),
        }
    }

    /// Replaces the dependent at a position, whose record has moved.
    pub(crate) fn set(&mut self, at: u32, member: Handle) {
        match self {
            Members::None => {}
            Members::One(only) => *only = member,
            Members::Many(many) => many.set(at as usize, member.0),
        }
    }

    /// Takes out the dependent at a position. The last one moves there; it is answered, so that its record can be told.
    #[inline]
    pub(crate) fn swap_remove(&mut self, at: u32) -> Option<Handle> {
        match self {
            Members::None => None,
            Members::One(_) => {
                debug_assert_eq!(at, 0, "one member, at its only position");
                *self = Members::None;
                None
            }
            Members::Many(many) => {
                let last = many.pop()?;
                let left = many.len();
                let moved = ((at as usize) < left).then(|| {
                    many.set(at as usize, last);
                    Handle(last)
                });
                if left == 1 {
                    *self = many.get(0).map_or(Members::None, |only| Members::One(Handle(only)));
                }
                moved
            }
        }
    }

    /// Takes any one dependent out, for a walk that ends with nothing left.
    pub(crate) fn pop(&mut self) -> Option<Handle> {
        match self {
            Members::None => None,
            Members::One(member) => {
                let member = *member;
                *self = Members::None;
                Some(member)
            }
            Members::Many(many) => many.pop().map(Handle),
        }
    }

    /// Frees one segment of memory; false when nothing is left.
    pub(crate) fn shed(&mut self) -> bool {
        match self {
            Members::Many(many) => many.shed(),
            Members::None | Members::One(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_true_while_members_come_and_go() {
        let mut members = Members::default();
        // position[m] is what the record of member m would remember.
        let mut position = std::collections::HashMap::new();
        let mut state = 3u64;
        for next in 0..20_000u32 {
            position.insert(next, members.push(Handle(next)));
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let dying = if (state >> 60) < 9 { position.keys().next().copied() } else { None };
            if let Some(dying) = dying {
                let at = position.remove(&dying).expect("known");
                if let Some(moved) = members.swap_remove(at) {
                    position.insert(moved.0, at);
                }
            }
            assert_eq!(members.len(), position.len());
        }
        for (&member, &at) in &position {
            assert_eq!(members.get(at), Some(Handle(member)));
        }
        for (member, _) in position.clone() {
            let at = position.remove(&member).expect("known");
            if let Some(moved) = members.swap_remove(at) {
                position.insert(moved.0, at);
            }
        }
        assert!(members.is_empty());
    }
}
