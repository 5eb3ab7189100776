//! The control side of the process: start, follow the document, keep the doors, end.

mod following;

use crate::Exit;
use crate::apply::{Meters, Refused, Runtime};
use crate::args::Args;
use crate::doors::Door;
use crate::explain;
use crate::explain::pooled;
use crate::figures;
use crate::habits::Habits;
use crate::source::{LastGood, Source};
use crate::standby::Standby;
use crate::status::ProcessMetrics;
use alongside_ambassador::Engine;
use alongside_ambassador::core::{Explained, Terms};
use alongside_document::{Document, Limits, Problem, placed};
use alongside_http::connection;
use alongside_http::entry::Caller;
use alongside_http::listener::{Listener, State};
use alongside_http::metrics::Metrics;
use alongside_http::route::Route;
use alongside_policy::ending::Ending;
use alongside_tcp::Balancer;
use alongside_transport::accept::Failures;
use alongside_transport::listen::{self, Inherited, SocketFile};
use alongside_transport::{admission::Admission, deadline, random};
use following::Seen;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

/// How often a drain looks whether connections are left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// How often a process that stands by looks whether the one that started it is still there.
const ORPHAN_LOOK: Duration = Duration::from_millis(500);

/// The process as its doors see it.
pub struct Control {
    runtime: Mutex<Runtime>,
    registry: Registry,
    process: ProcessMetrics,
    http: Metrics,
    tcp: alongside_tcp::Metrics,
    is_draining: AtomicBool,
    drained: Notify,
    seen: Mutex<Seen>,
    /// Where twemproxy's figures are read.
    figures: OnceLock<SocketAddr>,
}

/// Runs until a signal or a drain ends it.
pub async fn run(args: Args) -> Exit {
    let inherited = match Inherited::take() {
        Ok(inherited) => inherited,
        Err(error) => {
            return start_failed(&args.habits, &error, Exit::Usage);
        }
    };
    if let Err(error) = args.habits.begin() {
        return start_failed(&args.habits, &error, Exit::Failed);
    }
    let last_good = LastGood::new(args.state.as_deref());
    let watched = args.document.begun_with(args.first.is_none());
    let (document, origin) = match first_document(args.first.as_ref().unwrap_or(&args.document), &last_good) {
        Ok(found) => found,
        Err(problems) => return complain(&args.habits, problems, Exit::Usage),
    };
    let control = Arc::new(Control::new(inherited, last_good, args.standby.is_some()));
    let places = document.places.clone();
    control.has_seen(watched.filter(|_| origin == Origin::Given));
    let (result, admin) = match document.admin.as_ref().map(|admin| bind_admin(admin.path.as_path())).transpose() {
        Ok(Some((socket, file))) => (control.start(document, Some(socket)), Some(file)),
        Ok(None) => (control.start(document, None), None),
        Err(failed) => (Err(failed), None),
    };
    let exit = match result {
        Ok(()) => {
            // When this task first waits, signals are caught.
            let habits = args.habits;
            tokio::spawn(async move { habits.tell() });
            if let Some(standby) = args.standby {
                tokio::spawn(Arc::clone(&control).serve_when_orphaned(standby));
            }
            control.follow(&args.document).await
        }
        Err(Failed::Door(problem, exit)) => complain(&args.habits, [placed(&places, problem)], exit),
        Err(Failed::Document(refused)) => complain(&args.habits, refused.problems(), exit_of(&refused)),
    };
    if let Some(file) = admin {
        file.remove();
    }
    exit
}

/// A door's socket, and where it really listens.
type Opened = (tokio::net::TcpListener, Option<SocketAddr>);

/// Why a process does not start.
enum Failed {
    Door(Problem, Exit),
    Document(Refused),
}

const fn exit_of(refused: &Refused) -> Exit {
    match refused {
        Refused::AddressTaken(_) => Exit::AddressTaken,
        Refused::Exhausted(_) => Exit::Failed,
        Refused::Wrong(_) | Refused::Overtaken(_) | Refused::Leaving => Exit::Usage,
    }
}

/// Where the document to start with comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Given,
    Kept,
}

/// Reads the document to start with: the given one, else the last good one.
fn first_document(source: &Source, last_good: &LastGood) -> Result<(Document, Origin), Vec<Problem>> {
    source.read().map(|given| (given, Origin::Given)).or_else(|problems| {
        let kept = last_good.read().ok_or_else(|| problems.clone())?;
        for problem in problems {
            tracing::error!(event = "document_refused", problems = %problem);
        }
        tracing::warn!(event = "last_good_document_used", epoch = kept.epoch, generation = kept.generation);
        Ok((kept, Origin::Kept))
    })
}

