//! The keeper has segment files ready before the writer needs them, and takes back those nobody needs: zeros
//! ahead of the write position, spares, recycling. A thread of its own if the log has threads; otherwise only
//! recycling happens, inline.
//!
//! A spare is a file of `segment_bytes` in `spare/`, written once, so that overwriting it changes neither
//! size nor block map and its sync is cheap. What it holds does not matter. Nothing the keeper fails at is
//! an error: the writer makes its files itself when there is no spare.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{
    error::Error,
    files::Files,
    group::lock,
    handle::Shared,
    segment::{Segment, file_name, sequence_of, zero},
};

/// Recycled files kept; more are removed.
const SPARES_MAX: usize = 2;
/// Zeros are written in steps of this, each synced.
const FILL_STEP_BYTES: u64 = 4 << 20;
/// Zeros are kept this far ahead of the write position.
const FILL_AHEAD_BYTES: u64 = 8 << 20;

#[derive(Default)]
struct Jobs {
    /// Files ready to become segments.
    spares: Vec<PathBuf>,
    /// Segments nobody needs.
    free: Vec<Arc<Segment>>,
    /// Segments to write zeros ahead in, by sequence, and how far.
    fill: BTreeMap<u64, (Arc<Segment>, u64)>,
    /// Whether a spare shall be made.
    prepare: bool,
    stop: bool,
}

impl Jobs {
    fn is_idle(&self) -> bool {
        self.free.is_empty() && self.fill.is_empty() && !self.prepare
    }
}

/// See above.
pub(super) struct Keeper {
    jobs: Mutex<Jobs>,
    wake: Condvar,
    /// Number of the next file in `spare/`.
    next: AtomicU64,
}

/// Stops the keeper when the writer ends, however it ends, and has nobody wait for a writer that panicked.
pub(super) struct StopOnDrop<'a>(pub &'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.keeper.stop();
        if thread::panicking() {
            let source = Arc::new(io::Error::other("the writer panicked"));
            let error = Error::Fatal { doing: "write to", file: self.0.dir.clone(), source };
            for operation in self.0.queue.fail(&error) {
                (operation.done)(Err(error.clone()));
            }
        }
    }
}

/// Where files are before they are segments, and after.
pub(super) fn spare_dir(dir: &Path) -> PathBuf {
    dir.join("spare")
}

