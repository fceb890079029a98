//! Writes and consistent reads of a key are linearizable (Herlihy & Wing 1990, "Linearizability: a correctness
//! condition for concurrent objects"): some order of them, in which whatever ended before another began stays before
//! it, explains every answer. Linearizability is local: each key is judged alone.
//!
//! The search is Wing & Gong 1993, "Testing and verifying concurrent objects", with the memory of visited
//! configurations of Lowe 2017, "Testing for linearizability": the set of operations that took effect, and the item
//! that they left, decide what can follow. It knows nothing of streams, and so is a second opinion on
//! `order_per_key`. An unknown write may take effect at any time after it began, or never. The final scan is a last
//! read, behind everything, even behind unknown writes.
//!
//! An operation that changes nothing in any case (a read, a rejection) is taken at once where the item explains it and
//! nothing must come before it: in any order that explains the rest it can be moved here, for nobody sees it.
//!
//! The search is exponential at worst. Keys with too many operations are left out, and one that takes too many steps
//! is given up, which the mark "linearizable: gave up" counts, and is no pass.

use std::collections::{BTreeMap, BTreeSet};

use watertable::model::Item;

use super::evidence::{self, Image};
use super::{judge, show};
use crate::history::{
    Call, Change, Condition, History, Key, Micros, NEVER, Operation, WriteOutcome, written_by,
};
use crate::verdict::{Marks, Violation};

/// Operations of a key that are searched; with the final read they fit the bits of a set.
const OPERATIONS_MAX: usize = 60;
/// Steps of the search for one key, and for all keys of a run.
const STEPS_MAX: usize = 4_000;
const STEPS_OF_RUN_MAX: usize = 20_000;
const GAVE_UP: &str = "linearizable: gave up";

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    let mut gave_up = 0;
    let verdict = judge("linearizable", marks, |judged| {
        let mut left = STEPS_OF_RUN_MAX;
        for (key, operations) in evidence::by_key(history) {
            let Some(events) = events(history, &key, &operations) else { continue };
            let bare = evidence::key_item(history, &key);
            let mut search = Search::of(&events, &bare, left.min(STEPS_MAX));
            let verdict = search.run();
            left -= search.taken;
            match verdict {
                Verdict::Linearizable => *judged += events.len() as u64,
                Verdict::GaveUp => gave_up += 1,
                Verdict::Broken(furthest) => {
                    *judged += events.len() as u64;
                    return Err(told(&key, &events, furthest));
                }
            }
        }
        Ok(())
    });
    marks.add(GAVE_UP, gave_up);
    verdict
}

/// What a key's operation, or the final scan, asks of the order.
struct Event<'a> {
    begun: Micros,
    over: Micros,
    /// Whether it may never have happened.
    optional: bool,
    /// The operation; `None`: the final scan.
    operation: Option<&'a Operation>,
    effect: Effect<'a>,
}

