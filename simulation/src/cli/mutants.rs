//! `simulation mutants`: does the simulator notice when the product is wrong?

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use super::{Children, Output, mutants_report::Report, progress};
use crate::{
    child::{self, Failure, Work, now, scenario_name},
    mutant::{self, Catch, End, Mutant, Tried},
    plan::Scenario,
    pool,
    scratch::{Scratch, Workspace},
    seeds::Seeds,
};

/// Where the mutants are in the workspace.
const FOLDER: &str = "simulation/mutants";
/// So many seeds must pass without a mutant, or a failure with one means nothing.
const SEEDS_WITHOUT: usize = 20;

/// Break the product on purpose, one way at a time, in a copy of the workspace, and run seeds until one shows it.
/// What the workspace holds now is copied, committed or not; the mutants are in `simulation/mutants`. Exit code 1:
/// a mutant was not caught within the seeds; 2: one does not fit or does not compile, or seeds fail without any.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  simulation mutants --seeds 0..200\n  \
                  simulation mutants --only raft-lease-too-long --only log-vote-not-synced\n  \
                  simulation mutants --jobs 1 --output json")]
pub struct Mutants {
    /// Only this one; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Which seeds are run until one fails, in the scenario that it needs: `A..B`, `A..=B` or `N`.
    #[arg(long, value_name = "A..B", default_value = "0..200")]
    seeds: Seeds,
    #[command(flatten)]
    children: Children,
    /// Where the copy is made, built and kept [default: `mutants` in cargo's target directory].
    #[arg(long, value_name = "DIRECTORY")]
    scratch: Option<PathBuf>,
    /// How the report looks; JSON is a line for each mutant as soon as it is done.
    #[arg(long, default_value = "table")]
    output: Output,
}

/// A run of the program with a mutant.
struct Ran {
    seed: u64,
    failure: Option<Failure>,
    /// Whether it fails without the mutant as well.
    anyway: bool,
}

impl Mutants {
    pub fn run(self) -> anyhow::Result<bool> {
        let workspace = Workspace::here()?;
        let mutants = mutant::read_all(&workspace.root.join(FOLDER), &self.only)?;
        ensure!(!mutants.is_empty(), "there is no mutant in {FOLDER}");
        let directory = self.scratch.clone().unwrap_or_else(|| workspace.target.join("mutants"));
        let scratch = Scratch::make(&workspace.root, &directory)?;
        let unfit = mutants.iter().filter_map(|mutant| {
            let error = scratch.check(&mutant.patch).err()?;
            Some(format!("{}: {error}", mutant.name))
        });
        let unfit: Vec<String> = unfit.collect();
        ensure!(unfit.is_empty(), "not every mutant fits the product any more:\n{}", unfit.join("\n"));

        let template = "{bar:30} {pos}/{len} mutants, {elapsed} {msg}";
        let bar = progress(self.output == Output::Table, mutants.len() as u64, template)?;
        bar.set_message("building without any");
        let without = self.build_without(&scratch, &directory.join("without"))?;
        bar.set_message("running without any");
        self.must_pass(&without, &mutants)?;
        let started = now();
        let mut report = Report::default();
        for mutant in mutants {
            bar.set_message(mutant.name.clone());
            let tried = self.try_one(&scratch, &mutant, &without);
            scratch.restore()?;
            let tried = tried?;
            bar.suspend(|| eprintln!("{}", tried.line()));
            if self.output == Output::Json {
                tried.print_json()?;
            }
            bar.inc(1);
            report.add(&mutant, tried);
        }
        bar.finish_and_clear();
        report.seconds = (now() - started).as_secs_f64();
        if self.output == Output::Table {
            report.print_table()?;
        }
        report.verdict()
    }

    /// Builds the product as it is. The program is kept where no later build replaces it.
    fn build_without(&self, scratch: &Scratch, kept: &Path) -> anyhow::Result<PathBuf> {
        let program = scratch.build(self.children.jobs()).context("without any mutant")?;
        fs::copy(&program, kept).with_context(|| format!("keeping {}", kept.display()))?;
        Ok(kept.to_owned())
    }

    fn must_pass(&self, without: &Path, mutants: &[Mutant]) -> anyhow::Result<()> {
        let needed = Scenario::value_variants().iter().copied();
        let needed = needed.filter(|needed| mutants.iter().any(|mutant| mutant.scenario == *needed));
        let seeds = || self.seeds.iter().take(SEEDS_WITHOUT);
        let mut runs = needed.flat_map(|scenario| seeds().map(move |seed| (scenario, seed)));
        let work = |(scenario, seed)| {
            let ended = child::run_in(without, Work::Seed(seed, scenario), self.children.timeout(scenario))?;
            let Some(failure) = ended.failure else { return Ok(()) };
            let name = format!("{} {seed}", scenario_name(scenario));
            anyhow::bail!("{name} fails without any mutant, so a failure means nothing: {}", failure.line())
        };
        pool::each(self.children.jobs(), || runs.next(), work, |()| {})
    }

    fn try_one(&self, scratch: &Scratch, mutant: &Mutant, without: &Path) -> anyhow::Result<Tried> {
        let started = now();
        scratch.apply(&mutant.patch).with_context(|| mutant.name.clone())?;
        let built = scratch.build(self.children.jobs());
        let mut tried = Tried {
            mutant: mutant.name.clone(),
            end: End::Missed,
            seeds: 0,
            fail_anyway: 0,
            build_seconds: (now() - started).as_secs_f64(),
            seconds: 0.0,
        };
        match built {
            Ok(program) => self.search(mutant, &program, without, &mut tried)?,
            Err(error) => tried.end = End::Broken(format!("{error:#}")),
        }
        tried.seconds = (now() - started).as_secs_f64();
        Ok(tried)
    }

    /// Runs seeds until one fails that passes without the mutant.
    fn search(
        &self,
        mutant: &Mutant,
        program: &Path,
        without: &Path,
        tried: &mut Tried,
    ) -> anyhow::Result<()> {
        let scenario = mutant.scenario;
        let mut seeds = self.seeds.iter();
        let caught = AtomicBool::new(false);
        let next = || (!caught.load(Ordering::Relaxed)).then(|| seeds.next()).flatten();
        let work = |seed| {
            let (work, timeout) = (Work::Seed(seed, scenario), self.children.timeout(scenario));
            let failure = child::run_in(program, work, timeout)?.failure;
            let failed = failure.is_some();
            let anyway = failed && child::run_in(without, work, timeout)?.failure.is_some();
            if failed && !anyway {
                caught.store(true, Ordering::Relaxed);
            }
            anyhow::Ok(Ran { seed, failure, anyway })
        };
        pool::each(self.children.jobs(), next, work, |ran| {
            if let End::Caught(_) = tried.end {
                return;
            }
            tried.seeds += 1;
            tried.fail_anyway += u64::from(ran.anyway);
            if let Some(failure) = ran.failure.filter(|_| !ran.anyway) {
                tried.end = End::Caught(Catch::new(mutant, scenario, ran.seed, failure));
            }
        })
    }
}
