//! The program behind a sidecar: every request goes on to it as it is, and says who its client was.

use crate::course::Only;
use crate::exchange::{Broken, Exchange};
use crate::link::Upstream;
use crate::service::{Arrival, Service, Stream};
use alongside_protocols::{Forward, RequestHead};
use std::io::Write;
use std::sync::Arc;

/// A program that requests are passed on to.
#[derive(Debug)]
pub struct Program {
    upstream: Arc<Upstream>,
    host: Option<String>,
    /// The line that tells clients to come by https alone.
    hsts: Option<Vec<u8>>,
}

/// A request on its way to the program, its head in the output.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    is_secure: bool,
}

impl Program {
    /// Returns a program at an upstream; `host` is the Host field that it gets instead of the client's, `hsts_s` for how many
    /// seconds clients should come by https alone.
    #[must_use]
    pub fn new(upstream: Arc<Upstream>, host: Option<String>, hsts_s: Option<u32>) -> Self {
        //= RFC 6797 section 6.1.1: the one directive that must be there.
        let hsts = hsts_s.map(|age_s| format!("strict-transport-security: max-age={age_s}\r\n").into_bytes());
        Self { upstream, host, hsts }
    }

    /// Where it is.
    #[must_use]
    pub const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }
}

impl Service for Program {
    type Plan = Passed;

    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Passed {
        let forward = Forward {
            is_inner: arrival.is_inner,
            host: self.host.as_deref().map(str::as_bytes),
            passes_expect: true,
            ..Forward::new(arrival.peer)
        };
        head.write(&forward, output);
        // The peer is not the client where a trusted one names another, in whichever of both forms.
        if !(arrival.is_inner && head.is_forwarded()) {
            write_forwarded(head, arrival, output);
        }
        output.extend_from_slice(b"\r\n");
        //= RFC 6797 section 7.2: never over a connection that is not secure.
        Passed { is_secure: arrival.peer.scheme == "https" }
    }

    async fn run<S: Stream>(&self, passed: Passed, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        if let Some(line) = self.hsts.as_ref().filter(|_| passed.is_secure) {
            exchange.extra.extend_from_slice(line);
        }
        exchange.forward(&mut Only::new(&self.upstream)).await
    }
}

/// Appends what RFC 7239 has for the three fields that start with `x-forwarded-`.
fn write_forwarded(head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) {
    let (ip, scheme) = (arrival.peer.ip, arrival.peer.scheme);
    //= RFC 7239 section 6: an IPv6 address stands in brackets, and so in quotes.
    let (open, close) = if ip.contains(':') { ("\"[", "]\"") } else { ("", "") };
    // Writing to a vector cannot fail.
    let _ = write!(output, "forwarded: for={open}{ip}{close};proto={scheme}");
    if !head.authority.is_empty() {
        output.extend_from_slice(b";host=\"");
        output.extend_from_slice(head.authority);
        output.push(b'"');
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use alongside_protocols::{Limits, Peer, guard, scratch};
    use prometheus_client::registry::Registry;
    use std::net::IpAddr;

    fn written(request: &str, ip: &str, is_inner: bool) -> String {
        let upstream =
            Upstream::new("legacy", "127.0.0.1:1", Metrics::register(&mut Registry::default()).upstream("legacy"));
        let program = Program::new(Arc::new(upstream), None, None);
        let mut room = scratch();
        let head = guard::request(request.as_bytes(), &mut room, &Limits::default()).unwrap().unwrap();
        let address: IpAddr = ip.parse().unwrap();
        let arrival = Arrival { ip: address, peer: Peer { ip, scheme: "https" }, is_inner };
        let mut output = Vec::new();
        program.plan(&head, &arrival, &mut output);
        String::from_utf8(output).unwrap()
    }

    const LYING: &str = "GET /p HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX_Forwarded_For: 2.2.2.2\r\n\r\n";

    #[test]
    fn says_who_the_client_is_whatever_the_client_said() {
        let head = written(LYING, "192.0.2.7", false);
        assert!(
            head.contains(
                "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\nx-forwarded-host: shop.example\r\n"
            ),
            "{head}"
        );
        assert!(head.ends_with("forwarded: for=192.0.2.7;proto=https;host=\"shop.example\"\r\n\r\n"), "{head}");
        assert!(!head.contains("1.1.1.1") && !head.contains("2.2.2.2"), "{head}");
    }

    #[test]
    fn a_trusted_peer_may_say_it() {
        let head = written(LYING, "192.0.2.7", true);
        assert!(head.contains("X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n"), "{head}");
        assert!(!head.contains("192.0.2.7") && !head.contains("2.2.2.2"), "{head}");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let head = written("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "2001:db8::7", false);
        assert!(head.contains("forwarded: for=\"[2001:db8::7]\";proto=https;host=\"h\"\r\n"), "{head}");
    }
}