enum Effect<'a> {
    /// It found this.
    Found(Option<&'a Item>),
    /// The condition did not hold, of this item if it was shown.
    Rejected(Option<Condition>, Image<'a>),
    /// It made the change, and showed this before and after.
    Changed(u64, &'a Change, Option<Condition>, Image<'a>, Image<'a>),
}

/// What is to be ordered at a key; `None`: too much.
fn events<'a>(history: &'a History, key: &Key, operations: &[&'a Operation]) -> Option<Vec<Event<'a>>> {
    let mut events = Vec::new();
    for operation in operations.iter().copied() {
        let (before, after) = evidence::answered(operation);
        let effect = match &operation.call {
            Call::Read { consistent: true, found: Some(found) } => Effect::Found(found.as_ref()),
            Call::Read { .. } | Call::Write { outcome: WriteOutcome::Failed, .. } => continue,
            Call::Write { condition, outcome: WriteOutcome::Rejected(shown), .. } => {
                Effect::Rejected(*condition, shown.as_ref().map(Option::as_ref))
            }
            Call::Write { change, condition, outcome: WriteOutcome::Done { .. } | WriteOutcome::Unknown } => {
                Effect::Changed(operation.number, change, *condition, before, after)
            }
        };
        let optional = matches!(operation.call, Call::Write { outcome: WriteOutcome::Unknown, .. });
        let over = evidence::over(operation);
        events.push(Event { begun: operation.begun, over, optional, operation: Some(operation), effect });
    }
    if events.len() > OPERATIONS_MAX {
        return None;
    }
    // What must end first is tried first, which is nearly always right.
    events.sort_by_key(|event| (event.over, event.begun));
    let table = &history.tables[key.table];
    if !table.deleted {
        let effect = Effect::Found(table.items.get(key));
        events.push(Event { begun: NEVER, over: NEVER, optional: false, operation: None, effect });
    }
    Some(events)
}

enum Verdict {
    Linearizable,
    GaveUp,
    /// With the largest set of events that could be ordered.
    Broken(u64),
}

struct Search<'a> {
    events: &'a [Event<'a>],
    key: &'a Item,
    /// All items that the search came across; equal ones are one state.
    states: Vec<Option<Item>>,
    by_number: BTreeMap<Option<u64>, Vec<usize>>,
    /// What an event makes of a state, if it allows it.
    steps: BTreeMap<(usize, usize), Option<usize>>,
    visited: BTreeSet<(u64, usize)>,
    furthest: u64,
    taken: usize,
    steps_max: usize,
}

impl<'a> Search<'a> {
    fn of(events: &'a [Event<'a>], key: &'a Item, steps_max: usize) -> Self {
        Self {
            events,
            key,
            states: vec![None],
            by_number: BTreeMap::from([(None, vec![0])]),
            steps: BTreeMap::new(),
            visited: BTreeSet::new(),
            furthest: 0,
            taken: 0,
            steps_max,
        }
    }

    fn run(&mut self) -> Verdict {
        let mut open = vec![(0, 0)];
        while let Some((done, state)) = open.pop() {
            let (done, candidates) = self.settle(done, state);
            if done.count_ones() > self.furthest.count_ones() {
                self.furthest = done;
            }
            if self.events.iter().enumerate().all(|(index, event)| event.optional || has(done, index)) {
                return Verdict::Linearizable;
            }
            if !self.visited.insert((done, state)) {
                continue;
            }
            if self.taken >= self.steps_max {
                return Verdict::GaveUp;
            }
            self.taken += 1;
            // The last pushed is tried first.
            for index in candidates.into_iter().rev() {
                if let Some(next) = self.step(index, state) {
                    open.push((done | bit(index), next));
                }
            }
        }
        Verdict::Broken(self.furthest)
    }

    /// Takes what changes nothing and is explained by the state, and says what else could come next.
    fn settle(&mut self, mut done: u64, state: usize) -> (u64, Vec<usize>) {
        loop {
            let waiting = || self.events.iter().enumerate().filter(move |(index, _)| !has(done, *index));
            let first_over =
                waiting().filter(|(_, event)| !event.optional).map(|(_, event)| event.over).min();
            let first_over = first_over.unwrap_or(NEVER);
            // The final scan begins when all others are over, those that never ended too.
            let last = waiting().all(|(_, event)| event.optional || event.operation.is_none());
            let candidates: Vec<_> = waiting()
                .filter(|(_, event)| if event.operation.is_none() { last } else { event.begun <= first_over })
                .map(|(index, _)| index)
                .collect();
            let quiet = |index: &usize| !matches!(self.events[*index].effect, Effect::Changed(..));
            let (still, changing): (Vec<_>, Vec<_>) = candidates.into_iter().partition(quiet);
            let before = done;
            for index in still {
                if self.step(index, state).is_some() {
                    done |= bit(index);
                }
            }
            if done == before {
                return (done, changing);
            }
        }
    }

    fn step(&mut self, index: usize, state: usize) -> Option<usize> {
        if let Some(known) = self.steps.get(&(index, state)) {
            return *known;
        }
        let current = self.states[state].as_ref();
        let next = match &self.events[index].effect {
            Effect::Found(found) => (*found == current).then_some(state),
            Effect::Rejected(condition, shown) => {
                let rejects = condition.is_none_or(|condition| !condition.holds(current));
                (rejects && evidence::agrees(*shown, Some(current))).then_some(state)
            }
            Effect::Changed(number, change, condition, before, after) => {
                let holds = condition.is_none_or(|condition| condition.holds(current));
                if holds && evidence::agrees(*before, Some(current)) {
                    let made = change.apply(*number, self.key, current);
                    evidence::agrees(*after, Some(made.as_ref())).then(|| self.state(made))
                } else {
                    None
                }
            }
        };
        self.steps.insert((index, state), next);
        next
    }

    fn state(&mut self, item: Option<Item>) -> usize {
        let alike = self.by_number.entry(item.as_ref().and_then(written_by)).or_default();
        if let Some(known) = alike.iter().find(|state| self.states[**state] == item) {
            return *known;
        }
        alike.push(self.states.len());
        self.states.push(item);
        self.states.len() - 1
    }
}

fn bit(index: usize) -> u64 {
    1 << index
}

