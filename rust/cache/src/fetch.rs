//! Asking the origin, once for everyone.

use crate::asker::Asker;
use crate::flight::{Arrived, Confirmed, FetchError, Flight, FlightHead};
use crate::object::{Body as Whole, Object};
use crate::service::Cache;
use crate::store::{Insert, Offer, Ticket};
use crate::terms::Terms;
use alongside_document::Limits;
use alongside_http::body::BodyReader;
use alongside_http::link::ConnectError;
use alongside_http::metrics::UpstreamOutcome;
use alongside_policy::caching::vary::VaryNames;
use alongside_policy::caching::{Fields, Keep, Reject, Request, Response, Store as Verdict, Times, date, refresh};
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Asked, Body, ResponseHead, guard, scratch};
use alongside_transport::{Buffer, Deadline, pool};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What to ask, and for whom.
#[derive(Debug)]
pub struct Ask {
    /// The head for the origin, without conditions and without the final empty line.
    pub head: Vec<u8>,
    /// The client.
    pub asker: Asker,
    /// The store's key.
    pub key: Vec<u8>,
    /// When the request left, as far as purges are concerned.
    pub ticket: Ticket,
    /// The stored answer that is to be confirmed.
    pub stale: Option<Arc<Object>>,
    /// The limits in force.
    pub limits: Limits,
    /// The guard's part of them.
    pub guard: alongside_protocols::Limits,
}

/// A final head, and what was decided of it.
enum Decided {
    /// The stored answer holds.
    Confirmed { confirmed: Confirmed, keep_alive: bool },
    /// The 304 speaks of something else: ask again without conditions.
    Unconfirmed,
    /// A new answer.
    New { head: Arc<FlightHead>, body: Body, keep: Option<Keep>, keep_alive: bool },
}

/// A connection to the origin during one flight.
struct Link {
    stream: TcpStream,
    buffer: Buffer,
    deadline: Deadline,
    is_kept: bool,
}

/// Asks, and tells the flight what comes. Always ends the flight.
pub async fn fetch(cache: &Cache, flight: &Flight, mut ask: Ask) {
    let mut result = attempt(cache, flight, &ask).await;
    if let Ok(false) = result {
        ask.stale = None;
        cache.store.remove(&ask.key);
        result = attempt(cache, flight, &ask).await;
    }
    let outcome = match result {
        Ok(_) => UpstreamOutcome::Answered,
        Err(FetchError::Unreachable) => UpstreamOutcome::ConnectFailed,
        Err(FetchError::Closed) => UpstreamOutcome::Closed,
        Err(FetchError::TimedOut) => UpstreamOutcome::TimedOut,
        Err(FetchError::Refused) => UpstreamOutcome::Refused,
        Err(FetchError::Abandoned) => UpstreamOutcome::Abandoned,
    };
    cache.origin.metrics.count(outcome);
    flight.end(result.map(|_| ()));
}

/// One question. False: the answer was to another question; ask again without conditions.
async fn attempt(cache: &Cache, flight: &Flight, ask: &Ask) -> Result<bool, FetchError> {
    cache.metrics.origin.inc();
    let mut text = ask.head.clone();
    if let Some(stale) = &ask.stale {
        stale.validators().write(&mut text);
    }
    text.extend_from_slice(b"\r\n");
    let mut is_second = false;
    let (mut link, decided) = loop {
        let mut link = connect(cache, ask, is_second).await?;
        let asked_ms = cache.clock.now_ms();
        match head(cache, &mut link, ask, &text, asked_ms).await {
            // A kept connection that closed before a byte came was closed before it was asked.
            Err(FetchError::Closed) if link.is_kept && link.buffer.is_empty() => {
                cache.origin.metrics.retries.inc();
                is_second = true;
            }
            Err(error) => return Err(error),
            Ok(decided) => break (link, decided),
        }
    };
    match decided {
        Decided::Unconfirmed => Ok(false),
        Decided::Confirmed { confirmed, keep_alive } => {
            give_back(cache, ask, link, keep_alive);
            flight.arrive(Arrived::Confirmed(Arc::new(confirmed)));
            Ok(true)
        }
        Decided::New { head, body, keep, keep_alive } => {
            if head.is_kept {
                cache.forget_pass(&ask.key);
            } else {
                flight.stop_keeping();
            }
            flight.arrive(Arrived::Head(Arc::clone(&head)));
            let is_delimited = pass(cache, flight, ask, &mut link, body).await?;
            if let (Some(keep), Some(pieces)) = (keep, flight.pieces()) {
                flight.land(land(cache, ask, &head, keep, pieces));
            }
            give_back(cache, ask, link, keep_alive && is_delimited);
            Ok(true)
        }
    }
}

async fn connect(cache: &Cache, ask: &Ask, is_fresh: bool) -> Result<Link, FetchError> {
    let deadline = Deadline::new();
    let kept = if is_fresh { None } else { cache.origin.reuse() };
    let is_kept = kept.is_some();
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let connected = cache.origin.connect(&deadline, ask.limits.connect_timeout_ms).await;
            connected.map_err(|error| match error {
                ConnectError::Failed { .. } => FetchError::Unreachable,
                ConnectError::TimedOut { .. } => FetchError::TimedOut,
            })?
        }
    };
    Ok(Link { stream, buffer: Buffer::new(), deadline, is_kept })
}

