//! All invariants on what the model makes: they accept it when it is right, and report each kind of fault whenever it
//! can be seen.

use watertable::client::{EventName, Record, StreamViewType};
use watertable::model::AttributeValue;

use super::evidence::{self, Sure};
use super::model::{self, Dice, Fault, Made, Model};
use super::{chain, check_history, sample};
use crate::history::{Change, History, Operation, StreamStory, name, written_by};
use crate::verdict::Marks;

const SEEDS: u64 = 300;

fn told(history: &History) -> Option<String> {
    check_history(history, &mut Marks::default()).err().map(|violation| violation.invariant)
}

#[test]
fn what_is_right_is_accepted_and_judged() {
    let mut marks = Marks::default();
    for seed in 0..SEEDS {
        let verdict = check_history(&model::run(seed, Fault::Nothing).history, &mut marks);
        assert_eq!(verdict, Ok(()), "seed {seed}");
    }
    // Nobody comes late in the model, and nobody is told; these have tests of their own.
    let elsewhere = ["invariant: delivered", "invariant: expiry", "invariant: retention"];
    let judged = |mark: &str| mark.starts_with("invariant: ") && !elsewhere.contains(&mark);
    let invariants: Vec<_> = marks.0.iter().filter(|(mark, _)| judged(mark)).collect();
    assert_eq!(invariants.len(), 13, "{invariants:?}");
    assert!(invariants.iter().all(|(_, count)| **count > 1_000), "{invariants:?}");
    assert!(marks.0["linearizable: gave up"] < 20, "{marks:?}");
}

fn is_reported(fault: Fault) {
    let mut done = 0;
    for seed in 0..SEEDS {
        let model = model::run(seed, fault);
        if model.faulty {
            done += 1;
            assert!(told(&model.history).is_some(), "seed {seed}");
        }
    }
    assert!(done > 30, "only {done}");
}

#[test]
fn a_forgotten_write_is_reported() {
    is_reported(Fault::Forget);
}

#[test]
fn a_stale_read_is_reported() {
    is_reported(Fault::Stale);
}

#[test]
fn a_write_made_twice_is_reported() {
    is_reported(Fault::Twice);
}

/// A change of the model whose record is there, with what a test needs to know of it.
struct Found<'a> {
    made: &'a Made,
    operation: &'a Operation,
    view_type: StreamViewType,
    whole: bool,
    /// Whether it is surely in the stream, by its number.
    sure: bool,
    previous: Option<Box<Found<'a>>>,
}

fn stream<'a>(model: &'a Model, made: &Made) -> &'a StreamStory {
    &model.history.tables[made.key.table].streams[made.place.expect("it has a record").0]
}

fn find(model: &Model, index: usize) -> Found<'_> {
    let made = &model.made[index];
    let stream = stream(model, made);
    let operation = &model.history.operations[made.number as usize - 1];
    let signed = made.after.as_ref().and_then(written_by) == Some(made.number);
    let previous = (0..index).rev().find(|other| {
        let other = &model.made[*other];
        other.key == made.key
            && other.place.is_some_and(|place| Some(place.0) == made.place.map(|place| place.0))
    });
    Found {
        made,
        operation,
        view_type: stream.view_type,
        whole: stream.on == (0, 0) && stream.off.0 == crate::history::NEVER,
        sure: signed && evidence::is_done(operation) && evidence::inside(operation, stream) == Sure::Yes,
        previous: previous.map(|index| Box::new(find(model, index))),
    }
}

type Observable = fn(&Model, &Found) -> bool;
type Spoil = fn(&mut Vec<Record>, &Found);

/// Does one wrong to a record, in the stream and to all who read it, wherever that can be seen: it must be reported.
fn is_reported_wherever_seen(observable: Observable, spoil: Spoil) {
    let mut seen = [0; 5];
    for seed in 0..SEEDS {
        let model = model::run(seed, Fault::Nothing);
        let mut dice = Dice(seed);
        let chosen = (0..100)
            .map(|_| dice.below(model.made.len() as u64) as usize)
            .find(|index| model.made[*index].place.is_some() && observable(&model, &find(&model, *index)));
        let Some(index) = chosen else { continue };
        let found = find(&model, index);
        let (stream, shard, _) = found.made.place.expect("it was looked for");
        let mut history = model.history.clone();
        let story = &mut history.tables[found.made.key.table].streams[stream];
        let arn = story.arn.clone();
        let shard = &mut story.shards[shard];
        let old = shard.records.clone();
        spoil(&mut shard.records, &found);
        for reading in
            history.readings.iter_mut().filter(|reading| reading.arn == arn && reading.shard == shard.id)
        {
            respoil(&mut reading.records, &old, &shard.records);
        }
        let view_type = found.view_type as usize;
        seen[view_type] += 1;
        assert!(told(&history).is_some(), "seed {seed}: {:?} in {:?}", found.made, found.view_type);
    }
    assert!(seen[1..].iter().all(|count| *count > 5), "{seen:?}");
}

