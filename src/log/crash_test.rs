//! Crash tests. A workload over several groups and both lanes, with segments so small that it rolls, seals
//! and recycles all the time. For every sync it makes: crash there, start again, and each group must be as it
//! was after some operation submitted for it, not before the last acknowledged one. Then go on, and crash again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{Crash, Done, Error, GroupState, Lane, Log, MemoryFiles, Options, Writing};
use crate::model::id::{GroupId, Position};

/// Options without threads, with tiny segments and tails.
pub(super) fn small() -> Options {
    Options {
        segment_bytes: 4096,
        tail_bytes_max: 1500,
        free_bytes_min: 0,
        writing: Writing::Inline,
        clock: Arc::new(|| Duration::ZERO),
        ..Options::default()
    }
}

/// Writes only when it is told.
pub(super) fn told() -> Options {
    Options { writing: Writing::Later(Arc::new(drop)), ..small() }
}

/// splitmix64.
pub(super) struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

/// A group as it should be. The default is one that does not exist.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    vote: Option<Bytes>,
    floor: Option<Position>,
    last: Option<Position>,
    stream: bool,
    entries: BTreeMap<u64, (u64, Bytes)>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vote, floor, last, stream, entries } = self;
        write!(f, "{vote:?} floor {floor:?} last {last:?} stream {stream}:")?;
        for (index, (term, bytes)) in entries {
            write!(f, " {term}-{index} {}x{:?}", bytes.len(), bytes.first())?;
        }
        Ok(())
    }
}

/// What was submitted for a group: its state after each operation, the first one before any.
struct History {
    states: Vec<Group>,
    /// How many of them are acknowledged.
    acknowledged: Arc<AtomicU64>,
}

/// Drives a log and knows what it should hold.
pub(super) struct Workload {
    groups: BTreeMap<GroupId, History>,
    term: u64,
    /// The group of the last step, which is likely to be that of the next one.
    hot: u64,
    failed: Arc<AtomicBool>,
    errors: Arc<Mutex<Vec<Error>>>,
}

impl Workload {
    pub fn new() -> Self {
        let groups = (0..5).map(|group| (GroupId(group), History::of(Group::default()))).collect();
        Self { groups, term: 1, hot: 0, failed: Arc::default(), errors: Arc::default() }
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub fn errors(&self) -> Vec<Error> {
        std::mem::take(&mut self.errors.lock().expect("no test panics holding it"))
    }

    /// Submits one random operation, then notes what it should have led to.
    pub fn step(&mut self, log: &Log, random: &mut Random) {
        if random.below(12) == 0 {
            self.term += 1;
        }
        if random.below(2) == 0 {
            self.hot = random.below(self.groups.len() as u64);
        }
        let id = GroupId(self.hot);
        let term = self.term;
        let history = self.groups.get_mut(&id).expect("a group below the count");
        let mut group = history.last().clone();
        let done = history.done(1, &self.failed, &self.errors);
        match random.below(20) {
            0..9 => {
                // A crash may keep the first entries of an append: each makes a state of its own.
                let (entries, states) = group.append(term, random);
                let done = history.done(states.len(), &self.failed, &self.errors);
                history.states.extend(states);
                return log.append(id, entries, done);
            }
            9..12 => {
                let after = group.truncate(random);
                log.truncate(id, after, done);
            }
            12..14 => {
                let vote = Bytes::from(format!("vote {term} {}", random.below(1000)));
                group.vote = Some(vote.clone());
                log.save_vote(id, vote, done);
            }
            14..17 => match group.trim(term, random) {
                Some(upto) => log.trim(id, upto, done),
                None => log.sync(done),
            },
            17..19 => {
                group.stream = random.below(2) == 0;
                log.set_lane(id, if group.stream { Lane::Stream } else { Lane::Plain }, done);
            }
            _ if random.below(3) == 0 => {
                group = Group::default();
                log.remove(id, done);
            }
            _ => log.sync(done),
        }
        history.states.push(group);
    }

    /// Submits several operations that become one batch.
    pub fn batch(&mut self, log: &Log, random: &mut Random) {
        for _ in 0..=random.below(8) {
            self.step(log, random);
        }
        log.0.pump();
    }

    /// Runs until something fails or the machine stops, or so many batches long.
    pub fn run(&mut self, log: &Log, disk: &MemoryFiles, random: &mut Random, batches: u64) {
        for _ in 0..batches {
            self.batch(log, random);
            if self.has_failed() || disk.has_crashed() {
                return;
            }
            self.check_submitted(log);
        }
    }

    /// The log shows what was submitted.
    pub fn check_submitted(&self, log: &Log) {
        for (id, history) in &self.groups {
            assert_eq!(&observe(log, *id), history.last(), "group {id} as submitted");
        }
    }

    /// After a crash: each group is in one of the states it may be in, which is where it goes on from.
    pub fn check_recovered(&mut self, log: &Log) {
        for (id, history) in &mut self.groups {
            let found = observe(log, *id);
            let acknowledged = history.acknowledged.load(Ordering::SeqCst) as usize;
            let possible = &history.states[acknowledged..];
            assert!(possible.contains(&found), "group {id} is {found:?}, and not one of {possible:#?}");
            *history = History::of(found);
        }
        self.failed = Arc::default();
    }

    /// As after a refusal: what was not acknowledged did not happen.
    pub fn check_refused(&mut self, log: &Log) {
        for (id, history) in &mut self.groups {
            let acknowledged = history.acknowledged.load(Ordering::SeqCst) as usize;
            assert_eq!(observe(log, *id), history.states[acknowledged], "group {id} as acknowledged");
            let state = history.states[acknowledged].clone();
            *history = History::of(state);
        }
        self.failed = Arc::default();
    }
}

impl History {
    fn of(group: Group) -> Self {
        Self { states: vec![group], acknowledged: Arc::default() }
    }

