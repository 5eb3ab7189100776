//! The threads that serve: each has a runtime, a clock and pools of its own, and shares nothing it waits for.

use crate::serve::Entrance;
use alongside_transport::admission::Admission;
use alongside_transport::{deadline, pool};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
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
        listener: Entrance,
        /// The worker's own handle of the socket, made by [`Worker::adopt`].
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
    Drain {
        /// Dropped when the sockets are closed.
        done: std::sync::mpsc::Sender<()>,
    },
}

/// What the workers of a process have in common.
#[derive(Debug, Clone)]
pub struct Shared {
    /// How long connections to the next hop are kept.
    pub pool_idle_ms: Arc<AtomicU64>,
    /// The connections of the whole process.
    pub admission: Arc<Admission>,
    /// Whether connections are let in; a process that stands by has its sockets and waits.
    pub gate: watch::Receiver<bool>,
}

/// Threads of a worker for lookups of names; what waits for one waits its turn.
const LOOKUP_THREADS_MAX: usize = 4;

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    commands: UnboundedSender<Command>,
    runtime: Handle,
}

impl Worker {
    /// Starts a thread that serves until nobody holds the worker.
    pub fn start(number: u32, shared: Shared) -> io::Result<Self> {
        let (commands, receiver) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUP_THREADS_MAX)
            .build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || runtime.block_on(serve(receiver, shared)))?;
        Ok(Self { commands, runtime: handle })
    }

    /// Returns the worker's own handle of a socket.
    pub fn adopt(&self, socket: &std::net::TcpListener) -> io::Result<TcpListener> {
        let own = socket.try_clone()?;
        let _there = self.runtime.enter();
        TcpListener::from_std(own)
    }

    /// Tells the worker what to do.
    pub fn tell(&self, command: Command) {
        // A worker ends with the process only.
        let _ = self.commands.send(command);
    }
}

async fn serve(mut commands: UnboundedReceiver<Command>, shared: Shared) {
    let Shared { pool_idle_ms, admission, gate } = shared;
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
                    let idle_ms = pool_idle_ms.load(Ordering::Relaxed);
                    pool::sweep(idle_ms);
                    alongside_http::sweep_shared(idle_ms);
                }
            }
            () = admission.asked_for_room() => admission.make_room(deadline::shed_oldest_idle),
            command = commands.recv() => match command {
                Some(Command::Serve { name, listener, socket }) => {
                    let task = tokio::spawn(accept(gate.clone(), listener, socket));
                    if let Some(before) = accepting.insert(name, task) {
                        before.abort();
                    }
                }
                Some(Command::Retire { name, done }) => {
                    if let Some(task) = accepting.remove(&name) {
                        task.abort();
                        // It ends at once, with an error that says so.
                        let _ = task.await;
                    }
                    drop(done);
                }
                Some(Command::Drain { done }) => {
                    deadline::drain();
                    pool::clear();
                    alongside_http::sweep_shared(0);
                    for (_, task) in accepting.drain() {
                        task.abort();
                        let _ = task.await;
                    }
                    drop(done);
                }
                None => return,
            },
        }
    }
}

/// Lets connections in as soon as the gate is open.
async fn accept(mut gate: watch::Receiver<bool>, listener: Entrance, socket: TcpListener) {
    if gate.wait_for(|is_open| *is_open).await.is_ok() {
        listener.accept(socket).await;
    }
}
