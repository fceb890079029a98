//! The requests of the DynamoDB protocol, member by member, as AWS's service models have them. What an operation of
//! ours does not know yet (indexes, global tables) is listed as unread, so that it can be refused, not overlooked.

use super::json::{Attributes, Boolean, List, Long, Map, Text, Timestamp, Value};
use super::shape::{Shaped, Unread, structure};
use super::shapes::{
    AttributeAction, AttributeNameList, BatchGetRequestMap, BatchWriteItemRequestMap, BillingMode,
    ComparisonOperator, ConditionalOperator, IndexName, KeyList, KeySchema, KeySchemaAttributeName, KeyType,
    ListTablesInputLimit, PositiveIntegerObject, PositiveLongObject, ResourceArnString,
    ReturnConsumedCapacity, ReturnItemCollectionMetrics, ReturnValue, ReturnValuesOnConditionCheckFailure,
    ScalarAttributeType, ScanSegment, ScanTotalSegments, Select, SequenceNumber, ShardFilterType, ShardId,
    ShardIterator, ShardIteratorType, StreamArn, StreamViewType, TableArn, TableClass, TableName,
    TagKeyString, TagValueString,
};

// ---- tables

structure! { CreateTable {
    table_name: "TableName" required Shaped<TableArn>,
    attribute_definitions: "AttributeDefinitions" optional List<AttributeDefinition>,
    key_schema: "KeySchema" optional Shaped<KeySchema>,
    local_indexes: "LocalSecondaryIndexes" optional List<Unread>,
    global_indexes: "GlobalSecondaryIndexes" optional List<Unread>,
    billing_mode: "BillingMode" optional Shaped<BillingMode>,
    throughput: "ProvisionedThroughput" optional ProvisionedThroughput,
    stream: "StreamSpecification" optional StreamSpecification,
    encryption: "SSESpecification" optional SSESpecification,
    tags: "Tags" optional List<Tag>,
    class: "TableClass" optional Shaped<TableClass>,
    deletion_protected: "DeletionProtectionEnabled" optional Boolean,
    warm_throughput: "WarmThroughput" optional WarmThroughput,
    resource_policy: "ResourcePolicy" optional Text,
    on_demand_throughput: "OnDemandThroughput" optional OnDemandThroughput,
    global_table_source: "GlobalTableSourceArn" optional Unread,
    global_table_mode: "GlobalTableSettingsReplicationMode" optional Unread,
    vector_indexes: "VectorIndexes" optional List<Unread>,
}}

structure! { AttributeDefinition {
    name: "AttributeName" required Shaped<KeySchemaAttributeName>,
    kind: "AttributeType" required Shaped<ScalarAttributeType>,
}}

structure! { KeySchemaElement {
    name: "AttributeName" required Shaped<KeySchemaAttributeName>,
    kind: "KeyType" required Shaped<KeyType>,
}}

structure! { ProvisionedThroughput {
    read: "ReadCapacityUnits" required Shaped<PositiveLongObject>,
    write: "WriteCapacityUnits" required Shaped<PositiveLongObject>,
}}

structure! { OnDemandThroughput {
    read: "MaxReadRequestUnits" optional Long,
    write: "MaxWriteRequestUnits" optional Long,
}}

structure! { WarmThroughput {
    read: "ReadUnitsPerSecond" optional Long,
    write: "WriteUnitsPerSecond" optional Long,
}}

structure! { StreamSpecification {
    enabled: "StreamEnabled" required Boolean,
    view_type: "StreamViewType" optional Shaped<StreamViewType>,
}}

structure! { SSESpecification {
    enabled: "Enabled" optional Boolean,
    kind: "SSEType" optional Text,
    key: "KMSMasterKeyId" optional Text,
}}

structure! { Tag {
    key: "Key" required Shaped<TagKeyString>,
    value: "Value" required Shaped<TagValueString>,
}}

