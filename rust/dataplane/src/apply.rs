//! Applying documents: all or nothing, while requests go on.

use crate::compile::{self, Compiled, Tended, compile};
use crate::pools::{self, Bound, Locals};
pub use crate::refused::Refused;
use crate::refused::{overtaken, refuse_address, refuse_threads};
use crate::series;
use crate::serve::{Entrance, Kind, Serves};
use crate::source::LastGood;
use crate::status::ProcessMetrics;
use crate::worker::{Command, Shared, Worker};
use alongside_ambassador::Engine;
use alongside_document::{Document, Problem, Succession, succeeds};
use alongside_http::link::{Server, Servers};
use alongside_http::metrics::Metrics;
use alongside_transport::admission::Admission;
use alongside_transport::listen::{Held, Inherited};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long an applied document waits for the sockets that it closes.
const RETIRE_WAIT: Duration = Duration::from_secs(1);

/// A listener that serves.
struct Serving {
    wanted: String,
    address: SocketAddr,
    entrance: Entrance,
    /// Kept so that the address can go over to a listener of another name; none while the process drains.
    socket: Option<Held>,
}

/// A socket that a document adds, with a handle for each worker.
struct Opened {
    held: Held,
    address: SocketAddr,
    handles: Vec<tokio::net::TcpListener>,
    /// The listener that has it now, and goes.
    before: Option<String>,
}

/// The sockets that a document adds: those of its listeners by their names, and those with paths.
type Sockets = (BTreeMap<String, Opened>, Vec<Bound>);

/// The document in force, and what serves it.
pub struct Runtime {
    document: Option<Document>,
    compiled: Compiled,
    tended: Tended,
    servers: Servers,
    serving: BTreeMap<String, Serving>,
    workers: Vec<Worker>,
    inherited: Inherited,
    last_good: LastGood,
    pool_idle_ms: Arc<AtomicU64>,
    /// Open where connections are let in.
    gate: watch::Sender<bool>,
    /// The connections of the whole process.
    pub admission: Arc<Admission>,
    /// The threads of pools.
    pub engine: Engine,
    locals: Locals,
    /// One of them could not be bound when this process began to serve.
    is_local_due: bool,
    http: Metrics,
    caches: alongside_cache::Metrics,
    tcp: alongside_tcp::Metrics,
    tls: alongside_tls::Metrics,
    acme: alongside_acme::Metrics,
    process: ProcessMetrics,
}

/// What a runtime counts with.
pub struct Meters {
    /// The engine's.
    pub http: Metrics,
    /// The caches'.
    pub caches: alongside_cache::Metrics,
    /// The balancers'.
    pub tcp: alongside_tcp::Metrics,
    /// TLS's.
    pub tls: alongside_tls::Metrics,
    /// Those of orders for certificates.
    pub acme: alongside_acme::Metrics,
    /// The process's.
    pub process: ProcessMetrics,
    /// The threads of pools, which count themselves.
    pub engine: Engine,
}

impl Runtime {
    /// Returns a runtime that serves nothing yet, and nothing before [`Runtime::serve_on`] where it stands by.
    pub fn new(inherited: Inherited, last_good: LastGood, meters: Meters, stands_by: bool) -> Self {
        Self {
            document: None,
            compiled: Compiled::default(),
            tended: Tended::default(),
            servers: Servers::default(),
            serving: BTreeMap::new(),
            workers: Vec::new(),
            inherited,
            last_good,
            pool_idle_ms: Arc::default(),
            gate: watch::Sender::new(!stands_by),
            admission: Arc::default(),
            engine: meters.engine,
            locals: Locals::default(),
            is_local_due: false,
            http: meters.http,
            caches: meters.caches,
            tcp: meters.tcp,
            tls: meters.tls,
            acme: meters.acme,
            process: meters.process,
        }
    }

