//! Tables as nouns, and how they look on the wire.

use super::error::Error;
use super::{StreamViewType, TableStatus};
use crate::model::id::{GroupId, NodeId};
use crate::model::{AttributeName, HashRange, KeyAttribute, KeySchema, KeyType, TableName};
use crate::rpc::wire::v1;

/// A table to be created.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Its name.
    pub name: TableName,
    /// Its key.
    pub key: KeySchema,
    /// Its stream, if it starts with one.
    pub stream: Option<StreamViewType>,
    /// How many partitions; 0: the cluster's default.
    pub partitions: u32,
    /// How long stream records are kept, in milliseconds; 0: 24 hours.
    pub retention_ms: u64,
}

/// Everything about a table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Unique for ever.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// What it is doing.
    pub status: TableStatus,
    /// Its key.
    pub key: KeySchema,
    /// When it was created, milliseconds since 1970.
    pub created_ms: u64,
    /// What its stream shows, if it has one now.
    pub stream: Option<StreamViewType>,
    /// The ARN of the newest stream, also after that was turned off.
    pub latest_stream_arn: Option<String>,
    /// The label of the newest stream.
    pub latest_stream_label: Option<String>,
    /// Its partitions, by hash.
    pub partitions: Vec<Partition>,
    /// How long stream records are kept, in milliseconds.
    pub retention_ms: u64,
}

/// One partition of a table.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its Raft group.
    pub group: GroupId,
    /// Its hashes.
    pub range: HashRange,
    /// The nodes with a replica.
    pub replicas: Vec<NodeId>,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Where the leader is reached, "host:port".
    pub leader_address: Option<String>,
}

impl Table {
    pub(super) fn from_wire(table: v1::TableDescription) -> Result<Self, Error> {
        let status = table.status();
        let stream = table.stream.as_ref().filter(|stream| stream.enabled).map(|stream| stream.view_type());
        let key = table.key_schema.ok_or_else(|| Error::malformed("a table without key schema"))?;
        Ok(Self {
            name: TableName::parse(&table.table_name).map_err(Error::malformed)?,
            id: table.table_id,
            arn: table.table_arn,
            status,
            key: key_from_wire(key)?,
            created_ms: table.created_ms,
            stream,
            latest_stream_arn: table.latest_stream_arn,
            latest_stream_label: table.latest_stream_label,
            partitions: table.partitions.into_iter().map(Partition::from_wire).collect(),
            retention_ms: table.retention_ms,
        })
    }
}

impl Partition {
    fn from_wire(partition: v1::Partition) -> Self {
        Self {
            group: GroupId(partition.group_id),
            range: HashRange { first: partition.first_hash, last: partition.last_hash },
            replicas: partition.replicas.into_iter().map(NodeId).collect(),
            leader: (partition.leader != 0).then_some(NodeId(partition.leader)),
            leader_address: Some(partition.leader_address).filter(|address| !address.is_empty()),
        }
    }
}

pub(super) fn key_from_wire(key: v1::KeySchema) -> Result<KeySchema, Error> {
    let partition =
        key.partition_key.ok_or_else(|| Error::malformed("a key schema without partition key"))?;
    Ok(KeySchema {
        partition: attribute_from_wire(partition)?,
        sort: key.sort_key.map(attribute_from_wire).transpose()?,
    })
}

fn attribute_from_wire(attribute: v1::KeyAttribute) -> Result<KeyAttribute, Error> {
    let kind = match attribute.r#type() {
        v1::ScalarType::S => KeyType::S,
        v1::ScalarType::N => KeyType::N,
        v1::ScalarType::B => KeyType::B,
        v1::ScalarType::Unspecified => return Err(Error::malformed("a key attribute without type")),
    };
    Ok(KeyAttribute { name: AttributeName::parse(&attribute.name).map_err(Error::malformed)?, kind })
}

pub(super) fn key_to_wire(key: &KeySchema) -> v1::KeySchema {
    let attribute = |attribute: &KeyAttribute| {
        let kind = match attribute.kind {
            KeyType::S => v1::ScalarType::S,
            KeyType::N => v1::ScalarType::N,
            KeyType::B => v1::ScalarType::B,
        };
        v1::KeyAttribute { name: attribute.name.to_string(), r#type: kind.into() }
    };
    v1::KeySchema {
        partition_key: Some(attribute(&key.partition)),
        sort_key: key.sort.as_ref().map(attribute),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_schemas_survive_the_wire() {
        let attribute =
            |text, kind| KeyAttribute { name: AttributeName::parse(text).expect("a good name"), kind };
        for key in [
            KeySchema { partition: attribute("id", KeyType::S), sort: None },
            KeySchema { partition: attribute("id", KeyType::B), sort: Some(attribute("at", KeyType::N)) },
        ] {
            assert_eq!(key_from_wire(key_to_wire(&key)).expect("what was written"), key);
        }
    }

    #[test]
    fn a_description_without_key_is_no_description() {
        let error = Table::from_wire(v1::TableDescription::default()).expect_err("no key");
        assert_eq!(error.kind(), super::super::Kind::Fatal);
    }
}
