//! What every engine must do, asked of each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::{Engine, Error, Items, MemoryItems, Opened, condemn, open};
use crate::model::id::GroupId;
use crate::partition::{Batch, View};

pub(super) const CACHE_BYTES: u64 = 4 * 1024 * 1024;
const ONE: GroupId = GroupId(1);
const TWO: GroupId = GroupId(2);

/// An engine under test. The last field may still be needed by the others when it is dropped.
pub(super) struct Subject {
    pub items: Arc<dyn Items>,
    memory: Option<MemoryItems>,
    engine: Engine,
    directory: TempDir,
}

impl Subject {
    pub fn new(engine: Engine) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let memory = (engine == Engine::Memory).then(MemoryItems::new);
        let items = match &memory {
            Some(memory) => memory.items(),
            None => open_whole(engine, directory.path()),
        };
        Self { items, memory, engine, directory }
    }

    /// An orderly end of the process, and a start.
    pub fn reopen(&mut self) {
        match &self.memory {
            Some(memory) => memory.reopen(),
            None => {
                self.items = MemoryItems::new().items();
                self.items = open_whole(self.engine, self.directory.path());
            }
        }
    }

    /// What a crash leaves: for an engine on disk, a copy of its files as they are at this moment.
    pub fn crash(&mut self) {
        match &self.memory {
            Some(memory) => memory.crash(),
            None => {
                let copy = tempfile::tempdir().expect("a temporary directory");
                copy_directory(self.directory.path(), copy.path());
                self.items = open_whole(self.engine, copy.path());
                self.directory = copy;
            }
        }
    }
}

fn open_whole(engine: Engine, path: &Path) -> Arc<dyn Items> {
    let Opened { items, quarantined } = open(engine, path, CACHE_BYTES).expect("the store opens");
    assert_eq!(quarantined, None);
    items
}

/// Copies a directory as of one moment: again, if something changed meanwhile.
fn copy_directory(from: &Path, to: &Path) {
    loop {
        let before = files_of(from);
        let copied = before.iter().try_for_each(|(path, length)| {
            let target = to.join(path.strip_prefix(from).expect("it was found below"));
            match length {
                None => std::fs::create_dir_all(target),
                Some(_) => std::fs::copy(path, target).map(drop),
            }
        });
        if copied.is_ok() && files_of(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).expect("a copy can be removed");
        std::fs::create_dir(to).expect("a directory");
    }
}

/// All that is below a directory, with the lengths of files.
fn files_of(directory: &Path) -> BTreeMap<PathBuf, Option<u64>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => {
                files.insert(entry.path(), None);
                files.append(&mut files_of(&entry.path()));
            }
            Ok(metadata) => _ = files.insert(entry.path(), Some(metadata.len())),
            Err(_) => {} // gone since: the second look finds something else
        }
    }
    files
}

pub(super) fn batch(group: GroupId, state: &str, writes: &[(&str, Option<&str>)]) -> Batch {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let writes = writes.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect();
    Batch { group, state: bytes(state), writes }
}

fn pairs(items: &[(&str, &str)]) -> Vec<(Bytes, Bytes)> {
    items.iter().map(|(key, value)| (Bytes::from(key.to_string()), Bytes::from(value.to_string()))).collect()
}

pub(super) fn read(
    view: &dyn View<Error = Error>,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    reverse: bool,
) -> Vec<(Bytes, Bytes)> {
    let mut found = Vec::new();
    view.range(from, to, reverse, &mut |key, value| {
        found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        ControlFlow::Continue(())
    })
    .expect("a range");
    found
}

pub(super) fn all(view: &dyn View<Error = Error>) -> Vec<(Bytes, Bytes)> {
    read(view, Bound::Unbounded, Bound::Unbounded, false)
}

fn keys_of(found: &[(Bytes, Bytes)]) -> String {
    found.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>().join(" ")
}

fn get(view: &dyn View<Error = Error>, key: &str) -> Option<Bytes> {
    view.get(key.as_bytes()).expect("a read")
}

