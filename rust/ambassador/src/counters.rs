//! What pools and their servers count: each thread has a lane of its own, whoever reads sums them.
//!
//! Only a lane's thread writes it, so that counting costs a load and a store.

mod histogram;
mod top;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use histogram::{BOUNDS_US, Histogram, Latency};
pub use top::{SAMPLED_ONE_IN, Top};

/// A number that one thread writes and all may read.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Add; only the lane's thread may.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Take away; only the lane's thread may.
    #[inline]
    pub fn sub(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(count), Relaxed);
    }

    /// Replace; only the lane's thread may.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Return the value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! figures {
    ($lane:ident, $sum:ident, $($(#[$doc:meta])+ $field:ident,)+) => {
        /// One thread's part.
        #[derive(Debug, Default)]
        pub struct $lane {
            $($(#[$doc])+ pub $field: Figure,)+
            pub(crate) more: more::$lane,
        }

        /// The sum over all threads.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $sum {
            $($(#[$doc])+ pub $field: u64,)+
        }

        impl $sum {
            fn of<'l>(lanes: impl Iterator<Item = &'l Arc<$lane>>) -> $sum {
                let mut sum = $sum::default();
                for lane in lanes {
                    $(sum.$field = sum.$field.saturating_add(lane.$field.get());)+
                }
                sum
            }
        }
    };
}

/// What is in a lane and cannot be summed by field.
mod more {
    use std::sync::Mutex;

    use super::{Histogram, Top};
    use crate::counters::{CLASSES, Figure};

    #[derive(Debug, Default)]
    pub(crate) struct PoolLane {
        pub(crate) top: Mutex<Top>,
    }

    #[derive(Debug, Default)]
    pub(crate) struct ServerLane {
        pub(crate) latency: [Histogram; CLASSES],
        pub(crate) standing: Figure,
        pub(crate) ejected_at_us: Figure,
    }
}

figures! { PoolLane, PoolSum,
    /// Clients' connections that their clients ended (twemproxy's `client_eof`).
    client_eof,
    /// Clients' connections that were broken off by a client, or closed for what it sent (twemproxy's `client_err`).
    client_err,
    /// Clients' connections that are open (twemproxy's `client_connections`).
    client_connections,
    /// Clients' connections ever.
    client_connections_total,
    /// Ejections of servers (twemproxy's `server_ejects`).
    server_ejects,
    /// Commands, or parts of them, that no server got (twemproxy's `forward_error`).
    forward_error,
    /// Parts that split commands were made into (twemproxy's `fragments`, which it never counts).
    fragments,
    /// Commands of clients.
    commands,
    /// Commands that were answered here.
    answered_here,
    /// Commands that were refused: not known, not to be split, malformed, not allowed.
    refused,
    /// Commands that were refused, or clients that were closed, since a limit was reached.
    limited,
    /// Keys of a command with several that count as missing since their server failed.
    keys_lost,
    /// Commands that wait for answers.
    waiting,
}

figures! { ServerLane, ServerSum,
    /// Connections that the server ended (twemproxy's `server_eof`).
    server_eof,
    /// Connections that failed (twemproxy's `server_err`).
    server_err,
    /// Times that answers failed to come in time (twemproxy's `server_timedout`).
    server_timedout,
    /// Connections that are open (twemproxy's `server_connections`).
    server_connections,
    /// Commands that were sent, parts of split ones each (twemproxy's `requests`).
    requests,
    /// Their bytes (twemproxy's `request_bytes`).
    request_bytes,
    /// Answers (twemproxy's `responses`).
    responses,
    /// Their bytes (twemproxy's `response_bytes`).
    response_bytes,
    /// Commands that wait to be sent (twemproxy's `in_queue`).
    in_queue,
    /// Their bytes (twemproxy's `in_queue_bytes`).
    in_queue_bytes,
    /// Commands that wait for answers (twemproxy's `out_queue`).
    out_queue,
    /// Their bytes (twemproxy's `out_queue_bytes`).
    out_queue_bytes,
    /// Commands that failed since the server did.
    failed,
    /// Commands whose answers came too late or never.
    timed_out,
    /// Reads that went to another server since this one could not be connected to.
    moved_away,
    /// Gets that it was told in the line of another.
    joined,
    /// Looks whether the server can be used again.
    probes,
    /// Those that failed.
    probes_failed,
    /// Times that the server was ejected.
    ejections,
}

/// What a command does, for latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Reads one key.
    Read,
    /// A part of a command that reads several keys.
    ReadMany,
    /// Changes something.
    Write,
    /// Anything else.
    Other,
}

/// How many classes there are.
pub const CLASSES: usize = 4;

impl Class {
    /// Every class, in the order of their numbers.
    pub const ALL: [Class; CLASSES] = [Class::Read, Class::ReadMany, Class::Write, Class::Other];

    /// Return the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::ReadMany => "read_many",
            Class::Write => "write",
            Class::Other => "other",
        }
    }
}

