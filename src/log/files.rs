//! The disk seam: everything the log asks of a file system, and nothing else. `StdFiles` in production,
//! `MemoryFiles` in tests and simulation. Both are held to the same contract (`files_test.rs`).

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
    sync::Arc,
};

/// A file system. Names become durable with `sync_dir` of the directory they are in, contents with
/// `File::sync_data`; until then a crash may keep or lose them, in part and in any order.
pub trait Files: Send + Sync + 'static {
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Creates an empty file; one of that name must not exist.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Moves a file atomically, replacing what had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name; whoever has it open can go on using it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a directory and those above it, where missing.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// How many bytes may still be written in the file system `dir` is in.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the lock that `path` stands for, creating the file if needed. `WouldBlock` if another process,
    /// or this one, has it. It is given back when dropped or when the process ends, however that happens.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FilesLock>>;
}

/// An open file, shared by any number of threads; every access names its place.
pub trait File: Send + Sync {
    /// Fills `bytes` from `offset`; `UnexpectedEof` if the file ends before.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, growing the file if needed (what lies between reads as zeros).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes contents and length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Cuts the file, or grows it with zeros.
    fn set_length(&self, length: u64) -> io::Result<()>;
}

/// A lock held; dropping it gives it back.
pub trait FilesLock: Send + Sync {}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct StdFiles;

struct StdLock(#[expect(dead_code, reason = "held, never read: closing it gives the lock back")] fs::File);

impl FilesLock for StdLock {}

impl Files for StdFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::options().read(true).write(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(fs::File::options().read(true).write(true).create_new(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    // The standard library does not know this call.
    #[allow(unsafe_code)]
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let path = CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: all-zero bytes are a valid `statvfs`, which is a struct of integers.
        let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: the path ends with a zero byte and outlives the call; `answer` is ours and writable.
        if unsafe { libc::statvfs(path.as_ptr(), &mut answer) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // The fields' widths differ between systems.
        #[allow(clippy::unnecessary_cast)]
        Ok((answer.f_bavail as u64).saturating_mul(answer.f_frsize as u64))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FilesLock>> {
        let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(StdLock(file))),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

impl File for fs::File {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}
