//! The functions of an application that are called with events.

use std::fmt;

use crate::events::{InvalidateEvent, ReadEvent, StoreEvent};

type OnRead = dyn Fn(&ReadEvent<'_>) + Send + Sync;
type OnStore = dyn Fn(&StoreEvent<'_>) + Send + Sync;
type OnInvalidate = dyn Fn(&InvalidateEvent<'_>) + Send + Sync;

#[derive(Default)]
pub(crate) struct Hooks {
    read: Vec<Box<OnRead>>,
    store: Vec<Box<OnStore>>,
    invalidate: Vec<Box<OnInvalidate>>,
}

impl Hooks {
    pub(crate) fn on_read(&mut self, hook: impl Fn(&ReadEvent<'_>) + Send + Sync + 'static) {
        self.read.push(Box::new(hook));
    }

    pub(crate) fn on_store(&mut self, hook: impl Fn(&StoreEvent<'_>) + Send + Sync + 'static) {
        self.store.push(Box::new(hook));
    }

    pub(crate) fn on_invalidate(
        &mut self,
        hook: impl Fn(&InvalidateEvent<'_>) + Send + Sync + 'static,
    ) {
        self.invalidate.push(Box::new(hook));
    }

    pub(crate) fn has_read(&self) -> bool {
        cfg!(feature = "metrics") || !self.read.is_empty()
    }

    pub(crate) fn read(&self, event: &ReadEvent<'_>) {
        #[cfg(feature = "metrics")]
        crate::meter::read(event);
        self.read.iter().for_each(|hook| hook(event));
    }

    pub(crate) fn store(&self, event: &StoreEvent<'_>) {
        #[cfg(feature = "metrics")]
        crate::meter::stored(event);
        self.store.iter().for_each(|hook| hook(event));
    }

    pub(crate) fn invalidate(&self, event: &InvalidateEvent<'_>) {
        #[cfg(feature = "metrics")]
        crate::meter::invalidated(event);
        self.invalidate.iter().for_each(|hook| hook(event));
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, store, invalidate } = self;
        let (read, store, invalidate) = (read.len(), store.len(), invalidate.len());
        write!(f, "Hooks({read} on read, {store} on store, {invalidate} on invalidate)")
    }
}
