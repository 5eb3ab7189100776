//! A router as a shell would build it from the policy's parts: it sends, probes, leaves, moves what waits, and tries again.

use alongside_policy::budget::{self, Budget};
use alongside_policy::choice::{Candidate, choose};
use alongside_policy::health::{Change, Health, Reason, Settings, Standing, outliers};

/// The document's defaults.
pub const HEALTH: Settings = Settings {
    interval_ms: 1_000,
    failures: 2,
    successes: 1,
    errors_max: Some(5),
    slow_times: Some(10),
    ejected_percent_max: 50,
    ejection_ms: 5_000,
    slow_start_ms: 10_000,
};
pub const PROBE_TIMEOUT_MS: u64 = 1_000;
pub const RETRIES: budget::Settings = budget::Settings { percent: 20, per_second_min: 10 };
/// So few that they run out.
pub const RETRIES_FEW: budget::Settings = budget::Settings { percent: 2, per_second_min: 0 };
pub const ATTEMPTS_MAX: u32 = 3;
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;

/// What one router knows.
pub struct Router {
    pub healths: Vec<Health>,
    pub in_flight: Vec<u32>,
    pub budget: Budget,
}

impl Router {
    pub fn new(nodes: usize, retries: budget::Settings) -> Self {
        Self { healths: vec![Health::new(HEALTH); nodes], in_flight: vec![0; nodes], budget: Budget::new(retries, 0) }
    }

    pub fn choose(&self, tried: u64, now_ms: u64, random: u64) -> Option<usize> {
        let candidate = |at: usize| Candidate { share: self.healths[at].share(now_ms), in_flight: self.in_flight[at] };
        let count = self.healths.len();
        choose(count, candidate, tried, random).or_else(|| choose(count, candidate, 0, random))
    }

    /// Leave and take back what the shard's other replicas allow, and return what changed.
    pub fn weigh(&mut self, now_ms: u64) -> Vec<(usize, Change)> {
        let shard: Vec<Standing> = self.healths.iter().map(Health::standing).collect();
        let found = outliers(&shard, &HEALTH);
        let mut changes = Vec::new();
        for (at, health) in self.healths.iter_mut().enumerate() {
            let change = match found.reason(at) {
                Some(reason) => health.eject(reason, now_ms),
                None if found.pardoned & (1 << at) != 0 => health.pardon(now_ms),
                None => None,
            };
            changes.extend(change.map(|change| (at, change)));
        }
        changes
    }

    pub fn reason(&self, node: usize) -> Option<Reason> {
        self.healths[node].reason()
    }

    pub fn usable(&self) -> usize {
        self.healths.iter().filter(|health| health.is_usable()).count()
    }

    pub fn ejected(&self) -> usize {
        self.healths.iter().filter(|health| health.reason().is_some_and(Reason::is_ejection)).count()
    }
}
