//! UNIX sockets where clients of pools connect.

use crate::refused::{Refused, refuse_socket};
use alongside_ambassador::Engine;
use alongside_ambassador::reactor::Entrance;
use alongside_document::{ClientSocket, Document};
use alongside_transport::accept::{ACCEPT_PAUSE, Failures};
use alongside_transport::admission::{Admission, Admitted, Full};
use alongside_transport::listen::{self, SocketFile};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::task::AbortHandle;

/// What becomes of who connects.
#[derive(Debug)]
struct State {
    pool: Arc<str>,
    entrance: Entrance,
    connections_max: usize,
}

impl State {
    fn admit(&self, admission: &Arc<Admission>) -> Result<Admitted, Full> {
        let mut admitted = admission.admit(Ipv4Addr::LOCALHOST.into(), self.connections_max, None)?;
        self.entrance.join(&mut admitted)?;
        Ok(admitted)
    }
}

/// A socket that is bound, and serves nobody yet.
#[derive(Debug)]
pub struct Bound {
    written: ClientSocket,
    socket: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct Local {
    mode: u32,
    file: SocketFile,
    state: Arc<ArcSwap<State>>,
    task: AbortHandle,
}

/// The sockets that serve, by path.
#[derive(Debug, Default)]
pub struct Locals(BTreeMap<String, Local>);

impl Locals {
    /// Binds the sockets that a document adds, all or none.
    ///
    /// # Errors
    /// Why one of them cannot be had.
    pub fn bind(&self, document: &Document) -> Result<Vec<Bound>, Refused> {
        let mut bound = Vec::new();
        for (index, pool) in document.pools.iter().enumerate() {
            let Some(written) = &pool.socket else { continue };
            if self.0.contains_key(&written.path.to_string()) {
                continue;
            }
            match bind(written) {
                Ok(one) => bound.push(one),
                Err(error) => {
                    bound.iter().for_each(|one| one.file.remove());
                    return Err(refuse_socket((index, pool.name.as_str()), written.path.as_path(), &error));
                }
            }
        }
        Ok(bound)
    }

    /// Serves what a document names, by what was bound for it, and no more what it does not name. Its pools are in force at
    /// the engine.
    pub fn follow(&mut self, document: &Document, bound: Vec<Bound>, engine: &Engine, admission: &Arc<Admission>) {
        let mut before = std::mem::take(&mut self.0);
        let mut bound: BTreeMap<String, Bound> =
            bound.into_iter().map(|one| (one.written.path.to_string(), one)).collect();
        let pools = engine.pools();
        for pool in &document.pools {
            let (Some(wanted), Some(served)) = (&pool.socket, pools.get(pool.name.as_str())) else { continue };
            let path = wanted.path.to_string();
            let connections_max = document.limits.connections_max as usize;
            let state = State { pool: pool.name.as_str().into(), entrance: served.entrance(), connections_max };
            if let Some(Bound { written, socket, file }) = bound.remove(&path) {
                let state = Arc::new(ArcSwap::from_pointee(state));
                tracing::info!(event = "listening", listener = pool.name.as_str(), address = path);
                let task = tokio::spawn(accept(socket, Arc::clone(&state), engine.clone(), Arc::clone(admission)));
                self.0.insert(path, Local { mode: written.mode, file, state, task: task.abort_handle() });
            } else if let Some(mut local) = before.remove(&path) {
                local.set_mode(wanted);
                local.state.store(Arc::new(state));
                self.0.insert(path, local);
            }
        }
        before.into_values().for_each(Local::end);
    }

    /// Lets nobody in any more, and leaves no file behind.
    pub fn close(&mut self) {
        std::mem::take(&mut self.0).into_values().for_each(Local::end);
    }
}

impl Local {
    fn set_mode(&mut self, wanted: &ClientSocket) {
        if std::mem::replace(&mut self.mode, wanted.mode) != wanted.mode
            && let Err(error) = self.file.set_mode(wanted.mode)
        {
            tracing::warn!(event = "socket_mode_not_set", path = %wanted.path, error = %error);
        }
    }

    fn end(self) {
        self.task.abort();
        // Where the same path was bound anew, the file is another's.
        self.file.remove();
    }
}

fn bind(written: &ClientSocket) -> io::Result<Bound> {
    let (socket, file) = listen::bind_file(written.path.as_path(), written.mode)?;
    socket.set_nonblocking(true)?;
    Ok(Bound { written: written.clone(), socket: UnixListener::from_std(socket)?, file })
}

async fn accept(socket: UnixListener, state: Arc<ArcSwap<State>>, engine: Engine, admission: Arc<Admission>) {
    let mut failures = Failures::default();
    loop {
        match socket.accept().await {
            Ok((stream, _)) => {
                let state = state.load();
                match state.admit(&admission) {
                    Ok(admitted) => {
                        // One that cannot be handed over is closed.
                        if let Ok(stream) = stream.into_std() {
                            engine.adopt_local(&state.pool, stream, admitted);
                        }
                    }
                    Err(full) => state.entrance.reject(full),
                }
            }
            Err(error) => {
                failures.tell(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
