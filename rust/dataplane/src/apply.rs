//! Applying documents: all or nothing, while requests go on.

use crate::compile::{Compiled, compile};
use crate::serve::Served;
use crate::source::LastGood;
use crate::status::ProcessMetrics;
use crate::worker::{Command, Worker};
use alongside_document::{Document, Problem, Succession, succeeds};
use alongside_http::listener::{Listener, State};
use alongside_http::metrics::Metrics;
use alongside_transport::admission::Admission;
use alongside_transport::listen::{self, Inherited};
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long an applied document waits for the sockets that it closes.
const RETIRE_WAIT: Duration = Duration::from_secs(1);

/// Why a document is not applied.
#[derive(Debug)]
pub enum Refused {
    /// It is wrong.
    Wrong(Vec<Problem>),
    /// A newer one is in force, or another one with the same number.
    Overtaken(String),
    /// An address is taken.
    AddressTaken(Problem),
}

impl Refused {
    /// Returns what is wrong, where, and what to do.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Wrong(problems) => problems.clone(),
            Self::Overtaken(why) => {
                vec![Problem::new("generation", why.clone(), "write the next generation, or begin the next epoch")]
            }
            Self::AddressTaken(problem) => vec![problem.clone()],
        }
    }
}

/// A listener that serves.
struct Serving {
    wanted: String,
    address: SocketAddr,
    listener: Arc<Listener<Served>>,
    /// Kept so that the address can go over to a listener of another name; none while the process drains.
    socket: Option<TcpListener>,
}

/// The document in force, and what serves it.
pub struct Runtime {
    document: Option<Document>,
    compiled: Compiled,
    serving: BTreeMap<String, Serving>,
    workers: Vec<Worker>,
    inherited: Inherited,
    last_good: LastGood,
    pool_idle_ms: Arc<AtomicU64>,
    /// The connections of the whole process.
    pub admission: Arc<Admission>,
    http: Metrics,
    caches: alongside_cache::Metrics,
    process: ProcessMetrics,
}

/// What a runtime counts with.
pub struct Meters {
    /// The engine's.
    pub http: Metrics,
    /// The caches'.
    pub caches: alongside_cache::Metrics,
    /// The process's.
    pub process: ProcessMetrics,
}

