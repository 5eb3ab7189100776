//! A pool as one thread knows it.

use std::sync::Arc;

use alongside_document::{PoolFunction, PoolProtocol};
use alongside_protocols::memcache::KEY_BYTES_MAX;
use alongside_protocols::resp::Version;
use alongside_protocols::{memcache, resp};

use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, NOBODY, ORPHAN, What};
use super::server::{PLACES_EACH, Server, Speaks, place_of, version_at};
use super::terms::Place;
use super::words::write_command;
use super::{Effect, LinkId, Terms, Why};
use crate::counters::{Class, PoolLane, Standing};

/// Arguments of a request by who has not said who it is, and their bytes; as with Redis.
const UNKNOWN_ELEMENTS_MAX: usize = 10;
const UNKNOWN_BULK_BYTES_MAX: u64 = 16 * 1024;
/// What a request of one value has besides it.
const AROUND_VALUE_BYTES: u64 = 64 * 1024;
/// What a line has beside its keys: a command, a time, an end, a few spaces.
const BESIDE_KEYS_BYTES: usize = 64;

/// What a server is told that RESP3 is to be spoken with it.
pub(crate) const HELLO_3: &[u8] = b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n";

/// What a Redis is asked to see that it answers.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) index: u32,
    pub(crate) terms: Arc<Terms>,
    pub(crate) servers: Vec<Server>,
    pub(crate) lane: Arc<PoolLane>,
    pub(crate) memcache_limits: memcache::Limits,
    pub(crate) resp_limits: resp::Limits,
    /// Bytes of a request of Redis.
    request_bytes_max: usize,
    ring: Ring,
    is_random: bool,
    /// What servers were asked and have not answered.
    pub(crate) waiting: usize,
    pub(crate) clients: usize,
    pub(crate) links: usize,
    pub(crate) is_retired: bool,
}

/// What chooses among servers that are not ejected.
#[derive(Debug)]
enum Ring {
    /// All are there.
    Home,
    Live(Place),
    Nobody,
}

impl Pool {
    pub(crate) fn new(index: u32, terms: Arc<Terms>, servers: Vec<Server>, lane: Arc<PoolLane>) -> Pool {
        let mut pool = Pool {
            index,
            servers,
            lane,
            memcache_limits: memcache::Limits::default(),
            resp_limits: resp::Limits::default(),
            request_bytes_max: 0,
            ring: Ring::Home,
            is_random: false,
            waiting: 0,
            clients: 0,
            links: 0,
            is_retired: false,
            terms,
        };
        pool.read_terms();
        pool
    }

    /// Take over what the terms say.
    pub(crate) fn read_terms(&mut self) {
        let limits = &self.terms.pool.limits;
        self.memcache_limits.value_bytes_max = limits.value_bytes_max;
        self.memcache_limits.keys_max = limits.keys_max as usize;
        let keys_bytes = self.memcache_limits.keys_max.saturating_mul(KEY_BYTES_MAX + 1) + BESIDE_KEYS_BYTES;
        self.memcache_limits.line_bytes_max = keys_bytes.max(memcache::Limits::default().line_bytes_max);
        self.resp_limits.bulk_bytes_max = limits.value_bytes_max;
        let request_bytes_max = limits.request_bytes_max.max(limits.value_bytes_max + AROUND_VALUE_BYTES);
        self.request_bytes_max = usize::try_from(request_bytes_max).unwrap_or(usize::MAX);
        // MSET has two arguments for each key.
        let arguments = (limits.keys_max as usize).saturating_mul(2) + 8;
        self.resp_limits.elements_max = arguments.max(resp::Limits::default().elements_max);
        self.is_random = self.terms.pool.placement.function == PoolFunction::Random;
        self.choose_anew();
    }

    /// Tell whether a key has a server of its own.
    pub(crate) fn is_by_key(&self) -> bool {
        !self.is_random
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.terms.pool.is_strict
    }

    /// Return what a server's answer may be at most; one with more bytes than a server may have waiting is passed over.
    pub(crate) fn reply_limits(&self, version: Version) -> resp::Limits {
        let most = u32::MAX as usize;
        resp::Limits { bulk_bytes_max: most as u64, elements_max: most, line_bytes_max: most, version }
    }

    /// Return what a request of Redis may be at most, by whether its client said who it is.
    pub(crate) fn request_limits(&self, is_known: bool) -> (resp::Limits, usize) {
        if is_known {
            return (self.resp_limits, self.request_bytes_max);
        }
        let unknown = resp::Limits {
            bulk_bytes_max: UNKNOWN_BULK_BYTES_MAX,
            elements_max: UNKNOWN_ELEMENTS_MAX,
            ..self.resp_limits
        };
        (unknown, self.request_bytes_max)
    }

