//! What is refused: the exact code, reason and message of each, and nothing changed by any.

use prost::Message;
use tonic::Code;
use watertable::client::{Client, Kind, Method, NewTable, StreamViewType, WriteOptions};
use watertable::model::KeyType;
use watertable::rpc::wire::v1;

use super::cluster::Cluster;
use super::history::{self, History};
use super::sample::{self, item, n, s, schema, table_name};

/// A field of a protobuf message, with bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// A field with a number.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn join<const N: usize>(parts: [Vec<u8>; N]) -> Vec<u8> {
    parts.concat()
}

/// An attribute with an encoded value.
fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    field(1, &join([field(1, name.as_bytes()), field(2, value)]))
}

fn text(text: &str) -> Vec<u8> {
    field(1, text.as_bytes())
}

fn digits(digits: &str) -> Vec<u8> {
    field(2, digits.as_bytes())
}

/// A list in a list and so on, `levels` deep.
fn nested(levels: usize) -> Vec<u8> {
    (1..levels).fold(text("deep"), |inner, _| field(7, &field(1, &inner)))
}

/// A put into the table `things` of an item with the key (`id` "a", `at` 1) and one more attribute.
fn put(value: &[u8]) -> Vec<u8> {
    put_item(&[attribute("id", &text("a")), attribute("at", &digits("1")), attribute("x", value)])
}

fn put_item(attributes: &[Vec<u8>]) -> Vec<u8> {
    join([field(1, b"things"), field(2, &attributes.concat())])
}

fn get(key: &[Vec<u8>]) -> Vec<u8> {
    join([field(1, b"things"), field(2, &key.concat())])
}

fn good_key() -> Vec<u8> {
    [attribute("id", &text("a")), attribute("at", &digits("1"))].concat()
}

/// The part of an update that is an expression, in which `#p` is a name and `:v` a value.
fn expression(expression: &str, name: &str, value: Option<&[u8]>) -> Vec<u8> {
    let name = join([field(1, b"#p"), field(2, name.as_bytes())]);
    let value = value.map_or_else(Vec::new, |value| field(6, &join([field(1, b":v"), field(2, value)])));
    join([field(3, expression.as_bytes()), field(5, &name), value])
}