impl Runtime {
    /// Returns a runtime that serves nothing yet.
    pub fn new(inherited: Inherited, last_good: LastGood, meters: Meters) -> Self {
        Self {
            document: None,
            compiled: Compiled::default(),
            serving: BTreeMap::new(),
            workers: Vec::new(),
            inherited,
            last_good,
            pool_idle_ms: Arc::default(),
            admission: Arc::default(),
            http: meters.http,
            caches: meters.caches,
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
    pub fn claim(&mut self, name: &str, address: &str) -> Option<TcpListener> {
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
        if let Some(current) = &self.document {
            match succeeds(current, &document) {
                Succession::Newer => {}
                Succession::Same => return Ok(false),
                word @ (Succession::Older | Succession::Conflict) => return Err(overtaken(current, &document, word)),
            }
            let problems = fixed_parts(current, &document);
            if !problems.is_empty() {
                return Err(Refused::Wrong(problems));
            }
        }
        let compiled = compile(&document, &self.compiled, &self.http, &self.caches).map_err(Refused::Wrong)?;
        let opened = self.open(&document)?;
        self.commit(document, compiled, opened);
        Ok(true)
    }

    /// Opens the sockets that the document adds; the last thing that can fail.
    fn open(&mut self, document: &Document) -> Result<BTreeMap<String, TcpListener>, Refused> {
        let mut opened = BTreeMap::new();
        for (index, wanted) in document.listeners.iter().enumerate() {
            let name = wanted.name.as_str();
            if self.serving.get(name).is_some_and(|serving| serving.wanted == wanted.address.as_str()) {
                continue;
            }
            let socket = match self.inherited.claim(name, wanted.address.as_str()) {
                Some(socket) => Ok(socket),
                None => match self.take_over(wanted.address.as_str()) {
                    Some(socket) => socket.try_clone(),
                    None => listen::bind(wanted.address.as_str()),
                },
            };
            let prepared = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            let socket = prepared.map_err(|error| refuse_address(index, wanted.address.as_str(), &error))?;
            opened.insert(name.to_owned(), socket);
        }
        Ok(opened)
    }

    /// Returns the socket that already listens at an address; its listener goes, for no two have the same address.
    fn take_over(&self, address: &str) -> Option<&TcpListener> {
        let bound: Option<SocketAddr> = address.parse().ok();
        self.serving.values().find(|serving| bound == Some(serving.address))?.socket.as_ref()
    }

    fn commit(&mut self, document: Document, compiled: Compiled, mut opened: BTreeMap<String, TcpListener>) {
        self.pool_idle_ms.store(document.limits.pool_idle_timeout_ms, Ordering::Relaxed);
        self.start_workers(document.threads);
        self.retire_others(&document);
        for wanted in &document.listeners {
            // The check made sure that something serves this name.
            let Some(served) = compiled.served(&wanted.serves) else { continue };
            let state = State::new(Arc::new(served), wanted.inner.clone(), document.limits.clone());
            let name = wanted.name.to_string();
            match (opened.remove(&name), self.serving.get(&name)) {
                (Some(socket), _) => self.serve(name, wanted.address.as_str(), socket, state),
                (None, Some(serving)) => serving.listener.state.store(Arc::new(state)),
                (None, None) => {}
            }
        }
        if let Err(error) = self.last_good.write(&document) {
            tracing::warn!(event = "last_good_not_kept", error = %error);
        }
        self.process.generation.set(i64::try_from(document.generation).unwrap_or(i64::MAX));
        self.process.epoch.set(i64::try_from(document.epoch).unwrap_or(i64::MAX));
        tracing::info!(event = "document_applied", epoch = document.epoch, generation = document.generation);
        self.document = Some(document);
        self.compiled = compiled;
    }

    fn start_workers(&mut self, threads: u32) {
        for number in self.workers.len()..threads as usize {
            match Worker::start(u32::try_from(number).unwrap_or(u32::MAX), Arc::clone(&self.pool_idle_ms)) {
                Ok(worker) => self.workers.push(worker),
                Err(error) => tracing::error!(event = "thread_failed", error = %error),
            }
        }
    }

    fn retire_others(&mut self, document: &Document) {
        let stays = |name: &str, serving: &Serving| {
            document.listeners.iter().any(|wanted| *wanted.name == *name && *wanted.address.as_str() == *serving.wanted)
        };
        let (done, closed) = std::sync::mpsc::channel();
        for (name, serving) in std::mem::take(&mut self.serving) {
            if stays(&name, &serving) {
                self.serving.insert(name, serving);
            } else {
                serving.listener.retire();
                for worker in &self.workers {
                    worker.tell(Command::Retire { name: name.clone(), done: done.clone() });
                }
            }
        }
        drop(done);
        // The next document may want an address that this one gave up. Nothing is sent; all senders are dropped.
        let _ = closed.recv_timeout(RETIRE_WAIT);
    }

    fn serve(&mut self, name: String, wanted: &str, socket: TcpListener, state: State<Served>) {
        let Ok(address) = socket.local_addr() else { return };
        let listener = Arc::new(Listener::new(state, self.http.listener(&name), Arc::clone(&self.admission)));
        for worker in &self.workers {
            match socket.try_clone() {
                Ok(socket) => {
                    worker.tell(Command::Serve { name: name.clone(), listener: Arc::clone(&listener), socket });
                }
                Err(error) => tracing::error!(event = "listen_failed", listener = name, error = %error),
            }
        }
        tracing::info!(event = "listening", listener = name, address = %address);
        self.serving.insert(name, Serving { wanted: wanted.to_owned(), address, listener, socket: Some(socket) });
    }

    /// Lets no more connections in and ends the idle ones.
    pub fn drain(&mut self) {
        for serving in self.serving.values_mut() {
            serving.socket = None;
        }
        for worker in &self.workers {
            worker.tell(Command::Drain);
        }
    }
}

fn overtaken(current: &Document, document: &Document, word: Succession) -> Refused {
    let relation = if word == Succession::Older { "is older than" } else { "has other content under the number of" };
    Refused::Overtaken(format!(
        "document {}.{} {relation} the one in force, {}.{}",
        document.epoch, document.generation, current.epoch, current.generation
    ))
}

/// What a running process cannot change.
fn fixed_parts(current: &Document, document: &Document) -> Vec<Problem> {
    let changed = [
        ("threads", current.threads != document.threads),
        ("status", current.status != document.status),
        ("admin", current.admin != document.admin),
    ];
    let problem = |path| Problem::new(path, "it cannot change while the process runs", "restart the process with it");
    changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(path, _)| problem(path)).collect()
}

fn refuse_address(index: usize, address: &str, error: &io::Error) -> Refused {
    let path = format!("listeners[{index}].address");
    if error.kind() == io::ErrorKind::AddrInUse {
        let problem = Problem::new(path, format!("{address} is taken"), "choose another port or stop its owner");
        return Refused::AddressTaken(problem);
    }
    Refused::Wrong(vec![Problem::new(
        path,
        format!("cannot listen on {address}: {error}"),
        "choose an address of this machine",
    )])
}
