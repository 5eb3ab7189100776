//! Which nodes a route's shards can spare, seen from time to time and when something happened.

use super::{Route, Shard};
use crate::link::Upstream;
use crate::standing::Standing;
use alongside_policy::health;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the shards of a route are looked through for nodes that should be left or taken back.
const REVIEW: Duration = Duration::from_secs(1);

/// Replicas of a shard that are looked at; the document allows no more.
const REPLICAS_MAX: usize = 64;

/// The shards in which a node stands, and as which of their replicas.
pub(super) type Places = Arc<[(usize, usize)]>;

impl Route {
    /// Looks after the route's nodes until the task is ended.
    pub async fn tend(route: Arc<Self>) {
        loop {
            (0..route.shards.len()).for_each(|shard| route.review_shard(shard));
            route.nodes.iter().filter_map(|node| node.standing.as_ref()).for_each(Standing::refresh);
            route.roll();
            tokio::time::sleep(REVIEW).await;
        }
    }

    /// Leaves nodes of a shard for errors or slowness where all of their shards can spare them, and takes back the best where it
    /// has nobody else. Does nothing while another thread is at it.
    pub(super) fn review_shard(&self, shard: usize) {
        let Ok(_one) = self.reviewing.try_lock() else { return };
        if !self.is_in_force.load(Ordering::Relaxed) {
            return;
        }
        let here = self.outliers(shard);
        for (at, node) in self.shards[shard].replicas.iter().enumerate().take(REPLICAS_MAX) {
            let Some(standing) = &node.standing else { continue };
            if here.pardoned >> at & 1 != 0 {
                standing.judge(None);
            } else if let Some(reason) = here.reason(at) {
                let is_named =
                    |&(other, at): &(usize, usize)| other == shard || self.outliers(other).reason(at).is_some();
                if self.places[shard][at].iter().all(is_named) {
                    standing.judge(Some(reason));
                }
            }
        }
    }

    fn outliers(&self, shard: usize) -> health::Outliers {
        let replicas = &self.shards[shard].replicas;
        let mut standings = [health::Standing::default(); REPLICAS_MAX];
        let count = replicas.len().min(REPLICAS_MAX);
        for (slot, replica) in standings.iter_mut().zip(replicas) {
            *slot = replica.health();
        }
        health::outliers(&standings[..count], &self.terms.health)
    }
}

/// Returns for each replica of each shard where its node stands.
pub(super) fn places(shards: &[Shard]) -> Box<[Vec<Places>]> {
    let mut of_node: HashMap<*const Upstream, Vec<(usize, usize)>> = HashMap::new();
    for (shard, replicas) in shards.iter().map(|shard| &shard.replicas).enumerate() {
        for (at, node) in replicas.iter().enumerate() {
            of_node.entry(Arc::as_ptr(node)).or_default().push((shard, at));
        }
    }
    let shared: HashMap<_, Places> = of_node.into_iter().map(|(node, places)| (node, places.into())).collect();
    let of_shard = |shard: &Shard| {
        shard.replicas.iter().filter_map(|node| shared.get(&Arc::as_ptr(node)).map(Arc::clone)).collect()
    };
    shards.iter().map(of_shard).collect()
}
