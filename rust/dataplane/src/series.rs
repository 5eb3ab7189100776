//! Which series of metrics a document has, so that those of what is gone are forgotten.

use alongside_document::Document;
use alongside_http::metrics::Metrics;
use std::collections::BTreeSet;

/// Forgets the series of what is in one document and not in the other, which is in force.
pub fn forget(
    document: &Document,
    in_force: Option<&Document>,
    (http, caches, tcp): (&Metrics, &alongside_cache::Metrics, &alongside_tcp::Metrics),
    (tls, acme): (&alongside_tls::Metrics, &alongside_acme::Metrics),
) {
    let kept = in_force.map(Series::of).unwrap_or_default();
    for gone in Series::of(document).difference(&kept) {
        match gone {
            Series::Upstream(id) => http.forget_upstream(id),
            Series::Shard(route, shard) => http.forget_shard(route, shard),
            Series::Node(route, node) => http.forget_node(route, node),
            Series::Route(name) => http.forget_route(name),
            Series::Cache(name) => caches.forget(name),
            Series::Balancer(name) => tcp.forget(name),
            Series::Backend(balancer, id) => tcp.forget_backend(balancer, id),
            Series::Acme(listener) => acme.forget(listener),
            Series::Tls(listener) => tls.forget(listener, ["acme", "clients.authorities"]),
            Series::Certificate(listener, name) => tls.forget_certificate(listener, name),
        }
    }
}

/// What a document is counted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Series<'d> {
    Upstream(&'d str),
    Shard(&'d str, &'d str),
    Node(&'d str, &'d str),
    Route(&'d str),
    Cache(&'d str),
    Balancer(&'d str),
    Backend(&'d str, &'d str),
    Acme(&'d str),
    Tls(&'d str),
    Certificate(&'d str, &'d str),
}

impl<'d> Series<'d> {
    fn of(document: &'d Document) -> BTreeSet<Self> {
        let nodes = document.nodes.iter().map(|node| Self::Upstream(&node.id));
        let origins = document.caches.iter().map(|cache| Self::Upstream(cache.origin.address.as_str()));
        let siblings = document.caches.iter().filter_map(|cache| cache.replica.as_ref());
        let siblings = siblings.flat_map(|replica| &replica.siblings).map(|node| Self::Upstream(&node.id));
        let caches = document.caches.iter().map(|cache| Self::Cache(&cache.name));
        let of_route = |route: &'d alongside_document::Route| {
            let nodes = route.shards.iter().flat_map(|shard| &shard.replicas).map(|id| Self::Node(&route.name, id));
            let own = [Self::Route(&route.name)];
            route.shards.iter().map(|shard| Self::Shard(&route.name, &shard.name)).chain(nodes).chain(own)
        };
        let direct = document.routes.iter().filter_map(|route| route.origin.as_ref());
        let origins = origins.chain(direct.map(|origin| Self::Upstream(origin.address.as_str())));
        let of_balancer = |balancer: &'d alongside_document::Tcp| {
            let backends = balancer.backends.iter().map(|backend| Self::Backend(&balancer.name, &backend.id));
            backends.chain([Self::Balancer(&balancer.name)])
        };
        let http = nodes.chain(origins).chain(siblings).chain(caches).chain(document.routes.iter().flat_map(of_route));
        let programs = document.programs.iter().map(|program| Self::Upstream(&program.name));
        let of_tls = |listener: &'d alongside_document::Listener| {
            let tls = listener.tls.iter();
            let certificates = tls.flat_map(|tls| &tls.certificates);
            let certificates = certificates.map(|one| Self::Certificate(&listener.name, &one.name));
            let acme = listener.tls.iter().filter(|tls| tls.acme.is_some());
            let acme = acme.flat_map(|_| [Self::Acme(&listener.name), Self::Certificate(&listener.name, "acme")]);
            certificates.chain(listener.tls.is_some().then_some(Self::Tls(&listener.name))).chain(acme)
        };
        let tls = document.listeners.iter().flat_map(of_tls);
        http.chain(document.tcp.iter().flat_map(of_balancer)).chain(programs).chain(tls).collect()
    }
}
