//! What the index keeps of an entry: when it was born, its key, and its links.
//!
//! ```text
//! born 8 | key length 2 | links 2 | link ... | key ...
//! link   node 4 | position among the node's members 4            ascending by node
//! ```
//! A record is packed into the arena, so that an entry with three dependencies and a key of 35 bytes takes 72 bytes here.
//! `born` is zero where no record is.

use crate::arena::{Arena, Handle};
use crate::clock::Tick;

const HEAD: usize = 12;
const LINK: usize = 8;

/// A record's view of one of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) node: u32,
    pub(crate) at: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    pub(crate) fn size(key: usize, links: usize) -> usize {
        HEAD + LINK * links + key
    }

    /// The record at a handle, whichever entry it belongs to.
    #[inline]
    pub(crate) fn any(arena: &'a Arena, handle: Handle) -> Option<Self> {
        let record = Self(arena.get(handle));
        (record.born() != 0).then_some(record)
    }

    /// The record at a handle if it is the one born then.
    #[inline]
    pub(crate) fn find(arena: &'a Arena, handle: Handle, born: Tick) -> Option<Self> {
        let record = Self(arena.get(handle));
        (record.born() == born && born != 0).then_some(record)
    }

    #[inline]
    pub(crate) fn born(self) -> Tick {
        self.0.first_chunk().map_or(0, |bytes| Tick::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn links(self) -> impl ExactSizeIterator<Item = Link> + 'a {
        let links = self.0.get(HEAD..HEAD + LINK * self.link_count()).unwrap_or(&[]);
        links.chunks_exact(LINK).map(|link| Link { node: half(link, 0), at: half(link, 4) })
    }

    pub(crate) fn link_count(self) -> usize {
        usize::from(short(self.0, 10))
    }

    pub(crate) fn key(self) -> &'a [u8] {
        let start = HEAD + LINK * self.link_count();
        self.0.get(start..start + usize::from(short(self.0, 8))).unwrap_or(&[])
    }
}

/// Writes a record; `links` are ascending by node, and the lengths of both fit 16 bits.
pub(crate) fn write(place: &mut [u8], born: Tick, key: &[u8], links: &[Link]) {
    debug_assert!(key.len() <= usize::from(u16::MAX) && links.len() <= usize::from(u16::MAX));
    let (head, rest) = place.split_at_mut(HEAD);
    head[..8].copy_from_slice(&born.to_le_bytes());
    head[8..10].copy_from_slice(&(key.len() as u16).to_le_bytes());
    head[10..].copy_from_slice(&(links.len() as u16).to_le_bytes());
    let (places, rest) = rest.split_at_mut(LINK * links.len());
    write_links(places, links);
    rest[..key.len()].copy_from_slice(key);
}

/// Gives a record another birth and other links, as many as it has, ascending by node.
pub(crate) fn move_links(place: &mut [u8], born: Tick, links: &[Link]) {
    debug_assert_eq!(usize::from(short(place, 10)), links.len());
    let Some((head, rest)) = place.split_at_mut_checked(HEAD) else { return };
    head[..8].copy_from_slice(&born.to_le_bytes());
    write_links(rest, links);
}

fn write_links(places: &mut [u8], links: &[Link]) {
    for (place, link) in places.chunks_exact_mut(LINK).zip(links) {
        place[..4].copy_from_slice(&link.node.to_le_bytes());
        place[4..].copy_from_slice(&link.at.to_le_bytes());
    }
}

/// Tells the record at `handle` that it now stands at `at` among the members of `node`.
pub(crate) fn set_position(arena: &mut Arena, handle: Handle, node: u32, at: u32) {
    let place = arena.get_mut(handle);
    let links = usize::from(short(place, 10));
    let mut found = None;
    // Few links are scanned, many are searched: an entry with a thousand must not make its neighbours slow.
    if links <= 16 {
        found = (0..links).find(|&link| half(place, HEAD + LINK * link) == node);
    } else {
        let (mut low, mut high) = (0, links);
        while low < high {
            let middle = (low + high) / 2;
            match half(place, HEAD + LINK * middle).cmp(&node) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    found = Some(middle);
                    break;
                }
            }
        }
    }
    debug_assert!(found.is_some(), "a member knows its node");
    if let Some(place) =
        found.and_then(|link| place.get_mut(HEAD + LINK * link + 4..HEAD + LINK * link + 8))
    {
        place.copy_from_slice(&at.to_le_bytes());
    }
}

#[inline]
fn half(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn short(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_written() {
        let mut arena = Arena::default();
        for links in [0u32, 1, 3, 16, 17, 200] {
            let links: Vec<Link> = (0..links).map(|n| Link { node: n * 3, at: n }).collect();
            let handle = arena.reserve(Record::size(5, links.len())).expect("room");
            write(arena.get_mut(handle), 42, b"q:abc", &links);
            for link in &links {
                set_position(&mut arena, handle, link.node, link.at + 100);
            }
            let record = Record::find(&arena, handle, 42).expect("there");
            assert_eq!(record.key(), b"q:abc");
            assert!(
                record.links().eq(links.iter().map(|link| Link { at: link.at + 100, ..*link }))
            );
            assert!(Record::find(&arena, handle, 43).is_none());
            arena.free(handle);
            assert!(Record::any(&arena, handle).is_none());
        }
    }
}
