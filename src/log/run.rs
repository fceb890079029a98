//! Runs: where the durable entries of a group are. A run is a stretch of entries of one term that lie in one
//! segment, written without a truncation or a change of lane in between.

use std::{collections::VecDeque, sync::Arc};

use super::segment::{SealedFrames, Segment};
use crate::model::id::Position;

/// One entries frame of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameAt {
    /// Index of its first entry.
    pub first: u64,
    /// Where it is in the segment.
    pub offset: u32,
    /// Its length without padding.
    pub length: u32,
    /// How many entries it holds.
    pub count: u32,
}

/// The frames of a run, in order.
#[derive(Clone, Debug)]
pub(super) enum Frames {
    /// The segment is being written: they are here.
    Open(Vec<FrameAt>),
    /// The segment is sealed: its footer lists them.
    Sealed(SealedFrames),
}

/// See above. `first` and `last` are what still counts; frames may hold more on either side.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub segment: Arc<Segment>,
    pub first: u64,
    pub last: u64,
    pub term: u64,
    /// Number of its first frame: of two runs with the same index, that with the higher number counts.
    pub number: u64,
    pub frames: Frames,
}

/// The runs of a group, by index, without overlap.
#[derive(Debug, Default)]
pub(super) struct Index {
    runs: VecDeque<Run>,
    /// Whether the last run may grow; not so after a truncation, a change of lane, or sealing.
    growing: bool,
}

impl Index {
    /// The runs, by index.
    pub fn runs(&self) -> &VecDeque<Run> {
        &self.runs
    }

    /// The run that `index` is in.
    pub fn run_of(&self, index: u64) -> Option<&Run> {
        let after = self.runs.partition_point(|run| run.first <= index);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (index <= run.last).then_some(run)
    }

    /// Adds a frame just written. Whatever was there from its first index on counts no more. `left` is called
    /// with the segment of each run gone; the answer is whether this began a new run.
    pub fn add(
        &mut self,
        segment: &Arc<Segment>,
        term: u64,
        number: u64,
        frame: FrameAt,
        left: impl FnMut(&Arc<Segment>),
    ) -> bool {
        self.cut(frame.first, left);
        let last = frame.first + u64::from(frame.count) - 1;
        if self.growing
            && let Some(run) = self.runs.back_mut()
            && run.segment.sequence == segment.sequence
            && run.term == term
            && run.last + 1 == frame.first
            && let Frames::Open(frames) = &mut run.frames
        {
            frames.push(frame);
            run.last = last;
            return false;
        }
        let frames = Frames::Open(vec![frame]);
        self.runs.push_back(Run { segment: segment.clone(), first: frame.first, last, term, number, frames });
        self.growing = true;
        true
    }

    /// Adds a run of a sealed segment, which must be newer than all that are there.
    pub fn place(&mut self, run: Run) {
        self.cut(run.first, |_| {});
        self.runs.push_back(run);
        self.growing = false;
    }

    /// Drops every entry from `first` on.
    pub fn cut(&mut self, first: u64, mut left: impl FnMut(&Arc<Segment>)) {
        while let Some(run) = self.runs.back_mut() {
            if run.last < first {
                break;
            }
            self.growing = false;
            if run.first < first {
                run.last = first - 1;
                break;
            }
            left(&run.segment);
            self.runs.pop_back();
        }
    }

    /// Drops every entry up to and including `floor`.
    pub fn trim(&mut self, floor: u64, mut left: impl FnMut(&Arc<Segment>)) {
        while let Some(run) = self.runs.front_mut() {
            if run.first > floor {
                break;
            }
            if run.last > floor {
                run.first = floor + 1;
                break;
            }
            left(&run.segment);
            self.runs.pop_front();
        }
    }

    /// Ends the last run: what follows begins a new one.
    pub fn end_run(&mut self) {
        self.growing = false;
    }

    /// The runs that lie in a segment that is about to be sealed.
    pub fn runs_in(&mut self, sequence: u64) -> impl Iterator<Item = &mut Run> {
        self.runs.iter_mut().filter(move |run| run.segment.sequence == sequence)
    }

    /// What is missing for the runs to be exactly the entries behind `floor` up to `last`, after a cut to
    /// that range: the first index without an entry.
    pub fn clip(&mut self, floor: Option<Position>, last: Option<Position>) -> Result<(), u64> {
        let mut next = first_index(floor);
        self.cut(last.map_or(0, |last| last.index + 1), |_| {});
        if let Some(floor) = floor {
            self.trim(floor.index, |_| {});
        }
        for run in &self.runs {
            if run.first != next {
                return Err(next);
            }
            next = run.last + 1;
        }
        let end = last.map_or(0, |last| last.index + 1);
        if next != end {
            return Err(next);
        }
        match (self.runs.back(), last) {
            (Some(run), Some(last)) if run.term != last.term => Err(last.index),
            _ => Ok(()),
        }
    }
}

/// The first index behind a floor.
pub(super) fn first_index(floor: Option<Position>) -> u64 {
    floor.map_or(0, |floor| floor.index + 1)
}
