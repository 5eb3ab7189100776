//! Connections to servers: to an address, to a path, or to what a name stands for.

use super::connection::Connection;
use super::socket::Socket;
use super::turn::Reactor;
use crate::core::{LinkId, Terms, Why};
use alongside_tls::Connector;
use alongside_transport::destination::is_own_fault;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A connection to a server as the reactor knows it.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) connection: Option<Connection>,
    /// The socket is not connected yet.
    pub(crate) is_connecting: bool,
    terms: Arc<Terms>,
    server: usize,
    /// Where it leads.
    address: Option<SocketAddr>,
    /// Where else the server may be, the next one last.
    others: Vec<SocketAddr>,
    /// When the core gives connecting up.
    deadline_us: u64,
    /// When this address is given up, where there is another.
    patience_us: u64,
    /// Why an address was left that could be used here.
    left: Option<Why>,
}

impl Link {
    pub(super) fn pool(&self) -> &str {
        self.terms.pool.name.as_str()
    }

    fn target(&self) -> &str {
        self.terms.pool.servers.get(self.server).map_or("", |server| server.address.as_str())
    }
}

impl Reactor {
    /// Begins to connect a link.
    pub(super) fn connect(&mut self, id: LinkId, terms: Arc<Terms>, server: usize) {
        let index = id.index();
        if self.links.len() <= index {
            self.links.resize_with(index + 1, || None);
        }
        let Some(wanted) = terms.pool.servers.get(server) else {
            return self.core.link_closed(id, Why::Other, self.now_us);
        };
        let path = wanted.address.socket().map(Socket::to_path);
        let numeric: Option<SocketAddr> = wanted.address.as_str().parse().ok();
        let link = Link {
            id,
            connection: None,
            is_connecting: true,
            address: None,
            others: numeric.into_iter().collect(),
            deadline_us: self.now_us + terms.pool.connect_timeout_ms * 1_000,
            patience_us: 0,
            left: None,
            terms: Arc::clone(&terms),
            server,
        };
        let target = wanted.address.as_str();
        let is_named = path.is_none() && numeric.is_none();
        let found = is_named.then(|| self.common.names.get(target)).flatten();
        self.links[index] = Some(link);
        match path {
            Some(Ok(socket)) => self.begin(index, socket),
            Some(Err(error)) => self.link_failed(index, &error),
            None if numeric.is_some() => self.try_next(index),
            // Until the name is found it waits; the core gives up when that takes too long.
            None => found.into_iter().for_each(|found| self.try_these(index, &found)),
        }
    }

    fn try_these(&mut self, index: usize, addresses: &[SocketAddr]) {
        if let Some(Some(link)) = self.links.get_mut(index) {
            link.others = addresses.iter().rev().copied().collect();
            self.try_next(index);
        }
    }

    fn try_next(&mut self, index: usize) {
        loop {
            let Some(Some(link)) = self.links.get_mut(index) else { return };
            let Some(address) = link.others.pop() else {
                return self.close(index, Why::NotFound);
            };
            link.address = Some(address);
            // What is left is shared by the addresses that are left.
            let share_us = link.deadline_us.saturating_sub(self.now_us) / (link.others.len() as u64 + 1);
            link.patience_us = self.now_us + share_us;
            match Socket::to_address(address) {
                Ok(socket) => return self.begin(index, socket),
                Err(error) if link.others.is_empty() => return self.link_failed(index, &error),
                Err(error) => link.left = link.left.or_else(|| why(&error)),
            }
        }
    }

