//! Redis commands with several keys, each of which goes where it lives.

use alongside_protocols::resp::commands::{Command, Split};
use alongside_protocols::resp::{Args, Request, Version};

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::memcache::{ask_on, count_failure};
use super::merge::Merge;
use super::pool::Pool;
use super::redis::refuse;
use super::server::Server;
use super::slots::{Slot, SlotKind};
use super::words::{write_array, write_bulk};
use super::{Why, redis};
use crate::counters::{Class, Standing};

/// Begin a command of several keys.
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
    let mut servers = std::mem::take(&mut context.servers);
    place(&mut merge, &mut servers, pool, command, request, context);
    if servers.len() == 1 {
        context.give_merge(merge);
        servers.clear();
        context.servers = servers;
        return redis::by_key(client, pool, links, (command, request), context);
    }
    merge.begin(split, servers.len(), pool.is_strict());
    let number = client.slots.next();
    let mut left = 0;
    for (part, &server) in (0_u32..).zip(&servers) {
        let mut ask = Ask::new(client.id, number, What::ReplyPart, Class::Write);
        if split == Split::Mget || command.name == "EXISTS" {
            ask.class = Class::ReadMany;
        }
        ask.part = part;
        match start(pool, links, (server as usize, client.speaker(), ask, command, split), context) {
            Ok(()) => left += 1,
            Err(why) => {
                pool.servers[server as usize].part.number = Err(why);
                count_failure(pool, why);
                merge.fail(part, why);
            }
        }
    }
    fill(&merge, &servers, pool, links, (request, split), context);
    servers.clear();
    context.servers = servers;
    pool.waiting += left as usize;
    pool.lane.fragments.add(u64::from(left));
    let asked_bytes = request.bytes.len();
    let slot = Slot { kind: SlotKind::Merged, left, merge: Some(merge), asked_bytes, ..Slot::default() };
    client.push_merged(slot, context);
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

/// Say for each key which part it is of, and for each part which server's it is.
fn place(
    merge: &mut Merge,
    servers: &mut Vec<u32>,
    pool: &mut Pool,
    command: &Command,
    request: &Request<'_>,
    context: &mut Context,
) {
    let mark = context.next_mark();
    for key in command.keys(request) {
        pool.sample(key, context);
        // With nobody to choose, one server stands for all: it fails them.
        let server = pool.choose(key, context).unwrap_or(0);
        let part = &mut pool.servers[server].part;
        if part.mark != mark {
            part.mark = mark;
            part.number = Ok(servers.len() as u32);
            part.keys = 0;
            servers.push(server as u32);
        }
        part.keys += 1;
        merge.parts_of_keys.push(part.number.unwrap_or(0));
    }
}

/// Begin a part on its server's link: everything but the keys.
fn start(
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (server, who, ask, command, split): (usize, (u32, Version), Ask, &Command, Split),
    context: &mut Context,
) -> Result<(), Why> {
    let id = pool.link_speaking(server, who, links, context)?;
    let link = links.get_mut(id.index, id.generation).ok_or(Why::Other)?;
    let part = &mut pool.servers[server].part;
    part.link = id;
    let arguments = part.keys as usize * if split == Split::Mset { 2 } else { 1 };
    link.ask(ask, context);
    link.write_with(context, |out| {
        write_array(out, arguments + 1);
        write_bulk(out, command.name.as_bytes());
    });
    Ok(())
}

/// Write each key, and its value, to its part.
fn fill(
    merge: &Merge,
    servers: &[u32],
    pool: &Pool,
    links: &mut Slab<Link>,
    (request, split): (&Request<'_>, Split),
    context: &mut Context,
) {
    let mut args: Args<'_> = request.args();
    args.next();
    for &part in &merge.parts_of_keys {
        let (key, value) = (args.next_framed(), if split == Split::Mset { args.next_framed() } else { None });
        let its = &pool.servers[servers[part as usize] as usize].part;
        if its.number.is_err() {
            continue;
        }
        let Some(link) = links.get_mut(its.link.index, its.link.generation) else { continue };
        link.write(key.unwrap_or_default(), context);
        if let Some(value) = value {
            link.write(value, context);
        }
    }
    for &server in servers {
        let its = &pool.servers[server as usize].part;
        if its.number.is_ok()
            && let Some(link) = links.get_mut(its.link.index, its.link.generation)
        {
            link.count_last();
        }
    }
}
