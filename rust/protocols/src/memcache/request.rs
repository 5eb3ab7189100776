//! Requests: where one ends, whom it concerns, and whether every server reads it as we do.

use std::ops::Range;

use memchr::memchr;

use super::fault::{Fault, Reason};
use super::meta;
use super::verb::{Kind, Verb};
use super::words::{Words, is_time, key_end, number};
use super::{Limits, Parsed, Progress};

/// How a request of the binary protocol begins.
const BINARY_MAGIC: u8 = 0x80;

/// The longest value whose length any memcached reads as one.
const BLOCK_BYTES_MAX: u64 = (1 << 31) - 3;

/// The longest line with its end that every memcached takes: of more bytes without an end 1.4 and 1.5 close the
/// connection, 1.6 does of 2,048. They wait for the end of a `get`, and see that it is one behind so many spaces.
const LINE_BYTES_MAX: usize = 1024;
const SPACES_MAX: usize = 100;

/// A request as it came, whole. Nothing of it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// All of it, with the ends of its line and of its block.
    pub bytes: &'a [u8],
    /// Its line without the end.
    pub line: &'a [u8],
    /// Its block without the end; empty if there is none.
    pub block: &'a [u8],
    /// The command.
    pub verb: Verb,
    /// The client wants no answer (`noreply`), or none of the usual (`q` of the meta commands; see [`Request::hides`]).
    pub is_quiet: bool,
    /// How many keys there are.
    pub key_count: usize,
    /// The line from the first key on.
    pub(super) from_key: &'a [u8],
}

impl<'a> Request<'a> {
    /// Return the keys as sent, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        Words::new(self.from_key).take(self.key_count)
    }

    /// Return the first key as sent; empty if there is none.
    #[must_use]
    pub fn key(&self) -> &'a [u8] {
        self.keys().next().unwrap_or_default()
    }

    /// Return what the command has in common with others.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.verb.kind()
    }

    /// Return the words behind the first key: arguments, or flags of a meta command. With no key, those behind the command.
    #[must_use]
    pub fn rest(&self) -> Words<'a> {
        let mut words = Words::new(self.from_key);
        if self.key_count > 0 {
            words.next();
        }
        words
    }
}

/// Where a key stands in the bytes of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Where it begins.
    pub start: u32,
    /// Its length.
    pub bytes: u32,
}

impl Spot {
    /// Return the key, of the bytes of its request; empty where these are others.
    #[inline]
    #[must_use]
    pub fn of(self, request: &[u8]) -> &[u8] {
        request.get(self.range()).unwrap_or_default()
    }

    /// Return where the key is among the bytes of its request.
    #[inline]
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.bytes as usize
    }
}

/// Return the request that `bytes` begin with, or why it goes to no server.
///
/// Give the same bytes with more behind them until it is whole, and then those behind it. A line may end with LF alone.
/// O(n) over a message of n bytes, however it arrives.
#[inline]
pub fn request<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut Progress) -> Parsed<Result<Request<'a>, Fault>> {
    request_with(bytes, limits, progress, &mut Vec::new())
}

/// Return the same as [`request`], and where its keys stand if it is a good `get` or `gat` of several: who needs each of
/// them need not look for them once more. `spots` is used again; what it has after any other request means nothing.
#[inline]
pub fn request_with<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    progress: &mut Progress,
    spots: &mut Vec<Spot>,
) -> Parsed<Result<Request<'a>, Fault>> {
    if progress.seen == 0
        && let Some(request) = plain_get(bytes, limits, spots)
    {
        return Parsed::Whole(Ok(request));
    }
    if bytes.len() < progress.need || bytes.is_empty() {
        return Parsed::More { need: progress.need };
    }
    any_request(bytes, limits, progress, spots)
}

/// Return the request that most requests are, written as everybody writes it; `None` for any other.
#[inline]
fn plain_get<'a>(bytes: &'a [u8], limits: &Limits, spots: &mut Vec<Spot>) -> Option<Request<'a>> {
    let text = bytes.strip_prefix(b"get ")?;
    let key_bytes = key_end(&text[..text.len().min(limits.key_bytes_max + 1)]);
    let rest = &text[key_bytes..];
    if key_bytes == 0 || key_bytes > limits.key_bytes_max {
        return None;
    }
    if !rest.starts_with(b"\r\n") {
        return if rest.starts_with(b" ") { plain_gets(bytes, limits, spots) } else { None };
    }
    get_of(bytes, 4 + key_bytes, 1, limits)
}

