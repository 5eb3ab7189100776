//! Buffers that a connection holds only while bytes are in them.
//!
//! Memory goes back to a free list of the thread between requests, and a connection that waits for its next request
//! reads into the thread's scratch: ten thousand idle connections hold no buffer at all.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a pooled buffer.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Bytes of a wide buffer, for bodies that come faster than a pooled one takes.
pub const WIDE_BYTES: usize = 64 * 1024;

/// Wide buffers that a thread uses at one time; further bodies go through pooled ones.
const WIDE_MAX: usize = 64;

/// Wide buffers a thread keeps for later.
const WIDE_FREE_MAX: usize = 8;

/// Buffers a thread keeps for later; what is over is freed.
const FREE_MAX: usize = 128;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static FREE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static WIDE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static WIDE_USED: Cell<usize> = const { Cell::new(0) };
    static HEADS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Returns an empty vector for output, from the thread's free list.
#[must_use]
pub fn take_output() -> Vec<u8> {
    HEADS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(4096))
}

/// Gives an output vector back to the thread.
pub fn give_output(mut output: Vec<u8>) {
    if (1..=BUFFER_BYTES).contains(&output.capacity()) {
        output.clear();
        HEADS.with_borrow_mut(|free| {
            if free.len() < FREE_MAX {
                free.push(output);
            }
        });
    }
}

fn take_buffer() -> Vec<u8> {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER_BYTES])
}

/// Returns a wide buffer, unless the thread uses as many as it may.
fn take_wide() -> Option<Vec<u8>> {
    if WIDE_USED.get() >= WIDE_MAX {
        return None;
    }
    WIDE_USED.set(WIDE_USED.get() + 1);
    Some(WIDE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; WIDE_BYTES]))
}

/// Gives a buffer's memory back to the thread; at its exit the lists may be gone before the last connection.
fn give_back(memory: Vec<u8>, is_wide: bool) {
    let (list, free_max) = if is_wide { (&WIDE, WIDE_FREE_MAX) } else { (&FREE, FREE_MAX) };
    if is_wide {
        let _ = WIDE_USED.try_with(|used| used.set(used.get().saturating_sub(1)));
    }
    if memory.len() == if is_wide { WIDE_BYTES } else { BUFFER_BYTES } {
        let _ = list.try_with(|free| {
            if let Ok(mut free) = free.try_borrow_mut()
                && free.len() < free_max
            {
                free.push(memory);
            }
        });
    }
}

/// Bytes read from a peer and not yet used.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    is_wide: bool,
    /// The last read took all there was room for.
    was_full: bool,
}

