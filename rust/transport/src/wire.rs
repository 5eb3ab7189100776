//! A connection to the next hop, whatever it runs on.

use crate::Bare;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// What else can be a connection: one of many on a connection that they share. It carries one request.
pub trait Channel: AsyncRead + AsyncWrite + Unpin + Send {}

/// A connection to the next hop.
pub enum Wire {
    /// TCP.
    Tcp(TcpStream),
    /// A UNIX socket.
    Socket(UnixStream),
    /// One of many on a connection that they share.
    Channel(Box<dyn Channel>),
}

impl Wire {
    /// Whether it is open and silent: bytes or an end that came while no request of ours waited make it of no use.
    /// Costs no system call while the reactor has seen nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let mut probe = [0_u8; 1];
        let tried = match self {
            Self::Tcp(stream) => stream.try_read(&mut probe),
            Self::Socket(stream) => stream.try_read(&mut probe),
            Self::Channel(_) => return false,
        };
        matches!(tried, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Bare for Wire {
    fn bare(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Socket(_) | Self::Channel(_) => None,
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp(_) => "Wire::Tcp",
            Self::Socket(_) => "Wire::Socket",
            Self::Channel(_) => "Wire::Channel",
        })
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Self {
        Self::Socket(stream)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Socket(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Channel(channel) => Pin::new(channel).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Socket(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Channel(channel) => Pin::new(channel).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Socket(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Channel(channel) => Pin::new(channel).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Socket(stream) => stream.is_write_vectored(),
            Self::Channel(channel) => channel.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Socket(stream) => Pin::new(stream).poll_flush(context),
            Self::Channel(channel) => Pin::new(channel).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Socket(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Channel(channel) => Pin::new(channel).poll_shutdown(context),
        }
    }
}
