//! Going on elsewhere with an answer that broke off: a range of the same version, after what the client has already.

use crate::body::BodyReader;
use crate::course::{Course, Hop, Lost};
use crate::duplex::Answer;
use crate::duplex::Duplex;
use crate::exchange::{Broken, Exchange};
use crate::flow::Flow;
use crate::link::Upstream;
use crate::metrics::UpstreamOutcome;
use crate::places::Places;
use crate::service::Stream;
use alongside_protocols::{Asked, Body, ResponseHead, guard, scratch};
use alongside_transport::{Buffer, Wire, buffer, deadline};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;

/// How often the wait for the rest's head looks whether its upstream was given up.
const LOOK_MS: u64 = 250;

/// Informational answers before the rest.
const INTERIM_MAX: usize = 16;

/// What a client asks about its own copy says nothing of the rest of an answer that it has already.
const CONDITIONS: [&[u8]; 6] =
    [b"range", b"if-range", b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"];

/// `bytes FIRST-LAST/WHOLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, not before the first.
    pub last: u64,
    /// The length of the whole, more than the last.
    pub whole: u64,
}

/// Reads the one range of an answer.
pub fn content_range(head: &ResponseHead<'_, '_>) -> Option<ContentRange> {
    let text = std::str::from_utf8(head.field("content-range")?).ok()?;
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let range = ContentRange { first: number(first)?, last: number(last)?, whole: number(whole)? };
    (range.first <= range.last && range.last < range.whole).then_some(range)
}

/// Returns an answer's ETag where it is a strong one.
//= RFC 9110 section 13.1.5: If-Range with an entity tag needs a strong one.
pub fn strong_etag(head: &ResponseHead<'_, '_>) -> Option<Vec<u8>> {
    let tag = head.field("etag")?;
    (tag.len() >= 2 && tag.starts_with(b"\"") && tag.ends_with(b"\"")).then(|| tag.to_vec())
}

/// What may be asked for elsewhere when an answer breaks off.
#[derive(Debug)]
pub struct Rest {
    etag: Vec<u8>,
    /// Where the answer's body begins in the whole.
    first: u64,
    /// Where it ends, if that was said.
    end: Option<u64>,
    whole: Option<u64>,
    is_chunked: bool,
}

impl Rest {
    /// Returns how an answer could go on, if it could.
    pub fn of(answer: &mut Answer, is_wanted: bool) -> Option<Self> {
        let etag = answer.validator.take().filter(|_| is_wanted)?;
        let rest = |first, end, whole| Self { etag, first, end, whole, is_chunked: answer.is_chunked };
        match (answer.status, answer.body, answer.range) {
            (200, Body::Length(bytes), _) => Some(rest(0, Some(bytes), Some(bytes))),
            (200, Body::Chunked, _) => Some(rest(0, None, None)),
            (206, Body::Length(bytes), Some(range)) if range.last - range.first + 1 == bytes => {
                Some(rest(range.first, Some(range.last + 1), Some(range.whole)))
            }
            _ => None,
        }
    }

