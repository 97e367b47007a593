//! Packing moves records and nodes: memory becomes less, and no entry lives longer or shorter by it.

use std::collections::BTreeMap;

use cacheops_condition::Condition;
use cacheops_index::{DeadKey, Index, Limits, Relocate, Slot, Stamps};

const KEYS: u32 = 4000;

/// Moves everything, always.
#[derive(Default)]
struct Moving {
    moved: usize,
}

impl Relocate for Moving {
    fn vector<T>(&mut self, vector: &mut Vec<T>) {
        let mut other = Vec::with_capacity(vector.capacity());
        other.append(vector);
        *vector = other;
        self.moved += 1;
    }

    fn boxed<T>(&mut self, _boxed: &mut Box<T>) {
        self.moved += 1;
    }
}

struct Entry {
    slot: Slot,
    stamps: Stamps,
    condition: String,
    is_alive: bool,
}

struct World {
    index: Index,
    entries: BTreeMap<u32, Entry>,
    state: u64,
}

impl World {
    fn new() -> Self {
        Self { index: Index::new(1, [1, 2, 3, 4], 99, 1 << 20), entries: BTreeMap::new(), state: 5 }
    }

    fn random(&mut self, below: u32) -> u32 {
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.state >> 33) as u32 % below
    }

    /// An entry that depends on itself alone, on a few others, and on many.
    fn store(&mut self, key: u32) {
        let condition = match self.random(4) {
            0 => format!("id={key}"),
            1 => format!("id={key}|few={}", key / 8),
            2 => format!("few={}|many={}|id={key}", key / 8, key % 3),
            _ => (0..20).map(|n| format!("id={key}&n={n}|")).collect::<String>() + "other=1",
        };
        let condition_parsed = Condition::parse(condition.as_bytes()).expect("well formed");
        let stored = self
            .index
            .store(&name(key), &[(b"t", condition_parsed)], None, &Limits::default())
            .expect("stored");
        let entry = Entry {
            slot: stored.slot,
            stamps: stored.stamps,
            condition: condition.clone(),
            is_alive: true,
        };
        if let Some(replaced) = self.entries.insert(key, entry) {
            self.index.remove(replaced.slot);
        }
    }

    /// A row of which all fields are known, all but one without a match.
    fn invalidate(&mut self, field: &str, value: u32) {
        let terms: Vec<String> = ["id", "few", "many", "n", "other"]
            .iter()
            .map(
                |name| if *name == field { format!("{name}={value}") } else { format!("{name}=-") },
            )
            .collect();
        let row = terms.join("&");
        let is_met = |conjunction: &str| {
            conjunction.split('&').all(|term| terms.iter().any(|known| known == term))
        };
        let rows = Condition::parse(row.as_bytes()).expect("well formed");
        self.index.invalidate(&[(b"t", rows)], || 1, &Limits::default());
        for entry in self.entries.values_mut() {
            if entry.condition.split('|').any(is_met) {
                entry.is_alive = false;
            }
        }
    }

    fn remove(&mut self, key: u32) {
        if let Some(entry) = self.entries.remove(&key) {
            self.index.remove(entry.slot);
        }
    }

    fn reap(&mut self, steps: usize) {
        let mut dead: Vec<DeadKey> = Vec::new();
        self.index.reap(steps, &mut dead);
        for DeadKey { key, slot } in dead {
            let key = u32::from_le_bytes(key[..4].try_into().expect("four bytes"));
            if self.entries.get(&key).is_some_and(|entry| entry.slot == slot) {
                assert!(!self.entries[&key].is_alive, "a living entry was named");
                self.entries.remove(&key);
            }
        }
    }

    fn pack(&mut self) -> usize {
        let mut moving = Moving::default();
        for entry in self.entries.values_mut() {
            if let Some((slot, stamps)) = self.index.pack(entry.slot, &mut moving) {
                assert!(entry.is_alive, "a dead entry was packed");
                (entry.slot, entry.stamps) = (slot, stamps);
                moving.moved += 1;
            }
        }
        moving.moved
    }

    fn compare(&mut self) {
        for (key, entry) in &self.entries {
            let hit = self.index.hit(entry.slot, entry.stamps.nodes());
            assert_eq!(hit, entry.is_alive, "key {key}: {}", entry.condition);
            assert_eq!(self.index.is_alive(entry.slot), entry.is_alive);
            if hit {
                let mut known = self.index.conditions(entry.slot).expect("alive").remove(0).1;
                let mut sorted: Vec<_> = known.split_mut(|&byte| byte == b'|').collect();
                sorted.sort_unstable();
                let mut expected: Vec<_> = entry.condition.split('|').map(str::as_bytes).collect();
                expected.sort_unstable();
                assert_eq!(sorted, expected);
            }
        }
    }
}

#[test]
fn entries_live_and_die_as_if_nothing_had_been_packed() {
    let mut world = World::new();
    let mut moved = 0;
    for _ in 0..3 {
        for key in 0..KEYS {
            world.store(key);
        }
        for key in 0..KEYS {
            match world.random(12) {
                0 => {}
                1 => world.invalidate("id", key),
                2 => world.invalidate("few", key / 8),
                _ => world.remove(key),
            }
            if key % 1000 == 0 {
                world.reap(20);
                moved += world.pack();
                world.compare();
            }
        }
        moved += world.pack();
        world.compare();
        // Numbers of nodes and handles are given again.
        for key in 0..KEYS / 2 {
            world.store(key);
        }
        world.compare();
        for key in (0..KEYS).step_by(7) {
            world.invalidate("id", key);
        }
        world.invalidate("many", 1);
        world.compare();
    }
    assert!(moved > 2_000, "{moved} moves");
    while world.index.has_dead() {
        world.reap(100);
    }
    world.compare();
    assert!(world.entries.values().all(|entry| entry.is_alive), "the dead were left behind");
    for key in 0..KEYS {
        world.remove(key);
    }
    let sizes = world.index.sizes();
    assert_eq!((sizes.entries, sizes.links, sizes.conjunctions), (0, 0, 0));
}

#[test]
fn an_entry_that_is_packed_again_stays_where_it_is() {
    let mut world = World::new();
    for key in 0..KEYS {
        world.store(key);
    }
    for key in 0..KEYS {
        if key % 8 != 0 {
            world.remove(key);
        }
    }
    world.pack();
    world.pack();
    let slots: Vec<Slot> = world.entries.values().map(|entry| entry.slot).collect();

    world.pack();

    let again: Vec<Slot> = world.entries.values().map(|entry| entry.slot).collect();
    assert_eq!(slots, again);
}

fn name(key: u32) -> [u8; 16] {
    let mut name = [b'k'; 16];
    name[..4].copy_from_slice(&key.to_le_bytes());
    name
}
