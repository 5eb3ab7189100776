//! What memcache servers answer.

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::memcache::{Expect, Outcome, Piece, Reply, piece, reply};

use super::client::Client;
use super::context::Context;
use super::fleet::{Seen, Verdict};
use super::gather::{End, Taken};
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::{Why, joined};

/// What memcached says to a connection that it has no room for.
const FULL: &[u8] = b"ERROR Too many open connections\r\n";

/// Read what answers a link's asks, and hand it to who waits.
pub(super) fn read(link: &mut Link, bytes: &[u8], clients: &mut Slab<Client>, context: &mut Context) -> Seen {
    let mut seen = Seen::default();
    while seen.done < bytes.len() && seen.verdict == Verdict::Fine {
        let Some(&ask) = link.asks.front() else {
            seen.verdict = Verdict::Broken(Why::Stray);
            break;
        };
        let rest = &bytes[seen.done..];
        // memcached says so before anything else, and ends the connection: it answers nothing.
        if !link.was_answered && rest.starts_with(FULL) {
            seen.verdict = Verdict::Broken(Why::Refused);
            break;
        }
        if !link.was_answered && FULL.starts_with(rest) {
            break;
        }
        // What answers nothing that was sent is not the answer to what will be.
        if link.is_first_unoffered() {
            seen.verdict = Verdict::Broken(Why::Stray);
            break;
        }
        if link.is_joined() {
            if !joined::read(link, rest, &mut seen, clients, context) {
                break;
            }
            continue;
        }
        let is_whole = match ask.what {
            What::ValuesPart => values_part(link, ask, rest, &mut seen, clients, context),
            _ => whole(link, ask, rest, &mut seen, clients, context),
        };
        if !is_whole {
            break;
        }
        seen.count(ask);
    }
    seen
}

#[inline]
fn expect(what: What) -> Expect {
    match what {
        What::Values => Expect::Values,
        What::Meta | What::MetaSet => Expect::Meta,
        _ => Expect::Line,
    }
}

/// Read one answer that is passed on as a whole; tell whether it is there.
#[inline]
fn whole(
    link: &mut Link,
    ask: Ask,
    rest: &[u8],
    seen: &mut Seen,
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> bool {
    let reply = match reply(rest, expect(ask.what), &mut link.progress) {
        Parsed::Whole(Ok(reply)) => reply,
        Parsed::Whole(Err(_)) => {
            seen.verdict = Verdict::Broken(Why::Stray);
            return false;
        }
        Parsed::More { .. } => return false,
    };
    seen.done += reply.bytes.len();
    link.observe(ask, context);
    if !link.pop() {
        deliver(ask, &reply, seen, clients, context);
    }
    if ask.what == What::MetaSet && reply.line == b"ERROR" {
        // It does not know the command, as memcached before 1.6, and takes the block for commands: it answers these too.
        seen.verdict = Verdict::Broken(Why::Misread);
    }
    true
}

#[inline]
fn deliver(ask: Ask, reply: &Reply<'_>, seen: &mut Seen, clients: &mut Slab<Client>, context: &mut Context) {
    if ask.what == What::Probe {
        seen.verdict = if reply.is_error() { Verdict::Broken(Why::Stray) } else { Verdict::Probed };
        return;
    }
    let Some(client) = clients.get_mut(ask.client.index, ask.client.generation) else { return };
    if ask.what == What::LinePart {
        let failed = (reply.outcome != Outcome::Done).then_some(Why::Other);
        client.part(ask.slot, failed, context);
        return;
    }
    let bytes = if ask.hides.hides(reply.outcome) { b"" } else { reply.bytes };
    client.finish(ask.slot, bytes, context);
}

/// Hand over as many whole values as there are; tell whether the part is over.
fn values_part(
    link: &mut Link,
    ask: Ask,
    rest: &[u8],
    seen: &mut Seen,
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> bool {
    let mut client = if link.graves > 0 { None } else { clients.get_mut(ask.client.index, ask.client.generation) };
    let handed = match (&mut client, link.asks.front_mut()) {
        (Some(client), Some(first)) => client.values(first, rest, &mut link.progress, context),
        _ => None,
    };
    let taken = handed.unwrap_or_else(|| passed_over(rest, &mut link.progress));
    seen.done += taken.values_bytes;
    let line_bytes = match taken.end {
        End::More => return false,
        End::Stray => {
            seen.verdict = Verdict::Broken(Why::Stray);
            return false;
        }
        End::Good(line_bytes) => {
            if let Some(client) = client {
                client.part(ask.slot, None, context);
            }
            line_bytes
        }
        End::Refused(line) => {
            if let Some(client) = client {
                seen.keys_lost += ask.keys();
                client.values_refused(ask.slot, line, context);
            }
            line.len()
        }
    };
    seen.done += line_bytes;
    link.observe(ask, context);
    link.pop();
    true
}

/// Return what there is of values for which nobody waits.
fn passed_over<'a>(bytes: &'a [u8], progress: &mut Progress) -> Taken<'a> {
    let mut values_bytes = 0;
    let end = loop {
        match piece(&bytes[values_bytes..], progress) {
            Parsed::Whole(Ok(Piece::Value(value))) => values_bytes += value.bytes.len(),
            Parsed::Whole(Ok(Piece::End(line))) => break End::Good(line.len()),
            Parsed::Whole(Ok(Piece::Error(line))) => break End::Refused(line),
            Parsed::Whole(Err(_)) => break End::Stray,
            Parsed::More { .. } => break End::More,
        }
    };
    Taken { values_bytes, end }
}
