//! Whether one node can be used: what attempts, probes and answers say of it, and how much it is given after it came back.
//!
//! A node begins usable: nothing is known against it yet. It is left at once by a failed connection, by probes that fail in a
//! row, and, where its shard can spare it ([`outliers()`]), for errors or slowness. It comes back by a probe only, never by a
//! user's request. Each input says when its attempt began, so that what was asked before a change does not undo it.

mod latency;
mod outliers;

pub use latency::{DECAY_MS, SAMPLES_MIN};
pub use outliers::{LATENCY_FLOOR_US, Outliers, Standing, outliers};

use latency::Latency;

/// A connection that is closed before a byte of an answer may be a restart; so many in a row, on new ones, are not.
pub const EARLY_CLOSES_MAX: u32 = 2;
/// A repeated ejection takes twice as long as the one before, up to so many times `ejection_ms`.
pub const EJECTION_TIMES_MAX: u64 = 8;
/// Repetition is forgotten when a node was used for so many times `ejection_ms`.
pub const CALM_TIMES: u64 = 8;
/// The share with which a node comes back, in percent.
pub const SHARE_FIRST: u8 = 10;
/// A node that is left is looked at so many times as often as one that is used.
pub const PROBES_TIMES: u64 = 4;
/// The shortest time between two probes of a node, in milliseconds.
pub const PROBE_INTERVAL_MS_MIN: u64 = 10;

/// A route's parameters, as its document has them (`health`), checked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Between two probes of a usable node, in milliseconds, at least 10.
    pub interval_ms: u64,
    /// Failed probes in a row after which a node is left, at least 1.
    pub failures: u32,
    /// Good probes in a row after which it is used again, at least 1.
    pub successes: u32,
    /// Errors in a row after which a node should be left, at least 1; `None` for never.
    pub errors_max: Option<u32>,
    /// A node should be left whose answers take so many times as long as its siblings', at least 2; `None` for never.
    pub slow_times: Option<u32>,
    /// The most of a shard's replicas that are left for errors or slowness at one time, in percent, 0 to 100.
    pub ejected_percent_max: u32,
    /// How long a node is left for errors or slowness the first time, in milliseconds.
    pub ejection_ms: u64,
    /// How long a node that came back is given less, in milliseconds; 0 for not at all.
    pub slow_start_ms: u64,
}

/// Why a node is not used. The word is a metric's label, and what `explain` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It took no connection, or closed new ones without a word.
    Unreachable,
    /// Probes failed in a row.
    ProbeFailed,
    /// It answered errors in a row.
    Errors,
    /// Its answers took many times as long as its siblings'.
    Slow,
}

impl Reason {
    /// Every reason, for metrics that begin with all their labels.
    pub const ALL: [Reason; 4] = [Reason::Unreachable, Reason::ProbeFailed, Reason::Errors, Reason::Slow];

    /// The word for labels and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unreachable => "unreachable",
            Reason::ProbeFailed => "probe_failed",
            Reason::Errors => "errors",
            Reason::Slow => "slow",
        }
    }

    /// Whether the node itself can be reached, so that it may be left for a time and in part of a shard only.
    #[must_use]
    pub fn is_ejection(self) -> bool {
        matches!(self, Reason::Errors | Reason::Slow)
    }
}

/// What an input changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It should be left, if its shards can spare it: ask [`outliers()`] now.
    Suspected(Reason),
    /// Send nothing more; move what waits on it. A second one names a graver reason.
    Left(Reason),
    /// It can be used again, for this reason it could not.
    Back(Reason),
}

/// When an attempt (a connection, a request, a probe) began, and when this became known of it; one clock that only goes
/// forward, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// It began.
    pub asked_ms: u64,
    /// Now.
    pub now_ms: u64,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// What the probe wants: a connection, an answer below 400, a cache's warmth.
    Good,
    /// Anything else, or nothing within its time.
    Bad,
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status below 500.
    Good {
        /// From when the request was read, or there was a connection for it if that came later, to the head's last
        /// byte in, in microseconds.
        latency_us: u64,
    },
    /// A status of 500 or above, an answer that is not HTTP, or one that broke off.
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Usable { since_ms: u64, is_new: bool },
    Left { reason: Reason, since_ms: u64, until_ms: u64 },
}

