//! What the log does, seen from outside: reading, trimming, damage, full and failing disks, threads. That it
//! survives crashes is in `crash_test.rs`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Crash, Done, Error, Files, Lane, Log, MemoryFiles, Options, StdFiles, WriteBatch, Writing,
    crash_test::{Random, Workload, small, told},
};
use crate::model::id::{GroupId, Position};

const G: GroupId = GroupId(7);

fn open(disk: &MemoryFiles) -> Result<Log, Error> {
    Log::open(Arc::new(disk.clone()), "/log", small())
}

fn opened(disk: &MemoryFiles) -> Log {
    open(disk).expect("the log opens")
}

/// A log that writes only when it is told.
fn opened_to_be_told(disk: &MemoryFiles) -> Log {
    Log::open(Arc::new(disk.clone()), "/log", told()).expect("the log opens")
}

/// Submits and waits.
fn ask(submit: impl FnOnce(Done)) -> Result<(), Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    submit(Box::new(move |result| sender.send(result).expect("the test waits")));
    receiver.recv().expect("every submission is answered")
}

fn entries(term: u64, indexes: std::ops::Range<u64>, length: usize) -> Vec<(Position, Bytes)> {
    indexes.map(|index| (Position::new(term, index), Bytes::from(vec![index as u8; length]))).collect()
}

fn append(log: &Log, group: GroupId, term: u64, indexes: std::ops::Range<u64>) -> Result<(), Error> {
    ask(|done| log.append(group, entries(term, indexes, 100), done))
}

fn indexes(log: &Log, group: GroupId, from: u64) -> Vec<u64> {
    let read = log.read(group, from, u64::MAX, usize::MAX).expect("it can be read");
    read.into_iter().map(|(position, _)| position.index).collect()
}

fn segments(disk: &MemoryFiles, lane: &str) -> Vec<PathBuf> {
    let dir = Path::new("/log").join(lane);
    disk.list(&dir).expect("a lane is a directory").into_iter().map(|name| dir.join(name)).collect()
}

#[test]
fn what_was_appended_is_read_in_the_bounds_asked_for() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..60).expect("appended");
    append(&log, G, 3, 60..100).expect("appended");
    let mut log = Some(log);
    for _ in 0..2 {
        let log = log.take().unwrap_or_else(|| opened(&disk));
        assert_eq!(log.groups(), [G]);
        assert_eq!(indexes(&log, G, 0), (0..100).collect::<Vec<_>>());
        let read = log.read(G, 58, 62, usize::MAX).expect("it can be read");
        let terms: Vec<_> = read.iter().map(|(position, _)| position.term).collect();
        assert_eq!(terms, [1, 1, 3, 3]);
        assert_eq!(read[0].1, vec![58; 100]);
        for (bytes_max, count) in [(0, 1), (99, 1), (100, 1), (199, 1), (200, 2), (1000, 10)] {
            let read = log.read(G, 5, u64::MAX, bytes_max).expect("it can be read");
            assert_eq!(read.len(), count, "with {bytes_max} bytes");
        }
        assert!(log.read(G, 100, u64::MAX, 1).expect("nothing is there").is_empty());
        assert!(log.read(GroupId(8), 0, u64::MAX, 1).expect("nothing is there").is_empty());
        assert_eq!(log.term_of(G, 60).expect("it is there"), Some(3));
        assert_eq!(log.term_of(G, 100).expect("it is not there"), None);
    }
}

#[test]
fn below_the_floor_is_trimmed_and_the_floor_may_jump() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..10).expect("appended");
    ask(|done| log.trim(G, Position::new(1, 4), done)).expect("trimmed");
    assert!(matches!(log.read(G, 4, 9, 1), Err(Error::Trimmed { floor: Position { index: 4, .. }, .. })));
    assert_eq!(indexes(&log, G, 5), [5, 6, 7, 8, 9]);
    assert_eq!(log.term_of(G, 4).expect("the floor's term is known"), Some(1));
    assert!(log.term_of(G, 3).is_err());
    ask(|done| log.trim(G, Position::new(1, 2), done)).expect("the floor does not move back");
    ask(|done| log.trim(G, Position::new(5, 99), done)).expect("a snapshot is beyond the last entry");
    drop(log);
    let log = opened(&disk);
    let state = log.state(G).expect("the group is known");
    assert_eq!(state.last, Some(Position::new(5, 99)));
    assert_eq!((state.floor, state.first_index), (state.last, 100));
    append(&log, G, 5, 100..102).expect("it goes on behind the floor");
    assert_eq!(indexes(&log, G, 100), [100, 101]);
}

