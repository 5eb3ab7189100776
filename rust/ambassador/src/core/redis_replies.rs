//! What Redis servers answer.

use alongside_protocols::incremental::Parsed;
use alongside_protocols::resp::{Limits, Passing, Reply, ReplyProgress, Type, Version, reply, reply_with};

use super::Why;
use super::client::Client;
use super::context::Context;
use super::fleet::{Seen, Verdict, fail_ask};
use super::ids::Slab;
use super::link::{Ask, Link, NOBODY, What};
use super::pool::Pool;

/// What Redis says to a connection that it has no room for.
const FULL: [&[u8]; 2] =
    [b"-ERR max number of clients reached\r\n", b"-ERR max number of clients + cluster connections reached\r\n"];

/// How errors begin by which Redis says that it serves nobody for now: reads and writes, whatever they are.
const UNREADY: [&[u8]; 2] = [b"LOADING", b"BUSY"];

/// Read what answers a link's asks, and hand it to who waits.
pub(super) fn read(
    link: &mut Link,
    pool: &Pool,
    bytes: &[u8],
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> Seen {
    let mut seen = Seen::default();
    let limits = pool.reply_limits(link.version);
    while seen.done < bytes.len() && seen.verdict == Verdict::Fine {
        let rest = &bytes[seen.done..];
        if limits.version == Version::Three && rest[0] == b'>' && link.passing.is_none() {
            if pass_push(link, pool, rest, &limits, &mut seen) {
                continue;
            }
            break;
        }
        let Some(&ask) = link.asks.front() else {
            seen.verdict = Verdict::Broken(Why::Stray);
            break;
        };
        if link.passing.is_some() {
            pass(link, rest, &mut seen, ask);
            continue;
        }
        let ends = if ask.what == What::ReplyPart { Some(&mut context.ends) } else { None };
        let reply = match reply_with(rest, &limits, &mut link.reply_progress, ends) {
            // Redis says so before anything else, and ends the connection: it answers nothing.
            Parsed::Whole(Ok(reply)) if !link.was_answered && FULL.contains(&reply.bytes) => {
                seen.verdict = Verdict::Broken(Why::Refused);
                break;
            }
            Parsed::Whole(Ok(reply)) => reply,
            Parsed::Whole(Err(_)) => {
                seen.verdict = Verdict::Broken(Why::Stray);
                break;
            }
            Parsed::More { need } if need.max(rest.len()) as u64 > pool.terms.pool.limits.server_bytes_max => {
                link.reply_progress = ReplyProgress::default();
                link.passing = Some(Passing::new(link.version));
                give_up(link, pool, clients, context);
                continue;
            }
            Parsed::More { .. } => break,
        };
        seen.done += reply.bytes.len();
        seen.count(ask);
        if ask.is_clients() {
            seen.unready = if reply.is_error() && UNREADY.contains(&reply.word()) { seen.unready + 1 } else { 0 };
        }
        link.observe(ask, context);
        if !link.pop() {
            seen.verdict = deliver(ask, &reply, clients, context);
        }
    }
    seen
}

/// Pass over what a server tells without having been asked, and no client asked for; tell whether it was there.
#[cold]
fn pass_push(link: &mut Link, pool: &Pool, rest: &[u8], limits: &Limits, seen: &mut Seen) -> bool {
    match reply(rest, limits, &mut link.reply_progress) {
        Parsed::Whole(Ok(push)) => {
            seen.done += push.bytes.len();
            return true;
        }
        Parsed::More { need } if need.max(rest.len()) as u64 <= pool.terms.pool.limits.server_bytes_max => {}
        _ => seen.verdict = Verdict::Broken(Why::Stray),
    }
    false
}

/// Fail the first of a link's asks, whose answer is larger than what may wait; what comes of it is passed over.
fn give_up(link: &mut Link, pool: &Pool, clients: &mut Slab<Client>, context: &mut Context) {
    let is_grave = link.graves > 0;
    let Some(ask) = link.asks.front_mut() else { return };
    let who = std::mem::replace(&mut ask.client, NOBODY);
    let ask = Ask { client: who, ..*ask };
    if !is_grave && ask.is_clients() {
        link.lane.failed.add(1);
        pool.lane.limited.add(1);
        fail_ask(ask, Why::TooLarge, clients, context);
    }
    // Nobody waits for it any more.
    link.graves = link.graves.max(1);
}

/// Pass over what came of an answer that is too large.
fn pass(link: &mut Link, rest: &[u8], seen: &mut Seen, ask: Ask) {
    let Some(passing) = &mut link.passing else { return };
    match passing.pass(rest) {
        Ok(count) => seen.done += count,
        Err(_) => seen.verdict = Verdict::Broken(Why::Stray),
    }
    if passing.is_over() {
        link.passing = None;
        link.pop();
        seen.count(ask);
    }
}

/// Tell whether an answer to the wish for RESP3 says nothing of RESP3: the server serves nobody for now, or not us.
fn is_no_word_of_version(reply: &Reply<'_>) -> bool {
    let word = reply.word();
    reply.is_error() && (UNREADY.contains(&word) || matches!(word, b"NOAUTH" | b"DENIED" | b"MASTERDOWN"))
}

#[inline]
fn deliver(ask: Ask, reply: &Reply<'_>, clients: &mut Slab<Client>, context: &mut Context) -> Verdict {
    match ask.what {
        What::Setup if reply.is_error() => return Verdict::Broken(Why::Unauthorized),
        What::Setup => return Verdict::Fine,
        // Redis says so to strangers before anything else, and hangs up: it says nothing of what was asked.
        What::Knock if reply.is_error() && reply.word() == b"DENIED" => return Verdict::Broken(Why::Unready),
        What::Knock => return Verdict::Fine,
        What::Greeting if is_no_word_of_version(reply) => return Verdict::Broken(Why::Unready),
        // Redis before 6 does not know it, and others may not want it.
        What::Greeting if reply.kind != Type::Map => return Verdict::Broken(Why::Version),
        What::Greeting => return Verdict::Fine,
        // Who only refuses to talk to us is there all the same.
        What::Probe if reply.is_error() && !matches!(reply.word(), b"NOAUTH" | b"NOPERM") => {
            return Verdict::Broken(Why::Stray);
        }
        What::Probe => return Verdict::Probed,
        _ => {}
    }
    let Some(client) = clients.get_mut(ask.client.index, ask.client.generation) else { return Verdict::Fine };
    match ask.what {
        What::ReplyPart => {
            let ends = std::mem::take(&mut context.ends);
            client.merge(ask.slot, ask.part, Ok((reply, &ends)), context);
            context.ends = ends;
        }
        What::Version => {
            let is_refused = reply.kind != Type::Map && !is_no_word_of_version(reply);
            client.end_part(ask.slot, is_refused.then_some(Why::Version), context);
        }
        _ => client.finish(ask.slot, reply.bytes, context),
    }
    Verdict::Fine
}
