//! Bodies as pieces, however they are delimited.

use alongside_protocols::chunked::{Decoder, Piece};
use alongside_protocols::{Body, Limits, Refusal};

/// Reads one message's body from the bytes that come.
#[derive(Debug)]
pub enum BodyReader {
    /// Nothing is left.
    Done,
    /// So many bytes are left, more than none.
    Length(u64),
    /// Chunks are left.
    Chunked(Box<Decoder>),
    /// All that comes until the peer closes.
    UntilClose,
}

impl BodyReader {
    /// Returns a reader for a body that starts with the next byte.
    #[must_use]
    pub fn new(body: Body, limits: &Limits) -> Self {
        match body {
            Body::None | Body::Length(0) => Self::Done,
            Body::Length(bytes) => Self::Length(bytes),
            Body::Chunked => Self::Chunked(Box::new(Decoder::new(limits))),
            Body::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the body is over.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Returns how many bytes were used and what they were; the data, if any, are the last of them.
    /// Call again with the rest until `More` or `End`.
    ///
    /// # Errors
    /// The chunks are broken.
    pub fn next<'b>(&mut self, bytes: &'b [u8]) -> Result<(usize, Piece<'b>), Refusal> {
        match self {
            Self::Done => Ok((0, Piece::End)),
            _ if bytes.is_empty() => Ok((0, Piece::More)),
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok((taken, Piece::Data(&bytes[..taken])))
            }
            Self::UntilClose => Ok((bytes.len(), Piece::Data(bytes))),
            Self::Chunked(decoder) => decoder.decode(bytes),
        }
    }

    /// Says that the peer closed. Returns whether the body is whole.
    pub fn end(&mut self) -> bool {
        if matches!(self, Self::UntilClose) {
            *self = Self::Done;
        }
        self.is_done()
    }

    /// Returns the trailer fields that may go on; none before the end.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(decoder) => decoder.trailers(),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_ends_with_its_last_byte() {
        let mut reader = BodyReader::new(Body::Length(5), &Limits::default());
        assert_eq!(reader.next(b"abc").unwrap(), (3, Piece::Data(b"abc")));
        assert_eq!(reader.next(b"").unwrap(), (0, Piece::More));
        assert_eq!(reader.next(b"defg").unwrap(), (2, Piece::Data(b"de")));
        assert_eq!(reader.next(b"fg").unwrap(), (0, Piece::End));
        assert!(reader.is_done());
    }

    #[test]
    fn an_early_close_is_whole_only_where_the_close_delimits() {
        assert!(!BodyReader::new(Body::Length(1), &Limits::default()).end());
        assert!(!BodyReader::new(Body::Chunked, &Limits::default()).end());
        assert!(BodyReader::new(Body::UntilClose, &Limits::default()).end());
        assert!(BodyReader::new(Body::None, &Limits::default()).end());
    }
}
