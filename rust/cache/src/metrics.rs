//! What caches count. The labels are the words of `Cache-Status`.

use crate::store::Store;
use alongside_policy::caching::{Forward, Outcome};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabel {
    cache: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    cache: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    cache: String,
    reason: &'static str,
}

/// All metrics of the caches in a process.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    requests: Family<OutcomeLabel, Counter>,
    collapsed: Family<CacheLabel, Counter>,
    waiting: Family<CacheLabel, Gauge>,
    origin: Family<CacheLabel, Counter>,
    unstored: Family<ReasonLabel, Counter>,
    evicted: Family<CacheLabel, Counter>,
    bytes: Family<CacheLabel, Gauge>,
    limit: Family<CacheLabel, Gauge>,
    inflight: Family<CacheLabel, Gauge>,
    objects: Family<CacheLabel, Gauge>,
    sibling_requests: Family<OutcomeLabel, Counter>,
    sibling_purges: Family<OutcomeLabel, Counter>,
    sibling_owed: Family<CacheLabel, Gauge>,
    sibling_owed_bytes: Family<CacheLabel, Gauge>,
    warmth: Family<CacheLabel, Gauge>,
    warmed_bytes: Family<CacheLabel, Counter>,
    warmed_objects: Family<CacheLabel, Counter>,
}

/// What one cache counts.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    name: String,
    hits: Counter,
    requests: Family<OutcomeLabel, Counter>,
    /// Requests that were answered with the answer to another client's.
    pub collapsed: Counter,
    /// Requests that wait now to see whether that suits them.
    pub waiting: Gauge,
    /// Requests sent to the origin.
    pub origin: Counter,
    unstored: Family<ReasonLabel, Counter>,
    evicted: Counter,
    bytes: Gauge,
    limit: Gauge,
    inflight: Gauge,
    objects: Gauge,
    sibling_requests: Family<OutcomeLabel, Counter>,
    sibling_purges: Family<OutcomeLabel, Counter>,
    sibling_owed: Gauge,
    sibling_owed_bytes: Gauge,
    warmth: Gauge,
    /// Bytes that came from siblings while it warmed up.
    pub warmed_bytes: Counter,
    /// Answers that were stored of them.
    pub warmed_objects: Counter,
}

