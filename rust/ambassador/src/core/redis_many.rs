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
use super::server::{Part, Server};
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
    if split != Split::Mset {
        return begin_each::<1>(client, pool, links, (command, request, split), context);
    }
    if request.count % 2 == 0 {
        let text: [&[u8]; 1] = [b"wrong number of arguments for 'mset' command"];
        return refuse(client, pool, &text, context);
    }
    begin_each::<2>(client, pool, links, (command, request, split), context);
}

/// As [`begin`], with so many arguments for each key, itself among them.
fn begin_each<const EACH: usize>(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (command, request, split): (&Command, &Request<'_>, Split),
    context: &mut Context,
) {
    let mut spread = Spread::<EACH>::new(request, context);
    spread.place(pool, context);
    if spread.servers.len() == 1 {
        spread.end(context);
        return redis::by_key(client, pool, links, (command, request), context);
    }
    let mut merge = context.merge();
    merge.begin(split, pool.is_strict());
    spread.sort(pool, &mut merge.places);
    if split != Split::Mget {
        merge.places.clear();
    }
    let mut ask = Ask::new(client.id, client.slots.next(), What::ReplyPart, Class::Write);
    if split == Split::Mget || command.name == "EXISTS" {
        ask.class = Class::ReadMany;
    }
    let mut left = 0;
    for &server in &spread.servers {
        let Part { keys, place, .. } = pool.servers[server as usize].part;
        merge.add_part(if split == Split::Mget { keys } else { 0 });
        let found = pool.link_speaking(server as usize, client.speaker(), links, context);
        match found.and_then(|id| links.get_mut(id.index, id.generation).ok_or(Why::Other)) {
            Ok(link) => {
                link.ask(ask, context);
                link.write_with(context, |out| {
                    write_array(out, 1 + keys as usize * EACH);
                    write_bulk(out, command.name.as_bytes());
                    spread.write(place - keys, keys, out);
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
    spread.end(context);
    pool.waiting += left as usize;
    pool.lane.fragments.add(u64::from(left));
    let asked_bytes = request.bytes.len() + merge.keys_bytes();
    let slot = Slot { kind: SlotKind::Merged, left, merge: Some(merge), asked_bytes, ..Slot::default() };
    client.push_merged(slot, context);
}

/// Which keys of a command go in which part of it; for each key there are so many arguments, itself first.
struct Spread<'a, const EACH: usize> {
    request: &'a [u8],
    /// Where its arguments stand, its name first.
    args: Vec<Spot>,
    /// The server of each key.
    found: Vec<u32>,
    /// The server of each part.
    servers: Vec<u32>,
    /// The keys part after part, in their order, with one place left free behind each part.
    sorted: Vec<u32>,
}

// Each loop is apart from the others, so that it has the registers for what it needs.
impl<'a, const EACH: usize> Spread<'a, EACH> {
    fn new(request: &Request<'a>, context: &mut Context) -> Self {
        Spread {
            request: request.bytes,
            args: std::mem::take(&mut context.args),
            found: Vec::new(),
            servers: std::mem::take(&mut context.servers),
            sorted: std::mem::take(&mut context.sorted),
        }
    }

    /// Find the server of each key; count the keys of each part. All arguments behind the command's name are keys, or keys and
    /// what belongs to them.
    #[inline(never)]
    fn place(&mut self, pool: &mut Pool, context: &mut Context) {
        let (keys, _) = self.args.get(1..).unwrap_or_default().as_chunks::<EACH>();
        let text = self.request;
        pool.sample_each(keys.len(), |key| keys[key][0].of(text), context);
        // With nobody to choose, one server stands for all: it fails them.
        pool.choose_each(keys.iter().map(|args| args[0].of(text)), 0, context);
        self.found = std::mem::take(&mut context.found);
        let mark = context.next_mark();
        for &server in &self.found {
            let part = &mut pool.servers[server as usize].part;
            if part.mark != mark {
                (part.mark, part.keys) = (mark, 0);
                self.servers.push(server);
            }
            part.keys += 1;
        }
    }

    /// Sort the keys by parts; append the place of each. Every part then is at the place behind its last key.
    #[inline(never)]
    fn sort(&mut self, pool: &mut Pool, places: &mut Vec<u32>) {
        let mut first = 0;
        for &server in &self.servers {
            let part = &mut pool.servers[server as usize].part;
            part.place = first;
            first += part.keys + 1;
        }
        self.sorted.resize(first as usize, 0);
        places.extend(self.found.iter().zip(0..).map(|(&server, key)| {
            let part = &mut pool.servers[server as usize].part;
            let place = part.place;
            self.sorted[place as usize] = key;
            part.place += 1;
            place
        }));
    }

    /// Append so many keys from a place on, as they stand in the request with what belongs to them.
    #[inline(never)]
    fn write(&self, first: u32, keys: u32, out: &mut Vec<u8>) {
        let (first, keys) = (first as usize, keys as usize);
        for &key in self.sorted.get(first..first + keys).unwrap_or_default() {
            let at = key as usize * EACH;
            // Behind the argument before it, which may be the command's name.
            if let Some([before, .., last]) = self.args.get(at..=at + EACH) {
                append(out, self.request, before.next()..last.next());
            }
        }
    }

    /// Give the room back.
    fn end(mut self, context: &mut Context) {
        self.found.clear();
        self.servers.clear();
        self.sorted.clear();
        (context.args, context.found, context.servers) = (self.args, self.found, self.servers);
        context.sorted = self.sorted;
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
    merge.begin(split, pool.is_strict());
    let mut ask = Ask::new(client.id, client.slots.next(), What::ReplyPart, Class::Other);
    let mut left = 0;
    for server in 0..pool.servers.len() {
        if !is_asked(&pool.servers[server]) {
            continue;
        }
        merge.add_part(0);
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
