//! A connection of HTTP/1.1 to a program that speaks HTTP/2: each brings one request, many share one real connection.

use super::incoming::{Framing, Incoming, broken, write_fields};
use super::outgoing::{LIMITS, Outgoing, field, gone};
use alongside_protocols::{guard, scratch, write_framing};
use alongside_transport::Wire;
use alongside_transport::deadline;
use alongside_transport::wire::Channel;
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, TE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;

/// Connections to one program, of each thread.
const CONNECTIONS_MAX: usize = 16;

/// What a program may send of an answer before somebody reads it: of one stream, and of all.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What of a request may wait for the program: of one stream.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// What small pieces of answers that wait to be read may cost, each counted with 256 bytes less its own.
const PIECES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The largest head of an answer, each field counted with 32 bytes more than it has.
const FIELDS_BYTES_MAX: u32 = 64 * 1024;

/// A connection to a program, and how many requests are on it.
#[derive(Clone)]
struct Shared {
    send: SendRequest<Bytes>,
    open: Arc<()>,
    /// When a request was last begun or over, in the thread's coarse time.
    used_ms: Arc<AtomicU64>,
}

/// The connections to one program.
#[derive(Default)]
struct Known {
    shared: Vec<Shared>,
    /// Held by who opens another one: who comes meanwhile may find room on it.
    opening: Arc<Mutex<()>>,
}

thread_local! {
    static KNOWN: RefCell<HashMap<String, Known>> = RefCell::new(HashMap::new());
}

/// Closes the connections of this thread on which there was no request for `idle_ms`.
pub(crate) fn sweep(idle_ms: u64) {
    let now_ms = deadline::now_ms();
    KNOWN.with_borrow_mut(|all| {
        all.retain(|_, known| {
            let is_used = |one: &Shared| now_ms.saturating_sub(one.used_ms.load(Ordering::Relaxed)) < idle_ms;
            known.shared.retain(|one| Arc::strong_count(&one.open) > 1 || is_used(one));
            !known.shared.is_empty() || Arc::strong_count(&known.opening) > 1
        });
    });
}

/// Returns what one request can be sent on to the program at an address: on a connection that is there, or on a new one, which
/// `connect` opens.
///
/// # Errors
/// The connection's, and those of its first frames.
pub(crate) async fn open<F>(address: &str, connect: impl FnOnce() -> F + Send) -> io::Result<Wire>
where
    F: Future<Output = io::Result<Wire>> + Send,
{
    let shared = match take(address) {
        Some(shared) => shared,
        None => {
            let opening = KNOWN.with_borrow_mut(|all| Arc::clone(&all.entry(address.to_owned()).or_default().opening));
            let _turn = opening.lock().await;
            match take(address) {
                Some(shared) => shared,
                None => begin(address, connect().await?).await?,
            }
        }
    };
    Ok(Wire::Channel(Box::new(Call { shared, head: Vec::new(), state: State::Asking })))
}

/// Returns the connection with the fewest requests, where it has room for one more or there may be no other.
fn take(address: &str) -> Option<Shared> {
    KNOWN.with_borrow_mut(|all| {
        let known = &mut all.get_mut(address)?.shared;
        // One that ended says so here.
        let mut context = Context::from_waker(std::task::Waker::noop());
        known.retain_mut(|shared| !matches!(shared.send.poll_ready(&mut context), Poll::Ready(Err(_))));
        let least = known.iter().min_by_key(|shared| Arc::strong_count(&shared.open))?;
        let has_room = Arc::strong_count(&least.open) <= least.send.current_max_send_streams();
        least.used_ms.store(deadline::now_ms(), Ordering::Relaxed);
        (has_room || known.len() >= CONNECTIONS_MAX).then(|| least.clone())
    })
}

async fn begin(address: &str, wire: Wire) -> io::Result<Shared> {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX)
        .data_frame_budget(PIECES_BYTES_MAX)
        .max_header_list_size(FIELDS_BYTES_MAX);
    let (send, connection) = builder.handshake(wire).await.map_err(broken)?;
    // Its end is seen by whoever has a request on it.
    tokio::spawn(async move { drop(connection.await) });
    let shared = Shared { send, open: Arc::new(()), used_ms: Arc::new(AtomicU64::new(deadline::now_ms())) };
    KNOWN.with_borrow_mut(|all| all.entry(address.to_owned()).or_default().shared.push(shared.clone()));
    Ok(shared)
}