    /// The document in force.
    pub const fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    /// What serves it.
    pub const fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Names and true addresses of the listeners.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.serving.iter().map(|(name, serving)| (name.as_str(), serving.address))
    }

    /// Names of inherited sockets that nothing asked for.
    pub fn unclaimed(&self) -> Vec<&str> {
        self.inherited.unclaimed()
    }

    /// Takes an inherited socket by the name of a door.
    pub fn claim(&mut self, name: &str, address: &str) -> Option<Held> {
        self.inherited.claim(name, address)
    }

    /// Applies a document; false where it is in force already. A refused one changes nothing.
    pub fn apply(&mut self, document: Document) -> Result<bool, Refused> {
        let result = self.try_apply(document);
        match &result {
            Ok(true) => {
                self.process.applied.inc();
            }
            Ok(false) => {}
            Err(refused) => {
                self.process.refused.inc();
                let problems: Vec<String> = refused.problems().iter().map(ToString::to_string).collect();
                tracing::error!(event = "document_refused", problems = problems.join(" | "));
            }
        }
        result
    }

    fn try_apply(&mut self, document: Document) -> Result<bool, Refused> {
        match self.prepare(&document).map_err(|refused| refused.placed(&document))? {
            Some((compiled, (opened, bound))) => {
                self.commit(document, compiled, opened, bound);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Does all that can fail; nothing where the document is in force already.
    fn prepare(&mut self, document: &Document) -> Result<Option<(Compiled, Sockets)>, Refused> {
        if let Some(current) = &self.document {
            match succeeds(current, document) {
                Succession::Newer => {}
                Succession::Same => return Ok(None),
                word @ (Succession::Older | Succession::Conflict) => return Err(overtaken(current, document, word)),
            }
            let problems = fixed_parts(current, document);
            if !problems.is_empty() {
                return Err(Refused::Wrong(problems));
            }
        }
        let mut meters = compile::Meters {
            http: &self.http,
            caches: &self.caches,
            tcp: &self.tcp,
            tls: &self.tls,
            acme: &self.acme,
            servers: &mut self.servers,
        };
        let compiled = compile(document, &self.compiled, &mut meters).map_err(Refused::Wrong);
        let ready = compiled.and_then(|compiled| Ok((compiled, self.open(document)?)));
        ready.map(Some).inspect_err(|_| self.forget_series(document, self.document.as_ref()))
    }

    /// Opens the sockets that the document adds; the last thing that can fail.
    fn open(&mut self, document: &Document) -> Result<Sockets, Refused> {
        self.start_workers(document.threads)?;
        if !document.pools.is_empty() {
            self.engine.start(document.threads as usize).map_err(|error| refuse_threads(&error))?;
        }
        let mut opened = BTreeMap::new();
        for (index, wanted) in document.listeners.iter().enumerate() {
            let (name, address) = (wanted.name.as_str(), wanted.address.as_str());
            if self.serving.get(name).is_some_and(|serving| stays(document, name, serving)) {
                continue;
            }
            match self.open_one(document, name, address) {
                Ok(one) => drop(opened.insert(name.to_owned(), one)),
                Err(error) => {
                    let owner = self.owner(address);
                    self.give_back(opened);
                    return Err(refuse_address((index, name), address, owner.as_deref(), &error));
                }
            }
        }
        match self.bind_locals(document) {
            Ok(bound) => Ok((opened, bound)),
            Err(refused) => {
                self.give_back(opened);
                Err(refused)
            }
        }
    }

    /// Binds the UNIX sockets that the document adds; a process that stands by leaves them to the one that serves.
    fn bind_locals(&self, document: &Document) -> Result<Vec<Bound>, Refused> {
        if self.stands_by() {
            return Ok(Vec::new());
        }
        self.locals.bind(document)
    }

    fn open_one(&mut self, document: &Document, name: &str, address: &str) -> io::Result<Opened> {
        let (held, before) = match (self.inherited.claim(name, address), self.leaver(document, (name, address))) {
            (Some(held), _) => (held, None),
            (None, Some((before, held))) => (held.try_clone()?, Some(before.to_owned())),
            (None, None) => (Held::bind(address)?, None),
        };
        match self.handles(&held) {
            Ok((address, handles)) => Ok(Opened { held, address, handles, before }),
            Err(error) => {
                self.keep_unused(held, before.as_deref());
                Err(error)
            }
        }
    }

    fn handles(&self, held: &Held) -> io::Result<(SocketAddr, Vec<tokio::net::TcpListener>)> {
        held.socket.set_nonblocking(true)?;
        let handles = self.workers.iter().map(|worker| worker.adopt(&held.socket)).collect::<io::Result<_>>()?;
        Ok((held.socket.local_addr()?, handles))
    }

    /// Returns the listener that has this address and does not keep it. One that stays shares its socket with nobody; one that
    /// comes to speak another protocol is its own successor.
    fn leaver(&self, document: &Document, (own, address): (&str, &str)) -> Option<(&str, &Held)> {
        let bound: Option<SocketAddr> = address.parse().ok();
        let leaver = |(name, serving): &(&String, &Serving)| {
            let has_it = bound == Some(serving.address) || (*name == own && serving.wanted == address);
            has_it && !stays(document, name, serving)
        };
        let (name, serving) = self.serving.iter().find(leaver)?;
        Some((name, serving.socket.as_ref()?))
    }

    /// Returns the listener whose address covers a wanted one.
    fn owner(&self, address: &str) -> Option<String> {
        let wanted: Vec<SocketAddr> = address.to_socket_addrs().ok()?.collect();
        let overlaps = |one: IpAddr, other: IpAddr| one == other || one.is_unspecified() || other.is_unspecified();
        let is_owner = |serving: &Serving| {
            wanted.iter().any(|it| it.port() == serving.address.port() && overlaps(it.ip(), serving.address.ip()))
        };
        self.serving.iter().find(|(_, serving)| is_owner(serving)).map(|(name, _)| name.clone())
    }

    /// Gives passed sockets back that no document came to use.
    fn give_back(&mut self, opened: BTreeMap<String, Opened>) {
        for one in opened.into_values() {
            self.keep_unused(one.held, one.before.as_deref());
        }
    }

    fn keep_unused(&mut self, held: Held, before: Option<&str>) {
        // Where a listener has it, that one keeps it.
        if before.is_none() {
            self.inherited.give_back(held);
        }
    }

    fn commit(
        &mut self,
        document: Document,
        compiled: Compiled,
        mut opened: BTreeMap<String, Opened>,
        bound: Vec<Bound>,
    ) {
        self.pool_idle_ms.store(document.limits.pool_idle_timeout_ms, Ordering::Relaxed);
        self.retire_others(&document, &opened);
        compiled.begin(&self.compiled);
        pools::serve(&self.engine, &compiled.pools);
        if !self.stands_by() {
            compiled.begin_caches();
        }
        for wanted in &document.listeners {
            // The check made sure that something serves this name.
            let Some(serves) = compiled.serves(wanted, &document, &self.engine) else { continue };
            let name = wanted.name.to_string();
            match (opened.remove(&name), self.serving.get(&name)) {
                (Some(opened), _) => self.serve(name, wanted.address.as_str(), opened, serves),
                (None, Some(serving)) => serving.entrance.follow(serves),
                (None, None) => {}
            }
        }
        self.locals.follow(&document, bound, &self.engine, &self.admission);
        self.is_local_due = false;
        if let Err(error) = self.last_good.write(&document) {
            tracing::warn!(event = "last_good_not_kept", error = %error);
        }
        self.process.generation.set(i64::try_from(document.generation).unwrap_or(i64::MAX));
        self.process.epoch.set(i64::try_from(document.epoch).unwrap_or(i64::MAX));
        tracing::info!(event = "document_applied", epoch = document.epoch, generation = document.generation);
        let before = self.document.take();
        if let Some(before) = &before {
            self.forget_series(before, Some(&document));
        }
        self.document = Some(document);
        self.tended.follow(&compiled, &self.engine);
        self.servers.keep(|server| compiled.names(&server.id, &server.address));
        self.compiled = compiled;
    }

    /// Forgets the series of what is in one document and not in the other, which is in force.
    fn forget_series(&self, document: &Document, in_force: Option<&Document>) {
        series::forget(document, in_force, (&self.http, &self.caches, &self.tcp), (&self.tls, &self.acme));
    }

    /// Starts the threads that are missing: all of them or none.
    fn start_workers(&mut self, threads: u32) -> Result<(), Refused> {
        let before = self.workers.len();
        for number in before..threads as usize {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let shared = Shared {
                pool_idle_ms: Arc::clone(&self.pool_idle_ms),
                admission: Arc::clone(&self.admission),
                gate: self.gate.subscribe(),
            };
            match Worker::start(number, shared) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => {
                    self.workers.truncate(before);
                    let what = format!("thread {number} cannot start: {error}");
                    return Err(Refused::Exhausted(Problem::new("threads", what, "write fewer threads")));
                }
            }
        }
        Ok(())
    }

    fn retire_others(&mut self, document: &Document, opened: &BTreeMap<String, Opened>) {
        let (done, closed) = std::sync::mpsc::channel();
        for (name, serving) in std::mem::take(&mut self.serving) {
            if stays(document, &name, &serving) {
                self.serving.insert(name, serving);
            } else {
                let is_taken_over = opened.values().any(|one| one.before.as_deref() == Some(&name));
                if let Some(held) = serving.socket.filter(|_| !is_taken_over) {
                    self.inherited.give_back(held.after(&serving.wanted));
                }
                serving.entrance.retire();
                for worker in &self.workers {
                    worker.tell(Command::Retire { name: name.clone(), done: done.clone() });
                }
            }
        }
        drop(done);
        // The next document may want an address that this one gave up. Nothing is sent; all senders are dropped.
        let _ = closed.recv_timeout(RETIRE_WAIT);
    }

    fn serve(&mut self, name: String, wanted: &str, opened: Opened, serves: Serves) {
        let Opened { held, address, handles, .. } = opened;
        let entrance = Entrance::new(serves, || self.http.listener(&name), &self.admission);
        for (worker, socket) in self.workers.iter().zip(handles) {
            worker.tell(Command::Serve { name: name.clone(), listener: entrance.clone(), socket });
        }
        tracing::info!(event = "listening", listener = name, address = %address);
        self.serving.insert(name, Serving { wanted: wanted.to_owned(), address, entrance, socket: Some(held) });
    }

    /// The servers that have still to be told to forget something.
    pub fn untold(&self) -> Vec<Arc<Server>> {
        self.servers.all().into_iter().filter(|server| server.forgets.open() > 0).collect()
    }

    /// Lets no more connections in and ends the idle ones.
    pub fn drain(&mut self) {
        for serving in self.serving.values_mut() {
            serving.socket = None;
        }
        self.inherited = Inherited::default();
        self.locals.close();
        self.is_local_due = false;
        self.engine.drain();
        let (done, closed) = std::sync::mpsc::channel();
        for worker in &self.workers {
            worker.tell(Command::Drain { done: done.clone() });
        }
        drop(done);
        // A successor lets connections in as soon as it is known that this process does not.
        let _ = closed.recv_timeout(RETIRE_WAIT);
    }

    /// Whether it has its sockets and lets nobody in yet.
    pub fn stands_by(&self) -> bool {
        !*self.gate.borrow()
    }

    /// Begins to let connections in, and to warm up, where the process stood by.
    pub fn serve_on(&mut self) {
        if self.gate.send_replace(true) {
            return;
        }
        self.compiled.begin_caches();
        if let Some(refused) = self.serve_locals() {
            let problems: Vec<String> = refused.problems().iter().map(ToString::to_string).collect();
            tracing::error!(event = "socket_not_served", problems = problems.join(" | "));
        }
    }

    /// Tries again to serve a UNIX socket that another process still had when this one began to serve.
    pub fn bind_due(&mut self) {
        if self.is_local_due {
            // It was said when it was tried first.
            let _ = self.serve_locals();
        }
    }

    /// Serves the UNIX sockets that are not served yet; returns why one is not.
    fn serve_locals(&mut self) -> Option<Refused> {
        let document = self.document.as_ref()?;
        let refused = match self.bind_locals(document) {
            Ok(bound) => {
                self.locals.follow(document, bound, &self.engine, &self.admission);
                None
            }
            Err(refused) => Some(refused.placed(document)),
        };
        self.is_local_due = refused.as_ref().is_some_and(Refused::is_passing);
        refused
    }
}

/// What a running process cannot change.
fn fixed_parts(current: &Document, document: &Document) -> Vec<Problem> {
    let changed = [
        ("threads", current.threads != document.threads),
        ("status", current.status != document.status),
        ("admin", current.admin != document.admin),
        ("twemproxy_stats", current.twemproxy_stats != document.twemproxy_stats),
    ];
    let problem = |path| Problem::new(path, "it cannot change while the process runs", "restart the process with it");
    changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(path, _)| problem(path)).collect()
}

/// Whether a listener goes on as it is.
fn stays(document: &Document, name: &str, serving: &Serving) -> bool {
    let is_it =
        |wanted: &&alongside_document::Listener| *wanted.name == *name && *wanted.address.as_str() == *serving.wanted;
    let found = document.listeners.iter().find(is_it);
    found.is_some_and(|wanted| Kind::of(document, &wanted.serves) == serving.entrance.kind())
}
