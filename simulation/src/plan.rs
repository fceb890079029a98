//! What a run will be: everything that a seed decides, written down, so that pieces of it can be left out.
//!
//! Whoever acts in a run has a seed of its own here: leaving out one does not change what the others do.

mod delivery;
mod retention;

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

pub use delivery::{FunctionPlan, Habits};

use crate::{entropy::Random, world::CLIENT_HOSTS};

/// Which kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Half a minute of everything at once.
    Short,
    /// The same with tables whose records are kept for seconds, so that logs are trimmed all the time, and nodes that
    /// were away need snapshots.
    Trimming,
    /// A short run whose tables have functions and consumers, too.
    Delivery,
    /// A day and a half with a retention of a day.
    Retention,
}

/// What a table's streams show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// What its stream shows; absent: it begins without one.
    pub view: Option<View>,
    /// Whether it has a sort key.
    pub sorted: bool,
    /// How many partitions.
    pub partitions: u32,
    /// Partition keys in use.
    pub ids: u64,
    /// Sort keys in use, of each.
    pub places: u64,
    /// How long its records are kept, ms; 0: longer than any run.
    pub retention_ms: u64,
}

/// What a writer mostly does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Habit {
    /// It writes.
    #[default]
    Changes,
    /// It reads.
    Reads,
    /// It writes nothing and is shown the item, which is as good as a consistent read; and does nothing else, for a leader
    /// that is no more lets a change wait, and whoever waits behind it.
    Touches,
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Writes and reads items.
    Writer {
        /// Milliseconds between two operations, at most.
        pace_ms: u64,
        /// Operations at most.
        operations: u64,
        /// The longest `pad`, bytes.
        pad_bytes: u64,
        /// What it mostly does.
        #[serde(default)]
        habit: Habit,
    },
    /// Reads streams by iterators.
    Reader {
        /// Milliseconds between two pages, at most.
        pace_ms: u64,
    },
    /// Has a stream pushed to it.
    Subscriber {
        /// Milliseconds it takes over a delivery, at most.
        pace_ms: u64,
    },
    /// Asks for records long after they were made, and uses iterators long after they were issued.
    Laggard {
        /// Milliseconds between two looks, at most.
        pace_ms: u64,
    },
    /// Is called with records.
    Function(FunctionPlan),
    /// Takes part in a consumer.
    Member {
        /// Which one of the table.
        consumer: u64,
        /// Records it may have and not have acknowledged.
        credit: u32,
        /// Milliseconds it takes over a batch, at most.
        pace_ms: u64,
    },
    /// Turns streams of one table off and on.
    Switcher {
        /// Milliseconds between two changes, at most.
        pace_ms: u64,
    },
    /// Creates and deletes tables of its own.
    Creator {
        /// Milliseconds between two, at most.
        pace_ms: u64,
    },
}

impl Role {
    /// Whether it is there until the run is over.
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Function(_) | Self::Member { .. })
    }
}

/// Somebody who uses the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its own.
    pub seed: u64,
    /// The table it works on.
    pub table: usize,
    /// What it does.
    pub role: Role,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When, simulated ms.
    pub at_ms: u64,
    /// For how long, ms.
    pub for_ms: u64,
    /// What.
    pub kind: FaultKind,
}

/// What goes wrong. Nodes are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The process dies.
    Kill { node: usize },
    /// The machine loses power, and of what was not synced keeps what the seed says.
    PowerLoss { node: usize, seed: u64 },
    /// The machine loses power while it does its `nth` next sync (from 0): what that sync should have made durable is
    /// there in parts.
    PowerLossAtSync { node: usize, nth: u64, seed: u64 },
    /// Whoever leads some group is killed, or loses power: which group is counted from 0, and begins anew behind the last.
    KillLeader { group: u64, power: Option<u64> },
    /// Whoever leads some group reaches no other node, nor they it. Clients reach it as before, but those of one host.
    IsolateLeader {
        group: u64,
        #[serde(default)]
        host: Option<usize>,
    },
    /// While it lasts, machines that have just voted, or have just heard of a new term, lose power for a few milliseconds.
    ElectionStorm { seed: u64 },
    /// While it lasts, leaders that have just logged something reach no other node for a moment.
    Squall { seed: u64 },
    /// All machines lose power at once.
    PowerLossOfAll { seed: u64 },
    /// Nothing gets from these to the others, nor back.
    Partition { nodes: BTreeSet<usize> },
    /// Nothing gets from one to the other, but back it does.
    OneWay { from: usize, to: usize },
    /// Messages between two wait until it is over.
    Hold { one: usize, other: usize },
    /// The clients do not reach this node.
    CutOff { node: usize },
    /// Messages take up to so long.
    Latency { max_ms: u64 },
    /// A clock is set so much ahead (or back).
    Clock { node: usize, by_ms: i64 },
    /// A disk is full.
    DiskFull { node: usize },
    /// A sync fails; the node stops, and is started again.
    SyncFails { node: usize },
    /// Writes to the log take so long.
    SlowDisk { node: usize, sync_ms: u64 },
    /// Some reads of the log fail, others find bits to be something else.
    Misreads { node: usize, seed: u64 },
}