impl Buffer {
    /// Returns a buffer that holds no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: Vec::new(), start: 0, end: 0, is_wide: false, was_full: false }
    }

    /// The bytes that were read and not consumed.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// Whether nothing is buffered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `count` bytes; at most what is there.
    pub fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Gives the memory back to the thread if nothing is buffered.
    pub fn rest(&mut self) {
        if self.is_empty() && !self.memory.is_empty() {
            give_back(std::mem::take(&mut self.memory), std::mem::take(&mut self.is_wide));
            self.start = 0;
            self.end = 0;
            self.was_full = false;
        }
    }

    /// Reads what has come, up to a total of `limit` buffered bytes; 0 is the peer's end.
    ///
    /// # Errors
    /// The socket's, or [`io::ErrorKind::OutOfMemory`] where `limit` bytes are buffered already.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        io: &mut S,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        if self.is_empty() {
            return self.poll_first(context, io);
        }
        if self.end == self.memory.len() {
            self.make_room(limit)?;
        }
        let mut target = ReadBuf::new(&mut self.memory[self.end..]);
        ready!(Pin::new(io).poll_read(context, &mut target))?;
        let count = target.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// The future of [`Buffer::poll_fill`].
    ///
    /// # Errors
    /// As [`Buffer::poll_fill`].
    pub async fn fill<S: AsyncRead + Unpin>(&mut self, io: &mut S, limit: usize) -> io::Result<usize> {
        std::future::poll_fn(|context| self.poll_fill(context, io, limit)).await
    }

    fn make_room(&mut self, limit: usize) -> io::Result<()> {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else if self.memory.len() < limit {
            let longer = (self.memory.len() * 2).max(BUFFER_BYTES).min(limit);
            self.memory.resize(longer, 0);
        } else {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// Takes a wide buffer where the last one was filled whole: more of the body is there already.
    fn widen(&mut self) {
        if self.was_full
            && !self.is_wide
            && let Some(wide) = take_wide()
        {
            give_back(std::mem::replace(&mut self.memory, wide), false);
            self.is_wide = true;
        }
    }

    /// Waits with no memory of its own: while it has none, reads go to the thread's scratch, and what came takes that over.
    fn poll_first<S: AsyncRead + Unpin>(&mut self, context: &mut Context<'_>, io: &mut S) -> Poll<io::Result<usize>> {
        if !self.memory.is_empty() {
            self.widen();
            let mut target = ReadBuf::new(&mut self.memory);
            ready!(Pin::new(io).poll_read(context, &mut target))?;
            self.start = 0;
            self.end = target.filled().len();
            self.was_full = self.end == self.memory.len();
            return Poll::Ready(Ok(self.end));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.is_empty() {
                scratch.resize(BUFFER_BYTES, 0);
            }
            let mut target = ReadBuf::new(scratch);
            ready!(Pin::new(io).poll_read(context, &mut target))?;
            let came = target.filled().len();
            if came > 0 {
                self.memory = std::mem::replace(scratch, take_buffer());
            }
            self.start = 0;
            self.end = came;
            self.was_full = self.end == BUFFER_BYTES;
            Poll::Ready(Ok(self.end))
        })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.memory.is_empty() {
            give_back(std::mem::take(&mut self.memory), self.is_wide);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn holds_no_memory_before_and_after_bytes() {
        block_on(async {
            let mut buffer = Buffer::new();
            assert_eq!(buffer.fill(&mut &b"abc"[..], 64).await.unwrap(), 3);
            assert_eq!(buffer.memory.len(), BUFFER_BYTES);
            buffer.rest();
            assert_eq!(buffer.data(), b"abc");
            buffer.consume(3);
            buffer.rest();
            assert_eq!(buffer.memory.capacity(), 0);
        });
    }

    #[test]
    fn an_end_takes_no_memory() {
        block_on(async {
            let mut buffer = Buffer::new();
            assert_eq!(buffer.fill(&mut &b""[..], 64).await.unwrap(), 0);
            assert_eq!(buffer.memory.capacity(), 0);
        });
    }

    #[test]
    fn widens_for_what_comes_fast_and_gives_the_memory_back() {
        block_on(async {
            let source = vec![7; 2 * BUFFER_BYTES + WIDE_BYTES];
            let (mut input, mut buffer) = (&source[..], Buffer::new());
            assert_eq!(buffer.fill(&mut input, usize::MAX).await.unwrap(), BUFFER_BYTES);
            buffer.consume(BUFFER_BYTES);
            assert_eq!(buffer.fill(&mut input, usize::MAX).await.unwrap(), WIDE_BYTES);
            assert_eq!(WIDE_USED.get(), 1);
            buffer.consume(WIDE_BYTES);
            buffer.rest();
            assert_eq!(WIDE_USED.get(), 0);
            drop(buffer);
            let used: Vec<_> = (0..WIDE_MAX).filter_map(|_| take_wide()).collect();
            assert_eq!((used.len(), take_wide().is_none()), (WIDE_MAX, true));
            used.into_iter().for_each(|memory| give_back(memory, true));
            assert_eq!((WIDE_USED.get(), WIDE.with_borrow(Vec::len)), (0, WIDE_FREE_MAX));
        });
    }

    #[test]
    fn grows_to_its_limit_and_no_further() {
        block_on(async {
            let limit = 2 * BUFFER_BYTES;
            let source = vec![7; 3 * BUFFER_BYTES];
            let mut input = &source[..];
            let mut buffer = Buffer::new();
            loop {
                match buffer.fill(&mut input, limit).await {
                    Ok(count) => assert!(count > 0),
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                        break;
                    }
                }
            }
            assert_eq!(buffer.data().len(), limit);
            buffer.consume(10);
            assert_eq!(buffer.fill(&mut input, limit).await.unwrap(), 10);
            assert_eq!(buffer.data(), vec![7; limit]);
        });
    }
}
