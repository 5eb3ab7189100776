//! Connections to upstreams.

use crate::forget::Queue;
use crate::metrics::UpstreamMetrics;
use crate::standing::Standing;
use alongside_transport::gate::Gate;
use alongside_transport::{Deadline, pool};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long the addresses of a name are believed, and how long it is believed to have none.
const FOUND_TIME: Duration = Duration::from_secs(5);
const MISSING_TIME: Duration = Duration::from_millis(500);

/// A server that requests are sent on to.
#[derive(Debug)]
pub struct Upstream {
    /// Its stable name: the node's id, or the origin's address.
    pub id: String,
    /// `HOST:PORT`; a name is looked up again every few seconds.
    pub address: String,
    numeric: Option<SocketAddr>,
    found: Mutex<Option<Found>>,
    /// What it did.
    pub metrics: UpstreamMetrics,
    /// The requests that it is answering.
    pub gate: Arc<Gate>,
    /// Whether it can be used; nothing where there is nobody else, so that it is always tried.
    pub standing: Option<Standing>,
    /// What it has still to be told to forget.
    pub forgets: Queue,
}

/// What a lookup of a name said, and until when it is believed.
#[derive(Debug)]
struct Found {
    until: Instant,
    addresses: Result<Vec<SocketAddr>, (io::ErrorKind, String)>,
}

impl Found {
    fn at(now: Instant, said: io::Result<Vec<SocketAddr>>) -> Self {
        match said {
            Ok(addresses) if !addresses.is_empty() => Self { until: now + FOUND_TIME, addresses: Ok(addresses) },
            Ok(_) => Self::missing(now, io::ErrorKind::NotFound, "the name has no address".to_owned()),
            Err(error) => Self::missing(now, error.kind(), error.to_string()),
        }
    }

    fn missing(now: Instant, kind: io::ErrorKind, why: String) -> Self {
        Self { until: now + MISSING_TIME, addresses: Err((kind, why)) }
    }
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
        let (numeric, found) = (address.parse().ok(), Mutex::default());
        let (id, address) = (id.to_owned(), address.to_owned());
        Self { id, address, numeric, found, metrics, gate: Arc::default(), standing: None, forgets: Queue::default() }
    }

    /// Returns the same, as one of several: it is left when it cannot be used.
    #[must_use]
    pub fn among_others(self, standing: Standing) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// Whether it is given up: what waits on it should go elsewhere.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::is_left)
    }

    /// Notes that no connection came about.
    pub fn connect_failed(&self, began: Instant) {
        self.standing.iter().for_each(|standing| standing.connect_failed(began));
    }

    /// Notes that a new connection was closed before a byte came.
    pub fn closed_early(&self, began: Instant) {
        self.standing.iter().for_each(|standing| standing.closed_early(began));
    }

    /// Notes that an answer broke off, or was none.
    pub fn broke_off(&self, began: Instant) {
        self.standing.iter().for_each(|standing| standing.broke_off(began));
    }

    /// Asks for a look at it soon.
    pub fn look_again(&self) {
        self.standing.iter().for_each(Standing::look_again);
    }

    /// Notes an answer's head.
    pub fn answered(&self, status: u16, began: Instant) {
        let took = began.elapsed();
        self.metrics.seconds.observe(took.as_secs_f64());
        if let Some(standing) = &self.standing {
            standing.answered(status, began, took);
        }
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

    pub(crate) async fn open(&self) -> io::Result<TcpStream> {
        let stream = match self.numeric {
            Some(address) => TcpStream::connect(address).await?,
            None => self.open_named().await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn open_named(&self) -> io::Result<TcpStream> {
        let lookup = || async { tokio::net::lookup_host(self.address.as_str()).await.map(Iterator::collect) };
        let addresses = self.addresses(lookup).await?;
        let connected = TcpStream::connect(addresses.as_slice()).await;
        if connected.is_err() {
            // The name may have moved.
            *self.found.lock().await = None;
        }
        connected
    }

    /// Returns the addresses of the name; one connection at a time looks it up, the others wait for what it finds.
    async fn addresses<F, L>(&self, lookup: L) -> io::Result<Vec<SocketAddr>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
        L: FnOnce() -> F,
    {
        let mut found = self.found.lock().await;
        let believed = found.take().filter(|found| Instant::now() < found.until);
        let known = match believed {
            Some(known) => known,
            None => Found::at(Instant::now(), lookup().await),
        };
        let addresses = known.addresses.clone();
        *found = Some(known);
        addresses.map_err(|(kind, why)| io::Error::new(kind, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use prometheus_client::registry::Registry;

    #[test]
    fn a_name_is_looked_up_once_for_many_connections() {
        let metrics = Metrics::register(&mut Registry::default());
        let upstream = Upstream::new("a", "name.test:80", metrics.upstream("a"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let said: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert_eq!(upstream.addresses(|| async move { Ok(vec![said]) }).await.unwrap(), [said]);
            let again = upstream.addresses(|| async { Err(io::Error::other("looked up again")) }).await;
            assert_eq!(again.unwrap(), [said]);
            *upstream.found.lock().await = None;
            for _ in 0..2 {
                let missing = upstream.addresses(|| async { Ok(Vec::new()) }).await;
                assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        });
    }
}
