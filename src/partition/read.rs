//! Reading items: one, or page by page.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use super::View;
use crate::model::codec;

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The encoded items, in key order.
    pub items: Vec<Bytes>,
    /// Present if the page ended before the range did: the stored key of its last item.
    pub last_key: Option<Bytes>,
    /// Their size by DynamoDB's rules, bytes.
    pub bytes: usize,
}

/// The encoded item within a stored one (without its version).
pub fn stored_item(stored: &Bytes) -> Bytes {
    stored.slice(8.min(stored.len())..)
}

/// The encoded item at a stored key.
pub fn get<V: View + ?Sized>(view: &V, key: &[u8]) -> Result<Option<Bytes>, V::Error> {
    Ok(view.get(key)?.map(|stored| stored_item(&stored)))
}

/// The items from `from` on up to `to` (exclusive), at most `items_max` of them and about `bytes_max` bytes: a
/// page ends *with* the item that reaches either limit, as DynamoDB's do.
pub fn scan<V: View + ?Sized>(
    view: &V,
    from: Bound<&[u8]>,
    to: Option<&[u8]>,
    items_max: usize,
    bytes_max: usize,
) -> Result<Page, V::Error> {
    let mut page = Page::default();
    let to = to.map_or(Bound::Unbounded, Bound::Excluded);
    view.range(from, to, false, &mut |key, stored| {
        let item = stored.get(8..).unwrap_or_default();
        page.bytes += codec::item_size_encoded(item).unwrap_or(item.len());
        page.items.push(Bytes::copy_from_slice(item));
        if page.items.len() >= items_max || page.bytes >= bytes_max {
            page.last_key = Some(Bytes::copy_from_slice(key));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(page)
}
