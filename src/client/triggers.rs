//! Triggers: functions that are fed by the streams of a table. Messages are those of the wire.

use super::Client;
use super::call::Target;
use super::error::Error;
use super::method::Method;
use crate::model::TableName;
use crate::rpc::wire::v1;

pub use v1::{
    CreateTriggerRequest as NewTrigger, Failure as FailedRecord, RedriveTriggerResponse as Redriven,
    StartingPosition, Trigger, TriggerSettings, TriggerShard, UpdateTriggerRequest as TriggerChange,
    trigger_settings::Filters as TriggerFilters,
};

impl Client {
    /// Creates a trigger.
    pub async fn create_trigger(&self, new: &NewTrigger) -> Result<Trigger, Error> {
        self.call(Method::CREATE_TRIGGER, Target::Any, new).await
    }

    /// A trigger, with its lag. Errors: `Rejected` if there is none (`Error::is_not_found`).
    pub async fn trigger(&self, id: &str) -> Result<Trigger, Error> {
        let request = v1::GetTriggerRequest { trigger_id: id.to_owned() };
        self.call(Method::GET_TRIGGER, Target::Any, &request).await
    }

    /// The triggers of one table or of all, in the order of their creation.
    pub async fn list_triggers(&self, table: Option<&TableName>) -> Result<Vec<Trigger>, Error> {
        let request =
            v1::ListTriggersRequest { table_name: table.map(ToString::to_string).unwrap_or_default() };
        let answer: v1::ListTriggersResponse =
            self.call(Method::LIST_TRIGGERS, Target::Any, &request).await?;
        Ok(answer.triggers)
    }

    /// Changes a trigger.
    pub async fn update_trigger(&self, change: &TriggerChange) -> Result<Trigger, Error> {
        self.call(Method::UPDATE_TRIGGER, Target::Any, change).await
    }

    /// Deletes a trigger.
    pub async fn delete_trigger(&self, id: &str) -> Result<(), Error> {
        let request = v1::DeleteTriggerRequest { trigger_id: id.to_owned() };
        self.call::<v1::DeleteTriggerResponse>(Method::DELETE_TRIGGER, Target::Any, &request)
            .await
            .map(|_| ())
    }

    /// Puts a trigger elsewhere in its streams; a time in ms since 1970 with `AtTimestamp`.
    pub async fn rewind_trigger(
        &self,
        id: &str,
        position: StartingPosition,
        timestamp_ms: Option<u64>,
    ) -> Result<Trigger, Error> {
        let request = v1::RewindTriggerRequest {
            trigger_id: id.to_owned(),
            starting_position: position.into(),
            starting_timestamp_millis: timestamp_ms,
        };
        self.call(Method::REWIND_TRIGGER, Target::Any, &request).await
    }

    /// Records of a trigger that were given up, oldest first, behind one of them; and the last one's id if there are more.
    pub async fn list_failures(
        &self,
        id: &str,
        limit: u32,
        behind: Option<String>,
    ) -> Result<(Vec<FailedRecord>, Option<String>), Error> {
        let request =
            v1::ListFailuresRequest { trigger_id: id.to_owned(), limit, exclusive_start_failure_id: behind };
        let answer: v1::ListFailuresResponse =
            self.call(Method::LIST_FAILURES, Target::Any, &request).await?;
        Ok((answer.failures, answer.last_failure_id))
    }

    /// Has records delivered again that were given up, at most so many, behind one of them.
    pub async fn redrive_trigger(
        &self,
        id: &str,
        limit: u32,
        behind: Option<String>,
    ) -> Result<Redriven, Error> {
        let request = v1::RedriveTriggerRequest {
            trigger_id: id.to_owned(),
            limit,
            exclusive_start_failure_id: behind,
        };
        self.call(Method::REDRIVE_TRIGGER, Target::Any, &request).await
    }
}
