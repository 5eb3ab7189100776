//! Frames that move nothing: what a client sends of them is counted against what it really asks for and gets.
//!
//! The frames' reader answers each PING and each SETTINGS, and drops what it does not know, without an end; so who sends
//! nothing else would keep it busy for ever.

use alongside_transport::deadline;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Frames in vain that a client may be ahead.
const VAIN_MAX: u64 = 1_000;

/// Frames in vain that are forgiven each second: those that keep a connection alive.
const FORGIVEN_PER_SECOND: u64 = 10;

/// Frames in vain for each of ours that carries something: its client makes room for more, of a stream and of all, and may ask
/// how long that takes.
const FRAMES_FOR_OURS: u64 = 4;

/// What a client's side begins with, before its first frame.
//= RFC 9113 section 3.4: PRI * HTTP/2.0, an empty line, SM, an empty line.
const PREFACE_BYTES: u32 = 24;

/// What is read at a time to be dropped.
const DROPPED_BYTES: usize = 1024;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Whether a connection's client sends too much in vain.
#[derive(Debug, Clone, Default)]
pub(super) struct Flooded(Arc<Seen>);

/// What is seen of a connection from outside.
#[derive(Debug, Default)]
struct Seen {
    is_flooded: AtomicBool,
    written: AtomicU64,
}

impl Flooded {
    /// Whether it does.
    pub fn is_so(&self) -> bool {
        self.0.is_flooded.load(Ordering::Relaxed)
    }

    /// Bytes that were written to it.
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }
}

/// Finds the heads of frames in the bytes of one way.
#[derive(Debug)]
struct Frames {
    head: [u8; HEAD_BYTES],
    /// How much of a frame's head came.
    came: usize,
    /// How much comes before the next head.
    skipped: u32,
}

impl Frames {
    /// Returns frames that begin behind so many bytes.
    const fn behind(skipped: u32) -> Self {
        Self { head: [0; HEAD_BYTES], came: 0, skipped }
    }

    /// Takes bytes; tells of each frame its kind, its flags and how long it is.
    fn take(&mut self, mut bytes: &[u8], mut found: impl FnMut(u8, u8, u32)) {
        while !bytes.is_empty() {
            if self.skipped > 0 {
                let count = bytes.len().min(self.skipped as usize);
                // It is no more than what is skipped.
                self.skipped -= u32::try_from(count).unwrap_or(self.skipped);
                bytes = &bytes[count..];
                continue;
            }
            let count = bytes.len().min(HEAD_BYTES - self.came);
            self.head[self.came..self.came + count].copy_from_slice(&bytes[..count]);
            self.came += count;
            bytes = &bytes[count..];
            if self.came == HEAD_BYTES {
                self.came = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                self.skipped = u32::from_be_bytes([0, high, middle, low]);
                found(kind, flags, self.skipped);
            }
        }
    }
}

/// Counts frames that move nothing.
#[derive(Debug)]
struct Meter {
    read: Frames,
    written: Frames,
    vain: u64,
    forgiven_ms: u64,
}

impl Meter {
    const fn new(now_ms: u64) -> Self {
        Self { read: Frames::behind(PREFACE_BYTES), written: Frames::behind(0), vain: 0, forgiven_ms: now_ms }
    }

    /// Takes what a client sent; returns whether that is too much.
    fn read(&mut self, bytes: &[u8], now_ms: u64) -> bool {
        let before = self.vain;
        let vain = &mut self.vain;
        self.read.take(bytes, |kind, flags, length| {
            let moves = match kind {
                DATA => length > 0 || flags & END_STREAM != 0,
                HEADERS | CONTINUATION => true,
                _ => false,
            };
            *vain = if moves { vain.saturating_sub(1) } else { *vain + 1 };
        });
        self.vain > before && self.vain > VAIN_MAX && self.is_beyond(now_ms)
    }

    /// Takes what was written to the client.
    fn wrote(&mut self, bytes: &[u8]) {
        let vain = &mut self.vain;
        self.written.take(bytes, |kind, _, _| {
            if matches!(kind, DATA | HEADERS) {
                *vain = vain.saturating_sub(FRAMES_FOR_OURS);
            }
        });
    }

