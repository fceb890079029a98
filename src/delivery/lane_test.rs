//! Lanes, step by step, and against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn number(index: u64) -> SequenceNumber {
    SequenceNumber { generation: 0, index, ordinal: 0 }
}

fn parcel(index: u64, created_ms: u64) -> Parcel {
    Parcel { number: number(index), created_ms, event: format!("{{\"n\":{index}}}").into() }
}

fn settings() -> Settings {
    Settings { batch_size: 3, retries_max: Some(1), ..Settings::default() }
}

const RETENTION_MS: u64 = 86_400_000;

fn lane(settings: &Settings) -> Lane {
    Lane::new(Rules::new(settings, RETENTION_MS), LaneProgress::default())
}

fn offer(lane: &mut Lane, indexes: std::ops::Range<u64>, now_ms: u64) {
    for index in indexes {
        lane.offer(parcel(index, now_ms), now_ms);
    }
}

/// The indexes a lane wants to be called with now.
fn call(lane: &mut Lane, now_ms: u64) -> Vec<u64> {
    match lane.step(now_ms) {
        Step::Call(batch) => batch.parcels.iter().map(|parcel| parcel.number.index).collect(),
        step => panic!("no call: {step:?}"),
    }
}

fn delivered() -> Verdict {
    Verdict::Delivered { state: Bytes::new() }
}

fn failed() -> Verdict {
    Verdict::Failed(Failure::new("no"))
}

#[test]
fn without_a_window_what_is_there_goes_at_once() {
    let mut lane = lane(&settings());
    assert_eq!(lane.step(0), Step::Wait(None));
    offer(&mut lane, 0..5, 0);
    assert_eq!(call(&mut lane, 0), [0, 1, 2], "no more than a batch");
    assert_eq!(lane.step(0), Step::Wait(None), "one after the other");
    lane.answered(delivered(), 0);
    assert_eq!(call(&mut lane, 0), [3, 4]);
    lane.answered(delivered(), 0);
    lane.end();
    assert_eq!(lane.step(0), Step::Done);
    assert_eq!(lane.progress().next, Some(Cursor { index: 4, ordinal: 1 }));
}

#[test]
fn a_batch_gathers_until_its_window_ends_or_it_is_full() {
    let mut lane = lane(&Settings { batching_window_ms: 500, ..settings() });
    offer(&mut lane, 0..1, 100);
    assert_eq!(lane.step(100), Step::Wait(Some(600)));
    offer(&mut lane, 1..2, 400);
    assert_eq!(lane.step(400), Step::Wait(Some(600)));
    assert_eq!(call(&mut lane, 600), [0, 1]);
    offer(&mut lane, 2..3, 650);
    lane.answered(delivered(), 700);
    assert_eq!(lane.step(700), Step::Wait(Some(1200)), "the next window begins with the end of the call");
    offer(&mut lane, 3..5, 800);
    assert_eq!(call(&mut lane, 800), [2, 3, 4], "full");
    lane.answered(delivered(), 900);
    offer(&mut lane, 5..6, 1000);
    lane.hurry();
    assert_eq!(call(&mut lane, 1000), [5], "there is no room to gather in");
    lane.answered(delivered(), 1000);
    offer(&mut lane, 6..7, 1000);
    lane.end();
    assert_eq!(call(&mut lane, 1000), [6], "nothing more will come");
}

#[test]
fn a_batch_is_no_larger_than_a_call_may_be() {
    let mut lane = lane(&Settings { batch_size: 10_000, ..settings() });
    for index in 0..5 {
        let event = Bytes::from(vec![b'x'; 2_000_000]);
        lane.offer(Parcel { event, ..parcel(index, 0) }, 0);
    }
    assert_eq!(call(&mut lane, 0), [0, 1]);
}

#[test]
fn a_batch_is_tried_as_often_as_allowed_and_then_given_up() {
    let mut lane = lane(&settings());
    offer(&mut lane, 0..4, 0);
    assert_eq!(call(&mut lane, 0), [0, 1, 2]);
    lane.answered(failed(), 10);
    assert_eq!(lane.step(10), Step::Wait(Some(110)));
    assert_eq!(lane.trouble().map(|(attempts, failure)| (attempts, failure.error.as_str())), Some((1, "no")));
    assert_eq!(call(&mut lane, 110), [0, 1, 2], "the same records, though there are more");
    lane.answered(failed(), 120);
    let Step::Discard(batch, condition, failure) = lane.step(120) else { panic!("it was tried twice") };
    assert_eq!((batch.parcels.len(), batch.calls), (3, 2));
    assert_eq!((condition, failure), (Condition::RetryAttemptsExhausted, Some(Failure::new("no"))));
    assert_eq!(lane.step(120), Step::Wait(None), "until it has been told of");
    assert_eq!(lane.progress().next, Some(Cursor { index: 0, ordinal: 0 }), "it is not past it before");
    lane.discarded(130);
    assert_eq!(call(&mut lane, 130), [3]);
}

