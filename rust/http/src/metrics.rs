//! What the engine counts. The labels are the words of the outcomes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::course::Lost;
use crate::route::Replica;
use alongside_policy::health::Reason;
use alongside_transport::gate::Gate;

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NodeLabel {
    route: String,
    node: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LostLabel {
    route: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FallbackLabel {
    route: String,
    to: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeftLabel {
    route: String,
    node: String,
    reason: &'static str,
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
    upstream_seconds: Family<RetryLabel, Histogram, fn() -> Histogram>,
    shed: Family<ReasonLabel, Counter>,
    shards: Family<ShardLabel, Counter>,
    under_way: Gauge,
    waiting: Gauge,
    routes: RouteFamilies,
}

/// What routes count.
#[derive(Debug, Clone, Default)]
struct RouteFamilies {
    retries: Family<LostLabel, Counter>,
    unretried: Family<RouteLabel, Counter>,
    fallbacks: Family<FallbackLabel, Counter>,
    resumed: Family<RouteLabel, Counter>,
    left: Family<LeftLabel, Counter>,
    share: Family<NodeLabel, Gauge<f64, AtomicU64>>,
    warmth: Family<NodeLabel, Gauge<f64, AtomicU64>>,
    in_flight: Family<NodeLabel, Gauge>,
    waiting: Family<NodeLabel, Gauge>,
    owed: Family<NodeLabel, Gauge>,
    owed_bytes: Family<NodeLabel, Gauge>,
}

impl RouteFamilies {
    fn register(&self, registry: &mut Registry) {
        let route = registry.sub_registry_with_prefix("alongside_route");
        route.register("retries", "Requests tried again elsewhere, by how they were lost", self.retries.clone());
        route.register("retries_refused", "Requests not tried again, for want of budget", self.unretried.clone());
        route.register(
            "fallbacks",
            "Requests for which no replica could be used, by where they went",
            self.fallbacks.clone(),
        );
        route.register("resumed", "Answers that broke off and went on from elsewhere", self.resumed.clone());
        route.register("node_left", "How often a node was left, by reason", self.left.clone());
        route.register(
            "node_share_ratio",
            "The part of its requests that a node gets; 0 while it is left",
            self.share.clone(),
        );
        route.register("node_warmth_ratio", "How warm a node says it is", self.warmth.clone());
        route.register("node_in_flight", "Requests that a node is answering", self.in_flight.clone());
        route.register("node_waiting", "Requests that wait for one of these to end", self.waiting.clone());
        route.register("node_owed_orders", "Orders to forget that a node has yet to take", self.owed.clone());
        route.register("node_owed_bytes", "What these take", self.owed_bytes.clone());
    }
}

/// Where requests go for which no replica could be used.
const FALLBACKS: [&str; 3] = ["origin", "next_shard", "error"];

/// What one route counts. The counters outlive their series: who still holds them brings none back.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    name: String,
    families: RouteFamilies,
    retries: [Counter; Lost::ALL.len()],
    fallbacks: [Counter; FALLBACKS.len()],
    /// Requests that were not tried again, for want of budget.
    pub unretried: Counter,
    /// Answers that broke off and went on from elsewhere.
    pub resumed: Counter,
}

impl RouteMetrics {
    /// Counts a request that is tried again.
    pub fn retried(&self, lost: Lost) {
        self.retries[lost as usize].inc();
    }

    /// Counts a request for which no replica could be used.
    pub fn fell_back(&self, to: &'static str) {
        if let Some(at) = FALLBACKS.iter().position(|known| *known == to) {
            self.fallbacks[at].inc();
        }
    }

    /// Notes how a node is seen now.
    pub fn refresh(&self, node: &Replica) {
        let label = NodeLabel { route: self.name.clone(), node: node.id.clone() };
        let ratio = |percent: u8| f64::from(percent) / 100.0;
        self.families.share.get_or_create(&label).set(ratio(node.share));
        self.families.warmth.get_or_create(&label).set(ratio(node.warmth));
        self.families.in_flight.get_or_create(&label).set(i64::from(node.in_flight));
        self.families.waiting.get_or_create(&label).set(i64::from(node.waiting));
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.families.owed.get_or_create(&label).set(gauge(node.owed.0));
        self.families.owed_bytes.get_or_create(&label).set(gauge(node.owed.1));
    }

    /// Returns how often a node was left, by reason.
    #[must_use]
    pub fn left(&self, node: &str) -> [Counter; Reason::ALL.len()] {
        Reason::ALL.map(|reason| self.families.left.get_or_create_owned(&left_label(&self.name, node, reason)))
    }
}

fn lost_label(route: &str, lost: Lost) -> LostLabel {
    LostLabel { route: route.to_owned(), reason: lost.as_str() }
}

fn fallback_label(route: &str, to: &'static str) -> FallbackLabel {
    FallbackLabel { route: route.to_owned(), to }
}

fn left_label(route: &str, node: &str, reason: Reason) -> LeftLabel {
    LeftLabel { route: route.to_owned(), node: node.to_owned(), reason: reason.as_str() }
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
    shed: Family<ReasonLabel, Counter>,
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
    /// It was given up while it was waited for, and the request went elsewhere.
    Left,
}

impl UpstreamOutcome {
    const ALL: [Self; 7] =
        [Self::Answered, Self::ConnectFailed, Self::Closed, Self::TimedOut, Self::Refused, Self::Abandoned, Self::Left];

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
            Self::Left => "left",
        }
    }
}

