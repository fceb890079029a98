//! What must hold of every run, one file a property. Each judges a whole `History` after the run ended and everything
//! was healed, and knows nothing of how it came about.
//!
//! Time. Two things are ordered only if one ended strictly before the other began: simulated clocks move in steps, so
//! that equal times say nothing. What an unknown write did, it may have done at any time after it began.
//!
//! Every invariant counts the facts that it judged in the mark `invariant: <file>`. One that stays at 0 over many
//! seeds is never exercised, and proves nothing.

mod chain;
pub mod delivered;
mod empty_pages;
mod evidence;
mod exactly_one;
mod expiry;
mod gapless;
mod given_out;
mod image_chain;
mod linearizable;
mod never_unseen;
mod no_invention;
mod order_per_key;
mod retention;
mod sequence_rises;
pub mod show;
mod stream_equals_table;
mod strong_reads;
mod unknown_whole;
mod windows;

#[cfg(test)]
mod model;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod sample;

use crate::history::History;
use crate::verdict::{Marks, Violation};

type Check = fn(&History, &mut Marks) -> Result<(), Violation>;

/// The simple ones first: their words are the most useful where several are broken.
const CHECKS: [Check; 16] = [
    expiry::check,
    retention::check,
    sequence_rises::check,
    never_unseen::check,
    gapless::check,
    empty_pages::check,
    given_out::check,
    delivered::check,
    image_chain::check,
    exactly_one::check,
    unknown_whole::check,
    no_invention::check,
    stream_equals_table::check,
    strong_reads::check,
    order_per_key::check,
    linearizable::check,
];

/// Judges a run by all invariants. Errors: the first that does not hold.
pub fn check_history(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    CHECKS.iter().try_for_each(|check| check(history, marks))
}

/// Runs one invariant, which counts the facts it judges, and says what was wrong.
fn judge(
    name: &str,
    marks: &mut Marks,
    rule: impl FnOnce(&mut u64) -> Result<(), String>,
) -> Result<(), Violation> {
    let mut judged = 0;
    let verdict = rule(&mut judged);
    marks.add(&format!("invariant: {name}"), judged);
    verdict.map_err(|what| Violation::new(name, what))
}
