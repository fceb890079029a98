//! Many items in one call: batches of writes, and queries.
//!
//! What of a batch did not get done, or may not have been, the client sends again: a write may then happen twice, with
//! whatever others did in between. So batches put items that nobody else knows of, and delete those that nobody else
//! knows of and that were there for certain: done twice, they are done once.

use watertable::{
    client::{BatchWrite, Error, Expression, Kind, Query},
    model::AttributeValue,
};

use super::writer::{Writer, number, outcome_of};
use crate::{
    history::{Call, Change, Key, WriteOutcome, name, written_by},
    stage::now,
};

/// Where the partition keys begin that are used once.
const OWN_IDS: u64 = 10_000;
/// What a batch has at most of each.
const PUTS_MAX: u64 = 12;
const DELETES_MAX: usize = 5;
/// Bytes of the items of a batch, about.
const BATCH_BYTES: u64 = 1 << 20;

impl Writer {
    /// Puts an item that a batch may delete later.
    pub(super) async fn put_own(&mut self) {
        let operation = self.cast.shared.number();
        let key = self.own_key(operation);
        let change = self.put_of(operation, key);
        let begun = now();
        let answer = self.send(operation, &key.item(self.sorted()), &change, Default::default()).await;
        let outcome = outcome_of(answer, Default::default(), false);
        if matches!(outcome, WriteOutcome::Done { .. }) {
            self.own.push(key);
        }
        let call = Call::Write { change, condition: None, outcome };
        self.cast.shared.note(operation, self.cast.number, key, begun, call);
    }

    /// Writes a batch.
    pub(super) async fn batch(&mut self) {
        let puts = self.cast.random.between(1, PUTS_MAX).min(1 + BATCH_BYTES / self.pad_bytes.max(1));
        let mut changes = Vec::new();
        for _ in 0..puts {
            let operation = self.cast.shared.number();
            let key = self.own_key(operation);
            changes.push((operation, key, self.put_of(operation, key)));
        }
        let kept = self.own.len().saturating_sub(DELETES_MAX);
        for key in self.own.split_off(kept) {
            changes.push((self.cast.shared.number(), key, Change::Delete));
        }
        let table = || self.table.clone();
        let writes: Vec<_> = changes
            .iter()
            .map(|(_, key, change)| match change {
                Change::Put(item) => BatchWrite::Put(table(), item.clone()),
                _ => BatchWrite::Delete(table(), key.item(self.sorted())),
            })
            .collect();
        let begun = now();
        let outcome = outcome_of_batch(self.client.batch_write(&writes).await);
        for (operation, key, change) in changes {
            let call = Call::Write { change, condition: None, outcome: outcome.clone() };
            self.cast.shared.note(operation, self.cast.number, key, begun, call);
        }
    }

    /// Reads the items of a partition key, or some of them: a page shows each, or that there is none.
    pub(super) async fn query(&mut self, key: Key, consistent: bool) {
        let id = AttributeValue::S(format!("k{}", key.id));
        let (reverse, whole) = (self.cast.random.percent(50), self.cast.random.percent(50));
        let limit = (!whole).then(|| self.cast.random.between(1, 3) as u32);
        let condition = Expression::partition(&name("id"), id);
        let query = Query { key: condition, reverse, limit, consistent, ..Query::default() };
        let begun = now();
        let page = self.client.query(&self.table, query).await;
        self.note_asked("a query", page.as_ref().map(|_| ()));
        let Ok(page) = page else { return };
        let last = page.next.as_ref().and_then(|next| Key::of(key.table, next)).map(|next| next.at);
        let places = self.cast.shared.plan().tables[key.table].places;
        for at in 0..places {
            let beyond = last.is_some_and(|last| if reverse { at < last } else { at > last });
            if beyond {
                continue;
            }
            let key = Key { at, ..key };
            let mut items = page.items.iter();
            let found = items.find(|item| Key::of(key.table, item) == Some(key)).cloned();
            if let Some(w) = found.as_ref().and_then(written_by) {
                self.seen = Some((key, w));
            }
            let call = Call::Read { consistent, found: Some(found) };
            self.cast.shared.note(self.cast.shared.number(), self.cast.number, key, begun, call);
        }
    }

    /// A key that nobody else uses.
    fn own_key(&mut self, operation: u64) -> Key {
        let places = self.cast.shared.plan().tables[self.cast.table].places;
        Key { table: self.cast.table, id: OWN_IDS + operation, at: self.cast.random.below(places) }
    }

    fn put_of(&mut self, operation: u64, key: Key) -> Change {
        let mut item = key.item(self.sorted());
        item.insert(name("w"), number(operation));
        item.insert(name("pad"), AttributeValue::S(self.pad()));
        Change::Put(item)
    }
}

fn outcome_of_batch(answer: Result<(), Error>) -> WriteOutcome {
    match answer.map_err(|error| (error.kind(), error)) {
        Ok(()) => WriteOutcome::Done { before: None, after: None },
        Err((Kind::Unknown, _)) => WriteOutcome::Unknown,
        Err((Kind::Unavailable, _)) => WriteOutcome::Failed,
        Err((Kind::Invalid | Kind::Rejected | Kind::Fatal, error)) => {
            panic!("a good batch was refused: {error}");
        }
    }
}
