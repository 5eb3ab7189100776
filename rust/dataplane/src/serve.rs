//! What a listener can serve.

use alongside_cache::{Cache, Planned};
use alongside_document::Document;
use alongside_http::listener::{Listener, State};
use alongside_http::metrics::ListenerMetrics;
use alongside_http::program::{Passed, Program};
use alongside_http::redirect::{Answered, Redirect};
use alongside_http::route::{Placed, Route};
use alongside_http::{Arrival, Broken, Exchange, Service, Stream};
use alongside_protocols::RequestHead;
use alongside_transport::admission::Admission;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What answers requests.
#[derive(Debug)]
pub enum Served {
    /// Sends requests on to the shards of their keys.
    Route(Arc<Route>),
    /// Keeps an origin's answers.
    Cache(Arc<Cache>),
    /// Passes requests on to a program as they are.
    Program(Arc<Program>),
    /// Sends everybody to TLS.
    Redirect(Arc<Redirect>),
}

/// The plan of any of them.
#[derive(Debug)]
pub enum Plan {
    /// A placed request.
    Route(Placed),
    /// A hit, a miss or a bypass.
    Cache(Planned),
    /// On to the program.
    Program(Passed),
    /// An answer that is ready.
    Redirect(Answered),
}

impl Service for Served {
    type Plan = Plan;

    fn plan(&self, head: &RequestHead<'_, '_>, arrival: &Arrival<'_>, output: &mut Vec<u8>) -> Plan {
        match self {
            Self::Route(route) => Plan::Route(route.plan(head, arrival, output)),
            Self::Cache(cache) => Plan::Cache(cache.plan(head, arrival, output)),
            Self::Program(program) => Plan::Program(program.plan(head, arrival, output)),
            Self::Redirect(redirect) => Plan::Redirect(redirect.plan(head, arrival, output)),
        }
    }

    async fn run<S: Stream>(&self, plan: Plan, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        match (self, plan) {
            (Self::Route(route), Plan::Route(placed)) => route.run(placed, exchange).await,
            (Self::Cache(cache), Plan::Cache(planned)) => cache.run(planned, exchange).await,
            (Self::Program(program), Plan::Program(passed)) => program.run(passed, exchange).await,
            (Self::Redirect(redirect), Plan::Redirect(answered)) => redirect.run(answered, exchange).await,
            // A plan is carried out by the state that made it.
            _ => Err(Broken),
        }
    }
}

/// What a listener does by its document.
#[derive(Debug)]
pub enum Serves {
    /// It answers requests.
    Http(Box<State<Served>>),
    /// It passes connections on.
    Tcp(alongside_tcp::State),
    /// Its clients come to a pool.
    Pool(alongside_ambassador::State),
}

/// What a listener's connections are for; one that changes it gets a socket's handle of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Http,
    /// Whatever they carry.
    Tcp,
    /// Commands for a pool.
    Pool,
}

impl Kind {
    /// Returns what a document's listener is for that serves this.
    pub fn of(document: &Document, serves: &str) -> Self {
        if document.tcp.iter().any(|balancer| *balancer.name == *serves) {
            Self::Tcp
        } else if document.pools.iter().any(|pool| *pool.name == *serves) {
            Self::Pool
        } else {
            Self::Http
        }
    }
}

/// A listener of any protocol.
#[derive(Debug, Clone)]
pub enum Entrance {
    /// Requests are answered.
    Http(Arc<Listener<Served>>),
    /// Connections are passed on.
    Tcp(Arc<alongside_tcp::Listener>),
    /// Clients come to a pool.
    Pool(Arc<alongside_ambassador::Listener>),
}

impl Entrance {
    /// Returns a listener that does this.
    pub fn new(serves: Serves, metrics: impl FnOnce() -> ListenerMetrics, admission: &Arc<Admission>) -> Self {
        let admission = Arc::clone(admission);
        match serves {
            Serves::Http(state) => Self::Http(Arc::new(Listener::new(*state, metrics(), admission))),
            Serves::Tcp(state) => Self::Tcp(Arc::new(alongside_tcp::Listener::new(state, admission))),
            Serves::Pool(state) => Self::Pool(Arc::new(alongside_ambassador::Listener::new(state, admission))),
        }
    }

    /// Does this from now on; what asks for another protocol gets a listener of its own.
    pub fn follow(&self, serves: Serves) {
        match (self, serves) {
            (Self::Http(listener), Serves::Http(state)) => listener.state.store(Arc::from(state)),
            (Self::Tcp(listener), Serves::Tcp(state)) => listener.state.store(Arc::new(state)),
            (Self::Pool(listener), Serves::Pool(state)) => listener.state.store(Arc::new(state)),
            _ => {}
        }
    }

    /// What its connections are for.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Http(_) => Kind::Http,
            Self::Tcp(_) => Kind::Tcp,
            Self::Pool(_) => Kind::Pool,
        }
    }

    /// Lets connections in, for ever.
    pub async fn accept(self, socket: TcpListener) {
        match self {
            Self::Http(listener) => listener.accept(socket).await,
            Self::Tcp(listener) => listener.accept(socket).await,
            Self::Pool(listener) => listener.accept(socket).await,
        }
    }

    /// Lets every connection end after its next answer; what is passed on goes on, and clients of a pool that stays.
    pub fn retire(&self) {
        if let Self::Http(listener) = self {
            listener.retire();
        }
    }
}
