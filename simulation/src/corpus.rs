//! Runs that once showed something, and are played again before all others: `corpus.jsonl`, one a line.
//!
//! They are kept as plans, not as seeds: what a seed decides changes whenever the simulator learns to do something else,
//! a plan stays what it is.

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::plan::Plan;

/// The corpus, as it was when the simulator was built.
const TEXT: &str = include_str!("../corpus.jsonl");

/// One line of the corpus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it showed.
    pub showed: String,
    /// What was run.
    pub plan: Plan,
}

/// The corpus in the order of its lines.
pub fn entries() -> anyhow::Result<Vec<Entry>> {
    parse(TEXT)
}

/// The plan in one line, counted from 1.
pub fn plan(line: usize) -> anyhow::Result<Plan> {
    let mut entries = entries()?;
    ensure!((1..=entries.len()).contains(&line), "the corpus has lines 1 to {}, not {line}", entries.len());
    Ok(entries.swap_remove(line - 1).plan)
}

fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            let place = || format!("corpus.jsonl, line {}", at + 1);
            let entry: Entry = serde_json::from_str(line).with_context(place)?;
            ensure!(!entry.showed.is_empty(), "{}: it does not say what it showed", place());
            Ok(entry)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scenario;

    fn line(showed: &str, seed: u64) -> String {
        let plan = serde_json::to_string(&Plan::from_seed(seed, Scenario::Short)).expect("it can be written");
        format!("{{\"showed\": \"{showed}\", \"plan\": {plan}}}\n")
    }

    #[test]
    fn the_corpus_itself_is_well_formed() {
        let entries = entries().expect("it is well formed");
        assert!(!entries.is_empty());
        assert_eq!(plan(entries.len()).expect("it is the last"), entries[entries.len() - 1].plan);
        assert!(plan(0).is_err() && plan(entries.len() + 1).is_err());
    }

    #[test]
    fn lines_are_read_in_order() {
        let entries = parse(&(line("a", 1) + &line("b", 2))).expect("they are well formed");
        let read: Vec<_> = entries.iter().map(|entry| (entry.showed.as_str(), entry.plan.seed)).collect();
        assert_eq!(read, [("a", 1), ("b", 2)]);
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number() {
        for bad in ["", "{}", "short 17 # lost", &line("", 1)] {
            let error = format!("{:#}", parse(&(line("a", 1) + bad.trim_end() + "\n")).expect_err(bad));
            assert!(error.starts_with("corpus.jsonl, line 2: "), "{error}");
        }
    }
}
