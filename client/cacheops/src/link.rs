//! The link to the server: whether it may be asked, whether what it says may be trusted, and the
//! task that mends it.
//!
//! The link is *up* while there is a connection that has not failed. It is *trusted* while it is up
//! and every invalidation of this process has been confirmed. A failure takes the link down at once,
//! so that nobody waits for a dead server twice: readers go to the database, invalidations to the
//! outbox. From then on a task of its own, never a caller, tries to connect (the half-open state of a
//! circuit breaker), sends the outbox, and brings the link up.
//!
//! An invalidation whose answer was lost may or may not have happened. It goes to the outbox as if it
//! had not: repeating one is harmless.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::address::Timeouts;
use crate::endpoint::Endpoint;
use crate::outbox::{Bounds, Outbox, Ticket};
use crate::stats::{Counters, count};
use crate::{Changes, Client, Error, ErrorKind};

/// How often it is said that the server is still away: a misspelt host would else be named once, when the program starts.
const REMINDER: Duration = Duration::from_secs(60);

/// The first pause between two attempts; it doubles up to [`Settings::retry_at_most`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) retry_at_most: Duration,
    pub(crate) outbox: Bounds,
}

#[derive(Debug)]
pub(crate) struct Link {
    endpoint: Endpoint,
    settings: Settings,
    /// The connection while the link is up.
    client: RwLock<Option<Client>>,
    outbox: Mutex<Outbox>,
    /// Whether the outbox is empty, to be seen without its lock.
    confirmed: AtomicBool,
    /// Whether the mending task runs.
    mending: AtomicBool,
    /// Told after each attempt of the mending task, and at its end.
    mended: Notify,
    /// When the link was last brought up, and the pause that came before.
    recovered: Mutex<Option<(Instant, Duration)>>,
    /// Told when the link goes down.
    lost: Notify,
    /// Whether somebody looks if the server still answers.
    probing: AtomicBool,
    last_error: Mutex<Option<Arc<Error>>>,
    runtime: RwLock<Handle>,
    pub(crate) counters: Counters,
}

