//! The other ends of what the core is connected to.

use std::collections::HashMap;

use alongside_protocols::resp::Version;

use super::redis;

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Good,
    /// It takes what it is sent and says nothing, until it is good again: then it answers all.
    Silent,
    /// It refuses connections.
    Dead,
    /// Connecting to it takes for ever.
    Unreachable,
    /// It takes connections and ends them, as a proxy does before a server that is gone.
    Closing,
}

/// A server.
pub struct Server {
    pub health: Health,
    pub store: HashMap<Vec<u8>, Vec<u8>>,
    /// The newest that a Redis speaks.
    pub newest: Version,
    /// It ends the connection for a `HELLO`, and sends nothing of what it had to say.
    pub hangs_up: bool,
    /// Connections it ever took.
    pub accepted: usize,
    /// How often its name came to stand for another address.
    pub moves: u32,
}

/// A link's other end.
pub struct Link {
    pub server: String,
    /// The address of its name that it leads to.
    pub moves: u32,
    pub is_open: bool,
    /// Something was answered on it.
    pub is_answered: bool,
    pub version: Version,
    /// Bytes that it has, or will have, and that do not count as written.
    pub ahead: usize,
    pub to_server: Vec<u8>,
    pub to_core: Vec<u8>,
}

impl Link {
    /// Tell whether it looks like a refusal of RESP3 when it ends now.
    pub fn seems_to_refuse(&self) -> bool {
        let is_greeted =
            redis::has_hello(&self.to_server) || self.version == Version::Three && !self.to_core.is_empty();
        self.is_answered && is_greeted
    }
}

/// A client's other end.
#[derive(Default)]
pub struct Client {
    pub to_core: Vec<u8>,
    pub got: Vec<u8>,
    pub is_paused: bool,
    pub is_closed: bool,
    /// It reads nothing while it is so.
    pub is_slow: bool,
}
