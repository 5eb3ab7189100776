//! What must hold between the parts of a document, checked on JSON so that one bad part does not hide the others.

use std::collections::{HashMap, HashSet};

use alongside_placement::{Function, Placement, PlacementError, Shard};
use serde_json::Value;

use crate::problem::{Problem, shown};
use crate::texts::Address;

/// A text and the path where it stands.
type Placed<'v> = (String, &'v str);

/// The lists of what listeners serve.
const SERVED: [&str; 6] = ["routes", "caches", "tcp", "programs", "redirects", "pools"];

/// From so many problems on no near name is looked for: it takes as long as there are names.
const NEAREST_MAX: usize = 100;

/// Return every duplicate, dangling reference, collision and impossible ring.
pub(crate) fn problems(document: &Value) -> Vec<Problem> {
    let mut found = Vec::new();
    unique(&texts(document, "listeners", "name"), &mut found);
    unique(&texts(document, "nodes", "id"), &mut found);
    let mut served = texts(document, "routes", "name");
    SERVED.iter().skip(1).for_each(|list| served.extend(texts(document, list, "name")));
    unique(&served, &mut found);
    if SERVED.iter().all(|list| is_list(document, list)) {
        let what = "no route, cache, balancer, program, redirect or pool has this name";
        refer(&texts(document, "listeners", "serves"), &known(&served), what, &mut found);
    }
    addresses(document, &mut found);
    let nodes = texts(document, "nodes", "id");
    let nodes = is_list(document, "nodes").then(|| known(&nodes));
    for (path, route) in entries(document, "", "routes") {
        shards(nodes.as_ref(), &path, route, &mut found);
    }
    for (path, cache) in entries(document, "", "caches") {
        object_size(&path, cache, &mut found);
        siblings(&path, cache, &mut found);
    }
    passing_on(document, &mut found);
    pooling(document, &mut found);
    encrypting(document, &mut found);
    for (path, balancer) in entries(document, "", "tcp") {
        let backends = entries(balancer, &path, "backends");
        let ids: Vec<Placed> = backends.iter().filter_map(|(path, backend)| text(path, backend, "id")).collect();
        unique(&ids, &mut found);
    }
    found
}

/// Check that no listener believes fields that it does not read.
fn passing_on(document: &Value, found: &mut Vec<Problem>) {
    let balancers = texts(document, "tcp", "name");
    let balancers = known(&balancers);
    for (path, listener) in entries(document, "", "listeners") {
        let passes_on = listener["serves"].as_str().is_some_and(|name| balancers.contains(name));
        if passes_on && listener["inner"].as_array().is_some_and(|inner| !inner.is_empty()) {
            let what = "the balancer that it serves reads no fields";
            found.push(Problem::new(format!("{path}.inner"), what, "leave it out"));
        }
        if passes_on && !listener["tls"].is_null() {
            let what = "the balancer that it serves passes everything on as it is";
            found.push(Problem::new(format!("{path}.tls"), what, "leave it out, or serve a program"));
        }
        if passes_on && listener["proxies"].as_array().is_some_and(|proxies| !proxies.is_empty()) {
            let what = "the balancer that it serves passes everything on as it is";
            found.push(Problem::new(format!("{path}.proxies"), what, "leave it out"));
        }
    }
}

/// Check each pool's servers, and that no listener of one believes fields that it does not read.
fn pooling(document: &Value, found: &mut Vec<Problem>) {
    let pools = texts(document, "pools", "name");
    let pools = known(&pools);
    for (path, listener) in entries(document, "", "listeners") {
        let is_of_pool = listener["serves"].as_str().is_some_and(|name| pools.contains(name));
        if is_of_pool && listener["inner"].as_array().is_some_and(|inner| !inner.is_empty()) {
            let what = "the pool that it serves reads no fields";
            found.push(Problem::new(format!("{path}.inner"), what, "leave it out"));
        }
    }
    let mut sockets = Vec::new();
    for (path, pool) in entries(document, "", "pools") {
        let servers = entries(pool, &path, "servers");
        let names: Vec<Placed> = servers.iter().filter_map(|(path, server)| text(path, server, "name")).collect();
        unique(&names, found);
        sockets.extend(text(&format!("{path}.socket"), &pool["socket"], "path"));
        let users = entries(pool, &path, "users");
        let names: Vec<Placed> = users.iter().filter_map(|(path, user)| text(path, user, "name")).collect();
        unique(&names, found);
        of_protocol(&path, pool, found);
        let placement = &pool["placement"];
        if placement["compatible_with"] == "nginx" && placement["function"] == "random" {
            let at = format!("{path}.placement.function");
            found.push(Problem::new(at, "nginx places by no chance", "write ketama or modulo, or leave nginx out"));
        }
    }
    unique(&sockets, found);
}

