//! What a run came to: the first thing that was wrong, and what it really exercised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that must never be was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The invariant, by the name of its file.
    pub invariant: String,
    /// What was seen, for a person who looks for the cause.
    pub what: String,
}

impl Violation {
    /// A violation of an invariant.
    pub fn new(invariant: &str, what: impl Into<String>) -> Self {
        Self { invariant: invariant.to_owned(), what: what.into() }
    }
}

/// Counts what was exercised: "fault: crash", "invariant: image_chain", "path: snapshot". What stays at 0 over many
/// seeds was never tested.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks(pub BTreeMap<String, u64>);

impl Marks {
    /// Counts once more.
    pub fn hit(&mut self, mark: &str) {
        self.add(mark, 1);
    }

    /// Counts so many more; 0 makes the mark known.
    pub fn add(&mut self, mark: &str, count: u64) {
        *self.0.entry(mark.to_owned()).or_default() += count;
    }

    /// Adds those of another run.
    pub fn merge(&mut self, other: &Self) {
        for (mark, count) in &other.0 {
            self.add(mark, *count);
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What was wrong, if anything was.
    pub violation: Option<Violation>,
    /// What was exercised.
    pub marks: Marks,
    /// The hash of the whole trace: equal for two runs of one plan, or the simulator is not deterministic.
    pub trace_hash: u64,
    /// Lines of the trace.
    pub trace_lines: u64,
    /// Simulated time, milliseconds.
    pub simulated_ms: u64,
    /// What the clients did.
    pub operations: u64,
}
