//! Bodies as pieces, however they are delimited.

use alongside_protocols::chunked::{Decoder, Piece};
use alongside_protocols::{Body, Limits, Reason, Refusal};

/// Reads one message's body from the bytes that come.
#[derive(Debug)]
pub enum BodyReader {
    /// Nothing is left.
    Done,
    /// So many bytes are left, more than none.
    Length(u64),
    /// Chunks are left, of so many bytes at most.
    Chunked(Box<Decoder>, u64),
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
            Body::Chunked => Self::Chunked(Box::new(Decoder::new(limits)), u64::MAX),
            Body::UntilClose => Self::UntilClose,
        }
    }

    /// Lets chunks bring at most `bytes_max`; a length is held to it by whoever read the head.
    #[must_use]
    pub fn at_most(self, bytes_max: Option<u64>) -> Self {
        match (self, bytes_max) {
            (Self::Chunked(decoder, _), Some(max)) => Self::Chunked(decoder, max),
            (reader, _) => reader,
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
                self.went_by(taken as u64);
                Ok((taken, Piece::Data(&bytes[..taken])))
            }
            Self::UntilClose => Ok((bytes.len(), Piece::Data(bytes))),
            Self::Chunked(decoder, left) => {
                let (used, piece) = decoder.decode(bytes)?;
                if let Piece::Data(data) = piece {
                    *left = left.checked_sub(data.len() as u64).ok_or(Refusal::from(Reason::BodyTooLong))?;
                }
                Ok((used, piece))
            }
        }
    }

    /// How many bytes are left, where that is known and none of them has to be looked at.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Done | Self::Chunked(..) | Self::UntilClose => None,
        }
    }

    /// Says that so many of the bytes that are left went by; no more than [`BodyReader::left`].
    pub fn went_by(&mut self, bytes: u64) {
        if let Self::Length(left) = self {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                *self = Self::Done;
            }
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
            Self::Chunked(decoder, _) => decoder.trailers(),
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
    fn chunks_bring_no_more_than_they_may() {
        let text = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        for (max, is_let_through) in [(None, true), (Some(5), true), (Some(4), false)] {
            let mut reader = BodyReader::new(Body::Chunked, &Limits::default()).at_most(max);
            let (mut rest, mut result) = (&text[..], None);
            while result.is_none() {
                match reader.next(rest) {
                    Ok((_, Piece::End)) => result = Some(true),
                    Ok((used, _)) => rest = &rest[used..],
                    Err(refusal) => result = Some(refusal.status != 413),
                }
            }
            assert_eq!(result, Some(is_let_through), "{max:?}");
        }
    }

    #[test]
    fn an_early_close_is_whole_only_where_the_close_delimits() {
        assert!(!BodyReader::new(Body::Length(1), &Limits::default()).end());
        assert!(!BodyReader::new(Body::Chunked, &Limits::default()).end());
        assert!(BodyReader::new(Body::UntilClose, &Limits::default()).end());
        assert!(BodyReader::new(Body::None, &Limits::default()).end());
    }
}