impl FaultKind {
    /// Whether it keeps messages from those they are for.
    pub fn is_of_network(&self) -> bool {
        matches!(
            self,
            Self::Partition { .. }
                | Self::OneWay { .. }
                | Self::Hold { .. }
                | Self::CutOff { .. }
                | Self::Latency { .. }
                | Self::IsolateLeader { .. }
                | Self::Squall { .. }
        )
    }

    /// Its name, as in plans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::PowerLoss { .. } => "power_loss",
            Self::PowerLossAtSync { .. } => "power_loss_at_sync",
            Self::KillLeader { .. } => "kill_leader",
            Self::IsolateLeader { .. } => "isolate_leader",
            Self::ElectionStorm { .. } => "election_storm",
            Self::Squall { .. } => "squall",
            Self::PowerLossOfAll { .. } => "power_loss_of_all",
            Self::Partition { .. } => "partition",
            Self::OneWay { .. } => "one_way",
            Self::Hold { .. } => "hold",
            Self::CutOff { .. } => "cut_off",
            Self::Latency { .. } => "latency",
            Self::Clock { .. } => "clock",
            Self::DiskFull { .. } => "disk_full",
            Self::SyncFails { .. } => "sync_fails",
            Self::SlowDisk { .. } => "slow_disk",
            Self::Misreads { .. } => "misreads",
        }
    }
}

