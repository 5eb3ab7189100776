//! A client's connection: joined to one to a backend, to the end of both.

use crate::backend::Open;
use crate::balancer::Balancer;
use crate::metrics::{BalancerMetrics, Outcome};
use alongside_transport::way::Broke;
use alongside_transport::{Buffer, Deadline, Way};
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// Serves a connection to its end.
pub(crate) async fn serve(client: TcpStream, balancer: Arc<Balancer>) {
    let metrics = Arc::clone(&balancer.metrics);
    // What connecting takes is large; connections that are joined must not each carry it, nor hold an old document.
    let outcome = match Box::pin(connect(client, balancer)).await {
        Ok((mut joined, None)) => std::future::poll_fn(|context| joined.poll(context)).await,
        Ok((joined, Some(idle_ms))) => Box::pin(within(joined, idle_ms)).await,
        Err(outcome) => outcome,
    };
    metrics.over(outcome);
}

/// Joins a client to a backend; resets it where there is none.
async fn connect(client: TcpStream, balancer: Arc<Balancer>) -> Result<(Joined, Option<u64>), Outcome> {
    match balancer.connect().await {
        Ok((upstream, open)) => {
            if let Some(keepalive) = balancer.terms.keepalive {
                keep_alive(&client, keepalive);
                keep_alive(&upstream, keepalive);
            }
            let metrics = Arc::clone(&balancer.metrics);
            Ok((Joined::new(client, upstream, open, metrics), balancer.terms.idle_timeout_ms))
        }
        Err(outcome) => {
            reset(&client);
            Err(outcome)
        }
    }
}

/// Makes closing say that the connection was broken off rather than ended.
pub(crate) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

fn keep_alive(stream: &TcpStream, after: Duration) {
    // Without it a peer that vanished is noticed later.
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(after));
}

async fn within(mut joined: Joined, idle_ms: u64) -> Outcome {
    let deadline = Deadline::new();
    deadline.set(idle_ms);
    let mut passed = joined.passed;
    let ended = deadline
        .within(std::future::poll_fn(|context| {
            let polled = joined.poll(context);
            if joined.passed != passed {
                passed = joined.passed;
                deadline.set(idle_ms);
            }
            polled
        }))
        .await;
    ended.unwrap_or_else(|_| {
        joined.break_off();
        Outcome::IdleTimeout
    })
}

/// How a way came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All came, and the target was told of the end.
    Whole,
    /// The target takes no more.
    Cut,
}

/// Two connections that are one for who uses them.
struct Joined {
    client: TcpStream,
    upstream: TcpStream,
    input: Buffer,
    answer: Buffer,
    up: Way,
    down: Way,
    sent: Option<End>,
    received: Option<End>,
    /// Counts steps, so that silence is told from work.
    passed: u32,
    metrics: Arc<BalancerMetrics>,
    _open: Open,
}

impl Joined {
    fn new(client: TcpStream, upstream: TcpStream, open: Open, metrics: Arc<BalancerMetrics>) -> Self {
        Self {
            client,
            upstream,
            input: Buffer::new(),
            answer: Buffer::new(),
            up: Way::default(),
            down: Way::default(),
            sent: None,
            received: None,
            passed: 0,
            metrics,
            _open: open,
        }
    }

    /// Passes on what there is, both ways.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        let Self { client, upstream, input, answer, up, down, sent, received, passed, metrics, .. } = self;
        let mut is_broken = false;
        if sent.is_none() {
            let polled = up.poll(context, (client, input), upstream, |count| {
                *passed = passed.wrapping_add(1);
                metrics.to_backend.inc_by(count as u64);
            });
            is_broken |= note(polled, sent);
        }
        if received.is_none() {
            let polled = down.poll(context, (upstream, answer), client, |count| {
                *passed = passed.wrapping_add(1);
                metrics.to_client.inc_by(count as u64);
            });
            is_broken |= note(polled, received);
        }
        match (*sent, *received) {
            (Some(End::Whole), Some(End::Whole)) => return Poll::Ready(Outcome::Ended),
            (Some(_), Some(_)) => {}
            _ if is_broken => {}
            _ => return Poll::Pending,
        }
        self.break_off();
        Poll::Ready(Outcome::Reset)
    }

    /// Breaks both sides off.
    fn break_off(&self) {
        reset(&self.client);
        reset(&self.upstream);
    }
}

/// Keeps how a way ended; returns whether its source broke off. A target that takes no more may still have something to say, so
/// that the other way goes on to its own end.
fn note(polled: Poll<Result<(), Broke>>, end: &mut Option<End>) -> bool {
    match polled {
        Poll::Pending => return false,
        Poll::Ready(Ok(())) => *end = Some(End::Whole),
        Poll::Ready(Err(Broke::Target(_))) => *end = Some(End::Cut),
        Poll::Ready(Err(Broke::Source(_))) => return true,
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a joined connection may take, beside its two sockets' places in the reactor.
    const JOINED_BYTES_MAX: usize = 512;

    #[test]
    fn a_joined_connection_is_small_whatever_connecting_takes() {
        let size = size_of::<Joined>();
        assert!(size <= JOINED_BYTES_MAX, "{size} bytes");
    }
}
