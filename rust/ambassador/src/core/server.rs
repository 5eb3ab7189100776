//! A server of a pool as one thread knows it.

use std::sync::Arc;

use super::context::Context;
use super::{LinkId, Why};
use crate::counters::{ServerLane, Standing};

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) lane: Arc<ServerLane>,
    /// Its links; a client always uses the same one.
    pub(crate) links: Vec<Option<LinkId>>,
    pub(crate) standing: Standing,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Why it failed last.
    pub(crate) why: Why,
    /// The link that looks whether it can be used.
    pub(crate) probe: Option<LinkId>,
    pub(crate) probe_at_us: u64,
    /// While it is down, commands fail at once; else they try.
    pub(crate) fails_at_once: bool,
    /// The part of a split command that is being made for it.
    pub(crate) part: Part,
}

/// A server's part of a split command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Which command.
    pub(crate) mark: u32,
    /// The number of the part, or why there is none.
    pub(crate) number: Result<u32, Why>,
    pub(crate) link: LinkId,
    pub(crate) keys: u32,
}

impl Server {
    pub(crate) fn new(name: &str, lane: Arc<ServerLane>, links: usize) -> Server {
        lane.more.standing.set(Standing::Good as u64);
        Server {
            name: name.to_owned(),
            lane,
            links: vec![None; links],
            standing: Standing::Good,
            failures: 0,
            why: Why::Refused,
            probe: None,
            probe_at_us: u64::MAX,
            fails_at_once: false,
            part: Part { mark: 0, number: Err(Why::Other), link: LinkId { index: 0, generation: 0 }, keys: 0 },
        }
    }

    pub(crate) fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        self.lane.more.standing.set(standing as u64);
    }

    /// It answered: what was counted against it is forgotten.
    #[inline]
    pub(crate) fn answered(&mut self) {
        if self.failures != 0 {
            self.failures = 0;
        }
    }

    /// Have this link no more.
    pub(crate) fn leave(&mut self, id: LinkId) {
        self.links.iter_mut().for_each(|link| *link = link.filter(|&known| known != id));
        self.probe = self.probe.filter(|&known| known != id);
    }

    /// Look at it at that time.
    pub(crate) fn look_at(&mut self, at_us: u64, context: &mut Context) {
        self.probe_at_us = at_us;
        context.wake(at_us);
    }
}
