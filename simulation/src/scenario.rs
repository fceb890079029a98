//! A run, from an empty cluster to the verdict.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    actors,
    history::{Micros, NEVER},
    invariants,
    observer::Observer,
    plan::{Fault, FaultKind, Plan},
    stage::{Shared, Stage},
    trace::{self, Trace},
    verdict::{Marks, Outcome, Violation},
    world::{CLIENT_HOSTS, World, client_host},
};

/// How long each stage may take, simulated. Ending: longer than any call's deadline.
const START_MAX: Duration = Duration::from_secs(60);
const CREATE_MAX: Duration = Duration::from_secs(120);
const END_MAX: Duration = Duration::from_secs(120);
const CONVERGE_MAX: Duration = Duration::from_secs(60);
const JUDGE_MAX: Duration = Duration::from_secs(180);
/// How often the insides of nodes are looked at, where heartbeats are as they are by default.
const OBSERVE: Duration = Duration::from_millis(20);

/// How long a calm must last until nodes have heard of each other.
const SETTLED: Duration = Duration::from_secs(1);

/// Runs a plan.
pub fn run(plan: &Plan, shown: bool) -> Outcome {
    let trace = Trace::new(shown);
    let mut run = Run::new(plan, &trace);
    let verdict = trace.during(|| run.play());
    let (trace_hash, trace_lines) = trace.digest();
    Outcome {
        violation: verdict.err(),
        marks: run.marks,
        trace_hash,
        trace_lines,
        simulated_ms: u64::try_from(run.world.sim.elapsed().as_millis()).unwrap_or(u64::MAX),
        operations: run.shared.history(|history| history.operations.len() as u64),
    }
}

fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}

/// How far clocks are set, all together.
fn clocks_set(plan: &Plan) -> Duration {
    let set_ms = plan.faults.iter().map(|fault| match fault.kind {
        FaultKind::Clock { by_ms, .. } => by_ms.unsigned_abs(),
        _ => 0,
    });
    Duration::from_millis(set_ms.sum())
}

struct Run {
    plan: Plan,
    world: World,
    shared: Shared,
    observer: Observer,
    marks: Marks,
    observed: Duration,
    /// Since when there is a calm.
    calm_since: Option<Duration>,
    judged: std::sync::Arc<std::sync::Mutex<Option<Result<(), String>>>>,
}

impl Run {
    fn new(plan: &Plan, trace: &Trace) -> Self {
        let shared = Shared::new(plan);
        let mut world = trace.during(|| World::new(plan));
        let judged = std::sync::Arc::default();
        trace.during(|| {
            for host in 0..CLIENT_HOSTS {
                world
                    .sim
                    .client(client_host(host), clients(shared.clone(), host, std::sync::Arc::clone(&judged)));
            }
        });
        Self {
            plan: plan.clone(),
            world,
            shared,
            observer: Observer::new(clocks_set(plan)),
            marks: Marks::default(),
            observed: Duration::ZERO,
            calm_since: None,
            judged,
        }
    }

    fn play(&mut self) -> Result<(), Violation> {
        self.until("start", START_MAX, |run| run.observer.has_joined(&run.world, run.plan.nodes))?;
        self.shared.enter(Stage::Creating);
        self.until("create its tables", CREATE_MAX, |run| run.shared.stage() == Stage::Acting)?;
        self.go_wrong()?;
        self.world.heal();
        self.shared.enter(Stage::Ending);
        self.until("answer what was begun", END_MAX, |run| run.shared.is_quiet())?;
        self.until("converge", CONVERGE_MAX, |run| run.observer.has_converged(&run.world))?;
        self.rest()?;
        self.shared.enter(Stage::Judging);
        self.until("serve", JUDGE_MAX, |run| run.shared.stage() == Stage::Judged)?;
        if let Some(Err(error)) = crate::machine::lock(&self.judged).take() {
            return Err(Violation::new("liveness", error));
        }
        self.until("converge again", CONVERGE_MAX, |run| run.observer.has_converged(&run.world))?;
        self.observer.judge(&self.world, &mut self.marks)?;
        let trimmed = self.plan.tables.iter().any(|table| table.retention_ms > 0);
        let clocks = self.clocks();
        self.shared.history(|history| {
            history.trimmed = trimmed;
            (history.clocks_set, history.clocks_ran) = clocks;
            invariants::check_history(history, &mut self.marks)
        })
    }

