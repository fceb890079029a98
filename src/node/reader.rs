//! Reading a shard: the log between an iterator and what is applied, decoded into changes.

use std::time::Duration;

use super::{
    Error, Node,
    operation::{Changes, LoggedChange, RecordsRequest},
    replica::Replica,
};
use crate::{
    log,
    model::id::GroupId,
    partition::{
        ShardState,
        entry::{self, Body, Entry},
    },
    raft::Published,
    stream::{Cursor, Start, last_before},
};

/// Bytes of log read at once.
const READ_BYTES: usize = 2 * 1024 * 1024;

impl Node {
    /// Where a reader of a shard starts. LATEST and AT_TIMESTAMP ask the leader; the others do not get here.
    pub(super) async fn locate_here(
        &self,
        replica: &Replica,
        stream_ms: u64,
        start: Start,
    ) -> Result<Cursor, Error> {
        self.confirm(replica, true).await?;
        let published = replica.published.borrow().clone();
        let shard = published.shard(stream_ms).ok_or(Error::Trimmed)?;
        let (first, last) = readable(&published, shard);
        let at = |index| Cursor { index, ordinal: 0 };
        match start {
            Start::TrimHorizon => Ok(at(first)),
            Start::Latest => Ok(at(last + 1)),
            Start::At(cursor) | Start::After(cursor) => Ok(cursor),
            Start::Timestamp(ms) if first > last => {
                let _ = ms;
                Ok(at(first))
            }
            Start::Timestamp(ms) => {
                let (log, group) = (self.shared.log.clone(), replica.group.id());
                let search = move || last_before(first, last, ms, |index| time_of(&log, group, index));
                let found = self.shared.environment.blocking(search).await;
                match found.map_err(|error| Error::internal("a search was cut short", &error))? {
                    Ok(found) => Ok(at(found.map_or(first, |index| index + 1))),
                    Err(log::Error::Trimmed { .. }) => Ok(at(first)),
                    Err(error) => Err(Error::internal("the log could not be read", &error)),
                }
            }
        }
    }

    /// The records of a shard that are applied here, waiting for the first if asked to.
    pub(super) async fn records_here(
        &self,
        replica: &Replica,
        request: RecordsRequest,
    ) -> Result<Changes, Error> {
        let mut published = replica.published.clone();
        let deadline = tokio::time::Instant::now() + Duration::from_millis(request.wait_ms);
        let mut cursor = request.cursor;
        loop {
            let state = published.borrow_and_update().clone();
            let page = self.page(replica.group.id(), &state, RecordsRequest { cursor, ..request }).await?;
            if !page.changes.is_empty() || page.next.is_none() || request.wait_ms == 0 {
                return Ok(page);
            }
            cursor = page.next;
            match tokio::time::timeout_at(deadline, published.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Error::no_leader()),
                Err(_) => return Ok(page),
            }
        }
    }

    async fn page(
        &self,
        group: GroupId,
        state: &Published,
        request: RecordsRequest,
    ) -> Result<Changes, Error> {
        let Some(shard) = state.shard(request.stream_ms) else {
            return match request.cursor {
                // This replica has not heard of it yet.
                _ if request.stream_ms > state.newest_stream_ms => {
                    Err(Error::Unavailable("the shard is not here yet".to_owned()))
                }
                // It was closed, and is trimmed whole: from the horizon on there is nothing.
                None => Ok(Changes { changes: Vec::new(), next: None }),
                Some(_) => Err(Error::Trimmed),
            };
        };
        let (first, last) = readable(state, shard);
        let mut cursor = match request.cursor {
            None => Cursor { index: first, ordinal: 0 },
            Some(cursor)
                if cursor.index < first
                    && state.trimmed.is_some_and(|trimmed| cursor.index <= trimmed)
                    && cursor.index > shard.opened =>
            {
                return Err(Error::Trimmed);
            }
            Some(cursor) => cursor.max(Cursor { index: first, ordinal: 0 }),
        };
        let mut page = Changes { changes: Vec::new(), next: None };
        let mut bytes = 0;
        'page: while cursor.index <= last && page.changes.len() < request.records_max {
            let entries = self.read_log(group, cursor.index, last + 1).await?;
            if entries.is_empty() {
                break;
            }
            for (at, payload) in entries {
                let room = (request.records_max, request.bytes_max.saturating_sub(bytes));
                let (taken, next) = take(at.index, cursor.ordinal, payload, room, &mut page.changes)?;
                bytes += taken;
                cursor = next;
                if cursor.index == at.index {
                    break 'page; // there was no room for all of it
                }
            }
        }
        let drained = shard.closed.is_some_and(|closed| cursor.index >= closed);
        page.next = (!drained).then_some(cursor);
        Ok(page)
    }

    /// Entries of the log: from memory at once, from disk on a thread that may block.
    async fn read_log(
        &self,
        group: GroupId,
        from: u64,
        end: u64,
    ) -> Result<Vec<(crate::model::id::Position, bytes::Bytes)>, Error> {
        let log = &self.shared.log;
        let read = if log.is_in_tail(group, from) {
            log.read(group, from, end, READ_BYTES)
        } else {
            let log = log.clone();
            let read = self.shared.environment.blocking(move || log.read(group, from, end, READ_BYTES)).await;
            read.map_err(|error| Error::internal("a read was cut short", &error))?
        };
        read.map_err(|error| match error {
            log::Error::Trimmed { .. } => Error::Trimmed,
            error => Error::internal("the log could not be read", &error),
        })
    }
}

/// First and last index that may hold records of a shard, now. Empty if the first is above the last.
fn readable(state: &Published, shard: &ShardState) -> (u64, u64) {
    let first = (shard.opened + 1).max(state.trimmed.map_or(0, |trimmed| trimmed + 1));
    let applied = state.applied.map_or(0, |applied| applied.index);
    (first, shard.closed.map_or(applied, |closed| applied.min(closed - 1)))
}

/// Takes the changes of one entry from `ordinal` on, as far as there is room, but always the first of a page; gives their
/// bytes, and where to go on.
fn take(
    index: u64,
    ordinal: u32,
    payload: bytes::Bytes,
    (records_max, bytes_max): (usize, usize),
    into: &mut Vec<LoggedChange>,
) -> Result<(usize, Cursor), Error> {
    let behind = Cursor { index: index + 1, ordinal: 0 };
    if entry::time_of(&payload).is_none() {
        return Ok((0, behind)); // one of Raft's own
    }
    let corrupt = |error: crate::model::Corrupt| Error::internal("an entry does not decode", &error);
    let Entry { now_ms, body, .. } = Entry::decode(payload).map_err(corrupt)?;
    let Body::Changes(changes) = body else { return Ok((0, behind)) };
    let mut bytes = 0;
    for (place, change) in (0..).zip(changes) {
        if place < ordinal {
            continue;
        }
        let change = change.map_err(corrupt)?;
        let fits = into.len() < records_max && bytes + change.encoded_len() <= bytes_max;
        if !fits && !into.is_empty() {
            return Ok((bytes, Cursor { index, ordinal: place }));
        }
        bytes += change.encoded_len();
        into.push(LoggedChange {
            index,
            ordinal: place,
            now_ms,
            existed: change.version_before.is_some(),
            new: change.new_image(),
            key: change.key,
            old: change.old,
        });
    }
    Ok((bytes, behind))
}

/// The stamp of an entry.
pub(super) fn time_of(log: &log::Log, group: GroupId, index: u64) -> Result<Option<u64>, log::Error> {
    let entries = log.read(group, index, index + 1, 1)?;
    Ok(entries.first().and_then(|(_, payload)| entry::time_of(payload)))
}
