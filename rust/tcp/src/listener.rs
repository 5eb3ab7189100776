//! A listening socket's life: its name stays, what its connections are joined to changes.

use crate::balancer::Balancer;
use crate::connection;
use crate::metrics::Outcome;
use alongside_document::Limits;
use alongside_transport::accept::{self, Accept, Room};
use alongside_transport::admission::{Admission, Admitted, Full};
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// What a listener does with connections; replaced as a whole.
#[derive(Debug)]
pub struct State {
    balancer: Arc<Balancer>,
    room: Room,
}

impl State {
    /// Returns a state.
    #[must_use]
    pub fn new(balancer: Arc<Balancer>, limits: &Limits) -> Self {
        Self { balancer, room: Room::new(limits.connections_max, limits.connections_per_address_max) }
    }
}

/// A listener whose connections are passed on.
#[derive(Debug)]
pub struct Listener {
    /// What it does now.
    pub state: ArcSwap<State>,
    /// The connections of the whole process.
    admission: Arc<Admission>,
}

impl Listener {
    /// Returns a listener that does this.
    #[must_use]
    pub fn new(state: State, admission: Arc<Admission>) -> Self {
        Self { state: ArcSwap::from_pointee(state), admission }
    }

    /// Lets connections in, for ever. Each becomes a task of this thread.
    pub async fn accept(self: Arc<Self>, socket: TcpListener) {
        accept::connections(self, socket).await;
    }
}

impl Accept for Listener {
    fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    fn room(&self) -> Room {
        self.state.load().room
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, _: IpAddr, admitted: Admitted) {
        let balancer = Arc::clone(&self.state.load().balancer);
        if balancer.is_empty() {
            connection::reset(&stream);
            return balancer.metrics.over(Outcome::NoBackend);
        }
        tokio::spawn(async move {
            connection::serve(stream, balancer).await;
            drop(admitted);
        });
    }

    fn reject(&self, stream: TcpStream, full: Full) {
        connection::reset(&stream);
        self.state.load().balancer.metrics.rejected(full);
    }
}