    /// Steps until something holds; a cluster that does not get there in time is not alive.
    fn until(
        &mut self,
        what: &str,
        patience: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<(), Violation> {
        let patience = self.plan.patience(patience);
        let deadline = self.world.sim.elapsed() + patience;
        loop {
            if self.step()? && holds(self) {
                return Ok(());
            }
            if self.world.sim.elapsed() > deadline {
                let state = self.observer.state(&self.world);
                return Err(Violation::new(
                    "liveness",
                    format!("it took longer than {patience:?} to {what}: {state}"),
                ));
            }
        }
    }

    /// Lets time pass.
    fn rest(&mut self) -> Result<(), Violation> {
        let rested = self.world.sim.elapsed() + Duration::from_millis(self.plan.rest_ms);
        while self.world.sim.elapsed() < rested {
            self.step()?;
        }
        Ok(())
    }

    /// How far clocks were set, and how far two of them ran apart, at most, µs.
    fn clocks(&self) -> (Micros, Micros) {
        let elapsed_ms = self.world.sim.elapsed().as_millis() as i64;
        let ahead_ms = |number: usize| {
            let Plan { ahead_ms, drift_ppm, .. } = &self.plan;
            let of = |clocks: &Vec<i64>| clocks.get(number).copied().unwrap_or(0);
            [of(ahead_ms), of(ahead_ms) + elapsed_ms / 1_000 * of(drift_ppm) / 1_000]
        };
        let all: Vec<i64> = (0..self.plan.nodes).flat_map(ahead_ms).chain([0]).collect();
        let apart_ms =
            all.iter().max().zip(all.iter().min()).map_or(0, |(most, least)| most.abs_diff(*least));
        (micros(clocks_set(&self.plan)), apart_ms * 1_000)
    }

    /// Steps through the plan's faults.
    fn go_wrong(&mut self) -> Result<(), Violation> {
        let began = self.world.sim.elapsed();
        let mut to_come: Vec<Fault> = self.plan.faults.iter().rev().cloned().collect();
        let mut to_end: BTreeMap<(u64, usize), Fault> = BTreeMap::new();
        loop {
            let at_ms = u64::try_from((self.world.sim.elapsed() - began).as_millis()).unwrap_or(u64::MAX);
            while let Some(fault) = to_come.pop_if(|fault| fault.at_ms <= at_ms) {
                tracing::info!(?fault, "fault");
                let now = micros(self.world.sim.elapsed());
                let disturbed = (now, now + fault.for_ms * 1_000);
                self.shared.history(|history| history.disturbed.push(disturbed));
                self.marks.hit(&format!("fault: {}", fault.kind.name()));
                self.world.begin(&fault.kind, fault.for_ms);
                to_end.insert((at_ms + fault.for_ms, to_come.len()), fault);
            }
            while let Some(entry) = to_end.first_entry().filter(|entry| entry.key().0 <= at_ms) {
                let fault = entry.remove();
                tracing::info!(?fault, "the fault is over");
                self.world.end(&fault.kind);
            }
            if at_ms >= self.plan.faults_ms {
                // Clocks and latencies are set back.
                to_end.into_values().for_each(|fault| self.world.end(&fault.kind));
                return Ok(());
            }
            self.step()?;
        }
    }

    /// One step; whether the nodes were looked at.
    fn step(&mut self) -> Result<bool, Violation> {
        let now = self.world.sim.elapsed();
        trace::set_now(now);
        if let Err(error) = self.world.step(&mut self.marks) {
            return Err(Violation::new("world", error.to_string()));
        }
        if now < self.observed + self.plan.patience(OBSERVE) {
            return Ok(false);
        }
        self.observed = now;
        self.observer.observe(&self.world, &mut self.marks)?;
        self.note_calm();
        Ok(true)
    }

    /// Notes how long a calm lasts, once nodes that came up, or were elected, have had the time to say so.
    fn note_calm(&mut self) {
        if !self.world.is_calm() || !self.observer.is_led {
            self.calm_since = None;
            return;
        }
        let from = *self.calm_since.get_or_insert(self.observed) + SETTLED;
        let micros = |at: Duration| u64::try_from(at.as_micros()).unwrap_or(NEVER);
        let (from, to) = (micros(from), micros(self.observed));
        self.shared.history(|history| match history.calm.last_mut() {
            _ if from >= to => {}
            Some(last) if last.0 == from => last.1 = to,
            _ => history.calm.push((from, to)),
        });
    }
}

/// The clients of one host.
async fn clients(
    shared: Shared,
    host: usize,
    judged: std::sync::Arc<std::sync::Mutex<Option<Result<(), String>>>>,
) -> turmoil::Result {
    let actors = shared.plan().actors.clone().into_iter().enumerate();
    let mine = actors.filter(|(number, _)| number % CLIENT_HOSTS == host);
    let playing: Vec<_> = mine
        .map(|(number, actor)| tokio::task::spawn_local(actors::play(shared.clone(), number, actor)))
        .collect();
    if host == 0 {
        shared.reached(Stage::Creating).await;
        actors::create_tables(&shared).await;
        shared.enter(Stage::Acting);
    }
    let judging = async {
        if host == 0 {
            shared.reached(Stage::Judging).await;
            let result = actors::judge(&shared).await.map_err(|error| format!("{error:#}"));
            *crate::machine::lock(&judged) = Some(result);
            shared.enter(Stage::Judged);
        }
        Ok(())
    };
    futures::future::try_join(futures::future::try_join_all(playing), judging).await?;
    // A client host that is done would end the run.
    std::future::pending().await
}
