//! The router: key, shard, replica, and on.

mod explain;
mod review;

pub use explain::{Explanation, Replica};

use crate::course::{Course, Hop, Lost};
use crate::exchange::{Broken, Exchange, Notice};
use crate::forget;
use crate::link::Upstream;
use crate::metrics::RouteMetrics;
use crate::service::{Arrival, Service, Stream};
use crate::standing::{Standing, now_ms};
use crate::view::View;
use crate::{probe, view};
use alongside_document::{Fallback, Probe};
use alongside_placement::{Placement, key};
use alongside_policy::budget::{self, Budget};
use alongside_policy::choice::{self, Candidate};
use alongside_policy::health;
use alongside_protocols::{Body, Forward, RequestHead, bytes};
use alongside_transport::{buffer, random};
use prometheus_client::metrics::counter::Counter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One shard of a route.
#[derive(Debug)]
pub struct Shard {
    /// What stands on the ring.
    pub name: String,
    /// The nodes that serve it, the first one first; never empty.
    pub replicas: Vec<Arc<Upstream>>,
    /// Requests placed on it.
    pub requests: Counter,
}

/// Whoever answers where no node should, and the Host it gets.
#[derive(Debug)]
pub struct Origin {
    /// Where it is.
    pub upstream: Arc<Upstream>,
    /// The Host it gets; none passes the client's.
    pub host: Option<String>,
}

/// What a route does when something fails.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A request that fails can go somewhere else; where it cannot, nodes are neither looked at nor left.
    pub has_elsewhere: bool,
    /// Nodes that one request is sent to at most.
    pub attempts_max: u32,
    /// Where it goes when no replica can be used.
    pub fallback: Fallback,
    /// Bytes up to which answers are held.
    pub buffer_bytes: usize,
    /// How many requests are tried again.
    pub budget: budget::Settings,
    /// When nodes are left.
    pub health: health::Settings,
}

/// Requests placed on shards by their key.
#[derive(Debug)]
pub struct Route {
    name: String,
    key: key::Key,
    placement: Placement,
    shards: Box<[Shard]>,
    /// Every node of every shard, once.
    nodes: Box<[Arc<Upstream>]>,
    /// The places in which each shard's replicas stand: shard, and which replica.
    places: Box<[Vec<review::Places>]>,
    origin: Option<Origin>,
    terms: Terms,
    metrics: RouteMetrics,
    /// Handed on from document to document, as the requests before a change were requests too.
    budget: Arc<Mutex<Budget>>,
    /// Requests since the budget was told.
    unrolled: Arc<AtomicU64>,
    /// How nodes are looked at.
    looks: probe::Terms,
    /// Its document is in force: an older one's exchanges judge nobody any more.
    is_in_force: AtomicBool,
    /// One reviews at a time.
    reviewing: Mutex<()>,
}

/// A placed request; its head stands in the output.
#[derive(Debug)]
pub struct Placed {
    shard: usize,
    /// The key, where another shard may have to be found for it.
    key: Option<Vec<u8>>,
    /// The origin answers it, and no node.
    is_direct: bool,
    /// Its method changes nothing.
    is_safe: bool,
    /// What nodes are told to forget when it succeeds.
    forget: Option<Vec<u8>>,
}

impl Route {
    /// Returns a route over shards, in the order in which `placement` was made of them; [`Route::begin`] puts it in force.
    #[must_use]
    pub fn new(
        (name, metrics): (String, RouteMetrics),
        (key, placement): (key::Key, Placement),
        (shards, nodes): (Vec<Shard>, Vec<Arc<Upstream>>),
        origin: Option<Origin>,
        (terms, looks): (Terms, probe::Terms),
        before: Option<&Self>,
    ) -> Self {
        let fresh = || Arc::new(Mutex::new(Budget::new(terms.budget, now_ms())));
        Self {
            name,
            key,
            placement,
            places: review::places(&shards),
            shards: shards.into(),
            nodes: nodes.into(),
            origin,
            terms,
            metrics,
            budget: before.map_or_else(fresh, |before| Arc::clone(&before.budget)),
            unrolled: before.map(|before| Arc::clone(&before.unrolled)).unwrap_or_default(),
            looks,
            is_in_force: AtomicBool::new(false),
            reviewing: Mutex::default(),
        }
    }

