//! Deliberate bugs of the product, each a patch in `mutants/`: what they are, and what came of running them.
//!
//! A patch begins with a sentence that says what is wrong with it, `expected: ` and the invariants that may notice,
//! `scenario: ` and what its seeds are run as, and an empty line. The file is named after the mutant.

use std::{fs, path::Path};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::{
    child::{Failure, scenario_name},
    plan::Scenario,
};

/// One deliberate bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    pub name: String,
    /// What is wrong, a sentence.
    pub bug: String,
    /// The invariants one of which should fail first.
    pub expected: Vec<String>,
    /// What its seeds are run as.
    pub scenario: Scenario,
    /// The whole file, which is a patch.
    pub patch: String,
}

impl Mutant {
    /// Reads the text of a file with this name.
    fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let bug = lines.next().unwrap_or_default();
        ensure!(bug.ends_with('.'), "it does not begin with a sentence that says what is wrong");
        let expected = lines.next().and_then(|line| line.strip_prefix("expected: "));
        let expected = expected.context("its second line does not say what is `expected: `")?;
        let expected: Vec<String> = expected.split(',').map(|name| name.trim().to_owned()).collect();
        ensure!(expected.iter().all(|name| !name.is_empty()), "an expected invariant has no name");
        let scenario = lines.next().and_then(|line| line.strip_prefix("scenario: "));
        let scenario = scenario.context("its third line does not say which `scenario: ` it needs")?;
        let Ok(scenario) = Scenario::from_str(scenario, false) else {
            bail!("there is no scenario `{scenario}`");
        };
        ensure!(lines.next() == Some(""), "its fourth line is not empty");
        ensure!(lines.any(|line| line.starts_with("@@ ")), "it changes nothing");
        Ok(Self { name: name.to_owned(), bug: bug.to_owned(), expected, scenario, patch: text.to_owned() })
    }
}

/// The mutants of a folder by their names; only those named, if any are, and in that order.
pub fn read_all(folder: &Path, only: &[String]) -> anyhow::Result<Vec<Mutant>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("looking into {}", folder.display()))? {
        let file = file?.file_name();
        names.extend(file.to_str().and_then(|file| file.strip_suffix(".patch")).map(str::to_owned));
    }
    names.sort_unstable();
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        bail!("there is no mutant `{unknown}` in {}", folder.display());
    }
    let names = if only.is_empty() { &names } else { only };
    names.iter().map(|name| read(folder, name)).collect()
}

fn read(folder: &Path, name: &str) -> anyhow::Result<Mutant> {
    let file = folder.join(format!("{name}.patch"));
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    Mutant::parse(name, &text).with_context(|| file.display().to_string())
}

/// What came of one mutant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    pub mutant: String,
    pub end: End,
    /// Runs that ended until it was caught, or all.
    pub seeds: u64,
    /// Those among them that fail without the mutant as well, and so say nothing.
    pub fail_anyway: u64,
    pub build_seconds: f64,
    /// All of it: the build and the runs.
    pub seconds: f64,
}

/// How that ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A run failed that passes without it.
    Caught(Catch),
    /// Every run passed that passes without it.
    Missed,
    /// It could not be run, and why: the patch has to be made anew.
    Broken(String),
}

/// The run that caught a mutant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Catch {
    pub scenario: String,
    pub seed: u64,
    /// What noticed: an invariant, or `panic` or `timeout`.
    pub invariant: String,
    /// Whether that was among those expected.
    pub expected: bool,
    pub what: String,
}

impl Catch {
    pub fn new(mutant: &Mutant, scenario: Scenario, seed: u64, failure: Failure) -> Self {
        let invariant = failure.violation.invariant;
        Self {
            scenario: scenario_name(scenario),
            seed,
            expected: mutant.expected.contains(&invariant),
            invariant,
            what: failure.violation.what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Violation;

    const TEXT: &str = "Reads are old.\nexpected: strong_reads, linearizable\nscenario: trimming\n\n\
                        diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n";

    fn mutant(scenario: &str) -> Mutant {
        let text = TEXT.replace("trimming", scenario);
        Mutant::parse("old-reads", &text).expect("it is well formed")
    }

    #[test]
    fn the_head_of_a_patch_says_what_it_is() {
        let mutant = mutant("trimming");
        assert_eq!((mutant.name.as_str(), mutant.bug.as_str()), ("old-reads", "Reads are old."));
        assert_eq!(mutant.expected, ["strong_reads", "linearizable"]);
        assert_eq!(mutant.scenario, Scenario::Trimming);
        assert_eq!(mutant.patch, TEXT);
    }

    #[test]
    fn a_head_that_says_too_little_is_refused() {
        for (right, wrong, why) in [
            ("old.", "old", "it does not begin with a sentence that says what is wrong"),
            ("expected:", "wanted:", "its second line does not say what is `expected: `"),
            ("strong_reads,", ",", "an expected invariant has no name"),
            ("scenario:", "needs:", "its third line does not say which `scenario: ` it needs"),
            ("trimming", "long", "there is no scenario `long`"),
            ("\n\n", "\n", "its fourth line is not empty"),
            ("@@ -1 +1 @@", "", "it changes nothing"),
        ] {
            let error = Mutant::parse("x", &TEXT.replace(right, wrong)).expect_err(wrong);
            assert_eq!(error.to_string(), why);
        }
    }

    #[test]
    fn the_mutants_themselves_are_well_formed_and_expect_what_there_is() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mutants = read_all(&here.join("mutants"), &[]).expect("all of them are");
        assert!(mutants.len() >= 20, "{}", mutants.len());
        for mutant in &mutants {
            for name in mutant.expected.iter().filter(|name| !["panic", "liveness"].contains(&name.as_str()))
            {
                let files = ["invariants", "raft"].map(|of| here.join(format!("src/{of}/{name}.rs")));
                assert!(files.iter().any(|file| file.exists()), "{}: {name}", mutant.name);
            }
        }
    }

    #[test]
    fn those_named_are_taken_in_that_order_and_an_unknown_name_is_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
        let only = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let read = read_all(&folder, &names).map_err(|error| error.to_string());
            read.map(|mutants| mutants.into_iter().map(|mutant| mutant.name).collect::<Vec<_>>())
        };
        let names = ["raft-no-term-fence", "log-vote-not-synced"];
        assert_eq!(only(&names).expect("they are there"), names);
        assert!(only(&["raft"]).expect_err("it is not there").starts_with("there is no mutant `raft` in "));
    }

    #[test]
    fn a_catch_says_whether_what_noticed_was_expected() {
        let caught = |invariant| {
            let violation = Violation::new(invariant, "k1 is odd");
            let failure = Failure { violation, cause: String::new(), stderr: Vec::new() };
            Catch::new(&mutant("short"), Scenario::Short, 7, failure)
        };
        assert!(caught("linearizable").expected);
        assert!(!caught("timeout").expected);
        assert_eq!((caught("timeout").invariant.as_str(), caught("panic").seed), ("timeout", 7));
    }
}
