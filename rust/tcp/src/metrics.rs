//! What balancers count. The labels are the words of the outcomes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

use alongside_transport::admission::Full;

/// Upper bounds of the histogram in seconds.
const SECONDS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BalancerLabel {
    balancer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    balancer: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabel {
    balancer: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BackendLabel {
    balancer: String,
    backend: String,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides ended it in order.
    Ended,
    /// One side broke it off, and so it was for the other.
    Reset,
    /// Both sides were silent for too long.
    IdleTimeout,
    /// The balancer has no backend.
    NoBackend,
    /// No backend that was tried could be connected to.
    Unreachable,
    /// This process or machine had no descriptor, memory or port left to connect with.
    OwnFault,
}

impl Outcome {
    /// Every outcome, in the order of their declaration: each shows itself from the beginning.
    const ALL: [Self; 6] =
        [Self::Ended, Self::Reset, Self::IdleTimeout, Self::NoBackend, Self::Unreachable, Self::OwnFault];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Reset => "reset",
            Self::IdleTimeout => "idle_timeout",
            Self::NoBackend => "no_backend",
            Self::Unreachable => "unreachable",
            Self::OwnFault => "own_fault",
        }
    }
}

/// The words of outcomes and limits by which connections are counted.
fn words() -> impl Iterator<Item = &'static str> {
    let rejected = [Full::Process, Full::Address].map(Full::as_str);
    Outcome::ALL.iter().map(|outcome| outcome.as_str()).chain(rejected)
}

/// All metrics of the balancers in a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    connections: Family<OutcomeLabel, Counter>,
    open: Family<BackendLabel, Gauge>,
    bytes: Family<DirectionLabel, Counter>,
    failures: Family<BackendLabel, Counter>,
    left: Family<BackendLabel, Gauge>,
    seconds: Family<BalancerLabel, Histogram>,
}

impl Metrics {
    /// Returns the metrics, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            connections: Family::default(),
            open: Family::default(),
            bytes: Family::default(),
            failures: Family::default(),
            left: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        let tcp = registry.sub_registry_with_prefix("alongside_tcp");
        tcp.register("connections", "Connections that are over, by what became of them", metrics.connections.clone());
        tcp.register("open_connections", "Connections open now to a backend", metrics.open.clone());
        tcp.register("bytes", "Bytes passed on, by direction", metrics.bytes.clone());
        tcp.register("connect_failures", "Connections that a backend did not take", metrics.failures.clone());
        tcp.register("backend_left", "1 while a backend gets no connections, else 0", metrics.left.clone());
        tcp.register("connect_seconds", "How long clients waited for a backend", metrics.seconds.clone());
        metrics
    }

    /// Returns what a balancer counts with.
    #[must_use]
    pub(crate) fn balancer(&self, name: &str) -> BalancerMetrics {
        let label = || BalancerLabel { balancer: name.to_owned() };
        let over = |outcome| {
            let label = OutcomeLabel { balancer: name.to_owned(), outcome };
            self.connections.get_or_create_owned(&label)
        };
        let bytes = |direction| {
            let label = DirectionLabel { balancer: name.to_owned(), direction };
            self.bytes.get_or_create_owned(&label)
        };
        BalancerMetrics {
            over: Outcome::ALL.map(|outcome| over(outcome.as_str())),
            rejected: [Full::Process, Full::Address].map(|full| over(full.as_str())),
            to_backend: bytes("to_backend"),
            to_client: bytes("to_client"),
            seconds: self.seconds.get_or_create_owned(&label()),
        }
    }

    /// Says how a backend stands now.
    pub(crate) fn tell(&self, balancer: &str, backend: &str, now: Told) {
        let label = BackendLabel { balancer: balancer.to_owned(), backend: backend.to_owned() };
        self.open.get_or_create(&label).set(i64::from(now.open));
        self.left.get_or_create(&label).set(i64::from(now.is_left));
        self.failures.get_or_create(&label).inner().store(now.failures, Ordering::Relaxed);
    }

    /// Forgets a balancer that left.
    pub fn forget(&self, name: &str) {
        for outcome in words() {
            self.connections.remove(&OutcomeLabel { balancer: name.to_owned(), outcome });
        }
        for direction in ["to_backend", "to_client"] {
            self.bytes.remove(&DirectionLabel { balancer: name.to_owned(), direction });
        }
        self.seconds.remove(&BalancerLabel { balancer: name.to_owned() });
    }

    /// Forgets a backend that a balancer has no more.
    pub fn forget_backend(&self, balancer: &str, backend: &str) {
        let label = BackendLabel { balancer: balancer.to_owned(), backend: backend.to_owned() };
        self.open.remove(&label);
        self.failures.remove(&label);
        self.left.remove(&label);
    }
}

/// What is told of a backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub open: u32,
    pub is_left: bool,
    pub failures: u64,
}

/// What one balancer counts. It outlives the balancer with the last of its connections.
#[derive(Debug)]
pub(crate) struct BalancerMetrics {
    over: [Counter; Outcome::ALL.len()],
    rejected: [Counter; 2],
    /// Bytes that went on to backends.
    pub to_backend: Counter,
    /// Bytes that went back to clients.
    pub to_client: Counter,
    /// How long clients waited for a backend.
    pub seconds: Histogram,
}

impl BalancerMetrics {
    /// Counts a connection that is over.
    pub fn over(&self, outcome: Outcome) {
        self.over[outcome as usize].inc();
    }

    /// Counts a connection that found no room.
    pub fn rejected(&self, full: Full) {
        // Balancers' connections are in no group.
        if let Some(counter) = self.rejected.get(full as usize) {
            counter.inc();
        }
    }
}
