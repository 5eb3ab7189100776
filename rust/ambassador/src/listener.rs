//! A listening socket's life: its name stays, which pool its clients come to changes.

use crate::reactor::{Engine, Entrance};
use alongside_document::Limits;
use alongside_tls::Acceptor;
use alongside_transport::accept::{self, Accept, Room};
use alongside_transport::admission::{Admission, Admitted, Full};
use alongside_transport::deadline::Deadline;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// What a listener does with connections; replaced as a whole.
#[derive(Debug)]
pub struct State {
    pool: Arc<str>,
    entrance: Entrance,
    engine: Engine,
    acceptor: Option<Arc<Acceptor>>,
    room: Room,
}

impl State {
    /// Returns a state: clients of the pool of that name, which speak TLS where there is an acceptor.
    #[must_use]
    pub fn new(
        pool: &str,
        entrance: Entrance,
        engine: Engine,
        acceptor: Option<Arc<Acceptor>>,
        limits: &Limits,
    ) -> Self {
        let room = Room::new(limits.connections_max, limits.connections_per_address_max);
        Self { pool: pool.into(), entrance, engine, acceptor, room }
    }
}

/// A listener whose clients come to a pool.
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

    /// Lets connections in, for ever. Each is handed to one of the pools' threads, by TLS when it has shaken hands.
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

    fn has_own_room(&self) -> Result<(), Full> {
        self.state.load().entrance.has_room()
    }

    fn serve(self: &Arc<Self>, stream: TcpStream, _: IpAddr, mut admitted: Admitted) {
        let state = self.state.load_full();
        if let Err(full) = state.entrance.join(&mut admitted) {
            return self.reject(stream, full);
        }
        match state.acceptor.clone() {
            None => hand_over(&state, stream, None, admitted),
            Some(acceptor) => drop(tokio::spawn(shake(Arc::clone(self), acceptor, stream, admitted))),
        }
    }

    fn reject(&self, stream: TcpStream, full: Full) {
        // The client learns at once that it is not served.
        let _ = stream.set_zero_linger();
        self.state.load().entrance.reject(full);
    }
}

async fn shake(listener: Arc<Listener>, acceptor: Arc<Acceptor>, stream: TcpStream, mut admitted: Admitted) {
    let local = stream.local_addr().ok().map(|address| address.ip());
    let deadline = Deadline::new();
    // Who is not in was told why, and counted.
    if let Ok(session) = acceptor.accept(stream, local, &deadline).await {
        let (stream, tls) = session.stream.into_inner();
        // The pool may be another by now.
        let state = listener.state.load();
        match state.entrance.join(&mut admitted) {
            Ok(()) => hand_over(&state, stream, Some(tls), admitted),
            Err(full) => listener.reject(stream, full),
        }
    }
}

fn hand_over(state: &State, stream: TcpStream, tls: Option<rustls::ServerConnection>, admitted: Admitted) {
    // One that cannot be handed over is closed.
    if let Ok(stream) = stream.into_std() {
        state.engine.adopt(&state.pool, stream, tls, admitted);
    }
}
