//! One request to the origin, and everyone who waits for its answer.
//!
//! A flight holds the pieces of the answer as they come. While it keeps them all, more clients may join; once it does
//! not (too large, or no memory to spare), it holds only what its slowest reader has not taken, and the origin waits.

use crate::budget::Reservation;
use crate::object::Object;
use alongside_policy::caching::vary::VaryNames;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that may wait for the slowest reader where the answer is not kept.
pub const WINDOW_BYTES: usize = 256 * 1024;

/// The answer's head, for everyone who waits.
#[derive(Debug)]
pub struct FlightHead {
    /// Status and fields; its body is empty.
    pub preview: Object,
    /// How long the body is, where that was said.
    pub length: Option<u64>,
    /// Why it may not be shared with other clients; nothing where it may.
    pub unshared: Option<&'static str>,
    /// Which request fields chose it.
    pub vary: VaryNames,
    /// The values they had.
    pub secondary: Vec<u8>,
    /// It will be stored when it is whole.
    pub is_kept: bool,
    /// The answers of this URL are not kept whoever asks, so that nobody should wait for another's.
    pub is_personal: bool,
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
}

impl FetchError {
    /// Returns the status for a client that was told nothing yet, and what to say.
    #[must_use]
    pub const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Unreachable => (502, "the origin could not be reached"),
            Self::Closed | Self::Abandoned => (502, "the origin closed before it answered"),
            Self::TimedOut => (504, "the origin did not answer in time"),
            Self::Refused => (502, "the origin's answer is not valid HTTP"),
        }
    }
}

/// What a waiting client learns first.
#[derive(Debug, Clone)]
pub enum Arrived {
    /// The head of an answer; its pieces follow.
    Head(Arc<FlightHead>),
    /// The stored answer still holds.
    Confirmed(Arc<Object>),
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

#[derive(Debug)]
struct State {
    arrived: Option<Arrived>,
    pieces: VecDeque<Bytes>,
    /// Pieces that were dropped from the front.
    dropped: usize,
    held_bytes: usize,
    is_kept: bool,
    end: Option<Result<(), FetchError>>,
    /// What accounts for the pieces until the last reader has left.
    held: Option<Held>,
    /// The number of the piece that each reader takes next.
    readers: Vec<Option<usize>>,
}

/// What accounts for the pieces of a whole answer. It is only held.
#[derive(Debug)]
#[allow(dead_code, reason = "dropping it is its use")]
pub enum Held {
    /// The stored answer, which shares them.
    Stored(Arc<Object>),
    /// The memory that was reserved for them.
    Reserved(Option<Reservation>),
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
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                arrived: None,
                pieces: VecDeque::new(),
                dropped: 0,
                held_bytes: 0,
                is_kept: true,
                end: None,
                held: None,
                readers: Vec::new(),
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

    /// Adds a piece of the body.
    pub fn push(&self, piece: Bytes) {
        self.change(|state| {
            state.held_bytes += piece.len();
            state.pieces.push_back(piece);
        });
    }

    /// Stops keeping: from now on only what readers have not taken is held, and nobody joins.
    pub fn stop_keeping(&self) {
        self.change(|state| {
            state.is_kept = false;
            state.trim();
        });
    }

    /// Ends the keeping of a whole answer; `held` accounts for what slow readers still have to take.
    pub fn land(&self, held: Held) {
        self.change(|state| {
            state.is_kept = false;
            state.held = Some(held);
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
    pub async fn room(&self) -> bool {
        self.when(|state| {
            if state.is_kept {
                return Some(true);
            }
            state.trim();
            if state.readers.iter().all(Option::is_none) {
                return Some(false);
            }
            (state.held_bytes < WINDOW_BYTES).then_some(true)
        })
        .await
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
        match self.readers.iter().position(Option::is_none) {
            Some(slot) => {
                self.readers[slot] = Some(0);
                slot
            }
            None => {
                self.readers.push(Some(0));
                self.readers.len() - 1
            }
        }
    }

    /// Drops what every reader has taken.
    fn trim(&mut self) {
        if self.is_kept {
            return;
        }
        let slowest = self.readers.iter().flatten().min().copied().unwrap_or(usize::MAX);
        while self.dropped < slowest {
            let Some(piece) = self.pieces.pop_front() else { break };
            self.held_bytes -= piece.len();
            self.dropped += 1;
        }
    }
}

/// The flights that may be joined, by their question.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<Vec<u8>, Arc<Flight>>>);

impl Board {
    /// Joins the flight of the same question, or puts up a new one; says which flight, and whether it was there.
    /// Without a question the flight is for its own request only.
    pub fn join(&self, question: Option<&[u8]>) -> (Arc<Flight>, Reader, bool) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = question.and_then(|question| flights.get(question));
        if let Some((flight, reader)) = known.and_then(|flight| flight.join().map(|reader| (flight, reader))) {
            return (Arc::clone(flight), reader, true);
        }
        let flight = Flight::new();
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
        let at = state.readers[self.slot].unwrap_or_default();
        state.end.is_some() || at - state.dropped < state.pieces.len()
    }

    /// Waits for the next piece.
    pub async fn next(&mut self) -> Next {
        let slot = self.slot;
        let next = self
            .flight
            .when(|state| {
                let at = state.readers[slot].unwrap_or_default();
                if let Some(piece) = state.pieces.get(at - state.dropped) {
                    let piece = piece.clone();
                    state.readers[slot] = Some(at + 1);
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
            state.readers[self.slot] = None;
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

    fn text(next: Next) -> String {
        match next {
            Next::Piece(piece) => String::from_utf8(piece.to_vec()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn everyone_reads_from_the_first_piece_while_all_are_kept() {
        block_on(async {
            let flight = Flight::new();
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
            let flight = Flight::new();
            let (mut fast, mut slow) = (flight.join().unwrap(), flight.join().unwrap());
            flight.stop_keeping();
            assert!(flight.join().is_none() && flight.pieces().is_none());
            flight.push(Bytes::from(vec![0; WINDOW_BYTES]));
            let _ = fast.next().await;
            let waited = tokio::time::timeout(std::time::Duration::from_millis(20), flight.room()).await;
            assert!(waited.is_err(), "the slow reader has taken nothing");
            let _ = slow.next().await;
            assert!(flight.room().await);
            assert_eq!(flight.lock().held_bytes, 0);
            drop((fast, slow));
            assert!(!flight.room().await);
        });
    }

    #[test]
    fn a_failure_reaches_everyone_after_what_came_before_it() {
        block_on(async {
            let flight = Flight::new();
            let mut reader = flight.join().unwrap();
            flight.push(Bytes::from_static(b"a"));
            flight.end(Err(FetchError::Closed));
            flight.end(Ok(()));
            assert_eq!(text(reader.next().await), "a");
            assert_eq!(text(reader.next().await), "Failed(Closed)");
            assert!(matches!(reader.arrived().await, Arrived::Failed(FetchError::Closed)));
        });
    }
}
