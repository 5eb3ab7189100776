//! Connections to upstreams.

use crate::forget::Queue;
use crate::metrics::UpstreamMetrics;
use crate::standing::Standing;
use crate::two::call;
use alongside_policy::health;
use alongside_transport::destination::{Destination, Place, is_own_fault};
use alongside_transport::gate::Gate;
use alongside_transport::{Deadline, Wire, pool};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;
use tokio::net::UnixStream;

/// A server that requests are sent on to, as one route sees it.
#[derive(Debug)]
pub struct Upstream {
    /// Its stable name: the node's id, or the origin's address.
    pub id: String,
    /// `HOST:PORT`, or `unix:` and the path of a socket; a name is looked up again every few seconds.
    pub address: String,
    /// What it did.
    pub metrics: UpstreamMetrics,
    /// The requests that it is answering.
    pub gate: Arc<Gate>,
    /// Whether it can be used; nothing where there is nobody else, so that it is always tried.
    pub standing: Option<Standing>,
    /// What all who know it share.
    pub server: Arc<Server>,
}

/// What is one for all routes and documents that know a server by the same id and address.
#[derive(Debug)]
pub struct Server {
    /// The node's id, or the origin's address.
    pub id: String,
    /// `HOST:PORT`, or `unix:` and the path of a socket.
    pub address: String,
    /// The requests that it is answering.
    pub gate: Arc<Gate>,
    /// What it has still to be told to forget.
    pub forgets: Queue,
    /// Where its idle connections are kept.
    kept: pool::Key,
    reach: Reach,
    tongue: Tongue,
}

/// How a server is reached.
#[derive(Debug)]
enum Reach {
    /// By TCP.
    Address(Destination),
    /// By a UNIX socket.
    Socket(PathBuf),
}

/// What is spoken with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, where each request is a stream.
    H2c,
}

/// Where a server is now.
#[derive(Debug)]
pub(crate) enum Spot<'s> {
    /// At an address, or at those of a name.
    Address(&'s Destination, Place),
    /// Where its socket is.
    Socket(&'s Path),
}

impl Spot<'_> {
    /// Opens a connection.
    async fn open(&self) -> io::Result<Wire> {
        match self {
            Self::Address(destination, place) => destination.open_at(place).await.map(Wire::Tcp),
            Self::Socket(path) => UnixStream::connect(path).await.map(Wire::Socket),
        }
    }
}

/// What stands before the path of a UNIX socket.
const SOCKET_PREFIX: &str = "unix:";

/// The servers that a process knows.
#[derive(Debug, Default)]
pub struct Servers(BTreeMap<(String, String), Weak<Server>>);

