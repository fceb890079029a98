//! Small histories for tests: one table with one stream and one shard, to begin with.

use std::collections::BTreeMap;

use watertable::client::{EventName, Record, SequenceNumber, StreamViewType};
use watertable::model::{AttributeValue, Item, KeyAttribute, KeySchema, KeyType, Number};

use crate::history::{
    Began, Call, Change, Condition, History, Key, Micros, NEVER, Operation, Reading, ShardStory, StreamStory,
    TableStory, WriteOutcome, name,
};
use crate::verdict::{Marks, Violation};

/// The one key of most histories.
pub const KEY: Key = Key { table: 0, id: 1, at: 0 };

pub const BOTH: StreamViewType = StreamViewType::NewAndOldImages;
pub const NEW: StreamViewType = StreamViewType::NewImage;
pub const OLD: StreamViewType = StreamViewType::OldImage;
pub const KEYS: StreamViewType = StreamViewType::KeysOnly;
pub const VIEWS: [StreamViewType; 4] = [BOTH, NEW, OLD, KEYS];

pub fn schema(sorted: bool) -> KeySchema {
    let attribute = |text, kind| KeyAttribute { name: name(text), kind };
    KeySchema { partition: attribute("id", KeyType::S), sort: sorted.then(|| attribute("at", KeyType::N)) }
}

pub fn sequence(number: u64) -> SequenceNumber {
    SequenceNumber::new(format!("{number:021}"))
}

/// An item of `KEY` that the operation with this number put.
pub fn item(number: u64) -> Item {
    let mut item = KEY.item(false);
    let w = Number::parse(&number.to_string()).expect("an integer is a number");
    item.insert(name("w"), AttributeValue::N(w));
    item
}

pub fn stream(view_type: StreamViewType) -> StreamStory {
    let shard = ShardStory {
        id: "s0".to_owned(),
        parent: None,
        starting: sequence(0),
        ending: None,
        records: Vec::new(),
    };
    StreamStory { arn: "a0".to_owned(), view_type, on: (0, 0), off: (NEVER, NEVER), shards: vec![shard] }
}

pub fn table(streams: Vec<StreamStory>) -> TableStory {
    TableStory { schema: schema(false), streams, items: BTreeMap::new(), retention_ms: 0, deleted: false }
}

/// A history of an empty table with such a stream.
pub fn history(view_type: StreamViewType) -> History {
    History { tables: vec![table(vec![stream(view_type)])], ..History::default() }
}

pub const DONE: WriteOutcome = WriteOutcome::Done { before: None, after: None };

/// A record that changes one item to another.
pub fn record(view_type: StreamViewType, number: u64, before: Option<Item>, after: Option<Item>) -> Record {
    let (old, new) = (super::chain::shows_old(view_type), super::chain::shows_new(view_type));
    let event_name = match (&before, &after) {
        (None, _) => EventName::Insert,
        (Some(_), Some(_)) => EventName::Modify,
        (Some(_), None) => EventName::Remove,
    };
    Record {
        event_id: format!("e{number}"),
        event_name,
        sequence_number: sequence(number),
        created_ms: number,
        keys: KEY.item(false),
        new_image: after.filter(|_| new),
        old_image: before.filter(|_| old),
        size_bytes: 1,
    }
}

impl History {
    /// Adds an operation of `KEY`, and gives its number.
    pub fn operate(&mut self, begun: Micros, ended: Micros, call: Call) -> u64 {
        let number = self.operations.len() as u64 + 1;
        self.operations.push(Operation { number, client: 0, key: KEY, begun, ended, call });
        number
    }

    pub fn write(&mut self, begun: Micros, ended: Micros, change: Change, outcome: WriteOutcome) -> u64 {
        self.operate(begun, ended, Call::Write { change, condition: None, outcome })
    }

    /// Puts `item(the number)`.
    pub fn put(&mut self, begun: Micros, ended: Micros, outcome: WriteOutcome) -> u64 {
        let number = self.operations.len() as u64 + 1;
        self.write(begun, ended, Change::Put(item(number)), outcome)
    }

    pub fn conditional(
        &mut self,
        (begun, ended): (Micros, Micros),
        change: Change,
        condition: Condition,
        outcome: WriteOutcome,
    ) -> u64 {
        self.operate(begun, ended, Call::Write { change, condition: Some(condition), outcome })
    }

    pub fn read(&mut self, begun: Micros, ended: Micros, consistent: bool, found: Option<Item>) -> u64 {
        self.operate(begun, ended, Call::Read { consistent, found: Some(found) })
    }

    pub fn shard(&mut self) -> &mut ShardStory {
        &mut self.tables[0].streams[0].shards[0]
    }

    pub fn records(&mut self) -> &mut Vec<Record> {
        &mut self.shard().records
    }

    /// Adds records, which change the item in turn to these from none, and leaves the last in the table.
    pub fn versions(&mut self, versions: &[Option<Item>]) {
        let view_type = self.tables[0].streams[0].view_type;
        let mut before = None;
        for (index, after) in versions.iter().enumerate() {
            self.records().push(record(view_type, 10 * (index as u64 + 1), before, after.clone()));
            before = after.clone();
        }
        self.tables[0].items = before.map(|item| (KEY, item)).into_iter().collect();
    }

    /// Adds a reading of the final records from one place up to another.
    pub fn reading(&mut self, began: Began, from: usize, to: usize) -> &mut Reading {
        let records = self.records()[from..to].iter().map(|record| (1_000, record.clone())).collect();
        let (arn, shard) = ("a0".to_owned(), "s0".to_owned());
        let empties = Vec::new();
        self.readings.push(Reading { reader: 0, arn, shard, began, records, empties, ended: false });
        self.readings.last_mut().expect("one was added")
    }
}

type Check = fn(&History, &mut Marks) -> Result<(), Violation>;

/// That the history passes, and that something was judged.
pub fn passes(check: Check, invariant: &str, history: &History) {
    let mut marks = Marks::default();
    assert_eq!(check(history, &mut marks), Ok(()));
    assert!(marks.0[&format!("invariant: {invariant}")] > 0, "nothing was judged");
}

/// That the history is reported by the invariant, with these words.
pub fn fails(check: Check, invariant: &str, history: &History, words: &str) {
    let violation = check(history, &mut Marks::default()).expect_err("the history is broken");
    assert_eq!(violation.invariant, invariant);
    assert!(violation.what.contains(words), "{words:?} is not in {:?}", violation.what);
}
