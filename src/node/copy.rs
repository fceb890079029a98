//! Copies of a partition's items, page by page, each as of one place of its log.

use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Error, Node,
    operation::{Done, Operation},
    replica::Replica,
};
use crate::{
    model::id::GroupId,
    partition::{View, stored_item, table_range},
    raft,
};

/// Bytes of items in a page, about.
const PAGE_BYTES: usize = 1024 * 1024;

/// Asks for a page of a partition's items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopyRequest {
    /// The last stored key of the page before; absent: from the first.
    pub behind: Option<Bytes>,
    /// At most so many items.
    pub items_max: usize,
    /// The page is to be as of this index of the log at least.
    pub at_least: u64,
}

/// A page of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    /// The index of the log the items are as of.
    pub index: u64,
    /// Stored keys and encoded items, in the order of the keys.
    pub items: Vec<(Bytes, Bytes)>,
    /// Whether there are none behind them.
    pub is_last: bool,
}

impl Node {
    /// A page of a partition's items; any replica gives it.
    pub(super) async fn copy(&self, group: GroupId, request: CopyRequest) -> Result<Copied, Error> {
        match self.operate_on_any(group, Operation::Copy(request)).await? {
            Done::Copied(page) => Ok(page),
            _ => Err(Error::Internal),
        }
    }

    /// A page of the items of this replica: items and index are of one moment.
    pub(super) async fn copy_here(&self, replica: &Replica, request: CopyRequest) -> Result<Copied, Error> {
        let catalog = self.catalog();
        let group = replica.group.id();
        let partition = catalog.partitions.get(&group).ok_or_else(Error::no_leader)?;
        let range = table_range(partition.table, partition.range);
        let items = self.shared.items.clone();
        let read = move || {
            let view = items.view().map_err(|error| Error::internal("items could not be read", &error))?;
            let state = raft::state_in(&*view, group)
                .map_err(|error| Error::internal("a partition's state could not be read", &error))?;
            let index = state.applied.map_or(0, |applied| applied.index);
            if index < request.at_least {
                return Err(Error::Unavailable("the replica is behind".to_owned()));
            }
            page(&*view, index, &range, &request)
        };
        let read = self.shared.environment.blocking(read).await;
        read.map_err(|error| Error::internal("a read was cut short", &error))?
    }
}

fn page<V: View + ?Sized>(
    view: &V,
    index: u64,
    (first, end): &(Bytes, Option<Bytes>),
    request: &CopyRequest,
) -> Result<Copied, Error> {
    let from = match &request.behind {
        Some(behind) => Bound::Excluded(&behind[..]),
        None => Bound::Included(&first[..]),
    };
    let to = end.as_ref().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
    let mut page = Copied { index, items: Vec::new(), is_last: true };
    let mut bytes = 0;
    let read = view.range(from, to, false, &mut |key, stored| {
        if page.items.len() >= request.items_max || bytes >= PAGE_BYTES {
            page.is_last = false;
            return ControlFlow::Break(());
        }
        bytes += stored.len();
        let item = stored_item(&Bytes::copy_from_slice(stored));
        page.items.push((Bytes::copy_from_slice(key), item));
        ControlFlow::Continue(())
    });
    read.map_err(|error| Error::internal("items could not be read", &error))?;
    Ok(page)
}