#[test]
fn hard_state_survives_and_a_removed_group_does_not() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..10).expect("appended");
    ask(|done| log.save_vote(G, Bytes::from_static(b"me"), done)).expect("saved");
    ask(|done| log.set_lane(G, Lane::Stream, done)).expect("set");
    append(&log, G, 1, 10..12).expect("appended");
    ask(|done| log.truncate(G, Some(Position::new(1, 8)), done)).expect("truncated");
    ask(|done| log.save_vote(GroupId(8), Bytes::from_static(b"you"), done)).expect("saved");
    ask(|done| log.remove(GroupId(8), done)).expect("removed");
    drop(log);
    let log = opened(&disk);
    assert_eq!(log.groups(), [G]);
    let state = log.state(G).expect("the group is known");
    assert_eq!(state.vote.as_deref(), Some(&b"me"[..]));
    assert_eq!((state.lane, state.last, state.floor), (Lane::Stream, Some(Position::new(1, 8)), None));
    assert_eq!(log.state(GroupId(8)), None);
}

#[test]
#[should_panic(expected = "has the next index")]
fn a_gap_is_a_bug() {
    let log = opened(&MemoryFiles::new());
    log.append(G, entries(1, 0..3, 1), Box::new(|_| {}));
    log.append(G, entries(1, 4..5, 1), Box::new(|_| {}));
}

#[test]
#[should_panic(expected = "terms do not fall")]
fn a_falling_term_is_a_bug() {
    let log = opened(&MemoryFiles::new());
    log.append(G, entries(2, 0..3, 1), Box::new(|_| {}));
    log.append(G, entries(1, 3..4, 1), Box::new(|_| {}));
}

#[test]
fn trimmed_segments_go_round_and_an_idle_group_holds_only_its_own() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, GroupId(1), 1, 0..3).expect("appended");
    for at in 0..200 {
        append(&log, G, 1, at * 10..at * 10 + 10).expect("appended");
        ask(|done| log.trim(G, Position::new(1, at * 10 + 4), done)).expect("trimmed");
    }
    let stats = log.stats();
    assert!(stats.rolls > 30 && stats.freed > 30, "segments were made and freed: {stats:?}");
    assert!(stats.plain.segments <= 4, "few are held: {stats:?}");
    assert_eq!(disk.list(Path::new("/log/spare")).expect("it lists").len() as u64, stats.spares);
    assert_eq!(indexes(&log, GroupId(1), 0), [0, 1, 2]);
    ask(|done| log.remove(GroupId(1), done)).expect("removed");
    assert!(log.stats().plain.segments < stats.plain.segments, "what it held is free");
}

#[test]
fn lanes_do_not_hold_each_other() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    ask(|done| log.set_lane(GroupId(1), Lane::Stream, done)).expect("set");
    for at in 0..100 {
        append(&log, GroupId(1), 1, at..at + 1).expect("appended");
        append(&log, G, 1, at * 10..at * 10 + 10).expect("appended");
        ask(|done| log.trim(G, Position::new(1, at * 10 + 9), done)).expect("trimmed");
    }
    let stats = log.stats();
    assert!(stats.plain.segments <= 2, "the plain lane is trimmed: {stats:?}");
    assert!(stats.stream.segments >= 3, "the stream lane is not: {stats:?}");
    drop(log);
    assert_eq!(indexes(&opened(&disk), GroupId(1), 0).len(), 100);
}

#[test]
fn of_two_lanes_the_newer_entries_count() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..5).expect("appended");
    ask(|done| log.set_lane(G, Lane::Stream, done)).expect("set");
    append(&log, G, 1, 5..9).expect("appended");
    ask(|done| log.truncate(G, Some(Position::new(1, 4)), done)).expect("truncated");
    ask(|done| log.set_lane(G, Lane::Plain, done)).expect("set");
    ask(|done| log.append(G, entries(1, 5..8, 7), done)).expect("appended");
    // Seal both, so that what counts must be told from the footers.
    ask(|done| log.set_lane(GroupId(8), Lane::Stream, done)).expect("set");
    for at in 0..20 {
        append(&log, GroupId(8), 1, at * 4..at * 4 + 4).expect("appended");
        append(&log, GroupId(9), 1, at * 4..at * 4 + 4).expect("appended");
    }
    let mut log = Some(log);
    for _ in 0..2 {
        let log = log.take().unwrap_or_else(|| opened(&disk));
        assert!(log.stats().plain.segments.min(log.stats().stream.segments) > 1, "both are sealed");
        let read = log.read(G, 0, u64::MAX, usize::MAX).expect("it can be read");
        let lengths: Vec<_> = read.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lengths, [100, 100, 100, 100, 100, 7, 7, 7]);
    }
}

