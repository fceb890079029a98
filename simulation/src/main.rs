//! The deterministic simulator: one seed decides a whole cluster's fate.

mod actors;
mod child;
mod cli;
mod corpus;
mod coverage;
mod ddmin;
mod difference;
mod entropy;
mod history;
mod invariants;
mod machine;
mod mutant;
mod network;
mod observer;
mod plan;
mod pool;
mod process;
mod raft;
mod scenario;
mod scratch;
mod seeds;
mod shrink;
mod stage;
mod storm;
mod trace;
mod verdict;
mod world;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::run(cli::Arguments::parse())
}
