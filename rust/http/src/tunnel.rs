//! Connections that were upgraded: bytes both ways, until one side ends or both are silent for too long.

use crate::exchange::{Broken, Exchange};
use crate::service::Stream;
use alongside_transport::{Buffer, Way, Wire};
use std::task::Poll;
use tokio::io::AsyncWriteExt;

/// Sends the head in `output`, then passes bytes both ways, those already buffered first.
pub(crate) async fn run<S: Stream>(
    exchange: &mut Exchange<'_, S>,
    upstream: &mut Wire,
    answered: &mut Buffer,
) -> Result<(), Broken> {
    exchange.write_paced(None).await?;
    let limit_ms = exchange.limits.tunnel_timeout_ms;
    let Exchange { client, input, deadline, .. } = exchange;
    let (mut up, mut down) = (Way::default(), Way::default());
    deadline.set(limit_ms);
    let ended = deadline
        .within(std::future::poll_fn(|context| {
            let sent = up.poll(context, (client, input), upstream, |_| deadline.set(limit_ms));
            let received = down.poll(context, (upstream, answered), client, |_| deadline.set(limit_ms));
            match (sent, received) {
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(()),
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }))
        .await;
    let _ = upstream.shutdown().await;
    ended.map_err(|_| Broken)
}
