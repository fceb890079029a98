//! Operations on streams.

use crate::{
    model::TableName,
    node::{Error, Node, RecordsPage, ShardView, StreamView},
    stream::{Cursor, Position, SequenceNumber, ShardId, Start, StreamArn, Token},
};

/// Entries in a page of streams or shards.
const LIST_MAX: usize = 100;
/// Records in a page.
const RECORDS_MAX: usize = 1000;

/// Where to start, as a client asks for it.
pub(super) enum Ask<'a> {
    TrimHorizon,
    Latest,
    At(&'a str),
    After(&'a str),
    Timestamp(u64),
}

fn page_size(limit: u32, what: &str, max: usize) -> Result<usize, Error> {
    let limit = limit as usize;
    if limit > max {
        return Err(Error::Invalid(format!("{what} must be between 1 and {max}, not {limit}")));
    }
    Ok(if limit == 0 { max } else { limit })
}

/// A stream ARN from its text.
pub(super) fn arn(text: &str) -> Result<StreamArn, Error> {
    StreamArn::parse(text).ok_or_else(|| Error::Invalid(format!("Invalid StreamArn: {text}")))
}

/// A page of streams, and where to go on.
pub(super) async fn list(
    node: &Node,
    table: &str,
    limit: u32,
    start: Option<&str>,
) -> Result<(Vec<StreamArn>, Option<String>), Error> {
    let limit = page_size(limit, "limit", LIST_MAX)?;
    let table = if table.is_empty() { None } else { Some(TableName::parse(table)?) };
    let start = start.map(arn).transpose()?.map(|start| start.to_string());
    node.settled().await?;
    let mut arns = node.streams(table.as_ref());
    arns.retain(|arn| start.as_ref().is_none_or(|start| arn.to_string() > *start));
    let more = arns.len() > limit;
    arns.truncate(limit);
    let last = if more { arns.last().map(ToString::to_string) } else { None };
    Ok((arns, last))
}

/// A stream with a page of its shards, or of the children of one, and where to go on.
pub(super) async fn describe(
    node: &Node,
    stream_arn: &str,
    limit: u32,
    start: Option<&str>,
    parent: Option<&str>,
) -> Result<(StreamView, Option<ShardId>), Error> {
    let limit = page_size(limit, "limit", LIST_MAX)?;
    let mut stream = node.stream(&arn(stream_arn)?).await?;
    if let Some(parent) = parent {
        let is_child = |shard: &ShardView| shard.parent.is_some_and(|known| known.to_string() == parent);
        stream.shards.retain(is_child);
    }
    stream.shards.retain(|shard: &ShardView| start.is_none_or(|start| shard.id.to_string().as_str() > start));
    let more = stream.shards.len() > limit;
    stream.shards.truncate(limit);
    let last = if more { stream.shards.last().map(|shard| shard.id) } else { None };
    Ok((stream, last))
}

/// An iterator.
pub(super) async fn iterator(
    node: &Node,
    stream_arn: &str,
    shard: &str,
    ask: Ask<'_>,
) -> Result<String, Error> {
    let stream = arn(stream_arn)?;
    let shard = shard_id(shard)?;
    let start = start(node, &stream, shard, ask).await?;
    let position = match node.locate(&stream, shard, start).await? {
        None => Position::TrimHorizon,
        Some(cursor) => Position::At(cursor),
    };
    let token = Token { stream, shard, position, issued_ms: node.now_ms(), nonce: node.random() };
    Ok(token.seal(&node.catalog().secret))
}

fn shard_id(text: &str) -> Result<ShardId, Error> {
    if !(28..=65).contains(&text.len()) {
        return Err(Error::Invalid(format!("Invalid ShardId: {text}: it must have 28 to 65 characters")));
    }
    let missing = || Error::NotFound("Requested resource not found: Shard does not exist".to_owned());
    ShardId::parse(text).ok_or_else(missing)
}

/// Checks where a client wants to start.
async fn start(node: &Node, stream: &StreamArn, shard: ShardId, ask: Ask<'_>) -> Result<Start, Error> {
    Ok(match ask {
        Ask::TrimHorizon => Start::TrimHorizon,
        Ask::Latest => Start::Latest,
        Ask::At(text) => Start::At(cursor(node, stream, shard, text).await?),
        Ask::After(text) => Start::After(cursor(node, stream, shard, text).await?),
        Ask::Timestamp(ms) if ms > node.now_ms() => {
            return Err(Error::Invalid("Timestamp must not be in the future".to_owned()));
        }
        Ask::Timestamp(ms) => Start::Timestamp(ms),
    })
}

/// The place of a sequence number, which must lie in the shard.
async fn cursor(node: &Node, stream: &StreamArn, shard: ShardId, text: &str) -> Result<Cursor, Error> {
    let number = SequenceNumber::parse(text);
    let number = number.ok_or_else(|| Error::Invalid(format!("Invalid SequenceNumber: {text}")))?;
    let view = node.stream(stream).await?.shards.into_iter().find(|view| view.id == shard);
    let inside = view.is_none_or(|view| {
        number.generation == view.starting.generation && view.ending.is_none_or(|ending| number <= ending)
    });
    if inside {
        Ok(Cursor::at(number))
    } else {
        Err(Error::Invalid(format!("Invalid SequenceNumber: {text} lies outside the shard")))
    }
}

/// A page of records, and the iterator of the next.
pub(super) async fn records(
    node: &Node,
    iterator: &str,
    limit: u32,
) -> Result<(RecordsPage, Option<String>), Error> {
    let limit = page_size(limit, "limit", RECORDS_MAX)?;
    node.settled().await?;
    let secret = node.catalog().secret;
    let token = Token::open(iterator, &secret, node.now_ms())?;
    let cursor = match token.position {
        Position::TrimHorizon => None,
        Position::At(cursor) => Some(cursor),
    };
    let page = node.records(&token.stream, token.shard, cursor, limit, 0).await?;
    let next = page.next.map(|cursor| {
        let position = Position::At(cursor);
        Token { position, issued_ms: node.now_ms(), nonce: node.random(), ..token }.seal(&secret)
    });
    Ok((page, next))
}

/// Where a subscription to a shard starts.
pub(super) async fn subscribe_at(
    node: &Node,
    stream: &StreamArn,
    shard: ShardId,
    ask: Ask<'_>,
) -> Result<Option<Cursor>, Error> {
    let start = start(node, stream, shard, ask).await?;
    node.locate(stream, shard, start).await
}
