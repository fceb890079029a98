//! The `item` commands as people and programs use them.

use super::cluster::{Cluster, run_in};

/// Runs a command against a node; gives its exit code and what it said: standard output, then standard error.
fn run(cluster: &Cluster, arguments: &[&str]) -> (i32, String) {
    let endpoint = format!("http://{}", cluster.nodes[0].address);
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--endpoint", &endpoint]).collect();
    let (status, said) = run_in(cluster.root(), &arguments);
    (status.code().expect("it ended by itself"), said)
}

#[tokio::test]
async fn items_are_written_and_read() {
    let cluster = Cluster::start(1).await;
    let said = |code: i32, arguments: &[&str]| {
        let (found, said) = run(&cluster, arguments);
        assert_eq!(found, code, "{arguments:?}: {said}");
        said
    };
    said(0, &["table", "create", "flights", "--key", "iata:S", "--sort", "at:N"]);
    for at in 1..=5 {
        let item = format!(r#"{{"iata":"BER","at":{at},"seats":{},"name":"flight {at}"}}"#, at * 10);
        assert_eq!(said(0, &["item", "put", "flights", &item, "--if", "not-exists"]), "");
    }
    let third = r#"{"iata":"BER","at":3}"#;
    let put = ["item", "put", "flights", third];
    assert!(
        said(1, &[&put[..], &["--if", "not-exists"]].concat()).contains("ConditionalCheckFailedException")
    );
    let refused = said(
        1,
        &[&put[..], &["--if", "seats < :n", "--value", ":n=10", "--show-rejected", "--output", "json"]]
            .concat(),
    );
    assert!(refused.starts_with(r#"{"at":3,"iata":"BER","name":"flight 3","seats":30}"#), "{refused}");
    assert!(said(2, &[&put[..], &["--value", ":n=10"]].concat()).contains("expression"), "unused");
    assert!(said(2, &[&put[..], &["--if", "seats <"]].concat()).contains("Syntax error"));

    let update = ["item", "update", "flights", third, "--output", "json"];
    let updated = said(
        0,
        &[&update[..], &["--set", "name=\"new\"", "--set", "seats = seats - :one", "--value", ":one=1"]]
            .concat(),
    );
    assert_eq!(updated, "{\"at\":3,\"iata\":\"BER\",\"name\":\"new\",\"seats\":29}\n");
    let updated = said(
        0,
        &[
            &update[..],
            &[
                "--update",
                "ADD seats :one REMOVE #n",
                "--name",
                "#n=name",
                "--value",
                ":one=1",
                "--returns",
                "updated-old",
            ],
        ]
        .concat(),
    );
    assert_eq!(updated, "{\"name\":\"new\",\"seats\":29}\n");
    let updated =
        said(0, &[&update[..], &["--remove", "seats", "--capacity", "--returns", "updated-new"]].concat());
    assert_eq!(
        updated,
        "{\"attributes\":null,\"consumedCapacity\":{\"capacityUnits\":1.0,\"tableName\":\"flights\"}}\n"
    );

    let get = ["item", "get", "flights", third];
    assert_eq!(
        said(0, &[&get[..], &["--projection", "iata, seats", "--output", "json"]].concat()),
        "{\"iata\":\"BER\"}\n"
    );
    assert!(said(0, &[&get[..], &["--capacity"]].concat()).ends_with("capacity units of table flights: 1\n"));
    assert!(said(1, &["item", "get", "flights", r#"{"iata":"BER","at":9}"#]).contains("no such item"));

    let query = [
        "item",
        "query",
        "flights",
        "--key",
        "iata = :from AND at > :low",
        "--value",
        ":from=\"BER\"",
        "--value",
        ":low=1",
    ];
    let json = |more: &[&'static str]| [&query[..], more, &["--output", "json"]].concat();
    let wrong = said(2, &json(&[]));
    assert!(wrong.contains("reserved keyword: at"), "{wrong}");
    let query = [
        "item",
        "query",
        "flights",
        "--key",
        "iata = :from AND #at > :low",
        "--name",
        "#at=at",
        "--value",
        ":from=\"BER\"",
        "--value",
        ":low=1",
    ];
    let json = |more: &[&'static str]| [&query[..], more, &["--output", "json"]].concat();
    assert_eq!(
        said(0, &json(&["--projection", "#at", "--reverse"])),
        "{\"at\":5}\n{\"at\":4}\n{\"at\":3}\n{\"at\":2}\n"
    );
    let first = said(0, &json(&["--projection", "#at", "--limit", "2"]));
    assert!(first.starts_with("{\"at\":2}\n{\"at\":3}\nThere may be more: --start '"), "{first}");
    let start = first.split('\'').nth(1).expect("a key");
    assert_eq!(
        said(0, &[&query[..], &["--start", start, "--projection", "#at", "--output", "json"]].concat()),
        "{\"at\":4}\n{\"at\":5}\n"
    );
    let counted = said(
        0,
        &json(&["--filter", "attribute_exists(seats)", "--select", "count", "--capacity", "--eventual"]),
    );
    assert_eq!(
        counted,
        "{\"consumedCapacity\":{\"capacityUnits\":0.5,\"tableName\":\"flights\"},\"count\":3,\"scannedCount\":4}\n"
    );
    let table = said(0, &query);
    assert!(
        table
            .lines()
            .next()
            .is_some_and(|heading| heading.split_whitespace().eq(["iata", "at", "name", "seats"])),
        "{table}"
    );
    assert_eq!(table.lines().count(), 5, "{table}");

    let mut scanned = String::new();
    for segment in ["0", "1", "2"] {
        scanned += &said(
            0,
            &["item", "scan", "flights", "--segment", segment, "--segments", "3", "--output", "json"],
        );
    }
    assert_eq!(scanned.lines().count(), 5, "{scanned}");
    assert_eq!(said(0, &["item", "scan", "flights", "--select", "count"]), "5 items, 5 read\n");
    let deleted = said(0, &["item", "delete", "flights", third, "--returns", "all-old", "--output", "json"]);
    assert_eq!(deleted, "{\"at\":3,\"iata\":\"BER\"}\n");
    assert_eq!(said(0, &["item", "delete", "flights", third, "--returns", "all-old"]), "", "there is none");
    said(1, &["item", "delete", "flights", third, "--if", "exists"]);
}
