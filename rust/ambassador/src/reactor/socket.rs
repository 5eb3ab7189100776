//! A socket of either family.

use alongside_transport::local;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// A connection's socket, which never waits.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Begins to connect.
    pub(crate) fn to_address(address: SocketAddr) -> io::Result<Self> {
        local::begin(address).map(|stream| Self::Tcp(TcpStream::from_std(stream)))
    }

    /// Connects to a UNIX socket.
    pub(crate) fn to_path(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    /// Has the kernel ask a silent other side whether it is still there.
    pub(crate) fn keep_alive(&self, after_ms: Option<u64>) {
        if let (Self::Tcp(stream), Some(after_ms)) = (self, after_ms) {
            // Without it a peer that vanished is noticed later.
            let keepalive = TcpKeepalive::new().with_time(Duration::from_millis(after_ms));
            let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
        }
    }

    /// Whether a connection that was begun is there.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        let (error, peer) = match self {
            Self::Tcp(stream) => (stream.take_error()?, stream.peer_addr().and_then(|peer| not_own(stream, peer))),
            Self::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(true),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            (None, Err(error)) => Err(error),
        }
    }

    /// Says that no more is written.
    pub(crate) fn finish(&self) {
        // One that is gone needs no word.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

/// Refuses a connection that leads to itself: the kernel makes one where nobody listens at a port of this machine, and the
/// connection happens to begin at that port. It would say again what it is told.
fn not_own(stream: &TcpStream, peer: SocketAddr) -> io::Result<()> {
    if stream.local_addr()? == peer { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Socket {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_leads_to_itself_is_none() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let itself = Socket::Tcp(TcpStream::from_std(socket.into()));
        assert_eq!(itself.is_connected().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
