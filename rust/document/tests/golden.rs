//! The golden documents, which Python's tests read too: what is valid, and what is said of what is not.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::PathBuf;

use alongside_document::{Document, parse};

/// Return the documents of a folder, in the order of their names, with the bytes of each.
fn documents(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/contract/documents").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn valid_documents_are_read_and_written_without_change() {
    for (path, bytes) in documents("valid") {
        let document = parse(&bytes).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        let again: Document = parse(&serde_json::to_vec(&document).unwrap()).unwrap();
        assert_eq!(document, again, "{}", path.display());
    }
}

#[test]
fn invalid_documents_are_refused_with_every_problem() {
    for (path, bytes) in documents("invalid") {
        let problems = parse(&bytes).expect_err(&path.display().to_string());
        let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(told, expected, "{}", path.display());
    }
}
