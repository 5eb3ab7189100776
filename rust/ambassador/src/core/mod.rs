//! What decides: bytes in, bytes out, and what to do to connections. No socket, no clock, no thread.
//!
//! One core belongs to one thread. `now_us` is microseconds of any clock that never goes back.
//!
//! A turn of whoever drives it: give what was read ([`Core::client_read`], [`Core::link_read`]) and what became of
//! connections; [`Core::turn`]; do the effects ([`Core::take_effects`]); write what is dirty ([`Core::take_dirty`]), each
//! connection once, and say how much was taken ([`Core::client_wrote`], [`Core::link_wrote`]). What was not taken is
//! written when the socket is writable again; the connection is not dirty for that. Links may be written some turns later,
//! while these follow each other without a pause; a client that is not dirty may have output that waits for more. Then wait
//! for sockets, at most until [`Core::next_us`].

mod apply;
mod buffers;
mod client;
mod context;
mod deadlines;
mod effects;
mod fleet;
mod gather;
mod hello;
mod ids;
mod joined;
mod link;
mod local;
mod memcache;
mod memcache_many;
mod memcache_replies;
mod merge;
mod moved;
mod pool;
mod redis;
mod redis_many;
mod redis_replies;
mod server;
mod slots;
mod standing;
mod terms;
mod users;
mod words;

use std::sync::Arc;

use alongside_document::PoolProtocol;

use client::Client;
use context::Context;
use fleet::Fleet;
use ids::Slab;

pub use effects::{Effect, Why};
pub(crate) use ids::give_back;
pub use ids::{ClientId, LinkId};
pub use terms::{Credentials, Explained, Terms, TermsError};

/// Clients, links, and the pools that join them.
#[derive(Debug)]
pub struct Core {
    clients: Slab<Client>,
    fleet: Fleet,
    context: Context,
    is_draining: bool,
}

/// What there is in a core, to see that nothing is left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Clients that are not closed.
    pub clients: usize,
    /// Links that are not closed.
    pub links: usize,
    /// Answers that clients wait for.
    pub slots: usize,
    /// What links were asked and have not answered.
    pub asks: usize,
    /// Those of them that failed by time-out.
    pub graves: usize,
    /// What pools count as waiting.
    pub waiting: usize,
    /// Bytes that wait: to be written, or for the rest of their message.
    pub bytes: usize,
}

impl Core {
    /// Return a core without pools. The seed is for placement at random and for which commands are sampled.
    #[must_use]
    pub fn new(seed: u64) -> Core {
        Core { clients: Slab::default(), fleet: Fleet::default(), context: Context::new(seed), is_draining: false }
    }

    /// Have these pools and no others. A pool keeps its clients by its name, a server its links, standing and counters by
    /// its name while its address and what is said to it first stay. Clients of pools that are gone are retired.
    pub fn apply(&mut self, pools: Vec<Arc<Terms>>, now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.apply(pools, &mut self.clients, &mut self.context);
    }

    /// Take a client's connection to a pool; `None` if there is no such pool, or everything is draining.
    pub fn client_opened(&mut self, pool: &str, now_us: u64) -> Option<ClientId> {
        self.context.now_us = now_us;
        let index = self.fleet.names.get(pool).copied().filter(|_| !self.is_draining)?;
        let (pool, _) = self.fleet.parts(index)?;
        let terms = &pool.terms;
        let client = Client::new(index, terms.pool.protocol, terms.users.is_empty(), &terms.pool.limits);
        let id = ClientId::from(self.clients.insert(client));
        self.clients.get_mut(id.index, id.generation)?.id = id;
        pool.clients += 1;
        pool.lane.client_connections.add(1);
        pool.lane.client_connections_total.add(1);
        Some(id)
    }

    /// Take bytes that a client sent. For connections that are gone this does nothing, as everything else does.
    pub fn client_read(&mut self, client: ClientId, bytes: &[u8], now_us: u64) {
        self.context.now_us = now_us;
        let Some(client) = self.clients.get_mut(client.index, client.generation) else { return };
        if client.is_ending || client.is_deaf {
            return;
        }
        read(client, &mut self.fleet, bytes, &mut self.context);
    }

    /// A client sends no more: it is closed when it has all its answers.
    pub fn client_eof(&mut self, client: ClientId, now_us: u64) {
        self.context.now_us = now_us;
        let Some(client) = self.clients.get_mut(client.index, client.generation) else { return };
        if let Some(pool) = self.fleet.pool(client.pool).filter(|_| !client.is_ending) {
            pool.lane.client_eof.add(1);
        }
        client.end(&mut self.context);
    }

