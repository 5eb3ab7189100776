//! HTTP/2: each stream is served as a connection of HTTP/1.1 that brings one request.
//!
//! The frames are the h2 crate's. A request is written as a head of HTTP/1.1 and read by the guard as any other; what the
//! engine writes is read again and sent as frames. So routes, caches and programs, limits, logs and metrics are the same.

mod answer;
pub(crate) mod call;
mod incoming;
mod meter;
mod outgoing;
mod request;
mod stream;

use crate::connection;
use crate::entry::Caller;
use crate::listener::Listener;
use crate::pace::Pace;
use crate::service::{Service, Stream};
use alongside_document::Limits;
use alongside_protocols::Asked;
use alongside_transport::Deadline;
use answer::{Answering, Client};
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Method, Request, StatusCode};
use incoming::{Framing, Incoming};
use meter::{Flooded, Metered};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use stream::Virtual;

/// Streams of a connection at one time.
const STREAMS_MAX: u32 = 100;

/// Fields of a request, each with 32 bytes more than it has.
const FIELDS_BYTES_MAX: u32 = 16 * 1024;

/// What a client may send of a body before somebody reads it: of one stream, and of all.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What of an answer may wait for the client: of one stream.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// What small pieces that wait to be read may cost, each counted with 256 bytes less its own: as many as fit into one stream's
/// window where each carries a byte of gRPC, so that a quick client of many small messages is not taken for a flood.
const PIECES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Streams that were given up before anybody looked at them, and those that the client's mistakes ended.
const PENDING_RESETS_MAX: usize = 20;
const ERROR_RESETS_MAX: usize = 100;

/// Streams that a client may give up beyond those that it let end.
const LEFT_MAX: u64 = 100;

/// How often a busy connection looks whether it should end.
const LOOK_MS: u64 = 1_000;

/// How long the last words of a connection may take, and its client to close it.
const FAREWELL_MS: u64 = 2_000;

/// What the streams of a connection did.
#[derive(Debug, Default)]
struct Tally {
    open: AtomicU32,
    ended: AtomicU64,
    left: AtomicU64,
}

/// Serves a connection to its end.
pub(crate) async fn serve<S: Stream + 'static, V: Service>(stream: S, caller: Caller, listener: &Arc<Listener<V>>) {
    let deadline = Deadline::new();
    let limits = listener.state.load().limits.clone();
    deadline.set_idle(limits.head_timeout_ms);
    let (stream, flooded) = Metered::new(stream);
    let Ok(Ok(connection)) = deadline.within(terms().handshake::<Metered<S>, Bytes>(stream)).await else { return };
    let (caller, tally) = (Arc::new(caller), Arc::default());
    let served = Served { connection, flooded, is_told: false, caller, listener, tally, requests: 0 };
    served.run(&deadline, &limits).await;
}

fn terms() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(FIELDS_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .data_frame_budget(PIECES_BYTES_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(ERROR_RESETS_MAX))
        .enable_connect_protocol();
    builder
}

/// What comes next on a connection.
enum Met {
    Request(Box<Request<RecvStream>>, SendResponse<Bytes>),
    /// It is over.
    End,
    /// Its client sends too much that moves nothing.
    Flood,
}

struct Served<'s, S, V> {
    connection: Connection<Metered<S>, Bytes>,
    flooded: Flooded,
    /// It was told that it sends too much.
    is_told: bool,
    caller: Arc<Caller>,
    listener: &'s Arc<Listener<V>>,
    tally: Arc<Tally>,
    requests: u32,
}

