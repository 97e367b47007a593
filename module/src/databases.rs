//! Things that some of the server's databases have, by number.
//!
//! A server may be configured to have millions of databases, of which a client may use any: what is kept must depend on how
//! many are used, and not on the highest number.

use std::collections::BTreeMap;

/// Databases below this are looked up by position, which is what a GET does.
const NEAR: usize = 256;

#[derive(Debug)]
pub(crate) struct Databases<T> {
    near: Vec<Option<Box<T>>>,
    far: BTreeMap<usize, Box<T>>,
}

impl<T> Default for Databases<T> {
    fn default() -> Self {
        Self { near: Vec::new(), far: BTreeMap::new() }
    }
}

impl<T> Databases<T> {
    #[inline]
    pub(crate) fn get(&self, database: usize) -> Option<&T> {
        match self.near.get(database) {
            Some(thing) => thing.as_deref(),
            None => self.far.get(&database).map(|thing| &**thing),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, database: usize) -> Option<&mut T> {
        match self.near.get_mut(database) {
            Some(thing) => thing.as_deref_mut(),
            None => self.far.get_mut(&database).map(|thing| &mut **thing),
        }
    }

    pub(crate) fn get_or_insert_with(
        &mut self,
        database: usize,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        if database >= NEAR {
            return self.far.entry(database).or_insert_with(|| Box::new(make()));
        }
        if self.near.len() <= database {
            self.near.resize_with(database + 1, || None);
        }
        self.near[database].get_or_insert_with(|| Box::new(make()))
    }

    pub(crate) fn take(&mut self, database: usize) -> Option<Box<T>> {
        match self.near.get_mut(database) {
            Some(thing) => thing.take(),
            None => self.far.remove(&database),
        }
    }

    /// Exchanges what two databases have.
    pub(crate) fn swap(&mut self, first: usize, second: usize) {
        let (of_first, of_second) = (self.take(first), self.take(second));
        for (database, thing) in [(first, of_second), (second, of_first)] {
            if let Some(thing) = thing {
                self.get_or_insert_with(database, || *thing);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let near = self.near.iter().enumerate();
        near.filter_map(|(database, thing)| Some((database, thing.as_deref()?)))
            .chain(self.far.iter().map(|(&database, thing)| (database, &**thing)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut T)> {
        let near = self.near.iter_mut().enumerate();
        near.filter_map(|(database, thing)| Some((database, thing.as_deref_mut()?)))
            .chain(self.far.iter_mut().map(|(&database, thing)| (database, &mut **thing)))
    }
}