/// Says why the process does not start, at its log and to whoever waits for it.
fn complain(habits: &Habits, problems: impl IntoIterator<Item = Problem>, exit: Exit) -> Exit {
    for problem in problems {
        crate::log::complain(&problem.to_string());
        habits.tell_why(&problem.to_string());
    }
    exit
}

fn start_failed(habits: &Habits, error: &dyn std::error::Error, exit: Exit) -> Exit {
    tracing::error!(event = "start_failed", error = %error);
    habits.tell_why(&error.to_string());
    exit
}

impl Control {
    fn new(inherited: Inherited, last_good: LastGood, stands_by: bool) -> Self {
        let mut registry = Registry::default();
        let http = Metrics::register(&mut registry);
        let caches = alongside_cache::Metrics::register(&mut registry);
        let tcp = alongside_tcp::Metrics::register(&mut registry);
        let tls = alongside_tls::Metrics::register(&mut registry);
        let acme = alongside_acme::Metrics::register(&mut registry);
        let process = ProcessMetrics::register(&mut registry);
        let engine = Engine::new(random::next());
        alongside_ambassador::Metrics::register(&mut registry, engine.clone());
        let (of_http, of_tcp, of_process) = (http.clone(), tcp.clone(), process.clone());
        let meters = Meters { http: of_http, caches, tcp: of_tcp, tls, acme, process: of_process, engine };
        Self {
            runtime: Mutex::new(Runtime::new(inherited, last_good, meters, stands_by)),
            registry,
            process,
            http,
            tcp,
            is_draining: AtomicBool::new(false),
            drained: Notify::new(),
            seen: Mutex::default(),
            figures: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a document; none while the process ends.
    pub fn apply(&self, document: Document) -> Result<bool, Refused> {
        let mut runtime = self.lock();
        // Whoever drains says so first and then takes the same lock.
        if self.is_draining.load(Ordering::Relaxed) { Err(Refused::Leaving) } else { runtime.apply(document) }
    }

    /// Why the process does not take requests; nothing where it does.
    pub fn unready(&self) -> Option<String> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Some("draining".to_owned());
        }
        self.lock().compiled().unready()
    }

    /// Starts the end: no new connections, idle ones end, the process ends with the last one or in `drain_timeout_ms`.
    pub fn drain(&self) {
        let is_first = !self.is_draining.swap(true, Ordering::Relaxed);
        if is_first {
            tracing::info!(event = "draining");
        }
        // Whoever asks is told when nobody is let in any more, also the second one.
        self.lock().drain();
        if is_first {
            self.drained.notify_one();
        }
    }

    /// Ends the standing by; false where the process ends.
    pub fn serve(&self) -> bool {
        if self.is_draining.load(Ordering::Relaxed) {
            return false;
        }
        self.lock().serve_on();
        true
    }

    /// What runs, and as what it was started.
    pub fn version(&self) -> Value {
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        let runtime = self.lock();
        json!({
            "name": "alongside-dataplane",
            "version": env!("CARGO_PKG_VERSION"),
            "schema": 1,
            "profile": profile,
            "about": runtime.document().and_then(|document| document.about.as_ref()),
        })
    }

    /// The document in force and where its listeners really listen.
    pub fn snapshot(&self) -> Value {
        let runtime = self.lock();
        let listeners: Vec<Value> = runtime
            .addresses()
            .map(|(name, address)| json!({ "name": name, "address": address.to_string() }))
            .collect();
        json!({
            "epoch": runtime.document().map(|document| document.epoch),
            "generation": runtime.document().map(|document| document.generation),
            "stands_by": runtime.stands_by(),
            "draining": self.is_draining.load(Ordering::Relaxed),
            "connections": runtime.admission.open(),
            "listeners": listeners,
            "twemproxy_stats": self.figures.get().map(ToString::to_string),
            "pools": runtime.engine.pools().values().map(pooled::shown).collect::<Vec<_>>(),
            "tcp": runtime.compiled().balancers.values().map(|it| explain::balancer(it)).collect::<Vec<_>>(),
            "document": runtime.document(),
        })
    }

