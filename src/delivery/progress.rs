//! How far a trigger has come in a shard: what survives whoever delivers.

use serde::{Deserialize, Serialize};

use crate::stream::Cursor;

/// How far one lane of a shard has come.
///
/// Everything before `next` is delivered or given up. What comes then was cut into batches already as far as `tries`
/// says, so that whoever goes on makes the same batches and knows how often they were tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneProgress {
    /// Where to go on; `None`: wherever the trim horizon is.
    pub next: Option<Cursor>,
    /// The batches being tried, in order. They follow each other without a gap.
    pub tries: Vec<Try>,
}

/// A batch that was called for at least once, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Its last record.
    pub to: Cursor,
    /// How often it has failed in a way that counts.
    pub attempts: u32,
    /// How often the function was called for it, also in larger batches.
    pub calls: u32,
}