/// What one upstream counts.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    outcomes: [Counter; 7],
    /// Requests sent again because a kept connection had closed.
    pub retries: Counter,
    /// From a request's way to it to the head of its answer.
    pub seconds: Histogram,
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
            upstream_seconds: Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram),
            shed: Family::default(),
            shards: Family::default(),
            under_way: Gauge::default(),
            waiting: Gauge::default(),
            routes: RouteFamilies::default(),
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
        http.register(
            "upstream_duration_seconds",
            "From a request's way to an upstream to the head of its answer",
            metrics.upstream_seconds.clone(),
        );
        http.register("shed", "Requests refused for want of room, by limit", metrics.shed.clone());
        http.register("requests_under_way", "Requests that nodes and origins are answering", metrics.under_way.clone());
        http.register("requests_waiting", "Requests that wait for one of these to end", metrics.waiting.clone());
        metrics.routes.register(registry);
        registry.register("alongside_route_requests", "Requests placed, by shard", metrics.shards.clone());
        metrics
    }

    /// Notes how many requests are under way, and how many wait.
    pub fn refresh(&self, requests: &Gate) {
        self.under_way.set(i64::from(requests.open()));
        self.waiting.set(i64::from(requests.waiting()));
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
            shed: self.shed.clone(),
        }
    }

    /// Returns the counters of an upstream.
    #[must_use]
    pub fn upstream(&self, id: &str) -> UpstreamMetrics {
        let label = |outcome: UpstreamOutcome| UpstreamLabel { upstream: id.to_owned(), outcome: outcome.as_str() };
        UpstreamMetrics {
            outcomes: UpstreamOutcome::ALL.map(|outcome| self.upstream.get_or_create_owned(&label(outcome))),
            retries: self.retries.get_or_create_owned(&RetryLabel { upstream: id.to_owned() }),
            seconds: self.upstream_seconds.get_or_create_owned(&RetryLabel { upstream: id.to_owned() }),
        }
    }

    /// Returns the counters of a route.
    #[must_use]
    pub fn route(&self, name: &str) -> RouteMetrics {
        let label = RouteLabel { route: name.to_owned() };
        RouteMetrics {
            name: name.to_owned(),
            families: self.routes.clone(),
            retries: Lost::ALL.map(|lost| self.routes.retries.get_or_create_owned(&lost_label(name, lost))),
            fallbacks: FALLBACKS.map(|to| self.routes.fallbacks.get_or_create_owned(&fallback_label(name, to))),
            unretried: self.routes.unretried.get_or_create_owned(&label),
            resumed: self.routes.resumed.get_or_create_owned(&label),
        }
    }

    /// Forgets the series of a node that left a route.
    pub fn forget_node(&self, route: &str, node: &str) {
        let label = NodeLabel { route: route.to_owned(), node: node.to_owned() };
        self.routes.share.remove(&label);
        self.routes.warmth.remove(&label);
        for gauge in [&self.routes.in_flight, &self.routes.waiting, &self.routes.owed, &self.routes.owed_bytes] {
            gauge.remove(&label);
        }
        for reason in Reason::ALL {
            self.routes.left.remove(&left_label(route, node, reason));
        }
    }

    /// Forgets the series of a route that left.
    pub fn forget_route(&self, name: &str) {
        let label = RouteLabel { route: name.to_owned() };
        self.routes.unretried.remove(&label);
        self.routes.resumed.remove(&label);
        for lost in Lost::ALL {
            self.routes.retries.remove(&lost_label(name, lost));
        }
        for to in FALLBACKS {
            self.routes.fallbacks.remove(&fallback_label(name, to));
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
        self.upstream_seconds.remove(&RetryLabel { upstream: id.to_owned() });
    }

    /// Forgets the series of a shard that left its route.
    pub fn forget_shard(&self, route: &str, shard: &str) {
        self.shards.remove(&ShardLabel { route: route.to_owned(), shard: shard.to_owned() });
    }
}

impl ListenerMetrics {
    /// The listener's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

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

    /// Counts a request that was refused for want of room.
    pub fn shed(&self, reason: &'static str) {
        self.shed.get_or_create(&ReasonLabel { listener: self.name.clone(), reason }).inc();
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
