//! The records of a key are a chain: what one leaves, the next one finds; each changes something; and their names say
//! what happened.
//!
//! From DESIGN: a record is the change as the log has it, and the leader evaluates each write against everything
//! before it in its own log. AWS, "Change data capture for DynamoDB Streams": the records of an item appear in the
//! order of its changes; a write that changes nothing has no record. DYNAMODB.md 1.4 for the names.

use watertable::client::{EventName, Record};

use super::chain::{self, Version};
use super::{judge, show};
use crate::history::{History, Key, StreamStory};
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("image_chain", marks, |judged| {
        for (number, table) in history.tables.iter().enumerate() {
            for stream in &table.streams {
                let complete = chain::from_the_start(history, stream);
                for (key, chain) in chain::of(history, number, stream) {
                    *judged += chain.len() as u64;
                    judge_chain(stream, &chain, complete).map_err(|why| told(stream, &key, &why))?;
                }
            }
        }
        Ok(())
    })
}

fn told(stream: &StreamStory, key: &Key, why: &str) -> String {
    format!("{} in {}: {why}", show::key(key), stream.arn)
}

fn judge_chain(stream: &StreamStory, chain: &[Version], complete: bool) -> Result<(), String> {
    if let Some(first) = chain.first()
        && complete
        && first.record.event_name != EventName::Insert
    {
        return Err(format!("the table began empty, but the first is {}", show::record(first.record)));
    }
    for version in chain {
        alone(stream, version)?;
    }
    for pair in chain.windows(2) {
        let (one, next) = (pair[0].record, pair[1].record);
        let both = || format!("{} is followed by {}", show::record(one), show::record(next));
        if (one.event_name == EventName::Remove) != (next.event_name == EventName::Insert) {
            return Err(format!("an item is created exactly where there is none: {}", both()));
        }
        let shown = chain::shows_new(stream.view_type) && chain::shows_old(stream.view_type);
        if shown && one.new_image != next.old_image {
            return Err(format!("the item after one is not the item before the next: {}", both()));
        }
    }
    Ok(())
}

/// What a record must be by itself, and with what its neighbours say of its item.
fn alone(stream: &StreamStory, version: &Version) -> Result<(), String> {
    let record = version.record;
    let expected = match record.event_name {
        EventName::Insert => (false, true),
        EventName::Modify => (true, true),
        EventName::Remove => (true, false),
        EventName::Unspecified => return Err(format!("it has no name: {}", show::record(record))),
    };
    let shows = (chain::shows_old(stream.view_type), chain::shows_new(stream.view_type));
    let images = (record.old_image.is_some(), record.new_image.is_some());
    if images != (expected.0 && shows.0, expected.1 && shows.1) {
        return Err(format!(
            "its images are not those of its name ({:?}): {}",
            stream.view_type,
            show::record(record)
        ));
    }
    if let (Some(before), Some(after)) = (version.before, version.after) {
        if before == after {
            return Err(format!("it changes nothing: {}, {}", show::record(record), show::item(after)));
        }
        if (before.is_some(), after.is_some()) != expected {
            return Err(format!(
                "its name is not what happened: {}, {} before, {} after",
                show::record(record),
                show::item(before),
                show::item(after)
            ));
        }
    }
    keyed(record)
}

fn keyed(record: &Record) -> Result<(), String> {
    for image in [&record.old_image, &record.new_image].into_iter().flatten() {
        if record.keys.iter().any(|(name, value)| image.get(name) != Some(value)) {
            return Err(format!("an image is of another key: {}", show::record(record)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;

    use super::super::sample::{BOTH, KEY, KEYS, NEW, OLD, VIEWS, fails, history, item, passes};
    use super::*;

    const NAME: &str = "image_chain";

    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.versions(&[Some(item(1)), Some(item(2)), None, Some(item(4))]);
        history
    }

    #[test]
    fn a_chain_passes() {
        for view_type in VIEWS {
            passes(check, NAME, &good(view_type));
        }
    }

    #[test]
    fn a_broken_link_is_reported() {
        let mut history = good(BOTH);
        history.records()[1].old_image = Some(item(9));
        fails(check, NAME, &history, "not the item before the next");
        for view_type in VIEWS {
            let mut history = good(view_type);
            history.records().remove(2);
            let old = view_type == OLD;
            let words = if old { "not what happened" } else { "created exactly where there is none" };
            fails(check, NAME, &history, words);
        }
    }

    #[test]
    fn a_change_of_nothing_is_reported() {
        for view_type in [BOTH, NEW, OLD] {
            let mut history = good(view_type);
            let mut twin = history.records()[1].clone();
            twin.old_image =
                twin.old_image.filter(|_| view_type == OLD).or((view_type == BOTH).then(|| item(2)));
            history.records().insert(2, twin);
            fails(check, NAME, &history, "it changes nothing");
        }
    }

    #[test]
    fn wrong_names_and_images_are_reported() {
        let mut first = good(KEYS);
        first.records().remove(0);
        fails(check, NAME, &first, "the table began empty");
        let mut named = good(BOTH);
        named.records()[1].event_name = EventName::Remove;
        fails(check, NAME, &named, "not those of its name");
        let mut nameless = good(KEYS);
        nameless.records()[1].event_name = EventName::Unspecified;
        fails(check, NAME, &nameless, "it has no name");
        let mut shown = good(KEYS);
        shown.records()[1].new_image = Some(item(2));
        fails(check, NAME, &shown, "not those of its name");
        let mut in_the_end = good(OLD);
        in_the_end.tables[0].items.clear();
        fails(check, NAME, &in_the_end, "it changes nothing");
        let mut keyed = good(NEW);
        keyed.records()[1].new_image = Some(Key { id: 2, ..KEY }.item(false));
        fails(check, NAME, &keyed, "of another key");
    }
}
