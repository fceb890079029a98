//! Whether a call that failed is made again: a pure table, and the pause before it.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::error::{Answer, Error, kind_of};
use super::method::Intent;

/// Pause before the first repetition; doubles with each.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How far a call that failed got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// There was no connection.
    No,
    /// The connection broke, or time ran out, after it may have been sent.
    Maybe,
    /// The node answered.
    Answered,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// How far it got.
    pub sent: Sent,
    /// What was said, or what broke.
    pub answer: Answer,
    /// When the node asks to be called again.
    pub after: Option<Duration>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Tell the caller.
    Tell,
    /// Call again: the same node may do (it was only busy).
    Again,
    /// Call again: another node should do (this one does not lead, or does not live).
    Elsewhere,
}

impl Failure {
    /// The failure of a call that ran out of time here.
    pub fn timed_out(limit: Duration) -> Self {
        let message = format!("no answer within {limit:?}");
        Self {
            sent: Sent::Maybe,
            answer: Answer { code: Code::DeadlineExceeded, reason: String::new(), message, item: None },
            after: None,
        }
    }

    /// What the caller gets.
    pub fn into_error(self, intent: Intent) -> Error {
        Error::new(kind_of(self.answer.code, intent, self.sent), self.answer)
    }

    /// Whether the node did not answer at all.
    pub fn is_silence(&self) -> bool {
        self.sent != Sent::Answered
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let (sent, timed_out) = how_far(&status);
        let mut answer = Answer::from(&status);
        if timed_out {
            answer.code = Code::DeadlineExceeded;
        }
        let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Self { sent, answer, after }
    }
}

/// A status with a source was made here, from what broke; one without was sent by a node.
fn how_far(status: &Status) -> (Sent, bool) {
    let mut source = std::error::Error::source(status);
    if source.is_none() {
        return (Sent::Answered, false);
    }
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return (Sent::No, false);
        }
        if error.is::<TimeoutExpired>() {
            return (Sent::Maybe, true);
        }
        source = error.source();
    }
    (Sent::Maybe, false)
}

/// Whether to call again.
pub(super) fn decide(intent: Intent, sent: Sent, code: Code) -> Decision {
    match (sent, code, intent) {
        (Sent::No, _, _) | (Sent::Answered, Code::Unavailable, _) => Decision::Elsewhere,
        (Sent::Answered, Code::ResourceExhausted, _) => Decision::Again,
        (Sent::Maybe, _, Intent::Read) => Decision::Elsewhere,
        (Sent::Answered, Code::Aborted | Code::DeadlineExceeded | Code::Cancelled, Intent::Read) => {
            Decision::Elsewhere
        }
        (Sent::Maybe, _, Intent::Write) | (Sent::Answered, _, _) => Decision::Tell,
    }
}

/// The pause before repetition number `attempt` (from 0): half of it certain, half of it chance; at least what the
/// node asked for.
pub(super) fn pause(attempt: u32, chance: u64, asked: Option<Duration>) -> Duration {
    let full = PAUSE_MIN.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    let half = full / 2;
    let spread = half.mul_f64((chance >> 11) as f64 / (1u64 << 53) as f64);
    (half + spread).max(asked.unwrap_or_default())
}

/// The next number of a sequence that looks random (splitmix64).
pub(super) fn chance(state: &AtomicU64) -> u64 {
    let mut value = state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A number from the operating system, for clients without a seed.
pub(super) fn entropy() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decision_table() {
        use Decision::*;
        use Intent::*;
        for (sent, code, read, write) in [
            (Sent::No, Code::Unavailable, Elsewhere, Elsewhere),
            (Sent::Maybe, Code::Unavailable, Elsewhere, Tell),
            (Sent::Maybe, Code::DeadlineExceeded, Elsewhere, Tell),
            (Sent::Maybe, Code::Unknown, Elsewhere, Tell),
            (Sent::Answered, Code::Unavailable, Elsewhere, Elsewhere),
            (Sent::Answered, Code::ResourceExhausted, Again, Again),
            (Sent::Answered, Code::Aborted, Elsewhere, Tell),
            (Sent::Answered, Code::DeadlineExceeded, Elsewhere, Tell),
            (Sent::Answered, Code::InvalidArgument, Tell, Tell),
            (Sent::Answered, Code::NotFound, Tell, Tell),
            (Sent::Answered, Code::AlreadyExists, Tell, Tell),
            (Sent::Answered, Code::FailedPrecondition, Tell, Tell),
            (Sent::Answered, Code::Internal, Tell, Tell),
        ] {
            assert_eq!(decide(Read, sent, code), read, "a read, {sent:?}, {code:?}");
            assert_eq!(decide(Write, sent, code), write, "a write, {sent:?}, {code:?}");
        }
    }

    #[test]
    fn where_a_status_comes_from_tells_how_far_the_call_got() {
        assert_eq!(how_far(&Status::unavailable("no leader")), (Sent::Answered, false));
        let refused = std::io::Error::other("connection refused");
        let refused = Status::from_error(Box::new(ConnectError(Box::new(refused))));
        assert_eq!(how_far(&refused), (Sent::No, false));
        let late = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(how_far(&late), (Sent::Maybe, true));
        assert_eq!(Failure::from(late).answer.code, Code::DeadlineExceeded);
        let broken = Status::from_error(Box::new(std::io::Error::other("broken pipe")));
        assert_eq!(how_far(&broken), (Sent::Maybe, false));
    }

    #[test]
    fn pauses_grow_to_a_bound_and_heed_the_node() {
        assert_eq!(pause(0, 0, None), PAUSE_MIN / 2);
        assert!(pause(0, u64::MAX, None) <= PAUSE_MIN);
        assert_eq!(pause(3, 0, None), PAUSE_MIN * 4);
        assert!(pause(1000, u64::MAX, None) <= PAUSE_MAX);
        assert_eq!(pause(0, 0, Some(Duration::from_secs(2))), Duration::from_secs(2));
    }

    #[test]
    fn one_seed_one_sequence() {
        let take = |seed| {
            let state = AtomicU64::new(seed);
            [chance(&state), chance(&state), chance(&state)]
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
    }
}
