//! Replies: where one ends, and what is in it.

use memchr::memchr;

use super::meta::block_bytes;
use super::words::{Words, key_end};
use super::{Parsed, Progress};
use crate::heads::number_behind;

/// The longest line of a reply; VALUE with the longest key has far less.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// A longer key than any has is no plain value's.
const PLAIN_KEY_BYTES: usize = 256;

/// What was asked, and so how the reply is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expect {
    /// One line.
    Line,
    /// Values until `END`, or a line that says why not.
    Values,
    /// One line of a meta command, a block behind it if it is `VA`.
    Meta,
}

/// What a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Stored, deleted, touched, counted: `STORED`, `DELETED`, `TOUCHED`, `OK`, a number, `VERSION …`, `HD`, `MN`.
    Done,
    /// Values are there: `VALUE …`, `VA`, `ME`.
    Hit,
    /// No value is there: `END` alone, `EN`, `NOT_FOUND`, `NF`.
    Miss,
    /// A condition did not hold: `NOT_STORED`, `EXISTS`, `NS`, `EX`.
    Unmet,
    /// `ERROR`, `CLIENT_ERROR …`, `SERVER_ERROR …`, behind values too.
    Error,
}

/// A reply as it came, whole. Nothing of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// All of it, with its end.
    pub bytes: &'a [u8],
    /// What it says.
    pub outcome: Outcome,
    /// Its last line without the end.
    pub line: &'a [u8],
}

/// Bytes that answer nothing which was asked: the connection's order is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server answered with what answers nothing that it was asked")]
pub struct Stray;

/// One value of a reply to `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// All of it: its line, its block and their ends.
    pub bytes: &'a [u8],
}

/// What stands next in a reply of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A value; another piece comes behind it.
    Value(Value<'a>),
    /// `END` with its end: the reply is over.
    End(&'a [u8]),
    /// A line that says why no more values come, with its end: the reply is over.
    Error(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// Return all of it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        match *self {
            Piece::Value(Value { bytes, .. }) | Piece::End(bytes) | Piece::Error(bytes) => bytes,
        }
    }
}

impl Reply<'_> {
    /// Tell whether it is, or ends with, an error's line.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.outcome == Outcome::Error
    }
}

/// Return the reply that `bytes` begin with.
///
/// Give the same bytes with more behind them until it is whole. O(n) over a reply of n bytes, however it arrives.
///
/// Bytes that answer nothing of what was asked are [`Stray`]: no later reply can be told by its place either.
#[inline]
pub fn reply<'a>(bytes: &'a [u8], expect: Expect, progress: &mut Progress) -> Parsed<Result<Reply<'a>, Stray>> {
    let parsed = match expect {
        Expect::Values
            if *progress == Progress::default()
                && let Some(reply) = plain_reply(bytes) =>
        {
            return Parsed::Whole(Ok(reply));
        }
        Expect::Line => line_reply(bytes, progress),
        Expect::Values => values_reply(bytes, progress),
        Expect::Meta => meta_reply(bytes, progress),
    };
    if let Parsed::Whole(_) = parsed {
        *progress = Progress::default();
    }
    parsed
}

/// Return the next piece of a reply to [`Expect::Values`], so that values can go on before the last is there.
///
/// Each piece is a message of its own: give what follows it, and a progress that is kept until it is whole.
#[inline]
pub fn piece<'a>(bytes: &'a [u8], progress: &mut Progress) -> Parsed<Result<Piece<'a>, Stray>> {
    let parsed = piece_at(bytes, 0, progress);
    if let Parsed::Whole(_) = parsed {
        *progress = Progress::default();
    }
    parsed
}

/// Return how long the value is that `bytes` begin with, if it is that key's, whole, and as memcached writes it. `None` says
/// nothing: ask [`piece`], with the same progress.
#[inline]
#[must_use]
pub fn value_of(bytes: &[u8], key: &[u8], progress: &Progress) -> Option<usize> {
    if bytes.len() < progress.need {
        return None;
    }
    let text = bytes.strip_prefix(b"VALUE ")?;
    let (known, rest) = text.split_at_checked(key.len())?;
    if !is_same(known, key) {
        return None;
    }
    value_end(bytes, rest)
}

/// Return the reply of one value or none that `bytes` begin with if it is whole and as memcached writes it; `None` for any
/// other.
#[inline]
fn plain_reply(bytes: &[u8]) -> Option<Reply<'_>> {
    let (value_bytes, outcome) = match plain_value(bytes) {
        Some(value) => (value.bytes.len(), Outcome::Hit),
        None => (0, Outcome::Miss),
    };
    if !bytes[value_bytes..].starts_with(b"END\r\n") {
        return None;
    }
    let end = value_bytes + 5;
    Some(Reply { bytes: &bytes[..end], outcome, line: &bytes[value_bytes..end - 2] })
}