impl<S: Stream, V: Service> Served<'_, S, V> {
    async fn run(mut self, deadline: &Deadline, limits: &Limits) {
        let mut is_leaving = false;
        let mut pace = None;
        loop {
            // What was answered may still be on its way to a slow client, whom nobody of ours waits for any more.
            let (is_open, has_more) = (self.tally.open.load(Ordering::Relaxed) > 0, self.connection.has_streams());
            let is_idle = !is_open && !has_more;
            if is_open || is_idle {
                pace = None;
            }
            match (is_idle, is_leaving) {
                (true, true) => deadline.set(FAREWELL_MS),
                (true, false) => deadline.set_idle(limits.idle_timeout_ms),
                (false, _) => deadline.set(LOOK_MS),
            }
            match deadline.within(poll_fn(|context| self.poll_next(context))).await {
                Ok(Met::Request(request, respond)) => self.take(request, respond),
                Ok(Met::End) => return,
                Ok(Met::Flood) => {
                    self.listener.metrics.refused("h2_flood");
                    self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    is_leaving = true;
                }
                Err(_) if is_idle && is_leaving => return,
                // What comes after this was not looked at, and can be asked elsewhere.
                Err(_) if is_idle => {
                    self.connection.abrupt_shutdown(Reason::NO_ERROR);
                    is_leaving = true;
                }
                Err(_) if !is_open && self.is_too_slow(&mut pace, limits) => {
                    self.listener.metrics.cut.inc();
                    return;
                }
                Err(_) => {}
            }
            let left = self.tally.left.load(Ordering::Relaxed);
            if left > LEFT_MAX + self.tally.ended.load(Ordering::Relaxed) {
                self.listener.metrics.refused("h2_resets");
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                is_leaving = true;
            }
            let is_last = self.requests >= limits.requests_per_connection_max || self.listener.is_leaving();
            if is_last && !is_leaving {
                self.connection.graceful_shutdown();
                is_leaving = true;
            }
        }
    }

    /// Waits for what comes next.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Met> {
        match self.connection.poll_accept(context) {
            Poll::Ready(Some(Ok((request, respond)))) => Poll::Ready(Met::Request(Box::new(request), respond)),
            Poll::Ready(Some(Err(error))) => {
                // By the frames' reader: the client broke the protocol, or gave up too much, and was told so.
                if error.is_library() {
                    let is_flood = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
                    self.listener.metrics.refused(if is_flood { "h2_resets" } else { "h2_frames" });
                }
                Poll::Ready(Met::End)
            }
            Poll::Ready(None) => Poll::Ready(Met::End),
            Poll::Pending if self.flooded.is_so() && !self.is_told => {
                self.is_told = true;
                Poll::Ready(Met::Flood)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether the client took less than it must in the last window of a wait for it.
    fn is_too_slow(&self, pace: &mut Option<Pace>, limits: &Limits) -> bool {
        let written = self.flooded.written();
        let kept = pace.filter(|pace| !pace.is_kept(written, limits.body_bytes_min.max(1)));
        let pace = pace.insert(kept.unwrap_or_else(|| Pace::begin(written, limits.body_timeout_ms)));
        pace.left_ms().is_none()
    }

    /// Serves a stream in a task of its own, until it is answered or the client gives it up.
    fn take(&mut self, request: Box<Request<RecvStream>>, respond: SendResponse<Bytes>) {
        self.requests += 1;
        let client = Client::new(respond);
        let written = match request::write(&request, request.body().is_end_stream()) {
            Ok(written) => written,
            Err(_) => {
                self.listener.metrics.refused("h2_request");
                self.listener.metrics.answered(400, None);
                return client.refuse(StatusCode::BAD_REQUEST);
            }
        };
        let asked = Asked { head: request.method() == Method::HEAD, upgrade: written.framing == Framing::Tunnel };
        let incoming = Incoming::new(written.head, written.framing, request.into_body());
        let stream = Virtual { incoming, answering: Answering::new(client.clone(), asked) };
        let (caller, listener) = (Arc::clone(&self.caller), Arc::clone(self.listener));
        let open = Open::new(&self.tally);
        tokio::spawn(async move {
            let mut serving = Box::pin(connection::serve(stream, &caller, &listener));
            let is_ended = poll_fn(|context| match serving.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => client.poll_left(context).map(|()| false),
            });
            let is_ended = is_ended.await;
            if !is_ended && client.is_answered() {
                // Many conversations end so: it is not held against them.
                listener.metrics.cut.inc();
                return open.close(true);
            }
            open.close(is_ended);
        });
    }
}

/// A stream that is served.
struct Open(Arc<Tally>);

impl Open {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(tally))
    }

    fn close(self, is_ended: bool) {
        let count = if is_ended { &self.0.ended } else { &self.0.left };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