fn message(message: impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

type Case = (&'static str, Method, Vec<u8>, &'static str);

const MISMATCH: &str = "The provided key element does not match the schema";

/// Requests that are wrong in themselves: all INVALID_ARGUMENT and ValidationException. A message that ends with `*` is
/// the beginning of one.
fn invalid_values() -> Vec<Case> {
    let p = Method::PUT_ITEM;
    let long = "1".repeat(39);
    let mut largest = vec![attribute("id", &text("a")), attribute("at", &digits("1"))];
    largest.push(attribute("x", &text(&"x".repeat(409_600))));
    vec![
        ("no item", p, field(1, b"things"), "item is missing"),
        (
            "no partition key",
            p,
            put_item(&[attribute("at", &digits("1"))]),
            "One or more parameter values were invalid: Missing the key id in the item",
        ),
        (
            "no sort key",
            p,
            put_item(&[attribute("id", &text("a"))]),
            "One or more parameter values were invalid: Missing the key at in the item",
        ),
        (
            "key of another type",
            p,
            put_item(&[attribute("id", &digits("1")), attribute("at", &digits("1"))]),
            "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
        ),
        (
            "sort key of another type",
            p,
            put_item(&[attribute("id", &text("a")), attribute("at", &text("1"))]),
            "One or more parameter values were invalid: Type mismatch for key at expected: N actual: S",
        ),
        (
            "empty key",
            p,
            put_item(&[attribute("id", &text("")), attribute("at", &digits("1"))]),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
        ),
        (
            "long key",
            p,
            put_item(&[attribute("id", &text(&"k".repeat(2049))), attribute("at", &digits("1"))]),
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ),
        (
            "a value of no type",
            p,
            put(&[]),
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        (
            "null that is false",
            p,
            put(&number(5, 0)),
            "One or more parameter values were invalid: Null attribute value types must have the value of true",
        ),
        (
            "empty attribute name",
            p,
            put_item(&[good_key(), attribute("", &text("x"))]),
            "One or more parameter values were invalid: Empty attribute name",
        ),
        (
            "long attribute name",
            p,
            put_item(&[good_key(), attribute(&"n".repeat(65_536), &text("x"))]),
            "One or more parameter values were invalid: Attribute name is too large, must be less than 65536 bytes",
        ),
        ("no number", p, put(&digits("NaN")), "The parameter cannot be converted to a numeric value: NaN"),
        (
            "number with a space",
            p,
            put(&digits(" 1")),
            "The parameter cannot be converted to a numeric value:  1",
        ),
        ("empty number", p, put(&digits("")), "The parameter cannot be converted to a numeric value"),
        (
            "39 digits",
            p,
            put(&digits(&long)),
            "Attempting to store more than 38 significant digits in a Number",
        ),
        (
            "large number",
            p,
            put(&digits("1e126")),
            "Number overflow. Attempting to store a number with magnitude larger than supported range",
        ),
        (
            "small number",
            p,
            put(&digits("1e-131")),
            "Number underflow. Attempting to store a number with magnitude smaller than supported range",
        ),
        (
            "empty set of strings",
            p,
            put(&field(8, &[])),
            "One or more parameter values were invalid: An string set  may not be empty",
        ),
        (
            "empty set of numbers",
            p,
            put(&field(9, &[])),
            "One or more parameter values were invalid: An number set  may not be empty",
        ),
        (
            "empty set of binaries",
            p,
            put(&field(10, &[])),
            "One or more parameter values were invalid: Binary sets should not be empty",
        ),
        (
            "a string twice",
            p,
            put(&field(8, &join([field(1, b"a"), field(1, b"a")]))),
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates.",
        ),
        (
            "a number twice",
            p,
            put(&field(9, &join([field(1, b"1"), field(1, b"1.0")]))),
            "Input collection contains duplicates",
        ),
        (
            "33 levels",
            p,
            put(&nested(33)),
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
        ),
        ("large item", p, put_item(&largest), "Item size has exceeded the maximum allowed size"),
        ("unknown return values", p, join([put(&text("x")), number(6, 9)]), "return_values has no value 9"),
        (
            "ALL_NEW of a put",
            p,
            join([put(&text("x")), number(6, 2)]),
            "ReturnValues can only be ALL_OLD or NONE",
        ),
    ]
}

fn invalid_keys() -> Vec<Case> {
    let update = |parts: Vec<u8>| join([field(1, b"things"), field(2, &good_key()), parts]);
    let (g, u, d) = (Method::GET_ITEM, Method::UPDATE_ITEM, Method::DELETE_ITEM);
    vec![
        ("no key", g, field(1, b"things"), "key is missing"),
        ("half a key", g, get(&[attribute("id", &text("a"))]), MISMATCH),
        ("more than a key", g, get(&[good_key(), attribute("x", &text("a"))]), MISMATCH),
        (
            "a key of other names",
            g,
            get(&[attribute("id", &text("a")), attribute("x", &digits("1"))]),
            MISMATCH,
        ),
        (
            "a key of other types",
            g,
            get(&[attribute("id", &text("a")), attribute("at", &text("1"))]),
            MISMATCH,
        ),
        ("a deletion by half a key", d, get(&[attribute("id", &text("a"))]), MISMATCH),
        (
            "ALL_NEW of a deletion",
            d,
            join([get(&[good_key()]), number(6, 2)]),
            "ReturnValues can only be ALL_OLD or NONE",
        ),
        (
            "an update of the key",
            u,
            update(expression("SET #p = :v", "at", Some(&digits("2")))),
            "One or more parameter values were invalid: Cannot update attribute at. This attribute is part of the key",
        ),
        (
            "a removal of the key",
            u,
            update(expression("REMOVE #p", "id", None)),
            "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
        ),
        (
            "set and removed",
            u,
            update(expression("SET #p = :v REMOVE x", "x", Some(&text("1")))),
            "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [x], path two: [x]",
        ),
        (
            "removal of no name",
            u,
            update(expression("REMOVE #p", "", None)),
            "ExpressionAttributeNames contains invalid value: One or more parameter values were invalid: Empty attribute name for key #p",
        ),
        (
            "an update too large",
            u,
            update(expression("SET #p = :v", "x", Some(&text(&"x".repeat(409_601))))),
            "Item size to update has exceeded the maximum allowed size",
        ),
        // The item is there, with 300 KiB: together they are too large.
        (
            "an update that makes the item too large",
            u,
            update(expression("SET #p = :v", "y", Some(&text(&"y".repeat(200_000))))),
            "Item size to update has exceeded the maximum allowed size",
        ),
        (
            "unknown return values of an update",
            u,
            join([update(vec![]), number(7, 5)]),
            "return_values has no value 5",
        ),
        (
            "scan from half a key",
            Method::SCAN,
            join([field(1, b"things"), field(7, &attribute("id", &text("a")))]),
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            "scan of a name that is none",
            Method::SCAN,
            field(1, b"a"),
            "TableName must be at least 3 characters long and at most 255 characters long",
        ),
        (
            "characters",
            Method::DESCRIBE_TABLE,
            field(1, b"a b c"),
            "1 validation error detected: Value 'a b c' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        ),
    ]
}

fn invalid_batches() -> Vec<Case> {
    let one = |id: &str| {
        let whole = [attribute("id", &text(id)), attribute("at", &digits("1"))].concat();
        field(1, &join([field(1, b"things"), field(2, &whole)]))
    };
    let delete = |at: &str| {
        let key = [attribute("id", &text("a")), attribute("at", &digits(at))].concat();
        field(1, &join([field(1, b"things"), field(3, &key)]))
    };
    let many = |count: usize| (0..count).flat_map(|at| one(&format!("b{at}"))).collect::<Vec<u8>>();
    let keys = |ids: &[String]| {
        let keys = ids
            .iter()
            .map(|id| field(2, &[attribute("id", &text(id)), attribute("at", &digits("1"))].concat()));
        field(1, &[field(1, b"things"), keys.flatten().collect()].concat())
    };
    let named = |count: usize| (0..count).map(|at| format!("b{at}")).collect::<Vec<_>>();
    let (w, g) = (Method::BATCH_WRITE_ITEM, Method::BATCH_GET_ITEM);
    let twice = "Provided list of item keys contains duplicates";
    vec![
        ("no writes", w, vec![], "The batch write request list for a table cannot be null or empty"),
        ("26 writes", w, many(26), "Too many items requested for the BatchWriteItem call"),
        ("an item twice", w, join([one("b1"), one("b2"), one("b1")]), twice),
        ("put and deleted", w, join([one("a"), delete("1.0")]), twice),
        (
            "neither put nor deletion",
            w,
            join([one("b1"), field(1, &field(1, b"things"))]),
            "a request of a batch is neither a put nor a delete",
        ),
        (
            "one bad among good",
            w,
            join([one("b1"), one("b2"), one("")]),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
        ),
        ("no keys", g, vec![], "The batch get request list for a table cannot be null or empty"),
        ("101 keys", g, keys(&named(101)), "Too many items requested for the BatchGetItem call"),
        ("a key twice", g, keys(&["a".to_owned(), "a".to_owned()]), twice),
        ("a table twice", g, join([keys(&named(1)), keys(&["a".to_owned()])]), twice),
    ]
}

fn invalid_tables() -> Vec<Case> {
    let key = |name: &str, kind: u8| join([field(1, name.as_bytes()), number(2, kind)]);
    let new = |name: &str, keys: &[Vec<u8>]| join([field(1, name.as_bytes()), field(2, &keys.concat())]);
    let id = || field(1, &key("id", 1));
    let with = |more: Vec<u8>| join([new("fresh", &[id()]), more]);
    let c = Method::CREATE_TABLE;
    vec![
        (
            "a name of two letters",
            c,
            new("ab", &[id()]),
            "TableName must be at least 3 characters long and at most 255 characters long",
        ),
        (
            "a name of 256 letters",
            c,
            new(&"a".repeat(256), &[id()]),
            "TableName must be at least 3 characters long and at most 255 characters long",
        ),
        ("no key schema", c, field(1, b"fresh"), "key_schema needs a partition_key"),
        ("no partition key", c, new("fresh", &[field(2, &key("at", 2))]), "key_schema needs a partition_key"),
        (
            "a key without type",
            c,
            new("fresh", &[field(1, &key("id", 0))]),
            "the type of key attribute id must be S, N or B",
        ),
        (
            "a key of unknown type",
            c,
            new("fresh", &[field(1, &key("id", 9))]),
            "the type of key attribute id must be S, N or B",
        ),
        (
            "a key without name",
            c,
            new("fresh", &[field(1, &key("", 1))]),
            "One or more parameter values were invalid: Empty attribute name",
        ),
        (
            "a key with a long name",
            c,
            new("fresh", &[field(1, &key(&"n".repeat(256), 1))]),
            "One or more parameter values were invalid: the name of a key attribute is longer than 255 bytes",
        ),
        (
            "two keys of one name",
            c,
            new("fresh", &[id(), field(2, &key("id", 2))]),
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ),
        (
            "257 partitions",
            c,
            with(vec![4 << 3, 0x81, 0x02]),
            "partitions must be between 1 and 256, not 257",
        ),
        (
            "retention too short",
            c,
            with(vec![5 << 3, 0xe7, 0x07]),
            "retention_ms must be between 1000 and 86400000, not 999",
        ),
        (
            "retention too long",
            c,
            with(vec![5 << 3, 0x81, 0xb8, 0x99, 0x29]),
            "retention_ms must be between 1000 and 86400000, not 86400001",
        ),
        (
            "a stream without view type",
            c,
            with(field(3, &number(1, 1))),
            "a stream that is turned on needs a view_type",
        ),
        (
            "a stream of unknown view type",
            c,
            with(field(3, &join([number(1, 1), number(2, 9)]))),
            "view_type has no value 9",
        ),
        (
            "no stream, but a view type",
            c,
            with(field(3, &number(2, 1))),
            "view_type must not be given where a stream is turned off",
        ),
        (
            "an update of nothing",
            Method::UPDATE_TABLE,
            field(1, b"things"),
            "an update needs a stream specification",
        ),
        (
            "turning on what is on",
            Method::UPDATE_TABLE,
            join([field(1, b"things"), field(2, &join([number(1, 1), number(2, 4)]))]),
            "Table already has an enabled stream: TableName: things",
        ),
        (
            "turning off what is off",
            Method::UPDATE_TABLE,
            join([field(1, b"plain"), field(2, &number(1, 0))]),
            "Table has no stream to disable: TableName: plain",
        ),
        ("101 names", Method::LIST_TABLES, number(2, 101), "limit must be between 1 and 100, not 101"),
    ]
}

fn invalid_streams(arn: &str, shard: &str, sealed: &str) -> Vec<Case> {
    use v1::ShardIteratorType as Type;
    let (i, r) = (Method::GET_SHARD_ITERATOR, Method::GET_RECORDS);
    let iterator = |kind: i32, sequence_number: Option<&str>, timestamp_ms| {
        message(v1::GetShardIteratorRequest {
            stream_arn: arn.to_owned(),
            shard_id: shard.to_owned(),
            r#type: kind,
            sequence_number: sequence_number.map(str::to_owned),
            timestamp_ms,
        })
    };
    let short = v1::GetShardIteratorRequest {
        stream_arn: arn.to_owned(),
        shard_id: "shardId-1".to_owned(),
        r#type: 1,
        ..Default::default()
    };
    let records =
        |token: &str, limit| message(v1::GetRecordsRequest { shard_iterator: token.to_owned(), limit });
    let (rest, last) = sealed.split_at(sealed.len() - 1);
    let forged = format!("{rest}{}", if last == "A" { "B" } else { "A" });
    let beyond = "9".repeat(39);
    vec![
        ("no ARN", Method::DESCRIBE_STREAM, vec![], "Invalid StreamArn: "),
        ("a bad ARN", Method::DESCRIBE_STREAM, field(1, b"arn:aws:x"), "Invalid StreamArn: arn:aws:x"),
        ("a bad ARN to start at", Method::LIST_STREAMS, field(3, b"x"), "Invalid StreamArn: x"),
        ("101 streams", Method::LIST_STREAMS, number(2, 101), "limit must be between 1 and 100, not 101"),
        (
            "101 shards",
            Method::DESCRIBE_STREAM,
            join([field(1, arn.as_bytes()), number(2, 101)]),
            "limit must be between 1 and 100, not 101",
        ),
        ("no type", i, iterator(0, None, None), "type must be*"),
        ("an unknown type", i, iterator(9, None, None), "type must be*"),
        ("TRIM_HORIZON at a number", i, iterator(Type::TrimHorizon.into(), Some("1"), None), "type must be*"),
        ("LATEST at a time", i, iterator(Type::Latest.into(), None, Some(1)), "type must be*"),
        ("AT_ without number", i, iterator(Type::AtSequenceNumber.into(), None, None), "type must be*"),
        (
            "AFTER_ without number",
            i,
            iterator(Type::AfterSequenceNumber.into(), None, Some(1)),
            "type must be*",
        ),
        ("AT_TIMESTAMP without time", i, iterator(Type::AtTimestamp.into(), None, None), "type must be*"),
        (
            "letters",
            i,
            iterator(Type::AtSequenceNumber.into(), Some("abc"), None),
            "Invalid SequenceNumber: abc",
        ),
        (
            "another generation",
            i,
            iterator(Type::AtSequenceNumber.into(), Some(&beyond), None),
            "Invalid SequenceNumber: *",
        ),
        (
            "the future",
            i,
            iterator(Type::AtTimestamp.into(), None, Some(u64::MAX / 2)),
            "Timestamp must not be in the future",
        ),
        (
            "a short shard id",
            i,
            message(short),
            "Invalid ShardId: shardId-1: it must have 28 to 65 characters",
        ),
        ("no iterator", r, records("", 0), "Invalid ShardIterator"),
        ("a bogus iterator", r, records(&format!("{arn}|1|AAAA"), 0), "Invalid ShardIterator"),
        ("a forged iterator", r, records(&forged, 0), "Invalid ShardIterator"),
        (
            "1001 records",
            r,
            join([records(sealed, 0), vec![2 << 3, 0xe9, 0x07]]),
            "limit must be between 1 and 1000, not 1001",
        ),
    ]
}

async fn refused(client: &Client, (what, method, body, text): Case, code: Code, reason: &str, kind: Kind) {
    let result = client.send_prepared_anywhere(method, body.into()).await;
    let error = result.err().unwrap_or_else(|| panic!("{what}: it was done"));
    let found = (error.code(), error.reason(), error.kind());
    assert_eq!(found, (code, reason, kind), "{what}: {error}");
    match text.strip_suffix('*') {
        Some(beginning) => assert!(error.message().starts_with(beginning), "{what}: {}", error.message()),
        None => assert_eq!(error.message(), text, "{what}"),
    }
}

#[tokio::test]
async fn bad_input_is_refused_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let key = schema(("id", KeyType::S), Some(("at", KeyType::N)));
    let stream = Some(StreamViewType::NewAndOldImages);
    let things = NewTable { key, partitions: 2, ..sample::table("things", stream) };
    let whole = item([("id", s("a")), ("at", n(1)), ("x", s("x".repeat(300 << 10)))]);
    client.create_table(&things).await.expect("a table is created");
    client.create_table(&sample::table("plain", None)).await.expect("a table is created");
    cluster.everywhere(&things.name).await;
    let arn = cluster.everywhere(&things.name).await.latest_stream_arn.expect("a stream");
    cluster.everywhere(&table_name("plain")).await;
    client.put_item(&things.name, &whole, WriteOptions::default()).await.expect("it is put");
    let before = history::scan(&client, &things.name, &things.key).await;
    let described = client.describe_stream(&arn).await.expect("a stream");
    let shard = &described.shards[0].id;
    let sealed = client.shard_iterator(&arn, shard, &watertable::client::Start::TrimHorizon).await;
    let sealed = sealed.expect("an iterator");

    let invalid = [invalid_values(), invalid_keys(), invalid_batches(), invalid_tables()];
    let invalid = invalid.into_iter().flatten().chain(invalid_streams(&arn, shard, &sealed));
    for case in invalid {
        refused(&client, case, Code::InvalidArgument, "ValidationException", Kind::Invalid).await;
    }
    let missing = "Requested resource not found";
    let of_table = "Requested resource not found: Table: nowhere not found";
    let other = arn.replace("things", "nowhere");
    let unknown_shard = message(v1::GetShardIteratorRequest {
        stream_arn: arn.clone(),
        shard_id: format!("{}ffffffff", &shard[..shard.len() - 8]),
        r#type: 1,
        ..Default::default()
    });
    let nowhere = || field(1, b"nowhere");
    for case in [
        ("a put nowhere", Method::PUT_ITEM, join([nowhere(), field(2, &good_key())]), missing),
        ("a read nowhere", Method::GET_ITEM, join([nowhere(), field(2, &good_key())]), missing),
        ("an update nowhere", Method::UPDATE_ITEM, join([nowhere(), field(2, &good_key())]), missing),
        ("a deletion nowhere", Method::DELETE_ITEM, join([nowhere(), field(2, &good_key())]), missing),
        ("a scan nowhere", Method::SCAN, nowhere(), missing),
        (
            "a batch nowhere",
            Method::BATCH_WRITE_ITEM,
            field(1, &join([nowhere(), field(3, &good_key())])),
            missing,
        ),
        (
            "reads nowhere",
            Method::BATCH_GET_ITEM,
            field(1, &join([nowhere(), field(2, &good_key())])),
            missing,
        ),
        ("no such table", Method::DESCRIBE_TABLE, nowhere(), of_table),
        ("none to delete", Method::DELETE_TABLE, nowhere(), of_table),
        ("none to change", Method::UPDATE_TABLE, join([nowhere(), field(2, &number(1, 0))]), of_table),
        (
            "no such stream",
            Method::DESCRIBE_STREAM,
            field(1, other.as_bytes()),
            "Requested resource not found: Stream: *",
        ),
        (
            "no such shard",
            Method::GET_SHARD_ITERATOR,
            unknown_shard,
            "Requested resource not found: Shard does not exist",
        ),
    ] {
        refused(&client, case, Code::NotFound, "ResourceNotFoundException", Kind::Rejected).await;
    }
    let again =
        field(1, b"things").into_iter().chain(field(2, &field(1, &join([field(1, b"id"), number(2, 1)]))));
    let exists =
        ("a table of that name", Method::CREATE_TABLE, again.collect(), "Table already exists: things");
    refused(&client, exists, Code::AlreadyExists, "ResourceInUseException", Kind::Rejected).await;

    // Larger than any request may be. What is refused by its length has no reason of DynamoDB's.
    let huge = put(&field(3, &vec![0; 17 << 20]));
    let error = client.send_prepared_anywhere(Method::PUT_ITEM, huge.into()).await.expect_err("too large");
    assert!(
        [Code::OutOfRange, Code::ResourceExhausted, Code::InvalidArgument].contains(&error.code()),
        "{error:?}"
    );
    assert_ne!(error.kind(), Kind::Unavailable, "it will never succeed: {error:?}");

    assert_eq!(history::scan(&client, &things.name, &things.key).await, before);
    let enough = |records: &[(String, _)]| !records.is_empty();
    assert_eq!(History::read_until(&client, &arn, enough).await.records.len(), 1);
    assert_eq!(client.list_tables().await.expect("names").len(), 2);
}