/// The default of `raft::Options`, ms.
const HEARTBEAT_MS: u64 = 100;

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where it came from; seeds what nobody else has a seed for.
    pub seed: u64,
    /// Which kind.
    pub scenario: Scenario,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// How long things go wrong, simulated ms.
    pub faults_ms: u64,
    /// How long nothing is done to it any more before all is judged, simulated ms.
    pub rest_ms: u64,
    /// How often a leader that has nothing to say says so, ms; elections take so many times longer.
    pub heartbeat_ms: u64,
    /// A step of the simulation, ms; no message is faster.
    pub tick_ms: u64,
    /// The slowest message while nothing else is said, ms.
    pub latency_ms: u64,
    /// How far each clock is ahead (or back) from the beginning, ms.
    #[serde(default)]
    pub ahead_ms: Vec<i64>,
    /// Each clock's drift, parts per million.
    pub drift_ppm: Vec<i64>,
    /// Bytes of a segment of the logs.
    pub segment_bytes: u64,
    /// Milliseconds, at most, between two flushes that a store does by itself; 0: it does none.
    #[serde(default)]
    pub flush_ms: u64,
    /// How long a write to the log takes, ms.
    #[serde(default)]
    pub sync_ms: u64,
    /// The tables.
    pub tables: Vec<TablePlan>,
    /// Who uses them.
    pub actors: Vec<Actor>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// What a seed decides.
    pub fn from_seed(seed: u64, scenario: Scenario) -> Self {
        match scenario {
            Scenario::Short => Self::short(seed, false),
            Scenario::Trimming => Self { scenario, ..Self::short(seed, true) },
            Scenario::Delivery => Self::delivery(seed),
            Scenario::Retention => Self::retention(seed),
        }
    }

    fn short(seed: u64, trims: bool) -> Self {
        let mut random = Random::new(seed, "plan");
        let nodes = *random.pick(&[3, 3, 3, 3, 4, 5, 7]);
        let faults_ms = random.between(8_000, 20_000);
        let tables: Vec<TablePlan> =
            (0..random.between(1, 4)).map(|at| TablePlan::any(&mut random, at, trims)).collect();
        let mut actors = Vec::new();
        for (table, plan) in tables.iter().enumerate() {
            actors.extend(actors_of(&mut random, table, plan));
        }
        Self {
            seed,
            scenario: Scenario::Short,
            nodes,
            faults_ms,
            rest_ms: 0,
            heartbeat_ms: HEARTBEAT_MS,
            tick_ms: random.between(1, 3),
            latency_ms: random.between(4, 30),
            ahead_ms: ahead_ms(&mut random, nodes, trims),
            drift_ppm: (0..nodes).map(|_| random.between(0, 200).cast_signed() - 100).collect(),
            segment_bytes: *random.pick(&[64 << 10, 256 << 10, 1 << 20, 64 << 20]),
            flush_ms: *random.pick(&[0, 20, 200, 2_000]),
            sync_ms: *random.pick(&[0, 0, 1, 4, 12]),
            faults: faults(&mut random, nodes, faults_ms),
            tables,
            actors,
        }
    }

    /// What takes so long where heartbeats are as they are by default takes so long here.
    pub fn patience(&self, usual: Duration) -> Duration {
        usual * (self.heartbeat_ms.div_ceil(HEARTBEAT_MS) as u32)
    }

    /// How many pieces can be left out one by one: faults, then actors.
    pub fn pieces(&self) -> usize {
        self.faults.len() + self.actors.len()
    }

    /// The plan without these pieces.
    pub fn without(&self, pieces: &BTreeSet<usize>) -> Self {
        let mut plan = self.clone();
        let faults = self.faults.len();
        let kept = |offset: usize| move |at: &usize| !pieces.contains(&(offset + at));
        plan.faults = (0..faults).filter(kept(0)).map(|at| self.faults[at].clone()).collect();
        plan.actors = (0..self.actors.len()).filter(kept(faults)).map(|at| self.actors[at].clone()).collect();
        plan
    }

    /// Simpler plans of the same pieces, the most promising first.
    pub fn simpler(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        if self.faults_ms > 2_000 {
            let mut plan = self.clone();
            plan.faults_ms /= 2;
            plan.faults.retain(|fault| fault.at_ms < plan.faults_ms);
            plans.push(plan);
        }
        let mut plan = self.clone();
        for actor in &mut plan.actors {
            if let Role::Writer { operations, pad_bytes, .. } = &mut actor.role {
                (*operations, *pad_bytes) = (*operations / 2, *pad_bytes / 2);
            }
        }
        plans.push(plan);
        if self.nodes > 3 {
            let mut plan = self.clone();
            plan.nodes = 3;
            plans.push(plan);
        }
        plans.retain(|plan| plan != self);
        plans
    }
}

impl TablePlan {
    fn any(random: &mut Random, at: u64, trims: bool) -> Self {
        let views = [
            Some(View::NewAndOldImages),
            Some(View::NewAndOldImages),
            Some(View::NewImage),
            Some(View::OldImage),
            Some(View::KeysOnly),
            None,
        ];
        let sorted = random.percent(50);
        Self {
            // One table at least tells everything.
            view: if at == 0 { views[0] } else { *random.pick(&views) },
            sorted,
            partitions: random.between(1, 4) as u32,
            ids: random.between(1, 8),
            places: if sorted { random.between(1, 4) } else { 1 },
            retention_ms: if trims { random.between(1_000, 6_000) } else { 0 },
        }
    }
}

/// The longest item, about. (AWS: 400 KB.)
const LARGE_BYTES: u64 = 300_000;

fn actors_of(random: &mut Random, table: usize, plan: &TablePlan) -> Vec<Actor> {
    let mut actors = Vec::new();
    let pads = [0, 0, 20, 300, 5_000, 60_000];
    // In some tables one changes things, and the others look.
    let others =
        *random.pick(&[None, None, None, Some(Habit::Reads), Some(Habit::Touches), Some(Habit::Touches)]);
    for number in 0..random.between(if others.is_some() { 2 } else { 1 }, 4) {
        let (pace_ms, pad_bytes) = (*random.pick(&[2, 20, 60, 300]), *random.pick(&pads));
        let operations = random.between(20, 400);
        // Some items are so large that a partition is sent in several chunks.
        let large = random.percent(if plan.retention_ms > 0 { 10 } else { 3 });
        let role = match large {
            true => Role::Writer {
                pace_ms: 300,
                operations: operations / 4,
                pad_bytes: LARGE_BYTES,
                habit: Habit::Changes,
            },
            false => {
                let habit = if random.percent(20) { Habit::Reads } else { Habit::Changes };
                let habit = others.filter(|_| number > 0).unwrap_or(habit);
                Role::Writer { pace_ms, operations, pad_bytes, habit }
            }
        };
        actors.push(Actor { seed: random.next(), table, role });
    }
    for _ in 0..if plan.view.is_some() { random.below(3) } else { 0 } {
        let role = Role::Reader { pace_ms: *random.pick(&[10, 100, 600]) };
        actors.push(Actor { seed: random.next(), table, role });
    }
    if plan.view.is_some() && random.percent(40) {
        let role = Role::Subscriber { pace_ms: *random.pick(&[0, 10, 400]) };
        actors.push(Actor { seed: random.next(), table, role });
    }
    if table > 0 && random.percent(40) {
        let role = Role::Switcher { pace_ms: random.between(500, 5_000) };
        actors.push(Actor { seed: random.next(), table, role });
    }
    if table == 0 && random.percent(30) {
        let role = Role::Creator { pace_ms: random.between(300, 3_000) };
        actors.push(Actor { seed: random.next(), table, role });
    }
    actors
}

