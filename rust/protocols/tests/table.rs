//! The rows of `tests/guard/inputs.json` that need no socket.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use alongside_protocols::{Asked, Body, Forward, Limits, Peer, Refusal, chunked, guard, scratch, write_framing};
use serde_json::Value;

const LIMITS: Limits = Limits { head_bytes_max: 32 * 1024, fields_max: 100, target_bytes_max: 8 * 1024 };

fn rows() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guard/inputs.json");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 100);
    rows
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap()).collect()
}

fn bytes(row: &Value, key: &str) -> Vec<u8> {
    let parts = row[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let part = |part: &Value| match part.as_str() {
        Some(text) => latin1(text),
        None => latin1(part["repeat"].as_str().unwrap()).repeat(part["times"].as_u64().unwrap() as usize),
    };
    parts.iter().flat_map(part).collect()
}

fn patterns(row: &Value, key: &str) -> Vec<Vec<u8>> {
    let list = row[key].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|text| latin1(text.as_str().unwrap())).collect()
}

fn has(bytes: &[u8], pattern: &[u8]) -> bool {
    memchr::memmem::find(bytes, pattern).is_some()
}

/// Append what goes on of a body; return the refusal that ended it.
fn pass_body(body: Body, bytes: &[u8], out: &mut Vec<u8>) -> Option<Refusal> {
    match body {
        Body::None => None,
        Body::UntilClose => {
            out.extend_from_slice(bytes);
            None
        }
        Body::Length(length) => {
            out.extend_from_slice(&bytes[..length as usize]);
            None
        }
        Body::Chunked => {
            let mut decoder = chunked::Decoder::new(&LIMITS);
            let mut at = 0;
            loop {
                match decoder.decode(&bytes[at..]) {
                    Err(refusal) => return Some(refusal),
                    Ok((_, chunked::Piece::More)) => panic!("the body does not end"),
                    Ok((used, chunked::Piece::Data(data))) => {
                        chunked::write_chunk(data, out);
                        at += used;
                    }
                    Ok((_, chunked::Piece::End)) => {
                        chunked::write_end(decoder.trailers(), out);
                        return None;
                    }
                }
            }
        }
    }
}

/// Return the refusal if there is one, and what the upstream gets.
fn pass_request(bytes: &[u8]) -> (Option<Refusal>, Vec<u8>) {
    let (mut room, mut out) = (scratch(), Vec::new());
    match guard::request(bytes, &mut room, &LIMITS) {
        Err(refusal) => (Some(refusal), out),
        Ok(None) => panic!("the head does not end"),
        Ok(Some(head)) => {
            head.write(&Forward::new(Peer { ip: "192.0.2.1", scheme: "http" }), &mut out);
            out.extend_from_slice(b"\r\n");
            (pass_body(head.body, &bytes[head.head_bytes..], &mut out), out)
        }
    }
}

/// Return the refusal if there is one, and what the client gets.
fn pass_response(bytes: &[u8]) -> (Option<Refusal>, Vec<u8>) {
    let (mut room, mut out) = (scratch(), Vec::new());
    match guard::response(bytes, &mut room, &LIMITS, Asked::default()) {
        Err(refusal) => (Some(refusal), out),
        Ok(None) => panic!("the head does not end"),
        Ok(Some(head)) => {
            head.write(&mut out);
            write_framing(head.body, &mut out);
            out.extend_from_slice(b"\r\n");
            let refusal = pass_body(head.body, &bytes[head.head_bytes..], &mut out);
            (refusal.map(Refusal::from_upstream), out)
        }
    }
}

#[test]
fn every_pure_row_of_the_table_holds() {
    let mut checked = 0;
    for row in rows().iter().filter(|row| row["is_pure"] != false) {
        let id = &row["id"];
        let is_request = row["side"] == "request";
        let input = bytes(row, if is_request { "send" } else { "origin" });
        let (refusal, out) = if is_request { pass_request(&input) } else { pass_response(&input) };
        let status = refusal.map_or(200, |refusal| refusal.status);
        let allowed = row["allowed"].as_array().unwrap();
        assert!(allowed.iter().any(|other| *other == status), "{id}: {refusal:?}");
        if is_request && row["may_reach_upstream"] == false {
            assert!(out.is_empty(), "{id}: {}", out.escape_ascii());
        }
        let (must, must_not) = match is_request {
            true => ("must_reach_upstream", "must_not_reach_upstream"),
            false => ("client_must_see", "client_must_not_see"),
        };
        for pattern in patterns(row, must) {
            assert!(has(&out, &pattern), "{id}: {}", out.escape_ascii());
        }
        for pattern in patterns(row, must_not) {
            assert!(!has(&out, &pattern), "{id}: {}", out.escape_ascii());
        }
        checked += 1;
    }
    assert!(checked > 90, "only {checked} rows");
}

#[test]
fn no_beginning_of_a_row_passes_if_its_whole_head_does_not() {
    for row in rows().iter().filter(|row| row["is_pure"] != false && row["may_reach_upstream"] == false) {
        let input = bytes(row, "send");
        for end in (0..input.len()).step_by(1 + input.len() / 100) {
            let mut room = scratch();
            let head = guard::request(&input[..end], &mut room, &LIMITS);
            assert!(!matches!(head, Ok(Some(_))), "{}: {}", row["id"], input[..end].escape_ascii());
        }
    }
}
