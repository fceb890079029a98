//! One replica, and the loop that owns its writes.
//!
//! The loop is `select → apply`: it waits for the next thing to happen, then handles it synchronously, but for handing
//! an entry to Raft. While it leads, it drains its queue into one entry at a time, and what arrives while that is on
//! its way forms the next one: entries grow with the load and their cost is shared.
//!
//! Why one entry at a time: an entry may be refused though leadership is not lost (the leader was cut off for longer
//! than its lease), and the next one, evaluated on top of it, might then be taken. Two at once were tried, the second
//! when as many writes wait as are on their way: no more writes a second, with smaller entries and more CPU for each.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{Error, Metrics, environment::Environment, reporter::Reporter};
use crate::{
    catalog::{Catalog, Report},
    log::Log,
    model::{
        HashRange, StreamViewType,
        id::{NodeId, Position, TableId},
        limits::{ENTRY_BYTES_MAX, ENTRY_CHANGES_MAX},
    },
    partition::{Answer, Control, Evaluated, Overlay, Write, entry, evaluate},
    raft::{Group, Leadership, Outcome, ProposeError, Proposed, Published},
    storage::Items,
};

/// Writes that may wait for a replica; more are refused.
pub(super) const QUEUE_WRITES_MAX: usize = 4096;
/// Entries on their way through Raft at once; see the top of this file.
const IN_FLIGHT_MAX: usize = 1;
const _: () = assert!(IN_FLIGHT_MAX == 1, "a refused entry must not have successors");
/// Writes taken from the queue at once.
const DRAIN_MAX: usize = 512;
/// How long after a refusal a shard is opened or closed again. A leader that hands its leadership over refuses everything
/// until that is done.
const SHARD_RETRY: Duration = Duration::from_millis(50);

/// What a replica's loop is asked.
pub(super) enum Request {
    /// Do this write.
    Write(Box<Write>, Reply),
    /// Log this.
    Control(Control, oneshot::Sender<Result<u64, Error>>),
}

/// Where the answer of a write goes.
pub(super) type Reply = oneshot::Sender<Result<Answer, Error>>;

/// A replica on this node.
pub(super) struct Replica {
    pub table: TableId,
    pub range: HashRange,
    pub group: Group,
    pub published: watch::Receiver<Published>,
    pub queue: mpsc::Sender<Request>,
    /// The last index of the log when the replica started.
    began_at: u64,
    /// The term this replica leads in and has begun to serve; 0: it does not.
    serving: Arc<AtomicU64>,
    /// Snapshots being sent from here: while there are any, the log is not cut.
    pub sending: Arc<AtomicU64>,
    pub stop: watch::Sender<bool>,
}

impl Replica {
    /// Whether this replica leads and has everything it inherited in its items.
    pub fn serves(&self) -> bool {
        self.serving.load(Ordering::Acquire) != 0
    }

    /// Whether this replica has applied what its log held when it started: before, its items and records are older than
    /// those it has shown already.
    pub fn is_level(&self) -> bool {
        self.published.borrow().applied.is_some_and(|applied| applied.index >= self.began_at)
    }

    /// Returns once this replica has applied what is committed, as far as it knows now. An entry may be committed by others
    /// and shown by them while the disk here has not taken it yet. `false`: the replica has stopped.
    pub async fn applies_committed(&self) -> bool {
        let committed = self.group.committed_index();
        let mut published = self.published.clone();
        let applied = published.wait_for(|state| state.applied.map(|at| at.index) >= committed).await;
        applied.is_ok()
    }

    /// Returns once its state machine is gone, which goes on for a moment after the group has stopped: it waits for what
    /// it was given to be durable, and applies it.
    pub async fn ended(&self) {
        let mut published = self.published.clone();
        while published.changed().await.is_ok() {}
    }

    /// The node that leads, as far as is known here.
    pub fn leader(&self) -> Option<NodeId> {
        self.group.leadership().leader()
    }

    /// Queues a write; refuses it if too much waits.
    pub fn write(&self, write: Write) -> Result<oneshot::Receiver<Result<Answer, Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        match self.queue.try_send(Request::Write(Box::new(write), reply)) {
            Ok(()) => Ok(answer),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Error::Overloaded),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::no_leader()),
        }
    }

    /// Logs a control entry; gives its index once it is applied.
    pub async fn control(&self, control: Control) -> Result<u64, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Control(control, reply)).await.map_err(|_| Error::no_leader())?;
        answer.await.map_err(|_| Error::Unknown)?
    }
}

/// What the loop needs from the node.
pub(super) struct Context {
    pub node: NodeId,
    pub environment: Environment,
    pub items: Arc<dyn Items>,
    pub log: Log,
    pub catalog: watch::Receiver<Arc<Catalog>>,
    pub reporter: Reporter,
    pub metrics: Arc<Metrics>,
}