    /// Puts it in force: what its nodes and its budget go on with are its own terms.
    pub fn begin(&self) {
        self.is_in_force.store(true, Ordering::Relaxed);
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).configure(self.terms.budget);
        for standing in self.nodes.iter().filter_map(|node| node.standing.as_ref()) {
            standing.configure(self.terms.health, self.looks.clone());
        }
    }

    /// Another one is in force in its stead.
    pub fn retire(&self) {
        self.is_in_force.store(false, Ordering::Relaxed);
    }

    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every node of every shard, once.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Upstream>] {
        &self.nodes
    }

    /// Every node, and the origin.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let origin = self.origin.iter().map(|origin| &*origin.upstream);
        self.nodes.iter().map(Arc::as_ref).chain(origin)
    }

    /// Brings the gauges up to date.
    pub fn refresh_metrics(&self) {
        for node in &self.nodes {
            self.metrics.refresh(&Replica::of(node));
        }
    }

    fn roll(&self) {
        let count = self.unrolled.swap(0, Ordering::Relaxed);
        self.lock_budget().roll(now_ms(), count);
    }

    /// Takes a retry out of the budget, if it needs one and there is one.
    fn may_retry(&self, lost: Lost) -> bool {
        self.roll();
        let is_allowed = !lost.is_repeated() || self.lock_budget().withdraw(now_ms());
        if is_allowed {
            self.metrics.retried(lost);
        } else {
            self.metrics.unretried.inc();
        }
        is_allowed
    }

    fn has_budget(&self) -> bool {
        self.roll();
        self.lock_budget().balance() > 0
    }

    fn lock_budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_usable(&self, shard: usize) -> bool {
        self.shards[shard].replicas.iter().any(|node| candidate(node).share > 0)
    }

    /// Returns what tells the nodes that may hold a URL to forget it, and waits a moment until they have.
    fn forgetting(&self, shard: usize, head: Vec<u8>) -> Notice {
        let is_elsewhere = !self.key.is_of_target() || self.terms.fallback == Fallback::NextShard;
        let shards = if is_elsewhere { &self.shards[..] } else { &self.shards[shard..=shard] };
        let nodes = shards.iter().map(|shard| shard.replicas.clone()).collect();
        Notice::waiting(move |status| {
            //= RFC 9111 section 4.4: a cache must invalidate the target of an unsafe method that did not fail.
            (200..400).contains(&status).then(|| forget::everywhere(nodes, head.into()))
        })
    }
}

fn candidate(node: &Upstream) -> Candidate {
    Candidate { share: node.share(), in_flight: node.gate.open() }
}

/// Where a way looks next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Among the shard's replicas.
    Replicas,
    /// In the shard that follows.
    NextShard,
    /// At the origin.
    Origin,
    /// Nowhere.
    End,
}

/// The way of one request through a route.
struct Way<'r> {
    route: &'r Route,
    placed: &'r Placed,
    shard: usize,
    tried: u64,
    attempts: u32,
    stage: Stage,
    /// Requests that one upstream may have under way.
    open_max: u32,
}

impl<'r> Way<'r> {
    const fn new(route: &'r Route, placed: &'r Placed, open_max: u32) -> Self {
        let stage = if placed.is_direct { Stage::Origin } else { Stage::Replicas };
        Self { route, placed, shard: placed.shard, tried: 0, attempts: 0, stage, open_max }
    }