    /// Make the ring of the servers that are not ejected.
    pub(crate) fn choose_anew(&mut self) {
        let is_live = |index: usize| self.servers.get(index).is_some_and(|s| s.standing != Standing::Ejected);
        let count = self.servers.len();
        self.ring = match (0..count).filter(|&index| is_live(index)).count() {
            0 => Ring::Nobody,
            live if live == count => Ring::Home,
            _ => self.terms.place.among(is_live).map_or(Ring::Nobody, Ring::Live),
        };
    }

    /// Return the index of the server that gets a key now.
    #[inline]
    pub(crate) fn choose(&self, key: &[u8], context: &mut Context) -> Result<usize, Why> {
        let random = if self.is_random { context.random() } else { 0 };
        let found = match &self.ring {
            Ring::Home => self.terms.place.server(key, random, |_| true),
            Ring::Live(place) => place.server(key, random, |index| self.servers[index].standing != Standing::Ejected),
            Ring::Nobody => None,
        };
        found.filter(|&index| index < self.servers.len()).ok_or(Why::Refused)
    }

    /// Append to the context's room the index of the server that gets each of some keys now; `nobody` where none does.
    #[inline(never)]
    pub(crate) fn choose_each<'k>(&self, keys: impl Iterator<Item = &'k [u8]>, nobody: u32, context: &mut Context) {
        let mut found = std::mem::take(&mut context.found);
        let place = match &self.ring {
            Ring::Home => Some(&self.terms.place),
            Ring::Live(place) => Some(place),
            Ring::Nobody => None,
        };
        match place {
            Some(Place::Twemproxy(continuum)) if !self.is_random => continuum.servers(keys, &mut found),
            _ => found.extend(keys.map(|key| self.choose(key, context).map_or(nobody, |index| index as u32))),
        }
        context.found = found;
    }

    /// Return any server that gets commands.
    pub(crate) fn choose_any(&self, context: &mut Context) -> Result<usize, Why> {
        let start = context.random() as usize % self.servers.len().max(1);
        let in_turn = (start..self.servers.len()).chain(0..start);
        let good = |standing| in_turn.clone().find(|&index| self.servers[index].standing == standing);
        good(Standing::Good).or_else(|| good(Standing::Down)).ok_or(Why::Refused)
    }

    /// Count a key among those that are asked for, if its turn has come.
    #[inline]
    pub(crate) fn sample(&self, key: &[u8], context: &mut Context) {
        if context.is_sampled() {
            self.count_key(key);
        }
    }

    /// Count those of some keys whose turn has come.
    pub(crate) fn sample_each<'k>(&self, keys: usize, key: impl Fn(usize) -> &'k [u8], context: &mut Context) {
        let mut first = 0;
        while let Some(next) = context.next_sampled(keys - first) {
            self.count_key(key(first + next));
            first += next + 1;
        }
    }

    /// Count a key among those that are asked for.
    #[cold]
    pub(crate) fn count_key(&self, key: &[u8]) {
        self.lane.more.top.lock().unwrap_or_else(std::sync::PoisonError::into_inner).count(key);
    }

    /// Return the link that carries a client's commands for a server, connecting if there is none.
    #[inline]
    pub(crate) fn link(
        &mut self,
        server: usize,
        client: u32,
        links: &mut Slab<Link>,
        context: &mut Context,
    ) -> Result<LinkId, Why> {
        self.link_speaking(server, (client, Version::Two), links, context)
    }

    /// As [`Pool::link`], for a client of a version of Redis' protocol.
    #[inline]
    pub(crate) fn link_speaking(
        &mut self,
        server: usize,
        (client, version): (u32, Version),
        links: &mut Slab<Link>,
        context: &mut Context,
    ) -> Result<LinkId, Why> {
        let limits = &self.terms.pool.limits;
        if self.waiting >= limits.requests_max as usize {
            return Err(Why::Full);
        }
        let its = &self.servers[server];
        let connections = its.links.len() / PLACES_EACH;
        let connection = if connections > 1 { client as usize % connections } else { 0 };
        let place = place_of(connection, version);
        match its.links[place] {
            Some(id) => match links.get(id.index, id.generation) {
                Some(link) if link.output.len() as u64 > limits.server_bytes_max => Err(Why::Full),
                _ => Ok(id),
            },
            None => self.connect_if_useful(server, place, links, context),
        }
    }

    #[cold]
    fn connect_if_useful(
        &mut self,
        server: usize,
        place: usize,
        links: &mut Slab<Link>,
        context: &mut Context,
    ) -> Result<LinkId, Why> {
        let its = &self.servers[server];
        match its.standing {
            Standing::Ejected => Err(its.why),
            Standing::Down if its.fails_at_once => Err(its.why),
            Standing::Good | Standing::Down => match self.no_resp3(server, context) {
                Some(why) if version_at(place) == Version::Three => Err(why),
                _ => Ok(self.connect(server, Some(place), links, context)),
            },
        }
    }

    /// Connect to a server: for commands at a place among its links, or to see whether it can be used.
    pub(crate) fn connect(
        &mut self,
        server: usize,
        place: Option<usize>,
        links: &mut Slab<Link>,
        context: &mut Context,
    ) -> LinkId {
        let its = &mut self.servers[server];
        let mut link = Link::new(self.index, server as u32, its.lane.clone(), context.now_us);
        link.is_probe = place.is_none();
        link.version = place.map_or(Version::Two, version_at);
        link.timeout_us = self.terms.pool.timeout_ms.map_or(u64::MAX, |ms| ms * 1_000);
        self.links += 1;
        self.waiting += set_up(&mut link, &self.terms, its.speaks, context);
        let id = LinkId::from(links.insert(link));
        if let Some(link) = links.get_mut(id.index, id.generation) {
            link.id = id;
        }
        match place {
            Some(place) => its.links[place] = Some(id),
            None => its.probe = Some(id),
        }
        context.wake(context.now_us + self.terms.pool.connect_timeout_ms * 1_000);
        context.connect(id, &self.terms, server);
        id
    }

    /// Ask no more on a link; close it if nothing is asked.
    pub(crate) fn drain_link(&mut self, id: LinkId, links: &mut Slab<Link>, context: &mut Context) {
        let Some(link) = links.get_mut(id.index, id.generation) else { return };
        if let Some(server) = self.servers.get_mut(link.server as usize) {
            server.leave(id);
        }
        link.is_draining = true;
        // What becomes of it says nothing of its server any more, nor of the one that has its index after a reload.
        link.server = ORPHAN;
        if link.has_no_askers() {
            self.drop_link(id, links, context);
        }
    }

    /// Close a link on which nobody waits.
    pub(crate) fn drop_link(&mut self, id: LinkId, links: &mut Slab<Link>, context: &mut Context) {
        if let Some(mut link) = links.remove(id.index, id.generation) {
            link.uncount();
            self.forget(&link);
            context.effects.push(Effect::CloseLink(id));
            link.dismantle(context);
        }
    }

    /// Take a link that is no more out of what is counted and kept of its server.
    pub(crate) fn forget(&mut self, link: &Link) {
        self.links -= 1;
        self.waiting = self.waiting.saturating_sub(link.asks.len());
        if let Some(server) = self.servers.get_mut(link.server as usize) {
            server.leave(link.id);
        }
    }
}