impl Link {
    pub(crate) fn new(endpoint: Endpoint, settings: Settings, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            settings,
            client: RwLock::new(None),
            outbox: Mutex::new(Outbox::new(settings.outbox)),
            confirmed: AtomicBool::new(true),
            mending: AtomicBool::new(false),
            mended: Notify::new(),
            recovered: Mutex::new(None),
            lost: Notify::new(),
            probing: AtomicBool::new(false),
            last_error: Mutex::new(None),
            runtime: RwLock::new(runtime),
            counters: Counters::default(),
        })
    }

    /// The first connection.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        let client = self.endpoint.connect(self.settings.timeouts).await?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(())
    }

    /// The connection, if the link is up.
    pub(crate) fn up(&self) -> Option<Client> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The connection, if what the server says may be trusted.
    pub(crate) fn trusted(&self) -> Option<Client> {
        if self.confirmed.load(Ordering::SeqCst) { self.up() } else { None }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.settings.timeouts
    }

    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The runtime for tasks from now on: that of the handle, or that of the caller if the handle's has ended. Without
    /// that nothing would ever be mended, and whoever waits for it would do so in a loop.
    fn living_runtime(&self) -> Handle {
        let runtime = self.runtime();
        // A runtime that has ended ends a task at once.
        let probe = runtime.spawn(std::future::pending::<()>());
        let has_ended = probe.is_finished();
        probe.abort();
        match Handle::try_current() {
            Ok(current) if has_ended => {
                *self.runtime.write().unwrap_or_else(PoisonError::into_inner) = current.clone();
                current
            }
            _ => runtime,
        }
    }

    /// How many unconfirmed rows and tables wait.
    pub(crate) fn waiting(&self) -> usize {
        self.outbox().len()
    }

    /// What keeps the link down.
    pub(crate) fn last_error(&self) -> Option<Arc<Error>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that a request over `client` failed, and takes the link down if others would fail too.
    pub(crate) fn failed(self: &Arc<Self>, client: &Client, error: &Error) {
        if !error.is_of_the_connection() && error.kind() != ErrorKind::Unavailable {
            return;
        }
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        // A request over an older connection says nothing about this one.
        if current.as_ref().is_some_and(|current| current.is_same(client)) {
            *current = None;
            drop(current);
            self.lost.notify_waiters();
            count(&self.counters.breaks);
            tracing::warn!(
                otel.status_code = "ERROR",
                exception.message = %error,
                "cacheops: the server is away, reads go to the database"
            );
        } else {
            drop(current);
        }
        self.mend();
    }

    /// Keeps what was not confirmed, and sees that it is sent. Until then nothing is trusted.
    pub(crate) fn queue(self: &Arc<Self>, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        {
            let mut outbox = self.outbox();
            self.confirmed.store(false, Ordering::SeqCst);
            let before = outbox.collapses;
            outbox.push(changes);
            self.note_collapses(outbox.collapses - before);
        }
        count(&self.counters.invalidations_queued);
        self.mend();
    }

    /// Waits until the link is up and everything is confirmed.
    pub(crate) async fn settled(self: &Arc<Self>) {
        while !self.settled_at_once().await {
            // Should no attempt be possible, whoever waits can still be told to stop.
            tokio::task::yield_now().await;
        }
    }

    /// Waits for one attempt to mend the link, and tells whether everything is confirmed.
    pub(crate) async fn settled_at_once(self: &Arc<Self>) -> bool {
        let mended = self.mended.notified();
        tokio::pin!(mended);
        // Registered before looking, or the end of the attempt could be missed.
        mended.as_mut().enable();
        if self.trusted().is_some() {
            return true;
        }
        self.mend();
        mended.await;
        self.trusted().is_some()
    }

    /// Whether this is the connection of the link.
    pub(crate) fn is_current(&self, client: &Client) -> bool {
        self.up().is_some_and(|current| current.is_same(client))
    }

    /// Waits until this is not the connection of the link any more.
    pub(crate) async fn lost(&self, client: &Client) {
        loop {
            let lost = self.lost.notified();
            tokio::pin!(lost);
            lost.as_mut().enable();
            if !self.is_current(client) {
                return;
            }
            lost.await;
        }
    }

    /// Watches a request: see [`Watch`].
    pub(crate) fn watch(self: &Arc<Self>, client: &Client) -> Watch {
        Watch { link: Arc::clone(self), client: client.clone(), begun: Instant::now(), done: false }
    }

    /// Starts the mending task, if there is something to mend and it does not run.
    pub(crate) fn mend(self: &Arc<Self>) {
        if self.trusted().is_some() || self.mending.swap(true, Ordering::SeqCst) {
            return;
        }
        let task = Mending { link: Arc::clone(self), runs: true };
        // The runtime of the handle: this may be called from a drop, where there is none.
        self.living_runtime().spawn(async move { task.run().await });
    }

    /// One attempt: connect, and send what waits.
    async fn attempt(self: &Arc<Self>) -> Result<(), Error> {
        let (client, is_new) = match self.up() {
            Some(client) => (client, false),
            None => (self.endpoint.connect(self.settings.timeouts).await?, true),
        };
        loop {
            let next = self.outbox().take();
            let Some((ticket, changes)) = next else { break };
            match client.send_changes(&changes).await {
                Ok(links) => {
                    self.outbox().confirmed(ticket);
                    count(&self.counters.replays);
                    tracing::info!(cacheops.links = links, "cacheops: the outbox is confirmed");
                }
                Err(error) => {
                    self.give_back(ticket, &client, is_new, &error);
                    return Err(error);
                }
            }
        }
        if is_new {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(client);
            count(&self.counters.recoveries);
            tracing::info!("cacheops: the server is back");
        }
        let outbox = self.outbox();
        // Something may have been queued since it was found empty.
        if outbox.is_empty() {
            self.confirmed.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// How long to pause before the first attempt: a server that shakes hands and then fails each request would
    /// otherwise be connected to at each.
    fn pause_if_flapping(&self) -> Option<Duration> {
        if self.up().is_some() {
            return None;
        }
        let longest = self.settings.retry_at_most;
        let (since, pause) = (*self.recovered())?;
        (since.elapsed() < longest).then(|| (pause * 2).clamp(FIRST_PAUSE.min(longest), longest))
    }

    fn recovered(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, ticket: Ticket, client: &Client, is_new: bool, error: &Error) {
        let mut outbox = self.outbox();
        let before = outbox.collapses;
        match error.kind() {
            ErrorKind::Rejected | ErrorKind::InvalidRequest => outbox.refused(ticket),
            // The server has just shaken hands, so it is this that takes too long, and would each time.
            ErrorKind::Timeout if is_new => outbox.refused(ticket),
            _ => outbox.failed(ticket),
        }
        self.note_collapses(outbox.collapses - before);
        drop(outbox);
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if error.is_of_the_connection() && current.as_ref().is_some_and(|c| c.is_same(client)) {
            *current = None;
            self.lost.notify_waiters();
            count(&self.counters.breaks);
        }
    }

    fn note(&self, error: Option<Error>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error.map(Arc::new);
    }

    fn note_collapses(&self, collapses: u64) {
        self.counters.collapses.fetch_add(collapses, Ordering::Relaxed);
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that mends a link. There is one at a time; should its runtime end, another can be started.
struct Mending {
    link: Arc<Link>,
    /// The mark of [`Link::mending`] is this task's.
    runs: bool,
}

impl Mending {
    async fn run(mut self) {
        while self.runs {
            self.mend().await;
            self.runs = false;
            let link = &self.link;
            link.mending.store(false, Ordering::SeqCst);
            // Something may have failed since the last look, and found this task still running.
            if link.trusted().is_none() && !self.is_of_no_use() {
                self.runs = !link.mending.swap(true, Ordering::SeqCst);
            }
        }
    }

    async fn mend(&self) {
        let link = &self.link;
        let mut pause = FIRST_PAUSE;
        let mut reminded = tokio::time::Instant::now();
        let flapping = link.pause_if_flapping();
        if let Some(pause) = flapping {
            tokio::time::sleep(pause).await;
        }
        while link.trusted().is_none() && !self.is_of_no_use() {
            let was_up = link.up().is_some();
            match link.attempt().await {
                Ok(()) => {
                    if !was_up {
                        *link.recovered() = Some((Instant::now(), flapping.unwrap_or_default()));
                    }
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    if reminded.elapsed() < REMINDER {
                        tracing::debug!(exception.message = %error, "cacheops: still away");
                    } else {
                        reminded = tokio::time::Instant::now();
                        tracing::warn!(
                            otel.status_code = "ERROR",
                            exception.message = %error,
                            "cacheops: the cache is still off, reads go to the database"
                        );
                    }
                    link.note(Some(error));
                    link.mended.notify_waiters();
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(link.settings.retry_at_most);
                }
            }
        }
        link.note(None);
    }

    /// Nobody is left to use the link, and nothing is left to be sent.
    fn is_of_no_use(&self) -> bool {
        Arc::strong_count(&self.link) == 1 && self.link.waiting() == 0
    }
}

impl Drop for Mending {
    fn drop(&mut self) {
        // The runtime has ended in the middle: the next reader starts another task.
        if self.runs {
            self.link.mending.store(false, Ordering::SeqCst);
        }
        self.link.mended.notify_waiters();
    }
}

/// A request under way. Callers have deadlines of their own, and may drop a request before it can
/// time out. A server that hangs would then never be found out, and every caller would wait for it:
/// so a request that is dropped late makes somebody look whether the server still answers.
pub(crate) struct Watch {
    link: Arc<Link>,
    client: Client,
    begun: Instant,
    done: bool,
}

impl Watch {
    /// The request has been answered, or has failed by itself.
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let link = &self.link;
        if self.done || self.begun.elapsed() < link.settings.timeouts.response / 20 {
            return;
        }
        if link.probing.swap(true, Ordering::SeqCst) {
            return;
        }
        let probing = Probing(Arc::clone(link));
        let client = self.client.clone();
        link.runtime().spawn(async move {
            let answer: Result<String, Error> = client.query(&redis::cmd("PING")).await;
            if let Err(error) = answer {
                probing.0.failed(&client, &error);
            }
        });
    }
}

struct Probing(Arc<Link>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.probing.store(false, Ordering::SeqCst);
    }
}
