//! Whether an upstream can be used, as every thread sees it: a number that is read for each request, and behind a lock
//! what it is made of.

use alongside_policy::health::{Answer, Attempt, Change, Health, Look, Reason, Settings};
pub use alongside_transport::clock::now_ms;
use alongside_transport::clock::of;
use prometheus_client::metrics::counter::Counter;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

use crate::probe;

/// Between the beginnings of two looks, also where something makes one worth while earlier.
const EARLY: Duration = Duration::from_millis(50);

/// What is known of a node.
#[derive(Debug)]
pub struct Standing {
    route: String,
    node: String,
    /// What [`Health::share`] said last; 0 while it is left.
    share: AtomicU8,
    warmth: AtomicU8,
    /// It should be left if its shards can spare it.
    is_suspected: AtomicBool,
    /// Answers matter: errors or slowness are looked at.
    judges_answers: AtomicBool,
    health: Mutex<Health>,
    /// How it is looked at.
    probe: Mutex<probe::Terms>,
    /// Something happened that makes a look worth while.
    looks: Notify,
    /// How often it was left, by reason.
    left: [Counter; Reason::ALL.len()],
}

impl Standing {
    /// Returns the standing of a node of which nothing is known.
    #[must_use]
    pub fn new(
        (route, node): (&str, &str),
        (settings, probe): (Settings, probe::Terms),
        left: [Counter; Reason::ALL.len()],
    ) -> Self {
        Self {
            route: route.to_owned(),
            node: node.to_owned(),
            share: AtomicU8::new(100),
            warmth: AtomicU8::new(100),
            is_suspected: AtomicBool::new(false),
            judges_answers: AtomicBool::new(judges(&settings)),
            health: Mutex::new(Health::new(settings)),
            probe: Mutex::new(probe),
            looks: Notify::new(),
            left,
        }
    }

    /// Goes on with the parameters of a document that is in force now.
    pub fn configure(&self, settings: Settings, probe: probe::Terms) {
        let before = std::mem::replace(&mut *self.probe.lock().unwrap_or_else(PoisonError::into_inner), probe.clone());
        self.judges_answers.store(judges(&settings), Ordering::Relaxed);
        let mut health = self.lock();
        let interval_ms = health.probe_interval_ms();
        health.configure(settings);
        if interval_ms != health.probe_interval_ms() || before != probe {
            self.looks.notify_one();
        }
    }

