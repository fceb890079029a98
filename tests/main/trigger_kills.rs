//! The node that delivers a shard is killed at every step of a batch, and whichever node goes on does so from there:
//! nothing is skipped, nothing comes out of order, retries are not begun anew, and what is given up, and nothing else,
//! goes where it is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use watertable::client::{Client, TriggerSettings};
use watertable::model::TableName;

use super::cluster::{Cluster, until};
use super::function::{Function, Reply, assert_in_order};
use super::triggers::{create, create_table, new, put};

/// Where a batch is when its node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its records gather.
    Gathering,
    /// The function has it, and has not answered.
    Called,
    /// The function has answered that all is well.
    Answered,
    /// The function has failed, for the first time.
    Failed,
    /// The function has failed as often as it may, but once.
    NearlyExhausted,
    /// The function has a half of it.
    Halved,
    /// The function has answered which record failed.
    Partly,
    /// The destination has what is given up, and has not answered.
    Told,
    /// The destination has taken what is given up.
    Taken,
}

const STEPS: [Step; 9] = [
    Step::Gathering,
    Step::Called,
    Step::Answered,
    Step::Failed,
    Step::NearlyExhausted,
    Step::Halved,
    Step::Partly,
    Step::Told,
    Step::Taken,
];

const KEYS: usize = 3;
/// Numbers written to each key at each step.
const ROUND: u64 = 12;
const RETRIES: i32 = 3;
/// A record of a number above this one fails whenever it is delivered; it comes after the one of the number less this.
const POISON: u64 = 1_000_000;

/// Waits for a step; told of by functions, which then wait until the node is dead, if the step is one of waiting.
#[derive(Clone, Default)]
struct Trap(Arc<Mutex<Option<Armed>>>);

struct Armed {
    step: Step,
    reached: oneshot::Sender<()>,
    dead: oneshot::Receiver<()>,
}

impl Trap {
    fn arm(&self, step: Step) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((reached, has_reached), (kill, dead)) = (oneshot::channel(), oneshot::channel());
        *self.0.lock().expect("no test panicked") = Some(Armed { step, reached, dead });
        (has_reached, kill)
    }

    /// If this step is waited for: what to wait for before going on.
    fn reach(&self, step: Step) -> Option<BoxFuture<'static, ()>> {
        let armed = self.0.lock().expect("no test panicked").take_if(|armed| armed.step == step)?;
        armed.reached.send(()).expect("the test waits");
        Some(armed.dead.map(|_| ()).boxed())
    }

    /// Answers once the node is dead, if this step is waited for.
    fn hold(&self, step: Step, reply: Reply) -> Reply {
        match self.reach(step) {
            Some(dead) => Reply::Held(dead, Box::new(reply)),
            None => reply,
        }
    }
}

fn number(record: &Value) -> u64 {
    let text = record["dynamodb"]["NewImage"]["n"]["N"].as_str().expect("a number");
    text.parse().expect("a number")
}

fn key(record: &Value) -> String {
    record["dynamodb"]["Keys"]["id"]["S"].as_str().expect("a key").to_owned()
}

/// The function: fails for poison, and for some others says once that they failed.
fn answer(trap: &Trap, tried: &Mutex<BTreeMap<String, usize>>, event: &Value) -> Reply {
    let records = event["Records"].as_array().expect("records");
    if let Some(poison) = records.iter().find(|record| number(record) >= POISON) {
        let mut tried = tried.lock().expect("no test panicked");
        let alone = tried.entry(format!("{} {}", key(poison), number(poison))).or_default();
        *alone += usize::from(records.len() == 1);
        let nearly = *alone == RETRIES as usize;
        drop(tried);
        let reply = trap.hold(Step::Called, Reply::Status(500, "poison".to_owned()));
        let half = if records.len() < 3 { trap.hold(Step::Halved, reply) } else { reply };
        let _ = trap.reach(Step::Failed);
        let _ = if nearly { trap.reach(Step::NearlyExhausted) } else { None };
        return half;
    }
    let slow = |record: &&Value| number(record) % 5 == 3;
    if let Some(failed) = records.iter().find(slow) {
        let mut tried = tried.lock().expect("no test panicked");
        let times = tried.entry(format!("{} {}", key(failed), number(failed))).or_default();
        *times += 1;
        if *times == 1 {
            let _ = trap.reach(Step::Partly);
            let number = &failed["dynamodb"]["SequenceNumber"];
            let body = json!({"batchItemFailures": [{"itemIdentifier": number}]});
            return trap.hold(Step::Called, Reply::Status(200, body.to_string()));
        }
    }
    let reply = trap.hold(Step::Called, Reply::ok());
    let _ = trap.reach(Step::Answered);
    reply
}

