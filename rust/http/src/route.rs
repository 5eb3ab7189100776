//! The router: key, shard, replica, and on.

use crate::exchange::{Broken, Exchange};
use crate::link::Upstream;
use crate::service::{Arrival, Service, Stream};
use crate::view::View;
use alongside_placement::{Placement, key};
use alongside_protocols::{Forward, RequestHead};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;

/// One shard of a route.
#[derive(Debug)]
pub struct Shard {
    /// What stands on the ring.
    pub name: String,
    /// The nodes that serve it, the first one first; never empty.
    pub replicas: Vec<Arc<Upstream>>,
    /// Requests placed on it.
    pub requests: Counter,
}

/// Requests placed on shards by their key.
#[derive(Debug)]
pub struct Route {
    name: String,
    key: key::Key,
    placement: Placement,
    shards: Arc<[Shard]>,
}

/// Where a request goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The evaluated key, escaped as it is sent to nodes.
    pub key: String,
    /// What placement makes of the key.
    pub hash: u32,
    /// The shard's name.
    pub shard: String,
    /// Id and address of the shard's nodes.
    pub replicas: Vec<(String, String)>,
}

/// A placed request; its head stands in the output.
#[derive(Debug)]
pub struct Placed {
    shard: usize,
}

impl Route {
    /// Returns a route over shards, in the order in which `placement` was made of them.
    #[must_use]
    pub const fn new(name: String, key: key::Key, placement: Placement, shards: Arc<[Shard]>) -> Self {
        Self { name, key, placement, shards }
    }

    /// The route's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns where a request would go.
    #[must_use]
    pub fn explain(&self, request: &impl key::Request) -> Explanation {
        let mut key = Vec::new();
        self.key.evaluate(request, &mut key);
        let shard = &self.shards[self.placement.shard(&key)];
        let mut escaped = Vec::new();
        escape(&key, &mut escaped);
        Explanation {
            key: String::from_utf8_lossy(&escaped).into_owned(),
            hash: self.placement.hash(&key),
            shard: shard.name.clone(),
            replicas: shard.replicas.iter().map(|node| (node.id.clone(), node.address.clone())).collect(),
        }
    }
}

impl Service for Route {
    type Plan = Placed;

    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Placed {
        let mut key = alongside_transport::buffer::take_output();
        self.key.evaluate(&View::new(head, arrival), &mut key);
        let shard = self.placement.shard(&key);
        let mut escaped = alongside_transport::buffer::take_output();
        escape(&key, &mut escaped);
        let forward = Forward {
            is_inner: arrival.is_inner,
            key: Some(&escaped),
            passes_expect: true,
            ..Forward::new(arrival.peer)
        };
        head.write(&forward, output);
        output.extend_from_slice(b"via: 1.1 alongside\r\n\r\n");
        alongside_transport::buffer::give_output(key);
        alongside_transport::buffer::give_output(escaped);
        Placed { shard }
    }

    async fn run<S: Stream>(&self, placed: Placed, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        self.shards[placed.shard].requests.inc();
        let shards = Arc::clone(&self.shards);
        exchange.forward(move |attempt| shards[placed.shard].replicas.get(attempt).cloned()).await
    }
}

/// Which bytes of a key are escaped.
static IS_ESCAPED: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0x21;
    while byte <= 0x7e {
        table[byte] = byte == b'%' as usize;
        byte += 1;
    }
    table
};

/// Appends a key as a field's value: bytes that no field may hold, spaces and `%` as `%XX`.
pub fn escape(key: &[u8], out: &mut Vec<u8>) {
    let mut rest = key;
    while let Some(at) = rest.iter().position(|&byte| IS_ESCAPED[usize::from(byte)]) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        out.extend_from_slice(&[
            b'%',
            b"0123456789ABCDEF"[usize::from(byte >> 4)],
            b"0123456789ABCDEF"[usize::from(byte & 15)],
        ]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_field_cannot_hold() {
        let mut out = Vec::new();
        escape(b"/a%20b \xc3\xa9\x00", &mut out);
        assert_eq!(out, b"/a%2520b%20%C3%A9%00");
    }
}