/// Faults of a random subset of all kinds ("swarm testing", Groce and others 2012): what is left out lets the rest get
/// further.
fn faults(random: &mut Random, nodes: usize, faults_ms: u64) -> Vec<Fault> {
    const KINDS: u64 = 19;
    let enabled: Vec<u64> = (0..KINDS).filter(|_| random.percent(40)).collect();
    let count = if enabled.is_empty() { 0 } else { random.between(0, 14) };
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let node = random.below(nodes as u64) as usize;
            let other = (node + 1 + random.below(nodes as u64 - 1) as usize) % nodes;
            let kind = match *random.pick(&enabled) {
                0 => FaultKind::Kill { node },
                1 => FaultKind::PowerLoss { node, seed: random.next() },
                2 => FaultKind::PowerLossOfAll { seed: random.next() },
                3 => FaultKind::Partition { nodes: (0..nodes).filter(|_| random.percent(40)).collect() },
                4 => FaultKind::OneWay { from: node, to: other },
                5 => FaultKind::Hold { one: node, other },
                6 => FaultKind::CutOff { node },
                7 => FaultKind::Latency { max_ms: random.between(50, 600) },
                8 => FaultKind::Clock { node, by_ms: clock_step(random) },
                9 => FaultKind::DiskFull { node },
                10 => FaultKind::SyncFails { node },
                11 => FaultKind::PowerLossAtSync { node, nth: random.below(40), seed: random.next() },
                12 => {
                    let (group, power) = (random.next(), random.next());
                    FaultKind::KillLeader { group, power: Some(power).filter(|_| power % 2 == 0) }
                }
                13 => FaultKind::ElectionStorm { seed: random.next() },
                14 => FaultKind::IsolateLeader { group: random.next(), host: None },
                15 => FaultKind::SlowDisk { node, sync_ms: *random.pick(&[30, 150, 700, 3_000]) },
                16 => FaultKind::Misreads { node, seed: random.next() },
                17 => FaultKind::Squall { seed: random.next() },
                _ => {
                    let host = Some(random.below(CLIENT_HOSTS as u64) as usize);
                    FaultKind::IsolateLeader { group: random.next(), host }
                }
            };
            let for_ms = *random.pick(&[100, 500, 1_500, 4_000, 8_000]);
            let for_ms = match kind {
                // Long enough for elections.
                FaultKind::ElectionStorm { .. } => random.between(1_500, 4_000),
                // Long enough that some clients give up waiting for it and find its successor, and others do not.
                FaultKind::IsolateLeader { .. } | FaultKind::Squall { .. } => random.between(1_500, 12_000),
                _ => random.between(1, for_ms),
            };
            Fault { at_ms: random.below(faults_ms), for_ms, kind }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

/// How far clocks are ahead from the beginning: in most runs they are not; where records are trimmed, mostly as far apart
/// as trimming puts up with.
fn ahead_ms(random: &mut Random, nodes: usize, trims: bool) -> Vec<i64> {
    let most = *random.pick(if trims { &[0, 400, 2_000, 4_500, 4_500] } else { &[0, 0, 20, 400, 2_000] });
    (0..nodes).map(|_| random.between(0, 2 * most).cast_signed() - most.cast_signed()).collect()
}

/// Mostly small, sometimes beyond what the trimmer puts up with.
fn clock_step(random: &mut Random) -> i64 {
    let most = *random.pick(&[20, 400, 3_000, 60_000]);
    random.between(0, 2 * most).cast_signed() - most.cast_signed()
}
