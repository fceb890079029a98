//! The log as its users hold it: opening, closing, asking. Submitting is in `submit.rs`.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    error::Error,
    files::{Files, FilesLock},
    group::{Cell, GroupState, lock},
    keeper::{self, Keeper},
    queue::Queue,
    reader::{self, FrameCache},
    recover,
    segment::{Lane, lane_dir},
    writer::Writer,
};
use crate::model::id::{GroupId, Position};

/// Called once, by whoever writes (see [`Writing`]), outside any lock.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Monotonic time since any fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Called by the writer after each write and sync of a lane. It must be quick, and not call the log.
pub type Observer = Arc<dyn Fn(&WriteBatch) + Send + Sync>;

/// Writes what waits.
pub type Work = Box<dyn FnOnce() + Send>;

/// Where and when what is submitted is written.
#[derive(Clone)]
pub enum Writing {
    /// At once, by a thread of the log's own; another one keeps segments ready.
    Threads,
    /// Inside the call that submits it.
    Inline,
    /// When the work is done that this is given, which must not be inside the call. It is given some when something is
    /// submitted and none is to come. So simulated disks take their time.
    Later(Arc<dyn Fn(Work) + Send + Sync>),
}

/// How a log behaves.
#[derive(Clone)]
pub struct Options {
    /// Size of a segment. One that must hold more, because of a huge append or very many groups, is larger.
    pub segment_bytes: u64,
    /// Bound of all groups' in-memory tails together; entries not yet durable are kept beyond it.
    pub tail_bytes_max: usize,
    /// Submissions block while more than this waits to be written; without threads they write it themselves.
    pub queue_bytes_max: usize,
    /// Files are not made when the disk would have less than this free.
    pub free_bytes_min: u64,
    /// Who writes.
    pub writing: Writing,
    /// For measuring syncs.
    pub clock: Clock,
    /// Told of every write.
    pub observer: Option<Observer>,
}

impl Default for Options {
    fn default() -> Self {
        let start = now();
        Self {
            segment_bytes: 64 << 20,
            tail_bytes_max: 256 << 20,
            queue_bytes_max: 64 << 20,
            free_bytes_min: 256 << 20,
            writing: Writing::Threads,
            clock: Arc::new(move || now() - start),
            observer: None,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the default of `Options::clock`; simulation passes its own")]
fn now() -> Instant {
    Instant::now()
}

/// One write and sync of one lane.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch {
    /// The lane written.
    pub lane: Lane,
    /// Frames written.
    pub frames: u32,
    /// Bytes written.
    pub bytes: usize,
    /// How long the write took.
    pub write: Duration,
    /// How long the sync took.
    pub sync: Duration,
}

/// What a lane takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Segments in it.
    pub segments: u64,
    /// Bytes of disk they take (their capacity).
    pub bytes: u64,
}

/// Figures of a log: counters since it was opened, and gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Gauges of the plain lane.
    pub plain: LaneStats,
    /// Gauges of the stream lane.
    pub stream: LaneStats,
    /// Gauge: segment files kept ready.
    pub spares: u64,
    /// Gauge: groups.
    pub groups: u64,
    /// Gauge: bytes of all tails.
    pub tail_bytes: u64,
    /// Gauge: bytes waiting to be written.
    pub queue_bytes: u64,
    /// Gauge: whether appends are refused because the disk is full.
    pub full: bool,
    /// Writes (one a lane and batch), each with one sync.
    pub batches: u64,
    /// Frames in them.
    pub frames: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Nanoseconds their syncs took together.
    pub sync_nanos: u64,
    /// Syncs of all kinds by the writer, those of rolling included.
    pub syncs: u64,
    /// Segments made anew, recycled ones included.
    pub rolls: u64,
    /// Segments freed.
    pub freed: u64,
}

/// Counters behind `Stats`.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub disk_low: AtomicBool,
    pub lanes: [(AtomicU64, AtomicU64); 2],
    pub tail_bytes: AtomicUsize,
    pub batches: AtomicU64,
    pub frames: AtomicU64,
    pub bytes: AtomicU64,
    pub sync_nanos: AtomicU64,
    pub syncs: AtomicU64,
    pub rolls: AtomicU64,
    pub freed: AtomicU64,
}

/// What callers, the writer and the keeper share.
pub(super) struct Shared {
    pub files: Arc<dyn Files>,
    pub dir: PathBuf,
    pub options: Options,
    pub cells: RwLock<BTreeMap<GroupId, Arc<Cell>>>,
    pub queue: Queue,
    pub keeper: Keeper,
    pub cache: FrameCache,
    pub counters: Counters,
}

impl Shared {
    /// The group's cell, if the group is known.
    pub fn cell(&self, group: GroupId) -> Option<Arc<Cell>> {
        let cells = self.cells.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        cells.get(&group).cloned()
    }

