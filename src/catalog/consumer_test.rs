//! Histories of consumers.

use proptest::prelude::*;

use super::*;
use crate::catalog::{Command, Options, Report};
use crate::model::{AttributeName, KeyAttribute, KeySchema, KeyType, StreamViewType, id::GroupId};

fn name() -> TableName {
    TableName::parse("orders").expect("valid")
}

fn report(catalog: &mut Catalog, group: u64, shards: &[(u64, u64, Option<u64>)]) {
    let newest_stream_ms = shards.last().map_or(0, |shard| shard.0);
    let (group, node) = (GroupId(group), NodeId(1));
    let report = Report { group, node, term: 1, shards: shards.to_vec(), newest_stream_ms, trimmed: None };
    catalog.apply(Command::Report(vec![report]));
}

/// A catalog with a table of so many partitions, whose stream is on; and that stream.
fn with_stream(partitions: u32) -> (Catalog, u64) {
    let mut catalog = Catalog::default();
    let (address, zone) = ("n1:1".to_owned(), String::new());
    catalog.apply(Command::Found { cluster_id: "c".to_owned(), secret: [7; 32], address, zone });
    let partition = KeyAttribute { name: AttributeName::parse("id").expect("valid"), kind: KeyType::S };
    catalog.apply(Command::CreateTable {
        name: name(),
        key_schema: KeySchema { partition, sort: None },
        partitions,
        stream: Some(StreamViewType::KeysOnly),
        retention_ms: 1000,
        options: Options::default(),
        now_ms: 100,
    });
    let stream_ms = catalog.table(&name()).expect("exists").streams[0].stream_ms;
    (1..=partitions.into()).for_each(|group| report(&mut catalog, group, &[(stream_ms, 1, None)]));
    (catalog, stream_ms)
}

fn key() -> ConsumerKey {
    (TableId(1), "search".to_owned())
}

fn joining(member: u64, start: ConsumerStart) -> Join {
    Join {
        table: name(),
        name: key().1,
        member,
        node: NodeId(1),
        streams: Some(Streams::Since(0)),
        start,
        places: BTreeMap::new(),
        now_ms: 200,
    }
}

fn change(catalog: &mut Catalog, command: ConsumerCommand) -> Outcome {
    catalog.apply(Command::Consumer(command))
}

fn join(catalog: &mut Catalog, member: u64) -> Outcome {
    change(catalog, ConsumerCommand::Join(Box::new(joining(member, ConsumerStart::TrimHorizon))))
}

fn leave(catalog: &mut Catalog, member: u64) {
    change(catalog, ConsumerCommand::Leave { key: key(), member, places: Vec::new() });
}

fn consumer(catalog: &Catalog) -> &Consumer {
    &catalog.consumers[&key()]
}

fn at(index: u64) -> Place {
    Place::At(Some(Cursor { index, ordinal: 0 }))
}

fn told(catalog: &Catalog, shard: ShardKey, place: Place) -> ConsumedReport {
    let Consumed { epoch, owner, .. } = consumer(catalog).shards[&shard];
    ConsumedReport { key: key(), shard, member: owner.expect("it has an owner"), epoch, place }
}

#[test]
fn a_consumer_that_was_deleted_says_nothing_of_its_successor() {
    let (mut catalog, stream_ms) = with_stream(1);
    let shard = (stream_ms, GroupId(1));
    join(&mut catalog, 7);
    let old = told(&catalog, shard, at(9));
    change(&mut catalog, ConsumerCommand::Delete { key: key() });
    join(&mut catalog, 8);
    let places = vec![(shard, old.epoch, at(9))];
    assert_eq!(consumer(&catalog).shards[&shard].epoch, old.epoch, "only the member tells them apart");
    change(&mut catalog, ConsumerCommand::Leave { key: key(), member: 7, places });
    change(&mut catalog, ConsumerCommand::Progress(vec![old]));
    assert_eq!(consumer(&catalog).shards[&shard].place, Place::At(None));
}

#[test]
fn a_shard_goes_to_its_heir_when_its_owner_lets_go() {
    let (mut catalog, stream_ms) = with_stream(2);
    assert_eq!(join(&mut catalog, 7), Outcome::Joined { table: TableId(1), created: true });
    assert!(consumer(&catalog).shards.values().all(|shard| shard.owner == Some(7)));
    assert_eq!(join(&mut catalog, 8), Outcome::Joined { table: TableId(1), created: false });
    let going: Vec<ShardKey> = consumer(&catalog)
        .shards
        .iter()
        .filter(|(_, shard)| shard.heir == Some(8))
        .map(|(shard, _)| *shard)
        .collect();
    assert_eq!(going, [(stream_ms, GroupId(2))], "one of two");
    assert_eq!(consumer(&catalog).shards[&going[0]].owner, Some(7), "it is kept until it is let go of");
    let late = told(&catalog, going[0], at(3));
    let release = told(&catalog, going[0], at(9));
    change(&mut catalog, ConsumerCommand::Release(release));
    let shard = &consumer(&catalog).shards[&going[0]];
    assert_eq!((shard.owner, &shard.place), (Some(8), &at(9)));
    change(&mut catalog, ConsumerCommand::Progress(vec![late]));
    assert_eq!(consumer(&catalog).shards[&going[0]].place, at(9), "what is told of another epoch is ignored");
    leave(&mut catalog, 7);
    assert!(consumer(&catalog).shards.values().all(|shard| shard.owner == Some(8)), "nothing is left behind");
    leave(&mut catalog, 8);
    assert!(consumer(&catalog).shards.values().all(|shard| shard.owner.is_none()));
    join(&mut catalog, 9);
    let shard = &consumer(&catalog).shards[&going[0]];
    assert_eq!((shard.owner, &shard.place), (Some(9), &at(9)), "where the others stopped");
}

