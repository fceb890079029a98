//! Collects how far triggers and consumers have come, and keeps it in the catalog: one command for all shards of the
//! node.
//!
//! What is told of a shard replaces what was told of it before and is not kept yet. A node that dies takes at most what
//! was told within `COLLECT` and not acknowledged: records are delivered again then, never skipped.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::handle::Node;
use crate::{
    catalog::{
        Command, ConsumedReport, ConsumerCommand, ConsumerKey, Place, ProgressReport, ShardKey,
        ShardProgress, TriggerCommand,
    },
    model::id::TriggerId,
};

/// How long progress is collected. Much shorter than the shortest pause before a batch is tried again, so that a failure
/// is kept before that.
const COLLECT: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(100);
/// Reports in one command.
const REPORTS_MAX: usize = 1000;

/// What waits to be kept.
#[derive(Default)]
struct Waiting {
    triggers: BTreeMap<(TriggerId, ShardKey), ShardProgress>,
    consumers: BTreeMap<(ConsumerKey, ShardKey), (u64, u64, Place)>,
}

/// Takes progress.
#[derive(Default)]
pub(super) struct ProgressKeeper {
    waiting: Mutex<Waiting>,
    told: Notify,
}

impl ProgressKeeper {
    /// Keeps how far a trigger is in a shard, soon.
    pub fn tell(&self, id: TriggerId, shard: ShardKey, progress: ShardProgress) {
        self.change(|waiting| drop(waiting.triggers.insert((id, shard), progress)));
    }

    /// Keeps how far a consumer is in a shard, soon.
    pub fn tell_consumed(&self, report: ConsumedReport) {
        let ConsumedReport { key, shard, member, epoch, place } = report;
        self.change(|waiting| drop(waiting.consumers.insert((key, shard), (member, epoch, place))));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Waiting) -> T) -> T {
        let changed = change(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.told.notify_one();
        changed
    }

    fn take(&self) -> Waiting {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken =
            Waiting { triggers: first(&mut waiting.triggers), consumers: first(&mut waiting.consumers) };
        if !waiting.triggers.is_empty() || !waiting.consumers.is_empty() {
            self.told.notify_one();
        }
        taken
    }

    /// What was not kept waits again, unless there is something newer.
    fn put_back(&self, taken: Waiting) {
        self.change(|waiting| {
            for (key, progress) in taken.triggers {
                waiting.triggers.entry(key).or_insert(progress);
            }
            for (key, place) in taken.consumers {
                waiting.consumers.entry(key).or_insert(place);
            }
        });
    }
}

/// As many of them as fit into one command.
fn first<K: Ord + Clone, V>(waiting: &mut BTreeMap<K, V>) -> BTreeMap<K, V> {
    let rest = waiting.keys().nth(REPORTS_MAX).cloned().map(|from| waiting.split_off(&from));
    std::mem::replace(waiting, rest.unwrap_or_default())
}

impl Waiting {
    /// The commands that keep it. Told twice they are the same, and what is of an older epoch is ignored.
    fn commands(&self) -> Vec<Command> {
        let triggers = self.triggers.iter().map(|((id, shard), progress)| ProgressReport {
            id: *id,
            shard: *shard,
            progress: progress.clone(),
        });
        let consumers = self.consumers.iter().map(|((key, shard), (member, epoch, place))| ConsumedReport {
            key: key.clone(),
            shard: *shard,
            member: *member,
            epoch: *epoch,
            place: place.clone(),
        });
        let (triggers, consumers): (Vec<_>, Vec<_>) = (triggers.collect(), consumers.collect());
        let triggers = (!triggers.is_empty()).then(|| Command::Trigger(TriggerCommand::Progress(triggers)));
        let consumers =
            (!consumers.is_empty()).then(|| Command::Consumer(ConsumerCommand::Progress(consumers)));
        triggers.into_iter().chain(consumers).collect()
    }
}

/// Keeps progress until the node stops.
pub(super) async fn run(node: Node) {
    let keeper = &node.shared.progress;
    loop {
        keeper.told.notified().await;
        tokio::time::sleep(COLLECT).await;
        let taken = keeper.take();
        for command in taken.commands() {
            if let Err(error) = node.command(command).await {
                tracing::debug!(%error, "progress waits");
                keeper.put_back(taken);
                tokio::time::sleep(RETRY).await;
                break;
            }
        }
    }
}
