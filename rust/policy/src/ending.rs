//! When a process that drains ends: with its last connection, after its limit, or when it is told so once more.
//!
//! What peers have still to be told to forget holds it only a little longer than its clients do: a peer that is dead takes nothing.

/// How long telling may go on after the last connection, while nothing of it gets less.
pub const TELL_TIMEOUT_MS: u64 = 6_000;

/// Signals that end it at once.
const SIGNALS_MAX: u32 = 2;

/// Why it ends; the word is the one in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// No connection is left, and nothing to tell.
    Done,
    /// The drain took as long as it may.
    DrainTimeout,
    /// Nobody took what was to be told for as long as that may take.
    TellTimeout,
    /// It was told a second time.
    Signal,
}

impl End {
    /// Returns the word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::DrainTimeout => "drain_timeout",
            Self::TellTimeout => "tell_timeout",
            Self::Signal => "signal",
        }
    }
}

/// An end that has begun.
#[derive(Debug)]
pub struct Ending {
    until_ms: u64,
    signals: u32,
    /// The least that there was to tell since the last connection, and since when.
    least: Option<(usize, u64)>,
}

impl Ending {
    /// Begins one. A drain that was asked for at a door is no signal: the first one after it changes nothing.
    #[must_use]
    pub const fn new(now_ms: u64, drain_timeout_ms: u64, signals: u32) -> Self {
        Self { until_ms: now_ms.saturating_add(drain_timeout_ms), signals, least: None }
    }

    /// Notes a signal; returns how many there were.
    pub const fn signalled(&mut self) -> u32 {
        self.signals = self.signals.saturating_add(1);
        self.signals
    }

    /// Returns whether it ends now, by how many connections are open and orders not told.
    pub fn look(&mut self, now_ms: u64, connections: usize, untold: usize) -> Option<End> {
        if self.signals >= SIGNALS_MAX {
            return Some(End::Signal);
        }
        if connections == 0 && untold == 0 {
            return Some(End::Done);
        }
        if now_ms >= self.until_ms {
            return Some(End::DrainTimeout);
        }
        if connections > 0 {
            self.least = None;
            return None;
        }
        let (least, since_ms) = *self.least.get_or_insert((untold, now_ms));
        if untold < least {
            self.least = Some((untold, now_ms));
            return None;
        }
        (now_ms.saturating_sub(since_ms) >= TELL_TIMEOUT_MS).then_some(End::TellTimeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_the_last_connection_where_nothing_is_to_be_told() {
        let mut ending = Ending::new(5, 10_000, 1);
        assert_eq!(ending.look(5, 1, 0), None);
        assert_eq!(ending.look(6, 0, 1), None);
        assert_eq!(ending.look(7, 0, 0), Some(End::Done));
    }

    #[test]
    fn ends_after_its_limit_whoever_stays() {
        for (connections, untold) in [(1, 0), (0, 1), (1, 1)] {
            let mut ending = Ending::new(5, 100, 0);
            assert_eq!(ending.look(104, connections, untold), None);
            assert_eq!(ending.look(105, connections, untold), Some(End::DrainTimeout));
        }
        assert_eq!(Ending::new(5, u64::MAX, 0).look(u64::MAX - 1, 1, 0), None);
        assert_eq!(Ending::new(5, 0, 0).look(5, 0, 0), Some(End::Done));
    }

    #[test]
    fn telling_a_dead_peer_takes_no_longer_than_it_may() {
        let mut ending = Ending::new(0, 3_600_000, 0);
        // While a client stays it costs nobody anything.
        assert_eq!(ending.look(10 * TELL_TIMEOUT_MS, 1, 7), None);
        let begun_ms = 20 * TELL_TIMEOUT_MS;
        assert_eq!(ending.look(begun_ms, 0, 7), None);
        assert_eq!(ending.look(begun_ms + TELL_TIMEOUT_MS - 1, 0, 7), None);
        assert_eq!(ending.look(begun_ms + TELL_TIMEOUT_MS, 0, 7), Some(End::TellTimeout));
    }

    #[test]
    fn telling_that_goes_on_is_not_cut() {
        let mut ending = Ending::new(0, 3_600_000, 0);
        let last = (1..=9_u64).rev().zip(1..).find_map(|(untold, round)| {
            ending.look(round * (TELL_TIMEOUT_MS - 1), 0, usize::try_from(untold).unwrap())
        });
        assert_eq!(last, None);
        assert_eq!(ending.look(10 * (TELL_TIMEOUT_MS - 1), 0, 2), None);
        assert_eq!(ending.look(9 * (TELL_TIMEOUT_MS - 1) + TELL_TIMEOUT_MS, 0, 2), Some(End::TellTimeout));
    }

    #[test]
    fn the_second_signal_ends_it_and_a_drain_at_the_door_is_none() {
        let mut ending = Ending::new(0, 1_000, 0);
        assert_eq!((ending.signalled(), ending.look(1, 1, 0)), (1, None));
        assert_eq!((ending.signalled(), ending.look(1, 1, 0)), (2, Some(End::Signal)));
        assert_eq!(Ending::new(0, 1_000, 2).look(0, 1, 0), Some(End::Signal));
    }
}
