//! The result of a bench: one document, or a few lines.
//!
//! CPU seconds come from `/proc` (user and system time, in hundredths of a second), of the servers named by their pids
//! and of this program; so do load and steal of the machine, because a number without them means nothing.

use std::fs;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::bench::Arguments;
use super::bench_clients::Tally;
use super::output::{print_json, print_pairs};
use super::table::view_name;
use super::{Error, Output};
use crate::client::Table;

/// `/proc` counts in these: USER_HZ, the same on all machines Linux runs on today.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds spent until some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Moment {
    /// By the servers; `None` if none was named or one is gone.
    server: Option<f64>,
    /// By this program.
    client: f64,
    /// By everyone.
    busy: f64,
    /// By other guests of the machine's host.
    steal: f64,
    /// The load averages, as the kernel says them.
    load: String,
}

impl Moment {
    pub(super) fn now(server_pids: &[u32]) -> Self {
        let of = |pid: &str| process_seconds(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
        let servers = server_pids.iter().map(|pid| of(&pid.to_string()));
        let server = if server_pids.is_empty() { None } else { servers.sum() };
        let (busy, steal) = machine_seconds(&fs::read_to_string("/proc/stat").unwrap_or_default());
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').take(3).collect::<Vec<_>>().join(" ");
        Self { server, client: of("self").unwrap_or(0.0), busy, steal, load }
    }
}

/// User and system time of a process, from its `stat`: fields 14 and 15, counted behind the name, which may hold
/// anything.
fn process_seconds(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

/// Busy and stolen time of the machine, from `/proc/stat`.
fn machine_seconds(stat: &str) -> (f64, f64) {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
    let seconds = |field: usize| ticks.get(field).copied().unwrap_or(0.0) / TICKS_PER_SECOND;
    (seconds(0) + seconds(1) + seconds(2) + seconds(5) + seconds(6), seconds(7))
}

/// What was measured.
pub(super) struct Measured {
    pub tally: Tally,
    pub seconds: f64,
    pub before: Moment,
    pub after: Moment,
    /// From write to subscriber, where that was measured, in microseconds.
    pub delivery: Option<Histogram<u32>>,
}

/// What it was measured on.
pub(super) struct Report<'a> {
    name: &'a str,
    table: &'a Table,
    arguments: &'a Arguments,
}

impl<'a> Report<'a> {
    pub(super) fn new(name: &'a str, table: &'a Table, arguments: &'a Arguments) -> Self {
        Self { name, table, arguments }
    }

    pub(super) fn print(&self, output: Output, measured: &Measured) -> Result<(), Error> {
        match output {
            Output::Json => Ok(print_json(&self.to_json(measured))?),
            Output::Table => self.show(measured),
        }
    }

    pub(super) fn to_json(&self, measured: &Measured) -> Value {
        let Measured { tally, seconds, before, after, .. } = measured;
        let mut document = json!({
            "commandLine": std::env::args().collect::<Vec<_>>().join(" "),
            "version": env!("CARGO_PKG_VERSION"),
            "bench": self.name,
            "protocol": self.arguments.protocol.name(),
            "clients": self.arguments.clients,
            "rateAsked": self.arguments.rate,
            "itemBytes": self.arguments.item_bytes,
            "keys": self.arguments.keys,
            "partitions": self.table.partitions.len(),
            "replicas": self.table.partitions.first().map(|partition| partition.replicas.len()),
            "stream": self.table.stream.map(view_name),
            "seconds": rounded(*seconds),
            "operations": tally.calls,
            "operationsPerSecond": rounded(tally.calls as f64 / seconds),
            "items": tally.items,
            "itemsPerSecond": rounded(tally.items as f64 / seconds),
            "megabytesPerSecond": rounded(tally.bytes as f64 / 1e6 / seconds),
            "errors": tally.errors,
            "unsent": tally.unsent,
            "cpu": cpu(before, after, tally.items),
            "machine": machine(before, after, *seconds),
        });
        if !tally.latency.is_empty() {
            document["latencyMs"] = quantiles(&tally.latency);
        }
        if let Some(delivery) = &measured.delivery {
            document["changeToSubscriberMs"] = quantiles(delivery);
            document["delivered"] = json!(delivery.len());
        }
        document
    }

