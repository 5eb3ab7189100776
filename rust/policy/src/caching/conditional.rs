//! Validators: those of a stored response, and a client's conditions answered from the store.

use super::fields::{Fields, members};
use super::{Request, date};

/// The conditions of a client that a fetch for the store must leave out.
pub const FIELDS: [&str; 4] = ["if-none-match", "if-modified-since", "if-range", "range"];

/// What identifies a stored representation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validators<'a> {
    /// The entity tag with its quotes, and `W/` if weak.
    pub etag: Option<&'a [u8]>,
    /// The `Last-Modified` date as it came.
    pub last_modified: Option<&'a [u8]>,
}

impl<'a> Validators<'a> {
    /// Read them from a response; a malformed or repeated one is none.
    #[must_use]
    pub fn read(fields: Fields<'a>) -> Self {
        Self {
            etag: fields.only("etag").filter(|tag| is_entity_tag(tag)),
            last_modified: fields.only("last-modified").filter(|text| date::parse(text).is_some()),
        }
    }

    /// Whether there is nothing to confirm the representation with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Append the field lines that ask the origin whether the representation still holds.
    ///
    //= RFC 9111 section 4.3.1: send both validators where both are known.
    pub fn write(&self, out: &mut Vec<u8>) {
        let lines = [(&b"if-none-match: "[..], self.etag), (&b"if-modified-since: "[..], self.last_modified)];
        for (name, value) in lines {
            if let Some(value) = value {
                out.extend_from_slice(name);
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// How a client's conditions are answered from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The client has it: 304 with the fields that [`is_kept_in_304`] names.
    NotModified,
    /// The stored response, whole or by [`super::range::select`].
    Full,
}

/// Evaluate `If-None-Match` and `If-Modified-Since` against a stored response of that status.
#[must_use]
pub fn answer(request: &Request<'_>, status: u16, stored: Validators<'_>) -> Answer {
    //= RFC 9110 section 13.2.1: conditions do not count where the answer would not be 2xx anyway.
    let is_held =
        (200..300).contains(&status) && matches!(request.method, "GET" | "HEAD") && holds(request.fields, stored);
    if is_held { Answer::NotModified } else { Answer::Full }
}

fn holds(request: Fields<'_>, stored: Validators<'_>) -> bool {
    //= RFC 9110 section 13.1.3: If-Modified-Since is ignored where there is If-None-Match.
    if request.has("if-none-match") {
        return names_tag(request, stored.etag);
    }
    let (Some(since), Some(modified)) = (request.only("if-modified-since"), stored.last_modified) else {
        return false;
    };
    since == modified
        || matches!((date::parse(since), date::parse(modified)), (Some(since), Some(modified)) if modified <= since)
}

//= RFC 9110 section 13.1.2: "*" names any stored representation; else tags are compared weakly.
// A list with a member that is no tag is ignored whole, so the client gets the representation.
fn names_tag(request: Fields<'_>, stored: Option<&[u8]>) -> bool {
    if request.only("if-none-match") == Some(b"*") {
        return true;
    }
    let mut is_named = false;
    for member in request.all("if-none-match").flat_map(members) {
        match member {
            Ok(tag) if is_entity_tag(tag) => {
                is_named |= stored.is_some_and(|stored| is_weak_match(tag, stored));
            }
            _ => return false,
        }
    }
    is_named
}

/// Whether a stored field goes into a 304.
///
//= RFC 9110 section 15.4.5: a 304 carries these where the 200 would have, and little else.
#[must_use]
pub fn is_kept_in_304(name: &str) -> bool {
    ["cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary"]
        .iter()
        .any(|kept| name.eq_ignore_ascii_case(kept))
}

//= RFC 9110 section 8.8.3: [W/] and an opaque string in quotes, which has no escapes.
fn is_entity_tag(tag: &[u8]) -> bool {
    opaque(tag)
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .is_some_and(|inner| inner.iter().all(|&byte| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80))
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Compare two tags as RFC 9110 section 8.8.3.2 does for reading.
pub(super) fn is_weak_match(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Compare two tags as RFC 9110 section 8.8.3.2 does for parts.
pub(super) fn is_strong_match(one: &[u8], other: &[u8]) -> bool {
    is_strong(one) && one == other
}

/// Whether a tag promises equal bytes.
pub(super) fn is_strong(tag: &[u8]) -> bool {
    is_entity_tag(tag) && tag.starts_with(b"\"")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{get, headers};
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn check(stored: &[(&str, &str)], request: &[(&str, &str)], is_not_modified: bool) {
        let (stored_list, list) = (headers(stored), headers(request));
        let validators = Validators::read(Fields(&stored_list));
        let found = answer(&get(&list), 200, validators);
        assert_eq!(found == Answer::NotModified, is_not_modified, "{stored:?} {request:?}");
        assert_eq!(answer(&get(&list), 404, validators), Answer::Full);
        let post = Request { method: "POST", ..get(&list) };
        assert_eq!(answer(&post, 200, validators), Answer::Full);
    }

    #[test]
    fn compares_entity_tags_weakly() {
        let stored = [("ETag", "\"a\"")];
        check(&stored, &[("if-none-match", "\"a\"")], true);
        check(&stored, &[("if-none-match", "\"b\" , W/\"a\"")], true);
        check(&[("etag", "W/\"a\"")], &[("if-none-match", "\"a\"")], true);
        check(&stored, &[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], true);
        check(&stored, &[("if-none-match", "*")], true);
        check(&[], &[("if-none-match", "*")], true);
        check(&[], &[("if-none-match", "\"a\"")], false);
        check(&stored, &[("if-none-match", "\"A\"")], false);
        check(&stored, &[("if-none-match", "a")], false);
        check(&stored, &[("if-none-match", "\"a\", b")], false);
        check(&stored, &[("if-none-match", "\"a\", *")], false);
        check(&stored, &[("if-none-match", "\"a\", \"b")], false);
        check(&stored, &[("if-none-match", "w/\"a\"")], false);
        check(&stored, &[("if-none-match", "")], false);
        check(&[("etag", "\"a\""), ("etag", "\"b\"")], &[("if-none-match", "\"a\"")], false);
        check(&[("etag", "\"a,b\"")], &[("if-none-match", "\"a,b\"")], true);
    }

    #[test]
    fn compares_dates_by_order() {
        let stored = [("last-modified", DATE)];
        check(&stored, &[("if-modified-since", DATE)], true);
        check(&stored, &[("if-modified-since", AFTER)], true);
        check(&stored, &[("if-modified-since", BEFORE)], false);
        check(&stored, &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], false);
        check(&stored, &[("if-modified-since", DATE), ("if-modified-since", DATE)], false);
        check(&stored, &[("if-modified-since", DATE), ("if-none-match", "\"a\"")], false);
        check(&[("last-modified", "x")], &[("if-modified-since", "x")], false);
        check(&[], &[("if-modified-since", DATE)], false);
    }

    #[test]
    fn writes_the_question_for_the_origin() {
        let list = headers(&[("etag", "W/\"a\""), ("last-modified", DATE)]);
        let mut out = Vec::new();
        Validators::read(Fields(&list)).write(&mut out);
        let expected = format!("if-none-match: W/\"a\"\r\nif-modified-since: {DATE}\r\n");
        assert_eq!(out, expected.as_bytes());
    }
}
