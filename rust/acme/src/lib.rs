//! Get certificates from an authority, and renew them in time (RFC 8555, RFC 9773).
//!
//! In:    the authority's directory, the hosts' names, a folder.
//! Out:   a certificate and its key in that folder, which `alongside-tls` follows; answers to challenges.
//! Not:   serving TLS, or the answers.
//! Next:  `alongside-dataplane` runs it beside its listeners.
//!
//! Processes that share a folder order one at a time, and each shows the answers of whoever orders: the authority may ask
//! any of them. What failed is noted there too, so that a process that is started again asks no sooner.
//!
//! Logged, each with `listener`: `acme_account_made`, `acme_account_unknown` (the authority does not know it any more; a new
//! one is made), `acme_certificate_got` (with `names` and `expires_s`), `acme_order_failed` (once for each reason, with
//! `outcome`, `reason` and `again_s`; what was in force stays), `acme_answers_not_shown`.
//!
//! Counted: `alongside_acme_orders_total{listener,outcome}`, and by [`Issuer::refresh_metrics`]
//! `alongside_acme_next_order_seconds{listener}`.

mod challenges;
mod client;
mod failure;
mod issuer;
mod metrics;
mod order;
pub mod schedule;
mod store;

pub use challenges::Answers;
pub use issuer::Issuer;
pub use metrics::{Metrics, Outcome};

/// Returns a time in seconds since 1970.
fn seconds(time: std::time::SystemTime) -> i64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
