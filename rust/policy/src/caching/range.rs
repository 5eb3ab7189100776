//! One byte range out of a complete stored body.

use super::conditional::{Validators, is_strong_match};
use super::{Meta, Request, date};

/// Which bytes of a stored body answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All, with the stored status.
    Whole,
    /// 206 with `Content-Range: bytes first-last/length`; both positions inclusive, `first <= last < length`.
    Part {
        /// The first byte's position.
        first: u64,
        /// The last byte's position.
        last: u64,
    },
    /// 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// A complete stored response, as ranges need it.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its status.
    pub status: u16,
    /// The bytes of its body.
    pub length: u64,
    /// What `If-Range` is compared with.
    pub validators: Validators<'a>,
}

/// Choose the bytes of a stored response; ask [`super::conditional::answer`] before.
///
/// Several ranges, other units and malformed ones get the whole, which is always right.
///
//= RFC 9110 section 14.2: Range counts for GET, where the answer would be 200; a server may ignore it.
#[must_use]
pub fn select(request: &Request<'_>, stored: &Stored<'_>, meta: &Meta) -> Selection {
    if request.method != "GET" || stored.status != 200 {
        return Selection::Whole;
    }
    let Some(value) = request.fields.only("range") else {
        return Selection::Whole;
    };
    if request.fields.has("if-range") && !is_still_the_same(request, stored.validators, meta) {
        return Selection::Whole;
    }
    parse(value).map_or(Selection::Whole, |range| range.within(stored.length))
}

//= RFC 9110 section 13.1.5: If-Range by strong comparison; a date is strong if a second or more before Date
// (section 8.8.2.2), and must match exactly.
fn is_still_the_same(request: &Request<'_>, stored: Validators<'_>, meta: &Meta) -> bool {
    let Some(value) = request.fields.only("if-range") else {
        return false;
    };
    if let Some(etag) = stored.etag
        && is_strong_match(value, etag)
    {
        return true;
    }
    let modified = stored.last_modified.filter(|modified| *modified == value);
    matches!((modified.and_then(date::parse), meta.date_s), (Some(modified), Some(made)) if modified < made)
}

/// A range as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    From { first: u64, last: u64 },
    Suffix(u64),
}

impl Range {
    //= RFC 9110 section 14.1.2: a range is satisfiable if it begins inside the body, or is a suffix that is not empty.
    fn within(self, length: u64) -> Selection {
        match self {
            Self::From { first, .. } if first >= length => Selection::Unsatisfiable,
            Self::From { first, last } => Selection::Part { first, last: last.min(length - 1) },
            Self::Suffix(0) => Selection::Unsatisfiable,
            Self::Suffix(_) if length == 0 => Selection::Whole,
            Self::Suffix(count) => Selection::Part { first: length.saturating_sub(count), last: length - 1 },
        }
    }
}

/// Read `bytes=1-2`, `bytes=1-` or `bytes=-2`; `None` for anything else.
fn parse(value: &[u8]) -> Option<Range> {
    let (unit, range) = value.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let dash = range.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&range[..dash], &range[dash + 1..]);
    if first.is_empty() {
        return Some(Range::Suffix(position(last)?));
    }
    let first = position(first)?;
    let last = if last.is_empty() { u64::MAX } else { position(last)? };
    (first <= last).then_some(Range::From { first, last })
}

/// Read `1*DIGIT`; a greater number than fits is the greatest.
fn position(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        byte.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{get, headers};
    use super::*;

    const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn choose(request: &[(&str, &str)], length: u64, date_s: u64) -> Selection {
        let stored = Stored {
            status: 200,
            length,
            validators: Validators { etag: Some(b"\"a\""), last_modified: Some(MODIFIED.as_bytes()) },
        };
        let meta = Meta {
            arrived_ms: 0,
            age_ms: 0,
            lifetime_ms: 1,
            date_s: Some(date_s),
            always_validate: false,
            is_shared: false,
        };
        let list = headers(request);
        let head = Request { method: "HEAD", ..get(&list) };
        assert_eq!(select(&head, &stored, &meta), Selection::Whole);
        let missing = Stored { status: 404, ..stored };
        assert_eq!(select(&get(&list), &missing, &meta), Selection::Whole);
        select(&get(&list), &stored, &meta)
    }

    fn check(range: &str, length: u64, expected: Selection) {
        assert_eq!(choose(&[("Range", range)], length, 784_111_778), expected, "{range} of {length}");
    }

    #[test]
    fn cuts_one_range() {
        let part = |first, last| Selection::Part { first, last };
        check("bytes=0-0", 10, part(0, 0));
        check("Bytes=2-5", 10, part(2, 5));
        check("bytes=2-", 10, part(2, 9));
        check("bytes=2-99999999999999999999999", 10, part(2, 9));
        check("bytes=-3", 10, part(7, 9));
        check("bytes=-30", 10, part(0, 9));
        check("bytes=9-", 10, part(9, 9));
        check("bytes=10-", 10, Selection::Unsatisfiable);
        check("bytes=99999999999999999999999-", 10, Selection::Unsatisfiable);
        check("bytes=-0", 10, Selection::Unsatisfiable);
        check("bytes=0-", 0, Selection::Unsatisfiable);
        check("bytes=-1", 0, Selection::Whole);
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "lines=0-1",
            "bytes= 0-1",
            "bytes=0-1-",
            "bytes=+1-2",
        ] {
            check(ignored, 10, Selection::Whole);
        }
    }

    fn check_if_range(value: &str, date_s: u64, is_part: bool) {
        let found = choose(&[("range", "bytes=0-1"), ("if-range", value)], 10, date_s);
        assert_eq!(found != Selection::Whole, is_part, "{value} at {date_s}");
    }

    #[test]
    fn cuts_only_the_same_representation() {
        check_if_range("\"a\"", 0, true);
        check_if_range("W/\"a\"", 0, false);
        check_if_range("\"b\"", 0, false);
        check_if_range(MODIFIED, 784_111_778, true);
        check_if_range(MODIFIED, 784_111_777, false);
        check_if_range("Sun, 06 Nov 1994 08:49:38 GMT", 784_111_779, false);
        check_if_range("", 784_111_779, false);
    }
}
