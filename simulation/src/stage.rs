//! What all hosts of a run share without the network: how far the run is, and its history.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use watertable::{
    client::{Client, Error, Kind, Options},
    model::TableName,
};

use crate::{
    history::{Call, History, Key, Micros, Operation, Reason, Refusal, TableStory},
    invariants::show,
    machine::{self, elapsed, lock},
    network::Network,
    plan::Plan,
};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Nodes start and join.
    Starting,
    /// Tables are created.
    Creating,
    /// Actors act, and things go wrong.
    Acting,
    /// Everything is well again, and actors end what they have begun.
    Ending,
    /// The judge reads what there is.
    Judging,
    /// The judge is done.
    Judged,
}

const STAGES: [Stage; 6] =
    [Stage::Starting, Stage::Creating, Stage::Acting, Stage::Ending, Stage::Judging, Stage::Judged];

/// How often somebody looks whether the stage has changed.
pub const LOOK: Duration = Duration::from_millis(20);

/// What is shared. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    plan: Plan,
    stage: AtomicU8,
    /// Actors that are not done.
    active: AtomicUsize,
    operations: AtomicU64,
    history: Mutex<History>,
}

/// What somebody asks for that was given out.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub client: u32,
    /// The call.
    pub what: &'a str,
    /// The table.
    pub table: usize,
    /// The stream, unless it is the table itself.
    pub arn: Option<&'a str>,
    /// When a record at the place asked for, or before it, was created, if there is one, ms since 1970.
    pub created_ms: Option<u64>,
}

/// An actor that is not done, while it lives.
pub struct Active(Shared);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Simulated microseconds since the run began.
pub fn now() -> Micros {
    u64::try_from(elapsed().as_micros()).unwrap_or(Micros::MAX)
}

/// The name of a table of the plan.
pub fn table_name(table: usize) -> TableName {
    TableName::parse(&format!("table-{table}")).expect("names of the simulator are good")
}

impl Shared {
    /// The beginning of a run.
    pub fn new(plan: &Plan) -> Self {
        Self(Arc::new(Inner {
            plan: plan.clone(),
            stage: AtomicU8::new(0),
            active: AtomicUsize::new(0),
            operations: AtomicU64::new(1),
            history: Mutex::default(),
        }))
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// How far the run is.
    pub fn stage(&self) -> Stage {
        STAGES[usize::from(self.0.stage.load(Ordering::Relaxed))]
    }

    /// The run is so far now.
    pub fn enter(&self, stage: Stage) {
        tracing::info!(?stage, "stage");
        self.0.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Waits until the run is so far.
    pub async fn reached(&self, stage: Stage) {
        while self.stage() < stage {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Somebody acts, until this is dropped.
    pub fn active(&self) -> Active {
        self.0.active.fetch_add(1, Ordering::Relaxed);
        Active(self.clone())
    }

    /// Whether nobody acts any more.
    pub fn is_quiet(&self) -> bool {
        self.0.active.load(Ordering::Relaxed) == 0
    }

    /// A client of the cluster that knows all nodes.
    pub fn client(&self, seed: u64) -> Client {
        let mut addresses: Vec<_> = (0..self.plan().nodes).map(machine::address).collect();
        let first = (seed % addresses.len() as u64) as usize;
        addresses.rotate_left(first);
        let options = Options { seed: Some(seed), ..Options::default() };
        Client::connect_over(Arc::new(Network), addresses, options).expect("the addresses are good")
    }

    /// The number of the next operation.
    pub fn number(&self) -> u64 {
        self.0.operations.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes an operation that has just ended.
    pub fn note(&self, number: u64, client: u32, key: Key, begun: Micros, call: Call) {
        let operation = Operation { number, client, key, begun, ended: now(), call };
        tracing::debug!("{}", show::operation(&operation));
        self.history(|history| history.operations.push(operation));
    }

    /// Notes what came of asking for something that had been given out. Whether a call that was not answered would have
    /// been refused, nobody knows.
    pub fn note_asked(&self, asked: Asked<'_>, answer: Result<(), &Error>) {
        let Err(error) = answer else { return self.history(|history| history.served += 1) };
        if !matches!(error.kind(), Kind::Invalid | Kind::Rejected) {
            return;
        }
        let reason = match error.reason() {
            "TrimmedDataAccessException" => Reason::Trimmed,
            "ExpiredIteratorException" => Reason::Expired,
            _ if error.is_not_found() => Reason::Missing,
            _ => Reason::Other,
        };
        let Asked { client, what, table, arn, created_ms } = asked;
        let (arn, answered, message) = (arn.map(str::to_owned), now(), error.to_string());
        let what = what.to_owned();
        tracing::debug!(client, what, ?reason, message, "refused");
        let refusal = Refusal { client, what, table, arn, created_ms, answered, reason, message };
        self.history(|history| history.refusals.push(refusal));
    }

    /// Notes a table.
    pub fn note_table(&self, table: TableStory) {
        self.history(|history| history.tables.push(table));
    }

    /// Changes the history.
    pub fn history<T>(&self, change: impl FnOnce(&mut History) -> T) -> T {
        change(&mut lock(&self.0.history))
    }
}
