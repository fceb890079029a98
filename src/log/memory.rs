//! A simulated disk that tells written from durable, and crashes when told.
//!
//! What it promises is what a fair disk under a journaling file system promises, and no more:
//! - bytes are durable after `sync_data` of their file; until then a crash keeps or loses each sector of 512
//!   bytes on its own, and the file's length on its own;
//! - names are durable after `sync_dir`; until then a crash keeps a prefix of the changes of names, in order
//!   (as a journal does). Directories are durable at once.
//!
//! Faults: a crash at the n-th sync, a full disk, a failing sync, a flipped bit, bad reads. Pages of zeros take no memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    files::{File, Files, FilesLock},
    group::lock,
};

const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;

type Page = Arc<[u8; PAGE_BYTES]>;

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    Nothing,
    /// Everything: the process died, not the machine.
    Everything,
    /// Some of it, sector by sector, decided by this seed.
    Torn(u64),
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryFiles {
    disk: Arc<Mutex<Disk>>,
    /// Bytes in pages of all files.
    used: Arc<AtomicU64>,
}

impl fmt::Debug for MemoryFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFiles").field("used", &self.used).finish_non_exhaustive()
    }
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Inode>>>;

#[derive(Default)]
struct Disk {
    names: Names,
    durable: Names,
    /// Changes of names that are not durable, in order.
    pending: Vec<Renaming>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    /// Syncs asked for so far.
    syncs: u64,
    crash_at: Option<u64>,
    fail_at: Option<u64>,
    /// Some reads fail, others read something else.
    misreads: Option<Random>,
    misread: u64,
    capacity: Option<u64>,
    crashed: bool,
    /// Counts crashes: what was opened before one is dead.
    life: u64,
}

/// One change of names: `to` is now this file, `from` none.
struct Renaming {
    from: Option<PathBuf>,
    to: Option<(PathBuf, Arc<Mutex<Inode>>)>,
}

impl Renaming {
    fn touches(&self, dir: &Path) -> bool {
        let to = self.to.as_ref().map(|(path, _)| path);
        self.from.iter().chain(to).any(|path| path.parent() == Some(dir))
    }

    fn apply(&self, names: &mut Names) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), inode.clone());
        }
    }
}

/// A file's contents: as written, and as durable.
struct Inode {
    live: Contents,
    durable: Contents,
    dirty: BTreeSet<u64>,
    used: Arc<AtomicU64>,
}

impl Drop for Inode {
    fn drop(&mut self) {
        self.used.fetch_sub(self.live.bytes(), Ordering::Relaxed);
    }
}

/// Pages that are not zeros, and a length.
#[derive(Clone, Default)]
struct Contents {
    pages: BTreeMap<u64, Page>,
    length: u64,
}

impl Contents {
    fn bytes(&self) -> u64 {
        self.pages.len() as u64 * PAGE_BYTES as u64
    }

    fn cut(&mut self, length: u64) {
        self.length = length;
        let whole = length / PAGE_BYTES as u64;
        let within = (length % PAGE_BYTES as u64) as usize;
        self.pages.split_off(&(whole + u64::from(within > 0)));
        if let Some(page) = self.pages.get_mut(&whole) {
            Arc::make_mut(page)[within..].fill(0);
        }
    }
}

impl MemoryFiles {
    /// An empty disk without end.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many syncs were asked for, of files and directories.
    pub fn syncs(&self) -> u64 {
        lock(&self.disk).syncs
    }

    /// The machine stops when the sync with this number (from 0, since the disk was made) is asked for,
    /// before anything is synced by it; every operation then fails until `crash`.
    pub fn crash_at_sync(&self, sync: u64) {
        lock(&self.disk).crash_at = Some(sync);
    }

    /// The sync with this number fails; what it should have made durable stays as it was.
    pub fn fail_sync(&self, sync: u64) {
        lock(&self.disk).fail_at = Some(sync);
    }

    /// From now on one read in twenty fails, and one in twenty finds a bit to be something else, as the seed says;
    /// until a crash, or until this is called with `None`.
    pub fn misread(&self, seed: Option<u64>) {
        lock(&self.disk).misreads = seed.map(Random);
    }

    /// Does something while no read is bad: looking at a disk from outside is no part of the experiment.
    pub fn reading_well<T>(&self, look: impl FnOnce() -> T) -> T {
        let misreads = lock(&self.disk).misreads.take();
        let looked = look();
        lock(&self.disk).misreads = misreads;
        looked
    }

    /// How many reads were bad since this was last asked.
    pub fn take_misreads(&self) -> u64 {
        std::mem::take(&mut lock(&self.disk).misread)
    }

    /// Whether the machine has stopped.
    pub fn has_crashed(&self) -> bool {
        lock(&self.disk).crashed
    }

