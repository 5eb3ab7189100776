//! The nodes of one shard as they really are, whatever routers think of them, and the network between.

use super::random::Random;

/// What a node does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It takes connections and answers.
    Up,
    /// The process is not there: connections are refused, open ones reset.
    Down,
    /// The machine is not there: nothing comes back.
    Gone,
    /// The process is stopped: the kernel takes connections, nothing answers.
    Frozen,
}

pub struct Node {
    pub condition: Condition,
    /// Since when its condition is this one.
    pub since_ms: u64,
    /// Counts the processes that it had: a connection to an earlier one is reset.
    pub process: u32,
    pub has_errors: bool,
    pub is_slow: bool,
    /// What it says when it is asked, where a test wants it to; else it warms up within three seconds.
    pub warmth: Option<u8>,
    /// Requests that it answered.
    pub answered: u64,
}

impl Node {
    pub fn new() -> Self {
        let condition = Condition::Up;
        let (has_errors, is_slow) = (false, false);
        Self { condition, since_ms: 0, process: 0, has_errors, is_slow, warmth: None, answered: 0 }
    }

    pub fn turn(&mut self, condition: Condition, now_ms: u64) {
        if matches!(condition, Condition::Down | Condition::Gone) {
            self.process += 1;
        }
        (self.condition, self.since_ms) = (condition, now_ms);
    }

    pub fn is_dead(&self) -> bool {
        matches!(self.condition, Condition::Down | Condition::Gone)
    }

    pub fn warmth(&self, now_ms: u64) -> u8 {
        let warmed = u8::try_from(((now_ms - self.since_ms) / 30).min(100)).unwrap();
        self.warmth.unwrap_or(if self.process == 0 { 100 } else { warmed })
    }

    /// How long an answer takes, in milliseconds.
    pub fn latency_ms(&self, random: &mut Random) -> u64 {
        let latency_ms = 2 + random.below(6);
        if self.is_slow { latency_ms * 100 } else { latency_ms }
    }
}

/// The way between a router and a node.
#[derive(Clone, Copy, Default)]
pub struct Path {
    pub is_cut: bool,
    pub since_ms: u64,
}

/// How long a message takes: a few milliseconds, and 200 more each time that it is lost.
pub fn delay_ms(random: &mut Random, loss_per_mille: u64) -> u64 {
    let mut delay_ms = random.below(4);
    while random.is_so(loss_per_mille) {
        delay_ms += 200;
    }
    delay_ms
}