/// Return the value that `bytes` begin with if it is whole and as memcached writes it; `None` for any other.
#[inline]
fn plain_value(bytes: &[u8]) -> Option<Value<'_>> {
    let text = bytes.strip_prefix(b"VALUE ")?;
    let (key, rest) = text.split_at(key_end(&text[..text.len().min(PLAIN_KEY_BYTES)]));
    let end = value_end(bytes, rest)?;
    (!key.is_empty()).then(|| Value { key, bytes: &bytes[..end] })
}

/// Return where the value ends whose line goes on with `rest` behind its key: flags and a length.
#[inline(always)]
fn value_end(bytes: &[u8], rest: &[u8]) -> Option<usize> {
    let (length, block) = match short_line(rest) {
        Some(found) => found,
        None => any_line(rest)?,
    };
    if block.get(length..length + 2)? != b"\r\n" {
        return None;
    }
    Some(bytes.len() - block.len() + length + 2)
}

/// Return the length at the end of a value's line, and what follows the line, where flags and length are short.
#[inline(always)]
fn short_line(rest: &[u8]) -> Option<(usize, &[u8])> {
    let [b' ', b'0'..=b'9', rest @ ..] = rest else { return None };
    let (length, bytes) = number_behind::<b' '>(rest)?;
    Some((length, rest.get(bytes..)?))
}

#[inline(never)]
fn any_line(rest: &[u8]) -> Option<(usize, &[u8])> {
    let (_, rest) = digits(rest.strip_prefix(b" ")?, b' ')?;
    let (length, rest) = digits(rest, b'\r')?;
    Some((length, rest.strip_prefix(b"\n")?))
}

/// Return the number that a text begins with, of at most nine digits and an end, and what follows that.
#[inline]
fn digits(text: &[u8], end: u8) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (at, &byte) in text.iter().take(10).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (byte == end && at > 0).then(|| (number, &text[at + 1..]));
        }
        number = number * 10 + usize::from(digit);
    }
    None
}

/// Tell whether two texts of one length are the same, which is told of eight bytes at once: keys are too short for a call.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) else {
        return one.iter().zip(other).all(|(one, other)| one == other);
    };
    // The last eight may have been compared in part before.
    let eights = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    u64::from_le_bytes(*one_end) == u64::from_le_bytes(*other_end)
        && eights.into_iter().all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other))
}

/// A line that ends at `end` (its LF is before) without its own end, from `start`.
struct Line<'a> {
    text: &'a [u8],
    end: usize,
}

/// Return the line that begins at `start`, `None` while it is incomplete.
fn line<'a>(bytes: &'a [u8], start: usize, progress: &mut Progress) -> Result<Option<Line<'a>>, Stray> {
    let from = progress.seen.max(start);
    let seen = &bytes[..bytes.len().min(start + LINE_BYTES_MAX)];
    let Some(at) = memchr(b'\n', &seen[from.min(seen.len())..]) else {
        progress.seen = seen.len();
        return if seen.len() == start + LINE_BYTES_MAX { Err(Stray) } else { Ok(None) };
    };
    let end = from + at + 1;
    let text = bytes[start..end].strip_suffix(b"\r\n").ok_or(Stray)?;
    Ok(Some(Line { text, end }))
}

fn word_of(text: &[u8]) -> &[u8] {
    &text[..memchr(b' ', text).unwrap_or(text.len())]
}

fn is_error(text: &[u8]) -> bool {
    matches!(word_of(text), b"ERROR" | b"CLIENT_ERROR" | b"SERVER_ERROR")
}

fn line_outcome(text: &[u8]) -> Option<Outcome> {
    Some(match word_of(text) {
        b"STORED" | b"DELETED" | b"TOUCHED" | b"OK" | b"RESET" | b"VERSION" => Outcome::Done,
        b"NOT_FOUND" => Outcome::Miss,
        b"NOT_STORED" | b"EXISTS" => Outcome::Unmet,
        _ if is_error(text) => Outcome::Error,
        word if !word.is_empty() && word.iter().all(u8::is_ascii_digit) => Outcome::Done,
        _ => return None,
    })
}

type Replied<'a> = Parsed<Result<Reply<'a>, Stray>>;