    /// Bounds the bytes of all files together; `None` for a disk without end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        lock(&self.disk).capacity = bytes;
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Crashes and starts again: what was open is dead, locks are gone, and of what was not synced there is
    /// what `crash` says.
    pub fn crash(&self, crash: Crash) {
        let mut disk = lock(&self.disk);
        let mut random = Random(match crash {
            Crash::Torn(seed) => seed,
            Crash::Nothing | Crash::Everything => 0,
        });
        let kept = match crash {
            Crash::Nothing => 0,
            Crash::Everything => disk.pending.len(),
            Crash::Torn(_) => random.below(disk.pending.len() as u64 + 1) as usize,
        };
        let pending = std::mem::take(&mut disk.pending);
        for renaming in &pending[..kept] {
            renaming.apply(&mut disk.durable);
        }
        disk.names = disk.durable.clone();
        for inode in disk.names.values() {
            lock(inode).crash(crash, &mut random);
        }
        disk.locks.clear();
        disk.crash_at = None;
        disk.fail_at = None;
        disk.misreads = None;
        disk.crashed = false;
        disk.life += 1;
    }

    /// Flips a bit of a file, durably, as rotting disks do.
    pub fn flip(&self, path: &Path, offset: u64) -> io::Result<()> {
        let disk = lock(&self.disk);
        let mut inode = lock(disk.names.get(path).ok_or(io::ErrorKind::NotFound)?);
        let (page, at) = (offset / PAGE_BYTES as u64, offset as usize % PAGE_BYTES);
        let inode = &mut *inode;
        for contents in [&mut inode.live, &mut inode.durable] {
            if let Some(page) = contents.pages.get_mut(&page) {
                Arc::make_mut(page)[at] ^= 1;
            }
        }
        Ok(())
    }

    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = lock(&self.disk);
        if disk.crashed { Err(io::Error::other("the simulated machine has crashed")) } else { Ok(disk) }
    }

    fn handle(&self, inode: Arc<Mutex<Inode>>, life: u64) -> Arc<dyn File> {
        Arc::new(MemoryFile { files: self.clone(), inode, life })
    }
}

impl Disk {
    /// Counts a sync; an error if it is the one that shall not happen.
    fn sync(&mut self) -> io::Result<()> {
        let sync = self.syncs;
        self.syncs += 1;
        if self.crash_at == Some(sync) {
            self.crashed = true;
            return Err(io::Error::other("the simulated machine crashes"));
        }
        if self.fail_at == Some(sync) {
            return Err(io::Error::other("the simulated disk fails to sync"));
        }
        Ok(())
    }

    /// Spoils what was read, if it is to be.
    fn spoil(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let Some(random) = &mut self.misreads else { return Ok(()) };
        match random.below(20) {
            0 => {
                self.misread += 1;
                return Err(io::Error::other("the simulated disk fails to read"));
            }
            1 if !bytes.is_empty() => {
                self.misread += 1;
                let bit = random.below(8 * bytes.len() as u64);
                bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            }
            _ => {}
        }
        Ok(())
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.pending.push(renaming);
    }
}

impl Files for MemoryFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let disk = self.disk()?;
        let inode = disk.names.get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(inode, disk.life))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk()?;
        if disk.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|dir| disk.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let used = self.used.clone();
        let (live, durable, dirty) = (Contents::default(), Contents::default(), BTreeSet::new());
        let inode = Arc::new(Mutex::new(Inode { live, durable, dirty, used }));
        disk.rename(Renaming { from: None, to: Some((path.into(), inode.clone())) });
        Ok(self.handle(inode, disk.life))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk()?;
        let inode = disk.names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        disk.rename(Renaming { from: Some(from.into()), to: Some((to.into(), inode)) });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk()?;
        if !disk.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.rename(Renaming { from: Some(path.into()), to: None });
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk()?;
        if !disk.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let dirs = disk.dirs.iter();
        let inside = disk.names.keys().chain(dirs).filter(|path| path.parent() == Some(dir));
        let mut names: Vec<_> =
            inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.dirs.extend(dir.ancestors().map(PathBuf::from));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.sync()?;
        let count = disk.pending.iter().rposition(|renaming| renaming.touches(dir)).map_or(0, |at| at + 1);
        let kept = disk.pending.split_off(count);
        for renaming in std::mem::replace(&mut disk.pending, kept) {
            renaming.apply(&mut disk.durable);
        }
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let disk = self.disk()?;
        Ok(disk.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used_bytes())))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FilesLock>> {
        let mut disk = self.disk()?;
        if !disk.locks.insert(path.into()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { files: self.clone(), path: path.into(), life: disk.life }))
    }
}