#[test]
fn an_append_larger_than_a_segment_has_one_of_its_own() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..2).expect("appended");
    ask(|done| log.append(G, entries(1, 2..5, 40_000), done)).expect("appended");
    append(&log, G, 1, 5..100).expect("appended");
    let mut log = Some(log);
    for _ in 0..2 {
        let log = log.take().unwrap_or_else(|| opened(&disk));
        assert_eq!(indexes(&log, G, 0).len(), 100);
        assert_eq!(log.read(G, 3, 4, 1).expect("it can be read")[0].1.len(), 40_000);
    }
}

#[test]
fn a_directory_has_one_log() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    assert!(matches!(open(&disk), Err(Error::Locked { .. })));
    log.close();
    drop(opened(&disk));
    opened(&disk);
}

#[test]
fn a_file_that_does_not_belong_is_refused() {
    let disk = MemoryFiles::new();
    append(&opened(&disk), G, 1, 0..3).expect("appended");
    let path = segments(&disk, "plain").remove(0);
    disk.rename(&path, Path::new("/log/stream/0000000000000001.segment")).expect("renames");
    assert!(matches!(open(&disk), Err(Error::WrongDirectory { .. })));
}

/// A log with some segments of one group, closed.
fn several_segments() -> (MemoryFiles, Vec<PathBuf>) {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    for at in 0..30 {
        append(&log, G, 1, at * 5..at * 5 + 5).expect("appended");
    }
    let paths = segments(&disk, "plain");
    assert!(paths.len() > 3, "there are several segments");
    (disk, paths)
}

#[test]
fn a_flipped_bit_in_a_sealed_segment_is_found_and_named() {
    let (_, paths) = several_segments();
    for at in (0..4096).step_by(3) {
        let (disk, _) = several_segments();
        disk.flip(&paths[1], at).expect("it flips");
        let found = open(&disk).and_then(|log| log.read(G, 0, u64::MAX, usize::MAX));
        match found {
            Err(Error::Corrupt { file, group, .. }) => {
                assert_eq!(file, paths[1], "the damaged file is named");
                assert!(group.is_none_or(|group| group == G), "the group is named, if known");
            }
            Err(error) => {
                assert!(matches!(&error, Error::WrongDirectory { file, .. } if *file == paths[1]), "{error}");
            }
            // Padding, a checkpoint nobody needs any more, or frames' neighbourhood.
            Ok(read) => assert_eq!(read.len(), 150, "with a flip at {at} nothing is lost"),
        }
    }
}

#[test]
fn a_flipped_bit_before_later_writes_is_damage_and_not_a_torn_tail() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..5).expect("appended");
    append(&log, GroupId(8), 1, 0..5).expect("appended");
    drop(log);
    let path = segments(&disk, "plain").remove(0);
    disk.flip(&path, 64 + 100).expect("it flips");
    let error = open(&disk).expect_err("it is damaged");
    let Error::Corrupt { file, offset, group, .. } = &error else { panic!("it is damaged: {error}") };
    assert_eq!((file, *offset, *group), (&path, 64, Some(G)));
    assert!(error.is_fatal());
    assert!(error.to_string().contains("as a new node"), "it says what to do: {error}");
}

#[test]
fn a_torn_tail_is_cut_and_written_over() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..5).expect("appended");
    drop(log);
    let path = segments(&disk, "plain").remove(0);
    // The write is torn: its first sectors are missing, later ones are there.
    let log = opened_to_be_told(&disk);
    let (first, second) = (entries(1, 5..10, 300), entries(1, 10..12, 300));
    log.append(G, first.clone(), Box::new(|_| {}));
    log.append(G, second, Box::new(|_| {}));
    let before = disk.open(&path).expect("opens").length().expect("it has a length");
    log.0.pump();
    drop(log);
    let file = disk.open(&path).expect("opens");
    file.write_at(before.next_multiple_of(512), &[0; 512]).expect("writes");
    file.sync_data().expect("syncs");
    let log = opened(&disk);
    assert_eq!(indexes(&log, G, 0), [0, 1, 2, 3, 4]);
    // The same bytes again, and what followed them must not come back to life.
    ask(|done| log.append(G, first, done)).expect("appended");
    drop(log);
    assert_eq!(indexes(&opened(&disk), G, 0).len(), 10);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    append(&log, G, 1, 0..5).expect("appended");
    disk.fail_sync(disk.syncs());
    let error = append(&log, G, 1, 5..6).expect_err("it is not durable");
    assert!(matches!(error, Error::Fatal { .. }) && error.is_fatal());
    assert!(append(&log, GroupId(8), 1, 0..1).expect_err("nothing is taken any more").is_fatal());
    assert_eq!(indexes(&log, G, 0)[..5], [0, 1, 2, 3, 4]);
    drop(log);
    disk.crash(Crash::Nothing);
    assert_eq!(indexes(&opened(&disk), G, 0), [0, 1, 2, 3, 4]);
}

