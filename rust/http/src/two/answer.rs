//! An answer of HTTP/1.1, as the engine writes it, sent as frames of HTTP/2.

use super::outgoing::{LIMITS, Outgoing, field, gone};
use alongside_protocols::{Asked, Body, ResponseHead, guard, scratch};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT};
use http::{HeaderValue, Response, StatusCode};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// A client's side of a stream. Shared with who looks whether the client gave it up.
#[derive(Debug, Clone)]
pub(super) struct Client(Arc<Mutex<Side>>);

#[derive(Debug)]
enum Side {
    Unanswered(SendResponse<Bytes>),
    Answered(SendStream<Bytes>),
}

impl Client {
    /// Returns the side of a stream that was not answered.
    pub fn new(respond: SendResponse<Bytes>) -> Self {
        Self(Arc::new(Mutex::new(Side::Unanswered(respond))))
    }

    fn lock(&self) -> MutexGuard<'_, Side> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the client gives the stream up, or it is gone.
    pub fn poll_left(&self, context: &mut Context<'_>) -> Poll<()> {
        match &mut *self.lock() {
            Side::Unanswered(respond) => respond.poll_reset(context).map(drop),
            Side::Answered(stream) => stream.poll_reset(context).map(drop),
        }
    }

    /// Whether its head is out.
    pub fn is_answered(&self) -> bool {
        matches!(&*self.lock(), Side::Answered(_))
    }

    fn begin(&self, answer: Response<()>, is_over: bool) -> Result<(), h2::Error> {
        let mut side = self.lock();
        if let Side::Unanswered(respond) = &mut *side {
            let stream = respond.send_response(answer, is_over)?;
            *side = Side::Answered(stream);
        }
        Ok(())
    }

    fn inform(&self, answer: Response<()>) -> Result<(), h2::Error> {
        match &mut *self.lock() {
            Side::Unanswered(respond) => respond.send_informational(answer),
            Side::Answered(_) => Ok(()),
        }
    }

    fn reset(&self, reason: Reason) {
        match &mut *self.lock() {
            Side::Unanswered(respond) => respond.send_reset(reason),
            Side::Answered(stream) => stream.send_reset(reason),
        }
    }

    /// Answers with a status alone.
    pub fn refuse(&self, status: StatusCode) {
        let mut answer = Response::new(());
        *answer.status_mut() = status;
        // Where it is gone nobody waits for it.
        let _ = self.begin(answer, true);
    }
}

/// An answer on its way from the engine to the client.
#[derive(Debug)]
pub(super) struct Answering {
    client: Client,
    asked: Asked,
    /// What came of a head that is not whole.
    head: Vec<u8>,
    /// What follows the head.
    body: Option<Outgoing>,
}

impl Answering {
    /// Returns an answer to what was asked, of which nothing is there.
    pub const fn new(client: Client, asked: Asked) -> Self {
        Self { client, asked, head: Vec::new(), body: None }
    }

    /// Whether the whole answer was handed over.
    pub fn is_done(&self) -> bool {
        self.body.as_ref().is_some_and(Outgoing::is_done)
    }

    /// Gives the stream up, unless it is over.
    pub fn reset(&mut self, reason: Reason) {
        if !self.is_done() {
            self.client.reset(reason);
            self.body.insert(Outgoing::of(Body::None)).give_up();
        }
    }

    /// Takes bytes of the answer.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(body) = &mut self.body {
            let mut side = self.client.lock();
            return match &mut *side {
                Side::Answered(stream) => body.poll_write(context, bytes, stream),
                Side::Unanswered(_) => Poll::Ready(Err(gone())),
            };
        }
        self.head.extend_from_slice(bytes);
        while self.body.is_none() {
            let Some(used) = self.take_head()? else { return Poll::Ready(Ok(bytes.len())) };
            self.head.drain(..used);
        }
        // A head that was not whole before ends in these bytes: what follows it is written again, as a body.
        let rest = std::mem::take(&mut self.head).len();
        Poll::Ready(Ok(bytes.len() - rest))
    }

    /// Sends what was taken.
    pub fn poll_pass(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(())) };
        match &mut *self.client.lock() {
            Side::Answered(stream) => body.poll_pass(context, stream),
            Side::Unanswered(_) => Poll::Ready(Ok(())),
        }
    }

    /// Sends the end of a tunnel; an answer that is not whole stays so.
    pub fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass(context))?;
        if let Some(body) = &mut self.body {
            body.end_tunnel();
        }
        self.poll_pass(context)
    }

    /// Sends a head, and returns how long it was; nothing while it is not whole.
    fn take_head(&mut self) -> io::Result<Option<usize>> {
        let mut room = scratch();
        let read = guard::response(&self.head, &mut room, &LIMITS, self.asked).map_err(io::Error::other)?;
        let Some(head) = read else { return Ok(None) };
        if self.asked.upgrade && !head.upgrade && (200..300).contains(&head.status) {
            //= RFC 8441 section 5: there a success opens the tunnel, which nobody holds the other end of.
            self.client.refuse(StatusCode::BAD_GATEWAY);
            self.body.insert(Outgoing::of(Body::None)).give_up();
            return Ok(Some(self.head.len()));
        }
        let answer = answer_of(&head).map_err(io::Error::other)?;
        if head.status < 200 && !head.upgrade {
            self.client.inform(answer).map_err(io::Error::other)?;
            return Ok(Some(head.head_bytes));
        }
        let body = if head.upgrade { Outgoing::tunnel() } else { Outgoing::of(head.body) };
        self.client.begin(answer, body.is_done()).map_err(io::Error::other)?;
        self.body = Some(body);
        Ok(Some(head.head_bytes))
    }
}

/// Returns an answer's head as HTTP/2 has it.
fn answer_of(head: &ResponseHead<'_, '_>) -> Result<Response<()>, http::Error> {
    let mut answer = Response::new(());
    //= RFC 8441 section 5: what opens a websocket is 200 in the one version and 101 in the other.
    let status = if head.upgrade { 200 } else { head.status };
    *answer.status_mut() = StatusCode::from_u16(status)?;
    for (name, value) in head.end_to_end() {
        let (name, value) = field(name.as_bytes(), value)?;
        if !(head.upgrade && name == SEC_WEBSOCKET_ACCEPT) {
            answer.headers_mut().append(name, value);
        }
    }
    // An answer of gRPC that is all trailers has its length in HTTP/1.1 alone; clients would show it as one of them.
    if let Some(bytes) = head.content_length.filter(|_| head.field("grpc-status").is_none()) {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Ok(answer)
}
