//! Carrying plans out: sending what is stored, riding a flight, passing on.

use crate::answer::{self, Part};
use crate::fetch::{self, Ask};
use crate::flight::{Arrived, Confirmed, FetchError, Flight, FlightHead, Next, Reader};
use crate::object::Object;
use crate::service::{Cache, Planned, Wanted};
use crate::terms::{self, Fit};
use alongside_http::forward::Only;
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
        match planned {
            Planned::Stored { object, status, part } => send_stored(&object, status, part, exchange).await,
            Planned::Fetch(wanted) => self.run_fetch(*wanted, exchange).await,
            Planned::Unavailable => exchange.refuse(504, "it is not stored, and the request forbids to fetch it").await,
            Planned::Pass { invalidates, why, detail } => {
                let status = CacheStatus { detail: Some(detail.as_str()), ..self.status(Outcome::Forward(why)) };
                answer::write_status(&status, &mut exchange.extra);
                //= RFC 9111 section 4.4: a cache must invalidate the target of an unsafe method that did not fail.
                exchange.notice = invalidates.map(|key| {
                    let store = Arc::clone(&self.store);
                    Notice::new(move |status| {
                        if (200..400).contains(&status) {
                            store.purge_key(&key);
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
        exchange.forward(&mut Only::new(Arc::clone(&self.origin))).await
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
            if is_collapsed && is_first {
                self.metrics.collapsed.inc();
            }
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
                asker: wanted.asker.clone(),
                key: wanted.key.clone(),
                ticket,
                stale: wanted.stale.clone(),
                limits: exchange.limits.clone(),
                guard: *exchange.guard,
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
        let arrived = exchange.deadline.within(reader.arrived()).await;
        match arrived.unwrap_or(Arrived::Failed(FetchError::TimedOut)) {
            Arrived::Failed(error) => {
                let (status, why) = error.answer();
                Flown::Answered(exchange.refuse(status, why).await)
            }
            Arrived::Confirmed(confirmed) => {
                if is_collapsed && let Some(not_mine) = not_mine(wanted, &confirmed.terms) {
                    return not_mine;
                }
                let (status, part) = self.write_confirmed(wanted, &confirmed, is_collapsed, exchange);
                Flown::Answered(send_stored(&confirmed.object, status, part, exchange).await)
            }
            Arrived::Head(head) => {
                if head.is_personal {
                    self.remember_pass(&wanted.key);
                }
                // What is not kept is held only for its slowest reader, and nobody should wait for another.
                if is_collapsed && !head.is_kept {
                    return Flown::NotMine(None);
                }
                if is_collapsed && let Some(not_mine) = not_mine(wanted, &head.terms) {
                    return not_mine;
                }
                Flown::Answered(self.stream((wanted, &head), (&mut reader, is_collapsed), exchange).await)
            }
        }
    }

    fn write_confirmed<S: Stream>(
        &self,
        wanted: &Wanted,
        Confirmed { object, terms, is_stored }: &Confirmed,
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
        let age_s = object.meta().age_now_ms(now_ms) / 1000;
        exchange.output.clear();
        let fields = wanted.asker.fields();
        answer::write(object, &request(&fields), age_s, &status, &mut exchange.output)
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
        if write_arrived((wanted, head), &status, is_chunked, exchange) {
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
                Ok(Next::Piece(piece)) => send_piece(&piece, is_chunked, exchange).await?,
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
            return exchange.send(status).await;
        }
        Part::Whole => (0, u64::MAX),
        Part::Range(first, last) => (first, last),
    };
    exchange.status = status;
    exchange.write_paced(None).await?;
    let pieces: Vec<Bytes> = object.body().part(first, last).collect();
    for piece in &pieces {
        exchange.write_paced(Some(piece)).await?;
    }
    Ok(())
}

/// Returns what to do about an answer to someone else's request that does not answer this one too.
fn not_mine(wanted: &Wanted, terms: &terms::Terms) -> Option<Flown> {
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
    status: &CacheStatus<'_>,
    is_chunked: bool,
    exchange: &mut Exchange<'_, S>,
) -> bool {
    let (output, preview) = (&mut exchange.output, &head.preview);
    let age_s = preview.meta().age_ms / 1000;
    if head.terms.unshared.is_none() {
        let fields = wanted.asker.fields();
        let request = request(&fields);
        let answered = conditional::answer(&request, preview.status(), preview.validators());
        if answered == conditional::Answer::NotModified {
            answer::write(preview, &request, age_s, status, output);
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
    if age_s > 0 {
        let _ = write!(output, "age: {age_s}\r\n");
    }
    answer::write_status(status, output);
    false
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
