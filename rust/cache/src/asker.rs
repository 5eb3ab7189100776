//! A client's request as the origin gets it: by its fields answers are chosen, so by no others.

use alongside_http::Arrival;
use alongside_policy::caching::Fields;
use alongside_protocols::RequestHead;
use httparse::Header;
use std::sync::Arc;

/// Fields up to which there is no allocation.
const ROOM: usize = 32;

/// The fields that go on to the origin, borrowed from the head.
#[derive(Debug)]
pub(crate) struct Sent<'a> {
    room: [Header<'a>; ROOM],
    count: usize,
    /// All of them, where they are more.
    all: Vec<Header<'a>>,
}

impl<'a> Sent<'a> {
    /// Returns none yet; they are filled in where this stands, as it is too large to be moved about.
    pub const fn new() -> Self {
        Self { room: [httparse::EMPTY_HEADER; ROOM], count: 0, all: Vec::new() }
    }

    /// Takes them from a head; the address that the origin is told is one of them.
    pub fn fill(&mut self, head: &RequestHead<'_, 'a>, arrival: &Arrival<'a>) {
        for field in head.end_to_end(arrival.is_inner) {
            self.push(field);
        }
        // Scheme and host are in the key, the address is not.
        if !self.fields().has("x-forwarded-for") {
            self.push(Header { name: "x-forwarded-for", value: arrival.peer.ip.as_bytes() });
        }
    }

    fn push(&mut self, field: Header<'a>) {
        if self.count < ROOM {
            self.room[self.count] = field;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.room);
            }
            self.all.push(field);
        }
        self.count += 1;
    }

    /// Returns them as the rules read them.
    pub fn fields(&self) -> Fields<'_> {
        Fields(if self.all.is_empty() { &self.room[..self.count] } else { &self.all })
    }
}

/// The same fields, kept until the answer is there: what it varies with is known only then.
#[derive(Debug, Clone)]
pub struct Asker(Arc<[u8]>);

impl Asker {
    /// Returns a copy of fields.
    #[must_use]
    pub fn new(fields: Fields<'_>) -> Self {
        let mut lines = Vec::with_capacity(fields.0.iter().map(|field| field.name.len() + field.value.len() + 2).sum());
        for field in fields.0 {
            for part in [field.name.as_bytes(), b":", field.value, b"\n"] {
                lines.extend_from_slice(part);
            }
        }
        Self(lines.into())
    }

    /// Reads them again, in order.
    #[must_use]
    pub fn fields(&self) -> Vec<Header<'_>> {
        self.0.split(|&byte| byte == b'\n').filter_map(crate::object::field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_protocols::{Limits, Peer, guard, scratch};

    fn sent(text: &str, is_inner: bool) -> Vec<(String, String)> {
        let mut room = scratch();
        let head = guard::request(text.as_bytes(), &mut room, &Limits::default()).unwrap().unwrap();
        let ip = "192.0.2.1".parse().unwrap();
        let arrival = Arrival { ip, peer: Peer { ip: "192.0.2.1", scheme: "http" }, is_inner };
        let mut sent = Sent::new();
        sent.fill(&head, &arrival);
        let kept = Asker::new(sent.fields());
        let text = |field: &Header<'_>| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned());
        let again: Vec<_> = kept.fields().iter().map(text).collect();
        assert_eq!(again, sent.fields().0.iter().map(text).collect::<Vec<_>>());
        again
    }

    fn check(text: &str, is_inner: bool, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(sent(text, is_inner), expected, "{text}");
    }

    #[test]
    fn sees_what_the_origin_sees() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX_Forwarded_For: 1\r\nX-Forwarded-For: 10.0.0.1\r\n\
            X-Alongside-Key: k\r\nAccept:b\r\n\r\n";
        check(head, false, &[("Accept", "b"), ("x-forwarded-for", "192.0.2.1")]);
        check(head, true, &[("X-Forwarded-For", "10.0.0.1"), ("Accept", "b")]);
    }

    #[test]
    fn reads_heads_that_no_guard_would_let_in_anew() {
        check(
            "GET / HTTP/1.0\r\nAuthorization: Basic eDp5\r\n\r\n",
            false,
            &[("Authorization", "Basic eDp5"), ("x-forwarded-for", "192.0.2.1")],
        );
        let long = "x".repeat(32_600);
        check(
            &format!("GET / HTTP/1.1\r\nHost:a\r\nA:{long}\r\n\r\n"),
            false,
            &[("A", &long), ("x-forwarded-for", "192.0.2.1")],
        );
        let many: String = (0..90).map(|n| format!("a{n}:\r\n")).collect();
        assert_eq!(sent(&format!("GET / HTTP/1.1\r\nHost:a\r\n{many}\r\n"), false).len(), 91);
    }
}
