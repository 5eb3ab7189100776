//! Gets of one key that a server is told in one line, whoever asks: memcached writes once for each line, however many keys
//! are in it.
//!
//! A get joins the one that was asked just before it on its link while nothing of that line was sent. Each has its own ask:
//! it is answered by its own value as soon as that is there, and by none when the line is over.

use std::borrow::Cow;

use alongside_protocols::incremental::Parsed;
use alongside_protocols::memcache::{Piece, Request, piece, value_of};

use super::Why;
use super::buffers::Output;
use super::client::Client;
use super::context::Context;
use super::fleet::{Seen, Verdict};
use super::ids::Slab;
use super::link::{Ask, Link, NOBODY, What};
use super::pool::Pool;

const END: &[u8] = b"END\r\n";
/// Clients of a pool from which on gets are joined: who is alone, or nearly, has servers asked as it asks.
const CLIENTS_MIN: usize = 8;
/// Gets in one line at most. What a server says in place of values is said to all of them.
const GETS_MAX: u32 = 64;
/// A line's bytes at most: a memcached reads it at once, whatever its version.
const LINE_BYTES_MAX: usize = 2_000;

/// Tell whether a command may be sent in one line with others: a `get` of one key as clients write it, in which no server
/// sees the end of a word.
#[inline]
pub(super) fn may_join(pool: &Pool, request: &Request<'_>) -> bool {
    let key = request.key();
    pool.clients >= CLIENTS_MIN
        && !pool.is_strict()
        && request.bytes.starts_with(b"get ")
        && request.bytes.ends_with(b"\r\n")
        && request.bytes.len() == b"get \r\n".len() + key.len()
        && key.iter().fold(true, |is_word, byte| is_word & !(b'\t'..=b'\r').contains(byte))
}

/// The lines of a link with several gets.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Where the line begins in the link's stream that can be joined.
    start: u32,
    /// How many gets are in it; 0 if there is none.
    gets: u32,
    /// Lines that can be joined no more, one after the other, until they are answered.
    lines: Output,
    /// Which get of the first of them has the next value, unless some have none.
    next: usize,
    /// The server refused such a line: it is told no other.
    is_refused: bool,
}

impl Joined {
    /// Tell whether there is a line that can be joined.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        self.gets > 0
    }

    /// Return how many bytes the lines have that are not answered.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// Give everything back.
    pub(super) fn dismantle(mut self, context: &mut Context) {
        self.lines.clear(&mut context.buffers);
    }
}

impl Link {
    /// Ask for a key, in the line of the get before it if that can be joined; return how many bytes that takes. `command` is
    /// the get as memcached's clients write it.
    #[inline]
    pub(super) fn get(&mut self, mut ask: Ask, key: &[u8], command: &[u8], context: &mut Context) -> usize {
        if self.can_join(key) {
            ask.what = What::Joined;
            self.reopen();
            let gets = std::mem::take(&mut self.joined.gets) + 1;
            self.ask(ask, context);
            self.joined.gets = gets;
            self.lane.joined.add(1);
            return self.write_with(context, |out| {
                out.push(b' ');
                out.extend_from_slice(key);
                out.extend_from_slice(b"\r\n");
            }) - 2;
        }
        self.ask(ask, context);
        (self.joined.start, self.joined.gets) = (self.end(), 1);
        self.write(command, context);
        command.len()
    }

    #[inline]
    fn can_join(&self, key: &[u8]) -> bool {
        (1..GETS_MAX).contains(&self.joined.gets)
            && self.end().wrapping_sub(self.joined.start) as usize + key.len() < LINE_BYTES_MAX
            && !self.joined.is_refused
    }

    /// No further get joins the line: it is about to be sent, or something else is asked.
    #[inline]
    pub(super) fn close_line(&mut self, context: &mut Context) {
        let gets = std::mem::take(&mut self.joined.gets);
        if gets > 1 {
            let mut lines = std::mem::take(&mut self.joined.lines);
            lines.extend(self.since(self.joined.start), &mut context.buffers);
            self.joined.lines = lines;
        }
    }

    /// Tell whether what was asked first stands in one line with what was asked after it.
    #[inline]
    pub(super) fn is_joined(&self) -> bool {
        self.asks.get(1).is_some_and(|ask| ask.what == What::Joined)
    }

    /// Return the command that an ask is by itself, of which these bytes were written.
    pub(super) fn command<'a>(&self, index: usize, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let is_joined = |index: usize| self.asks.get(index).is_some_and(|ask| ask.what == What::Joined);
        if !is_joined(index) && !is_joined(index + 1) {
            return Cow::Borrowed(bytes);
        }
        let key = bytes.strip_prefix(b"get").unwrap_or(bytes);
        let key = key.strip_prefix(b" ").unwrap_or(key);
        let key = key.strip_suffix(b"\r\n").unwrap_or(key);
        Cow::Owned([b"get ", key, b"\r\n"].concat())
    }
}