/// What is known of one node.
#[derive(Clone, Debug)]
pub struct Health {
    settings: Settings,
    state: State,
    bad_looks: u32,
    good_looks: u32,
    early_closes: u32,
    errors: u32,
    /// When it last came back from being away; what began before tells of that time.
    there_ms: u64,
    /// Ejections that are not forgotten, counted to where the time grows no longer.
    ejections: u32,
    latency: Latency,
    warmth: u8,
}

impl Health {
    /// A node of which nothing is known: usable, its share whole.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Usable { since_ms: 0, is_new: true },
            bad_looks: 0,
            good_looks: 0,
            early_closes: 0,
            errors: 0,
            there_ms: 0,
            ejections: 0,
            latency: Latency::default(),
            warmth: 100,
        }
    }

    /// Go on with a new document's parameters; what is known stays.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// No connection came about: refused, unreachable, reset or too late. The node is left at once.
    pub fn connect_failed(&mut self, attempt: Attempt) -> Option<Change> {
        if self.is_old(attempt) { None } else { self.leave(Reason::Unreachable, attempt.now_ms) }
    }

    /// A new connection was closed or reset before a byte of an answer; [`EARLY_CLOSES_MAX`] in a row are one failed connection.
    ///
    /// Do not call it for a connection that had rested in a pool: its end says nothing of the node.
    pub fn closed_early(&mut self, attempt: Attempt) -> Option<Change> {
        if self.is_old(attempt) {
            return None;
        }
        self.early_closes = self.early_closes.saturating_add(1);
        if self.early_closes >= EARLY_CLOSES_MAX { self.leave(Reason::Unreachable, attempt.now_ms) } else { None }
    }

    /// A probe ended. Only this brings a node back: `successes` good ones in a row, begun after it was left, and when it was
    /// left for errors or slowness, its time over.
    pub fn probed(&mut self, look: Look, attempt: Attempt) -> Option<Change> {
        if self.is_old(attempt) {
            return None;
        }
        match look {
            Look::Bad => {
                self.good_looks = 0;
                self.bad_looks = self.bad_looks.saturating_add(1);
                let is_enough = self.bad_looks >= self.settings.failures;
                if is_enough { self.leave(Reason::ProbeFailed, attempt.now_ms) } else { None }
            }
            Look::Good => {
                self.bad_looks = 0;
                self.early_closes = 0;
                self.good_looks = self.good_looks.saturating_add(1);
                self.come_back(attempt)
            }
        }
    }

    /// An answer's head came, or an answer broke off. Not needed where neither `errors_max` nor `slow_times` is set.
    pub fn answered(&mut self, answer: Answer, attempt: Attempt) -> Option<Change> {
        if !matches!(self.state, State::Usable { since_ms, .. } if attempt.asked_ms >= since_ms) {
            return None;
        }
        self.early_closes = 0;
        match answer {
            Answer::Good { latency_us } => {
                self.errors = 0;
                self.latency.add(latency_us, attempt.now_ms);
                None
            }
            // How fast an error comes says nothing of how fast the node works.
            Answer::Error => {
                self.errors = self.errors.saturating_add(1);
                self.has_errors().then_some(Change::Suspected(Reason::Errors))
            }
        }
    }

    /// Leave a usable node that [`outliers()`] named, for errors or slowness; every shard that it serves must have agreed.
    ///
    /// It stays left for `ejection_ms`, twice as long each time until it was calm, up to [`EJECTION_TIMES_MAX`] times.
    pub fn eject(&mut self, reason: Reason, now_ms: u64) -> Option<Change> {
        let State::Usable { since_ms, .. } = self.state else { return None };
        let calm_ms = self.settings.ejection_ms.saturating_mul(CALM_TIMES);
        if now_ms.saturating_sub(since_ms) >= calm_ms {
            self.ejections = 0;
        }
        let times = (1_u64 << self.ejections.min(63)).min(EJECTION_TIMES_MAX);
        self.ejections = self.ejections.saturating_add(1);
        let until_ms = now_ms.saturating_add(self.settings.ejection_ms.saturating_mul(times));
        self.set_left(reason, now_ms, until_ms)
    }

    /// Take a node back before its ejection's time is over, because [`outliers()`] found that its shard has nobody else.
    ///
    /// The one return without a probe: it was left for how it answered, not for being away. `None` where it was.
    pub fn pardon(&mut self, now_ms: u64) -> Option<Change> {
        self.reason().filter(|reason| reason.is_ejection()).and_then(|reason| self.set_back(reason, now_ms))
    }

    /// Take the warmth that the node said it has, 0 to 100; what is above counts as 100. A node that says nothing is warm.
    pub fn set_warmth(&mut self, warmth: u8) {
        self.warmth = warmth.min(100);
    }

    /// The part of its requests that the node should get relative to its siblings, in percent: 0 while it cannot be used,
    /// else 1 to 100. Grows evenly from [`SHARE_FIRST`] in `slow_start_ms` after it came back; never above its warmth.
    #[must_use]
    pub fn share(&self, now_ms: u64) -> u8 {
        let State::Usable { since_ms, is_new } = self.state else { return 0 };
        let passed_ms = now_ms.saturating_sub(since_ms);
        let is_ramping = !is_new && passed_ms < self.settings.slow_start_ms;
        let ramp = if is_ramping {
            let grown = u128::from(100 - SHARE_FIRST) * u128::from(passed_ms) / u128::from(self.settings.slow_start_ms);
            SHARE_FIRST.saturating_add(u8::try_from(grown).unwrap_or(100))
        } else {
            100
        };
        ramp.min(self.warmth).max(1)
    }

    /// Whether requests may be sent to it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.state, State::Usable { .. })
    }

    /// Why it is left; `None` while it is used.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self.state {
            State::Left { reason, .. } => Some(reason),
            State::Usable { .. } => None,
        }
    }

    /// How long after the beginning of a probe the next one should begin, in milliseconds.
    #[must_use]
    pub fn probe_interval_ms(&self) -> u64 {
        let times = if self.is_usable() { 1 } else { PROBES_TIMES };
        (self.settings.interval_ms / times).max(PROBE_INTERVAL_MS_MIN)
    }

    /// What its shards have to know to say whether it may be left for errors or slowness.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            is_usable: self.is_usable(),
            is_ejected: self.reason().is_some_and(Reason::is_ejection),
            has_errors: self.is_usable() && self.has_errors(),
            latency_us: if self.is_usable() { self.latency.typical_us() } else { None },
        }
    }

    fn has_errors(&self) -> bool {
        self.settings.errors_max.is_some_and(|most| self.errors >= most)
    }

    // What began before it was back from being away tells of that time. An ejection changes nothing in that: what was on its
    // way to the node then is still news.
    fn is_old(&self, attempt: Attempt) -> bool {
        attempt.asked_ms < self.there_ms
    }

    fn leave(&mut self, reason: Reason, now_ms: u64) -> Option<Change> {
        match self.state {
            State::Usable { .. } => self.set_left(reason, now_ms, now_ms),
            // It no longer counts as one of those that its shard spares, and may come back as soon as it is there again.
            State::Left { reason: before, .. } if before.is_ejection() => self.set_left(reason, now_ms, now_ms),
            State::Left { .. } => {
                self.good_looks = 0;
                None
            }
        }
    }

    fn set_left(&mut self, reason: Reason, since_ms: u64, until_ms: u64) -> Option<Change> {
        self.state = State::Left { reason, since_ms, until_ms };
        self.good_looks = 0;
        Some(Change::Left(reason))
    }

    fn come_back(&mut self, attempt: Attempt) -> Option<Change> {
        let State::Left { reason, since_ms, until_ms } = self.state else { return None };
        // The probe must have begun later than the reason, a millisecond at least, as the clock is no finer.
        if attempt.asked_ms <= since_ms {
            self.good_looks = 0;
            return None;
        }
        let is_ready = self.good_looks >= self.settings.successes && attempt.now_ms >= until_ms;
        if is_ready { self.set_back(reason, attempt.now_ms) } else { None }
    }

    fn set_back(&mut self, reason: Reason, now_ms: u64) -> Option<Change> {
        self.state = State::Usable { since_ms: now_ms, is_new: false };
        if !reason.is_ejection() {
            self.there_ms = now_ms;
        }
        (self.bad_looks, self.early_closes, self.errors) = (0, 0, 0);
        self.latency = Latency::default();
        Some(Change::Back(reason))
    }
}

#[cfg(test)]
mod tests;