#[test]
fn what_was_not_called_for_does_not_count() {
    let mut lane = lane(&settings());
    offer(&mut lane, 0..1, 0);
    let mut now_ms = 0;
    for pause_ms in [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000] {
        assert_eq!(call(&mut lane, now_ms), [0]);
        lane.answered(Verdict::Busy(Failure::new("429")), now_ms);
        assert_eq!(lane.step(now_ms), Step::Wait(Some(now_ms + pause_ms)));
        now_ms += pause_ms;
    }
    assert_eq!(lane.progress().tries, [], "it was never called for");
}

#[test]
fn a_partial_failure_keeps_what_came_before() {
    let mut lane = lane(&Settings { retries_max: Some(3), ..settings() });
    offer(&mut lane, 0..3, 0);
    assert_eq!(call(&mut lane, 0), [0, 1, 2]);
    lane.answered(Verdict::FailedFrom(number(2)), 0);
    let mut now_ms = 0;
    for _ in 0..3 {
        now_ms += 100_000;
        assert_eq!(call(&mut lane, now_ms), [2]);
        lane.answered(Verdict::FailedFrom(number(2)), now_ms);
    }
    let Step::Discard(batch, ..) = lane.step(now_ms) else { panic!("three retries") };
    assert_eq!((batch.parcels.len(), batch.calls), (1, 4), "as recorded of AWS");
}

/// The indexes of each call until all have left, where a function fails if `is_poison`.
fn calls(lane: &mut Lane, report: bool, is_poison: impl Fn(u64) -> bool) -> (Vec<Vec<u64>>, Vec<u64>) {
    let (mut calls, mut given_up, mut now_ms) = (Vec::new(), Vec::new(), 0);
    loop {
        match lane.step(now_ms) {
            Step::Call(batch) => {
                let indexes: Vec<u64> = batch.parcels.iter().map(|parcel| parcel.number.index).collect();
                let verdict = match indexes.iter().find(|index| is_poison(**index)) {
                    None => delivered(),
                    Some(index) if report => Verdict::FailedFrom(number(*index)),
                    Some(_) => failed(),
                };
                calls.push(indexes);
                lane.answered(verdict, now_ms);
            }
            Step::Discard(batch, ..) => {
                given_up.extend(batch.parcels.iter().map(|parcel| parcel.number.index));
                lane.discarded(now_ms);
            }
            Step::Wait(Some(until_ms)) => now_ms = until_ms,
            Step::Wait(None) => panic!("nothing would ever happen"),
            Step::Done => return (calls, given_up),
        }
    }
}

#[test]
fn bisecting_finds_the_record_that_fails() {
    for report in [false, true] {
        let settings = Settings { batch_size: 8, bisect: true, retries_max: Some(0), ..settings() };
        let mut lane = lane(&settings);
        offer(&mut lane, 0..8, 0);
        lane.end();
        let (calls, given_up) = calls(&mut lane, report, |index| index == 5);
        assert_eq!(given_up, [5], "and only it");
        let expected: &[&[u64]] = match report {
            false => &[&[0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 2, 3], &[4, 5, 6, 7], &[4, 5], &[4], &[5], &[6, 7]],
            true => &[&[0, 1, 2, 3, 4, 5, 6, 7], &[5, 6, 7], &[5], &[6, 7]],
        };
        assert_eq!(calls, expected);
    }
}

#[test]
fn records_that_are_too_old_are_given_up_one_by_one() {
    let mut lane = lane(&Settings { record_age_ms_max: Some(60_000), retries_max: None, ..settings() });
    lane.offer(parcel(0, 0), 0);
    lane.offer(parcel(1, 50_000), 50_000);
    assert_eq!(call(&mut lane, 50_000), [0, 1]);
    lane.answered(failed(), 50_000);
    let Step::Discard(batch, condition, _) = lane.step(60_001) else { panic!("the first is too old") };
    assert_eq!((batch.parcels.len(), condition), (1, Condition::RecordAgeExceeded));
    lane.discarded(60_001);
    assert_eq!(call(&mut lane, 60_001), [1], "the second is not");
}

#[test]
fn without_a_limit_of_age_the_stream_has_one() {
    let mut lane = lane(&Settings { retries_max: None, ..settings() });
    offer(&mut lane, 0..1, 0);
    assert_eq!(call(&mut lane, RETENTION_MS), [0]);
    lane.answered(failed(), RETENTION_MS);
    assert!(matches!(lane.step(RETENTION_MS + 1), Step::Discard(_, Condition::RecordAgeExceeded, _)));
}

