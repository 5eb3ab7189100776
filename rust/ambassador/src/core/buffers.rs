//! Buffers that are used again: who is idle holds none, and who is not asks the allocator for none.

use std::ops::Range;

/// A larger buffer is given back to the allocator.
const KEPT_BYTES: usize = 256 * 1024;

/// All that are kept have at most so much.
const TOTAL_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that are written are not kept before so many that are not.
const WRITTEN_BYTES: usize = 64 * 1024;

/// What a buffer has when it is made.
const FIRST_BYTES: usize = 512;

/// So many bytes are copied at once where fewer are wanted.
const SHORT_BYTES: usize = 32;

/// Append a piece of a text. Most keys are short, and copied without a call: with what is behind them, which is cut off.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, text: &[u8], piece: Range<usize>) {
    let length = piece.len();
    match text.get(piece.start..).and_then(|text| text.first_chunk::<SHORT_BYTES>()) {
        Some(more) if length <= SHORT_BYTES => {
            let end = out.len() + length;
            out.extend_from_slice(more);
            out.truncate(end);
        }
        _ => append_long(out, text, piece),
    }
}

/// As [`append`]; apart from it, so that a loop of short pieces keeps in registers what it needs.
#[inline(never)]
fn append_long(out: &mut Vec<u8>, text: &[u8], piece: Range<usize>) {
    out.extend_from_slice(text.get(piece).unwrap_or_default());
}

/// Buffers nobody uses.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    spare: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// Return an empty buffer.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match self.spare.pop() {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(FIRST_BYTES),
        }
    }

    /// Return a buffer, which gets room if it has none.
    #[inline]
    pub(crate) fn room<'b>(&mut self, buffer: &'b mut Vec<u8>) -> &'b mut Vec<u8> {
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        buffer
    }

    /// Take a buffer back.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if (1..=KEPT_BYTES).contains(&capacity) && self.bytes + capacity <= TOTAL_BYTES {
            buffer.clear();
            self.bytes += capacity;
            self.spare.push(buffer);
        }
    }
}

/// What an output lends to whom has much to append: it is not to be looked at until it is back.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    pub(crate) bytes: Vec<u8>,
    /// How many bytes there were.
    before: usize,
    /// How many of these were written.
    written: usize,
}

impl Lent {
    /// Return how many bytes were appended.
    #[inline]
    pub(crate) fn added(&self) -> usize {
        self.bytes.len() - self.before
    }
}

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How many of them were written.
    written: usize,
}

impl Output {
    /// Return what is to be written.
    #[inline]
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Return the buffer to append to.
    #[inline]
    pub(crate) fn end(&mut self, buffers: &mut Buffers) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take();
        }
        &mut self.bytes
    }

    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        self.end(buffers).extend_from_slice(bytes);
    }

    /// Take back so many bytes of what was appended last; what was written of them is not.
    #[inline]
    pub(crate) fn shorten(&mut self, count: usize) {
        self.bytes.truncate(self.bytes.len().saturating_sub(count).max(self.written));
    }

    /// Lend what there is.
    pub(crate) fn lend(&mut self, buffers: &mut Buffers) -> Lent {
        let bytes = std::mem::take(self.end(buffers));
        // Where it does not come back, after a panic, nothing is left here.
        Lent { before: bytes.len(), bytes, written: std::mem::take(&mut self.written) }
    }

    /// Take it back.
    pub(crate) fn take_back(&mut self, lent: Lent) {
        (self.bytes, self.written) = (lent.bytes, lent.written);
    }

    /// Append a whole buffer: where nothing else waits it is not copied.
    #[inline]
    pub(crate) fn append(&mut self, bytes: Vec<u8>, buffers: &mut Buffers) {
        if self.bytes.capacity() == 0 {
            self.bytes = bytes;
            return;
        }
        self.bytes.extend_from_slice(&bytes);
        buffers.give(bytes);
    }

    /// So many were written.
    #[inline]
    pub(crate) fn wrote(&mut self, count: usize, buffers: &mut Buffers) {
        self.written = (self.written + count).min(self.bytes.len());
        if self.is_empty() {
            self.clear(buffers);
        } else if self.written > WRITTEN_BYTES && self.written > self.bytes.len() / 2 {
            // What a slow peer took long ago is not kept for ever.
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    /// Give up what there is.
    pub(crate) fn clear(&mut self, buffers: &mut Buffers) {
        self.written = 0;
        buffers.give(std::mem::take(&mut self.bytes));
    }
}

/// Bytes of messages that are not whole yet.
#[derive(Debug, Default)]
pub(crate) struct Input {
    bytes: Vec<u8>,
}

impl Input {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Take all bytes out to look at them.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Put bytes back, of which so many are done with.
    pub(crate) fn put(&mut self, mut bytes: Vec<u8>, done: usize, buffers: &mut Buffers) {
        if done == bytes.len() {
            buffers.give(bytes);
            return;
        }
        if done > 0 {
            bytes.drain(..done);
            if bytes.capacity() > WRITTEN_BYTES && bytes.len() < bytes.capacity() / 4 {
                bytes.shrink_to(bytes.len() * 2);
            }
        }
        self.bytes = bytes;
    }

    pub(crate) fn extend(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        if bytes.is_empty() {
            return;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = buffers.take();
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn clear(&mut self, buffers: &mut Buffers) {
        buffers.give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_comes_back_as_it_was_or_leaves_nothing() {
        let (mut buffers, mut output) = (Buffers::default(), Output::default());
        output.extend(b"written, not", &mut buffers);
        output.wrote(9, &mut buffers);
        let mut lent = output.lend(&mut buffers);
        lent.bytes.extend_from_slice(b" yet");
        assert_eq!((lent.added(), output.len(), output.rest()), (4, 0, &b""[..]));
        output.take_back(lent);
        assert_eq!(output.rest(), b"not yet");
        drop(output.lend(&mut buffers));
        assert_eq!((output.is_empty(), output.rest()), (true, &b""[..]));
    }

    #[test]
    fn a_piece_is_appended_and_nothing_else() {
        let text: Vec<u8> = (0..100).collect();
        for start in 0..=text.len() {
            for end in start..=text.len() {
                let mut out = b"before".to_vec();
                append(&mut out, &text, start..end);
                assert_eq!(out, [b"before", &text[start..end]].concat());
            }
        }
    }
}
