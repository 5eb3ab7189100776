//! How the values of several servers become one answer, in the order of the keys that were asked for.
//!
//! The keys of a part are a list through those of the command. A server answers its part in order, leaving out what it has
//! not: a value is that of the part's next key, or what is between is missing.

use std::ops::Range;

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::memcache::{Piece, Spot, piece, value_of};

/// What is kept of one that is used again.
const KEPT_BYTES: usize = 64 * 1024;

/// Values that went on are not kept before so many that have not.
const PASSED_BYTES: usize = 64 * 1024;

/// No key: a part's list is over.
pub(crate) const NONE: u32 = u32::MAX;

/// The value of a key is still to come.
const WAITING: u32 = u32::MAX;

/// The most bytes that are kept at once.
pub(crate) const STORE_BYTES_MAX: usize = u32::MAX as usize - 1;

/// A get of several keys that waits for its parts.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// The request, in which the keys are.
    text: Vec<u8>,
    spots: Vec<Spot>,
    marks: Vec<Mark>,
    /// The first key that is not passed.
    front: usize,
    /// Values as they came, also some that went on already.
    store: Vec<u8>,
    /// Bytes of values that have their keys and have not gone on.
    kept: usize,
    /// Those of them that were taken last, and are not in the store.
    fresh: usize,
    /// Values that came in no order of keys: they go last.
    odd: Vec<u8>,
    /// What a server said in place of values: a whole line. The first is kept.
    pub(crate) error: Option<Box<[u8]>>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The next key of the same part, or [`NONE`].
    next: u32,
    /// Where its value is in the store.
    at: u32,
    /// Its value's length: 0 if there is none, [`WAITING`] if nobody knows.
    bytes: u32,
}

/// What was found in bytes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken<'a> {
    /// Bytes of whole values.
    pub(crate) values_bytes: usize,
    pub(crate) end: End<'a>,
}

/// What stands behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    /// Nothing yet that is whole.
    More,
    /// The part is over, with a line of so many bytes.
    Good(usize),
    /// The part is over, with this line.
    Refused(&'a [u8]),
    /// What answers nothing.
    Stray,
}

impl Gather {
    /// Begin with a request's keys, all of one list from the first on. Their spots are changed for others that mean nothing.
    pub(crate) fn begin(&mut self, text: &[u8], spots: &mut Vec<Spot>) {
        self.text.extend_from_slice(text);
        std::mem::swap(&mut self.spots, spots);
        let count = self.spots.len() as u32;
        self.marks.extend((1..=count).map(|next| Mark { next, at: 0, bytes: WAITING }));
        if let Some(last) = self.marks.last_mut() {
            last.next = NONE;
        }
    }

    /// Forget everything; tell whether it is worth keeping.
    pub(crate) fn clear(&mut self) -> bool {
        self.text.clear();
        self.spots.clear();
        self.marks.clear();
        self.store.clear();
        self.odd.clear();
        (self.front, self.kept, self.fresh, self.error) = (0, 0, 0, None);
        let spots_bytes = self.spots.capacity() * size_of::<Spot>();
        let marks_bytes = self.marks.capacity() * size_of::<Mark>();
        let bytes = [self.text.capacity(), spots_bytes, marks_bytes, self.store.capacity(), self.odd.capacity()];
        bytes.into_iter().all(|bytes| bytes <= KEPT_BYTES)
    }

    /// Return what it takes to know the keys.
    pub(crate) fn keys_bytes(&self) -> usize {
        self.text.len() + self.spots.len() * (size_of::<Spot>() + size_of::<Mark>())
    }

