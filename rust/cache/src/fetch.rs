//! Asking siblings and the origin, once for everyone.

use crate::asker::Asker;
use crate::between::{self, Question, Said};
use crate::decide::{self, Decided};
use crate::flight::{Arrived, FetchError, Flight};
use crate::link::Link;
use crate::meeting::Meeting;
use crate::object::Object;
use crate::service::Cache;
use crate::sibling::{CONNECT_MS, Sibling};
use crate::store::Ticket;
use alongside_document::Limits;
use alongside_http::body::BodyReader;
use alongside_http::link::Upstream;
use alongside_http::metrics::UpstreamOutcome;
use alongside_http::places::Places;
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Asked, Body, guard, scratch};
use alongside_transport::gate::Gate;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use tokio::time::timeout;

/// How long a sibling may take to answer from its store; it fetches nothing for that.
pub const STORED_TIME_MAX: Duration = Duration::from_secs(1);

/// What to ask, and for whom.
#[derive(Debug)]
pub struct Ask {
    /// The head for the origin, without conditions and without the final empty line.
    pub head: Vec<u8>,
    /// How siblings are asked first; nothing where it is for one client only.
    pub meeting: Option<Meeting>,
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
    /// The requests under way in the whole process.
    pub gate: Arc<Gate>,
}

/// Who is asked.
#[derive(Debug, Clone, Copy)]
enum Source<'s> {
    Origin,
    /// A sibling, for whatever it takes.
    Meeting(&'s Arc<Sibling>),
    /// A sibling, for what it has stored.
    Stored(&'s Arc<Sibling>),
}

impl<'s> Source<'s> {
    const fn sibling(self) -> Option<&'s Arc<Sibling>> {
        match self {
            Self::Origin => None,
            Self::Meeting(sibling) | Self::Stored(sibling) => Some(sibling),
        }
    }

    fn upstream(self, cache: &'s Cache) -> &'s Upstream {
        self.sibling().map_or(&*cache.origin, |sibling| &sibling.upstream)
    }
}

/// Asks, and tells the flight what comes. Always ends the flight.
pub async fn fetch(cache: &Cache, flight: &Flight, mut ask: Ask) {
    let result = ask_in_turn(cache, flight, &mut ask).await;
    flight.end(result);
}

/// Asks the replicas that stand before this one in the key's order; where there is none, the others for what they have stored; then
/// the origin.
async fn ask_in_turn(cache: &Cache, flight: &Flight, ask: &mut Ask) -> Result<(), FetchError> {
    if let Some(meeting) = ask.meeting.clone() {
        let key = ask.key.clone();
        let above = cache.siblings.above(&key).filter(|_| meeting.asked_by.is_none()).map(Source::Meeting);
        let others = cache.siblings.others(&key, meeting.asked_by.as_deref()).filter(|_| meeting.takes_stored);
        for source in above.chain(others.map(Source::Stored)) {
            if let Some(result) = ask_sibling(cache, flight, ask, source).await {
                return result;
            }
        }
    }
    // Siblings bound themselves; the origin is bounded here, once for all who wait for this answer.
    let gate = Arc::clone(&ask.gate);
    let mut places = Places::new(&ask.limits, Instant::now());
    if places.pass(&ask.limits, &gate, &cache.origin, || {}).await.is_err() {
        return Err(FetchError::Shed);
    }
    let result = match open_confirmed(cache, ask, Source::Origin).await {
        Ok((link, decided)) => carry(cache, flight, ask, Source::Origin, (link, decided)).await,
        Err(error) => Err(error),
    };
    cache.origin.metrics.count(outcome(result));
    result
}

/// Asks a sibling; nothing where it has no answer and the next one is to be asked.
async fn ask_sibling(
    cache: &Cache,
    flight: &Flight,
    ask: &mut Ask,
    source: Source<'_>,
) -> Option<Result<(), FetchError>> {
    let sibling = source.sibling().filter(|sibling| sibling.is_usable())?;
    let opened = if matches!(source, Source::Stored(_)) {
        let opened = timeout(STORED_TIME_MAX, open_confirmed(cache, ask, source)).await;
        opened.unwrap_or(Err(FetchError::TimedOut))
    } else {
        open_confirmed(cache, ask, source).await
    };
    let (link, decided) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            sibling.upstream.metrics.count(outcome(Err(error)));
            sibling.failed();
            cache.metrics.asked_sibling(match error {
                FetchError::TimedOut => "timed_out",
                FetchError::Refused => "refused",
                _ => "unreachable",
            });
            return None;
        }
    };
    sibling.heard();
    let result = match decided {
        Decided::NotStored { body, keep_alive } => {
            cache.metrics.asked_sibling("miss");
            drop_body(ask, sibling, link, (body, keep_alive)).await;
            return None;
        }
        Decided::Outdated => {
            cache.metrics.asked_sibling("outdated");
            return None;
        }
        // It could not reach the origin; perhaps this node can.
        Decided::Faulty(FetchError::Unreachable) => return None,
        Decided::Faulty(error) => Err(error),
        decided => carry(cache, flight, ask, source, (link, decided)).await,
    };
    sibling.upstream.metrics.count(outcome(result));
    Some(result)
}