/// Shows the readers what they would have seen of the spoiled records.
fn respoil(read: &mut Vec<(u64, Record)>, old: &[Record], new: &[Record]) {
    let Some(first) = read.first().map(|(_, record)| record.sequence_number.clone()) else { return };
    let last = read.last().map(|(_, record)| record.sequence_number.clone());
    let next = old.iter().find(|record| Some(&record.sequence_number) > last.as_ref());
    let time = read.iter().map(|(time, _)| *time).max().unwrap_or_default();
    let among = |record: &&Record| {
        record.sequence_number >= first
            && next.is_none_or(|next| record.sequence_number < next.sequence_number)
    };
    *read = new.iter().filter(among).map(|record| (time, record.clone())).collect();
}

fn place(records: &[Record], found: &Found) -> usize {
    let (_, _, place) = found.made.place.expect("it was looked for");
    assert_eq!(records[place].event_name, model::event(found.made));
    place
}

#[test]
fn a_dropped_record_is_reported() {
    let observable: Observable = |model, found| {
        let operations = model.history.operations.iter().filter(|operation| operation.key == found.made.key);
        // A change that no other can hide: deletes are counted apart.
        let mut possible = operations.filter(|operation| {
            evidence::possible(operation).is_some_and(|(change, _)| *change != Change::Delete)
        });
        match found.view_type {
            StreamViewType::KeysOnly => {
                found.sure
                    && found.whole
                    && possible
                        .all(|other| evidence::is_done(other) && evidence::changed(other) != Sure::Perhaps)
            }
            StreamViewType::OldImage => {
                found.sure && found.whole && found.previous.as_ref().is_none_or(|previous| previous.sure)
            }
            _ => found.sure,
        }
    };
    is_reported_wherever_seen(observable, |records, found| {
        records.remove(place(records, found));
    });
}

#[test]
fn a_record_that_is_there_twice_is_reported() {
    let observable: Observable = |_, found| {
        found.view_type != StreamViewType::KeysOnly || model::event(found.made) != EventName::Modify
    };
    is_reported_wherever_seen(observable, |records, found| {
        let place = place(records, found);
        let mut twin = records[place].clone();
        let number: u64 = twin.sequence_number.as_str().parse().expect("the model's numbers are small");
        twin.sequence_number = sample::sequence(number + 1);
        twin.event_id.push_str("twin");
        records.insert(place + 1, twin);
    });
}

#[test]
fn two_records_in_the_wrong_order_are_reported() {
    let observable: Observable = |_, found| {
        let Some(previous) = &found.previous else { return false };
        if previous.made.place.map(|place| place.1) != found.made.place.map(|place| place.1) {
            return false;
        }
        let apart =
            |one: &Found, next: &Found| one.sure && next.sure && one.operation.ended < next.operation.begun;
        match found.view_type {
            StreamViewType::NewAndOldImages => true,
            StreamViewType::NewImage => apart(previous, found),
            StreamViewType::OldImage => {
                found.whole && previous.previous.as_ref().is_none_or(|first| apart(first, previous))
            }
            _ => found.whole && model::event(found.made) != model::event(previous.made),
        }
    };
    is_reported_wherever_seen(observable, |records, found| {
        let place = place(records, found);
        let previous = self::place(records, found.previous.as_ref().expect("only such are looked for"));
        let place_of =
            |record: &Record| (record.sequence_number.clone(), record.event_id.clone(), record.created_ms);
        let places = [(previous, place_of(&records[previous])), (place, place_of(&records[place]))];
        records.swap(previous, place);
        for (index, (number, event, created)) in places {
            let record = &mut records[index];
            (record.sequence_number, record.event_id, record.created_ms) = (number, event, created);
        }
    });
}

#[test]
fn an_altered_record_is_reported() {
    let observable: Observable = |_, found| match found.view_type {
        StreamViewType::OldImage => found.previous.is_some() && found.made.before.is_some(),
        StreamViewType::KeysOnly => true,
        _ => {
            let known = found.whole || found.previous.is_some() || found.made.before.is_none();
            found.made.after.is_some() && known
        }
    };
    is_reported_wherever_seen(observable, |records, found| {
        let place = place(records, found);
        let altered = AttributeValue::S("altered".to_owned());
        let record = &mut records[place];
        let image = if chain::shows_new(found.view_type) {
            record.new_image.as_mut()
        } else if chain::shows_old(found.view_type) {
            record.old_image.as_mut()
        } else {
            Some(&mut record.keys)
        };
        image.expect("only such are looked for").insert(name("pad"), altered);
    });
}

#[test]
fn an_unmade_reading_is_reported() {
    for seed in 0..SEEDS {
        let mut history = model::run(seed, Fault::Nothing).history;
        let mut dice = Dice(seed);
        let Some(reading) = history.readings.iter_mut().find(|reading| reading.records.len() > 2) else {
            continue;
        };
        let middle = 1 + dice.below(reading.records.len() as u64 - 2) as usize;
        reading.records.remove(middle);
        assert_eq!(told(&history).as_deref(), Some("gapless"), "seed {seed}");
    }
}