/// Writes a round of numbers to every key, with poison among them.
async fn write(client: &Client, table: &TableName, round: u64) {
    let each = (0..KEYS).map(|key| async move {
        let key = format!("key-{key}");
        for number in round * ROUND..(round + 1) * ROUND {
            put(client, table, &key, number).await;
            if number % ROUND == 7 {
                put(client, table, &key, POISON + number).await;
            }
        }
    });
    futures::future::join_all(each).await;
}

/// What was given up: key and number.
fn given_up(destination: &Function) -> BTreeSet<(String, u64)> {
    let records = destination.calls().into_iter().flat_map(|call| {
        call.event["payload"]["Records"].as_array().cloned().expect("the records that were given up")
    });
    records.map(|record| (key(&record), number(&record))).collect()
}

#[tokio::test]
async fn whatever_step_a_node_dies_at_nothing_is_skipped_or_tried_anew() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client();
    let table = create_table(&client, &cluster, "steps", 1).await;
    let (trap, tried) = (Trap::default(), Arc::new(Mutex::new(BTreeMap::new())));
    let (at_function, counts) = (trap.clone(), tried.clone());
    let function = Function::serve("/hook", move |event| answer(&at_function, &counts, event)).await;
    let at_destination = trap.clone();
    let destination = Function::serve("/lost", move |_| {
        let reply = at_destination.hold(Step::Told, Reply::ok());
        let _ = at_destination.reach(Step::Taken);
        reply
    })
    .await;
    let settings = TriggerSettings {
        batch_size: Some(4),
        maximum_batching_window_millis: Some(200),
        maximum_retry_attempts: Some(RETRIES),
        bisect_batch_on_function_error: Some(true),
        report_batch_item_failures: Some(true),
        on_failure: Some(destination.url.clone()),
        ..TriggerSettings::default()
    };
    create(&client, &new(&table, &function.url, settings)).await;
    for (round, step) in STEPS.into_iter().enumerate() {
        let round = round as u64;
        let victim = cluster.leader_of(&client, &table, 0).await;
        let (reached, kill) = trap.arm(step);
        let kill = async {
            match step {
                Step::Gathering => put(&client, &table, "another", 0).await,
                _ => reached.await.expect("the step is reached"),
            }
            cluster.kill(victim);
            drop(kill);
        };
        tokio::join!(write(&client, &table, round), kill);
        cluster.start_node(victim);
        cluster.ready().await;
        until(&format!("everything being done after {step:?}"), async || {
            let last = (round + 1) * ROUND - 1;
            let delivered = function.delivered("id", "n");
            let is_whole = (0..KEYS).all(|key| {
                delivered.get(&format!("key-{key}")).is_some_and(|numbers| numbers.contains(&last))
            });
            (is_whole && given_up(&destination).len() >= KEYS * (round as usize + 1)).then_some(())
        })
        .await;
    }
    let mut delivered = function.delivered("id", "n");
    delivered.remove("another");
    let rounds = STEPS.len() as u64;
    assert_in_order(&delivered, KEYS, rounds * ROUND);
    let poison = (0..KEYS).flat_map(|key| (0..rounds).map(move |round| (key, round)));
    let poison: BTreeSet<_> =
        poison.map(|(key, round)| (format!("key-{key}"), POISON + round * ROUND + 7)).collect();
    assert_eq!(given_up(&destination), poison, "what is given up is what always fails");
    for (record, times) in tried.lock().expect("no test panicked").iter() {
        // One call may be under way, or its outcome not be told yet, when the node dies.
        assert!(*times <= RETRIES as usize + 2, "{record} was tried {times} times");
    }
    println!("{} calls for {} records", function.calls().len(), rounds * (ROUND + 1) * KEYS as u64);
}
