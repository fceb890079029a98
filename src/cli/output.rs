//! Answers on standard output: tables for people, JSON for programs.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// How answers look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Prints one document.
pub(super) fn print_json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()
}

/// Prints a table with a heading.
pub(super) fn print_table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    print_columns(heading.map(str::to_uppercase).into(), rows.into_iter().map(Vec::from))
}

/// Prints a table with a heading, which is left as it is.
pub(super) fn print_columns(
    heading: Vec<String>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    // Without borders the first column would begin with its padding.
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    let mut out = io::stdout().lock();
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

/// Prints names and values, one pair a line.
pub(super) fn print_pairs(pairs: &[(&str, String)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    let mut out = io::stdout().lock();
    for (name, value) in pairs {
        writeln!(out, "{:width$} {value}", format!("{name}:"))?;
    }
    out.flush()
}

/// Prints one line.
pub(super) fn print_line(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Standard output for many lines; flush it before a wait.
pub(super) fn lines() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// A progress display on standard error, if that is a terminal and a person reads the answer. `length` 0: not known.
pub(super) fn progress(output: Output, length: u64, template: &str) -> ProgressBar {
    if output == Output::Json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = if length == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(length) };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar
}
