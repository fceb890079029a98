//! One run in this process: on a thread of its own, and the process ends with it if anything in it panics.

use std::{
    backtrace::Backtrace,
    io::{self, BufRead, Read, Write},
    panic::{self, PanicHookInfo},
    process,
    thread::{self, JoinHandle},
};

use anyhow::Context;

use crate::{entropy, plan::Plan, scenario, verdict::Outcome};

/// The exit code of a process in which something panicked.
const PANICKED: i32 = 101;
/// The exit code of a process whose output nobody wants any more: that of one that SIGPIPE ended.
pub const UNHEARD: u8 = 141;
/// Begins the line that names the place of a panic; whoever started the process looks for it.
pub const PANIC_PREFIX: &str = "panicked at ";
/// Deep recursions of debug builds fit in.
const STACK_BYTES: usize = 64 << 20;

/// Runs a plan. A panic does not come back: it ends the process.
pub fn run(plan: Plan, trace: bool) -> anyhow::Result<Outcome> {
    panic::set_hook(Box::new(end));
    // Only a thread that starts from here on has hash maps of this seed.
    entropy::seed(plan.seed);
    let thread = thread::Builder::new().name("run".to_owned()).stack_size(STACK_BYTES);
    let run = thread.spawn(move || scenario::run(&plan, trace)).context("starting the thread of the run")?;
    Ok(run.join().expect("a panic ends the process, so the thread ends well"))
}

/// A thread that ends the process when standard input ends: when whoever started it is gone. It must be started before
/// the run, and use nothing random.
pub fn tether() -> anyhow::Result<JoinHandle<()>> {
    let tether = || {
        // An error is an end as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        process::exit(UNHEARD.into());
    };
    thread::Builder::new().name("tether".to_owned()).spawn(tether).context("starting the tether")
}

/// The plan on the first line of standard input.
pub fn plan_from_stdin() -> anyhow::Result<Plan> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("reading a plan from standard input")?;
    serde_json::from_str(&line).context("standard input does not begin with a plan")
}

/// The plan in a file, or after `-` the whole of standard input.
pub fn plan_from_file(path: &str) -> anyhow::Result<Plan> {
    let mut text = String::new();
    let read = if path == "-" {
        io::stdin().lock().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("reading the plan `{path}`"))?;
    serde_json::from_str(&text).with_context(|| format!("`{path}` is not a plan"))
}

/// Says where, what and how it came there, and ends the process: whatever would have caught the panic never learns of
/// it, so that a task cannot die unseen.
fn end(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(something that is not text)");
    // `println!` knows no other way to say that the reader of a trace has seen enough.
    if message.starts_with("failed printing to stdout") {
        process::exit(UNHEARD.into());
    }
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = thread::current().name().unwrap_or("without a name").to_owned();
    let stack = Backtrace::force_capture().to_string();
    let stack = frames(&stack);
    let text = format!("{PANIC_PREFIX}{place}, thread {thread}:\n{message}\nstack:\n{stack}\n");
    let _ = io::stderr().lock().write_all(text.as_bytes());
    process::exit(PANICKED);
}

/// The frames of a backtrace without those of the panic itself and those below the thread's own function. If it does
/// not look as expected, all of it.
fn frames(backtrace: &str) -> String {
    let lines: Vec<&str> = backtrace.lines().collect();
    let panics = |line: &&str| line.contains("rust_begin_unwind") || line.contains("core::panicking::");
    // The place of a frame stands on the line after it.
    let from = lines.iter().rposition(panics).map_or(0, |at| at + 1);
    let from = from
        + usize::from(from > 0 && lines.get(from).is_some_and(|line| line.trim_start().starts_with("at ")));
    let below = |line: &&str| line.contains("__rust_begin_short_backtrace");
    let to = lines[from..].iter().position(below).map_or(lines.len(), |at| from + at);
    lines[from..to].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_begins_after_the_panic_and_ends_before_the_thread() {
        let backtrace = "   0: simulation::process::end\n             at src/process.rs:80:17\n   \
                         1: __rustc::rust_begin_unwind\n             at /rustc/panicking.rs:689:5\n   \
                         2: core::panicking::panic_fmt\n             at /rustc/panicking.rs:80:14\n   \
                         3: simulation::deep\n             at src/deep.rs:3:9\n   \
                         4: std::sys::backtrace::__rust_begin_short_backtrace\n             at /rustc/b.rs:1:2\n   \
                         5: std::panicking::catch_unwind\n";
        assert_eq!(frames(backtrace), "   3: simulation::deep\n             at src/deep.rs:3:9");
        assert_eq!(frames("disabled backtrace"), "disabled backtrace");
        assert_eq!(frames("0: core::panicking::panic_fmt"), "");
    }
}
