//! What came of all mutants, for people and for programs.

use std::io::{self, Write};

use anyhow::ensure;
use comfy_table::{CellAlignment, Table, presets::NOTHING};

use crate::{
    child::first_line,
    mutant::{Catch, End, Mutant, Tried},
};

impl Tried {
    /// What came of it, on one line.
    pub fn line(&self) -> String {
        let Self { mutant, seeds, seconds, .. } = self;
        match &self.end {
            End::Caught(Catch { scenario, seed, invariant, expected, what }) => {
                let expected = if *expected { "" } else { " (not expected)" };
                let what = first_line(what);
                format!(
                    "caught: {mutant}: {scenario} {seed}, run {seeds}, {seconds:.0} s: \
                     {invariant}{expected}: {what}"
                )
            }
            End::Missed => format!("missed: {mutant}: {seeds} runs, {seconds:.0} s"),
            End::Broken(why) => format!("broken: {mutant}: {why}"),
        }
    }

    /// A line for programs.
    pub fn print_json(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        writeln!(out)?;
        Ok(out.flush()?)
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Report {
    tried: Vec<Tried>,
    /// Those not caught, and what is wrong with them.
    missed: Vec<(String, String)>,
    pub seconds: f64,
}

impl Report {
    pub fn add(&mut self, mutant: &Mutant, tried: Tried) {
        if tried.end == End::Missed {
            self.missed.push((mutant.name.clone(), mutant.bug.clone()));
        }
        self.tried.push(tried);
    }

    /// Whether all were caught. Errors: one could not be tried.
    pub fn verdict(&self) -> anyhow::Result<bool> {
        let broken = self.tried.iter().filter(|tried| matches!(tried.end, End::Broken(_)));
        let broken: Vec<String> = broken.map(Tried::line).collect();
        ensure!(broken.is_empty(), "not every mutant could be tried:\n{}", broken.join("\n"));
        Ok(self.missed.is_empty())
    }

    pub fn print_table(&self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        self.write_table(&mut out)?;
        Ok(out.flush()?)
    }

    fn write_table(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["MUTANT", "CAUGHT BY", "EXPECTED", "IN", "RUNS", "SECONDS"]);
        for tried in &self.tried {
            let [by, expected, run] = match &tried.end {
                End::Caught(Catch { scenario, seed, invariant, expected, .. }) => {
                    let expected = if *expected { "yes" } else { "no" };
                    [invariant.clone(), expected.to_owned(), format!("{scenario} {seed}")]
                }
                End::Missed => ["-", "-", "-"].map(str::to_owned),
                End::Broken(_) => ["(broken)", "-", "-"].map(str::to_owned),
            };
            let (runs, seconds) = (tried.seeds.to_string(), format!("{:.0}", tried.seconds));
            table.add_row([tried.mutant.clone(), by, expected, run, runs, seconds]);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        for column in [4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        let catches = self.tried.iter().filter_map(|tried| match &tried.end {
            End::Caught(catch) => Some(catch.expected),
            End::Missed | End::Broken(_) => None,
        });
        let catches: Vec<bool> = catches.collect();
        let expected = catches.iter().filter(|expected| **expected).count();
        let anyway: u64 = self.tried.iter().map(|tried| tried.fail_anyway).sum();
        writeln!(
            out,
            "\n{} of {} caught, {expected} by what was expected, in {:.0} s",
            catches.len(),
            self.tried.len(),
            self.seconds,
        )?;
        if anyway > 0 {
            writeln!(out, "{anyway} runs failed that fail without the mutant as well: they do not count")?;
        }
        for (name, bug) in &self.missed {
            writeln!(out, "not caught: {name}: {bug}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Scenario;

    fn tried(name: &str, end: End) -> Tried {
        let mutant = name.to_owned();
        Tried { mutant, end, seeds: 18, fail_anyway: 1, build_seconds: 20.0, seconds: 31.4 }
    }

    fn caught() -> End {
        End::Caught(Catch {
            scenario: "short".to_owned(),
            seed: 17,
            invariant: "timeout".to_owned(),
            expected: false,
            what: "it did not end\nat all".to_owned(),
        })
    }

    fn report(ends: &[(&str, End)]) -> Report {
        let mut report = Report { seconds: 60.0, ..Report::default() };
        for (name, end) in ends {
            let mutant = Mutant {
                name: (*name).to_owned(),
                bug: "It is wrong.".to_owned(),
                expected: Vec::new(),
                scenario: Scenario::Short,
                patch: String::new(),
            };
            report.add(&mutant, tried(name, end.clone()));
        }
        report
    }

    #[test]
    fn what_came_of_one_is_one_line() {
        let line = tried("a", caught()).line();
        assert_eq!(line, "caught: a: short 17, run 18, 31 s: timeout (not expected): it did not end");
        assert_eq!(tried("a", End::Missed).line(), "missed: a: 18 runs, 31 s");
    }

    #[test]
    fn only_if_all_are_caught_it_is_good_and_one_that_is_broken_is_an_error() {
        let broken = End::Broken("no such field".to_owned());
        assert!(report(&[("a", caught())]).verdict().is_ok_and(|good| good));
        assert!(report(&[("a", caught()), ("b", End::Missed)]).verdict().is_ok_and(|good| !good));
        let error = report(&[("a", broken), ("b", caught())]).verdict().expect_err("one is broken");
        assert!(error.to_string().ends_with("\nbroken: a: no such field"), "{error}");
    }

    #[test]
    fn the_table_shows_what_caught_each_and_what_was_not_caught() {
        let mut text = Vec::new();
        let report = report(&[("long-name", caught()), ("b", End::Missed)]);
        report.write_table(&mut text).expect("memory does not fail");
        let expected = "MUTANT     CAUGHT BY  EXPECTED  IN        RUNS  SECONDS
long-name  timeout    no        short 17    18       31
b          -          -         -           18       31

1 of 2 caught, 0 by what was expected, in 60 s
2 runs failed that fail without the mutant as well: they do not count
not caught: b: It is wrong.
";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn programs_read_how_it_ended_by_name() {
        let json = |end| serde_json::to_value(tried("a", end)).expect("it is JSON");
        assert_eq!(json(caught())["end"]["caught"]["seed"], 17);
        assert_eq!(json(End::Missed)["end"], "missed");
    }
}
