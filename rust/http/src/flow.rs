//! One direction of a message: a head that is ready, then a body that is read, framed anew and written.
//!
//! A flow holds no socket: it is polled with the two ends and the buffer of its source, so that both directions of an
//! exchange run in one task. It reads only when all it had is written, which is the backpressure.

use crate::body::BodyReader;
use alongside_protocols::chunked::{self, Piece};
use alongside_protocols::{Refusal, chunked::write_end};
use alongside_transport::pipe::Unmoved;
use alongside_transport::{Bare, Buffer, Pipe};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Body bytes up to which they are copied behind the head, to go out in one write.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// Framed bytes that are collected before they are written.
const FRAMED_BYTES_MAX: usize = 16 * 1024;

/// What must be left of a body for it to pass inside the kernel: less is read and written in as many calls.
const THROUGH_BYTES_MIN: u64 = 64 * 1024;

/// Why a flow ended early.
#[derive(Debug)]
pub enum FlowError {
    /// The source failed.
    Read(io::Error),
    /// The source closed before the body's end.
    Ended,
    /// The source's framing is broken.
    Refused(Refusal),
    /// The target failed.
    Write(io::Error),
}

/// What a flow waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Bytes from its source.
    Source,
    /// Room at its target.
    Target,
}

/// One direction of a message.
#[derive(Debug)]
pub struct Flow {
    /// What is ready to be written: the head, framed pieces.
    pub pending: Vec<u8>,
    reader: BodyReader,
    is_chunked: bool,
    sent: usize,
    /// Bytes at the buffer's start that go out as they are.
    direct: usize,
    is_ending: bool,
    is_done: bool,
    moved: u64,
    head_bytes: u64,
    /// Body bytes taken from the source.
    taken: u64,
    /// What may be kept before anything is written; 0 where it goes out as it comes.
    held_bytes_max: usize,
    blocked: Blocked,
    /// What of a long body is on its way inside the kernel. Nothing is pending or buffered meanwhile, and nothing else is read.
    pipe: Option<Pipe>,
    /// There was no pipe for it, or it was refused: the rest is copied.
    is_copied: bool,
}

impl Flow {
    /// Returns a flow of `head` and then the reader's body, framed as chunks where `is_chunked`.
    #[must_use]
    pub const fn new(head: Vec<u8>, reader: BodyReader, is_chunked: bool) -> Self {
        Self {
            head_bytes: head.len() as u64,
            pending: head,
            reader,
            is_chunked,
            sent: 0,
            direct: 0,
            is_ending: false,
            is_done: false,
            moved: 0,
            taken: 0,
            held_bytes_max: 0,
            blocked: Blocked::Target,
            pipe: None,
            is_copied: false,
        }
    }

    /// Keeps what comes from now on, to be read by [`Flow::poll_collect`] before anything is written.
    pub const fn hold(&mut self, bytes_max: usize) {
        self.held_bytes_max = bytes_max;
    }

    /// Ends the holding: from now on what is there goes out, and the rest as it comes.
    pub const fn release(&mut self) {
        self.held_bytes_max = 0;
    }

