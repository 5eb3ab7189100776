//! What memcache clients ask, and where it goes.

use alongside_protocols::incremental::Parsed;
use alongside_protocols::memcache::{
    Fault, KEY_ROOM_BYTES, Kind, Reason, Request, Verb, Words, decoded_key, request_with,
};

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::pool::Pool;
use super::slots::{Slot, SlotKind};
use super::{LinkId, Why, joined, local, memcache_many};
use crate::counters::Class;

/// Begin what is whole of a client's commands; return how many bytes are done with.
pub(super) fn read(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    bytes: &[u8],
    context: &mut Context,
) -> usize {
    let mut done = 0;
    let mut commands = 0;
    while done < bytes.len() && !client.is_deaf {
        if client.is_full() {
            client.hold(context);
            break;
        }
        match request_with(&bytes[done..], &pool.memcache_limits, &mut client.progress, &mut context.spots) {
            Parsed::More { .. } => break,
            Parsed::Whole(Ok(request)) => {
                done += request.bytes.len();
                commands += 1;
                begin(client, pool, links, &request, context);
            }
            Parsed::Whole(Err(fault)) => {
                let skip = usize::try_from(fault.skip).unwrap_or(usize::MAX).min(bytes.len() - done);
                if fault.reason == Reason::TooLarge {
                    forget_old(client, pool, links, &bytes[done..], context);
                }
                done += skip;
                client.skip = fault.skip - skip as u64;
                refuse(client, pool, &fault, context);
                if client.skip > 0 {
                    break;
                }
            }
        }
    }
    pool.lane.commands.add(commands);
    context.forget_room();
    done
}

/// Delete what a value that is too large was to replace, as memcached does: nobody shall read it as the new one.
#[cold]
fn forget_old(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, bytes: &[u8], context: &mut Context) {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = Words::new(line);
    let (Some(verb @ (b"set" | b"ms")), Some(sent)) = (words.next(), words.next()) else { return };
    // Behind the length stand the flags.
    let is_base64 = verb == b"ms" && words.skip(1).any(|flag| flag[0] == b'b');
    let mut room = [0; KEY_ROOM_BYTES];
    let key = if is_base64 { decoded_key(sent, &mut room).unwrap_or_default() } else { sent };
    let found = pool.choose(key, context).and_then(|server| pool.link(server, client.id.index, links, context));
    match found {
        Ok(id) => {
            let (line, what) = if is_base64 {
                ([b"md ", sent, b" b\r\n"].concat(), What::Meta)
            } else {
                ([b"delete ", sent, b"\r\n"].concat(), What::Line)
            };
            let slot = client.expect(SlotKind::Unheard, line.len());
            ask_on(pool, links, id, Ask::new(client.id, slot, what, Class::Write), &line, context);
        }
        Err(why) => count_failure(pool, why),
    }
}

fn refuse(client: &mut Client, pool: &Pool, fault: &Fault, context: &mut Context) {
    pool.lane.refused.add(1);
    if pool.is_strict() {
        pool.lane.client_err.add(1);
        client.break_off(context);
        return;
    }
    if !fault.is_quiet {
        client.answer(fault.answer(), context);
    }
    if fault.is_fatal() {
        pool.lane.client_err.add(1);
        client.is_deaf = true;
        client.end(context);
    }
}

#[inline]
fn begin(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, request: &Request<'_>, context: &mut Context) {
    match request.kind() {
        Kind::Get if request.key_count == 1 => {
            let ask = Ask::new(client.id, 0, What::Values, Class::Read);
            pass_on(client, pool, links, request, ask, context);
        }
        _ if pool.is_strict() && !request.verb.is_twemproxys() => {
            pool.lane.refused.add(1);
            pool.lane.client_err.add(1);
            client.break_off(context);
        }
        Kind::Gat if request.key_count == 1 => {
            let ask = Ask::new(client.id, 0, What::Values, Class::Read);
            pass_on(client, pool, links, request, ask, context);
        }
        Kind::Get | Kind::Gat => memcache_many::begin(client, pool, links, request, context),
        Kind::Store | Kind::Touch | Kind::Arithmetic | Kind::Delete => {
            let ask = Ask::new(client.id, 0, What::Line, Class::Write);
            pass_on(client, pool, links, request, ask, context);
        }
        Kind::Meta if request.key_count == 1 => {
            let class = match request.verb {
                Verb::MetaGet => Class::Read,
                Verb::MetaSet | Verb::MetaDelete | Verb::MetaArithmetic => Class::Write,
                _ => Class::Other,
            };
            let what = if request.verb == Verb::MetaSet { What::MetaSet } else { What::Meta };
            let mut ask = Ask::new(client.id, 0, what, class);
            ask.hides = request.hides();
            pass_on(client, pool, links, request, ask, context);
        }
        Kind::FlushAll if pool.terms.pool.may_flush => flush(client, pool, links, request, context),
        Kind::Version if pool.is_strict() => anywhere(client, pool, links, request.bytes, context),
        _ => local::memcache(client, pool, request, context),
    }
}

