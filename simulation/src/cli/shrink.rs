//! `simulation shrink`: the smallest plan that shows the same failure.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Args;

use super::{Children, Target, minutes, progress, replay_file};
use crate::{
    child::{now, scenario_name},
    plan::{Plan, Scenario},
    shrink::{Limits, shrink},
};

/// Make a plan that fails as small as possible: leave out pieces, then simplify what is left, as long as the same
/// invariant fails (or the same panic, or it does not end). Exit code 2: it does not fail.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  simulation shrink 17 --scenario trimming\n  \
                  simulation shrink 17 --minutes 30 --out small.json")]
pub struct Shrink {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    children: Children,
    /// Stop after so many minutes, and keep the smallest until then.
    #[arg(long, value_name = "M", default_value = "10", value_parser = minutes)]
    minutes: Duration,
    /// Where the smallest plan goes [default: plan-SCENARIO-SEED.json].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Shrink {
    pub fn run(self) -> anyhow::Result<bool> {
        let plan = self.target.plan()?;
        let file = self.out.unwrap_or_else(|| plan_file(plan.seed, plan.scenario));
        let limits = Limits {
            jobs: self.children.jobs(),
            timeout: self.children.timeout(plan.scenario),
            until: now() + self.minutes,
        };
        let bar = progress(true, 0, "{spinner} {elapsed} {msg}")?;
        let shrunk = shrink(&plan, limits, |smallest, runs| {
            bar.set_message(format!("{} of {} pieces, {runs} runs", smallest.pieces(), plan.pieces()));
        })?;
        bar.finish_and_clear();
        write_plan(&shrunk.plan, &file)?;
        println!("before: {}", shrunk.before.line());
        match &shrunk.after {
            Some(after) => println!("after:  {}", after.line()),
            None => println!(
                "after:  not the same when it was run once more, so the plan does not decide everything: see \
                 `simulation meta`"
            ),
        }
        println!(
            "{} of {} pieces are left after {} runs{}",
            shrunk.plan.pieces(),
            plan.pieces(),
            shrunk.runs,
            if shrunk.complete { "; none of them can be left out alone" } else { "; the time was over" },
        );
        println!("{}", replay_file(&file));
        Ok(shrunk.after.is_some())
    }
}

/// Where the plan of a seed goes if nobody says.
pub fn plan_file(seed: u64, scenario: Scenario) -> PathBuf {
    PathBuf::from(format!("plan-{}-{seed}.json", scenario_name(scenario)))
}

pub fn write_plan(plan: &Plan, file: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(plan).context("writing a plan")?;
    text.push('\n');
    if let Err(error) = fs::write(file, &text) {
        // It took minutes to find.
        println!("{text}");
        return Err(error).with_context(|| format!("writing {}", file.display()));
    }
    Ok(())
}
