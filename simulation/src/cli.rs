//! What the simulator is told on the command line.

mod meta;
mod mutants;
mod mutants_report;
mod one;
mod plan;
mod replay;
mod report;
mod run;
mod shrink;

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{child::scenario_name, corpus, plan::Plan, plan::Scenario, pool, process};

/// Runs whole clusters in one process, with faults; one seed decides everything.
#[derive(Debug, Parser)]
#[command(name = "simulation", version, arg_required_else_help = true)]
#[command(after_help = "Example:\n  simulation run --seeds 0..200")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run many seeds, each in a process of its own.
    Run(run::Run),
    /// Run one seed or plan here, and print its outcome as JSON; what `run` starts.
    #[command(hide = true)]
    One(one::One),
    /// Run one seed or plan here, and print its trace and verdict.
    Replay(replay::Replay),
    /// Run each seed twice, and compare the traces: prove that the seed decides everything.
    Meta(meta::Meta),
    /// Print what a seed decides.
    Plan(plan::Show),
    /// Make a plan that fails as small as possible.
    Shrink(shrink::Shrink),
    /// Break the product on purpose, in many ways, and prove that seeds show it.
    Mutants(mutants::Mutants),
}

/// Does what was asked for. Exit code 0: all is well; 1: a run failed or proves too little; 2: could not be done.
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Run(run) => run.run(),
        Command::One(one) => one.run(),
        Command::Replay(replay) => replay.run(),
        Command::Meta(meta) => meta.run(),
        Command::Plan(plan) => plan.run(),
        Command::Shrink(shrink) => shrink.run(),
        Command::Mutants(mutants) => mutants.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) if error.downcast_ref().is_some_and(is_unheard) => ExitCode::from(process::UNHEARD),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether the reader of our output left, as `head` does: that is no failure.
fn is_unheard(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// What every command that starts children is told.
#[derive(Clone, Copy, Debug, Args)]
struct Children {
    /// Runs at the same time [default: the cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Seconds after which a run counts as one that does not end [default: 120, of the retention scenario 600].
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl Children {
    fn jobs(self) -> usize {
        self.jobs.map_or_else(pool::cores, usize::from)
    }

    fn timeout(self, scenario: Scenario) -> Duration {
        self.timeout.unwrap_or(match scenario {
            Scenario::Short | Scenario::Trimming | Scenario::Delivery => Duration::from_secs(120),
            Scenario::Retention => Duration::from_secs(600),
        })
    }
}

/// How a report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A seed, a file with a plan, or a plan of the corpus.
#[derive(Debug, Args)]
struct Target {
    /// A seed, a file with a plan, or `corpus:N` for line N of the corpus.
    #[arg(value_name = "SEED|FILE|corpus:N")]
    target: String,
    /// What the seed is run as [default: short]; a plan knows it.
    #[arg(long)]
    scenario: Option<Scenario>,
}

/// What targets begin with that are lines of the corpus.
const CORPUS: &str = "corpus:";

impl Target {
    fn plan(&self) -> anyhow::Result<Plan> {
        if let Ok(seed) = self.target.parse() {
            return Ok(Plan::from_seed(seed, self.scenario.unwrap_or(Scenario::Short)));
        }
        anyhow::ensure!(self.scenario.is_none(), "--scenario is for seeds: a plan knows its own");
        match self.target.strip_prefix(CORPUS) {
            Some(line) => corpus::plan(line.parse().with_context(|| format!("`{line}` is not a line"))?),
            None => process::plan_from_file(&self.target),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    duration(text, 1.0)
}

fn minutes(text: &str) -> Result<Duration, String> {
    duration(text, 60.0)
}

/// A number of units of so many seconds; up to a year, and not 0.
fn duration(text: &str, unit_s: f64) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    let seconds = number * unit_s;
    if !(seconds > 0.0 && seconds <= 365.0 * 24.0 * 3600.0) {
        return Err(format!("`{text}` must be more than 0 and less than a year"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The command that runs this seed again.
fn replay_seed(seed: u64, scenario: Scenario) -> String {
    format!("{} replay {seed} --scenario {}", program(), scenario_name(scenario))
}

/// The command that runs this plan of the corpus again.
fn replay_corpus(line: usize) -> String {
    format!("{} replay {CORPUS}{line}", program())
}

/// The command that runs this plan again.
fn replay_file(file: &Path) -> String {
    format!("{} replay {}", program(), quoted(&file.to_string_lossy()))
}

/// This program as it was called.
fn program() -> String {
    let name = std::env::args_os().next().unwrap_or_else(|| OsString::from("simulation"));
    quoted(&name.to_string_lossy())
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=+:,@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A progress bar on standard error, if a person looks at it. `length` 0: not known.
fn progress(shown: bool, length: u64, template: &str) -> anyhow::Result<ProgressBar> {
    if !shown || !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let bar = if length == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(length) };
    bar.set_style(ProgressStyle::with_template(template).context("the template of a progress bar")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_every_command_shows_an_example() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("\n  simulation {} ", command.get_name());
            assert!(help.contains(&example), "{}: {help:?}", command.get_name());
        }
    }

    #[test]
    fn examples_can_be_typed_as_they_stand() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  simulation ")) {
                let parsed = Arguments::try_parse_from(line.split_whitespace());
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
            }
        }
    }

    #[test]
    fn durations_are_more_than_nothing_and_end() {
        assert_eq!(minutes("1.5"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("120"), Ok(Duration::from_secs(120)));
        for text in ["0", "-1", "nan", "inf", "1e300", "x", ""] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_are_quoted_only_if_a_shell_would_break_them() {
        assert_eq!(quoted("target/release/simulation"), "target/release/simulation");
        assert_eq!(quoted("my plan.json"), "'my plan.json'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
