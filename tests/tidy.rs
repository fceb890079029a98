//! The style of the house as a test: who may import whom, which rooms are pure, how long things may grow, what is not
//! said. It reads the sources as text; what needs types is `clippy.toml`'s matter.
//!
//! Each rule is shown a bad example below, and a test fails if it lets it pass: a check that cannot fail is a defect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

// ---------------------------------------------------------------------------------------------------------------------
// What holds in this house.

/// The rooms in layer order, and what each may import besides itself. Strictly downward; equals do not know each other.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("expression", &["model"]),
    ("partition", &["model", "expression"]),
    ("stream", &["model"]),
    ("delivery", &["model", "stream"]), // one layer above the stream that it looks at
    ("catalog", &["model", "stream", "delivery"]),
    ("log", &["model::id"]),
    ("storage", &["model", "expression", "partition", "stream", "catalog"]),
    ("rpc", &["model", "expression", "partition", "stream", "catalog"]),
    ("raft", &["model", "expression", "partition", "stream", "catalog", "log", "storage", "rpc"]),
    (
        "node",
        &[
            "model",
            "expression",
            "partition",
            "stream",
            "delivery",
            "catalog",
            "log",
            "storage",
            "rpc",
            "raft",
        ],
    ),
    ("api", &["model", "expression", "partition", "stream", "delivery", "catalog", "rpc", "node"]),
    ("console", &["model", "expression", "partition", "stream", "delivery", "catalog", "rpc", "node"]),
    ("client", &["model", "expression", "partition", "stream", "catalog", "rpc"]),
    ("config", &["model", "storage"]),
    (
        "cli",
        &[
            "model",
            "partition",
            "stream",
            "delivery",
            "catalog",
            "rpc",
            "node",
            "api",
            "console",
            "client",
            "config",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Imports the table above forbids and that are right: file, what it imports, why.
const IMPORTS_ALLOWED: &[(&str, &str, &str)] = &[
    ("src/cli/serve.rs", "storage::Engine", "`serve` puts a node together, and the engine is configured"),
    ("src/cli/serve.rs", "raft", "`serve` puts a node together, and its timing is the default"),
];

/// Rooms that reach no world: time, randomness and ids are arguments.
const PURE: &[&str] = &["model", "expression", "partition", "stream", "delivery", "catalog"];
/// What a pure room does not say, as a word.
const IMPURE_WORDS: &[&str] = &[
    "async",
    "await",
    "tokio",
    "Instant",
    "SystemTime",
    "rand",
    "tracing",
    "sled",
    "fjall",
    "openraft",
    "tonic",
];
/// What a pure room does not take from the standard library.
const IMPURE_STD: &[&str] = &["std::fs", "std::net", "std::thread", "std::env", "std::process"];

const FILE_LINES_MAX: usize = 600;
const DOOR_LINES_MAX: usize = 150;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are longer, and how long: file, name, lines. May only shrink; when one does, so does its number.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Names of files that say nothing about what is in them.
const NAMES_REFUSED: &[&str] =
    &["util", "utils", "helper", "helpers", "common", "misc", "type", "types", "mod"];

/// What is not about the product, written apart so that this file does not say it.
const FOREIGN: &[&str] = &[
    concat!("issue", " #"),
    concat!("pull request", " #"),
    concat!("this ", "session"),
    concat!("previous ", "session"),
    concat!("/wor", "k/"),
    concat!("/tm", "p/"),
    concat!("/hom", "e/"),
];

/// Where dependencies come from. A mirror's address does not belong into the lock file.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Import,
    UnknownRoom,
    Pure,
    Openraft,
    FileLength,
    DoorLength,
    FunctionLength,
    Ratchet,
    Name,
    Depth,
    Door,
    Owner,
    Unfinished,
    Unwrap,
    Sleep,
    Foreign,
    Registry,
}

impl Rule {
    const ALL: &[Self] = &[
        Self::Import,
        Self::UnknownRoom,
        Self::Pure,
        Self::Openraft,
        Self::FileLength,
        Self::DoorLength,
        Self::FunctionLength,
        Self::Ratchet,
        Self::Name,
        Self::Depth,
        Self::Door,
        Self::Owner,
        Self::Unfinished,
        Self::Unwrap,
        Self::Sleep,
        Self::Foreign,
        Self::Registry,
    ];

    /// What to do about it.
    fn advice(self) -> &'static str {
        match self {
            Self::Import => {
                "move what is needed down, or define a port here; ROOMS in tests/tidy.rs says who may"
            }
            Self::UnknownRoom => "give the room its place in ROOMS in tests/tidy.rs",
            Self::Pure => "pass it as an argument; IO lives in log, storage, rpc and above",
            Self::Openraft => "say it in src/raft and offer it there in our own words",
            Self::FileLength => "split it by noun",
            Self::DoorLength => "a door has an essay, `mod` and `pub use`; move the logic into the room",
            Self::FunctionLength => "split it where a step has a name",
            Self::Ratchet => "lower or drop the entry in LONG_FUNCTIONS: it may only shrink",
            Self::Name => "name it after the thing in it",
            Self::Depth => "two levels: a door and its room",
            Self::Door => {
                "begin with `//!`: what the room is for, its invariants, what is deliberately absent"
            }
            Self::Owner => "write TODO(name), or do it",
            Self::Unfinished => "finish it or leave it out",
            Self::Unwrap => "return the error, or `expect(\"why this cannot be\")`",
            Self::Sleep => "wait for a signal; where one polls, a comment says \"until\" what",
            Self::Foreign => "the repository speaks of the product alone",
            Self::Registry => "resolve against the public registry",
        }
    }
}

