//! What the clients of a run did and saw: what the invariants judge, and nothing of how it came about.

use std::collections::BTreeMap;

use watertable::{
    client::{Record, SequenceNumber, StreamViewType},
    model::{AttributeName, AttributeValue, Item, KeySchema, Number},
};

/// Simulated microseconds since the run began; `NEVER`: it did not end.
pub type Micros = u64;
/// The end of what did not end.
pub const NEVER: Micros = Micros::MAX;

/// An item's key in a run: `id` (a string, "k7") and, in tables with a sort key, `at` (a number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Which of `History::tables`.
    pub table: usize,
    /// The partition key.
    pub id: u64,
    /// The sort key; 0 in tables without one.
    pub at: u64,
}

/// What a write does to the item at its key. Each changes the attribute `w` to the operation's own number, so that
/// no two make the same item, but for `Touch` and `Delete`.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Puts this item.
    Put(Item),
    /// Sets `w`, and `pad` to this string.
    Set(String),
    /// Sets `w`, and adds this to `n`, which begins at 0.
    Add(i64),
    /// Updates without an expression: changes nothing, but makes an item of the key alone where none is.
    Touch,
    /// Deletes the item.
    Delete,
}

/// What must hold of the item before a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is an item.
    Exists,
    /// There is none.
    Absent,
    /// There is one, and its `w` is this.
    WrittenBy(u64),
}

/// What the client was told of a write.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOutcome {
    /// It is done. `before` and `after`: the item then, if that was asked for.
    Done {
        /// ALL_OLD.
        before: Option<Option<Item>>,
        /// ALL_NEW.
        after: Option<Option<Item>>,
    },
    /// The condition did not hold, of this item if that was asked for: nothing changed.
    Rejected(Option<Option<Item>>),
    /// It did not happen and will not.
    Failed,
    /// It may have happened, or may still happen, once and wholly.
    Unknown,
}

/// What a client did.
#[derive(Clone, Debug)]
pub enum Call {
    /// A write; also each one of a batch.
    Write {
        /// What it does.
        change: Change,
        /// What must hold before.
        condition: Option<Condition>,
        /// What came of it.
        outcome: WriteOutcome,
    },
    /// A read of one item, or what a page of a query or scan showed of it.
    Read {
        /// Whether it had to see every write acknowledged before it began.
        consistent: bool,
        /// What it found; `None`: it failed.
        found: Option<Option<Item>>,
    },
}

/// Something a client did at a key.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Unique in the run, from 1; the `w` of what it writes.
    pub number: u64,
    /// Who did it. A client does one thing at a time.
    pub client: u32,
    /// At which key.
    pub key: Key,
    /// When it was sent.
    pub begun: Micros,
    /// When the answer came.
    pub ended: Micros,
    /// What it was.
    pub call: Call,
}

/// A table of a run.
#[derive(Clone, Debug)]
pub struct TableStory {
    /// Its key.
    pub schema: KeySchema,
    /// Its streams, in order.
    pub streams: Vec<StreamStory>,
    /// What a strongly consistent scan found in the end, everything being healed and quiet.
    pub items: BTreeMap<Key, Item>,
    /// How long its records are kept, ms; 0: longer than any run.
    pub retention_ms: u64,
    /// Whether the table was deleted, or may have been: then nothing is known of its items and the end of its streams.
    pub deleted: bool,
}

/// A stream of a table, from turning it on to turning it off.
#[derive(Clone, Debug)]
pub struct StreamStory {
    /// Its ARN.
    pub arn: String,
    /// What its records show.
    pub view_type: StreamViewType,
    /// When it was asked for, and when that was answered. A stream that a table began with: (0, 0).
    pub on: (Micros, Micros),
    /// When it was asked to end, and when that was answered; `NEVER` twice: it is still on.
    pub off: (Micros, Micros),
    /// Everything it had in the end, read from the trim horizon, parents before children.
    pub shards: Vec<ShardStory>,
}

