//! One request to the origin, and everyone who waits for its answer.
//!
//! A flight holds the pieces of the answer as they come. While it keeps them all, more clients may join; once it does
//! not (too large, or no memory to spare), it holds only what its slowest reader has not taken, and the origin waits.

use crate::budget::{InflightBudget, Reservation};
use crate::object::Object;
use crate::terms::Terms;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Bytes that may wait for the slowest reader where the answer is not kept.
pub const WINDOW_BYTES: usize = 64 * 1024;

/// What a piece takes beside its bytes, at most.
const PIECE_BYTES: usize = 128;

/// The answer's head, for everyone who waits.
#[derive(Debug)]
pub struct FlightHead {
    /// Status and fields; its body is empty.
    pub preview: Object,
    /// How long the body is, where that was said.
    pub length: Option<u64>,
    /// To whom it may go.
    pub terms: Terms,
    /// What caches nearer to the origin said of it, for `Cache-Status`.
    pub before: Vec<u8>,
    /// It will be stored when it is whole.
    pub is_kept: bool,
    /// Nobody can tell whether it is whole, also behind this node.
    pub is_open: bool,
    /// The answers of this URL are not kept whoever asks, so that nobody should wait for another's.
    pub is_personal: bool,
}

/// A stored answer that a 304 has renewed.
#[derive(Debug)]
pub struct Confirmed {
    /// The answer as it is now.
    pub object: Arc<Object>,
    /// To whom it may go: the 304 may have brought what is for one client only.
    pub terms: Terms,
    /// What caches nearer to the origin said of it, for `Cache-Status`.
    pub before: Vec<u8>,
    /// It is stored as it is now.
    pub is_stored: bool,
}

/// Why a flight brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// The origin could not be reached.
    Unreachable,
    /// It closed before its answer was whole.
    Closed,
    /// It was silent for too long.
    TimedOut,
    /// The guard does not let its answer through.
    Refused,
    /// Nobody waited any more.
    Abandoned,
    /// Too many others are asking the origin.
    Shed,
}

impl FetchError {
    /// Returns the word by which siblings tell each other.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Closed => "closed",
            Self::TimedOut => "timed-out",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
            Self::Shed => "shed",
        }
    }

    /// Reads such a word; one that is not known is a flight that was given up.
    #[must_use]
    pub fn read(word: &[u8]) -> Self {
        let known = [Self::Unreachable, Self::Closed, Self::TimedOut, Self::Refused, Self::Shed];
        known.into_iter().find(|known| known.as_str().as_bytes() == word).unwrap_or(Self::Abandoned)
    }

    /// Returns the status for a client that was told nothing yet, and what to say.
    #[must_use]
    pub const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Unreachable => (502, "the origin could not be reached"),
            Self::Closed | Self::Abandoned => (502, "the origin closed before it answered"),
            Self::TimedOut => (504, "the origin did not answer in time"),
            Self::Refused => (502, "the origin's answer is not valid HTTP"),
            Self::Shed => (503, "too many requests are under way"),
        }
    }
}

/// What a waiting client learns first.
#[derive(Debug, Clone)]
pub enum Arrived {
    /// The head of an answer; its pieces follow.
    Head(Arc<FlightHead>),
    /// The stored answer still holds.
    Confirmed(Arc<Confirmed>),
    /// Nothing came.
    Failed(FetchError),
}

/// What a reader learns next.
#[derive(Debug, Clone)]
pub enum Next {
    /// More of the body.
    Piece(Bytes),
    /// The body is whole.
    End,
    /// The rest does not come.
    Failed(FetchError),
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody has this place.
    Free,
    /// The number of the piece it takes next.
    At(usize),
    /// It held up the others for too long.
    Lost,
}

#[derive(Debug)]
struct State {
    arrived: Option<Arrived>,
    pieces: VecDeque<Bytes>,
    /// Pieces that were dropped from the front, and their bytes.
    dropped: usize,
    dropped_bytes: u64,
    held_bytes: usize,
    is_kept: bool,
    end: Option<Result<(), FetchError>>,
    /// The memory that is reserved for the pieces.
    reserved: Option<Reservation>,
    /// The stored answer, which shares the pieces and accounts for them in place of the reservation.
    stored: Option<Arc<Object>>,
    readers: Vec<Place>,
    /// Since when the window is full, and how many bytes had been dropped then.
    full: Option<(Instant, u64)>,
}

/// One request to the origin.
#[derive(Debug)]
pub struct Flight {
    state: Mutex<State>,
    changed: Notify,
}

