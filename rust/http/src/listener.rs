//! Listeners: what they serve, and letting connections in.

use crate::connection;
use crate::entry::{self, Caller, Entry};
use crate::metrics::ListenerMetrics;
use crate::service::Service;
use alongside_document::{Limits, Network};
use alongside_transport::accept::{self, Accept, Room};
use alongside_transport::admission::{Admission, Admitted, Full};
use alongside_transport::deadline;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// What a listener with inner peers takes more than others: the peer adds fields, and the key with its bytes escaped.
const INNER_FIELDS: usize = 16;
const INNER_BYTES: usize = 1024;
const ESCAPED_BYTES: usize = 3;

/// What a listener does with requests; replaced as a whole.
#[derive(Debug)]
pub struct State<V> {
    /// Who answers.
    pub service: Arc<V>,
    /// Peers whose key and forwarding fields are believed.
    pub inner: Vec<Network>,
    /// Limits on clients and upstreams.
    pub limits: Limits,
    /// The guard's part of the limits.
    pub guard: alongside_protocols::Limits,
    /// One request in so many has a line in the log.
    pub access_log: Option<u32>,
    /// What stands before requests.
    pub entry: Entry,
}

impl<V> State<V> {
    /// Returns a state.
    #[must_use]
    pub fn new(service: Arc<V>, inner: Vec<Network>, limits: Limits) -> Self {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let mut guard = alongside_protocols::Limits {
            head_bytes_max: bytes(limits.head_bytes_max),
            fields_max: limits.fields_max as usize,
            target_bytes_max: bytes(limits.target_bytes_max),
        };
        if !inner.is_empty() {
            // What a router with equal limits let in must not be refused behind it.
            let key_bytes = guard.target_bytes_max.saturating_mul(ESCAPED_BYTES);
            guard.head_bytes_max = guard.head_bytes_max.saturating_add(key_bytes).saturating_add(INNER_BYTES);
            guard.fields_max = guard.fields_max.saturating_add(INNER_FIELDS);
        }
        Self { service, inner, limits, guard, access_log: None, entry: Entry::default() }
    }

    /// Returns the same, with a line in the log for one request in so many.
    #[must_use]
    pub fn logging(self, one_in: Option<u32>) -> Self {
        Self { access_log: one_in, ..self }
    }

    /// Returns the same, behind what stands before requests.
    #[must_use]
    pub fn behind(self, entry: Entry) -> Self {
        Self { entry, ..self }
    }

    /// Whether a peer is one of ours.
    #[must_use]
    pub fn is_inner(&self, ip: IpAddr) -> bool {
        self.inner.iter().any(|net| net.contains(ip))
    }
}

/// A listening socket's life: its name and counters stay, its state changes.
#[derive(Debug)]
pub struct Listener<V> {
    /// What it does now.
    pub state: ArcSwap<State<V>>,
    /// What it counts.
    pub metrics: ListenerMetrics,
    /// The connections of the whole process.
    pub admission: Arc<Admission>,
    is_retired: AtomicBool,
}

impl<V: Service> Listener<V> {
    /// Returns a listener that does this.
    #[must_use]
    pub fn new(state: State<V>, metrics: ListenerMetrics, admission: Arc<Admission>) -> Self {
        Self { state: ArcSwap::from_pointee(state), metrics, admission, is_retired: AtomicBool::new(false) }
    }

    /// Lets every connection of this listener end after its next answer.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    /// Whether connections should end after their next answer.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed) || deadline::is_draining()
    }

    /// Lets connections in, for ever. Each becomes a task of this thread.
    pub async fn accept(self: Arc<Self>, socket: TcpListener) {
        accept::connections(self, socket).await;
    }
}

impl<V: Service> Accept for Listener<V> {
    fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    fn room(&self) -> Room {
        let state = self.state.load();
        let limits = &state.limits;
        // Of a balancer in front all connections are; whose they are its header says.
        let each_max = limits.connections_per_address_max.filter(|_| state.entry.proxies.is_empty());
        Room::new(limits.connections_max, each_max)
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, ip: IpAddr, mut admitted: Admitted) {
        let listener = Arc::clone(self);
        tokio::spawn(async move {
            let _counted = Counted::new(&listener.metrics);
            if listener.state.load().entry.is_open() {
                connection::serve(stream, &Caller::plain(ip), &listener).await;
            } else {
                Box::pin(entry::serve(stream, (ip, &mut admitted), &listener)).await;
            }
            drop(admitted);
        });
    }

    fn reject(&self, _: TcpStream, full: Full) {
        self.metrics.rejected(full.as_str());
    }
}

/// Counts a connection while it lives, however its task ends.
struct Counted<'m>(&'m ListenerMetrics);

impl<'m> Counted<'m> {
    fn new(metrics: &'m ListenerMetrics) -> Self {
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_behind_a_router_has_room_for_what_the_router_adds() {
        let plain = State::new(Arc::new(()), Vec::new(), Limits::default()).guard;
        let inner = vec!["127.0.0.0/8".parse().unwrap()];
        let behind = State::new(Arc::new(()), inner, Limits::default()).guard;
        assert!(behind.fields_max >= plain.fields_max + 5);
        assert!(behind.head_bytes_max >= plain.head_bytes_max + 3 * plain.target_bytes_max + 1024);
        assert_eq!(behind.target_bytes_max, plain.target_bytes_max);
    }
}
