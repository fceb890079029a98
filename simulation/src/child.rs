//! A run in a child process: started, read, ended in time, and judged by how it ended.

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::ValueEnum;

use crate::{
    plan::{Plan, Scenario},
    process::PANIC_PREFIX,
    verdict::{Outcome, Violation},
};

/// Lines kept of what a child said on standard error before it panicked, or at its end.
const STDERR_BEFORE: usize = 20;
/// Lines kept from the panic on.
const STDERR_PANIC: usize = 40;

/// What a child runs.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// The plan of a seed.
    Seed(u64, Scenario),
    /// This plan.
    Plan(&'a Plan),
}

/// What was wrong with a run.
#[derive(Clone, Debug)]
pub struct Failure {
    /// An invariant; of a process that did not end well, "panic" or "timeout".
    pub violation: Violation,
    /// Tells one panic from another: its place, or the signal.
    pub cause: String,
    /// The last that the child said on standard error, from a panic on.
    pub stderr: Vec<String>,
}

impl Failure {
    /// Whether the same went wrong there.
    pub fn is_like(&self, other: &Self) -> bool {
        self.violation.invariant == other.violation.invariant && self.cause == other.cause
    }

    /// What was wrong, on one line.
    pub fn line(&self) -> String {
        format!("{}: {}", self.violation.invariant, first_line(&self.violation.what))
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it came to, if it came so far.
    pub outcome: Option<Outcome>,
    /// What was wrong, if anything was.
    pub failure: Option<Failure>,
    /// How long it took here.
    pub took: Duration,
}

/// Real time: what is run is simulated, running it is not.
#[expect(clippy::disallowed_methods, reason = "children take real time, and nothing here is simulated")]
pub fn now() -> Instant {
    Instant::now()
}

/// Runs it without a trace.
pub fn run(work: Work<'_>, timeout: Duration) -> anyhow::Result<Ended> {
    run_in(&this_program()?, work, timeout)
}

/// Runs it without a trace in this program, which is another build of the simulator.
pub fn run_in(program: &Path, work: Work<'_>, timeout: Duration) -> anyhow::Result<Ended> {
    let mut running = Running::start_in(program, work, false, timeout)?;
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while running.stdout.read_until(b'\n', &mut line).context("reading what a child says")? > 0 {
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    running.end(&last)
}

/// A child that runs.
pub struct Running {
    /// What it says: its trace, if asked for, and the outcome as the last line.
    pub stdout: BufReader<ChildStdout>,
    started: Instant,
    timeout: Duration,
    stderr: JoinHandle<Tail>,
    guard: JoinHandle<io::Result<(ExitStatus, bool)>>,
    done: SyncSender<Done>,
    /// A child ends when this does: none outlives us.
    _tether: ChildStdin,
}

/// Why the guard of a child need not wait for the timeout any more.
enum Done {
    /// It said all it had to say.
    Ended,
    /// Nobody wants to hear the rest.
    Unwanted,
}

impl Running {
    /// Starts a child, which is ended after this time.
    pub fn start(work: Work<'_>, trace: bool, timeout: Duration) -> anyhow::Result<Self> {
        Self::start_in(&this_program()?, work, trace, timeout)
    }

    fn start_in(program: &Path, work: Work<'_>, trace: bool, timeout: Duration) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["one", "--tethered"]).args(trace.then_some("--trace"));
        match work {
            Work::Seed(seed, scenario) => {
                command.args(["--seed", &seed.to_string(), "--scenario", &scenario_name(scenario)]);
            }
            Work::Plan(_) => {
                command.args(["--plan", "-"]);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = now();
        let mut child = command.spawn().context("starting a child process")?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut stdin, stdout, stderr) = (piped(stdin), piped(stdout), piped(stderr));
        let (done, is_done) = sync_channel(1);
        let guard = thread::Builder::new().name("guard".to_owned());
        let guard = guard.spawn(move || guard_child(child, timeout, &is_done)).context("starting a guard")?;
        let reader = thread::Builder::new().name("stderr".to_owned());
        let stderr = reader.spawn(move || Tail::read(stderr)).context("starting a reader")?;
        if let Work::Plan(plan) = work {
            let mut text = serde_json::to_vec(plan).context("writing a plan")?;
            text.push(b'\n');
            // A child that died before it read its plan shows that in how it ended.
            let _ = stdin.write_all(&text);
        }
        Ok(Self { stdout: BufReader::new(stdout), started, timeout, stderr, guard, done, _tether: stdin })
    }

    /// Waits for its end, after its standard output ended with this line.
    pub fn end(self, last_line: &[u8]) -> anyhow::Result<Ended> {
        let (started, timeout) = (self.started, self.timeout);
        let (status, timed_out, stderr) = self.join(Done::Ended)?;
        let took = now() - started;
        let failed = |violation, cause, stderr| {
            Ok(Ended { outcome: None, failure: Some(Failure { violation, cause, stderr }), took })
        };
        if timed_out {
            let what = format!("it did not end within {} s", timeout.as_secs_f64());
            return failed(Violation::new("timeout", what), String::new(), stderr.lines());
        }
        match judge(status, last_line, &stderr) {
            Ok(outcome) => {
                let failure = outcome.violation.clone().map(|violation| Failure {
                    violation,
                    cause: String::new(),
                    stderr: stderr.lines(),
                });
                Ok(Ended { outcome: Some(outcome), failure, took })
            }
            Err((what, cause)) => failed(Violation::new("panic", what), cause, stderr.lines()),
        }
    }

    /// Ends it now; true if its timeout had ended it before.
    pub fn stop(self) -> anyhow::Result<bool> {
        let (_, timed_out, _) = self.join(Done::Unwanted)?;
        Ok(timed_out)
    }

    fn join(self, why: Done) -> anyhow::Result<(ExitStatus, bool, Tail)> {
        // The guard of a child that was ended by its timeout does not listen any more.
        let _ = self.done.send(why);
        let (status, timed_out) =
            self.guard.join().expect("a guard does not panic").context("waiting for a child")?;
        let stderr = self.stderr.join().expect("a reader does not panic");
        Ok((status, timed_out, stderr))
    }
}

/// Waits until the child is done or its time is over, and says which.
fn guard_child(mut child: Child, timeout: Duration, done: &Receiver<Done>) -> io::Result<(ExitStatus, bool)> {
    let timed_out = match done.recv_timeout(timeout) {
        Ok(Done::Ended) => false,
        Ok(Done::Unwanted) | Err(RecvTimeoutError::Disconnected) => {
            child.kill()?;
            false
        }
        Err(RecvTimeoutError::Timeout) => {
            child.kill()?;
            true
        }
    };
    let status = child.wait()?;
    // It may have ended well in the very moment.
    Ok((status, timed_out && !status.success()))
}

/// The outcome of a child that ended by itself; or what was wrong, and what tells that from other such failures.
fn judge(status: ExitStatus, last_line: &[u8], stderr: &Tail) -> Result<Outcome, (String, String)> {
    if let Some((place, message)) = stderr.panic() {
        return Err((format!("{message} ({place})"), place.to_owned()));
    }
    if !status.success() {
        return Err((format!("it died: {status}"), status.to_string()));
    }
    serde_json::from_slice(last_line)
        .map_err(|error| (format!("it ended without an outcome: {error}"), "no outcome".to_owned()))
}

/// This program as it was when it started, even if it was built anew since: all children must run the same.
fn this_program() -> io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// A scenario as it is named on the command line.
pub fn scenario_name(scenario: Scenario) -> String {
    let value = scenario.to_possible_value().expect("no scenario is hidden");
    value.get_name().to_owned()
}

/// What of a text fits on one line.
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn piped<T>(pipe: Option<T>) -> T {
    pipe.expect("all three streams of a child are piped")
}

/// The last lines of a stream; once a panic is in it, those from there on.
#[derive(Debug, Default)]
struct Tail {
    before: VecDeque<String>,
    panic: Vec<String>,
}

impl Tail {
    /// Reads all; an error ends it as the end does.
    fn read(stream: ChildStderr) -> Self {
        let mut tail = Self::default();
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            tail.push(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        tail
    }

    fn push(&mut self, line: &str) {
        if !self.panic.is_empty() || line.starts_with(PANIC_PREFIX) {
            if self.panic.len() < STDERR_PANIC {
                self.panic.push(line.to_owned());
            }
            return;
        }
        if self.before.len() == STDERR_BEFORE {
            self.before.pop_front();
        }
        self.before.push_back(line.to_owned());
    }

    /// The place and the first line of the message of a panic.
    fn panic(&self) -> Option<(&str, &str)> {
        let place = self.panic.first()?.strip_prefix(PANIC_PREFIX)?;
        let place = place.split(", thread ").next().unwrap_or(place);
        Some((place, self.panic.get(1).map_or("", String::as_str)))
    }

    fn lines(&self) -> Vec<String> {
        self.before.iter().chain(&self.panic).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(lines: &[&str]) -> Tail {
        let mut tail = Tail::default();
        lines.iter().for_each(|line| tail.push(line));
        tail
    }

    #[test]
    fn the_last_lines_before_a_panic_and_the_first_from_it_on_are_kept() {
        let mut tail = tail(&[]);
        (0..100).for_each(|line| tail.push(&format!("before {line}")));
        assert_eq!(tail.lines().len(), STDERR_BEFORE);
        assert_eq!(tail.panic(), None);
        tail.push("panicked at src/a.rs:1:2, thread run:");
        tail.push("17 is not 18");
        (0..100).for_each(|line| tail.push(&format!("after {line}")));
        let lines = tail.lines();
        assert_eq!(lines.len(), STDERR_BEFORE + STDERR_PANIC);
        assert_eq!(lines[0], "before 80");
        assert_eq!(lines[STDERR_BEFORE + 2], "after 0");
        assert_eq!(tail.panic(), Some(("src/a.rs:1:2", "17 is not 18")));
    }

    #[test]
    fn a_child_that_ended_well_must_have_said_an_outcome() {
        let status = ExitStatus::default();
        let said = br#"{"violation":null,"marks":{},"trace_hash":18446744073709551615,"trace_lines":2,
            "simulated_ms":3,"operations":4}"#;
        let outcome = judge(status, said, &tail(&["noise"])).expect("it is an outcome");
        assert_eq!((outcome.trace_hash, outcome.operations), (u64::MAX, 4));
        let (what, cause) = judge(status, b"a line of the trace", &tail(&[])).expect_err("no outcome");
        assert!(what.starts_with("it ended without an outcome: "), "{what}");
        assert_eq!(cause, "no outcome");
        // A panic counts, however the process ended.
        let panicked = tail(&["panicked at a.rs:1:2, thread task:", "odd"]);
        let (what, cause) = judge(status, said, &panicked).expect_err("a panic");
        assert_eq!((what.as_str(), cause.as_str()), ("odd (a.rs:1:2)", "a.rs:1:2"));
    }

    #[test]
    fn failures_are_alike_by_invariant_and_place_and_not_by_what_was_seen() {
        let failure = |invariant: &str, what: &str, cause: &str| Failure {
            violation: Violation::new(invariant, what),
            cause: cause.to_owned(),
            stderr: Vec::new(),
        };
        assert!(failure("image_chain", "k1", "").is_like(&failure("image_chain", "k2", "")));
        assert!(!failure("image_chain", "k1", "").is_like(&failure("log_matching", "k1", "")));
        assert!(!failure("panic", "odd", "a.rs:1:2").is_like(&failure("panic", "odd", "b.rs:1:2")));
    }

    #[test]
    fn one_line_of_a_failure_is_one_line() {
        let violation = Violation::new("image_chain", "k7 is odd\nand more");
        let failure = Failure { violation, cause: String::new(), stderr: Vec::new() };
        assert_eq!(failure.line(), "image_chain: k7 is odd");
        assert_eq!(first_line(""), "");
    }
}
