//! Histories of triggers.

use super::*;
use crate::catalog::{Command, Options, Report};
use crate::delivery::Try;
use crate::model::{AttributeName, KeyAttribute, KeySchema, KeyType, StreamViewType};

const GROUP: GroupId = GroupId(1);

fn name() -> TableName {
    TableName::parse("orders").expect("valid")
}

/// A catalog with a table of one partition, whose stream is on; and that stream.
fn with_stream() -> (Catalog, u64) {
    let mut catalog = Catalog::default();
    catalog.apply(Command::Found {
        cluster_id: "c".to_owned(),
        secret: [7; 32],
        address: "n1:1".to_owned(),
        zone: String::new(),
    });
    let partition = KeyAttribute { name: AttributeName::parse("id").expect("valid"), kind: KeyType::S };
    catalog.apply(Command::CreateTable {
        name: name(),
        key_schema: KeySchema { partition, sort: None },
        partitions: 1,
        stream: Some(StreamViewType::KeysOnly),
        retention_ms: 1000,
        options: Options::default(),
        now_ms: 100,
    });
    let stream_ms = catalog.table(&name()).expect("exists").streams[0].stream_ms;
    report(&mut catalog, &[(stream_ms, 1, None)], None);
    (catalog, stream_ms)
}

fn report(catalog: &mut Catalog, shards: &[(u64, u64, Option<u64>)], trimmed: Option<u64>) {
    let newest_stream_ms =
        catalog.tables.values().flat_map(|it| it.streams.last()).map(|it| it.stream_ms).max();
    let report = Report {
        group: GROUP,
        node: NodeId(1),
        term: 1,
        shards: shards.to_vec(),
        newest_stream_ms: newest_stream_ms.unwrap_or(0),
        trimmed,
    };
    catalog.apply(Command::Report(vec![report]));
}

fn new(id: u128, stream_ms: u64, target: &str) -> NewTrigger {
    NewTrigger {
        id: TriggerId(id),
        table: name(),
        streams: Streams::Since(stream_ms),
        target: target.to_owned(),
        function: None,
        settings: Settings::default(),
        enabled: true,
        start: StartAsked::Latest,
        starts: BTreeMap::from([((stream_ms, GROUP), ShardStart::At(Cursor { index: 5, ordinal: 0 }))]),
        now_ms: 200,
    }
}

fn change(catalog: &mut Catalog, command: TriggerCommand) -> Outcome {
    catalog.apply(Command::Trigger(command))
}

fn create(catalog: &mut Catalog, new: NewTrigger) -> Outcome {
    change(catalog, TriggerCommand::Create(Box::new(new)))
}

fn claim(catalog: &mut Catalog, id: u128, stream_ms: u64, node: u64) -> ShardProgress {
    let claim = TriggerCommand::Claim { id: TriggerId(id), shard: (stream_ms, GROUP), node: NodeId(node) };
    match change(catalog, claim) {
        Outcome::Claimed(claim) => claim.progress,
        outcome => panic!("not claimed: {outcome:?}"),
    }
}

fn tell(catalog: &mut Catalog, id: u128, stream_ms: u64, progress: &ShardProgress) -> ShardProgress {
    let shard = (stream_ms, GROUP);
    let report = ProgressReport { id: TriggerId(id), shard, progress: progress.clone() };
    assert_eq!(change(catalog, TriggerCommand::Progress(vec![report])), Outcome::Done);
    catalog.triggers[&TriggerId(id)].shards[&shard].clone()
}

fn lanes(indexes: &[u64]) -> Vec<LaneProgress> {
    let lane =
        |index: &u64| LaneProgress { next: Some(Cursor { index: *index, ordinal: 0 }), tries: Vec::new() };
    indexes.iter().map(lane).collect()
}

#[test]
fn only_who_claimed_last_moves_a_shard_on() {
    let (mut catalog, stream_ms) = with_stream();
    assert_eq!(create(&mut catalog, new(1, stream_ms, "http://a")), Outcome::Trigger(TriggerId(1)));
    let first = claim(&mut catalog, 1, stream_ms, 1);
    assert_eq!((first.epoch, &first.lanes), (1, &lanes(&[5])));
    let moved = ShardProgress { lanes: lanes(&[8]), ..first.clone() };
    assert_eq!(tell(&mut catalog, 1, stream_ms, &moved), moved);
    let second = claim(&mut catalog, 1, stream_ms, 2);
    assert_eq!((second.epoch, second.node, &second.lanes), (2, Some(NodeId(2)), &lanes(&[8])));
    let late = ShardProgress { lanes: lanes(&[9]), ..first };
    assert_eq!(tell(&mut catalog, 1, stream_ms, &late), second, "it was claimed by another since");
}

#[test]
fn a_rewind_voids_claims() {
    let (mut catalog, stream_ms) = with_stream();
    create(&mut catalog, new(1, stream_ms, "http://a"));
    let claimed = claim(&mut catalog, 1, stream_ms, 1);
    let rewind = TriggerCommand::Rewind { id: TriggerId(1), starts: BTreeMap::new(), now_ms: 300 };
    assert_eq!(change(&mut catalog, rewind), Outcome::Trigger(TriggerId(1)));
    let told = tell(&mut catalog, 1, stream_ms, &ShardProgress { lanes: lanes(&[50]), ..claimed });
    assert_eq!(told.lanes, [LaneProgress::default()], "at the trim horizon");
    assert_eq!(catalog.triggers[&TriggerId(1)].updated_ms, 300);
}

