//! `simulation run`: many seeds, each in a process of its own.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use indicatif::ProgressBar;

use super::{
    Children, Output, minutes, progress, replay_corpus, replay_file, replay_seed,
    report::{Failed, Report, Smaller},
    shrink::plan_file,
};
use crate::{
    child::{self, Ended, Work, now},
    corpus,
    coverage::{self, Coverage},
    plan::{Plan, Scenario},
    pool,
    seeds::Seeds,
    shrink::{Limits, shrink},
};

/// Run many seeds, each in a process of its own. Exit code 1: a seed failed, or something that must be exercised
/// never was.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  simulation run --seeds 0..200\n  \
                  simulation run --corpus --seeds 1000..100000 --minutes 10 --shrink\n  \
                  simulation run --seeds 7 --scenario trimming --output json")]
pub struct Run {
    /// Which: `A..B`, `A..=B` or `N`.
    #[arg(long, value_name = "A..B", required_unless_present = "corpus")]
    seeds: Option<Seeds>,
    /// What they are run as.
    #[arg(long, default_value = "short")]
    scenario: Scenario,
    /// Run those that once showed something before.
    #[arg(long)]
    corpus: bool,
    #[command(flatten)]
    children: Children,
    /// Start no seed after so many minutes.
    #[arg(long, value_name = "M", value_parser = minutes)]
    minutes: Option<Duration>,
    /// Judge what was exercised if at least so many seeds ran.
    #[arg(long, value_name = "N", default_value = "100")]
    judge_coverage: u64,
    /// Make the plan of each failure as small as possible at the end.
    #[arg(long)]
    shrink: bool,
    /// Minutes for that, for all failures together.
    #[arg(long, value_name = "M", default_value = "10", value_parser = minutes, requires = "shrink")]
    shrink_minutes: Duration,
    /// Where the small plans go.
    #[arg(long, value_name = "DIRECTORY", default_value = ".", requires = "shrink")]
    shrink_to: PathBuf,
    /// How the report looks.
    #[arg(long, default_value = "table")]
    output: Output,
}

/// One run of many.
enum Job {
    /// This line of the corpus.
    Known(usize, Box<Plan>),
    /// This seed.
    Seed(u64),
}

impl Run {
    pub fn run(self) -> anyhow::Result<bool> {
        let known = if self.corpus { corpus::entries()? } else { Vec::new() };
        let count = self.seeds.as_ref().map_or(0, Seeds::count) + known.len() as u64;
        anyhow::ensure!(count > 0, "there is nothing to run: the corpus is empty");
        let known = known.into_iter().enumerate().map(|(at, entry)| Job::Known(at + 1, entry.plan.into()));
        let wanted = self.seeds.iter().flat_map(Seeds::iter).map(Job::Seed);

        let mut report = self.run_all(known.chain(wanted), count)?;
        if self.shrink {
            self.shrink_all(&mut report)?;
        }
        match self.output {
            Output::Table => report.print_table()?,
            Output::Json => report.print_json()?,
        }
        Ok(report.is_good())
    }

    fn run_all(&self, mut jobs: impl Iterator<Item = Job> + Send, count: u64) -> anyhow::Result<Report> {
        let template = "{bar:30} {pos}/{len} seeds, {per_sec}, {eta} left {msg}";
        let bar = progress(self.output == Output::Table, count, template)?;
        let required = coverage::marks_required(self.scenario);
        let mut coverage = Coverage::new(required);
        let mut report = Report::default();
        let mut simulated_ms = 0;
        let started = now();
        let until = self.minutes.map(|minutes| started + minutes);
        let next = || {
            let in_time = until.is_none_or(|until| now() < until);
            in_time.then(|| jobs.next()).flatten()
        };
        let work = |job: Job| {
            let (work, scenario) = match &job {
                Job::Known(_, plan) => (Work::Plan(plan), plan.scenario),
                Job::Seed(seed) => (Work::Seed(*seed, self.scenario), self.scenario),
            };
            let ended = child::run(work, self.children.timeout(scenario))?;
            anyhow::Ok((job, ended))
        };
        pool::each(self.children.jobs(), next, work, |(job, ended)| {
            if let Some(outcome) = &ended.outcome {
                coverage.add(&outcome.marks);
                simulated_ms += outcome.simulated_ms;
                report.operations += outcome.operations;
            }
            self.count(&mut report, &bar, job, ended);
            bar.inc(1);
        })?;
        bar.finish_and_clear();
        let ran = report.passed + report.failed;
        report.failures.sort_by(|one, other| (&one.scenario, one.seed).cmp(&(&other.scenario, other.seed)));
        report.not_started = count - ran;
        report.seconds = (now() - started).as_secs_f64();
        report.seeds_per_second = ran as f64 / report.seconds;
        report.simulated_hours = simulated_ms as f64 / 3_600_000.0;
        report.judge(&coverage, required, self.judge_coverage);
        Ok(report)
    }

    fn count(&self, report: &mut Report, bar: &ProgressBar, job: Job, ended: Ended) {
        let Some(failure) = ended.failure else {
            report.passed += 1;
            return;
        };
        report.failed += 1;
        let (plan, replay) = match job {
            Job::Known(line, plan) => (*plan, replay_corpus(line)),
            Job::Seed(seed) => (Plan::from_seed(seed, self.scenario), replay_seed(seed, self.scenario)),
        };
        let failed = Failed::new(plan, failure, replay);
        bar.suspend(|| failed.print(ended.outcome.is_none()));
        bar.set_message(format!("{} failed", report.failed));
        report.failures.push(failed);
    }

    /// Each gets an equal part of the time that is left.
    fn shrink_all(&self, report: &mut Report) -> anyhow::Result<()> {
        let until = now() + self.shrink_minutes;
        let count = report.failures.len();
        for (at, failed) in report.failures.iter_mut().enumerate() {
            let plan = &failed.plan;
            let share = until.saturating_duration_since(now()) / (count - at) as u32;
            let limits = Limits {
                jobs: self.children.jobs(),
                timeout: self.children.timeout(plan.scenario),
                until: now() + share,
            };
            eprintln!("shrinking {} {} for up to {:.0} s", failed.scenario, failed.seed, share.as_secs_f64());
            let shrunk = match shrink(plan, limits, |_, _| {}) {
                Ok(shrunk) => shrunk,
                // It may not fail again; the other failures are worth their time all the same.
                Err(error) => {
                    eprintln!("{} {}: {error:#}", failed.scenario, failed.seed);
                    continue;
                }
            };
            let file = self.shrink_to.join(plan_file(plan.seed, plan.scenario));
            super::shrink::write_plan(&shrunk.plan, &file)?;
            failed.shrunk = Some(Smaller {
                pieces: shrunk.plan.pieces(),
                pieces_before: plan.pieces(),
                replay: replay_file(&file),
                file: file.display().to_string(),
            });
        }
        Ok(())
    }
}
