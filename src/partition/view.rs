//! What evaluation and reads see of the items, and what apply hands back to be stored.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::model::id::GroupId;

/// What is called with each key and stored item of a range, until it breaks.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A readable state of the items. Implemented by the storage engines (their live state and their consistent
/// views), and by the replica's overlay of changes that are proposed and not yet applied.
///
/// Keys are *item keys* as made by `model::key`; values are *stored items* as made by `partition::apply`.
pub trait View {
    /// Why a read may fail: the engine's error.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The stored item at `key`, if there is one.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Self::Error>;

    /// Visits the stored items whose keys lie in the given bounds, in ascending byte order of their keys (or
    /// descending if `reverse`), until `visit` breaks. An empty or inverted range visits nothing.
    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), Self::Error>;
}

/// The effect of one or more entries of one group on its items: stored by the engine atomically, together
/// with the state that says how far the group has applied its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The group whose log this comes from.
    pub group: GroupId,
    /// The group's machine state after it (applied position, membership, streams): opaque to the engine.
    pub state: Bytes,
    /// Item key and stored item; `None` deletes. At most one per key, later ones win.
    pub writes: Vec<(Bytes, Option<Bytes>)>,
}
