//! New pools for old.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::Client;
use super::context::Context;
use super::fleet::Fleet;
use super::ids::Slab;
use super::link::Link;
use super::pool::Pool;
use super::server::{PLACES_EACH, Server, Speaks};
use super::{LinkId, Terms};
use crate::counters::Standing;

impl Fleet {
    /// Have these pools and no others.
    pub(crate) fn apply(&mut self, pools: Vec<Arc<Terms>>, clients: &mut Slab<Client>, context: &mut Context) {
        let is_kept = |pool: &Pool| {
            pools
                .iter()
                .any(|terms| terms.pool.name == pool.terms.pool.name && terms.pool.protocol == pool.terms.pool.protocol)
        };
        let gone: Vec<u32> = (0_u32..)
            .zip(&self.pools)
            .filter(|(_, pool)| pool.as_ref().is_some_and(|pool| !pool.is_retired && !is_kept(pool)))
            .map(|(index, _)| index)
            .collect();
        gone.into_iter().for_each(|index| self.retire(index, clients, context));
        for terms in pools {
            match self.names.get(terms.pool.name.as_str()).copied() {
                Some(index) => self.change(index, terms, clients, context),
                None => self.add(terms, context),
            }
        }
        // Whatever a new pool says about times holds from now on.
        context.wake(context.now_us);
    }

    fn add(&mut self, terms: Arc<Terms>, context: &mut Context) {
        let free = self.pools.iter().position(Option::is_none);
        let place = free.unwrap_or(self.pools.len());
        let index = place as u32;
        let connections = terms.pool.connections as usize;
        let named = terms.pool.servers.iter().zip(&terms.servers);
        let servers =
            named.map(|(named, counters)| Server::new(named.name.as_str(), counters.lane(), connections)).collect();
        let lane = terms.counters.lane();
        self.names.insert(terms.pool.name.as_str().to_owned(), index);
        let mut pool = Pool::new(index, terms, servers, lane);
        pool.preconnect(&mut self.links, context);
        if free.is_some() {
            self.pools[place] = Some(pool);
        } else {
            self.pools.push(Some(pool));
        }
    }

    fn change(&mut self, index: u32, terms: Arc<Terms>, clients: &mut Slab<Client>, context: &mut Context) {
        let Some((pool, links)) = self.parts(index) else { return };
        let before = std::mem::replace(&mut pool.terms, terms.clone());
        let mut old: Vec<Option<Server>> = std::mem::take(&mut pool.servers).into_iter().map(Some).collect();
        let names = before.pool.servers.iter().map(|server| server.name.as_str());
        let places: HashMap<&str, usize> = names.zip(0..).collect();
        let mut servers = Vec::with_capacity(terms.pool.servers.len());
        let mut left: Vec<LinkId> = Vec::new();
        for (place, named) in terms.pool.servers.iter().enumerate() {
            let found = places.get(named.name.as_str()).copied();
            let same = found.and_then(|found| Some((found, old[found].take()?)));
            servers.push(match same {
                Some((found, server)) => keep(server, (&before, found), (&terms, place), &mut left),
                None => Server::new(named.name.as_str(), terms.servers[place].lane(), terms.pool.connections as usize),
            });
        }
        for mut server in old.into_iter().flatten() {
            take_links(&mut server, &mut left);
            server.stand(Standing::Good);
        }
        for (place, server) in (0_u32..).zip(&servers) {
            for id in server.links.iter().flatten().chain(&server.probe) {
                if let Some(link) = links.get_mut(id.index, id.generation) {
                    link.server = place;
                    link.timeout_us = terms.pool.timeout_ms.map_or(u64::MAX, |ms| ms * 1_000);
                }
            }
        }
        pool.servers = servers;
        if !Arc::ptr_eq(&before.counters, &terms.counters) {
            pool.lane = terms.counters.lane();
        }
        pool.read_terms();
        pool.preconnect(links, context);
        left.into_iter().for_each(|id| pool.orphan(id, links, context));
        for (_, client) in clients.iter_mut().filter(|(_, client)| client.pool == index) {
            client.limit(&terms.pool.limits);
            client.is_known |= terms.users.is_empty();
            client.look_again(context);
        }
    }

