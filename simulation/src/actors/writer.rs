//! Writes and reads items, and notes what came of it.

use watertable::{
    client::{Client, Error, Expression, Kind, ReturnValues, WriteOptions, Written},
    model::{AttributeValue, Item, Number, TableName},
};

use super::Cast;
use crate::{
    history::{Call, Change, Condition, Key, WriteOutcome, name, written_by},
    plan::Habit,
    stage::{Asked, now, table_name},
};

/// A client that writes and reads.
pub(super) struct Writer {
    pub cast: Cast,
    pub client: Client,
    pub table: TableName,
    pub pad_bytes: u64,
    /// What it last saw at some key: conditions ask for it.
    pub seen: Option<(Key, u64)>,
    /// Keys of items that are there, and that nobody else knows of.
    pub own: Vec<Key>,
}

/// Writes and reads at random.
pub async fn write(cast: Cast, pace_ms: u64, operations: u64, pad_bytes: u64, habit: Habit) {
    let client = cast.shared.client(cast.seed);
    let table = table_name(cast.table);
    let mut writer = Writer { cast, client, table, pad_bytes, seen: None, own: Vec::new() };
    for _ in 0..operations {
        if !writer.cast.goes_on() {
            return;
        }
        let key = writer.key();
        let draw = match habit {
            Habit::Touches => 100,
            Habit::Reads if writer.cast.random.percent(80) => writer.cast.random.between(70, 99),
            Habit::Reads | Habit::Changes => writer.cast.random.below(100),
        };
        match draw {
            0..63 => writer.change(key).await,
            63..67 => writer.put_own().await,
            67..70 => writer.batch().await,
            70..85 => writer.read(key, true).await,
            85..88 => writer.query(key, true).await,
            88..91 => writer.query(key, false).await,
            91..100 => writer.read(key, false).await,
            _ => writer.touch(key).await,
        }
        writer.cast.pause(pace_ms).await;
    }
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(Number::parse(&value.to_string()).expect("integers are numbers"))
}

impl Writer {
    pub fn sorted(&self) -> bool {
        self.cast.shared.plan().tables[self.cast.table].sorted
    }

    /// Some key, the first ones more often than others.
    pub fn key(&mut self) -> Key {
        let (ids, places) = {
            let table = &self.cast.shared.plan().tables[self.cast.table];
            (table.ids, table.places)
        };
        let random = &mut self.cast.random;
        let id = if random.percent(30) { 0 } else { random.below(ids) };
        Key { table: self.cast.table, id, at: random.below(places) }
    }

    pub fn pad(&mut self) -> String {
        let length = self.cast.random.between(0, self.pad_bytes) as usize;
        "abcdefghijklmnopqrstuvwxyz".chars().cycle().take(length).collect()
    }

    fn any_change(&mut self, operation: u64, key: &Item) -> Change {
        match self.cast.random.below(100) {
            0..35 => {
                let mut item = key.clone();
                item.insert(name("w"), number(operation));
                item.insert(name("pad"), AttributeValue::S(self.pad()));
                Change::Put(item)
            }
            35..55 => Change::Set(self.pad()),
            55..70 => Change::Add(self.cast.random.between(1, 9).cast_signed()),
            70..78 => Change::Touch,
            _ => Change::Delete,
        }
    }

    fn any_condition(&mut self, key: Key) -> Option<Condition> {
        match self.cast.random.below(100) {
            0..60 => None,
            60..72 => Some(Condition::Exists),
            72..84 => Some(Condition::Absent),
            _ => {
                let (_, w) = self.seen.filter(|(seen, _)| *seen == key)?;
                Some(Condition::WrittenBy(w))
            }
        }
    }

    async fn change(&mut self, key: Key) {
        let operation = self.cast.shared.number();
        let key_item = key.item(self.sorted());
        let change = self.any_change(operation, &key_item);
        let condition = self.any_condition(key);
        let shows = self.cast.random.percent(50);
        let updates = matches!(change, Change::Set(_) | Change::Add(_) | Change::Touch);
        let return_values = match (shows, updates) {
            (false, _) => ReturnValues::Unspecified,
            (true, true) if self.cast.random.percent(50) => ReturnValues::AllNew,
            (true, _) => ReturnValues::AllOld,
        };
        self.act(operation, key, change, (condition, return_values, shows)).await;
    }

