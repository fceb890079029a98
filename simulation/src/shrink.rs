//! A plan that fails, made smaller as long as the same goes wrong.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    child::{self, Failure, Work, now},
    ddmin::{Minimal, Tried, ddmin},
    plan::Plan,
    pool,
};

/// What a shorter run may take at least, however fast the first was.
const TIMEOUT_MIN: Duration = Duration::from_secs(10);
/// What a shorter run may take, in times of the first.
const TIMEOUT_TIMES: u32 = 4;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Children at once.
    pub jobs: usize,
    /// When a run counts as one that does not end.
    pub timeout: Duration,
    /// When to stop.
    pub until: Instant,
}

/// What is left.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest plan that fails the same way.
    pub plan: Plan,
    /// What the first run showed.
    pub before: Failure,
    /// What the smallest plan showed when it was run once more; `None`: not the same.
    pub after: Option<Failure>,
    /// Plans that were run.
    pub runs: u64,
    /// Whether everything was tried; not if the time was over before.
    pub complete: bool,
}

/// Makes it smaller. `progress` hears of the smallest plan so far and of how many were run.
pub fn shrink(plan: &Plan, limits: Limits, progress: impl Fn(&Plan, u64)) -> anyhow::Result<Shrunk> {
    let first = child::run(Work::Plan(plan), limits.timeout)?;
    let Some(before) = first.failure else {
        bail!("this plan does not fail: there is nothing to shrink");
    };
    let mut tester = Tester {
        timeout: match before.violation.invariant.as_str() {
            "timeout" => limits.timeout,
            _ => limits.timeout.min((first.took * TIMEOUT_TIMES).max(TIMEOUT_MIN)),
        },
        wanted: before.clone(),
        limits,
        tried: BTreeSet::from([fingerprint(plan)?]),
        runs: 1,
    };
    let (plan, complete) = search(plan.clone(), &mut tester, progress)?;
    let last = child::run(Work::Plan(&plan), limits.timeout)?.failure;
    let after = last.filter(|failure| failure.is_like(&before));
    Ok(Shrunk { plan, before, after, runs: tester.runs + 1, complete })
}

/// Fewer pieces, then simpler ones, then again, until neither helps.
fn search(
    mut plan: Plan,
    tester: &mut Tester,
    progress: impl Fn(&Plan, u64),
) -> anyhow::Result<(Plan, bool)> {
    loop {
        let mut smallest = plan.clone();
        let Minimal { complete, .. } = ddmin(plan.pieces(), |candidates| {
            let plans: Vec<Plan> = candidates.iter().map(|left_out| plan.without(left_out)).collect();
            let tried = tester.first_failing(&plans)?;
            if let Tried::Fails(at) = tried {
                smallest = plans[at].clone();
            }
            progress(&smallest, tester.runs);
            anyhow::Ok(tried)
        })?;
        plan = smallest;
        if !complete {
            return Ok((plan, false));
        }
        let mut became_simpler = false;
        loop {
            let mut plans = plan.simpler();
            match tester.first_failing(&plans)? {
                Tried::Fails(at) => plan = plans.swap_remove(at),
                Tried::NoneFails => break,
                Tried::Stopped => return Ok((plan, false)),
            }
            became_simpler = true;
            progress(&plan, tester.runs);
        }
        if !became_simpler {
            return Ok((plan, true));
        }
    }
}

/// Runs plans, and knows which it need not run.
struct Tester {
    wanted: Failure,
    timeout: Duration,
    limits: Limits,
    /// Plans that did not fail the same way, and those on the way to the smallest: coming back to one of these would
    /// never end.
    tried: BTreeSet<u128>,
    runs: u64,
}

impl Tester {
    /// Runs them side by side. The first in their order is found, not the first to end: the same search each time.
    fn first_failing(&mut self, plans: &[Plan]) -> anyhow::Result<Tried> {
        let fingerprints = plans.iter().map(fingerprint).collect::<anyhow::Result<Vec<u128>>>()?;
        let mut untried = (0..plans.len()).filter(|at| !self.tried.contains(&fingerprints[*at]));
        let first = AtomicUsize::new(usize::MAX);
        let stopped = AtomicBool::new(false);
        let until = self.limits.until;
        let next = || {
            if first.load(Ordering::SeqCst) != usize::MAX {
                // All before it are at work already.
                return None;
            }
            let at = untried.next()?;
            if now() >= until {
                stopped.store(true, Ordering::SeqCst);
                return None;
            }
            Some(at)
        };
        let (timeout, wanted) = (self.timeout, &self.wanted);
        let work = |at: usize| -> anyhow::Result<(usize, bool)> {
            let failure = child::run(Work::Plan(&plans[at]), timeout)?.failure;
            let fails = failure.is_some_and(|failure| failure.is_like(wanted));
            if fails {
                first.fetch_min(at, Ordering::SeqCst);
            }
            Ok((at, fails))
        };
        let mut ended = Vec::new();
        pool::each(self.limits.jobs, next, work, |result| ended.push(result))?;
        for (at, fails) in ended {
            self.runs += 1;
            if !fails {
                self.tried.insert(fingerprints[at]);
            }
        }
        let first = first.into_inner();
        if first < plans.len() {
            self.tried.insert(fingerprints[first]);
            return Ok(Tried::Fails(first));
        }
        Ok(if stopped.into_inner() { Tried::Stopped } else { Tried::NoneFails })
    }
}

fn fingerprint(plan: &Plan) -> anyhow::Result<u128> {
    let text = serde_json::to_vec(plan).context("writing a plan")?;
    Ok(xxh3_128(&text))
}