/// The loop's state.
pub(super) struct ReplicaLoop {
    context: Context,
    table: TableId,
    group: Group,
    leadership: Leadership,
    published: watch::Receiver<Published>,
    queue: mpsc::Receiver<Request>,
    serving: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
    backlog: VecDeque<Request>,
    /// The term that is being served.
    term: Option<u64>,
    /// The newest term that was lost; never served again.
    lost: u64,
    overlay: Overlay,
    in_flight: VecDeque<InFlight>,
    /// The view type of the stream that is open behind everything proposed.
    view_type: Option<StreamViewType>,
    /// The stamp of the newest entry proposed.
    now_ms: u64,
    /// Whether a shard is being opened or closed.
    shard_pending: bool,
    /// When a shard may be opened or closed again that could not be.
    shard_retry: Option<Instant>,
}

/// An entry on its way, and whom to answer when it is applied.
struct InFlight {
    term: u64,
    proposed: Proposed,
    answers: Vec<(Reply, Result<Answer, Error>)>,
    control: Option<oneshot::Sender<Result<u64, Error>>>,
    /// Whether it opens or closes a shard.
    shard: bool,
}

/// What happens next.
enum Action {
    Requests,
    Landed(Result<(Position, Outcome), ProposeError>),
    Leadership,
    Published,
    Catalog,
    ShardRetry,
    Stop,
}

impl ReplicaLoop {
    /// The loop of a replica, and the handle others hold.
    pub fn new(
        context: Context,
        (table, range): (TableId, HashRange),
        group: Group,
        published: watch::Receiver<Published>,
    ) -> (Self, Replica) {
        let (queue, queued) = mpsc::channel(QUEUE_WRITES_MAX);
        let (stop, stopped) = watch::channel(false);
        let serving = Arc::<AtomicU64>::default();
        let replica = Replica {
            table,
            range,
            group: group.clone(),
            published: published.clone(),
            queue,
            began_at: context.log.state(group.id()).and_then(|state| state.last).map_or(0, |last| last.index),
            serving: serving.clone(),
            sending: Arc::default(),
            stop,
        };
        let this = Self {
            leadership: group.leadership(),
            context,
            table,
            group,
            published,
            queue: queued,
            serving,
            stop: stopped,
            backlog: VecDeque::new(),
            term: None,
            lost: 0,
            overlay: Overlay::default(),
            in_flight: VecDeque::new(),
            view_type: None,
            now_ms: 0,
            shard_pending: false,
            shard_retry: None,
        };
        (this, replica)
    }

    /// Runs until the replica is stopped.
    pub async fn run(mut self) {
        loop {
            match self.select().await {
                Action::Stop => break,
                Action::Landed(landed) => self.landed(landed),
                Action::Requests
                | Action::Leadership
                | Action::Published
                | Action::Catalog
                | Action::ShardRetry => {}
            }
            self.begin_or_end();
            self.step().await;
        }
        self.serving.store(0, Ordering::Release);
    }

    async fn select(&mut self) -> Action {
        let may_propose = self.term.is_none() || self.in_flight.len() < IN_FLIGHT_MAX;
        let room = may_propose && self.backlog.len() < DRAIN_MAX;
        tokio::select! {
            biased;
            _ = self.stop.changed() => Action::Stop,
            landed = landing(&mut self.in_flight) => Action::Landed(landed),
            () = reached(self.shard_retry) => {
                self.shard_retry = None;
                Action::ShardRetry
            }
            changed = self.leadership.changed() => if changed { Action::Leadership } else { Action::Stop },
            // Whoever told of changes is gone when the member has failed: there is nothing to wait for.
            told = self.published.changed(), if self.term.is_none() => told.map_or(Action::Stop, |()| Action::Published),
            told = self.context.catalog.changed() => told.map_or(Action::Stop, |()| Action::Catalog),
            request = self.queue.recv(), if room => match request {
                Some(request) => {
                    self.backlog.push_back(request);
                    while self.backlog.len() < DRAIN_MAX && let Ok(request) = self.queue.try_recv() {
                        self.backlog.push_back(request);
                    }
                    Action::Requests
                }
                None => Action::Stop,
            },
        }
    }

    /// Begins to serve a term once the first entry of it is applied; ends when it is lost.
    fn begin_or_end(&mut self) {
        let led = self.leadership.led_term().filter(|term| *term > self.lost);
        if self.term.is_some() && self.term != led {
            self.lose();
        }
        if self.term.is_some() {
            return;
        }
        let Some(term) = led else { return };
        let published = self.published.borrow_and_update();
        if published.applied.is_none_or(|applied| applied.term != term) {
            return;
        }
        self.term = Some(term);
        self.now_ms = published.now_ms;
        self.view_type = published.open_shard().map(|shard| shard.view_type);
        drop(published);
        self.overlay.clear();
        self.shard_pending = false;
        self.serving.store(term, Ordering::Release);
        tracing::info!(group = self.group.id().0, term, "leads");
        self.report();
    }