struct Finding {
    path: String,
    line: usize,
    rule: Rule,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what } = self;
        write!(to, "{path}:{line}: {what} [{rule:?}]; {}", rule.advice())
    }
}

/// Files by their path from the root of the repository.
type Tree = BTreeMap<String, String>;

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    for place in ["src", "tests", "simulation", "proto", "deploy", ".ci"] {
        read_below(root, &root.join(place), &mut tree);
    }
    for file in ["build.rs", "Cargo.toml", "Cargo.lock", "README.md", "justfile", "clippy.toml"] {
        let text = std::fs::read_to_string(root.join(file));
        tree.insert(file.to_owned(), text.unwrap_or_else(|error| panic!("{file}: {error}")));
    }
    assert!(tree.contains_key("src/model.rs"), "the sources were not found below {}", root.display());
    let findings = check(&tree, LONG_FUNCTIONS);
    let list: String = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    assert!(findings.is_empty(), "{} untidy places:{list}", findings.len());
}

fn read_below(root: &Path, place: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_below(root, &path, tree);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let name = path.strip_prefix(root).expect("it is below the root");
            tree.insert(name.to_string_lossy().into_owned(), text);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading a source.

/// A Rust file taken apart: code and comments, each blanked out of the other line for line; literals out of both.
struct Source<'a> {
    path: &'a str,
    text: &'a str,
    code: String,
    comments: String,
    /// Which lines are tests.
    test: Vec<bool>,
    /// Modules declared in a test's place: their files are tests too.
    test_modules: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Literal,
}

