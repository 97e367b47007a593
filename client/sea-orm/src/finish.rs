//! What is begun is finished, whoever stops waiting for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A write or a commit, and what follows from it.
///
/// A statement that the database has been sent goes on there when its future is dropped, and takes effect at a time
/// that nobody is told: behind a lock it may take long. What is invalidated at the drop comes too early then, and a
/// reader may store what was there before. So a task of its own goes on with what was begun, to its end.
pub(crate) struct Finish<T: Send + 'static> {
    /// None: it has ended.
    future: Option<Boxed<T>>,
    /// Where it goes on; none while nothing was begun.
    begun: Option<Handle>,
}

impl<T: Send + 'static> Finish<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { future: Some(Box::pin(future)), begun: None }
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.begun.is_none() {
            self.begun = Handle::try_current().ok();
        }
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        // If it panics, it is over.
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        if let (Some(future), Some(runtime)) = (self.future.take(), &self.begun) {
            runtime.spawn(async move { drop(future.await) });
        }
    }
}
