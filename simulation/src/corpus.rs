//! Seeds that once showed something and are run again before all others: `corpus.txt`, one a line.

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;

use crate::plan::Scenario;

/// The corpus, as it was when the simulator was built.
const TEXT: &str = include_str!("../corpus.txt");

/// One line of the corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was run.
    pub scenario: Scenario,
    /// Which one showed it.
    pub seed: u64,
    /// What it showed.
    pub showed: String,
}

/// The corpus in the order of its lines.
pub fn entries() -> anyhow::Result<Vec<Entry>> {
    parse(TEXT)
}

/// Reads lines of `scenario seed  # what it showed once`. Empty lines and those that begin with `#` say nothing.
fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = || format!("corpus.txt, line {}: `{line}`", at + 1);
        let entry = entry(line).with_context(place)?;
        let twice = entries.iter().any(|other| other.scenario == entry.scenario && other.seed == entry.seed);
        ensure!(!twice, "{}: this scenario and seed stand above already", place());
        entries.push(entry);
    }
    Ok(entries)
}

fn entry(line: &str) -> anyhow::Result<Entry> {
    let Some((what, showed)) = line.split_once('#') else {
        bail!("it does not say, after a `#`, what the seed showed");
    };
    let showed = showed.trim();
    ensure!(!showed.is_empty(), "it does not say, after the `#`, what the seed showed");
    let words: Vec<&str> = what.split_whitespace().collect();
    let [scenario, seed] = words[..] else {
        bail!("a scenario and a seed are wanted before the `#`, not {} words", words.len());
    };
    let Ok(scenario) = Scenario::from_str(scenario, false) else {
        bail!("there is no scenario `{scenario}`");
    };
    let Ok(seed) = seed.parse() else {
        bail!("`{seed}` is not a seed");
    };
    Ok(Entry { scenario, seed, showed: showed.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).expect_err(text))
    }

    #[test]
    fn the_corpus_itself_is_well_formed() {
        assert!(entries().is_ok(), "{:#}", entries().expect_err("it is not"));
    }

    #[test]
    fn lines_are_read_in_order_and_comments_are_not() {
        let text = "# scenario seed\n\nshort 17  # lost a write # twice\n  trimming 3 # trimmed early\n";
        let expected = [
            Entry { scenario: Scenario::Short, seed: 17, showed: "lost a write # twice".to_owned() },
            Entry { scenario: Scenario::Trimming, seed: 3, showed: "trimmed early".to_owned() },
        ];
        assert_eq!(parse(text).expect("it is well formed"), expected);
    }

    #[test]
    fn the_same_seed_may_stand_once_for_each_scenario() {
        assert_eq!(parse("short 1 # a\ntrimming 1 # b").expect("they differ").len(), 2);
        let error = error("short 1 # a\nshort 2 # b\nshort 1 # c");
        assert_eq!(error, "corpus.txt, line 3: `short 1 # c`: this scenario and seed stand above already");
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number_and_what_is_wrong() {
        for (line, wrong) in [
            ("short 17", "it does not say, after a `#`, what the seed showed"),
            ("short 17 #", "it does not say, after the `#`, what the seed showed"),
            ("17 # lost", "a scenario and a seed are wanted before the `#`, not 1 words"),
            ("short 17 18 # lost", "a scenario and a seed are wanted before the `#`, not 3 words"),
            ("long 17 # lost", "there is no scenario `long`"),
            ("short x # lost", "`x` is not a seed"),
            ("short -1 # lost", "`-1` is not a seed"),
        ] {
            assert_eq!(
                error(&format!("# first\n{line}\n")),
                format!("corpus.txt, line 2: `{line}`: {wrong}")
            );
        }
    }
}
