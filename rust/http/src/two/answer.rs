//! An answer of HTTP/1.1, as the engine writes it, sent as frames of HTTP/2.

use crate::body::BodyReader;
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Asked, Body, FIELDS_MAX, Limits, ResponseHead, guard, scratch};
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

/// What is taken of an answer before the client has room for it.
const TAKEN_BYTES_MAX: usize = 32 * 1024;

/// What the engine writes: heads that were let in, and what is added to them.
const LIMITS: Limits = Limits { head_bytes_max: 2 * 1024 * 1024, fields_max: FIELDS_MAX, target_bytes_max: 0 };

/// A client's side of a stream. Shared with who looks whether the client gave it up.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Mutex<Side>>);

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

/// What comes next in what the engine writes.
#[derive(Debug)]
enum Next {
    Head,
    Body(BodyReader),
    Tunnel,
    /// All was taken, trailers perhaps are to be sent.
    End(Option<HeaderMap>),
    Nothing,
}

/// An answer on its way from the engine to the client.
#[derive(Debug)]
pub(crate) struct Answering {
    client: Client,
    asked: Asked,
    /// What the engine wrote and was not understood yet.
    taken: Vec<u8>,
    /// The body's bytes for which the client had no room yet.
    payload: BytesMut,
    next: Next,
}

impl Answering {
    /// Returns an answer to what was asked, of which nothing is there.
    pub fn new(client: Client, asked: Asked) -> Self {
        Self { client, asked, taken: Vec::new(), payload: BytesMut::new(), next: Next::Head }
    }

    /// Whether the whole answer was handed over.
    pub const fn is_done(&self) -> bool {
        matches!(self.next, Next::Nothing)
    }

    /// Gives the stream up, unless it is over.
    pub fn reset(&mut self, reason: Reason) {
        if !self.is_done() {
            self.client.reset(reason);
            self.next = Next::Nothing;
        }
    }

    /// Takes bytes of the answer.
    pub fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.taken.len() + self.payload.len() >= TAKEN_BYTES_MAX {
            ready!(self.poll_pass(context))?;
        }
        let room = TAKEN_BYTES_MAX.saturating_sub(self.taken.len() + self.payload.len()).max(1);
        let count = bytes.len().min(room);
        self.taken.extend_from_slice(&bytes[..count]);
        // What finds no room now goes out with the next bytes, or when it is flushed.
        if let Poll::Ready(Err(error)) = self.poll_pass(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    /// Sends what was taken, as far as it is understood.
    pub fn poll_pass(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(context))?;
            if !self.take().map_err(io::Error::other)? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Sends the end of a tunnel; an answer that is not whole stays so.
    pub fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass(context))?;
        if matches!(self.next, Next::Tunnel) {
            self.next = Next::End(None);
            ready!(self.poll_send(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends payload, and the end behind it.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_ending = matches!(self.next, Next::End(None));
        while !self.payload.is_empty() {
            let mut side = self.client.lock();
            let Side::Answered(stream) = &mut *side else { return Poll::Ready(Err(gone())) };
            stream.reserve_capacity(self.payload.len());
            let mut room = stream.capacity();
            if room == 0 {
                room = match ready!(stream.poll_capacity(context)) {
                    Some(Ok(room)) => room,
                    _ => return Poll::Ready(Err(gone())),
                };
            }
            let piece = self.payload.split_to(room.min(self.payload.len())).freeze();
            let is_last = is_ending && self.payload.is_empty();
            if stream.send_data(piece, is_last).is_err() {
                return Poll::Ready(Err(gone()));
            }
            if is_last {
                drop(side);
                self.next = Next::Nothing;
            }
        }
        if let Next::End(trailers) = &mut self.next {
            let mut side = self.client.lock();
            let Side::Answered(stream) = &mut *side else { return Poll::Ready(Err(gone())) };
            let sent = match trailers.take() {
                Some(trailers) => stream.send_trailers(trailers),
                None => stream.send_data(Bytes::new(), true),
            };
            drop(side);
            self.next = Next::Nothing;
            sent.map_err(|_| gone())?;
        }
        Poll::Ready(Ok(()))
    }

    /// Understands what was taken; returns whether there is something to send or to understand.
    fn take(&mut self) -> Result<bool, String> {
        match &mut self.next {
            Next::Head => self.take_head(),
            Next::Body(reader) => {
                let (used, piece) = reader.next(&self.taken).map_err(|refusal| refusal.to_string())?;
                let (is_data, is_end) = match piece {
                    Piece::Data(data) => {
                        self.payload.extend_from_slice(data);
                        (true, reader.is_done())
                    }
                    Piece::End => (false, true),
                    Piece::More => (false, false),
                };
                let trailers = if is_end { fields_of(reader.trailers()) } else { None };
                self.taken.drain(..used);
                if is_end {
                    self.next = Next::End(trailers);
                }
                Ok(is_data || is_end)
            }
            Next::Tunnel => {
                self.payload.extend_from_slice(&self.taken);
                self.taken.clear();
                Ok(!self.payload.is_empty())
            }
            Next::End(_) => Ok(true),
            Next::Nothing => {
                // The connection's own end, of which a stream knows nothing.
                self.taken.clear();
                Ok(false)
            }
        }
    }

    fn take_head(&mut self) -> Result<bool, String> {
        if self.taken.is_empty() {
            return Ok(false);
        }
        let mut room = scratch();
        let read =
            guard::response(&self.taken, &mut room, &LIMITS, self.asked).map_err(|refusal| refusal.to_string())?;
        let Some(head) = read else { return Ok(false) };
        let used = head.head_bytes;
        let (answer, body, is_tunnel) = (answer_of(&head)?, head.body, head.upgrade);
        if head.status < 200 && !is_tunnel {
            self.client.inform(answer).map_err(|error| error.to_string())?;
            self.taken.drain(..used);
            return Ok(true);
        }
        let is_over = matches!(body, Body::None | Body::Length(0)) && !is_tunnel;
        self.client.begin(answer, is_over).map_err(|error| error.to_string())?;
        self.taken.drain(..used);
        self.next = if is_tunnel {
            Next::Tunnel
        } else if is_over {
            Next::Nothing
        } else {
            Next::Body(BodyReader::new(body, &LIMITS))
        };
        Ok(true)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Returns an answer's head as HTTP/2 has it.
fn answer_of(head: &ResponseHead<'_, '_>) -> Result<Response<()>, String> {
    let mut answer = Response::new(());
    //= RFC 8441 section 5: what opens a websocket is 200 in the one version and 101 in the other.
    let status = if head.upgrade { 200 } else { head.status };
    *answer.status_mut() = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
    for (name, value) in head.end_to_end() {
        let (name, value) = field(name.as_bytes(), value)?;
        if !(head.upgrade && name == SEC_WEBSOCKET_ACCEPT) {
            answer.headers_mut().append(name, value);
        }
    }
    if let Some(bytes) = head.content_length {
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Ok(answer)
}

fn field(name: &[u8], value: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_bytes(value).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// Returns the fields of trailer lines, each of which ends with CRLF; nothing where there are none.
fn fields_of(lines: &[u8]) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for line in lines.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        // The guard let them through.
        if let Ok((name, value)) = field(&line[..colon], line[colon + 1..].trim_ascii()) {
            fields.append(name, value);
        }
    }
    (!fields.is_empty()).then_some(fields)
}
