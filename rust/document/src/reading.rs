//! Read a document and find everything that is wrong with it.

use std::sync::LazyLock;

use serde_json::Value;

use crate::problem::Problem;
use crate::types::Document;
use crate::{relations, shape};

/// The most bytes a document may have: 16 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most problems that are told of one document.
const PROBLEMS_MAX: usize = 100;

static SCHEMA: LazyLock<Value> = LazyLock::new(crate::schema::schema);

/// Read and check a document of at most [`DOCUMENT_BYTES_MAX`] bytes, nested at most 128 deep.
///
/// # Errors
/// Every problem found, at least one and at most 100: those of shape first, then those between parts.
pub fn parse(bytes: &[u8]) -> Result<Document, Vec<Problem>> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        let what = format!("the document has {} bytes", bytes.len());
        return Err(vec![Problem::new("", what, format!("write at most {DOCUMENT_BYTES_MAX}"))]);
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| vec![Problem::new("", format!("it is no JSON: {error}"), "write one JSON object in UTF-8")])?;
    let mut found = shape::problems(&SCHEMA, &value);
    found.extend(relations::problems(&value));
    if found.is_empty() {
        return read(bytes).map_err(|problem| vec![problem]);
    }
    if found.len() > PROBLEMS_MAX {
        let more = found.len() - PROBLEMS_MAX + 1;
        found.truncate(PROBLEMS_MAX - 1);
        found.push(Problem::new("", format!("there are {more} more problems"), "correct these first"));
    }
    Err(found)
}

/// Read what the checks let through; only a field written twice is found first here.
fn read(bytes: &[u8]) -> Result<Document, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        Problem::new(path, error.into_inner().to_string(), "write it as the schema says")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Problem {
        parse(text.as_bytes()).unwrap_err().swap_remove(0)
    }

    #[test]
    fn the_least_document_gets_every_default() {
        let document = parse(br#"{"schema": 1, "epoch": 0, "generation": 1}"#).unwrap();
        assert_eq!((document.threads, document.listeners.len()), (1, 0));
        assert_eq!(document.limits, crate::Limits::default());
    }

    #[test]
    fn the_defaults_are_within_their_ranges() {
        let document = parse(br#"{"schema": 1, "epoch": 0, "generation": 1}"#).unwrap();
        assert_eq!(parse(&serde_json::to_vec(&document).unwrap()).unwrap(), document);
    }

    #[test]
    fn a_large_document_is_refused_before_it_is_read() {
        let problems = parse(&vec![b' '; DOCUMENT_BYTES_MAX + 1]).unwrap_err();
        assert_eq!(problems[0].what, "the document has 16777217 bytes");
    }

    #[test]
    fn a_hundred_problems_are_enough() {
        let nodes = "5,".repeat(999) + "5";
        let text = format!(r#"{{"schema": 1, "epoch": 0, "generation": 1, "nodes": [{nodes}]}}"#);
        let problems = parse(text.as_bytes()).unwrap_err();
        assert_eq!(problems.len(), 100);
        assert_eq!(problems[99].message(), "there are 901 more problems; correct these first");
    }

    #[test]
    fn hostile_names_and_values_are_told_harmlessly() {
        assert_eq!(first(r#"{"a\u001b[2J\n": 1}"#).path, "a\\u{1b}[2J\\n");
        assert_eq!(first(&format!(r#"{{"{}": 1}}"#, "x".repeat(100_000))).path, "…");
        let problem = first(&format!(r#"{{"schema": "{}", "epoch": 0, "generation": 1}}"#, "x".repeat(100_000)));
        assert!(problem.what.len() < 100);
    }
}