const fn outcome(result: Result<(), FetchError>) -> UpstreamOutcome {
    match result {
        Ok(()) => UpstreamOutcome::Answered,
        Err(FetchError::Unreachable) => UpstreamOutcome::ConnectFailed,
        Err(FetchError::Closed) => UpstreamOutcome::Closed,
        Err(FetchError::TimedOut) => UpstreamOutcome::TimedOut,
        Err(FetchError::Refused) => UpstreamOutcome::Refused,
        Err(FetchError::Abandoned | FetchError::Shed) => UpstreamOutcome::Abandoned,
    }
}

/// Asks up to the final head, without conditions where the answer to them was to another question.
async fn open_confirmed(cache: &Cache, ask: &mut Ask, source: Source<'_>) -> Result<(Link, Decided), FetchError> {
    let opened = open(cache, ask, source).await;
    if !matches!(opened, Ok((_, Decided::Unconfirmed))) {
        return opened;
    }
    ask.stale = None;
    cache.store.remove(&ask.key);
    open(cache, ask, source).await
}

/// Returns the question as a source gets it.
fn question(cache: &Cache, ask: &Ask, source: Source<'_>) -> Vec<u8> {
    let mut text = match (source, &ask.meeting) {
        (Source::Meeting(_) | Source::Stored(_), Some(meeting)) => meeting.head.to_vec(),
        _ => ask.head.clone(),
    };
    if source.sibling().is_some() {
        between::write_question(Question::Meet, cache.siblings.own_id(), &mut text);
        between::write_origin(&cache.source, &mut text);
    }
    if matches!(source, Source::Stored(_)) {
        text.extend_from_slice(b"cache-control: only-if-cached\r\n");
    }
    if let Some(stale) = &ask.stale {
        stale.validators().write(&mut text);
    }
    text.extend_from_slice(b"\r\n");
    text
}

async fn open(cache: &Cache, ask: &Ask, source: Source<'_>) -> Result<(Link, Decided), FetchError> {
    let upstream = source.upstream(cache);
    if source.sibling().is_none() {
        cache.metrics.origin.inc();
    }
    let text = question(cache, ask, source);
    let connect_timeout_ms = match source {
        Source::Origin => ask.limits.connect_timeout_ms,
        _ => ask.limits.connect_timeout_ms.min(CONNECT_MS),
    };
    let mut is_second = false;
    loop {
        let mut link = Link::open(upstream, connect_timeout_ms, is_second).await?;
        if let Source::Meeting(sibling) = source {
            link.watch(Some(sibling));
        }
        let asked_ms = cache.clock.now_ms();
        match head(cache, &mut link, ask, source, (&text, asked_ms)).await {
            // A kept connection that closed before a byte came was closed before it was asked.
            Err(FetchError::Closed) if link.is_kept && link.buffer.is_empty() => {
                upstream.metrics.retries.inc();
                is_second = true;
            }
            Err(error) => return Err(error),
            Ok(decided) => {
                link.watch(source.sibling());
                return Ok((link, decided));
            }
        }
    }
}

/// Sends the question and reads to the final head.
async fn head(
    cache: &Cache,
    link: &mut Link,
    ask: &Ask,
    source: Source<'_>,
    (text, asked_ms): (&[u8], u64),
) -> Result<Decided, FetchError> {
    link.deadline.set(ask.limits.response_timeout_ms);
    link.send(text).await?;
    loop {
        if let Some(decided) = take_head(cache, link, ask, source, asked_ms)? {
            return Ok(decided);
        }
        link.fill(ask.guard.head_bytes_max).await?;
    }
}

