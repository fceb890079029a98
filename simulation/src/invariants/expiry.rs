//! An iterator lives for 15 minutes, neither longer nor shorter.
//!
//! From AWS, "GetShardIterator" of the DynamoDB Streams API: "A shard iterator expires 15 minutes after it is returned to
//! the requester." The node that judges may be another than the one that issued it, with another clock.

use watertable::model::limits::ITERATOR_LIFE_MS;

use super::judge;
use crate::history::{History, Micros, Use};
use crate::verdict::{Marks, Violation};

/// Milliseconds are rounded.
const ROUNDED: Micros = 2_000;

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    let life = ITERATOR_LIFE_MS * 1_000;
    let excused = 2 * history.clocks_set + history.clocks_ran + ROUNDED;
    let expired = history.uses.iter().filter(|used| used.expired).count() as u64;
    let verdict = judge("expiry", marks, |judged| {
        for used in &history.uses {
            *judged += 1;
            let Use { issued, used: (begun, ended), expired } = *used;
            let (youngest, oldest) = (begun - issued.1, ended - issued.0);
            if expired && oldest + excused < life {
                return Err(format!("{used:?} was refused as expired at an age of {oldest} µs at most"));
            }
            if !expired && youngest > life + excused {
                return Err(format!("{used:?} was taken at an age of {youngest} µs at least"));
            }
        }
        Ok(())
    });
    marks.add("path: an iterator had expired", expired);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60_000_000;

    fn verdict(minutes: Micros, expired: bool, clocks_set: Micros) -> Result<(), Violation> {
        let used = Use { issued: (10, 20), used: (minutes * MINUTE, minutes * MINUTE + 10), expired };
        let history = History { uses: vec![used], clocks_set, ..History::default() };
        check(&history, &mut Marks::default())
    }

    #[test]
    fn an_iterator_lives_for_15_minutes() {
        verdict(14, false, 0).expect("it is young");
        verdict(14, true, 0).expect_err("it is young");
        verdict(16, true, 0).expect("it is old");
        verdict(16, false, 0).expect_err("it is old");
        verdict(15, true, 0).expect("nobody can tell");
        verdict(15, false, 0).expect("nobody can tell");
    }

    #[test]
    fn clocks_that_were_set_excuse_so_much() {
        verdict(14, true, MINUTE).expect("a clock was wrong");
        verdict(16, false, MINUTE).expect("a clock was wrong");
    }
}
