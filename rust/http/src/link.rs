//! Connections to upstreams.

use crate::metrics::UpstreamMetrics;
use alongside_transport::{Deadline, pool};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A server that requests are sent on to.
#[derive(Debug)]
pub struct Upstream {
    /// Its stable name: the node's id, or the origin's address.
    pub id: String,
    /// `HOST:PORT`; a name is looked up at each connect.
    pub address: String,
    numeric: Option<SocketAddr>,
    /// What it did.
    pub metrics: UpstreamMetrics,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or the address refuses.
    #[error("cannot connect to {address}: {cause}")]
    Failed {
        /// Where to.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It took longer than the limit.
    #[error("cannot connect to {address} in time")]
    TimedOut {
        /// Where to.
        address: String,
    },
}

impl Upstream {
    /// Returns an upstream at `HOST:PORT`.
    #[must_use]
    pub fn new(id: &str, address: &str, metrics: UpstreamMetrics) -> Self {
        Self { id: id.to_owned(), address: address.to_owned(), numeric: address.parse().ok(), metrics }
    }

    /// Returns an idle connection of this thread, if there is one.
    #[must_use]
    pub fn reuse(&self) -> Option<TcpStream> {
        pool::take(&self.address)
    }

    /// Opens a connection within `limit_ms`.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, deadline: &Deadline, limit_ms: u64) -> Result<TcpStream, ConnectError> {
        deadline.set(limit_ms);
        let connected = deadline.within(self.open()).await;
        match connected {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) => Err(ConnectError::Failed { address: self.address.clone(), cause }),
            Err(_) => Err(ConnectError::TimedOut { address: self.address.clone() }),
        }
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let stream = match self.numeric {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect(self.address.as_str()).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
