//! Redis commands with several keys, each of which goes where it lives.

use alongside_protocols::resp::commands::{Command, Split};
use alongside_protocols::resp::{Request, Spot};

use super::buffers::append;
use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::memcache::{ask_on, count_failure};
use super::pool::Pool;
use super::redis::refuse;
use super::server::Server;
use super::slots::{Slot, SlotKind};
use super::words::{write_array, write_bulk};
use super::{Why, redis};
use crate::counters::{Class, Standing};

/// Begin a command of several keys, whose arguments stand at the context's spots.
pub(super) fn begin(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (command, request, split): (&Command, &Request<'_>, Split),
    context: &mut Context,
) {
    if split == Split::Mset && request.count % 2 == 0 {
        let text: [&[u8]; 1] = [b"wrong number of arguments for 'mset' command"];
        return refuse(client, pool, &text, context);
    }
    let mut merge = context.merge();
    let mut spread = Spread::new(request, split, context);
    spread.place(pool, &mut merge.parts_of_keys, context);
    if spread.servers.len() == 1 {
        context.give_merge(merge);
        spread.end(context);
        return redis::by_key(client, pool, links, (command, request), context);
    }
    if split != Split::Mget {
        merge.parts_of_keys.clear();
    }
    merge.begin(split, spread.servers.len(), pool.is_strict());
    let mut ask = Ask::new(client.id, client.slots.next(), What::ReplyPart, Class::Write);
    if split == Split::Mget || command.name == "EXISTS" {
        ask.class = Class::ReadMany;
    }
    let mut left = 0;
    for &server in &spread.servers {
        let found = pool.link_speaking(server as usize, client.speaker(), links, context);
        let part = &mut pool.servers[server as usize].part;
        match found.and_then(|id| links.get_mut(id.index, id.generation).ok_or(Why::Other)) {
            Ok(link) => {
                link.ask(ask, context);
                link.write_with(context, |out| {
                    write_array(out, 1 + part.keys as usize * spread.each);
                    write_bulk(out, command.name.as_bytes());
                });
                (part.link, part.lent) = (link.id, link.lend(context));
                left += 1;
            }
            Err(why) => {
                part.number = Err(why);
                count_failure(pool, why);
                merge.fail(ask.part, why);
            }
        }
        ask.part += 1;
    }
    spread.write(pool, links);
    spread.end(context);
    pool.waiting += left as usize;
    pool.lane.fragments.add(u64::from(left));
    let asked_bytes = request.bytes.len();
    let slot = Slot { kind: SlotKind::Merged, left, merge: Some(merge), asked_bytes, ..Slot::default() };
    client.push_merged(slot, context);
}

/// Which keys of a command go in which part of it.
struct Spread<'a> {
    request: &'a [u8],
    /// Where its arguments stand, its name first.
    args: Vec<Spot>,
    /// How many of them there are for each key, itself among them.
    each: usize,
    /// The server of each key.
    found: Vec<u32>,
    /// The server of each part.
    servers: Vec<u32>,
}

impl<'a> Spread<'a> {
    fn new(request: &Request<'a>, split: Split, context: &mut Context) -> Spread<'a> {
        Spread {
            request: request.bytes,
            args: std::mem::take(&mut context.args),
            each: if split == Split::Mset { 2 } else { 1 },
            found: Vec::new(),
            servers: std::mem::take(&mut context.servers),
        }
    }

    /// Find the server of each key; append the part that it is in. All arguments behind the command's name are keys, or
    /// keys and values.
    fn place(&mut self, pool: &mut Pool, parts_of_keys: &mut Vec<u32>, context: &mut Context) {
        let keys = self.args.get(1..).unwrap_or_default().chunks_exact(self.each);
        let (count, text) = (keys.len(), self.request);
        pool.sample_each(count, |key| self.args[1 + key * self.each].of(text), context);
        // With nobody to choose, one server stands for all: it fails them.
        pool.choose_each(keys.map(|args| args[0].of(text)), 0, context);
        self.found = std::mem::take(&mut context.found);
        let mark = context.next_mark();
        let servers = &mut self.servers;
        parts_of_keys.extend(self.found.iter().map(|&server| {
            let part = &mut pool.servers[server as usize].part;
            if part.mark != mark {
                (part.mark, part.keys) = (mark, 0);
                part.number = Ok(servers.len() as u32);
                servers.push(server);
            }
            part.keys += 1;
            part.number.unwrap_or(0)
        }));
    }

    /// Write the keys behind what was lent for them, as they stand in the request with what belongs to them.
    #[inline(never)]
    fn write(&self, pool: &mut Pool, links: &mut Slab<Link>) {
        let mut start = self.args.first().map_or(0, |name| name.next());
        let keys = self.args.get(1..).unwrap_or_default().chunks_exact(self.each);
        for (args, &server) in keys.zip(&self.found) {
            let end = args[self.each - 1].next();
            let part = &mut pool.servers[server as usize].part;
            if part.number.is_ok() {
                append(&mut part.lent.bytes, self.request, start..end);
            }
            start = end;
        }
        for &server in &self.servers {
            let part = &mut pool.servers[server as usize].part;
            if part.number.is_ok()
                && let Some(link) = links.get_mut(part.link.index, part.link.generation)
            {
                link.take_back(std::mem::take(&mut part.lent));
                link.count_last();
            }
        }
    }

    /// Give the room back.
    fn end(mut self, context: &mut Context) {
        self.found.clear();
        self.servers.clear();
        (context.args, context.found, context.servers) = (self.args, self.found, self.servers);
    }
}

/// Begin a command that every server gets which gets commands at all.
pub(super) fn everywhere(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (request, split): (&Request<'_>, Split),
    context: &mut Context,
) {
    let is_asked = |server: &Server| server.standing != Standing::Ejected;
    let parts = pool.servers.iter().filter(|server| is_asked(server)).count();
    if parts == 0 {
        count_failure(pool, Why::Refused);
        return client.answer_failure(Why::Refused, context);
    }
    let mut merge = context.merge();
    merge.begin(split, parts, pool.is_strict());
    let mut ask = Ask::new(client.id, client.slots.next(), What::ReplyPart, Class::Other);
    let mut left = 0;
    for server in 0..pool.servers.len() {
        if !is_asked(&pool.servers[server]) {
            continue;
        }
        match pool.link_speaking(server, client.speaker(), links, context) {
            Ok(id) => {
                ask_on(pool, links, id, ask, request.bytes, context);
                left += 1;
            }
            Err(why) => {
                count_failure(pool, why);
                merge.fail(ask.part, why);
            }
        }
        ask.part += 1;
    }
    pool.lane.fragments.add(u64::from(left));
    let asked_bytes = request.bytes.len() * left as usize;
    let slot = Slot { kind: SlotKind::Merged, left, merge: Some(merge), asked_bytes, ..Slot::default() };
    client.push_merged(slot, context);
}
