//! Why items could not be looked at. What is wrong with a write itself is an answer, not an error.

use crate::model;

/// Why a write could not be evaluated, or items not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The items could not be read.
    #[error("an item could not be read")]
    View(#[source] E),
    /// A stored item does not decode.
    #[error("a stored item is corrupt")]
    Corrupt(#[from] model::Corrupt),
}