impl Servers {
    /// Returns the server with this id at this address: the one that is known already, where somebody still holds it.
    pub fn get(&mut self, id: &str, address: &str) -> Arc<Server> {
        let slot = self.0.entry((id.to_owned(), address.to_owned())).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::new(id, address, Tongue::Http1));
            *slot = Arc::downgrade(&server);
            server
        })
    }

    /// Lets go of those that are not named any more; what they had still to be told is dropped.
    pub fn keep(&mut self, is_named: impl Fn(&Server) -> bool) {
        self.0.retain(|_, server| {
            let Some(server) = server.upgrade() else { return false };
            if !is_named(&server) {
                server.forgets.give_up(&server.id, "it is gone");
            }
            true
        });
    }

    /// Returns all of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Server>> {
        self.0.values().filter_map(Weak::upgrade).collect()
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
    /// Returns an upstream at an address that nobody else knows.
    #[must_use]
    pub fn new(id: &str, address: &str, metrics: UpstreamMetrics) -> Self {
        Self::speaking(Tongue::Http1, (id, address), metrics)
    }

    /// Returns an upstream with this id at an address, that nobody else knows and that speaks so.
    #[must_use]
    pub fn speaking(tongue: Tongue, (id, address): (&str, &str), metrics: UpstreamMetrics) -> Self {
        Self::of(Arc::new(Server::new(id, address, tongue)), metrics)
    }

    /// What it speaks.
    #[must_use]
    pub fn tongue(&self) -> Tongue {
        self.server.tongue
    }

    /// Returns an upstream that others may know too.
    #[must_use]
    pub fn of(server: Arc<Server>, metrics: UpstreamMetrics) -> Self {
        let (id, address, gate) = (server.id.clone(), server.address.clone(), Arc::clone(&server.gate));
        Self { id, address, metrics, gate, standing: None, server }
    }

    /// Returns the same, as one of several: it is left when it cannot be used.
    #[must_use]
    pub fn among_others(self, standing: Standing) -> Self {
        Self { standing: Some(standing), ..self }
    }

    /// The part of its requests that it should get, in percent; 0 while it cannot be used.
    #[must_use]
    pub fn share(&self) -> u8 {
        match &self.standing {
            None => 100,
            // It has not forgotten yet what it was told to.
            Some(_) if self.server.forgets.is_behind() => 0,
            Some(standing) => standing.share(),
        }
    }

    /// Why it is not read from; nothing where it is.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let standing = self.standing.as_ref()?;
        standing.reason().or_else(|| self.server.forgets.is_behind().then_some("behind"))
    }

    /// What its shards have to know of it.
    #[must_use]
    pub fn health(&self) -> health::Standing {
        let standing = self.standing.as_ref().map(Standing::standing).unwrap_or_default();
        health::Standing { is_usable: standing.is_usable && !self.server.forgets.is_behind(), ..standing }
    }

    /// Whether it is given up: what waits on it should go elsewhere.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.standing.as_ref().is_some_and(Standing::is_left)
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

    /// Notes an answer's head; `began` is when the request was read, or later, when there was a connection for it.
    pub fn answered(&self, status: u16, began: Instant) {
        let took = began.elapsed();
        self.metrics.seconds.observe(took.as_secs_f64());
        if let Some(standing) = &self.standing {
            standing.answered(status, began, took);
        }
    }

    /// Opens a connection within `limit_ms`, and notes where none came about because of the server. Want of descriptors or memory
    /// here, or of a resolver, says nothing of it.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, deadline: &Deadline, limit_ms: u64) -> Result<Wire, ConnectError> {
        let began = Instant::now();
        let timed_out = |_| ConnectError::TimedOut { address: self.address.clone() };
        let failed = |cause| ConnectError::Failed { address: self.address.clone(), cause };
        deadline.set(limit_ms);
        let place = deadline.within(self.server.find()).await.map_err(timed_out)?.map_err(failed)?;
        let connected = deadline.within(self.server.open_at(&place)).await;
        if !matches!(&connected, Ok(Ok(_))) && !matches!(&connected, Ok(Err(error)) if is_own_fault(error)) {
            self.standing.iter().for_each(|standing| standing.connect_failed(began));
        }
        connected.map_err(timed_out)?.map_err(failed)
    }
}

impl Server {
    fn new(id: &str, address: &str, tongue: Tongue) -> Self {
        let reach = match address.strip_prefix(SOCKET_PREFIX) {
            Some(path) => Reach::Socket(PathBuf::from(path)),
            None => Reach::Address(Destination::new(address)),
        };
        let kept = pool::Key::new(address);
        let (id, address) = (id.to_owned(), address.to_owned());
        Self { id, address, gate: Arc::default(), forgets: Queue::default(), kept, reach, tongue }
    }

    /// Returns an idle connection of this thread, if there is one.
    #[must_use]
    pub fn reuse(&self) -> Option<Wire> {
        pool::take(&self.kept)
    }

    /// Keeps an idle connection for later, unless `idle_max` are kept already.
    pub fn keep(&self, stream: Wire, idle_max: usize) {
        pool::give(&self.kept, stream, idle_max);
    }

    /// Opens a connection.
    pub(crate) async fn open(&self) -> io::Result<Wire> {
        self.open_at(&self.find().await?).await
    }

    /// Opens a connection to where it was found.
    pub(crate) async fn open_at(&self, spot: &Spot<'_>) -> io::Result<Wire> {
        match self.tongue {
            Tongue::Http1 => spot.open().await,
            Tongue::H2c => call::open(&self.address, || spot.open()).await,
        }
    }

    /// Returns where it is now.
    pub(crate) async fn find(&self) -> io::Result<Spot<'_>> {
        match &self.reach {
            Reach::Address(destination) => Ok(Spot::Address(destination, destination.find().await?)),
            Reach::Socket(path) => Ok(Spot::Socket(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_for_all_who_know_it_while_anybody_does() {
        let mut servers = Servers::default();
        let first = servers.get("a", "127.0.0.1:1");
        let passed = first.gate.try_pass(1);
        assert!(servers.get("a", "127.0.0.1:1").gate.try_pass(1).is_none());
        assert!(servers.get("a", "127.0.0.1:2").gate.try_pass(1).is_some());
        servers.keep(|_| false);
        assert!(Arc::ptr_eq(&first, &servers.get("a", "127.0.0.1:1")));
        drop(passed);
        drop(first);
        servers.keep(|_| true);
        assert!(servers.0.is_empty());
    }
}