/// Write what a server is told first, and what a probe asks; return how many answers follow.
fn set_up(link: &mut Link, terms: &Terms, speaks: Speaks, context: &mut Context) -> usize {
    let ask = |what| Ask::new(NOBODY, 0, what, Class::Other);
    if terms.pool.protocol == PoolProtocol::Redis {
        if let Some(user) = &terms.server_user {
            link.ask(ask(What::Setup), context);
            let words: &[&[u8]] = match user.name.as_str() {
                "default" => &[b"AUTH", &user.password],
                name => &[b"AUTH", name.as_bytes(), &user.password],
            };
            link.write_with(context, |out| write_command(out, words));
        } else if link.version == Version::Three && speaks != Speaks::Three {
            // Who answers this, and then hangs up, does so for the version.
            link.ask(ask(What::Knock), context);
            link.write(PING, context);
        }
        if link.version == Version::Three {
            link.ask(ask(What::Greeting), context);
            link.write(HELLO_3, context);
        }
        if terms.pool.database > 0 {
            link.ask(ask(What::Setup), context);
            let database = terms.pool.database.to_string();
            link.write_with(context, |out| write_command(out, &[b"SELECT", database.as_bytes()]));
        }
    }
    link.end_set_up();
    if link.is_probe {
        link.ask(ask(What::Probe), context);
        link.write(if terms.pool.protocol == PoolProtocol::Redis { PING } else { b"version\r\n" }, context);
    }
    link.asks.len()
}
