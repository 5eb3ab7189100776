//! Pools and links: what servers are asked, and what becomes of it.

use std::collections::HashMap;

use alongside_document::PoolProtocol;

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::pool::Pool;
use super::{LinkId, Why};
use crate::counters::Standing;

/// What is copied first behind a message that is not whole: most messages are small.
const FIRST_COPIED_BYTES: usize = 512;

/// All pools of a thread with their links.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) pools: Vec<Option<Pool>>,
    /// Pools that new clients may come to.
    pub(crate) names: HashMap<String, u32>,
    pub(crate) links: Slab<Link>,
}

/// What was found in the bytes of a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Bytes that are done with.
    pub(crate) done: usize,
    /// Answers.
    pub(crate) answers: usize,
    /// Those of them that clients asked for.
    pub(crate) responses: usize,
    /// Those of them, one after the other at the end, that say that the server can serve nobody for now.
    pub(crate) unready: usize,
    /// Keys that count as missing since the server refused them.
    pub(crate) keys_lost: u64,
    /// What more is to be done.
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verdict {
    #[default]
    Fine,
    /// A probe was answered well.
    Probed,
    /// The link is of no use.
    Broken(Why),
}

impl Seen {
    /// An answer came.
    #[inline]
    pub(crate) fn count(&mut self, ask: Ask) {
        self.answers += 1;
        self.responses += usize::from(ask.is_clients());
    }

    /// More was found.
    fn add(&mut self, more: Seen) {
        // By name, so that none is forgotten.
        let Seen { done, answers, responses, unready, keys_lost, verdict } = more;
        self.done += done;
        self.answers += answers;
        self.responses += responses;
        self.unready = if responses > unready { unready } else { self.unready + unready };
        self.keys_lost += keys_lost;
        self.verdict = verdict;
    }
}

impl Fleet {
    pub(crate) fn pool(&self, index: u32) -> Option<&Pool> {
        self.pools.get(index as usize).and_then(Option::as_ref)
    }

    /// Return a pool, and the links beside it.
    #[inline]
    pub(crate) fn parts(&mut self, index: u32) -> Option<(&mut Pool, &mut Slab<Link>)> {
        let pool = self.pools.get_mut(index as usize)?.as_mut()?;
        Some((pool, &mut self.links))
    }

    /// Take bytes that a server sent.
    pub(crate) fn link_read(&mut self, id: LinkId, bytes: &[u8], clients: &mut Slab<Client>, context: &mut Context) {
        let Some(link) = self.links.get_mut(id.index, id.generation) else { return };
        let Some(pool) = self.pools.get_mut(link.pool as usize).and_then(Option::as_mut) else { return };
        link.heard_us = context.now_us;
        let seen = read_on(link, pool, bytes, clients, context);
        pool.lane.keys_lost.add(seen.keys_lost);
        link.lane.responses.add(seen.responses as u64);
        link.lane.response_bytes.add(bytes.len() as u64);
        link.show_queues();
        pool.waiting = pool.waiting.saturating_sub(seen.answers);
        // What becomes of its server is not told by a link that drains.
        let place = if link.is_draining { usize::MAX } else { link.server as usize };
        let mut is_ejected = false;
        if !matches!(seen.verdict, Verdict::Broken(_)) {
            if seen.responses > seen.unready
                && let Some(server) = pool.servers.get_mut(link.server as usize)
            {
                server.answered();
            }
            is_ejected = (0..seen.unready).any(|_| pool.failed((place, link.version), Why::Other, context));
            if seen.answers > seen.responses {
                pool.may_be_used(link, context);
            }
        }
        let is_flooded = link.input.len() as u64 > pool.terms.pool.limits.server_bytes_max;
        let is_over = link.is_draining && link.has_no_askers();
        match seen.verdict {
            Verdict::Broken(why) => self.break_link(id, why, clients, context),
            _ if is_flooded => self.break_link(id, Why::TooLarge, clients, context),
            Verdict::Probed => self.probed(id, context),
            Verdict::Fine if is_over => pool.drop_link(id, &mut self.links, context),
            Verdict::Fine if is_ejected => pool.drain_server(place, &mut self.links, context),
            Verdict::Fine => {}
        }
    }

