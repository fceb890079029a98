//! The world of a run: machines in a network of turmoil's, and what is done to them from outside.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use turmoil::Sim;
use watertable::log::Crash;

use crate::{
    machine::{self, Machine},
    plan::{FaultKind, Plan},
    verdict::Marks,
};

/// Hosts that clients run on.
pub const CLIENT_HOSTS: usize = 2;
/// How long a process that stopped by itself stays down.
const RESTART: Duration = Duration::from_millis(500);

/// Machines and their network.
pub struct World {
    pub sim: Sim<'static>,
    pub machines: Vec<Arc<Machine>>,
    /// When those that are down come up again.
    up_at: Vec<Option<Duration>>,
    /// What becomes of those that lose power at a sync to come: the seed of what is left, and how long they stay down.
    dying: Vec<Option<(u64, Duration)>>,
    latency: Duration,
}

/// The name of a host for clients, by number from 0.
pub fn client_host(number: usize) -> String {
    format!("clients-{}", number + 1)
}

impl World {
    /// All machines, starting.
    pub fn new(plan: &Plan) -> Self {
        let tick = Duration::from_millis(plan.tick_ms);
        let latency = Duration::from_millis(plan.latency_ms);
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .epoch(std::time::UNIX_EPOCH + Duration::from_millis(machine::EPOCH_MS))
            .simulation_duration(Duration::from_secs(40 * 3600))
            .tick_duration(tick)
            // No message arrives in the step it was sent in: then the order in which hosts take their steps is none of
            // anybody's business.
            .min_message_latency(tick)
            .max_message_latency(latency.max(tick))
            .tcp_capacity(1 << 16)
            .enable_random_order()
            .build();
        let machines: Vec<_> = (0..plan.nodes).map(|number| Arc::new(Machine::new(plan, number))).collect();
        for machine in &machines {
            let running = machine.clone();
            sim.host(machine.name.as_str(), move || running.clone().run());
        }
        Self {
            sim,
            up_at: vec![None; machines.len()],
            dying: vec![None; machines.len()],
            machines,
            latency: latency.max(tick),
        }
    }

    /// One step of simulated time, and of those who come up again.
    pub fn step(&mut self, marks: &mut Marks) -> turmoil::Result<bool> {
        for number in 0..self.machines.len() {
            let stopped = machine::lock(&self.machines[number].stopped).clone();
            if let Some(reason) = stopped {
                marks.hit(&format!("path: node stopped by itself: {}", kind_of(&reason)));
                let up_at = self.sim.elapsed() + RESTART;
                self.crash(number, Crash::Everything, up_at);
            }
            if self.up_at[number].is_some_and(|at| at <= self.sim.elapsed()) {
                self.up_at[number] = None;
                self.sim.bounce(self.machines[number].name.as_str());
            }
        }
        let now = machine::EPOCH_MS * 1_000_000 + u64::try_from(self.sim.elapsed().as_nanos()).unwrap_or(0);
        crate::entropy::set_time_ns(now);
        let stepped = self.sim.step();
        self.bury(marks);
        stepped
    }

    /// Takes down the machines that lost power at a sync in this step, before anybody looks at them: whoever ran there
    /// has been told that its disk is gone, and no more.
    fn bury(&mut self, marks: &mut Marks) {
        for number in 0..self.machines.len() {
            if !self.machines[number].files.has_crashed() {
                continue;
            }
            let (seed, down) = self.dying[number].unwrap_or_default();
            marks.hit("path: power lost at a sync");
            tracing::info!(node = self.machines[number].name, "power is lost at a sync");
            self.crash(number, Crash::Torn(seed), self.sim.elapsed() + down);
        }
    }

    fn crash(&mut self, number: usize, crash: Crash, up_at: Duration) {
        let machine = self.machines[number].clone();
        machine.die(crash);
        self.sim.crash(machine.name.as_str());
        machine.forget();
        self.dying[number] = None;
        self.up_at[number] = Some(self.up_at[number].map_or(up_at, |earlier| earlier.max(up_at)));
    }

    /// Whether a machine is up.
    pub fn is_up(&self, number: usize) -> bool {
        self.up_at[number].is_none()
    }