fn line_reply<'a>(bytes: &'a [u8], progress: &mut Progress) -> Replied<'a> {
    let found = match line(bytes, 0, progress) {
        Ok(Some(found)) => found,
        Ok(None) => return Parsed::More { need: 0 },
        Err(stray) => return Parsed::Whole(Err(stray)),
    };
    let reply = |outcome| Reply { bytes: &bytes[..found.end], outcome, line: found.text };
    Parsed::Whole(line_outcome(found.text).map(reply).ok_or(Stray))
}

fn values_reply<'a>(bytes: &'a [u8], progress: &mut Progress) -> Replied<'a> {
    loop {
        let start = progress.left;
        let found = match piece_at(bytes, start, progress) {
            Parsed::More { need } => return Parsed::More { need },
            Parsed::Whole(Err(stray)) => return Parsed::Whole(Err(stray)),
            Parsed::Whole(Ok(found)) => found,
        };
        let end = start + found.bytes().len();
        let outcome = match found {
            Piece::Value(_) => {
                *progress = Progress { seen: end, need: 0, left: end };
                continue;
            }
            Piece::End(_) if start > 0 => Outcome::Hit,
            Piece::End(_) => Outcome::Miss,
            Piece::Error(_) => Outcome::Error,
        };
        let line = &bytes[start..end - 2];
        return Parsed::Whole(Ok(Reply { bytes: &bytes[..end], outcome, line }));
    }
}

fn piece_at<'a>(bytes: &'a [u8], start: usize, progress: &mut Progress) -> Parsed<Result<Piece<'a>, Stray>> {
    if bytes.len() < progress.need {
        return Parsed::More { need: progress.need };
    }
    if let Some(value) = plain_value(&bytes[start..]) {
        return Parsed::Whole(Ok(Piece::Value(value)));
    }
    let found = match line(bytes, start, progress) {
        Ok(Some(found)) => found,
        Ok(None) => return Parsed::More { need: 0 },
        Err(stray) => return Parsed::Whole(Err(stray)),
    };
    let whole = &bytes[start..found.end];
    if found.text == b"END" {
        return Parsed::Whole(Ok(Piece::End(whole)));
    }
    if is_error(found.text) {
        return Parsed::Whole(Ok(Piece::Error(whole)));
    }
    let mut words = Words::new(found.text);
    let (Some(b"VALUE"), Some(key), Some(_), Some(length)) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Whole(Err(Stray));
    };
    match block(bytes, &found, length, progress) {
        Parsed::More { need } => Parsed::More { need },
        Parsed::Whole(end) => Parsed::Whole(end.map(|end| Piece::Value(Value { key, bytes: &bytes[start..end] }))),
    }
}

/// Return where the block behind a line ends.
fn block(bytes: &[u8], line: &Line<'_>, length: &[u8], progress: &mut Progress) -> Parsed<Result<usize, Stray>> {
    let Some(length) = block_bytes(length) else { return Parsed::Whole(Err(Stray)) };
    let need = line.end + length + 2;
    match bytes.get(..need) {
        Some(whole) => Parsed::Whole(if whole.ends_with(b"\r\n") { Ok(need) } else { Err(Stray) }),
        None => {
            progress.seen = line.end - 1;
            progress.need = need;
            Parsed::More { need }
        }
    }
}

fn meta_reply<'a>(bytes: &'a [u8], progress: &mut Progress) -> Replied<'a> {
    if bytes.len() < progress.need {
        return Parsed::More { need: progress.need };
    }
    let found = match line(bytes, 0, progress) {
        Ok(Some(found)) => found,
        Ok(None) => return Parsed::More { need: 0 },
        Err(stray) => return Parsed::Whole(Err(stray)),
    };
    let mut words = Words::new(found.text);
    let reply = |outcome, end| Reply { bytes: &bytes[..end], outcome, line: found.text };
    let outcome = match words.next().unwrap_or_default() {
        b"VA" => {
            return match block(bytes, &found, words.next().unwrap_or_default(), progress) {
                Parsed::More { need } => Parsed::More { need },
                Parsed::Whole(end) => Parsed::Whole(end.map(|end| reply(Outcome::Hit, end))),
            };
        }
        b"HD" | b"MN" | b"OK" => Outcome::Done,
        b"ME" => Outcome::Hit,
        b"EN" | b"NF" => Outcome::Miss,
        b"NS" | b"EX" => Outcome::Unmet,
        _ if is_error(found.text) => Outcome::Error,
        _ => return Parsed::Whole(Err(Stray)),
    };
    Parsed::Whole(Ok(reply(outcome, found.end)))
}

#[cfg(test)]
mod tests;