/// A window of the call, and the indexes.
fn window_call(lane: &mut Lane, now_ms: u64) -> (u64, bool, String, Vec<u64>) {
    match lane.step(now_ms) {
        Step::Call(Batch { parcels, window: Some(window), .. }) => {
            let state = String::from_utf8(window.state.to_vec()).expect("text");
            (
                window.start_ms,
                window.is_final,
                state,
                parcels.iter().map(|parcel| parcel.number.index).collect(),
            )
        }
        step => panic!("no call in a window: {step:?}"),
    }
}

fn state(text: &'static str) -> Verdict {
    Verdict::Delivered { state: Bytes::from_static(text.as_bytes()) }
}

#[test]
fn a_tumbling_window_carries_its_state_to_its_last_call() {
    let mut lane = lane(&Settings { tumbling_ms: 1000, ..settings() });
    lane.offer(parcel(0, 5_100), 5_100);
    assert_eq!(window_call(&mut lane, 5_100), (5_000, false, "{}".to_owned(), vec![0]));
    lane.answered(state("{\"a\":1}"), 5_200);
    lane.offer(parcel(1, 5_900), 5_900);
    lane.offer(parcel(2, 7_000), 7_000);
    assert_eq!(window_call(&mut lane, 7_000), (5_000, false, "{\"a\":1}".to_owned(), vec![1]));
    assert_eq!(lane.progress().next, Some(Cursor { index: 0, ordinal: 0 }), "the window would begin anew");
    lane.answered(state("{\"a\":2}"), 7_000);
    assert_eq!(window_call(&mut lane, 7_000), (5_000, true, "{\"a\":2}".to_owned(), vec![]));
    lane.answered(state("{}"), 7_100);
    assert_eq!(
        window_call(&mut lane, 7_100),
        (7_000, false, "{}".to_owned(), vec![2]),
        "windows without records are none"
    );
    assert_eq!(lane.progress().next, Some(Cursor { index: 2, ordinal: 0 }));
    lane.answered(state("{\"a\":9}"), 7_100);
    assert_eq!(lane.step(7_200), Step::Wait(Some(9_000)));
    lane.drained(8_900);
    assert_eq!(lane.step(8_950), Step::Wait(Some(9_000)), "a record of the window may still come");
    lane.drained(9_000);
    assert_eq!(window_call(&mut lane, 9_001), (7_000, true, "{\"a\":9}".to_owned(), vec![]));
    lane.answered(failed(), 9_001);
    assert_eq!(
        window_call(&mut lane, 9_101),
        (7_000, true, "{\"a\":9}".to_owned(), vec![]),
        "also that is tried again"
    );
    lane.answered(state("{}"), 9_101);
    assert_eq!(lane.step(9_101), Step::Wait(None));
    assert_eq!(lane.progress().next, Some(Cursor { index: 2, ordinal: 1 }));
}

#[test]
fn a_window_with_too_much_state_is_closed_early() {
    let mut lane = lane(&Settings { tumbling_ms: 1000, ..settings() });
    lane.offer(parcel(0, 5_100), 5_100);
    window_call(&mut lane, 5_100);
    lane.offer(parcel(1, 5_200), 5_200);
    lane.answered(Verdict::Delivered { state: vec![b' '; STATE_BYTES_MAX + 1].into() }, 5_200);
    let Step::Call(Batch { window: Some(window), parcels, .. }) = lane.step(5_200) else { panic!("no call") };
    assert!(window.is_final && window.is_early && parcels.is_empty());
    lane.answered(state("{}"), 5_200);
    assert_eq!(window_call(&mut lane, 5_200), (5_000, false, "{}".to_owned(), vec![1]));
}

#[test]
fn the_end_of_a_shard_closes_its_window() {
    let mut lane = lane(&Settings { tumbling_ms: 1000, ..settings() });
    lane.offer(parcel(0, 5_100), 5_100);
    window_call(&mut lane, 5_100);
    lane.answered(state("{}"), 5_100);
    lane.end();
    assert!(window_call(&mut lane, 5_100).1);
    lane.answered(state("{}"), 5_100);
    assert_eq!(lane.step(5_100), Step::Done);
}

/// What a test does to a lane, in order.
#[derive(Clone, Debug)]
enum Deed {
    Read(u8),
    Advance(u32),
    Answer(u8),
    /// Whoever delivers is gone, and another one goes on with what survived.
    Failover,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (1u8..6).prop_map(Deed::Read),
        3 => (1u32..40_000).prop_map(Deed::Advance),
        6 => any::<u8>().prop_map(Deed::Answer),
        1 => Just(Deed::Failover),
    ];
    prop::collection::vec(deed, 0..150)
}

/// The world a lane lives in: a shard, and what became of its records.
struct World {
    settings: Settings,
    lane: Lane,
    written: u64,
    read: u64,
    now_ms: u64,
    called: Option<Vec<u64>>,
    /// What survived of the lane last.
    kept: LaneProgress,
    delivered: Vec<u64>,
    given_up: Vec<u64>,
    /// How often each record was called for in a way that counts.
    attempts: BTreeMap<u64, u32>,
}