    /// Return how many bytes of values wait here, those that were taken last among them.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.kept + self.odd.len()
    }

    /// Return how many bytes are kept, whether they wait or not.
    #[inline]
    pub(crate) fn store_bytes(&self) -> usize {
        self.store.len()
    }

    /// Return where a key is in the text.
    #[inline]
    pub(crate) fn spot(&self, key: u32) -> Option<Spot> {
        self.spots.get(key as usize).copied()
    }

    /// Return where a key is in the text with the space before it.
    #[inline]
    pub(crate) fn piece(&self, key: u32) -> Range<usize> {
        let spot = self.spot(key).map_or(1..1, Spot::range);
        spot.start.saturating_sub(1)..spot.end
    }

    /// Return the request.
    #[inline]
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Return all keys of the request.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.spots.iter().map(|spot| spot.of(&self.text))
    }

    /// Return the keys of a list, from one on.
    pub(crate) fn keys(&self, first: u32) -> impl Iterator<Item = &[u8]> {
        let next = |&key: &u32| self.marks.get(key as usize).map(|mark| mark.next);
        std::iter::successors(Some(first), next).map_while(|key| Some(self.spot(key)?.of(&self.text)))
    }

    /// Return the next key of a list.
    #[inline]
    pub(crate) fn next(&self, key: u32) -> u32 {
        self.marks.get(key as usize).map_or(NONE, |mark| mark.next)
    }

    /// Let another key follow one, or none.
    #[inline]
    pub(crate) fn link(&mut self, key: u32, next: u32) {
        if let Some(mark) = self.marks.get_mut(key as usize) {
            mark.next = next;
        }
    }

    /// A key has no value.
    pub(crate) fn lose(&mut self, key: u32) {
        if let Some(mark) = self.marks.get_mut(key as usize) {
            mark.bytes = 0;
        }
    }

    /// The keys of a list from one on have no values.
    #[inline]
    pub(crate) fn lose_all(&mut self, first: &mut u32) {
        while let Some(mark) = self.marks.get_mut(*first as usize) {
            mark.bytes = 0;
            *first = mark.next;
        }
    }

    /// Take the whole values of a part that bytes begin with; `next` is the first key of the part that is not answered. Then
    /// pass on what can be ([`Gather::pass_on`]), with the same bytes of values.
    #[inline]
    pub(crate) fn take<'a>(&mut self, next: &mut u32, bytes: &'a [u8], progress: &mut Progress) -> Taken<'a> {
        let (mut done, mut found) = (0, 0);
        self.fresh = 0;
        let end = loop {
            let rest = &bytes[done..];
            if let Some(mark) = self.marks.get_mut(*next as usize)
                && let Some(spot) = self.spots.get(*next as usize)
                && let Some(key) = self.text.get(spot.range())
                && let Some(length) = value_of(rest, key, progress)
            {
                (mark.at, mark.bytes) = ((self.store.len() + done) as u32, length as u32);
                *next = mark.next;
                if done == 0 {
                    *progress = Progress::default();
                }
                done += length;
                continue;
            }
            match piece(rest, progress) {
                Parsed::Whole(Ok(Piece::Value(value))) => {
                    self.find(next, value.key, done, value.bytes);
                    done += value.bytes.len();
                    found += value.bytes.len();
                }
                Parsed::Whole(Ok(Piece::End(line))) => break End::Good(line.len()),
                Parsed::Whole(Ok(Piece::Error(line))) => break End::Refused(line),
                Parsed::Whole(Err(_)) => break End::Stray,
                Parsed::More { .. } => break End::More,
            }
        };
        if matches!(end, End::Good(_) | End::Refused(_)) {
            self.lose_all(next);
        }
        // What was looked for was counted there, if it is a key's.
        self.fresh += done - found;
        self.kept += self.fresh;
        Taken { values_bytes: done, end }
    }

    /// Take a value that need not be the next key's.
    #[inline(never)]
    fn find(&mut self, next: &mut u32, key: &[u8], at: usize, value: &[u8]) {
        let found = |gather: &Gather, at: u32| gather.spot(at).is_some_and(|spot| spot.of(&gather.text) == key);
        let mut place = *next;
        // Once a value was in no order, it is the next key's or nobody's: a server need not keep any.
        while place != NONE && (place == *next || self.odd.is_empty()) {
            if found(self, place) {
                while *next != place {
                    let missing = *next;
                    *next = self.next(missing);
                    self.lose(missing);
                }
                let mark = &mut self.marks[place as usize];
                (mark.at, mark.bytes) = ((self.store.len() + at) as u32, value.len() as u32);
                *next = mark.next;
                self.fresh += value.len();
                return;
            }
            place = self.next(place);
        }
        self.odd.extend_from_slice(value);
    }

    /// Append to `out` the values whose turn it is, of the bytes that were taken last too, and keep the rest. With nothing to
    /// append to all are kept.
    pub(crate) fn pass_on(&mut self, taken: &[u8], out: Option<&mut Vec<u8>>) {
        let first = self.store.len();
        if let Some(out) = out {
            let (mut front, mut kept, mut fresh) = (self.front, self.kept, self.fresh);
            for mark in self.marks.get(front..).unwrap_or_default() {
                if mark.bytes == WAITING {
                    break;
                }
                let (at, bytes) = (mark.at as usize, mark.bytes as usize);
                (front, kept) = (front + 1, kept - bytes);
                // What stands behind the store is elsewhere.
                let value = match at.checked_sub(first) {
                    None => self.store.get(at..at + bytes),
                    Some(at) => {
                        fresh -= bytes;
                        taken.get(at..at + bytes)
                    }
                };
                out.extend_from_slice(value.unwrap_or_default());
            }
            (self.front, self.kept, self.fresh) = (front, kept, fresh);
        }
        if self.fresh > 0 {
            self.store.extend_from_slice(taken);
            self.fresh = 0;
        } else if self.kept == 0 {
            self.store.clear();
        }
        let passed_bytes = self.store.len() - self.kept.min(self.store.len());
        if passed_bytes > self.kept.max(PASSED_BYTES) {
            self.forget_passed();
        }
    }

    /// Keep only what has not gone on.
    #[cold]
    fn forget_passed(&mut self) {
        let mut store = Vec::with_capacity(self.kept);
        let waiting = self.marks.iter_mut().skip(self.front).filter(|mark| mark.bytes != WAITING && mark.bytes > 0);
        for mark in waiting {
            let value = self.store.get(mark.at as usize..mark.at as usize + mark.bytes as usize).unwrap_or_default();
            mark.at = store.len() as u32;
            store.extend_from_slice(value);
        }
        self.store = store;
    }

    /// Append everything that is left, now that all parts are over.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.pass_on(&[], Some(&mut *out));
        out.append(&mut self.odd);
    }
}