/// Check that a pool asks for nothing that its protocol does not have.
fn of_protocol(path: &str, pool: &Value, found: &mut Vec<Problem>) {
    let has = |field: &str| match &pool[field] {
        Value::Array(items) => !items.is_empty(),
        Value::Number(number) => number.as_u64() != Some(0),
        Value::Bool(is_so) => *is_so,
        other => !other.is_null(),
    };
    let (others, whose) = match pool["protocol"].as_str() {
        Some("memcache") => (["users", "server_user", "database"].as_slice(), "Redis"),
        Some("redis") => (["may_flush"].as_slice(), "memcache"),
        _ => return,
    };
    for field in others.iter().filter(|field| has(field)) {
        found.push(Problem::new(format!("{path}.{field}"), format!("only {whose} has it"), "leave it out"));
    }
}

/// Check each listener's TLS: its certificates' names, its default among them, and that there is something to show.
fn encrypting(document: &Value, found: &mut Vec<Problem>) {
    let redirects = texts(document, "redirects", "name");
    let redirects = known(&redirects);
    for (path, listener) in entries(document, "", "listeners") {
        let (path, tls) = (format!("{path}.tls"), &listener["tls"]);
        if !tls.is_object() {
            continue;
        }
        if listener["serves"].as_str().is_some_and(|name| redirects.contains(name)) {
            found.push(Problem::new(&path, "a redirect to TLS is reached without it", "leave it out"));
        }
        let certificates = entries(tls, &path, "certificates");
        let names: Vec<Placed> = certificates.iter().filter_map(|(path, one)| text(path, one, "name")).collect();
        unique(&names, found);
        let has_none = tls.get("certificates").is_none_or(|list| list.as_array().is_some_and(Vec::is_empty));
        if has_none && tls["acme"].is_null() {
            let remedy = "name one, or an authority in `acme`";
            found.push(Problem::new(format!("{path}.certificates"), "there is no certificate", remedy));
        }
        if is_list(tls, "certificates") {
            let default: Vec<Placed> = text(&path, tls, "default").into_iter().collect();
            refer(&default, &known(&names), "no certificate of this listener has this name", found);
        }
    }
}

/// Check a route's shards: their names, their replicas among the nodes, their ring.
fn shards(nodes: Option<&HashSet<&str>>, path: &str, route: &Value, found: &mut Vec<Problem>) {
    let before = found.len();
    let shards = entries(route, path, "shards");
    let names: Vec<Placed> = shards.iter().filter_map(|(path, shard)| text(path, shard, "name")).collect();
    unique(&names, found);
    for (path, shard) in &shards {
        let replicas: Vec<Placed> = entries(shard, path, "replicas")
            .into_iter()
            .filter_map(|(path, replica)| Some((path, replica.as_str()?)))
            .collect();
        unique(&replicas, found);
        if let Some(nodes) = nodes {
            refer(&replicas, nodes, "no node has this id", found);
        }
    }
    if found.len() == before {
        ring(path, route, &shards, found);
    }
}

/// Make the ring for trial, if all of it is well formed.
fn ring(path: &str, route: &Value, shards: &[(String, &Value)], found: &mut Vec<Problem>) {
    let function = match route["function"].as_str() {
        Some("modulo") => Function::Modulo,
        Some("ketama") => Function::Ketama,
        _ => return,
    };
    let weight_of =
        |shard: &Value| shard.get("weight").map_or(Some(1), Value::as_u64).and_then(|it| it.try_into().ok());
    let of_json = |shard: &Value| Some(Shard { name: shard["name"].as_str()?.to_owned(), weight: weight_of(shard)? });
    let listed: Option<Vec<Shard>> = shards.iter().map(|(_, shard)| of_json(shard)).collect();
    let Some(listed) = listed.filter(|listed| listed.iter().all(|shard| shard.weight > 0)) else { return };
    match Placement::new(function, &listed) {
        // An empty list is reported where its shape is checked.
        Ok(_) | Err(PlacementError::Empty) => {}
        Err(error) => {
            let at =
                error.index().map_or_else(|| format!("{path}.shards"), |index| format!("{}.name", shards[index].0));
            let sentence = error.to_string();
            let (what, remedy) = sentence.split_once("; ").unwrap_or((&sentence, "rename the shards"));
            found.push(Problem::new(at, what, remedy));
        }
    }
}

/// Check that a replica is not its own sibling, and has each of them once.
fn siblings(path: &str, cache: &Value, found: &mut Vec<Problem>) {
    let (path, replica) = (format!("{path}.replica"), &cache["replica"]);
    let mut ids: Vec<Placed> = text(&path, replica, "id").into_iter().collect();
    let others = entries(replica, &path, "siblings");
    ids.extend(others.iter().filter_map(|(path, sibling)| text(path, sibling, "id")));
    unique(&ids, found);
}

/// The largest answer's part of the memory, one in so many: it is on its way before it is stored.
const OBJECT_PART: u64 = 4;

