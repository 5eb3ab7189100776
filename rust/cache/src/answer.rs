//! Answers made of stored objects: the heads, without the end that only the connection knows.

use crate::object::Object;
use alongside_policy::caching::conditional::{self, Answer};
use alongside_policy::caching::range::{self, Selection};
use alongside_policy::caching::{CacheStatus, Meta, Request};
use alongside_protocols::{Body, write_decimal, write_framing};
use std::io::Write;

/// Which bytes of an object's body follow the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// None.
    Nothing,
    /// All.
    Whole,
    /// From the first position to the last, both included.
    Range(u64, u64),
}

/// What a head says besides the object's own fields.
#[derive(Debug, Clone, Copy)]
pub struct Says<'a> {
    /// The answer's age, seconds.
    pub age_s: u64,
    /// What caches nearer to the origin said of it.
    pub before: &'a [u8],
    /// What this one says.
    pub status: CacheStatus<'a>,
}

/// The freshness data of an answer that is passed on only: it is stale at once.
#[must_use]
pub const fn passing(arrived_ms: u64) -> Meta {
    Meta { arrived_ms, age_ms: 0, lifetime_ms: 0, date_s: None, always_validate: true, is_shared: false }
}

/// Appends the head of the answer to a request from an object; returns its status and what follows.
pub fn write(object: &Object, request: &Request<'_>, says: &Says<'_>, out: &mut Vec<u8>) -> (u16, Part) {
    let length = object.body().length();
    let result = if conditional::answer(request, object.status(), object.validators()) == Answer::NotModified {
        out.extend_from_slice(b"HTTP/1.1 304 Not Modified\r\n");
        write_fields(object, conditional::is_kept_in_304, out);
        (304, Part::Nothing)
    } else {
        let stored = range::Stored { status: object.status(), length, validators: object.validators() };
        write_selected(object, range::select(request, &stored, object.meta()), out)
    };
    let is_head = request.method == "HEAD";
    out.extend_from_slice(b"age: ");
    write_decimal(says.age_s, out);
    out.extend_from_slice(b"\r\n");
    write_status(says.before, &says.status, out);
    if is_head { (result.0, Part::Nothing) } else { result }
}

/// Appends a `cache-status` line.
///
//= RFC 9211 section 2: members of caches nearer to the origin stand before.
pub fn write_status(before: &[u8], status: &CacheStatus<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"cache-status: ");
    if !before.is_empty() {
        out.extend_from_slice(before);
        out.extend_from_slice(b", ");
    }
    status.write(out);
    out.extend_from_slice(b"\r\n");
}

fn write_selected(object: &Object, selection: Selection, out: &mut Vec<u8>) -> (u16, Part) {
    let length = object.body().length();
    match selection {
        Selection::Whole => {
            out.extend_from_slice(object.head());
            //= RFC 9110 section 8.6: no Content-Length in a 204.
            if object.status() != 204 {
                write_framing(Body::Length(length), out);
            }
            (object.status(), Part::Whole)
        }
        Selection::Part { first, last } => {
            out.extend_from_slice(b"HTTP/1.1 206 Partial Content\r\n");
            write_fields(object, |_| true, out);
            let bytes = last - first + 1;
            // Writing to a vector cannot fail.
            let _ = write!(out, "content-range: bytes {first}-{last}/{length}\r\ncontent-length: {bytes}\r\n");
            (206, Part::Range(first, last))
        }
        Selection::Unsatisfiable => {
            out.extend_from_slice(b"HTTP/1.1 416 Range Not Satisfiable\r\n");
            let _ = write!(out, "content-range: bytes */{length}\r\ncontent-length: 0\r\n");
            (416, Part::Nothing)
        }
    }
}

fn write_fields(object: &Object, is_wanted: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    for field in object.fields().iter().filter(|field| is_wanted(field.name)) {
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
}
