//! What takes too long.

use super::client::Client;
use super::context::Context;
use super::fleet::{Fleet, fail_ask};
use super::ids::Slab;
use super::link::{Link, State};
use super::pool::Pool;
use super::{LinkId, Why};
use alongside_protocols::resp::Version;

/// Beyond twice the time-out, a late answer is waited for so much longer before the link is given up.
const GRAVE_US: u64 = 1_000_000;

/// An ask knows its age in 32 bits, which are used up after 71 minutes: none gets older than this.
const AGE_US_MAX: u64 = 65 * 60 * 1_000_000;

/// More late answers than this are not waited for.
const GRAVES_MAX: usize = 16_384;

/// What a look at a link told.
struct Look {
    /// Commands failed, and nothing at all came since the first of them was asked.
    is_silent: bool,
    /// It is to be given up.
    is_over: bool,
}

impl Fleet {
    /// Look at all deadlines if the first of them has come; say when the next will.
    pub(crate) fn look_at_deadlines(&mut self, clients: &mut Slab<Client>, context: &mut Context) {
        if context.now_us < context.deadline_us {
            return;
        }
        context.deadline_us = u64::MAX;
        let mut silent: Vec<(u32, u32, Version)> = Vec::new();
        let mut over: Vec<LinkId> = Vec::new();
        for (_, link) in self.links.iter_mut() {
            let Some(pool) = self.pools.get(link.pool as usize).and_then(Option::as_ref) else { continue };
            let look = look_at(link, pool, clients, context);
            if look.is_silent {
                silent.push((link.pool, link.server, link.version));
            }
            if look.is_over {
                over.push(link.id);
            }
        }
        for (pool, server, version) in silent {
            let Some(pool) = self.pools.get_mut(pool as usize).and_then(Option::as_mut) else { continue };
            if pool.failed((server as usize, version), Why::TimedOut, context) {
                pool.drain_server(server as usize, &mut self.links, context);
            }
        }
        over.into_iter().for_each(|id| self.break_link(id, Why::TimedOut, clients, context));
        for pool in self.pools.iter_mut().flatten() {
            pool.look(&mut self.links, context);
        }
    }
}

fn look_at(link: &mut Link, pool: &Pool, clients: &mut Slab<Client>, context: &mut Context) -> Look {
    let mut look = Look { is_silent: false, is_over: false };
    let connect_us = pool.terms.pool.connect_timeout_ms * 1_000;
    let timeout_us = Some(link.timeout_us).filter(|&timeout_us| timeout_us != u64::MAX);
    let until_us = match (link.state, link.is_probe) {
        (State::Connecting, _) => Some(link.opened_us + connect_us),
        (State::Ready, true) => Some(link.opened_us + connect_us + timeout_us.unwrap_or(connect_us)),
        (State::Ready, false) => None,
    };
    if let Some(until_us) = until_us {
        look.is_over = context.now_us >= until_us;
        context.wake(until_us);
    }
    let Some(timeout_us) = timeout_us.filter(|_| !link.is_probe) else { return look };
    while let Some(&ask) = link.asks.get(link.graves) {
        let age_us = u64::from(context.at_us().wrapping_sub(ask.at_us));
        if age_us < timeout_us {
            context.wake(context.now_us + timeout_us - age_us);
            break;
        }
        link.graves += 1;
        let asked_us = context.now_us.saturating_sub(age_us);
        if link.heard_us <= asked_us && asked_us >= link.counted_us {
            link.counted_us = context.now_us;
            link.lane.server_timedout.add(1);
            look.is_silent = true;
        }
        look.is_over |= ask.what.is_set_up();
        if !ask.is_waited_for() {
            continue;
        }
        link.lane.timed_out.add(1);
        pool.lane.forward_error.add(1);
        pool.lane.keys_lost.add(ask.keys());
        fail_ask(ask, pool.told_by(link, ask, Why::TimedOut), clients, context);
    }
    if let Some(oldest) = link.asks.front().filter(|_| link.graves > 0) {
        // Answers come in turn: as long as something comes, it is this one's.
        let age_us =
            u64::from(context.at_us().wrapping_sub(oldest.at_us)).min(context.now_us.saturating_sub(link.heard_us));
        let until_us = (2 * timeout_us + GRAVE_US).min(AGE_US_MAX).saturating_sub(age_us);
        look.is_over |= until_us == 0 || link.graves > GRAVES_MAX || link.is_draining && link.has_no_askers();
        context.wake(context.now_us + until_us);
    }
    look
}
