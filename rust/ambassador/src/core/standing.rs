//! How servers fail, are ejected, and come back.

use super::client::Client;
use super::context::Context;
use super::fleet::Fleet;
use super::ids::Slab;
use super::link::{Ask, Link, State, What};
use super::pool::Pool;
use super::server::{Speaks, place_of};
use super::{LinkId, Why};
use crate::counters::Standing;
use alongside_protocols::resp::Version;

/// A connection that is lost without anything asked, but sooner than this, is a failure.
const SHORT_US: u64 = 1_000_000;

/// A server that refuses sooner than this is tried again by the next command; others by probes alone.
const QUICK_US: u64 = 50_000;

/// The longest time between two looks at a server whose keys fail until it is back.
const DOWN_LOOK_MS_MAX: u64 = 1_000;

impl Pool {
    /// Count a failure of a server's connection of a version; eject it if that is due. Return whether it was ejected.
    pub(crate) fn failed(&mut self, (index, version): (usize, Version), why: Why, context: &mut Context) -> bool {
        let can_be_ejected = self.can_eject();
        let Some(server) = self.servers.get_mut(index) else { return false };
        let failures = &mut server.failures[place_of(0, version)];
        *failures = failures.saturating_add(1);
        let failures = *failures;
        server.why = why;
        let Some(ejection) = &self.terms.pool.ejection else { return false };
        if failures < ejection.failures || !can_be_ejected || server.standing == Standing::Ejected {
            return false;
        }
        server.answered();
        server.stand(Standing::Ejected);
        server.lane.ejections.add(1);
        server.lane.more.ejected_at_us.set(context.now_us);
        server.look_at(context.now_us + self.terms.pool.retry_ms * 1_000, context);
        self.lane.server_ejects.add(1);
        self.choose_anew();
        true
    }

    /// Tell whether one more server may be ejected.
    fn can_eject(&self) -> bool {
        let Some(ejection) = &self.terms.pool.ejection else { return false };
        let live = self.servers.iter().filter(|server| server.standing != Standing::Ejected).count();
        let wanted = u64::from(ejection.servers_percent_min) * self.servers.len() as u64;
        live.saturating_sub(1) as u64 * 100 >= wanted
    }

    /// A server cannot be used, and stays in the ring. Commands go on to try where that is quick and costs nobody anything.
    fn is_down(&mut self, index: usize, can_try: bool, context: &mut Context) {
        let look_ms = self.terms.pool.retry_ms.min(DOWN_LOOK_MS_MAX);
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.standing == Standing::Ejected {
            return;
        }
        server.stand(Standing::Down);
        let look_us = context.now_us + look_ms * 1_000;
        server.fails_at_once = !can_try;
        server.look_at(look_us, context);
    }

    /// A link is connected, and its server takes us: one that was only down gets commands again. What was counted against it
    /// stays until it answers one.
    pub(crate) fn may_be_used(&mut self, link: &mut Link, context: &mut Context) {
        if link.is_setting_up() {
            // What follows may wait for what was answered.
            if !link.to_be_written().is_empty() {
                link.dirty(context);
            }
            return;
        }
        if !link.output.is_empty() {
            link.dirty(context);
        }
        let Some(server) = self.servers.get_mut(link.server as usize) else { return };
        if link.version == Version::Three {
            server.speaks = Speaks::Three;
        }
        if server.standing == Standing::Down && !link.is_probe {
            server.stand(Standing::Good);
        }
    }

    /// A server can be used again.
    fn is_back(&mut self, index: usize) {
        let Some(server) = self.servers.get_mut(index) else { return };
        server.answered();
        let was = server.standing;
        server.stand(Standing::Good);
        if was == Standing::Ejected {
            self.choose_anew();
        }
    }

    /// Look at servers whose time has come; say when the next has.
    pub(crate) fn look(&mut self, links: &mut Slab<Link>, context: &mut Context) {
        let count = if self.is_retired { 0 } else { self.servers.len() };
        for index in 0..count {
            let server = &self.servers[index];
            if server.standing == Standing::Good || server.probe.is_some() {
                continue;
            }
            if context.now_us >= server.probe_at_us {
                server.lane.probes.add(1);
                self.connect(index, None, links, context);
            } else {
                context.wake(server.probe_at_us);
            }
        }
    }
}

