//! Runs in which tables have functions and consumers.

use serde::{Deserialize, Serialize};

use super::{Actor, Plan, Role, Scenario};
use crate::entropy::Random;

/// How a function answers that has done a part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Habits {
    /// That all of it failed.
    Fails,
    /// Which record was the first that failed.
    Reports,
}

/// A function and its trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionPlan {
    /// Most records of a batch.
    pub batch_size: u32,
    /// How many calls of one shard may run at once.
    pub parallel: u32,
    /// How long a batch gathers, ms.
    pub window_ms: u64,
    /// How often a batch is tried again; absent: until it is done.
    pub retries: Option<i32>,
    /// Whether a batch that failed is tried again in halves.
    pub bisects: bool,
    /// How it answers.
    pub habits: Habits,
    /// How long a call may take, ms.
    pub timeout_ms: u64,
}

impl Plan {
    /// What a seed decides of such a run.
    pub(super) fn delivery(seed: u64) -> Self {
        let plan = Self { scenario: Scenario::Delivery, ..Self::short(seed, false) };
        let mut random = Random::new(seed, "delivery");
        let mut actors = Vec::new();
        for (table, _) in plan.tables.iter().enumerate().filter(|(_, table)| table.view.is_some()) {
            let functions = random.below(3);
            let consumers = if functions == 0 { random.between(1, 2) } else { random.below(2) };
            for _ in 0..functions {
                let role = Role::Function(FunctionPlan::any(&mut random));
                actors.push(Actor { seed: random.next(), table, role });
            }
            for consumer in 0..consumers {
                for _ in 0..random.between(1, 3) {
                    let credit = *random.pick(&[1, 10, 1_000]);
                    let role = Role::Member { consumer, credit, pace_ms: *random.pick(&[0, 10, 200]) };
                    actors.push(Actor { seed: random.next(), table, role });
                }
            }
        }
        Self { actors: [plan.actors, actors].concat(), ..plan }
    }
}

impl FunctionPlan {
    fn any(random: &mut Random) -> Self {
        Self {
            batch_size: *random.pick(&[1, 3, 10, 100]),
            parallel: *random.pick(&[1, 1, 2, 10]),
            window_ms: *random.pick(&[0, 0, 100, 1_000]),
            retries: *random.pick(&[None, Some(0), Some(2)]),
            bisects: random.percent(50),
            habits: *random.pick(&[Habits::Fails, Habits::Reports]),
            timeout_ms: *random.pick(&[200, 1_000, 4_000]),
        }
    }
}
