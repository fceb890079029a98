//! A day and a half: long enough that records are trimmed for half a day, and that nodes are away for hours.
//!
//! Everything is slow: heartbeats and with them elections, the network, and those who use the cluster. So there is little
//! to simulate in most of the time.

use super::{Actor, Fault, FaultKind, Habit, Plan, Role, Scenario, TablePlan, View};
use crate::entropy::Random;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

impl Plan {
    pub(super) fn retention(seed: u64) -> Self {
        let mut random = Random::new(seed, "plan");
        let nodes = *random.pick(&[3, 3, 3, 4, 5]);
        let faults_ms = 35 * HOUR_MS;
        let tables: Vec<TablePlan> = (0..random.between(1, 2)).map(|at| table(&mut random, at)).collect();
        let actors = (0..tables.len()).flat_map(|table| actors(&mut random, table)).collect();
        Self {
            seed,
            scenario: Scenario::Retention,
            nodes,
            faults_ms,
            rest_ms: HOUR_MS,
            heartbeat_ms: 5_000,
            tick_ms: 100,
            latency_ms: random.between(100, 200),
            // After a day and a half clocks are less than 10 s apart: what trimming puts up with.
            ahead_ms: (0..nodes).map(|_| random.between(0, 6_000).cast_signed() - 3_000).collect(),
            drift_ppm: (0..nodes).map(|_| random.between(0, 28).cast_signed() - 14).collect(),
            segment_bytes: *random.pick(&[64 << 10, 256 << 10]),
            flush_ms: *random.pick(&[0, 600_000]),
            sync_ms: 0,
            faults: faults(&mut random, nodes, faults_ms),
            tables,
            actors,
        }
    }
}

fn table(random: &mut Random, at: u64) -> TablePlan {
    let views = [View::NewAndOldImages, View::NewImage, View::OldImage, View::KeysOnly];
    TablePlan {
        view: Some(if at == 0 { views[0] } else { *random.pick(&views) }),
        sorted: false,
        partitions: random.between(1, 2) as u32,
        ids: random.between(1, 20),
        places: 1,
        retention_ms: 24 * HOUR_MS,
    }
}

fn actors(random: &mut Random, table: usize) -> Vec<Actor> {
    let mut roles = Vec::new();
    for _ in 0..random.between(1, 2) {
        let (pace_ms, pad_bytes) = (random.between(1, 4) * MINUTE_MS, *random.pick(&[0, 300, 5_000]));
        roles.push(Role::Writer { pace_ms, operations: 10_000, pad_bytes, habit: Habit::Changes });
    }
    for _ in 0..random.between(1, 2) {
        roles.push(Role::Reader { pace_ms: random.between(1, 12) * MINUTE_MS });
    }
    for _ in 0..random.between(1, 2) {
        roles.push(Role::Laggard { pace_ms: random.between(2, 20) * MINUTE_MS });
    }
    if random.percent(50) {
        roles.push(Role::Switcher { pace_ms: random.between(4, 20) * HOUR_MS });
    }
    roles.into_iter().map(|role| Actor { seed: random.next(), table, role }).collect()
}

/// Mostly short, sometimes so long that what was missed is trimmed. Clocks are set in a third of the runs only: what is
/// said about retention is not exact then.
fn faults(random: &mut Random, nodes: usize, faults_ms: u64) -> Vec<Fault> {
    let clocks = random.percent(30);
    let mut faults: Vec<Fault> = (0..random.between(0, 16))
        .map(|_| {
            let node = random.below(nodes as u64) as usize;
            let other = (node + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
            let minutes = *random.pick(&[1, 1, 5, 60, 360, 1_500]);
            let for_ms = random.between(1, minutes * MINUTE_MS);
            let (half_hour, hours) = (for_ms.min(HOUR_MS / 2), for_ms.min(2 * HOUR_MS));
            let (kind, for_ms) = match random.below(if clocks { 10 } else { 9 }) {
                0 => (FaultKind::Kill { node }, for_ms),
                1 => (FaultKind::PowerLoss { node, seed: random.next() }, for_ms),
                2 => (FaultKind::PowerLossOfAll { seed: random.next() }, half_hour),
                // Each attempt to connect in vain costs turmoil's hosts one of their ports for good.
                3 => {
                    let nodes = (0..nodes).filter(|_| random.percent(40)).collect();
                    (FaultKind::Partition { nodes }, hours)
                }
                4 => (FaultKind::CutOff { node }, hours),
                5 => (FaultKind::OneWay { from: node, to: other }, hours),
                // So does each start of a node that soon stops by itself again.
                6 => (FaultKind::SyncFails { node }, half_hour),
                7 => (FaultKind::SlowDisk { node, sync_ms: *random.pick(&[1_000, 30_000]) }, hours),
                8 => (FaultKind::Misreads { node, seed: random.next() }, half_hour),
                _ => {
                    let most = *random.pick(&[400, 3_000, 60_000]);
                    let by_ms = random.between(0, 2 * most).cast_signed() - most.cast_signed();
                    (FaultKind::Clock { node, by_ms }, for_ms)
                }
            };
            Fault { at_ms: random.below(faults_ms), for_ms, kind }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}
