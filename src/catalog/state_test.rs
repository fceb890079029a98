//! Histories of the catalog.

use super::*;
use crate::catalog::{Billing, TAGS_MAX, Throughput};
use crate::model::{AttributeName, KeyAttribute, KeyType};

fn name(text: &str) -> TableName {
    TableName::parse(text).expect("valid")
}

fn founded(nodes: usize) -> Catalog {
    let mut catalog = Catalog::default();
    let found = Command::Found {
        cluster_id: "c".to_owned(),
        secret: [7; 32],
        address: "n1:1".to_owned(),
        zone: String::new(),
    };
    assert_eq!(catalog.apply(found.clone()), Outcome::Node(NodeId(1)));
    assert_eq!(catalog.apply(found), Outcome::Refused(Refusal::Founded));
    for id in 2..=nodes as u64 {
        let join = Command::Join { address: format!("n{id}:1"), zone: String::new(), nonce: id };
        assert_eq!(catalog.apply(join.clone()), Outcome::Node(NodeId(id)));
        assert_eq!(catalog.apply(join), Outcome::Node(NodeId(id)), "asking again is the same request");
    }
    catalog
}

fn create(catalog: &mut Catalog, table: &str, partitions: u32, stream: Option<StreamViewType>) -> Outcome {
    let partition = KeyAttribute { name: AttributeName::parse("id").expect("valid"), kind: KeyType::S };
    let key_schema = KeySchema { partition, sort: None };
    catalog.apply(Command::CreateTable {
        name: name(table),
        key_schema,
        partitions,
        stream,
        retention_ms: 1000,
        options: Options::default(),
        now_ms: 100,
    })
}

/// Every partition reports a leader and its shards as the catalog wants them.
fn settle(catalog: &mut Catalog, table: &str) {
    let table = catalog.table(&name(table)).expect("exists").clone();
    settle_table(catalog, &table);
}

fn settle_table(catalog: &mut Catalog, table: &Table) {
    let shards: Vec<_> =
        table.streams.iter().map(|stream| (stream.stream_ms, 3, stream.ended_ms.map(|_| 9))).collect();
    report_all(catalog, table, 5, &shards, None);
}

/// Every partition reports that all its streams are trimmed.
fn trim_table(catalog: &mut Catalog, table: &Table) {
    report_all(catalog, table, 5, &[], Some(9));
}

fn report_all(
    catalog: &mut Catalog,
    table: &Table,
    term: u64,
    shards: &[(u64, u64, Option<u64>)],
    trimmed: Option<u64>,
) {
    let newest_stream_ms = table.streams.iter().map(|stream| stream.stream_ms).max().unwrap_or(0);
    for group in &table.partitions {
        let shards = shards.to_vec();
        let report = Report { group: *group, node: NodeId(1), term, shards, newest_stream_ms, trimmed };
        assert_eq!(catalog.apply(Command::Report(vec![report])), Outcome::Done);
    }
}

fn status(catalog: &Catalog, table: &str) -> (TableStatus, Vec<StreamStatus>) {
    let table = catalog.table(&name(table)).expect("exists");
    (catalog.status(table), table.streams.iter().map(|stream| table.stream_status(stream)).collect())
}

fn stream(catalog: &mut Catalog, table: &str, stream: Option<StreamViewType>, now_ms: u64) -> Outcome {
    catalog.apply(Command::UpdateStream { name: name(table), stream, now_ms })
}

#[test]
fn a_table_lives() {
    use StreamStatus::{Disabled, Disabling, Enabled, Enabling};
    let mut catalog = founded(3);
    assert_eq!(create(&mut catalog, "airports", 4, None), Outcome::Table(TableId(1)));
    assert_eq!(
        create(&mut catalog, "airports", 4, None),
        Outcome::Refused(Refusal::TableExists(name("airports")))
    );
    assert_eq!(status(&catalog, "airports"), (TableStatus::Creating, vec![]));
    let busy = stream(&mut catalog, "airports", Some(StreamViewType::KeysOnly), 200);
    assert!(matches!(busy, Outcome::Refused(Refusal::TableBusy { .. })));
    settle(&mut catalog, "airports");
    assert_eq!(status(&catalog, "airports"), (TableStatus::Active, vec![]));
    assert_eq!(
        stream(&mut catalog, "airports", None, 200),
        Outcome::Refused(Refusal::StreamDisabled(name("airports")))
    );

    stream(&mut catalog, "airports", Some(StreamViewType::KeysOnly), 200);
    assert_eq!(status(&catalog, "airports"), (TableStatus::Updating, vec![Enabling]));
    settle(&mut catalog, "airports");
    assert_eq!(status(&catalog, "airports"), (TableStatus::Active, vec![Enabled]));
    assert_eq!(
        stream(&mut catalog, "airports", Some(StreamViewType::NewImage), 300),
        Outcome::Refused(Refusal::StreamEnabled(name("airports")))
    );

    stream(&mut catalog, "airports", None, 400);
    assert_eq!(status(&catalog, "airports"), (TableStatus::Updating, vec![Disabling]));
    settle(&mut catalog, "airports");
    // The clock went back; the label of the new stream is later all the same.
    stream(&mut catalog, "airports", Some(StreamViewType::NewImage), 10);
    let table = catalog.table(&name("airports")).expect("exists");
    assert!(table.streams[1].stream_ms > table.streams[0].stream_ms);
    assert_eq!(status(&catalog, "airports"), (TableStatus::Updating, vec![Disabled, Enabling]));
    settle(&mut catalog, "airports");
    assert_eq!(status(&catalog, "airports"), (TableStatus::Active, vec![Disabled, Enabled]));
}

