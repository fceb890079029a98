//! What a run of many seeds came to, for people and for programs.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use crate::{
    child::{Failure, first_line, scenario_name},
    coverage::{Coverage, Hits, Judgement},
    plan::Plan,
};

/// A seed that failed.
#[derive(Debug, Serialize)]
pub struct Failed {
    pub scenario: String,
    pub seed: u64,
    #[serde(skip)]
    pub plan: Plan,
    pub invariant: String,
    pub what: String,
    /// The last lines that the process said on standard error.
    pub stderr: Vec<String>,
    pub replay: String,
    /// Where the smallest plan is, if it was made smaller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrunk: Option<Smaller>,
}

/// A plan made from a seed that failed.
#[derive(Debug, Serialize)]
pub struct Smaller {
    pub pieces: usize,
    pub pieces_before: usize,
    pub file: String,
    pub replay: String,
}

impl Failed {
    pub fn new(plan: Plan, failure: Failure, replay: String) -> Self {
        Self {
            scenario: scenario_name(plan.scenario),
            seed: plan.seed,
            plan,
            invariant: failure.violation.invariant,
            what: failure.violation.what,
            stderr: failure.stderr,
            replay,
            shrunk: None,
        }
    }

    /// Says it when it happens. `deep`: with the end of standard error, for want of a better explanation.
    pub fn print(&self, deep: bool) {
        eprintln!("failed: {} {}: {}: {}", self.scenario, self.seed, self.invariant, first_line(&self.what));
        for line in self.stderr.iter().filter(|_| deep) {
            eprintln!("    {line}");
        }
        eprintln!("    {}", self.replay);
    }
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub passed: u64,
    pub failed: u64,
    /// Seeds for which there was no time.
    pub not_started: u64,
    pub seconds: f64,
    pub seeds_per_second: f64,
    pub simulated_hours: f64,
    pub operations: u64,
    pub failures: Vec<Failed>,
    pub marks: BTreeMap<String, Hits>,
    /// Whether enough seeds ran to judge the marks.
    pub coverage_judged: bool,
    /// Required marks that stayed at 0; empty if that was not judged.
    pub never_hit: Vec<String>,
}

impl Report {
    pub fn judge(&mut self, coverage: &Coverage, required: &[&str], seeds_min: u64) {
        let judgement = coverage.judge(required, self.passed + self.failed, seeds_min);
        self.coverage_judged = judgement != Judgement::NotJudged;
        self.marks = coverage.marks();
        if let Judgement::Never(never) = judgement {
            self.never_hit = never;
        }
    }

    /// Whether nothing was wrong, and something was run at all.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0 && self.never_hit.is_empty()
    }

    pub fn print_json(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)?;
        Ok(out.flush()?)
    }

    pub fn print_table(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        self.write_table(&mut out)?;
        Ok(out.flush()?)
    }

    fn write_table(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["MARK", "SEEDS", "TOTAL"]);
        for (mark, hits) in &self.marks {
            table.add_row([mark.clone(), hits.seeds.to_string(), hits.total.to_string()]);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        for column in [1, 2] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if !self.marks.is_empty() {
            for line in table.lines() {
                writeln!(out, "{}", line.trim_end())?;
            }
            writeln!(out)?;
        }
        writeln!(
            out,
            "{} passed, {} failed in {:.1} s: {:.1} seeds/s, {:.2} simulated hours, {} operations",
            self.passed,
            self.failed,
            self.seconds,
            self.seeds_per_second,
            self.simulated_hours,
            self.operations,
        )?;
        if self.not_started > 0 {
            writeln!(out, "the time was over before {} seeds were started", self.not_started)?;
        }
        for mark in &self.never_hit {
            writeln!(out, "never exercised, though it must be: {mark}")?;
        }
        if !self.coverage_judged {
            writeln!(out, "too few seeds to judge what was exercised")?;
        }
        for failed in &self.failures {
            let line = first_line(&failed.what);
            writeln!(out, "\n{} {}: {}: {line}", failed.scenario, failed.seed, failed.invariant)?;
            writeln!(out, "    {}", failed.replay)?;
            if let Some(Smaller { pieces, pieces_before, replay, .. }) = &failed.shrunk {
                writeln!(out, "    {replay}  # {pieces} of {pieces_before} pieces")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scenario;
    use crate::verdict::{Marks, Violation};

    fn report(seeds_min: u64) -> Report {
        let mut coverage = Coverage::new(&["fault: crash"]);
        coverage.add(&Marks([("path: snapshot".to_owned(), 7)].into()));
        let mut report = Report { passed: 3, seconds: 2.0, ..Report::default() };
        report.judge(&coverage, &["fault: crash"], seeds_min);
        report
    }

    #[test]
    fn a_run_is_good_if_nothing_failed_and_what_was_required_was_hit() {
        assert!(report(4).is_good());
        assert!(!report(3).is_good(), "a required mark stayed at 0");
        assert!(!Report { failed: 1, ..report(4) }.is_good());
        assert!(!Report { passed: 0, ..report(4) }.is_good(), "nothing was run");
    }

    #[test]
    fn the_table_shows_marks_failures_and_how_to_run_them_again() {
        let violation = Violation::new("image_chain", "k7 is odd\nand more");
        let failure = Failure { violation, cause: String::new(), stderr: Vec::new() };
        let plan = Plan::from_seed(17, Scenario::Short);
        let mut failed = Failed::new(plan, failure, "simulation replay 17".to_owned());
        failed.shrunk = Some(Smaller {
            pieces: 2,
            pieces_before: 9,
            file: "a.json".to_owned(),
            replay: "simulation replay a.json".to_owned(),
        });
        let report = Report { failed: 1, failures: vec![failed], not_started: 5, ..report(3) };
        let mut text = Vec::new();
        report.write_table(&mut text).expect("memory does not fail");
        let expected = "MARK            SEEDS  TOTAL
fault: crash        0      0
path: snapshot      1      7

3 passed, 1 failed in 2.0 s: 0.0 seeds/s, 0.00 simulated hours, 0 operations
the time was over before 5 seeds were started
never exercised, though it must be: fault: crash

short 17: image_chain: k7 is odd
    simulation replay 17
    simulation replay a.json  # 2 of 9 pieces
";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}