    /// A client's connection broke: the core forgets it. No effect follows.
    pub fn client_failed(&mut self, client: ClientId, now_us: u64) {
        self.context.now_us = now_us;
        let Some(gone) = self.clients.get_mut(client.index, client.generation) else { return };
        if let Some(pool) = self.fleet.pool(gone.pool) {
            pool.lane.client_err.add(1);
        }
        self.forget(client);
    }

    fn forget(&mut self, client: ClientId) {
        let Some(gone) = self.clients.remove(client.index, client.generation) else { return };
        let index = gone.pool;
        gone.dismantle(&mut self.context);
        if let Some((pool, _)) = self.fleet.parts(index) {
            pool.clients -= 1;
            pool.lane.client_connections.sub(1);
        }
        self.fleet.forget_if_left(index, &mut self.context);
    }

    /// Return what is to be written to a client.
    #[must_use]
    pub fn client_output(&self, client: ClientId) -> &[u8] {
        self.clients.get(client.index, client.generation).map_or(&[], |client| client.output.rest())
    }

    /// So many bytes of a client's output were written. Effects may follow.
    pub fn client_wrote(&mut self, client: ClientId, count: usize, now_us: u64) {
        self.context.now_us = now_us;
        let Some(client) = self.clients.get_mut(client.index, client.generation) else { return };
        client.output.wrote(count, &mut self.context.buffers);
        if client.is_held || client.is_ending {
            client.look_again(&mut self.context);
        }
    }

    /// A link is connected, TLS included if there is any.
    pub fn link_connected(&mut self, link: LinkId, now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.link_connected(link, &mut self.context);
    }

    /// Take bytes that a server sent.
    pub fn link_read(&mut self, link: LinkId, bytes: &[u8], now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.link_read(link, bytes, &mut self.clients, &mut self.context);
    }

    /// A link broke, or could not be made: the core forgets it. No effect follows for it.
    pub fn link_closed(&mut self, link: LinkId, why: Why, now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.link_failed(link, why, &mut self.clients, &mut self.context);
    }

    /// Return what is to be written to a link, which may be answered from here on: nothing before it is connected, and only who
    /// we are before that is answered.
    #[must_use]
    pub fn link_output(&mut self, link: LinkId) -> &[u8] {
        let link = self.fleet.links.get_mut(link.index, link.generation);
        link.map_or(&[], |link| link.offer(&mut self.context))
    }

    /// So many bytes of a link's output were written.
    pub fn link_wrote(&mut self, link: LinkId, count: usize, now_us: u64) {
        self.context.now_us = now_us;
        let Some(link) = self.fleet.links.get_mut(link.index, link.generation) else { return };
        link.output.wrote(count, &mut self.context.buffers);
        link.show_queues();
    }

    /// A link leads to where its server's name no longer does: it is closed when it has its answers, and a new one is made
    /// when it is needed.
    pub fn link_moved(&mut self, link: LinkId, now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.link_moved(link, &mut self.context);
    }

    /// End a turn: time-outs, probes, clients that may go on.
    pub fn turn(&mut self, now_us: u64) {
        self.context.now_us = now_us;
        self.fleet.look_at_deadlines(&mut self.clients, &mut self.context);
        while let Some(id) = self.context.changed.pop() {
            self.look_at(id);
        }
        for pool in self.fleet.pools.iter().flatten() {
            pool.lane.waiting.set(pool.waiting as u64);
        }
    }

    /// Let a client go on that had too much to wait for; close it if it is done.
    fn look_at(&mut self, id: ClientId) {
        let Some(client) = self.clients.get_mut(id.index, id.generation) else { return };
        if client.is_held && !client.is_full() {
            client.is_held = false;
            read(client, &mut self.fleet, &[], &mut self.context);
            if !client.is_held && !client.is_ending {
                self.context.effects.push(Effect::Resume(id));
            }
        }
        let Some(client) = self.clients.get_mut(id.index, id.generation) else { return };
        if client.refused > 0
            && let Some(pool) = self.fleet.pool(client.pool)
        {
            pool.lane.refused.add(u64::from(std::mem::take(&mut client.refused)));
        }
        if client.is_done() {
            if client.is_overflown
                && let Some(pool) = self.fleet.pool(client.pool)
            {
                pool.lane.client_err.add(1);
                pool.lane.limited.add(1);
            }
            self.context.effects.push(Effect::CloseClient(id));
            self.forget(id);
        }
    }

