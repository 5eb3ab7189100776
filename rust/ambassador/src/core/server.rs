//! A server of a pool as one thread knows it.

use std::sync::Arc;

use alongside_protocols::resp::Version;

use super::buffers::Lent;
use super::context::Context;
use super::{LinkId, Why};
use crate::counters::{ServerLane, Standing};

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) lane: Arc<ServerLane>,
    /// Its links, of each version of the protocol by turns; a client always uses the same one of a version.
    pub(crate) links: Vec<Option<LinkId>>,
    pub(crate) speaks: Speaks,
    pub(crate) standing: Standing,
    /// Failures in a row, by the version of the protocol: one moment may end the connections of both, and is one failure.
    pub(crate) failures: [u32; PLACES_EACH],
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

/// Whether a server speaks RESP3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// It was not asked, or may be another since.
    Unknown,
    Three,
    /// It refused to, then.
    TwoAlone {
        since_us: u64,
    },
    /// It answered what tells nothing of it, then.
    Unready {
        since_us: u64,
    },
}

/// Places of links for each connection that a pool has to a server.
pub(crate) const PLACES_EACH: usize = 2;

/// Return the place of the link of a version that is the server's `connection`-th.
#[inline]
pub(crate) const fn place_of(connection: usize, version: Version) -> usize {
    connection * PLACES_EACH + (version.number() - Version::Two.number()) as usize
}

/// Return what is spoken on the link at a place.
pub(crate) const fn version_at(place: usize) -> Version {
    if place.is_multiple_of(PLACES_EACH) { Version::Two } else { Version::Three }
}

/// A server's part of a split command.
#[derive(Debug)]
pub(crate) struct Part {
    /// Which command.
    pub(crate) mark: u32,
    /// How many keys it has.
    pub(crate) keys: u32,
    /// Redis: the place of its next key. Its places follow those of the part before it, and one that is left free.
    pub(crate) place: u32,
    /// memcache: its last key.
    pub(crate) last: u32,
    /// memcache: the link that carries it, or why there is none.
    pub(crate) link: Result<LinkId, Why>,
    /// memcache: what its link lends it while keys are appended.
    pub(crate) lent: Lent,
}

impl Server {
    pub(crate) fn new(name: &str, lane: Arc<ServerLane>, connections: usize) -> Server {
        lane.more.standing.set(Standing::Good as u64);
        Server {
            name: name.to_owned(),
            lane,
            links: vec![None; connections * PLACES_EACH],
            speaks: Speaks::Unknown,
            standing: Standing::Good,
            failures: [0; PLACES_EACH],
            why: Why::Refused,
            probe: None,
            probe_at_us: u64::MAX,
            fails_at_once: false,
            part: Part { mark: 0, keys: 0, place: 0, last: 0, link: Err(Why::Other), lent: Lent::default() },
        }
    }

    pub(crate) fn stand(&mut self, standing: Standing) {
        self.standing = standing;
        self.lane.more.standing.set(standing as u64);
    }

    /// It answered: what was counted against it is forgotten.
    #[inline]
    pub(crate) fn answered(&mut self) {
        if self.failures != [0; PLACES_EACH] {
            self.failures = [0; PLACES_EACH];
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