    fn last(&self) -> &Group {
        self.states.last().expect("a history has a first state")
    }

    /// Acknowledges the operation about to be submitted, which makes so many states. Those of one group are answered in order.
    fn done(&self, states: usize, failed: &Arc<AtomicBool>, errors: &Arc<Mutex<Vec<Error>>>) -> Done {
        let (failed, errors, acknowledged) = (failed.clone(), errors.clone(), self.acknowledged.clone());
        let number = (self.states.len() + states - 1) as u64;
        Box::new(move |result| match result {
            Ok(()) => {
                let before = acknowledged.swap(number, Ordering::SeqCst);
                assert!(before < number, "operations of a group are acknowledged in order");
            }
            Err(error) => {
                failed.store(true, Ordering::SeqCst);
                errors.lock().expect("no test panics holding it").push(error);
            }
        })
    }
}

impl Group {
    /// Entries to append, and the states of the group after each.
    fn append(&self, term: u64, random: &mut Random) -> (Vec<(Position, Bytes)>, Vec<Self>) {
        let mut group = self.clone();
        let (mut entries, mut states) = (Vec::new(), Vec::new());
        let mut entry_term = self.last.map_or(0, |last| last.term).max(term - random.below(term.min(2)));
        for _ in 0..=random.below(4) {
            let index = group.last.map_or(0, |last| last.index + 1);
            if random.below(8) == 0 {
                entry_term = entry_term.max(term);
            }
            let byte = random.below(256) as u8;
            let bytes = Bytes::from(vec![byte; random.below(250) as usize]);
            group.last = Some(Position::new(entry_term, index));
            group.entries.insert(index, (entry_term, bytes.clone()));
            entries.push((Position::new(entry_term, index), bytes));
            states.push(group.clone());
        }
        (entries, states)
    }

    fn position(&self, index: u64) -> Option<Position> {
        match self.entries.get(&index) {
            Some((term, _)) => Some(Position::new(*term, index)),
            None => self.floor.filter(|floor| floor.index == index),
        }
    }

    fn truncate(&mut self, random: &mut Random) -> Option<Position> {
        let first = self.floor.map_or(0, |floor| floor.index + 1);
        let end = self.last.map_or(0, |last| last.index + 1);
        // Mostly near the end, so that the log becomes longer than a segment.
        let range = if random.below(5) == 0 { end - first } else { (end - first).min(5) };
        let cut = end - random.below(range + 1);
        let after = cut.checked_sub(1).and_then(|index| self.position(index));
        self.entries.split_off(&cut);
        self.last = after;
        after
    }

