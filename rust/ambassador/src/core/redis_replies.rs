//! What Redis servers answer.

use alongside_protocols::incremental::Parsed;
use alongside_protocols::resp::{Limits, Reply, reply};

use super::Why;
use super::client::Client;
use super::context::Context;
use super::fleet::{Seen, Verdict};
use super::ids::Slab;
use super::link::{Ask, Link, What};

/// Read what answers a link's asks, and hand it to who waits.
pub(super) fn read(
    link: &mut Link,
    limits: &Limits,
    bytes: &[u8],
    clients: &mut Slab<Client>,
    context: &mut Context,
) -> Seen {
    let mut seen = Seen::default();
    while seen.done < bytes.len() && seen.verdict == Verdict::Fine {
        let Some(&ask) = link.asks.front() else {
            seen.verdict = Verdict::Broken(Why::Stray);
            break;
        };
        let reply = match reply(&bytes[seen.done..], limits, &mut link.reply_progress) {
            Parsed::Whole(Ok(reply)) => reply,
            Parsed::Whole(Err(_)) => {
                seen.verdict = Verdict::Broken(Why::Stray);
                break;
            }
            Parsed::More { .. } => break,
        };
        seen.done += reply.bytes.len();
        seen.answers += 1;
        link.observe(ask, context);
        if !link.pop() {
            seen.verdict = deliver(ask, &reply, clients, context);
        }
    }
    seen
}

#[inline]
fn deliver(ask: Ask, reply: &Reply<'_>, clients: &mut Slab<Client>, context: &mut Context) -> Verdict {
    match ask.what {
        What::Setup if reply.is_error() => return Verdict::Broken(Why::Unauthorized),
        What::Setup => return Verdict::Fine,
        // Who only refuses to talk to us is there all the same.
        What::Probe if reply.is_error() && !matches!(reply.word(), b"NOAUTH" | b"NOPERM") => {
            return Verdict::Broken(Why::Stray);
        }
        What::Probe => return Verdict::Probed,
        _ => {}
    }
    let Some(client) = clients.get_mut(ask.client.index, ask.client.generation) else { return Verdict::Fine };
    if ask.what == What::ReplyPart {
        client.merge(ask.slot, ask.part, Ok(reply), context);
    } else {
        client.finish(ask.slot, reply.bytes, context);
    }
    Verdict::Fine
}