/// Check that an answer that may be kept fits into its cache.
fn object_size(path: &str, cache: &Value, found: &mut Vec<Problem>) {
    if let (Some(object), Some(memory)) = (cache["object_bytes_max"].as_u64(), cache["memory_bytes"].as_u64())
        && object > memory / OBJECT_PART
    {
        let what = format!("{object} is more than a quarter of the cache's memory_bytes");
        let remedy = format!("write at most {}", memory / OBJECT_PART);
        found.push(Problem::new(format!("{path}.object_bytes_max"), what, remedy));
    }
}

/// Check that no two doors of the process want the same address; port 0 is never the same.
fn addresses(document: &Value, found: &mut Vec<Problem>) {
    let mut placed = texts(document, "listeners", "address");
    placed.extend(text("status", &document["status"], "address"));
    placed.extend(text("twemproxy_stats", &document["twemproxy_stats"], "address"));
    let mut earlier: Vec<(String, Address)> = Vec::new();
    for (path, text) in placed {
        let Ok(address) = text.parse::<Address>() else { continue };
        if let Some((other, _)) = earlier.iter().find(|(_, other)| collide(other, &address)) {
            let what = format!("{} is taken by {other}", shown(&Value::from(text)));
            found.push(Problem::new(path.clone(), what, "choose another port"));
        }
        earlier.push((path, address));
    }
}

fn collide(one: &Address, other: &Address) -> bool {
    let is_wildcard = |address: &Address| address.ip().is_some_and(|ip| ip.is_unspecified());
    let is_same = match (one.ip(), other.ip()) {
        (Some(one), Some(other)) => one.to_canonical() == other.to_canonical(),
        _ => one.host().eq_ignore_ascii_case(other.host()),
    };
    one.port() != 0 && one.port() == other.port() && (is_same || is_wildcard(one) || is_wildcard(other))
}

/// Complain of every text that stood before.
fn unique(placed: &[Placed], found: &mut Vec<Problem>) {
    let mut earlier: HashMap<&str, &str> = HashMap::new();
    for (path, text) in placed {
        if let Some(first) = earlier.get(text) {
            let what = format!("{} is used by {first} already", shown(&Value::from(*text)));
            found.push(Problem::new(path, what, "choose another"));
        } else {
            earlier.insert(text, path);
        }
    }
}

fn known<'v>(targets: &[Placed<'v>]) -> HashSet<&'v str> {
    targets.iter().map(|(_, text)| *text).collect()
}

/// Complain of every text that is not among the targets, naming the nearest.
fn refer(placed: &[Placed], known: &HashSet<&str>, what: &str, found: &mut Vec<Problem>) {
    for (path, text) in placed.iter().filter(|(_, text)| !known.contains(text)) {
        let among = known.iter().take(if found.len() < NEAREST_MAX { usize::MAX } else { 0 });
        let nearest = among.min_by_key(|name| (strsim::damerau_levenshtein(text, name), **name));
        let remedy = match nearest {
            Some(name) => format!("define it, or write another, such as {}", shown(&Value::from(*name))),
            None => "define it".into(),
        };
        found.push(Problem::new(path, format!("{}: {what}", shown(&Value::from(*text))), remedy));
    }
}

/// Tell whether a field holds a list or nothing, so that references into it can be judged.
fn is_list(document: &Value, field: &str) -> bool {
    document.get(field).is_none_or(Value::is_array)
}

/// Return the entries of a list with their paths; none where it is no list.
fn entries<'v>(parent: &'v Value, path: &str, field: &str) -> Vec<(String, &'v Value)> {
    let path = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
    let items = parent[field].as_array().into_iter().flatten().enumerate();
    items.map(|(index, item)| (format!("{path}[{index}]"), item)).collect()
}

/// Return a field's text with its path, if it is one.
fn text<'v>(path: &str, parent: &'v Value, field: &str) -> Option<Placed<'v>> {
    Some((format!("{path}.{field}"), parent[field].as_str()?))
}

/// Return one text of each entry of a list of the document.
fn texts<'v>(document: &'v Value, list: &str, field: &str) -> Vec<Placed<'v>> {
    entries(document, "", list).iter().filter_map(|(path, entry)| text(path, entry, field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_for_near_names_only_for_the_first_problems() {
        let nodes: Vec<Value> = (0..500).map(|i| serde_json::json!({ "id": format!("node-{i}") })).collect();
        let replicas: Vec<String> = (0..500).map(|i| format!("nude-{i}")).collect();
        let shards = serde_json::json!([{ "name": "a", "replicas": replicas }]);
        let document = serde_json::json!({ "nodes": nodes, "routes": [{ "name": "r", "shards": shards }] });
        let found = problems(&document);
        let near = found.iter().filter(|problem| problem.to_string().contains("such as \"node-")).count();
        assert_eq!((found.len(), near), (500, NEAREST_MAX));
    }
}