    /// How it is looked at.
    #[must_use]
    pub fn probe_terms(&self) -> probe::Terms {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The part of its requests it should get, in percent; 0 while it cannot be used.
    #[must_use]
    pub fn share(&self) -> u8 {
        self.share.load(Ordering::Relaxed)
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

    /// Why it is left; nothing where it is not.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.lock().reason().map(Reason::as_str)
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

    /// Notes an answer's head, `took` after `began`. Where another thread is at it, one answer more says nothing new.
    pub fn answered(&self, status: u16, began: Instant, took: Duration) {
        if !self.judges_answers.load(Ordering::Relaxed) {
            return;
        }
        let mut health = match self.health.try_lock() {
            Ok(health) => health,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let latency_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let answer = if status >= 500 { Answer::Error } else { Answer::Good { latency_us } };
        let change = health.answered(answer, Attempt { asked_ms: of(began), now_ms: of(began + took) });
        drop(health);
        self.tell(change);
    }

    /// Notes what a look found.
    pub fn probed(&self, look: Look, warmth: Option<u8>, began: Instant) {
        // A good one that says nothing of warmth is warm.
        let warmth = if look == Look::Good { Some(warmth.unwrap_or(100).min(100)) } else { None };
        if let Some(warmth) = warmth {
            self.warmth.store(warmth, Ordering::Relaxed);
        }
        self.change(|health| {
            if let Some(warmth) = warmth {
                health.set_warmth(warmth);
            }
            health.probed(look, since(began))
        });
    }

    /// Brings the share up to date, which grows by itself after a return.
    pub fn refresh(&self) {
        self.change(|_| None);
    }

    /// Leaves it for errors or slowness, or takes it back early.
    pub fn judge(&self, reason: Option<Reason>) {
        self.change(|health| match reason {
            Some(reason) => health.eject(reason, now_ms()),
            None => health.pardon(now_ms()),
        });
    }

    /// What its shards have to know of it.
    #[must_use]
    pub fn standing(&self) -> alongside_policy::health::Standing {
        self.lock().standing()
    }

    /// Whether it was suspected since the last call.
    #[must_use]
    pub fn take_suspected(&self) -> bool {
        self.is_suspected.load(Ordering::Relaxed) && self.is_suspected.swap(false, Ordering::Relaxed)
    }

    /// Waits until the next look is due, or something makes one worth while; `began` is when the last one did.
    pub async fn next_look(&self, began: Instant) {
        let (early, due) = self.next_looks(began);
        let _ = tokio::time::timeout_at(due.into(), self.looks.notified()).await;
        tokio::time::sleep_until(early.into()).await;
    }

    /// Returns when the next look may begin, and when it does.
    fn next_looks(&self, began: Instant) -> (Instant, Instant) {
        let interval = Duration::from_millis(self.lock().probe_interval_ms());
        (began + EARLY.min(interval), began + interval)
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Health) -> Option<Change>) {
        let mut health = self.lock();
        let change = act(&mut health);
        self.share.store(health.share(now_ms()), Ordering::Relaxed);
        drop(health);
        self.tell(change);
    }

    fn tell(&self, change: Option<Change>) {
        let (route, node) = (self.route.as_str(), self.node.as_str());
        match change {
            None => {}
            Some(Change::Suspected(_)) => self.is_suspected.store(true, Ordering::Relaxed),
            Some(Change::Left(reason)) => {
                self.left[reason as usize].inc();
                tracing::warn!(event = "node_left", route, node, reason = reason.as_str());
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

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_document::Probe;

    const SETTINGS: Settings = Settings {
        interval_ms: 3_600_000,
        failures: 2,
        successes: 1,
        errors_max: Some(2),
        slow_times: None,
        ejected_percent_max: 50,
        ejection_ms: 1_000,
        slow_start_ms: 0,
    };

    fn terms() -> probe::Terms {
        probe::Terms { probe: Probe::Cache, path: "/".to_owned(), timeout: Duration::from_secs(1) }
    }

    fn standing() -> Standing {
        Standing::new(("main", "a"), (SETTINGS, terms()), Default::default())
    }

    fn is_next_asked_for(standing: &Standing, began: Instant) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let next = async { tokio::time::timeout(Duration::from_millis(200), standing.next_look(began)).await.is_ok() };
        runtime.block_on(next)
    }

    #[test]
    fn looks_begin_an_interval_apart_and_not_more_often_than_is_good() {
        let standing = standing();
        let (began, after) = (Instant::now(), |ms| Duration::from_millis(ms));
        assert_eq!(standing.next_looks(began), (began + after(50), began + after(3_600_000)));
        assert!(!is_next_asked_for(&standing, began));
        standing.look_again();
        assert!(is_next_asked_for(&standing, began));
        // What is new is in force at once, and nothing is where nothing is new.
        standing.configure(Settings { interval_ms: 1_800_000, ..SETTINGS }, terms());
        assert!(is_next_asked_for(&standing, began));
        standing.configure(Settings { interval_ms: 1_800_000, ..SETTINGS }, terms());
        assert!(!is_next_asked_for(&standing, began));
        standing.configure(Settings { interval_ms: 20, ..SETTINGS }, terms());
        assert_eq!(standing.next_looks(began), (began + after(20), began + after(20)));
    }

    #[test]
    fn a_good_look_without_a_word_of_warmth_is_a_warm_one() {
        let standing = standing();
        standing.probed(Look::Good, Some(30), Instant::now());
        assert_eq!((standing.warmth(), standing.share()), (30, 30));
        standing.probed(Look::Bad, None, Instant::now());
        assert_eq!(standing.warmth(), 30);
        standing.probed(Look::Good, None, Instant::now());
        assert_eq!((standing.warmth(), standing.share()), (100, 100));
    }

    #[test]
    fn a_share_grows_by_itself() {
        let settings = Settings { slow_start_ms: 1, ..SETTINGS };
        let standing = Standing::new(("main", "a"), (settings, terms()), Default::default());
        standing.connect_failed(Instant::now());
        let end = Instant::now() + Duration::from_secs(10);
        while standing.share() == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
            standing.probed(Look::Good, None, Instant::now());
        }
        while standing.share() < 100 && Instant::now() < end {
            standing.refresh();
        }
        assert_eq!(standing.share(), 100);
    }

    #[test]
    fn an_answer_waits_for_nobody() {
        let standing = standing();
        let held = standing.lock();
        standing.answered(500, Instant::now(), Duration::ZERO);
        drop(held);
        for _ in 0..2 {
            assert!(!standing.take_suspected());
            standing.answered(500, Instant::now(), Duration::ZERO);
        }
        assert!(standing.take_suspected());
    }
}
