//! Query and scan: pages of items, over one partition key or all of them.

use std::ops::Bound;

use bytes::Bytes;

use super::{
    items::Target,
    parameters::{self, Consumed, Counting, Meaning, Parameters},
};
use crate::{
    model::{Item, id::GroupId, limits::PAGE_BYTES_MAX},
    node::{Error, Node, Read},
    partition::{
        self, KeyRange, Limits, Page, Select, behind, check_start, query_range, segment_of_hash,
        segment_range, table_range,
    },
};

/// Segments of a scan. Source: Amazon DynamoDB API Reference, "Scan".
const SEGMENTS_MAX: u32 = 1_000_000;
/// Partitions a scan reads at once, when those before had little in them.
const READS_MAX: usize = 8;

/// What a page shows: `Select`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Showing {
    /// What the projection says, or everything.
    #[default]
    Default,
    All,
    AllProjected,
    Specific,
    Count,
}

/// What queries and scans ask for alike.
#[derive(Debug, Default)]
pub(super) struct PageAsk {
    pub parameters: Option<Box<Parameters>>,
    pub index: Option<String>,
    pub limit: Option<u32>,
    pub start: Option<Item>,
    pub consistent: bool,
    pub showing: Showing,
    pub counting: Counting,
}

/// A page of items.
pub(super) struct Answer {
    pub items: Vec<Bytes>,
    pub count: usize,
    pub scanned: usize,
    /// Present if there may be more.
    pub last_key: Option<Item>,
    pub consumed: Option<Consumed>,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(message.into())
}

/// Reads a page of one partition key's items.
pub(super) async fn query(node: &Node, table: &str, forward: bool, ask: PageAsk) -> Result<Answer, Error> {
    let limits = limits(ask.limit)?;
    let parsed = parameters::parse(ask.parameters, node)?;
    if !parsed.has_key_condition() {
        return Err(invalid(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ));
    }
    let target = Target::find(node, table).await?;
    refuse_index(ask.index.as_deref())?;
    let mut meaning = parsed.of(target.schema())?;
    let condition = meaning.key_condition.take().ok_or(Error::Internal)?;
    if let Some(filter) = &meaning.filter {
        filter.check_filter(target.schema())?;
    }
    let select = select(meaning, ask.showing)?;
    let mut range = query_range(target.id(), target.schema(), &condition)?;
    let group = target.group_of(&range)?;
    if let Some(start) = &ask.start {
        let (_, key) = start_key(&target, start)?;
        check_start(target.schema(), &condition, start)?;
        if target.schema().sort.is_none() {
            return Err(partition::StartFault::Partition.into());
        }
        range = behind(range, key, !forward);
    }
    let read = Read { range, reverse: !forward, limits, select, consistent: ask.consistent };
    let mut page = node.read(group, read).await?;
    if target.schema().sort.is_none() {
        page.last_key = None; // there is nothing behind the one item, and its key would be refused as a start
    }
    answer(&target, table, page, (ask.counting, ask.consistent))
}

/// Reads a page of a table, or of one of its segments: (segment, total).
pub(super) async fn scan(
    node: &Node,
    table: &str,
    segment: (Option<u32>, Option<u32>),
    ask: PageAsk,
) -> Result<Answer, Error> {
    let limits = limits(ask.limit)?;
    let segment = segment_of(segment)?;
    let parsed = parameters::parse(ask.parameters, node)?;
    let target = Target::find(node, table).await?;
    refuse_index(ask.index.as_deref())?;
    let select = select(parsed.of(target.schema())?, ask.showing)?;
    let mut parts = parts(&target, segment);
    if let Some(start) = &ask.start {
        let (group, key) = start_key(&target, start)?;
        let (segment, total) = segment;
        let hash = key.get(8..16).and_then(|hash| hash.first_chunk()).map(|hash| u64::from_be_bytes(*hash));
        if segment_of_hash(hash.ok_or(Error::Internal)?, total) != segment {
            return Err(invalid(format!(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey \
                 with correct Segment. TotalSegments: {total} Segment: {segment}"
            )));
        }
        let at = parts.iter().position(|part| part.group == group).ok_or(Error::Internal)?;
        parts.drain(..at);
        parts[0].range = behind(parts[0].range.clone(), key, false);
    }
    let page = read_parts(node, &parts, limits, &select, ask.consistent).await?;
    answer(&target, table, page, (ask.counting, ask.consistent))
}

/// A part of a scan: what of a partition it reads.
struct Part {
    group: GroupId,
    range: KeyRange,
}

/// What a scan of a segment reads, in order.
fn parts(target: &Target, (segment, total): (u32, u32)) -> Vec<Part> {
    let partitions = target.table().partitions.iter();
    let partitions = partitions.filter_map(|group| target.catalog().partitions.get(group));
    let mut parts: Vec<_> = partitions
        .filter_map(|partition| {
            let range = match total {
                1 => Some(table_range(target.id(), partition.range)),
                _ => segment_range(target.id(), segment, total, partition.range),
            };
            let (from, to) = range?;
            let to = to.map_or(Bound::Unbounded, Bound::Excluded);
            Some((partition.range.first, Part { group: partition.group, range: (Bound::Included(from), to) }))
        })
        .collect();
    parts.sort_by_key(|(first, _)| *first);
    parts.into_iter().map(|(_, part)| part).collect()
}

