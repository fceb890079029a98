//! `simulation replay`: a run in this process, for a person who reads its trace.

use std::io::{self, Write};

use clap::Args;

use super::Target;
use crate::process;

/// Run one seed or plan here, and print its trace and verdict. Exit code 1: something was wrong; 101: something
/// panicked, which is on standard error.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  simulation replay 17 --scenario trimming\n  simulation replay plan-short-17.json"
)]
pub struct Replay {
    #[command(flatten)]
    target: Target,
}

impl Replay {
    pub fn run(self) -> anyhow::Result<bool> {
        let outcome = process::run(self.target.plan()?, true)?;
        let mut out = io::stdout().lock();
        writeln!(out)?;
        match &outcome.violation {
            Some(violation) => writeln!(out, "violated: {}: {}", violation.invariant, violation.what)?,
            None => writeln!(out, "passed")?,
        }
        writeln!(
            out,
            "{} trace lines (hash {:016x}), {} operations, {:.1} s simulated",
            outcome.trace_lines,
            outcome.trace_hash,
            outcome.operations,
            outcome.simulated_ms as f64 / 1000.0,
        )?;
        out.flush()?;
        Ok(outcome.violation.is_none())
    }
}
