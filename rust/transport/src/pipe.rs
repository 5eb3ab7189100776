//! Bytes that pass from one TCP connection to another inside the kernel, where nothing looks at them: they are not copied
//! to this program and back.
//!
//! The kernel moves them through a pipe (`splice`), whose slots hold pages that are the sockets' own. A pipe is filled only
//! when it is empty, so that "nothing now" always speaks of the source. Urgent data, which nobody sends, hold a source up until its
//! time is over. To move something to a connection that is gone raises SIGPIPE, which Rust's programs ignore.

use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that a pipe holds at most: what the kernel gives it unasked. Four and sixteen times as much saved nothing.
pub const PIPE_BYTES: usize = 64 * 1024;

/// Pipes of a thread that are in use at one time; whatever else is long is copied. Each is two descriptors.
const PIPES_MAX: usize = 16;

/// Pipes that a thread keeps for later. The kernel counts the pages that a user's pipes may hold, full or not.
const FREE_MAX: usize = 4;

type Ends = (OwnedFd, OwnedFd);

thread_local! {
    static FREE: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
    static USED: Cell<usize> = const { Cell::new(0) };
}

/// What a connection is, where its bytes are those of the wire.
pub trait Bare {
    /// Returns the connection itself; nothing where its bytes are encrypted or framed on their way, or it is no TCP.
    fn bare(&self) -> Option<&TcpStream> {
        None
    }
}

