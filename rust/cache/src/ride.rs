//! Carrying plans out: sending what is stored, riding a flight, passing on.

use crate::answer::{self, Part, Says};
use crate::between;
use crate::fetch::{self, Ask};
use crate::flight::{Arrived, Confirmed, FetchError, Flight, FlightHead, Next, Reader};
use crate::metrics::CacheMetrics;
use crate::object::Object;
use crate::reply::Reply;
use crate::service::{Cache, Planned, Wanted};
use crate::terms::{self, Fit};
use alongside_http::course::Only;
use alongside_http::{Broken, Exchange, Notice, Stream};
use alongside_policy::caching::vary::VaryNames;
use alongside_policy::caching::{CacheStatus, Fields, Outcome, Request, conditional};
use alongside_protocols::chunked;
use bytes::Bytes;
use std::io::Write;
use std::sync::Arc;

/// Body bytes up to which pieces are copied together, to go out in one write.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// What a client got of a flight.
enum Flown {
    Answered(Result<(), Broken>),
    /// The answer is not for this client; it would be if it asked for the same by the fields of these names.
    NotMine(Option<VaryNames>),
}

impl Cache {
    /// Carries a plan out.
    ///
    /// # Errors
    /// The client's connection is of no further use.
    pub async fn run<S: Stream>(
        self: &Arc<Self>,
        planned: Planned,
        exchange: &mut Exchange<'_, S>,
    ) -> Result<(), Broken> {
        exchange.trail.cache = match &planned {
            Planned::Stored { .. } => Some(Outcome::Hit.as_str()),
            Planned::Fetch(wanted) => Some(wanted.why.as_str()),
            Planned::Pass { why, .. } => Some(why.as_str()),
            Planned::Reply(_) | Planned::Warm { .. } | Planned::Unavailable => None,
        };
        match planned {
            Planned::Stored { object, status, part } => send_stored(&object, status, part, exchange).await,
            Planned::Fetch(wanted) => self.run_fetch(*wanted, exchange).await,
            Planned::Reply(reply) => send_reply(&reply, exchange).await,
            Planned::Warm { asked_by } => self.give(&asked_by, exchange).await,
            Planned::Unavailable => exchange.refuse(504, "it is not stored, and the request forbids to fetch it").await,
            Planned::Pass { invalidates, why, detail } => {
                let status = CacheStatus { detail: Some(detail.as_str()), ..self.status(Outcome::Forward(why)) };
                answer::write_status(b"", &status, &mut exchange.extra);
                //= RFC 9111 section 4.4: a cache must invalidate the target of an unsafe method that did not fail.
                exchange.notice = invalidates.map(|key| {
                    let cache = Arc::clone(self);
                    Notice::new(move |status| {
                        if (200..400).contains(&status) {
                            cache.purge_key(&key);
                            cache.siblings.forget(&key);
                        }
                    })
                });
                self.pass(exchange).await
            }
        }
    }

    /// Sends the request on, with the head in the output.
    async fn pass<S: Stream>(&self, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        self.metrics.origin.inc();
        exchange.forward(&mut Only::new(&self.origin)).await
    }

    async fn run_fetch<S: Stream>(
        self: &Arc<Self>,
        mut wanted: Wanted,
        exchange: &mut Exchange<'_, S>,
    ) -> Result<(), Broken> {
        let head = std::mem::take(&mut exchange.output);
        let mut is_first = true;
        // At most three: the flight of the URL, that of the variant, and one of its own, whose answer is for it.
        loop {
            let (reader, is_collapsed) = self.join(&wanted, &head, exchange);
            match self.follow(&wanted, (reader, is_collapsed), exchange).await {
                Flown::Answered(result) => return result,
                Flown::NotMine(names) => {
                    let names = names.filter(|_| is_first);
                    let fields = wanted.asker.fields();
                    let question = names.map(|names| terms::question(&wanted.key, &names, Fields(&fields)));
                    drop(fields);
                    wanted.question = question;
                }
            }
            is_first = false;
        }
    }

