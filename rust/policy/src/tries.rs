//! In which order one connection tries a balancer's backends: the less busy of two that are drawn, one after the other, those
//! that are left only when no other is there.

use crate::choice::{Candidate, choose};

/// Backends that one connection is tried at, at most.
pub const TRIES_MAX: usize = 16;

/// Backends among which two are drawn at one time; of more, as many as follow a random one.
const WINDOW: usize = 64;

/// What is known of a backend when a connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// It could not be connected to lately.
    pub is_left: bool,
    /// Connections that are open to it.
    pub open: u32,
}

/// One connection's tries.
#[derive(Clone, Debug)]
pub struct Tries {
    count: usize,
    first: usize,
    tried: [usize; TRIES_MAX],
    done: usize,
}

impl Tries {
    /// Begin with none of `count` backends tried; `random` is 64 fresh uniform bits.
    #[must_use]
    pub fn new(count: usize, random: u64) -> Self {
        let first = if count > WINDOW { (random % count as u64) as usize } else { 0 };
        Self { count, first, tried: [0; TRIES_MAX], done: 0 }
    }

    /// How many were tried.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.done
    }

    /// Return the next backend to try: of two drawn that are not left, the one with fewer connections; when all of those were
    /// tried, of those that are left, as one of them may be back. `None` when all were tried, or [`TRIES_MAX`].
    ///
    /// Args: `known` is asked once or twice for each; `random` is 64 fresh uniform bits. Allocates nothing; O(count).
    pub fn next(&mut self, known: impl Fn(usize) -> Known, random: u64) -> Option<usize> {
        let place = self.draw(&known, false, random).or_else(|| self.draw(&known, true, random))?;
        *self.tried.get_mut(self.done)? = place;
        self.done += 1;
        Some(place)
    }

    fn draw(&self, known: impl Fn(usize) -> Known, takes_left: bool, random: u64) -> Option<usize> {
        (0..self.count).step_by(WINDOW).find_map(|begin| {
            let place = |at: usize| (self.first + begin + at) % self.count;
            let candidate = |at| {
                let Known { is_left, open } = known(place(at));
                Candidate { share: if is_left && !takes_left { 0 } else { 100 }, in_flight: open }
            };
            let size = WINDOW.min(self.count - begin);
            choose(size, candidate, self.tried_of(begin), random).map(place)
        })
    }

    /// Which of a window's backends were tried, as a mask.
    fn tried_of(&self, begin: usize) -> u64 {
        let of_window = |place: &usize| (place + self.count - self.first) % self.count;
        let tried = self.tried[..self.done].iter().map(of_window);
        tried.filter(|at| (begin..begin + WINDOW).contains(at)).fold(0, |mask, at| mask | 1 << (at - begin))
    }
}

#[cfg(test)]
mod tests;
