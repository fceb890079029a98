//! What triggers call: functions that are not there, that take only so much, and that speak TLS.

use std::path::Path;

use watertable::client::{TriggerSettings, WriteOptions};

use super::cluster::{Cluster, until};
use super::function::{Function, Reply, assert_in_order};
use super::sample::{item, n, s};
use super::triggers::{all_delivered, create, create_table, new, put_all};

/// Has signed the certificate that functions show.
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/main/authority.pem");

#[tokio::test]
async fn a_function_that_speaks_tls_is_called_if_it_is_trusted() {
    let mut cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "secure", 1).await;
    let function = Function::serve_tls("/hook", |_| Reply::ok()).await;
    let trigger = create(&client, &new(&table, &function.url, TriggerSettings::default())).await;
    put_all(&client, &table, 2, 0..3).await;
    let shown = until("the trouble being shown", async || {
        let trigger = client.trigger(&trigger.trigger_id).await.expect("there");
        trigger.last_result.starts_with("PROBLEM: ").then_some(trigger)
    })
    .await;
    assert!(shown.last_result.contains("invalid peer certificate: UnknownIssuer"), "{}", shown.last_result);
    assert!(function.calls().is_empty(), "nothing is told to whom nobody vouches for");
    cluster.kill(0);
    cluster.nodes[0].trusts = Some(Path::new(AUTHORITY).to_owned());
    cluster.start_node(0);
    cluster.ready().await;
    all_delivered(&function, 2, 3).await;
    assert_in_order(&function.delivered("id", "n"), 2, 3);
    let other_name = function.url.replace("127.0.0.1", "127.0.0.2");
    let other = create(&client, &new(&table, &other_name, TriggerSettings::default())).await;
    until("a certificate of another name being refused", async || {
        let trigger = client.trigger(&other.trigger_id).await.expect("there");
        trigger.last_result.contains("certificate not valid for name").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_function_that_is_not_there_is_waited_for() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "waiting", 1).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let settings = TriggerSettings { maximum_retry_attempts: Some(0), ..TriggerSettings::default() };
    let trigger = create(&client, &new(&table, &format!("http://{address}/hook"), settings)).await;
    put_all(&client, &table, 2, 0..3).await;
    let shown = until("the trouble being shown", async || {
        let trigger = client.trigger(&trigger.trigger_id).await.expect("there");
        trigger.last_result.starts_with("PROBLEM: ").then_some(trigger)
    })
    .await;
    assert!(shown.last_result.contains("cannot be reached"), "{}", shown.last_result);
    assert_eq!(shown.shards[0].attempts, 0, "it was not called");
    assert!(shown.shards[0].lag_millis > Some(0));
    let listener = tokio::net::TcpListener::bind(address).await.expect("the port again");
    let function = Function::serve_at(listener, "/hook", |_| Reply::ok());
    all_delivered(&function, 2, 3).await;
    assert_in_order(&function.delivered("id", "n"), 2, 3);
}

#[tokio::test]
async fn large_records_go_in_calls_that_are_not_too_large() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "large", 1).await;
    let whole =
        |key: &str, number: u64| item([("id", s(key)), ("n", n(number)), ("text", s("x".repeat(390_000)))]);
    for number in 0..12 {
        client.put_item(&table, &whole("key", number), WriteOptions::default()).await.expect("it is put");
    }
    let function = Function::serve("/hook", |_| Reply::ok()).await;
    create(&client, &new(&table, &function.url, TriggerSettings::default())).await;
    all_delivered(&function, 1, 12).await;
    assert_in_order(&function.delivered("id", "n"), 1, 12);
    let calls = function.calls();
    assert!(calls.len() > 1, "9 MB of images do not go at once");
    assert!(calls.iter().all(|call| call.event.to_string().len() < 6 * 1024 * 1024));
}
