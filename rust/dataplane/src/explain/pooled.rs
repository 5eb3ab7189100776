//! Explaining pools: how their servers stand, and where a key goes.

use alongside_ambassador::core::{Explained, Terms};
use alongside_ambassador::counters::{ServerCounters, Standing};
use alongside_ambassador::reactor::Served;
use alongside_document::{PoolFunction, PoolProtocol, Server};
use serde_json::{Value, json};

/// The keys that are shown of those that are asked for most.
const TOP_KEYS: usize = 10;

/// Returns how a pool is doing.
pub fn shown(served: &Served) -> Value {
    let (pool, sum) = (&served.terms.pool, served.terms.counters.sum());
    let servers: Vec<Value> = pool
        .servers
        .iter()
        .zip(&served.terms.servers)
        .map(|(server, counters)| server_shown(server, counters))
        .collect();
    let top = served.terms.counters.top(TOP_KEYS).into_iter();
    json!({
        "name": pool.name.as_str(),
        "protocol": match pool.protocol {
            PoolProtocol::Memcache => "memcache",
            PoolProtocol::Redis => "redis",
        },
        "clients": sum.client_connections,
        "commands": sum.commands,
        "in_flight": sum.waiting,
        "servers": servers,
        "top_keys": top.map(|(key, times)| json!({ "key": text(&key), "commands": times })).collect::<Vec<_>>(),
    })
}

fn server_shown(server: &Server, counters: &ServerCounters) -> Value {
    let sum = counters.sum();
    json!({
        "name": server.name.as_str(),
        "address": server.address.as_str(),
        "weight": server.weight,
        "standing": counters.standing().as_str(),
        "connections": sum.server_connections,
        "commands": sum.requests,
        "in_flight": sum.in_queue + sum.out_queue,
        "failed": sum.failed,
        "timed_out": sum.timed_out,
    })
}

/// Returns where a key goes, and why.
pub fn key(terms: &Terms, key: &[u8], explained: &Explained) -> Value {
    let server = |index: usize| {
        terms.pool.servers.get(index).zip(terms.servers.get(index)).map(|(it, counters)| server_shown(it, counters))
    };
    // Where chance decides, no server is a key's own.
    let is_random = terms.pool.placement.function == PoolFunction::Random;
    let home = Some(explained.home).filter(|_| !is_random);
    json!({
        "pool": terms.pool.name.as_str(),
        "key": text(key),
        "tagged": text(&explained.tagged),
        "hash": explained.hash,
        "server": explained.server.and_then(server),
        "home": home.and_then(server),
        "why": why(terms, explained, home),
    })
}

fn why(terms: &Terms, explained: &Explained, home: Option<usize>) -> String {
    match (explained.server, home) {
        (None, _) => "every server is ejected".to_owned(),
        (Some(_), None) => "chance chooses among the servers that are not ejected, for each command anew".to_owned(),
        (Some(now), Some(home)) if now != home => {
            let name = terms.pool.servers.get(home).map_or("", |server| server.name.as_str());
            format!("its own server {name:?} is ejected")
        }
        (Some(_), Some(_)) if explained.standing == Standing::Good => "its hash chooses this server".to_owned(),
        (Some(_), Some(_)) => {
            "its hash chooses this server, which cannot be reached: its commands fail until it can".to_owned()
        }
    }
}

/// Returns a key as text; bytes that are no UTF-8 are replaced.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