#[test]
fn what_comes_after_a_shard_waits_for_it() {
    let (mut catalog, stream_ms) = with_stream(1);
    join(&mut catalog, 7);
    catalog.apply(Command::UpdateStream { name: name(), stream: None, now_ms: 300 });
    report(&mut catalog, 1, &[(stream_ms, 1, Some(20))]);
    catalog.apply(Command::UpdateStream {
        name: name(),
        stream: Some(StreamViewType::NewImage),
        now_ms: 400,
    });
    let next_ms = catalog.table(&name()).expect("exists").streams[1].stream_ms;
    report(&mut catalog, 1, &[(stream_ms, 1, Some(20)), (next_ms, 30, None)]);
    let (first, second) = ((stream_ms, GroupId(1)), (next_ms, GroupId(1)));
    assert!(!consumer(&catalog).shards.contains_key(&second), "the first is not done");
    let done = told(&catalog, first, Place::Done);
    change(&mut catalog, ConsumerCommand::Progress(vec![done]));
    assert_eq!(consumer(&catalog).shards[&first].owner, None);
    assert_eq!(consumer(&catalog).shards[&second].owner, Some(7));
    assert_eq!(consumer(&catalog).shards[&second].place, Place::At(None), "from its beginning");
}

#[test]
fn positions_are_taken_while_there_is_nobody() {
    let (mut catalog, stream_ms) = with_stream(1);
    let shard = (stream_ms, GroupId(1));
    join(&mut catalog, 7);
    let to_position = |member| Join {
        places: BTreeMap::from([(shard, at(5))]),
        ..joining(member, ConsumerStart::Position)
    };
    let refused = change(&mut catalog, ConsumerCommand::Join(Box::new(to_position(8))));
    assert!(matches!(refused, Outcome::Refused(Refusal::Invalid(_))), "{refused:?}");
    assert_eq!(consumer(&catalog).members.len(), 1);
    let old = told(&catalog, shard, at(9));
    leave(&mut catalog, 7);
    change(&mut catalog, ConsumerCommand::Join(Box::new(to_position(8))));
    assert_eq!(consumer(&catalog).shards[&shard].place, at(5));
    change(&mut catalog, ConsumerCommand::Progress(vec![old]));
    assert_eq!(consumer(&catalog).shards[&shard].place, at(5), "nobody's progress undoes it");
    let missing = Join { streams: None, name: "other".to_owned(), ..joining(9, ConsumerStart::Latest) };
    let refused = change(&mut catalog, ConsumerCommand::Join(Box::new(missing)));
    assert!(matches!(refused, Outcome::Refused(Refusal::NoConsumer { .. })), "{refused:?}");
}

proptest! {
    /// Whoever comes and goes: shards are shared out evenly in the end, and belong to members only.
    #[test]
    fn shards_are_shared_out_evenly(
        partitions in 1u32..9,
        steps in proptest::collection::vec((0u64..6, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let (mut catalog, _) = with_stream(partitions);
        join(&mut catalog, 100);
        for (member, comes, releases) in steps {
            if comes { join(&mut catalog, member); } else { leave(&mut catalog, member); }
            let shards = consumer(&catalog).shards.clone();
            let moving = shards.iter().filter(|(_, shard)| shard.owner != shard.heir);
            for (shard, _) in moving.filter(|_| releases) {
                let release = told(&catalog, *shard, Place::At(None));
                change(&mut catalog, ConsumerCommand::Release(release));
            }
            let consumer = consumer(&catalog);
            let members = &consumer.members;
            let mut shares: BTreeMap<u64, usize> = members.keys().map(|member| (*member, 0)).collect();
            for shard in consumer.shards.values() {
                prop_assert!(shard.owner.is_some_and(|owner| members.contains_key(&owner)));
                let heir = shard.heir.expect("there are members");
                *shares.get_mut(&heir).expect("heirs are members") += 1;
                prop_assert!(!releases || shard.owner == shard.heir);
            }
            let (least, most) = (shares.values().min().expect("some"), shares.values().max().expect("some"));
            prop_assert!(most - least <= 1, "{shares:?}");
        }
    }
}
