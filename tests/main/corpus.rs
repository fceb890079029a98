//! The corpus of the fuzz targets (`tests/fuzz`): what once was interesting stays right.

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks.rs"]
mod checks;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = fs::read_dir(folder).expect("the corpus is there");
    let files = files.map(|file| fs::read(file.expect("an entry").path()).expect("a file"));
    let files: Vec<_> = files.collect();
    assert!(files.len() >= 10, "{target}: the corpus has {} files", files.len());
    files
}

fn texts(target: &str) -> Vec<String> {
    corpus(target).into_iter().filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
}

#[test]
fn expressions() {
    texts("expression").iter().for_each(|text| checks::expression(text));
}

#[test]
fn numbers() {
    texts("number").iter().for_each(|text| checks::number(text));
}

#[test]
fn entries() {
    corpus("entry").iter().for_each(|bytes| checks::entry(bytes));
}
