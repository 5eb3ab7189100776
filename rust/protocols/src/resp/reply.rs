//! Replies of RESP2 and RESP3, arrays in arrays too.

use memchr::memchr;

use super::newer::{self, Newer};
use super::number::{NoNumber, number, short_bulk, short_bulk_of, value};
use super::{Limits, Parsed, Version};
use crate::heads::Heads;

/// How far the reader of one reply is, as [`super::Progress`] for requests; fresh again when a reply was whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyProgress {
    /// Where the next element begins.
    at: usize,
    /// Bytes from there that hold no end of a line.
    seen: usize,
    /// Bytes that the reply has at least.
    need: usize,
    /// Elements that are still to come of the arrays, sets and maps which are open, however deep they lie.
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
    /// `$-1`, `*-1` or `_`: no value.
    Null,
    /// `,…`
    Double,
    /// `#t` or `#f`
    Boolean,
    /// `(…`: an integer of any size.
    BigNumber,
    /// `!…`: an error of any bytes.
    BulkError,
    /// `=…`: a bulk string that says what it is.
    Verbatim,
    /// `%…`
    Map,
    /// `~…`
    Set,
    /// `>…`: it answers nothing.
    Push,
}

/// A reply as it came, whole. Nothing of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// All of it, with the attributes before it.
    pub bytes: &'a [u8],
    /// What it is.
    pub kind: Type,
    /// All of it but the attributes.
    value: &'a [u8],
}

/// Bytes that are no reply of that version, or one beyond the limits: the connection's order is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server answered with what is no reply")]
pub struct Stray;

impl<'a> Reply<'a> {
    /// Tell whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self.kind, Type::Error | Type::BulkError)
    }

    /// Return all of it but the attributes before it.
    #[must_use]
    pub const fn bare(&self) -> &'a [u8] {
        self.value
    }

    /// Return its text: the line of what is one, a string's or an error's data; nothing for what has elements or no value.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        let end = self.value.len() - 2;
        let data = || number(self.value, 1).map_or(&[][..], |(_, start)| &self.value[start..end]);
        match self.kind {
            Type::Simple | Type::Error | Type::Integer | Type::Double | Type::Boolean | Type::BigNumber => {
                &self.value[1..end]
            }
            Type::Bulk | Type::BulkError => data(),
            Type::Verbatim => data().get(newer::FORMAT_BYTES..).unwrap_or_default(),
            Type::Array | Type::Map | Type::Set | Type::Push | Type::Null => &[],
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

    /// Return the elements of an array, a set or a push, in order, and a map's keys and values by turns; nothing for others.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        let each = match self.kind {
            Type::Array | Type::Set | Type::Push => 1,
            Type::Map => 2,
            _ => return Elements::new(&[], 0),
        };
        match number(self.value, 1) {
            Ok((count, start)) => Elements::new(&self.value[start..], usize::try_from(count).unwrap_or(0) * each),
            Err(_) => Elements::new(&[], 0),
        }
    }
}

/// The elements of an array or the like, each a reply of its own.
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

    /// Return the bytes of those that were not returned yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// A missing value.
const MISSING: &[u8] = b"$-1\r\n";
/// The same in RESP3.
const NULL: &[u8] = b"_\r\n";

/// The fewest bytes of a string or a missing value.
const STRING_BYTES_MIN: usize = NULL.len();

const NO_LIMITS: Limits = Limits {
    bulk_bytes_max: u64::MAX,
    elements_max: u32::MAX as usize,
    line_bytes_max: usize::MAX,
    version: Version::Three,
};

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

/// Return how many bytes the element has that `bytes` begin with, which were read once already.
#[inline]
#[must_use]
pub fn element_bytes(bytes: &[u8]) -> Option<usize> {
    if let Some((_, end)) = short_bulk(bytes, &NO_LIMITS) {
        return Some(end + 2);
    }
    any_element_bytes(bytes)
}

#[inline(never)]
fn any_element_bytes(bytes: &[u8]) -> Option<usize> {
    let end = match *bytes {
        [b'$', b'-', ..] => MISSING.len(),
        [b'_', ..] => NULL.len(),
        [b'$', ..] => {
            let (length, start) = number(bytes, 1).ok()?;
            start + usize::try_from(length).ok()? + 2
        }
        _ => match reply(bytes, &NO_LIMITS, &mut ReplyProgress::default()) {
            Parsed::Whole(Ok(element)) => element.bytes.len(),
            _ => return None,
        },
    };
    Some(end).filter(|&end| end <= bytes.len())
}

