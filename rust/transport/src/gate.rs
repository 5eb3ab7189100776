//! How many requests are under way at one time, and who waits for one of them to end.
//!
//! A gate is shared by all threads. Passing it costs two atomic operations while nobody waits; whoever finds it full
//! stands in a queue of bounded length, and who leaves hands the place over: first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A count of requests under way, with a limit that each caller brings.
#[derive(Debug, Default)]
pub struct Gate {
    // A leaver counts itself off and then looks whether somebody waits; who comes to wait says so and then looks whether there is
    // room. One of them sees the other, as all of this is sequentially consistent.
    open: AtomicU32,
    /// The length of the queue, written under its lock.
    waiting: AtomicU32,
    queue: Mutex<Queue>,
}

/// Those who wait, by ascending number.
#[derive(Debug, Default)]
struct Queue {
    waiters: VecDeque<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    open_max: u32,
    /// Told when it is counted as one who passed.
    passes: oneshot::Sender<()>,
}

/// How many may pass, how many may wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Requests under way at one time.
    pub open_max: u32,
    /// Requests that wait.
    pub queue_max: u32,
    /// How long one waits.
    pub wait_max: Duration,
}

/// Why a request does not pass; the word is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// As many wait as may.
    QueueFull,
    /// It waited for as long as one may.
    WaitedTooLong,
}

impl Shut {
    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "queue_timeout",
        }
    }
}

/// A request under way; dropping it lets the next one pass.
#[derive(Debug)]
pub struct Passed<'g>(&'g Gate);

