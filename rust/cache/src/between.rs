//! What caches of one shard say to each other, in fields that no client and no origin sees.
//!
//! They are believed from inner peers only; the guard strips them from everyone, and a head that goes on has none but
//! those that are written here. docs/decisions/0004-replicas.md has the table.

use crate::flight::FetchError;
use alongside_http::Arrival;
use alongside_policy::origins;
use alongside_protocols::{RequestHead, ResponseHead, write_decimal};

const ASK: &str = "x-alongside-ask";
const FROM: &str = "x-alongside-from";
/// The sibling that is to be told what an order says.
const FOR: &str = "x-alongside-for";
/// It will be: without it nobody understood the order.
const OWED: &str = "x-alongside-owed";
/// Whose answers are asked for: those of another origin are other pages.
const ORIGIN: &str = "x-alongside-origin";
/// How warm a cache is, 0 to 100.
const WARMTH: &str = "x-alongside-warmth";
/// How many answers were forgotten: without it nobody understood the order.
const PURGED: &str = "x-alongside-purged";
/// The age of an answer, finer than `Age` says it.
const AGE: &str = "x-alongside-age-ms";
/// How long the answer took, which is not part of its way.
const TOOK: &str = "x-alongside-took-ms";
/// The answer may not be kept: nobody could tell whether the origin sent it whole.
const UNKEPT: &str = "x-alongside-unkept";
/// The answer is no answer of the origin; says why there is none.
const FAULT: &str = "x-alongside-fault";

/// What an inner peer asks, besides the request itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// How warm are you?
    Probe,
    /// Forget this URL.
    Purge,
    /// Forget everything.
    PurgeAll,
    /// Answer this for all of us.
    Meet,
    /// Send what you have.
    Warm,
    /// Something that this version does not know.
    Unknown,
}

impl Question {
    /// Whether something is to be forgotten.
    pub const fn forgets(self) -> bool {
        matches!(self, Self::Purge | Self::PurgeAll)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Purge => "purge",
            Self::PurgeAll => "purge-all",
            Self::Meet => "meet",
            Self::Warm => "warm",
            Self::Unknown => "",
        }
    }

    /// Returns what a request asks; nothing where it is a request like others, or comes from outside.
    pub fn of(head: &RequestHead<'_, '_>, arrival: &Arrival<'_>) -> Option<Self> {
        let asked = arrival.is_inner.then(|| head.field(ASK)).flatten()?;
        let known = [Self::Probe, Self::Purge, Self::PurgeAll, Self::Meet, Self::Warm];
        Some(known.into_iter().find(|known| known.as_str().as_bytes() == asked).unwrap_or(Self::Unknown))
    }
}

/// Returns the id of the node that asks; empty where it does not say.
pub(crate) fn from(head: &RequestHead<'_, '_>) -> String {
    head.field(FROM).map(|id| String::from_utf8_lossy(id).into_owned()).unwrap_or_default()
}

/// Returns the id of the node that an order is for; nothing where it is for who gets it.
pub(crate) fn meant(head: &RequestHead<'_, '_>) -> Option<String> {
    head.field(FOR).map(|id| String::from_utf8_lossy(id).into_owned())
}

/// Returns the line that says who asks.
pub(crate) fn from_line(id: &str) -> String {
    format!("{FROM}: {id}\r\n")
}

/// Appends that somebody else will be told, and returns a body that says so.
pub(crate) fn write_owed(out: &mut Vec<u8>) -> String {
    write_number(OWED, 1, out);
    "{\"owed\": 1}\n".to_owned()
}

/// Whether the node that asks wants answers of this origin, in its one spelling; a node that does not say is believed to.
pub(crate) fn is_of_origin(head: &RequestHead<'_, '_>, origin: &str) -> bool {
    let is_same = |asked: &[u8]| {
        asked == origin.as_bytes() || std::str::from_utf8(asked).is_ok_and(|asked| origins::spelling(asked) == origin)
    };
    head.field(ORIGIN).is_none_or(is_same)
}

/// Returns whose answers a node has that was asked for another origin's.
pub(crate) fn other_origin(head: &ResponseHead<'_, '_>) -> Option<String> {
    head.field(ORIGIN).map(|origin| String::from_utf8_lossy(origin).into_owned())
}

/// Appends whose answers are asked for, or whose there are where others were.
pub(crate) fn write_origin(origin: &str, out: &mut Vec<u8>) {
    write_line(ORIGIN, origin.as_bytes(), out);
}

/// Appends the lines of a question.
pub(crate) fn write_question(question: Question, from: &str, out: &mut Vec<u8>) {
    write_line(ASK, question.as_str().as_bytes(), out);
    write_line(FROM, from.as_bytes(), out);
}

/// Appends how warm a cache is.
pub(crate) fn write_warmth(warmth: u8, out: &mut Vec<u8>) {
    write_number(WARMTH, u64::from(warmth), out);
}

/// Appends how many answers were forgotten, and returns a body that says so.
pub(crate) fn write_purged(count: usize, out: &mut Vec<u8>) -> String {
    write_number(PURGED, count as u64, out);
    format!("{{\"purged\": {count}}}\n")
}

