//! A function that a trigger calls: a program on the clients' host that fails now and then, is slow, says which record
//! failed, or does not answer; and the place where records go that are given up.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::post,
    serve::Listener,
};
use serde_json::{Value, json};
use turmoil::net::{TcpListener, TcpStream};
use watertable::client::{Client, NewTrigger, SequenceNumber, StartingPosition, TriggerSettings};

use super::Cast;
use crate::{
    entropy::Random,
    history::{Key, Receipt, Received, Receiver},
    machine::lock,
    plan::{FunctionPlan, Habits},
    stage::{Shared, Stage, now, table_name},
    world::{CLIENT_HOSTS, client_host},
};

/// The port of the first one; below those that outgoing connections have.
const PORT: u16 = 7000;
/// Longer than any call may take.
const FOREVER: Duration = Duration::from_secs(600);

/// What it is made of.
struct Function {
    shared: Shared,
    plan: FunctionPlan,
    table: usize,
    /// Which of `History::receivers`.
    receiver: usize,
    random: Mutex<Random>,
}

/// What it does with a call.
enum Reply {
    Fine,
    Status(StatusCode),
    Late(Duration),
    /// This record failed, and those behind it.
    Failed(usize),
    Never,
}

/// Serves a function and makes its trigger; goes on until the run is over.
pub async fn serve(mut cast: Cast, plan: FunctionPlan) {
    let port = PORT + cast.number as u16;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.expect("nobody else has the port");
    let host = client_host(cast.number as usize % CLIENT_HOSTS);
    let (target, lost) = (format!("http://{host}:{port}/function"), format!("http://{host}:{port}/lost"));
    let client = cast.shared.client(cast.seed);
    let table = cast.table;
    let receiver = cast.shared.history(|history| {
        history.receivers.push(Receiver {
            name: format!("the function {target}"),
            table,
            created: None,
            receipts: Vec::new(),
        });
        history.receivers.len() - 1
    });
    let random = Mutex::new(Random::new(cast.random.next(), "function"));
    let function = Function { shared: cast.shared.clone(), plan: plan.clone(), table, receiver, random };
    let router = Router::new()
        .route("/function", post(called))
        .route("/lost", post(given_up))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(function));
    let served =
        async { axum::serve(Socket(listener), router).await.expect("it serves until the run is over") };
    let created = async {
        create(&mut cast, &client, receiver, &new_trigger(table, target, lost, &plan)).await;
        std::future::pending::<()>().await;
    };
    futures::join!(served, created);
}

fn new_trigger(table: usize, target: String, lost: String, plan: &FunctionPlan) -> NewTrigger {
    let settings = TriggerSettings {
        batch_size: Some(plan.batch_size),
        maximum_batching_window_millis: Some(plan.window_ms),
        parallelization_factor: Some(plan.parallel),
        maximum_retry_attempts: plan.retries,
        bisect_batch_on_function_error: Some(plan.bisects),
        report_batch_item_failures: Some(plan.habits == Habits::Reports),
        on_failure: Some(lost),
        timeout_millis: Some(plan.timeout_ms),
        ..TriggerSettings::default()
    };
    NewTrigger {
        table_name: table_name(table).to_string(),
        target,
        starting_position: StartingPosition::TrimHorizon.into(),
        settings: Some(settings),
        ..NewTrigger::default()
    }
}

/// Makes the trigger once, as soon as that can be done. Its stream may be off for a while.
async fn create(cast: &mut Cast, client: &Client, receiver: usize, new: &NewTrigger) {
    while cast.goes_on() {
        let begun = now();
        match client.create_trigger(new).await {
            Ok(trigger) => {
                tracing::debug!(trigger = trigger.trigger_id, target = new.target, "a trigger is made");
                return cast
                    .shared
                    .history(|history| history.receivers[receiver].created = Some((begun, now())));
            }
            // One that was made by a call that was not answered is there, and nobody knows since when.
            Err(error) if error.reason() == "ResourceInUseException" => return,
            Err(error) => tracing::debug!(%error, target = new.target, "a trigger is not made yet"),
        }
        cast.pause(200).await;
    }
}

impl Function {
    fn decide(&self, records: usize) -> Reply {
        let mut random = lock(&self.random);
        if self.shared.stage() != Stage::Acting {
            return Reply::Fine;
        }
        match random.below(100) {
            0..8 => Reply::Status(StatusCode::INTERNAL_SERVER_ERROR),
            8..14 => Reply::Status(StatusCode::SERVICE_UNAVAILABLE),
            14..24 => Reply::Late(Duration::from_millis(random.between(0, 2 * self.plan.timeout_ms))),
            24..28 => Reply::Never,
            28..40 if self.plan.habits == Habits::Reports => {
                Reply::Failed(random.below(records as u64) as usize)
            }
            _ => Reply::Fine,
        }
    }

    fn note(&self, at: u64, records: Vec<Received>, done: usize) {
        let ended = now();
        tracing::debug!(receiver = self.receiver, at, records = records.len(), done, "records came");
        let receipt = Receipt { at, ended, records, done };
        self.shared.history(|history| history.receivers[self.receiver].receipts.push(receipt));
    }
}

async fn called(State(function): State<Arc<Function>>, body: Bytes) -> (StatusCode, String) {
    let at = now();
    let event: Value = serde_json::from_slice(&body).expect("an event is JSON");
    let records = received(function.table, &event);
    let count = records.len();
    let fine = (StatusCode::OK, String::new());
    match function.decide(count) {
        Reply::Fine => {
            function.note(at, records, count);
            fine
        }
        Reply::Status(status) => {
            function.note(at, records, 0);
            (status, String::new())
        }
        Reply::Late(pause) => {
            tokio::time::sleep(pause).await;
            function.note(at, records, count);
            fine
        }
        Reply::Failed(first) => {
            let number = records[first].number.to_string();
            function.note(at, records, first);
            (StatusCode::OK, json!({"batchItemFailures": [{"itemIdentifier": number}]}).to_string())
        }
        Reply::Never => {
            function.note(at, records, 0);
            tokio::time::sleep(FOREVER).await;
            fine
        }
    }
}

async fn given_up(State(function): State<Arc<Function>>, body: Bytes) -> StatusCode {
    let at = now();
    let document: Value = serde_json::from_slice(&body).expect("a document is JSON");
    let records = received(function.table, &document["payload"]);
    if let Reply::Status(status) = function.decide(records.len()) {
        return status;
    }
    assert!(function.plan.retries.is_some(), "a trigger that tries without end gives nothing up: {document}");
    let count = records.len();
    function.note(at, records, count);
    StatusCode::OK
}

/// The records of an event.
fn received(table: usize, event: &Value) -> Vec<Received> {
    let records = event["Records"].as_array().expect("an event has records").iter();
    let received = records.map(|record| {
        let (change, text) = (&record["dynamodb"], |value: &Value| value.as_str().map(str::to_owned));
        let id = text(&change["Keys"]["id"]["S"])?.strip_prefix('k')?.parse().ok()?;
        let at = text(&change["Keys"]["at"]["N"]).map_or(Some(0), |at| at.parse().ok())?;
        let number = SequenceNumber::new(text(&change["SequenceNumber"])?);
        Some(Received { place: text(&record["eventSourceARN"])?, key: Key { table, id, at }, number })
    });
    received.collect::<Option<_>>().expect("a record has its key, number and stream")
}

/// A socket of the simulated network.
struct Socket(TcpListener);

impl Listener for Socket {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        self.0.accept().await.expect("a connection")
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