    /// The map of cells, to change it. Taken after a group's lock, never before.
    pub fn cells_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<GroupId, Arc<Cell>>> {
        self.cells.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn full(&self) -> Error {
        Error::Full { dir: self.dir.clone() }
    }

    /// Takes appends again, where they were refused and there is space.
    pub fn resume_if_space(&self) {
        if self.queue.is_refused() && self.has_space() {
            self.queue.resume();
        }
    }

    /// Whether another segment could be had.
    fn has_space(&self) -> bool {
        let needed = self.options.free_bytes_min.saturating_add(self.options.segment_bytes);
        self.keeper.has_spare() || self.files.free_bytes(&self.dir).is_ok_and(|free| free >= needed)
    }
}

/// See the door. A handle: clones are the same log, which closes with the last of them.
#[derive(Clone)]
pub struct Log(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub shared: Arc<Shared>,
    /// The writer, when there is no writer thread.
    pub inline: Option<Mutex<Writer>>,
    /// Whether work is to come that writes what waits.
    awaited: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn FilesLock>>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.0.shared.dir).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `dir`, which is created if missing, and recovers what it holds. Takes milliseconds
    /// on an empty directory; otherwise the time to read the last segment of each lane.
    pub fn open(files: Arc<dyn Files>, dir: impl Into<PathBuf>, options: Options) -> Result<Self, Error> {
        let dir = dir.into();
        assert!(options.segment_bytes >= 4096, "a segment has at least 4 KiB, not {}", options.segment_bytes);
        let locked = prepare_dirs(&*files, &dir)?;
        let keeper = Keeper::open(&*files, &dir, options.segment_bytes)?;
        let recovered = recover::recover(&*files, &dir)?;
        let cells = recovered.groups.iter().map(|(group, durable)| (*group, durable.cell.clone())).collect();
        let shared = Arc::new(Shared {
            files,
            queue: Queue::new(options.queue_bytes_max),
            keeper,
            cache: FrameCache::default(),
            counters: Counters::default(),
            cells: RwLock::new(cells),
            dir,
            options,
        });
        let mut writer = Writer::new(shared.clone(), recovered);
        writer.release_dead();
        writer.publish();
        let mut threads = Vec::new();
        let mut inline = None;
        if let Writing::Threads = shared.options.writing {
            let io_error = Error::io("start a thread for", &shared.dir);
            threads = start_threads(&shared, writer).map_err(io_error)?;
        } else {
            inline = Some(Mutex::new(writer));
            while shared.keeper.step(&shared) {}
        }
        Ok(Self(Arc::new(Inner {
            shared,
            inline,
            awaited: AtomicBool::new(false),
            threads: Mutex::new(threads),
            lock: Mutex::new(Some(locked)),
        })))
    }

    /// The groups known, in order.
    pub fn groups(&self) -> Vec<GroupId> {
        let cells = self.0.shared.cells.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        cells.keys().copied().collect()
    }

    /// The state of a group as submitted, if it is known.
    pub fn state(&self, group: GroupId) -> Option<GroupState> {
        let cell = self.0.shared.cell(group)?;
        let group = cell.lock();
        (!group.removed).then(|| group.state())
    }

    /// Entries of `group` from `from_index` on and below `to_index`, without a gap: as many as `bytes_max`
    /// holds, but at least one if there is one. None if the group is unknown or the range begins behind its
    /// last entry; `Trimmed` if it begins at or below the floor. May read from disk: see `is_in_tail`.
    pub fn read(
        &self,
        group: GroupId,
        from_index: u64,
        to_index: u64,
        bytes_max: usize,
    ) -> Result<Vec<(Position, Bytes)>, Error> {
        reader::read(&self.0.shared, group, from_index, to_index, bytes_max)
    }

    /// Whether a read from `index` on touches no disk: it is in the tail, or not there at all.
    pub fn is_in_tail(&self, group: GroupId, index: u64) -> bool {
        self.0.shared.cell(group).is_none_or(|cell| {
            let group = cell.lock();
            index >= group.tail.first().unwrap_or_else(|| group.next_index())
        })
    }

    /// The term of the entry at `index`, or of the floor itself; `None` behind the last; `Trimmed` below the
    /// floor. Never touches the disk.
    pub fn term_of(&self, group: GroupId, index: u64) -> Result<Option<u64>, Error> {
        let Some(cell) = self.0.shared.cell(group) else { return Ok(None) };
        let locked = cell.lock();
        match locked.hard.floor {
            Some(floor) if index < floor.index => Err(Error::Trimmed { group, index, floor }),
            _ => Ok(locked.term_of(index)),
        }
    }

    /// Whether a submission would have to wait for room in the queue.
    pub fn is_busy(&self) -> bool {
        self.0.shared.queue.is_busy()
    }

    /// Whether entries should not be brought here now: the disk is full, or was nearly so when it was last
    /// [looked at](Self::look_at_disk).
    pub fn is_full(&self) -> bool {
        let shared = &self.0.shared;
        shared.queue.is_refused() || shared.counters.disk_low.load(Ordering::Relaxed)
    }