fn has(set: u64, index: usize) -> bool {
    set & bit(index) != 0
}

fn told(key: &Key, events: &[Event], furthest: u64) -> String {
    let describe = |(_, event): (usize, &Event)| match (event.operation, &event.effect) {
        (None, Effect::Found(found)) => format!("the final scan found {}", show::item(*found)),
        (Some(operation), _) => show::operation(operation),
        (None, _) => "the final scan".to_owned(),
    };
    let (done, left): (Vec<_>, Vec<_>) =
        events.iter().enumerate().partition(|(index, _)| has(furthest, *index));
    let join =
        |events: Vec<(usize, &Event)>| events.into_iter().map(describe).collect::<Vec<_>>().join("\n  ");
    format!(
        "{}: no order explains what was answered; the most that could be ordered:\n  {}\nwith these left:\n  {}",
        show::key(key),
        join(done),
        join(left)
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample::{DONE, KEY, KEYS, fails, history, item, passes};
    use super::*;

    const NAME: &str = "linearizable";

    fn good() -> History {
        let mut history = history(KEYS);
        history.put(10, 30, DONE);
        history.put(20, 40, DONE);
        history.read(22, 38, true, Some(item(2)));
        history.read(39, 45, true, Some(item(1)));
        history.conditional((50, 55), Change::Add(1), Condition::WrittenBy(2), WriteOutcome::Rejected(None));
        history.conditional((60, 65), Change::Delete, Condition::WrittenBy(1), DONE);
        history
    }

    #[test]
    fn overlapping_writes_in_any_order_pass() {
        passes(check, NAME, &good());
        let mut unknown = good();
        unknown.put(1, 2, WriteOutcome::Unknown);
        passes(check, NAME, &unknown);
        unknown.tables[0].items.insert(KEY, item(7));
        passes(check, NAME, &unknown);
        unknown.read(70, 71, true, None);
        unknown.read(72, 73, true, Some(item(7)));
        passes(check, NAME, &unknown);
        unknown.read(74, 75, true, None);
        fails(check, NAME, &unknown, "no order explains");
    }

    #[test]
    fn answers_in_no_order_are_reported() {
        let mut back = good();
        back.read(46, 47, true, Some(item(2)));
        fails(check, NAME, &back, "no order explains");
        let mut lost = good();
        lost.tables[0].items.insert(KEY, item(1));
        fails(check, NAME, &lost, "the final scan found");
        let mut rejected = good();
        rejected.conditional((56, 57), Change::Delete, Condition::Exists, WriteOutcome::Rejected(None));
        fails(check, NAME, &rejected, "no order explains");
        let mut condition = good();
        condition.conditional((70, 71), Change::Touch, Condition::Exists, DONE);
        fails(check, NAME, &condition, "no order explains");
        let mut shown = good();
        shown.write(70, 71, Change::Delete, WriteOutcome::Done { before: Some(Some(item(1))), after: None });
        fails(check, NAME, &shown, "no order explains");
        let mut after = good();
        let outcome = WriteOutcome::Done { before: None, after: Some(Some(item(1))) };
        after.write(70, 71, Change::Put(item(7)), outcome);
        after.tables[0].items.insert(KEY, item(7));
        fails(check, NAME, &after, "no order explains");
    }

    #[test]
    fn a_write_takes_effect_once_and_a_failed_one_never() {
        let mut twice = history(KEYS);
        twice.put(10, 12, WriteOutcome::Unknown);
        twice.put(20, 22, DONE);
        twice.read(13, 14, true, Some(item(1)));
        twice.tables[0].items.insert(KEY, item(1));
        fails(check, NAME, &twice, "no order explains");
        let mut failed = history(KEYS);
        failed.put(10, 12, WriteOutcome::Failed);
        failed.tables[0].items.insert(KEY, item(1));
        fails(check, NAME, &failed, "no order explains");
    }

    #[test]
    fn too_much_is_given_up_and_not_judged() {
        let mut many = history(KEYS);
        for _ in 0..40 {
            many.write(10, 100, Change::Add(1), WriteOutcome::Unknown);
        }
        many.read(101, 102, true, Some(item(99)));
        let mut marks = Marks::default();
        assert!(check(&many, &mut marks).is_ok());
        assert_eq!(marks.0, [(GAVE_UP.to_owned(), 1), ("invariant: linearizable".to_owned(), 0)].into());
        for _ in 0..40 {
            many.read(101, 102, true, None);
        }
        assert!(check(&many, &mut marks).is_ok());
        assert_eq!(marks.0[GAVE_UP], 1, "a key that is too long is not even begun");
    }
}
