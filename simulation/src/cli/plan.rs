//! `simulation plan`: what a seed decides, as a file that can be kept.

use std::io::{self, Write};

use clap::Args;

use super::Target;

/// Print what a seed decides, as JSON: a plan for `replay` and `shrink`, or for the corpus.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  simulation plan 17 --scenario trimming\n  simulation plan corpus:3")]
pub struct Show {
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub fn run(self) -> anyhow::Result<bool> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &self.target.plan()?)?;
        writeln!(out)?;
        Ok(true)
    }
}