#[test]
fn a_deleted_table_stays_until_its_streams_are_old() {
    let mut catalog = founded(1);
    create(&mut catalog, "airports", 2, Some(StreamViewType::NewImage));
    settle(&mut catalog, "airports");
    let deleted = catalog.apply(Command::DeleteTable { name: name("airports"), now_ms: 500 });
    assert_eq!(deleted, Outcome::Table(TableId(1)));
    assert_eq!(catalog.table(&name("airports")), None);
    assert_eq!(create(&mut catalog, "airports", 1, None), Outcome::Table(TableId(2)), "the name is free");
    let table = catalog.tables[&TableId(1)].clone();
    settle_table(&mut catalog, &table);
    let table = &catalog.tables[&TableId(1)];
    assert_eq!(table.stream_status(&table.streams[0]), StreamStatus::Disabled);
    catalog.apply(Command::Reap { now_ms: 1400 });
    assert!(catalog.tables.contains_key(&TableId(1)));
    catalog.apply(Command::Reap { now_ms: 1600 });
    assert!(catalog.tables.contains_key(&TableId(1)), "there are records yet");
    let table = catalog.tables[&TableId(1)].clone();
    trim_table(&mut catalog, &table);
    catalog.apply(Command::Reap { now_ms: 1400 });
    assert!(catalog.tables.contains_key(&TableId(1)));
    catalog.apply(Command::Reap { now_ms: 1600 });
    assert!(!catalog.tables.contains_key(&TableId(1)));
    assert_eq!(catalog.partitions.len(), 1, "its partitions went with it");
}

#[test]
fn partitions_cover_all_hashes_once() {
    let mut catalog = founded(3);
    create(&mut catalog, "airports", 7, None);
    let table = catalog.table(&name("airports")).expect("exists");
    for hash in (0..1000).map(|at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).chain([0, u64::MAX]) {
        let holding = catalog.partitions.values().filter(|partition| partition.range.contains(hash)).count();
        assert_eq!(holding, 1);
        assert!(catalog.partition_of(table, hash).is_some());
    }
    assert!(catalog.partitions.values().all(|partition| partition.replicas.len() == 3));
}

#[test]
fn an_older_leader_is_not_believed() {
    let mut catalog = founded(3);
    create(&mut catalog, "airports", 1, None);
    let report = |node, term| {
        Command::Report(vec![Report {
            group: GroupId(1),
            node: NodeId(node),
            term,
            shards: vec![],
            newest_stream_ms: 0,
            trimmed: None,
        }])
    };
    catalog.apply(report(2, 7));
    catalog.apply(report(1, 6));
    assert_eq!(catalog.partitions[&GroupId(1)].leader, Some((NodeId(2), 7)));
}

#[test]
fn a_shard_that_was_trimmed_before_it_was_reported_is_closed() {
    let mut catalog = founded(3);
    create(&mut catalog, "airports", 1, Some(StreamViewType::NewImage));
    settle(&mut catalog, "airports");
    stream(&mut catalog, "airports", None, 400);
    let report = |newest_stream_ms| {
        Command::Report(vec![Report {
            group: GroupId(1),
            node: NodeId(1),
            term: 6,
            shards: vec![],
            newest_stream_ms,
            trimmed: Some(7),
        }])
    };
    let stream_ms = catalog.table(&name("airports")).expect("exists").streams[0].stream_ms;
    catalog.apply(report(stream_ms - 1));
    assert_eq!(status(&catalog, "airports"), (TableStatus::Updating, vec![StreamStatus::Disabling]));
    catalog.apply(report(stream_ms));
    assert_eq!(status(&catalog, "airports"), (TableStatus::Active, vec![StreamStatus::Disabled]));
}

#[test]
fn nobody_joins_a_cluster_that_is_not_founded() {
    let join = Command::Join { address: "n2:1".to_owned(), zone: String::new(), nonce: 2 };
    let mut catalog = Catalog::default();
    assert!(matches!(catalog.apply(join), Outcome::Refused(Refusal::Invalid(_))));
    assert_eq!(catalog, Catalog::default());
}

#[test]
fn partitions_of_a_small_cluster_get_replicas_as_it_grows() {
    let mut catalog = founded(1);
    create(&mut catalog, "airports", 1, None);
    settle(&mut catalog, "airports");
    assert_eq!(catalog.partitions[&GroupId(1)].replicas, [NodeId(1)]);
    for id in 2..=4 {
        catalog.apply(Command::Join { address: String::new(), zone: String::new(), nonce: id });
        catalog.apply(Command::Replicate);
    }
    let partition = &catalog.partitions[&GroupId(1)];
    assert_eq!((partition.replicas.len(), partition.founders), (3, 1));
    assert_eq!(partition.replicas[0], NodeId(1));
}