#[test]
fn a_full_disk_refuses_appends_and_a_trim_makes_space() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    disk.set_capacity(Some(40_000));
    let mut next = 0;
    let error = loop {
        match append(&log, G, 1, next..next + 5) {
            Ok(()) => next += 5,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full { .. }) && error.is_unavailable() && !error.is_fatal());
    assert!(next > 100 && log.stats().full);
    assert_eq!(log.state(G).expect("known").last, Some(Position::new(1, next - 1)));
    assert_eq!(indexes(&log, G, 0).len() as u64, next, "all that was acknowledged can be read");
    assert!(append(&log, GroupId(8), 1, 0..1).is_err(), "no group appends");
    ask(|done| log.trim(G, Position::new(1, next - 10), done)).expect("a trim is taken");
    for _ in 0..20 {
        append(&log, G, 1, next..next + 5).expect("there is space again");
        next += 5;
        ask(|done| log.trim(G, Position::new(1, next - 10), done)).expect("a trim is taken");
    }
    assert!(!log.stats().full);
}

#[test]
fn a_look_at_a_disk_with_room_again_ends_the_refusal() {
    let disk = MemoryFiles::new();
    let log = opened(&disk);
    disk.set_capacity(Some(20_000));
    while append(
        &log,
        G,
        1,
        log.state(G).and_then(|state| state.last).map_or(0..5, |last| last.index + 1..last.index + 6),
    )
    .is_ok()
    {}
    log.look_at_disk();
    assert!(log.is_full());
    // Whoever asks first whether it is full sends no append that would find out.
    disk.set_capacity(None);
    log.look_at_disk();
    assert!(!log.is_full());
}

#[test]
fn a_disk_full_at_any_byte_loses_nothing() {
    let mut refusals = 0;
    for seed in 0..60 {
        let disk = MemoryFiles::new();
        let mut random = Random(seed);
        let mut workload = Workload::new();
        let log = opened_to_be_told(&disk);
        workload.run(&log, &disk, &mut random, 20);
        for _ in 0..10 {
            disk.set_capacity(Some(disk.used_bytes() + random.below(8_000)));
            workload.run(&log, &disk, &mut random, 30);
            let errors = workload.errors();
            assert!(errors.iter().all(Error::is_unavailable), "a full disk is not fatal: {errors:?}");
            refusals += usize::from(!errors.is_empty());
            workload.check_refused(&log);
            disk.set_capacity(None);
            workload.run(&log, &disk, &mut random, 10);
            assert!(workload.errors().is_empty(), "there is space again");
        }
        drop(log);
        disk.crash(Crash::Torn(seed));
        workload.check_recovered(&opened(&disk));
    }
    assert!(refusals > 300, "the disk was full often, not {refusals} times");
}

#[test]
fn writes_are_observed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let observer = Arc::new(move |batch: &WriteBatch| noted.lock().expect("no panic").push(*batch));
    let options = Options { observer: Some(observer), ..small() };
    let log = Log::open(Arc::new(MemoryFiles::new()), "/log", options).expect("the log opens");
    append(&log, G, 1, 0..5).expect("appended");
    let seen = seen.lock().expect("no panic");
    assert_eq!((seen.len(), seen[0].lane, seen[0].frames), (1, Lane::Plain, 1));
    assert_eq!(log.stats().bytes, seen[0].bytes as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Any sequence of operations leaves the log as the model says, open and opened again.
    #[test]
    fn the_log_does_as_the_model(steps in proptest::collection::vec(any::<u64>(), 0..300), every in 1..50_usize) {
        let disk = MemoryFiles::new();
        let mut workload = Workload::new();
        let mut log = opened(&disk);
        for (at, step) in steps.iter().enumerate() {
            workload.step(&log, &mut Random(*step));
            prop_assert!(workload.errors().is_empty());
            workload.check_submitted(&log);
            if at % every == 0 {
                drop(log);
                log = opened(&disk);
                workload.check_submitted(&log);
            }
        }
    }
}