/// Whether the node that sent this head has forgotten what it was told to.
pub(crate) fn has_purged(head: &ResponseHead<'_, '_>) -> bool {
    head.status == 200 && head.field(PURGED).is_some()
}

/// Appends what a sibling must know of an answer: how old it is, and how long it took.
pub(crate) fn write_age(age_ms: u64, took_ms: u64, out: &mut Vec<u8>) {
    write_number(AGE, age_ms, out);
    write_number(TOOK, took_ms, out);
}

/// Appends that an answer may not be kept by whoever gets it.
pub(crate) fn write_unkept(out: &mut Vec<u8>) {
    write_line(UNKEPT, b"1", out);
}

/// Appends why there is no answer.
pub(crate) fn write_fault(error: FetchError, out: &mut Vec<u8>) {
    write_line(FAULT, error.as_str().as_bytes(), out);
}

/// What a sibling says of its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// How old the answer was when it left; nothing where it does not believe that a sibling asks.
    pub age_ms: Option<u64>,
    /// How long it took before it left.
    pub took_ms: u64,
    /// It may not be kept.
    pub is_unkept: bool,
    /// Why there is none.
    pub fault: Option<FetchError>,
    /// It was stored there.
    pub is_hit: bool,
}

impl Said {
    /// Reads it from a sibling's head.
    pub fn of(head: &ResponseHead<'_, '_>) -> Self {
        let number = |name| head.field(name).and_then(read_number);
        Self {
            age_ms: number(AGE),
            took_ms: number(TOOK).unwrap_or(0),
            is_unkept: head.field(UNKEPT).is_some(),
            fault: head.field(FAULT).map(FetchError::read),
            is_hit: head.fields_named("cache-status").last().is_some_and(says_hit),
        }
    }
}

/// Whether the last member of a `Cache-Status` is a hit.
fn says_hit(value: &[u8]) -> bool {
    let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
    last.split(|&byte| byte == b';').skip(1).any(|word| word.trim_ascii() == b"hit")
}

/// Returns how warm the node that sent this head is.
pub(crate) fn warmth(head: &ResponseHead<'_, '_>) -> Option<u8> {
    head.field(WARMTH).and_then(read_number).and_then(|number| u8::try_from(number).ok())
}

fn read_number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn write_number(name: &str, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    write_decimal(number, out);
    out.extend_from_slice(b"\r\n");
}

fn write_line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_protocols::{Asked, Limits, Peer, guard, scratch};

    fn asked(lines: &str, is_inner: bool) -> Option<Question> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut room = scratch();
        let head = guard::request(text.as_bytes(), &mut room, &Limits::default()).unwrap().unwrap();
        let ip = "192.0.2.1".parse().unwrap();
        Question::of(&head, &Arrival { ip, peer: Peer { ip: "192.0.2.1", scheme: "http" }, is_inner })
    }

    #[test]
    fn believes_inner_peers_only() {
        let mut lines = Vec::new();
        for question in [Question::Probe, Question::Purge, Question::PurgeAll, Question::Meet, Question::Warm] {
            lines.clear();
            write_question(question, "a", &mut lines);
            let text = std::str::from_utf8(&lines).unwrap();
            assert_eq!((asked(text, true), asked(text, false)), (Some(question), None));
        }
        assert_eq!(asked("X-Alongside-Ask: dance\r\n", true), Some(Question::Unknown));
        assert_eq!(asked("X-Alongside-Ask:\r\n", true), Some(Question::Unknown));
        assert_eq!(asked("", true), None);
    }

    #[test]
    fn tells_origins_apart() {
        let is_of = |asked: Option<&str>| {
            let mut text = b"GET / HTTP/1.1\r\nhost: a\r\n".to_vec();
            asked.iter().for_each(|origin| write_origin(origin, &mut text));
            text.extend_from_slice(b"\r\n");
            let mut room = scratch();
            let head = guard::request(&text, &mut room, &Limits::default()).unwrap().unwrap();
            is_of_origin(&head, "127.0.0.1:80")
        };
        assert!(is_of(Some("127.0.0.1:80")) && is_of(None) && is_of(Some("[::ffff:127.0.0.1]:80")));
        assert!(!is_of(Some("localhost:80")));
        assert!(!is_of(Some("127.0.0.1:8000")) && !is_of(Some("127.0.0.1:80 example.org")) && !is_of(Some("")));
    }

    #[test]
    fn reads_what_it_writes() {
        let mut text =
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncache-status: up; fwd=miss, b; hit; ttl=9\r\n".to_vec();
        write_age(1234, 56, &mut text);
        write_unkept(&mut text);
        write_fault(FetchError::TimedOut, &mut text);
        write_warmth(42, &mut text);
        text.extend_from_slice(b"\r\n");
        let mut room = scratch();
        let head = guard::response(&text, &mut room, &Limits::default(), Asked::default()).unwrap().unwrap();
        let fault = Some(FetchError::TimedOut);
        assert_eq!(Said::of(&head), Said { age_ms: Some(1234), took_ms: 56, is_unkept: true, fault, is_hit: true });
        assert_eq!(warmth(&head), Some(42));
        // None of it goes on to a client.
        assert_eq!(head.end_to_end().count(), 1);
        assert!(!says_hit(b"a; hit, b; fwd=miss") && !says_hit(b"hit"));
    }
}
