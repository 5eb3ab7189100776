//! When servers are told what clients asked: at once, or together with what else is asked just then.

/// A turn in which fewer clients asked is seldom followed by more at once.
const FEW: usize = 8;
/// What so many clients asked is told, whoever else may ask.
const ENOUGH: usize = 64;
/// So many bytes are told, whoever else may ask: long commands gain nothing by waiting.
const ENOUGH_BYTES: usize = 64 * 1024;
/// Servers wait for no turn that begins later, also where turns take long.
const LONGEST_US: u64 = 1_000;

/// Counts who asked. Where many do, turn after turn, servers are told once what they would be told in several turns, and
/// woken once; nobody waits while nobody asks.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Reads from clients in this turn that brought something.
    asked: usize,
    /// Those in turns before this one of which servers were not told yet.
    held: usize,
    /// Bytes of all of them.
    bytes: usize,
    /// When the first turn began of which they were not told.
    since_us: u64,
}

impl Hold {
    /// A client sent so many bytes.
    pub(super) const fn ask(&mut self, bytes: usize) {
        self.asked += 1;
        self.bytes += bytes;
    }

    /// Ends a turn that began at that time; tells whether servers wait until the next one, which must not wait for sockets.
    pub(super) const fn end_turn(&mut self, now_us: u64) -> bool {
        let all = self.held + self.asked;
        let is_on = self.asked >= FEW && all < ENOUGH && self.bytes < ENOUGH_BYTES && !self.is_overdue(now_us);
        if !is_on {
            self.end();
            return false;
        }
        if self.held == 0 {
            self.since_us = now_us;
        }
        (self.asked, self.held) = (0, all);
        true
    }

    /// Whether servers wait.
    pub(super) const fn is_on(&self) -> bool {
        self.held > 0
    }

    /// Whether servers have waited too long.
    pub(super) const fn is_overdue(&self, now_us: u64) -> bool {
        self.is_on() && now_us.saturating_sub(self.since_us) >= LONGEST_US
    }

    /// Servers are told what waited, or are to be told nothing of it.
    pub(super) const fn end(&mut self) {
        *self = Self { asked: 0, held: 0, bytes: 0, since_us: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether servers wait after each turn, in which so many clients asked by so many bytes.
    fn after_turns(turns: &[usize], bytes: usize, turn_us: u64) -> Vec<bool> {
        let mut hold = Hold::default();
        let mut now_us = 5_000;
        let mut turn = |&asked: &usize| {
            (0..asked).for_each(|_| hold.ask(bytes));
            let is_on = hold.end_turn(now_us);
            assert_eq!(hold.is_on(), is_on);
            now_us += turn_us;
            is_on
        };
        turns.iter().map(&mut turn).collect()
    }

    fn after(turns: &[usize]) -> Vec<bool> {
        after_turns(turns, 20, 10)
    }

    #[test]
    fn few_wait_for_nobody() {
        assert_eq!(after(&[1, 7, 0, 7, 7, 7]), [false; 6]);
    }

    #[test]
    fn many_are_told_together_when_nobody_else_asks() {
        assert_eq!(after(&[8, 0, 20, 20, 3, 8, 0]), [true, false, true, true, false, true, false]);
    }

    #[test]
    fn there_is_an_end_where_others_ask_and_ask() {
        assert_eq!(after(&[63, 1, 64, 1000, 63, 8]), [true, false, false, false, true, false]);
        let longest = after(&[8; 1000]);
        assert!(longest.chunks(8).all(|turns| turns == [true, true, true, true, true, true, true, false]));
    }

    #[test]
    fn long_commands_do_not_wait() {
        assert_eq!(after_turns(&[8; 4], 8 * 1024, 10), [false; 4]);
        assert_eq!(after_turns(&[8; 4], 4 * 1024, 10), [true, false, true, false]);
    }

    #[test]
    fn nobody_waits_longer_where_turns_take_long() {
        assert_eq!(after_turns(&[8; 4], 20, 1_000), [true, false, true, false]);
        assert_eq!(after_turns(&[8; 4], 20, 999), [true, true, false, true]);
    }

    #[test]
    fn what_was_overdue_and_told_waits_no_more() {
        let mut hold = Hold::default();
        (0..8).for_each(|_| hold.ask(20));
        assert!(!hold.is_overdue(9_000) && hold.end_turn(5_000));
        assert_eq!([5_999, 6_000].map(|now_us| hold.is_overdue(now_us)), [false, true]);
        hold.end();
        assert!(!hold.is_on() && !hold.is_overdue(9_000));
    }
}
