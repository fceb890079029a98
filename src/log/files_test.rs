//! The contract of `Files`, for both implementations, and the faults of the simulated disk.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Crash, Files, MemoryFiles, StdFiles};

/// What every file system must do.
fn contract(files: &dyn Files, dir: &Path) {
    let inner = dir.join("a/b");
    files.create_dir(&inner).expect("missing directories are made");
    files.create_dir(&inner).expect("making one twice is nothing");
    files.sync_dir(&inner).expect("a directory syncs");
    reads_and_writes(files, &inner);
    names(files, &inner);
    locks(files, &inner);
    assert!(files.free_bytes(&inner).expect("space is known") > 1 << 20, "there is some space");
}

fn reads_and_writes(files: &dyn Files, dir: &Path) {
    let path = dir.join("file");
    assert_eq!(files.open(&path).err().expect("it is not there").kind(), io::ErrorKind::NotFound);
    let file = files.create(&path).expect("it can be made");
    assert_eq!(files.create(&path).err().expect("it is there").kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(file.length().expect("it has a length"), 0);
    file.write_at(5000, b"hello").expect("writing behind the end grows it");
    assert_eq!(file.length().expect("it has a length"), 5005);
    let mut bytes = [1; 7];
    file.read_at(4998, &mut bytes).expect("what lies between is there");
    assert_eq!(&bytes, b"\0\0hello");
    let error = file.read_at(4999, &mut bytes).expect_err("the end is an end");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    file.write_at(4094, b"over a page").expect("it can be overwritten");
    file.sync_data().expect("it syncs");
    let again = files.open(&path).expect("it can be opened twice");
    let mut bytes = [0; 11];
    again.read_at(4094, &mut bytes).expect("what was written is seen");
    assert_eq!(&bytes, b"over a page");
    again.set_length(4098).expect("it can be cut");
    again.set_length(9000).expect("it can be grown");
    file.read_at(4094, &mut bytes).expect("what was cut is zeros");
    assert_eq!(&bytes, b"over\0\0\0\0\0\0\0");
    assert_eq!(file.length().expect("it has a length"), 9000);
    files.remove(&path).expect("it can be removed");
    file.read_at(4094, &mut bytes).expect("who has it open goes on");
    assert!(files.remove(&path).is_err(), "it is gone");
}

fn names(files: &dyn Files, dir: &Path) {
    for name in ["c", "a", "b"] {
        files.create(&dir.join(name)).expect("it can be made").write_at(0, name.as_bytes()).expect("writes");
    }
    assert_eq!(files.list(dir).expect("it lists"), ["a", "b", "c"]);
    files.rename(&dir.join("a"), &dir.join("c")).expect("it replaces");
    let up = dir.parent().expect("it has one").join("d");
    files.rename(&dir.join("b"), &up).expect("it moves to another directory");
    assert_eq!(files.list(dir).expect("it lists"), ["c"]);
    let mut byte = [0];
    files.open(&dir.join("c")).expect("opens").read_at(0, &mut byte).expect("reads");
    assert_eq!(&byte, b"a");
    assert_eq!(files.list(up.parent().expect("it has one")).expect("it lists"), ["b", "d"]);
    assert!(files.rename(&dir.join("a"), &up).is_err(), "what is not there cannot be moved");
    assert!(files.list(&dir.join("nowhere")).is_err(), "what is not there cannot be listed");
    assert!(files.create(&dir.join("nowhere/x")).is_err(), "directories are not made along");
}

fn locks(files: &dyn Files, dir: &Path) {
    let path = dir.join("lock");
    let held = files.lock(&path).expect("it is free");
    assert_eq!(files.lock(&path).err().expect("it is taken").kind(), io::ErrorKind::WouldBlock);
    drop(held);
    files.lock(&path).expect("it is free again");
}

#[test]
fn std_files_keep_the_contract() {
    let dir = tempfile::tempdir().expect("a directory");
    contract(&StdFiles, dir.path());
}

#[test]
fn memory_files_keep_the_contract() {
    contract(&MemoryFiles::new(), Path::new("/disk"));
}

fn disk() -> (MemoryFiles, PathBuf) {
    let files = MemoryFiles::new();
    files.create_dir(Path::new("/d")).expect("directories can be made");
    (files, PathBuf::from("/d/file"))
}

fn contents(files: &MemoryFiles, path: &Path) -> Option<Vec<u8>> {
    let file = files.open(path).ok()?;
    let mut bytes = vec![0; file.length().expect("it has a length") as usize];
    file.read_at(0, &mut bytes).expect("it reads");
    Some(bytes)
}

#[test]
fn a_crash_loses_exactly_what_was_not_synced() {
    let (files, path) = disk();
    let file = files.create(&path).expect("it can be made");
    file.write_at(0, b"old").expect("writes");
    file.sync_data().expect("syncs");
    files.crash(Crash::Nothing);
    assert_eq!(contents(&files, &path), None, "the name was not durable");
    let file = files.create(&path).expect("it can be made");
    file.write_at(0, b"old").expect("writes");
    file.sync_data().expect("syncs");
    files.sync_dir(Path::new("/d")).expect("syncs");
    file.write_at(0, b"new and longer").expect("writes");
    files.rename(&path, Path::new("/d/other")).expect("renames");
    files.crash(Crash::Nothing);
    assert_eq!(contents(&files, &path).as_deref(), Some(&b"old"[..]));
    assert!(file.write_at(0, b"x").is_err(), "what was open before a crash is dead");
}

#[test]
fn a_torn_crash_keeps_whole_sectors() {
    let mut kept = [0; 2];
    for seed in 0..50 {
        let (files, path) = disk();
        let file = files.create(&path).expect("it can be made");
        file.write_at(0, &[1; 8192]).expect("writes");
        file.sync_data().expect("syncs");
        files.sync_dir(Path::new("/d")).expect("syncs");
        file.write_at(0, &[2; 8192]).expect("writes");
        files.crash(Crash::Torn(seed));
        for sector in contents(&files, &path).expect("it is there").chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is written as a whole");
            kept[usize::from(sector[0] == 2)] += 1;
        }
    }
    assert!(kept.iter().all(|count| *count > 200), "some are kept and some are lost: {kept:?}");
}

#[test]
fn faults_happen_when_told() {
    let (files, path) = disk();
    let file = files.create(&path).expect("it can be made");
    files.set_capacity(Some(8192));
    file.write_at(0, &[1; 8192]).expect("it fits");
    assert_eq!(files.free_bytes(&path).expect("space is known"), 0);
    file.write_at(0, &[2; 8192]).expect("overwriting takes no space");
    let error = file.write_at(8192, &[1]).expect_err("it is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    files.remove(&path).expect("removes");
    drop(file);
    files.sync_dir(Path::new("/d")).expect("syncs");
    assert_eq!(files.used_bytes(), 0, "removed files take no space");
    let file = files.create(&path).expect("it can be made");
    files.fail_sync(files.syncs());
    file.sync_data().expect_err("this one fails");
    file.sync_data().expect("the next one does not");
    files.crash_at_sync(files.syncs());
    file.sync_data().expect_err("the machine stops");
    assert!(files.has_crashed());
    assert!(files.list(Path::new("/d")).is_err(), "nothing works on a machine that stopped");
}