fn give_back(cache: &Cache, ask: &Ask, link: Link, keep_alive: bool) {
    if keep_alive && link.buffer.is_empty() {
        pool::give(&cache.origin.address, link.stream, ask.limits.pool_idle_max as usize);
    }
}

/// Sends the question and reads to the final head.
async fn head(cache: &Cache, link: &mut Link, ask: &Ask, text: &[u8], asked_ms: u64) -> Result<Decided, FetchError> {
    link.deadline.set(ask.limits.response_timeout_ms);
    match link.deadline.within(link.stream.write_all(text)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(FetchError::Closed),
        Err(_) => return Err(FetchError::TimedOut),
    }
    loop {
        if let Some(decided) = take_head(cache, link, ask, asked_ms)? {
            return Ok(decided);
        }
        fill(link, ask.guard.head_bytes_max).await?;
    }
}

async fn fill(link: &mut Link, limit: usize) -> Result<(), FetchError> {
    match link.deadline.within(link.buffer.fill(&mut link.stream, limit)).await {
        Ok(Ok(1..)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::OutOfMemory => Err(FetchError::Refused),
        Ok(_) => Err(FetchError::Closed),
        Err(_) => Err(FetchError::TimedOut),
    }
}

fn take_head(cache: &Cache, link: &mut Link, ask: &Ask, asked_ms: u64) -> Result<Option<Decided>, FetchError> {
    while !link.buffer.is_empty() {
        let mut room = scratch();
        let asked = Asked { head: false, upgrade: false };
        let parsed = guard::response(link.buffer.data(), &mut room, &ask.guard, asked);
        let Some(head) = parsed.map_err(|_| FetchError::Refused)? else { return Ok(None) };
        let used = head.head_bytes;
        let decided = if head.status < 200 { None } else { Some(decide(cache, ask, &head, asked_ms)?) };
        link.buffer.consume(used);
        if decided.is_some() {
            return Ok(decided);
        }
    }
    Ok(None)
}

/// What becomes of a final head. Pure but for the store, which takes a confirmed answer.
fn decide(cache: &Cache, ask: &Ask, head: &ResponseHead<'_, '_>, asked_ms: u64) -> Result<Decided, FetchError> {
    let times = Times { asked_ms, arrived_ms: cache.clock.now_ms() };
    let asked = ask.asker.fields();
    let request = Request { method: "GET", fields: Fields(&asked), has_body: false, is_upgrade: false };
    let mut fields: Vec<httparse::Header<'_>> =
        head.end_to_end().map(|(name, value)| httparse::Header { name, value }).collect();
    let mut now = Vec::new();
    //= RFC 9110 section 6.6.1: who keeps an answer without a Date adds the time at which it came.
    if !Fields(&fields).has("date") {
        date::write(times.arrived_ms / 1000, &mut now);
        fields.push(httparse::Header { name: "date", value: &now });
    }
    match (&ask.stale, head.status) {
        (Some(stale), 304) => {
            if !refresh::confirms(stale.validators(), Fields(&fields)) {
                return Ok(Decided::Unconfirmed);
            }
            let confirmed = confirm(cache, ask, stale, &fields, (&request, times));
            Ok(Decided::Confirmed { confirmed, keep_alive: head.keep_alive })
        }
        (None, 304) => Err(FetchError::Refused),
        _ => {
            let verdict = alongside_policy::caching::store(
                &request,
                &Response { status: head.status, fields: Fields(&fields) },
                times,
            );
            Ok(new_answer(cache, head, &fields, verdict, (&request, times)))
        }
    }
}

/// What becomes of an answer that is not stored yet.
fn new_answer(
    cache: &Cache,
    head: &ResponseHead<'_, '_>,
    fields: &[httparse::Header<'_>],
    verdict: Verdict,
    (request, times): (&Request<'_>, Times),
) -> Decided {
    let length = match head.body {
        Body::None => Some(0),
        Body::Length(bytes) => Some(bytes),
        Body::Chunked | Body::UntilClose => None,
    };
    let (keep, reject) = match verdict {
        Verdict::Keep(keep) => (Some(keep), None),
        Verdict::Pass(reject) => (None, Some(reject)),
    };
    let unshared = reject.map(Reject::as_str);
    // One client's credentials or an error that its fields provoked say nothing about the others' requests.
    let is_provoked = matches!(reject, Some(Reject::Authorization | Reject::Status | Reject::Partial));
    let obstacle = obstacle(cache, head.body, length);
    if let Some(reason) = unshared.or(obstacle) {
        cache.metrics.unstored(reason);
    }
    let vary = keep.as_ref().map(|keep| keep.vary.clone()).unwrap_or_default();
    let meta = keep.as_ref().map_or_else(|| crate::answer::passing(times.arrived_ms), |keep| keep.meta);
    let preview = Object::new(head.status, written(head.status, head.reason, fields), Whole::new(Vec::new()), meta);
    let is_kept = keep.is_some() && obstacle.is_none();
    let terms = Terms::new(unshared, vary, request.fields, &meta);
    let flight_head = FlightHead { preview, length, terms, is_kept, is_personal: !is_kept && !is_provoked };
    Decided::New {
        head: Arc::new(flight_head),
        body: head.body,
        keep: keep.filter(|_| is_kept),
        keep_alive: head.keep_alive,
    }
}

/// Why an answer that may be stored cannot be.
fn obstacle(cache: &Cache, body: Body, length: Option<u64>) -> Option<&'static str> {
    if body == Body::UntilClose {
        // Nobody could tell whether it is whole.
        return Some("no-length");
    }
    length.is_some_and(|bytes| bytes > cache.store.object_bytes_max()).then_some("too-large")
}

/// Renews a stored answer by a 304.
fn confirm(
    cache: &Cache,
    ask: &Ask,
    stale: &Object,
    update: &[httparse::Header<'_>],
    (request, times): (&Request<'_>, Times),
) -> Confirmed {
    let stored = stale.fields();
    let merged = refresh::merge(Fields(&stored), Fields(update));
    let response = Response { status: stale.status(), fields: Fields(&merged) };
    let head = written(stale.status(), alongside_http::answer::phrase(stale.status()), &merged);
    match alongside_policy::caching::store(request, &response, times) {
        Verdict::Keep(keep) => {
            let terms = Terms::new(None, keep.vary.clone(), request.fields, &keep.meta);
            let object = stale.refreshed(head.clone(), keep.meta);
            let offer = Offer { key: &ask.key, ticket: ask.ticket, request: request.fields, vary: keep.vary, object };
            match cache.store.insert(offer, times.arrived_ms) {
                Insert::Stored(object) => Confirmed { object, terms, is_stored: true },
                refused => {
                    cache.metrics.unstored(refused.as_str());
                    Confirmed { object: Arc::new(stale.refreshed(head, keep.meta)), terms, is_stored: false }
                }
            }
        }
        Verdict::Pass(reject) => {
            cache.metrics.unstored(reject.as_str());
            cache.store.remove(&ask.key);
            let meta = crate::answer::passing(times.arrived_ms);
            let terms = Terms::new(Some(reject.as_str()), VaryNames::default(), request.fields, &meta);
            Confirmed { object: Arc::new(stale.refreshed(head, meta)), terms, is_stored: false }
        }
    }
}

/// Returns a stored head: status line and fields, without those that each hop or answer writes anew.
fn written(status: u16, reason: &str, fields: &[httparse::Header<'_>]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    for field in fields {
        if !["age", "cache-status"].iter().any(|name| field.name.eq_ignore_ascii_case(name)) {
            head.extend_from_slice(field.name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(field.value);
            head.extend_from_slice(b"\r\n");
        }
    }
    head
}

/// Passes the body to the flight. Returns whether it ended before the connection did.
async fn pass(cache: &Cache, flight: &Flight, ask: &Ask, link: &mut Link, body: Body) -> Result<bool, FetchError> {
    let mut reader = BodyReader::new(body, &ask.guard);
    let patience = Duration::from_millis(ask.limits.body_timeout_ms);
    let mut total: u64 = 0;
    let mut gathered = Vec::new();
    loop {
        let mut is_over = false;
        // Everything that came at once becomes one piece, however small the origin's chunks are.
        while !is_over {
            let (used, piece) = reader.next(link.buffer.data()).map_err(|_| FetchError::Refused)?;
            is_over = piece == Piece::End;
            let is_more = piece == Piece::More;
            if let Piece::Data(data) = piece {
                gathered.extend_from_slice(data);
            }
            link.buffer.consume(used);
            if is_more {
                break;
            }
        }
        if !gathered.is_empty() {
            let piece = Bytes::copy_from_slice(&gathered);
            gathered.clear();
            total += piece.len() as u64;
            if flight.keeps() && total > cache.store.object_bytes_max() {
                cache.metrics.unstored("too-large");
                flight.stop_keeping();
            }
            if !flight.push(piece) {
                cache.metrics.unstored("no-memory");
            }
            if !flight.room(patience).await {
                return Err(FetchError::Abandoned);
            }
        }
        if is_over {
            return Ok(true);
        }
        link.deadline.set(ask.limits.response_timeout_ms);
        match fill(link, usize::MAX).await {
            Ok(()) => {}
            Err(FetchError::Closed) if reader.end() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Stores a whole answer; returns it where that was possible.
fn land(cache: &Cache, ask: &Ask, head: &FlightHead, keep: Keep, pieces: Vec<Bytes>) -> Option<Arc<Object>> {
    let asked = ask.asker.fields();
    let object = Object::new(head.preview.status(), head.preview.head().to_vec(), Whole::new(pieces), keep.meta);
    let offer = Offer { key: &ask.key, ticket: ask.ticket, request: Fields(&asked), vary: keep.vary, object };
    match cache.store.insert(offer, cache.clock.now_ms()) {
        Insert::Stored(object) => Some(object),
        refused => {
            cache.metrics.unstored(refused.as_str());
            None
        }
    }
}