    fn trim(&mut self, term: u64, random: &mut Random) -> Option<Position> {
        let first = self.floor.map_or(0, |floor| floor.index + 1);
        let end = self.last.map_or(0, |last| last.index + 1);
        let upto = match random.below(6) {
            0 if random.below(3) == 0 => {
                Position::new(term.max(self.last.map_or(0, |last| last.term)), end + random.below(5))
            }
            1 => self.position(first + random.below((end - first).max(1)))?,
            _ => self.position(first + random.below((end - first).clamp(1, 6)))?,
        };
        self.floor = Some(upto);
        if end <= upto.index {
            self.last = Some(upto);
        }
        self.entries = self.entries.split_off(&(upto.index + 1));
        Some(upto)
    }
}

/// What the log says of a group.
pub(super) fn observe(log: &Log, id: GroupId) -> Group {
    let Some(GroupState { vote, floor, last, lane, first_index }) = log.state(id) else {
        return Group::default();
    };
    let mut entries = BTreeMap::new();
    let mut next = first_index;
    loop {
        let read = log.read(id, next, u64::MAX, 300).expect("what is in the log can be read");
        if read.is_empty() {
            break;
        }
        for (position, bytes) in read {
            assert_eq!(position.index, next, "reading has no gap");
            assert_eq!(
                log.term_of(id, next).expect("it is not trimmed"),
                Some(position.term),
                "the term is that of the entry"
            );
            entries.insert(next, (position.term, bytes));
            next += 1;
        }
    }
    assert_eq!(next, last.map_or(0, |last| last.index + 1), "everything up to the last can be read");
    Group { vote, floor, last, stream: lane == Lane::Stream, entries }
}

fn open(disk: &MemoryFiles) -> Result<Log, Error> {
    Log::open(Arc::new(disk.clone()), "/log", told())
}

/// One life of the node: crashes at the sync with this number, if it gets there, and starts again.
fn live(
    disk: &MemoryFiles,
    workload: &mut Workload,
    random: &mut Random,
    crash_at: Option<u64>,
    crash: Crash,
) {
    if let Some(sync) = crash_at {
        disk.crash_at_sync(disk.syncs() + sync);
    }
    match open(disk) {
        Ok(log) => {
            workload.check_recovered(&log);
            workload.run(&log, disk, random, 40);
        }
        Err(error) => assert!(disk.has_crashed(), "the log opens: {error}"),
    }
    disk.crash(crash);
    let log = open(disk).expect("the log recovers");
    workload.check_recovered(&log);
}

/// How many syncs one life takes.
fn syncs_of_a_life(seed: u64) -> u64 {
    let disk = MemoryFiles::new();
    let mut workload = Workload::new();
    live(&disk, &mut workload, &mut Random(seed), None, Crash::Everything);
    disk.syncs()
}

fn crash_everywhere(seed: u64) {
    let syncs = syncs_of_a_life(seed);
    assert!(syncs > 100, "the workload syncs often, not {syncs} times");
    for sync in 0..syncs {
        for crash in [Crash::Nothing, Crash::Everything, Crash::Torn(sync), Crash::Torn(!sync)] {
            let disk = MemoryFiles::new();
            let mut workload = Workload::new();
            let mut random = Random(seed);
            live(&disk, &mut workload, &mut random, Some(sync), crash);
            let again = random.below(syncs);
            live(&disk, &mut workload, &mut random, Some(again), Crash::Torn(sync + 1));
            live(&disk, &mut workload, &mut random, None, Crash::Nothing);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_invented_at_any_sync() {
    crash_everywhere(1);
}

#[test]
fn nor_with_another_workload() {
    crash_everywhere(2);
}

/// What the tests above rely on.
#[test]
fn the_workload_rolls_and_recycles_in_both_lanes() {
    let disk = MemoryFiles::new();
    let log = open(&disk).expect("the log opens");
    Workload::new().run(&log, &disk, &mut Random(1), 60);
    let stats = log.stats();
    assert!(stats.rolls > 10 && stats.freed > 5, "{stats:?}");
    assert!(stats.plain.segments > 0 && stats.stream.segments > 0, "{stats:?}");
    assert!(2 * stats.frames > 3 * stats.batches, "batches hold several frames: {stats:?}");
}

/// Hours of the above: `cargo test --release -- --ignored more_seeds`.
#[test]
#[ignore = "takes long"]
fn more_seeds() {
    (3..60).for_each(crash_everywhere);
}

/// Many crashes in a row on one disk, each tearing what the last one left.
#[test]
fn crashes_add_up() {
    for seed in 0..40 {
        let disk = MemoryFiles::new();
        let mut workload = Workload::new();
        let mut random = Random(seed);
        for life in 0..30 {
            let at = random.below(60);
            live(&disk, &mut workload, &mut random, Some(at), Crash::Torn(seed * 1000 + life));
        }
    }
}
