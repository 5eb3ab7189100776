//! The threads that serve: each has a runtime, a clock and pools of its own, and shares nothing it waits for.

use crate::serve::Served;
use alongside_http::listener::Listener;
use alongside_transport::{deadline, pool};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// Ticks between two looks through the pools.
const TICKS_PER_SWEEP: u32 = 8;

/// What a worker is told. The channel holds a few of these in a process's life.
#[derive(Debug)]
pub enum Command {
    /// Let connections of this listener in.
    Serve {
        /// The listener's name.
        name: String,
        /// Its state and counters.
        listener: Arc<Listener<Served>>,
        /// The worker's own handle of the socket.
        socket: TcpListener,
    },
    /// Let no more connections of the named listener in.
    Retire {
        /// The listener's name.
        name: String,
        /// Dropped when the socket is closed.
        done: std::sync::mpsc::Sender<()>,
    },
    /// Let no more connections in, and end those that are idle.
    Drain,
}

/// A running worker.
#[derive(Debug, Clone)]
pub struct Worker(UnboundedSender<Command>);

impl Worker {
    /// Starts a thread that serves until the process ends.
    pub fn start(number: u32, pool_idle_ms: Arc<AtomicU64>) -> io::Result<Self> {
        let (sender, receiver) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || runtime.block_on(serve(receiver, pool_idle_ms)))?;
        Ok(Self(sender))
    }

    /// Tells the worker what to do.
    pub fn tell(&self, command: Command) {
        // A worker ends with the process only.
        let _ = self.0.send(command);
    }
}

async fn serve(mut commands: UnboundedReceiver<Command>, pool_idle_ms: Arc<AtomicU64>) {
    let mut accepting: HashMap<String, JoinHandle<()>> = HashMap::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(u64::from(deadline::TICK_MS)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut count: u32 = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                deadline::tick();
                count = count.wrapping_add(1);
                if count.is_multiple_of(TICKS_PER_SWEEP) {
                    pool::sweep(pool_idle_ms.load(Ordering::Relaxed));
                }
            }
            command = commands.recv() => match command {
                Some(Command::Serve { name, listener, socket }) => match tokio::net::TcpListener::from_std(socket) {
                    Ok(socket) => {
                        let task = tokio::spawn(listener.accept(socket));
                        if let Some(before) = accepting.insert(name, task) {
                            before.abort();
                        }
                    }
                    Err(error) => tracing::error!(event = "listen_failed", listener = name, error = %error),
                },
                Some(Command::Retire { name, done }) => {
                    if let Some(task) = accepting.remove(&name) {
                        task.abort();
                        // It ends at once, with an error that says so.
                        let _ = task.await;
                    }
                    drop(done);
                }
                Some(Command::Drain) => {
                    for (_, task) in accepting.drain() {
                        task.abort();
                    }
                    deadline::drain();
                    pool::clear();
                }
                None => return,
            },
        }
    }
}
