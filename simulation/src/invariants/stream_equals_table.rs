//! A stream that is on to the end, folded, is the table: for every key, what its last record left is the item that a
//! strongly consistent scan finds.
//!
//! From DESIGN and HOUSE 2.1: items and records are the same log, so that the items at a position and the records
//! behind it are the items at the end. Folding puts each record's item over the one before, so that only a key's last
//! record counts. A stream that was also on from the start must have a record of every key of the table. Where records
//! do not show the item after, whether there is one is judged by the last record's name.

use watertable::client::EventName;

use super::chain;
use super::{judge, show};
use crate::history::History;
use crate::verdict::{Marks, Violation};

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("stream_equals_table", marks, |judged| {
        for (number, table) in history.tables.iter().enumerate() {
            let streams = table.streams.iter().filter(|stream| chain::to_the_end(history, number, stream));
            for stream in streams {
                let chains = chain::of(history, number, stream);
                for (key, chain) in &chains {
                    let Some(last) = chain.last().map(|version| version.record) else { continue };
                    let item = table.items.get(key);
                    let equal = if chain::shows_new(stream.view_type) {
                        last.new_image.as_ref() == item
                    } else {
                        (last.event_name == EventName::Remove) == item.is_none()
                    };
                    *judged += 1;
                    if !equal {
                        return Err(format!(
                            "{} is {} in the end, but its last in {} is {}",
                            show::key(key),
                            show::item(item),
                            stream.arn,
                            show::record(last)
                        ));
                    }
                }
                if !chain::from_the_start(history, stream) {
                    continue;
                }
                for (key, item) in &table.items {
                    *judged += 1;
                    if !chains.contains_key(key) {
                        return Err(format!(
                            "{} is {} in the end, but has no record in {}",
                            show::key(key),
                            show::item(Some(item)),
                            stream.arn
                        ));
                    }
                }
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use watertable::client::StreamViewType;

    use super::super::sample::{BOTH, KEY, NEW, VIEWS, fails, history, item, passes};
    use super::*;

    const NAME: &str = "stream_equals_table";

    fn good(view_type: StreamViewType) -> History {
        let mut history = history(view_type);
        history.versions(&[Some(item(1)), None, Some(item(3))]);
        history
    }

    #[test]
    fn a_stream_that_folds_to_the_table_passes() {
        for view_type in VIEWS {
            passes(check, NAME, &good(view_type));
        }
    }

    #[test]
    fn another_item_in_the_end_is_reported() {
        for view_type in [NEW, BOTH] {
            let mut history = good(view_type);
            history.tables[0].items.insert(KEY, item(1));
            fails(check, NAME, &history, "in the end, but its last");
        }
    }

    #[test]
    fn an_item_too_few_or_too_many_is_reported() {
        for view_type in VIEWS {
            let mut lost = good(view_type);
            lost.tables[0].items.clear();
            fails(check, NAME, &lost, "is no item in the end");
            let mut deleted = good(view_type);
            deleted.records().pop();
            fails(check, NAME, &deleted, "in the end, but its last");
            let mut unrecorded = good(view_type);
            unrecorded.records().clear();
            fails(check, NAME, &unrecorded, "has no record");
        }
    }

    #[test]
    fn what_ended_early_or_was_deleted_is_not_judged() {
        let mut history = good(BOTH);
        history.records().pop();
        history.tables[0].deleted = true;
        assert!(check(&history, &mut Marks::default()).is_ok());
        history.tables[0].deleted = false;
        history.tables[0].streams[0].off = (50, 60);
        assert!(check(&history, &mut Marks::default()).is_ok());
    }
}