/// Return the same of several keys, each of which is looked at once.
fn plain_gets<'a>(bytes: &'a [u8], limits: &Limits, spots: &mut Vec<Spot>) -> Option<Request<'a>> {
    spots.clear();
    let seen = &bytes[..bytes.len().min(limits.line_bytes_max).min(u32::MAX as usize)];
    let mut start = 4;
    loop {
        let rest = &seen[start..];
        let key_bytes = key_end(rest);
        if key_bytes == 0 || key_bytes > limits.key_bytes_max || spots.len() == limits.keys_max {
            return None;
        }
        spots.push(Spot { start: start as u32, bytes: key_bytes as u32 });
        match rest[key_bytes..] {
            [b' ', ..] => start += key_bytes + 1,
            [b'\r', b'\n', ..] => return get_of(bytes, start + key_bytes, spots.len(), limits),
            _ => return None,
        }
    }
}

/// Return the `get` whose line has so many bytes before its CR and LF.
#[inline]
fn get_of<'a>(bytes: &'a [u8], line_bytes: usize, key_count: usize, limits: &Limits) -> Option<Request<'a>> {
    if line_bytes + 2 > limits.line_bytes_max {
        return None;
    }
    let line = &bytes[..line_bytes];
    let bytes = &bytes[..line_bytes + 2];
    let block = &bytes[..0];
    Some(Request { bytes, line, block, verb: Verb::Get, is_quiet: false, key_count, from_key: &line[3..] })
}

fn any_request<'a>(bytes: &'a [u8], limits: &Limits, progress: &mut Progress, spots: &mut Vec<Spot>) -> Outcome<'a> {
    let line_end = match line_end(bytes, limits.line_bytes_max, progress) {
        Ok(Some(end)) => end,
        Ok(None) => return Parsed::More { need: 0 },
        Err(reason) => {
            *progress = Progress::default();
            return Parsed::Whole(Err(Fault { reason, skip: bytes.len() as u64, is_quiet: false }));
        }
    };
    *progress = Progress::default();
    let line = &bytes[..line_end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Line { bytes, line, bytes_of_line: line_end + 1, limits }.parse(progress, spots)
}

/// Return where the line's LF is, if it is there.
#[inline]
fn line_end(bytes: &[u8], line_bytes_max: usize, progress: &mut Progress) -> Result<Option<usize>, Reason> {
    if bytes[0] == BINARY_MAGIC {
        return Err(Reason::Binary);
    }
    let seen = &bytes[..bytes.len().min(line_bytes_max)];
    match memchr(b'\n', &seen[progress.seen..]) {
        Some(end) => Ok(Some(progress.seen + end)),
        None if seen.len() == line_bytes_max => Err(Reason::EndlessLine),
        None => {
            progress.seen = seen.len();
            Ok(None)
        }
    }
}

/// A line that is there, and what may be behind it.
#[derive(Clone, Copy)]
struct Line<'a, 'l> {
    bytes: &'a [u8],
    line: &'a [u8],
    bytes_of_line: usize,
    limits: &'l Limits,
}

/// A line that says how long the block behind it is.
struct Store<'a> {
    verb: Verb,
    from_key: &'a [u8],
    length: u64,
    is_quiet: bool,
    good: Result<(), Reason>,
}

type Outcome<'a> = Parsed<Result<Request<'a>, Fault>>;