impl Bare for TcpStream {
    fn bare(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Bare for tokio::net::UnixStream {}
impl Bare for &[u8] {}
impl Bare for Vec<u8> {}

/// Why nothing was moved.
#[derive(Debug)]
pub enum Unmoved {
    /// The connection failed.
    Failed(io::Error),
    /// It cannot be done, with these connections or here: the bytes are to be read and written.
    Refused,
}

/// A pipe between two connections.
#[derive(Debug)]
pub struct Pipe {
    /// Where it is read and where it is written; there until it is dropped.
    ends: Option<Ends>,
    held: usize,
}

impl Pipe {
    /// Returns an empty pipe, unless the thread uses as many as it may or the system gives none of a useful size.
    #[must_use]
    pub fn take() -> Option<Self> {
        if USED.get() >= PIPES_MAX {
            return None;
        }
        let ends = FREE.with_borrow_mut(Vec::pop).or_else(make)?;
        USED.set(USED.get() + 1);
        Some(Self { ends: Some(ends), held: 0 })
    }

    /// Bytes that came from the source and are not at the target.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Moves up to `bytes_max` bytes of what has come into the empty pipe; 0 is the source's end.
    ///
    /// # Errors
    /// [`Unmoved`].
    pub fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        source: &TcpStream,
        bytes_max: u64,
    ) -> Poll<Result<usize, Unmoved>> {
        debug_assert_eq!(self.held, 0);
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(PIPE_BYTES);
        let Some((_, into)) = &self.ends else { return Poll::Ready(Err(Unmoved::Refused)) };
        loop {
            ready!(source.poll_read_ready(context)).map_err(Unmoved::Failed)?;
            let moved = source
                .try_io(Interest::READABLE, || Ok(splice(source, None, into, None, bytes_max, SpliceFlags::NONBLOCK)?));
            match moved {
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(unmoved(error))),
                Ok(count) => {
                    self.held = count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Moves what the target takes out of the pipe; it holds something.
    ///
    /// # Errors
    /// [`Unmoved`].
    pub fn poll_pour(&mut self, context: &mut Context<'_>, target: &TcpStream) -> Poll<Result<usize, Unmoved>> {
        let Some((from, _)) = &self.ends else { return Poll::Ready(Err(Unmoved::Refused)) };
        loop {
            ready!(target.poll_write_ready(context)).map_err(Unmoved::Failed)?;
            let moved = target
                .try_io(Interest::WRITABLE, || Ok(splice(from, None, target, None, self.held, SpliceFlags::NONBLOCK)?));
            match moved {
                Err(error) if is_passing(&error) => {}
                Err(error) => return Poll::Ready(Err(unmoved(error))),
                Ok(count) => {
                    self.held -= count;
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    /// Moves what it holds to the end of `out`.
    ///
    /// # Errors
    /// The pipe's own, which nothing brings about; it holds what could not be had.
    pub fn drain(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let Some((from, _)) = &self.ends else { return Ok(()) };
        let mut at = out.len();
        out.resize(at + self.held, 0);
        let read = loop {
            if self.held == 0 {
                break Ok(());
            }
            match rustix::io::read(from, &mut out[at..]) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => (at, self.held) = (at + count, self.held - count),
                Err(Errno::INTR) => {}
                Err(error) => break Err(error.into()),
            }
        };
        out.truncate(at);
        read
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // At the thread's exit the lists may be gone before the last connection.
        let _ = USED.try_with(|used| used.set(used.get().saturating_sub(1)));
        let Some(ends) = self.ends.take().filter(|_| self.held == 0) else { return };
        let _ = FREE.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < FREE_MAX
            {
                free.push(ends);
            }
        });
    }
}

/// Makes a pipe. A small one is of no use: it is what users get whose pipes hold all they may.
fn make() -> Option<Ends> {
    let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    fcntl_getpipe_size(&ends.0).is_ok_and(|bytes| bytes >= PIPE_BYTES).then_some(ends)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Tells what is no fault of a connection's from what is. What is told of it wrongly is told again by the next read or write.
fn unmoved(error: io::Error) -> Unmoved {
    let refusals =
        [Errno::ACCESS, Errno::INVAL, Errno::NOBUFS, Errno::NOMEM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM];
    match Errno::from_io_error(&error) {
        Some(errno) if refusals.contains(&errno) => Unmoved::Refused,
        _ => Unmoved::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::OFlags;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[test]
    fn moves_no_more_than_asked_for_and_finds_the_end() {
        block_on(async {
            let ((mut sender, source), (target, mut receiver)) = (pair().await, pair().await);
            sender.write_all(b"abcdef").await.unwrap();
            drop(sender);
            let mut pipe = Pipe::take().unwrap();
            assert_eq!(poll_fn(|context| pipe.poll_fill(context, &source, 4)).await.unwrap(), 4);
            assert_eq!(pipe.held(), 4);
            assert_eq!(poll_fn(|context| pipe.poll_pour(context, &target)).await.unwrap(), 4);
            assert_eq!(pipe.held(), 0);
            assert_eq!(poll_fn(|context| pipe.poll_fill(context, &source, 9)).await.unwrap(), 2);
            let mut out = b"|".to_vec();
            pipe.drain(&mut out).unwrap();
            assert_eq!((out.as_slice(), pipe.held()), (&b"|ef"[..], 0));
            assert_eq!(poll_fn(|context| pipe.poll_fill(context, &source, 9)).await.unwrap(), 0);
            let mut came = [0; 4];
            receiver.read_exact(&mut came).await.unwrap();
            assert_eq!(&came, b"abcd");
        });
    }

    async fn poured_abc(target: &TcpStream) -> (Result<usize, Unmoved>, Pipe) {
        let (mut sender, source) = pair().await;
        sender.write_all(b"abc").await.unwrap();
        let mut pipe = Pipe::take().unwrap();
        poll_fn(|context| pipe.poll_fill(context, &source, 9)).await.unwrap();
        (poll_fn(|context| pipe.poll_pour(context, target)).await, pipe)
    }

    #[test]
    fn a_connection_that_failed_is_no_refusal_and_what_holds_something_is_kept_for_nobody() {
        block_on(async {
            let (reset, receiver) = pair().await;
            receiver.set_zero_linger().unwrap();
            drop(receiver);
            reset.readable().await.unwrap();
            let (mut shut, _receiver) = pair().await;
            shut.shutdown().await.unwrap();
            let free = FREE.with_borrow(Vec::len);
            for target in [reset, shut] {
                let used = USED.get();
                let (poured, pipe) = poured_abc(&target).await;
                assert!(matches!(poured, Err(Unmoved::Failed(_))), "{poured:?}");
                drop(pipe);
                assert_eq!(USED.get(), used);
                assert!(FREE.with_borrow(Vec::len) <= free);
            }
        });
    }

    #[test]
    fn what_is_refused_can_be_had_back() {
        block_on(async {
            let (target, _receiver) = pair().await;
            // The system moves nothing to what only appends.
            rustix::fs::fcntl_setfl(&target, OFlags::APPEND | OFlags::NONBLOCK).unwrap();
            let (poured, mut pipe) = poured_abc(&target).await;
            assert!(matches!(poured, Err(Unmoved::Refused)), "{poured:?}");
            let mut out = Vec::new();
            pipe.drain(&mut out).unwrap();
            assert_eq!((out.as_slice(), pipe.held()), (&b"abc"[..], 0));
        });
    }

    #[test]
    fn a_thread_uses_so_many_and_keeps_fewer() {
        let mut used: Vec<_> = std::iter::from_fn(Pipe::take).take(PIPES_MAX + 1).collect();
        assert_eq!(used.len(), PIPES_MAX);
        used.pop();
        assert!(Pipe::take().is_some());
        drop(used);
        assert_eq!((USED.get(), FREE.with_borrow(Vec::len)), (0, FREE_MAX));
    }
}
