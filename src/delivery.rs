//! How the records of a stream are delivered to functions: what is let through, in which batches, how often it is tried,
//! what an answer means, and what is told of records that are given up. The semantics are those of AWS Lambda's event
//! source mappings.
//!
//! ```text
//!   record ──► Filter ──► event (its JSON, once) ──► Lane: batches, retries, halves, windows ──► call, or give up
//!                                                      ▲                    │ progress: kept by the catalog
//!                                                      └── Verdict ◄── Answer
//! ```
//!
//! - [`Settings`] are what a trigger is told, within their bounds; [`Lane`] is what follows from them, told what was read,
//!   what time it is and what was answered.
//! - A lane skips nothing and lets nothing overtake; what survives of it ([`LaneProgress`]) is enough to go on elsewhere
//!   with the same batches, tried as often as they were.
//!
//! A [`Filter`] is a few patterns in the language of AWS Lambda's event filtering, which is EventBridge's ("event
//! ruler"). A [`Subject`] is a record seen as the event Lambda would deliver for it. A record passes if one pattern
//! matches, or if there is none.
//!
//! Of filters:
//! - The event is never built to be matched. A pattern walks the stored images where they lie, along the names that it mentions and no
//!   further: unless a binary value is compared as text, nothing is allocated for a record.
//! - What parses can be matched with: no pattern and no stored bytes panic. Damage that is met is `Corrupt`; damage
//!   that is passed over is not noticed.
//! - Time is bounded by the size of the pattern times that of what it names of the record.
//!
//! Where AWS's documents, its library and what was recorded of AWS differ, what was recorded decides:
//! - `exists` is of leaves alone. An attribute is an object, `{"S": ..}`: so `{"k": [{"exists": true}]}` never matches and
//!   `{"k": [{"exists": false}]}` always does; `{"k": {"S": [{"exists": true}]}}` is what was meant.
//! - The `N` of an attribute is text: `numeric` does not see it, nor does a number in a list of values. (Nor does one in
//!   `anything-but`: every text differs from every number.) What is a number in the event is compared by value.
//! - Arrays disappear from paths. All that a pattern says below one list must hold of one element. What must not exist
//!   below it must not exist in that element, or in any if the pattern says nothing else; in AWS's library this
//!   depends on the alphabetical order of the names.
//! - `$or` needs at least two objects, none naming an operator at its top, and is an ordinary name otherwise. What stands
//!   beside it holds as well, also of the same name: in AWS's library the branch would replace that.
//! - Paths do not meet names with dots in them, as they do in AWS's library: attribute names may have dots.
//! - `cidr` is the whole network, whichever address of it is written.
//!
//! Two extensions beyond AWS, which refuses the first and never matches the second:
//! - `{"decimal": [">", "100.5", "<=", "1e3"]}` where `numeric` could stand: compares `N`, members of `NS` and the event's own
//!   numbers as DynamoDB does, exactly. Bounds are texts or numbers.
//! - `"changed": ["price", "stock"]` at the top of a pattern, or of a branch of `$or` there: at least one of these
//!   attributes is not the same in the old and the new image; an item that does not exist has no attributes. It
//!   holds of no record that does not show both images: whoever takes such a filter for a stream asks
//!   [`Filter::needs_both_images`] and refuses.
//!
//! Deliberately absent: reading, calling, time; the wire forms of settings.
//!
//! Decision: a pattern becomes a tree, not an automaton over many patterns as AWS's: there are few for a stream, and most
//! records are decided by a name and one attribute. Its price: patterns are tried one after the other. A `$or` stays a
//! choice in the tree; only where two parts of a pattern speak of the same list is it multiplied out, within a bound.

#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))] // a new variant is decided on wherever it matters

#[cfg(test)]
mod agreement_test;
mod answer;
mod event;
mod lane;
mod matching;
mod operator;
mod pattern;
mod progress;
mod settings;
mod subject;
mod text;

pub use answer::{Answer, Asked, Face, Failure, STATE_BYTES_MAX, Verdict};
pub use event::{GivenUp, event_of};
pub use lane::{BATCH_BYTES_MAX, Batch, Condition, Lane, Parcel, Rules, Step, WindowView};
pub use pattern::{FILTERS_MAX, Filter, PATTERN_CHARS_MAX, PatternError};
pub use progress::{LaneProgress, Try};
pub use settings::{
    BATCH_RECORDS_MAX, BATCHING_WINDOW_MS_MAX, Destination, PARALLEL_MAX, RECORD_AGE_MS, RETRIES_MAX, Secret,
    Settings, SettingsError, TIMEOUT_MS_MAX, TUMBLING_MS_MAX, check_target,
};
pub use subject::{Identity, Subject};
