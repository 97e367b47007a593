//! `no_invalidation`: writes that shall not be told to the cache.

tokio::task_local! {
    static SUPPRESSED: ();
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