    fn begin(&mut self, index: usize, mut socket: Socket) {
        if let Err(error) = self.register_link(&mut socket, index) {
            return self.lack(index, &error);
        }
        let Some(Some(link)) = self.links.get_mut(index) else { return };
        socket.keep_alive(link.terms.pool.keepalive_ms);
        // Who is to be spoken to by TLS is never spoken to in clear.
        let tls = match (&link.terms.pool.server_tls, self.connectors.of(&link.terms)) {
            (None, _) => None,
            (Some(_), None) => return self.tls_failed(index, &"nothing here speaks it"),
            (Some(_), Some(connector)) => match shake(connector, &link.terms, link.server) {
                Ok(tls) => Some(tls),
                Err(error) => return self.tls_failed(index, &error),
            },
        };
        // A UNIX socket is connected, or is not, at once. One of TCP is asked when the kernel says that there is an outcome: to
        // ask takes the error away.
        let is_connected = matches!(socket, Socket::Unix(_)) && matches!(socket.is_connected(), Ok(true));
        link.connection = Some(Connection::new(socket, tls.map(rustls::Connection::Client)));
        if is_connected {
            self.connected(index);
        } else if !link.others.is_empty() {
            self.patience.push((link.patience_us, link.id));
        }
    }

    /// Tries the next address of links whose server was silent at one for long enough.
    pub(super) fn leave_silent(&mut self) {
        let now_us = self.now_us;
        let due: Vec<(u64, LinkId)> = self.patience.extract_if(.., |(at_us, _)| *at_us <= now_us).collect();
        for (at_us, id) in due {
            let is_it = |link: &&mut Link| link.id == id && link.is_connecting && link.patience_us == at_us;
            if let Some(link) = self.links.get_mut(id.index()).and_then(Option::as_mut).filter(is_it) {
                link.connection = None;
                link.left = Some(Why::TimedOut);
                self.try_next(id.index());
            }
        }
    }

    /// Whether a link's socket is not connected yet.
    pub(super) fn is_connecting(&self, index: usize) -> bool {
        self.links.get(index).and_then(Option::as_ref).is_some_and(|link| link.is_connecting)
    }

    /// Looks what became of connecting.
    pub(super) fn connect_on(&mut self, index: usize) {
        let Some(Some(link)) = self.links.get_mut(index) else { return };
        let Some(connection) = &link.connection else { return };
        match connection.socket.is_connected() {
            Ok(true) => self.connected(index),
            Ok(false) => {}
            Err(error) if !link.others.is_empty() => {
                link.connection = None;
                link.left = link.left.or_else(|| why(&error));
                self.try_next(index);
            }
            Err(error) => self.link_failed(index, &error),
        }
    }

    fn connected(&mut self, index: usize) {
        let Some(Some(link)) = self.links.get_mut(index) else { return };
        link.is_connecting = false;
        self.common.links_made.fetch_add(1, Ordering::Relaxed);
        (link.others, link.left) = (Vec::new(), None);
        let id = link.id;
        let is_shaking = link.connection.as_ref().is_some_and(Connection::is_handshaking);
        self.list_link(index);
        if is_shaking {
            self.flush_link(index);
        } else {
            self.core.link_connected(id, self.now_us);
        }
    }

    /// A name's lookup is over: who waits for it goes on, who was about to connect to where it no longer leads begins anew,
    /// and who is connected there moves.
    pub(super) fn named(&mut self, name: &str) {
        let Some(addresses) = self.common.names.get(name) else { return };
        for index in 0..self.links.len() {
            let Some(Some(link)) = self.links.get_mut(index) else { continue };
            if link.target() != name {
                continue;
            }
            let is_there = link.address.is_some_and(|address| addresses.is_empty() || addresses.contains(&address));
            let is_shaking = link.connection.as_ref().is_some_and(Connection::is_handshaking);
            match &link.connection {
                None => self.try_these(index, &addresses),
                Some(_) if is_there => {}
                Some(_) if link.is_connecting || is_shaking => {
                    (link.connection, link.is_connecting) = (None, true);
                    self.try_these(index, &addresses);
                }
                Some(_) => {
                    let id = link.id;
                    self.core.link_moved(id, self.now_us);
                }
            }
        }
    }

