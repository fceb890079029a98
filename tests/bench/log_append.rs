//! How fast the log is on this disk: appends of 1 KiB by threads that wait for each, and sequential reads.
//!
//! `cargo bench --bench log_append [-- <directory> [seconds]]`. The directory must be on the disk to measure
//! (`/tmp` is often memory); it is left empty.

#![expect(clippy::disallowed_methods, reason = "it measures real time, on real threads")]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use watertable::{
    log::{Lane, Log, Options, StdFiles},
    model::id::{GroupId, Position},
};

const ENTRY_BYTES: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let dir = arguments.first().map_or_else(|| PathBuf::from("target"), PathBuf::from).join("log_append");
    let seconds = arguments.get(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(5);
    let _ = std::fs::remove_dir_all(&dir);
    start(&dir);
    // Of two runs the first one fills new files, the second one overwrites recycled ones.
    for (threads, groups) in [(64, 8), (64, 8), (256, 64), (1, 1)] {
        append(&dir, threads, groups, Duration::from_secs(seconds));
    }
    read(&dir);
    std::fs::remove_dir_all(&dir).expect("the directory is ours");
}

fn start(dir: &Path) {
    let begun = Instant::now();
    let log = open(dir, Options::default());
    let opened = begun.elapsed();
    wait(|done| log.append(GroupId(0), vec![entry(0)], done));
    println!("empty directory: open {opened:.1?}, first append durable after {:.1?}", begun.elapsed());
    wait(|done| log.trim(GroupId(0), Position::new(1, 0), done));
    wait(|done| log.remove(GroupId(0), done));
    log.close();
}

fn open(dir: &Path, options: Options) -> Log {
    Log::open(Arc::new(StdFiles), dir, Options { free_bytes_min: 1 << 30, ..options }).expect("the log opens")
}

fn entry(index: u64) -> (Position, Bytes) {
    static PAYLOAD: [u8; ENTRY_BYTES] = [b'x'; ENTRY_BYTES];
    (Position::new(1, index), Bytes::from_static(&PAYLOAD))
}

fn wait(submit: impl FnOnce(watertable::log::Done)) {
    let (sender, receiver) = mpsc::sync_channel(1);
    submit(Box::new(move |result| sender.send(result).expect("the caller waits")));
    receiver.recv().expect("every submission is answered").expect("the log takes it");
}

fn append(dir: &Path, threads: u64, groups: u64, time: Duration) {
    let syncs = Arc::new(Mutex::new(Vec::new()));
    let noted = syncs.clone();
    let observer = Arc::new(move |batch: &watertable::log::WriteBatch| {
        noted.lock().expect("no panic").push((batch.sync, batch.write, batch.frames));
    });
    let log = open(dir, Options { observer: Some(observer), tail_bytes_max: 64 << 20, ..Options::default() });
    let nexts: Arc<Vec<Mutex<u64>>> = Arc::new((0..groups).map(|_| Mutex::new(0)).collect());
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let (log, nexts, stop, count) = (log.clone(), nexts.clone(), stop.clone(), count.clone());
            thread::spawn(move || {
                let group = worker % groups;
                let mut latencies = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    wait(|done| {
                        let mut next = nexts[group as usize].lock().expect("no panic");
                        log.append(GroupId(group), vec![entry(*next)], done);
                        // Trims keep the disk from filling and the segments going round.
                        if *next % 20_000 == 19_999 {
                            log.trim(GroupId(group), Position::new(1, *next - 10_000), Box::new(|_| {}));
                        }
                        *next += 1;
                    });
                    latencies.push(asked.elapsed());
                    count.fetch_add(1, Ordering::Relaxed);
                }
                latencies
            })
        })
        .collect();
    thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    let mut latencies: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().expect("ends")).collect();
    let elapsed = begun.elapsed().as_secs_f64();
    let rate = count.load(Ordering::Relaxed) as f64 / elapsed;
    latencies.sort_unstable();
    let mut noted = std::mem::take(&mut *syncs.lock().expect("no panic"));
    let frames: u64 = noted.iter().map(|(_, _, frames)| u64::from(*frames)).sum();
    noted.sort_unstable();
    let stats = log.stats();
    println!(
        "append: {threads} threads, {groups} groups: {rate:.0} entries/s, p50 {:.2?}, p99 {:.2?}, max {:.2?}; \
         {:.0} syncs/s, sync p50 {:.2?} p99 {:.2?}, {:.1} entries a batch; {} rolls, {} freed, {} segments",
        at(&latencies, 50),
        at(&latencies, 99),
        at(&latencies, 100),
        noted.len() as f64 / elapsed,
        noted[noted.len() / 2].0,
        noted[noted.len() * 99 / 100].0,
        frames as f64 / noted.len() as f64,
        stats.rolls,
        stats.freed,
        stats.plain.segments,
    );
    for group in 0..groups {
        wait(|done| log.remove(GroupId(group), done));
    }
    log.close();
}

fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// Two groups of 256 MiB, interleaved, read from disk.
fn read(dir: &Path) {
    let log = open(dir, Options { tail_bytes_max: 0, ..Options::default() });
    let entries = 256 * 1024;
    for group in 0..2 {
        wait(|done| log.set_lane(GroupId(group), Lane::Stream, done));
    }
    let begun = Instant::now();
    for first in (0..entries).step_by(64) {
        for group in 0..2 {
            log.append(GroupId(group), (first..first + 64).map(entry).collect(), Box::new(|_| {}));
        }
    }
    wait(|done| log.sync(done));
    let megabytes = (2 * entries * ENTRY_BYTES as u64) as f64 / 1e6;
    println!(
        "append of 64 entries at once, nobody waits: {:.0} MB/s",
        megabytes / begun.elapsed().as_secs_f64()
    );
    log.close();
    let begun = Instant::now();
    let log = open(dir, Options { tail_bytes_max: 0, ..Options::default() });
    println!("open with {megabytes:.0} MB: {:.1?}", begun.elapsed());
    // Best effort: without the right to do this the page cache is measured.
    let cold = std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok();
    for (what, cold) in [("dropped", cold), ("warm", false)] {
        let begun = Instant::now();
        let (mut next, mut bytes) = (0, 0);
        while next < entries {
            let read = log.read(GroupId(0), next, u64::MAX, 1 << 20).expect("it can be read");
            next += read.len() as u64;
            bytes += read.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        }
        let rate = bytes as f64 / 1e6 / begun.elapsed().as_secs_f64();
        println!("sequential read of one of two groups, page cache {what} ({cold}): {rate:.0} MB/s");
    }
    let begun = Instant::now();
    for index in 0..2000 {
        let index = index * 7919 % entries;
        log.read(GroupId(1), index, index + 1, 1).expect("it can be read");
    }
    println!("one entry from disk: {:.1?}", begun.elapsed() / 2000);
}
