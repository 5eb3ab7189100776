//! Connections to upstreams.

use crate::forget::Queue;
use crate::metrics::UpstreamMetrics;
use crate::standing::Standing;
use alongside_policy::health;
use alongside_transport::gate::Gate;
use alongside_transport::{Deadline, pool};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long the addresses of a name are believed, and how long it is believed to have none.
const FOUND_TIME: Duration = Duration::from_secs(5);
const MISSING_TIME: Duration = Duration::from_millis(500);

/// How long the last known addresses are used while looking the name up fails.
const LAST_KNOWN_TIME: Duration = Duration::from_secs(300);

/// A server that requests are sent on to, as one route sees it.
#[derive(Debug)]
pub struct Upstream {
    /// Its stable name: the node's id, or the origin's address.
    pub id: String,
    /// `HOST:PORT`; a name is looked up again every few seconds.
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
    /// `HOST:PORT`.
    pub address: String,
    /// The requests that it is answering.
    pub gate: Arc<Gate>,
    /// What it has still to be told to forget.
    pub forgets: Queue,
    numeric: Option<SocketAddr>,
    found: Mutex<Option<Found>>,
}

/// The servers that a process knows.
#[derive(Debug, Default)]
pub struct Servers(BTreeMap<(String, String), Weak<Server>>);

impl Servers {
    /// Returns the server with this id at this address: the one that is known already, where somebody still holds it.
    pub fn get(&mut self, id: &str, address: &str) -> Arc<Server> {
        let slot = self.0.entry((id.to_owned(), address.to_owned())).or_default();
        slot.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::new(id, address));
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

/// What a lookup of a name said, and until when it is believed.
#[derive(Debug, Clone)]
struct Found {
    until: Instant,
    /// Until when it is better than a lookup that fails.
    known_until: Instant,
    addresses: Result<Vec<SocketAddr>, (io::ErrorKind, String)>,
}

impl Found {
    fn at(now: Instant, said: io::Result<Vec<SocketAddr>>, before: Option<Self>) -> Self {
        let (kind, why) = match said {
            Ok(addresses) if !addresses.is_empty() => {
                let (until, known_until) = (now + FOUND_TIME, now + LAST_KNOWN_TIME);
                return Self { until, known_until, addresses: Ok(addresses) };
            }
            Ok(_) => (io::ErrorKind::NotFound, "the name has no address".to_owned()),
            Err(error) => (error.kind(), error.to_string()),
        };
        let until = now + MISSING_TIME;
        match before {
            Some(known) if known.addresses.is_ok() && now < known.known_until => Self { until, ..known },
            _ => Self { until, known_until: now, addresses: Err((kind, why)) },
        }
    }
}

/// Nobody knows the addresses of a name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoAddress(String);

/// Where a server is now.
#[derive(Debug)]
pub(crate) enum Place {
    One(SocketAddr),
    Named(Vec<SocketAddr>),
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
    /// Returns an upstream at `HOST:PORT` that nobody else knows.
    #[must_use]
    pub fn new(id: &str, address: &str, metrics: UpstreamMetrics) -> Self {
        Self::of(Arc::new(Server::new(id, address)), metrics)
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

    /// Notes an answer's head; `began` is when the request's last byte was out.
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

    /// Opens a connection within `limit_ms`, and notes where none came about because of the server. Want of descriptors or memory
    /// here, or of a resolver, says nothing of it.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, deadline: &Deadline, limit_ms: u64) -> Result<TcpStream, ConnectError> {
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

/// Whether no connection came about for want of something that this process or machine has too little of.
pub(crate) fn is_own_fault(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL]
        .map(|it| Some(it.raw_os_error()))
        .contains(&error.raw_os_error())
}

impl Server {
    fn new(id: &str, address: &str) -> Self {
        let (numeric, found) = (address.parse().ok(), Mutex::default());
        let (id, address) = (id.to_owned(), address.to_owned());
        Self { id, address, gate: Arc::default(), forgets: Queue::default(), numeric, found }
    }

    /// Opens a connection.
    pub(crate) async fn open(&self) -> io::Result<TcpStream> {
        self.open_at(&self.find().await?).await
    }

    /// Returns where it is now.
    pub(crate) async fn find(&self) -> io::Result<Place> {
        if let Some(address) = self.numeric {
            return Ok(Place::One(address));
        }
        let lookup = || async { tokio::net::lookup_host(self.address.as_str()).await.map(Iterator::collect) };
        self.addresses(lookup).await.map(Place::Named)
    }

    /// Opens a connection to where it was found.
    pub(crate) async fn open_at(&self, place: &Place) -> io::Result<TcpStream> {
        let connected = match place {
            Place::One(address) => TcpStream::connect(address).await,
            Place::Named(addresses) => TcpStream::connect(addresses.as_slice()).await,
        };
        match connected {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                Ok(stream)
            }
            Err(error) => {
                if !is_own_fault(&error)
                    && let Some(found) = self.found.lock().await.as_mut()
                {
                    // The name may have moved.
                    found.until = Instant::now();
                }
                Err(error)
            }
        }
    }

    /// Returns the addresses of the name; one connection at a time looks it up, the others wait for what it finds.
    async fn addresses<F, L>(&self, lookup: L) -> io::Result<Vec<SocketAddr>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
        L: FnOnce() -> F,
    {
        let mut found = self.found.lock().await;
        let known = match found.clone() {
            Some(known) if Instant::now() < known.until => known,
            before => {
                let said = lookup().await;
                found.insert(Found::at(Instant::now(), said, before)).clone()
            }
        };
        known.addresses.map_err(|(kind, why)| io::Error::new(kind, NoAddress(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn a_name_is_looked_up_once_for_many_connections() {
        let server = Server::new("a", "name.test:80");
        block_on(async {
            let said: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert_eq!(server.addresses(|| async move { Ok(vec![said]) }).await.unwrap(), [said]);
            let again = server.addresses(|| async { Err(io::Error::other("looked up again")) }).await;
            assert_eq!(again.unwrap(), [said]);
            *server.found.lock().await = None;
            for _ in 0..2 {
                let missing = server.addresses(|| async { Ok(Vec::new()) }).await;
                assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        });
    }

    #[test]
    fn the_last_known_addresses_are_believed_while_lookups_fail() {
        let server = Server::new("a", "name.test:80");
        block_on(async {
            let said: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert_eq!(server.addresses(|| async move { Ok(vec![said]) }).await.unwrap(), [said]);
            let is_over = |found: &mut Option<Found>| found.as_mut().unwrap().until = Instant::now();
            is_over(&mut *server.found.lock().await);
            let failing = || async { Err(io::Error::other("no resolver")) };
            assert_eq!(server.addresses(failing).await.unwrap(), [said]);
            let mut found = server.found.lock().await;
            is_over(&mut found);
            found.as_mut().unwrap().known_until = Instant::now();
            drop(found);
            assert!(server.addresses(failing).await.is_err());
        });
    }

    #[test]
    fn a_server_is_one_for_all_who_know_it_while_anybody_does() {
        let mut servers = Servers::default();
        let first = servers.get("a", "127.0.0.1:1");
        let passed = first.gate.try_pass(1);
        assert!(servers.get("a", "127.0.0.1:1").gate.try_pass(1).is_none());
        assert!(servers.get("a", "127.0.0.1:2").gate.try_pass(1).is_some());
        servers.keep(|_| false);
        assert!(Arc::ptr_eq(&first, &servers.get("a", "127.0.0.1:1")));
        drop((passed, first));
        servers.keep(|_| true);
        assert!(servers.0.is_empty());
    }
}
