//! Opening the store: one process at a time, one engine in a directory, and what cannot be opened put aside.
//!
//! | in the directory            | what it is                                             |
//! |-----------------------------|--------------------------------------------------------|
//! | `lock`                      | held by the process that has the store open            |
//! | `fjall`, `sled`             | the engine's files; only one of them                   |
//! | `<engine>.condemned`        | the store was found damaged: quarantine it at next open |
//! | `<engine>.quarantined-<n>`  | a store that did not open; for a human to look at      |

use std::fmt;
use std::fs::{File, TryLockError};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::disk::Disk;
use super::error::Damage;
use super::fjall::Fjall;
use super::sled::Sled;
use super::store::Store;
use super::{Error, Items, MemoryItems};

/// What keeps the items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// A log-structured merge tree.
    #[default]
    Fjall,
    /// A B+ tree on a log.
    Sled,
    /// A map in memory: for tests and demonstrations, empty at every start.
    Memory,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no engine.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no storage engine: say fjall, sled or memory")]
pub struct UnknownEngine(String);

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        [Self::Fjall, Self::Sled, Self::Memory]
            .into_iter()
            .find(|engine| engine.name() == text)
            .ok_or_else(|| UnknownEngine(text.to_owned()))
    }
}

/// An open store.
pub struct Opened {
    /// The items.
    pub items: Arc<dyn Items>,
    /// Where the store that did not open was put: `items` is then empty, every group must be imported anew,
    /// and a human should be told.
    pub quarantined: Option<PathBuf>,
}

/// Opens the items in the directory `path`, which is created if it is not there. About `cache_bytes` of
/// memory hold what was read.
///
/// A store that is damaged is put aside, with a warning, and an empty one opened in its place. One that is
/// in use by another process, or was written by another engine or version, is refused and left alone.
pub fn open(engine: Engine, path: &Path, cache_bytes: u64) -> Result<Opened, Error> {
    if engine == Engine::Memory {
        return Ok(Opened { items: MemoryItems::new().items(), quarantined: None });
    }
    let lock = Arc::new(DirectoryLock::take(path)?);
    refuse_other(engine, path)?;
    let directory = path.join(engine.name());
    let condemned = condemned(engine, path);
    let attempt = if condemned.exists() && directory.exists() {
        Err(Error::Corrupt { doing: "open", source: Damage::Condemned })
    } else {
        open_engine(engine, &directory, cache_bytes, &lock)
    };
    let (items, quarantined) = match attempt {
        Ok(items) => (items, None),
        Err(error @ Error::Corrupt { .. }) => {
            let aside = put_aside(&directory).map_err(io("quarantine"))?;
            let why = &error as &dyn std::error::Error;
            tracing::warn!(error = why, path = %aside.display(), "item store quarantined");
            (open_engine(engine, &directory, cache_bytes, &lock)?, Some(aside))
        }
        Err(error) => return Err(error),
    };
    if condemned.exists() {
        std::fs::remove_file(&condemned).map_err(io("quarantine"))?;
    }
    Ok(Opened { items, quarantined })
}

fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { doing, source }
}

/// Makes the next [`open`] quarantine the store: for a process that met [`Error::Corrupt`] while running,
/// before it stops.
pub fn condemn(engine: Engine, path: &Path) -> Result<(), Error> {
    let write = || {
        File::create(condemned(engine, path))?.sync_all()?;
        File::open(path)?.sync_all()
    };
    write().map_err(io("condemn"))
}

fn condemned(engine: Engine, path: &Path) -> PathBuf {
    path.join(format!("{engine}.condemned"))
}

/// An engine switched by its configuration must not find the old items of an earlier switch.
fn refuse_other(engine: Engine, path: &Path) -> Result<(), Error> {
    for other in [Engine::Fjall, Engine::Sled] {
        let other_path = path.join(other.name());
        if other != engine && other_path.exists() {
            return Err(Error::Foreign { path: other_path });
        }
    }
    Ok(())
}

/// Both engines panic on some kinds of damage: that is damage, too.
fn open_engine(
    engine: Engine,
    directory: &Path,
    cache_bytes: u64,
    lock: &Arc<DirectoryLock>,
) -> Result<Arc<dyn Items>, Error> {
    let open = || {
        let disk = match engine {
            Engine::Fjall => Disk::Fjall(Fjall::open(directory, cache_bytes, lock.clone())?),
            Engine::Sled => Disk::Sled(Sled::open(directory, cache_bytes, lock.clone())?),
            Engine::Memory => unreachable!("items in memory have no directory"),
        };
        Ok(Arc::new(Store::open(disk)?) as Arc<dyn Items>)
    };
    std::panic::catch_unwind(AssertUnwindSafe(open))
        .unwrap_or(Err(Error::Corrupt { doing: "open", source: Damage::Panicked }))
}

/// Renames the engine's directory to the first free name.
fn put_aside(directory: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1;
    let aside = loop {
        let aside = directory.with_extension(format!("quarantined-{number}"));
        if !aside.exists() {
            break aside;
        }
        number += 1;
    };
    std::fs::rename(directory, &aside)?;
    if let Some(parent) = directory.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(aside)
}

/// Says that a store is in use, for as long as it lives; the system ends it with the process.
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory, if need be, and locks it.
    pub fn take(path: &Path) -> Result<Self, Error> {
        let create = || {
            std::fs::create_dir_all(path)?;
            File::create(path.join("lock"))
        };
        let file = create().map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(io("lock")(source)),
        }
    }
}
