//! `simulation one`: a run in this process, for a program that reads its outcome.

use std::io::{self, Write};

use clap::Args;

use crate::{
    plan::{Plan, Scenario},
    process,
};

/// Run one seed or plan here, and print its outcome as JSON; what `run` starts. Exit code 0: there is an outcome,
/// good or bad; 101: something panicked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  simulation one --seed 17 --scenario short")]
pub struct One {
    /// The seed.
    #[arg(long, required_unless_present = "plan", conflicts_with = "plan")]
    seed: Option<u64>,
    /// What the seed is run as.
    #[arg(long, default_value = "short")]
    scenario: Scenario,
    /// A file with a plan; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    plan: Option<String>,
    /// Print a line for each event before.
    #[arg(long)]
    trace: bool,
    /// End with standard input. A plan there is its first line.
    #[arg(long)]
    tethered: bool,
}

impl One {
    pub fn run(self) -> anyhow::Result<bool> {
        let plan = match (self.seed, self.plan.as_deref()) {
            (Some(seed), _) => Plan::from_seed(seed, self.scenario),
            (None, Some("-")) if self.tethered => process::plan_from_stdin()?,
            (None, file) => process::plan_from_file(file.unwrap_or("-"))?,
        };
        let _tether = self.tethered.then(process::tether).transpose()?;
        let outcome = process::run(plan, self.trace)?;
        let mut out = io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
        out.flush()?;
        Ok(true)
    }
}
