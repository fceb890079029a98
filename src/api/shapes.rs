//! The constrained shapes of the operations there are, as AWS's service models have them (`dynamodb`, `2012-08-10`, and
//! `streams.dynamodb`). Words of an enumeration stand in the order in which the service's messages list them.

use super::json::{Attributes, Integer, List, Long, Map, Text};
use super::requests::{KeySchemaElement, KeysAndAttributes, WriteRequest};
use super::shape::{Shaped, shapes};

const NO_MAX: usize = usize::MAX;
const INTEGER_MAX: i64 = i32::MAX as i64;

shapes! {
    // tables
    TableName:               Text, Name(3, 255);
    TableArn:                Text, Length(1, 1024);
    BillingMode:             Text, OneOf(&["PROVISIONED", "PAY_PER_REQUEST"]);
    KeySchema:               List<KeySchemaElement>, Length(1, NO_MAX);
    KeySchemaAttributeName:  Text, Length(1, 255);
    KeyType:                 Text, OneOf(&["HASH", "RANGE"]);
    ListTablesInputLimit:    Integer, Range(1, 100);
    PositiveLongObject:      Long, Range(1, i64::MAX);
    ScalarAttributeType:     Text, OneOf(&["B", "N", "S"]);
    StreamViewType:          Text, OneOf(&["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"]);
    TableClass:              Text, OneOf(&["STANDARD", "STANDARD_INFREQUENT_ACCESS"]);

    // tags
    ResourceArnString:       Text, Length(1, 1283);
    TagKeyString:            Text, Length(1, 128);
    TagValueString:          Text, Length(0, 256);

    // items
    AttributeNameList:       List<Text>, Length(1, NO_MAX);
    BatchGetRequestMap:      Map<KeysAndAttributes>, Length(1, 100);
    BatchWriteItemRequestMap: Map<Shaped<WriteRequests>>, Length(1, 25);
    ComparisonOperator:      Text, OneOf(&["IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE",
                                           "LE", "BEGINS_WITH", "GE", "CONTAINS"]);
    ConditionalOperator:     Text, OneOf(&["OR", "AND"]);
    AttributeAction:         Text, OneOf(&["ADD", "DELETE", "PUT"]);
    IndexName:               Text, Name(3, 255);
    KeyList:                 List<Attributes>, Length(1, 100);
    PositiveIntegerObject:   Integer, Range(1, INTEGER_MAX);
    ReturnConsumedCapacity:  Text, OneOf(&["INDEXES", "TOTAL", "NONE"]);
    ReturnItemCollectionMetrics: Text, OneOf(&["SIZE", "NONE"]);
    ReturnValue:             Text, OneOf(&["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"]);
    ReturnValuesOnConditionCheckFailure: Text, OneOf(&["ALL_OLD", "NONE"]);
    ScanSegment:             Integer, Range(0, 999_999);
    ScanTotalSegments:       Integer, Range(1, 1_000_000);
    Select:                  Text, OneOf(&["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES",
                                           "ALL_PROJECTED_ATTRIBUTES"]);
    WriteRequests:           List<WriteRequest>, Length(1, 25);

    // streams
    SequenceNumber:          Text, Length(21, 40);
    ShardFilterType:         Text, OneOf(&["CHILD_SHARDS"]);
    ShardId:                 Text, Length(28, 65);
    ShardIterator:           Text, Length(1, 2048);
    ShardIteratorType:       Text, OneOf(&["TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER",
                                           "AT_TIMESTAMP"]);
    StreamArn:               Text, Length(37, 1024);
}
