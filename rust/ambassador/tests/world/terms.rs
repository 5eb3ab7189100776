//! Pools for tests, from the text that a document would have.

use std::sync::Arc;

use alongside_ambassador::core::{Credentials, Terms};
use alongside_ambassador::counters::PoolCounters;
use serde_json::{Value, json};

/// A pool's document: so many servers, `s0` at 127.0.0.1:7000 and on; `more` is put over it.
pub fn document(protocol: &str, servers: usize, more: &Value) -> Value {
    let servers: Vec<Value> =
        (0..servers).map(|i| json!({"name": format!("s{i}"), "address": format!("127.0.0.1:{}", 7000 + i)})).collect();
    let mut pool = json!({
        "name": "pool",
        "protocol": protocol,
        "servers": servers,
        "timeout_ms": 100,
        "connect_timeout_ms": 200,
        "retry_ms": 50,
    });
    for (key, value) in more.as_object().unwrap() {
        pool[key] = value.clone();
    }
    pool
}

/// Terms of such a document, with counters that go on.
pub fn terms_of(document: &Value, counters: &Arc<PoolCounters>) -> Arc<Terms> {
    let pool: alongside_document::Pool = serde_json::from_value(document.clone()).unwrap();
    let credentials = |user: &alongside_document::User| Credentials {
        name: user.name.as_str().to_owned(),
        password: b"secret".to_vec(),
    };
    let users = pool.users.iter().map(credentials).collect();
    let server_user = pool.server_user.as_ref().map(credentials);
    Arc::new(Terms::new(pool, users, server_user, counters.clone()).unwrap())
}

/// Terms for a test that needs one pool.
pub fn terms(protocol: &str, servers: usize, more: &Value) -> Arc<Terms> {
    terms_of(&document(protocol, servers, more), &Arc::default())
}