impl Gate {
    /// Requests under way now.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Passes at once, or not at all. Nobody overtakes those who wait.
    #[must_use]
    pub fn try_pass(&self, open_max: u32) -> Option<Passed<'_>> {
        (self.waiting() == 0 && self.count_in(open_max)).then(|| Passed(self))
    }

    /// Passes as soon as there is room, and nobody waits who came before.
    ///
    /// # Errors
    /// [`Shut`]: the queue is full, or the wait was too long.
    pub async fn pass(&self, terms: Terms) -> Result<Passed<'_>, Shut> {
        if let Some(passed) = self.try_pass(terms.open_max) {
            return Ok(passed);
        }
        let Some(mut place) = self.stand(&terms)? else { return Ok(Passed(self)) };
        let is_told = matches!(tokio::time::timeout(terms.wait_max, &mut place.told).await, Ok(Ok(())));
        // In the last moment it may have been told all the same.
        if is_told || place.told.try_recv().is_ok() {
            place.is_used = true;
            return Ok(Passed(self));
        }
        Err(Shut::WaitedTooLong)
    }

    /// Takes a place in the queue; nothing where there was room at last, so that it has passed.
    fn stand(&self, terms: &Terms) -> Result<Option<Place<'_>>, Shut> {
        let mut queue = self.lock();
        if queue.waiters.is_empty() && self.count_in(terms.open_max) {
            return Ok(None);
        }
        if queue.waiters.len() >= terms.queue_max as usize {
            return Err(Shut::QueueFull);
        }
        let (passes, told) = oneshot::channel();
        let number = queue.next;
        queue.next += 1;
        queue.waiters.push_back(Waiter { number, open_max: terms.open_max, passes });
        self.let_in(&mut queue);
        Ok(Some(Place { gate: self, number, told, is_used: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_in(&self, open_max: u32) -> bool {
        let more = |open: u32| (open < open_max).then_some(open + 1);
        self.open.try_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Says how long the queue is, and lets in whoever stands at its head while there is room.
    fn let_in(&self, queue: &mut Queue) {
        let say = |queue: &Queue| {
            self.waiting.store(u32::try_from(queue.waiters.len()).unwrap_or(u32::MAX), Ordering::SeqCst);
        };
        say(queue);
        while queue.waiters.front().is_some_and(|first| self.count_in(first.open_max)) {
            let is_there = queue.waiters.pop_front().is_some_and(|first| first.passes.send(()).is_ok());
            say(queue);
            if !is_there {
                self.open.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn leave(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        if self.waiting() > 0 {
            self.let_in(&mut self.lock());
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A place in the queue.
struct Place<'g> {
    gate: &'g Gate,
    number: u64,
    told: oneshot::Receiver<()>,
    /// It has passed, and whoever has that counts it off.
    is_used: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_used {
            return;
        }
        let mut queue = self.gate.lock();
        if let Ok(at) = queue.waiters.binary_search_by_key(&self.number, |waiter| waiter.number) {
            queue.waiters.remove(at);
        } else {
            // It was let in and went away.
            self.gate.open.fetch_sub(1, Ordering::SeqCst);
        }
        // Who stands behind it may have more room.
        self.gate.let_in(&mut queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const TERMS: Terms = Terms { open_max: 1, queue_max: 1, wait_max: Duration::from_secs(60) };

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn lets_as_many_pass_as_may() {
        let gate = Arc::new(Gate::default());
        let first = gate.try_pass(1);
        assert!(first.is_some() && gate.try_pass(1).is_none());
        drop(first);
        assert!(gate.try_pass(1).is_some());
        assert_eq!((gate.open(), gate.waiting()), (0, 0));
    }

    #[test]
    fn who_waits_passes_next_and_nobody_overtakes() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let first = gate.try_pass(1).unwrap();
            let waits = tokio::spawn({
                let gate = Arc::clone(&gate);
                async move {
                    let passed = gate.pass(TERMS).await.unwrap();
                    assert_eq!((gate.open(), gate.waiting()), (1, 0));
                    drop(passed);
                }
            });
            while gate.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.pass(TERMS).await.unwrap_err(), Shut::QueueFull);
            drop(first);
            assert!(gate.try_pass(1).is_none());
            waits.await.unwrap();
            assert_eq!(gate.open(), 0);
        });
    }

    #[test]
    fn a_wait_ends_in_time_and_leaves_no_trace() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let first = gate.try_pass(1).unwrap();
            let short = Terms { wait_max: Duration::from_millis(1), ..TERMS };
            assert_eq!(gate.pass(short).await.unwrap_err(), Shut::WaitedTooLong);
            assert_eq!((gate.open(), gate.waiting()), (1, 0));
            drop(first);
            assert!(gate.try_pass(1).is_some());
        });
    }

    #[test]
    fn many_threads_never_hold_more_than_may() {
        let gate = Arc::new(Gate::default());
        let terms = Terms { open_max: 3, queue_max: 64, wait_max: Duration::from_secs(60) };
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let gate = Arc::clone(&gate);
                std::thread::spawn(move || {
                    block_on(async {
                        for _ in 0..500 {
                            let passed = gate.pass(terms).await.unwrap();
                            assert!(gate.open() <= 3);
                            tokio::task::yield_now().await;
                            drop(passed);
                        }
                    });
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((gate.open(), gate.waiting()), (0, 0));
    }

    type Waiting<'g> = std::pin::Pin<Box<dyn Future<Output = Result<Passed<'g>, Shut>> + 'g>>;

    /// Lets one come and wait.
    fn waits(gate: &Gate, terms: Terms) -> Waiting<'_> {
        let mut waiting: Waiting<'_> = Box::pin(gate.pass(terms));
        assert!(poll(&mut waiting).is_none());
        waiting
    }

    fn poll<'g>(waiting: &mut Waiting<'g>) -> Option<Result<Passed<'g>, Shut>> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match waiting.as_mut().poll(&mut context) {
            std::task::Poll::Ready(passed) => Some(passed),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn first_come_first_served_whoever_looks_first() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let terms = Terms { queue_max: 64, ..TERMS };
            let mut passed = gate.try_pass(1);
            let mut waiting: Vec<Waiting<'_>> = (0..9).map(|_| waits(&gate, terms)).collect();
            while !waiting.is_empty() {
                drop(passed.take());
                // The last ones look first, and a newcomer stands behind them all.
                let mut found: Vec<_> = waiting.iter_mut().rev().map(poll).collect();
                passed = found.pop().flatten().and_then(Result::ok);
                assert!(passed.is_some() && found.iter().all(Option::is_none));
                drop(waiting.remove(0));
                assert!(gate.try_pass(1).is_none());
            }
        });
    }

    #[test]
    fn who_goes_away_leaves_its_place_to_the_next() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let terms = Terms { queue_max: 64, ..TERMS };
            let first = gate.try_pass(1);
            let (early, told, mut next) = (waits(&gate, terms), waits(&gate, terms), waits(&gate, terms));
            drop(early);
            assert_eq!(gate.waiting(), 2);
            drop(first);
            // It was let in, and never looked.
            assert_eq!((gate.open(), gate.waiting()), (1, 1));
            drop(told);
            let passed = poll(&mut next).unwrap().unwrap();
            assert_eq!((gate.open(), gate.waiting()), (1, 0));
            drop(passed);
            assert_eq!(gate.open(), 0);
        });
    }

    #[test]
    fn who_has_more_room_passes_when_the_one_before_gives_up() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let first = gate.try_pass(1);
            let narrow = waits(&gate, Terms { queue_max: 2, ..TERMS });
            let mut wide = waits(&gate, Terms { open_max: 2, queue_max: 2, ..TERMS });
            drop(narrow);
            assert!(poll(&mut wide).is_some_and(|passed| passed.is_ok()));
            drop((first, wide));
        });
    }

    #[test]
    fn who_is_refused_never_stands_in_the_way() {
        block_on(async {
            let gate = Arc::new(Gate::default());
            let none = Terms { queue_max: 0, ..TERMS };
            let first = gate.try_pass(1);
            let mut refused: Waiting<'_> = Box::pin(gate.pass(none));
            assert!(matches!(poll(&mut refused), Some(Err(Shut::QueueFull))));
            assert_eq!(gate.waiting(), 0);
            drop(first);
            assert!(gate.try_pass(1).is_some());
        });
    }

    #[test]
    fn many_threads_that_give_up_at_any_time_lose_no_place() {
        let gate = Arc::new(Gate::default());
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                let gate = Arc::clone(&gate);
                std::thread::spawn(move || {
                    block_on(async {
                        for turn in 0..500_u64 {
                            let wait_max = Duration::from_micros((turn * 7 + thread) % 60);
                            let terms = Terms { open_max: 2, queue_max: 4, wait_max };
                            let passed = gate.pass(terms).await;
                            assert!(gate.open() <= 2);
                            tokio::task::yield_now().await;
                            drop(passed);
                        }
                    });
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((gate.open(), gate.waiting()), (0, 0));
    }
}
