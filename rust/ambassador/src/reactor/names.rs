//! Looking names up, beside the loops, again and again.

use super::Remote;
use super::turn::Command;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lookups at one time; the others wait.
const LOOKUPS_MAX: usize = 8;
/// How soon a name is looked up again that could not be connected to.
const AGAIN: Duration = Duration::from_millis(500);
/// How long nobody need look for what is due.
const IDLE: Duration = Duration::from_secs(3600);

/// The addresses of the servers' names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<Arc<str>, Known>>,
    asks: Mutex<Option<Sender<Ask>>>,
}

/// What is known of a name.
#[derive(Debug, Clone)]
struct Known {
    /// The last that were found; none before.
    addresses: Option<Arc<[SocketAddr]>>,
    every: Duration,
    due: Instant,
    is_asked: bool,
    is_told: bool,
}

enum Ask {
    /// Something is due earlier than was thought.
    Look,
    /// A lookup is over.
    Found(Arc<str>, io::Result<Vec<SocketAddr>>),
}

impl Names {
    /// Follows these names, each so often, and no others. The first time begins the thread that does it.
    ///
    /// # Errors
    /// The process has no thread left.
    pub(crate) fn follow(
        self: &Arc<Self>,
        wanted: HashMap<Arc<str>, Duration>,
        threads: impl FnOnce() -> Vec<Remote>,
    ) -> io::Result<()> {
        if wanted.is_empty() && self.asks().is_none() {
            return Ok(());
        }
        let now = Instant::now();
        {
            let mut known = self.known();
            known.retain(|name, _| wanted.contains_key(name));
            for (name, every) in wanted {
                let fresh = Known { addresses: None, every, due: now, is_asked: false, is_told: false };
                known.entry(name).or_insert(fresh).every = every;
            }
        }
        self.begin(threads)
    }

    fn begin(self: &Arc<Self>, threads: impl FnOnce() -> Vec<Remote>) -> io::Result<()> {
        let mut asks = self.asks();
        if let Some(asks) = &*asks {
            let _ = asks.send(Ask::Look);
            return Ok(());
        }
        let (sender, receiver) = channel();
        let (names, threads, own) = (Arc::clone(self), threads(), sender.clone());
        let work = move || names.run(&threads, &own, &receiver);
        std::thread::Builder::new().name("names".to_owned()).spawn(work)?;
        *asks = Some(sender);
        Ok(())
    }

    /// Returns the addresses of a name; nothing where it was not found yet, and then the loops are told when it is.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<[SocketAddr]>> {
        self.known().get(name)?.addresses.clone()
    }

    /// Looks a name up again soon: it could not be connected to.
    pub(crate) fn look_again(&self, name: &str) {
        let soon = Instant::now() + AGAIN;
        if let Some(known) = self.known().get_mut(name).filter(|known| known.due > soon) {
            known.due = soon;
            if let Some(asks) = &*self.asks() {
                let _ = asks.send(Ask::Look);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asks(&self) -> MutexGuard<'_, Option<Sender<Ask>>> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, threads: &[Remote], own: &Sender<Ask>, asks: &Receiver<Ask>) {
        let mut running = 0;
        loop {
            let wait = self.begin_due(&mut running, own);
            match asks.recv_timeout(wait) {
                Ok(Ask::Look) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Ask::Found(name, found)) => {
                    running -= 1;
                    self.take(&name, found);
                    threads.iter().for_each(|thread| thread.tell(Command::Named(Arc::clone(&name))));
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Begins the lookups that are due; returns how long until the next one is.
    fn begin_due(&self, running: &mut usize, own: &Sender<Ask>) -> Duration {
        let now = Instant::now();
        let mut wait = IDLE;
        for (name, known) in self.known().iter_mut().filter(|(_, known)| !known.is_asked) {
            if known.due > now || *running >= LOOKUPS_MAX {
                wait = wait.min(known.due.saturating_duration_since(now).max(Duration::from_millis(1)));
                continue;
            }
            let (asked, done) = (Arc::clone(name), own.clone());
            let work = move || {
                let found = asked.to_socket_addrs().map(Iterator::collect);
                let _ = done.send(Ask::Found(asked, found));
            };
            match std::thread::Builder::new().name("lookup".to_owned()).spawn(work) {
                Ok(_) => {
                    known.is_asked = true;
                    *running += 1;
                }
                Err(_) => known.due = now + AGAIN,
            }
        }
        wait
    }

    /// Keeps what was found; the last known addresses where nothing was.
    pub(super) fn take(&self, name: &str, found: io::Result<Vec<SocketAddr>>) {
        let mut table = self.known();
        let Some(known) = table.get_mut(name) else { return };
        known.is_asked = false;
        let why = match found {
            Ok(addresses) if !addresses.is_empty() => {
                known.due = Instant::now() + known.every;
                let has_moved = known.addresses.as_ref().is_some_and(|before| !is_same(before, &addresses));
                if has_moved || known.is_told {
                    tracing::info!(event = "server_name_found", name, addresses = ?addresses);
                }
                known.is_told = false;
                known.addresses = Some(addresses.into());
                return;
            }
            Ok(_) => "the name has no address".to_owned(),
            Err(error) => error.to_string(),
        };
        known.due = Instant::now() + known.every.min(AGAIN);
        if !std::mem::replace(&mut known.is_told, true) {
            tracing::warn!(event = "server_name_not_found", name, reason = why);
        }
        if known.addresses.is_none() {
            known.addresses = Some(Arc::default());
        }
    }
}

fn is_same(before: &[SocketAddr], now: &[SocketAddr]) -> bool {
    before.len() == now.len() && before.iter().all(|address| now.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(known: &str) -> Names {
        let names = Names::default();
        let fresh = Known {
            addresses: None,
            every: Duration::from_secs(5),
            due: Instant::now(),
            is_asked: true,
            is_told: false,
        };
        names.known().insert(known.into(), fresh);
        names
    }

    #[test]
    fn the_last_known_addresses_stay_while_lookups_fail() {
        let names = names("a.test:1");
        assert!(names.get("a.test:1").is_none());
        names.take("a.test:1", Err(io::Error::other("no resolver")));
        assert!(names.get("a.test:1").is_some_and(|addresses| addresses.is_empty()));
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        names.take("a.test:1", Ok(vec![address]));
        names.take("a.test:1", Ok(Vec::new()));
        assert_eq!(*names.get("a.test:1").unwrap(), [address]);
    }

    #[test]
    fn a_name_is_found_by_the_thread_and_no_longer_followed_when_unwanted() {
        let names = Arc::new(Names::default());
        let wanted = HashMap::from([("localhost:1".into(), Duration::from_secs(5))]);
        names.follow(wanted, Vec::new).unwrap();
        let begun = Instant::now();
        while names.get("localhost:1").is_none_or(|found| found.is_empty()) {
            assert!(begun.elapsed() < Duration::from_secs(30));
            std::thread::yield_now();
        }
        names.follow(HashMap::new(), Vec::new).unwrap();
        assert!(names.get("localhost:1").is_none());
    }
}