    /// All metrics as text.
    pub fn metrics(&self) -> String {
        self.process.refresh();
        let runtime = self.lock();
        runtime.compiled().caches.values().for_each(|cache| cache.refresh_metrics());
        runtime.compiled().routes.values().for_each(|route| route.refresh_metrics());
        runtime.compiled().balancers.values().for_each(|balancer| balancer.refresh_metrics(&self.tcp));
        runtime.compiled().acceptors.values().for_each(|secured| secured.refresh_metrics());
        self.http.refresh(&runtime.admission.requests);
        drop(runtime);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// Returns the named route, or the only one.
    pub fn route(&self, name: Option<&str>) -> Result<Arc<Route>, String> {
        let runtime = self.lock();
        let routes = &runtime.compiled().routes;
        let names = || routes.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => {
                routes.get(name).cloned().ok_or_else(|| format!("there is no route {name:?}, only: {}", names()))
            }
            None if routes.len() == 1 => routes.values().next().cloned().ok_or_else(String::new),
            None => Err(format!("name one of the routes: {}", names())),
        }
    }

    /// Returns the named balancer.
    pub fn balancer(&self, name: &str) -> Result<Arc<Balancer>, String> {
        let runtime = self.lock();
        let balancers = &runtime.compiled().balancers;
        let names = || balancers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        balancers.get(name).cloned().ok_or_else(|| format!("there is no balancer {name:?}, only: {}", names()))
    }

    /// Returns the named pool and where a key of it goes: as a thread would send it now, or by placement alone where no
    /// thread answers.
    pub async fn pool(&self, name: &str, key: &[u8]) -> Result<(Arc<Terms>, Explained), String> {
        let engine = self.lock().engine.clone();
        let pools = engine.pools();
        let names = || pools.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let served = pools.get(name).ok_or_else(|| format!("there is no pool {name:?}, only: {}", names()))?;
        // Both are of one document: another may come into force meanwhile.
        let placed = || (Arc::clone(&served.terms), served.terms.explain(key));
        Ok(engine.explain(name, key).await.unwrap_or_else(placed))
    }

    /// Forgets what the named cache, or every one, holds of a URL; returns how many answers that were.
    pub fn purge(&self, name: Option<&str>, url: &str) -> Result<usize, String> {
        let runtime = self.lock();
        let caches = &runtime.compiled().caches;
        match name {
            Some(name) => caches.get(name).ok_or_else(|| format!("there is no cache {name:?}"))?.purge(url),
            None => caches.values().map(|cache| cache.purge(url)).sum(),
        }
    }

    fn warn_of_unclaimed(&self) {
        for name in self.lock().unclaimed() {
            tracing::warn!(event = "socket_unclaimed", socket = name);
        }
    }

    /// Opens the status door, applies the document, and lets both doors serve: one that is taken is known before a client
    /// comes.
    fn start(self: &Arc<Self>, document: Document, admin: Option<tokio::net::UnixListener>) -> Result<(), Failed> {
        let status = document.status.as_ref().map(|status| self.bind_status(status.address.as_str())).transpose()?;
        let figures = document.twemproxy_stats.as_ref().map(|it| self.bind_figures(it.address.as_str())).transpose()?;
        self.apply(document).map_err(Failed::Document)?;
        if let Some(socket) = figures {
            figures::serve(socket, self.lock().engine.clone());
        }
        tokio::spawn(async {
            let mut ticks = tokio::time::interval(Duration::from_millis(u64::from(deadline::TICK_MS)));
            loop {
                ticks.tick().await;
                deadline::tick();
            }
        });
        if let Some(socket) = status {
            tokio::spawn(self.door(Door::status(Arc::clone(self)), "status").accept(socket));
        }
        if let Some(socket) = admin {
            tokio::spawn(accept_private(socket, self.door(Door::admin(Arc::clone(self)), "admin")));
        }
        self.warn_of_unclaimed();
        Ok(())
    }

    /// Takes over also without being told to when whoever would tell is gone.
    async fn serve_when_orphaned(self: Arc<Self>, standby: Standby) {
        while self.lock().stands_by() {
            if standby.is_orphaned() {
                tracing::warn!(event = "serving_unasked", reason = "the process that started this one is gone");
                standby.end_predecessor().await;
                self.serve();
                return;
            }
            tokio::time::sleep(ORPHAN_LOOK).await;
        }
    }

    fn bind_status(&self, address: &str) -> Result<tokio::net::TcpListener, Failed> {
        Ok(self.bind_door(("status", "status.address"), address)?.0)
    }