structure! { UpdateTable {
    table_name: "TableName" required Shaped<TableArn>,
    attribute_definitions: "AttributeDefinitions" optional List<AttributeDefinition>,
    billing_mode: "BillingMode" optional Shaped<BillingMode>,
    throughput: "ProvisionedThroughput" optional ProvisionedThroughput,
    global_indexes: "GlobalSecondaryIndexUpdates" optional List<Unread>,
    stream: "StreamSpecification" optional StreamSpecification,
    encryption: "SSESpecification" optional SSESpecification,
    replicas: "ReplicaUpdates" optional List<Unread>,
    class: "TableClass" optional Shaped<TableClass>,
    deletion_protected: "DeletionProtectionEnabled" optional Boolean,
    consistency: "MultiRegionConsistency" optional Unread,
    witnesses: "GlobalTableWitnessUpdates" optional List<Unread>,
    on_demand_throughput: "OnDemandThroughput" optional OnDemandThroughput,
    warm_throughput: "WarmThroughput" optional WarmThroughput,
    global_table_mode: "GlobalTableSettingsReplicationMode" optional Unread,
    disassociation: "DisassociationProtectionEnabled" optional Unread,
    vector_indexes: "VectorIndexUpdates" optional List<Unread>,
}}

structure! {
    /// What `DeleteTable`, `DescribeTable` and other descriptions ask for.
    OfTable {
    table_name: "TableName" required Shaped<TableArn>,
}}

structure! { ListTables {
    start: "ExclusiveStartTableName" optional Shaped<TableName>,
    limit: "Limit" optional Shaped<ListTablesInputLimit>,
}}

structure! { TagResource {
    resource: "ResourceArn" required Shaped<ResourceArnString>,
    tags: "Tags" required List<Tag>,
}}

structure! { UntagResource {
    resource: "ResourceArn" required Shaped<ResourceArnString>,
    keys: "TagKeys" required List<Shaped<TagKeyString>>,
}}

structure! { ListTagsOfResource {
    resource: "ResourceArn" required Shaped<ResourceArnString>,
    next: "NextToken" optional Text,
}}

structure! {
    /// What `DescribeLimits` and `DescribeEndpoints` ask for.
    Nothing {}
}

// ---- items

structure! { PutItem {
    table_name: "TableName" required Shaped<TableArn>,
    item: "Item" required Attributes,
    expected: "Expected" optional Map<ExpectedAttributeValue>,
    returns: "ReturnValues" optional Shaped<ReturnValue>,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    metrics: "ReturnItemCollectionMetrics" optional Shaped<ReturnItemCollectionMetrics>,
    operator: "ConditionalOperator" optional Shaped<ConditionalOperator>,
    condition: "ConditionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
    values: "ExpressionAttributeValues" optional Map<Value>,
    shows_rejected: "ReturnValuesOnConditionCheckFailure" optional Shaped<ReturnValuesOnConditionCheckFailure>,
}}

structure! { DeleteItem {
    table_name: "TableName" required Shaped<TableArn>,
    key: "Key" required Attributes,
    expected: "Expected" optional Map<ExpectedAttributeValue>,
    operator: "ConditionalOperator" optional Shaped<ConditionalOperator>,
    returns: "ReturnValues" optional Shaped<ReturnValue>,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    metrics: "ReturnItemCollectionMetrics" optional Shaped<ReturnItemCollectionMetrics>,
    condition: "ConditionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
    values: "ExpressionAttributeValues" optional Map<Value>,
    shows_rejected: "ReturnValuesOnConditionCheckFailure" optional Shaped<ReturnValuesOnConditionCheckFailure>,
}}

structure! { UpdateItem {
    table_name: "TableName" required Shaped<TableArn>,
    key: "Key" required Attributes,
    updates: "AttributeUpdates" optional Map<AttributeValueUpdate>,
    expected: "Expected" optional Map<ExpectedAttributeValue>,
    operator: "ConditionalOperator" optional Shaped<ConditionalOperator>,
    returns: "ReturnValues" optional Shaped<ReturnValue>,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    metrics: "ReturnItemCollectionMetrics" optional Shaped<ReturnItemCollectionMetrics>,
    update: "UpdateExpression" optional Text,
    condition: "ConditionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
    values: "ExpressionAttributeValues" optional Map<Value>,
    shows_rejected: "ReturnValuesOnConditionCheckFailure" optional Shaped<ReturnValuesOnConditionCheckFailure>,
}}

structure! { ExpectedAttributeValue {
    value: "Value" optional Value,
    exists: "Exists" optional Boolean,
    operator: "ComparisonOperator" optional Shaped<ComparisonOperator>,
    list: "AttributeValueList" optional List<Value>,
}}

structure! { AttributeValueUpdate {
    value: "Value" optional Value,
    action: "Action" optional Shaped<AttributeAction>,
}}

