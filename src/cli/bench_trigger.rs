//! Triggers under measurement: how soon a function is called with a change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Router, body::Bytes, extract::DefaultBodyLimit, routing::post};
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::bench::{Arguments, run_plan};
use super::bench_clients::{Plan, latencies, record};
use super::bench_report::Measured;
use super::bench_requests::{VALUE_NAME, read_stamp};
use super::{Error, Output};
use crate::client::{NewTrigger, StartingPosition, Table, TriggerSettings};

/// How long it is waited for the calls of the last writes.
const LINGER: Duration = Duration::from_secs(1);

/// What the function has seen.
struct Seen {
    start: Instant,
    from: Instant,
    until: Instant,
    delivery: Mutex<Histogram<u32>>,
}

impl Seen {
    /// Takes the time from write to call of each record written while measuring.
    fn take(&self, event: &[u8]) {
        let now = Instant::now();
        let Ok(event) = serde_json::from_slice::<Value>(event) else { return };
        let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        for each in event["Records"].as_array().into_iter().flatten() {
            let text = each["dynamodb"]["NewImage"][VALUE_NAME]["S"].as_str();
            let Some(nanoseconds) = text.and_then(read_stamp) else { continue };
            let written = self.start + Duration::from_nanos(nanoseconds);
            if self.from <= written && written < self.until {
                record(&mut delivery, now.saturating_duration_since(written));
            }
        }
    }
}

/// Runs writers whose values begin with the time, and a function that compares it with its own.
pub(super) async fn latency(
    output: Output,
    mut plan: Plan,
    table: &Table,
    arguments: &Arguments,
) -> Result<Measured, Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let target = format!("http://{}/function", listener.local_addr()?);
    let new = NewTrigger {
        table_name: table.name.to_string(),
        target,
        starting_position: StartingPosition::Latest.into(),
        settings: Some(TriggerSettings { batch_size: Some(1000), ..TriggerSettings::default() }),
        ..NewTrigger::default()
    };
    let trigger = plan.client.create_trigger(&new).await?;
    plan.start = Instant::now();
    plan.measure_from = plan.start + arguments.warm_up;
    plan.until = plan.measure_from + arguments.duration;
    let seen = Arc::new(Seen {
        start: plan.start,
        from: plan.measure_from,
        until: plan.until,
        delivery: Mutex::new(latencies()),
    });
    let takes = seen.clone();
    let function = post(move |event: Bytes| {
        takes.take(&event);
        std::future::ready("")
    });
    let router = Router::new().route("/function", function).layer(DefaultBodyLimit::disable());
    let (client, until) = (plan.client.clone(), plan.until);
    let measuring = async {
        let measured = run_plan(output, plan, arguments).await;
        tokio::time::sleep_until(until + LINGER).await;
        measured
    };
    let measured = tokio::select! {
        measured = measuring => measured,
        served = axum::serve(listener, router) => Err(Error::Node(format!("the function stopped: {served:?}"))),
    };
    client.delete_trigger(&trigger.trigger_id).await?;
    let mut measured = measured?;
    measured.delivery = Some(seen.delivery.lock().unwrap_or_else(PoisonError::into_inner).clone());
    Ok(measured)
}
