//! Collects what leaders have to report to the catalog and sends it in one command, until it has arrived.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::mpsc;

use super::{handle::Node, tasks::Tasks};
use crate::{
    catalog::{Command, Report},
    model::id::GroupId,
};

/// Reports that may wait; the newest of a group replaces the older ones when they are collected.
const QUEUE_MAX: usize = 16_384;
/// How long reports are collected.
const COLLECT: Duration = Duration::from_millis(5);

/// Takes reports. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reporter {
    queue: mpsc::Sender<Report>,
    tasks: Tasks,
}

impl Reporter {
    /// A reporter, and what it collects.
    pub fn new(tasks: Tasks) -> (Self, mpsc::Receiver<Report>) {
        let (queue, reports) = mpsc::channel(QUEUE_MAX);
        (Self { queue, tasks }, reports)
    }

    /// Sends a report, sooner or later.
    pub fn report(&self, report: Report) {
        if self.queue.try_send(report).is_err() {
            tracing::warn!("too many reports: one is lost until its group changes again");
        }
    }

    /// Runs something of a replica's beside its loop.
    pub fn spawn(&self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(name, future);
    }
}

/// Sends reports until there are no more.
pub(super) async fn run(node: Node, mut reports: mpsc::Receiver<Report>) {
    let mut waiting: BTreeMap<GroupId, Report> = BTreeMap::new();
    loop {
        if waiting.is_empty() {
            let Some(report) = reports.recv().await else { return };
            waiting.insert(report.group, report);
            tokio::time::sleep(COLLECT).await;
        }
        while let Ok(report) = reports.try_recv() {
            waiting.insert(report.group, report);
        }
        // Reports say how things are, so sending one twice does no harm.
        let command = Command::Report(waiting.values().cloned().collect());
        match node.command(command).await {
            Ok(_) => waiting.clear(),
            Err(error) => {
                tracing::debug!(%error, "reports wait");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
