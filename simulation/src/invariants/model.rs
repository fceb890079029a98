//! A database so simple that it is right, and clients whose operations overlap at random: every operation takes effect
//! at one moment of its own, in one thread. What it makes are histories that every invariant must accept; told to, it
//! does one thing wrong.

use std::collections::BTreeMap;

use watertable::client::{EventName, Record, StreamViewType};
use watertable::model::Item;

use super::sample;
use crate::history::{
    Began, Call, Change, Condition, Empty, History, Key, Micros, NEVER, Operation, Reading, ShardStory,
    StreamStory, WriteOutcome, written_by,
};

/// From when a stream was asked to go on or off to when that was answered.
type Span = (Micros, Micros);

const DURATION: Micros = 20_000;
const OPERATIONS: usize = 50;
const KEYS: u64 = 3;
/// The tables whose one stream shows items and was on for the whole run.
pub const SHOWN: usize = 3;

/// The one thing that the database does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// A put is acknowledged and not made.
    Forget,
    /// A consistent read shows what was replaced before it began.
    Stale,
    /// An unknown put is made twice.
    Twice,
}

/// A random number generator (splitmix64), so that a seed says all.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn between(&mut self, from: Micros, to: Micros) -> Micros {
        from + self.below(to - from + 1)
    }
}

/// A change as it was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub number: u64,
    pub key: Key,
    /// Stream, shard and place of its record, if a stream was on.
    pub place: Option<(usize, usize, usize)>,
    pub at: Micros,
    pub before: Option<Item>,
    pub after: Option<Item>,
}

pub struct Model {
    pub history: History,
    pub made: Vec<Made>,
    /// Whether the fault was done, so that it can be seen.
    pub faulty: bool,
    dice: Dice,
    fault: Fault,
    states: BTreeMap<Key, Vec<(Micros, Option<Item>)>>,
    /// Of each stream: its table, its place there, and the moments it went on, went off, and was rolled over.
    lives: Vec<(usize, usize, Micros, Micros, Micros)>,
    sequence: u64,
}

/// A history, and what was made in it.
pub fn run(seed: u64, fault: Fault) -> Model {
    let mut model = Model {
        history: History::default(),
        made: Vec::new(),
        faulty: false,
        dice: Dice(seed),
        fault,
        states: BTreeMap::new(),
        lives: Vec::new(),
        sequence: 1,
    };
    model.tables();
    for table in 0..model.history.tables.len() {
        model.operations(table);
    }
    model.readings();
    model
}

impl Model {
    fn tables(&mut self) {
        let views = [
            StreamViewType::NewAndOldImages,
            StreamViewType::NewImage,
            StreamViewType::OldImage,
            StreamViewType::KeysOnly,
        ];
        for view_type in views {
            self.table(&[(view_type, (0, 0), (NEVER, NEVER))]);
        }
        self.history.tables[0].schema = sample::schema(true);
        self.table(&[]);
        let on = [1_000, 8_000, 12_000].map(|start| (start, start + self.dice.below(2_000)));
        let view = |dice: &mut Dice| views[dice.below(4) as usize];
        let (one, other) = (view(&mut self.dice), view(&mut self.dice));
        self.table(&[(one, on[0], on[1]), (other, on[2], (NEVER, NEVER))]);
        let (one, other) = (view(&mut self.dice), view(&mut self.dice));
        self.table(&[(one, (0, 0), on[0]), (other, on[1], on[2])]);
    }

    fn table(&mut self, streams: &[(StreamViewType, Span, Span)]) {
        let table = self.history.tables.len();
        let mut stories = Vec::new();
        for (index, (view_type, on, off)) in streams.iter().enumerate() {
            let start = self.dice.between(on.0, on.1);
            let stop = if off.0 == NEVER { NEVER } else { self.dice.between(off.0, off.1) };
            let over = stop.min(DURATION * 2);
            let roll = self.dice.between(start, over - 1);
            self.lives.push((table, index, start, stop, roll));
            // Two roots; the first is rolled over into a child.
            let shard = |id: &str, parent: Option<&str>, from: Micros, to: Micros| ShardStory {
                id: id.to_owned(),
                parent: parent.map(str::to_owned),
                starting: sample::sequence(from * 1_000),
                ending: (to != NEVER).then(|| sample::sequence(to * 1_000 - 1)),
                records: Vec::new(),
            };
            stories.push(StreamStory {
                arn: format!("a{table}-{index}"),
                view_type: *view_type,
                on: *on,
                off: *off,
                shards: vec![
                    shard("s0", None, start, roll + 1),
                    shard("s1", None, start, stop.saturating_add(1)),
                    shard("s2", Some("s0"), roll + 1, stop.saturating_add(1)),
                ],
            });
        }
        self.history.tables.push(sample::table(stories));
    }

