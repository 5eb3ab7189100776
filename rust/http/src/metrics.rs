//! What the engine counts. The labels are the words of the outcomes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Upper bounds of the latency histogram in seconds.
const SECONDS: [f64; 12] = [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    listener: String,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    listener: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabel {
    upstream: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabel {
    upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabel {
    route: String,
    shard: String,
}

/// All metrics of the engine in a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Family<StatusLabel, Counter>,
    seconds: Family<ListenerLabel, Histogram, fn() -> Histogram>,
    refused: Family<ReasonLabel, Counter>,
    rejected: Family<ReasonLabel, Counter>,
    connections: Family<ListenerLabel, Gauge>,
    cut: Family<ListenerLabel, Counter>,
    upstream: Family<UpstreamLabel, Counter>,
    retries: Family<RetryLabel, Counter>,
    shards: Family<ShardLabel, Counter>,
}

/// What one listener counts.
#[derive(Debug, Clone)]
pub struct ListenerMetrics {
    name: String,
    classes: [Counter; 5],
    seconds: Histogram,
    /// Client connections open now.
    pub connections: Gauge,
    /// Answers that ended before they were whole.
    pub cut: Counter,
    refused: Family<ReasonLabel, Counter>,
    rejected: Family<ReasonLabel, Counter>,
}

/// What was seen of one upstream. The words are the metric's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamOutcome {
    /// It answered whole.
    Answered,
    /// No connection could be opened.
    ConnectFailed,
    /// It closed, or reset, before its answer was whole.
    Closed,
    /// It was silent for too long.
    TimedOut,
    /// Its answer was not let through.
    Refused,
    /// The client left first.
    Abandoned,
}

impl UpstreamOutcome {
    const ALL: [Self; 6] =
        [Self::Answered, Self::ConnectFailed, Self::Closed, Self::TimedOut, Self::Refused, Self::Abandoned];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ConnectFailed => "connect_failed",
            Self::Closed => "closed",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What one upstream counts.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    outcomes: [Counter; 6],
    /// Requests sent again because a kept connection had closed.
    pub retries: Counter,
}

impl Metrics {
    /// Returns the metrics, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram),
            refused: Family::default(),
            rejected: Family::default(),
            connections: Family::default(),
            cut: Family::default(),
            upstream: Family::default(),
            retries: Family::default(),
            shards: Family::default(),
        };
        let http = registry.sub_registry_with_prefix("alongside_http");
        http.register("requests", "Requests answered, by class of status", metrics.requests.clone());
        http.register(
            "request_duration_seconds",
            "From a request's head to the last byte of its answer",
            metrics.seconds.clone(),
        );
        http.register("refused", "Requests that the guard did not let in, by reason", metrics.refused.clone());
        http.register("connections_rejected", "Connections over a limit, by limit", metrics.rejected.clone());
        http.register("connections", "Client connections open now", metrics.connections.clone());
        http.register("cut", "Answers that ended before they were whole", metrics.cut.clone());
        http.register("upstream_requests", "Requests sent on, by what became of them", metrics.upstream.clone());
        http.register(
            "upstream_retries",
            "Requests sent again after a kept connection closed",
            metrics.retries.clone(),
        );
        registry.register("alongside_route_requests", "Requests placed, by shard", metrics.shards.clone());
        metrics
    }

    /// Returns the counters of a listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let label = ListenerLabel { listener: name.to_owned() };
        ListenerMetrics {
            name: name.to_owned(),
            classes: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|status| self.requests.get_or_create_owned(&StatusLabel { listener: name.to_owned(), status })),
            seconds: self.seconds.get_or_create_owned(&label),
            connections: self.connections.get_or_create_owned(&label),
            cut: self.cut.get_or_create_owned(&label),
            refused: self.refused.clone(),
            rejected: self.rejected.clone(),
        }
    }

    /// Returns the counters of an upstream.
    #[must_use]
    pub fn upstream(&self, id: &str) -> UpstreamMetrics {
        let label = |outcome: UpstreamOutcome| UpstreamLabel { upstream: id.to_owned(), outcome: outcome.as_str() };
        UpstreamMetrics {
            outcomes: UpstreamOutcome::ALL.map(|outcome| self.upstream.get_or_create_owned(&label(outcome))),
            retries: self.retries.get_or_create_owned(&RetryLabel { upstream: id.to_owned() }),
        }
    }

    /// Returns the counter of a route's shard.
    #[must_use]
    pub fn shard(&self, route: &str, shard: &str) -> Counter {
        self.shards.get_or_create_owned(&ShardLabel { route: route.to_owned(), shard: shard.to_owned() })
    }

    /// Forgets the series of an upstream that left.
    pub fn forget_upstream(&self, id: &str) {
        for outcome in UpstreamOutcome::ALL {
            self.upstream.remove(&UpstreamLabel { upstream: id.to_owned(), outcome: outcome.as_str() });
        }
        self.retries.remove(&RetryLabel { upstream: id.to_owned() });
    }

    /// Forgets the series of a shard that left its route.
    pub fn forget_shard(&self, route: &str, shard: &str) {
        self.shards.remove(&ShardLabel { route: route.to_owned(), shard: shard.to_owned() });
    }
}

impl ListenerMetrics {
    /// Counts an answered request. `took`: from its head to the end of its answer; none where there was no head.
    /// A tunnel's life is no latency.
    pub fn answered(&self, status: u16, took: Option<Duration>) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.classes[class].inc();
        if let Some(took) = took.filter(|_| status != 101) {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    /// Counts a request that the guard did not let in.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { listener: self.name.clone(), reason }).inc();
    }

    /// Counts a connection over a limit.
    pub fn rejected(&self, reason: &'static str) {
        self.rejected.get_or_create(&ReasonLabel { listener: self.name.clone(), reason }).inc();
    }
}

impl UpstreamMetrics {
    /// Counts what became of a request.
    pub fn count(&self, outcome: UpstreamOutcome) {
        self.outcomes[outcome as usize].inc();
    }
}
