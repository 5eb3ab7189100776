//! How many requests are under way at one time, and who waits for one of them to end.
//!
//! A gate is shared by all threads. Passing it costs two atomic operations while nobody waits; whoever finds it full
//! stands in a queue of bounded length, first come, first served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// A count of requests under way, with a limit that each caller brings.
#[derive(Debug, Default)]
pub struct Gate {
    open: AtomicU32,
    waiting: AtomicU32,
    left: Notify,
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
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::QueueFull, Self::WaitedTooLong];

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
pub struct Passed(Arc<Gate>);

impl Gate {
    /// Requests under way now.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Passes at once, or not at all. Nobody overtakes those who wait.
    #[must_use]
    pub fn try_pass(self: &Arc<Self>, open_max: u32) -> Option<Passed> {
        if self.waiting() > 0 { None } else { self.take(open_max) }
    }

    fn take(self: &Arc<Self>, open_max: u32) -> Option<Passed> {
        let more = |open: u32| (open < open_max).then_some(open + 1);
        self.open.try_update(Ordering::AcqRel, Ordering::Relaxed, more).ok().map(|_| Passed(Arc::clone(self)))
    }

    /// Passes as soon as there is room.
    ///
    /// # Errors
    /// [`Shut`]: the queue is full, or the wait was too long.
    pub async fn pass(self: &Arc<Self>, terms: Terms) -> Result<Passed, Shut> {
        if let Some(passed) = self.try_pass(terms.open_max) {
            return Ok(passed);
        }
        let Some(_place) = Place::take(self, terms.queue_max) else { return Err(Shut::QueueFull) };
        let waited = async {
            loop {
                let left = self.left.notified();
                tokio::pin!(left);
                // Registered before the look, so that no leaver falls between.
                left.as_mut().enable();
                if let Some(passed) = self.take(terms.open_max) {
                    return passed;
                }
                left.await;
            }
        };
        tokio::time::timeout(terms.wait_max, waited).await.map_err(|_| Shut::WaitedTooLong)
    }

    fn leave(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
        if self.waiting() > 0 {
            self.left.notify_one();
        }
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A place in the queue.
struct Place<'g>(&'g Gate);

impl<'g> Place<'g> {
    fn take(gate: &'g Gate, queue_max: u32) -> Option<Self> {
        let place = Self(gate);
        (gate.waiting.fetch_add(1, Ordering::AcqRel) < queue_max).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        // Whoever was woken and went away in that moment must not have been woken for nothing.
        if self.0.waiting() > 0 {
            self.0.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                async move { gate.pass(TERMS).await }
            });
            while gate.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(gate.pass(TERMS).await.unwrap_err(), Shut::QueueFull);
            drop(first);
            assert!(gate.try_pass(1).is_none());
            let second = waits.await.unwrap().unwrap();
            assert_eq!((gate.open(), gate.waiting()), (1, 0));
            drop(second);
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
}
