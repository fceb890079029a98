//! A lane: the records of a shard on their way to a function, one batch after the other.
//!
//! A shard has as many lanes as its trigger's parallelisation factor; all records of one partition key take the same. A
//! lane is told what was read, what time it is and what became of a call, and says what is next ([`Step`]).
//!
//! Invariants:
//! - Records leave a lane from its front only, delivered or given up: none is skipped, and a batch follows when the one
//!   before it has left.
//! - What was cut into a batch stays one until it is delivered, given up or split: `tries` cover a prefix of the records
//!   without a gap, and [`Lane::progress`] keeps their bounds, so whoever goes on cuts the same batches.
//! - A batch that failed is never tried more often than the rules say; what was not called for does not count.
//!
//! Where AWS is silent: the pause after a failure doubles from 100 ms to 30 s; of a batch whose function names the first
//! record as the one that failed, nothing was gained, and bisecting halves it; a tumbling window is closed one second
//! after its end at the earliest, as an entry may be on its way, and is begun anew, with all its records, by whoever
//! takes the shard over, as its state is kept nowhere else.

use std::collections::VecDeque;

use bytes::Bytes;

use super::answer::{Failure, STATE_BYTES_MAX, Verdict};
use super::progress::{LaneProgress, Try};
use super::settings::Settings;
use crate::stream::{Cursor, SequenceNumber};

/// Largest batch, bytes of its records' events. Source: AWS Lambda Developer Guide, "Lambda quotas" (6 MB for a
/// synchronous call), less room for what is around them and for the state of a window.
pub const BATCH_BYTES_MAX: usize = 6 * 1024 * 1024 - 64 * 1024 - STATE_BYTES_MAX;
const PAUSE_MS_MIN: u64 = 100;
const PAUSE_MS_MAX: u64 = 30_000;
/// How long after the end of a tumbling window records of it may still come.
const WINDOW_GRACE_MS: u64 = 1000;

/// A record on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Where its change is logged.
    pub number: SequenceNumber,
    /// When, ms since 1970.
    pub created_ms: u64,
    /// The record as JSON.
    pub event: Bytes,
}

impl Parcel {
    fn at(&self) -> Cursor {
        Cursor::at(self.number)
    }
}

/// What a lane goes by: a part of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    batch_size: usize,
    batching_window_ms: u64,
    retries_max: Option<u32>,
    age_ms_max: u64,
    bisect: bool,
    tumbling_ms: u64,
}

impl Rules {
    /// The rules of a trigger of a stream that keeps its records for so long.
    pub fn new(settings: &Settings, retention_ms: u64) -> Self {
        Self {
            batch_size: settings.batch_size as usize,
            batching_window_ms: settings.batching_window_ms,
            retries_max: settings.retries_max,
            age_ms_max: settings.record_age_ms_max.unwrap_or(retention_ms).min(retention_ms),
            bisect: settings.bisect,
            tumbling_ms: settings.tumbling_ms,
        }
    }
}

/// Why records are given up; the names are Lambda's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It was tried as often as allowed.
    RetryAttemptsExhausted,
    /// They are too old.
    RecordAgeExceeded,
}

impl Condition {
    /// As Lambda writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// Records that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// They, in order; none only where a tumbling window is closed.
    pub parcels: Vec<Parcel>,
    /// How often the function was called for them before, also in larger batches.
    pub calls: u32,
    /// The tumbling window they are in.
    pub window: Option<WindowView>,
}

/// A tumbling window as the function sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowView {
    /// Its first moment, ms since 1970.
    pub start_ms: u64,
    /// The first moment behind it.
    pub end_ms: u64,
    /// What the function returned last, as JSON.
    pub state: Bytes,
    /// Whether this is the last call for it.
    pub is_final: bool,
    /// Whether it is closed before its time, for the size of its state.
    pub is_early: bool,
}

/// What is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Call the function with these; then [`Lane::answered`].
    Call(Batch),
    /// These are given up: tell where they go; then [`Lane::discarded`].
    Discard(Batch, Condition, Option<Failure>),
    /// Nothing before this time (ms since 1970), unless more is read or a call is answered.
    Wait(Option<u64>),
    /// The shard is closed, and everything has left.
    Done,
}

