//! The access log: what became of one request, as a line.

use crate::exchange::Exchange;
use alongside_protocols::RequestHead;
use std::net::IpAddr;
use std::time::Duration;

/// Bytes of a target that a line holds; the rest is cut.
const TARGET_BYTES_MAX: usize = 2048;

/// What of a request's head is logged.
#[derive(Debug)]
pub struct Line {
    method: String,
    host: String,
    target: String,
    client: IpAddr,
}

impl Line {
    /// Takes what is logged of a head.
    #[must_use]
    pub fn of(head: &RequestHead<'_, '_>, client: IpAddr) -> Self {
        let target = &head.target[..head.target.len().min(TARGET_BYTES_MAX)];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { method: head.method.to_owned(), host: text(head.authority), target: text(target), client }
    }

    /// Writes the line. `is_whole`: the answer was not cut.
    pub fn write<S>(&self, listener: &str, exchange: &Exchange<'_, S>, is_whole: bool, took: Duration) {
        let trail = &exchange.trail;
        tracing::info!(
            event = "request",
            listener,
            client = %self.client,
            method = self.method,
            host = self.host,
            target = self.target,
            status = exchange.status,
            // Whole microseconds: further digits are noise.
            duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3,
            upstream = trail.upstream.as_ref().map(|upstream| upstream.id.as_str()),
            hops = (trail.hops > 0).then_some(trail.hops),
            cache = trail.cache,
            body_bytes = trail.body_bytes,
            is_whole,
            shed = trail.shed,
        );
    }
}
