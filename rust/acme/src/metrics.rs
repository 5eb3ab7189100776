//! What is counted of orders.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OrderLabel {
    listener: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: String,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The certificate is there.
    Done,
    /// The authority does not want to: mostly since it does not find a host's challenge answered.
    Refused,
    /// The authority had too many orders.
    RateLimited,
    /// The authority does not answer, or not as one.
    Unreachable,
    /// Anything else, such as a folder that cannot be written.
    Failed,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Done, Self::Refused, Self::RateLimited, Self::Unreachable, Self::Failed];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }
}

/// All metrics of orders in a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    orders: Family<OrderLabel, Counter>,
    next: Family<ListenerLabel, Gauge>,
}

impl Metrics {
    /// Returns the metrics, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { orders: Family::default(), next: Family::default() };
        let acme = registry.sub_registry_with_prefix("alongside_acme");
        acme.register("orders", "Orders for certificates, by what became of them", metrics.orders.clone());
        acme.register("next_order_seconds", "Seconds until the next order is due", metrics.next.clone());
        metrics
    }

    /// Shows a listener's orders from the beginning.
    pub(crate) fn show(&self, listener: &str) {
        for outcome in Outcome::ALL {
            let _ = self.orders.get_or_create(&label(listener, outcome));
        }
    }

    pub(crate) fn order(&self, listener: &str, outcome: Outcome) {
        self.orders.get_or_create(&label(listener, outcome)).inc();
    }

    pub(crate) fn next(&self, listener: &str, seconds: i64) {
        self.next.get_or_create(&ListenerLabel { listener: listener.to_owned() }).set(seconds);
    }

    /// Forgets a listener that is gone, or that orders no more.
    pub fn forget(&self, listener: &str) {
        self.next.remove(&ListenerLabel { listener: listener.to_owned() });
        for outcome in Outcome::ALL {
            self.orders.remove(&label(listener, outcome));
        }
    }
}

fn label(listener: &str, outcome: Outcome) -> OrderLabel {
    OrderLabel { listener: listener.to_owned(), outcome: outcome.as_str() }
}