    /// Returns the next hop, whether or not the budget has one.
    fn find(&mut self) -> Option<Hop<'r>> {
        loop {
            match self.stage {
                Stage::Replicas => {
                    if let Some(hop) = self.replica() {
                        return Some(hop);
                    }
                    self.stage = match self.route.terms.fallback {
                        Fallback::Origin => Stage::Origin,
                        Fallback::NextShard => Stage::NextShard,
                        Fallback::Error => Stage::End,
                    };
                }
                Stage::NextShard => {
                    self.stage = Stage::Origin;
                    if self.find_next_shard()
                        && let Some(hop) = self.replica()
                    {
                        return Some(hop);
                    }
                }
                Stage::Origin => {
                    self.stage = Stage::End;
                    let origin = self.route.origin.as_ref()?;
                    return Some(Hop { upstream: &origin.upstream, is_origin: !self.placed.is_direct });
                }
                Stage::End => return None,
            }
        }
    }

    fn replica(&mut self) -> Option<Hop<'r>> {
        if self.attempts >= self.route.terms.attempts_max {
            return None;
        }
        let replicas = &self.route.shards[self.shard].replicas;
        let at = match replicas.as_slice() {
            [only] => (self.tried == 0 && candidate(only).share > 0).then_some(0),
            _ => {
                let choose =
                    |of: &dyn Fn(usize) -> Candidate| choice::choose(replicas.len(), of, self.tried, random::next());
                // Nobody queues at one replica while another one is free.
                choose(&|at| self.unless_full(candidate(&replicas[at])))
                    .or_else(|| choose(&|at| candidate(&replicas[at])))
            }
        }?;
        self.tried |= 1 << at;
        self.attempts += 1;
        Some(Hop { upstream: &replicas[at], is_origin: false })
    }

    fn unless_full(&self, candidate: Candidate) -> Candidate {
        Candidate { share: if candidate.in_flight < self.open_max { candidate.share } else { 0 }, ..candidate }
    }

    fn find_next_shard(&mut self) -> bool {
        let Some(key) = &self.placed.key else { return false };
        let own = self.shard;
        let next = self.route.placement.shard_among(key, |shard| shard != own && self.route.is_usable(shard));
        if let Some(next) = next {
            (self.shard, self.tried) = (next, 0);
            self.attempts = self.attempts.min(self.route.terms.attempts_max - 1);
        }
        next.is_some()
    }
}