/// Return the reply that `bytes` begin with.
///
/// Give the same bytes with more behind them until it is whole. O(n) over a reply of n bytes, however it arrives.
#[inline]
pub fn reply<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut ReplyProgress) -> Parsed<Result<Reply<'a>, Stray>> {
    reply_with(bytes, limits, progress, None)
}

/// Return the same as [`reply`], and where the elements of an array end in its bytes, as far as that was seen on the way: of the
/// first ones that are strings or missing values, but never of the last. Who needs each of them need not look for these once
/// more. `ends` is used again; what it has after anything but an array means nothing.
#[inline]
pub fn reply_with<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    progress: &mut ReplyProgress,
    mut ends: Option<&mut Vec<usize>>,
) -> Parsed<Result<Reply<'a>, Stray>> {
    if let Some(ends) = &mut ends {
        ends.clear();
    }
    if bytes.len() < progress.need || bytes.is_empty() {
        return Parsed::More { need: progress.need };
    }
    let end = loop {
        match element(bytes, limits, progress, &mut ends) {
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
    let bytes = &bytes[..end];
    let value = if bytes[0] == b'|' { behind_attributes(bytes) } else { bytes };
    Parsed::Whole(Ok(Reply { bytes, kind: kind(value), value }))
}

#[inline]
fn kind(value: &[u8]) -> Type {
    match value[0] {
        b'+' => Type::Simple,
        b'-' => Type::Error,
        b':' => Type::Integer,
        b',' => Type::Double,
        b'#' => Type::Boolean,
        b'(' => Type::BigNumber,
        b'_' => Type::Null,
        _ if value[1] == b'-' => Type::Null,
        b'$' => Type::Bulk,
        b'*' => Type::Array,
        b'!' => Type::BulkError,
        b'=' => Type::Verbatim,
        b'%' => Type::Map,
        b'~' => Type::Set,
        _ => Type::Push,
    }
}

/// Return what follows the attributes that a whole reply begins with. They may lie in each other however deep.
#[cold]
fn behind_attributes(bytes: &[u8]) -> &[u8] {
    let mut progress = ReplyProgress::default();
    while bytes.get(progress.at) == Some(&b'|') {
        // The attribute's head adds what belongs to it to the one value that is always left; when that alone is left, it is over.
        loop {
            match element(bytes, &NO_LIMITS, &mut progress, &mut None) {
                Ok(false) if progress.left > 1 => {}
                Ok(false) => break,
                // It was read before, so that it ends.
                Ok(true) | Err(_) => return bytes,
            }
        }
    }
    &bytes[progress.at..]
}

/// Why the reader stops before the end.
pub(super) enum Pause {
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

/// Read one element, or the head of what has elements; tell whether the reply is whole with it.
#[inline]
fn element(
    bytes: &[u8],
    limits: &Limits,
    progress: &mut ReplyProgress,
    ends: &mut Option<&mut Vec<usize>>,
) -> Result<bool, Pause> {
    let start = progress.at;
    let end = match bytes.get(start).ok_or(Pause::More(0))? {
        b'+' | b'-' => line(bytes, start, limits, &mut progress.seen)?,
        b':' => number(bytes, start + 1)?.1,
        b'$' => bulk(bytes, start, limits)?,
        b'*' => {
            let (count, end) = number(bytes, start + 1)?;
            if count > 0 {
                open(count, limits, progress)?;
                progress.at = end;
                // Of an array in another one the ends are none of the other's elements.
                let ends = if start == 0 { ends.take() } else { None };
                strings(bytes, limits, progress, ends);
                return Ok(false);
            }
            if count < -1 {
                return Err(Pause::Stray);
            }
            end
        }
        _ if limits.version == Version::Two => return Err(Pause::Stray),
        _ => match newer::element(bytes, start, limits, &mut progress.seen)? {
            Newer::Whole { end } => end,
            // What answers nothing stands between answers, and in none.
            Newer::Push { .. } if start > 0 => return Err(Pause::Stray),
            Newer::Open { count: 0, end } | Newer::Push { count: 0, end } => end,
            Newer::Open { count, end } | Newer::Push { count, end } => {
                open(count, limits, progress)?;
                progress.at = end;
                strings(bytes, limits, progress, None);
                return Ok(false);
            }
            Newer::Attribute { count, end } => {
                // The value that it belongs to is still to come.
                progress.left = progress.left.max(1) + 1;
                open(count, limits, progress)?;
                progress.at = end;
                return Ok(false);
            }
        },
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

/// Pass over the bulk strings and missing values that are there, but for the last that is to come: most of what has
/// elements has no others. What is not whole, or is neither, is looked at again. `ends`, which is empty, gets where they end.
fn strings(bytes: &[u8], limits: &Limits, progress: &mut ReplyProgress, ends: Option<&mut Vec<usize>>) {
    let Some(ends) = ends else { return pass_strings(bytes, limits, progress, |_| {}) };
    let more = usize::try_from(progress.left).unwrap_or(usize::MAX);
    ends.resize(more.min((bytes.len() - progress.at) / STRING_BYTES_MIN), 0);
    let mut room = ends.iter_mut();
    pass_strings(bytes, limits, progress, |end| {
        if let Some(place) = room.next() {
            *place = end;
        }
    });
    let left = room.len();
    ends.truncate(ends.len() - left);
}

/// As [`strings`]; `tell` is told where each ends.
#[inline(always)]
fn pass_strings(bytes: &[u8], limits: &Limits, progress: &mut ReplyProgress, mut tell: impl FnMut(usize)) {
    let (mut at, mut left) = (progress.at, progress.left);
    let mut heads = Heads::new();
    while left > 1 {
        at = match bytes.get(at..).and_then(|rest| short_bulk_of(&mut heads, rest, limits)) {
            Some((_, end)) => at + end + 2,
            None => match any_string(bytes, at, limits) {
                Some(end) => end,
                None => break,
            },
        };
        left -= 1;
        tell(at);
    }
    (progress.at, progress.left) = (at, left);
}

/// Return where the string or missing value ends that begins at `at`, if it is one, and whole.
#[inline(never)]
fn any_string(bytes: &[u8], at: usize, limits: &Limits) -> Option<usize> {
    match bytes.get(at)? {
        b'$' if bytes[at..].starts_with(MISSING) => Some(at + MISSING.len()),
        b'$' => any_bulk(bytes, at, limits).ok(),
        b'_' if limits.version == Version::Three && bytes[at..].starts_with(NULL) => Some(at + NULL.len()),
        _ => None,
    }
}

/// Return where the line that begins at `at` ends; `seen` is how many of its bytes were looked at before.
pub(super) fn line(bytes: &[u8], at: usize, limits: &Limits, seen: &mut usize) -> Result<usize, Pause> {
    let from = at + *seen;
    let known = &bytes[..bytes.len().min(at.saturating_add(limits.line_bytes_max))];
    match memchr(b'\n', &known[from..]) {
        Some(length) if bytes[from + length - 1] == b'\r' => Ok(from + length + 1),
        Some(_) => Err(Pause::Stray),
        None if known.len() - at == limits.line_bytes_max => Err(Pause::Stray),
        None => {
            *seen = known.len() - at;
            Err(Pause::More(0))
        }
    }
}

#[inline]
fn bulk(bytes: &[u8], start: usize, limits: &Limits) -> Result<usize, Pause> {
    if let Some((_, end)) = short_bulk(&bytes[start..], limits) {
        return Ok(start + end + 2);
    }
    any_bulk(bytes, start, limits)
}

#[inline(never)]
fn any_bulk(bytes: &[u8], start: usize, limits: &Limits) -> Result<usize, Pause> {
    // Most that have no data are missing values.
    if bytes[start..].starts_with(MISSING) {
        return Ok(start + MISSING.len());
    }
    let (length, data) = number(bytes, start + 1)?;
    data_end(bytes, length, data, limits)
}

/// Return where data of a length ends that begin at `data`, their line's end included.
#[inline]
pub(super) fn data_end(bytes: &[u8], length: i64, data: usize, limits: &Limits) -> Result<usize, Pause> {
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