    /// Close a link that is of no use any more.
    pub(crate) fn break_link(&mut self, id: LinkId, why: Why, clients: &mut Slab<Client>, context: &mut Context) {
        context.effects.push(super::Effect::CloseLink(id));
        self.link_failed(id, why, clients, context);
    }

    /// Have nothing shown any more of what stands now: whoever goes on begins anew.
    pub(crate) fn give_up(&mut self) {
        for (_, link) in self.links.iter_mut() {
            link.uncount();
        }
        for pool in self.pools.iter_mut().flatten() {
            pool.lane.client_connections.set(0);
            pool.lane.waiting.set(0);
            pool.servers.iter_mut().for_each(|server| server.stand(Standing::Good));
        }
    }

    /// Fail what was asked on a link that is no more; reads of which nothing was sent may go to another server.
    pub(crate) fn fail_asks(&mut self, link: Link, why: Why, clients: &mut Slab<Client>, context: &mut Context) {
        for index in link.graves..link.asks.len() {
            let ask = link.asks[index];
            let command = link.unsent(index).map(|bytes| link.command(index, bytes));
            if command.is_some_and(|command| self.ask_another(&link, ask, &command, clients, context)) {
                link.lane.moved_away.add(1);
                continue;
            }
            if !ask.is_waited_for() {
                continue;
            }
            let why = self.pool(link.pool).map_or(why, |pool| pool.told_by(&link, ask, why));
            // That a server speaks RESP2 alone is an answer.
            if (ask.what, why) != (What::Version, Why::Version) {
                link.lane.failed.add(1);
                if let Some(pool) = self.pool(link.pool) {
                    pool.lane.forward_error.add(1);
                    pool.lane.keys_lost.add(ask.keys());
                }
            }
            fail_ask(ask, why, clients, context);
        }
        link.dismantle(context);
    }
}

/// Read what a server sent. Behind a message that is not whole no more is copied than that needs; the rest is read where it is.
fn read_on(link: &mut Link, pool: &Pool, bytes: &[u8], clients: &mut Slab<Client>, context: &mut Context) -> Seen {
    let mut all = Seen::default();
    let (mut rest, mut copied_bytes) = (bytes, FIRST_COPIED_BYTES);
    while !link.input.is_empty() && !rest.is_empty() && all.verdict == Verdict::Fine {
        let before = link.input.len();
        let (copied, behind) = rest.split_at(rest.len().min(copied_bytes));
        link.input.extend(copied, &mut context.buffers);
        let input = link.input.take();
        let seen = read(link, pool, &input, clients, context);
        all.add(seen);
        if seen.done < before {
            link.input.put(input, seen.done, &mut context.buffers);
            (rest, copied_bytes) = (behind, copied_bytes * 8);
        } else {
            rest = &rest[seen.done - before..];
            context.buffers.give(input);
        }
    }
    if all.verdict == Verdict::Fine && !rest.is_empty() {
        let seen = read(link, pool, rest, clients, context);
        all.add(seen);
        rest = &rest[seen.done..];
    }
    link.input.extend(rest, &mut context.buffers);
    all
}

#[inline]
fn read(link: &mut Link, pool: &Pool, bytes: &[u8], clients: &mut Slab<Client>, context: &mut Context) -> Seen {
    match pool.terms.pool.protocol {
        PoolProtocol::Memcache => super::memcache_replies::read(link, bytes, clients, context),
        PoolProtocol::Redis => super::redis_replies::read(link, pool, bytes, clients, context),
    }
}

/// Tell who waits that there will be no answer.
pub(crate) fn fail_ask(ask: Ask, why: Why, clients: &mut Slab<Client>, context: &mut Context) {
    let Some(client) = clients.get_mut(ask.client.index, ask.client.generation) else { return };
    match ask.what {
        What::Line | What::Values | What::Joined | What::Meta | What::MetaSet | What::Reply => {
            client.fail(ask.slot, why, context)
        }
        What::ValuesPart => client.fail_values(ask, why, context),
        What::LinePart => client.part(ask.slot, Some(why), context),
        What::ReplyPart => client.merge(ask.slot, ask.part, Err(why), context),
        // A server that says nothing now may speak it when it is back; where we could not ask, nobody consented.
        What::Version => {
            let failed = Some(why).filter(|&why| matches!(why, Why::Version | Why::Own));
            client.end_part(ask.slot, failed, context);
        }
        What::Setup | What::Knock | What::Greeting | What::Probe => {}
    }
}
