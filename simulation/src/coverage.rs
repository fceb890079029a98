//! What many seeds exercised together, and whether that is enough to believe them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{plan::Scenario, verdict::Marks};

/// Marks that must be hit over many seeds.
pub fn marks_required(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::Short | Scenario::Trimming => SHORT,
        Scenario::Delivery => DELIVERY,
        Scenario::Retention => RETENTION,
    }
}

const SHORT: &[&str] = &[
    "fault: kill",
    "fault: power_loss",
    "fault: power_loss_at_sync",
    "fault: kill_leader",
    "fault: isolate_leader",
    "fault: election_storm",
    "fault: squall",
    "fault: power_loss_of_all",
    "fault: partition",
    "fault: one_way",
    "fault: hold",
    "fault: cut_off",
    "fault: latency",
    "fault: clock",
    "fault: disk_full",
    "fault: sync_fails",
    "fault: slow_disk",
    "fault: misreads",
    "invariant: election_safety",
    "invariant: catalogs_equal",
    "invariant: empty_pages",
    "invariant: exactly_one",
    "invariant: gapless",
    "invariant: given_out",
    "invariant: image_chain",
    "invariant: item_counts",
    "invariant: leader_completeness",
    "invariant: linearizable",
    "invariant: log_matching",
    "invariant: monotonic",
    "invariant: never_unseen",
    "invariant: no_invention",
    "invariant: order_per_key",
    "invariant: quorum",
    "invariant: replicas_equal",
    "invariant: sequence_rises",
    "invariant: state_machine_safety",
    "invariant: stream_equals_table",
    "invariant: strong_reads",
    "invariant: unknown_whole",
    "path: a read was bad",
    "path: flush by itself",
    "path: power lost at a sync",
    "path: power lost behind a vote",
    "path: cut off behind a proposal",
];

const DELIVERY: &[&str] = &[
    "fault: kill",
    "fault: power_loss",
    "fault: kill_leader",
    "fault: isolate_leader",
    "fault: partition",
    "fault: cut_off",
    "invariant: delivered",
    "invariant: exactly_one",
];

const RETENTION: &[&str] = &[
    "fault: kill",
    "fault: power_loss",
    "fault: power_loss_of_all",
    "fault: partition",
    "fault: one_way",
    "fault: cut_off",
    "fault: clock",
    "fault: sync_fails",
    "fault: slow_disk",
    "fault: misreads",
    "invariant: exactly_one",
    "invariant: expiry",
    "invariant: gapless",
    "invariant: horizon",
    "invariant: monotonic",
    "invariant: replicas_equal",
    "invariant: retention",
    "path: a trimmed place was refused",
    "path: an iterator had expired",
    "path: what was still there was judged to be young enough",
];

/// How often a mark was hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Seeds in which it was.
    pub seeds: u64,
    /// All of them together.
    pub total: u64,
}

/// The marks of many seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    seeds: Marks,
    totals: Marks,
}

/// Whether what had to be exercised was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It was.
    Covered,
    /// These marks were never hit.
    Never(Vec<String>),
    /// So few seeds prove nothing either way.
    NotJudged,
}

impl Coverage {
    /// Nothing yet; marks that are required are known, so that they show with 0.
    pub fn new(required: &[&str]) -> Self {
        let mut coverage = Self::default();
        required.iter().for_each(|mark| coverage.totals.add(mark, 0));
        coverage
    }

    /// Adds the marks of one seed.
    pub fn add(&mut self, marks: &Marks) {
        self.totals.merge(marks);
        for mark in marks.0.iter().filter(|(_, count)| **count > 0).map(|(mark, _)| mark) {
            self.seeds.hit(mark);
        }
    }

    /// The marks by name.
    pub fn marks(&self) -> BTreeMap<String, Hits> {
        let seeds = |mark: &String| self.seeds.0.get(mark).copied().unwrap_or_default();
        let hits =
            |(mark, total): (&String, &u64)| (mark.clone(), Hits { seeds: seeds(mark), total: *total });
        self.totals.0.iter().map(hits).collect()
    }

    /// Judges them, if at least `seeds_min` of `seeds` ran.
    pub fn judge(&self, required: &[&str], seeds: u64, seeds_min: u64) -> Judgement {
        if seeds < seeds_min {
            return Judgement::NotJudged;
        }
        let hit = |mark: &str| self.totals.0.get(mark).is_some_and(|total| *total > 0);
        let never = required.iter().filter(|mark| !hit(mark));
        let never: Vec<String> = never.map(|mark| (*mark).to_owned()).collect();
        if never.is_empty() { Judgement::Covered } else { Judgement::Never(never) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(marks: &[(&str, u64)]) -> Marks {
        Marks(marks.iter().map(|(mark, count)| ((*mark).to_owned(), *count)).collect())
    }

    #[test]
    fn seeds_and_totals_are_counted_apart() {
        let mut coverage = Coverage::new(&["c"]);
        coverage.add(&marks(&[("a", 3), ("b", 0)]));
        coverage.add(&marks(&[("a", 2)]));
        let expected = [
            ("a", Hits { seeds: 2, total: 5 }),
            ("b", Hits { seeds: 0, total: 0 }),
            ("c", Hits { seeds: 0, total: 0 }),
        ];
        assert_eq!(coverage.marks(), expected.map(|(mark, hits)| (mark.to_owned(), hits)).into());
    }

    #[test]
    fn a_required_mark_at_0_is_named_whether_known_or_not() {
        let mut coverage = Coverage::default();
        coverage.add(&marks(&[("a", 1), ("b", 0), ("other", 0)]));
        let never = Judgement::Never(vec!["b".to_owned(), "unknown".to_owned()]);
        assert_eq!(coverage.judge(&["a", "b", "unknown"], 100, 100), never);
        assert_eq!(coverage.judge(&["a"], 100, 100), Judgement::Covered);
        coverage.add(&marks(&[("b", 1), ("unknown", 9)]));
        assert_eq!(coverage.judge(&["a", "b", "unknown"], 101, 100), Judgement::Covered);
    }

    #[test]
    fn few_seeds_are_not_judged() {
        let coverage = Coverage::default();
        assert_eq!(coverage.judge(&["a"], 99, 100), Judgement::NotJudged);
        assert_eq!(coverage.judge(&["a"], 100, 100), Judgement::Never(vec!["a".to_owned()]));
    }
}
