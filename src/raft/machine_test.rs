//! What a partition's machine refuses to open on.

use super::*;
use crate::{
    log::{MemoryFiles, Options, Writing},
    storage::MemoryItems,
};

const GROUP: GroupId = GroupId(7);

fn open(applied: u64, items_at: Option<u64>, entries: u64) -> io::Result<()> {
    let options = Options { segment_bytes: 1 << 20, writing: Writing::Inline, ..Options::default() };
    let log = Log::open(Arc::new(MemoryFiles::new()), "log", options).expect("a log");
    let written: Vec<_> =
        (0..entries).map(|index| (Position::new(1, index), Bytes::from_static(&[0]))).collect();
    log.append(GROUP, written, Box::new(|result| result.expect("appended")));
    let state = partition::State {
        applied: Some(Position::new(1, applied)),
        items_at: items_at.map(|index| Position::new(1, index)),
        ..partition::State::default()
    };
    let persisted = Persisted { state, memberships: Vec::new() };
    let state = postcard::to_allocvec(&persisted).expect("serializes").into();
    let items = MemoryItems::new().items();
    items.commit(Batch { group: GROUP, state, writes: Vec::new() }).expect("committed");
    let (_, durable) = watch::channel(None);
    PartitionMachine::open(GROUP, (TableId(1), HashRange::FULL), items, log, durable).map(|_| ())
}

#[test]
fn a_log_that_ends_before_the_items_is_refused() {
    let refused = open(5, None, 3).expect_err("refused");
    assert!(refused.to_string().contains("the log of group 7 ends at 1-2"), "{refused}");
    open(5, Some(4), 3).expect_err("the snapshot does not explain it");
    open(2, None, 3).expect("the log reaches as far as the items");
    open(5, Some(9), 3).expect("a snapshot was imported and the log is not cut yet");
}
