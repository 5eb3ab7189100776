//! Where requests would go, and how a route sees its nodes.

use super::{Placed, Route, Way, candidate, escape};
use crate::link::Upstream;
use crate::standing::Standing;
use alongside_placement::key;

/// Where a request goes, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The evaluated key, escaped as it is sent to nodes.
    pub key: String,
    /// What placement makes of the key.
    pub hash: u32,
    /// The shard's name.
    pub shard: String,
    /// The shard's nodes.
    pub replicas: Vec<Replica>,
    /// Who would answer now: a node's id, `origin`, or nobody.
    pub now: Option<String>,
}

/// A node of a shard, as a route sees it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its id.
    pub id: String,
    /// Its address.
    pub address: String,
    /// The part of its requests that it gets, in percent.
    pub share: u8,
    /// How warm it says it is, in percent.
    pub warmth: u8,
    /// Requests that it is answering for this route.
    pub in_flight: u32,
    /// Requests that wait for one of these to end.
    pub waiting: u32,
    /// Orders to forget something that it has not been told yet, and their bytes.
    pub owed: (usize, usize),
    /// Why it is not read from; nothing where it is.
    pub reason: Option<&'static str>,
}

impl Route {
    /// Returns where a request would go.
    #[must_use]
    pub fn explain(&self, request: &impl key::Request) -> Explanation {
        let mut key = Vec::new();
        self.key.evaluate(request, &mut key);
        let at = self.placement.shard(&key);
        let shard = &self.shards[at];
        let mut escaped = Vec::new();
        escape(&key, &mut escaped);
        let placed = Placed { shard: at, key: Some(key.clone()), is_direct: false, is_safe: true, forget: None };
        let now = Way::new(self, &placed, u32::MAX).find().map(|hop| match hop.is_origin {
            true => "origin".to_owned(),
            false => hop.upstream.id.clone(),
        });
        Explanation {
            key: String::from_utf8_lossy(&escaped).into_owned(),
            hash: self.placement.hash(&key),
            shard: shard.name.clone(),
            replicas: shard.replicas.iter().map(|node| Replica::of(node)).collect(),
            now,
        }
    }
}

impl Replica {
    pub(super) fn of(node: &Upstream) -> Self {
        let standing = node.standing.as_ref();
        Self {
            id: node.id.clone(),
            address: node.address.clone(),
            share: candidate(node).share,
            warmth: standing.map_or(100, Standing::warmth),
            in_flight: node.gate.open(),
            waiting: node.gate.waiting(),
            owed: node.server.forgets.owed(),
            reason: node.reason(),
        }
    }
}
