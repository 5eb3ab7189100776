//! Chunked bodies: decoding at any split, writing anew.

mod trailers;

use crate::Limits;
use crate::refusal::{Reason, Refusal};
use trailers::Trailers;

/// The most extension bytes on one size line.
const EXTENSION_BYTES_MAX: usize = 256;
/// The most extension bytes in one body, so that tiny chunks cannot hide a flood.
const EXTENSION_BYTES_TOTAL_MAX: usize = 16 * 1024;
/// The most hexadecimal digits of a size: any such number fits 2^60.
const SIZE_DIGITS_MAX: u8 = 15;

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

/// Where in the grammar the next byte stands.
#[derive(Clone, Copy, Debug)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, bytes: usize },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
    Broken(Reason),
}

const NEXT_SIZE: State = State::Size { size: 0, digits: 0 };

/// Reads one chunked body, split anywhere. Holds nothing of the body, and trailers up to 8 KiB.
///
/// Stricter than RFC 9112 section 7.1 allows a recipient to be: no space before or after a size,
/// at most 15 digits, every line ends with CRLF, an extension has visible ASCII, spaces and tabs only.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    extension_bytes: usize,
    trailers: Trailers,
}

impl Decoder {
    /// Return a decoder for one body. `limits` can only lower what trailers may be (8 KiB, 32 lines).
    #[must_use]
    pub fn new(limits: &Limits) -> Decoder {
        Decoder { state: NEXT_SIZE, extension_bytes: 0, trailers: Trailers::new(limits) }
    }

    /// Return how many bytes were used and what they were. Call again with the rest until `More` or `End`.
    ///
    /// After `End` it uses nothing more; after an error it returns the same error.
    ///
    /// # Errors
    /// The framing is broken; status 400 (see [`Refusal::from_upstream`]).
    pub fn decode<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Piece<'b>), Refusal> {
        let mut used = 0;
        loop {
            if let State::Data { left } = self.state {
                let rest = &bytes[used..];
                if rest.is_empty() {
                    return Ok((used, Piece::More));
                }
                let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                return Ok((used + taken, Piece::Data(&rest[..taken])));
            }
            if let State::Done = self.state {
                return Ok((used, Piece::End));
            }
            let Some(&byte) = bytes.get(used) else { return Ok((used, Piece::More)) };
            match self.step(byte) {
                Ok(state) => self.state = state,
                Err(reason) => {
                    self.state = State::Broken(reason);
                    return Err(reason.into());
                }
            }
            used += 1;
        }
    }

    /// Return the state after one byte that is not body data.
    fn step(&mut self, byte: u8) -> Result<State, Reason> {
        match self.state {
            State::Size { size, digits } => size_step(size, digits, byte),
            State::Extension { size, bytes } => self.extension_step(size, bytes, byte),
            State::SizeLf { size } => {
                expect(byte, b'\n', Reason::Chunk)?;
                Ok(if size == 0 { State::Trailer } else { State::Data { left: size } })
            }
            State::DataCr => expect(byte, b'\r', Reason::Chunk).map(|()| State::DataLf),
            State::DataLf => expect(byte, b'\n', Reason::Chunk).map(|()| NEXT_SIZE),
            State::Trailer if byte == b'\r' => Ok(State::TrailerLf),
            State::Trailer => self.trailers.push(byte).map(|()| State::Trailer),
            State::TrailerLf => {
                expect(byte, b'\n', Reason::Trailer)?;
                Ok(if self.trailers.end_line()? { State::Done } else { State::Trailer })
            }
            State::Broken(reason) => Err(reason),
            // `decode` takes these itself.
            state @ (State::Data { .. } | State::Done) => Ok(state),
        }
    }

    fn extension_step(&mut self, size: u64, bytes: usize, byte: u8) -> Result<State, Reason> {
        match byte {
            b'\r' => Ok(State::SizeLf { size }),
            b'\t' | b' '..=b'~' if bytes < EXTENSION_BYTES_MAX => {
                self.extension_bytes += 1;
                if self.extension_bytes > EXTENSION_BYTES_TOTAL_MAX {
                    return Err(Reason::Chunk);
                }
                Ok(State::Extension { size, bytes: bytes + 1 })
            }
            _ => Err(Reason::Chunk),
        }
    }

    /// Return whether the end was reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Return the trailer fields that may go on, each line ending with CRLF; complete after `End`.
    ///
    /// Names that frame, route, authenticate or identify are left out.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        self.trailers.lines()
    }
}

fn size_step(size: u64, digits: u8, byte: u8) -> Result<State, Reason> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\r' if digits > 0 => return Ok(State::SizeLf { size }),
        b';' if digits > 0 => return Ok(State::Extension { size, bytes: 0 }),
        _ => return Err(Reason::Chunk),
    };
    if digits == SIZE_DIGITS_MAX {
        return Err(Reason::Chunk);
    }
    Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
}

fn expect(byte: u8, wanted: u8, reason: Reason) -> Result<(), Reason> {
    if byte == wanted { Ok(()) } else { Err(reason) }
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

#[cfg(test)]
mod tests;