impl<'a> Source<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        let parts = parts(text);
        let only = |wanted: Part| -> String {
            let keep = |(byte, part): (u8, &Part)| if *part == wanted || byte == b'\n' { byte } else { b' ' };
            let bytes = text.bytes().zip(&parts).map(keep).collect();
            String::from_utf8(bytes).expect("characters are blanked whole")
        };
        let (code, comments) = (only(Part::Code), only(Part::Comment));
        let mut test =
            vec![path.starts_with("tests/") || path.ends_with("_test.rs"); text.lines().count() + 1];
        let mut test_modules = Vec::new();
        for (at, _) in code.match_indices("#[cfg(test)]") {
            let (end, module) = item_end(&code, at);
            test[line_of(&code, at) - 1..line_of(&code, end)].fill(true);
            test_modules.extend(module);
        }
        Self { path, text, code, comments, test, test_modules }
    }

    /// The room it belongs to, if it is of the program.
    fn room(&self) -> Option<&'a str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next()?.trim_end_matches(".rs"))
    }

    fn is_door(&self) -> bool {
        self.path.strip_prefix("src/").is_some_and(|inside| !inside.contains('/'))
    }

    fn is_test(&self, line: usize) -> bool {
        self.test[line - 1]
    }

    /// Its words outside tests, with their lines.
    fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        let words = |line: &'_ str| -> Vec<(usize, usize)> {
            let mut found = Vec::new();
            let mut begin = None;
            for (at, byte) in line.bytes().chain([b' ']).enumerate() {
                match (is_word(byte), begin) {
                    (true, None) => begin = Some(at),
                    (false, Some(from)) => {
                        found.push((from, at));
                        begin = None;
                    }
                    _ => {}
                }
            }
            found
        };
        let lines = self.code.lines().enumerate().filter(|(at, _)| !self.test[*at]);
        lines.flat_map(move |(at, line)| words(line).into_iter().map(move |(a, b)| (at + 1, &line[a..b])))
    }

    /// The paths it names below `root` ("crate", "std"), groups taken apart, outside tests.
    fn paths(&self, root: &str) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        let from = format!("{root}::");
        for (at, _) in self.code.match_indices(&from) {
            let before = self.code[..at].bytes().next_back();
            let line = line_of(&self.code, at);
            if !before.is_some_and(|byte| is_word(byte) || byte == b':') && !self.is_test(line) {
                let mut names = Vec::new();
                use_tree(self.code.as_bytes(), &mut (at + from.len()), "", &mut names);
                paths.extend(names.into_iter().map(|name| (line, name)));
            }
        }
        paths
    }

    /// Its functions outside tests: line, name, length.
    fn functions(&self) -> Vec<(usize, &str, usize)> {
        let mut functions = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let line = line_of(&self.code, at);
            let name = self.code[at + 3..].split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let word = !self.code[..at].bytes().next_back().is_some_and(is_word);
            if let (true, Some(name), false) =
                (word, name.filter(|name| !name.is_empty()), self.is_test(line))
            {
                let (end, _) = item_end(&self.code, at);
                functions.push((line, name, line_of(&self.code, end) - line + 1));
            }
        }
        functions
    }

    /// Its lines that are neither blank, nor comment, nor test.
    fn lines_of_code(&self) -> usize {
        let visible = |line: &str| line.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        let lines = self.text.lines().zip(self.comments.lines().chain(std::iter::repeat("")));
        lines
            .zip(&self.test)
            .filter(|((text, comment), test)| !**test && visible(text) > visible(comment))
            .count()
    }
}

/// What each byte is a part of.
fn parts(text: &str) -> Vec<Part> {
    let bytes = text.as_bytes();
    let mut parts = vec![Part::Code; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let free = at == 0 || !is_word(bytes[at - 1]);
        let (part, length) = if rest.starts_with("//") {
            (Part::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Part::Comment, block_comment(rest))
        } else if let Some(length) = raw_string(rest).filter(|_| free) {
            (Part::Literal, length)
        } else if rest.starts_with('"') {
            (Part::Literal, quoted(rest, '"'))
        } else if rest.starts_with("'\\") || is_character(rest) {
            (Part::Literal, quoted(rest, '\''))
        } else {
            (Part::Code, rest.chars().next().map_or(1, char::len_utf8))
        };
        parts[at..at + length].fill(part);
        at += length;
    }
    parts
}

fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars();
    chars.next() == Some('\'') && chars.next().is_some() && chars.next() == Some('\'')
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..rest.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inside.len() - inside.trim_start_matches('#').len();
    let body = inside[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// Where the item that begins at `from` ends, and its name if it is a module in a file of its own.
fn item_end(code: &str, from: usize) -> (usize, Option<String>) {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth -= 1;
                if depth == 0 && byte == b'}' {
                    return (at, None);
                }
            }
            b';' if depth == 0 => {
                let module = code[from..at].split("mod ").nth(1).map(|name| name.trim().to_owned());
                return (at, module);
            }
            _ => {}
        }
    }
    (code.len(), None)
}