fn take_head(
    cache: &Cache,
    link: &mut Link,
    ask: &Ask,
    source: Source<'_>,
    asked_ms: u64,
) -> Result<Option<Decided>, FetchError> {
    while !link.buffer.is_empty() {
        let mut room = scratch();
        let asked = Asked { head: false, upgrade: false };
        let parsed = guard::response(link.buffer.data(), &mut room, &ask.guard, asked);
        let Some(head) = parsed.map_err(|_| FetchError::Refused)? else { return Ok(None) };
        let (used, body, keep_alive) = (head.head_bytes, head.body, head.keep_alive);
        let said = source.sibling().map(|_| Said::of(&head));
        if let Some(sibling) = source.sibling() {
            note_origin(cache, sibling, between::other_origin(&head));
        }
        let decided = match (head.status, said, source) {
            (..200, ..) => None,
            (_, Some(Said { fault: Some(error), .. }), _) => Some(Decided::Faulty(error)),
            // What is stored is never an error of a server.
            (500.., _, Source::Stored(_)) => Some(Decided::NotStored { body, keep_alive }),
            // It does not know us: the key was stripped, and its answer may be that to another one.
            (_, Some(Said { age_ms: None, .. }), _) => return Err(FetchError::Refused),
            (_, Some(said), _) if decide::is_outdated(cache, &ask.key, asked_ms, said) => Some(Decided::Outdated),
            _ => Some(decide::decide(cache, ask, &head, (asked_ms, said))?),
        };
        link.buffer.consume(used);
        if let (Some(Decided::New { .. } | Decided::Confirmed { .. }), Some(said)) = (&decided, said) {
            cache.metrics.asked_sibling(if said.is_hit { "hit" } else { "fetched" });
        }
        if decided.is_some() {
            return Ok(decided);
        }
    }
    Ok(None)
}

/// Counts that a sibling has another origin's answers, and says so once: the two would never meet, and nobody would know why.
fn note_origin(cache: &Cache, sibling: &Sibling, theirs: Option<String>) {
    if theirs.is_some() {
        cache.metrics.asked_sibling("other_origin");
    }
    sibling.note_origin(&cache.source, theirs);
}

/// Tells the flight what was decided, and passes what follows.
async fn carry(
    cache: &Cache,
    flight: &Flight,
    ask: &Ask,
    source: Source<'_>,
    (mut link, decided): (Link, Decided),
) -> Result<(), FetchError> {
    let idle_max = ask.limits.pool_idle_max;
    match decided {
        Decided::Unconfirmed | Decided::NotStored { .. } | Decided::Outdated => Err(FetchError::Refused),
        Decided::Faulty(error) => Err(error),
        Decided::Confirmed { confirmed, keep_alive } => {
            link.give_back(source.upstream(cache), keep_alive, idle_max);
            flight.arrive(Arrived::Confirmed(Arc::new(confirmed)));
            Ok(())
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
                flight.land(decide::land(cache, ask, &head, keep, pieces));
            }
            link.give_back(source.upstream(cache), keep_alive && is_delimited, idle_max);
            Ok(())
        }
    }
}

/// Reads the rest of an answer that nobody wants, so that the connection can be used again.
async fn drop_body(ask: &Ask, sibling: &Sibling, mut link: Link, (body, keep_alive): (Body, bool)) {
    let mut reader = BodyReader::new(body, &ask.guard);
    let dropped = async {
        loop {
            let (used, piece) = reader.next(link.buffer.data()).ok()?;
            let (is_end, is_more) = (piece == Piece::End, piece == Piece::More);
            link.buffer.consume(used);
            if is_end {
                return Some(link);
            }
            if is_more {
                link.fill(usize::MAX).await.ok()?;
            }
        }
    };
    if let Ok(Some(link)) = timeout(STORED_TIME_MAX, dropped).await {
        link.give_back(&sibling.upstream, keep_alive, ask.limits.pool_idle_max);
    }
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
        match link.fill(usize::MAX).await {
            Ok(()) => {}
            Err(FetchError::Closed) if reader.end() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
