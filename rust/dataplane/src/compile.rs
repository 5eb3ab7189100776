//! From a document to what serves it.

use crate::serve::Served;
use alongside_cache::Cache;
use alongside_document::{Document, Function, Problem};
use alongside_http::link::Upstream;
use alongside_http::metrics::Metrics;
use alongside_http::route::{Route, Shard};
use alongside_placement::{Placement, key};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the routes and caches of a document became.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Routes by name.
    pub routes: BTreeMap<String, Arc<Route>>,
    /// Caches by name.
    pub caches: BTreeMap<String, Arc<Cache>>,
}

impl Compiled {
    /// Returns what answers under that name.
    pub fn served(&self, name: &str) -> Option<Served> {
        let route = self.routes.get(name).cloned().map(Served::Route);
        route.or_else(|| self.caches.get(name).cloned().map(Served::Cache))
    }
}

/// Compiles a checked document. Caches whose memory stays keep what they hold.
pub fn compile(
    document: &Document,
    before: &Compiled,
    metrics: &Metrics,
    cache_metrics: &alongside_cache::Metrics,
) -> Result<Compiled, Vec<Problem>> {
    let mut compiled = Compiled::default();
    let nodes: BTreeMap<&str, Arc<Upstream>> = document
        .nodes
        .iter()
        .map(|node| {
            let upstream = Upstream::new(&node.id, node.address.as_str(), metrics.upstream(&node.id));
            (node.id.as_str(), Arc::new(upstream))
        })
        .collect();
    let mut problems = Vec::new();
    for (index, route) in document.routes.iter().enumerate() {
        match compile_route(route, &nodes, metrics) {
            Ok(made) => {
                compiled.routes.insert(route.name.to_string(), Arc::new(made));
            }
            Err(why) => problems.push(Problem::new(format!("routes[{index}]"), why, "mend the route")),
        }
    }
    for cache in &document.caches {
        let made = Cache::new(cache, before.caches.get(cache.name.as_str()), (metrics, cache_metrics));
        compiled.caches.insert(cache.name.to_string(), Arc::new(made));
    }
    if problems.is_empty() { Ok(compiled) } else { Err(problems) }
}

fn compile_route(
    route: &alongside_document::Route,
    nodes: &BTreeMap<&str, Arc<Upstream>>,
    metrics: &Metrics,
) -> Result<Route, String> {
    let key = key::Key::parse(&route.key).map_err(|error| error.to_string())?;
    let on_ring: Vec<alongside_placement::Shard> = route
        .shards
        .iter()
        .map(|shard| alongside_placement::Shard { name: shard.name.to_string(), weight: shard.weight })
        .collect();
    let function = match route.function {
        Function::Modulo => alongside_placement::Function::Modulo,
        Function::Ketama => alongside_placement::Function::Ketama,
    };
    let placement = Placement::new(function, &on_ring).map_err(|error| error.to_string())?;
    let shards = route
        .shards
        .iter()
        .map(|shard| Shard {
            name: shard.name.to_string(),
            replicas: shard.replicas.iter().filter_map(|id| nodes.get(id.as_str()).cloned()).collect(),
            requests: metrics.shard(&route.name, &shard.name),
        })
        .collect();
    Ok(Route::new(route.name.to_string(), key, placement, shards))
}
