//! `simulation meta`: is it true that the seed decides everything?

use std::time::Duration;

use clap::Args;

use super::{Children, progress, replay_seed};
use crate::{
    child::{Running, Work, scenario_name},
    difference::{Compared, Difference, compare},
    plan::Scenario,
    pool,
    seeds::Seeds,
};

/// Run each seed twice at the same time, and compare the traces and outcomes line by line. Exit code 1: two runs of
/// one seed differ, or show nothing to compare.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  simulation meta --seeds 0..20\n  simulation meta --seed 17 --scenario trimming"
)]
pub struct Meta {
    /// Which: `A..B`, `A..=B` or `N`.
    #[arg(long, value_name = "A..B", required_unless_present = "seed", conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// One alone.
    #[arg(long)]
    seed: Option<u64>,
    /// What they are run as.
    #[arg(long, default_value = "short")]
    scenario: Scenario,
    #[command(flatten)]
    children: Children,
}

/// What two runs of one seed were to each other.
enum Twice {
    Same { lines: u64, failure: Option<String> },
    Differ(Difference),
    EndDiffers([String; 2]),
    NotCompared(&'static str),
}

impl Meta {
    pub fn run(self) -> anyhow::Result<bool> {
        let seeds = match (self.seeds, self.seed) {
            (Some(seeds), _) => seeds,
            (None, seed) => Seeds::one(seed.unwrap_or_default()),
        };
        let bar = progress(true, seeds.count(), "{bar:30} {pos}/{len} seeds, {per_sec}, {eta} left")?;
        let (scenario, timeout) = (self.scenario, self.children.timeout(self.scenario));
        let mut seeds = seeds.iter();
        let (mut same, mut lines_compared, mut bad) = (0u64, 0, 0u64);
        let next = || seeds.next();
        // Each seed takes two.
        let pairs = self.children.jobs().div_ceil(2);
        let work = |seed| anyhow::Ok((seed, twice(Work::Seed(seed, scenario), timeout)?));
        pool::each(pairs, next, work, |(seed, twice)| {
            bar.inc(1);
            let name = format!("{} {seed}", scenario_name(scenario));
            let said = if let Twice::Same { lines, failure } = twice {
                same += 1;
                lines_compared += lines;
                let Some(failure) = failure else { return };
                format!("{name}: both runs fail in the same way: {failure}")
            } else {
                bad += 1;
                format!("{name}: {}\n    {}", describe(&twice), replay_seed(seed, scenario))
            };
            bar.suspend(|| println!("{said}"));
        })?;
        bar.finish_and_clear();
        println!("{same} seeds ran twice alike ({lines_compared} lines), {bad} did not");
        Ok(bad == 0)
    }
}

/// Runs it twice at the same time, and reads both as they go.
fn twice(work: Work<'_>, timeout: Duration) -> anyhow::Result<Twice> {
    const TIMEOUT: Twice = Twice::NotCompared("at least one of its runs did not end in time");
    let mut one = Running::start(work, true, timeout)?;
    let mut other = Running::start(work, true, timeout)?;
    let (lines, last) = match compare(&mut one.stdout, &mut other.stdout)? {
        Compared::Equal { lines, last } => (lines, last),
        Compared::Different(difference) => {
            // What was cut short differs for no reason of its own.
            let timed_out = [one.stop()?, other.stop()?];
            return Ok(if timed_out.contains(&true) { TIMEOUT } else { Twice::Differ(difference) });
        }
    };
    let (one, other) = (one.end(&last)?, other.end(&last)?);
    let failures = [one.failure, other.failure];
    if failures.iter().flatten().any(|failure| failure.violation.invariant == "timeout") {
        return Ok(TIMEOUT);
    }
    let [first, second] = failures;
    match (&first, &second) {
        (None, None) => {}
        (Some(first), Some(second)) if first.is_like(second) => {}
        _ => {
            let end = |failure: Option<crate::child::Failure>| {
                failure.map_or_else(|| "passed".to_owned(), |failure| failure.line())
            };
            return Ok(Twice::EndDiffers([end(first), end(second)]));
        }
    }
    // The last line is the outcome, if there is one.
    let lines = lines - u64::from(one.outcome.is_some());
    if lines == 0 {
        return Ok(Twice::NotCompared("its trace is empty, so there was nothing to compare"));
    }
    Ok(Twice::Same { lines, failure: first.map(|failure| failure.line()) })
}

fn describe(twice: &Twice) -> String {
    match twice {
        Twice::Same { .. } => "both runs are alike".to_owned(),
        Twice::NotCompared(why) => (*why).to_owned(),
        Twice::EndDiffers([first, second]) => {
            format!("two runs with the same trace end differently:\n  < {first}\n  > {second}")
        }
        Twice::Differ(Difference { line, column, before, first, second }) => {
            let mut text = format!("two runs differ first in line {line}, column {column}:");
            let mut add = |sign: char, lines: &[String]| {
                for line in lines {
                    text.push_str(&format!("\n  {sign} {line}"));
                }
            };
            add(' ', before);
            for (sign, lines) in [('<', first), ('>', second)] {
                match lines.is_empty() {
                    true => add(sign, &["(it ends here)".to_owned()]),
                    false => add(sign, lines),
                }
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_both_sides_and_what_comes_before() {
        let difference = Difference {
            line: 2,
            column: 3,
            before: vec!["a".to_owned()],
            first: vec!["b 1".to_owned(), "c".to_owned()],
            second: Vec::new(),
        };
        assert_eq!(
            describe(&Twice::Differ(difference)),
            "two runs differ first in line 2, column 3:\n    a\n  < b 1\n  < c\n  > (it ends here)"
        );
    }
}
