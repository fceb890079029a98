//! The trace of a run: one line an event, with simulated time and host, hashed as it is written.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing_subscriber::{
    EnvFilter,
    fmt::{MakeWriter, format::Writer, time::FormatTime},
};
use xxhash_rust::xxh3::Xxh3;

use crate::machine::lock;

/// What is shown unless the environment's `SIMULATION_LOG` says otherwise. turmoil says which host an event is of.
const SHOWN: &str = "off,simulation=debug,watertable=debug,turmoil=info";

thread_local! {
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Says what time events are stamped with from now on.
pub fn set_now(now: Duration) {
    NOW.set(now);
}

/// Where the lines go.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<State>>);

struct State {
    hash: Xxh3,
    lines: u64,
    shown: bool,
}

impl Trace {
    /// Nothing yet. `shown`: lines go to standard output, too.
    pub fn new(shown: bool) -> Self {
        Self(Arc::new(Mutex::new(State { hash: Xxh3::new(), lines: 0, shown })))
    }

    /// Runs `work`, whose events on this thread are the trace.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let filter = EnvFilter::builder()
            .with_env_var("SIMULATION_LOG")
            .with_default_directive(tracing::level_filters::LevelFilter::OFF.into());
        let filter = filter.try_from_env().unwrap_or_else(|_| EnvFilter::new(SHOWN));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_timer(Stamp)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, work)
    }

    /// Hash and number of the lines so far.
    pub fn digest(&self) -> (u64, u64) {
        let state = lock(&self.0);
        (state.hash.digest(), state.lines)
    }
}

struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = NOW.get();
        write!(writer, "{:>6}.{:03}", now.as_secs(), now.subsec_millis())
    }
}

impl Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = lock(&self.0);
        state.hash.update(bytes);
        state.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if state.shown && io::stdout().write_all(bytes).is_err() {
            std::process::exit(crate::process::UNHEARD.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Trace {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
