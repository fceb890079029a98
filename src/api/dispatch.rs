//! The operations of the DynamoDB protocol: `X-Amz-Target` -> operation. What is not in the list is answered as DynamoDB
//! answers an operation it does not know.

use super::error::Fault;
use super::shape::{At, Checked, Violations};
use super::{dynamodb_items as items, dynamodb_streams as streams, dynamodb_tables as tables, json, native};
use crate::node::{Error, Node};

const TABLES: &str = "DynamoDB_20120810";
const STREAMS: &str = "DynamoDBStreams_20120810";

/// A request, decoded and checked against its shapes.
fn request<'a, T: json::FromJson<'a> + Checked>(body: &'a [u8]) -> Result<T, Fault> {
    let request: T = json::parse(body)?;
    let mut violations = Violations::default();
    request.check(&At::REQUEST, &mut violations);
    match violations.message() {
        Some(message) => Err(Error::Invalid(message).into()),
        None => Ok(request),
    }
}

macro_rules! operations {
    ($(($service:ident, $operation:literal) => $run:path,)*) => {
        /// Whether a target names an operation.
        pub(super) fn exists(target: &str) -> bool {
            match split(target) {
                (TABLES, "DescribeEndpoints") => true,
                (native::SERVICE, operation) => native::NAMES.contains(&operation),
                other => NAMES.contains(&other),
            }
        }

        /// All operations that go by the node: service, name.
        pub(super) const NAMES: &[(&str, &str)] = &[$(($service, $operation),)*];

        /// Does an operation; gives the body of the answer. `host`: where the client reached this node.
        pub(super) async fn run(node: &Node, target: &str, host: &str, body: &[u8]) -> Result<Vec<u8>, Fault> {
            match split(target) {
                $(($service, $operation) => $run(node, request(body)?).await,)*
                (TABLES, "DescribeEndpoints") => {
                    json::parse::<super::requests::Nothing>(body)?;
                    tables::endpoints(host)
                }
                (native::SERVICE, operation) => native::run(node, operation, body).await,
                _ => Err(Fault::UnknownOperation),
            }
        }
    };
}

fn split(target: &str) -> (&str, &str) {
    target.split_once('.').unwrap_or((target, ""))
}

/// Whether a body is JSON at all: what is told before anything about operation and signature.
pub(super) fn check_json(body: &[u8]) -> Result<(), Fault> {
    json::parse::<super::requests::Nothing>(body).map(|_| ()).map_err(Fault::Body)
}

operations! {
    (TABLES, "BatchGetItem") => items::get_batch,
    (TABLES, "BatchWriteItem") => items::write_batch,
    (TABLES, "CreateTable") => tables::create,
    (TABLES, "DeleteItem") => items::delete,
    (TABLES, "DeleteTable") => tables::delete,
    (TABLES, "DescribeContinuousBackups") => tables::continuous_backups,
    (TABLES, "DescribeLimits") => tables::limits,
    (TABLES, "DescribeTable") => tables::describe,
    (TABLES, "DescribeTimeToLive") => tables::time_to_live,
    (TABLES, "GetItem") => items::get,
    (TABLES, "ListTables") => tables::list,
    (TABLES, "ListTagsOfResource") => tables::list_tags,
    (TABLES, "PutItem") => items::put,
    (TABLES, "Query") => items::query,
    (TABLES, "Scan") => items::scan,
    (TABLES, "TagResource") => tables::tag,
    (TABLES, "UntagResource") => tables::untag,
    (TABLES, "UpdateItem") => items::update,
    (TABLES, "UpdateTable") => tables::update,
    (STREAMS, "DescribeStream") => streams::describe,
    (STREAMS, "GetRecords") => streams::records,
    (STREAMS, "GetShardIterator") => streams::iterator,
    (STREAMS, "ListStreams") => streams::list,
}
