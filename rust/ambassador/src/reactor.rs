//! What moves bytes: threads that each have sockets and a core, and share nothing but the document and its counters.

mod commands;
mod connection;
mod connectors;
mod hold;
mod leaving;
mod links;
mod names;
mod recovery;
mod socket;
mod turn;
mod who;

use crate::core::{Explained, Terms};
use crate::counters::{PoolCounters, ServerCounters};
use alongside_tls::Connector;
use alongside_transport::admission::{Admitted, Full, Group};
use arc_swap::ArcSwap;
use commands::Command;
use mio::Waker;
use names::Names;
use socket::Socket;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use turn::Reactor;

/// How long a thread may take to say where a key goes.
const EXPLAIN_WAIT: Duration = Duration::from_secs(1);

/// What speaks TLS to servers, by pool.
pub type Connectors = HashMap<String, Arc<Connector>>;

/// The threads' clock: microseconds since the engine began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    begun: Instant,
    /// When that was, in microseconds since 1970.
    began_us: u64,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { begun: Instant::now(), began_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX) }
    }

    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What all threads have.
pub(crate) struct Common {
    pub(crate) names: Arc<Names>,
    pub(crate) links_made: Arc<AtomicU64>,
}

/// A client that is to be served.
pub(crate) struct Arrival {
    pool: Arc<str>,
    socket: Socket,
    tls: Option<rustls::ServerConnection>,
    admitted: Admitted,
}

/// A thread, as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    commands: Sender<Command>,
    waker: Arc<Waker>,
}

impl Remote {
    pub(crate) fn tell(&self, command: Command) {
        // A thread ends with the process only.
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }
}

/// The clients of a pool where they come in: how many are in, and how many found no room.
#[derive(Debug, Default)]
pub struct Clients {
    inside: Arc<Group>,
    rejected: [AtomicU64; 3],
}

impl Clients {
    /// Returns how many found no room.
    #[must_use]
    pub fn rejected(&self, full: Full) -> u64 {
        self.rejected[full as usize].load(Ordering::Relaxed)
    }
}

/// A pool that is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// What it is, and what it counts.
    pub terms: Arc<Terms>,
    /// Who is in, and whom it had no room for.
    pub clients: Arc<Clients>,
}

impl Served {
    /// Returns where its clients come in.
    #[must_use]
    pub fn entrance(&self) -> Entrance {
        let max = self.terms.pool.limits.clients_max.map(|max| max as usize);
        Entrance { clients: Arc::clone(&self.clients), max }
    }
}

/// Where clients of a pool come in, by one socket or another.
#[derive(Debug, Clone)]
pub struct Entrance {
    clients: Arc<Clients>,
    /// How many may be in; nothing for no bound.
    max: Option<usize>,
}

impl Entrance {
    /// Counts a connection as a client's of the pool; from when it comes, so before it shook hands.
    ///
    /// # Errors
    /// [`Full::Group`]: there are as many as there may be. It is not counted as rejected yet.
    pub fn join(&self, admitted: &mut Admitted) -> Result<(), Full> {
        admitted.join(&self.clients.inside, self.max)
    }

    /// Says whether one more could come in.
    ///
    /// # Errors
    /// As [`Entrance::join`].
    pub fn has_room(&self) -> Result<(), Full> {
        if self.max.is_some_and(|max| self.clients.inside.open() >= max) { Err(Full::Group) } else { Ok(()) }
    }

