//! Replies of RESP2, arrays in arrays too.

use memchr::memchr;

use super::number::{NoNumber, number, value};
use super::{Limits, Parsed};

/// How far the reader of one reply is, as [`super::Progress`] for requests; fresh again when a reply was whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyProgress {
    /// Where the next element begins.
    at: usize,
    /// Bytes from there that hold no end of a line.
    seen: usize,
    /// Bytes that the reply has at least.
    need: usize,
    /// Elements that are still to come of the arrays which are open, however deep they lie.
    left: u64,
}

/// What a reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `+…`
    Simple,
    /// `-…`
    Error,
    /// `:…`
    Integer,
    /// `$…`
    Bulk,
    /// `*…`
    Array,
    /// `$-1` or `*-1`: no value.
    Null,
}

/// A reply as it came, whole. Nothing of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// What it is.
    pub kind: Type,
}

/// Bytes that are no reply of RESP2, or one beyond the limits: the connection's order is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server answered with what is no reply of RESP2")]
pub struct Stray;

impl<'a> Reply<'a> {
    /// Tell whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.kind == Type::Error
    }

    /// Return its text: a simple string's, an error's or an integer's line, a bulk string's data; else nothing.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        let end = self.bytes.len() - 2;
        match self.kind {
            Type::Simple | Type::Error | Type::Integer => &self.bytes[1..end],
            Type::Bulk => number(self.bytes, 1).map_or(&[], |(_, start)| &self.bytes[start..end]),
            Type::Array | Type::Null => &[],
        }
    }

    /// Return the first word of its text, such as an error's `OOM`.
    #[must_use]
    pub fn word(&self) -> &'a [u8] {
        let text = self.text();
        &text[..memchr(b' ', text).unwrap_or(text.len())]
    }

    /// Return the number of an integer.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        if self.kind == Type::Integer { value(self.text()) } else { None }
    }

    /// Return the elements of an array, in order; nothing for others.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        match (self.kind, number(self.bytes, 1)) {
            (Type::Array, Ok((count, start))) => {
                Elements::new(&self.bytes[start..], usize::try_from(count).unwrap_or(0))
            }
            _ => Elements::new(&[], 0),
        }
    }
}

/// The elements of an array, each a reply of its own.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Elements<'a> {
    /// Return the elements that `bytes` begin with, which were read once already: they are within whatever the limits were.
    #[must_use]
    pub const fn new(bytes: &'a [u8], count: usize) -> Elements<'a> {
        Elements { rest: bytes, left: count }
    }
}

const NO_LIMITS: Limits =
    Limits { bulk_bytes_max: u64::MAX, elements_max: u32::MAX as usize, line_bytes_max: usize::MAX };

impl<'a> Iterator for Elements<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        self.left = self.left.checked_sub(1)?;
        match reply(self.rest, &NO_LIMITS, &mut ReplyProgress::default()) {
            Parsed::Whole(Ok(element)) => {
                self.rest = &self.rest[element.bytes.len()..];
                Some(element)
            }
            _ => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Elements<'_> {}

/// Return the reply that `bytes` begin with.
///
/// Give the same bytes with more behind them until it is whole. O(n) over a reply of n bytes, however it arrives.
#[inline]
pub fn reply<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut ReplyProgress) -> Parsed<Result<Reply<'a>, Stray>> {
    if bytes.len() < progress.need || bytes.is_empty() {
        return Parsed::More { need: progress.need };
    }
    let end = loop {
        match element(bytes, limits, progress) {
            Ok(true) => break progress.at,
            Ok(false) => {}
            Err(Pause::More(need)) => {
                progress.need = need;
                return Parsed::More { need };
            }
            Err(Pause::Stray) => {
                *progress = ReplyProgress::default();
                return Parsed::Whole(Err(Stray));
            }
        }
    };
    *progress = ReplyProgress::default();
    let kind = match bytes[0] {
        b'+' => Type::Simple,
        b'-' => Type::Error,
        b':' => Type::Integer,
        _ if bytes[1] == b'-' => Type::Null,
        b'$' => Type::Bulk,
        _ => Type::Array,
    };
    Parsed::Whole(Ok(Reply { bytes: &bytes[..end], kind }))
}

/// Why the reader stops before the end.
enum Pause {
    /// So many bytes must be there; 0 if that is not known.
    More(usize),
    /// This is no reply.
    Stray,
}

impl From<NoNumber> for Pause {
    fn from(no_number: NoNumber) -> Pause {
        match no_number {
            NoNumber::Incomplete => Pause::More(0),
            NoNumber::Broken => Pause::Stray,
        }
    }
}

/// Read one element, or the head of an array; tell whether the reply is whole with it.
#[inline]
fn element(bytes: &[u8], limits: &Limits, progress: &mut ReplyProgress) -> Result<bool, Pause> {
    let start = progress.at;
    let end = match bytes.get(start).ok_or(Pause::More(0))? {
        b'+' | b'-' => line(bytes, limits, progress)?,
        b':' => number(bytes, start + 1)?.1,
        b'$' => bulk(bytes, start, limits)?,
        b'*' => {
            let (count, end) = number(bytes, start + 1)?;
            if count > 0 {
                open(count, limits, progress)?;
                progress.at = end;
                return Ok(false);
            }
            if count < -1 {
                return Err(Pause::Stray);
            }
            end
        }
        _ => return Err(Pause::Stray),
    };
    (progress.at, progress.seen) = (end, 0);
    progress.left = progress.left.saturating_sub(1);
    Ok(progress.left == 0)
}

fn open(count: i64, limits: &Limits, progress: &mut ReplyProgress) -> Result<(), Pause> {
    let count = u32::try_from(count).map_err(|_| Pause::Stray)?;
    if count as usize > limits.elements_max {
        return Err(Pause::Stray);
    }
    // The array itself is one of those that were to come.
    progress.left = progress.left.saturating_sub(1).saturating_add(u64::from(count));
    Ok(())
}

fn line(bytes: &[u8], limits: &Limits, progress: &mut ReplyProgress) -> Result<usize, Pause> {
    let from = progress.at + progress.seen;
    let seen = &bytes[..bytes.len().min(progress.at.saturating_add(limits.line_bytes_max))];
    match memchr(b'\n', &seen[from..]) {
        Some(length) if bytes[from + length - 1] == b'\r' => Ok(from + length + 1),
        Some(_) => Err(Pause::Stray),
        None if seen.len() - progress.at == limits.line_bytes_max => Err(Pause::Stray),
        None => {
            progress.seen = seen.len() - progress.at;
            Err(Pause::More(0))
        }
    }
}

#[inline]
fn bulk(bytes: &[u8], start: usize, limits: &Limits) -> Result<usize, Pause> {
    let (length, data) = number(bytes, start + 1)?;
    if length == -1 {
        return Ok(data);
    }
    let length = u64::try_from(length).ok().filter(|&length| length <= limits.bulk_bytes_max);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(Pause::Stray)?;
    let end = data.checked_add(length).and_then(|end| end.checked_add(2)).ok_or(Pause::Stray)?;
    match bytes.get(end - 2..end) {
        Some(b"\r\n") => Ok(end),
        Some(_) => Err(Pause::Stray),
        None => Err(Pause::More(end)),
    }
}

#[cfg(test)]
mod tests;