impl Keeper {
    /// Takes stock: whole files are spares, anything else there is the rest of a crash.
    pub fn open(files: &dyn Files, dir: &Path, segment_bytes: u64) -> Result<Self, Error> {
        let dir = spare_dir(dir);
        let mut jobs = Jobs::default();
        let mut next = 0;
        for name in files.list(&dir).map_err(Error::io("list", &dir))? {
            let path = dir.join(&name);
            next = next.max(sequence_of(&name).map_or(0, |number| number + 1));
            let length =
                files.open(&path).and_then(|file| file.length()).map_err(Error::io("open", &path))?;
            if length == segment_bytes && jobs.spares.len() < SPARES_MAX {
                jobs.spares.push(path);
            } else {
                files.remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(Self { jobs: Mutex::new(jobs), wake: Condvar::new(), next: AtomicU64::new(next) })
    }

    pub fn spares(&self) -> usize {
        lock(&self.jobs).spares.len()
    }

    pub fn has_spare(&self) -> bool {
        self.spares() > 0
    }

    /// A file ready to become a segment of `segment_bytes`.
    pub fn take_spare(&self) -> Option<PathBuf> {
        lock(&self.jobs).spares.pop()
    }

    /// A path for a new file in `spare/`.
    pub fn new_path(&self, shared: &Shared) -> PathBuf {
        spare_dir(&shared.dir).join(file_name(self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Asks for a spare, if there is none.
    pub fn prepare(&self) {
        let mut jobs = lock(&self.jobs);
        jobs.prepare = jobs.spares.is_empty();
        drop(jobs);
        self.wake.notify_one();
    }

    /// Asks for zeros ahead of `position` in a segment that was not made from a spare.
    pub fn fill(&self, segment: &Arc<Segment>, position: u64) {
        let target = segment.capacity.min(position + FILL_AHEAD_BYTES);
        if segment.filled() >= segment.capacity.min(position + FILL_AHEAD_BYTES / 2) {
            return;
        }
        lock(&self.jobs).fill.insert(segment.sequence, (segment.clone(), target));
        self.wake.notify_one();
    }

    /// Hands over a segment nobody needs.
    pub fn free(&self, segment: Arc<Segment>) {
        let mut jobs = lock(&self.jobs);
        jobs.fill.remove(&segment.sequence);
        jobs.free.push(segment);
        drop(jobs);
        self.wake.notify_one();
    }

    pub fn stop(&self) {
        lock(&self.jobs).stop = true;
        self.wake.notify_one();
    }

    /// Blocks until there is something to do; false when stopped.
    pub fn wait(&self) -> bool {
        let mut jobs = lock(&self.jobs);
        while jobs.is_idle() && !jobs.stop {
            jobs = self.wake.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
        !jobs.stop
    }

    /// Does one thing; false if there was none.
    pub fn step(&self, shared: &Shared) -> bool {
        let mut jobs = lock(&self.jobs);
        if let Some(entry) = jobs.fill.first_entry() {
            let (segment, target) = entry.get().clone();
            if segment.filled() >= target {
                entry.remove();
                return true;
            }
            drop(jobs);
            if let Err(error) = segment.fill(FILL_STEP_BYTES) {
                tracing::warn!(%error, file = ?segment, "could not write zeros ahead");
                lock(&self.jobs).fill.remove(&segment.sequence);
            }
            return true;
        }
        if let Some(segment) = jobs.free.pop() {
            let spares = jobs.spares.len();
            drop(jobs);
            self.take_back(shared, segment, spares < SPARES_MAX);
            return true;
        }
        let prepare = std::mem::take(&mut jobs.prepare);
        drop(jobs);
        if prepare {
            self.make_spare(shared);
        }
        prepare
    }

    /// Recycles or removes a segment. A reader may still have it open: then it must not be overwritten.
    fn take_back(&self, shared: &Shared, segment: Arc<Segment>, wanted: bool) {
        let usual = segment.capacity == shared.options.segment_bytes && segment.filled() == segment.capacity;
        let path = segment.path.clone();
        let recycle = Arc::try_unwrap(segment).is_ok() && usual && wanted;
        let result = if recycle { self.recycle(shared, &path) } else { shared.files.remove(&path) };
        if let Err(error) = result {
            tracing::warn!(%error, file = %path.display(), "could not free a segment, the next start will");
        }
    }

    /// The new name must be durable before the contents change: else a crash would bring back the old name
    /// with contents that do not belong to it.
    fn recycle(&self, shared: &Shared, path: &Path) -> io::Result<()> {
        let spare = self.new_path(shared);
        shared.files.rename(path, &spare)?;
        shared.files.sync_dir(&spare_dir(&shared.dir))?;
        shared.files.sync_dir(path.parent().expect("a segment is in a lane's directory"))?;
        lock(&self.jobs).spares.push(spare);
        Ok(())
    }

    fn make_spare(&self, shared: &Shared) {
        let bytes = shared.options.segment_bytes;
        let needed = shared.options.free_bytes_min.saturating_add(bytes);
        if !shared.files.free_bytes(&shared.dir).is_ok_and(|free| free >= needed) {
            return;
        }
        let path = self.new_path(shared);
        let made = self.fill_spare(shared, &path, bytes);
        match made {
            Ok(true) => lock(&self.jobs).spares.push(path),
            // What there is of it is removed by the next start.
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, file = %path.display(), "could not prepare a segment");
                // Whatever is left of it is removed by the next start.
                let _ = shared.files.remove(&path);
            }
        }
    }

    /// Writes a spare in steps, so that the writer's syncs never wait for all of it. False when stopped.
    fn fill_spare(&self, shared: &Shared, path: &Path, bytes: u64) -> io::Result<bool> {
        let file = shared.files.create(path)?;
        let mut filled = 0;
        while filled < bytes {
            if lock(&self.jobs).stop {
                return Ok(false);
            }
            let to = bytes.min(filled + FILL_STEP_BYTES);
            zero(&*file, filled, to)?;
            file.sync_data()?;
            filled = to;
        }
        shared.files.sync_dir(&spare_dir(&shared.dir))?;
        Ok(true)
    }
}
