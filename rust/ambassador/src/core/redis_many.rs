//! Redis commands with several keys, each of which goes where it lives.

use alongside_protocols::resp::commands::{Command, Split};
use alongside_protocols::resp::{Args, Request};

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
use super::spread::Spread;
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
    let mut spread = std::mem::take(&mut context.spread);
    place(&mut merge, &mut spread, pool, (request, split), context);
    if spread.parts.len() == 1 {
        context.give_merge(merge);
        spread.clear();
        context.spread = spread;
        return redis::by_key(client, pool, links, (command, request), context);
    }
    merge.begin(split, spread.parts.len(), pool.is_strict());
    let mut ask = Ask::new(client.id, client.slots.next(), What::ReplyPart, Class::Write);
    if split == Split::Mget || command.name == "EXISTS" {
        ask.class = Class::ReadMany;
    }
    let mut left = 0;
    for &part in &spread.parts {
        let found = pool.link_speaking(part.server as usize, client.speaker(), links, context);
        match found.and_then(|id| links.get_mut(id.index, id.generation).ok_or(Why::Other)) {
            Ok(link) => {
                link.ask(ask, context);
                link.write_with(context, |out| {
                    write_array(out, 1 + part.keys as usize * arguments_each(split));
                    write_bulk(out, command.name.as_bytes());
                    spread.write(part, request.bytes, out);
                });
                link.count_last();
                left += 1;
            }
            Err(why) => {
                count_failure(pool, why);
                merge.fail(ask.part, why);
            }
        }
        ask.part += 1;
    }
    spread.clear();
    context.spread = spread;
    pool.waiting += left as usize;
    pool.lane.fragments.add(u64::from(left));
    let asked_bytes = request.bytes.len();
    let slot = Slot { kind: SlotKind::Merged, left, merge: Some(merge), asked_bytes, ..Slot::default() };
    client.push_merged(slot, context);
}

/// Return how many arguments there are for each key, itself among them.
const fn arguments_each(split: Split) -> usize {
    if matches!(split, Split::Mset) { 2 } else { 1 }
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

/// Say for each key which part it is of. All arguments behind the command's name are keys, or keys and values.
fn place(
    merge: &mut Merge,
    spread: &mut Spread,
    pool: &mut Pool,
    (request, split): (&Request<'_>, Split),
    context: &mut Context,
) {
    let mark = context.next_mark();
    let mut args = request.args();
    args.next();
    let end_of = |args: &Args<'_>| request.bytes.len() - args.bytes_left();
    let mut start = end_of(&args);
    while let Some(key) = args.next() {
        for _ in 1..arguments_each(split) {
            args.next();
        }
        let end = end_of(&args);
        pool.sample(key, context);
        // With nobody to choose, one server stands for all: it fails them.
        let server = pool.choose(key, context).unwrap_or(0);
        let its = &mut pool.servers[server].part;
        if its.mark != mark {
            its.mark = mark;
            its.number = Ok(spread.begin(server));
        }
        let part = its.number.unwrap_or(0);
        spread.add(part, start, end);
        if split == Split::Mget {
            merge.parts_of_keys.push(part);
        }
        start = end;
    }
}
