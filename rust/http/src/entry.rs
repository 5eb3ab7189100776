//! The way in: the header of a balancer in front where one must be, TLS where the listener has it, then the protocol inside.

use crate::connection;
use crate::listener::Listener;
use crate::sealed::Sealed;
use crate::service::Service;
use crate::two;
use alongside_document::{Network, Protocol};
use alongside_protocols::proxy::{self, Said};
use alongside_tls::{Acceptor, Client};
use alongside_transport::Deadline;
use alongside_transport::admission::Admitted;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// How long the header of a balancer in front may take.
const PROXY_TIMEOUT_MS: u64 = 2_000;

/// What stands before the requests of a connection.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Peers that begin with a PROXY header; where there are any, nobody else is let in.
    pub proxies: Vec<Network>,
    /// Who speaks TLS; nothing for plain connections.
    pub acceptor: Option<Arc<Acceptor>>,
}

impl Entry {
    /// Whether requests come first.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.proxies.is_empty() && self.acceptor.is_none()
    }
}

/// Who is at the other end of a connection.
#[derive(Debug)]
pub struct Caller {
    /// Its address, as the peer or a trusted balancer in front says it.
    pub ip: IpAddr,
    /// The same as text.
    pub(crate) text: Box<str>,
    /// What TLS says of it; nothing on a plain connection.
    pub secure: Option<Box<Secure>>,
}

/// What TLS says of a connection.
#[derive(Debug)]
pub struct Secure {
    /// Whether the client was asked for a certificate.
    pub is_asked: bool,
    /// The client's certificate, which was verified.
    pub client: Option<Client>,
}

impl Caller {
    /// Returns a caller on a plain connection.
    #[must_use]
    pub fn plain(ip: IpAddr) -> Self {
        Self { ip, text: ip.to_string().into_boxed_str(), secure: None }
    }

    /// The scheme of its requests.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.secure.is_some() { "https" } else { "http" }
    }

    /// Whether a request for this authority may come on this connection, as the listener has it now.
    pub(crate) fn may_ask(&self, authority: &[u8], entry: &Entry) -> bool {
        let (Some(secure), Some(acceptor)) = (&self.secure, &entry.acceptor) else { return true };
        let authority = std::str::from_utf8(authority).unwrap_or_default();
        acceptor.serves((secure.is_asked, secure.client.is_some()), authority)
    }
}

/// A connection that is let in.
enum Arrived {
    Plain(TcpStream, Caller),
    Secure(Box<Sealed>, Caller, Protocol),
}

/// Lets a connection in and serves it to its end.
pub(crate) async fn serve<V: Service>(stream: TcpStream, peer: (IpAddr, &mut Admitted), listener: &Arc<Listener<V>>) {
    // What it takes to be let in must not be carried by those who are.
    match Box::pin(arrive(stream, peer, listener)).await {
        Some(Arrived::Plain(stream, caller)) => connection::serve(stream, &caller, listener).await,
        Some(Arrived::Secure(stream, caller, Protocol::Http1)) => connection::serve(*stream, &caller, listener).await,
        Some(Arrived::Secure(stream, caller, Protocol::Http2)) => Box::pin(two::serve(*stream, caller, listener)).await,
        None => {}
    }
}

async fn arrive<V: Service>(
    mut stream: TcpStream,
    (ip, admitted): (IpAddr, &mut Admitted),
    listener: &Listener<V>,
) -> Option<Arrived> {
    let state = listener.state.load_full();
    let deadline = Deadline::new();
    let mut caller = Caller::plain(ip);
    let mut local = stream.local_addr().ok().map(|local| local.ip());
    if !state.entry.proxies.is_empty() {
        match behind_proxy(&mut stream, ip, &state.entry.proxies, &deadline).await {
            Ok(Said::Own) => {}
            Ok(Said::Client { from, to }) => {
                caller = Caller::plain(from.ip().to_canonical());
                local = Some(to.ip());
                let each_max = state.limits.connections_per_address_max;
                if let Some(Err(full)) = each_max.map(|max| admitted.count(caller.ip, max as usize)) {
                    listener.metrics.rejected(full.as_str());
                    return None;
                }
            }
            Err(reason) => {
                listener.metrics.refused(reason);
                return None;
            }
        }
    }
    let Some(acceptor) = &state.entry.acceptor else { return Some(Arrived::Plain(stream, caller)) };
    // The acceptor counts what comes of it.
    let session = acceptor.accept(stream, local.map(|local| local.to_canonical()), &deadline).await.ok()?;
    let secure = Secure { is_asked: session.asks_for_certificate, client: session.client };
    caller.secure = Some(Box::new(secure));
    Some(Arrived::Secure(Box::new(Sealed(session.stream)), caller, session.protocol))
}

/// Reads a header of the PROXY protocol, and not one byte more.
async fn behind_proxy(
    stream: &mut TcpStream,
    ip: IpAddr,
    proxies: &[Network],
    deadline: &Deadline,
) -> Result<Said, &'static str> {
    if !proxies.iter().any(|net| net.contains(ip)) {
        return Err("proxy_peer");
    }
    // Whoever is slow here is the first to leave where room is needed.
    deadline.set_idle(PROXY_TIMEOUT_MS);
    let mut bytes = Vec::new();
    loop {
        let begun = bytes.len();
        bytes.resize(begun + proxy::missing(&bytes), 0);
        match deadline.within(stream.read_exact(&mut bytes[begun..])).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(proxy::Refused::Broken.as_str()),
            Err(_) => return Err("proxy_header_timeout"),
        }
        if let Some((said, _)) = proxy::header(&bytes).map_err(proxy::Refused::as_str)? {
            return Ok(said);
        }
    }
}
