//! What decides: bytes in, bytes out, and what to do to connections. No socket, no clock, no thread.
//!
//! One core belongs to one thread. `now_us` is microseconds of any clock that never goes back.
//!
//! A turn of whoever drives it: give what was read ([`Core::client_read`], [`Core::link_read`]) and what became of
//! connections; [`Core::turn`]; do the effects ([`Core::take_effects`]); write what is dirty ([`Core::take_dirty`]), each
//! connection once, and say how much was taken ([`Core::client_wrote`], [`Core::link_wrote`]). What was not taken is
//! written when the socket is writable again; the connection is not dirty for that. Then wait for sockets, at most until
//! [`Core::next_us`].

mod effects;
mod ids;
mod terms;

use std::sync::Arc;

pub use effects::{Effect, Why};
pub use ids::{ClientId, LinkId};
pub use terms::{Credentials, Explained, Terms, TermsError};

/// Clients, links, and the pools that join them.
#[derive(Debug, Default)]
pub struct Core {
    effects: Vec<Effect>,
}

impl Core {
    /// Return a core without pools. The seed is for placement at random and for which commands are sampled.
    #[must_use]
    pub fn new(_seed: u64) -> Core {
        Core::default()
    }

    /// Have these pools and no others. A pool keeps its clients by its name, a server its links, standing and counters by
    /// its name while its address and what is said to it first stay. Clients of pools that are gone are retired.
    pub fn apply(&mut self, _pools: Vec<Arc<Terms>>, _now_us: u64) {}

    /// Take a client's connection to a pool; `None` if there is no such pool.
    pub fn client_opened(&mut self, _pool: &str, _now_us: u64) -> Option<ClientId> {
        None
    }

    /// Take bytes that a client sent. For connections that are gone this does nothing, as everything else does.
    pub fn client_read(&mut self, _client: ClientId, _bytes: &[u8], _now_us: u64) {}

    /// A client sends no more: it is closed when it has all its answers.
    pub fn client_eof(&mut self, _client: ClientId, _now_us: u64) {}

    /// A client's connection broke: the core forgets it. No effect follows.
    pub fn client_failed(&mut self, _client: ClientId, _now_us: u64) {}

    /// Return what is to be written to a client.
    #[must_use]
    pub fn client_output(&self, _client: ClientId) -> &[u8] {
        &[]
    }

    /// So many bytes of a client's output were written. Effects may follow.
    pub fn client_wrote(&mut self, _client: ClientId, _count: usize, _now_us: u64) {}

    /// A link is connected, TLS included if there is any.
    pub fn link_connected(&mut self, _link: LinkId, _now_us: u64) {}

    /// Take bytes that a server sent.
    pub fn link_read(&mut self, _link: LinkId, _bytes: &[u8], _now_us: u64) {}

    /// A link broke, or could not be made: the core forgets it.
    pub fn link_closed(&mut self, _link: LinkId, _why: Why, _now_us: u64) {}

    /// Return what is to be written to a link; nothing before it is connected.
    #[must_use]
    pub fn link_output(&self, _link: LinkId) -> &[u8] {
        &[]
    }

    /// So many bytes of a link's output were written.
    pub fn link_wrote(&mut self, _link: LinkId, _count: usize, _now_us: u64) {}

    /// A server's name has other addresses now: its links are closed when they have their answers, and new ones made.
    pub fn server_moved(&mut self, _pool: &str, _server: &str, _now_us: u64) {}

    /// End a turn: time-outs, probes, clients that may go on.
    pub fn turn(&mut self, _now_us: u64) {}

    /// Append what is to be done.
    pub fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.effects);
    }

    /// Append the connections that have something new to be written.
    pub fn take_dirty(&mut self, _clients: &mut Vec<ClientId>, _links: &mut Vec<LinkId>) {}

    /// Return when [`Core::turn`] must be called though nothing happens; `None` for never, what is past for at once.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        None
    }

    /// Take no more commands of a pool's clients: each is closed when it has its answers.
    pub fn retire(&mut self, _pool: &str, _now_us: u64) {}

    /// Take no more commands of any client: each is closed when it has its answers.
    pub fn drain(&mut self, _now_us: u64) {}

    /// Return how many clients a pool has here.
    #[must_use]
    pub fn clients(&self, _pool: &str) -> usize {
        0
    }

    /// Return where a key of a pool goes now, by this thread's experience.
    #[must_use]
    pub fn explain(&self, _pool: &str, _key: &[u8]) -> Option<Explained> {
        None
    }
}