/// Hand over what is there of a line's values; tell whether the line is over.
pub(super) fn read(
    link: &mut Link,
    rest: &[u8],
    seen: &mut Seen,
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> bool {
    let gets = 1 + link.asks.iter().skip(1).take_while(|ask| ask.what == What::Joined).count();
    let start = link.asks.front().map_or(0, |ask| ask.start);
    let line_bytes = link.asks.get(gets).map_or(link.end(), |ask| ask.start).wrapping_sub(start) as usize;
    let mut lines = std::mem::take(&mut link.joined.lines);
    let line = lines.rest().get(..line_bytes);
    let is_over = line.is_some_and(|line| read_line(link, (line, gets), rest, seen, clients, context));
    if line.is_none() {
        seen.verdict = Verdict::Broken(Why::Stray);
    }
    if is_over {
        lines.wrote(line_bytes, &mut context.buffers);
        link.joined.next = 0;
    }
    link.joined.lines = lines;
    is_over
}

/// As [`read`], of a line that has so many gets.
fn read_line(
    link: &mut Link,
    (line, gets): (&[u8], usize),
    rest: &[u8],
    seen: &mut Seen,
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> bool {
    let (mut done, mut next) = (0, link.joined.next);
    let end = loop {
        let bytes = &rest[done..];
        if let Some(key) = key(link, line, next, gets).filter(|_| may_have_value(link, next))
            && let Some(length) = value_of(bytes, key, &link.progress)
        {
            link.progress = Default::default();
            answer(link, next, [&bytes[..length], END], clients, context);
            done += length;
            next += 1;
            continue;
        }
        match piece(bytes, &mut link.progress) {
            Parsed::Whole(Ok(Piece::Value(value))) => {
                // Whoever is passed over may still have a value: not every server keeps the order.
                let is_it = |at: &usize| key(link, line, *at, gets) == Some(value.key);
                let Some(at) = (next..gets).chain(0..next).find(|at| may_have_value(link, *at) && is_it(at)) else {
                    seen.verdict = Verdict::Broken(Why::Stray);
                    break None;
                };
                answer(link, at, [value.bytes, END], clients, context);
                done += value.bytes.len();
                next = at + 1;
            }
            Parsed::Whole(Ok(Piece::End(line))) => break Some((END, line.len())),
            Parsed::Whole(Ok(Piece::Error(line))) => {
                link.joined.is_refused = true;
                break Some((line, line.len()));
            }
            Parsed::Whole(Err(_)) => {
                seen.verdict = Verdict::Broken(Why::Stray);
                break None;
            }
            Parsed::More { .. } => break None,
        }
    };
    seen.done += done;
    let Some((last, last_bytes)) = end else {
        link.joined.next = next;
        return false;
    };
    seen.done += last_bytes;
    for _ in 0..gets {
        if let Some(&ask) = link.asks.front() {
            seen.count(ask);
        }
        answer(link, 0, [last, b""], clients, context);
        link.pop();
    }
    true
}

/// Return the key of one of a line's gets.
#[inline]
fn key<'a>(link: &Link, line: &'a [u8], at: usize, gets: usize) -> Option<&'a [u8]> {
    let place = |at: usize| Some(link.asks.get(at)?.start.wrapping_sub(link.asks.front()?.start) as usize);
    let start = if at == 0 { b"get ".len() } else { place(at)? + 1 };
    let end = if at + 1 < gets { place(at + 1)? } else { line.len().saturating_sub(2) };
    line.get(start..end)
}

/// Tell whether one of a line's gets has no answer, be it that nobody waits for it any more.
fn may_have_value(link: &Link, at: usize) -> bool {
    link.asks.get(at).is_some_and(|ask| ask.client != NOBODY)
}

/// Answer one of a line's gets, if it was not answered yet and has not failed.
#[inline]
fn answer(link: &mut Link, at: usize, answer: [&[u8]; 2], clients: &mut Slab<Client>, context: &mut Context) {
    let Some(ask) = link.asks.get_mut(at).filter(|ask| ask.client != NOBODY) else { return };
    let asked = *ask;
    ask.client = NOBODY;
    link.observe(asked, context);
    if at < link.graves {
        return;
    }
    if let Some(client) = clients.get_mut(asked.client.index, asked.client.generation) {
        client.finish_in_two(asked.slot, answer, context);
    }
}
