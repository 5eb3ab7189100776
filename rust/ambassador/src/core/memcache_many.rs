//! memcache commands with several keys: a part for each server, of a `gat` as many as its server takes.

use std::ops::Range;

use alongside_protocols::memcache::{Kind, Request, Words};

use super::client::Client;
use super::context::Context;
use super::gather::{Gather, NONE};
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

/// Keys that stand one behind the other and go to one server: they are written at once.
#[derive(Clone, Debug, Default)]
struct Run {
    server: usize,
    place: Range<usize>,
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
    let mut gather = context.gather();
    gather.begin(request.line, &mut context.spots);
    let sent = send(asker, pool, links, (request, &mut gather, 0), context);
    pool.lane.fragments.add(u64::from(sent.parts));
    let kind = if pool.is_strict() { SlotKind::ValuesTogether } else { SlotKind::Values };
    let asked_bytes = request.bytes.len() + gather.keys_bytes();
    let slot =
        Slot { kind, left: sent.parts, failed: sent.failed, asked_bytes, gather: Some(gather), ..Slot::default() };
    client.slots.push(slot);
    if sent.parts == 0 {
        client.complete(client.slots.len() - 1, context);
    }
}

/// Ask each key's server for it, all keys of a server at once: those of a list, from the first on. The keys of each part
/// become a list of their own.
pub(super) fn send(
    asker: Asker,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (request, gather, first): (&Request<'_>, &mut Gather, u32),
    context: &mut Context,
) -> Sent {
    let servers = std::mem::take(&mut context.servers);
    let mut parts = Parts { asker, request, mark: context.next_mark(), servers, sent: Sent::default() };
    let is_gat = request.kind() == Kind::Gat;
    let mut run = Run::default();
    let mut next = first;
    while let Some(spot) = gather.spot(next) {
        let this = next;
        next = gather.next(this);
        let key = spot.of(gather.text());
        // With the space before it.
        let place = (spot.start as usize).saturating_sub(1)..spot.start as usize + key.len();
        let found = pool.choose(key, context);
        pool.sample(key, context);
        let is_asked = match found {
            Ok(server) => parts.join(pool, links, (gather, this), (server, place.len()), context).map(|()| server),
            Err(why) => Err(why),
        };
        match is_asked {
            Ok(server) if server == run.server && place.start == run.place.end && !is_gat => {
                run.place.end = place.end;
            }
            Ok(server) => {
                write(pool, links, gather, &run, context);
                run = Run { server, place };
                if is_gat {
                    write(pool, links, gather, &std::mem::take(&mut run), context);
                }
            }
            Err(why) => {
                parts.sent.lost += 1;
                parts.sent.failed = Some(why);
                gather.lose(this);
            }
        }
    }
    write(pool, links, gather, &run, context);
    for server in parts.servers.drain(..) {
        parts.sent.parts += end(pool, links, gather, server as usize, context);
    }
    context.servers = parts.servers;
    let sent = parts.sent;
    pool.waiting += sent.parts as usize;
    pool.lane.keys_lost.add(sent.lost);
    if let Some(why) = sent.failed {
        count_failure(pool, why);
    }
    sent
}

/// Parts of a command that are being made.
struct Parts<'a> {
    asker: Asker,
    request: &'a Request<'a>,
    /// What servers' parts of this command are known by.
    mark: u32,
    servers: Vec<u32>,
    sent: Sent,
}

impl Parts<'_> {
    /// Put a key of so many bytes with its space into its server's part, beginning one if there is none, or none that has room.
    #[inline]
    fn join(
        &mut self,
        pool: &mut Pool,
        links: &mut Slab<Link>,
        (gather, key): (&mut Gather, u32),
        (server, key_bytes): (usize, usize),
        context: &mut Context,
    ) -> Result<(), Why> {
        let is_new = pool.servers[server].part.mark != self.mark;
        if is_new {
            self.servers.push(server as u32);
            self.start(pool, links, (server, key), context);
        } else if self.request.kind() == Kind::Gat && last_bytes(pool, links, server) + key_bytes + 2 > GAT_BYTES_MAX {
            self.sent.parts += end(pool, links, gather, server, context);
            self.start(pool, links, (server, key), context);
        } else {
            gather.link(pool.servers[server].part.last, key);
        }
        let part = &mut pool.servers[server].part;
        part.last = key;
        part.keys += 1;
        part.number.map(drop)
    }

    /// Begin a server's part, with its first key to come.
    fn start(&self, pool: &mut Pool, links: &mut Slab<Link>, (server, first): (usize, u32), context: &mut Context) {
        let found = pool.link(server, self.asker.client.index, links, context);
        let part = &mut pool.servers[server].part;
        (part.mark, part.keys) = (self.mark, 0);
        part.number = found.map(|_| 0);
        let Ok(id) = found else { return };
        part.link = id;
        let Some(link) = links.get_mut(id.index, id.generation) else { return };
        let mut ask = Ask::new(self.asker.client, self.asker.slot, What::ValuesPart, Class::ReadMany);
        (ask.moves, ask.next) = (self.asker.moves, first);
        link.ask(ask, context);
        link.write(self.request.verb.as_str().as_bytes(), context);
        if let Some(time) = Words::new(self.request.line).nth(1).filter(|_| self.request.kind() == Kind::Gat) {
            link.write_word(time, context);
        }
    }
}

/// Write keys to their server's part, each with the space before it.
#[inline]
fn write(pool: &Pool, links: &mut Slab<Link>, gather: &Gather, run: &Run, context: &mut Context) {
    if run.place.is_empty() {
        return;
    }
    if let Some(link) = link_of(pool, links, run.server) {
        link.write(gather.text().get(run.place.clone()).unwrap_or_default(), context);
    }
}

/// Return the link on which a server's part is being written.
#[inline]
fn link_of<'l>(pool: &Pool, links: &'l mut Slab<Link>, server: usize) -> Option<&'l mut Link> {
    let part = &pool.servers[server].part;
    part.number.ok().and_then(|_| links.get_mut(part.link.index, part.link.generation))
}

/// Return how long a server's part is by now.
fn last_bytes(pool: &Pool, links: &mut Slab<Link>, server: usize) -> usize {
    link_of(pool, links, server).map_or(0, |link| link.last_bytes())
}

/// End a server's part; return how many there are of it: none, where there is no link.
fn end(pool: &Pool, links: &mut Slab<Link>, gather: &mut Gather, server: usize, context: &mut Context) -> u32 {
    let Some(link) = link_of(pool, links, server) else { return 0 };
    let part = &pool.servers[server].part;
    gather.link(part.last, NONE);
    if let Some(ask) = link.asks.back_mut() {
        ask.part = part.keys;
    }
    link.write(b"\r\n", context);
    link.count_last();
    1
}