/// A shard, as it was in the end.
#[derive(Clone, Debug)]
pub struct ShardStory {
    /// Its id.
    pub id: String,
    /// Its parent's id.
    pub parent: Option<String>,
    /// Where it begins.
    pub starting: SequenceNumber,
    /// Where it ends, once it is closed.
    pub ending: Option<SequenceNumber>,
    /// Its records. Nothing has been trimmed unless `History::trimmed`.
    pub records: Vec<Record>,
}

/// Where a reader began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Began {
    /// At the trim horizon.
    Horizon,
    /// Behind the newest record; the iterator, or the subscription, was asked for at this time and answered at that.
    Latest(Micros, Micros),
    /// At the first record created at or after this many ms since 1970, or at one that was being written when the
    /// iterator was asked for, at this time.
    Timestamp(u64, Micros),
    /// At the record of this number.
    At(SequenceNumber),
    /// Behind the record of this number.
    After(SequenceNumber),
}

/// What one reader saw of one shard with one chain of iterators, or by one subscription, in the order it came.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Who read.
    pub reader: u32,
    /// Which stream.
    pub arn: String,
    /// Which shard.
    pub shard: String,
    /// Where it began.
    pub began: Began,
    /// The records, each with the time it came.
    pub records: Vec<(Micros, Record)>,
    /// The pages without records that did not end the shard.
    pub empties: Vec<Empty>,
    /// Whether the shard said that it had ended: that no further record will come.
    pub ended: bool,
}

/// From where somebody asked for one page.
#[derive(Clone, Debug)]
pub enum Place {
    /// TRIM_HORIZON.
    Horizon,
    /// AT this record, which somebody had seen.
    At(SequenceNumber),
}

/// What there was at some place of a shard.
#[derive(Clone, Debug)]
pub enum Found {
    /// Records, of which this is the first; `None`: none.
    Page(Option<SequenceNumber>),
    /// That the place is trimmed, or that the stream or shard is there no more.
    Gone,
}

/// Somebody looked what there is at some place of a shard: what the invariants of retention judge.
#[derive(Clone, Debug)]
pub struct Glance {
    /// Which stream.
    pub arn: String,
    /// Which shard.
    pub shard: String,
    /// Where.
    pub place: Place,
    /// When it was asked.
    pub asked: Micros,
    /// When it was answered.
    pub answered: Micros,
    /// What there was.
    pub found: Found,
}

/// An iterator that was used some time after it was issued.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// When it was asked for, and when it came.
    pub issued: (Micros, Micros),
    /// When it was used, and when that was answered.
    pub used: (Micros, Micros),
    /// Whether it was refused as expired.
    pub expired: bool,
}

/// A record as somebody got it to whom it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The stream's ARN, or the shard's id.
    pub place: String,
    /// Its key.
    pub key: Key,
    /// Its number.
    pub number: SequenceNumber,
}

/// Records that came together.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// When they came.
    pub at: Micros,
    /// When they were answered.
    pub ended: Micros,
    /// They, in order.
    pub records: Vec<Received>,
    /// How many of them, from the first on, were then done with.
    pub done: usize,
}

/// Somebody to whom every record of a table is delivered, from the oldest on: a function, or a consumer.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// What to call it.
    pub name: String,
    /// Whose records.
    pub table: usize,
    /// When it was asked for and when it was there for certain; `None`: it may have never been.
    pub created: Option<(Micros, Micros)>,
    /// What came, in the order of the ends.
    pub receipts: Vec<Receipt>,
}

/// A page without records: it says that there are none, for now.
#[derive(Clone, Copy, Debug)]
pub struct Empty {
    /// When it was asked for.
    pub asked: Micros,
    /// When it came.
    pub answered: Micros,
    /// How many records the reading had seen before.
    pub seen: usize,
}

/// Why somebody was refused what had been given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has been trimmed.
    Trimmed,
    /// There is none.
    Missing,
    /// It has expired.
    Expired,
    /// Anything else: it is invalid.
    Other,
}