impl<'r> Course<'r> for Way<'r> {
    fn next(&mut self, lost: Option<Lost>) -> Option<Hop<'r>> {
        match lost {
            None => drop(self.route.unrolled.fetch_add(1, Ordering::Relaxed)),
            // What happened may have left the shard with nobody else than those it had left for errors.
            Some(_) => self.route.review_shard(self.shard),
        }
        let hop = self.find();
        match (&hop, lost) {
            (None, _) => self.route.metrics.fell_back("error"),
            (Some(_), Some(lost)) if !self.route.may_retry(lost) => return None,
            (Some(hop), _) if hop.is_origin => self.route.metrics.fell_back("origin"),
            (Some(_), _) if self.shard != self.placed.shard => self.route.metrics.fell_back("next_shard"),
            (Some(_), _) => {}
        }
        hop
    }

    fn has_next(&self) -> bool {
        let route = self.route;
        let is_open = |(at, node): (usize, &Arc<Upstream>)| self.tried >> at & 1 == 0 && candidate(node).share > 0;
        let replicas = &route.shards[self.shard].replicas;
        let has_replica = self.attempts < route.terms.attempts_max && replicas.iter().enumerate().any(is_open);
        let has_origin = route.origin.is_some() && route.terms.fallback != Fallback::Error;
        let has_next_shard = || {
            route.terms.fallback == Fallback::NextShard
                && (0..route.shards.len()).any(|shard| shard != self.shard && route.is_usable(shard))
        };
        let has_hop = match self.stage {
            Stage::Replicas => has_replica || has_origin || has_next_shard(),
            Stage::NextShard | Stage::Origin => has_replica || has_origin,
            Stage::End => false,
        };
        has_hop && route.has_budget()
    }

    fn may_repeat(&self) -> bool {
        // A write goes to the origin once.
        !self.placed.is_direct || self.placed.is_safe
    }

    fn buffer_bytes(&self) -> Option<usize> {
        self.route.terms.has_elsewhere.then_some(self.route.terms.buffer_bytes)
    }

    fn write_origin_head(&self, head: &[u8], out: &mut Vec<u8>) {
        let host = self.route.origin.as_ref().and_then(|origin| origin.host.as_deref());
        for (at, line) in head.split_inclusive(|&byte| byte == b'\n').enumerate() {
            match host {
                // The head is our own: the host stands behind the request line, the key where we wrote it.
                Some(host) if at == 1 => {
                    out.extend_from_slice(b"host: ");
                    out.extend_from_slice(host.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
                _ if line.starts_with(b"x-alongside-") => {}
                _ => out.extend_from_slice(line),
            }
        }
    }

    fn resumed(&self) {
        self.route.metrics.resumed.inc();
    }
}

impl Service for Route {
    type Plan = Placed;

    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Placed {
        let view = View::new(head, arrival);
        let mut made = Vec::new();
        let key = self.key.borrow(&view).unwrap_or_else(|| {
            made = buffer::take_output();
            self.key.evaluate(&view, &mut made);
            &made
        });
        let shard = self.placement.shard(key);
        let is_safe = matches!(head.method, "GET" | "HEAD" | "OPTIONS");
        let has_body = !matches!(head.body, Body::None | Body::Length(0));
        let is_read = is_safe && !has_body && head.upgrade.is_none();
        let direct = self.origin.as_ref().filter(|_| !is_read);
        let mut escaped = Vec::new();
        let sent = if is_plain(key) {
            key
        } else {
            escaped = buffer::take_output();
            escape(key, &mut escaped);
            &escaped
        };
        let forward = Forward {
            is_inner: arrival.is_inner,
            key: direct.is_none().then_some(sent),
            host: direct.and_then(|origin| origin.host.as_deref()).map(str::as_bytes),
            passes_expect: true,
            ..Forward::new(arrival.peer)
        };
        head.write(&forward, output);
        output.extend_from_slice(b"via: 1.1 alongside\r\n\r\n");
        let key = (self.terms.fallback == Fallback::NextShard).then(|| key.to_vec());
        buffer::give_output(escaped);
        buffer::give_output(made);
        // Only caches of ours understand.
        let forget = (direct.is_some() && !is_safe && self.looks.probe == Probe::Cache)
            .then(|| forget::head(head.target, head.authority, view::scheme(head, arrival), ""));
        Placed { shard, key, is_direct: direct.is_some(), is_safe, forget }
    }

    async fn run<S: Stream>(&self, mut placed: Placed, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        self.shards[placed.shard].requests.inc();
        exchange.notice = placed.forget.take().map(|head| self.forgetting(placed.shard, head));
        let mut way = Way::new(self, &placed, exchange.limits.upstream_requests_max);
        let result = exchange.forward(&mut way).await;
        let is_suspected = |node: &Arc<Upstream>| node.standing.as_ref().is_some_and(Standing::take_suspected);
        if exchange.trail.upstream.as_ref().is_some_and(is_suspected) {
            self.review_shard(placed.shard);
        }
        result
    }
}

/// Whether a byte of a key goes on as it is.
const fn is_plain_byte(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f && byte != b'%'
}

/// Whether a key can be a field's value as it is.
fn is_plain(key: &[u8]) -> bool {
    bytes::are_all(key, is_plain_byte)
}

/// Appends a key as a field's value: bytes that no field may hold, spaces and `%` as `%XX`.
pub fn escape(key: &[u8], out: &mut Vec<u8>) {
    let mut rest = key;
    while let Some(at) = rest.iter().position(|&byte| !is_plain_byte(byte)) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        out.extend_from_slice(&[
            b'%',
            b"0123456789ABCDEF"[usize::from(byte >> 4)],
            b"0123456789ABCDEF"[usize::from(byte & 15)],
        ]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_field_cannot_hold() {
        let mut out = Vec::new();
        escape(b"/a%20b \xc3\xa9\x00", &mut out);
        assert_eq!(out, b"/a%2520b%20%C3%A9%00");
    }
}
