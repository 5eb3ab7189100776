//! Looking names up, beside the loops, again and again.

use super::Remote;
use super::commands::Command;
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
                let known = known.entry(name).or_insert(fresh);
                known.every = every;
                // One that is to be looked up more often is so from now on.
                known.due = known.due.min(now + every);
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

    /// Begins the lookups that are due; returns how long until there may be another one to begin.
    fn begin_due(&self, running: &mut usize, own: &Sender<Ask>) -> Duration {
        let now = Instant::now();
        for name in self.due(now, LOOKUPS_MAX.saturating_sub(*running)) {
            let (asked, done) = (Arc::clone(&name), own.clone());
            let work = move || {
                let found = asked.to_socket_addrs().map(Iterator::collect);
                let _ = done.send(Ask::Found(asked, found));
            };
            let begun = std::thread::Builder::new().name("lookup".to_owned()).spawn(work).is_ok();
            *running += usize::from(begun);
            if let Some(known) = self.known().get_mut(&name) {
                known.is_asked = begun;
                if !begun {
                    known.due = now + AGAIN;
                }
            }
        }
        self.wait(now, *running < LOOKUPS_MAX)
    }

    /// Returns what is due and for which there is room, what has waited longest first.
    fn due(&self, now: Instant, room: usize) -> Vec<Arc<str>> {
        let known = self.known();
        let is_due = |(_, known): &(&Arc<str>, &Known)| !known.is_asked && known.due <= now;
        let mut due: Vec<(Instant, &Arc<str>)> = known.iter().filter(is_due).map(|(name, it)| (it.due, name)).collect();
        due.sort_unstable();
        due.into_iter().take(room).map(|(_, name)| Arc::clone(name)).collect()
    }

    /// Returns how long until the next lookup is due. Where there is no room for one, the end of another comes before.
    fn wait(&self, now: Instant, has_room: bool) -> Duration {
        let known = self.known();
        let waiting = known.values().filter(|known| has_room && !known.is_asked);
        let next = waiting.map(|known| known.due.saturating_duration_since(now)).min();
        next.map_or(IDLE, |next| next.clamp(Duration::from_millis(1), IDLE))
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

    fn add(names: &Names, name: &str, due: Instant, is_asked: bool) {
        let fresh = Known { addresses: None, every: Duration::from_secs(5), due, is_asked, is_told: false };
        names.known().insert(name.into(), fresh);
    }

    #[test]
    fn the_last_known_addresses_stay_while_lookups_fail() {
        let names = Names::default();
        add(&names, "a.test:1", Instant::now(), true);
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
    #[test]
    fn what_has_waited_longest_is_looked_up_first() {
        let (names, now) = (Names::default(), Instant::now());
        for (name, age_ms) in [("b:1", 20), ("a:1", 10), ("c:1", 30)] {
            add(&names, name, now - Duration::from_millis(age_ms), false);
        }
        add(&names, "d:1", now + AGAIN, false);
        add(&names, "e:1", now - AGAIN, true);
        assert_eq!(names.due(now, 2), ["c:1".into(), "b:1".into()]);
        assert_eq!(names.due(now, 9).len(), 3);
    }

    #[test]
    fn waits_for_what_is_due_next_unless_there_is_no_room_for_it() {
        let (names, now) = (Names::default(), Instant::now());
        assert_eq!(names.wait(now, true), IDLE);
        add(&names, "a:1", now + AGAIN, false);
        assert_eq!(names.wait(now, true), AGAIN);
        add(&names, "b:1", now - AGAIN, false);
        assert_eq!((names.wait(now, true), names.wait(now, false)), (Duration::from_millis(1), IDLE));
    }

    #[test]
    fn a_name_that_is_to_be_looked_up_more_often_is_so_from_now_on() {
        let (names, now) = (Arc::new(Names::default()), Instant::now());
        add(&names, "a.invalid:1", now + IDLE, false);
        *names.asks() = Some(channel().0);
        names.follow(HashMap::from([("a.invalid:1".into(), AGAIN)]), Vec::new).unwrap();
        assert!(names.known()["a.invalid:1"].due <= Instant::now() + AGAIN);
    }
}