    /// Sends the operations of a table and lets them take effect.
    fn operations(&mut self, table: usize) {
        let first = self.history.operations.len();
        let mut effects = Vec::new();
        for _ in 0..OPERATIONS {
            let number = self.history.operations.len() as u64 + 1;
            let begun = self.dice.below(DURATION);
            let length = if self.dice.one_in(3) { 3_000 } else { 200 };
            let ended = begun + 1 + self.dice.below(length);
            let id = 1 + self.dice.below(KEYS);
            let at = if table == 0 { self.dice.below(2) } else { 0 };
            let key = Key { table, id: if table == 0 { 1 + id % 2 } else { id }, at };
            let call = self.call(number, first as u64 + 1, &key);
            effects.push((self.dice.between(begun, ended), number as usize - 1, false));
            let client = self.dice.below(9) as u32;
            self.history.operations.push(Operation { number, client, key, begun, ended, call });
        }
        for effect in &mut effects {
            self.misfortune(effect);
        }
        let twice: Vec<_> = effects
            .iter()
            .filter(|effect| effect.2)
            .map(|effect| (effect.0 + 4_000, effect.1, true))
            .collect();
        effects.extend(twice);
        effects.sort_unstable();
        for (at, index, again) in effects {
            self.happen(at, index, again);
        }
    }

    fn call(&mut self, number: u64, first: u64, key: &Key) -> Call {
        if self.dice.one_in(3) {
            return Call::Read { consistent: !self.dice.one_in(3), found: None };
        }
        let bare = key.item(key.table == 0);
        let pad = format!("p{}", self.dice.below(3));
        let change = match self.dice.below(8) {
            0..3 => {
                let set = Change::Set(pad).apply(number, &bare, None).expect("it sets");
                Change::Put(set)
            }
            3 => Change::Set(pad),
            4 | 5 => Change::Add(self.dice.below(5) as i64 - 2),
            6 => Change::Touch,
            _ => Change::Delete,
        };
        let condition = match self.dice.below(8) {
            0 => Some(Condition::Exists),
            1 => Some(Condition::Absent),
            2 => Some(Condition::WrittenBy(first + self.dice.below(number - first + 1))),
            _ => None,
        };
        Call::Write { change, condition, outcome: WriteOutcome::Done { before: None, after: None } }
    }

    /// Lets some writes fail or be unknown, and does the fault.
    fn misfortune(&mut self, effect: &mut (Micros, usize, bool)) {
        let operation = &mut self.history.operations[effect.1];
        let Call::Write { change, condition, outcome } = &mut operation.call else { return };
        let shown = operation.key.table < SHOWN;
        let put = matches!(change, Change::Put(_)) && condition.is_none() && shown && !self.faulty;
        match self.dice.below(12) {
            0 => {
                *outcome = WriteOutcome::Failed;
                effect.0 = NEVER;
            }
            1 | 2 => {
                *outcome = WriteOutcome::Unknown;
                effect.0 = match self.dice.below(3) {
                    0 => NEVER,
                    1 => effect.0,
                    _ => operation.begun + self.dice.below(DURATION),
                };
                effect.2 = put && self.fault == Fault::Twice && effect.0 != NEVER;
            }
            3 if put && self.fault == Fault::Forget => {
                self.faulty = true;
                effect.0 = NEVER;
            }
            _ => {}
        }
    }

    fn happen(&mut self, at: Micros, index: usize, again: bool) {
        if at == NEVER {
            return;
        }
        let Operation { number, key, call, .. } = self.history.operations[index].clone();
        let states = self.states.entry(key).or_default();
        let before = states.last().and_then(|(_, item)| item.clone());
        let mut call = call;
        match &mut call {
            Call::Read { consistent: true, found } => {
                *found = Some(before);
                self.stale(index, found);
            }
            Call::Read { consistent: false, found } => {
                let back = self.dice.below(3) as usize;
                let old = states.len().checked_sub(1 + back).and_then(|index| states[index].1.clone());
                *found = (!self.dice.one_in(10)).then_some(old);
            }
            Call::Write { change, condition, outcome } => {
                let unknown = *outcome == WriteOutcome::Unknown;
                let mut show = |item: &Option<Item>| self.dice.one_in(2).then(|| item.clone());
                if condition.is_some_and(|condition| !condition.holds(before.as_ref())) {
                    if !unknown {
                        *outcome = WriteOutcome::Rejected(show(&before));
                    }
                } else {
                    let bare = key.item(key.table == 0);
                    let after = change.apply(number, &bare, before.as_ref());
                    if !unknown {
                        *outcome = WriteOutcome::Done { before: show(&before), after: show(&after) };
                    }
                    if before != after {
                        self.faulty |= again && self.made.iter().any(|made| made.number == number);
                        self.change(at, number, key, before, after);
                    }
                }
            }
        }
        self.history.operations[index].call = call;
    }