impl Fleet {
    /// A link is connected: what is to be said there first is written, or all if there is nothing.
    pub(crate) fn link_connected(&mut self, id: LinkId, context: &mut Context) {
        let Some(link) = self.links.get_mut(id.index, id.generation) else { return };
        link.connected(context);
        if let Some(pool) = self.pools.get_mut(link.pool as usize).and_then(Option::as_mut) {
            pool.may_be_used(link, context);
        }
    }

    /// A probe was answered: the server is back, and its link is used if there is none.
    pub(crate) fn probed(&mut self, id: LinkId, context: &mut Context) {
        let Some(link) = self.links.get_mut(id.index, id.generation) else { return };
        link.is_probe = false;
        let (pool, server) = (link.pool, link.server as usize);
        let Some(pool) = self.pools.get_mut(pool as usize).and_then(Option::as_mut) else { return };
        pool.is_back(server);
        let Some(its) = pool.servers.get_mut(server) else { return };
        its.probe = None;
        match its.links.first_mut() {
            Some(first) if first.is_none() => *first = Some(id),
            _ => pool.drop_link(id, &mut self.links, context),
        }
    }

    /// A link leads to where its server no longer is: ask no more on it. What looks whether the server can be used looks anew.
    pub(crate) fn link_moved(&mut self, id: LinkId, context: &mut Context) {
        let Some(link) = self.links.get_mut(id.index, id.generation).filter(|link| !link.is_draining) else { return };
        let (index, is_probe) = (link.server as usize, link.is_probe);
        let Some(pool) = self.pools.get_mut(link.pool as usize).and_then(Option::as_mut) else { return };
        if let Some(server) = pool.servers.get_mut(index) {
            server.speaks = Speaks::Unknown;
        }
        if is_probe {
            pool.drop_link(id, &mut self.links, context);
            if let Some(server) = pool.servers.get_mut(index) {
                server.look_at(context.now_us, context);
            }
            return;
        }
        pool.drain_link(id, &mut self.links, context);
        pool.preconnect(&mut self.links, context);
    }

    /// A link is no more: count it, eject its server if that is due, and fail what was asked.
    pub(crate) fn link_failed(&mut self, id: LinkId, why: Why, clients: &mut Slab<Client>, context: &mut Context) {
        let Some(mut link) = self.links.remove(id.index, id.generation) else { return };
        link.uncount();
        let Some(pool) = self.pools.get_mut(link.pool as usize).and_then(Option::as_mut) else { return };
        let index = link.server as usize;
        let place = pool.servers.get(index).and_then(|server| link.place_among(server));
        let of_version = pool.heard_of_version(&link, why, context);
        let why = of_version.unwrap_or(why);
        pool.forget(&link);
        match why {
            Why::Ended => link.lane.server_eof.add(1),
            // It is as good as before for who speaks RESP2.
            Why::Version | Why::Unready => {}
            // Each silence was counted when it was noticed.
            Why::TimedOut if link.counted_us > 0 => {}
            Why::TimedOut => link.lane.server_timedout.add(1),
            _ => link.lane.server_err.add(1),
        }
        let was_idle = link.state == State::Ready && link.asks.is_empty();
        let was_long = context.now_us.saturating_sub(link.opened_us) >= SHORT_US;
        let was_counted = link.counted_us > 0 && why == Why::TimedOut;
        let is_quick = context.now_us.saturating_sub(link.opened_us) < QUICK_US;
        let is_unwanted = matches!(why, Why::Unauthorized | Why::Refused | Why::Tls);
        let can_try = is_quick && link.state == State::Connecting && why == Why::Refused;
        if link.is_probe {
            link.lane.probes_failed.add(1);
            pool.probe_failed(index, why, can_try, &mut self.links, context);
        } else if link.is_draining
            || index >= pool.servers.len()
            || of_version.is_some()
            || matches!(why, Why::TooLarge | Why::Misread | Why::Own)
        {
            // What becomes of its server is not told by this link any more, or the server is not at fault.
        } else if was_idle && was_long && !pool.is_retired && matches!(why, Why::Ended | Why::Reset) {
            // Servers end idle connections, and also end: connecting tells which, before a command needs to.
            if let Some(place) = place {
                pool.connect(index, Some(place), &mut self.links, context);
            }
        } else if !was_counted && pool.failed((index, link.version), why, context) {
            pool.drain_server(index, &mut self.links, context);
        } else if link.state == State::Connecting || is_unwanted {
            pool.is_down(index, can_try, context);
        }
        self.fail_asks(link, why, clients, context);
    }
}

