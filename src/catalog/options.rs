//! What a table is besides its key and its streams: what DynamoDB's users set on a table and expect to read again.
//!
//! Throughput is kept and told, not enforced: overload is refused by what a node can do, not by what was booked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refusal;

/// Tags of one table. Source: Amazon DynamoDB Developer Guide, "Tagging restrictions in DynamoDB".
pub const TAGS_MAX: usize = 50;

/// The options of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How it would be billed.
    pub billing: Billing,
    /// When it was last made on-demand, ms since 1970; absent if it never was asked to be.
    pub on_demand_ms: Option<u64>,
    /// When throughput was last raised, ms since 1970.
    pub increased_ms: Option<u64>,
    /// When it was last lowered, ms since 1970.
    pub decreased_ms: Option<u64>,
    /// How often it was lowered on the day (UTC) of `decreased_ms`.
    pub decreases: u64,
    /// Its class, if one was chosen.
    pub class: Option<TableClass>,
    /// Whether it cannot be deleted.
    pub deletion_protected: bool,
    /// The most an on-demand table should be asked for.
    pub on_demand_throughput: Option<Maximum>,
    /// What it should be able to do at once.
    pub warm_throughput: Option<Throughput>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// How a table would be billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Billing {
    /// By request.
    #[default]
    OnDemand,
    /// By what is booked.
    Provisioned(Throughput),
}

/// Capacity units a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// Read units.
    pub read: u64,
    /// Write units.
    pub write: u64,
}

/// Most request units a second; -1: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maximum {
    /// Read request units.
    pub read: Option<i64>,
    /// Write request units.
    pub write: Option<i64>,
}

/// A table's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableClass {
    /// `STANDARD`
    Standard,
    /// `STANDARD_INFREQUENT_ACCESS`
    StandardInfrequentAccess,
}

/// What to change of a table's options; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionsChange {
    /// See [`Options::billing`].
    pub billing: Option<Billing>,
    /// See [`Options::class`].
    pub class: Option<TableClass>,
    /// See [`Options::deletion_protected`].
    pub deletion_protected: Option<bool>,
    /// See [`Options::on_demand_throughput`].
    pub on_demand_throughput: Option<Maximum>,
    /// See [`Options::warm_throughput`].
    pub warm_throughput: Option<Throughput>,
}

impl Options {
    /// The options with a change made.
    pub(super) fn changed(&self, change: OptionsChange, now_ms: u64) -> Result<Self, Refusal> {
        let mut changed = self.clone();
        if let Some(billing) = change.billing {
            if let (Billing::Provisioned(is), Billing::Provisioned(asked)) = (self.billing, billing)
                && is == asked
            {
                return Err(Refusal::Invalid(format!(
                    "The provisioned throughput for the table will not change. The requested value equals the current \
                     value. Current ReadCapacityUnits provisioned for the table: {}. Requested ReadCapacityUnits: {}. \
                     Current WriteCapacityUnits provisioned for the table: {}. Requested WriteCapacityUnits: {}. Refer \
                     to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
                    is.read, asked.read, is.write, asked.write
                )));
            }
            if let (Billing::Provisioned(is), Billing::Provisioned(asked)) = (self.billing, billing) {
                if asked.read > is.read || asked.write > is.write {
                    changed.increased_ms = Some(now_ms);
                }
                if asked.read < is.read || asked.write < is.write {
                    changed.decreases = self.decreases_on(now_ms) + 1;
                    changed.decreased_ms = Some(now_ms);
                }
            }
            if billing == Billing::OnDemand && self.billing != Billing::OnDemand {
                changed.on_demand_ms = Some(now_ms);
            }
            changed.billing = billing;
        }
        changed.class = change.class.or(changed.class);
        changed.deletion_protected = change.deletion_protected.unwrap_or(changed.deletion_protected);
        changed.on_demand_throughput = change.on_demand_throughput.or(changed.on_demand_throughput);
        changed.warm_throughput = change.warm_throughput.or(changed.warm_throughput);
        Ok(changed)
    }

    /// How often throughput was lowered on the day (UTC) of a time, ms since 1970.
    pub fn decreases_on(&self, now_ms: u64) -> u64 {
        const DAY_MS: u64 = 86_400_000;
        let is_today = self.decreased_ms.is_some_and(|ms| ms / DAY_MS == now_ms / DAY_MS);
        if is_today { self.decreases } else { 0 }
    }

    /// Checks the number of tags.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.tags.len() > TAGS_MAX {
            return Err(Refusal::Invalid(format!(
                "One or more parameter values were invalid: Too many Tags: a resource has at most {TAGS_MAX}"
            )));
        }
        Ok(())
    }
}
