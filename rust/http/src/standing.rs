//! Whether an upstream can be used, as every thread sees it: a number that is read for each request, and behind a lock
//! what it is made of.

use alongside_policy::health::{Answer, Attempt, Change, Health, Look, Settings};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

use crate::metrics::LeftLabel;
use crate::probe;

/// Milliseconds since this process first asked.
#[must_use]
pub fn now_ms() -> u64 {
    of(Instant::now())
}

fn of(moment: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = moment.saturating_duration_since(*START.get_or_init(|| moment));
    // 0 is before everything.
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
}

/// What is known of a node.
#[derive(Debug)]
pub struct Standing {
    route: String,
    node: String,
    /// What [`Health::share`] said last; 0 while it is left.
    share: AtomicU8,
    warmth: AtomicU8,
    /// It has not forgotten yet what it was told to, and must not be read from.
    is_behind: AtomicBool,
    /// It should be left if its shards can spare it.
    is_suspected: AtomicBool,
    /// Answers matter: errors or slowness are looked at.
    judges_answers: AtomicBool,
    health: Mutex<Health>,
    /// How it is looked at.
    probe: Mutex<probe::Terms>,
    /// Something happened that makes a look worth while.
    looks: Notify,
    /// Somebody looks at it.
    is_watched: AtomicBool,
    left: Family<LeftLabel, Counter>,
}

impl Standing {
    /// Returns the standing of a node of which nothing is known.
    #[must_use]
    pub fn new(
        (route, node): (&str, &str),
        (settings, probe): (Settings, probe::Terms),
        left: Family<LeftLabel, Counter>,
    ) -> Self {
        Self {
            route: route.to_owned(),
            node: node.to_owned(),
            share: AtomicU8::new(100),
            warmth: AtomicU8::new(100),
            is_behind: AtomicBool::new(false),
            is_suspected: AtomicBool::new(false),
            judges_answers: AtomicBool::new(judges(&settings)),
            health: Mutex::new(Health::new(settings)),
            probe: Mutex::new(probe),
            looks: Notify::new(),
            is_watched: AtomicBool::new(false),
            left,
        }
    }

    /// Goes on with a new document's parameters.
    pub fn configure(&self, settings: Settings, probe: probe::Terms) {
        *self.probe.lock().unwrap_or_else(PoisonError::into_inner) = probe;
        self.judges_answers.store(judges(&settings), Ordering::Relaxed);
        self.lock().configure(settings);
    }

    /// How it is looked at.
    #[must_use]
    pub fn probe_terms(&self) -> probe::Terms {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nobody has looked at it yet; from now on somebody does.
    #[must_use]
    pub fn begin_watch(&self) -> bool {
        !self.is_watched.swap(true, Ordering::Relaxed)
    }

    /// The part of its requests it should get, in percent; 0 while it cannot be used.
    #[must_use]
    pub fn share(&self) -> u8 {
        if self.is_behind.load(Ordering::Relaxed) { 0 } else { self.share.load(Ordering::Relaxed) }
    }

    /// How warm it says it is, 0 to 100.
    #[must_use]
    pub fn warmth(&self) -> u8 {
        self.warmth.load(Ordering::Relaxed)
    }

    /// Whether it is given up: what waits on it should go elsewhere.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.share.load(Ordering::Relaxed) == 0
    }

    /// Why it is not read from; nothing where it is.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let left = self.lock().reason().map(alongside_policy::health::Reason::as_str);
        left.or_else(|| self.is_behind.load(Ordering::Relaxed).then_some("behind"))
    }

    /// Notes whether it has still to forget what it was told to.
    pub fn set_behind(&self, is_behind: bool) {
        if self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind {
            tracing::warn!(event = "node_behind", route = self.route, node = self.node, is_behind);
        }
    }

    /// Notes that no connection came about. What its probes find tells when it can be used again.
    pub fn connect_failed(&self, began: Instant) {
        self.change(|health| health.connect_failed(since(began)));
    }

    /// Notes that a new connection was closed before a byte came.
    pub fn closed_early(&self, began: Instant) {
        self.change(|health| health.closed_early(since(began)));
        self.looks.notify_one();
    }

    /// Notes that an answer broke off.
    pub fn broke_off(&self, began: Instant) {
        if self.judges_answers.load(Ordering::Relaxed) {
            self.change(|health| health.answered(Answer::Error, since(began)));
        }
        self.looks.notify_one();
    }

    /// Asks for a look soon.
    pub fn look_again(&self) {
        self.looks.notify_one();
    }

    /// Notes an answer's head.
    pub fn answered(&self, status: u16, began: Instant, took: Duration) {
        if self.judges_answers.load(Ordering::Relaxed) {
            let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let answer = if status >= 500 { Answer::Error } else { Answer::Good { latency_us } };
            self.change(|health| health.answered(answer, since(began)));
        }
    }

    /// Notes what a look found.
    pub fn probed(&self, look: Look, warmth: Option<u8>, began: Instant) {
        if let Some(warmth) = warmth {
            self.warmth.store(warmth.min(100), Ordering::Relaxed);
        }
        self.change(|health| {
            if let Some(warmth) = warmth {
                health.set_warmth(warmth);
            }
            health.probed(look, since(began))
        });
    }

    /// Leaves it for errors or slowness, or takes it back early.
    pub fn judge(&self, reason: Option<alongside_policy::health::Reason>) {
        self.change(|health| match reason {
            Some(reason) => health.eject(reason, now_ms()),
            None => health.pardon(now_ms()),
        });
    }

    /// What its shards have to know of it.
    #[must_use]
    pub fn standing(&self) -> alongside_policy::health::Standing {
        let standing = self.lock().standing();
        let is_behind = self.is_behind.load(Ordering::Relaxed);
        alongside_policy::health::Standing { is_usable: standing.is_usable && !is_behind, ..standing }
    }

    /// Whether it was suspected since the last call.
    #[must_use]
    pub fn take_suspected(&self) -> bool {
        self.is_suspected.load(Ordering::Relaxed) && self.is_suspected.swap(false, Ordering::Relaxed)
    }

    /// Waits until the next look is due, or something makes one worth while.
    pub async fn next_look(&self) {
        let interval_ms = self.lock().probe_interval_ms();
        let _ = tokio::time::timeout(Duration::from_millis(interval_ms), self.looks.notified()).await;
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Health) -> Option<Change>) {
        let mut health = self.lock();
        let change = act(&mut health);
        self.share.store(health.share(now_ms()), Ordering::Relaxed);
        drop(health);
        let (route, node) = (self.route.as_str(), self.node.as_str());
        match change {
            None => {}
            Some(Change::Suspected(_)) => self.is_suspected.store(true, Ordering::Relaxed),
            Some(Change::Left(reason)) => {
                let reason = reason.as_str();
                self.left.get_or_create(&LeftLabel { route: route.to_owned(), node: node.to_owned(), reason }).inc();
                tracing::warn!(event = "node_left", route, node, reason);
            }
            Some(Change::Back(reason)) => {
                tracing::info!(event = "node_back", route, node, was = reason.as_str());
            }
        }
    }
}

fn judges(settings: &Settings) -> bool {
    settings.errors_max.is_some() || settings.slow_times.is_some()
}

fn since(began: Instant) -> Attempt {
    Attempt { asked_ms: of(began), now_ms: now_ms() }
}
