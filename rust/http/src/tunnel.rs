//! Connections that were upgraded: bytes both ways, until one side ends or both are silent for too long.

use crate::exchange::{Broken, Exchange};
use crate::service::Stream;
use alongside_transport::{Buffer, Deadline};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the head in `output`, then passes bytes both ways, those already buffered first.
pub(crate) async fn run<S: Stream>(
    exchange: &mut Exchange<'_, S>,
    upstream: &mut TcpStream,
    answered: &mut Buffer,
) -> Result<(), Broken> {
    exchange.write_paced(None).await?;
    let limit_ms = exchange.limits.tunnel_timeout_ms;
    let Exchange { client, input, deadline, .. } = exchange;
    let (mut up, mut down) = (Way::default(), Way::default());
    deadline.set(limit_ms);
    let ended = deadline
        .within(std::future::poll_fn(|context| {
            let sent = up.poll(context, (client, input), upstream, (deadline, limit_ms));
            let received = down.poll(context, (upstream, answered), client, (deadline, limit_ms));
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

/// One way of a tunnel.
#[derive(Default)]
struct Way {
    is_ended: bool,
    is_closed: bool,
}

impl Way {
    fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        (source, buffer): (&mut R, &mut Buffer),
        target: &mut W,
        (deadline, limit_ms): (&Deadline, u64),
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.is_closed {
            if buffer.is_empty() && self.is_ended {
                ready!(Pin::new(&mut *target).poll_shutdown(context))?;
                self.is_closed = true;
            } else if buffer.is_empty() {
                buffer.rest();
                self.is_ended = ready!(buffer.poll_fill(context, source, usize::MAX))? == 0;
            } else {
                let count = ready!(Pin::new(&mut *target).poll_write(context, buffer.data()))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                buffer.consume(count);
            }
            deadline.set(limit_ms);
        }
        Poll::Ready(Ok(()))
    }
}
