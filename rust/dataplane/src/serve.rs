//! What a listener can serve.

use alongside_cache::{Cache, Planned};
use alongside_http::route::{Placed, Route};
use alongside_http::{Arrival, Broken, Exchange, Service, Stream};
use alongside_protocols::RequestHead;
use std::sync::Arc;

/// A route or a cache.
#[derive(Debug)]
pub enum Served {
    /// Sends requests on to the shards of their keys.
    Route(Arc<Route>),
    /// Keeps an origin's answers.
    Cache(Arc<Cache>),
}

/// The plan of either.
#[derive(Debug)]
pub enum Plan {
    /// A placed request.
    Route(Placed),
    /// A hit, a miss or a bypass.
    Cache(Planned),
}

impl Service for Served {
    type Plan = Plan;

    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Plan {
        match self {
            Self::Route(route) => Plan::Route(route.plan(head, arrival, output)),
            Self::Cache(cache) => Plan::Cache(cache.plan(head, arrival, output)),
        }
    }

    async fn run<S: Stream>(&self, plan: Plan, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        match (self, plan) {
            (Self::Route(route), Plan::Route(placed)) => route.run(placed, exchange).await,
            (Self::Cache(cache), Plan::Cache(planned)) => cache.run(planned, exchange).await,
            // A plan is carried out by the state that made it.
            _ => Err(Broken),
        }
    }
}
