//! memcache commands with several keys: a part for each server, of a `gat` as many as its server takes.

use alongside_protocols::memcache::{Kind, Request, Words};

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::memcache::count_failure;
use super::pool::Pool;
use super::slots::{Slot, SlotKind};
use super::{ClientId, Why};
use crate::counters::Class;

/// The longest line of a `gat`, which memcached does not wait for as it does for a `get`.
const GAT_BYTES_MAX: usize = 1_000;

/// What became of the keys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// Parts that were sent.
    pub(super) parts: u32,
    /// Keys whose server cannot be asked, and why.
    pub(super) lost: u64,
    pub(super) failed: Option<Why>,
}

/// Who waits for the parts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) client: ClientId,
    pub(super) slot: u32,
    /// How often the keys went to another server.
    pub(super) moves: u8,
}

/// Begin a `get` or `gat` of several keys.
pub(super) fn begin(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    request: &Request<'_>,
    context: &mut Context,
) {
    let asker = Asker { client: client.id, slot: client.slots.next(), moves: 0 };
    let sent = send(asker, pool, links, request, context);
    pool.lane.fragments.add(u64::from(sent.parts));
    let kind = if pool.is_strict() { SlotKind::ValuesTogether } else { SlotKind::Values };
    let slot =
        Slot { kind, left: sent.parts, failed: sent.failed, asked_bytes: request.bytes.len(), ..Slot::default() };
    client.slots.push(slot);
    if sent.parts == 0 {
        client.complete(client.slots.len() - 1, context);
    }
}

/// Ask each key's server for it, all keys of a server at once.
pub(super) fn send(
    asker: Asker,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    request: &Request<'_>,
    context: &mut Context,
) -> Sent {
    let mark = context.next_mark();
    let mut sent = Sent::default();
    let mut servers = std::mem::take(&mut context.servers);
    let is_gat = request.kind() == Kind::Gat;
    for key in request.keys() {
        let server = match pool.choose(key, context) {
            Ok(server) => server,
            Err(why) => {
                sent.lost += 1;
                sent.failed = Some(why);
                continue;
            }
        };
        pool.sample(key, context);
        if pool.servers[server].part.mark != mark {
            servers.push(server as u32);
            start(asker, pool, links, (server, mark, request), context);
        } else if is_gat && last_bytes(pool, links, server) + 1 + key.len() + 2 > GAT_BYTES_MAX {
            sent.parts += end(pool, links, server, context);
            start(asker, pool, links, (server, mark, request), context);
        }
        let part = &pool.servers[server].part;
        let link = match part.number {
            Ok(_) => links.get_mut(part.link.index, part.link.generation),
            Err(why) => {
                sent.failed = Some(why);
                None
            }
        };
        let Some(link) = link else {
            sent.lost += 1;
            continue;
        };
        link.write_word(key, context);
        if let Some(ask) = link.asks.back_mut() {
            ask.part += 1;
        }
    }
    for server in servers.drain(..) {
        sent.parts += end(pool, links, server as usize, context);
    }
    context.servers = servers;
    pool.waiting += sent.parts as usize;
    pool.lane.keys_lost.add(sent.lost);
    if let Some(why) = sent.failed {
        count_failure(pool, why);
    }
    sent
}

/// Begin a server's part.
fn start(
    asker: Asker,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (server, mark, request): (usize, u32, &Request<'_>),
    context: &mut Context,
) {
    let found = pool.link(server, asker.client.index, links, context);
    let part = &mut pool.servers[server].part;
    part.mark = mark;
    part.number = found.map(|_| 0);
    let Ok(id) = found else { return };
    part.link = id;
    if let Some(link) = links.get_mut(id.index, id.generation) {
        let mut ask = Ask::new(asker.client, asker.slot, What::ValuesPart, Class::ReadMany);
        ask.moves = asker.moves;
        link.ask(ask, context);
        link.write(request.verb.as_str().as_bytes(), context);
        if let Some(time) = Words::new(request.line).nth(1).filter(|_| request.kind() == Kind::Gat) {
            link.write_word(time, context);
        }
    }
}

/// Return the link on which a server's part is being written.
fn link_of<'l>(pool: &Pool, links: &'l mut Slab<Link>, server: usize) -> Option<&'l mut Link> {
    let part = &pool.servers[server].part;
    part.number.ok().and_then(|_| links.get_mut(part.link.index, part.link.generation))
}

/// Return how long a server's part is by now.
fn last_bytes(pool: &Pool, links: &mut Slab<Link>, server: usize) -> usize {
    link_of(pool, links, server).map_or(0, |link| link.last_bytes())
}

/// End a server's part; return how many there are of it: none, where there is no link.
fn end(pool: &Pool, links: &mut Slab<Link>, server: usize, context: &mut Context) -> u32 {
    let Some(link) = link_of(pool, links, server) else { return 0 };
    link.write(b"\r\n", context);
    link.count_last();
    1
}
