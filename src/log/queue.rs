//! The queue between those who submit and the writer: bounded in bytes, closed once, and shut to appends
//! while the disk is full.

use std::{
    mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
};

use bytes::Bytes;

use super::{
    error::Error,
    group::{Cell, lock},
    handle::Done,
    segment::Lane,
};
use crate::model::id::Position;

/// What an operation counts in the queue besides its entries.
const OPERATION_BYTES: usize = 64;

/// One thing submitted.
pub(super) struct Operation {
    /// What to do to which group; `None` only waits for everything before it.
    pub work: Option<(Arc<Cell>, Action)>,
    pub done: Done,
}

/// What can be done to a group.
pub(super) enum Action {
    Append {
        entries: Vec<(Position, Bytes)>,
        /// The group's when submitted.
        generation: u64,
    },
    Truncate {
        after: Option<Position>,
    },
    Vote(Bytes),
    Floor(Position),
    Lane(Lane),
    Remove,
    /// Nothing: it was so already. Waits for what was submitted before.
    Nothing,
}

impl Operation {
    fn bytes(&self) -> usize {
        let entries = match &self.work {
            Some((_, Action::Append { entries, .. })) => entries.iter().map(|(_, bytes)| bytes.len()).sum(),
            _ => 0,
        };
        OPERATION_BYTES + entries
    }
}

/// Whether the queue takes anything.
#[derive(Clone, Debug)]
enum Mode {
    Open,
    /// The disk is full, and groups are being set back to what is durable: nothing is taken.
    Refusing,
    /// The disk is full: appends are not taken.
    Refused,
    Closed,
    Failed(Error),
}

struct State {
    operations: Vec<Operation>,
    bytes: usize,
    mode: Mode,
}

/// See above.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something to write, or closed.
    work: Condvar,
    /// Fewer than `bytes_max` bytes wait.
    room: Condvar,
    bytes_max: usize,
    /// A cheap hint that the mode is `Refused`.
    refused: AtomicBool,
    /// The writer thread's, which is never made to wait for itself.
    writer: OnceLock<ThreadId>,
}

/// The right to add one operation, with the queue locked.
pub(super) struct Entrance<'a> {
    queue: &'a Queue,
    state: MutexGuard<'a, State>,
}

impl Entrance<'_> {
    pub fn push(mut self, operation: Operation) {
        self.state.bytes += operation.bytes();
        self.state.operations.push(operation);
        let first = self.state.operations.len() == 1;
        drop(self.state);
        if first {
            self.queue.work.notify_one();
        }
    }
}

impl Queue {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(State { operations: Vec::new(), bytes: 0, mode: Mode::Open }),
            work: Condvar::new(),
            room: Condvar::new(),
            bytes_max,
            refused: AtomicBool::new(false),
            writer: OnceLock::new(),
        }
    }

    /// Says that this thread is the writer.
    pub fn set_writer(&self) {
        self.writer.set(thread::current().id()).expect("a log has one writer thread");
    }

    /// Whether this thread is the writer.
    pub fn is_writer(&self) -> bool {
        self.writer.get() == Some(&thread::current().id())
    }

    /// Blocks until there is room. To be called without any lock: several who wait may be let in at once,
    /// so the bound may be passed by what they bring.
    pub fn wait_for_room(&self) {
        let mut state = lock(&self.state);
        while state.bytes >= self.bytes_max && !self.is_writer() {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets one operation in, or says why not.
    pub fn enter(&self, append: bool, full: impl FnOnce() -> Error) -> Result<Entrance<'_>, Error> {
        let state = lock(&self.state);
        match &state.mode {
            Mode::Open => {}
            Mode::Refused if !append => {}
            Mode::Refusing | Mode::Refused => return Err(full()),
            Mode::Closed => return Err(Error::Closed),
            Mode::Failed(error) => return Err(error.clone()),
        }
        Ok(Entrance { queue: self, state })
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        lock(&self.state).bytes
    }

    /// Whether `wait_for_room` would block.
    pub fn is_busy(&self) -> bool {
        self.bytes() >= self.bytes_max
    }

    /// All that waits, blocking until there is something; `None` when closed and empty.
    pub fn take(&self) -> Option<Vec<Operation>> {
        let mut state = lock(&self.state);
        while state.operations.is_empty() {
            if matches!(state.mode, Mode::Closed) {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(self.drain(state))
    }

    /// All that waits, if anything does.
    pub fn try_take(&self) -> Option<Vec<Operation>> {
        let state = lock(&self.state);
        (!state.operations.is_empty()).then(|| self.drain(state))
    }

    fn drain(&self, mut state: MutexGuard<'_, State>) -> Vec<Operation> {
        let operations = mem::take(&mut state.operations);
        state.bytes = 0;
        drop(state);
        self.room.notify_all();
        operations
    }

    /// The disk is full: nothing is taken until `refused`. Returns what waited.
    pub fn refuse(&self) -> Vec<Operation> {
        let mut state = lock(&self.state);
        if matches!(state.mode, Mode::Open | Mode::Refused) {
            state.mode = Mode::Refusing;
        }
        self.drain(state)
    }

    /// Groups are set back: everything but appends is taken again.
    pub fn refused(&self) {
        let mut state = lock(&self.state);
        if matches!(state.mode, Mode::Refusing) {
            state.mode = Mode::Refused;
            self.refused.store(true, Ordering::Release);
        }
    }

    /// Whether appends are refused.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// There is space again.
    pub fn resume(&self) {
        let mut state = lock(&self.state);
        if matches!(state.mode, Mode::Refused) {
            state.mode = Mode::Open;
            self.refused.store(false, Ordering::Release);
        }
    }

    /// Nothing is ever taken again, because of `error`. Returns what waited.
    pub fn fail(&self, error: &Error) -> Vec<Operation> {
        let mut state = lock(&self.state);
        state.mode = match state.mode {
            Mode::Closed => Mode::Closed,
            Mode::Open | Mode::Refusing | Mode::Refused | Mode::Failed(_) => Mode::Failed(error.clone()),
        };
        self.drain(state)
    }

    /// Nothing is taken any more; what waits is still written. A failure stays what it is to callers.
    pub fn close(&self) {
        lock(&self.state).mode = Mode::Closed;
        self.work.notify_all();
        self.room.notify_all();
    }
}
