//! `watertable.v1.Triggers`: proto <-> what is asked for and told.

use tonic::Request;

use super::{
    grpc::{Face, Reply, reply},
    triggers::{self, CreateAsk, SettingsAsk, SettingsOut, ShardOut, TriggerOut, UpdateAsk},
};
use crate::{
    node::{Error, Failed},
    rpc::wire::v1::{self, triggers_server},
};

fn settings_in(settings: Option<v1::TriggerSettings>) -> SettingsAsk {
    let settings = settings.unwrap_or_default();
    SettingsAsk {
        batch_size: settings.batch_size,
        maximum_batching_window_millis: settings.maximum_batching_window_millis,
        parallelization_factor: settings.parallelization_factor,
        maximum_retry_attempts: settings.maximum_retry_attempts,
        maximum_record_age_seconds: settings.maximum_record_age_seconds,
        bisect_batch_on_function_error: settings.bisect_batch_on_function_error,
        report_batch_item_failures: settings.report_batch_item_failures,
        tumbling_window_seconds: settings.tumbling_window_seconds,
        filters: settings.filters.map(|filters| filters.patterns),
        on_failure: settings.on_failure,
        timeout_millis: settings.timeout_millis,
        secret: settings.secret,
    }
}

fn settings_out(settings: SettingsOut) -> v1::TriggerSettings {
    let narrow = |number: i64| i32::try_from(number).unwrap_or(i32::MAX);
    v1::TriggerSettings {
        batch_size: Some(settings.batch_size),
        maximum_batching_window_millis: Some(settings.maximum_batching_window_millis),
        parallelization_factor: Some(settings.parallelization_factor),
        maximum_retry_attempts: Some(narrow(settings.maximum_retry_attempts)),
        maximum_record_age_seconds: Some(narrow(settings.maximum_record_age_seconds)),
        bisect_batch_on_function_error: Some(settings.bisect_batch_on_function_error),
        report_batch_item_failures: Some(settings.report_batch_item_failures),
        tumbling_window_seconds: u32::try_from(settings.tumbling_window_seconds).ok(),
        filters: Some(v1::trigger_settings::Filters { patterns: settings.filters }),
        on_failure: Some(settings.on_failure),
        timeout_millis: Some(settings.timeout_millis),
        secret: None,
    }
}

fn shard_out(shard: ShardOut) -> v1::TriggerShard {
    v1::TriggerShard {
        shard_id: shard.shard_id,
        node_id: shard.node,
        sequence_number: shard.sequence_number,
        attempts: shard.attempts,
        lag_millis: shard.lag_millis,
        last_error: shard.last_error,
        last_error_millis: shard.last_error_millis,
        done: shard.done,
    }
}

fn trigger_out(trigger: TriggerOut) -> v1::Trigger {
    v1::Trigger {
        trigger_id: trigger.trigger_id,
        table_name: trigger.table_name,
        stream_arn: trigger.stream_arn,
        target: trigger.target,
        enabled: trigger.state == "Enabled",
        settings: Some(settings_out(trigger.settings)),
        created_millis: trigger.created_millis,
        updated_millis: trigger.updated_millis,
        last_result: trigger.last_result,
        shards: trigger.shards.into_iter().map(shard_out).collect(),
    }
}

fn failure_out(failed: Failed) -> v1::Failure {
    v1::Failure {
        failure_id: failed.failure_id,
        shard_id: failed.shard_id,
        sequence_number: failed.number.map(|number| number.to_string()).unwrap_or_default(),
        condition: failed.condition,
        attempts: failed.attempts,
        error: failed.error,
        failed_at: failed.failed_at,
        record: failed.record,
    }
}

fn position(position: i32) -> Result<Option<&'static str>, Error> {
    match v1::StartingPosition::try_from(position) {
        Ok(v1::StartingPosition::Unspecified) => Ok(None),
        Ok(v1::StartingPosition::TrimHorizon) => Ok(Some("TRIM_HORIZON")),
        Ok(v1::StartingPosition::Latest) => Ok(Some("LATEST")),
        Ok(v1::StartingPosition::AtTimestamp) => Ok(Some("AT_TIMESTAMP")),
        Err(_) => Err(Error::Invalid(format!("starting_position has no value {position}"))),
    }
}