/// Reads parts one after another into one page. When they turn out to hold little, more and more at once: a table of
/// many small partitions would otherwise cost a round trip for each.
async fn read_parts(
    node: &Node,
    parts: &[Part],
    limits: Limits,
    select: &Select,
    consistent: bool,
) -> Result<Page, Error> {
    let mut page = Page::default();
    let (mut next, mut width) = (0, 1);
    while next < parts.len() {
        let left =
            Limits { items_max: limits.items_max - page.scanned, bytes_max: limits.bytes_max - page.bytes };
        let reads = parts[next..].iter().take(width).map(|part| {
            let (range, select) = (part.range.clone(), select.clone());
            node.read(part.group, Read { range, reverse: false, limits: left, select, consistent })
        });
        for (at, read) in futures::future::join_all(reads).await.into_iter().enumerate() {
            let read = read?;
            let fits =
                read.scanned < limits.items_max - page.scanned && read.bytes < limits.bytes_max - page.bytes;
            if at > 0 && !fits {
                break; // those before it took some of its room: it is read again with what is left
            }
            page.items.extend(read.items);
            page.count += read.count;
            page.scanned += read.scanned;
            page.bytes += read.bytes;
            next += 1;
            if read.last_key.is_some() {
                page.last_key = read.last_key;
                return Ok(page);
            }
        }
        let little = page.bytes < limits.bytes_max / 4 && page.scanned < limits.items_max / 4;
        width = if little { (2 * width).min(READS_MAX) } else { 1 };
    }
    Ok(page)
}

/// There are no indexes.
fn refuse_index(index: Option<&str>) -> Result<(), Error> {
    match index {
        Some(index) => Err(invalid(format!("The table does not have the specified index: {index}"))),
        None => Ok(()),
    }
}

fn limits(limit: Option<u32>) -> Result<Limits, Error> {
    if limit == Some(0) {
        return Err(invalid(
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ));
    }
    let items_max = limit.map_or(usize::MAX, |limit| limit as usize);
    Ok(Limits { items_max, bytes_max: PAGE_BYTES_MAX })
}

fn segment_of(segment: (Option<u32>, Option<u32>)) -> Result<(u32, u32), Error> {
    match segment {
        (None, None) => Ok((0, 1)),
        (Some(_), None) => Err(invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is \
             present",
        )),
        (None, Some(_)) => Err(invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is \
             present",
        )),
        (Some(_), Some(0)) => Err(invalid(
            "1 validation error detected: Value '0' at 'totalSegments' failed to satisfy constraint: Member must have \
             value greater than or equal to 1",
        )),
        (Some(_), Some(total)) if total > SEGMENTS_MAX => Err(invalid(format!(
            "1 validation error detected: Value '{total}' at 'totalSegments' failed to satisfy constraint: Member must \
             have value less than or equal to {SEGMENTS_MAX}"
        ))),
        (Some(segment), Some(total)) if segment >= total => Err(invalid(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is \
             not less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => Ok((segment, total)),
    }
}

fn select(meaning: Meaning, showing: Showing) -> Result<Select, Error> {
    let Meaning { filter, projection, projected_by, .. } = meaning;
    let wrong = |why: String| Err(invalid(format!("One or more parameter values were invalid: {why}")));
    let chosen = match showing {
        Showing::Default | Showing::Specific => None,
        Showing::All => Some("ALL_ATTRIBUTES"),
        Showing::AllProjected => Some("ALL_PROJECTED_ATTRIBUTES"),
        Showing::Count => Some("COUNT"),
    };
    if let (Some(chosen), Some(_)) = (chosen, &projection) {
        return wrong(format!("Cannot specify the {projected_by} when choosing to get {chosen}"));
    }
    match showing {
        Showing::AllProjected => {
            wrong("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName".to_owned())
        }
        Showing::Specific if projection.is_none() => wrong(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
                .to_owned(),
        ),
        Showing::Default | Showing::All | Showing::Specific | Showing::Count => {
            Ok(Select { filter, projection, counts_only: showing == Showing::Count })
        }
    }
}

/// The place of an `ExclusiveStartKey`.
fn start_key(target: &Target, start: &Item) -> Result<(GroupId, Bytes), Error> {
    let wrong = |error: Error| invalid(format!("The provided starting key is invalid: {error}"));
    target.locate(start).map_err(wrong)
}

fn answer(
    target: &Target,
    table: &str,
    page: Page,
    (counting, consistent): (Counting, bool),
) -> Result<Answer, Error> {
    let Page { items, count, scanned, last_key, bytes } = page;
    let key = |last: Bytes| target.schema().decode_key(last.get(8..).unwrap_or_default());
    let last_key = last_key.map(key).transpose();
    let last_key = last_key.map_err(|error| Error::internal("a stored key does not decode", &error))?;
    let consumed = counting.read(table, bytes, consistent);
    Ok(Answer { items, count, scanned, last_key, consumed })
}
