//! From a document to what serves it.

use crate::pools::{self, Pools};
use crate::serve::{Served, Serves};
use alongside_acme::Issuer;
use alongside_ambassador::Engine;
use alongside_cache::Cache;
use alongside_document::{Document, Fallback, Function, Listener, Node, Problem, Speaks, Tls};
use alongside_http::entry::Entry;
use alongside_http::link::{Servers, Tongue, Upstream};
use alongside_http::listener::State;
use alongside_http::metrics::{Metrics, RouteMetrics};
use alongside_http::probe;
use alongside_http::program::Program;
use alongside_http::redirect::{Answers, Redirect};
use alongside_http::route::{self, Route, Shard};
use alongside_http::standing::Standing;
use alongside_placement::{Placement, key};
use alongside_policy::{budget, health};
use alongside_tcp::Balancer;
use alongside_tls::Acceptor;
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// What the routes, caches and balancers of a document became.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Routes by name.
    pub routes: BTreeMap<String, Arc<Route>>,
    /// Caches by name.
    pub caches: BTreeMap<String, Arc<Cache>>,
    /// Balancers by name.
    pub balancers: BTreeMap<String, Arc<Balancer>>,
    /// Programs by name.
    pub programs: BTreeMap<String, Arc<Program>>,
    /// Redirects by name.
    pub redirects: BTreeMap<String, Arc<Redirect>>,
    /// What speaks TLS, by its listener's name.
    pub acceptors: BTreeMap<String, Secured>,
    /// Pools by name.
    pub pools: Pools,
    /// What authorities that ask at redirects are answered.
    pub answers: Arc<Answers>,
}

/// A listener's TLS, and as what it was written.
#[derive(Debug, Clone)]
pub struct Secured {
    tls: Tls,
    /// Who speaks it.
    pub acceptor: Arc<Acceptor>,
    /// Who gets a certificate for it from an authority.
    pub issuer: Option<Arc<Issuer>>,
}

impl Secured {
    /// Brings the metrics up to date that change by themselves, before they are shown.
    pub fn refresh_metrics(&self) {
        self.acceptor.refresh_metrics();
        self.issuer.iter().for_each(|issuer| issuer.refresh_metrics());
    }
}

/// Gives an authority that asks at redirects what an issuer has to say.
struct AtRedirects(Arc<Answers>);

impl alongside_acme::Answers for AtRedirects {
    fn put(&self, token: &str, answer: &str) {
        self.0.put(token, answer);
    }

    fn remove(&self, token: &str) {
        self.0.remove(token);
    }
}

impl Compiled {
    /// Returns what a listener of its document does. Its pools are in force at the engine.
    pub fn serves(&self, listener: &Listener, document: &Document, engine: &Engine) -> Option<Serves> {
        let (name, limits) = (listener.serves.as_str(), &document.limits);
        if let Some(balancer) = self.balancers.get(name) {
            return Some(Serves::Tcp(alongside_tcp::State::new(Arc::clone(balancer), limits)));
        }
        let acceptor = self.acceptors.get(listener.name.as_str()).map(|secured| Arc::clone(&secured.acceptor));
        if let Some(served) = engine.pools().get(name) {
            let state = alongside_ambassador::State::new(name, served.entrance(), engine.clone(), acceptor, limits);
            return Some(Serves::Pool(state));
        }
        let route = self.routes.get(name).cloned().map(Served::Route);
        let served = route
            .or_else(|| self.caches.get(name).cloned().map(Served::Cache))
            .or_else(|| self.programs.get(name).cloned().map(Served::Program))
            .or_else(|| self.redirects.get(name).cloned().map(Served::Redirect))?;
        let entry = Entry { proxies: listener.proxies.clone(), acceptor };
        let state = State::new(Arc::new(served), listener.inner.clone(), limits.clone()).behind(entry);
        let one_in = document.access_log.as_ref().map(|log| log.one_in);
        Some(Serves::Http(Box::new(state.logging(one_in))))
    }

    /// Why its listeners are not ready to be asked; nothing where they are.
    pub fn unready(&self) -> Option<String> {
        self.acceptors.values().find_map(|secured| secured.acceptor.is_ready().err())
    }