fn text(value: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(value.as_bytes()))
}

fn gets_what_was_put(subject: Subject) {
    let items = &subject.items;
    assert_eq!(get(&**items, "a"), None);
    items.commit(batch(ONE, "1", &[("a", Some("x")), ("empty", Some("")), ("", Some("no key"))])).unwrap();
    assert_eq!(get(&**items, "a"), text("x"));
    assert_eq!(get(&**items, "empty"), text(""));
    assert_eq!(get(&**items, ""), text("no key"));
    items.commit(batch(ONE, "2", &[("a", Some("y")), ("empty", None), ("never", None)])).unwrap();
    assert_eq!(get(&**items, "a"), text("y"));
    assert_eq!(get(&**items, "empty"), None);
    assert_eq!(get(&**items, "never"), None);
}

fn later_writes_win(subject: Subject) {
    let items = &subject.items;
    items
        .commit(batch(ONE, "1", &[("a", Some("x")), ("a", Some("y")), ("b", Some("x")), ("b", None)]))
        .unwrap();
    assert_eq!((get(&**items, "a"), get(&**items, "b")), (text("y"), None));
    let batches =
        vec![batch(ONE, "2", &[("a", None)]), batch(TWO, "7", &[]), batch(ONE, "3", &[("a", Some("z"))])];
    items.commit_many(batches).unwrap();
    assert_eq!(get(&**items, "a"), text("z"));
    assert_eq!((items.state(ONE).unwrap(), items.state(TWO).unwrap()), (text("3"), text("7")));
}

fn ranges_keep_order_and_bounds(subject: Subject) {
    let items = &subject.items;
    let writes: Vec<_> = ["d", "a", "c", "b", "bb", "e"].iter().map(|key| (*key, Some("x"))).collect();
    items.commit(batch(ONE, "1", &writes)).unwrap();
    items.commit(batch(TWO, "1", &[])).unwrap();
    use Bound::{Excluded, Included, Unbounded};
    let cases: [(Bound<&str>, Bound<&str>, &str); 14] = [
        (Unbounded, Unbounded, "a b bb c d e"),
        (Included("b"), Unbounded, "b bb c d e"),
        (Excluded("b"), Unbounded, "bb c d e"),
        (Unbounded, Included("bb"), "a b bb"),
        (Unbounded, Excluded("bb"), "a b"),
        (Included("b"), Included("d"), "b bb c d"),
        (Included("b"), Excluded("d"), "b bb c"),
        (Excluded("b"), Included("d"), "bb c d"),
        (Excluded("b"), Excluded("d"), "bb c"),
        (Included("b"), Included("b"), "b"),
        (Excluded("b"), Excluded("b"), ""),
        (Excluded("b"), Included("b"), ""),
        (Included("d"), Excluded("b"), ""),
        (Included("f"), Unbounded, ""),
    ];
    let view = items.view().unwrap();
    for (from, to, expected) in cases {
        let (from, to) = (from.map(str::as_bytes), to.map(str::as_bytes));
        let backwards: Vec<&str> = expected.split(' ').rev().collect();
        assert_eq!(keys_of(&read(&**items, from, to, false)), expected, "{from:?} {to:?}");
        assert_eq!(keys_of(&read(&**items, from, to, true)), backwards.join(" "), "{from:?} {to:?}");
        assert_eq!(keys_of(&read(&*view, from, to, false)), expected, "{from:?} {to:?}");
        assert_eq!(keys_of(&read(&*view, from, to, true)), backwards.join(" "), "{from:?} {to:?}");
    }
}

