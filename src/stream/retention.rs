//! When records may go.
//!
//! An entry may be trimmed once it is older than retention *by every clock of the cluster*: the cutoff is the leader's
//! now, less retention, less the largest clock offset between nodes - as it was measured, or [`CLOCK_OFFSET_MS_MAX`]
//! where it was not yet. Beyond that the leader does not trim at all. (A leader with a fast clock would otherwise trim
//! what its predecessor, with a slow one, had just stamped.)

/// The largest clock offset between nodes with which trimming goes on, milliseconds.
pub const CLOCK_OFFSET_MS_MAX: u64 = 10_000;

/// Entries stamped before this time may be trimmed; `None`: clocks are too far apart to trim anything.
pub fn cutoff(now_ms: u64, retention_ms: u64, clock_offset_ms: u64) -> Option<u64> {
    if clock_offset_ms > CLOCK_OFFSET_MS_MAX {
        return None;
    }
    Some(now_ms.saturating_sub(retention_ms).saturating_sub(clock_offset_ms))
}

/// The last index in `first..=last` whose entry was stamped before `cutoff_ms`; `None` if none was. Stamps never
/// fall along a log, so this is a binary search. `time_of` gives the stamp of an index, or `None` for an entry
/// without one (Raft's own), which counts as its successors do.
pub fn last_before<E>(
    first: u64,
    last: u64,
    cutoff_ms: u64,
    mut time_of: impl FnMut(u64) -> Result<Option<u64>, E>,
) -> Result<Option<u64>, E> {
    let (mut low, mut high) = (first, last + 1); // all below low are before the cutoff, none from high on is
    while low < high {
        let middle = low + (high - low) / 2;
        let mut probe = middle;
        let stamp = loop {
            match time_of(probe)? {
                Some(stamp) => break Some(stamp),
                None if probe + 1 < high => probe += 1,
                None => break None,
            }
        };
        match stamp {
            Some(stamp) if stamp < cutoff_ms => low = probe + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low.checked_sub(1).filter(|index| *index >= first))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_linear_search(steps in proptest::collection::vec((0u64..4, any::<bool>()), 1..40),
                                       cutoff in 0u64..80, first in 0u64..5) {
            let mut now = 0;
            let stamps: Vec<Option<u64>> = steps.iter().map(|(step, stamped)| {
                now += step;
                stamped.then_some(now)
            }).collect();
            let last = first + stamps.len() as u64 - 1;
            let found = last_before::<Infallible>(first, last, cutoff, |index| {
                Ok(stamps[usize::try_from(index - first).expect("small")])
            }).expect("infallible");
            let linear = stamps.iter().rposition(|stamp| stamp.is_some_and(|stamp| stamp < cutoff))
                .map(|at| first + at as u64);
            prop_assert_eq!(found, linear);
        }
    }

    #[test]
    fn clocks_too_far_apart_stop_trimming() {
        assert_eq!(cutoff(100_000, 20_000, 500), Some(79_500));
        assert_eq!(cutoff(100_000, 20_000, CLOCK_OFFSET_MS_MAX), Some(70_000));
        assert_eq!(cutoff(100_000, 20_000, CLOCK_OFFSET_MS_MAX + 1), None);
        assert_eq!(cutoff(10, 20_000, 0), Some(0));
    }
}