impl Flight {
    /// Returns a flight that has just begun.
    #[must_use]
    pub fn new(budget: &InflightBudget) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                arrived: None,
                pieces: VecDeque::new(),
                dropped: 0,
                dropped_bytes: 0,
                held_bytes: 0,
                is_kept: true,
                end: None,
                reserved: Some(budget.begin()),
                stored: None,
                readers: Vec::new(),
                full: None,
            }),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = act(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    /// Adds a reader from the first piece on; `None` where not all are kept.
    pub fn join(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        if !state.is_kept {
            return None;
        }
        let slot = state.add_reader();
        drop(state);
        Some(Reader { flight: Arc::clone(self), slot })
    }

    /// Tells everyone what came first.
    pub fn arrive(&self, arrived: Arrived) {
        self.change(|state| {
            if let Arrived::Failed(error) = arrived {
                state.end = Some(Err(error));
            }
            state.arrived.get_or_insert(arrived);
        });
    }

    /// Adds a piece of the body; false where there was no memory to keep it, so that from now on nothing is kept.
    pub fn push(&self, piece: Bytes) -> bool {
        self.change(|state| {
            let bytes = (piece.len() + PIECE_BYTES) as u64;
            let is_had = !state.is_kept || state.reserved.as_mut().is_none_or(|reserved| reserved.grow(bytes));
            state.is_kept &= is_had;
            if !state.is_kept
                && let Some(reserved) = &mut state.reserved
            {
                reserved.overdraw(bytes);
            }
            state.held_bytes += piece.len();
            state.pieces.push_back(piece);
            state.trim();
            is_had
        })
    }

    /// Stops keeping: from now on only what readers have not taken is held, and nobody joins.
    pub fn stop_keeping(&self) {
        self.change(|state| {
            state.is_kept = false;
            state.trim();
        });
    }

    /// Ends the keeping of a whole answer, which is stored, or could not be.
    pub fn land(&self, stored: Option<Arc<Object>>) {
        self.change(|state| {
            state.is_kept = false;
            if stored.is_some() {
                state.reserved = None;
                state.stored = stored;
            }
            state.trim();
        });
    }

    /// Whether every piece is kept.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.lock().is_kept
    }

    /// Says how it ended. The first word counts.
    pub fn end(&self, result: Result<(), FetchError>) {
        self.change(|state| {
            if let Err(error) = result {
                state.arrived.get_or_insert(Arrived::Failed(error));
                state.is_kept = false;
                state.trim();
            }
            state.end.get_or_insert(result);
        });
    }

    /// Returns all pieces, where they were all kept.
    #[must_use]
    pub fn pieces(&self) -> Option<Vec<Bytes>> {
        let state = self.lock();
        (state.is_kept && state.dropped == 0).then(|| state.pieces.iter().cloned().collect())
    }

    /// Waits until there is room for another piece; false where nobody wants it.
    ///
    /// A reader for whom the others wait must take a whole window in each `patience`; else it gets no more.
    pub async fn room(&self, patience: Duration) -> bool {
        let at_once = {
            let mut state = self.lock();
            let room = state.room();
            if room.is_some() {
                state.full = None;
            }
            room
        };
        if let Some(room) = at_once {
            return room;
        }
        loop {
            let due = self.lock().full_since(Instant::now()) + patience;
            match timeout_at(due, self.when(State::room)).await {
                Ok(room) => return room,
                Err(_) => self.change(State::lose_slowest),
            }
        }
    }

    async fn when<T>(&self, mut test: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change falls between.
            changed.as_mut().enable();
            if let Some(found) = test(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }
}