/// Writers, readers and a trimmer at once, on real files, with segments small enough to roll all the time.
#[test]
fn threads_get_along() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        segment_bytes: 64 << 10,
        tail_bytes_max: 32 << 10,
        queue_bytes_max: 16 << 10,
        free_bytes_min: 0,
        writing: Writing::Threads,
        ..small()
    };
    let log = Log::open(Arc::new(StdFiles), dir.path(), options.clone()).expect("the log opens");
    let (groups, count) = (4_u64, 2000_u64);
    thread::scope(|scope| {
        for group in (0..groups).map(GroupId) {
            let log = &log;
            scope.spawn(move || write_and_trim(log, group, count));
            scope.spawn(move || follow(log, group, count));
        }
    });
    let stats = log.stats();
    assert!(stats.rolls > 5 && stats.freed > 0, "segments came and went: {stats:?}");
    log.close();
    let log = Log::open(Arc::new(StdFiles), dir.path(), options).expect("the log opens");
    for group in (0..groups).map(GroupId) {
        let first = log.state(group).expect("known").first_index;
        assert_eq!(indexes(&log, group, first), (first..count).collect::<Vec<_>>());
    }
}

fn write_and_trim(log: &Log, group: GroupId, count: u64) {
    let acknowledged = Arc::new(Mutex::new(0));
    for index in 0..count {
        let acknowledged = acknowledged.clone();
        let done = move |result: Result<(), Error>| {
            result.expect("it is durable");
            let mut next = acknowledged.lock().expect("no panic");
            assert_eq!(*next, index, "a group is acknowledged in order");
            *next += 1;
        };
        log.append(group, entries(1, index..index + 1, 200), Box::new(done));
        if index % 300 == 299 {
            ask(|done| log.trim(group, Position::new(1, index - 200), done)).expect("trimmed");
            let lane = if index % 600 == 599 { Lane::Stream } else { Lane::Plain };
            ask(|done| log.set_lane(group, lane, done)).expect("set");
        }
    }
    ask(|done| log.sync(done)).expect("synced");
    assert_eq!(*acknowledged.lock().expect("no panic"), count);
}

fn follow(log: &Log, group: GroupId, count: u64) {
    let mut next = 0;
    while next < count {
        match log.read(group, next, u64::MAX, 4000) {
            Ok(read) => {
                for (position, bytes) in read {
                    assert_eq!((position.index, bytes.len()), (next, 200));
                    assert!(bytes.iter().all(|byte| *byte == next as u8), "the bytes are those of {next}");
                    next += 1;
                }
            }
            Err(Error::Trimmed { floor, .. }) => next = floor.index + 1,
            Err(error) => panic!("group {group} cannot be read at {next}: {error}"),
        }
        thread::yield_now();
    }
}

/// The disk fills and empties under several writers: each knows at any time what it has, and goes on.
#[test]
fn a_full_disk_under_threads_loses_nothing() {
    let disk = MemoryFiles::new();
    let options = Options { writing: Writing::Threads, queue_bytes_max: 4096, ..small() };
    let log = Log::open(Arc::new(disk.clone()), "/log", options).expect("the log opens");
    let refusals = thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|group| {
                scope.spawn({
                    let log = &log;
                    move || insist(log, GroupId(group))
                })
            })
            .collect();
        let mut random = Random(1);
        while !writers.iter().all(|writer| writer.is_finished()) {
            for capacity in [Some(disk.used_bytes() + random.below(30_000)), None] {
                disk.set_capacity(capacity);
                thread::sleep(std::time::Duration::from_millis(1)); // in turn, until the writers are done
            }
        }
        writers.into_iter().map(|writer| writer.join().expect("no panic")).sum::<u64>()
    });
    assert!(refusals > 0, "the disk was full sometimes");
    log.close();
    disk.crash(Crash::Nothing);
    let log = opened(&disk);
    for group in (0..4).map(GroupId) {
        assert_eq!(indexes(&log, group, 0), (0..500).collect::<Vec<_>>());
    }
}

/// Appends 500 entries, each again from where the log is after a refusal. Returns how often it was refused.
fn insist(log: &Log, group: GroupId) -> u64 {
    let (mut refused, mut acknowledged) = (0, 0);
    while acknowledged < 500 {
        let end = 500.min(acknowledged + 3);
        match append(log, group, 1, acknowledged..end) {
            Ok(()) => acknowledged = end,
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                refused += 1;
                thread::yield_now();
            }
        }
        let next = log.state(group).and_then(|state| state.last).map_or(0, |last| last.index + 1);
        assert_eq!(next, acknowledged, "the log has what was acknowledged, and no more");
    }
    refused
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Log::open(Arc::new(StdFiles), dir.path(), Options::default());
    let log = open().expect("the log opens");
    assert!(matches!(open(), Err(Error::Locked { .. })));
    log.close();
    open().expect("the log opens again");
}
