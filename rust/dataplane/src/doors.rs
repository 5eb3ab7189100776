//! The two doors: status for everyone, admin for the owner.

use crate::apply::Refused;
use crate::control::Control;
use crate::explain::{self, Described};
use alongside_document::{DOCUMENT_BYTES_MAX, Problem};
use alongside_http::answer::Says;
use alongside_http::route::Replica;
use alongside_http::{Arrival, Broken, Exchange, Service, Stream, answer};
use alongside_protocols::RequestHead;
use serde_json::{Value, json};
use std::sync::Arc;

/// The largest body of a purge in bytes.
const PURGE_BYTES_MAX: usize = 64 * 1024;

/// A door.
pub struct Door {
    control: Arc<Control>,
    is_admin: bool,
}

/// What was asked at a door.
pub struct Call {
    method: String,
    path: String,
    query: String,
}

/// What a door answers.
struct Reply {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Reply {
    fn json(status: u16, value: &Value) -> Self {
        Self { status, content_type: "application/json", body: format!("{value}\n").into_bytes() }
    }

    fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{text}\n").into_bytes() }
    }

    fn error(status: u16, what: &str) -> Self {
        Self::json(status, &json!({ "error": what }))
    }
}

impl Door {
    /// Returns the door that everyone may knock at.
    pub const fn status(control: Arc<Control>) -> Self {
        Self { control, is_admin: false }
    }

    /// Returns the owner's door.
    pub const fn admin(control: Arc<Control>) -> Self {
        Self { control, is_admin: true }
    }

    async fn reply<S: Stream>(&self, call: &Call, exchange: &mut Exchange<'_, S>) -> Reply {
        match (call.method.as_str(), call.path.as_str()) {
            ("GET" | "HEAD", "/healthz") => Reply::text(200, "ok"),
            ("GET" | "HEAD", "/readyz") => {
                self.control.unready().map_or_else(|| Reply::text(200, "ready"), |why| Reply::text(503, &why))
            }
            ("GET" | "HEAD", "/version") => Reply::json(200, &self.control.version()),
            ("GET" | "HEAD", "/metrics") => self.metrics(),
            ("GET" | "HEAD", "/snapshot") if self.is_admin => Reply::json(200, &self.control.snapshot()),
            ("GET" | "HEAD", "/explain") if self.is_admin => self.explain(&call.query).await,
            ("PUT", "/document") if self.is_admin => match exchange.collect_body(DOCUMENT_BYTES_MAX).await {
                Some(bytes) => self.put(&bytes),
                None => Reply::error(413, "the document is longer than 16 MiB or did not arrive whole"),
            },
            ("POST", "/purge") if self.is_admin => match exchange.collect_body(PURGE_BYTES_MAX).await {
                Some(bytes) => self.purge(&bytes),
                None => Reply::error(413, "the body is longer than 64 KiB or did not arrive whole"),
            },
            ("POST", "/serve") if self.is_admin => match self.control.serve() {
                true => Reply::json(200, &json!({ "serving": true })),
                false => Reply::error(409, "the process is ending"),
            },
            ("POST", "/drain") if self.is_admin => {
                self.control.drain();
                Reply::json(202, &json!({ "draining": true }))
            }
            (_, "/healthz" | "/readyz" | "/version" | "/metrics") => Reply::error(405, "this door is read with GET"),
            (_, path) => Reply::error(404, &format!("there is nothing at {path}")),
        }
    }

    fn metrics(&self) -> Reply {
        Reply {
            status: 200,
            content_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: self.control.metrics().into_bytes(),
        }
    }

    async fn explain(&self, query: &str) -> Reply {
        if let Some(name) = explain::value(query, "tcp") {
            let found = self.control.balancer(&name);
            return found.map_or_else(|why| Reply::error(404, &why), |it| Reply::json(200, &explain::balancer(&it)));
        }
        if let Some(name) = explain::value(query, "pool") {
            let Some(key) = explain::bytes(query, "key") else {
                return Reply::error(400, "key is missing; write ?pool=NAME&key=KEY");
            };
            let found = self.control.pool(&name, &key).await;
            return found.map_or_else(
                |why| Reply::error(404, &why),
                |(terms, explained)| Reply::json(200, &explain::pooled::key(&terms, &key, &explained)),
            );
        }
        let described = match Described::read(query) {
            Ok(described) => described,
            Err(why) => return Reply::error(400, &why),
        };
        match self.control.route(explain::value(query, "route").as_deref()) {
            Ok(route) => {
                let found = described.by(&route);
                let replicas: Vec<Value> = found.replicas.iter().map(replica).collect();
                Reply::json(
                    200,
                    &json!({
                        "route": route.name(),
                        "key": found.key,
                        "hash": found.hash,
                        "shard": found.shard,
                        "replicas": replicas,
                        "now": found.now,
                    }),
                )
            }
            Err(why) => Reply::error(404, &why),
        }
    }

    fn put(&self, bytes: &[u8]) -> Reply {
        let document = match alongside_document::parse(bytes) {
            Ok(document) => document,
            Err(problems) => return wrong(400, &problems),
        };
        let (epoch, generation) = (document.epoch, document.generation);
        match self.control.apply(document) {
            Ok(applied) => Reply::json(200, &json!({ "epoch": epoch, "generation": generation, "applied": applied })),
            Err(refused @ Refused::Wrong(_)) => wrong(400, &refused.problems()),
            Err(refused) => wrong(409, &refused.problems()),
        }
    }

    fn purge(&self, bytes: &[u8]) -> Reply {
        let asked: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let Some(url) = asked["url"].as_str() else {
            return Reply::error(400, "url is missing; write {\"url\": \"http://host/path\"}");
        };
        match self.control.purge(asked["cache"].as_str(), url) {
            Ok(purged) => Reply::json(200, &json!({ "purged": purged })),
            Err(why) => Reply::error(400, &why),
        }
    }
}

fn replica(node: &Replica) -> Value {
    json!({
        "id": node.id,
        "address": node.address,
        "share": f64::from(node.share) / 100.0,
        "warmth": f64::from(node.warmth) / 100.0,
        "in_flight": node.in_flight,
        "waiting": node.waiting,
        "not_used": node.reason,
    })
}

fn wrong(status: u16, problems: &[Problem]) -> Reply {
    let errors: Vec<Value> =
        problems.iter().map(|problem| json!({ "path": problem.path, "message": problem.message() })).collect();
    Reply::json(status, &json!({ "errors": errors }))
}

impl Service for Door {
    type Plan = Call;

    fn plan(&self, head: &RequestHead<'_, '_>, _: &Arrival<'_>, _: &mut Vec<u8>) -> Call {
        let target = String::from_utf8_lossy(head.target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Call { method: head.method.to_owned(), path: path.to_owned(), query: query.to_owned() }
    }

    async fn run<S: Stream>(&self, call: Call, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        let reply = self.reply(&call, exchange).await;
        let flags = (exchange.facts.is_head, !exchange.keep_alive);
        exchange.output.clear();
        let allow = (reply.status == 405).then_some("GET, HEAD");
        let says = Says { status: reply.status, content_type: reply.content_type, allow };
        exchange.trail.body_bytes = answer::write(says, &reply.body, flags, &mut exchange.output) as u64;
        exchange.send(reply.status).await
    }
}
