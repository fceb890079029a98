//! A copy of the workspace to change, build and put right again, away from the one that people work in.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// The cargo profile that is built again soon after a small change.
const PROFILE: &str = "mutants";
/// Lines kept of what a compiler says.
const LINES: usize = 12;

/// Where cargo says that things are.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
}

impl Workspace {
    /// The workspace that this process was started in.
    pub fn here() -> anyhow::Result<Self> {
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let said = output(&mut cargo)?;
        serde_json::from_slice(&said).context("reading what `cargo metadata` says")
    }
}

/// The copy, and what belongs to it. It is this process's alone.
pub struct Scratch {
    tree: PathBuf,
    build: PathBuf,
    /// The files as they were when the copy was made: what the workspace becomes meanwhile does not matter.
    files: BTreeMap<PathBuf, Vec<u8>>,
    _lock: File,
}

impl Scratch {
    /// Copies the files that git knows, or would, as they are now. What is as it must be is left alone, so that only
    /// what differs is built anew.
    pub fn make(workspace: &Path, directory: &Path) -> anyhow::Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(workspace);
        let names = String::from_utf8(output(&mut git)?).context("a file has a name that is not text")?;
        let mut files = BTreeMap::new();
        for name in names.split_terminator('\0') {
            match fs::read(workspace.join(name)) {
                Ok(bytes) => files.insert(PathBuf::from(name), bytes),
                // Deleted, but git was not told yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error).with_context(|| format!("reading {name}")),
            };
        }
        Self::open(directory, files)
    }

    fn open(directory: &Path, files: BTreeMap<PathBuf, Vec<u8>>) -> anyhow::Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let lock = File::create(directory.join("lock")).context("making a lock file")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another process works in {}", directory.display()),
            Err(TryLockError::Error(error)) => return Err(error).context("taking the lock"),
        }
        let (tree, build) = (directory.join("tree"), directory.join("build"));
        let scratch = Self { tree, build, files, _lock: lock };
        scratch.restore()?;
        Ok(scratch)
    }

    /// Makes all files what they were at the beginning.
    pub fn restore(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.tree)?;
        self.remove_strangers(Path::new(""))?;
        for (name, bytes) in &self.files {
            let file = self.tree.join(name);
            if fs::read(&file).is_ok_and(|found| found == *bytes) {
                continue;
            }
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            }
            fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    fn remove_strangers(&self, within: &Path) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.tree.join(within))? {
            let entry = entry?;
            let name = within.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.remove_strangers(&name)?;
            } else if !self.files.contains_key(&name) {
                fs::remove_file(entry.path()).with_context(|| format!("removing {}", name.display()))?;
            }
        }
        Ok(())
    }

    /// Whether a patch fits.
    pub fn check(&self, patch: &str) -> anyhow::Result<()> {
        self.git_apply(&["--check"], patch)
    }

    /// Changes the copy.
    pub fn apply(&self, patch: &str) -> anyhow::Result<()> {
        self.git_apply(&[], patch)
    }

    fn git_apply(&self, options: &[&str], patch: &str) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        git.arg("apply").args(options).current_dir(&self.tree);
        // The copy may lie within a repository, in which git would look for the files elsewhere.
        git.env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree));
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        git.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = git.spawn().context("starting git")?;
        let mut stdin = child.stdin.take().expect("it is piped");
        // A git that ended before it read all shows why in how it ended.
        let _ = stdin.write_all(patch.as_bytes());
        drop(stdin);
        let ended = child.wait_with_output().context("waiting for git")?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr).trim());
        Ok(())
    }

    /// Builds the simulator of the copy. The program is good until the next build.
    pub fn build(&self, jobs: usize) -> anyhow::Result<PathBuf> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--locked", "--package", "simulation", "--bin", "simulation"]);
        cargo.args(["--message-format", "short", "--profile", PROFILE, "--jobs", &jobs.to_string()]);
        cargo.env("CARGO_TARGET_DIR", &self.build).current_dir(&self.tree);
        output(&mut cargo)?;
        Ok(self.build.join(PROFILE).join("simulation"))
    }
}

/// What a program says that ends well; if not, the error is what it said was wrong.
fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = command.stdin(Stdio::null()).output().with_context(|| format!("starting {name}"))?;
    if !ended.status.success() {
        bail!("{name}: {}: {}", ended.status, errors(&String::from_utf8_lossy(&ended.stderr)));
    }
    Ok(ended.stdout)
}

/// The lines that speak of errors, or the last ones if none does.
fn errors(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.contains("error")).take(LINES).collect();
    match errors.is_empty() {
        true => lines[lines.len().saturating_sub(LINES)..].join("\n"),
        false => errors.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "What is wrong.\n\ndiff --git a/src/a.txt b/src/a.txt\n--- a/src/a.txt\n+++ b/src/a.txt\n\
                         @@ -1,2 +1,2 @@\n one\n-two\n+three\n";

    fn files() -> BTreeMap<PathBuf, Vec<u8>> {
        [("src/a.txt", "one\ntwo\n"), ("b.txt", "b\n")]
            .map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec()))
            .into()
    }

    fn read(scratch: &Scratch, name: &str) -> String {
        fs::read_to_string(scratch.tree.join(name)).expect("it is there")
    }

    #[test]
    fn a_patch_is_applied_and_taken_back_within_a_repository_too() {
        let directory = tempfile::tempdir().expect("a directory");
        output(Command::new("git").arg("init").current_dir(directory.path())).expect("git is there");
        let scratch = Scratch::open(&directory.path().join("scratch"), files()).expect("a copy");
        scratch.check(PATCH).expect("it fits");
        assert_eq!(read(&scratch, "src/a.txt"), "one\ntwo\n");
        scratch.apply(PATCH).expect("it fits");
        assert_eq!(read(&scratch, "src/a.txt"), "one\nthree\n");
        let error = scratch.check(PATCH).expect_err("it fits once");
        assert!(error.to_string().contains("patch does not apply"), "{error}");
        scratch.restore().expect("all is put right");
        assert_eq!(read(&scratch, "src/a.txt"), "one\ntwo\n");
    }

    #[test]
    fn what_is_right_is_left_alone_and_what_does_not_belong_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::open(directory.path(), files()).expect("a copy");
        let written = |name| fs::metadata(scratch.tree.join(name)).and_then(|file| file.modified()).ok();
        let before = written("b.txt");
        fs::write(scratch.tree.join("src/a.txt"), "changed").expect("writing");
        fs::write(scratch.tree.join("src/c.txt"), "left behind").expect("writing");
        scratch.restore().expect("all is put right");
        assert_eq!(read(&scratch, "src/a.txt"), "one\ntwo\n");
        assert_eq!(written("src/c.txt"), None);
        assert!(before.is_some() && written("b.txt") == before);
    }

    #[test]
    fn two_do_not_work_in_one_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::open(directory.path(), files()).expect("a copy");
        let error = Scratch::open(directory.path(), files()).err().expect("it is taken").to_string();
        assert!(error.starts_with("another process works in "), "{error}");
        drop(scratch);
        Scratch::open(directory.path(), files()).expect("it is free again");
    }

    #[test]
    fn of_what_a_compiler_says_errors_are_shown() {
        let said = "a.rs:1:2: warning: unused\na.rs:3:4: error[E0425]: not found\nnote: more\n";
        assert_eq!(errors(said), "a.rs:3:4: error[E0425]: not found");
        assert_eq!(errors("killed\nby somebody"), "killed\nby somebody");
    }
}
