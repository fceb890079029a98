//! openraft's log storage over the node's log.

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use openraft::{
    EntryPayload, LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};
use tokio::sync::{oneshot, watch};

use super::type_config::{
    Entry, LogId, Members, TypeConfig, Vote, decode_entry, decode_vote, encode_entry, encode_vote, log_id,
    position,
};
use crate::{
    log::Log,
    model::id::{GroupId, NodeId, Position},
};

/// Bytes of entries read at once for replication: a message stays well below the limit of an RPC.
const READ_BYTES: usize = 2 * 1024 * 1024;

/// One group's part of the log.
pub struct LogStore {
    reader: LogReader,
    /// Index of the last durable entry.
    durable: watch::Sender<Option<u64>>,
}

/// Reads one group's part of the log.
#[derive(Clone)]
pub struct LogReader {
    log: Log,
    group: GroupId,
    /// The index behind the last entry submitted. An entry below that the log does not have was refused by the disk:
    /// nobody may take it for one that never was.
    submitted_end: Arc<AtomicU64>,
}

impl LogStore {
    /// The part of `group`, and what tells the index of its last durable entry.
    pub fn new(log: Log, group: GroupId) -> (Self, watch::Receiver<Option<u64>>) {
        let last = log.state(group).and_then(|state| state.last).map(|last| last.index);
        let (durable, watching) = watch::channel(last);
        let submitted_end = Arc::new(AtomicU64::new(last.map_or(0, |last| last + 1)));
        (Self { reader: LogReader { log, group, submitted_end }, durable }, watching)
    }

    /// Whether the log holds anything of the group but a vote.
    pub fn is_empty(&self) -> bool {
        let state = self.reader.log.state(self.reader.group);
        state.is_none_or(|state| state.last.is_none() && state.floor.is_none())
    }

    /// Whether this node has voted in the group, in this run or an earlier one.
    pub fn has_voted(&self) -> bool {
        self.reader.log.state(self.reader.group).is_some_and(|state| state.vote.is_some())
    }

    /// Writes the first entry of a new group, its members, and returns once it is durable. Every founder writes the same
    /// one, whatever it has voted since: no leader can have another. Errors: the disk has no room; nothing was written.
    pub async fn found(&self, founders: &[NodeId]) -> io::Result<()> {
        assert!(self.is_empty(), "only a group without entries is founded");
        let nodes = founders.iter().map(|node| node.0).collect();
        let members = Members { configs: vec![nodes], nodes: founders.iter().map(|node| node.0).collect() };
        let entry = encode_entry(&EntryPayload::Membership(members.membership()));
        let (group, first) = (self.reader.group, vec![(Position::new(0, 0), entry)]);
        self.wait(|log, done| log.append(group, first, done)).await?;
        self.durable.send_replace(Some(0));
        self.reader.submitted_end.store(1, Ordering::Release);
        Ok(())
    }

    async fn wait(&self, submit: impl FnOnce(&Log, crate::log::Done)) -> io::Result<()> {
        let (sender, done) = oneshot::channel();
        submit(
            &self.reader.log,
            Box::new(move |result| {
                let _ = sender.send(result); // the group may be shutting down
            }),
        );
        done.await.map_err(|_| io::Error::other("the log was closed"))?.map_err(io::Error::other)
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(range, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, READ_BYTES)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let vote = self.log.state(self.group).and_then(|state| state.vote);
        vote.map(|bytes| decode_vote(&bytes)).transpose()
    }
}

impl LogReader {
    fn read(&self, range: impl RangeBounds<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        // Before the state: what was submitted by now is in it.
        let submitted_end = self.submitted_end.load(Ordering::Acquire);
        let Some(state) = self.log.state(self.group) else { return Ok(Vec::new()) };
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let from = from.max(state.first_index);
        let known_end = state.last.map_or(0, |last| last.index + 1);
        if known_end < end.min(submitted_end) {
            return Err(io::Error::other(format!(
                "the disk refused entries of group {} from {known_end} on",
                self.group
            )));
        }
        let end = end.min(known_end);
        let mut entries = Vec::new();
        let (mut next, mut left) = (from, bytes_max);
        while next < end {
            let read = self.log.read(self.group, next, end, left).map_err(io::Error::other)?;
            if read.is_empty() {
                break;
            }
            for (at, bytes) in read {
                next = at.index + 1;
                left = left.saturating_sub(bytes.len());
                entries.push(decode_entry(at, bytes)?);
            }
            if left == 0 || bytes_max != usize::MAX {
                break;
            }
        }
        Ok(entries)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let state = self.reader.log.state(self.reader.group);
        let (floor, last) = state.map_or((None, None), |state| (state.floor, state.last));
        Ok(LogState { last_purged_log_id: floor.map(log_id), last_log_id: last.map(log_id) })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let bytes = encode_vote(vote);
        let group = self.reader.group;
        self.wait(|log, done| log.save_vote(group, bytes, done)).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|entry| (position(&entry.log_id), encode_entry(&entry.payload)))
            .collect();
        let Some(last) = entries.last().map(|(at, _)| at.index) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        let durable = self.durable.clone();
        let done = move |result: Result<(), crate::log::Error>| {
            if result.is_ok() {
                durable.send_replace(Some(last));
            }
            callback.io_completed(result.map_err(io::Error::other));
        };
        self.reader.log.append(self.reader.group, entries, Box::new(done));
        // From here on the log has them, or has refused them.
        self.reader.submitted_end.store(last + 1, Ordering::Release);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let group = self.reader.group;
        let after = last.as_ref().map(position);
        self.reader.submitted_end.fetch_min(after.map_or(0, |after| after.index + 1), Ordering::AcqRel);
        self.wait(|log, done| log.truncate(group, after, done)).await?;
        self.durable.send_if_modified(|durable| {
            let shortened = *durable > after.map(|at| at.index);
            if shortened {
                *durable = after.map(|at| at.index);
            }
            shortened
        });
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        let group = self.reader.group;
        let upto = position(&upto);
        self.wait(|log, done| log.trim(group, upto, done)).await?;
        self.durable.send_if_modified(|durable| {
            let moved = *durable < Some(upto.index);
            if moved {
                *durable = Some(upto.index);
            }
            moved
        });
        Ok(())
    }
}

#[cfg(test)]
#[path = "log_store_test.rs"]
mod tests;
