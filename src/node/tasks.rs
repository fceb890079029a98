//! Named tasks with one owner, who notices when one of them ends badly.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of a node. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    fatal: Arc<watch::Sender<Option<String>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let fatal = Arc::new(watch::Sender::new(None));
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), fatal }
    }
}

impl Tasks {
    /// Runs a task until it ends or the node stops: to be used instead of `tokio::spawn`. A panic is fatal for the node.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let fatal = self.fatal.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                ended = AssertUnwindSafe(future).catch_unwind() => if ended.is_err() {
                    tracing::error!(task = name, "a task panicked: the node stops");
                    fatal.send_replace(Some(format!("task {name} panicked")));
                },
                () = stop.cancelled() => {}
            }
        });
    }

    /// Says that the node cannot go on.
    pub fn fail(&self, reason: String) {
        tracing::error!(reason, "the node cannot go on");
        self.fatal.send_replace(Some(reason));
    }

    /// Waits until the node cannot go on, and says why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        let failed = fatal.wait_for(Option::is_some).await.map(|reason| reason.clone());
        failed.ok().flatten().unwrap_or_default()
    }

    /// Ends when the node stops.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stop.clone().cancelled_owned()
    }

    /// Lets all tasks end; they are not waited for.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Stops all tasks and waits for them, but not longer than `patience`.
    pub async fn stop(&self, patience: Duration) {
        self.cancel();
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "some tasks did not stop in time");
        }
    }
}