    /// Leadership is lost, or cannot be relied on: nothing more is evaluated in this term.
    fn lose(&mut self) {
        if let Some(term) = self.term.take() {
            self.serving.store(0, Ordering::Release);
            self.lost = self.lost.max(term);
            self.overlay.clear();
            tracing::info!(group = self.group.id().0, term, "no longer leads");
        }
    }

    /// An entry of the served term was not applied. One that was refused before it reached the log, by a leader that
    /// still leads (its lease had run out), leaves the term as it was; whatever was evaluated on it must go, too.
    fn fell(&mut self, error: ProposeError, shard: bool) {
        tracing::debug!(group = self.group.id().0, %error, shard, "an entry was not applied");
        let leads = self.term.is_some() && self.leadership.led_term() == self.term;
        if error != ProposeError::Refused || !leads || !self.in_flight.is_empty() {
            return self.lose();
        }
        self.overlay.clear();
        if shard {
            self.shard_pending = false;
            self.shard_retry = Some(Instant::now() + SHARD_RETRY);
        }
        self.view_type = self.published.borrow().open_shard().map(|shard| shard.view_type);
    }

    /// The oldest entry in flight is applied, or will not be as far as this replica can tell.
    fn landed(&mut self, landed: Result<(Position, Outcome), ProposeError>) {
        let InFlight { term, answers, control, shard, .. } =
            self.in_flight.pop_front().expect("only an entry in flight lands");
        match landed {
            Ok((at, _)) => {
                assert!(at.term == term, "an entry evaluated in term {term} is logged at {at}");
                if self.term == Some(term) {
                    self.overlay.applied();
                }
                for (reply, result) in answers {
                    let _ = reply.send(result); // the client may have given up
                }
                if let Some(control) = control {
                    let _ = control.send(Ok(at.index)); // likewise
                    self.shard_pending &= !shard;
                    self.report();
                }
            }
            Err(error) => {
                if self.term == Some(term) {
                    self.fell(error, shard);
                }
                fail(answers, control, &Error::from(error));
            }
        }
    }

    /// Does what there is to do.
    async fn step(&mut self) {
        let Some(term) = self.term else { return self.refuse_all(&Error::no_leader()) };
        let waits = !self.backlog.is_empty() && self.in_flight.is_empty();
        if waits && !self.group.holds_lease() && !self.group.read_barrier().await {
            return self.refuse_all(&Error::no_leader()); // it slept, or is cut off: not certain to lead
        }
        if let Some(control) = self.due_shard_control() {
            self.shard_pending = true;
            let (ignored, _) = oneshot::channel();
            self.propose_control(term, control, ignored, true).await;
        }
        while self.term == Some(term) && self.in_flight.len() < IN_FLIGHT_MAX && !self.backlog.is_empty() {
            if self.context.log.is_full() {
                return self.refuse_all(&Error::DiskFull);
            }
            match self.backlog.front() {
                Some(Request::Control(..)) => {
                    if let Some(Request::Control(control, reply)) = self.backlog.pop_front() {
                        self.propose_control(term, control, reply, false).await;
                    }
                }
                Some(Request::Write(..)) | None => self.propose_writes(term).await,
            }
        }
    }

    fn refuse_all(&mut self, error: &Error) {
        for request in self.backlog.drain(..) {
            match request {
                Request::Write(_, reply) => drop(reply.send(Err(error.clone()))),
                Request::Control(_, reply) => drop(reply.send(Err(error.clone()))),
            }
        }
    }

    fn stamp(&mut self) -> u64 {
        self.now_ms = self.now_ms.max(self.context.environment.now_ms());
        self.now_ms
    }

    /// Evaluates what waits into one entry, and proposes it.
    async fn propose_writes(&mut self, term: u64) {
        let mut encoder = entry::Encoder::new(term, self.stamp());
        let mut answers = Vec::with_capacity(self.backlog.len());
        let wants_old = self.view_type.is_some_and(StreamViewType::shows_old);
        while encoder.len() < ENTRY_CHANGES_MAX && encoder.bytes() < ENTRY_BYTES_MAX {
            let Some(Request::Write(..)) = self.backlog.front() else { break };
            let Some(Request::Write(write, reply)) = self.backlog.pop_front() else { break };
            let evaluated = evaluate(&self.overlay.over(&*self.context.items), &write, wants_old);
            let result = match evaluated {
                Ok(Evaluated::Changed { change, answer }) => {
                    encoder.push(&change);
                    self.overlay.note(change.key, change.stored);
                    Ok(answer)
                }
                Ok(Evaluated::Unchanged { answer }) => Ok(answer),
                Ok(Evaluated::Rejected(rejected)) => Err(rejected.into()),
                Err(error) => Err(Error::internal("a write could not be evaluated", &error)),
            };
            answers.push((reply, result));
        }
        self.context.metrics.entry(encoder.len(), encoder.bytes());
        if encoder.is_empty() {
            return self.answer_without_entry(answers);
        }
        self.propose(term, encoder.finish(), answers, None, false).await;
    }

