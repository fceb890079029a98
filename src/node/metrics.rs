//! What a node counts, in Prometheus' text format. Names are `<room>_<noun>_<unit>`.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{Error, operation::Vitals};
use crate::{delivery::Verdict, log::WriteBatch, partition::Answer, stream::Record};

/// Upper bounds of the buckets, microseconds; one more holds the rest.
const BOUNDS_US: [u64; 16] = [
    100, 200, 400, 800, 1_500, 3_000, 6_000, 12_500, 25_000, 50_000, 100_000, 200_000, 400_000, 800_000,
    1_600_000, 5_000_000,
];

/// Durations, counted by size.
#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    fn write(&self, out: &mut String, name: &str, help: &str) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut count = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let _ = match BOUNDS_US.get(at) {
                Some(bound) => writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", seconds(*bound)),
                None => writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}"),
            };
        }
        let sum = seconds(self.sum_us.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown, not computed with")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// A node's counters.
#[derive(Default)]
pub struct Metrics {
    writes: Histogram,
    reads: Histogram,
    fsyncs: Histogram,
    writes_rejected: AtomicU64,
    writes_unavailable: AtomicU64,
    writes_unknown: AtomicU64,
    entries: AtomicU64,
    entry_changes: AtomicU64,
    entry_bytes: AtomicU64,
    log_frames: AtomicU64,
    log_bytes: AtomicU64,
    stream_records: AtomicU64,
    stream_bytes: AtomicU64,
    trigger_calls: Histogram,
    trigger_calls_failed: AtomicU64,
    trigger_calls_busy: AtomicU64,
    trigger_records: AtomicU64,
    trigger_records_discarded: AtomicU64,
    consumer_records: AtomicU64,
}

impl Metrics {
    pub(super) fn write(&self, took: Duration, result: &Result<Answer, Error>) {
        match result {
            Ok(_) => self.writes.record(took),
            Err(Error::Unavailable(_) | Error::DiskFull | Error::Overloaded) => {
                self.writes_unavailable.fetch_add(1, Ordering::Relaxed);
            }
            Err(Error::Unknown | Error::Internal) => {
                self.writes_unknown.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.writes_rejected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn read(&self, took: Duration) {
        self.reads.record(took);
    }

    pub(super) fn entry(&self, changes: usize, bytes: usize) {
        if changes > 0 {
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.entry_changes.fetch_add(changes as u64, Ordering::Relaxed);
            self.entry_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn log_written(&self, batch: &WriteBatch) {
        self.fsyncs.record(batch.sync);
        self.log_frames.fetch_add(batch.frames as u64, Ordering::Relaxed);
        self.log_bytes.fetch_add(batch.bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn records(&self, records: &[Record]) {
        let bytes: usize = records.iter().map(|record| record.size_bytes).sum();
        self.stream_records.fetch_add(records.len() as u64, Ordering::Relaxed);
        self.stream_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn trigger_call(&self, took: Duration, records: usize, verdict: &Verdict) {
        self.trigger_calls.record(took);
        match verdict {
            Verdict::Delivered { .. } => {
                self.trigger_records.fetch_add(records as u64, Ordering::Relaxed);
            }
            Verdict::Failed(_) | Verdict::FailedFrom(_) => {
                self.trigger_calls_failed.fetch_add(1, Ordering::Relaxed);
            }
            Verdict::Busy(_) => {
                self.trigger_calls_busy.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn consumed(&self, records: usize) {
        self.consumer_records.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn trigger_discarded(&self, records: usize) {
        self.trigger_records_discarded.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn vitals(&self) -> Vitals {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Vitals {
            writes: self.writes.count(),
            writes_rejected: count(&self.writes_rejected),
            writes_unavailable: count(&self.writes_unavailable),
            writes_unknown: count(&self.writes_unknown),
            reads: self.reads.count(),
            stream_records: count(&self.stream_records),
            ..Vitals::default()
        }
    }

    /// The counters as text.
    pub fn render(&self, out: &mut String) {
        self.writes.write(out, "node_write_seconds", "Time from a write's arrival to its answer.");
        self.reads.write(out, "node_read_seconds", "Time of a read of items.");
        self.fsyncs.write(out, "log_fsync_seconds", "Time of one sync of one lane of the log.");
        self.trigger_calls.write(out, "trigger_call_seconds", "Time from a function's call to its answer.");
        for (name, help, counter) in [
            ("node_writes_rejected_total", "Writes answered no.", &self.writes_rejected),
            ("node_writes_unavailable_total", "Writes that did not happen.", &self.writes_unavailable),
            ("node_writes_unknown_total", "Writes whose outcome is unknown.", &self.writes_unknown),
            ("raft_entries_total", "Entries proposed.", &self.entries),
            ("raft_entry_changes_total", "Changes in the entries proposed.", &self.entry_changes),
            ("raft_entry_bytes_total", "Bytes of the entries proposed.", &self.entry_bytes),
            ("log_frames_total", "Frames written to the log.", &self.log_frames),
            ("log_bytes_total", "Bytes written to the log.", &self.log_bytes),
            ("stream_records_total", "Stream records read.", &self.stream_records),
            ("stream_bytes_total", "Bytes of stream records read, by DynamoDB's sizes.", &self.stream_bytes),
            ("trigger_calls_failed_total", "Calls that functions failed.", &self.trigger_calls_failed),
            ("trigger_calls_busy_total", "Calls that functions did not take.", &self.trigger_calls_busy),
            ("trigger_records_total", "Records of calls that succeeded whole.", &self.trigger_records),
            ("trigger_records_discarded_total", "Records given up.", &self.trigger_records_discarded),
            ("consumer_records_total", "Records sent to members of consumers.", &self.consumer_records),
        ] {
            counter_line(out, name, help, counter.load(Ordering::Relaxed));
        }
    }
}

fn counter_line(out: &mut String, name: &str, help: &str, value: u64) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
}

/// A gauge with labels, as text.
pub(super) fn gauge(out: &mut String, name: &str, help: &str, values: &[(String, u64)]) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in values {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}
