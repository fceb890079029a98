//! One shard in the hands of a member: what was read of it, what was sent, what is acknowledged.
//!
//! A copy of the partition's items goes page by page. Before a page, read as of some place of the log, is sent, the
//! changes up to that place are sent of the items that were copied before. So at every page, what was sent adds up to the
//! copied part of the partition as it was at that place, and where the copy stands is a stored key and a cursor, however
//! long it takes. (After DBLog: Andreakis, Papapanagiotou, "DBLog: A Watermark Based Change-Data-Capture Framework",
//! 2020; here the log's own positions are the watermarks.)

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use super::{
    Error, Node,
    consumers::OpenConsumer,
    copy::{Copied, CopyRequest},
    operation::{Changes, LoggedChange, RecordsRequest},
    streams::{PAGE_BYTES, project},
};
use crate::{
    catalog::{Consumed, Partition, Place, Stream, Table},
    delivery::Subject,
    model::{Corrupt, StreamViewType, limits::RECORDS_PER_PAGE_MAX},
    stream::{Cursor, Projection, Record, ShardId, StreamArn},
};

/// How long a shard is waited for that has nothing new.
const WAIT_MS: u64 = 1000;
/// How long to wait before a shard is read again that could not be read.
const RETRY: Duration = Duration::from_millis(50);
/// Batches of one shard that are sent and not acknowledged.
const BATCHES_MAX: usize = 1000;

/// What was read.
pub(super) enum Reading {
    Changes(Result<Changes, Error>),
    Copied(Result<Copied, Error>),
}

/// What is sent.
pub(super) struct Sending {
    pub records: Vec<Record>,
    pub is_copy: bool,
    pub copy_ends: bool,
    pub has_gap: bool,
}

/// Where a record is behind which one may stop.
enum Mark {
    Change(Cursor),
    Item(Bytes),
}

/// What was read and is to be sent.
struct Page {
    records: VecDeque<(Mark, Record)>,
    /// Whether they are items.
    is_copy: bool,
    /// Where the shard is with all of it.
    behind: Place,
}

/// See the top of this file.
pub(super) struct Held {
    pub stream: StreamArn,
    pub id: ShardId,
    pub epoch: u64,
    projection: Projection,
    /// The index of the log the shard was opened at.
    opened: u64,
    /// Where reading goes on.
    read: Place,
    /// What was sent.
    pub sent: Place,
    /// What is acknowledged.
    pub acknowledged: Place,
    /// What was told to be acknowledged, and when.
    told: (Place, Instant),
    /// Batches that are not acknowledged.
    unacknowledged: VecDeque<(u64, Place)>,
    page: Option<Page>,
    /// A page of items that waits for the changes before it.
    copied: Option<Copied>,
    is_reading: bool,
    has_gap: bool,
    /// Whether it was told that there is nothing more at the moment.
    is_idle: bool,
    /// Until when it may be kept that is to go to another.
    to_go: Option<Instant>,
    /// Whether it is being let go of.
    pub is_released: bool,
}

impl Held {
    pub fn new(table: &Table, stream: &Stream, partition: &Partition, consumed: &Consumed) -> Self {
        Self {
            stream: StreamArn { table: table.name.clone(), stream_ms: stream.stream_ms },
            id: ShardId { created_ms: stream.stream_ms, group: partition.group },
            epoch: consumed.epoch,
            projection: Projection {
                group: partition.group,
                generation: partition.generation,
                view_type: stream.view_type,
                key_schema: table.key_schema.clone(),
            },
            opened: stream.shards.get(&partition.group).map_or(0, |shard| shard.opened),
            read: consumed.place.clone(),
            sent: consumed.place.clone(),
            acknowledged: consumed.place.clone(),
            told: (consumed.place.clone(), Instant::now()),
            unacknowledged: VecDeque::new(),
            page: None,
            copied: None,
            is_reading: false,
            has_gap: false,
            is_idle: false,
            to_go: None,
            is_released: false,
        }
    }

    /// Whether the shard is to go to another member, and until when it may be kept at most.
    pub fn is_to_go(&mut self, is_to_go: bool, until: Instant) {
        if is_to_go && self.to_go.is_none() {
            self.to_go = Some(until);
            // What was read and not sent, the other reads.
            (self.page, self.copied, self.read) = (None, None, self.sent.clone());
        }
        if !is_to_go && !self.is_released {
            self.to_go = None;
        }
    }

    pub fn to_go_until(&self) -> Option<Instant> {
        self.to_go.filter(|_| !self.is_released)
    }

