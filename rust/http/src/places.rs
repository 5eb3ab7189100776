//! The places of one request among those that are under way.

use crate::link::Upstream;
use alongside_document::Limits;
use alongside_transport::gate::{Gate, Passed, Shut, Terms};
use std::time::{Duration, Instant};

/// The places of a request: in the gate of the upstream that it is at, and in the process's.
#[derive(Debug)]
pub struct Places<'g> {
    theirs: Option<Passed<'g>>,
    ours: Option<Passed<'g>>,
    /// Until when it may wait for them.
    until: Instant,
    has_waited: bool,
}

impl<'g> Places<'g> {
    /// Returns no places yet, and the time that there is to wait for them, of a request that `began` then.
    #[must_use]
    pub fn new(limits: &Limits, began: Instant) -> Self {
        let queue_timeout = Duration::from_millis(limits.queue_timeout_ms);
        Self { theirs: None, ours: None, until: began + queue_timeout, has_waited: false }
    }

    /// Tells whether it waited for any of them, also for one that it gave back.
    #[must_use]
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Gives the place at an upstream back: the request is there no more.
    pub fn leave(&mut self) {
        self.theirs = None;
    }

    /// Gives both places back: the answer is in memory, or something that is bounded otherwise.
    pub fn give_back(&mut self) {
        (self.theirs, self.ours) = (None, None);
    }

    /// Waits for room at an upstream, and in the process where the request has none yet; `waits` is called where it has to.
    ///
    /// # Errors
    /// The limit that is reached, as the metric names it.
    pub async fn pass(
        &mut self,
        limits: &Limits,
        gate: &'g Gate,
        upstream: &'g Upstream,
        mut waits: impl FnMut(),
    ) -> Result<(), &'static str> {
        let until = self.until;
        let terms = |open_max| Terms {
            open_max,
            queue_max: limits.queue_max,
            wait_max: until.saturating_duration_since(Instant::now()),
        };
        let word = |shut: Shut, full| if shut == Shut::QueueFull { full } else { shut.as_str() };
        // The upstream's first: who waits for a slow one must not stand in the way of requests to others.
        self.theirs = match upstream.gate.try_pass(limits.upstream_requests_max) {
            passed @ Some(_) => passed,
            None => {
                self.has_waited = true;
                waits();
                let passed = Box::pin(upstream.gate.pass(terms(limits.upstream_requests_max))).await;
                Some(passed.map_err(|shut| word(shut, "upstream_requests_max"))?)
            }
        };
        if self.ours.is_none() {
            self.ours = match gate.try_pass(limits.requests_max) {
                passed @ Some(_) => passed,
                None => {
                    self.has_waited = true;
                    waits();
                    let passed = Box::pin(gate.pass(terms(limits.requests_max))).await;
                    Some(passed.map_err(|shut| word(shut, "requests_max"))?)
                }
            };
        }
        Ok(())
    }
}
