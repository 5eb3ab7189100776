//! What must hold, checked from what is true of the fleet and from what routers said, not from what their parts believe.

use super::fleet::{Condition, Node, Path};
use super::router::{HEALTH, PROBE_TIMEOUT_MS, Router};
use alongside_policy::budget;
use alongside_policy::health::{Change, Reason};
use std::collections::BTreeMap;

/// A node that could be reached for so long is known to be there: a probe that was on its way had its time, the next one began and
/// came back, messages lost twice.
pub const DETECTION_MS: u64 = HEALTH.interval_ms + PROBE_TIMEOUT_MS + 500;
/// A node that does not answer is left after so long.
pub const FREEZE_MS: u64 = HEALTH.failures as u64 * (HEALTH.interval_ms + PROBE_TIMEOUT_MS) + 500;

/// Why a router sent a request to no replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoneUsable,
    AttemptsMax,
    NoBudget,
}

/// What lets a node come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A probe that began then found it good.
    GoodProbe { asked_ms: u64 },
    /// The shard was weighed; so many were usable.
    Weighed { usable: usize },
    /// Anything else.
    Other,
}

/// What one router said and did about one node.
#[derive(Clone, Copy, Default)]
struct Seen {
    left_ms: Option<u64>,
    /// The process of the node whose death this router noticed by a failed connection.
    dead_process: Option<u32>,
}

/// The account of one router.
pub struct Ledger {
    seen: Vec<Seen>,
    allowed: budget::Settings,
    requests: Vec<u64>,
    retries: Vec<u64>,
    pub refused: Vec<Refusal>,
    /// How often what happened, by a word.
    pub told: BTreeMap<String, u64>,
}

impl Ledger {
    pub fn new(nodes: usize, allowed: budget::Settings) -> Self {
        let seen = vec![Seen::default(); nodes];
        Self { seen, allowed, requests: Vec::new(), retries: Vec::new(), refused: Vec::new(), told: BTreeMap::new() }
    }

    pub fn requested(&mut self, now_ms: u64) {
        *second(&mut self.requests, now_ms) += 1;
    }

    /// A retry was allowed: with those of the last ten seconds it is within their requests' part.
    pub fn retried(&mut self, now_ms: u64) {
        self.tell("Retried".to_owned());
        *second(&mut self.retries, now_ms) += 1;
        second(&mut self.requests, now_ms);
        let (came, tried) = (last_ten(&self.requests), last_ten(&self.retries));
        let most = came * u64::from(self.allowed.percent) / 100 + u64::from(self.allowed.per_second_min) * 10;
        assert!(tried <= most, "at {now_ms}: {tried} retries, {most} are allowed");
    }

    /// A request is sent to a node: it was not left, and was not seen dead by this router.
    pub fn sent(&self, at: usize, node: &Node, now_ms: u64) {
        assert!(self.seen[at].left_ms.is_none(), "at {now_ms}: node {at} was left and got a request");
        let is_seen_dead = node.is_dead() && self.seen[at].dead_process == Some(node.process);
        assert!(!is_seen_dead, "at {now_ms}: node {at} is dead, had failed, and got another request");
    }

    pub fn connection_failed(&mut self, at: usize, node: &Node) {
        if node.is_dead() {
            self.seen[at].dead_process = Some(node.process);
        }
    }

    /// A router said that it left a node, or took it back.
    pub fn changed(&mut self, at: usize, change: Change, cause: Cause, router: &Router, now_ms: u64) {
        let word = if cause == (Cause::Weighed { usable: 0 }) { "Pardoned".to_owned() } else { format!("{change:?}") };
        self.tell(word);
        match change {
            Change::Suspected(_) => {}
            Change::Left(reason) => {
                self.seen[at].left_ms = Some(now_ms);
                if reason.is_ejection() {
                    let most = router.healths.len() * HEALTH.ejected_percent_max as usize / 100;
                    assert!(router.ejected() <= most, "at {now_ms}: {} are ejected, not {most}", router.ejected());
                    assert!(router.usable() > 0, "at {now_ms}: node {at} was the last, and left for {reason:?}");
                }
            }
            Change::Back(reason) => {
                let left_ms = self.seen[at].left_ms.take();
                assert!(
                    is_reason_to_come_back(left_ms, reason, cause, now_ms),
                    "at {now_ms}: node {at} came back by {cause:?}"
                );
            }
        }
    }

    /// A request gets no replica: then no replica was there for as long as it takes to know.
    pub fn refuse(&mut self, refusal: Refusal, nodes: &[Node], paths: &[Path], now_ms: u64) {
        self.refused.push(refusal);
        self.tell(format!("{refusal:?}"));
        if refusal != Refusal::NoneUsable {
            return;
        }
        for (at, (node, path)) in nodes.iter().zip(paths).enumerate() {
            let is_up = node.condition == Condition::Up && !path.is_cut;
            let up_ms = now_ms - node.since_ms.max(path.since_ms);
            assert!(!is_up || up_ms <= DETECTION_MS, "at {now_ms}: refused, and node {at} is there for {up_ms} ms");
        }
    }

    pub fn tell(&mut self, word: String) {
        *self.told.entry(word).or_default() += 1;
    }

    /// What holds between any two events.
    pub fn check(&self, router: &Router, now_ms: u64) {
        let is_stranded = router.usable() == 0 && router.ejected() > 0;
        assert!(!is_stranded, "at {now_ms}: ejections left nobody");
        for (at, seen) in self.seen.iter().enumerate() {
            assert_eq!(router.healths[at].is_usable(), seen.left_ms.is_none(), "at {now_ms}: node {at} changed unsaid");
        }
    }
}

fn is_reason_to_come_back(left_ms: Option<u64>, reason: Reason, cause: Cause, now_ms: u64) -> bool {
    let least_ms = if reason.is_ejection() { HEALTH.ejection_ms } else { 0 };
    match cause {
        Cause::GoodProbe { asked_ms } => {
            left_ms.is_some_and(|left_ms| asked_ms > left_ms && now_ms >= left_ms + least_ms)
        }
        Cause::Weighed { usable } => usable == 0 && reason.is_ejection(),
        Cause::Other => false,
    }
}

fn second(seconds: &mut Vec<u64>, now_ms: u64) -> &mut u64 {
    let at = usize::try_from(now_ms / 1_000).unwrap();
    seconds.resize(seconds.len().max(at + 1), 0);
    &mut seconds[at]
}

fn last_ten(seconds: &[u64]) -> u64 {
    seconds.iter().rev().take(10).sum()
}