    /// Appends the head that asks for what is missing after `taken` bytes of the body.
    fn write_head(&self, head: &[u8], taken: u64, out: &mut Vec<u8>) {
        let is_replaced = |line: &[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            CONDITIONS.iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        for line in head.split_inclusive(|&byte| byte == b'\n') {
            if line != b"\r\n" && !is_replaced(line) {
                out.extend_from_slice(line);
            }
        }
        // Writing to a vector cannot fail.
        let _ = match self.end {
            Some(end) => write!(out, "range: bytes={}-{}\r\n", self.first + taken, end.saturating_sub(1)),
            None => write!(out, "range: bytes={}-\r\n", self.first + taken),
        };
        out.extend_from_slice(b"if-range: ");
        out.extend_from_slice(&self.etag);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Returns the bytes that follow, if this is the rest of the same version.
    fn fit(&self, head: &ResponseHead<'_, '_>, taken: u64) -> Option<u64> {
        if self.end.is_none() && self.is_over(head, taken) {
            return Some(0);
        }
        let (range, bytes) = match (head.status, content_range(head), head.body) {
            (206, Some(range), Body::Length(bytes)) => (range, bytes),
            _ => return None,
        };
        let end = self.end.unwrap_or(range.whole);
        let is_same =
            strong_etag(head).as_ref() == Some(&self.etag) && self.whole.is_none_or(|whole| whole == range.whole);
        let is_next = range.first == self.first + taken && range.last + 1 == end && bytes == end - range.first;
        (is_same && is_next).then_some(bytes)
    }
}

impl Rest {
    /// Whether an answer says that there is no rest: only the end of the chunks was missing.
    fn is_over(&self, head: &ResponseHead<'_, '_>, taken: u64) -> bool {
        let whole = format!("bytes */{}", self.first + taken);
        head.status == 416
            && head.field("content-range") == Some(whole.as_bytes())
            && strong_etag(head).is_none_or(|etag| etag == self.etag)
    }
}

/// A connection that brings the rest.
struct Found {
    stream: Wire,
    buffer: Buffer,
    bytes: u64,
    keep_alive: bool,
}

impl<'c, S: Stream> Exchange<'c, S> {
    /// Goes on with an answer along the course until it is whole, or the course ends.
    pub(crate) async fn resume<'u>(
        &mut self,
        rest: Rest,
        (request, course): (&mut Flow, &mut impl Course<'u>),
        places: &mut Places<'u>,
        mut response: Flow,
    ) -> Result<(), Broken>
    where
        'c: 'u,
    {
        let result = loop {
            let Some(hop) = course.next(Some(Lost::Cut)) else { break Err(Broken) };
            // The one before is of no more use.
            places.leave();
            if let Err(limit) = places.pass(self.limits, self.gate, hop.upstream, || {}).await {
                self.trail.shed = Some(limit);
                break Err(Broken);
            }
            let began = Instant::now();
            let Some(mut found) = self.find_rest(&rest, hop, (request, course), response.taken()).await else {
                continue;
            };
            course.resumed();
            self.trail.upstream = Some(Arc::clone(hop.upstream));
            self.trail.hops += 1;
            response.follow_with(BodyReader::new(Body::Length(found.bytes), self.guard), rest.is_chunked);
            let can_leave = course.has_next();
            let ends = (&mut found.stream, &mut found.buffer);
            let watched = can_leave.then_some(&**hop.upstream);
            match Duplex::new(self, ends, request, &mut response, watched).body().await {
                Ok(()) => {
                    hop.upstream.metrics.count(UpstreamOutcome::Answered);
                    if found.keep_alive && found.buffer.is_empty() {
                        hop.upstream.server.keep(found.stream, self.limits.pool_idle_max as usize);
                    }
                    break Ok(());
                }
                Err(outcome) => {
                    hop.upstream.metrics.count(outcome);
                    if !matches!(outcome, UpstreamOutcome::Closed | UpstreamOutcome::Left) {
                        break Err(Broken);
                    }
                    hop.upstream.broke_off(began);
                    response.detach(&found.buffer);
                }
            }
        };
        self.trail.body_bytes = response.taken();
        self.output = response.into_pending();
        result
    }

    /// Asks one upstream for the rest.
    async fn find_rest<'u>(
        &mut self,
        rest: &Rest,
        hop: Hop<'u>,
        (request, course): (&Flow, &impl Course<'u>),
        taken: u64,
    ) -> Option<Found> {
        let (mut head, mut asked) = (buffer::take_output(), buffer::take_output());
        if hop.is_origin {
            course.write_origin_head(&request.pending, &mut head);
        } else {
            head.extend_from_slice(&request.pending);
        }
        rest.write_head(&head, taken, &mut asked);
        let found = self.ask(rest, hop.upstream, &asked, taken).await;
        buffer::give_output(head);
        buffer::give_output(asked);
        found
    }

    async fn ask(&mut self, rest: &Rest, upstream: &Upstream, asked: &[u8], taken: u64) -> Option<Found> {
        // Never a kept connection: it may be closing just now, and this is the client's last chance.
        let mut stream = match upstream.connect(self.deadline, self.limits.connect_timeout_ms).await {
            Ok(stream) => stream,
            Err(_) => {
                upstream.metrics.count(UpstreamOutcome::ConnectFailed);
                return None;
            }
        };
        self.deadline.set(self.limits.response_timeout_ms);
        self.deadline.within(stream.write_all(asked)).await.ok()?.ok()?;
        let mut buffer = Buffer::new();
        let mut interim = 0;
        loop {
            {
                let mut room = scratch();
                let asked = Asked { head: false, upgrade: false };
                if !buffer.is_empty()
                    && let Some(head) = guard::response(buffer.data(), &mut room, self.guard, asked).ok()?
                {
                    let (used, keep_alive) = (head.head_bytes, head.keep_alive);
                    if head.status >= 200 {
                        let bytes = rest.fit(&head, taken)?;
                        buffer.consume(used);
                        return Some(Found { stream, buffer, bytes, keep_alive });
                    }
                    interim += 1;
                    buffer.consume(used);
                    if interim > INTERIM_MAX {
                        return None;
                    }
                    continue;
                }
            }
            self.fill_rest(upstream, &mut stream, &mut buffer).await?;
        }
    }

    /// Reads more of the rest's head; nothing where none comes, or its upstream is given up.
    async fn fill_rest(&mut self, upstream: &Upstream, stream: &mut Wire, buffer: &mut Buffer) -> Option<()> {
        let until_ms = deadline::now_ms() + self.limits.response_timeout_ms;
        loop {
            self.deadline.set(LOOK_MS);
            match self.deadline.within(buffer.fill(stream, self.guard.head_bytes_max)).await {
                Ok(Ok(1..)) => return Some(()),
                Ok(_) => return None,
                Err(_) if upstream.is_left() || deadline::now_ms() >= until_ms => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_protocols::Limits;

    fn fit(rest: &Rest, taken: u64, text: &str) -> Option<u64> {
        let limits = Limits::default();
        let mut room = scratch();
        let head = guard::response(text.as_bytes(), &mut room, &limits, Asked { head: false, upgrade: false });
        rest.fit(&head.unwrap().unwrap(), taken)
    }

    fn rest(end: Option<u64>) -> Rest {
        Rest { etag: b"\"v1\"".to_vec(), first: 0, end, whole: end, is_chunked: end.is_none() }
    }

    #[test]
    fn asks_for_what_is_missing_of_the_same_version() {
        let mut out = Vec::new();
        let head = b"GET /a HTTP/1.1\r\nhost: h\r\nRange: bytes=0-9\r\nIf-Range: \"v0\"\r\naccept: */*\r\n\r\n";
        Rest { first: 100, end: Some(200), ..rest(Some(1000)) }.write_head(head, 7, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "GET /a HTTP/1.1\r\nhost: h\r\naccept: */*\r\nrange: bytes=107-199\r\nif-range: \"v1\"\r\n\r\n"
        );
        let mut out = Vec::new();
        rest(None).write_head(head, 7, &mut out);
        assert!(String::from_utf8(out).unwrap().contains("\r\nrange: bytes=7-\r\n"));
    }

    #[test]
    fn takes_only_the_very_rest() {
        let answer = |etag: &str, range: &str, bytes: u64| {
            format!("HTTP/1.1 206 P\r\netag: {etag}\r\ncontent-range: bytes {range}\r\ncontent-length: {bytes}\r\n\r\n")
        };
        let known = rest(Some(100));
        assert_eq!(fit(&known, 40, &answer("\"v1\"", "40-99/100", 60)), Some(60));
        assert_eq!(fit(&rest(None), 40, &answer("\"v1\"", "40-99/100", 60)), Some(60));
        for (etag, range, bytes) in [
            ("\"v2\"", "40-99/100", 60),
            ("W/\"v1\"", "40-99/100", 60),
            ("\"v1\"", "41-99/100", 59),
            ("\"v1\"", "40-98/100", 59),
            ("\"v1\"", "40-99/101", 60),
            ("\"v1\"", "40-99/100", 59),
            ("\"v1\"", "40-99/*", 60),
        ] {
            assert_eq!(fit(&known, 40, &answer(etag, range, bytes)), None, "{etag} {range} {bytes}");
        }
        assert_eq!(fit(&known, 40, "HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 100\r\n\r\n"), None);
        assert_eq!(fit(&known, 40, "HTTP/1.1 206 P\r\netag: \"v1\"\r\ncontent-length: 60\r\n\r\n"), None);
    }

    #[test]
    fn a_range_is_one_of_bytes() {
        let read = |value: &str| {
            let limits = Limits::default();
            let text = format!("HTTP/1.1 206 P\r\ncontent-range: {value}\r\ncontent-length: 0\r\n\r\n");
            let mut room = scratch();
            let head = guard::response(text.as_bytes(), &mut room, &limits, Asked { head: false, upgrade: false });
            content_range(&head.unwrap().unwrap())
        };
        assert_eq!(read("bytes 0-0/1"), Some(ContentRange { first: 0, last: 0, whole: 1 }));
        for value in
            ["bytes 1-0/2", "bytes 0-1/1", "bytes +0-1/2", "bytes */2", "items 0-0/1", "bytes 0-0", "bytes -/1"]
        {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