/// Pass a command on to the server of its key.
#[inline]
fn pass_on(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    request: &Request<'_>,
    mut ask: Ask,
    context: &mut Context,
) {
    let is_meta = request.verb.is_meta();
    let chosen = if is_meta {
        choose(pool, request.placement_key(&mut [0; KEY_ROOM_BYTES]), context)
    } else {
        choose(pool, request.key(), context)
    };
    let found = chosen.and_then(|server| pool.link(server, client.id.index, links, context));
    // memcached answers some quiet commands all the same: none is sent quietly, so that each has its answer, and is waited for.
    let is_unheard = request.is_quiet && !is_meta;
    let kind = if is_unheard { SlotKind::Unheard } else { SlotKind::Whole };
    let link = found.and_then(|id| links.get_mut(id.index, id.generation).ok_or(Why::Other));
    match link {
        Ok(link) => {
            ask.slot = client.expect(kind, request.bytes.len());
            let sent = if joined::may_join(pool, request) {
                link.get(ask, request.key(), request.bytes, context)
            } else {
                link.ask(ask, context);
                if request.is_quiet {
                    link.write_with(context, |out| request.write_loud(out))
                } else {
                    link.write(request.bytes, context);
                    request.bytes.len()
                }
            };
            link.lane.requests.add(1);
            link.lane.request_bytes.add(sent as u64);
            pool.waiting += 1;
        }
        Err(why) => {
            count_failure(pool, why);
            if !is_unheard {
                client.answer_failure(why, context);
            }
        }
    }
}

#[inline]
fn choose(pool: &Pool, key: &[u8], context: &mut Context) -> Result<usize, Why> {
    pool.sample(key, context);
    pool.choose(key, context)
}

/// Count a command, or a part of one, that no server got.
pub(super) fn count_failure(pool: &Pool, why: Why) {
    pool.lane.forward_error.add(1);
    if why == Why::Full {
        pool.lane.limited.add(1);
    }
}

/// Ask one thing on a link, without a key.
pub(super) fn ask_on(
    pool: &mut Pool,
    links: &mut Slab<Link>,
    id: LinkId,
    ask: Ask,
    bytes: &[u8],
    context: &mut Context,
) {
    let Some(link) = links.get_mut(id.index, id.generation) else { return };
    link.ask(ask, context);
    link.write(bytes, context);
    link.lane.requests.add(1);
    link.lane.request_bytes.add(bytes.len() as u64);
    pool.waiting += 1;
}

fn anywhere(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, bytes: &[u8], context: &mut Context) {
    let found = pool.choose_any(context).and_then(|server| pool.link(server, client.id.index, links, context));
    match found {
        Ok(id) => {
            let ask = Ask::new(client.id, client.expect(SlotKind::Whole, bytes.len()), What::Line, Class::Other);
            ask_on(pool, links, id, ask, bytes, context);
        }
        Err(why) => {
            count_failure(pool, why);
            client.answer_failure(why, context);
        }
    }
}

/// Tell every server to forget all; it is done when all have.
fn flush(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, request: &Request<'_>, context: &mut Context) {
    let kind = if request.is_quiet { SlotKind::Unheard } else { SlotKind::Lines };
    let mut slot = Slot { kind, ..Slot::default() };
    let number = client.slots.next();
    let mut loud = context.buffers.take();
    request.write_loud(&mut loud);
    for server in 0..pool.servers.len() {
        match pool.link(server, client.id.index, links, context) {
            Ok(id) => {
                slot.left += 1;
                ask_on(pool, links, id, Ask::new(client.id, number, What::LinePart, Class::Write), &loud, context);
            }
            Err(why) => {
                count_failure(pool, why);
                slot.failed = Some(why);
            }
        }
    }
    context.buffers.give(loud);
    pool.lane.fragments.add(u64::from(slot.left));
    let is_over = slot.left == 0;
    client.slots.push(slot);
    if is_over {
        client.complete(client.slots.len() - 1, context);
    }
}