    /// Writes nothing to an item, and is shown it: one that is not there is made.
    async fn touch(&mut self, key: Key) {
        let operation = self.cast.shared.number();
        let condition = self.cast.random.percent(50).then_some(Condition::Exists);
        self.act(operation, key, Change::Touch, (condition, ReturnValues::AllNew, true)).await;
    }

    async fn act(
        &self,
        operation: u64,
        key: Key,
        change: Change,
        (condition, return_values, shows): (Option<Condition>, ReturnValues, bool),
    ) {
        let options = WriteOptions {
            condition: condition.map(expression_of),
            return_values,
            show_rejected: shows,
            ..WriteOptions::default()
        };
        let begun = now();
        let answer = self.send(operation, &key.item(self.sorted()), &change, options).await;
        let outcome = outcome_of(answer, return_values, shows);
        let call = Call::Write { change, condition, outcome };
        self.cast.shared.note(operation, self.cast.number, key, begun, call);
    }

    pub async fn send(
        &self,
        operation: u64,
        key: &Item,
        change: &Change,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let (client, table) = (&self.client, &self.table);
        let update = match change {
            Change::Put(item) => return client.put_item(table, item, options).await,
            Change::Delete => return client.delete_item(table, key, options).await,
            Change::Set(pad) => Expression::new("SET w = :w, #pad = :pad")
                .name("#pad", "pad")
                .value(":w", number(operation))
                .value(":pad", AttributeValue::S(pad.clone())),
            Change::Add(amount) => Expression::new("SET w = :w ADD n :amount")
                .value(":w", number(operation))
                .value(":amount", number(amount)),
            Change::Touch => return client.update_item(table, key, None, options).await,
        };
        client.update_item(table, key, Some(update), options).await
    }

    pub fn note_asked(&self, what: &str, answer: Result<(), &Error>) {
        let (client, table) = (self.cast.number, self.cast.table);
        self.cast.shared.note_asked(Asked { client, what, table, arn: None, created_ms: None }, answer);
    }

    async fn read(&mut self, key: Key, consistent: bool) {
        let operation = self.cast.shared.number();
        let begun = now();
        let found = self.client.get_item(&self.table, &key.item(self.sorted()), consistent).await;
        self.note_asked("an item", found.as_ref().map(|_| ()));
        let found = found.ok();
        if let Some(w) = found.as_ref().and_then(|item| item.as_ref().and_then(written_by)) {
            self.seen = Some((key, w));
        }
        let call = Call::Read { consistent, found };
        self.cast.shared.note(operation, self.cast.number, key, begun, call);
    }
}

fn expression_of(condition: Condition) -> Expression {
    match condition {
        Condition::Exists => Expression::exists(&name("id")),
        Condition::Absent => Expression::not_exists(&name("id")),
        Condition::WrittenBy(w) => Expression::new("w = :written").value(":written", number(w)),
    }
}

pub(super) fn outcome_of(answer: Result<Written, Error>, asked: ReturnValues, shows: bool) -> WriteOutcome {
    match answer {
        Ok(written) => WriteOutcome::Done {
            before: (asked == ReturnValues::AllOld).then(|| written.attributes.clone()),
            after: (asked == ReturnValues::AllNew).then_some(written.attributes),
        },
        Err(error) if error.is_condition_failed() => {
            WriteOutcome::Rejected(shows.then(|| error.item().cloned()))
        }
        Err(error) => match error.kind() {
            Kind::Unknown => WriteOutcome::Unknown,
            Kind::Unavailable => WriteOutcome::Failed,
            Kind::Invalid | Kind::Rejected | Kind::Fatal => {
                panic!("a good write was refused: {error}");
            }
        },
    }
}
