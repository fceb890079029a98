//! Reading items: one, or page by page.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::stored::{split, stored_item};
use super::{Error, View};
use crate::expression::Subject;
use crate::expression::ast::{Condition, Projection};
use crate::model::limits::PAGE_ENCODED_BYTES_MAX;
use crate::model::{Corrupt, lookup};

/// What a read shows of the items it evaluates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    /// Which items; all if absent.
    pub filter: Option<Condition>,
    /// What of them; everything if absent.
    pub projection: Option<Projection>,
    /// Only how many there are.
    pub counts_only: bool,
}

/// Where a page ends at the latest: *with* the item that reaches either limit, as DynamoDB's do. So a page has at least
/// one item, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most items to evaluate.
    pub items_max: usize,
    /// Most bytes to evaluate, by DynamoDB's rules.
    pub bytes_max: usize,
}

/// A page of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// What is shown of the items, each encoded as an item, in the order of the read; empty if they are only counted.
    pub items: Vec<Bytes>,
    /// How many items the filter let through.
    pub count: usize,
    /// How many items were evaluated.
    pub scanned: usize,
    /// Present if a limit ended the page: the stored key of the last item evaluated. There may be none behind it.
    pub last_key: Option<Bytes>,
    /// Sizes of the items evaluated, by DynamoDB's rules: what read units are counted of.
    pub bytes: usize,
}

/// An item that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is shown of it, encoded as an item; may have no attributes.
    pub item: Bytes,
    /// The size of all of it by DynamoDB's rules: what read units are counted of.
    pub bytes: usize,
}

/// The encoded item at a stored key, not looked at.
pub fn get<V: View + ?Sized>(view: &V, key: &[u8]) -> Result<Option<Bytes>, V::Error> {
    Ok(view.get(key)?.map(|stored| stored_item(&stored)))
}

/// What a projection shows of the item at a stored key, and its size. Errors: as [`page`].
pub fn find<V: View + ?Sized>(
    view: &V,
    key: &[u8],
    projection: Option<&Projection>,
) -> Result<Option<Found>, Error<V::Error>> {
    let Some(stored) = view.get(key).map_err(Error::View)? else { return Ok(None) };
    let (_, item) = split(&stored)?;
    let bytes = lookup::item_size(item)?;
    let item = match projection {
        Some(projection) => projection.project_encoded(item)?,
        None => stored_item(&stored),
    };
    Ok(Some(Found { item, bytes }))
}

/// The items between two stored keys, rising or (`reverse`) falling, up to the limits; filtered, then projected.
///
/// It also ends with the item that takes what is shown over `PAGE_ENCODED_BYTES_MAX`. Errors: `View` if the items
/// cannot be read, `Corrupt` if one that is evaluated is not an item, as far as it is looked at.
pub fn page<V: View + ?Sized>(
    view: &V,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    reverse: bool,
    limits: Limits,
    select: &Select,
) -> Result<Page, Error<V::Error>> {
    let mut page = Page::default();
    let mut encoded_bytes = 0;
    let mut corrupt = None;
    view.range(from, to, reverse, &mut |key, stored| {
        match page.evaluate(stored, select) {
            Ok(shown_bytes) => encoded_bytes += shown_bytes,
            Err(error) => {
                corrupt = Some(error);
                return ControlFlow::Break(());
            }
        }
        let full = page.scanned >= limits.items_max || page.bytes >= limits.bytes_max;
        if full || encoded_bytes >= PAGE_ENCODED_BYTES_MAX {
            page.last_key = Some(Bytes::copy_from_slice(key));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .map_err(Error::View)?;
    corrupt.map_or(Ok(page), |error| Err(Error::Corrupt(error)))
}

impl Page {
    /// Takes an item in; gives the bytes it adds to those shown.
    fn evaluate(&mut self, stored: &[u8], select: &Select) -> Result<usize, Corrupt> {
        let (_, item) = split(stored)?;
        self.scanned += 1;
        self.bytes += lookup::item_size(item)?;
        if let Some(filter) = &select.filter
            && !filter.holds(Subject::Encoded(item))?
        {
            return Ok(0);
        }
        self.count += 1;
        if select.counts_only {
            return Ok(0);
        }
        let shown = match &select.projection {
            Some(projection) => projection.project_encoded(item)?,
            None => Bytes::copy_from_slice(item),
        };
        let shown_bytes = shown.len();
        self.items.push(shown);
        Ok(shown_bytes)
    }
}