/// The paths of a `use` tree, or of a path in an expression.
fn use_tree(code: &[u8], at: &mut usize, prefix: &str, found: &mut Vec<String>) {
    let skip_blank = |at: &mut usize| {
        while code.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
    };
    skip_blank(at);
    if code.get(*at) == Some(&b'{') {
        *at += 1;
        loop {
            skip_blank(at);
            match code.get(*at) {
                Some(b',') => *at += 1,
                Some(b'}') | None => break,
                Some(_) => {
                    let before = *at;
                    use_tree(code, at, prefix, found);
                    *at = (*at).max(before + 1);
                }
            }
        }
        *at += 1;
        return;
    }
    let from = *at;
    while code.get(*at).is_some_and(|byte| is_word(*byte) || *byte == b'*') {
        *at += 1;
    }
    let name = String::from_utf8_lossy(&code[from..*at]).into_owned();
    let path = if prefix.is_empty() { name } else { format!("{prefix}::{name}") };
    if code[*at..].starts_with(b"::")
        && code.get(*at + 2).is_some_and(|byte| is_word(*byte) || b"{*".contains(byte))
    {
        *at += 2;
        return use_tree(code, at, &path, found);
    }
    found.push(path);
    skip_blank(at);
    if code[*at..].starts_with(b"as ") {
        *at += 3;
        while code.get(*at).is_some_and(|byte| is_word(*byte)) {
            *at += 1;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules.

fn check(tree: &Tree, long_functions: &[(&str, &str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rust = tree.iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources: Vec<Source<'_>> = rust.map(|(path, text)| Source::new(path, text)).collect();
    let test_files: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| {
            let room = source.path.trim_end_matches(".rs");
            source.test_modules.iter().map(move |module| format!("{room}/{module}.rs"))
        })
        .collect();
    for source in &mut sources {
        if test_files.contains(source.path) {
            source.test.fill(true);
        }
        imports(source, &mut findings);
        worlds(source, &mut findings);
        lengths(source, long_functions, &mut findings);
        unfinished(source, &mut findings);
        sleeps(source, &mut findings);
    }
    ratchet(&sources, long_functions, &mut findings);
    doors(tree, &mut findings);
    for (path, text) in tree {
        names(path, &mut findings);
        words(path, text, &mut findings);
    }
    findings.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    findings.dedup_by(|a, b| (&a.path, a.line, a.rule) == (&b.path, b.line, b.rule));
    findings
}

fn find(findings: &mut Vec<Finding>, path: &str, line: usize, rule: Rule, what: impl Into<String>) {
    findings.push(Finding { path: path.to_owned(), line, rule, what: what.into() });
}

fn is_within(path: &str, place: &str) -> bool {
    path == place || path.strip_prefix(place).is_some_and(|rest| rest.starts_with("::"))
}

fn imports(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let Some(room) = source.room() else { return };
    let Some((_, below)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return find(findings, source.path, 1, Rule::UnknownRoom, format!("the room {room} has no layer"));
    };
    let up = if source.is_door() { "super" } else { "super::super" };
    for (line, path) in source.paths("crate").into_iter().chain(source.paths(up)) {
        let mut places = below.iter().copied().chain([room]);
        let allowed =
            IMPORTS_ALLOWED.iter().any(|(file, place, _)| *file == source.path && is_within(&path, place));
        if !allowed && !places.any(|place| is_within(&path, place)) {
            find(findings, source.path, line, Rule::Import, format!("{room} imports crate::{path}"));
        }
    }
}

fn worlds(source: &Source<'_>, findings: &mut Vec<Finding>) {
    let pure = source.room().filter(|room| PURE.contains(room));
    for (line, word) in source.words() {
        if let Some(room) = pure.filter(|_| IMPURE_WORDS.contains(&word)) {
            find(findings, source.path, line, Rule::Pure, format!("{room} is pure and says `{word}`"));
        }
        if word.starts_with("openraft") && source.room().is_some_and(|room| room != "raft") {
            find(findings, source.path, line, Rule::Openraft, format!("`{word}` outside of src/raft"));
        }
    }
    for (line, path) in pure.map(|_| source.paths("std")).unwrap_or_default() {
        if IMPURE_STD.iter().any(|place| is_within(&format!("std::{path}"), place)) {
            find(findings, source.path, line, Rule::Pure, format!("a pure room uses std::{path}"));
        }
    }
}

fn lengths(source: &Source<'_>, long_functions: &[(&str, &str, usize)], findings: &mut Vec<Finding>) {
    let (code, all) = (source.lines_of_code(), source.text.lines().count());
    if code > FILE_LINES_MAX {
        let what = format!("{code} lines of code, {FILE_LINES_MAX} are allowed");
        find(findings, source.path, 1, Rule::FileLength, what);
    }
    if source.is_door() && all > DOOR_LINES_MAX {
        let what = format!("a door of {all} lines, {DOOR_LINES_MAX} are allowed");
        find(findings, source.path, 1, Rule::DoorLength, what);
    }
    for (line, name, length) in source.functions() {
        let known = long_functions.iter().find(|(file, known, _)| *file == source.path && *known == name);
        let allowed = known.map_or(FUNCTION_LINES_MAX, |(_, _, lines)| *lines);
        if length > allowed {
            let what = format!("{name} has {length} lines, {allowed} are allowed");
            find(findings, source.path, line, Rule::FunctionLength, what);
        }
    }
}

fn ratchet(sources: &[Source<'_>], long_functions: &[(&str, &str, usize)], findings: &mut Vec<Finding>) {
    for (path, name, lines) in long_functions {
        let functions = sources.iter().find(|source| source.path == *path).map(Source::functions);
        let longest =
            functions.into_iter().flatten().filter(|function| function.1 == *name).map(|f| f.2).max();
        if longest.is_none_or(|length| length < *lines || length <= FUNCTION_LINES_MAX) {
            let what = format!("{name} is listed with {lines} lines and has {}", longest.unwrap_or(0));
            find(findings, path, 1, Rule::Ratchet, what);
        }
    }
}

fn unfinished(source: &Source<'_>, findings: &mut Vec<Finding>) {
    for (at, line) in source.code.lines().enumerate() {
        for word in [concat!("db", "g!"), concat!("tod", "o!"), "unimplemented!"] {
            if line.contains(word) {
                find(findings, source.path, at + 1, Rule::Unfinished, format!("`{word}` in code"));
            }
        }
        if line.contains(".unwrap()") && !source.test[at] {
            find(findings, source.path, at + 1, Rule::Unwrap, "`.unwrap()` outside of tests");
        }
    }
    for (at, line) in source.comments.lines().enumerate() {
        if line.contains(concat!("FIX", "ME")) {
            find(findings, source.path, at + 1, Rule::Unfinished, concat!("FIX", "ME"));
        }
        for (from, word) in line.match_indices(concat!("TO", "DO")) {
            let owner = line[from + word.len()..].strip_prefix('(').and_then(|rest| rest.split(')').next());
            if owner.is_none_or(|owner| owner.trim().is_empty()) {
                find(findings, source.path, at + 1, Rule::Owner, format!("{word} without an owner"));
            }
        }
    }
}

fn sleeps(source: &Source<'_>, findings: &mut Vec<Finding>) {
    if source.path.starts_with("tests/bench/") {
        return; // they measure time
    }
    let comments: Vec<&str> = source.comments.lines().collect();
    for (at, line) in source.code.lines().enumerate().filter(|(at, _)| source.test[*at]) {
        if line.contains("sleep(") || line.contains("sleep_until(") {
            let near = comments[at.saturating_sub(1)..=at.min(comments.len() - 1)].join(" ");
            if !near.contains("until") {
                find(findings, source.path, at + 1, Rule::Sleep, "a test sleeps");
            }
        }
    }
}

fn doors(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree {
        let Some(inside) = path.strip_prefix("src/").filter(|path| path.ends_with(".rs")) else { continue };
        let door = inside.split_once('/').map_or(path.clone(), |(room, _)| format!("src/{room}.rs"));
        if !tree.contains_key(&door) {
            find(findings, path, 1, Rule::Door, format!("a room without a door: there is no {door}"));
        }
        if !text.starts_with("//! ") {
            find(findings, path, 1, Rule::Door, "it does not say what it is for");
        }
    }
}

fn names(path: &str, findings: &mut Vec<Finding>) {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.split('.').next().unwrap_or(file);
    if file.ends_with(".rs") && NAMES_REFUSED.contains(&stem) {
        find(findings, path, 1, Rule::Name, format!("a file named {stem}"));
    }
    let inside = folder.strip_prefix("simulation/").unwrap_or(folder);
    let depth = inside.split('/').filter(|part| *part != "scripts").count();
    // By target, as the fuzzer wants it; by language, as clients of other languages want their packages.
    let data = path.starts_with("tests/fuzz/corpus/") || path.starts_with("tests/clients/");
    if depth > 2 && !data && !path.starts_with("proto/") {
        find(findings, path, 1, Rule::Depth, format!("{folder} is a third level"));
    }
}

fn words(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (at, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        if let Some(word) = FOREIGN.iter().find(|word| lower.contains(**word)) {
            find(findings, path, at + 1, Rule::Foreign, format!("it says `{word}`"));
        }
        if path == "Cargo.lock" && line.starts_with("source = ") && !line.contains(REGISTRY) {
            find(findings, path, at + 1, Rule::Registry, line);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules themselves under test.

fn rules_broken(files: &[(&str, &str)], long_functions: &[(&str, &str, usize)]) -> Vec<Rule> {
    let tree = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    check(&tree, long_functions).into_iter().map(|finding| finding.rule).collect()
}

/// A file that breaks this rule and no other.
fn bad_examples() -> Vec<(Rule, &'static str, String)> {
    let lines = |line: &str, count: usize| format!("{line}\n").repeat(count);
    let one = |rule, path, text: &str| (rule, path, text.to_owned());
    vec![
        one(Rule::Import, "src/model.rs", "//! D.\nuse crate::partition::View;"),
        one(Rule::Import, "src/stream.rs", "//! D.\nuse crate::{model::Item, catalog::{Table, Node}};"),
        one(Rule::Import, "src/log.rs", "//! D.\nuse crate::model::Item;"),
        one(Rule::Import, "src/api.rs", "//! D.\nfn f() { let a = crate::raft::Role::Leader; }"),
        one(Rule::Import, "src/rpc.rs", "//! D.\nuse super::log::Log;"),
        one(Rule::Import, "src/raft.rs", "//! D.\nuse crate\n::node::Node;".replace("\n:", ":").as_str()),
        one(Rule::UnknownRoom, "src/attic.rs", "//! D.\n"),
        one(Rule::Pure, "src/model.rs", "//! D.\nasync fn f() {}"),
        one(Rule::Pure, "src/stream.rs", "//! D.\nuse std::{fmt, fs::File};"),
        one(Rule::Pure, "src/catalog.rs", "//! D.\nuse std::time::Instant;"),
        one(Rule::Openraft, "src/node.rs", "//! D.\nuse openraft::Raft;"),
        one(Rule::Openraft, "src/cli.rs", "//! D.\nuse openraft_rt_tokio::X;"),
        (Rule::FileLength, "build.rs", lines("const A: u8 = 1;", FILE_LINES_MAX + 1)),
        (Rule::DoorLength, "src/api.rs", lines("//! D.", DOOR_LINES_MAX + 1)),
        (
            Rule::FunctionLength,
            "src/node.rs",
            format!("//! D.\nfn f() {{\n{}}}\n", lines("a();", FUNCTION_LINES_MAX - 1)),
        ),
        one(Rule::Name, "tests/util.rs", ""),
        one(Rule::Name, "simulation/src/mod.rs", ""),
        one(Rule::Depth, "tests/bench/deep/a.rs", ""),
        one(Rule::Depth, "simulation/src/a/b/c.rs", ""),
        one(Rule::Door, "src/storage.rs", "use std::fmt;"),
        one(Rule::Owner, "build.rs", concat!("// TO", "DO: later")),
        one(Rule::Owner, "build.rs", concat!("// TO", "DO(): later")),
        one(Rule::Unfinished, "build.rs", concat!("fn f() { tod", "o!() }")),
        one(Rule::Unfinished, "build.rs", concat!("/* FIX", "ME */")),
        one(Rule::Unwrap, "src/api.rs", "//! D.\nfn f() { g().unwrap(); }\n#[cfg(test)]\nmod tests { }"),
        one(Rule::Sleep, "tests/main.rs", "fn f() { thread::sleep(SECOND); }"),
        one(Rule::Sleep, "tests/main.rs", "fn f() { tokio::time::sleep(S).await; // a bit\n }"),
        one(
            Rule::Sleep,
            "src/log.rs",
            "//! D.\n#[cfg(test)]\nmod tests {\n fn f() { thread::sleep(SECOND); }\n}",
        ),
        one(Rule::Foreign, "deploy/README.md", concat!("Kept in /wor", "k/main.")),
        one(Rule::Foreign, "src/main.rs", concat!("//! D.\n// see Issue", " #1\n")),
        one(Rule::Registry, "Cargo.lock", "source = \"registry+https://mirror.example/index\""),
    ]
}

#[test]
fn every_rule_finds_its_bad_example_and_nothing_else() {
    let mut shown = BTreeSet::new();
    for (rule, path, text) in bad_examples() {
        let broken = rules_broken(&[(path, &text)], &[]);
        assert_eq!(broken, [rule], "in {path}:\n{text}");
        shown.insert(rule);
    }
    assert_eq!(rules_broken(&[("src/log/a.rs", "//! D.")], &[]), [Rule::Door], "a room needs its door");
    shown.insert(Rule::Ratchet); // it is about two things: below
    let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(shown, all, "each rule has its bad example");
}

#[test]
fn the_list_of_long_functions_only_shrinks() {
    let text = |lines: usize| format!("//! D.\nfn f() {{\n{}}}\n", "a();\n".repeat(lines - 2));
    let broken = |lines: usize, listed: usize| {
        rules_broken(&[("src/node.rs", &text(lines))], &[("src/node.rs", "f", listed)])
    };
    assert_eq!(broken(80, 80), []);
    assert_eq!(broken(81, 80), [Rule::FunctionLength]);
    assert_eq!(broken(79, 80), [Rule::Ratchet]);
    assert_eq!(broken(70, 70), [Rule::Ratchet]);
    assert_eq!(rules_broken(&[], &[("src/node.rs", "gone", 80)]), [Rule::Ratchet]);
}

#[test]
fn what_is_right_is_not_found() {
    let door = r##"//! A door that says "use crate::node" and async.
use crate::{expression::{self, ast}, model::{Item, key::ItemKey as Key}};
/* nested /* use crate::api; */ async */
mod apply;
#[cfg(test)]
mod contract;
fn quote<'a>(text: &'a str) -> char {
    let _raw = r#"async " crate::node .unwrap()"#;
    let _text = "an escaped \" async";
    '"'
}
fn after() {} // TODO(anna): say more
#[cfg(test)]
mod tests {
    use crate::node::Node;
    fn f() { g().unwrap(); }
    fn wait() {
        // until the node answers
        thread::sleep(SHORT);
    }
}
"##;
    let inside = "//! Inside.\nuse super::View;\nuse crate::partition::Batch;\nuse std::{fmt, collections::BTreeMap};\n";
    let contract = "//! Tests.\nuse crate::storage::MemoryItems;\nasync fn f() { g().unwrap(); }\n";
    let files = [
        ("src/partition.rs", door),
        ("src/partition/apply.rs", inside),
        ("src/partition/contract.rs", contract),
        ("src/partition/scripts/put.txt", "put a\n"),
    ];
    assert_eq!(rules_broken(&files, &[]), []);
}

#[test]
fn a_finding_says_where_what_and_what_to_do() {
    let text = "//! D.\n\nuse crate::{\n    model::Item,\n    partition::View,\n};".to_owned();
    let tree = Tree::from([("src/stream.rs".to_owned(), text)]);
    let findings: Vec<String> = check(&tree, &[]).iter().map(Finding::to_string).collect();
    let advice = Rule::Import.advice();
    assert_eq!(
        findings,
        [format!("src/stream.rs:3: stream imports crate::partition::View [Import]; {advice}")]
    );
}
