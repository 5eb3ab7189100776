//! Requests: arrays of bulk strings, and lines for whoever types.

use memchr::memchr;

use super::fault::{Fault, Reason};
use super::inline::Inline;
use super::number::{NoNumber, number, short_bulk, short_bulk_of};
use super::{Limits, Parsed, Progress};
use crate::heads::{Heads, number_behind};

/// Commands with more arguments have as a rule many of a kind, such as keys.
const FEW: usize = 4;

/// What a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A request.
    Command(Request<'a>),
    /// A request as a line; [`Inline::write`] makes an array of it.
    Inline(Inline<'a>),
    /// Nothing: an empty line, or an array with nothing in it. Redis does not answer it.
    Empty {
        /// Its bytes, to be passed over.
        bytes: usize,
    },
}

impl Message<'_> {
    /// Return how many bytes it has.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Message::Command(request) => request.bytes.len(),
            Message::Inline(inline) => inline.bytes.len(),
            Message::Empty { bytes } => *bytes,
        }
    }
}

/// A request as it came, whole. Nothing of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// How many arguments it has, the command's name among them: at least 1.
    pub count: usize,
    name: &'a [u8],
    /// From the name's `$` on.
    body: &'a [u8],
    /// What is behind the name.
    behind_name: &'a [u8],
}

impl<'a> Request<'a> {
    /// Return the arguments in order, the command's name first.
    #[must_use]
    pub fn args(&self) -> Args<'a> {
        Args { rest: self.body, left: self.count }
    }

    /// Return the argument at an index, the command's name at 0. O(index).
    #[inline]
    #[must_use]
    pub fn arg(&self, index: usize) -> Option<&'a [u8]> {
        match index.checked_sub(1) {
            None => Some(self.name),
            Some(index) => Args { rest: self.behind_name, left: self.count - 1 }.nth(index),
        }
    }

    /// Return the command's name as sent, in any case; [`super::commands::find`] finds it.
    #[inline]
    #[must_use]
    pub const fn name(&self) -> &'a [u8] {
        self.name
    }
}

/// Where an argument's data stand in the bytes of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Where they begin.
    pub start: usize,
    /// Where they end; their line's end is behind that, and behind it the next argument.
    pub end: usize,
}

impl Spot {
    /// Return the argument, of the bytes of its request; empty where these are others.
    #[inline]
    #[must_use]
    pub fn of(self, request: &[u8]) -> &[u8] {
        request.get(self.start..self.end).unwrap_or_default()
    }

    /// Return where the next argument begins, its length before it.
    #[inline]
    #[must_use]
    pub const fn next(self) -> usize {
        self.end + 2
    }
}

/// The arguments of a request, in order.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Args<'a> {
    /// Return the bytes of the next argument as they stand in the request, its length before it and its end behind it.
    #[inline]
    pub fn next_framed(&mut self) -> Option<&'a [u8]> {
        let (start, end) = self.place()?;
        let (framed, rest) = self.rest.split_at(end + 2);
        debug_assert!(start <= end);
        self.rest = rest;
        self.left -= 1;
        Some(framed)
    }

    /// Return how many bytes of the request are behind the arguments that were returned.
    #[inline]
    #[must_use]
    pub const fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// Return where the next argument's data starts and ends.
    #[inline]
    fn place(&self) -> Option<(usize, usize)> {
        if self.left == 0 {
            return None;
        }
        if let Some((length, start)) = number_behind::<b'$'>(self.rest) {
            return Some((start, start + length));
        }
        let (length, start) = number(self.rest, 1).ok()?;
        Some((start, start + usize::try_from(length).ok()?))
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (start, end) = self.place()?;
        let arg = &self.rest[start..end];
        self.rest = &self.rest[end + 2..];
        self.left -= 1;
        Some(arg)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Args<'_> {}

/// Return what `bytes` begin with, or why that is no request; after a fault nothing of the connection can be read.
///
/// Give the same bytes with more behind them until it is whole, and then those behind it. O(n) over a message of n
/// bytes, however it arrives.
#[inline]
pub fn request<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut Progress) -> Parsed<Result<Message<'a>, Fault>> {
    request_with(bytes, limits, progress, &mut Vec::new())
}

/// Return the same as [`request`], and where a command's arguments stand, its name among them: who needs each of them need
/// not look for them once more. `spots` is used again; what it has after anything but a command means nothing.
#[inline]
pub fn request_with<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    progress: &mut Progress,
    spots: &mut Vec<Spot>,
) -> Parsed<Result<Message<'a>, Fault>> {
    if bytes.len() < progress.need || bytes.is_empty() {
        return Parsed::More { need: progress.need };
    }
    if bytes[0] == b'*' { array(bytes, limits, progress, spots) } else { line(bytes, limits, progress) }
}

type Outcome<'a> = Parsed<Result<Message<'a>, Fault>>;

#[cold]
fn fault<'a>(reason: Reason) -> Outcome<'a> {
    Parsed::Whole(Err(Fault { reason }))
}

