//! What a listener serves: the seam between the engine and the router, the cache and the doors.

use crate::exchange::{Broken, Exchange};
use alongside_protocols::{Body, Peer, RequestHead};
use alongside_transport::Bare;
use std::future::Future;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A client's connection: TCP, a UNIX socket, later TLS.
pub trait Stream: AsyncRead + AsyncWrite + Bare + Unpin + Send {
    /// Makes closing say that something was cut, where the transport can tell that from an end.
    fn cut(&mut self) {}
}

impl Stream for TcpStream {
    fn cut(&mut self) {
        // An answer that only the close delimits would look whole; and nothing waits for a client that does not read.
        let _ = self.set_zero_linger();
    }
}

impl Stream for UnixStream {}

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The client's address: the peer's, or what an inner peer says it is.
    pub ip: IpAddr,
    /// The peer's address and the scheme it used.
    pub peer: Peer<'a>,
    /// The peer is one of ours: its key and forwarding fields are believed.
    pub is_inner: bool,
}

/// What of a request's head outlives it.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// How its body is delimited.
    pub body: Body,
    /// HEAD: the answer has no body.
    pub is_head: bool,
    /// GET: an answer that breaks off can go on from elsewhere.
    pub is_get: bool,
    /// HTTP/1.1, else 1.0.
    pub is_http11: bool,
    /// The client wants to go on.
    pub keep_alive: bool,
    /// A websocket was asked for.
    pub upgrade: bool,
    /// The client waits for a word before it sends the body.
    pub expects_continue: bool,
    /// It may be sent twice: the method is idempotent and there is no body.
    pub is_repeatable: bool,
}

impl Facts {
    /// Returns what the engine must know of a request.
    #[must_use]
    pub fn of(head: &RequestHead<'_, '_>) -> Self {
        let has_body = !matches!(head.body, Body::None | Body::Length(0));
        Self {
            body: head.body,
            is_head: head.method == "HEAD",
            is_get: head.method == "GET",
            is_http11: head.is_http11,
            keep_alive: head.keep_alive,
            upgrade: head.upgrade.is_some(),
            expects_continue: head.expects_continue,
            is_repeatable: !has_body && matches!(head.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE"),
        }
    }
}

/// Something that answers requests.
pub trait Service: Send + Sync + 'static {
    /// What is decided of a request while its head is at hand.
    type Plan: Send;

    /// Decides, at once and without waiting. `output` is empty: a plan may leave a head or an answer there for `run`.
    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Self::Plan;

    /// Carries a plan out: answers, or forwards. An error says that the client's connection is of no further use.
    fn run<S: Stream>(
        &self,
        plan: Self::Plan,
        exchange: &mut Exchange<'_, S>,
    ) -> impl Future<Output = Result<(), Broken>> + Send;
}