    /// Joins the flight of the same question, or begins one; says whether somebody else began it.
    fn join<S>(self: &Arc<Self>, wanted: &Wanted, head: &[u8], exchange: &Exchange<'_, S>) -> (Reader, bool) {
        let ticket = self.store.ticket(&wanted.key);
        // Who asks after a purge must not get what was asked before it.
        let question = wanted.question.as_ref().map(|question| [&ticket.bytes(), &question[..]].concat());
        let (flight, reader, is_collapsed) = self.board.join(question.as_deref(), self.store.inflight());
        if !is_collapsed {
            let ask = Ask {
                head: head.to_vec(),
                // What is for one client only is nothing for siblings.
                meeting: wanted.meeting.clone().filter(|_| question.is_some()),
                asker: wanted.asker.clone(),
                key: wanted.key.clone(),
                ticket,
                stale: wanted.stale.clone(),
                limits: exchange.limits.clone(),
                guard: *exchange.guard,
                gate: Arc::clone(exchange.gate),
            };
            let landing = Landing { cache: Arc::clone(self), question, flight };
            tokio::spawn(async move {
                fetch::fetch(&landing.cache, &landing.flight, ask).await;
            });
        }
        (reader, is_collapsed)
    }

    async fn follow<S: Stream>(
        &self,
        wanted: &Wanted,
        (mut reader, is_collapsed): (Reader, bool),
        exchange: &mut Exchange<'_, S>,
    ) -> Flown {
        // The flight has deadlines of its own; this one is for a flight that was lost.
        exchange.deadline.set(exchange.limits.connect_timeout_ms + 2 * exchange.limits.response_timeout_ms);
        let waiting = is_collapsed.then(|| Waiting::new(&self.metrics));
        let arrived = exchange.deadline.within(reader.arrived()).await;
        drop(waiting);
        let arrived = arrived.unwrap_or(Arrived::Failed(FetchError::TimedOut));
        if let Arrived::Head(head) = &arrived
            && head.is_personal
        {
            self.remember_pass(&wanted.key);
        }
        if is_collapsed && let Some(not_mine) = not_mine(wanted, &arrived) {
            return not_mine;
        }
        if is_collapsed && wanted.asked_by.is_none() {
            self.metrics.collapsed.inc();
        }
        match arrived {
            Arrived::Failed(FetchError::Shed) => {
                exchange.trail.shed = Some("upstream_requests_max");
                Flown::Answered(send_failure(FetchError::Shed, wanted.asked_by.is_some(), exchange).await)
            }
            Arrived::Failed(error) => Flown::Answered(send_failure(error, wanted.asked_by.is_some(), exchange).await),
            Arrived::Confirmed(confirmed) => {
                let (status, part) = self.write_confirmed(wanted, &confirmed, is_collapsed, exchange);
                Flown::Answered(send_stored(&confirmed.object, status, part, exchange).await)
            }
            Arrived::Head(head) => {
                Flown::Answered(self.stream((wanted, &head), (&mut reader, is_collapsed), exchange).await)
            }
        }
    }

    fn write_confirmed<S: Stream>(
        &self,
        wanted: &Wanted,
        Confirmed { object, terms, before, is_stored }: &Confirmed,
        is_collapsed: bool,
        exchange: &mut Exchange<'_, S>,
    ) -> (u16, Part) {
        let now_ms = self.clock.now_ms();
        let status = CacheStatus {
            forward_status: Some(304),
            ttl_s: Some(object.meta().fresh_left_ms(now_ms).div_euclid(1000)),
            is_stored: *is_stored,
            is_collapsed,
            detail: terms.unshared,
            ..self.status(Outcome::Forward(wanted.why))
        };
        let age_ms = object.meta().age_now_ms(now_ms);
        exchange.output.clear();
        let fields = wanted.asker.fields();
        let says = Says { age_s: age_ms / 1000, before, status };
        let written = answer::write(object, &request(&fields), &says, &mut exchange.output);
        write_between(wanted, (age_ms, now_ms), &mut exchange.output);
        written
    }

