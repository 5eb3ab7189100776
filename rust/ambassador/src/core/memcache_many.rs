//! memcache commands with several keys: a part for each server, of a `gat` as many as its server takes.

use alongside_protocols::memcache::{Kind, Request, Words};

use super::buffers::append;
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
    pool.choose_each(gather.all_keys(), NONE, context);
    let sent = send_to_found(asker, pool, links, (request, &mut gather, 0), context);
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
    pool.choose_each(gather.keys(first), NONE, context);
    send_to_found(asker, pool, links, (request, gather, first), context)
}

/// Ask the servers that were found for the keys of a list.
fn send_to_found(
    asker: Asker,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (request, gather, first): (&Request<'_>, &mut Gather, u32),
    context: &mut Context,
) -> Sent {
    let mut found = std::mem::take(&mut context.found);
    let servers = std::mem::take(&mut context.servers);
    let mark = context.next_mark();
    let is_gat = request.kind() == Kind::Gat;
    let mut parts = Parts { asker, request, mark, is_gat, servers, sent: Sent::default() };
    let mut next = first;
    for &server in &found {
        let this = next;
        next = gather.next(this);
        if context.is_sampled() {
            pool.count_key(gather.spot(this).map_or(&[], |spot| spot.of(gather.text())));
        }
        if let Err(why) = parts.join(pool, links, (gather, this), server as usize, context) {
            parts.sent.lost += 1;
            parts.sent.failed = Some(why);
            gather.lose(this);
        }
    }
    for server in parts.servers.drain(..) {
        parts.sent.parts += end(pool, links, gather, server as usize, context);
    }
    found.clear();
    (context.servers, context.found) = (parts.servers, found);
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
    is_gat: bool,
    servers: Vec<u32>,
    sent: Sent,
}

impl Parts<'_> {
    /// Put a key into its server's part, beginning one if there is none, or none that has room.
    #[inline]
    fn join(
        &mut self,
        pool: &mut Pool,
        links: &mut Slab<Link>,
        (gather, key): (&mut Gather, u32),
        server: usize,
        context: &mut Context,
    ) -> Result<(), Why> {
        let Some(its) = pool.servers.get_mut(server) else { return Err(Why::Refused) };
        let mut part = &mut its.part;
        let piece = gather.piece(key);
        if part.mark != self.mark || self.is_gat && part.lent.added() + piece.len() + 2 > GAT_BYTES_MAX {
            self.start(pool, links, gather, (server, key), context);
            part = &mut pool.servers[server].part;
        } else {
            gather.link(part.last, key);
        }
        part.last = key;
        part.keys += 1;
        part.link?;
        append(&mut part.lent.bytes, gather.text(), piece);
        Ok(())
    }

    /// Begin a server's part, with its first key to come, when the one before it is ended.
    #[inline(never)]
    fn start(
        &mut self,
        pool: &mut Pool,
        links: &mut Slab<Link>,
        gather: &mut Gather,
        (server, first): (usize, u32),
        context: &mut Context,
    ) {
        if pool.servers[server].part.mark == self.mark {
            self.sent.parts += end(pool, links, gather, server, context);
        } else {
            self.servers.push(server as u32);
        }
        let found = pool.link(server, self.asker.client.index, links, context);
        let found = found.and_then(|id| links.get_mut(id.index, id.generation).ok_or(Why::Other));
        let part = &mut pool.servers[server].part;
        (part.mark, part.keys) = (self.mark, 0);
        part.link = found.as_ref().map(|link| link.id).map_err(|&why| why);
        let Ok(link) = found else { return };
        let mut ask = Ask::new(self.asker.client, self.asker.slot, What::ValuesPart, Class::ReadMany);
        (ask.moves, ask.next) = (self.asker.moves, first);
        link.ask(ask, context);
        part.lent = link.lend(context);
        part.lent.bytes.extend_from_slice(self.request.verb.as_str().as_bytes());
        if let Some(time) = Words::new(self.request.line).nth(1).filter(|_| self.is_gat) {
            part.lent.bytes.push(b' ');
            part.lent.bytes.extend_from_slice(time);
        }
    }
}

/// End a server's part; return how many there are of it: none, where there is no link.
fn end(pool: &mut Pool, links: &mut Slab<Link>, gather: &mut Gather, server: usize, context: &mut Context) -> u32 {
    let part = &mut pool.servers[server].part;
    let found = part.link.ok().and_then(|id| links.get_mut(id.index, id.generation));
    let Some(link) = found else { return 0 };
    gather.link(part.last, NONE);
    if let Some(ask) = link.asks.back_mut() {
        ask.part = part.keys;
    }
    link.take_back(std::mem::take(&mut part.lent));
    link.write(b"\r\n", context);
    link.count_last();
    1
}