#[test]
fn lanes_are_joined_when_there_are_to_be_more_or_fewer() {
    let (mut catalog, stream_ms) = with_stream();
    create(&mut catalog, new(1, stream_ms, "http://a"));
    let claimed = claim(&mut catalog, 1, stream_ms, 1);
    let mut progress = ShardProgress { lanes: lanes(&[9, 7, 8]), ..claimed };
    progress.lanes[0].tries.push(Try { to: Cursor { index: 12, ordinal: 0 }, attempts: 1, calls: 1 });
    tell(&mut catalog, 1, stream_ms, &progress);
    let update = |settings| TriggerCommand::Update {
        id: TriggerId(1),
        target: None,
        settings: Some(Box::new(settings)),
        enabled: None,
        now_ms: 300,
    };
    change(&mut catalog, update(Settings { batch_size: 7, ..Settings::default() }));
    assert_eq!(catalog.triggers[&TriggerId(1)].shards[&(stream_ms, GROUP)], progress, "as many as before");
    change(&mut catalog, update(Settings { parallel: 2, ..Settings::default() }));
    let joined = catalog.triggers[&TriggerId(1)].shards[&(stream_ms, GROUP)].clone();
    assert_eq!(joined.lanes, lanes(&[7]), "the lowest");
    assert_eq!(tell(&mut catalog, 1, stream_ms, &progress), joined, "nobody's old lanes come back");
}

#[test]
fn a_stream_feeds_a_function_once() {
    let (mut catalog, stream_ms) = with_stream();
    create(&mut catalog, new(1, stream_ms, "http://a"));
    let Outcome::Refused(refusal) = create(&mut catalog, new(2, stream_ms, "http://a")) else {
        panic!("twice")
    };
    let id = "00000000-0000-0000-0000-000000000001";
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/1970-01-01T00:00:00.100";
    assert_eq!(
        refusal.to_string(),
        format!(
            "The event source arn (\" {arn} \") and function (\" http://a \") provided mapping already exists. Please \
             update or delete the existing mapping with UUID {id}"
        )
    );
    assert_eq!(create(&mut catalog, new(3, stream_ms, "http://b")), Outcome::Trigger(TriggerId(3)));
    for other in 4.. {
        match create(&mut catalog, new(other, stream_ms, &format!("http://{other}"))) {
            Outcome::Trigger(_) => {}
            refused => {
                assert_eq!(catalog.triggers.len(), TRIGGERS_PER_TABLE_MAX, "{refused:?}");
                break;
            }
        }
    }
    assert!(matches!(
        create(&mut catalog, new(5, stream_ms + 1, "http://a")),
        Outcome::Refused(Refusal::NoTable(_))
    ));
}

#[test]
fn a_later_stream_waits_for_the_earlier_one() {
    let (mut catalog, first_ms) = with_stream();
    create(&mut catalog, new(1, first_ms, "http://a"));
    for stream in [None, Some(StreamViewType::NewImage)] {
        assert!(matches!(
            catalog.apply(Command::UpdateStream { name: name(), stream, now_ms: 500 }),
            Outcome::Table(_)
        ));
        report(&mut catalog, &[(first_ms, 1, Some(9))], None);
    }
    let second_ms = catalog.table(&name()).expect("exists").streams[1].stream_ms;
    report(&mut catalog, &[(first_ms, 1, Some(9)), (second_ms, 10, None)], None);
    let may_begin = |catalog: &Catalog, stream_ms| {
        let table = catalog.table(&name()).expect("exists");
        catalog.triggers[&TriggerId(1)].may_begin(table, (stream_ms, GROUP))
    };
    assert!(may_begin(&catalog, first_ms));
    assert!(!may_begin(&catalog, second_ms));
    let claimed = claim(&mut catalog, 1, first_ms, 1);
    tell(&mut catalog, 1, first_ms, &ShardProgress { is_done: true, ..claimed });
    assert!(may_begin(&catalog, second_ms));
    assert_eq!(claim(&mut catalog, 1, second_ms, 1).lanes, [LaneProgress::default()], "from its beginning");
    let only = NewTrigger { streams: Streams::Only(first_ms), ..new(2, first_ms, "http://b") };
    create(&mut catalog, only);
    let table = catalog.table(&name()).expect("exists");
    assert_eq!(catalog.triggers[&TriggerId(2)].shards(table).collect::<Vec<_>>(), [(first_ms, GROUP)]);
}

#[test]
fn triggers_go_with_their_streams() {
    let (mut catalog, stream_ms) = with_stream();
    create(&mut catalog, new(1, stream_ms, "http://a"));
    catalog.apply(Command::DeleteTable { name: name(), now_ms: 600 });
    report(&mut catalog, &[(stream_ms, 1, Some(9))], None);
    assert_eq!(catalog.triggers.len(), 1, "what is left of the stream is delivered");
    report(&mut catalog, &[], Some(9));
    catalog.apply(Command::Reap { now_ms: 5000 });
    assert_eq!((catalog.tables.len(), catalog.triggers.len()), (0, 0));
}