    /// Puts it in force in the stead of what was, when nothing can fail any more.
    pub fn begin(&self, before: &Self) {
        before.routes.values().for_each(|route| route.retire());
        self.routes.values().for_each(|route| route.begin());
    }

    /// Lets its caches ask their siblings for what these have.
    pub fn begin_caches(&self) {
        self.caches.values().for_each(|cache| cache.begin());
    }

    /// Orders of its caches that siblings have still to be told.
    pub fn untold(&self) -> usize {
        self.caches.values().map(|cache| cache.untold()).sum()
    }

    /// Whether a route sends requests to a server.
    pub fn names(&self, id: &str, address: &str) -> bool {
        let mut upstreams = self.routes.values().flat_map(|route| route.upstreams());
        upstreams.any(|upstream| upstream.id == id && upstream.address == address)
    }
}

/// What is counted with, and what outlives documents.
pub struct Meters<'m> {
    /// The engine's.
    pub http: &'m Metrics,
    /// The caches'.
    pub caches: &'m alongside_cache::Metrics,
    /// The balancers'.
    pub tcp: &'m alongside_tcp::Metrics,
    /// TLS's.
    pub tls: &'m alongside_tls::Metrics,
    /// Those of orders for certificates.
    pub acme: &'m alongside_acme::Metrics,
    /// What is known of servers.
    pub servers: &'m mut Servers,
}