    /// Begins a fault.
    pub fn begin(&mut self, kind: &FaultKind, for_ms: u64) {
        let until = self.sim.elapsed() + Duration::from_millis(for_ms);
        let all = 0..self.machines.len();
        match kind {
            FaultKind::Kill { node } => self.crash(*node, Crash::Everything, until),
            FaultKind::PowerLoss { node, seed } => self.crash(*node, Crash::Torn(*seed), until),
            FaultKind::PowerLossAtSync { node, nth, seed } => {
                let files = &self.machines[*node].files;
                files.crash_at_sync(files.syncs() + nth);
                self.dying[*node] = Some((*seed, Duration::from_millis(for_ms)));
            }
            FaultKind::PowerLossOfAll { seed } => {
                all.for_each(|node| self.crash(node, Crash::Torn(seed.wrapping_add(node as u64)), until));
            }
            FaultKind::Partition { nodes } => {
                self.between(nodes, |sim, one, other| sim.partition(one, other))
            }
            FaultKind::OneWay { from, to } => {
                self.sim.partition_oneway(machine::name(*from), machine::name(*to));
            }
            FaultKind::Hold { one, other } => self.sim.hold(machine::name(*one), machine::name(*other)),
            FaultKind::CutOff { node } => {
                self.with_clients(*node, |sim, one, other| sim.partition(one, other))
            }
            FaultKind::Latency { max_ms } => {
                self.sim.set_max_message_latency(Duration::from_millis(*max_ms).max(self.latency));
            }
            FaultKind::Clock { node, by_ms } => self.machines[*node].clock.step(*by_ms),
            FaultKind::DiskFull { node } => {
                let files = &self.machines[*node].files;
                files.set_capacity(Some(files.used_bytes() + 8192));
            }
            FaultKind::SyncFails { node } => {
                let files = &self.machines[*node].files;
                files.fail_sync(files.syncs());
            }
        }
    }

    /// Ends a fault.
    pub fn end(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::Partition { nodes } => self.between(nodes, |sim, one, other| sim.repair(one, other)),
            FaultKind::OneWay { from, to } => {
                self.sim.repair_oneway(machine::name(*from), machine::name(*to));
            }
            FaultKind::Hold { one, other } => self.sim.release(machine::name(*one), machine::name(*other)),
            FaultKind::CutOff { node } => self.with_clients(*node, |sim, one, other| sim.repair(one, other)),
            FaultKind::Latency { .. } => self.sim.set_max_message_latency(self.latency),
            FaultKind::Clock { node, by_ms } => self.machines[*node].clock.step(-by_ms),
            FaultKind::DiskFull { node } => self.machines[*node].files.set_capacity(None),
            FaultKind::Kill { .. }
            | FaultKind::PowerLoss { .. }
            | FaultKind::PowerLossAtSync { .. }
            | FaultKind::PowerLossOfAll { .. }
            | FaultKind::SyncFails { .. } => {}
        }
    }

    /// Ends whatever is wrong, and starts whoever is down.
    pub fn heal(&mut self) {
        let nodes = self.machines.len();
        for one in 0..nodes {
            for other in one + 1..nodes {
                self.sim.release(machine::name(one), machine::name(other));
            }
            self.with_clients(one, |sim, one, other| sim.repair(one, other));
            self.machines[one].files.set_capacity(None);
            self.machines[one].files.crash_at_sync(u64::MAX);
            self.up_at[one] = self.up_at[one].map(|at| at.min(self.sim.elapsed()));
        }
        self.sim.set_max_message_latency(self.latency);
    }

    fn between(&self, nodes: &BTreeSet<usize>, act: impl Fn(&Sim<'static>, String, String)) {
        for one in nodes {
            for other in (0..self.machines.len()).filter(|other| !nodes.contains(other)) {
                act(&self.sim, machine::name(*one), machine::name(other));
            }
        }
    }

    fn with_clients(&self, node: usize, act: impl Fn(&Sim<'static>, String, String)) {
        (0..CLIENT_HOSTS).for_each(|host| act(&self.sim, machine::name(node), client_host(host)));
    }
}

/// Reasons are told apart by their first words.
fn kind_of(reason: &str) -> String {
    reason.split_whitespace().take(4).collect::<Vec<_>>().join(" ")
}
