//! What the cluster has given out it does not refuse: tables, streams, shards, sequence numbers and iterators stay good.
//!
//! From DESIGN: iterators survive failover and restart, and expire after 15 minutes (`expiry`); a stream stays
//! readable until its last record is trimmed, and nothing younger than the retention is trimmed. So a refusal is right
//! only where records are kept for less than the run, and then: a place may have been trimmed if what lies there is old
//! enough; a stream, and its shards, may be gone once it was asked to end. How old a record is its own time says, if no
//! clock was set in the run.

use watertable::model::limits::ITERATOR_LIFE_MS;

use super::{judge, show};
use crate::history::{History, Reason, Refusal};
use crate::machine::EPOCH_MS;
use crate::verdict::{Marks, Violation};

/// What clocks may differ by that nobody sets, ms.
const DRIFT_MS: u64 = 100;

/// Judges a run.
pub fn check(history: &History, marks: &mut Marks) -> Result<(), Violation> {
    judge("given_out", marks, |judged| {
        *judged += history.served;
        for refusal in &history.refusals {
            *judged += 1;
            if let Some(why) = wrong(history, refusal) {
                return Err(format!(
                    "client {} asked for {} ({}) and was told at {} that {:?}: {why}",
                    refusal.client,
                    refusal.what,
                    refusal.arn.as_deref().unwrap_or("the table"),
                    show::time(refusal.answered),
                    refusal.message
                ));
            }
        }
        Ok(())
    })
}

/// Why a refusal is wrong, if it is.
fn wrong(history: &History, refusal: &Refusal) -> Option<String> {
    let table = history.tables.get(refusal.table)?;
    if table.deleted {
        return None;
    }
    let Some(arn) = &refusal.arn else { return Some("the table is there".to_owned()) };
    let stream = table.streams.iter().find(|stream| stream.arn == *arn)?;
    let now_ms = EPOCH_MS + refusal.answered / 1_000;
    match refusal.reason {
        Reason::Other => Some("it is good".to_owned()),
        // How long iterators live is judged by `expiry`.
        Reason::Expired => {
            (refusal.answered / 1_000 < ITERATOR_LIFE_MS / 2).then(|| "no iterator is that old".to_owned())
        }
        Reason::Trimmed | Reason::Missing if table.retention_ms == 0 => {
            Some("nothing was trimmed".to_owned())
        }
        Reason::Missing => {
            (stream.off.0 > refusal.answered).then(|| "the stream was not asked to end".to_owned())
        }
        Reason::Trimmed => {
            let kept_ms = refusal.created_ms? + table.retention_ms;
            let apart_ms = history.clocks_ran / 1_000;
            (history.clocks_set == 0 && now_ms + DRIFT_MS + apart_ms < kept_ms)
                .then(|| format!("what lies there is kept for another {} ms", kept_ms - now_ms))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{BOTH, fails, history, passes};
    use super::*;
    use crate::history::NEVER;

    const NAME: &str = "given_out";

    fn refused(reason: Reason, arn: Option<&str>) -> History {
        let mut history = history(BOTH);
        history.refusals.push(Refusal {
            client: 0,
            what: "records".to_owned(),
            table: 0,
            arn: arn.map(str::to_owned),
            created_ms: None,
            answered: 5_000_000,
            reason,
            message: "no".to_owned(),
        });
        history
    }

    #[test]
    fn what_is_served_passes() {
        let mut history = history(BOTH);
        history.served = 3;
        passes(check, NAME, &history);
    }

    #[test]
    fn refusals_where_all_is_kept_are_reported() {
        for reason in [Reason::Trimmed, Reason::Missing] {
            fails(check, NAME, &refused(reason, Some("a0")), "nothing was trimmed");
            fails(check, NAME, &refused(reason, None), "the table is there");
        }
        let mut other = refused(Reason::Other, Some("a0"));
        other.tables[0].retention_ms = 1_000;
        fails(check, NAME, &other, "it is good");
    }

    #[test]
    fn a_stream_may_be_gone_once_it_was_asked_to_end() {
        let mut history = refused(Reason::Missing, Some("a0"));
        history.tables[0].retention_ms = 1_000;
        fails(check, NAME, &history, "not asked to end");
        history.tables[0].streams[0].off = (4_000_000, NEVER);
        passes(check, NAME, &history);
        history.tables[0].streams[0].off = (6_000_000, NEVER);
        fails(check, NAME, &history, "not asked to end");
    }

    #[test]
    fn what_is_old_may_be_trimmed() {
        let mut history = refused(Reason::Trimmed, Some("a0"));
        history.tables[0].retention_ms = 1_000;
        passes(check, NAME, &history);
        history.refusals[0].created_ms = Some(EPOCH_MS + 3_900);
        passes(check, NAME, &history);
        history.refusals[0].created_ms = Some(EPOCH_MS + 4_200);
        fails(check, NAME, &history, "kept for another 200 ms");
        history.clocks_set = 1;
        passes(check, NAME, &history);
    }

    #[test]
    fn deleted_tables_are_not_judged() {
        let mut history = refused(Reason::Missing, None);
        history.tables[0].deleted = true;
        passes(check, NAME, &history);
    }
}