    /// Counts one that found no room.
    pub fn reject(&self, full: Full) {
        self.clients.rejected[full as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// All threads of the process that serve pools.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    seed: u64,
    threads: Mutex<Vec<Remote>>,
    next: AtomicUsize,
    pools: ArcSwap<BTreeMap<String, Served>>,
    names: Arc<Names>,
    /// Connections to servers that ever came about.
    links_made: Arc<AtomicU64>,
}

impl Engine {
    /// Returns an engine without threads or pools.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            clock: Clock::new(),
            seed,
            threads: Mutex::default(),
            next: AtomicUsize::default(),
            pools: ArcSwap::default(),
            names: Arc::default(),
            links_made: Arc::default(),
        }))
    }

    /// Starts the threads that are missing of so many.
    ///
    /// # Errors
    /// The process has no thread or descriptor left.
    pub fn start(&self, threads: usize) -> io::Result<()> {
        let mut running = self.threads();
        while running.len() < threads {
            let number = running.len();
            let (commands, receiver) = channel();
            let seed = self.0.seed.wrapping_add(number as u64);
            let (reactor, waker) = Reactor::new(seed, self.0.clock, receiver, self.common())?;
            std::thread::Builder::new().name(format!("pools-{number}")).spawn(move || reactor.run())?;
            running.push(Remote { commands, waker: Arc::new(waker) });
        }
        Ok(())
    }

    fn common(&self) -> Common {
        Common { names: Arc::clone(&self.0.names), links_made: Arc::clone(&self.0.links_made) }
    }

    /// Connections to servers that ever came about.
    #[must_use]
    pub fn links_made(&self) -> u64 {
        self.0.links_made.load(Ordering::Relaxed)
    }

    /// Serves these pools and no others, on threads that were started. A pool keeps by its name its clients and counters.
    pub fn apply(&self, pools: Vec<Arc<Terms>>, connectors: Connectors) {
        let before = self.pools();
        let served = |terms: &Arc<Terms>| {
            let name = terms.pool.name.to_string();
            let clients = before.get(&name).map(|served| Arc::clone(&served.clients)).unwrap_or_default();
            terms.counters.retain(|server| terms.pool.servers.iter().any(|known| known.name.as_str() == server));
            (name, Served { terms: Arc::clone(terms), clients })
        };
        self.0.pools.store(Arc::new(pools.iter().map(served).collect()));
        let threads = self.threads();
        let connectors = Arc::new(connectors);
        for thread in threads.iter() {
            thread.tell(Command::Apply(pools.clone(), Arc::clone(&connectors)));
        }
        if let Err(error) = self.0.names.follow(names(&pools), || threads.clone()) {
            tracing::error!(event = "names_not_followed", error = %error);
        }
    }

    /// The pools that are served.
    #[must_use]
    pub fn pools(&self) -> Arc<BTreeMap<String, Served>> {
        self.0.pools.load_full()
    }

    /// Returns the counters of a pool, if it is served.
    #[must_use]
    pub fn counters(&self, pool: &str) -> Option<Arc<PoolCounters>> {
        Some(Arc::clone(&self.pools().get(pool)?.terms.counters))
    }

    /// Serves a client that came by TCP, in one of the threads, in turn.
    pub fn adopt(
        &self,
        pool: &Arc<str>,
        stream: std::net::TcpStream,
        tls: Option<rustls::ServerConnection>,
        admitted: Admitted,
    ) {
        let socket = Socket::Tcp(mio::net::TcpStream::from_std(stream));
        self.take(Arrival { pool: Arc::clone(pool), socket, tls, admitted });
    }

    /// Serves a client that came by a UNIX socket.
    pub fn adopt_local(&self, pool: &Arc<str>, stream: std::os::unix::net::UnixStream, admitted: Admitted) {
        let socket = Socket::Unix(mio::net::UnixStream::from_std(stream));
        self.take(Arrival { pool: Arc::clone(pool), socket, tls: None, admitted });
    }

    fn take(&self, arrival: Arrival) {
        if let Some(served) = self.pools().get(&*arrival.pool) {
            arrival.socket.keep_alive(served.terms.pool.keepalive_ms);
        }
        let threads = self.threads();
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        if let Some(thread) = turn.checked_rem(threads.len()).and_then(|turn| threads.get(turn)) {
            thread.tell(Command::Adopt(Box::new(arrival)));
        }
    }

    /// Takes commands for a moment more, then none: each client is let go when it has its answers.
    pub fn drain(&self) {
        self.threads().iter().for_each(|thread| thread.tell(Command::Drain));
    }

    /// Returns where a key goes by the first thread's experience, and the terms that say so; nothing where there is no such
    /// pool, or no thread answers.
    pub async fn explain(&self, pool: &str, key: &[u8]) -> Option<(Arc<Terms>, Explained)> {
        let (answer, explained) = oneshot::channel();
        let thread = self.threads().first().cloned()?;
        thread.tell(Command::Explain { pool: pool.to_owned(), key: key.to_vec(), answer });
        tokio::time::timeout(EXPLAIN_WAIT, explained).await.ok()?.ok()?
    }

    /// Returns when a server was last ejected, in microseconds since 1970; 0 if it never was.
    #[must_use]
    pub fn ejected_at_us(&self, server: &ServerCounters) -> u64 {
        match server.ejected_at_us() {
            0 => 0,
            since_us => self.0.clock.began_us.saturating_add(since_us),
        }
    }

    /// How long it has been there, in seconds.
    #[must_use]
    pub fn uptime_s(&self) -> u64 {
        self.0.clock.begun.elapsed().as_secs()
    }

    fn threads(&self) -> MutexGuard<'_, Vec<Remote>> {
        self.0.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the names of servers, and how often each is looked up.
fn names(pools: &[Arc<Terms>]) -> HashMap<Arc<str>, Duration> {
    let mut names: HashMap<Arc<str>, Duration> = HashMap::new();
    for terms in pools {
        let every = Duration::from_millis(terms.pool.resolve_ms);
        let targets = terms.pool.servers.iter().map(|server| &server.address);
        let named = targets.filter(|it| it.socket().is_none() && it.as_str().parse::<std::net::SocketAddr>().is_err());
        for target in named {
            let known = names.entry(target.as_str().into()).or_insert(every);
            *known = every.min(*known);
        }
    }
    names
}

#[cfg(test)]
mod tests;
