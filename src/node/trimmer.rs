//! Retention: leaders move the trim horizon by an entry in the log; every node then cuts its logs behind it.
//!
//! A log without a stream is kept only for replicas that fall behind for a moment ([`PLAIN_MS`]); one with a stream
//! for the table's retention. Either way the horizon is replicated, so all replicas agree on it; a node cuts its log
//! at the horizon or at the last entry its item store has flushed, whichever is lower.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Node, reader::time_of, replica::Replica};
use crate::{
    log::Log,
    model::id::{GroupId, Position},
    partition::{
        Control,
        entry::{Body, Entry},
    },
    raft::Published,
    stream::{CLOCK_OFFSET_MS_MAX, cutoff, last_before},
};

/// How often groups are looked at, at most.
const TICK: Duration = Duration::from_secs(1);
/// How long a log without a stream is kept, milliseconds.
const PLAIN_MS: u64 = 60_000;
/// A log without a stream is cut only for so many entries at once: the cut is an entry itself.
const PLAIN_ENTRIES_MIN: u64 = 64;
/// The longest time between two looks at a group.
const LOOK_MS_MAX: u64 = 300_000;

/// Trims until the node stops.
pub(super) async fn run(node: Node) {
    let mut due: BTreeMap<GroupId, Instant> = BTreeMap::new();
    let mut warned = false;
    loop {
        tokio::time::sleep(TICK).await;
        let offset_ms = clock_offset_ms_max(&node);
        for replica in node.replicas() {
            let group = replica.group.id();
            if !replica.serves() || due.get(&group).is_some_and(|due| *due > Instant::now()) {
                continue;
            }
            let keep_ms = keep_ms(&node, &replica);
            due.insert(group, Instant::now() + Duration::from_millis((keep_ms / 20).clamp(1, LOOK_MS_MAX)));
            match cutoff(node.now_ms(), keep_ms, offset_ms) {
                Some(cutoff_ms) => {
                    warned = false;
                    move_horizon(&node, &replica, cutoff_ms).await;
                }
                None if !warned => {
                    warned = true;
                    tracing::warn!(
                        offset_ms,
                        "clocks are too far apart: nothing is trimmed until they agree"
                    );
                }
                None => {}
            }
        }
        cut(&node).await;
    }
}

/// How far the clock of another node may be from this one's, milliseconds. One that was not measured since this node
/// started may be as far as is put up with: a node that is gone has stamped entries, too.
fn clock_offset_ms_max(node: &Node) -> u64 {
    let (catalog, peers) = (node.catalog(), &node.shared.peers);
    let offset_ms = |id| peers.clock_offset_ms(id).map_or(CLOCK_OFFSET_MS_MAX, i64::unsigned_abs);
    catalog.nodes.keys().map(|id| offset_ms(*id)).max().unwrap_or(0)
}

/// How long this replica's log is kept, milliseconds.
fn keep_ms(node: &Node, replica: &Replica) -> u64 {
    if replica.published.borrow().shards.is_empty() {
        return PLAIN_MS;
    }
    let catalog = node.catalog();
    catalog.tables.get(&replica.table).map_or(crate::model::limits::RETENTION_MS, |table| table.retention_ms)
}

/// On the leader: proposes the new horizon, if there is something behind it.
async fn move_horizon(node: &Node, replica: &Replica, cutoff_ms: u64) {
    let state = replica.published.borrow().clone();
    let (log, group) = (node.shared.log.clone(), replica.group.id());
    let trimmed = state.trimmed;
    let find = move || horizon(&log, group, &state, cutoff_ms);
    let found = match node.shared.environment.blocking(find).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return tracing::warn!(group = group.0, %error, "the horizon was not found"),
        Err(error) => return tracing::warn!(group = group.0, %error, "the horizon was not found"),
    };
    // One that does not move would be an entry for nothing, at every look.
    if let Some(index) = found.filter(|index| Some(*index) > trimmed) {
        match replica.control(Control::Trim { index }).await {
            Ok(_) => tracing::debug!(group = group.0, index, "trimmed"),
            Err(error) => tracing::debug!(group = group.0, %error, "not trimmed yet"),
        }
    }
}

/// The last index that may go, if it is worth an entry.
fn horizon(
    log: &Log,
    group: GroupId,
    state: &Published,
    cutoff_ms: u64,
) -> Result<Option<u64>, crate::log::Error> {
    let floor = log.state(group).and_then(|state| state.floor).map(|floor| floor.index);
    let first = floor.max(state.trimmed).map_or(0, |index| index + 1);
    let Some(applied) = state.applied.map(|applied| applied.index) else { return Ok(None) };
    if applied < first || (state.shards.is_empty() && applied - first < PLAIN_ENTRIES_MIN) {
        return Ok(None);
    }
    let found = last_before(first, applied, cutoff_ms, |index| time_of(log, group, index))?;
    let Some(last) = found else { return Ok(None) };
    let count = last + 1 - first;
    let worth = if state.shards.is_empty() {
        count >= PLAIN_ENTRIES_MIN
    } else {
        state.shards.iter().any(|shard| shard.closed.is_some_and(|closed| closed <= last))
            || count > 16
            || holds_changes(log, group, first, last + 1)?
    };
    Ok(worth.then_some(last))
}

fn holds_changes(log: &Log, group: GroupId, from: u64, end: u64) -> Result<bool, crate::log::Error> {
    let entries = log.read(group, from, end, usize::MAX)?;
    let is_change = |payload: bytes::Bytes| {
        Entry::decode(payload).is_ok_and(|entry| matches!(entry.body, Body::Changes(_)))
    };
    Ok(entries.into_iter().any(|(_, payload)| is_change(payload)))
}

/// On every replica: cuts the log at the horizon.
async fn cut(node: &Node) {
    let wanting: Vec<_> = node
        .replicas()
        .into_iter()
        .filter_map(|replica| {
            let (trimmed, applied) = {
                let published = replica.published.borrow();
                (published.trimmed?, published.applied?.index)
            };
            let floor = node.shared.log.state(replica.group.id()).and_then(|state| state.floor);
            let target = trimmed.min(applied).min(slowest_follower(node, &replica));
            let held = replica.sending.load(std::sync::atomic::Ordering::Acquire) > 0;
            (!held && floor.is_none_or(|floor| floor.index < target)).then_some((replica, target))
        })
        .collect();
    if wanting.is_empty() {
        return;
    }
    let items = node.shared.items.clone();
    match node.shared.environment.blocking(move || items.flush()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return tracing::warn!(%error, "items were not flushed: logs are kept"),
        Err(error) => return tracing::warn!(%error, "items were not flushed: logs are kept"),
    }
    for (replica, index) in wanting {
        let group = replica.group.id();
        match node.shared.log.term_of(group, index) {
            Ok(Some(term)) => {
                replica.group.set_floor(Position::new(term, index)).await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(group = group.0, %error, "the log is kept"),
        }
    }
}

/// How far the slowest follower that is alive has got, on the leader: cutting beyond it would cost a snapshot.
fn slowest_follower(node: &Node, replica: &Replica) -> u64 {
    if !replica.serves() {
        return u64::MAX;
    }
    let alive = replica.group.status().matched.into_iter();
    let alive = alive.filter(|(follower, _)| node.shared.peers.is_alive(*follower) && *follower != node.id());
    alive.map(|(_, matched)| matched.unwrap_or(0)).min().unwrap_or(u64::MAX)
}