    /// Looks how much room the disk has, and takes appends again where it was full. To be called a few times a second,
    /// so that writes can be refused before an append has to be: a refused append ends a Raft group, a refused write is
    /// tried again.
    pub fn look_at_disk(&self) {
        let shared = &self.0.shared;
        let margin = shared.options.free_bytes_min.saturating_add(2 * shared.options.segment_bytes);
        let low = shared.files.free_bytes(&shared.dir).is_ok_and(|free| free < margin);
        shared.counters.disk_low.store(low, Ordering::Relaxed);
        shared.resume_if_space();
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let shared = &self.0.shared;
        let counters = &shared.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lane = |lane: Lane| {
            let (segments, bytes) = &counters.lanes[lane as usize];
            LaneStats { segments: get(segments), bytes: get(bytes) }
        };
        Stats {
            plain: lane(Lane::Plain),
            stream: lane(Lane::Stream),
            spares: shared.keeper.spares() as u64,
            groups: self.groups().len() as u64,
            tail_bytes: counters.tail_bytes.load(Ordering::Relaxed) as u64,
            queue_bytes: shared.queue.bytes() as u64,
            full: self.is_full(),
            batches: get(&counters.batches),
            frames: get(&counters.frames),
            bytes: get(&counters.bytes),
            sync_nanos: get(&counters.sync_nanos),
            syncs: get(&counters.syncs),
            rolls: get(&counters.rolls),
            freed: get(&counters.freed),
        }
    }

    /// Writes what waits, stops the threads and gives the directory back. Every handle is closed by it, and
    /// dropping the last one does the same. Writes nothing that a crash would miss.
    pub fn close(self) {
        self.0.close();
    }
}

impl Inner {
    /// Returns once there is room for more.
    pub fn wait_for_room(&self) {
        match self.shared.options.writing {
            Writing::Threads => self.shared.queue.wait_for_room(),
            Writing::Inline => {}
            Writing::Later(_) if self.shared.queue.is_busy() => self.pump(),
            Writing::Later(_) => {}
        }
    }

    /// Has what was just submitted written.
    pub fn submitted(self: &Arc<Self>) {
        match &self.shared.options.writing {
            Writing::Threads => {}
            Writing::Inline => self.pump(),
            Writing::Later(_) if self.awaited.swap(true, Ordering::AcqRel) => {}
            Writing::Later(later) => {
                let this = Arc::downgrade(self);
                later(Box::new(move || {
                    if let Some(this) = this.upgrade() {
                        this.awaited.store(false, Ordering::Release);
                        this.write_batch();
                    }
                }));
            }
        }
    }

    /// Without a writer thread: writes what waits, and what is submitted by those who are told. Otherwise nothing.
    pub fn pump(&self) {
        while self.write_batch() {}
    }

    /// Writes what waits, if anything does and there is no writer thread.
    fn write_batch(&self) -> bool {
        let Some(writer) = &self.inline else { return false };
        let mut writer = lock(writer);
        let Some(operations) = self.shared.queue.try_take() else { return false };
        writer.run(operations);
        let finished = std::mem::take(&mut writer.finished);
        drop(writer);
        for (done, result) in finished {
            done(result);
        }
        while self.shared.keeper.step(&self.shared) {}
        true
    }

    fn close(&self) {
        self.shared.queue.close();
        self.pump();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // The last handle may be dropped by a callback, on the writer thread itself.
            if thread.thread().id() != thread::current().id() {
                // A panic there was reported where it happened.
                let _ = thread.join();
            }
        }
        lock(&self.lock).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the directories and takes the lock.
fn prepare_dirs(files: &dyn Files, dir: &std::path::Path) -> Result<Box<dyn FilesLock>, Error> {
    let new = files.list(dir).is_err();
    files.create_dir(dir).map_err(Error::io("create", dir))?;
    let locked = files.lock(&dir.join("lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Locked { dir: dir.into() },
        _ => Error::io("lock", dir)(error),
    })?;
    for lane in Lane::ALL {
        let dir = lane_dir(dir, lane);
        files.create_dir(&dir).map_err(Error::io("create", &dir))?;
    }
    let spare = keeper::spare_dir(dir);
    files.create_dir(&spare).map_err(Error::io("create", &spare))?;
    files.sync_dir(dir).map_err(Error::io("sync", dir))?;
    if let Some(parent) = dir.parent()
        && new
        && !parent.as_os_str().is_empty()
    {
        files.sync_dir(parent).map_err(Error::io("sync", parent))?;
    }
    Ok(locked)
}

fn start_threads(shared: &Arc<Shared>, mut writer: Writer) -> io::Result<Vec<JoinHandle<()>>> {
    let keeping = shared.clone();
    let keeper = thread::Builder::new().name("log-keeper".into()).spawn(move || {
        while keeping.keeper.wait() {
            keeping.keeper.step(&keeping);
        }
    })?;
    let writing = shared.clone();
    let writer = thread::Builder::new().name("log-writer".into()).spawn(move || {
        writing.queue.set_writer();
        let stop = keeper::StopOnDrop(&writing);
        while let Some(operations) = writing.queue.take() {
            writer.run(operations);
            for (done, result) in writer.finished.drain(..) {
                done(result);
            }
        }
        drop(stop);
    });
    match writer {
        Ok(writer) => Ok(vec![writer, keeper]),
        Err(error) => {
            shared.keeper.stop();
            Err(error)
        }
    }
}