/// Somebody asked for something that the cluster had told of, and the answer was no.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Who asked: its number in the plan.
    pub client: u32,
    /// What for: the call.
    pub what: String,
    /// Of which table.
    pub table: usize,
    /// Of which of its streams, unless it was the table itself.
    pub arn: Option<String>,
    /// The age of the place asked for: when a record there, or before it, was created, ms since 1970.
    pub created_ms: Option<u64>,
    /// When the answer came.
    pub answered: Micros,
    /// What it was.
    pub reason: Reason,
    /// The same in words.
    pub message: String,
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The tables; `Key::table` counts them.
    pub tables: Vec<TableStory>,
    /// What the clients did, by number.
    pub operations: Vec<Operation>,
    /// What the readers saw.
    pub readings: Vec<Reading>,
    /// What was to be seen at single places.
    pub glances: Vec<Glance>,
    /// Iterators that were kept for a while.
    pub uses: Vec<Use>,
    /// When something was wrong: from, until.
    pub disturbed: Vec<(Micros, Micros)>,
    /// How far a clock was set ahead or back at most, µs; clocks that only run too fast or too slow do not count.
    pub clocks_set: Micros,
    /// How far two clocks were apart by themselves at most, µs: from the beginning, and because they run too fast or too
    /// slow.
    pub clocks_ran: Micros,
    /// From when to when nothing was wrong that could keep nodes and clients from each other, and every partition was led.
    pub calm: Vec<(Micros, Micros)>,
    /// To whom records were delivered.
    pub receivers: Vec<Receiver>,
    /// How often something that had been given out was asked for, and there was an answer other than a refusal.
    pub served: u64,
    /// And when it was refused.
    pub refusals: Vec<Refusal>,
    /// Whether the run was longer than the retention: then what the streams had in the end is not all they ever had.
    pub trimmed: bool,
}

/// An attribute's name.
pub fn name(text: &str) -> AttributeName {
    AttributeName::parse(text).expect("names of the simulator are good")
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(Number::parse(&value.to_string()).expect("integers are numbers"))
}

impl Key {
    /// The key as an item. `sorted`: the table has a sort key.
    pub fn item(&self, sorted: bool) -> Item {
        let id = (name("id"), AttributeValue::S(format!("k{}", self.id)));
        std::iter::once(id).chain(sorted.then(|| (name("at"), number(self.at)))).collect()
    }

    /// The key of an item or of a record's keys, in the table with this number.
    pub fn of(table: usize, item: &Item) -> Option<Self> {
        let AttributeValue::S(id) = item.get("id")? else { return None };
        let at = match item.get("at") {
            Some(AttributeValue::N(at)) => at.to_string().parse().ok()?,
            _ => 0,
        };
        Some(Self { table, id: id.strip_prefix('k')?.parse().ok()?, at })
    }
}

/// The operation that wrote an item: its `w`. None of an item that `Touch` made.
pub fn written_by(item: &Item) -> Option<u64> {
    match item.get("w") {
        Some(AttributeValue::N(number)) => number.to_string().parse().ok(),
        _ => None,
    }
}

impl Condition {
    /// Whether it holds of an item.
    pub fn holds(&self, before: Option<&Item>) -> bool {
        match self {
            Self::Exists => before.is_some(),
            Self::Absent => before.is_none(),
            Self::WrittenBy(w) => before.and_then(written_by) == Some(*w),
        }
    }
}

impl Change {
    /// The item after the change, made by the operation with this number to the item with this key.
    pub fn apply(&self, operation: u64, key: &Item, before: Option<&Item>) -> Option<Item> {
        let mut after = before.cloned().unwrap_or_else(|| key.clone());
        match self {
            Self::Put(item) => return Some(item.clone()),
            Self::Delete => return None,
            Self::Touch => return Some(after),
            Self::Set(pad) => {
                after.insert(name("pad"), AttributeValue::S(pad.clone()));
            }
            Self::Add(amount) => {
                let n = match after.get("n") {
                    Some(AttributeValue::N(n)) => n.to_string().parse::<i64>().expect("`n` is an integer"),
                    _ => 0,
                };
                after.insert(name("n"), number(n + amount));
            }
        }
        after.insert(name("w"), number(operation));
        Some(after)
    }
}