    pub fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Begins to read on, if that is to be.
    pub fn read(&mut self, node: &Node, credit: u64) -> Option<BoxFuture<'static, Reading>> {
        let waits = self.is_reading || self.page.is_some() || self.to_go.is_some();
        if waits || self.unacknowledged.len() >= BATCHES_MAX {
            return None;
        }
        let limit = usize::try_from(credit).unwrap_or(usize::MAX).clamp(1, RECORDS_PER_PAGE_MAX);
        let node = node.clone();
        let group = self.id.group;
        let (cursor, wait_ms) = match &self.read {
            Place::Done => return None,
            Place::At(cursor) => (*cursor, if self.is_idle { WAIT_MS } else { 0 }),
            Place::Copying { behind, next } => match &self.copied {
                Some(_) => (*next, 0),
                None => {
                    self.is_reading = true;
                    let at_least = next.map_or(0, |next| next.index.saturating_sub(1));
                    let behind = behind.clone();
                    // What changed before the shard was opened is in no record: it has to be in the copy.
                    let at_least = at_least.max(self.opened);
                    let request = CopyRequest { behind, items_max: limit, at_least };
                    let read =
                        async move { Reading::Copied(patiently(node.copy(group, request).await).await) };
                    return Some(read.boxed());
                }
            },
        };
        self.is_reading = true;
        let request = RecordsRequest {
            group,
            stream_ms: self.id.created_ms,
            cursor,
            records_max: limit,
            bytes_max: PAGE_BYTES,
            wait_ms,
            consistent: false,
        };
        let read = async move { Reading::Changes(patiently(node.records_to_the_end(request).await).await) };
        Some(read.boxed())
    }

    /// Takes what was read. Errors: what cannot be read any more.
    pub fn take(&mut self, read: Reading, asked: &OpenConsumer, now_ms: u64) -> Result<(), Error> {
        self.is_reading = false;
        if self.to_go.is_some() {
            return Ok(()); // it is read again, by whoever has the shard then
        }
        let taken = match read {
            Reading::Copied(Ok(copied)) => {
                self.copied = Some(copied);
                self.take_copy(asked, now_ms)
            }
            Reading::Changes(Ok(changes)) => self.take_changes(changes, asked, now_ms),
            Reading::Changes(Err(Error::Trimmed)) => {
                self.has_gap = true;
                self.copied = None;
                self.read = match self.read {
                    // Without all changes, what was copied is worth nothing.
                    Place::Copying { .. } => Place::Copying { behind: None, next: None },
                    Place::At(_) | Place::Done => Place::At(None),
                };
                Ok(())
            }
            Reading::Changes(Err(error)) | Reading::Copied(Err(error)) if error.is_unavailable() => Ok(()),
            Reading::Changes(Err(error)) | Reading::Copied(Err(error)) => return Err(error),
        };
        taken.map_err(|error| Error::internal("a logged change or an item does not decode", &error))
    }

    fn take_changes(&mut self, changes: Changes, asked: &OpenConsumer, now_ms: u64) -> Result<(), Corrupt> {
        let Changes { mut changes, mut next } = changes;
        let is_drained = changes.is_empty();
        if let (Place::Copying { behind, .. }, Some(copied)) = (&self.read, &self.copied) {
            let up_to = Cursor { index: copied.index + 1, ordinal: 0 };
            changes.retain(|change| change.index <= copied.index && Some(&change.key) <= behind.as_ref());
            // A shard that was closed before the copy ends has no more changes to wait for.
            next = Some(next.map_or(up_to, |next| next.min(up_to)));
        }
        let mut records = VecDeque::new();
        for change in changes {
            let mark = Mark::Change(Cursor { index: change.index, ordinal: change.ordinal }.next());
            records.extend(self.wanted(change, asked)?.map(|record| (mark, record)));
        }
        let behind = match &self.read {
            Place::Copying { behind, .. } => Place::Copying { behind: behind.clone(), next },
            Place::At(_) | Place::Done => next.map_or(Place::Done, |next| Place::At(Some(next))),
        };
        self.turn(Page { records, is_copy: false, behind }, is_drained);
        if self.page.is_none() && self.copied.is_some() {
            return self.take_copy(asked, now_ms);
        }
        Ok(())
    }

    /// Makes a page of the items that were copied, if the changes before them are sent.
    fn take_copy(&mut self, asked: &OpenConsumer, now_ms: u64) -> Result<(), Corrupt> {
        let Place::Copying { behind, next } = &self.read else { return Ok(()) };
        let is_due = |copied: &Copied| behind.is_none() || next.is_some_and(|next| next.index > copied.index);
        let Some(copied) = self.copied.take_if(|copied| is_due(copied)) else { return Ok(()) };
        let next = Some(Cursor { index: copied.index + 1, ordinal: 0 });
        let last = copied.items.last().map(|(key, _)| key.clone()).or_else(|| behind.clone());
        let behind = if copied.is_last { Place::At(next) } else { Place::Copying { behind: last, next } };
        let shown = Projection { view_type: StreamViewType::NewImage, ..self.projection.clone() };
        let mut records = VecDeque::new();
        for (key, item) in copied.items {
            let place = (copied.index, 0);
            let record =
                shown.record(place, now_ms, key.get(8..).unwrap_or_default(), false, None, Some(item))?;
            let record = self.filtered(record, StreamViewType::NewImage, asked)?;
            records.extend(record.map(|record| (Mark::Item(key), record)));
        }
        self.turn(Page { records, is_copy: true, behind }, false);
        Ok(())
    }

    fn wanted(&self, change: LoggedChange, asked: &OpenConsumer) -> Result<Option<Record>, Corrupt> {
        let record = project(&self.projection, change)?;
        self.filtered(record, self.projection.view_type, asked)
    }

    /// What is wanted of a record, if it is wanted.
    fn filtered(
        &self,
        mut record: Record,
        view_type: StreamViewType,
        asked: &OpenConsumer,
    ) -> Result<Option<Record>, Corrupt> {
        if !asked.filter.is_empty() {
            let stream_arn = &self.stream.to_string();
            let subject = Subject { record: &record, view_type, stream_arn, identity: None };
            if !asked.filter.matches(&subject)? {
                return Ok(None);
            }
        }
        if let Some(projection) = &asked.projection {
            for image in [&mut record.new_image, &mut record.old_image].into_iter().flatten() {
                *image = projection.project_encoded(image)?;
            }
        }
        Ok(Some(record))
    }

    /// Puts a page in the place of what is to be sent next; if there is nothing in it, the shard is that much further.
    fn turn(&mut self, page: Page, is_drained: bool) {
        self.read = page.behind.clone();
        let ends_copy = page.is_copy && matches!(page.behind, Place::At(_));
        let tells_idle = is_drained && !self.is_idle && matches!(page.behind, Place::At(_));
        if !page.records.is_empty() || ends_copy || tells_idle || page.behind == Place::Done {
            self.is_idle = page.records.is_empty() && is_drained;
            self.page = Some(page);
        } else {
            self.sent = page.behind.clone();
            match self.unacknowledged.back_mut() {
                Some((_, place)) => *place = page.behind,
                None => self.acknowledged = page.behind,
            }
        }
    }

    /// Whether something may be sent with so much credit.
    pub fn is_ready(&self, credit: u64) -> bool {
        self.page.as_ref().is_some_and(|page| credit > 0 || page.records.is_empty())
    }

    /// The next batch, of at most so many records.
    pub fn send(&mut self, number: u64, credit: u64) -> Option<Sending> {
        let mut page = self.page.take()?;
        let fits = usize::try_from(credit).unwrap_or(usize::MAX).min(page.records.len());
        let rest = page.records.split_off(fits);
        let place = match (rest.is_empty(), page.records.back()) {
            (true, _) | (false, None) => page.behind.clone(),
            (false, Some((mark, _))) => part(mark, &page.behind, &self.sent),
        };
        let (is_copy, ends) = (page.is_copy, rest.is_empty());
        let sending = Sending {
            copy_ends: is_copy && ends && matches!(page.behind, Place::At(_)),
            is_copy,
            has_gap: std::mem::take(&mut self.has_gap),
            records: page.records.into_iter().map(|(_, record)| record).collect(),
        };
        if !ends {
            self.page = Some(Page { records: rest, is_copy, behind: page.behind });
        }
        self.sent = place.clone();
        match self.unacknowledged.back_mut() {
            _ if !sending.records.is_empty() => self.unacknowledged.push_back((number, place)),
            // Of nothing there is nothing to acknowledge.
            Some((_, last)) => *last = place,
            None => self.acknowledged = place,
        }
        Some(sending)
    }

    /// Takes down that everything up to a batch is done with.
    pub fn acknowledge(&mut self, number: u64) {
        while let Some((_, place)) = self.unacknowledged.pop_front_if(|(first, _)| *first <= number) {
            self.acknowledged = place;
        }
    }

    /// What is to be told of what is acknowledged, if that has changed.
    pub fn tell(&mut self, at_once: bool, silent: Duration) -> Option<Place> {
        if self.told.0 == self.acknowledged || (!at_once && self.told.1.elapsed() < silent) {
            return None;
        }
        self.told = (self.acknowledged.clone(), Instant::now());
        Some(self.acknowledged.clone())
    }
}

/// What was read; what was not to be had at the moment only after a moment.
async fn patiently<T>(read: Result<T, Error>) -> Result<T, Error> {
    if read.as_ref().is_err_and(Error::is_unavailable) {
        tokio::time::sleep(RETRY).await;
    }
    read
}

/// Where a shard is behind a record that is not the last of its page.
fn part(mark: &Mark, behind: &Place, sent: &Place) -> Place {
    match (mark, behind, sent) {
        // Items of a page: all as of the same place.
        (Mark::Item(key), Place::Copying { next, .. } | Place::At(next), _) => {
            Place::Copying { behind: Some(key.clone()), next: *next }
        }
        (Mark::Change(cursor), Place::Copying { behind, .. }, _) => {
            Place::Copying { behind: behind.clone(), next: Some(*cursor) }
        }
        (Mark::Change(cursor), Place::At(_) | Place::Done, _) => Place::At(Some(*cursor)),
        (Mark::Item(_), Place::Done, sent) => sent.clone(),
    }
}
