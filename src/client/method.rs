//! The calls by name, and whether they change anything.

use tonic::codegen::http::uri::PathAndQuery;

/// Whether a call may be repeated when it is not known to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// It changes nothing.
    Read,
    /// It does.
    Write,
}

/// One call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    pub(super) path: &'static str,
    pub(super) intent: Intent,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $path:literal, $intent:ident;)*) => {
        impl Method {
            $($(#[$doc])* pub const $name: Self =
                Self { path: concat!("/watertable.v1.", $path), intent: Intent::$intent };)*

            /// All of them.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

methods! {
    /// Puts one item.
    PUT_ITEM = "Items/PutItem", Write;
    /// Reads one item.
    GET_ITEM = "Items/GetItem", Read;
    /// Updates one item.
    UPDATE_ITEM = "Items/UpdateItem", Write;
    /// Deletes one item.
    DELETE_ITEM = "Items/DeleteItem", Write;
    /// Up to 25 puts and deletes.
    BATCH_WRITE_ITEM = "Items/BatchWriteItem", Write;
    /// Up to 100 reads.
    BATCH_GET_ITEM = "Items/BatchGetItem", Read;
    /// A page of the items of a partition key.
    QUERY = "Items/Query", Read;
    /// A page of a table.
    SCAN = "Items/Scan", Read;
    /// Makes an access key.
    CREATE_ACCESS_KEY = "AccessKeys/CreateAccessKey", Write;
    /// All access keys.
    LIST_ACCESS_KEYS = "AccessKeys/ListAccessKeys", Read;
    /// Forgets an access key.
    DELETE_ACCESS_KEY = "AccessKeys/DeleteAccessKey", Write;
    /// Creates a table.
    CREATE_TABLE = "Tables/CreateTable", Write;
    /// Describes a table.
    DESCRIBE_TABLE = "Tables/DescribeTable", Read;
    /// A page of the tables' names.
    LIST_TABLES = "Tables/ListTables", Read;
    /// Turns a stream on or off.
    UPDATE_TABLE = "Tables/UpdateTable", Write;
    /// Deletes a table.
    DELETE_TABLE = "Tables/DeleteTable", Write;
    /// A page of streams.
    LIST_STREAMS = "Streams/ListStreams", Read;
    /// A stream and a page of its shards.
    DESCRIBE_STREAM = "Streams/DescribeStream", Read;
    /// An iterator.
    GET_SHARD_ITERATOR = "Streams/GetShardIterator", Read;
    /// A page of records.
    GET_RECORDS = "Streams/GetRecords", Read;
    /// Follows a stream.
    SUBSCRIBE = "Streams/Subscribe", Read;
    /// Takes part in a consumer.
    CONSUME = "Consumers/Consume", Read;
    /// A consumer.
    GET_CONSUMER = "Consumers/GetConsumer", Read;
    /// All consumers.
    LIST_CONSUMERS = "Consumers/ListConsumers", Read;
    /// Deletes a consumer.
    DELETE_CONSUMER = "Consumers/DeleteConsumer", Write;
    /// Creates a trigger.
    CREATE_TRIGGER = "Triggers/CreateTrigger", Write;
    /// A trigger.
    GET_TRIGGER = "Triggers/GetTrigger", Read;
    /// Triggers.
    LIST_TRIGGERS = "Triggers/ListTriggers", Read;
    /// Changes a trigger.
    UPDATE_TRIGGER = "Triggers/UpdateTrigger", Write;
    /// Deletes a trigger.
    DELETE_TRIGGER = "Triggers/DeleteTrigger", Write;
    /// Puts a trigger elsewhere.
    REWIND_TRIGGER = "Triggers/RewindTrigger", Write;
    /// Records that were given up.
    LIST_FAILURES = "Triggers/ListFailures", Read;
    /// Delivers such records again.
    REDRIVE_TRIGGER = "Triggers/RedriveTrigger", Write;
    /// What a node knows of the cluster.
    GET_CLUSTER_STATUS = "Cluster/GetClusterStatus", Read;
}

impl Method {
    /// As in a URI.
    pub(super) fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::wire::DESCRIPTORS;

    #[test]
    fn paths_are_in_the_descriptors_and_complete() {
        let text = String::from_utf8_lossy(DESCRIPTORS);
        for method in Method::ALL {
            let name = method.path.rsplit('/').next().expect("a path has a last part");
            assert!(text.contains(name), "{} is not a method of the API", method.path);
            assert_eq!(method.path().as_str(), method.path);
        }
        assert_eq!(Method::ALL.len(), 34, "one for each rpc of proto/watertable/v1");
    }
}