fn a_visit_may_break_and_may_use_the_store(subject: Subject) {
    let items = &subject.items;
    items.commit(batch(ONE, "1", &[("a", Some("x")), ("b", Some("x")), ("c", Some("x"))])).unwrap();
    let mut seen = 0;
    items
        .range(Bound::Unbounded, Bound::Unbounded, true, &mut |key, _| {
            seen += 1;
            let key = std::str::from_utf8(key).unwrap();
            assert_eq!(get(&**items, key), text("x"));
            items.commit(batch(ONE, "2", &[(key, None), ("a", None)])).unwrap();
            if key == "b" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((seen, all(&**items).len()), (2, 0));
}

fn state_is_the_last_batches(subject: Subject) {
    let items = &subject.items;
    assert_eq!((items.state(ONE).unwrap(), items.groups().unwrap()), (None, vec![]));
    items.commit(batch(TWO, "1", &[])).unwrap();
    items.commit(batch(GroupId(300), "2", &[("a", Some("x"))])).unwrap();
    items.commit(batch(TWO, "3", &[])).unwrap();
    assert_eq!(items.state(ONE).unwrap(), None);
    assert_eq!((items.state(TWO).unwrap(), items.state(GroupId(300)).unwrap()), (text("3"), text("2")));
    assert_eq!(items.groups().unwrap(), vec![TWO, GroupId(300)]);
    assert!(items.size_bytes() > 0);
}

fn views_do_not_see_what_comes_later(subject: Subject) {
    let items = &subject.items;
    items.commit(batch(ONE, "1", &[("a", Some("a1")), ("b", Some("b1")), ("d", Some("d1"))])).unwrap();
    let first = items.view().unwrap();
    let before = all(&*first);
    items.commit(batch(ONE, "2", &[("a", Some("a2")), ("b", None), ("c", Some("c2"))])).unwrap();
    items.commit(batch(TWO, "2", &[])).unwrap();
    let second = items.view().unwrap();
    items.commit(batch(ONE, "3", &[("a", None), ("b", Some("b3")), ("c", Some("c3"))])).unwrap();
    items.remove(TWO, b"d", None).unwrap();

    assert_eq!(before, pairs(&[("a", "a1"), ("b", "b1"), ("d", "d1")]));
    assert_eq!(all(&*first), before);
    assert_eq!(keys_of(&read(&*first, Bound::Unbounded, Bound::Unbounded, true)), "d b a");
    assert_eq!((get(&*first, "a"), get(&*first, "b"), get(&*first, "c")), (text("a1"), text("b1"), None));
    assert_eq!((first.state(ONE).unwrap(), first.state(TWO).unwrap()), (text("1"), None));
    assert_eq!(first.groups().unwrap(), vec![ONE]);

    assert_eq!(all(&*second), pairs(&[("a", "a2"), ("c", "c2"), ("d", "d1")]));
    assert_eq!(second.groups().unwrap(), vec![ONE, TWO]);
    drop(first);
    assert_eq!(second.state(ONE).unwrap(), text("2"));
    assert_eq!(all(&**items), pairs(&[("b", "b3"), ("c", "c3")]));
}

fn a_view_outlives_many_commits(subject: Subject) {
    let items = &subject.items;
    let numbered = |round: usize, step: usize| -> Batch {
        let writes = (0..500).step_by(step);
        let writes =
            writes.map(|n| (Bytes::from(format!("{n:05}")), Some(Bytes::from(format!("{n}-{round}")))));
        Batch { group: ONE, state: Bytes::from(round.to_string()), writes: writes.collect() }
    };
    items.commit(numbered(0, 2)).unwrap();
    let view = items.view().unwrap();
    let before = all(&*view);
    assert_eq!(before.len(), 250);
    for round in 1..20 {
        items.commit(numbered(round, round)).unwrap();
    }
    assert_eq!(all(&*view), before);
    let backwards = read(&*view, Bound::Unbounded, Bound::Unbounded, true);
    assert!(backwards.iter().eq(before.iter().rev()));
    assert_eq!(all(&**items).len(), 500);
}

fn an_import_is_invisible_until_complete(subject: Subject) {
    let items = &subject.items;
    items.commit(batch(ONE, "1", &[("a", Some("old")), ("b", Some("old"))])).unwrap();
    items.commit(batch(TWO, "1", &[("m", Some("other")), ("n", Some("other"))])).unwrap();
    let earlier = items.view().unwrap();
    items.import_begin(ONE, b"a", Some(b"m")).unwrap();
    items.import_chunk(ONE, &pairs(&[("b", "new"), ("c", "new")])).unwrap();
    let during = items.view().unwrap();
    items.import_chunk(ONE, &pairs(&[("d", "new")])).unwrap();
    for view in [&**items as &dyn View<Error = Error>, &*during] {
        assert_eq!(keys_of(&all(view)), "m n");
        assert_eq!(get(view, "b"), None);
    }
    assert_eq!((items.state(ONE).unwrap(), during.state(ONE).unwrap()), (None, None));
    assert_eq!((items.groups().unwrap(), during.groups().unwrap()), (vec![TWO], vec![TWO]));
    assert!(matches!(items.commit(batch(ONE, "2", &[])), Err(Error::Importing { group: ONE })));
    items.commit(batch(TWO, "2", &[("n", None)])).unwrap();

    items.import_finish(ONE, Bytes::from_static(b"9")).unwrap();
    assert_eq!(all(&**items), pairs(&[("b", "new"), ("c", "new"), ("d", "new"), ("m", "other")]));
    assert_eq!((items.state(ONE).unwrap(), items.state(TWO).unwrap()), (text("9"), text("2")));
    assert_eq!(keys_of(&all(&*during)), "m n");
    assert_eq!(keys_of(&all(&*earlier)), "a b m n");
    assert_eq!(earlier.state(ONE).unwrap(), text("1"));
    items.commit(batch(ONE, "10", &[("a", Some("later"))])).unwrap();
    assert_eq!(get(&**items, "a"), text("later"));
}

fn an_import_follows_its_protocol(subject: Subject) {
    let items = &subject.items;
    assert!(matches!(items.import_chunk(ONE, &[]), Err(Error::NoImport { group: ONE })));
    assert!(matches!(items.import_finish(ONE, Bytes::new()), Err(Error::NoImport { group: ONE })));
    items.import_begin(ONE, b"b", Some(b"d")).unwrap();
    for outside in ["a", "d"] {
        let chunk = pairs(&[("c", "x"), (outside, "x")]);
        assert!(matches!(items.import_chunk(ONE, &chunk), Err(Error::Outside { group: ONE })));
    }
    items.import_chunk(ONE, &pairs(&[("b", "first try")])).unwrap();
    items.import_begin(ONE, b"c", None).unwrap();
    items.import_chunk(ONE, &pairs(&[("z", "second try")])).unwrap();
    items.import_finish(ONE, Bytes::from_static(b"1")).unwrap();
    assert_eq!(all(&**items), pairs(&[("z", "second try")]));
    assert!(matches!(items.import_finish(ONE, Bytes::new()), Err(Error::NoImport { group: ONE })));
}

fn a_crash_undoes_an_import(mut subject: Subject) {
    subject.items.commit(batch(ONE, "1", &[("a", Some("old"))])).unwrap();
    subject.items.commit(batch(TWO, "1", &[("m", Some("other"))])).unwrap();
    subject.items.flush().unwrap();
    subject.items.import_begin(ONE, b"a", Some(b"m")).unwrap();
    subject.items.import_chunk(ONE, &pairs(&[("b", "new")])).unwrap();
    subject.items.flush().unwrap();
    subject.crash();
    let items = &subject.items;
    assert_eq!((items.state(ONE).unwrap(), items.state(TWO).unwrap()), (None, text("1")));
    assert_eq!(all(&**items), pairs(&[("m", "other")]));
    assert!(matches!(items.import_chunk(ONE, &[]), Err(Error::NoImport { group: ONE })));
    items.import_begin(ONE, b"a", Some(b"m")).unwrap();
    items.import_chunk(ONE, &pairs(&[("c", "newer")])).unwrap();
    items.import_finish(ONE, Bytes::from_static(b"2")).unwrap();
    subject.crash();
    let items = &subject.items;
    assert_eq!(all(&**items), pairs(&[("c", "newer"), ("m", "other")]));
    assert_eq!(items.state(ONE).unwrap(), text("2"));
}

fn an_orderly_end_undoes_an_import(mut subject: Subject) {
    subject.items.commit(batch(ONE, "1", &[("a", Some("old"))])).unwrap();
    subject.items.import_begin(ONE, b"", None).unwrap();
    subject.items.import_chunk(ONE, &pairs(&[("b", "new")])).unwrap();
    subject.reopen();
    assert_eq!((subject.items.state(ONE).unwrap(), all(&*subject.items)), (None, vec![]));
}

fn remove_takes_range_and_state(mut subject: Subject) {
    let items = &subject.items;
    let many: Vec<(Bytes, Option<Bytes>)> =
        (0..1500).map(|n| (Bytes::from(format!("b{n}")), Some(Bytes::from_static(b"x")))).collect();
    items.commit(Batch { group: ONE, state: Bytes::from_static(b"1"), writes: many }).unwrap();
    items.commit(batch(TWO, "1", &[("a", Some("x")), ("c", Some("x"))])).unwrap();
    items.remove(ONE, b"b", Some(b"c")).unwrap();
    assert_eq!((keys_of(&all(&**items)), items.groups().unwrap()), ("a c".to_owned(), vec![TWO]));
    // An empty range leaves the items: they belong to somebody else now.
    items.remove(TWO, b"a", Some(b"a")).unwrap();
    assert_eq!((keys_of(&all(&**items)), items.groups().unwrap()), ("a c".to_owned(), vec![]));
    // An import given up.
    items.import_begin(ONE, b"d", Some(b"e")).unwrap();
    items.import_chunk(ONE, &pairs(&[("d", "x")])).unwrap();
    items.remove(ONE, b"b", Some(b"c")).unwrap();
    assert!(matches!(items.import_finish(ONE, Bytes::new()), Err(Error::NoImport { group: ONE })));
    items.commit(batch(ONE, "1", &[("dd", Some("x"))])).unwrap();
    assert_eq!(keys_of(&all(&**items)), "a c dd");
    subject.reopen();
    assert_eq!(keys_of(&all(&*subject.items)), "a c dd");
}

fn reopening_finds_everything(mut subject: Subject) {
    subject.items.commit(batch(ONE, "1", &[("a", Some("x")), ("b", Some("x"))])).unwrap();
    subject.items.flush().unwrap();
    subject.items.commit(batch(ONE, "2", &[("a", None)])).unwrap();
    subject.reopen();
    assert_eq!(all(&*subject.items), pairs(&[("b", "x")]));
    assert_eq!(subject.items.state(ONE).unwrap(), text("2"));
    subject.items.commit(batch(ONE, "3", &[("a", Some("y"))])).unwrap();
    subject.reopen();
    assert_eq!(all(&*subject.items), pairs(&[("a", "y"), ("b", "x")]));
}

fn a_crash_leaves_a_prefix_with_all_that_was_flushed(mut subject: Subject) {
    for n in 0..60_u32 {
        let writes = [
            (Bytes::from(format!("{n:03}")), Some(Bytes::from(vec![b'x'; 1000]))),
            (Bytes::from_static(b"last"), Some(Bytes::from(n.to_string()))),
        ];
        let state = Bytes::from(n.to_string());
        subject.items.commit(Batch { group: ONE, state, writes: writes.to_vec() }).unwrap();
        if n == 40 {
            subject.items.flush().unwrap();
        }
    }
    subject.crash();
    let state = subject.items.state(ONE).unwrap().expect("a state");
    let last: usize = std::str::from_utf8(&state).unwrap().parse().unwrap();
    assert!(last >= 40, "flushed at 40, found {last}");
    assert_eq!(get(&*subject.items, "last"), Some(state));
    assert_eq!(all(&*subject.items).len(), last + 2);
}

fn more_than_the_buffers_hold(mut subject: Subject) {
    let noise = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    let round = |round: u64, numbers: std::ops::Range<u64>| -> Vec<Batch> {
        let write = |n: u64| {
            let value: Vec<u8> = (0..250).flat_map(|part| noise(n * 1000 + part * 10 + round)).collect();
            (Bytes::copy_from_slice(&noise(n)), (n % 5 != round).then(|| Bytes::from(value)))
        };
        let state = Bytes::from(round.to_string());
        let writes: Vec<_> = numbers.map(write).collect();
        writes
            .chunks(512)
            .map(|writes| Batch { group: ONE, state: state.clone(), writes: writes.to_vec() })
            .collect()
    };
    for batch in round(9, 0..12_000) {
        subject.items.commit(batch).unwrap();
    }
    let view = subject.items.view().unwrap();
    for batch in round(1, 4_000..16_000) {
        subject.items.commit(batch).unwrap();
    }
    let expected = |rounds: &[Batch]| -> BTreeMap<Bytes, Option<Bytes>> {
        rounds.iter().flat_map(|batch| batch.writes.iter().cloned()).collect()
    };
    let check = |view: &dyn View<Error = Error>, expected: BTreeMap<Bytes, Option<Bytes>>| {
        let present = expected.into_iter().filter_map(|(key, value)| Some((key, value?)));
        assert!(all(view).into_iter().eq(present));
    };
    let (first, second) = (round(9, 0..12_000), round(1, 4_000..16_000));
    check(&*view, expected(&first));
    drop(view);
    check(&*subject.items, expected(&[first.clone(), second.clone()].concat()));
    subject.reopen();
    check(&*subject.items, expected(&[first, second].concat()));
    assert_eq!(subject.items.state(ONE).unwrap(), text("1"));
}

fn groups_commit_from_several_threads(subject: Subject) {
    let items = &subject.items;
    std::thread::scope(|scope| {
        for group in 1..5_u64 {
            scope.spawn(move || {
                for round in 0..50 {
                    let value = Some(Bytes::from(round.to_string()));
                    let writes =
                        (0..8).map(|n| (Bytes::from(format!("{group}-{n}")), value.clone())).collect();
                    let state = Bytes::from(round.to_string());
                    items.commit(Batch { group: GroupId(group), state, writes }).unwrap();
                }
            });
        }
        // Meanwhile a reader sees whole batches only, and a state that belongs to them.
        for _ in 0..100 {
            let view = items.view().unwrap();
            for group in 1..5_u64 {
                let from = format!("{group}-");
                let to = format!("{group}.");
                let bounds = (Bound::Included(from.as_bytes()), Bound::Excluded(to.as_bytes()));
                let state = view.state(GroupId(group)).unwrap();
                let found = read(&*view, bounds.0, bounds.1, false);
                assert_eq!(found.len(), if state.is_some() { 8 } else { 0 });
                assert!(found.iter().all(|(_, value)| Some(value) == state.as_ref()));
                let found: Vec<Bytes> =
                    read(&**items, bounds.0, bounds.1, false).into_iter().map(|(_, value)| value).collect();
                assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:?}");
            }
        }
    });
    assert_eq!(all(&**items).len(), 32);
    assert!(all(&**items).iter().all(|(_, value)| value == "49"));
}

macro_rules! contract {
    ($($clause:ident)*) => {
        mod fjall { $(#[test] fn $clause() { super::$clause(super::Subject::new(super::Engine::Fjall)); })* }
        mod sled { $(#[test] fn $clause() { super::$clause(super::Subject::new(super::Engine::Sled)); })* }
        mod memory { $(#[test] fn $clause() { super::$clause(super::Subject::new(super::Engine::Memory)); })* }
    };
}

contract! {
    gets_what_was_put
    later_writes_win
    ranges_keep_order_and_bounds
    a_visit_may_break_and_may_use_the_store
    state_is_the_last_batches
    views_do_not_see_what_comes_later
    a_view_outlives_many_commits
    an_import_is_invisible_until_complete
    an_import_follows_its_protocol
    a_crash_undoes_an_import
    an_orderly_end_undoes_an_import
    remove_takes_range_and_state
    reopening_finds_everything
    a_crash_leaves_a_prefix_with_all_that_was_flushed
    more_than_the_buffers_hold
    groups_commit_from_several_threads
}

#[test]
fn memory_forgets_what_was_not_flushed() {
    let memory = MemoryItems::new();
    let items = memory.items();
    items.commit(batch(ONE, "1", &[("a", Some("x")), ("b", Some("x"))])).unwrap();
    items.flush().unwrap();
    let size = items.size_bytes();
    items.commit(batch(ONE, "2", &[("a", Some("yy")), ("b", None), ("c", Some("x"))])).unwrap();
    items.commit(batch(TWO, "1", &[("a", None)])).unwrap();
    let view = items.view().unwrap();
    memory.crash();
    assert_eq!((all(&*items), size), (pairs(&[("a", "x"), ("b", "x")]), items.size_bytes()));
    assert_eq!((items.state(ONE).unwrap(), items.groups().unwrap()), (text("1"), vec![ONE]));
    assert_eq!(all(&*view), pairs(&[("c", "x")]));
    // An import whose beginning was not flushed never was.
    items.import_begin(ONE, b"", None).unwrap();
    memory.crash();
    assert_eq!((all(&*items).len(), items.state(ONE).unwrap()), (2, text("1")));
}

#[test]
fn a_locked_store_is_refused() {
    for engine in [Engine::Fjall, Engine::Sled] {
        let subject = Subject::new(engine);
        subject.items.commit(batch(ONE, "1", &[("a", Some("x"))])).unwrap();
        let second = open(engine, subject.directory.path(), CACHE_BYTES);
        assert!(matches!(second, Err(Error::Locked { .. })));
        assert_eq!(get(&*subject.items, "a"), text("x"));
    }
}

#[test]
fn another_engines_store_is_refused() {
    for (engine, other) in [(Engine::Fjall, Engine::Sled), (Engine::Sled, Engine::Fjall)] {
        let mut subject = Subject::new(engine);
        subject.items = MemoryItems::new().items();
        let second = open(other, subject.directory.path(), CACHE_BYTES);
        assert!(matches!(second, Err(Error::Foreign { .. })));
        assert!(open(engine, subject.directory.path(), CACHE_BYTES).is_ok());
    }
}

#[test]
fn a_damaged_or_condemned_store_is_quarantined() {
    for engine in [Engine::Fjall, Engine::Sled] {
        let mut subject = Subject::new(engine);
        subject.items.commit(batch(ONE, "1", &[("a", Some("x"))])).unwrap();
        subject.items = MemoryItems::new().items();
        let path = subject.directory.path();
        let mut quarantined = BTreeSet::new();
        for round in 1..4 {
            if round == 2 {
                condemn(engine, path).unwrap();
            } else {
                damage(&path.join(engine.to_string()), round);
            }
            let opened = open(engine, path, CACHE_BYTES).expect("an empty store opens");
            assert_eq!((all(&*opened.items), opened.items.groups().unwrap()), (vec![], vec![]));
            let aside = opened.quarantined.clone().expect("it was put aside");
            assert!(aside.exists());
            assert!(quarantined.insert(aside));
            opened.items.commit(batch(ONE, "1", &[("a", Some("x"))])).unwrap();
            drop(opened);
            let again = open_whole(engine, path);
            assert_eq!(get(&*again, "a"), text("x"));
        }
    }
}

/// Fills the engine's files with nonsense, or cuts them.
fn damage(path: &Path, round: u64) {
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            damage(&entry, round);
        } else if round == 1 {
            std::fs::write(&entry, vec![0xa5; 4096]).unwrap();
        } else {
            std::fs::OpenOptions::new().write(true).open(&entry).unwrap().set_len(3).unwrap();
        }
    }
}

#[test]
fn engines_have_names() {
    for engine in [Engine::Fjall, Engine::Sled, Engine::Memory] {
        assert_eq!(engine.to_string().parse::<Engine>().unwrap(), engine);
    }
    assert!("rocksdb".parse::<Engine>().is_err());
}
