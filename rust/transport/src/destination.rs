//! Where to connect to: an address, or a name that is looked up now and then.

use crate::local;
use rustix::io::Errno;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long the addresses of a name are believed, and how long it is believed to have none.
const FOUND_TIME: Duration = Duration::from_secs(5);
const MISSING_TIME: Duration = Duration::from_millis(500);

/// How long the last known addresses are used while looking the name up fails.
const LAST_KNOWN_TIME: Duration = Duration::from_secs(300);

/// `HOST:PORT`; a name is looked up again every few seconds.
#[derive(Debug)]
pub struct Destination {
    address: String,
    numeric: Option<SocketAddr>,
    found: Mutex<Option<Found>>,
}

/// What a lookup of a name said, and until when it is believed.
#[derive(Debug, Clone)]
struct Found {
    until: Instant,
    /// Until when it is better than a lookup that fails.
    known_until: Instant,
    addresses: Result<Vec<SocketAddr>, (io::ErrorKind, String)>,
}

impl Found {
    fn at(now: Instant, said: io::Result<Vec<SocketAddr>>, before: Option<Self>) -> Self {
        let (kind, why) = match said {
            Ok(addresses) if !addresses.is_empty() => {
                let (until, known_until) = (now + FOUND_TIME, now + LAST_KNOWN_TIME);
                return Self { until, known_until, addresses: Ok(addresses) };
            }
            Ok(_) => (io::ErrorKind::NotFound, "the name has no address".to_owned()),
            Err(error) => (error.kind(), error.to_string()),
        };
        let until = now + MISSING_TIME;
        match before {
            Some(known) if known.addresses.is_ok() && now < known.known_until => Self { until, ..known },
            _ => Self { until, known_until: now, addresses: Err((kind, why)) },
        }
    }
}

/// Nobody knows the addresses of a name.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoAddress(String);

/// Where it is now.
#[derive(Debug)]
pub enum Place {
    /// An address.
    One(SocketAddr),
    /// The addresses of a name.
    Named(Vec<SocketAddr>),
}

/// Whether no connection came about for want of something that this process or machine has too little of.
#[must_use]
pub fn is_own_fault(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL]
        .map(|it| Some(it.raw_os_error()))
        .contains(&error.raw_os_error())
}

impl Destination {
    /// Returns what is at `HOST:PORT`.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), numeric: address.parse().ok(), found: Mutex::default() }
    }

    /// `HOST:PORT`, as it was written.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns where it is now.
    ///
    /// # Errors
    /// The lookup's.
    pub async fn find(&self) -> io::Result<Place> {
        if let Some(address) = self.numeric {
            return Ok(Place::One(address));
        }
        let lookup = || async { tokio::net::lookup_host(self.address.as_str()).await.map(Iterator::collect) };
        self.addresses(lookup).await.map(Place::Named)
    }

    /// Opens a connection to where it was found, without delay for small writes.
    ///
    /// # Errors
    /// The connection's; [`is_own_fault`] tells whether the other side has anything to do with it.
    pub async fn open_at(&self, place: &Place) -> io::Result<TcpStream> {
        let connected = match place {
            Place::One(address) => local::connect(*address).await,
            Place::Named(addresses) => first_of(addresses).await,
        };
        match connected {
            Ok(stream) => Ok(stream),
            Err(error) => {
                if !is_own_fault(&error)
                    && let Some(found) = self.found.lock().await.as_mut()
                {
                    // The name may have moved.
                    found.until = Instant::now();
                }
                Err(error)
            }
        }
    }

    /// Returns the addresses of the name; one connection at a time looks it up, the others wait for what it finds.
    async fn addresses<F, L>(&self, lookup: L) -> io::Result<Vec<SocketAddr>>
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>>,
        L: FnOnce() -> F,
    {
        let mut found = self.found.lock().await;
        let known = match found.clone() {
            Some(known) if Instant::now() < known.until => known,
            before => {
                let said = lookup().await;
                found.insert(Found::at(Instant::now(), said, before)).clone()
            }
        };
        known.addresses.map_err(|(kind, why)| io::Error::new(kind, NoAddress(why)))
    }
}

/// Opens a connection to the first of a name's addresses, of which there is one, that lets it come about.
async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match local::connect(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn a_name_is_looked_up_once_for_many_connections() {
        let named = Destination::new("name.test:80");
        block_on(async {
            let said: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert_eq!(named.addresses(|| async move { Ok(vec![said]) }).await.unwrap(), [said]);
            let again = named.addresses(|| async { Err(io::Error::other("looked up again")) }).await;
            assert_eq!(again.unwrap(), [said]);
            *named.found.lock().await = None;
            for _ in 0..2 {
                let missing = named.addresses(|| async { Ok(Vec::new()) }).await;
                assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
            }
        });
    }

    #[test]
    fn the_last_known_addresses_are_believed_while_lookups_fail() {
        let named = Destination::new("name.test:80");
        block_on(async {
            let said: SocketAddr = "127.0.0.1:80".parse().unwrap();
            assert_eq!(named.addresses(|| async move { Ok(vec![said]) }).await.unwrap(), [said]);
            let is_over = |found: &mut Option<Found>| found.as_mut().unwrap().until = Instant::now();
            is_over(&mut *named.found.lock().await);
            let failing = || async { Err(io::Error::other("no resolver")) };
            assert_eq!(named.addresses(failing).await.unwrap(), [said]);
            let mut found = named.found.lock().await;
            is_over(&mut found);
            found.as_mut().unwrap().known_until = Instant::now();
            drop(found);
            assert!(named.addresses(failing).await.is_err());
        });
    }
}