    /// Append what is to be done.
    pub fn take_effects(&mut self, effects: &mut Vec<Effect>) {
        effects.append(&mut self.context.effects);
    }

    /// Append the connections that have something new to be written.
    pub fn take_dirty(&mut self, clients: &mut Vec<ClientId>, links: &mut Vec<LinkId>) {
        for id in self.context.dirty_clients.drain(..) {
            if let Some(client) = self.clients.get_mut(id.index, id.generation) {
                client.clean();
                clients.push(id);
            }
        }
        for id in self.context.dirty_links.drain(..) {
            if let Some(link) = self.fleet.links.get_mut(id.index, id.generation) {
                link.clean();
                links.push(id);
            }
        }
    }

    /// Return when [`Core::turn`] must be called though nothing happens; `None` for never, what is past for at once.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        let context = &self.context;
        let has_more = !context.changed.is_empty()
            || !context.effects.is_empty()
            || !context.dirty_clients.is_empty()
            || !context.dirty_links.is_empty();
        if has_more {
            return Some(0);
        }
        Some(context.deadline_us).filter(|&at_us| at_us != u64::MAX)
    }

    /// Take no more commands of a pool's clients: each is closed when it has its answers.
    pub fn retire(&mut self, pool: &str, now_us: u64) {
        self.context.now_us = now_us;
        if let Some(index) = self.fleet.names.get(pool).copied() {
            self.fleet.retire(index, &mut self.clients, &mut self.context);
        }
    }

    /// Take no more commands of any client: each is closed when it has its answers.
    pub fn drain(&mut self, now_us: u64) {
        self.context.now_us = now_us;
        self.is_draining = true;
        for (_, client) in self.clients.iter_mut() {
            client.end(&mut self.context);
        }
    }

    /// Return how many clients a pool has here.
    #[must_use]
    pub fn clients(&self, pool: &str) -> usize {
        self.fleet.names.get(pool).and_then(|&index| self.fleet.pool(index)).map_or(0, |pool| pool.clients)
    }

    /// Return where a key of a pool goes now, by this thread's experience.
    pub fn explain(&mut self, pool: &str, key: &[u8]) -> Option<Explained> {
        let pool = self.fleet.pool(*self.fleet.names.get(pool)?)?;
        let mut explained = pool.terms.explain(key);
        explained.server = pool.choose(key, &mut self.context).ok();
        explained.standing = pool.servers.get(explained.home)?.standing;
        Some(explained)
    }

    /// Return what there is.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let mut holdings = Holdings::default();
        for (_, client) in self.clients.iter() {
            holdings.clients += 1;
            holdings.slots += client.slots.len();
            holdings.bytes += client.output.len() + client.input.len() + client.early_bytes();
        }
        for (_, link) in self.fleet.links.iter() {
            holdings.links += 1;
            holdings.asks += link.asks.len();
            holdings.graves += link.graves;
            holdings.bytes += link.output.len() + link.input.len() + link.joined.bytes();
        }
        holdings.waiting = self.fleet.pools.iter().flatten().map(|pool| pool.waiting).sum();
        holdings
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.fleet.give_up();
    }
}

/// Begin the commands that a client's bytes complete.
fn read(client: &mut Client, fleet: &mut Fleet, bytes: &[u8], context: &mut Context) {
    let Some((pool, links)) = fleet.parts(client.pool) else { return };
    let skip = usize::try_from(client.skip).unwrap_or(usize::MAX).min(bytes.len());
    client.skip -= skip as u64;
    let bytes = &bytes[skip..];
    let mut begin = |client: &mut Client, bytes: &[u8], context: &mut Context| match client.protocol {
        PoolProtocol::Memcache => memcache::read(client, pool, links, bytes, context),
        PoolProtocol::Redis => redis::read(client, pool, links, bytes, context),
    };
    if client.is_held {
        client.input.extend(bytes, &mut context.buffers);
    } else if client.input.is_empty() {
        let done = begin(client, bytes, context);
        client.input.extend(&bytes[done..], &mut context.buffers);
    } else {
        client.input.extend(bytes, &mut context.buffers);
        let all = client.input.take();
        let done = begin(client, &all, context);
        client.input.put(all, done, &mut context.buffers);
    }
    if client.is_deaf {
        client.input.clear(&mut context.buffers);
    }
}
