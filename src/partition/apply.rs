//! Applying entries: total, deterministic, without reads.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::entry::{Body, Control, Entry};
use crate::model::{Corrupt, StreamViewType, id::Position};

/// What a partition knows besides its items: stored with them, atomically, in each batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The last entry applied.
    pub applied: Option<Position>,
    /// The last entry whose effect is in the items. Ahead of `applied` only after the import of a snapshot, whose
    /// items are newer than the place in the log it is presented at: entries up to here are stepped over.
    pub items_at: Option<Position>,
    /// The streams of this partition's log, oldest first; closed ones leave when they are trimmed whole.
    pub shards: Vec<ShardState>,
    /// The newest stream that ever had a shard here: it, and older ones, have none again.
    pub newest_stream_ms: u64,
    /// The trim horizon all replicas agree on: records at or below this index are gone.
    pub trimmed: Option<u64>,
    /// The newest time stamp applied, ms since 1970.
    pub now_ms: u64,
    /// How many items there are.
    pub items: u64,
    /// Their sizes in bytes, as DynamoDB counts them.
    pub bytes: u64,
}

/// One stream in one partition's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardState {
    /// The stream: when it was asked for, ms since 1970.
    pub stream_ms: u64,
    /// What its records show.
    pub view_type: StreamViewType,
    /// The index of the entry that opened it; its records lie behind.
    pub opened: u64,
    /// The index of the entry that closed it; its records lie before.
    pub closed: Option<u64>,
    /// When it was closed, ms since 1970.
    pub closed_ms: Option<u64>,
}

/// What applying an entry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Items, or nothing but the position.
    Items,
    /// A shard was opened or closed.
    Shards,
    /// The trim horizon moved.
    Trimmed,
}

impl State {
    /// The shard that is open, if there is one.
    pub fn open_shard(&self) -> Option<&ShardState> {
        self.shards.last().filter(|shard| shard.closed.is_none())
    }

    /// The shard of a stream.
    pub fn shard(&self, stream_ms: u64) -> Option<&ShardState> {
        self.shards.iter().find(|shard| shard.stream_ms == stream_ms)
    }

    /// Applies the entry at `position` (`None`: one of Raft's own, which has no effect here), adding what it
    /// changes to `writes`.
    ///
    /// # Panics
    /// If the entry is not the next one, or was evaluated in another term than it is logged in: divergence is
    /// worse than a crash.
    pub fn apply(
        &mut self,
        position: Position,
        entry: Option<Entry>,
        writes: &mut Vec<(Bytes, Option<Bytes>)>,
    ) -> Result<Applied, Corrupt> {
        let next = self.applied.map_or(0, |applied| applied.index + 1);
        assert!(position.index == next, "entry {position} is applied where index {next} is due");
        assert!(self.applied.is_none_or(|applied| applied.term <= position.term), "terms fall at {position}");
        let stepped_over = self.items_at.is_some_and(|at| position.index <= at.index);
        self.applied = Some(position);
        let Some(entry) = entry else { return Ok(Applied::Items) };
        assert!(
            entry.term == position.term,
            "the entry at {position} was evaluated in term {}: the fence did not hold",
            entry.term
        );
        if stepped_over {
            return Ok(Applied::Items);
        }
        assert!(entry.now_ms >= self.now_ms, "time runs backwards at {position}");
        self.now_ms = entry.now_ms;
        match entry.body {
            Body::Changes(changes) => {
                for change in changes {
                    let change = change?;
                    self.items -= u64::from(change.version_before.is_some());
                    self.items += u64::from(change.stored.is_some());
                    self.bytes = self.bytes.strict_add_signed(change.growth.into());
                    writes.push((change.key, change.stored));
                }
                Ok(Applied::Items)
            }
            Body::Control(control) => Ok(self.apply_control(position.index, entry.now_ms, control)),
        }
    }

    fn apply_control(&mut self, index: u64, now_ms: u64, control: Control) -> Applied {
        match control {
            Control::OpenShard { stream_ms, view_type } => {
                // A leader whose catalog is older than its log may ask for what was already.
                if self.open_shard().is_some() || stream_ms <= self.newest_stream_ms {
                    return Applied::Items;
                }
                self.newest_stream_ms = stream_ms;
                self.shards.push(ShardState {
                    stream_ms,
                    view_type,
                    opened: index,
                    closed: None,
                    closed_ms: None,
                });
                Applied::Shards
            }
            Control::CloseShard { stream_ms } => {
                let shard = self.shards.iter_mut().find(|shard| shard.stream_ms == stream_ms);
                if let Some(shard) = shard.filter(|shard| shard.closed.is_none()) {
                    shard.closed = Some(index);
                    shard.closed_ms = Some(now_ms);
                }
                Applied::Shards
            }
            Control::Trim { index: to } => {
                assert!(to < index, "a trim at {index} reaches {to}");
                self.trimmed = self.trimmed.max(Some(to));
                self.shards.retain(|shard| shard.closed.is_none_or(|closed| closed > to));
                Applied::Trimmed
            }
        }
    }
}