/// One request and its answer.
struct Call {
    shared: Shared,
    /// What came of a head that is not whole.
    head: Vec<u8>,
    state: State,
}

enum State {
    /// The head is not whole.
    Asking,
    /// The answer is waited for.
    Asked { is_head: bool, stream: SendStream<Bytes>, body: Outgoing, answer: ResponseFuture },
    /// The answer comes.
    Answered { stream: SendStream<Bytes>, body: Outgoing, incoming: Incoming },
}

impl Call {
    /// Takes bytes of the head; what follows it is written again.
    fn take_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.head.extend_from_slice(bytes);
        let mut room = scratch();
        let read = guard::request(&self.head, &mut room, &LIMITS).map_err(io::Error::other)?;
        let Some(head) = read else { return Ok(bytes.len()) };
        let (request, body, rest) =
            (request_of(&head).map_err(io::Error::other)?, Outgoing::of(head.body), self.head.len() - head.head_bytes);
        let is_head = request.method() == Method::HEAD;
        let (answer, stream) = self.shared.send.send_request(request, body.is_done()).map_err(broken)?;
        self.head = Vec::new();
        self.state = State::Asked { is_head, stream, body, answer };
        Ok(bytes.len() - rest)
    }
}

/// Returns a request's head as HTTP/2 has it.
fn request_of(head: &alongside_protocols::RequestHead<'_, '_>) -> Result<Request<()>, http::Error> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(head.authority)?);
    parts.path_and_query = Some(PathAndQuery::try_from(head.target)?);
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method.as_bytes())?;
    *request.uri_mut() = Uri::from_parts(parts)?;
    *request.version_mut() = http::Version::HTTP_2;
    for found in head.end_to_end(true) {
        let (name, value) = field(found.name.as_bytes(), found.value)?;
        request.headers_mut().append(name, value);
    }
    if let alongside_protocols::Body::Length(bytes) = head.body {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    // Fields behind an answer's body go on to the client.
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

/// Returns an answer as HTTP/1.1 has it.
fn incoming_of(answer: Response<RecvStream>, is_head: bool) -> Incoming {
    let (parts, body) = answer.into_parts();
    let mut head = Vec::with_capacity(512);
    // Writing to a vector cannot fail.
    let _ = write!(head, "HTTP/1.1 {} \r\n", parts.status.as_u16());
    write_fields(&parts.headers, &mut head);
    let has_body = !is_head && !matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let framing = match (has_body, parts.headers.contains_key(CONTENT_LENGTH), body.is_end_stream()) {
        (false, ..) => Framing::None,
        (true, true, _) => Framing::Length,
        (true, false, true) => {
            write_framing(alongside_protocols::Body::Length(0), &mut head);
            Framing::None
        }
        (true, false, false) => {
            write_framing(alongside_protocols::Body::Chunked, &mut head);
            Framing::Chunks
        }
    };
    head.extend_from_slice(b"\r\n");
    Incoming::new(head, framing, body)
}

impl Drop for Call {
    fn drop(&mut self) {
        self.shared.used_ms.store(deadline::now_ms(), Ordering::Relaxed);
    }
}

impl AsyncRead for Call {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Asked { is_head, answer, .. } = &mut self.state {
            let (is_head, answer) = (*is_head, ready!(Pin::new(answer).poll(context)).map_err(broken)?);
            let incoming = incoming_of(answer, is_head);
            if let State::Asked { stream, body, .. } = std::mem::replace(&mut self.state, State::Asking) {
                self.state = State::Answered { stream, body, incoming };
            }
        }
        match &mut self.state {
            State::Answered { incoming, .. } => incoming.poll_read(context, buffer),
            // Nobody reads before anything was asked.
            State::Asking | State::Asked { .. } => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Call {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Asking => {
                if self.head.is_empty() {
                    ready!(self.shared.send.poll_ready(context)).map_err(broken)?;
                }
                Poll::Ready(self.take_head(bytes))
            }
            State::Asked { stream, body, .. } | State::Answered { stream, body, .. } => {
                body.poll_write(context, bytes, stream)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Asking => Poll::Ready(Ok(())),
            State::Asked { stream, body, .. } | State::Answered { stream, body, .. } => body.poll_pass(context, stream),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

impl Channel for Call {}