    fn bind_figures(&self, address: &str) -> Result<tokio::net::TcpListener, Failed> {
        let (socket, bound) = self.bind_door(("twemproxy_stats", "twemproxy_stats.address"), address)?;
        // It is bound once in the life of a process.
        let _ = bound.map(|bound| self.figures.set(bound));
        Ok(socket)
    }

    /// Listens for one of the doors that anybody may knock at: its name, and where the document has its address.
    fn bind_door(&self, (name, path): (&str, &str), address: &str) -> Result<Opened, Failed> {
        let claimed = self.lock().claim(name, address);
        let socket = claimed
            .map_or_else(|| listen::bind(address), |held| Ok(held.socket))
            .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
            .and_then(tokio::net::TcpListener::from_std)
            .map_err(|error| door_problem(path, address, &error))?;
        let bound = socket.local_addr().ok();
        let shown = bound.map_or_else(|| address.to_owned(), |bound| bound.to_string());
        tracing::info!(event = "listening", listener = name, address = shown);
        Ok((socket, bound))
    }

    fn door(self: &Arc<Self>, door: Door, name: &str) -> Arc<Listener<Door>> {
        let limits = Limits { body_bytes_max: None, ..Limits::default() };
        let state = State::new(Arc::new(door), Vec::new(), limits);
        Arc::new(Listener::new(state, self.http.listener(name), Arc::<Admission>::default()))
    }

    /// Orders that nodes and siblings have still to be told.
    fn untold(&self) -> usize {
        let runtime = self.lock();
        let routed: usize = runtime.untold().iter().map(|server| server.forgets.open()).sum();
        routed + runtime.compiled().untold()
    }

    /// Waits until the drain is over.
    async fn finish(&self, signals: u32, terminate: &mut Signal, interrupt: &mut Signal) -> Exit {
        let (admission, limit_ms) = {
            let runtime = self.lock();
            let limit_ms = runtime.document().map_or(0, |document| document.limits.drain_timeout_ms);
            (Arc::clone(&runtime.admission), limit_ms)
        };
        let begun = tokio::time::Instant::now();
        let mut ending = Ending::new(0, limit_ms, signals);
        let mut looks = tokio::time::interval(DRAIN_LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                _ = looks.tick() => {}
                _ = terminate.recv() => say_signalled(ending.signalled()),
                _ = interrupt.recv() => say_signalled(ending.signalled()),
            }
            let now_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            // What clients were promised while they waited is still to be told.
            if let Some(end) = ending.look(now_ms, admission.open(), self.untold()) {
                break end;
            }
        };
        for server in self.lock().untold() {
            server.forgets.give_up(&server.id, "the process ends");
        }
        self.lock().compiled().caches.values().for_each(|cache| cache.give_up("the process ends"));
        tracing::info!(event = "ended", connections_cut = admission.open(), reason = end.as_str());
        Exit::Done
    }
}

/// A signal changes nothing until the second one: without a line nobody would know that it came.
fn say_signalled(count: u32) {
    tracing::info!(event = "signalled", count);
}

fn bind_admin(path: &Path) -> Result<(tokio::net::UnixListener, SocketFile), Failed> {
    let bound = listen::bind_private(path).and_then(|(socket, file)| {
        socket.set_nonblocking(true)?;
        Ok((tokio::net::UnixListener::from_std(socket)?, file))
    });
    bound.map_err(|error| door_problem("admin.path", &path.display().to_string(), &error))
}

async fn accept_private(socket: tokio::net::UnixListener, listener: Arc<Listener<Door>>) {
    let mut failures = Failures::default();
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                let listener = Arc::clone(&listener);
                tokio::spawn(async move {
                    connection::serve(stream, &Caller::plain(Ipv4Addr::LOCALHOST.into()), &listener).await;
                });
            }
            Err(error) => {
                failures.tell(&error);
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        }
    }
}

fn door_problem(path: &str, address: &str, error: &std::io::Error) -> Failed {
    if error.kind() == std::io::ErrorKind::AddrInUse {
        let problem = Problem::new(path, format!("{address} is taken"), "choose another one or stop its owner");
        return Failed::Door(problem, Exit::AddressTaken);
    }
    let remedy = match error.kind() {
        // Of a socket's path: an address has no folder.
        std::io::ErrorKind::NotFound => "make its folder first, or choose another one",
        _ => "choose another one",
    };
    Failed::Door(Problem::new(path, format!("cannot listen on {address}: {error}"), remedy), Exit::Usage)
}