impl World {
    fn new(settings: Settings) -> Self {
        let lane = lane(&settings);
        Self {
            settings,
            lane,
            written: 0,
            read: 0,
            now_ms: 0,
            called: None,
            kept: LaneProgress::default(),
            delivered: Vec::new(),
            given_up: Vec::new(),
            attempts: BTreeMap::new(),
        }
    }

    fn read(&mut self, count: u64) {
        self.written = self.written.max(self.read + count);
        for index in self.read..self.read + count {
            self.lane.offer(parcel(index, 0), self.now_ms);
        }
        self.read += count;
        self.lane.read_to(Cursor { index: self.read, ordinal: 0 });
    }

    /// Lets the lane do what it can; gives the time it waits for.
    fn step(&mut self) -> Option<u64> {
        loop {
            match self.lane.step(self.now_ms) {
                Step::Call(batch) => {
                    assert!(self.called.is_none(), "one call at a time");
                    assert!(batch.parcels.len() <= self.settings.batch_size as usize);
                    self.called = Some(batch.parcels.iter().map(|parcel| parcel.number.index).collect());
                }
                Step::Discard(batch, Condition::RetryAttemptsExhausted, Some(_)) => {
                    for parcel in &batch.parcels {
                        self.given_up.push(parcel.number.index);
                    }
                    self.lane.discarded(self.now_ms);
                    self.keep();
                }
                Step::Discard(..) => panic!("given up for no reason"),
                Step::Wait(until_ms) => return until_ms,
                Step::Done => return None,
            }
        }
    }

    fn keep(&mut self) {
        self.kept = self.lane.progress();
    }

    fn answer(&mut self, choice: u8) {
        let Some(called) = self.called.take() else { return };
        let at = usize::from(choice / 8) % called.len();
        match choice % 8 {
            0..=3 => {
                self.delivered.extend(&called);
                self.lane.answered(delivered(), self.now_ms);
            }
            4 => self.lane.answered(Verdict::Busy(Failure::new("busy")), self.now_ms),
            5 => {
                self.delivered.extend(&called[..at]);
                called[at..].iter().for_each(|index| *self.attempts.entry(*index).or_default() += 1);
                self.lane.answered(Verdict::FailedFrom(number(called[at])), self.now_ms);
            }
            _ => {
                called.iter().for_each(|index| *self.attempts.entry(*index).or_default() += 1);
                self.lane.answered(failed(), self.now_ms);
            }
        }
        self.keep();
    }

    fn fail_over(&mut self) {
        self.called = None;
        self.lane = Lane::new(Rules::new(&self.settings, RETENTION_MS), self.kept.clone());
        assert_eq!(self.lane.progress(), self.kept);
        self.read =
            self.kept.next.map_or(0, |next| if next.ordinal > 0 { next.index + 1 } else { next.index });
        self.lane.read_to(Cursor { index: self.read, ordinal: 0 });
    }

    fn finish(&mut self) {
        let more = self.written - self.read;
        self.read(more);
        self.lane.end();
        while let Some(until_ms) = {
            let until = self.step();
            if self.called.is_some() { Some(self.now_ms) } else { until }
        } {
            self.now_ms = self.now_ms.max(until_ms);
            self.answer(0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Every record is delivered or given up, once each but over a failover; none before one that was written before it;
    /// and none is given up before it was tried as often as allowed.
    #[test]
    fn nothing_is_skipped_and_nothing_overtakes(
        deeds in deeds(),
        batch_size in 1u32..6,
        bisect: bool,
        retries in 0u32..3,
        window_ms in prop_oneof![Just(0u64), 1u64..5000],
    ) {
        let settings = Settings {
            batch_size, bisect, retries_max: Some(retries), batching_window_ms: window_ms, ..Settings::default()
        };
        let mut world = World::new(settings);
        for deed in deeds {
            match deed {
                Deed::Read(count) => world.read(count.into()),
                Deed::Advance(ms) => world.now_ms += u64::from(ms),
                Deed::Answer(choice) => world.answer(choice),
                Deed::Failover => world.fail_over(),
            }
            world.step();
        }
        world.finish();
        let mut left: Vec<u64> = world.delivered.iter().chain(&world.given_up).copied().collect();
        left.sort_unstable();
        prop_assert_eq!(&left, &(0..world.written).collect::<Vec<_>>(), "each once: what is done is kept at once here");
        prop_assert!(world.delivered.is_sorted(), "{:?}", world.delivered);
        for index in &world.given_up {
            prop_assert!(world.attempts[index] > retries, "{} was tried {} times", index, world.attempts[index]);
        }
    }
}