    /// Closes a link that the core has forgotten.
    pub(super) fn close_link(&mut self, id: LinkId) {
        let Some(place) = self.links.get_mut(id.index()) else { return };
        if let Some(link) = place.take_if(|link| link.id == id).filter(|link| link.is_connecting) {
            self.common.names.look_again(link.target());
        }
    }

    pub(super) fn link_ended(&mut self, index: usize) {
        let connection = self.links.get(index).and_then(Option::as_ref).and_then(|link| link.connection.as_ref());
        if connection.is_some_and(Connection::is_handshaking) {
            return self.tls_failed(index, &"it ended the connection within the handshake");
        }
        self.close(index, Why::Ended);
    }

    pub(super) fn link_failed(&mut self, index: usize, error: &io::Error) {
        match why(error) {
            None => self.lack(index, error),
            Some(Why::Tls) => self.tls_failed(index, error),
            // What another address said tells more than that the kernel does not connect to this one.
            Some(Why::Other) => self.close(index, self.left(index).unwrap_or(Why::Other)),
            Some(why) => self.close(index, why),
        }
    }

    /// Why a link left the addresses before this one.
    fn left(&self, index: usize) -> Option<Why> {
        self.links.get(index).and_then(Option::as_ref).and_then(|link| link.left)
    }

    /// Closes a link that could not be made for want of something that this process or machine has too little of.
    fn lack(&mut self, index: usize, error: &io::Error) {
        if let Some(count) = self.failures.count() {
            tracing::warn!(event = "server_connection_not_made", error = %error, count);
        }
        // A server that refused us at one address is not excused by another that this machine has no way to.
        self.close(index, self.left(index).unwrap_or(Why::Own));
    }

    fn tls_failed(&mut self, index: usize, reason: &dyn std::fmt::Display) {
        if let Some(Some(link)) = self.links.get(index) {
            let (pool, server) = (link.pool(), link.target());
            // A server that is asked often would fill the log with it.
            if self.tls_told.insert((pool.to_owned(), server.to_owned())) {
                tracing::warn!(event = "server_tls_failed", pool, server, reason = %reason);
            }
        }
        self.close(index, Why::Tls);
    }

    /// Something came from a server: if TLS fails there again, that is told again.
    pub(super) fn is_secured(&mut self, index: usize) {
        if let Some(Some(link)) = self.links.get(index) {
            self.tls_told.remove(&(link.pool().to_owned(), link.target().to_owned()));
        }
    }

    pub(super) fn close(&mut self, index: usize, why: Why) {
        if let Some(link) = self.links.get_mut(index).and_then(Option::take) {
            if link.is_connecting {
                self.common.names.look_again(link.target());
            }
            self.core.link_closed(link.id, why, self.now_us);
        }
    }
}

/// Begins TLS to a server.
fn shake(connector: &Connector, terms: &Terms, server: usize) -> Result<rustls::ClientConnection, rustls::Error> {
    let host = terms.pool.servers.get(server).map_or("", |server| host(server.address.as_str()));
    let name = connector.name().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| rustls::Error::General(format!("{name:?} is no name that a certificate could have")))?;
    rustls::ClientConnection::new(connector.config(), name)
}

/// Returns the host of `HOST:PORT`, without the brackets of IPv6; of a UNIX socket `localhost`.
fn host(target: &str) -> &str {
    if target.starts_with("unix:") {
        return "localhost";
    }
    let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Returns what an error says of the other side; nothing where it is this side's.
fn why(error: &io::Error) -> Option<Why> {
    if is_own_fault(error) {
        return None;
    }
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Why::Refused,
        io::ErrorKind::TimedOut => Why::TimedOut,
        io::ErrorKind::InvalidData => Why::Tls,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => Why::Reset,
        _ => Why::Other,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn knows_whose_certificate_is_asked_for() {
        assert_eq!(super::host("cache-0.cache:11211"), "cache-0.cache");
        assert_eq!(super::host("[::1]:6379"), "::1");
        assert_eq!(super::host("unix:/run/redis.sock"), "localhost");
    }
}
