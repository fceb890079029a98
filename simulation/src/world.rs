//! The world of a run: machines in a network of turmoil's, and what is done to them from outside.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use turmoil::Sim;
use watertable::{log::Crash, node::Role};

use crate::{
    entropy::Random,
    machine::{self, Machine},
    plan::{FaultKind, Plan},
    storm::{Gust, Squall, Storm},
    verdict::Marks,
};

/// Hosts that clients run on.
pub const CLIENT_HOSTS: usize = 2;
/// How long a process that stopped by itself stays down.
const RESTART: Duration = Duration::from_millis(500);
/// How long a connection may be broken without a notice: until its keep-alive has not been answered, and some more.
const BROKEN: Duration = Duration::from_secs(12);
/// How long the leader is down whose end begins a storm: until the others elect another, at the least.
const LIGHTNING: Duration = Duration::from_millis(500);

/// Machines and their network.
pub struct World {
    pub sim: Sim<'static>,
    pub machines: Vec<Arc<Machine>>,
    /// When those that are down come up again.
    up_at: Vec<Option<Duration>>,
    /// What becomes of those that lose power at a sync to come: the seed of what is left, and how long they stay down.
    dying: Vec<Option<(u64, Duration)>>,
    storms: Vec<Storm>,
    squalls: Vec<Squall>,
    /// Who was isolated as the leader of which group, from which host of clients, too.
    isolated: Vec<(u64, usize, Option<usize>)>,
    /// How many faults of the network last, and when the last one ended.
    cuts: usize,
    cut_until: Option<Duration>,
    /// When each machine's stores flush by themselves the next time.
    flush_at: Vec<Duration>,
    flush_ms: u64,
    /// How long a write to a log takes while no disk is slow.
    sync_ms: u64,
    random: Random,
    latency: Duration,
}

/// The name of a host for clients, by number from 0.
pub fn client_host(number: usize) -> String {
    format!("clients-{}", number + 1)
}

impl World {
    /// All machines, starting.
    pub fn new(plan: &Plan) -> Self {
        crate::entropy::set_time_ns(machine::EPOCH_MS * 1_000_000);
        let tick = Duration::from_millis(plan.tick_ms);
        let latency = Duration::from_millis(plan.latency_ms);
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .epoch(std::time::UNIX_EPOCH + Duration::from_millis(machine::EPOCH_MS))
            .simulation_duration(Duration::from_secs(48 * 3600))
            .tick_duration(tick)
            // No message arrives in the step it was sent in: then the order in which hosts take their steps is none of
            // anybody's business.
            .min_message_latency(tick)
            .max_message_latency(latency.max(tick))
            .tcp_capacity(1 << 16)
            .ephemeral_ports(9_000..=65_535)
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
            storms: Vec::new(),
            squalls: Vec::new(),
            isolated: Vec::new(),
            cuts: 0,
            cut_until: None,
            flush_at: vec![Duration::ZERO; machines.len()],
            flush_ms: plan.flush_ms,
            sync_ms: plan.sync_ms,
            random: Random::new(plan.seed, "world"),
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
        self.flush(marks);
        let now = machine::EPOCH_MS * 1_000_000 + u64::try_from(self.sim.elapsed().as_nanos()).unwrap_or(0);
        crate::entropy::set_time_ns(now);
        let stepped = self.sim.step();
        self.bury(marks);
        self.strike(marks);
        for machine in &self.machines {
            for _ in 0..machine.files.take_misreads() {
                marks.hit("path: a read was bad");
            }
        }
        stepped
    }

    /// Has stores flush by themselves now and then, at one of the writes to come.
    fn flush(&mut self, marks: &mut Marks) {
        if self.flush_ms == 0 {
            return;
        }
        for (machine, at) in self.machines.iter().zip(&mut self.flush_at) {
            if *at > self.sim.elapsed() {
                continue;
            }
            *at = self.sim.elapsed() + Duration::from_millis(self.random.between(1, self.flush_ms));
            marks.hit("path: flush by itself");
            machine.items.flush_after(self.random.below(4));
            machine.catalog.flush_after(self.random.below(4));
        }
    }

    /// Lets the storms do their work.
    fn strike(&mut self, marks: &mut Marks) {
        let mut storms = std::mem::take(&mut self.storms);
        for storm in &mut storms {
            for (number, seed, down) in storm.strike(&self.machines) {
                marks.hit("path: power lost behind a vote");
                self.crash(number, Crash::Torn(seed), self.sim.elapsed() + down);
            }
        }
        self.storms = storms;
        let mut squalls = std::mem::take(&mut self.squalls);
        for squall in &mut squalls {
            match squall.blow(&self.machines, self.sim.elapsed()) {
                Some(Gust::CutOff(number)) => {
                    marks.hit("path: cut off behind a proposal");
                    tracing::info!(node = machine::name(number), "cut off behind a proposal");
                    self.between(&BTreeSet::from([number]), |sim, one, other| sim.partition(one, other));
                }
                Some(Gust::Reconnect(number)) => {
                    self.between(&BTreeSet::from([number]), |sim, one, other| sim.repair(one, other));
                }
                None => {}
            }
        }
        self.squalls = squalls;
    }

