//! What a task is inside of: `no_invalidation`, whose writes shall not be told to the cache, and loaders.

use std::sync::Arc;

tokio::task_local! {
    static SUPPRESSED: ();
    static LOADING: Arc<Loading>;
}

/// A key for which others wait while this task loads it, and the one for which it loads that.
struct Loading {
    key: Vec<u8>,
    around: Option<Arc<Self>>,
}

/// Whether the current task is inside a [`suppress`]ed future.
pub(crate) fn is_suppressed() -> bool {
    SUPPRESSED.try_with(|()| ()).is_ok()
}

/// Runs a future in which nothing is invalidated. Other tasks, also those that it spawns, are not
/// concerned.
pub(crate) async fn suppress<F: Future>(future: F) -> F::Output {
    SUPPRESSED.scope((), future).await
}

/// Runs the loader of a key for which others wait.
pub(crate) async fn loading<F: Future>(key: &[u8], loader: F) -> F::Output {
    let around = LOADING.try_with(Arc::clone).ok();
    LOADING.scope(Arc::new(Loading { key: key.to_vec(), around }), loader).await
}

/// Whether this task is inside the loader of this key: to wait for that would be to wait for itself.
pub(crate) fn is_loading(key: &[u8]) -> bool {
    let found = LOADING.try_with(|innermost| {
        let mut loaders = std::iter::successors(Some(innermost), |loader| loader.around.as_ref());
        loaders.any(|loader| loader.key == key)
    });
    found.unwrap_or_default()
}