    /// Answers that judge the state and change nothing wait until what they were judged on is committed and
    /// leadership is certain: the newest entry in flight proves both, or else a read barrier does.
    fn answer_without_entry(&mut self, answers: Vec<(Reply, Result<Answer, Error>)>) {
        if let Some(newest) = self.in_flight.back_mut() {
            newest.answers.extend(answers);
            return;
        }
        if self.group.holds_lease() {
            for (reply, result) in answers {
                let _ = reply.send(result);
            }
            return;
        }
        let group = self.group.clone();
        self.context.reporter.spawn("confirm", async move {
            let confirmed = group.read_barrier().await;
            for (reply, result) in answers {
                let _ = reply.send(if confirmed { result } else { Err(Error::no_leader()) });
            }
        });
    }

    async fn propose_control(
        &mut self,
        term: u64,
        control: Control,
        reply: oneshot::Sender<Result<u64, Error>>,
        shard: bool,
    ) {
        match &control {
            Control::OpenShard { view_type, .. } => self.view_type = Some(*view_type),
            Control::CloseShard { .. } => self.view_type = None,
            Control::Trim { .. } => {}
        }
        let bytes = entry::encode_control(term, self.stamp(), &control);
        self.propose(term, bytes, Vec::new(), Some(reply), shard).await;
    }

    async fn propose(
        &mut self,
        term: u64,
        entry: bytes::Bytes,
        answers: Vec<(Reply, Result<Answer, Error>)>,
        control: Option<oneshot::Sender<Result<u64, Error>>>,
        shard: bool,
    ) {
        self.overlay.propose();
        match self.group.propose(term, entry).await {
            Ok(proposed) => self.in_flight.push_back(InFlight { term, proposed, answers, control, shard }),
            Err(error) => {
                self.fell(error, shard);
                fail(answers, control, &Error::from(error));
            }
        }
    }

    /// What the log must say next so that its shards are those the catalog wants.
    fn due_shard_control(&self) -> Option<Control> {
        if self.shard_pending || self.shard_retry.is_some() || self.in_flight.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let catalog = self.context.catalog.borrow();
        let table = catalog.tables.get(&self.table)?;
        let published = self.published.borrow();
        for stream in &table.streams {
            let stream_ms = stream.stream_ms;
            let reported = stream.shards.get(&self.group.id());
            match published.shard(stream_ms) {
                Some(shard) if shard.closed.is_none() && stream.ended_ms.is_some() => {
                    return Some(Control::CloseShard { stream_ms });
                }
                None if reported.is_none() && stream_ms > published.newest_stream_ms => {
                    return Some(Control::OpenShard { stream_ms, view_type: stream.view_type });
                }
                Some(_) | None => {}
            }
        }
        None
    }

    /// Tells the catalog who leads, and where the shards begin and end.
    fn report(&self) {
        let Some(term) = self.term else { return };
        let published = self.published.borrow();
        let shards =
            published.shards.iter().map(|shard| (shard.stream_ms, shard.opened, shard.closed)).collect();
        self.context.reporter.report(Report {
            group: self.group.id(),
            node: self.context.node,
            term,
            shards,
            newest_stream_ms: published.newest_stream_ms,
            trimmed: published.trimmed,
        });
    }
}

/// Answers everybody who waits for an entry with an error.
fn fail(
    answers: Vec<(Reply, Result<Answer, Error>)>,
    control: Option<oneshot::Sender<Result<u64, Error>>>,
    error: &Error,
) {
    for (reply, _) in answers {
        let _ = reply.send(Err(error.clone())); // the client may have given up
    }
    if let Some(control) = control {
        let _ = control.send(Err(error.clone())); // likewise
    }
}

/// Waits for a time; for ever if there is none.
async fn reached(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What the oldest entry in flight comes to; never, if there is none.
async fn landing(in_flight: &mut VecDeque<InFlight>) -> Result<(Position, Outcome), ProposeError> {
    match in_flight.front_mut() {
        Some(oldest) => oldest.proposed.landed().await,
        None => std::future::pending().await,
    }
}