    /// Passes a flight's answer on as it comes.
    async fn stream<S: Stream>(
        &self,
        (wanted, head): (&Wanted, &FlightHead),
        (reader, is_collapsed): (&mut Reader, bool),
        exchange: &mut Exchange<'_, S>,
    ) -> Result<(), Broken> {
        let status = CacheStatus {
            is_stored: head.is_kept,
            is_collapsed,
            detail: head.terms.unshared,
            ..self.status(Outcome::Forward(wanted.why))
        };
        exchange.output.clear();
        let is_chunked = head.length.is_none() && exchange.facts.is_http11;
        let now_ms = self.clock.now_ms();
        // What is for this client only came just now; its age is the origin's affair.
        let age_ms = if head.terms.unshared.is_some() { 0 } else { head.preview.meta().age_now_ms(now_ms) };
        let says = Says { age_s: age_ms / 1000, before: &head.before, status };
        let is_short = write_arrived((wanted, head), &says, is_chunked, exchange);
        write_between(wanted, (age_ms, now_ms), &mut exchange.output);
        if head.is_open && wanted.asked_by.is_some() {
            between::write_unkept(&mut exchange.output);
        }
        if is_short {
            exchange.end_head();
            return exchange.send(304).await;
        }
        exchange.keep_alive &= head.length.is_some() || is_chunked;
        exchange.end_head();
        exchange.status = head.preview.status();
        loop {
            if !reader.is_ready() {
                exchange.write_paced(None).await?;
                exchange.output.clear();
            }
            exchange.deadline.set(2 * exchange.limits.response_timeout_ms);
            match exchange.deadline.within(reader.next()).await {
                Ok(Next::Piece(piece)) => {
                    exchange.trail.body_bytes += piece.len() as u64;
                    send_piece(&piece, is_chunked, exchange).await?;
                }
                Ok(Next::End) => {
                    if is_chunked {
                        chunked::write_end(b"", &mut exchange.output);
                    }
                    return exchange.write_paced(None).await;
                }
                Ok(Next::Failed(_)) | Err(_) => return Err(Broken),
            }
        }
    }
}

/// Sends a piece, or lets a small one wait for the next.
async fn send_piece<S: Stream>(piece: &Bytes, is_chunked: bool, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
    if is_chunked {
        chunked::write_chunk(piece, &mut exchange.output);
    } else if piece.len() <= COPY_BYTES_MAX {
        exchange.output.extend_from_slice(piece);
    } else {
        exchange.write_paced(None).await?;
        exchange.output.clear();
        exchange.write_paced(Some(piece)).await?;
    }
    if exchange.output.len() > COPY_BYTES_MAX {
        exchange.write_paced(None).await?;
        exchange.output.clear();
    }
    Ok(())
}

/// Sends a stored answer whose head, without its end, is in the output.
async fn send_stored<S: Stream>(
    object: &Object,
    status: u16,
    part: Part,
    exchange: &mut Exchange<'_, S>,
) -> Result<(), Broken> {
    exchange.end_head();
    let (first, last) = match part {
        Part::Nothing => return exchange.send(status).await,
        Part::Whole if object.body().length() <= COPY_BYTES_MAX as u64 => {
            for chunk in object.body().chunks() {
                exchange.output.extend_from_slice(chunk);
            }
            exchange.trail.body_bytes = object.body().length();
            return exchange.send(status).await;
        }
        Part::Whole => (0, u64::MAX),
        Part::Range(first, last) => (first, last),
    };
    exchange.status = status;
    exchange.write_paced(None).await?;
    let pieces: Vec<Bytes> = object.body().part(first, last).collect();
    for piece in &pieces {
        exchange.trail.body_bytes += piece.len() as u64;
        exchange.write_paced(Some(piece)).await?;
    }
    Ok(())
}

