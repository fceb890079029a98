//! Reading whole tables.

use futures::Stream;

use super::Client;
use super::error::Error;
use super::items::decode;
use super::method::Method;
use crate::model::{Item, TableName};
use crate::rpc::item::Item as WireItem;
use crate::rpc::wire::v1;

/// A page of a table.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Item>,
}

impl Client {
    /// Reads one page: at most `limit` items (0: as many as fit into 1 MiB) behind the key `start`.
    pub async fn scan(
        &self,
        table: &TableName,
        limit: u32,
        start: Option<&Item>,
        consistent: bool,
    ) -> Result<Page, Error> {
        let target = match start {
            Some(key) => self.target(table, key).await,
            None => self.target_of_hash(table, 0).await,
        };
        let request = v1::ScanRequest {
            table_name: table.to_string(),
            limit,
            exclusive_start_key: start.map(WireItem::encode),
            consistent_read: consistent,
        };
        let answer: v1::ScanResponse = self.call(Method::SCAN, target, &request).await?;
        let items = answer.items.iter().map(decode).collect::<Result<_, _>>()?;
        let next = answer.last_evaluated_key.as_ref().map(decode).transpose()?;
        Ok(Page { items, next })
    }

    /// Reads a whole table page by page. Ends after the first error.
    pub fn scan_all(
        &self,
        table: &TableName,
        consistent: bool,
    ) -> impl Stream<Item = Result<Vec<Item>, Error>> + Send + use<> {
        enum Place {
            Start,
            Behind(Item),
            End,
        }
        let (client, table) = (self.clone(), table.clone());
        futures::stream::try_unfold(Place::Start, move |place| {
            let (client, table) = (client.clone(), table.clone());
            async move {
                let start = match &place {
                    Place::Start => None,
                    Place::Behind(key) => Some(key),
                    Place::End => return Ok(None),
                };
                let page = client.scan(&table, 0, start, consistent).await?;
                Ok(Some((page.items, page.next.map_or(Place::End, Place::Behind))))
            }
        })
    }
}