impl State {
    fn add_reader(&mut self) -> usize {
        match self.readers.iter().position(|place| *place == Place::Free) {
            Some(slot) => {
                self.readers[slot] = Place::At(0);
                slot
            }
            None => {
                self.readers.push(Place::At(0));
                self.readers.len() - 1
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.readers.iter().filter_map(|place| if let Place::At(at) = place { Some(*at) } else { None })
    }

    /// Drops what every reader has taken.
    fn trim(&mut self) {
        if self.is_kept {
            return;
        }
        let slowest = self.places().min().unwrap_or(usize::MAX);
        while self.dropped < slowest {
            let Some(piece) = self.pieces.pop_front() else { break };
            self.held_bytes -= piece.len();
            self.dropped += 1;
            self.dropped_bytes += piece.len() as u64;
            if let Some(reserved) = &mut self.reserved {
                reserved.shrink((piece.len() + PIECE_BYTES) as u64);
            }
        }
    }

    /// Whether another piece is wanted; nothing where the window is full.
    fn room(&mut self) -> Option<bool> {
        if self.is_kept {
            return Some(true);
        }
        self.trim();
        if self.places().next().is_none() {
            return Some(false);
        }
        (self.held_bytes < WINDOW_BYTES).then_some(true)
    }

    /// Returns since when the slowest reader has not taken a whole window.
    fn full_since(&mut self, now: Instant) -> Instant {
        let is_moving = |mark: u64| self.dropped_bytes - mark >= WINDOW_BYTES as u64;
        let (since, mark) = self.full.filter(|(_, mark)| !is_moving(*mark)).unwrap_or((now, self.dropped_bytes));
        self.full = Some((since, mark));
        since
    }

    /// Gives the slowest readers up if another one waits for them.
    fn lose_slowest(&mut self) {
        let end = self.dropped + self.pieces.len();
        if self.places().any(|at| at == end) {
            let slowest = self.places().min();
            for place in &mut self.readers {
                if matches!(place, Place::At(at) if Some(*at) == slowest) {
                    *place = Place::Lost;
                }
            }
        }
        self.full = None;
        self.trim();
    }
}

/// The flights that may be joined, by their question.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<Vec<u8>, Arc<Flight>>>);

impl Board {
    /// Joins the flight of the same question, or puts up a new one; says which flight, and whether it was there.
    /// Without a question the flight is for its own request only.
    pub fn join(&self, question: Option<&[u8]>, budget: &InflightBudget) -> (Arc<Flight>, Reader, bool) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = question.and_then(|question| flights.get(question));
        if let Some((flight, reader)) = known.and_then(|flight| flight.join().map(|reader| (flight, reader))) {
            return (Arc::clone(flight), reader, true);
        }
        let flight = Flight::new(budget);
        let slot = flight.lock().add_reader();
        if let Some(question) = question {
            flights.insert(question.to_vec(), Arc::clone(&flight));
        }
        (Arc::clone(&flight), Reader { flight, slot }, false)
    }

    /// Takes a flight down.
    pub fn leave(&self, question: &[u8], flight: &Arc<Flight>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(question).is_some_and(|up| Arc::ptr_eq(up, flight)) {
            flights.remove(question);
        }
    }
}

/// One client's place in a flight; dropping it leaves.
#[derive(Debug)]
pub struct Reader {
    flight: Arc<Flight>,
    slot: usize,
}

impl Reader {
    /// Waits for what comes first.
    pub async fn arrived(&self) -> Arrived {
        self.flight.when(|state| state.arrived.clone()).await
    }

    /// Whether [`Reader::next`] would not wait.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.flight.lock();
        let Place::At(at) = state.readers[self.slot] else { return true };
        state.end.is_some() || at - state.dropped < state.pieces.len()
    }