#[inline]
fn array<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut Progress, spots: &mut Vec<Spot>) -> Outcome<'a> {
    let (count, body) = match number(bytes, 1) {
        Ok(found) => found,
        Err(NoNumber::Incomplete) => return Parsed::More { need: 0 },
        Err(NoNumber::Broken) => return fault(Reason::Count),
    };
    if count <= 0 {
        return Parsed::Whole(Ok(Message::Empty { bytes: body }));
    }
    let count = match usize::try_from(count) {
        Ok(count) if count <= limits.elements_max => count,
        _ => return fault(Reason::Count),
    };
    let (mut at, mut left) = if progress.seen == 0 { (body, count) } else { (progress.seen, progress.left) };
    spots.clear();
    // For few, to keep a line in mind costs more than it saves.
    let found = if count <= FEW {
        find_bulks(bytes, (&mut at, &mut left), limits, spots, |rest| short_bulk(rest, limits))
    } else {
        let mut heads = Heads::new();
        find_bulks(bytes, (&mut at, &mut left), limits, spots, |rest| short_bulk_of(&mut heads, rest, limits))
    };
    match found {
        Ok(()) => {}
        Err(Ok(need)) => {
            *progress = Progress { seen: at, need, left };
            return Parsed::More { need };
        }
        Err(Err(reason)) => {
            *progress = Progress::default();
            return fault(reason);
        }
    }
    *progress = Progress::default();
    let (bytes, body) = (&bytes[..at], &bytes[body..at]);
    if spots.len() < count {
        find_spots(bytes, body, count, spots);
    }
    let first = spots.first().map_or(&[][..], |spot| &bytes[spot.start..]);
    let (name, behind_name) = first.split_at(spots.first().map_or(0, |spot| spot.end - spot.start));
    let behind_name = behind_name.get(2..).unwrap_or_default();
    Parsed::Whole(Ok(Message::Command(Request { bytes, count, name, body, behind_name })))
}

/// Find where the arguments of a whole request stand, of which the first were read before.
#[cold]
fn find_spots(bytes: &[u8], body: &[u8], count: usize, spots: &mut Vec<Spot>) {
    spots.clear();
    let mut args = Args { rest: body, left: count };
    while let Some(arg) = args.next() {
        let end = bytes.len() - args.rest.len() - 2;
        spots.push(Spot { start: end - arg.len(), end });
    }
}

/// Find where the arguments stand that are `left` from `at` on; both tell how far it came. `short` finds a short one.
///
/// # Errors
/// How many bytes there must be before it is worth a look (0 if that is not known), or why it is no argument.
#[inline(always)]
fn find_bulks(
    bytes: &[u8],
    (at, left): (&mut usize, &mut usize),
    limits: &Limits,
    spots: &mut Vec<Spot>,
    mut short: impl FnMut(&[u8]) -> Option<(usize, usize)>,
) -> Result<(), Result<usize, Reason>> {
    while *left > 0 {
        let spot = match bytes.get(*at..).and_then(&mut short) {
            Some((start, end)) => Spot { start: *at + start, end: *at + end },
            None => any_bulk(bytes, *at, limits)?,
        };
        *at = spot.next();
        spots.push(spot);
        *left -= 1;
    }
    Ok(())
}

#[inline(never)]
fn any_bulk(bytes: &[u8], at: usize, limits: &Limits) -> Result<Spot, Result<usize, Reason>> {
    match bytes.get(at) {
        None => return Err(Ok(0)),
        Some(b'$') => {}
        Some(&byte) => return Err(Err(Reason::NoBulk(byte))),
    }
    let (length, start) = number(bytes, at + 1).map_err(|no_number| match no_number {
        NoNumber::Incomplete => Ok(0),
        NoNumber::Broken => Err(Reason::Length),
    })?;
    let length = u64::try_from(length).ok().filter(|&length| length <= limits.bulk_bytes_max);
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(Err(Reason::Length))?;
    let end = start + length + 2;
    match bytes.get(end - 2..end) {
        Some(b"\r\n") => Ok(Spot { start, end: end - 2 }),
        Some(_) => Err(Err(Reason::End)),
        None => Err(Ok(end)),
    }
}

fn line<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut Progress) -> Outcome<'a> {
    let seen = &bytes[..bytes.len().min(limits.line_bytes_max)];
    let Some(end) = memchr(b'\n', &seen[progress.seen..]) else {
        let is_endless = seen.len() == limits.line_bytes_max;
        progress.seen = if is_endless { 0 } else { seen.len() };
        return if is_endless { fault(Reason::InlineTooLong) } else { Parsed::More { need: 0 } };
    };
    let end = progress.seen + end;
    *progress = Progress::default();
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    if is_http(line) {
        return fault(Reason::Http);
    }
    match Inline::new(&bytes[..=end], line) {
        None => fault(Reason::Quotes),
        Some(inline) if inline.count == 0 => Parsed::Whole(Ok(Message::Empty { bytes: end + 1 })),
        Some(inline) => Parsed::Whole(Ok(Message::Inline(inline))),
    }
}

/// Tell whether a line is of HTTP, as Redis does in any case: else lines of a request's body, which a page chose, would be
/// commands.
fn is_http(line: &[u8]) -> bool {
    let begins = |word: &[u8]| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    begins(b"POST ") || begins(b"Host:")
}

#[cfg(test)]
mod tests;