/// Sends what one of ours asked.
async fn send_reply<S: Stream>(reply: &Reply, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
    let Reply { status, lines, body } = reply;
    let phrase = alongside_http::answer::phrase(*status);
    exchange.output.clear();
    let _ = write!(exchange.output, "HTTP/1.1 {status} {phrase}\r\ncontent-length: {}\r\n", body.len());
    exchange.output.extend_from_slice(lines);
    exchange.end_head();
    if !exchange.facts.is_head {
        exchange.output.extend_from_slice(body.as_bytes());
        exchange.trail.body_bytes = body.len() as u64;
    }
    exchange.send(*status).await
}

/// Says that there is no answer. A sibling learns why, so that it is no answer of the origin there either.
async fn send_failure<S: Stream>(
    error: FetchError,
    is_for_sibling: bool,
    exchange: &mut Exchange<'_, S>,
) -> Result<(), Broken> {
    if is_for_sibling {
        return send_reply(&Reply::fault(error), exchange).await;
    }
    let (status, why) = error.answer();
    exchange.refuse(status, why).await
}

/// Writes what a sibling must know of an answer.
fn write_between(wanted: &Wanted, (age_ms, now_ms): (u64, u64), output: &mut Vec<u8>) {
    if let Some(asked_by) = &wanted.asked_by {
        between::write_age(age_ms, now_ms.saturating_sub(asked_by.began_ms), output);
    }
}

/// Returns what to do about what came for someone else's request, if it does not answer this one too.
fn not_mine(wanted: &Wanted, arrived: &Arrived) -> Option<Flown> {
    let terms = match arrived {
        Arrived::Failed(_) => return None,
        Arrived::Confirmed(confirmed) => &confirmed.terms,
        // What is not kept is held only for its slowest reader, and nobody should wait for another.
        Arrived::Head(head) if !head.is_kept => return Some(Flown::NotMine(None)),
        Arrived::Head(head) => &head.terms,
    };
    match terms.fit(Fields(&wanted.asker.fields())) {
        Fit::Yes => None,
        Fit::OtherVariant(names) => Some(Flown::NotMine(Some(names))),
        Fit::No => Some(Flown::NotMine(None)),
    }
}

/// What is fetched is fetched for a GET.
fn request<'a>(fields: &'a [httparse::Header<'a>]) -> Request<'a> {
    Request { method: "GET", fields: Fields(fields), has_body: false, is_upgrade: false }
}

/// Writes the head of a new answer, without its end; true where the client has it already and gets a 304.
fn write_arrived<S: Stream>(
    (wanted, head): (&Wanted, &FlightHead),
    says: &Says<'_>,
    is_chunked: bool,
    exchange: &mut Exchange<'_, S>,
) -> bool {
    let (output, preview) = (&mut exchange.output, &head.preview);
    if head.terms.unshared.is_none() {
        let fields = wanted.asker.fields();
        let request = request(&fields);
        let answered = conditional::answer(&request, preview.status(), preview.validators());
        if answered == conditional::Answer::NotModified {
            answer::write(preview, &request, says, output);
            return true;
        }
    }
    output.extend_from_slice(preview.head());
    match head.length {
        //= RFC 9110 section 8.6: no Content-Length in a 204.
        Some(_) if preview.status() == 204 => {}
        Some(bytes) => {
            let _ = write!(output, "content-length: {bytes}\r\n");
        }
        None if is_chunked => output.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        None => {}
    }
    if says.age_s > 0 {
        let _ = write!(output, "age: {}\r\n", says.age_s);
    }
    answer::write_status(says.before, &says.status, output);
    false
}

/// Counts a request while it waits for another client's answer.
struct Waiting<'m>(&'m CacheMetrics);

impl<'m> Waiting<'m> {
    fn new(metrics: &'m CacheMetrics) -> Self {
        metrics.waiting.inc();
        Self(metrics)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.dec();
    }
}

/// Takes a flight off the board when its task ends, however it ends.
struct Landing {
    cache: Arc<Cache>,
    question: Option<Vec<u8>>,
    flight: Arc<Flight>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flight.end(Err(FetchError::Abandoned));
        if let Some(question) = &self.question {
            self.cache.board.leave(question, &self.flight);
        }
    }
}
