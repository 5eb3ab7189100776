//! One backend, as every thread sees it.

use crate::metrics::Told;
use alongside_policy::health::Attempt;
use alongside_policy::leave::{Leave, Settings};
use alongside_policy::tries::Known;
use alongside_transport::clock;
use alongside_transport::destination::Destination;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Where connections go. It outlives the document that named it with the last of its connections.
#[derive(Debug)]
pub struct Backend {
    /// Its stable name.
    pub id: String,
    pub(crate) destination: Destination,
    /// Connections that are open, or on their way to be.
    open: AtomicU32,
    failures: AtomicU64,
    /// What `leave` said last.
    is_left: AtomicBool,
    leave: Mutex<Leave>,
}

/// How a backend stands now, for who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its stable name.
    pub id: String,
    /// `HOST:PORT`.
    pub address: String,
    /// Connections that are open.
    pub open: u32,
    /// Where it is left: in how many milliseconds the next connection lets it be looked at.
    pub left_ms: Option<u64>,
}

impl Backend {
    pub(crate) fn new(id: &str, address: &str) -> Self {
        Self {
            id: id.to_owned(),
            destination: Destination::new(address),
            open: AtomicU32::new(0),
            failures: AtomicU64::new(0),
            is_left: AtomicBool::new(false),
            leave: Mutex::default(),
        }
    }

    pub(crate) fn known(&self) -> Known {
        Known { is_left: self.is_left.load(Ordering::Relaxed), open: self.open.load(Ordering::Relaxed) }
    }

    pub(crate) fn told(&self) -> Told {
        let Known { is_left, open } = self.known();
        Told { open, is_left, failures: self.failures.load(Ordering::Relaxed) }
    }

    pub(crate) fn view(&self) -> View {
        let due_ms = self.lock().due_ms();
        View {
            id: self.id.clone(),
            address: self.destination.address().to_owned(),
            open: self.known().open,
            left_ms: due_ms.map(|due_ms| due_ms.saturating_sub(clock::now_ms())),
        }
    }

    /// Counts a connection that it did not take.
    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Leaves it, as it could not be connected to; returns whether that is new.
    pub(crate) fn connect_failed(&self, began: Instant, settings: Settings) -> bool {
        self.change(|leave| leave.failed(since(began), settings))
    }

    /// Notes that it took a connection; returns whether it had been left.
    pub(crate) fn connected(&self, began: Instant) -> bool {
        // Nearly always nothing changes, and no lock is needed to see that.
        self.is_left.load(Ordering::Relaxed) && self.change(|leave| leave.connected(since(began)))
    }

    /// Whether the caller should look at it now, and nobody else.
    pub(crate) fn take_look(&self, settings: Settings) -> bool {
        self.is_left.load(Ordering::Relaxed) && self.lock().take_look(clock::now_ms(), settings)
    }

    /// Forgets why it was left: who names it anew knows better.
    pub(crate) fn begin_anew(&self) {
        self.change(|leave| *leave = Leave::default());
    }

    fn lock(&self) -> MutexGuard<'_, Leave> {
        self.leave.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, act: impl FnOnce(&mut Leave) -> R) -> R {
        let mut leave = self.lock();
        let result = act(&mut leave);
        self.is_left.store(leave.is_left(), Ordering::Relaxed);
        result
    }
}

fn since(began: Instant) -> Attempt {
    Attempt { asked_ms: clock::of(began), now_ms: clock::now_ms() }
}

/// A connection to a backend, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<Backend>);

impl Open {
    pub fn new(backend: &Arc<Backend>) -> Self {
        backend.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(backend))
    }

    pub fn backend(&self) -> &Backend {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