structure! { Condition {
    list: "AttributeValueList" optional List<Value>,
    operator: "ComparisonOperator" required Shaped<ComparisonOperator>,
}}

structure! { GetItem {
    table_name: "TableName" required Shaped<TableArn>,
    key: "Key" required Attributes,
    attributes: "AttributesToGet" optional Shaped<AttributeNameList>,
    consistent: "ConsistentRead" optional Boolean,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    projection: "ProjectionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
}}

structure! { BatchGetItem {
    items: "RequestItems" required Shaped<BatchGetRequestMap>,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
}}

structure! { KeysAndAttributes {
    keys: "Keys" required Shaped<KeyList>,
    attributes: "AttributesToGet" optional Shaped<AttributeNameList>,
    consistent: "ConsistentRead" optional Boolean,
    projection: "ProjectionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
}}

structure! { BatchWriteItem {
    items: "RequestItems" required Shaped<BatchWriteItemRequestMap>,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    metrics: "ReturnItemCollectionMetrics" optional Shaped<ReturnItemCollectionMetrics>,
}}

structure! { WriteRequest {
    put: "PutRequest" optional PutRequest,
    delete: "DeleteRequest" optional DeleteRequest,
}}

structure! { PutRequest {
    item: "Item" required Attributes,
}}

structure! { DeleteRequest {
    key: "Key" required Attributes,
}}

structure! { Query {
    table_name: "TableName" required Shaped<TableArn>,
    index: "IndexName" optional Shaped<IndexName>,
    select: "Select" optional Shaped<Select>,
    attributes: "AttributesToGet" optional Shaped<AttributeNameList>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
    consistent: "ConsistentRead" optional Boolean,
    key_conditions: "KeyConditions" optional Map<Condition>,
    query_filter: "QueryFilter" optional Map<Condition>,
    operator: "ConditionalOperator" optional Shaped<ConditionalOperator>,
    forward: "ScanIndexForward" optional Boolean,
    start: "ExclusiveStartKey" optional Attributes,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    projection: "ProjectionExpression" optional Text,
    filter: "FilterExpression" optional Text,
    key_condition: "KeyConditionExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
    values: "ExpressionAttributeValues" optional Map<Value>,
}}

structure! { Scan {
    table_name: "TableName" required Shaped<TableArn>,
    index: "IndexName" optional Shaped<IndexName>,
    attributes: "AttributesToGet" optional Shaped<AttributeNameList>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
    select: "Select" optional Shaped<Select>,
    scan_filter: "ScanFilter" optional Map<Condition>,
    operator: "ConditionalOperator" optional Shaped<ConditionalOperator>,
    start: "ExclusiveStartKey" optional Attributes,
    counting: "ReturnConsumedCapacity" optional Shaped<ReturnConsumedCapacity>,
    segments: "TotalSegments" optional Shaped<ScanTotalSegments>,
    segment: "Segment" optional Shaped<ScanSegment>,
    projection: "ProjectionExpression" optional Text,
    filter: "FilterExpression" optional Text,
    names: "ExpressionAttributeNames" optional Map<Text>,
    values: "ExpressionAttributeValues" optional Map<Value>,
    consistent: "ConsistentRead" optional Boolean,
}}

// ---- streams

structure! { ListStreams {
    table_name: "TableName" optional Shaped<TableName>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
    start: "ExclusiveStartStreamArn" optional Shaped<StreamArn>,
}}

structure! { DescribeStream {
    stream: "StreamArn" required Shaped<StreamArn>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
    start: "ExclusiveStartShardId" optional Shaped<ShardId>,
    filter: "ShardFilter" optional ShardFilter,
}}

structure! { ShardFilter {
    kind: "Type" optional Shaped<ShardFilterType>,
    shard: "ShardId" optional Shaped<ShardId>,
}}

structure! { GetShardIterator {
    stream: "StreamArn" required Shaped<StreamArn>,
    shard: "ShardId" required Shaped<ShardId>,
    kind: "ShardIteratorType" required Shaped<ShardIteratorType>,
    sequence_number: "SequenceNumber" optional Shaped<SequenceNumber>,
    timestamp: "Timestamp" optional Timestamp,
}}

structure! { GetRecords {
    iterator: "ShardIterator" required Shaped<ShardIterator>,
    limit: "Limit" optional Shaped<PositiveIntegerObject>,
}}