impl Metrics {
    /// Returns the metrics, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let cache = registry.sub_registry_with_prefix("alongside_cache");
        cache.register("requests", "Requests, by what the store had for them", metrics.requests.clone());
        cache.register("collapsed", "Requests answered with another client's answer", metrics.collapsed.clone());
        cache.register("waiting", "Requests that wait for another client's answer", metrics.waiting.clone());
        cache.register("origin_requests", "Requests sent to the origin", metrics.origin.clone());
        cache.register("unstored", "Answers that were not stored, by reason", metrics.unstored.clone());
        cache.register("evicted", "Keys evicted to make room", metrics.evicted.clone());
        cache.register("bytes", "Memory of what is stored, metadata counted", metrics.bytes.clone());
        cache.register("bytes_max", "Memory that may be stored", metrics.limit.clone());
        cache.register("inflight_bytes", "Memory of answers that are on their way", metrics.inflight.clone());
        cache.register("objects", "Keys stored", metrics.objects.clone());
        metrics.register_siblings(cache);
        metrics
    }

    fn register_siblings(&self, cache: &mut Registry) {
        let siblings = "Questions to siblings, by what came of them";
        cache.register("sibling_requests", siblings, self.sibling_requests.clone());
        cache.register("sibling_purges", "Purges that siblings were told", self.sibling_purges.clone());
        cache.register("sibling_owed_orders", "Purges that siblings have yet to take", self.sibling_owed.clone());
        cache.register("sibling_owed_bytes", "What these take", self.sibling_owed_bytes.clone());
        cache.register("warmth", "How far the warm-up is, 0 to 100", self.warmth.clone());
        cache.register("warmed_bytes", "Bytes that came from siblings in the warm-up", self.warmed_bytes.clone());
        cache.register("warmed_objects", "Answers that were stored of them", self.warmed_objects.clone());
    }

    /// Returns the counters of a cache.
    #[must_use]
    pub fn cache(&self, name: &str) -> CacheMetrics {
        let label = CacheLabel { cache: name.to_owned() };
        let hit = OutcomeLabel { cache: name.to_owned(), outcome: Outcome::Hit.as_str() };
        CacheMetrics {
            name: name.to_owned(),
            hits: self.requests.get_or_create_owned(&hit),
            requests: self.requests.clone(),
            collapsed: self.collapsed.get_or_create_owned(&label),
            waiting: self.waiting.get_or_create_owned(&label),
            origin: self.origin.get_or_create_owned(&label),
            unstored: self.unstored.clone(),
            evicted: self.evicted.get_or_create_owned(&label),
            bytes: self.bytes.get_or_create_owned(&label),
            limit: self.limit.get_or_create_owned(&label),
            inflight: self.inflight.get_or_create_owned(&label),
            objects: self.objects.get_or_create_owned(&label),
            sibling_requests: self.sibling_requests.clone(),
            sibling_purges: self.sibling_purges.clone(),
            sibling_owed: self.sibling_owed.get_or_create_owned(&label),
            sibling_owed_bytes: self.sibling_owed_bytes.get_or_create_owned(&label),
            warmth: self.warmth.get_or_create_owned(&label),
            warmed_bytes: self.warmed_bytes.get_or_create_owned(&label),
            warmed_objects: self.warmed_objects.get_or_create_owned(&label),
        }
    }

    /// Forgets what a cache that left held.
    pub fn forget(&self, name: &str) {
        let label = CacheLabel { cache: name.to_owned() };
        for gauge in [&self.bytes, &self.limit, &self.inflight, &self.objects, &self.waiting, &self.warmth] {
            gauge.remove(&label);
        }
        for gauge in [&self.sibling_owed, &self.sibling_owed_bytes] {
            gauge.remove(&label);
        }
        for counter in [&self.collapsed, &self.origin, &self.evicted, &self.warmed_bytes, &self.warmed_objects] {
            counter.remove(&label);
        }
    }
}

impl CacheMetrics {
    /// Counts a request that was answered from the store.
    pub fn hit(&self) {
        self.hits.inc();
    }

    /// Counts a request that went on to the origin.
    pub fn forwarded(&self, why: Forward) {
        self.requests.get_or_create(&OutcomeLabel { cache: self.name.clone(), outcome: why.as_str() }).inc();
    }

    /// Counts an answer that was not stored.
    pub fn unstored(&self, reason: &'static str) {
        self.unstored.get_or_create(&ReasonLabel { cache: self.name.clone(), reason }).inc();
    }

    /// Counts a question to a sibling.
    pub fn asked_sibling(&self, outcome: &'static str) {
        self.sibling_requests.get_or_create(&OutcomeLabel { cache: self.name.clone(), outcome }).inc();
    }

    /// Counts an attempt to tell a sibling of a purge.
    pub fn purge_told(&self, outcome: &'static str) {
        self.sibling_purges.get_or_create(&OutcomeLabel { cache: self.name.clone(), outcome }).inc();
    }

    /// Reads what the store knows.
    pub fn refresh(&self, store: &Store, warmth: u8, owed: (usize, usize)) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.sibling_owed.set(gauge(owed.0 as u64));
        self.sibling_owed_bytes.set(gauge(owed.1 as u64));
        self.warmth.set(i64::from(warmth));
        self.evicted.inner().store(store.counts().evicted.load(Relaxed), Relaxed);
        self.bytes.set(gauge(store.weight()));
        self.limit.set(gauge(store.bytes_max()));
        self.inflight.set(gauge(store.inflight().reserved_bytes()));
        self.objects.set(gauge(store.len() as u64));
    }
}