    /// Take no more commands of a pool's clients; the pool is forgotten with the last of them.
    pub(crate) fn retire(&mut self, index: u32, clients: &mut Slab<Client>, context: &mut Context) {
        let Some((pool, _)) = self.parts(index) else { return };
        pool.is_retired = true;
        let name = pool.terms.pool.name.as_str().to_owned();
        if self.names.get(&name) == Some(&index) {
            self.names.remove(&name);
        }
        for (_, client) in clients.iter_mut().filter(|(_, client)| client.pool == index) {
            client.end(context);
        }
        self.forget_if_left(index, context);
    }

    /// Forget a retired pool that has no clients any more.
    pub(crate) fn forget_if_left(&mut self, index: u32, context: &mut Context) {
        let Some((pool, links)) = self.parts(index) else { return };
        if !pool.is_retired || pool.clients > 0 {
            return;
        }
        let ids: Vec<LinkId> = links.iter().filter(|(_, link)| link.pool == index).map(|(_, link)| link.id).collect();
        ids.into_iter().for_each(|id| pool.drop_link(id, links, context));
        for server in &mut pool.servers {
            server.stand(Standing::Good);
        }
        self.pools[index as usize] = None;
    }
}

/// Keep a server; its links only if they still lead where they should, by what is said there first.
fn keep(
    mut server: Server,
    (before, was): (&Terms, usize),
    (terms, is): (&Terms, usize),
    left: &mut Vec<LinkId>,
) -> Server {
    let is_counted_there = Arc::ptr_eq(&before.servers[was], &terms.servers[is]);
    let is_same = before.pool.servers[was].address == terms.pool.servers[is].address
        && before.server_user == terms.server_user
        && before.pool.database == terms.pool.database
        && before.pool.server_tls == terms.pool.server_tls;
    if !is_same {
        take_links(&mut server, left);
        server.stand(Standing::Good);
        server.failures = [0; PLACES_EACH];
        server.speaks = Speaks::Unknown;
    }
    if !is_counted_there {
        let lane = terms.servers[is].lane();
        lane.more.standing.set(server.standing as u64);
        server.lane = lane;
    }
    let count = terms.pool.connections as usize * PLACES_EACH;
    left.extend(server.links.drain(count.min(server.links.len())..).flatten());
    server.links.resize(count, None);
    if server.standing == Standing::Ejected && terms.pool.ejection.is_none() {
        server.stand(Standing::Down);
    }
    server
}

fn take_links(server: &mut Server, left: &mut Vec<LinkId>) {
    left.extend(server.links.iter_mut().filter_map(Option::take));
    left.extend(server.probe.take());
}

impl Pool {
    /// Connect to servers before a command needs them, if that is asked for.
    pub(crate) fn preconnect(&mut self, links: &mut Slab<Link>, context: &mut Context) {
        if !self.terms.pool.preconnect {
            return;
        }
        for server in 0..self.servers.len() {
            // What else is spoken is seen when somebody does.
            for place in (0..self.servers[server].links.len()).step_by(PLACES_EACH) {
                if self.servers[server].links[place].is_none() && self.servers[server].standing == Standing::Good {
                    self.connect(server, Some(place), links, context);
                }
            }
        }
    }

    /// Let a link end that is no server's any more.
    pub(crate) fn orphan(&mut self, id: LinkId, links: &mut Slab<Link>, context: &mut Context) {
        if links.get(id.index, id.generation).is_some_and(|link| link.is_probe) {
            return self.drop_link(id, links, context);
        }
        self.drain_link(id, links, context);
    }
}