    fn show(&self, measured: &Measured) -> Result<(), Error> {
        let Measured { tally, seconds, before, after, .. } = measured;
        let per_second = |count: u64| format!("{:.0} a second", count as f64 / seconds);
        let mut pairs =
            vec![("calls", format!("{} in {seconds:.1} s, {}", tally.calls, per_second(tally.calls)))];
        if tally.items != tally.calls {
            pairs.push(("items", format!("{}, {}", tally.items, per_second(tally.items))));
        }
        pairs.push(("values", format!("{:.2} MB/s", tally.bytes as f64 / 1e6 / seconds)));
        if !tally.latency.is_empty() {
            pairs.push(("latency", quantiles_text(&tally.latency)));
        }
        if let Some(delivery) = &measured.delivery {
            pairs.push(("write to subscriber", quantiles_text(delivery)));
        }
        for (name, count) in &tally.errors {
            pairs.push(("errors", format!("{count} {name}")));
        }
        if tally.unsent > 0 {
            pairs.push(("never begun", format!("{}: more clients, or a lower rate", tally.unsent)));
        }
        let per_1000 = |spent: f64| {
            format!(
                "{:.4} s per 1,000, {:.2} cores",
                spent * 1000.0 / tally.items.max(1) as f64,
                spent / seconds
            )
        };
        if let (Some(from), Some(to)) = (before.server, after.server) {
            pairs.push(("server cpu", per_1000(to - from)));
        }
        pairs.push(("client cpu", per_1000(after.client - before.client)));
        pairs.push(("machine load", after.load.clone()));
        Ok(print_pairs(&pairs)?)
    }
}

fn cpu(before: &Moment, after: &Moment, items: u64) -> Value {
    let per_1000 = |spent: f64| (items > 0).then(|| rounded(spent * 1000.0 / items as f64));
    let client = after.client - before.client;
    let mut cpu = json!({ "clientSeconds": rounded(client), "clientSecondsPer1000": per_1000(client) });
    if let (Some(from), Some(to)) = (before.server, after.server) {
        cpu["serverSeconds"] = json!(rounded(to - from));
        cpu["serverSecondsPer1000"] = json!(per_1000(to - from));
    }
    cpu
}

/// What else the machine did meanwhile.
fn machine(before: &Moment, after: &Moment, seconds: f64) -> Value {
    let own = after.client - before.client + after.server.unwrap_or(0.0) - before.server.unwrap_or(0.0);
    let busy = after.busy - before.busy;
    json!({
        "loadBefore": before.load,
        "loadAfter": after.load,
        "busyCores": rounded(busy / seconds),
        "foreignCores": rounded(((busy - own) / seconds).max(0.0)),
        "stealCores": rounded((after.steal - before.steal) / seconds),
    })
}

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

fn quantiles(latency: &Histogram<u32>) -> Value {
    let ms = |us: u64| rounded(us as f64 / 1000.0);
    let mut object: Map<String, Value> = QUANTILES
        .iter()
        .map(|(name, at)| ((*name).to_owned(), json!(ms(latency.value_at_quantile(*at)))))
        .collect();
    object.insert("max".into(), json!(ms(latency.max())));
    object.insert("mean".into(), json!(rounded(latency.mean() / 1000.0)));
    Value::Object(object)
}

fn quantiles_text(latency: &Histogram<u32>) -> String {
    let ms = |us: u64| format!("{:.2}", us as f64 / 1000.0);
    let texts = QUANTILES.iter().map(|(name, at)| format!("{name} {}", ms(latency.value_at_quantile(*at))));
    format!("{}  max {} ms", texts.collect::<Vec<_>>().join("  "), ms(latency.max()))
}

/// To four places, as JSON takes no more from a measurement.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_from_proc() {
        let stat = "42 (a ) strange) name) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(process_seconds(stat), Some(3.0));
        assert_eq!(process_seconds(""), None);
        assert_eq!(machine_seconds("cpu  100 200 300 9 9 400 500 600 0 0\ncpu0 1"), (15.0, 6.0));
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latency = super::super::bench_clients::latencies();
        (1..=1000).for_each(|us| latency.record(us * 1000).expect("within bounds"));
        let value = quantiles(&latency);
        assert_eq!(value["max"], json!(1000.447));
        let p50 = value["p50"].as_f64().expect("a number");
        assert!((p50 - 500.0).abs() < 1.0, "{p50}");
    }
}
