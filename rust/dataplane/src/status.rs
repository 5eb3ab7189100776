//! What the process says of itself in `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering;

/// Metrics of the process and its document.
#[derive(Debug, Clone, Default)]
pub struct ProcessMetrics {
    /// The generation in force.
    pub generation: Gauge,
    /// The epoch in force.
    pub epoch: Gauge,
    /// Documents that were applied.
    pub applied: Counter,
    /// Documents that were refused.
    pub refused: Counter,
    resident: Gauge,
    log_dropped: Counter,
    build: Family<Vec<(String, String)>, Gauge>,
}

impl ProcessMetrics {
    /// Returns the metrics, registered.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let document = registry.sub_registry_with_prefix("alongside_document");
        document.register("generation", "The generation of the document in force", metrics.generation.clone());
        document.register("epoch", "The epoch of the document in force", metrics.epoch.clone());
        document.register("applied", "Documents applied", metrics.applied.clone());
        document.register("refused", "Documents refused", metrics.refused.clone());
        registry.register("alongside_process_resident_bytes", "Memory in use", metrics.resident.clone());
        registry.register("alongside_log_dropped", "Log lines that nobody read in time", metrics.log_dropped.clone());
        registry.register("alongside_build_info", "What this process is; always 1", metrics.build.clone());
        let version = vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
        metrics.build.get_or_create(&version).set(1);
        metrics
    }

    /// Reads what changes by itself.
    pub fn refresh(&self) {
        self.log_dropped.inner().store(crate::log::dropped(), Ordering::Relaxed);
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let resident =
            pages.as_deref().and_then(|text| text.split(' ').nth(1)).and_then(|text| text.parse::<i64>().ok());
        if let Some(pages) = resident {
            self.resident.set(pages * i64::try_from(rustix::param::page_size()).unwrap_or(4096));
        }
    }
}