impl<'a> Line<'a, '_> {
    fn parse(self, progress: &mut Progress, spots: &mut Vec<Spot>) -> Outcome<'a> {
        let mut words = Words::new(self.line);
        let Some(verb) = words.next().and_then(Verb::of) else { return self.fault(Reason::Unknown, false) };
        let is_clean = self.is_clean();
        match verb.kind() {
            // A block is passed over even if the line is not good.
            Kind::Store => self.store(verb, words, progress),
            Kind::Meta => self.meta(verb, words, progress),
            _ if !is_clean => self.fault(Reason::Line, false),
            Kind::Get => self.keys(verb, words, spots),
            Kind::Gat => self.gat(verb, words, spots),
            Kind::Delete => self.delete(verb, words),
            Kind::Arithmetic | Kind::Touch => self.one_number(verb, words),
            Kind::Verbosity => self.verbosity(verb, words),
            Kind::FlushAll => self.flush_all(verb, words),
            // As memcached, these do not mind what is behind them.
            Kind::Stats | Kind::Version | Kind::Quit => self.whole(verb, words.rest(), 0, false),
        }
    }

    /// Tell whether a word of a clean line can be a key.
    #[inline]
    fn is_key(self, word: &[u8]) -> bool {
        !word.is_empty() && word.len() <= self.limits.key_bytes_max
    }

    /// Tell whether the line ends where everybody sees its end: memcached ends it at a NUL, twemproxy a key at a CR.
    ///
    /// Other controls may stand in a key, as with both of them: memcaslap's keys are full of them.
    fn is_clean(self) -> bool {
        self.line.iter().fold(true, |is_clean, &byte| is_clean & (byte != 0) & (byte != b'\r'))
    }

    /// Tell whether a server waits for the line's end. Commands with several keys are not passed on as they are.
    fn is_waited_for(self, verb: Verb, key_count: usize) -> bool {
        self.bytes_of_line <= LINE_BYTES_MAX
            || match verb.kind() {
                Kind::Get | Kind::Gat if key_count > 1 => true,
                Kind::Get => self.line.iter().take_while(|&&byte| byte == b' ').count() <= SPACES_MAX,
                _ => false,
            }
    }

    fn whole(self, verb: Verb, from_key: &'a [u8], key_count: usize, is_quiet: bool) -> Outcome<'a> {
        if !self.is_waited_for(verb, key_count) {
            return self.fault(Reason::Line, is_quiet && !verb.is_meta());
        }
        let bytes = &self.bytes[..self.bytes_of_line];
        let (line, block) = (self.line, &self.bytes[..0]);
        Parsed::Whole(Ok(Request { bytes, line, block, verb, is_quiet, key_count, from_key }))
    }

    /// Refuse the line, with nothing behind it.
    #[cold]
    fn fault(self, reason: Reason, is_quiet: bool) -> Outcome<'a> {
        Parsed::Whole(Err(Fault { reason, skip: self.bytes_of_line as u64, is_quiet }))
    }

    fn keys(self, verb: Verb, words: Words<'a>, spots: &mut Vec<Spot>) -> Outcome<'a> {
        spots.clear();
        if u32::try_from(self.line.len()).is_err() {
            return self.fault(Reason::TooManyKeys, false);
        }
        let (mut left, mut key_count) = (words, 0);
        while let Some(key) = left.next() {
            key_count += 1;
            if key.len() > self.limits.key_bytes_max {
                return self.fault(Reason::Line, false);
            }
            if key_count <= self.limits.keys_max {
                let start = self.line.len() - left.rest().len() - key.len();
                spots.push(Spot { start: start as u32, bytes: key.len() as u32 });
            }
        }
        match key_count {
            0 => self.fault(Reason::Unknown, false),
            _ if key_count > self.limits.keys_max => self.fault(Reason::TooManyKeys, false),
            _ => self.whole(verb, words.rest(), key_count, false),
        }
    }

    fn gat(self, verb: Verb, mut words: Words<'a>, spots: &mut Vec<Spot>) -> Outcome<'a> {
        match words.next() {
            None => self.fault(Reason::Unknown, false),
            Some(time) if !is_time(time) => self.fault(Reason::Time, false),
            Some(_) => self.keys(verb, words, spots),
        }
    }

    fn store(self, verb: Verb, mut words: Words<'a>, progress: &mut Progress) -> Outcome<'a> {
        let from_key = words.rest();
        let wanted = if verb == Verb::Cas { 5 } else { 4 };
        let mut found: [&[u8]; 5] = [&[]; 5];
        for word in &mut found[..wanted] {
            let Some(next) = words.next() else { return self.fault(Reason::Unknown, false) };
            *word = next;
        }
        let is_quiet = words.next() == Some(b"noreply");
        if words.next().is_some() {
            return self.fault(Reason::Unknown, false);
        }
        let [key, flags, time, length, unique] = found;
        let Some(length) = number(length, BLOCK_BYTES_MAX) else { return self.fault(Reason::Line, is_quiet) };
        let is_good = self.is_key(key)
            && self.is_clean()
            && number(flags, u64::from(u32::MAX)).is_some()
            && is_time(time)
            && (verb != Verb::Cas || number(unique, u64::MAX).is_some());
        let good = if is_good { Ok(()) } else { Err(Reason::Line) };
        self.with_block(Store { verb, from_key, length, is_quiet, good }, progress)
    }

    /// Take the block, or pass it over if the line is not good or the block too long.
    fn with_block(self, store: Store<'a>, progress: &mut Progress) -> Outcome<'a> {
        let Store { verb, from_key, length, is_quiet, good } = store;
        let whole = self.bytes_of_line as u64 + length + 2;
        let fault = |reason| Parsed::Whole(Err(Fault { reason, skip: whole, is_quiet: is_quiet && !verb.is_meta() }));
        let good = if self.is_waited_for(verb, 1) { good } else { good.and(Err(Reason::Line)) };
        if let Err(reason) = good {
            return fault(reason);
        }
        let need = match usize::try_from(whole) {
            Ok(need) if length <= self.limits.value_bytes_max => need,
            _ => return fault(Reason::TooLarge),
        };
        let Some(bytes) = self.bytes.get(..need) else {
            // The line is read once more when its block is there, and not before.
            *progress = Progress { seen: self.bytes_of_line - 1, need, left: 0 };
            return Parsed::More { need };
        };
        let Some(block) = bytes[self.bytes_of_line..].strip_suffix(b"\r\n") else { return fault(Reason::Chunk) };
        Parsed::Whole(Ok(Request { bytes, line: self.line, block, verb, is_quiet, key_count: 1, from_key }))
    }

    fn delete(self, verb: Verb, mut words: Words<'a>) -> Outcome<'a> {
        let from_key = words.rest();
        let Some(key) = words.next() else { return self.fault(Reason::Unknown, false) };
        let (zero, last, surplus) = (words.next(), words.next(), words.next());
        if surplus.is_some() {
            return self.fault(Reason::Unknown, false);
        }
        let is_quiet = last.or(zero) == Some(b"noreply");
        let is_good = match (zero, last) {
            (None, _) => true,
            (Some(word), None) => word == b"0" || is_quiet,
            (Some(word), Some(_)) => word == b"0" && is_quiet,
        };
        if !is_good {
            return self.fault(Reason::Usage, is_quiet);
        }
        self.one_key(verb, key, from_key, is_quiet)
    }

    fn one_number(self, verb: Verb, mut words: Words<'a>) -> Outcome<'a> {
        let from_key = words.rest();
        let (Some(key), Some(word)) = (words.next(), words.next()) else {
            return self.fault(Reason::Unknown, false);
        };
        let is_quiet = words.next() == Some(b"noreply");
        if words.next().is_some() {
            return self.fault(Reason::Unknown, false);
        }
        if verb == Verb::Touch && !is_time(word) {
            return self.fault(Reason::Time, is_quiet);
        }
        if verb != Verb::Touch && number(word, u64::MAX).is_none() {
            return self.fault(Reason::Delta, is_quiet);
        }
        self.one_key(verb, key, from_key, is_quiet)
    }

    fn one_key(self, verb: Verb, key: &[u8], from_key: &'a [u8], is_quiet: bool) -> Outcome<'a> {
        if !self.is_key(key) {
            return self.fault(Reason::Line, is_quiet);
        }
        self.whole(verb, from_key, 1, is_quiet)
    }

    fn verbosity(self, verb: Verb, words: Words<'a>) -> Outcome<'a> {
        let mut left = words;
        let (first, last, surplus) = (left.next(), left.next(), left.next());
        let is_quiet = last.or(first) == Some(b"noreply");
        match first {
            None => self.fault(Reason::Unknown, false),
            _ if surplus.is_some() => self.fault(Reason::Unknown, false),
            Some(level) if number(level, u64::from(u32::MAX)).is_none() => self.fault(Reason::Line, is_quiet),
            Some(_) => self.whole(verb, words.rest(), 0, is_quiet),
        }
    }

    fn flush_all(self, verb: Verb, words: Words<'a>) -> Outcome<'a> {
        let mut left = words;
        let (first, last, surplus) = (left.next(), left.next(), left.next());
        let is_quiet = last.or(first) == Some(b"noreply");
        match first {
            _ if surplus.is_some() => self.fault(Reason::Unknown, false),
            Some(b"noreply") if last.is_none() => self.whole(verb, words.rest(), 0, true),
            Some(delay) if !is_time(delay) => self.fault(Reason::Time, is_quiet),
            _ => self.whole(verb, words.rest(), 0, is_quiet),
        }
    }

    fn meta(self, verb: Verb, mut words: Words<'a>, progress: &mut Progress) -> Outcome<'a> {
        let from_key = words.rest();
        let key = match words.next() {
            _ if verb == Verb::MetaNoop => return self.whole(verb, &[], 0, false),
            None if verb == Verb::MetaDebug => return self.fault(Reason::Line, false),
            None => return self.fault(Reason::Unknown, false),
            Some(key) => key,
        };
        let good = |flags| match self.is_key(key) && self.is_clean() {
            true => meta::check(key, flags),
            false => Err(Reason::Line),
        };
        if verb != Verb::MetaSet {
            return match good(words) {
                Ok(is_quiet) => self.whole(verb, from_key, 1, is_quiet),
                Err(reason) => self.fault(reason, false),
            };
        }
        let Some(length) = words.next().and_then(|word| number(word, BLOCK_BYTES_MAX)) else {
            return self.fault(Reason::Line, false);
        };
        let good = good(words);
        let (is_quiet, good) = (good == Ok(true), good.map(|_| ()));
        self.with_block(Store { verb, from_key, length, is_quiet, good }, progress)
    }
}

#[cfg(test)]
mod tests;
