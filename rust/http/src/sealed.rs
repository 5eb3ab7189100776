//! What is said inside TLS: the stream of TLS, which also answers where only its client speaks.

use crate::service::Stream;
use alongside_transport::Bare;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A connection with TLS.
#[derive(Debug)]
pub(crate) struct Sealed(pub TlsStream<TcpStream>);

impl AsyncRead for Sealed {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().0;
        let read = Pin::new(&mut *stream).poll_read(context, buffer);
        // What TLS itself has to say, such as that nothing is negotiated again, must not wait for an answer of ours.
        if read.is_pending()
            && stream.get_ref().1.wants_write()
            && let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(context)
        {
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

impl Bare for Sealed {}

impl Stream for Sealed {
    fn cut(&mut self) {
        // Without the word that ends TLS in order, and not waiting for a client that does not read.
        let _ = self.0.get_ref().0.set_zero_linger();
    }
}