struct MemoryLock {
    files: MemoryFiles,
    path: PathBuf,
    life: u64,
}

impl FilesLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = lock(&self.files.disk);
        // After a crash the lock may be somebody else's.
        if disk.life == self.life {
            disk.locks.remove(&self.path);
        }
    }
}

struct MemoryFile {
    files: MemoryFiles,
    inode: Arc<Mutex<Inode>>,
    life: u64,
}

impl MemoryFile {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.files.disk()?;
        if disk.life == self.life { Ok(disk) } else { Err(io::Error::other("opened before a crash")) }
    }
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk()?;
        lock(&self.inode).live.read(offset, bytes)?;
        disk.spoil(bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let disk = self.disk()?;
        let room = disk.capacity.unwrap_or(u64::MAX);
        lock(&self.inode).write(offset, bytes, room)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk()?.sync()?;
        lock(&self.inode).sync();
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let _disk = self.disk()?;
        Ok(lock(&self.inode).live.length)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let _disk = self.disk()?;
        let mut inode = lock(&self.inode);
        let before = inode.live.bytes();
        if length < inode.live.length {
            let from = length / PAGE_BYTES as u64;
            let cut: Vec<_> = inode.live.pages.range(from..).map(|(page, _)| *page).collect();
            inode.dirty.extend(cut);
            inode.live.cut(length);
        }
        inode.live.length = length;
        inode.used.fetch_sub(before - inode.live.bytes(), Ordering::Relaxed);
        Ok(())
    }
}

impl Contents {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if offset + bytes.len() as u64 > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, within, range) in pieces(offset, bytes.len()) {
            let length = range.len();
            match self.pages.get(&page) {
                Some(page) => bytes[range].copy_from_slice(&page[within..within + length]),
                None => bytes[range].fill(0),
            }
        }
        Ok(())
    }
}

/// The pages that `length` bytes from `offset` on are in: page, place in it, range of the bytes.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % PAGE_BYTES as u64) as usize;
        let from = done;
        done = length.min(from + PAGE_BYTES - within);
        Some((at / PAGE_BYTES as u64, within, from..done))
    })
}

impl Inode {
    /// Writes page by page, until there is no room.
    fn write(&mut self, offset: u64, bytes: &[u8], room: u64) -> io::Result<()> {
        for (number, within, range) in pieces(offset, bytes.len()) {
            let piece = &bytes[range];
            let known = self.live.pages.contains_key(&number);
            let end = number * PAGE_BYTES as u64 + (within + piece.len()) as u64;
            if known || piece.iter().any(|byte| *byte != 0) {
                if !known {
                    let used = self.used.fetch_add(PAGE_BYTES as u64, Ordering::Relaxed);
                    if used + PAGE_BYTES as u64 > room {
                        self.used.fetch_sub(PAGE_BYTES as u64, Ordering::Relaxed);
                        return Err(io::ErrorKind::StorageFull.into());
                    }
                }
                let page = self.live.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
                Arc::make_mut(page)[within..within + piece.len()].copy_from_slice(piece);
                self.dirty.insert(number);
            }
            self.live.length = self.live.length.max(end);
        }
        Ok(())
    }

    fn sync(&mut self) {
        for page in std::mem::take(&mut self.dirty) {
            match self.live.pages.get(&page) {
                Some(contents) => self.durable.pages.insert(page, contents.clone()),
                None => self.durable.pages.remove(&page),
            };
        }
        self.durable.length = self.live.length;
    }

    /// What is left is both written and durable.
    fn crash(&mut self, crash: Crash, random: &mut Random) {
        let before = self.live.bytes();
        match crash {
            Crash::Everything => {}
            Crash::Nothing => self.live = self.durable.clone(),
            Crash::Torn(_) => self.tear(random),
        }
        self.dirty.clear();
        self.durable = self.live.clone();
        self.used.fetch_add(self.live.bytes(), Ordering::Relaxed);
        self.used.fetch_sub(before, Ordering::Relaxed);
    }

    fn tear(&mut self, random: &mut Random) {
        let mut torn = self.durable.clone();
        if random.below(2) == 0 {
            torn.length = self.live.length;
        }
        for number in &self.dirty {
            let mut page = torn.pages.get(number).map_or([0; PAGE_BYTES], |page| **page);
            let live = self.live.pages.get(number).map_or([0; PAGE_BYTES], |page| **page);
            for sector in 0..PAGE_BYTES / SECTOR_BYTES {
                let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                if random.below(2) == 0 {
                    page[range.clone()].copy_from_slice(&live[range]);
                }
            }
            torn.pages.insert(*number, Arc::new(page));
        }
        let length = torn.length;
        torn.cut(length);
        self.live = torn;
    }
}

/// splitmix64: a seed decides everything.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}