    /// The machine that leads one of the groups that are led, by number.
    fn leader(&self, group: u64) -> Option<usize> {
        let mut leaders = Vec::new();
        for (number, machine) in self.machines.iter().enumerate() {
            let members = machine.node().map(|node| node.inspect()).unwrap_or_default();
            let led = members.into_iter().filter(|member| member.status.role == Role::Leader);
            leaders.extend(led.map(|member| (member.group, number)));
        }
        leaders.sort_unstable();
        let place = group.checked_rem(leaders.len() as u64)?;
        Some(leaders[place as usize].1)
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

    /// Whether all machines are up, no disk is slow, and nothing has been wrong with the network for so long that no
    /// connection can be broken any more without those at its ends knowing.
    pub fn is_calm(&self) -> bool {
        let whole = self.cut_until.is_none_or(|until| until + BROKEN <= self.sim.elapsed());
        let quick = |machine: &Arc<Machine>| machine.sync_ms.load(Ordering::Relaxed) == self.sync_ms;
        self.cuts == 0
            && whole
            && self.machines.iter().all(quick)
            && (0..self.machines.len()).all(|number| self.is_up(number))
    }

    /// Begins a fault.
    pub fn begin(&mut self, kind: &FaultKind, for_ms: u64) {
        let until = self.sim.elapsed() + Duration::from_millis(for_ms);
        let all = 0..self.machines.len();
        self.cuts += usize::from(kind.is_of_network());
        match kind {
            FaultKind::Kill { node } => self.crash(*node, Crash::Everything, until),
            FaultKind::PowerLoss { node, seed } => self.crash(*node, Crash::Torn(*seed), until),
            FaultKind::PowerLossAtSync { node, nth, seed } => {
                let files = &self.machines[*node].files;
                files.crash_at_sync(files.syncs() + nth);
                self.dying[*node] = Some((*seed, Duration::from_millis(for_ms)));
            }
            FaultKind::KillLeader { group, power } => {
                if let Some(node) = self.leader(*group) {
                    self.crash(node, power.map_or(Crash::Everything, Crash::Torn), until);
                }
            }
            FaultKind::IsolateLeader { group, host } => {
                if let Some(node) = self.leader(*group) {
                    self.isolated.push((*group, node, *host));
                    self.between(&BTreeSet::from([node]), |sim, one, other| sim.partition(one, other));
                    if let Some(host) = host {
                        self.sim.partition(machine::name(node), client_host(*host));
                    }
                }
            }
            FaultKind::ElectionStorm { seed } => {
                // It begins with an election.
                if let Some(node) = self.leader(*seed) {
                    self.crash(node, Crash::Torn(*seed), self.sim.elapsed() + LIGHTNING);
                }
                self.storms.push(Storm::new(*seed));
            }
            FaultKind::Squall { seed } => self.squalls.push(Squall::new(*seed)),
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
            FaultKind::SlowDisk { node, sync_ms } => {
                self.machines[*node].sync_ms.store(*sync_ms, Ordering::Relaxed)
            }
            FaultKind::Misreads { node, seed } => self.machines[*node].misread(Some(*seed)),
        }
    }

    /// Ends a fault.
    pub fn end(&mut self, kind: &FaultKind) {
        if kind.is_of_network() {
            self.cuts -= 1;
            self.cut_until = Some(self.sim.elapsed());
        }
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
            FaultKind::IsolateLeader { group, .. } => {
                let over: Vec<_> = self.isolated.extract_if(.., |(of, ..)| of == group).collect();
                for (_, node, host) in over {
                    self.between(&BTreeSet::from([node]), |sim, one, other| sim.repair(one, other));
                    if let Some(host) = host {
                        self.sim.repair(machine::name(node), client_host(host));
                    }
                }
            }
            FaultKind::SlowDisk { node, .. } => {
                self.machines[*node].sync_ms.store(self.sync_ms, Ordering::Relaxed);
            }
            FaultKind::Misreads { node, .. } => self.machines[*node].misread(None),
            FaultKind::ElectionStorm { seed } => self.storms.retain(|storm| !storm.is_of(*seed)),
            FaultKind::Squall { seed } => {
                for squall in self.squalls.extract_if(.., |squall| squall.is_of(*seed)).collect::<Vec<_>>() {
                    if let Some((node, _)) = squall.cut_off {
                        self.between(&BTreeSet::from([node]), |sim, one, other| sim.repair(one, other));
                    }
                }
            }
            FaultKind::Kill { .. }
            | FaultKind::PowerLoss { .. }
            | FaultKind::PowerLossAtSync { .. }
            | FaultKind::KillLeader { .. }
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
        self.storms.clear();
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