impl Face {
    async fn create_one(&self, request: v1::CreateTriggerRequest) -> Result<v1::Trigger, Error> {
        let ask = CreateAsk {
            table_name: request.table_name,
            target: request.target,
            starting_position: position(request.starting_position)?.map(str::to_owned),
            starting_timestamp_millis: request.starting_timestamp_millis,
            enabled: request.enabled,
            settings: settings_in(request.settings),
        };
        triggers::create(&self.node, ask).await.map(trigger_out)
    }

    async fn rewind(&self, request: v1::RewindTriggerRequest) -> Result<v1::Trigger, Error> {
        let position = position(request.starting_position)?;
        let at_ms = request.starting_timestamp_millis;
        triggers::rewind(&self.node, &request.trigger_id, position, at_ms).await.map(trigger_out)
    }
}

#[tonic::async_trait]
impl triggers_server::Triggers for Face {
    async fn create_trigger(&self, request: Request<v1::CreateTriggerRequest>) -> Reply<v1::Trigger> {
        reply(self.create_one(request.into_inner()).await)
    }

    async fn get_trigger(&self, request: Request<v1::GetTriggerRequest>) -> Reply<v1::Trigger> {
        reply(triggers::get(&self.node, &request.get_ref().trigger_id).await.map(trigger_out))
    }

    async fn list_triggers(
        &self,
        request: Request<v1::ListTriggersRequest>,
    ) -> Reply<v1::ListTriggersResponse> {
        let listed = triggers::list(&self.node, &request.get_ref().table_name).await;
        reply(listed.map(|listed| v1::ListTriggersResponse {
            triggers: listed.into_iter().map(trigger_out).collect(),
        }))
    }

    async fn update_trigger(&self, request: Request<v1::UpdateTriggerRequest>) -> Reply<v1::Trigger> {
        let v1::UpdateTriggerRequest { trigger_id, target, settings, enabled } = request.into_inner();
        let ask = UpdateAsk { trigger_id, target, enabled, settings: settings_in(settings) };
        reply(triggers::update(&self.node, ask).await.map(trigger_out))
    }

    async fn delete_trigger(
        &self,
        request: Request<v1::DeleteTriggerRequest>,
    ) -> Reply<v1::DeleteTriggerResponse> {
        let deleted = triggers::delete(&self.node, &request.get_ref().trigger_id).await;
        reply(deleted.map(|()| v1::DeleteTriggerResponse {}))
    }

    async fn rewind_trigger(&self, request: Request<v1::RewindTriggerRequest>) -> Reply<v1::Trigger> {
        reply(self.rewind(request.into_inner()).await)
    }

    async fn list_failures(
        &self,
        request: Request<v1::ListFailuresRequest>,
    ) -> Reply<v1::ListFailuresResponse> {
        let v1::ListFailuresRequest { trigger_id, limit, exclusive_start_failure_id } = request.into_inner();
        let behind = exclusive_start_failure_id.as_deref();
        let listed = triggers::failures(&self.node, &trigger_id, limit, behind).await;
        reply(listed.map(|(failed, more)| {
            let last_failure_id = failed.last().filter(|_| more).map(|last| last.failure_id.clone());
            v1::ListFailuresResponse {
                failures: failed.into_iter().map(failure_out).collect(),
                last_failure_id,
            }
        }))
    }

    async fn redrive_trigger(
        &self,
        request: Request<v1::RedriveTriggerRequest>,
    ) -> Reply<v1::RedriveTriggerResponse> {
        let v1::RedriveTriggerRequest { trigger_id, limit, exclusive_start_failure_id } =
            request.into_inner();
        let behind = exclusive_start_failure_id.as_deref();
        let redriven = triggers::redrive(&self.node, &trigger_id, limit, behind).await;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        reply(redriven.map(|redriven| v1::RedriveTriggerResponse {
            redriven: count(redriven.delivered),
            failed: count(redriven.failed),
            last_failure_id: redriven.last,
            error: redriven.error,
        }))
    }
}
