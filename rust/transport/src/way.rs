//! Bytes that go on as they come: one way of a connection that is joined to another.

use crate::Buffer;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// One way of a joined pair. It reads only what it can write on, and passes the end on too.
#[derive(Debug, Default)]
pub struct Way {
    is_ended: bool,
    is_closed: bool,
}

/// Why a way ended before its end.
#[derive(Debug)]
pub enum Broke {
    /// Where its bytes come from.
    Source(io::Error),
    /// Where its bytes go to.
    Target(io::Error),
}

impl Way {
    /// Passes on what there is, what was buffered first, up to the source's end, which the target is told; `passed` is told
    /// of each step's bytes. While it waits for the source it holds no buffer.
    ///
    /// # Errors
    /// [`Broke`]; it must not be polled again.
    pub fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        (source, buffer): (&mut R, &mut Buffer),
        target: &mut W,
        mut passed: impl FnMut(usize),
    ) -> Poll<Result<(), Broke>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        while !self.is_closed {
            let mut count = 0;
            if !buffer.is_empty() {
                count = ready!(Pin::new(&mut *target).poll_write(context, buffer.data())).map_err(Broke::Target)?;
                if count == 0 {
                    return Poll::Ready(Err(Broke::Target(io::ErrorKind::WriteZero.into())));
                }
                buffer.consume(count);
            } else if self.is_ended {
                buffer.rest();
                ready!(Pin::new(&mut *target).poll_shutdown(context)).map_err(Broke::Target)?;
                self.is_closed = true;
            } else {
                // Encryption may hold back what the socket did not take.
                ready!(Pin::new(&mut *target).poll_flush(context)).map_err(Broke::Target)?;
                let Poll::Ready(filled) = buffer.poll_fill(context, source, usize::MAX) else {
                    buffer.rest();
                    return Poll::Pending;
                };
                self.is_ended = filled.map_err(Broke::Source)? == 0;
            }
            passed(count);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    async fn pass(mut source: DuplexStream, mut target: DuplexStream) -> (Result<(), Broke>, usize) {
        let (mut way, mut buffer, mut count) = (Way::default(), Buffer::new(), 0);
        let ended = std::future::poll_fn(|context| {
            way.poll(context, (&mut source, &mut buffer), &mut target, |passed| count += passed)
        })
        .await;
        (ended, count)
    }

    #[test]
    fn passes_every_byte_and_the_end_through_a_narrow_target() {
        block_on(async {
            let ((mut near, source), (target, mut far)) = (duplex(70_000), duplex(7));
            let sent: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
            let sending = async {
                near.write_all(&sent).await.unwrap();
                near.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let (_, passed, _) = tokio::join!(sending, pass(source, target), far.read_to_end(&mut received));
            assert!(matches!(passed, (Ok(()), 200_000)));
            assert!(received == sent);
        });
    }

    #[test]
    fn says_that_the_target_broke() {
        block_on(async {
            let ((mut near, source), (target, far)) = (duplex(64), duplex(64));
            drop(far);
            near.write_all(b"x").await.unwrap();
            assert!(matches!(pass(source, target).await, (Err(Broke::Target(_)), 0)));
        });
    }
}
