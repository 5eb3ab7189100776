//! Where misses of one key meet.
//!
//! Each key has an order of its shard's replicas. A node asks only those that stand before it, so that no two wait for each other
//! even where their documents differ; the first asks the others for what they have stored, and nobody for more.

use crate::clock::Clock;
use crate::metrics::CacheMetrics;
use crate::purges;
use crate::sibling::Sibling;
use alongside_http::link::Upstream;
use alongside_policy::rendezvous;
use std::sync::Arc;

/// The other replicas of a cache's shard, and itself.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    own_id: String,
    list: Vec<Arc<Sibling>>,
    /// The hashes of the list, then its own.
    hashes: Vec<u64>,
}

/// How a request that may be asked together goes to siblings.
#[derive(Debug, Clone)]
pub struct Meeting {
    /// The head for siblings, without conditions, questions and the final empty line.
    pub head: Arc<[u8]>,
    /// The node that asked this one; nothing where a client did.
    pub asked_by: Option<Arc<str>>,
    /// What others have stored would do.
    pub takes_stored: bool,
}

impl Siblings {
    /// Returns the siblings that a document names; what is known of those that stay is kept.
    pub fn new(
        replica: Option<&alongside_document::Replica>,
        before: Option<&Self>,
        http: &alongside_http::metrics::Metrics,
        (clock, metrics): (Clock, &CacheMetrics),
    ) -> Self {
        let Some(replica) = replica else { return Self::default() };
        let known = before.filter(|before| before.own_id == *replica.id).map_or(&[][..], |before| &before.list);
        let sibling = |node: &alongside_document::Node| {
            let (id, address) = (node.id.as_str(), node.address.as_str());
            let is_same = |known: &&Arc<Sibling>| known.id == id && known.upstream.address == address;
            known.iter().find(is_same).cloned().unwrap_or_else(|| {
                let upstream = Upstream::new(id, address, http.upstream(id));
                Sibling::new(upstream, &replica.id, (clock, metrics.clone()))
            })
        };
        let list: Vec<Arc<Sibling>> = replica.siblings.iter().map(sibling).collect();
        let own = rendezvous::hash(replica.id.as_bytes());
        let hashes = list.iter().map(|sibling| sibling.hash).chain([own]).collect();
        Self { own_id: replica.id.to_string(), list, hashes }
    }

    /// Whether it stands alone.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Its own id; empty where it is no replica.
    pub fn own_id(&self) -> &str {
        &self.own_id
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Sibling>] {
        &self.list
    }

    /// Returns the sibling of this id.
    pub fn find(&self, id: &str) -> Option<&Arc<Sibling>> {
        self.list.iter().find(|sibling| sibling.id == id)
    }

    /// Returns those that stand before this node in a key's order, the first one first.
    pub fn above(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Sibling>> {
        // Behind the list stands the node itself.
        self.order(key).map_while(|at| self.list.get(at))
    }

    /// Returns all but one in a key's order, the first one first.
    pub fn others(&self, key: &[u8], but: Option<&str>) -> impl Iterator<Item = &Arc<Sibling>> {
        self.order(key).filter_map(|at| self.list.get(at)).filter(move |sibling| but != Some(sibling.id.as_str()))
    }

    fn order(&self, key: &[u8]) -> impl Iterator<Item = usize> {
        rendezvous::order(rendezvous::hash(key), &self.hashes)
    }

    /// Lets all of them forget the URL of a key.
    pub fn forget(&self, key: &[u8]) {
        for sibling in &self.list {
            purges::tell(sibling, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use prometheus_client::registry::Registry;

    fn siblings(own: &str, others: &[&str], before: Option<&Siblings>) -> Siblings {
        let mut registry = Registry::default();
        let http = alongside_http::metrics::Metrics::register(&mut registry);
        let metrics = Metrics::register(&mut registry).cache("c");
        let node = |id: &&str| alongside_document::Node {
            id: id.parse().unwrap(),
            address: format!("127.0.0.1:{}", id.len()).parse().unwrap(),
        };
        let replica = alongside_document::Replica {
            id: own.parse().unwrap(),
            siblings: others.iter().map(node).collect(),
            warm_bytes_per_s: None,
        };
        Siblings::new(Some(&replica), before, &http, (Clock::new(), &metrics))
    }

    fn ids<'s>(list: impl Iterator<Item = &'s Arc<Sibling>>) -> Vec<&'s str> {
        list.map(|sibling| sibling.id.as_str()).collect()
    }

    #[test]
    fn nobody_waits_for_who_may_wait_for_it() {
        let nodes = [("a", siblings("a", &["b", "c"], None)), ("b", siblings("b", &["a", "c"], None))];
        let third = siblings("c", &["b", "a"], None);
        let all: Vec<_> = nodes.iter().map(|(id, node)| (*id, node)).chain([("c", &third)]).collect();
        let mut firsts = std::collections::HashSet::new();
        for key in 0..100_u32 {
            let key = key.to_le_bytes();
            let mut above: Vec<_> = all.iter().map(|(id, node)| (ids(node.above(&key)), *id)).collect();
            above.sort_by_key(|(above, _)| above.len());
            let order: Vec<&str> = above.iter().map(|(_, id)| *id).collect();
            for (place, (above, _)) in above.iter().enumerate() {
                assert_eq!(above, &order[..place]);
            }
            let second = all.iter().find(|(id, _)| *id == order[1]).unwrap().1;
            assert_eq!(ids(second.others(&key, None)), [order[0], order[2]]);
            assert_eq!(ids(second.others(&key, Some(order[0]))), [order[2]]);
            firsts.insert(order[0]);
        }
        assert_eq!(firsts.len(), 3);
    }

    #[test]
    fn what_is_known_of_a_sibling_outlives_a_document() {
        let before = siblings("a", &["b", "c"], None);
        let after = siblings("a", &["b", "dd"], Some(&before));
        assert!(Arc::ptr_eq(after.find("b").unwrap(), before.find("b").unwrap()));
        assert!(after.find("c").is_none() && after.find("dd").is_some());
        let other = siblings("x", &["b"], Some(&before));
        assert!(!Arc::ptr_eq(other.find("b").unwrap(), before.find("b").unwrap()));
    }

    #[test]
    fn a_cache_that_stands_alone_asks_nobody() {
        let alone = Siblings::default();
        assert!(alone.is_empty() && alone.above(b"k").next().is_none() && alone.others(b"k", None).next().is_none());
    }
}