    /// Perhaps shows an item that was replaced before the read began, by a write that began after it was there.
    fn stale(&mut self, index: usize, found: &mut Option<Option<Item>>) {
        if self.fault != Fault::Stale || self.faulty || self.dice.one_in(2) {
            return;
        }
        let read = &self.history.operations[index];
        let done = |number: u64| {
            let write = &self.history.operations[number as usize - 1];
            matches!(write.call, Call::Write { outcome: WriteOutcome::Done { .. }, .. }).then_some(write)
        };
        let mine: Vec<_> =
            self.made.iter().filter(|made| made.key == read.key && made.after.is_some()).collect();
        for newer in mine.iter().rev() {
            if newer.after.as_ref().and_then(written_by) != Some(newer.number) {
                continue;
            }
            let Some(write) = done(newer.number).filter(|write| write.ended < read.begun) else { continue };
            let old = mine.iter().find(|old| {
                let signed = old.after.as_ref().and_then(written_by) == Some(old.number);
                signed && old.at < newer.at && done(old.number).is_some_and(|old| old.ended < write.begun)
            });
            if let Some(old) = old {
                *found = Some(old.after.clone());
                self.faulty = true;
                return;
            }
        }
    }

    fn change(&mut self, at: Micros, number: u64, key: Key, before: Option<Item>, after: Option<Item>) {
        self.states.entry(key).or_default().push((at, after.clone()));
        let items = &mut self.history.tables[key.table].items;
        match &after {
            Some(item) => items.insert(key, item.clone()),
            None => items.remove(&key),
        };
        let live = self
            .lives
            .iter()
            .find(|(table, _, on, off, _)| *table == key.table && (*on < at || *on == 0) && at <= *off);
        let mut place = None;
        if let Some((table, stream, _, _, roll)) = live {
            let shard = if key.id % 2 == 1 {
                1
            } else if at <= *roll {
                0
            } else {
                2
            };
            let story = &mut self.history.tables[*table].streams[*stream];
            self.sequence += 1;
            let mut record = sample::record(story.view_type, self.sequence, before.clone(), after.clone());
            record.keys = key.item(key.table == 0);
            record.created_ms = at / 100;
            let records = &mut story.shards[shard].records;
            // The moment, and behind it the place among those of the moment, with room for one between.
            let close = self.made.iter().rev().take(100).filter(|made| made.at == at).count() as u64;
            record.sequence_number = sample::sequence(at * 1_000 + 10 * close);
            place = Some((*stream, shard, records.len()));
            records.push(record);
        }
        self.made.push(Made { number, key, place, at, before, after });
    }

    /// Lets readers read every shard, each from somewhere to somewhere.
    fn readings(&mut self) {
        let mut readings = Vec::new();
        for (number, table) in self.history.tables.iter().enumerate() {
            for (stream, story) in table.streams.iter().enumerate() {
                for (index, shard) in story.shards.iter().enumerate() {
                    let times: Vec<_> = self
                        .made
                        .iter()
                        .filter(|made| {
                            made.key.table == number
                                && made.place.is_some_and(|place| (place.0, place.1) == (stream, index))
                        })
                        .map(|made| made.at)
                        .collect();
                    for reader in 0..4 {
                        let (began, from) = began(&mut self.dice, shard, &times);
                        let count = shard.records.len() - from;
                        let to = from
                            + if self.dice.one_in(2) {
                                count
                            } else {
                                self.dice.below(count as u64 + 1) as usize
                            };
                        let seen = |index: usize| (times[index] + 1, shard.records[index].clone());
                        // Just before the next record is there.
                        let asked = times.get(to).copied().unwrap_or(NEVER / 2);
                        let empty = Empty { asked, answered: asked, seen: to - from };
                        self.history.served += 2; // an iterator and a page at the least
                        readings.push(Reading {
                            reader,
                            arn: story.arn.clone(),
                            shard: shard.id.clone(),
                            began,
                            records: (from..to).map(seen).collect(),
                            empties: vec![empty],
                            ended: to == shard.records.len() && shard.ending.is_some() && self.dice.one_in(2),
                        });
                    }
                }
            }
        }
        self.history.readings = readings;
        self.history.calm = vec![(0, NEVER)];
    }
}

/// A place to begin at, and how many records lie before it.
fn began(dice: &mut Dice, shard: &ShardStory, times: &[Micros]) -> (Began, usize) {
    let count =
        |before: &dyn Fn(&Record) -> bool| shard.records.iter().take_while(|record| before(record)).count();
    let any =
        (!times.is_empty()).then(|| &shard.records[dice.below(times.len() as u64) as usize].sequence_number);
    match (dice.below(5), any) {
        (0, Some(number)) => (Began::At(number.clone()), count(&|record| record.sequence_number < *number)),
        (1, Some(number)) => {
            (Began::After(number.clone()), count(&|record| record.sequence_number <= *number))
        }
        (2, _) => {
            let ms = dice.below(DURATION / 100);
            (Began::Timestamp(ms, Micros::MAX), count(&|record| record.created_ms < ms))
        }
        (3, _) => {
            let asked = dice.below(DURATION);
            let answered = asked + dice.below(2_000);
            let moment = dice.between(asked, answered);
            (Began::Latest(asked, answered), times.iter().take_while(|time| **time <= moment).count())
        }
        _ => (Began::Horizon, 0),
    }
}

/// What the record of a change is called.
pub fn event(made: &Made) -> EventName {
    match (&made.before, &made.after) {
        (None, _) => EventName::Insert,
        (Some(_), Some(_)) => EventName::Modify,
        (Some(_), None) => EventName::Remove,
    }
}
