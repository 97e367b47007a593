//! Futures that go on when their caller is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Runs a future to completion even if the returned one is dropped, in a task of its own. A future that was never polled
/// has not begun, and is dropped.
///
/// This is for writes and commits, and for the invalidation that follows them. A statement that the database has received
/// goes on there when its future is dropped, and takes effect at a time that the program does not learn: behind a lock it
/// may take long. An invalidation that is sent at the drop comes too early then, and a reader may store the rows as they
/// were before.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use cacheops_adapter::run_to_completion;
/// use tokio::sync::oneshot;
///
/// let (release, released) = oneshot::channel::<()>();
/// let (done, completed) = oneshot::channel();
/// let mut write = Box::pin(run_to_completion(async move {
///     released.await.unwrap();
///     done.send("written").unwrap();
/// }));
/// tokio::select! {
///     biased;
///     () = &mut write => unreachable!(),
///     () = std::future::ready(()) => {}
/// }
/// drop(write);
/// release.send(()).unwrap();
/// assert_eq!(completed.await, Ok("written"));
/// # });
/// ```
pub fn run_to_completion<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = T> + Send {
    RunToCompletion { future: Some(Box::pin(future)), runtime: None }
}

struct RunToCompletion<T: Send + 'static> {
    /// None: it has ended.
    future: Option<Boxed<T>>,
    /// Where it goes on; none before the first poll.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> Future for RunToCompletion<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.runtime.is_none() {
            self.runtime = Handle::try_current().ok();
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

impl<T: Send + 'static> Drop for RunToCompletion<T> {
    fn drop(&mut self) {
        if let (Some(future), Some(runtime)) = (self.future.take(), &self.runtime) {
            runtime.spawn(async move { drop(future.await) });
        }
    }
}