#[test]
fn options_and_tags_are_changed_within_their_limits() {
    let mut catalog = founded(1);
    assert_eq!(create(&mut catalog, "airports", 1, None), Outcome::Table(TableId(1)));
    settle(&mut catalog, "airports");
    let options = |catalog: &Catalog| catalog.table(&name("airports")).expect("exists").options.clone();
    let update = |catalog: &mut Catalog, change| {
        catalog.apply(Command::UpdateOptions { name: name("airports"), change, now_ms: 700 })
    };
    let booked = |read| Billing::Provisioned(Throughput { read, write: 2 });
    let billing = |billing| OptionsChange { billing: Some(billing), ..OptionsChange::default() };
    assert_eq!(update(&mut catalog, billing(booked(1))), Outcome::Table(TableId(1)));
    let same = update(&mut catalog, billing(booked(1)));
    assert!(
        matches!(&same, Outcome::Refused(Refusal::Invalid(text)) if text.contains("will not change")),
        "{same:?}"
    );
    assert_eq!(update(&mut catalog, billing(booked(3))), Outcome::Table(TableId(1)));
    assert_eq!(options(&catalog).on_demand_ms, None);
    update(&mut catalog, billing(Billing::OnDemand));
    assert_eq!((options(&catalog).billing, options(&catalog).on_demand_ms), (Billing::OnDemand, Some(700)));
    // Tags: a change that would make too many makes none.
    let tag = |catalog: &mut Catalog, from: usize, to: usize, remove: &[&str]| {
        let set = (from..to).map(|at| (format!("t{at}"), "v".to_owned())).collect();
        let remove = remove.iter().map(|key| (*key).to_owned()).collect();
        catalog.apply(Command::Tag { name: name("airports"), set, remove })
    };
    assert_eq!(tag(&mut catalog, 0, TAGS_MAX, &[]), Outcome::Table(TableId(1)));
    assert!(matches!(tag(&mut catalog, TAGS_MAX, TAGS_MAX + 1, &[]), Outcome::Refused(Refusal::Invalid(_))));
    assert_eq!(options(&catalog).tags.len(), TAGS_MAX);
    assert_eq!(tag(&mut catalog, TAGS_MAX, TAGS_MAX + 1, &["t0", "nowhere"]), Outcome::Table(TableId(1)));
    assert_eq!((options(&catalog).tags.len(), options(&catalog).tags.contains_key("t0")), (TAGS_MAX, false));
    // What is protected is not deleted.
    let protect = |yes| OptionsChange { deletion_protected: Some(yes), ..OptionsChange::default() };
    update(&mut catalog, protect(true));
    let delete =
        |catalog: &mut Catalog| catalog.apply(Command::DeleteTable { name: name("airports"), now_ms: 800 });
    assert_eq!(delete(&mut catalog), Outcome::Refused(Refusal::TableProtected));
    update(&mut catalog, protect(false));
    assert_eq!(delete(&mut catalog), Outcome::Table(TableId(1)));
}

#[test]
fn access_keys_are_kept_and_forgotten_and_never_shown() {
    let mut catalog = founded(1);
    let key = AccessKey { secret: "sesame".to_owned(), created_ms: 5 };
    let put = Command::PutAccessKey { id: "WT1".to_owned(), key };
    assert!(!format!("{put:?}").contains("sesame"), "{put:?}");
    assert_eq!(catalog.apply(put), Outcome::Done);
    assert_eq!(catalog.access_keys["WT1"].secret, "sesame");
    let delete = || Command::DeleteAccessKey { id: "WT1".to_owned() };
    assert_eq!(catalog.apply(delete()), Outcome::Done);
    assert_eq!(catalog.apply(delete()), Outcome::Refused(Refusal::NoAccessKey("WT1".to_owned())));
}

#[test]
fn changes_of_throughput_are_remembered() {
    const DAY_MS: u64 = 86_400_000;
    let mut options = Options::default();
    let mut book = |read, write, now_ms| {
        let billing = Some(Billing::Provisioned(Throughput { read, write }));
        let change = OptionsChange { billing, ..OptionsChange::default() };
        options = options.changed(change, now_ms).expect("it is another throughput");
        (options.increased_ms, options.decreased_ms, options.decreases_on(now_ms))
    };
    assert_eq!(book(5, 5, 1), (None, None, 0));
    assert_eq!(book(6, 5, 2), (Some(2), None, 0));
    assert_eq!(book(7, 4, 3), (Some(3), Some(3), 1));
    assert_eq!(book(1, 1, 4), (Some(3), Some(4), 2));
    assert_eq!(book(1, 2, DAY_MS), (Some(DAY_MS), Some(4), 0));
    assert_eq!(book(1, 1, DAY_MS + 1), (Some(DAY_MS), Some(DAY_MS + 1), 1));
}
