//! When servers are told what clients asked: at once, or together with what else is asked just then.

/// A turn in which fewer clients asked is seldom followed by more at once.
const FEW: usize = 8;
/// What so many clients asked is told, whoever else may ask.
const ENOUGH: usize = 64;

/// Counts who asked. Where many do, turn after turn, servers are told once what they would be told in several turns, and
/// woken once; nobody waits while nobody asks.
#[derive(Debug, Default)]
pub(super) struct Hold {
    /// Clients that asked something in this turn.
    asked: usize,
    /// Clients that asked in turns before this one what servers were not told yet.
    held: usize,
}

impl Hold {
    /// A client asked.
    pub(super) const fn ask(&mut self) {
        self.asked += 1;
    }

    /// Ends a turn; tells whether servers wait until the next one, which must not wait for sockets.
    pub(super) const fn goes_on(&mut self) -> bool {
        let all = self.held + self.asked;
        let goes_on = self.asked >= FEW && all < ENOUGH;
        self.asked = 0;
        self.held = if goes_on { all } else { 0 };
        goes_on
    }

    /// Whether servers wait.
    pub(super) const fn is_on(&self) -> bool {
        self.held > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether servers wait after each turn, in which so many clients asked.
    fn after(turns: &[usize]) -> Vec<bool> {
        let mut hold = Hold::default();
        let mut turn = |&asked: &usize| {
            (0..asked).for_each(|_| hold.ask());
            let goes_on = hold.goes_on();
            assert_eq!(hold.is_on(), goes_on);
            goes_on
        };
        turns.iter().map(&mut turn).collect()
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
}
