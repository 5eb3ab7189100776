//! Whether one backend is left because it could not be connected to, and when it is looked at again.
//!
//! Where a route looks at its nodes all the time ([`crate::health`]), a balancer looks at a backend only when it has a reason: it
//! is left at once by a failed connection, and when its time is over the next connection that comes lets it be looked at, while it
//! goes elsewhere itself. Each look that is due doubles the time to the next one, so that a dead backend costs less and less;
//! any connection that comes about ends it. What was asked before a change does not undo it.

use crate::health::Attempt;

/// A balancer's parameters, as its document has them, checked there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a backend is left at first, in milliseconds.
    pub first_ms: u64,
    /// The longest time between two looks, in milliseconds; `first_ms` where that is more.
    pub most_ms: u64,
}

impl Settings {
    /// The time after so many looks: doubled by each, up to the longest.
    fn span_ms(self, looks: u32) -> u64 {
        let most_ms = self.most_ms.max(self.first_ms);
        let times = 1_u64.checked_shl(looks).unwrap_or(u64::MAX);
        self.first_ms.saturating_mul(times).min(most_ms)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    since_ms: u64,
    /// When it may be looked at.
    due_ms: u64,
    looks: u32,
}

/// What is known of one backend; at first, nothing against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    left: Option<Left>,
    /// When it last came back; what was asked before tells of the time before.
    there_ms: u64,
}

impl Leave {
    /// Whether connections go elsewhere.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.left.is_some()
    }

    /// When it is looked at next, if a connection comes; `None` where it is not left.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.left.map(|left| left.due_ms)
    }

    /// No connection came about: refused, unreachable or too late. Returns whether it is left from now on.
    pub fn failed(&mut self, attempt: Attempt, settings: Settings) -> bool {
        if self.is_left() || attempt.asked_ms < self.there_ms {
            return false;
        }
        let since_ms = attempt.now_ms;
        self.left = Some(Left { since_ms, due_ms: since_ms.saturating_add(settings.span_ms(0)), looks: 0 });
        true
    }

    /// A connection came about. Returns whether it ends the leave.
    pub fn connected(&mut self, attempt: Attempt) -> bool {
        // In the same millisecond it may have begun before, as the clock is no finer: one that fails more costs less than a good one
        // that waits for its next look.
        if self.left.is_none_or(|left| attempt.asked_ms < left.since_ms) {
            return false;
        }
        *self = Self { left: None, there_ms: attempt.asked_ms };
        true
    }

    /// Whether the caller should look at it now. Who is told so is the only one: the next look is due in twice the time.
    pub fn take_look(&mut self, now_ms: u64, settings: Settings) -> bool {
        let Some(left) = self.left.as_mut().filter(|left| now_ms >= left.due_ms) else { return false };
        left.looks = left.looks.saturating_add(1);
        left.due_ms = now_ms.saturating_add(settings.span_ms(left.looks));
        true
    }
}

#[cfg(test)]
mod tests;
