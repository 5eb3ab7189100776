//! Listeners: what they serve, and letting connections in.

use crate::connection;
use crate::metrics::ListenerMetrics;
use crate::service::Service;
use alongside_document::{Limits, Network};
use alongside_transport::admission::{Admission, Admitted, Full};
use alongside_transport::deadline;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// How long to wait after the system refused to hand out a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
}

impl<V> State<V> {
    /// Returns a state.
    #[must_use]
    pub fn new(service: Arc<V>, inner: Vec<Network>, limits: Limits) -> Self {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let guard = alongside_protocols::Limits {
            head_bytes_max: bytes(limits.head_bytes_max),
            fields_max: limits.fields_max as usize,
            target_bytes_max: bytes(limits.target_bytes_max),
        };
        Self { service, inner, limits, guard }
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
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    if let Some(admitted) = self.admit(peer.ip()).await {
                        let listener = Arc::clone(&self);
                        tokio::spawn(async move {
                            let _counted = Counted::new(&listener.metrics);
                            connection::serve(stream, peer.ip(), &listener).await;
                            drop(admitted);
                        });
                    }
                }
                Err(error) => {
                    // Out of descriptors or memory: make room rather than spin.
                    tracing::warn!(event = "accept_failed", error = %error);
                    deadline::shed_oldest_idle();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn admit(&self, ip: IpAddr) -> Option<Admitted> {
        let (all, each) = {
            let limits = &self.state.load().limits;
            (limits.connections_max, limits.connections_per_address_max)
        };
        for is_last in [false, true] {
            match self.admission.admit(ip, all as usize, each.map(|max| max as usize)) {
                Ok(admitted) => return Some(admitted),
                Err(Full::Process) if !is_last && deadline::shed_oldest_idle() => tokio::task::yield_now().await,
                Err(full) => {
                    self.metrics.rejected(full.as_str());
                    return None;
                }
            }
        }
        None
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
