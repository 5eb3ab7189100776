//! Letting connections in: under the limits of the process, and through the troubles of a system that has none left to give.

use crate::admission::{Admission, Admitted, Full};
use crate::deadline;
use crate::destination::is_own_fault;
use crate::local;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// How long to wait after the system refused to hand out a connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often a listener that cannot let connections in says so.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// How long to wait for another thread to make room, and how often to look.
const ROOM_LOOK: Duration = Duration::from_millis(2);
const ROOM_LOOKS_MAX: usize = 5;

/// How many connections may be in at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In the whole process.
    pub all_max: usize,
    /// From one address; nothing for no limit.
    pub each_max: Option<usize>,
}

impl Room {
    /// Returns the room that a document's limits leave.
    #[must_use]
    pub fn new(all_max: u32, each_max: Option<u32>) -> Self {
        Self { all_max: all_max as usize, each_max: each_max.map(|max| max as usize) }
    }
}

/// What becomes of connections that arrive at a socket.
pub trait Accept: Send + Sync + 'static {
    /// The connections of the whole process.
    fn admission(&self) -> &Arc<Admission>;

    /// How many may be in now.
    fn room(&self) -> Room;

    /// Says that there is no room here whoever is elsewhere, so that nobody is ended to make some.
    ///
    /// # Errors
    /// [`Full`], the limit that is reached.
    fn has_own_room(&self) -> Result<(), Full> {
        Ok(())
    }

    /// Serves a connection in a task of this thread. It counts until `admitted` is dropped.
    fn serve(self: &Arc<Self>, stream: TcpStream, ip: IpAddr, admitted: Admitted);

    /// Turns a connection away that finds no room.
    fn reject(&self, stream: TcpStream, full: Full);
}

/// Lets connections in, for ever.
pub async fn connections<A: Accept>(door: Arc<A>, socket: TcpListener) {
    let mut failures = Failures::default();
    if let Ok(own) = socket.local_addr() {
        local::unpace(&socket, own.ip());
    }
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                // A socket of both families shows IPv4 clients as mapped addresses.
                let ip = peer.ip().to_canonical();
                match admit(&*door, ip).await {
                    Ok(admitted) => door.serve(stream, ip, admitted),
                    Err(full) => door.reject(stream, full),
                }
            }
            Err(error) => {
                failures.tell(&error);
                // Out of descriptors or memory: make room rather than spin. Where the socket's owner closed it for
                // all who share it, nobody who is in would make any.
                if is_own_fault(&error) {
                    deadline::shed_oldest_idle();
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn admit<A: Accept>(door: &A, ip: IpAddr) -> Result<Admitted, Full> {
    door.has_own_room()?;
    let try_admit = || {
        let Room { all_max, each_max } = door.room();
        door.admission().admit(ip, all_max, each_max)
    };
    let full = match try_admit() {
        Ok(admitted) => return Ok(admitted),
        Err(full) => full,
    };
    if full == Full::Process {
        if deadline::shed_oldest_idle() {
            tokio::task::yield_now().await;
        } else if door.admission().ask_for_room() {
            for _ in 0..ROOM_LOOKS_MAX {
                tokio::time::sleep(ROOM_LOOK).await;
                if let Ok(admitted) = try_admit() {
                    return Ok(admitted);
                }
            }
        }
    }
    try_admit()
}

/// Connections that the system did not hand out, or make: told at once, then now and then with their number.
#[derive(Debug, Default)]
pub struct Failures {
    told: Option<Instant>,
    untold: u64,
}

impl Failures {
    /// Logs a failure, or counts it towards the next line.
    pub fn tell(&mut self, error: &io::Error) {
        if let Some(count) = self.count() {
            tracing::warn!(event = "accept_failed", error = %error, count);
        }
    }

    /// Counts a failure; returns how many there were since the last line, where it is time for another one.
    pub fn count(&mut self) -> Option<u64> {
        self.untold += 1;
        self.due(Instant::now())
    }

    fn due(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|told| now < told + COMPLAINT_PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_flood_of_failures_in_a_few_lines() {
        let mut failures = Failures::default();
        let begun = Instant::now();
        failures.untold = 1;
        assert_eq!(failures.due(begun), Some(1));
        failures.untold = 7;
        assert_eq!(failures.due(begun + COMPLAINT_PAUSE / 2), None);
        assert_eq!(failures.due(begun + COMPLAINT_PAUSE), Some(7));
    }
}