impl Pool {
    /// Take what the end of a link says of what its server speaks. If it says so, return why the link is no more; its server did
    /// not fail then. Who ends the connection for a word of RESP3 refuses it, if he answered before; else he may just be gone.
    fn heard_of_version(&mut self, link: &Link, why: Why, context: &Context) -> Option<Why> {
        let server = self.servers.get_mut(link.server as usize)?;
        let since_us = context.now_us;
        let (speaks, why) = match why {
            Why::Version => (Speaks::TwoAlone { since_us }, why),
            Why::Unready => (Speaks::Unready { since_us }, why),
            Why::Ended | Why::Reset | Why::Stray if link.is_greeted() => match server.speaks {
                // Another may be there: it is asked with care from now on.
                Speaks::Three => (Speaks::Unknown, why),
                _ if link.was_answered => (Speaks::TwoAlone { since_us }, Why::Version),
                _ => return None,
            },
            _ => return None,
        };
        server.speaks = speaks;
        Some(why)
    }

    /// Return why a server is not spoken to in RESP3 for now, if so: who refused is not asked again and again.
    pub(crate) fn no_resp3(&self, index: usize, context: &Context) -> Option<Why> {
        let retry_ms = self.terms.pool.retry_ms;
        let (since_us, ms, why) = match self.servers.get(index)?.speaks {
            Speaks::TwoAlone { since_us } => (since_us, retry_ms, Why::Version),
            Speaks::Unready { since_us } => (since_us, retry_ms.min(DOWN_LOOK_MS_MAX), Why::Unready),
            Speaks::Unknown | Speaks::Three => return None,
        };
        (context.now_us < since_us + ms * 1_000).then_some(why)
    }

    /// Return what an ask learns of a link's failure: who is known to speak RESP2 alone need not say it again.
    pub(crate) fn told_by(&self, link: &Link, ask: Ask, why: Why) -> Why {
        let speaks = self.servers.get(link.server as usize).map(|server| server.speaks);
        let is_older = ask.what == What::Version && matches!(speaks, Some(Speaks::TwoAlone { .. }));
        if is_older && why != Why::Own { Why::Version } else { why }
    }

    /// A look brought nothing. Where commands do not try, looks alone tell when a server is to be ejected.
    fn probe_failed(&mut self, index: usize, why: Why, can_try: bool, links: &mut Slab<Link>, context: &mut Context) {
        let retry_us = self.terms.pool.retry_ms * 1_000;
        let look_us = context.now_us + self.terms.pool.retry_ms.min(DOWN_LOOK_MS_MAX) * 1_000;
        let Some(server) = self.servers.get_mut(index) else { return };
        if why == Why::Own {
            // Nothing was learnt about it.
            if server.standing != Standing::Good {
                server.look_at(look_us, context);
            }
            return;
        }
        server.why = why;
        let standing = server.standing;
        match standing {
            Standing::Ejected => server.look_at(context.now_us + retry_us, context),
            Standing::Down if self.failed((index, Version::Two), why, context) => {
                self.drain_server(index, links, context)
            }
            Standing::Down => self.is_down(index, can_try, context),
            Standing::Good => {}
        }
    }

    /// Ask a server no more, but wait for what it was asked.
    pub(crate) fn drain_server(&mut self, index: usize, links: &mut Slab<Link>, context: &mut Context) {
        let Some(server) = self.servers.get_mut(index) else { return };
        let ids: Vec<LinkId> = server.links.iter_mut().filter_map(Option::take).collect();
        ids.into_iter().for_each(|id| self.drain_link(id, links, context));
    }
}