/// A batch being tried.
#[derive(Clone, Debug)]
struct Trying {
    what: Try,
    /// How often in a row it was of no use.
    setbacks: u32,
    retry_at_ms: u64,
    failure: Option<Failure>,
}

impl Trying {
    fn new(what: Try) -> Self {
        Self { what, setbacks: 0, retry_at_ms: 0, failure: None }
    }

    fn pause(&mut self, failure: Option<Failure>, now_ms: u64) {
        let pause_ms = PAUSE_MS_MIN.saturating_mul(1 << self.setbacks.min(20)).min(PAUSE_MS_MAX);
        self.setbacks += 1;
        self.retry_at_ms = now_ms.saturating_add(pause_ms);
        self.failure = failure;
    }
}

#[derive(Clone, Debug)]
struct Window {
    start_ms: u64,
    /// Its first record: where it is begun anew.
    from: Cursor,
    state: Bytes,
    is_closing: bool,
    is_early: bool,
}

/// Whether there is a next batch.
enum Cut {
    Made,
    /// Not before this time, or not before something happens.
    NotBefore(Option<u64>),
    /// The shard has ended.
    Never,
}

/// See the top of this file.
#[derive(Debug)]
pub struct Lane {
    rules: Rules,
    parcels: VecDeque<Parcel>,
    bytes: usize,
    tries: VecDeque<Trying>,
    /// Where everything before is read; `None`: nothing was read yet, and the start is the trim horizon.
    read_to: Option<Cursor>,
    /// When the last record there was had been read, ms since 1970.
    drained_ms: u64,
    has_ended: bool,
    /// Since when the next batch gathers.
    gathering_ms: Option<u64>,
    is_hurried: bool,
    /// How many records the function is being called with, or are being given up.
    busy: Option<usize>,
    window: Option<Window>,
}

impl Lane {
    /// A lane that goes on where another one stopped.
    pub fn new(rules: Rules, progress: LaneProgress) -> Self {
        Self {
            rules,
            parcels: VecDeque::new(),
            bytes: 0,
            tries: progress.tries.into_iter().map(Trying::new).collect(),
            read_to: progress.next,
            drained_ms: 0,
            has_ended: false,
            gathering_ms: None,
            is_hurried: false,
            busy: None,
            window: None,
        }
    }

    /// What has to survive whoever delivers.
    pub fn progress(&self) -> LaneProgress {
        if let Some(window) = &self.window {
            return LaneProgress { next: Some(window.from), tries: Vec::new() };
        }
        let next = self.parcels.front().map(Parcel::at).or(self.read_to);
        // What was cut and not called for yet may be cut otherwise by whoever goes on.
        let tried = self.tries.iter().take_while(|trying| trying.what.calls > 0);
        LaneProgress { next, tries: tried.map(|trying| trying.what).collect() }
    }