/// Whether a server gets commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Standing {
    /// It gets those of its keys.
    Good = 0,
    /// It cannot be reached; its keys fail until it can.
    Down = 1,
    /// Its keys go to others until it answers a probe.
    Ejected = 2,
}

impl Standing {
    /// Return the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Standing::Good => "good",
            Standing::Down => "down",
            Standing::Ejected => "ejected",
        }
    }

    fn of(number: u64) -> Standing {
        match number {
            0 => Standing::Good,
            1 => Standing::Down,
            _ => Standing::Ejected,
        }
    }
}

/// A server's counters, in all threads.
#[derive(Debug, Default)]
pub struct ServerCounters {
    lanes: Mutex<Vec<Arc<ServerLane>>>,
}

impl ServerCounters {
    pub(crate) fn lane(&self) -> Arc<ServerLane> {
        let lane = Arc::<ServerLane>::default();
        locked(&self.lanes).push(lane.clone());
        lane
    }

    /// Return the sums over all threads.
    #[must_use]
    pub fn sum(&self) -> ServerSum {
        ServerSum::of(locked(&self.lanes).iter())
    }

    /// Return how long answers to commands of a class took.
    #[must_use]
    pub fn latency(&self, class: Class) -> Latency {
        let mut sum = Latency::default();
        locked(&self.lanes).iter().for_each(|lane| sum.add(&lane.more.latency[class as usize]));
        sum
    }

    /// Return the worst standing that a thread gives it, since each thread makes its own experiences.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let standings = locked(&self.lanes).iter().map(|lane| lane.more.standing.get()).max();
        Standing::of(standings.unwrap_or(0))
    }

    /// Return when it was last ejected by the clock of the threads, in microseconds; 0 if it never was.
    #[must_use]
    pub fn ejected_at_us(&self) -> u64 {
        locked(&self.lanes).iter().map(|lane| lane.more.ejected_at_us.get()).max().unwrap_or(0)
    }
}

/// A pool's counters, in all threads.
#[derive(Debug, Default)]
pub struct PoolCounters {
    lanes: Mutex<Vec<Arc<PoolLane>>>,
    servers: Mutex<BTreeMap<String, Arc<ServerCounters>>>,
}

impl PoolCounters {
    pub(crate) fn lane(&self) -> Arc<PoolLane> {
        let lane = Arc::<PoolLane>::default();
        locked(&self.lanes).push(lane.clone());
        lane
    }

    /// Return the sums over all threads.
    #[must_use]
    pub fn sum(&self) -> PoolSum {
        PoolSum::of(locked(&self.lanes).iter())
    }

    /// Return the counters of a server of that name, which are there from now on.
    #[must_use]
    pub fn server(&self, name: &str) -> Arc<ServerCounters> {
        locked(&self.servers).entry(name.to_owned()).or_default().clone()
    }

    /// Forget the counters of servers that are not named.
    pub fn retain(&self, is_named: impl Fn(&str) -> bool) {
        locked(&self.servers).retain(|name, _| is_named(name));
    }

    /// Return the keys that were asked for most, with about how often, the first most often; at most `count`.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<(Vec<u8>, u64)> {
        let mut sum: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for lane in locked(&self.lanes).iter() {
            for (key, times) in locked(&lane.more.top).iter() {
                *sum.entry(key.to_vec()).or_default() += times;
            }
        }
        let mut top: Vec<_> = sum.into_iter().collect();
        top.sort_by(|(a, a_times), (b, b_times)| b_times.cmp(a_times).then_with(|| a.cmp(b)));
        top.truncate(count);
        top
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