    /// Whether it is too much even with what is forgiven since the last look.
    fn is_beyond(&mut self, now_ms: u64) -> bool {
        let forgiven = now_ms.saturating_sub(self.forgiven_ms) * FORGIVEN_PER_SECOND / 1_000;
        self.forgiven_ms += forgiven * 1_000 / FORGIVEN_PER_SECOND;
        self.vain = self.vain.saturating_sub(forgiven);
        self.vain > VAIN_MAX
    }
}

/// A stream whose client's frames are counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    meter: Meter,
    flooded: Flooded,
    is_shut: bool,
}

impl<S> Metered<S> {
    /// Returns a stream of which nothing was read, and what says whether it is too much.
    pub fn new(stream: S) -> (Self, Flooded) {
        let flooded = Flooded::default();
        (Self { stream, meter: Meter::new(deadline::now_ms()), flooded: flooded.clone(), is_shut: false }, flooded)
    }

    fn wrote(&mut self, bytes: &[u8]) {
        self.meter.wrote(bytes);
        self.flooded.0.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.flooded.is_so() {
            // Nothing more is read of it. Who polls looks whether that is so.
            return Poll::Pending;
        }
        let begun = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_ready() && this.meter.read(&buffer.filled()[begun..], deadline::now_ms()) {
            this.flooded.0.is_flooded.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            this.wrote(&bytes[..count]);
        }
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(count)) = written {
            let mut left = count;
            for slice in slices {
                let count = slice.len().min(left);
                this.wrote(&slice[..count]);
                left -= count;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_shut {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
            this.is_shut = true;
        }
        // What the client still says is read and dropped: left unread, the kernel would answer it by a reset, which can destroy
        // what is on its way to the client. Whoever polls says how long this may take.
        let mut bytes = [0; DROPPED_BYTES];
        loop {
            let mut dropped = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut this.stream).poll_read(context, &mut dropped)) {
                Ok(()) if !dropped.filled().is_empty() => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, bytes: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, bytes, kind, flags, 0, 0, 0, 0];
        frame.extend(std::iter::repeat_n(0, usize::from(bytes)));
        frame
    }

    fn begun() -> Meter {
        let mut meter = Meter::new(0);
        assert!(!meter.read(&[0; PREFACE_BYTES as usize], 0));
        meter
    }

    /// Sends a frame many times; returns after how many it was too much.
    fn flood(meter: &mut Meter, kind: u8, flags: u8, bytes: u8) -> Option<usize> {
        let frame = frame(kind, flags, bytes);
        (0..10_000).find(|_| meter.read(&frame, 0))
    }

    #[test]
    fn frames_in_vain_are_too_much_at_some_time() {
        for kind in [PING, 4, 2, 8, 3, 0xfa] {
            assert_eq!(flood(&mut begun(), kind, 0, 8), Some(1_000), "{kind}");
        }
        assert_eq!(flood(&mut begun(), DATA, 0, 0), Some(1_000));
    }

    #[test]
    fn what_moves_something_is_never_too_much() {
        assert_eq!(flood(&mut begun(), DATA, 0, 1), None);
        assert_eq!(flood(&mut begun(), DATA, END_STREAM, 0), None);
        assert_eq!(flood(&mut begun(), HEADERS, 0, 9), None);
    }

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let mut meter = begun();
        let bytes = frame(PING, 0, 8).repeat(1_001);
        let at = bytes.iter().position(|&byte| meter.read(&[byte], 0));
        assert_eq!(at, Some(1_000 * 17 + 8));
    }

    #[test]
    fn who_keeps_alive_or_gets_much_may_send_them() {
        let mut meter = begun();
        assert!((0..100_000).all(|number| !meter.read(&frame(PING, 0, 8), number * 100)));
        let mut meter = begun();
        assert!((0..100_000).all(|_| {
            meter.wrote(&frame(DATA, 0, 1));
            (0..4).all(|_| !meter.read(&frame(8, 0, 4), 0))
        }));
        // What we answer a PING with is no reason for another.
        let mut meter = begun();
        assert!((0..10_000).any(|_| {
            meter.wrote(&frame(PING, 1, 8));
            meter.read(&frame(PING, 0, 8), 0)
        }));
    }
}
