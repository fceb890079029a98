//! The DynamoDB endpoint, spoken to without an SDK: that it is the same cluster as over gRPC. What SDKs make of it, and
//! its rules one by one, are in `tests/clients`.

use serde_json::{Value, json};

use super::cluster::{Cluster, Node, until};
use super::sample::{self, airport, key};
use watertable::client::{StreamViewType, WriteOptions};

#[tokio::test]
async fn both_faces_are_of_one_cluster() {
    let cluster = Cluster::start(3).await;
    let client = cluster.client();
    let [one, two, three] = &cluster.nodes[..] else { panic!("three nodes") };
    let (status, made) = one.dynamodb(
        "CreateTable",
        r#"{"TableName": "faces", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#,
    );
    assert_eq!((status, &made["TableDescription"]["TableStatus"]), (200, &json!("CREATING")), "{made}");
    let table = cluster.everywhere(&sample::table_name("faces")).await;
    assert_eq!(table.latest_stream_arn.as_deref(), made["TableDescription"]["LatestStreamArn"].as_str());
    // Written here, read there.
    let item = json!({"id": {"S": "x"}, "n": {"N": "1.50"}, "set": {"NS": ["2", "1e1"]}});
    let put = json!({"TableName": "faces", "Item": item}).to_string();
    assert_eq!(two.dynamodb("PutItem", &put), (200, json!({})));
    let got = client.get_item(&table.name, &key("x"), true).await.expect("a read").expect("it is there");
    assert_eq!(got.get("n"), Some(&sample::n("1.5")));
    client.put_item(&table.name, &airport(7), WriteOptions::default()).await.expect("a write");
    let id = airport(7).get("id").cloned().expect("a key");
    let watertable::model::AttributeValue::S(id) = id else { panic!("a string") };
    let get = json!({"TableName": "faces", "Key": {"id": {"S": id}}, "ConsistentRead": true}).to_string();
    let (status, got) = three.dynamodb("GetItem", &get);
    assert_eq!((status, &got["Item"]["hub"]), (200, &json!({"BOOL": true})), "{got}");
    // A stream record of the one is what the other wrote.
    let arn = table.latest_stream_arn.expect("a stream");
    let (_, described) = one.dynamodb("DescribeStream", &json!({"StreamArn": arn}).to_string());
    let mut told = Vec::new();
    for shard in described["StreamDescription"]["Shards"].as_array().expect("shards") {
        let ask = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
        let (_, iterator) = two.dynamodb("GetShardIterator", &ask.to_string());
        let (_, page) = three.dynamodb("GetRecords", &iterator.to_string());
        told.extend(page["Records"].as_array().expect("records").iter().map(|record| {
            let (data, name) = (&record["dynamodb"], &record["eventName"]);
            (data["NewImage"]["id"]["S"].clone(), name.clone(), data["StreamViewType"].clone())
        }));
    }
    told.sort_by_key(|(id, ..)| id.to_string());
    let record = |id: &str| (json!(id), json!("INSERT"), json!("NEW_AND_OLD_IMAGES"));
    let mut expected = vec![record("x"), record(&id)];
    expected.sort_by_key(|(id, ..)| id.to_string());
    assert_eq!(told, expected);
    // A missing table is told apart from a bad request, and each is told before anything happens.
    let (status, refused) = one.dynamodb("DeleteTable", r#"{"TableName": "nowhere"}"#);
    let kind = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
    assert_eq!((status, &refused["__type"]), (400, &json!(kind)), "{refused}");
    assert!(one.http("/").contains("healthy: "));
}

/// `ItemCount` and `TableSizeBytes`, as a node tells them.
pub fn counted(node: &Node, table: &str) -> (u64, u64) {
    let (status, told) = node.dynamodb("DescribeTable", &json!({"TableName": table}).to_string());
    assert_eq!(status, 200, "{told}");
    let number = |member: &str| told["Table"][member].as_u64().expect("a number");
    (number("ItemCount"), number("TableSizeBytes"))
}

#[tokio::test]
async fn a_table_knows_how_many_items_it_has_and_how_large_they_are() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let new = sample::table("counted", Some(StreamViewType::KeysOnly));
    client.create_table(&new).await.expect("a table is created");
    cluster.everywhere(&new.name).await;
    let (mut count, mut bytes) = (0, 0);
    for round in 0..60u64 {
        let at = (sample::noise(round) % 25) as usize;
        let whole = airport(at);
        let id = sample::item([("id", whole.get("id").cloned().expect("a key"))]);
        let before = client.get_item(&new.name, &id, true).await.expect("a read");
        if round % 3 == 2 {
            client.delete_item(&new.name, &id, WriteOptions::default()).await.expect("a write");
        } else {
            client.put_item(&new.name, &whole, WriteOptions::default()).await.expect("a write");
            (count, bytes) = (count + 1, bytes + whole.size() as u64);
        }
        if let Some(before) = before {
            (count, bytes) = (count - 1, bytes - before.size() as u64);
        }
    }
    assert!(count > 5, "something is left");
    for at in [0, 1, 2] {
        until("the counts of the items", async || {
            (counted(&cluster.nodes[at], "counted") == (count, bytes)).then_some(())
        })
        .await;
    }
    // They are of the state, so they come back with it.
    cluster.kill(1);
    cluster.start_node(1);
    cluster.ready().await;
    until("the counts after a restart", async || {
        (counted(&cluster.nodes[1], "counted") == (count, bytes)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_not_an_operation_is_refused_as_such() {
    let cluster = Cluster::start(1).await;
    let node = &cluster.nodes[0];
    let type_of = |(status, body): (u16, Value)| (status, body["__type"].as_str().unwrap_or("").to_owned());
    let service = |name: &str| (400, format!("com.amazon.coral.service#{name}"));
    assert_eq!(type_of(node.dynamodb("Fly", "{}")), service("UnknownOperationException"));
    assert_eq!(type_of(node.dynamodb("Fly", "{")), service("SerializationException"));
    assert_eq!(type_of(node.dynamodb("ListTables", "[]")), service("SerializationException"));
    assert_eq!(type_of(node.dynamodb("ListTables", r#"{"Limit": "1"}"#)), service("SerializationException"));
    let (status, told) = node.dynamodb("ListTables", r#"{"Limit": 0}"#);
    let text = "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value \
                greater than or equal to 1";
    assert_eq!((status, &told["message"]), (400, &json!(text)));
}

#[tokio::test]
async fn a_node_that_was_away_knows_the_keys_it_missed() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client_of(0);
    cluster.kill(2);
    until("a key being made", async || client.create_access_key().await.ok()).await;
    cluster.start_node(2);
    // From its first answer on it takes no signature it cannot verify.
    let mut refused = 0;
    until("answers of the node that is back", async || {
        std::net::TcpStream::connect(&cluster.nodes[2].address).ok()?;
        let (status, told) = cluster.nodes[2].dynamodb("ListTables", "{}");
        assert_ne!(status, 200, "{told}");
        refused +=
            usize::from(told["__type"].as_str().is_some_and(|name| name.ends_with("SignatureException")));
        (refused > 5).then_some(())
    })
    .await;
}