    /// Whether what came is held and nothing of it is out.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held_bytes_max > 0
    }

    /// Whether all of it is in memory: nothing more is wanted of the source.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_ending && self.direct == 0
    }

    /// Reads without writing, until all is there or more than may be held.
    ///
    /// # Errors
    /// The source failed or is broken; nothing of it is out.
    pub fn poll_collect<R: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        (source, buffer): (&mut R, &mut Buffer),
    ) -> Poll<Result<(), FlowError>> {
        while !self.is_ending && self.pending.len() <= self.held_bytes_max {
            if !self.take_piece(buffer).map_err(FlowError::Refused)? {
                ready!(self.poll_fill(context, source, buffer))?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Body bytes taken from the source so far; all of them are written sooner or later.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes over what still lies in the buffer of a source that goes on no more.
    pub fn detach(&mut self, buffer: &Buffer) {
        self.pending.drain(..self.sent);
        self.sent = 0;
        self.pending.extend_from_slice(&buffer.data()[..self.direct]);
        self.direct = 0;
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.drain(&mut self.pending);
            // What cannot be had back was not taken: it is asked for again.
            self.taken -= pipe.held() as u64;
        }
    }

    /// Sets the body that follows what is pending.
    pub fn follow_with(&mut self, reader: BodyReader, is_chunked: bool) {
        self.reader = reader;
        self.is_chunked = is_chunked;
        self.is_copied = false;
    }

    /// Whether everything is written.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Whether the source was read to the body's end.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        self.reader.is_done() || self.is_ending
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.moved
    }

    /// What the last poll waited for.
    #[must_use]
    pub const fn blocked(&self) -> Blocked {
        self.blocked
    }

    /// Starts again with what is ready: a whole message, or the beginning of one of which nothing was written.
    pub const fn rewind(&mut self) {
        self.sent = 0;
        self.is_done = false;
    }

    /// Gives back what is ready and not written.
    #[must_use]
    pub fn into_pending(mut self) -> Vec<u8> {
        self.pending.drain(..self.sent);
        self.pending
    }

    /// Whether a part of what was ready is written and the rest is not.
    #[must_use]
    pub const fn is_torn(&self) -> bool {
        self.sent > 0 && self.sent < self.pending.len()
    }

    /// Whether something of the body was written.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        self.moved > self.head_bytes
    }

    /// Frames what is buffered, so that broken framing shows before anything is written.
    ///
    /// # Errors
    /// The framing is broken.
    pub fn prepare(&mut self, buffer: &mut Buffer) -> Result<(), Refusal> {
        while self.direct == 0 && !self.is_ending && self.take_piece(buffer)? {}
        Ok(())
    }

    /// Moves what can be moved.
    ///
    /// # Errors
    /// [`FlowError`]: which end is at fault.
    pub fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        (source, buffer): (&mut R, &mut Buffer),
        target: &mut W,
    ) -> Poll<Result<(), FlowError>>
    where
        R: AsyncRead + Bare + Unpin,
        W: AsyncWrite + Bare + Unpin,
    {
        loop {
            ready!(self.poll_write(context, buffer, target)).map_err(FlowError::Write)?;
            if self.is_ending {
                self.is_done = true;
                return Poll::Ready(Ok(()));
            }
            if !matches!(self.reader, BodyReader::Done) {
                self.pending.clear();
                self.sent = 0;
            }
            if self.pipe.is_none() && self.take_piece(buffer).map_err(FlowError::Refused)? {
                continue;
            }
            if let (Some(source), Some(target)) = (source.bare(), target.bare())
                && self.goes_through()
            {
                // Nothing is buffered: that memory is of use to others.
                buffer.rest();
                ready!(self.poll_through(context, source, target))?;
                continue;
            }
            ready!(self.poll_fill(context, source, buffer))?;
        }
    }

    /// Whether more of the body passes inside the kernel.
    fn goes_through(&mut self) -> bool {
        let is_long = || !self.is_chunked && self.reader.left().is_some_and(|left| left >= THROUGH_BYTES_MIN);
        if self.pipe.is_none() && !self.is_copied && is_long() {
            self.pipe = Pipe::take();
            self.is_copied = self.pipe.is_none();
        }
        self.pipe.is_some()
    }

    /// Passes bytes inside the kernel. It ends with the body, or before where that cannot be done; what is then pending is to be
    /// written. A pipe is held by who waits for its target alone.
    fn poll_through(
        &mut self,
        context: &mut Context<'_>,
        source: &TcpStream,
        target: &TcpStream,
    ) -> Poll<Result<(), FlowError>> {
        while let Some(pipe) = &mut self.pipe {
            if pipe.held() > 0 {
                self.blocked = Blocked::Target;
                match ready!(pipe.poll_pour(context, target)) {
                    Ok(count) => self.moved += count as u64,
                    Err(Unmoved::Refused) => {
                        pipe.drain(&mut self.pending).map_err(FlowError::Write)?;
                        self.copy_rest();
                    }
                    // What it holds stays: a flow that lost something must never be done.
                    Err(Unmoved::Failed(error)) => return Poll::Ready(Err(FlowError::Write(error))),
                }
            } else if let Some(left) = self.reader.left() {
                self.blocked = Blocked::Source;
                let Poll::Ready(filled) = pipe.poll_fill(context, source, left) else {
                    self.pipe = None;
                    return Poll::Pending;
                };
                match filled {
                    Ok(count @ 1..) => {
                        self.taken += count as u64;
                        self.reader.went_by(count as u64);
                    }
                    // Whether that is the end a read says.
                    Ok(0) | Err(Unmoved::Refused) => self.copy_rest(),
                    Err(Unmoved::Failed(error)) => return Poll::Ready(Err(FlowError::Read(error))),
                }
            } else {
                self.copy_rest();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Goes on without a pipe, behind what is pending: with the rest of the body, or its end.
    fn copy_rest(&mut self) {
        self.pipe = None;
        self.is_copied = true;
        self.is_ending = self.reader.is_done();
    }

    /// Reads more; all that was buffered is used, so that it may wait.
    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        source: &mut R,
        buffer: &mut Buffer,
    ) -> Poll<Result<(), FlowError>> {
        self.blocked = Blocked::Source;
        let count = ready!(buffer.poll_fill(context, source, usize::MAX)).map_err(FlowError::Read)?;
        if count == 0 {
            if !self.reader.end() {
                return Poll::Ready(Err(FlowError::Ended));
            }
            self.is_ending = true;
            if self.is_chunked {
                write_end(b"", &mut self.pending);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is ready, without reading any more.
    ///
    /// # Errors
    /// The target's.
    pub fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
        target: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.sent < self.pending.len() || self.direct > 0 {
            self.blocked = Blocked::Target;
            let (framed, direct) = (&self.pending[self.sent..], &buffer.data()[..self.direct]);
            let count = ready!(match (framed, direct) {
                (framed, []) => Pin::new(&mut *target).poll_write(context, framed),
                ([], direct) => Pin::new(&mut *target).poll_write(context, direct),
                (framed, direct) => {
                    let both = [IoSlice::new(framed), IoSlice::new(direct)];
                    Pin::new(&mut *target).poll_write_vectored(context, &both)
                }
            })?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.moved += count as u64;
            let of_framed = count.min(framed.len());
            self.sent += of_framed;
            self.direct -= count - of_framed;
            buffer.consume(count - of_framed);
        }
        // Encryption may hold back what the socket did not take.
        self.blocked = Blocked::Target;
        Pin::new(target).poll_flush(context)
    }

    /// Takes what the buffer holds; returns whether there is something to write or the end was found.
    fn take_piece(&mut self, buffer: &mut Buffer) -> Result<bool, Refusal> {
        let before = self.pending.len();
        loop {
            let (used, piece) = self.reader.next(buffer.data())?;
            if let Piece::Data(data) = piece {
                self.taken += data.len() as u64;
            }
            match piece {
                Piece::More => {
                    buffer.consume(used);
                    return Ok(self.pending.len() > before);
                }
                Piece::End => {
                    buffer.consume(used);
                    self.is_ending = true;
                    if self.is_chunked {
                        write_end(self.reader.trailers(), &mut self.pending);
                    }
                    return Ok(true);
                }
                Piece::Data(data) if self.is_chunked => {
                    chunked::write_chunk(data, &mut self.pending);
                    buffer.consume(used);
                    if self.pending.len() > FRAMED_BYTES_MAX {
                        return Ok(true);
                    }
                }
                Piece::Data(data) if data.len() <= COPY_BYTES_MAX || self.held_bytes_max > 0 => {
                    self.pending.extend_from_slice(data);
                    buffer.consume(used);
                    self.is_ending = self.reader.is_done();
                    if self.is_ending || self.pending.len() > FRAMED_BYTES_MAX {
                        return Ok(true);
                    }
                }
                Piece::Data(data) => {
                    let length = data.len();
                    buffer.consume(used - length);
                    self.direct = length;
                    self.is_ending = self.reader.is_done();
                    return Ok(true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_protocols::{Body, Limits};
    use rustix::fs::OFlags;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    async fn run(body: Body, input: &[u8], is_chunked: bool) -> (Result<(), FlowError>, Vec<u8>, Vec<u8>) {
        let (mut source, mut buffer, mut target) = (input, Buffer::new(), Vec::new());
        let mut flow = Flow::new(b"HEAD|".to_vec(), BodyReader::new(body, &Limits::default()), is_chunked);
        let result = std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target)).await;
        let rest = [buffer.data(), source].concat();
        (result, target, rest)
    }

    fn check(body: Body, input: &[u8], is_chunked: bool, output: &[u8], rest: &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (result, written, left) = runtime.block_on(run(body, input, is_chunked));
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(written, output);
        assert_eq!(left, rest);
    }

    #[test]
    fn leaves_what_belongs_to_the_next_message() {
        check(Body::None, b"GET", false, b"HEAD|", b"GET");
        check(Body::Length(3), b"abcGET", false, b"HEAD|abc", b"GET");
        check(Body::Chunked, b"3\r\nabc\r\n0\r\n\r\nGET", true, b"HEAD|3\r\nabc\r\n0\r\n\r\n", b"GET");
    }

    #[test]
    fn frames_anew_for_the_target() {
        check(Body::Chunked, b"003;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false, b"HEAD|abcde", b"");
        check(Body::UntilClose, b"abc", true, b"HEAD|3\r\nabc\r\n0\r\n\r\n", b"");
        check(Body::UntilClose, b"abc", false, b"HEAD|abc", b"");
    }

    #[test]
    fn passes_large_bodies_whole() {
        let body = vec![b'x'; 300_000];
        check(Body::Length(300_000), &body, false, &[b"HEAD|", &body[..]].concat(), b"");
    }

    #[test]
    fn holds_what_is_short_until_it_is_whole_and_lets_go_what_is_long() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (bytes, held_max, is_whole) in [(20_000, 64_000, true), (20_000, 10_000, false), (100, 64_000, true)] {
            let mut flow =
                Flow::new(b"HEAD|".to_vec(), BodyReader::new(Body::Length(bytes), &Limits::default()), false);
            flow.hold(held_max);
            let body = vec![b'x'; usize::try_from(bytes).unwrap()];
            let (mut source, mut buffer) = (&body[..], Buffer::new());
            let collected = std::future::poll_fn(|context| flow.poll_collect(context, (&mut source, &mut buffer)));
            runtime.block_on(collected).unwrap();
            assert_eq!((flow.is_whole(), flow.pending.len() > 10_000), (is_whole, bytes > 10_000));
            flow.release();
            let mut target = Vec::new();
            let polled = std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target));
            runtime.block_on(polled).unwrap();
            assert_eq!(target, [b"HEAD|", &body[..]].concat());
        }
    }

    #[test]
    fn goes_on_with_the_rest_from_another_source() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut flow = Flow::new(b"HEAD|".to_vec(), BodyReader::new(Body::Length(20_000), &Limits::default()), false);
        let body = vec![b'x'; 19_999];
        let (mut source, mut buffer, mut target) = (&body[..], Buffer::new(), Vec::new());
        let polled = std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target));
        assert!(matches!(runtime.block_on(polled), Err(FlowError::Ended)));
        assert_eq!(flow.taken(), 19_999);
        flow.detach(&buffer);
        flow.follow_with(BodyReader::new(Body::Length(1), &Limits::default()), false);
        let (mut rest, mut other) = (&b"y"[..], Buffer::new());
        let polled = std::future::poll_fn(|context| flow.poll(context, (&mut rest, &mut other), &mut target));
        runtime.block_on(polled).unwrap();
        assert_eq!(target, [b"HEAD|", &body[..], b"y"].concat());
    }

    #[test]
    fn a_chunked_body_that_was_read_whole_ends_once_also_the_second_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut flow = Flow::new(b"HEAD|".to_vec(), BodyReader::new(Body::Chunked, &Limits::default()), true);
        let (mut source, mut buffer) = (&b"3\r\nabc\r\n0\r\n\r\nGET"[..], Buffer::new());
        runtime.block_on(buffer.fill(&mut source, 64)).unwrap();
        flow.prepare(&mut buffer).unwrap();
        for _ in 0..2 {
            flow.rewind();
            let mut target = Vec::new();
            let polled = std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target));
            runtime.block_on(polled).unwrap();
            assert_eq!((target.as_slice(), buffer.data()), (&b"HEAD|3\r\nabc\r\n0\r\n\r\n"[..], &b"GET"[..]));
        }
    }

    #[test]
    fn an_early_end_is_no_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (result, ..) = runtime.block_on(run(Body::Length(9), b"abc", false));
        assert!(matches!(result, Err(FlowError::Ended)));
        let (result, ..) = runtime.block_on(run(Body::Chunked, b"3\r\nabc\r\n", true));
        assert!(matches!(result, Err(FlowError::Ended)));
    }

    #[test]
    fn broken_framing_shows_before_anything_is_written() {
        let mut buffer = Buffer::new();
        let mut flow = Flow::new(b"HEAD|".to_vec(), BodyReader::new(Body::Chunked, &Limits::default()), true);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(buffer.fill(&mut &b"zz\r\n"[..], 64)).unwrap();
        assert!(flow.prepare(&mut buffer).is_err());
    }

    fn on_sockets<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// Returns both ends of a connection in which no more than so many bytes should wait on each side.
    async fn pair(queued_bytes: u32) -> (TcpStream, TcpStream) {
        let (near, listening) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
        near.set_send_buffer_size(queued_bytes).unwrap();
        listening.set_recv_buffer_size(queued_bytes).unwrap();
        listening.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listening.listen(1).unwrap();
        let (near, far) = tokio::join!(near.connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    const LITTLE: u32 = 4 * 1024;
    const MUCH: u32 = 256 * 1024;

    /// Bytes of which no two parts of the same length are alike.
    fn numbered(bytes: usize) -> Vec<u8> {
        (0_u32..).flat_map(u32::to_be_bytes).take(bytes).collect()
    }

    fn long(bytes: usize) -> Flow {
        Flow::new(b"HEAD|".to_vec(), BodyReader::new(Body::Length(bytes as u64), &Limits::default()), false)
    }

    /// Polls a flow until it is done or fails, while its target is read; returns what became of it, and what came until the
    /// target's end.
    async fn ended(
        flow: &mut Flow,
        (source, buffer): (&mut TcpStream, &mut Buffer),
        (mut target, mut receiver): (TcpStream, TcpStream),
    ) -> (Result<(), FlowError>, Vec<u8>) {
        let receiving = tokio::spawn(async move {
            let mut came = Vec::new();
            receiver.read_to_end(&mut came).await.map(|_| came)
        });
        let result = std::future::poll_fn(|context| flow.poll(context, (source, buffer), &mut target)).await;
        drop(target);
        (result, receiving.await.unwrap().unwrap())
    }

    fn polled(flow: &mut Flow, (source, buffer): (&mut TcpStream, &mut Buffer), target: &mut TcpStream) -> Poll<bool> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        flow.poll(&mut context, (source, buffer), target).map(|result| result.is_ok())
    }

    /// Passes what is sent through a flow until that is done or fails; returns what became of it, what came, and what was left
    /// in the source.
    async fn through(flow: &mut Flow, sent: Vec<u8>, flags: OFlags) -> (Result<(), FlowError>, Vec<u8>, Vec<u8>) {
        let ((mut sender, mut source), (target, receiver)) = (pair(MUCH).await, pair(LITTLE).await);
        rustix::fs::fcntl_setfl(&target, flags | OFlags::NONBLOCK).unwrap();
        let sending = tokio::spawn(async move { sender.write_all(&sent).await });
        let mut buffer = Buffer::new();
        let (result, came) = ended(flow, (&mut source, &mut buffer), (target, receiver)).await;
        let mut rest = buffer.data().to_vec();
        source.read_to_end(&mut rest).await.unwrap();
        sending.await.unwrap().unwrap();
        (result, came, rest)
    }

    /// Polls a flow whose target takes little until something waits in the pipe and it is far enough; returns what came.
    async fn stall(
        flow: &mut Flow,
        (source, buffer): (&mut TcpStream, &mut Buffer),
        (target, receiver): (&mut TcpStream, &TcpStream),
        mut is_far_enough: impl FnMut(&Flow) -> bool,
    ) -> Vec<u8> {
        let mut came = Vec::new();
        loop {
            tokio::task::yield_now().await;
            assert_eq!(polled(flow, (source, buffer), target), Poll::Pending, "it is not over before it is far enough");
            if flow.pipe.as_ref().is_some_and(|pipe| pipe.held() > 0) && is_far_enough(flow) {
                return came;
            }
            let mut some = [0; 1024];
            if let Ok(count) = receiver.try_read(&mut some) {
                came.extend_from_slice(&some[..count]);
            }
        }
    }

    #[test]
    fn what_is_long_passes_inside_the_kernel_and_leaves_what_follows() {
        on_sockets(async {
            for bytes in [65_535, 65_536, 65_537, 5_000_001] {
                let (body, mut flow) = (numbered(bytes), long(bytes));
                let sent = [&body[..], b"NEXT"].concat();
                let (result, came, rest) = through(&mut flow, sent, OFlags::empty()).await;
                assert!(result.is_ok(), "{result:?}");
                assert!(came == [b"HEAD|", &body[..]].concat(), "{} of {bytes} bytes", came.len());
                let counts = (flow.taken(), flow.moved());
                assert_eq!((rest.as_slice(), counts), (&b"NEXT"[..], (bytes as u64, bytes as u64 + 5)));
                assert!(flow.is_done() && flow.is_read() && flow.pipe.is_none());
            }
        });
    }

    #[test]
    fn a_body_is_not_over_before_its_last_bytes_have_left_the_kernel() {
        on_sockets(async {
            let body = numbered(300_000);
            let ((mut sender, mut source), (mut target, receiver)) = (pair(MUCH).await, pair(LITTLE).await);
            let (mut flow, mut buffer, sent) = (long(300_000), Buffer::new(), body.clone());
            let sending = tokio::spawn(async move { sender.write_all(&sent).await });
            let (from, to) = ((&mut source, &mut buffer), (&mut target, &receiver));
            let mut came = stall(&mut flow, from, to, Flow::is_read).await;
            for _ in 0..3 {
                assert_eq!(polled(&mut flow, (&mut source, &mut buffer), &mut target), Poll::Pending);
                assert!(!flow.is_done() && !flow.is_whole());
            }
            let (result, rest) = ended(&mut flow, (&mut source, &mut buffer), (target, receiver)).await;
            result.unwrap();
            assert!(flow.is_done());
            sending.await.unwrap().unwrap();
            came.extend(rest);
            assert!(came == [b"HEAD|", &body[..]].concat(), "{} bytes", came.len());
        });
    }

    #[test]
    fn a_body_of_which_something_was_lost_is_never_over() {
        on_sockets(async {
            let ((mut sender, mut source), (mut target, receiver)) = (pair(MUCH).await, pair(LITTLE).await);
            let (mut flow, mut buffer) = (long(300_000), Buffer::new());
            let sending = tokio::spawn(async move { sender.write_all(&numbered(300_000)).await });
            let (from, to) = ((&mut source, &mut buffer), (&mut target, &receiver));
            stall(&mut flow, from, to, Flow::is_read).await;
            receiver.set_zero_linger().unwrap();
            drop(receiver);
            target.readable().await.unwrap();
            for _ in 0..3 {
                let result =
                    std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target)).await;
                assert!(matches!(result, Err(FlowError::Write(_))), "{result:?}");
                assert!(!flow.is_done());
            }
            sending.await.unwrap().unwrap();
        });
    }

    #[test]
    fn what_the_kernel_refuses_to_move_is_copied_from_there_on() {
        on_sockets(async {
            for bytes in [65_536, 1_000_000] {
                let body = numbered(bytes);
                let sent = [&body[..], b"NEXT"].concat();
                // A target that only appends is refused, when the first bytes, or all, are in the pipe already.
                let mut flow = long(bytes);
                let (result, came, rest) = through(&mut flow, sent, OFlags::APPEND).await;
                assert!(result.is_ok(), "{result:?}");
                assert!(came == [b"HEAD|", &body[..]].concat(), "{} of {bytes} bytes", came.len());
                assert_eq!((rest.as_slice(), flow.is_copied), (&b"NEXT"[..], true));
            }
        });
    }

    #[test]
    fn what_finds_no_pipe_is_copied() {
        on_sockets(async {
            let _all: Vec<_> = std::iter::from_fn(Pipe::take).collect();
            let (body, mut flow) = (numbered(1_000_000), long(1_000_000));
            let (result, came, _) = through(&mut flow, body.clone(), OFlags::empty()).await;
            assert!(result.is_ok(), "{result:?}");
            assert!(came == [b"HEAD|", &body[..]].concat(), "{} bytes", came.len());
        });
    }

    #[test]
    fn who_waits_for_its_source_holds_no_pipe() {
        on_sockets(async {
            let ((mut sender, mut source), (mut target, mut receiver)) = (pair(MUCH).await, pair(LITTLE).await);
            let (mut flow, mut buffer) = (long(1_000_000), Buffer::new());
            sender.write_all(&[7; 1000]).await.unwrap();
            let passing = std::future::poll_fn(|context| flow.poll(context, (&mut source, &mut buffer), &mut target));
            let mut came = [0; 1005];
            tokio::select! {
                result = passing => panic!("{result:?}"),
                read = receiver.read_exact(&mut came) => assert_eq!(read.unwrap(), 1005),
            }
            // Once more, where the first was interrupted before it found nothing.
            assert_eq!(polled(&mut flow, (&mut source, &mut buffer), &mut target), Poll::Pending);
            assert!(flow.pipe.is_none());
            assert_eq!((flow.blocked(), flow.taken(), flow.is_copied), (Blocked::Source, 1000, false));
        });
    }

    #[test]
    fn an_early_end_inside_the_kernel_is_no_end() {
        on_sockets(async {
            let mut flow = long(400_000);
            let (result, came, _) = through(&mut flow, numbered(300_000), OFlags::empty()).await;
            assert!(matches!(result, Err(FlowError::Ended)), "{result:?}");
            assert_eq!((came.len(), flow.taken()), (300_005, 300_000));
            // The rest from elsewhere passes inside the kernel too.
            flow.follow_with(BodyReader::new(Body::Length(100_000), &Limits::default()), false);
            assert!(flow.goes_through());
        });
    }

    #[test]
    fn what_was_on_its_way_inside_the_kernel_goes_out_before_the_rest_from_elsewhere() {
        on_sockets(async {
            let body = numbered(2_000_000);
            let ((mut sender, mut source), (mut target, receiver)) = (pair(MUCH).await, pair(LITTLE).await);
            let (mut flow, mut buffer, first) = (long(2_000_000), Buffer::new(), body.clone());
            let sending = tokio::spawn(async move { sender.write_all(&first).await });
            let (from, to) = ((&mut source, &mut buffer), (&mut target, &receiver));
            let mut came = stall(&mut flow, from, to, |flow| flow.taken() > 200_000).await;
            assert_eq!(flow.blocked(), Blocked::Target);
            let taken = usize::try_from(flow.taken()).unwrap();
            flow.detach(&buffer);
            drop(source);
            assert!(sending.await.unwrap().is_err());
            assert_eq!(flow.taken(), taken as u64);
            flow.follow_with(BodyReader::new(Body::Length((2_000_000 - taken) as u64), &Limits::default()), false);
            let ((mut other, mut source), mut buffer) = (pair(MUCH).await, Buffer::new());
            let rest = body[taken..].to_vec();
            let sending = tokio::spawn(async move { other.write_all(&rest).await });
            let (result, rest) = ended(&mut flow, (&mut source, &mut buffer), (target, receiver)).await;
            result.unwrap();
            sending.await.unwrap().unwrap();
            came.extend(rest);
            assert!(came == [b"HEAD|", &body[..]].concat(), "{} bytes", came.len());
        });
    }
}