/// Compiles a checked document. Caches whose memory stays keep what they hold, and of nodes that stay is known what was.
///
/// Nothing of what runs changes before [`Compiled::begin`].
pub fn compile(document: &Document, before: &Compiled, meters: &mut Meters<'_>) -> Result<Compiled, Vec<Problem>> {
    let mut compiled = Compiled::default();
    let nodes: BTreeMap<&str, &Node> = document.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut problems = Vec::new();
    for (index, route) in document.routes.iter().enumerate() {
        match compile_route(route, &nodes, before.routes.get(route.name.as_str()), meters) {
            Ok(made) => {
                compiled.routes.insert(route.name.to_string(), Arc::new(made));
            }
            Err(why) => problems.push(Problem::new(format!("routes[{index}]"), why, "mend the route")),
        }
    }
    for cache in &document.caches {
        let made = Cache::new(cache, before.caches.get(cache.name.as_str()), (meters.http, meters.caches));
        compiled.caches.insert(cache.name.to_string(), Arc::new(made));
    }
    for balancer in &document.tcp {
        let known = before.balancers.get(balancer.name.as_str()).map(Arc::as_ref);
        compiled.balancers.insert(balancer.name.to_string(), Arc::new(Balancer::new(balancer, known, meters.tcp)));
    }
    compiled.answers = Arc::clone(&before.answers);
    for redirect in &document.redirects {
        let made = Redirect::new(redirect.port, Arc::clone(&compiled.answers));
        compiled.redirects.insert(redirect.name.to_string(), Arc::new(made));
    }
    for program in &document.programs {
        compiled.programs.insert(
            program.name.to_string(),
            Arc::new(compile_program(program, before.programs.get(program.name.as_str()), meters.http)),
        );
    }
    match pools::compile(document, &before.pools) {
        Ok(made) => compiled.pools = made,
        Err(found) => problems.extend(found),
    }
    for (index, listener) in document.listeners.iter().enumerate() {
        let Some(tls) = &listener.tls else { continue };
        match secure(&listener.name, tls, before, meters) {
            Ok(secured) => drop(compiled.acceptors.insert(listener.name.to_string(), secured)),
            Err(found) => problems.extend(of_listener(index, found)),
        }
    }
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

/// Returns what is wrong with the files that a checked document names, certificates, keys, authorities, passwords, and with its
/// pools.
pub fn problems_of_files(document: &Document) -> Vec<Problem> {
    let metrics = alongside_tls::Metrics::register(&mut Registry::default());
    let listeners = document.listeners.iter().enumerate();
    let secured = listeners.filter_map(|(index, listener)| Some((index, listener, listener.tls.as_ref()?)));
    let opened = secured.map(|(index, listener, tls)| (index, Acceptor::open(&listener.name, tls, None, &metrics)));
    let of_listeners = opened.filter_map(|(index, opened)| Some(of_listener(index, opened.err()?))).flatten();
    let of_pools = pools::compile(document, &Pools::new()).err().unwrap_or_default();
    of_listeners.chain(of_pools).collect()
}

/// Returns problems of a listener's TLS as those of its document.
fn of_listener(index: usize, problems: Vec<Problem>) -> impl Iterator<Item = Problem> {
    problems.into_iter().map(move |problem| problem.below(&format!("listeners[{index}].tls")))
}

/// Returns a listener's TLS: the one in force where it is written the same.
fn secure(name: &str, tls: &Tls, before: &Compiled, meters: &Meters<'_>) -> Result<Secured, Vec<Problem>> {
    let known = before.acceptors.get(name);
    if let Some(same) = known.filter(|known| known.tls == *tls) {
        return Ok(same.clone());
    }
    let acceptor = Acceptor::open(name, tls, known.map(|known| &known.acceptor), meters.tls)?;
    let issuer = tls.acme.as_ref().map(|acme| Issuer::open(name, acme, meters.acme)).transpose()?;
    Ok(Secured { tls: tls.clone(), acceptor, issuer })
}

/// Returns a program; what is known of it stays where it is still at the same place.
fn compile_program(program: &alongside_document::Program, before: Option<&Arc<Program>>, metrics: &Metrics) -> Program {
    let (name, address) = (program.name.as_str(), program.address.as_str());
    let tongue = match program.speaks {
        Speaks::Http1 => Tongue::Http1,
        Speaks::H2c => Tongue::H2c,
    };
    let known = before.map(|before| before.upstream());
    let same = known.filter(|known| known.address == address && known.tongue() == tongue).cloned();
    let make = || Arc::new(Upstream::speaking(tongue, (name, address), metrics.upstream(name)));
    let host = program.host.as_ref().map(ToString::to_string);
    Program::new(same.unwrap_or_else(make), host, program.hsts_s)
}

fn compile_route(
    route: &alongside_document::Route,
    listed: &BTreeMap<&str, &Node>,
    before: Option<&Arc<Route>>,
    meters: &mut Meters<'_>,
) -> Result<Route, String> {
    let metrics = meters.http;
    let key = key::Key::parse(&route.key).map_err(|error| error.to_string())?;
    let on_ring: Vec<alongside_placement::Shard> = route
        .shards
        .iter()
        .map(|shard| alongside_placement::Shard { name: shard.name.to_string(), weight: shard.weight })
        .collect();
    let function = match route.function {
        Function::Modulo => alongside_placement::Function::Modulo,
        Function::Ketama => alongside_placement::Function::Ketama,
    };
    let placement = Placement::new(function, &on_ring).map_err(|error| error.to_string())?;
    let terms = terms(route);
    let of_route = metrics.route(&route.name);
    let mut nodes: BTreeMap<&str, Arc<Upstream>> = BTreeMap::new();
    let mut shards = Vec::new();
    for shard in &route.shards {
        let mut replicas = Vec::new();
        for id in &shard.replicas {
            // The check made sure that it is there.
            let Some(node) = listed.get(id.as_str()) else { continue };
            let make = || upstream((node, before), route, &terms, &of_route, meters);
            replicas.push(Arc::clone(nodes.entry(id.as_str()).or_insert_with(make)));
        }
        let requests = metrics.shard(&route.name, &shard.name);
        shards.push(Shard { name: shard.name.to_string(), replicas, requests });
    }
    let origin = route.origin.as_ref().map(|origin| {
        let address = origin.address.as_str();
        route::Origin {
            upstream: Arc::new(Upstream::of(meters.servers.get(address, address), metrics.upstream(address))),
            host: origin.host.as_ref().map(|host| host.as_str().to_owned()),
        }
    });
    let parts = (shards, nodes.into_values().collect());
    let terms = (terms, looks(route));
    Ok(Route::new((route.name.to_string(), of_route), (key, placement), parts, origin, terms, before.map(Arc::as_ref)))
}

/// Returns a node of a route: the one of the document before, if it is still at the same place.
fn upstream(
    (node, before): (&Node, Option<&Arc<Route>>),
    route: &alongside_document::Route,
    terms: &route::Terms,
    of_route: &RouteMetrics,
    meters: &mut Meters<'_>,
) -> Arc<Upstream> {
    let is_same = |known: &&Arc<Upstream>| {
        known.id == *node.id
            && known.address == node.address.as_str()
            && known.standing.is_some() == terms.has_elsewhere
    };
    if let Some(known) = before.and_then(|before| before.nodes().iter().find(is_same)) {
        return Arc::clone(known);
    }
    let server = meters.servers.get(&node.id, node.address.as_str());
    let upstream = Upstream::of(server, meters.http.upstream(&node.id));
    if !terms.has_elsewhere {
        // There is nobody else: it is tried whatever is known of it.
        return Arc::new(upstream);
    }
    let standing = Standing::new((&route.name, &node.id), (terms.health, looks(route)), of_route.left(&node.id));
    Arc::new(upstream.among_others(standing))
}

fn looks(route: &alongside_document::Route) -> probe::Terms {
    probe::Terms {
        probe: route.health.probe,
        path: route.health.path.clone(),
        timeout: Duration::from_millis(route.health.timeout_ms),
    }
}

fn terms(route: &alongside_document::Route) -> route::Terms {
    let (health, retries) = (&route.health, &route.retries);
    let has_next_shard = retries.fallback == Fallback::NextShard && route.shards.len() > 1;
    let has_origin = retries.fallback != Fallback::Error && route.origin.is_some();
    route::Terms {
        has_elsewhere: has_next_shard || has_origin || route.shards.iter().any(|shard| shard.replicas.len() > 1),
        attempts_max: retries.attempts_max,
        fallback: retries.fallback,
        buffer_bytes: usize::try_from(route.buffer_bytes).unwrap_or(usize::MAX),
        budget: budget::Settings { percent: retries.percent, per_second_min: retries.per_second_min },
        health: health::Settings {
            interval_ms: health.interval_ms,
            failures: health.failures,
            successes: health.successes,
            errors_max: health.errors_max,
            slow_times: health.slow_times,
            ejected_percent_max: health.ejected_percent_max,
            ejection_ms: health.ejection_ms,
            slow_start_ms: health.slow_start_ms,
        },
    }
}

/// The tasks that look after the routes and nodes in force.
#[derive(Debug, Default)]
pub struct Tended {
    routes: Vec<AbortHandle>,
    /// Files of TLS and orders for them, by their acceptor's place in memory, which holding it keeps.
    acceptors: HashMap<usize, (Arc<Acceptor>, Vec<AbortHandle>)>,
    pools: pools::Tended,
    /// By the node's place in memory, which holding it keeps.
    nodes: HashMap<usize, (Arc<Upstream>, AbortHandle)>,
}

impl Tended {
    /// Looks after these from now on, and no longer after what is not among them. Must run where tasks can be started.
    pub fn follow(&mut self, compiled: &Compiled, engine: &Engine) {
        self.pools.follow(engine, &compiled.pools);
        self.routes.drain(..).for_each(|task| task.abort());
        let mut before = std::mem::take(&mut self.nodes);
        for route in compiled.routes.values() {
            self.routes.push(tokio::spawn(Route::tend(Arc::clone(route))).abort_handle());
            for node in route.nodes().iter().filter(|node| node.standing.is_some()) {
                let place = Arc::as_ptr(node).addr();
                let watch = || tokio::spawn(probe::watch(Arc::clone(node))).abort_handle();
                let tended = before.remove(&place).unwrap_or_else(|| (Arc::clone(node), watch()));
                self.nodes.insert(place, tended);
            }
        }
        before.into_values().for_each(|(_, task)| task.abort());
        let mut before = std::mem::take(&mut self.acceptors);
        for Secured { acceptor, issuer, .. } in compiled.acceptors.values() {
            let place = Arc::as_ptr(acceptor).addr();
            let begin = || {
                let answers = AtRedirects(Arc::clone(&compiled.answers));
                let order = |issuer: &Arc<Issuer>| Arc::clone(issuer).run(Arc::clone(acceptor), Arc::new(answers));
                let orders = issuer.as_ref().map(order).map(tokio::spawn);
                let tasks = [Some(tokio::spawn(acceptor.follow())), orders];
                tasks.into_iter().flatten().map(|task| task.abort_handle()).collect()
            };
            let tended = before.remove(&place).unwrap_or_else(|| (Arc::clone(acceptor), begin()));
            self.acceptors.insert(place, tended);
        }
        before.into_values().flat_map(|(_, tasks)| tasks).for_each(|task| task.abort());
    }
}