    /// Waits for the next piece.
    pub async fn next(&mut self) -> Next {
        let slot = self.slot;
        let next = self
            .flight
            .when(|state| {
                let Place::At(at) = state.readers[slot] else { return Some(Next::Failed(FetchError::Abandoned)) };
                if let Some(piece) = state.pieces.get(at - state.dropped) {
                    let piece = piece.clone();
                    state.readers[slot] = Place::At(at + 1);
                    return Some(Next::Piece(piece));
                }
                match state.end {
                    Some(Ok(())) => Some(Next::End),
                    Some(Err(error)) => Some(Next::Failed(error)),
                    None => None,
                }
            })
            .await;
        if matches!(next, Next::Piece(_)) && !self.flight.lock().is_kept {
            // The origin may be waiting for this reader.
            self.flight.change(State::trim);
        }
        next
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.flight.change(|state| {
            state.readers[self.slot] = Place::Free;
            state.trim();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    fn budget() -> InflightBudget {
        crate::store::Store::new(1 << 20, None).inflight().clone()
    }

    fn flight() -> Arc<Flight> {
        Flight::new(&budget())
    }

    fn text(next: Next) -> String {
        match next {
            Next::Piece(piece) => String::from_utf8(piece.to_vec()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn everyone_reads_from_the_first_piece_while_all_are_kept() {
        block_on(async {
            let flight = flight();
            let mut early = flight.join().unwrap();
            flight.push(Bytes::from_static(b"a"));
            assert_eq!(text(early.next().await), "a");
            let mut late = flight.join().unwrap();
            flight.push(Bytes::from_static(b"b"));
            flight.end(Ok(()));
            assert_eq!((text(late.next().await), text(late.next().await)), ("a".into(), "b".into()));
            assert_eq!((text(early.next().await), text(early.next().await)), ("b".into(), "End".into()));
            assert_eq!(flight.pieces().unwrap().len(), 2);
        });
    }

    #[test]
    fn holds_no_more_than_the_slowest_reader_needs_once_it_does_not_keep() {
        block_on(async {
            let flight = flight();
            let (mut fast, mut slow) = (flight.join().unwrap(), flight.join().unwrap());
            flight.stop_keeping();
            assert!(flight.join().is_none() && flight.pieces().is_none());
            flight.push(Bytes::from(vec![0; WINDOW_BYTES]));
            let _ = fast.next().await;
            let waited = tokio::time::timeout(std::time::Duration::from_millis(20), flight.room(PATIENCE)).await;
            assert!(waited.is_err(), "the slow reader has taken nothing");
            let _ = slow.next().await;
            assert!(flight.room(PATIENCE).await);
            assert_eq!(flight.lock().held_bytes, 0);
            drop((fast, slow));
            assert!(!flight.room(PATIENCE).await);
        });
    }

    #[test]
    fn a_failure_reaches_everyone_after_what_came_before_it() {
        block_on(async {
            let flight = flight();
            let mut reader = flight.join().unwrap();
            flight.push(Bytes::from_static(b"a"));
            flight.end(Err(FetchError::Closed));
            flight.end(Ok(()));
            assert_eq!(text(reader.next().await), "a");
            assert_eq!(text(reader.next().await), "Failed(Closed)");
            assert!(matches!(reader.arrived().await, Arrived::Failed(FetchError::Closed)));
        });
    }

    #[test]
    fn every_byte_counts_until_its_last_reader_has_taken_it() {
        block_on(async {
            let budget = budget();
            let piece = || Bytes::from(vec![0; 60_000]);
            let bytes = 60_000 + PIECE_BYTES as u64;
            let flight = Flight::new(&budget);
            let mut reader = flight.join().unwrap();
            assert!(flight.push(piece()) && flight.push(piece()));
            assert_eq!(budget.reserved_bytes(), 2 * bytes);
            flight.stop_keeping();
            assert_eq!(budget.reserved_bytes(), 2 * bytes, "it is still held");
            let _ = reader.next().await;
            assert_eq!(budget.reserved_bytes(), bytes);
            // What is not kept any more needs no room, but takes some.
            let rest = budget.try_reserve(budget.bytes_max() - bytes).unwrap();
            assert!(flight.push(piece()));
            assert_eq!(budget.reserved_bytes(), budget.bytes_max() + bytes);
            drop((rest, reader));
            assert_eq!(budget.reserved_bytes(), 0);
        });
    }

    #[test]
    fn keeps_nothing_more_where_there_is_no_memory() {
        block_on(async {
            let budget = budget();
            let (flight, rest) = (Flight::new(&budget), budget.try_reserve(budget.bytes_max()).unwrap());
            let reader = flight.join().unwrap();
            assert!(!flight.push(Bytes::from_static(b"a")));
            assert!(!flight.keeps() && flight.join().is_none());
            drop((rest, reader));
            assert_eq!(budget.reserved_bytes(), 0);
        });
    }

    #[test]
    fn a_reader_that_holds_up_the_others_for_too_long_is_lost() {
        block_on(async {
            let flight = flight();
            let (mut fast, mut slow) = (flight.join().unwrap(), flight.join().unwrap());
            flight.stop_keeping();
            flight.push(Bytes::from(vec![0; WINDOW_BYTES]));
            let _ = fast.next().await;
            assert!(flight.room(Duration::from_millis(5)).await);
            assert_eq!(text(slow.next().await), "Failed(Abandoned)");
            flight.push(Bytes::from_static(b"b"));
            assert_eq!(text(fast.next().await), "b");
        });
    }

    #[test]
    fn the_only_reader_may_be_slow() {
        block_on(async {
            let flight = flight();
            let mut reader = flight.join().unwrap();
            flight.stop_keeping();
            flight.push(Bytes::from(vec![b'a'; WINDOW_BYTES]));
            let patience = Duration::from_millis(2);
            let waited = tokio::time::timeout(Duration::from_millis(20), flight.room(patience)).await;
            assert!(waited.is_err());
            assert!(matches!(reader.next().await, Next::Piece(_)));
        });
    }
}