    /// The oldest record that has not left, ms since 1970.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.parcels.front().map(|parcel| parcel.created_ms)
    }

    /// How often the batch at the front has failed, and why it did last.
    pub fn trouble(&self) -> Option<(u32, &Failure)> {
        let front = self.tries.front()?;
        Some((front.what.attempts, front.failure.as_ref()?))
    }

    /// Records waiting, and the bytes of them.
    pub fn waiting(&self) -> (usize, usize) {
        (self.parcels.len(), self.bytes)
    }

    /// Takes a record that was read; one that this lane has been past is ignored.
    pub fn offer(&mut self, parcel: Parcel, now_ms: u64) {
        let at = parcel.at();
        if self.read_to.is_some_and(|read_to| at < read_to) {
            return;
        }
        self.read_to = Some(at.next());
        if self.parcels.is_empty() {
            self.gathering_ms = Some(now_ms);
        }
        self.bytes += parcel.event.len();
        self.parcels.push_back(parcel);
    }

    /// Everything before `cursor` was read and offered, as far as it belongs to this lane.
    pub fn read_to(&mut self, cursor: Cursor) {
        self.read_to = self.read_to.max(Some(cursor));
    }

    /// At this time there was nothing more to read.
    pub fn drained(&mut self, now_ms: u64) {
        self.drained_ms = now_ms;
    }

    /// The shard is closed, and all of it was read.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether the shard is closed, and everything has left: whether the next step is [`Step::Done`].
    pub fn is_done(&self) -> bool {
        let is_empty = self.parcels.is_empty() && self.tries.is_empty() && self.window.is_none();
        self.has_ended && is_empty
    }

    /// There is no room to read more before something leaves: the next batch gathers no longer.
    pub fn hurry(&mut self) {
        self.is_hurried = true;
    }

    /// What is next.
    pub fn step(&mut self, now_ms: u64) -> Step {
        if self.busy.is_some() {
            return Step::Wait(None);
        }
        loop {
            if self.tries.is_empty() {
                match self.cut(now_ms) {
                    Cut::Made => {}
                    Cut::NotBefore(until_ms) => return Step::Wait(until_ms),
                    Cut::Never => return Step::Done,
                }
            }
            let Some(front) = self.tries.front() else { continue };
            if self.read_to.is_none_or(|read_to| read_to <= front.what.to) && !self.has_ended {
                return Step::Wait(None); // not all of it has been read again
            }
            let count = self.count_to(front.what.to);
            let is_closing = self.window.as_ref().is_some_and(|window| window.is_closing);
            if count == 0 && !is_closing {
                self.tries.pop_front(); // what it was is trimmed
                continue;
            }
            let horizon_ms = now_ms.saturating_sub(self.rules.age_ms_max);
            let old =
                self.parcels.iter().take(count).take_while(|parcel| parcel.created_ms < horizon_ms).count();
            let is_exhausted = self.rules.retries_max.is_some_and(|max| front.what.attempts > max);
            return if old > 0 {
                self.give_up(old, Condition::RecordAgeExceeded)
            } else if is_exhausted {
                self.give_up(count, Condition::RetryAttemptsExhausted)
            } else if front.retry_at_ms > now_ms {
                Step::Wait(Some(front.retry_at_ms))
            } else {
                self.busy = Some(count);
                Step::Call(self.batch(count))
            };
        }
    }

    fn give_up(&mut self, count: usize, condition: Condition) -> Step {
        self.busy = Some(count);
        let failure = self.tries.front().and_then(|front| front.failure.clone());
        Step::Discard(self.batch(count), condition, failure)
    }

    fn count_to(&self, to: Cursor) -> usize {
        self.parcels.partition_point(|parcel| parcel.at() <= to)
    }

    fn batch(&self, count: usize) -> Batch {
        let length_ms = self.rules.tumbling_ms;
        let window = self.window.as_ref().map(|window| WindowView {
            start_ms: window.start_ms,
            end_ms: window.start_ms + length_ms,
            state: window.state.clone(),
            is_final: window.is_closing,
            is_early: window.is_early,
        });
        let calls = self.tries.front().map_or(0, |front| front.what.calls);
        Batch { parcels: self.parcels.iter().take(count).cloned().collect(), calls, window }
    }

    /// Cuts the next batch, if it is time.
    fn cut(&mut self, now_ms: u64) -> Cut {
        let Some(first) = self.parcels.front() else { return self.cut_nothing(now_ms) };
        let mut end_ms = u64::MAX;
        if self.rules.tumbling_ms > 0 {
            let start_ms = first.created_ms - first.created_ms % self.rules.tumbling_ms;
            let from = first.at();
            let window = self.window.get_or_insert_with(|| Window {
                start_ms,
                from,
                state: Bytes::from_static(b"{}"),
                is_closing: false,
                is_early: false,
            });
            if window.start_ms != start_ms || window.is_early {
                return self.close();
            }
            end_ms = start_ms + self.rules.tumbling_ms;
        }
        let (mut count, mut bytes) = (0, 0);
        for parcel in &self.parcels {
            bytes += parcel.event.len() + 1;
            let fits =
                count < self.rules.batch_size && bytes <= BATCH_BYTES_MAX && parcel.created_ms < end_ms;
            if !fits && count > 0 {
                break;
            }
            count += 1;
        }
        let is_full = count == self.rules.batch_size || count < self.parcels.len();
        let since_ms = self.gathering_ms.unwrap_or(now_ms);
        let until_ms = since_ms.saturating_add(self.rules.batching_window_ms).min(end_ms);
        if !is_full && !self.has_ended && !self.is_hurried && now_ms < until_ms {
            return Cut::NotBefore(Some(until_ms));
        }
        self.is_hurried = false;
        let to = self.parcels[count - 1].at();
        self.tries.push_back(Trying::new(Try { to, attempts: 0, calls: 0 }));
        Cut::Made
    }

    /// Where no record waits, a tumbling window may have come to its end.
    fn cut_nothing(&mut self, now_ms: u64) -> Cut {
        let Some(window) = &self.window else {
            return if self.has_ended { Cut::Never } else { Cut::NotBefore(None) };
        };
        let over_ms = window.start_ms + self.rules.tumbling_ms + WINDOW_GRACE_MS;
        if self.has_ended || window.is_early || self.drained_ms >= over_ms {
            return self.close();
        }
        Cut::NotBefore((now_ms < over_ms).then_some(over_ms))
    }

    /// Makes the last call for the open window the next one.
    fn close(&mut self) -> Cut {
        let window = self.window.as_mut().expect("only an open window is closed");
        window.is_closing = true;
        // Before its first record: no record belongs to the call.
        let to = Cursor::default();
        self.tries.push_back(Trying::new(Try { to, attempts: 0, calls: 0 }));
        Cut::Made
    }

    /// What became of the call.
    pub fn answered(&mut self, verdict: Verdict, now_ms: u64) {
        let count = self.busy.take().expect("an answer is to a call");
        match verdict {
            Verdict::Delivered { state } => {
                self.leave(count, now_ms);
                self.window_answered(state);
            }
            Verdict::FailedFrom(number) => {
                let done =
                    self.parcels.iter().take(count).take_while(|parcel| parcel.number < number).count();
                self.remove(done);
                let failure = Failure::new(format!("the function reports a failure at {number}"));
                self.failed(count - done, done > 0 && self.rules.bisect, failure, now_ms);
            }
            Verdict::Failed(failure) => self.failed(count, false, failure, now_ms),
            Verdict::Busy(failure) => self.front().pause(Some(failure), now_ms),
        }
    }

    fn front(&mut self) -> &mut Trying {
        self.tries.front_mut().expect("a batch stays while it is being tried")
    }

    /// `is_split`: what came before the record that failed has left, which is all the splitting there is to do.
    fn failed(&mut self, count: usize, is_split: bool, failure: Failure, now_ms: u64) {
        let halves = self.rules.bisect && !is_split && count > 1;
        let middle = halves.then(|| self.parcels[count / 2 - 1].at());
        let front = self.front();
        front.what.calls += 1;
        if !halves && !is_split {
            front.what.attempts += 1;
        }
        let whole = front.what;
        if let Some(middle) = middle {
            front.what.to = middle;
            front.setbacks = 0;
        }
        front.pause(Some(failure.clone()), now_ms);
        if halves {
            let second = Trying { failure: Some(failure), ..Trying::new(whole) };
            self.tries.insert(1, second);
        }
    }

    /// What was given up has been told of.
    pub fn discarded(&mut self, now_ms: u64) {
        let count = self.busy.take().expect("what is discarded was given up");
        let to = self.front().what.to;
        if count == self.count_to(to) {
            self.leave(count, now_ms);
            if self.window.as_ref().is_some_and(|window| window.is_closing) {
                self.window = None;
            }
        } else {
            self.remove(count);
        }
    }

    /// The batch at the front leaves.
    fn leave(&mut self, count: usize, now_ms: u64) {
        self.remove(count);
        self.tries.pop_front();
        self.gathering_ms = Some(now_ms);
    }

    fn remove(&mut self, count: usize) {
        let gone = self.parcels.drain(..count).map(|parcel| parcel.event.len());
        self.bytes -= gone.sum::<usize>();
    }

    fn window_answered(&mut self, state: Bytes) {
        let Some(window) = &mut self.window else { return };
        if window.is_closing {
            self.window = None;
        } else {
            window.is_early = state.len() > STATE_BYTES_MAX;
            window.state = state;
        }
    }
}

#[cfg(test)]
#[path = "lane_test.rs"]
mod tests;
