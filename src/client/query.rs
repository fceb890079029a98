//! Reading many items: those of a partition key, or a whole table, page by page.

use futures::Stream;

use super::call::Target;
use super::error::Error;
use super::expression::Expression;
use super::items::decode;
use super::method::Method;
use super::{Client, ConsumedCapacity, ReturnConsumedCapacity, Select, requests};
use crate::model::{Item, ItemKey, TableName};
use crate::rpc::item::Item as WireItem;
use crate::rpc::wire::v1;

/// What to read of the items of one partition key.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The partition key with `=`, and at most one condition on the sort key.
    pub key: Expression,
    /// Which of the items read to return; looks at no key attribute.
    pub filter: Option<Expression>,
    /// What to return of each; `None`: everything.
    pub projection: Option<Expression>,
    /// From the largest sort key to the smallest.
    pub reverse: bool,
    /// At most so many items read by a page, before the filter; `None`: as many as fit into 1 MiB.
    pub limit: Option<u32>,
    /// Begins behind this key: `next` of another page.
    pub start: Option<Item>,
    /// Whether to see every write acknowledged before.
    pub consistent: bool,
    /// What to return.
    pub select: Select,
    /// Whether to count capacity.
    pub capacity: ReturnConsumedCapacity,
}

/// What to read of a table.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Which of the items read to return.
    pub filter: Option<Expression>,
    /// What to return of each; `None`: everything.
    pub projection: Option<Expression>,
    /// Which segment of how many: (0, 3), (1, 3) and (2, 3) are a table together.
    pub segment: Option<(u32, u32)>,
    /// At most so many items read by a page, before the filter; `None`: as many as fit into 1 MiB.
    pub limit: Option<u32>,
    /// Begins behind this key: `next` of another page.
    pub start: Option<Item>,
    /// Whether to see every write acknowledged before.
    pub consistent: bool,
    /// What to return.
    pub select: Select,
    /// Whether to count capacity.
    pub capacity: ReturnConsumedCapacity,
}

/// A page of items.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// How many of the items read the filter let through.
    pub count: u32,
    /// How many items were read.
    pub scanned: u32,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Item>,
    /// If asked for.
    pub capacity: Option<ConsumedCapacity>,
}

impl Page {
    fn from_wire(
        items: &[WireItem],
        (count, scanned): (u32, u32),
        next: Option<WireItem>,
        capacity: Option<ConsumedCapacity>,
    ) -> Result<Self, Error> {
        let items = items.iter().map(decode).collect::<Result<_, _>>()?;
        let next = next.as_ref().map(decode).transpose()?;
        Ok(Self { items, count, scanned, next, capacity })
    }
}

impl Client {
    /// Reads one page of the items of a partition key.
    pub async fn query(&self, table: &TableName, query: Query) -> Result<Page, Error> {
        let target = self.target_of_query(table, &query.key).await;
        let request = requests::query(table, query)?;
        let answer: v1::QueryResponse = self.call(Method::QUERY, target, &request).await?;
        let counts = (answer.count, answer.scanned_count);
        Page::from_wire(&answer.items, counts, answer.last_evaluated_key, answer.consumed_capacity)
    }

    /// Reads all items of a partition key that are asked for, page by page. Ends after the first error.
    pub fn query_all(
        &self,
        table: &TableName,
        query: Query,
    ) -> impl Stream<Item = Result<Page, Error>> + Send + use<> {
        let (client, table) = (self.clone(), table.clone());
        pages(query.start.clone(), move |start| {
            let (client, table) = (client.clone(), table.clone());
            let query = Query { start, ..query.clone() };
            async move { client.query(&table, query).await }
        })
    }

    /// Reads one page of a table.
    pub async fn scan(&self, table: &TableName, scan: Scan) -> Result<Page, Error> {
        let target = match &scan.start {
            Some(key) => self.target(table, key).await,
            None => self.target_of_hash(table, first_hash(scan.segment)).await,
        };
        let request = requests::scan(table, scan)?;
        let answer: v1::ScanResponse = self.call(Method::SCAN, target, &request).await?;
        let counts = (answer.count, answer.scanned_count);
        Page::from_wire(&answer.items, counts, answer.last_evaluated_key, answer.consumed_capacity)
    }

    /// Reads a whole table, or one segment of it, page by page. Ends after the first error.
    pub fn scan_all(
        &self,
        table: &TableName,
        scan: Scan,
    ) -> impl Stream<Item = Result<Page, Error>> + Send + use<> {
        let (client, table) = (self.clone(), table.clone());
        pages(scan.start.clone(), move |start| {
            let (client, table) = (client.clone(), table.clone());
            let scan = Scan { start, ..scan.clone() };
            async move { client.scan(&table, scan).await }
        })
    }

    /// The leader of the partition a query reads, if that can be seen.
    async fn target_of_query<'a>(&self, table: &'a TableName, key: &Expression) -> Target<'a> {
        let Some(schema) = self.key_schema(table).await else { return Target::Any };
        let hash = key.partition_value(&schema.partition.name).and_then(|value| {
            let prefix = schema.partition_prefix(value).ok()?;
            Some(ItemKey::from_bytes(prefix).ok()?.hash())
        });
        hash.map_or(Target::Any, |hash| Target::Hash(table, hash))
    }
}

/// Where a scan begins; segments are ranges of hashes of about the same length.
fn first_hash(segment: Option<(u32, u32)>) -> u64 {
    let (segment, total) = segment.unwrap_or((0, 1));
    let share = (u128::from(u64::MAX) + 1) * u128::from(segment) / u128::from(total.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// One page after another.
fn pages<F: Future<Output = Result<Page, Error>> + Send>(
    start: Option<Item>,
    read: impl Fn(Option<Item>) -> F + Send,
) -> impl Stream<Item = Result<Page, Error>> + Send {
    enum Place {
        Behind(Option<Item>),
        End,
    }
    futures::stream::try_unfold((Place::Behind(start), read), |(place, read)| async move {
        let Place::Behind(start) = place else { return Ok(None) };
        let page = read(start).await?;
        let place = page.next.clone().map_or(Place::End, |next| Place::Behind(Some(next)));
        Ok(Some((page, (place, read))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_begin_where_they_are() {
        assert_eq!(first_hash(None), 0);
        assert_eq!(first_hash(Some((0, 4))), 0);
        assert_eq!(first_hash(Some((1, 2))), 1 << 63);
        assert_eq!(first_hash(Some((3, 4))), 3 << 62);
        assert_eq!(first_hash(Some((7, 0))), u64::MAX, "the cluster refuses it");
    }
}
