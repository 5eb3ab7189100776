//! Reads that go to another server, since nothing of them was sent to the one that failed.

use alongside_document::PoolProtocol;
use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::resp::{Message, commands};
use alongside_protocols::{memcache, resp};

use super::client::Client;
use super::context::Context;
use super::fleet::Fleet;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::memcache::ask_on;
use super::memcache_many::{self, Asker};
use super::pool::Pool;
use crate::counters::Class;

/// How often one command may go to another server.
const MOVES_MAX: u8 = 3;

impl Fleet {
    /// Ask another server, if it is a read and its key has one by now. Tell whether that was done.
    pub(super) fn ask_another(
        &mut self,
        link: &Link,
        mut ask: Ask,
        bytes: &[u8],
        clients: &mut Slab<Client>,
        context: &mut Context,
    ) -> bool {
        if !matches!(ask.class, Class::Read | Class::ReadMany) || ask.moves >= MOVES_MAX {
            return false;
        }
        ask.moves += 1;
        let Some(client) = clients.get_mut(ask.client.index, ask.client.generation) else { return false };
        let Some((pool, links)) = self.parts(link.pool) else { return false };
        match ask.what {
            What::Values | What::Joined | What::Meta | What::Reply => {
                if ask.what == What::Joined {
                    ask.what = What::Values;
                }
                let Some(key) = Key::of(pool, bytes) else { return false };
                let found = pool.choose(key.bytes(), context).ok().filter(|&server| server != link.server as usize);
                let found = found.and_then(|server| {
                    pool.link_speaking(server, (ask.client.index, link.version), links, context).ok()
                });
                let Some(id) = found else { return false };
                ask_on(pool, links, id, ask, bytes, context);
                true
            }
            What::ValuesPart => values_part(client, pool, links, (link, ask, bytes), context),
            _ => false,
        }
    }
}

/// A key that may have been sent in base64.
enum Key<'a> {
    Sent(&'a [u8]),
    Decoded(Vec<u8>),
}

impl<'a> Key<'a> {
    fn of(pool: &Pool, bytes: &'a [u8]) -> Option<Key<'a>> {
        match pool.terms.pool.protocol {
            PoolProtocol::Memcache => {
                let request = memcache_request(pool, bytes)?;
                let mut room = [0; memcache::KEY_ROOM_BYTES];
                Some(Key::Decoded(request.placement_key(&mut room).to_vec()))
            }
            PoolProtocol::Redis => match resp::request(bytes, &pool.resp_limits, &mut Progress::default()) {
                Parsed::Whole(Ok(Message::Command(request))) => {
                    // Keys that one server has need not have one elsewhere.
                    let mut keys = commands::find(request.name())?.keys(&request);
                    let first = keys.next()?;
                    keys.next().is_none().then_some(Key::Sent(first))
                }
                _ => None,
            },
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Key::Sent(bytes) => bytes,
            Key::Decoded(bytes) => bytes,
        }
    }
}

fn memcache_request<'a>(pool: &Pool, bytes: &'a [u8]) -> Option<memcache::Request<'a>> {
    match memcache::request(bytes, &pool.memcache_limits, &mut Progress::default()) {
        Parsed::Whole(Ok(request)) => Some(request),
        _ => None,
    }
}

/// Make parts of a part, for the servers that its keys have by now.
fn values_part(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (link, ask, bytes): (&Link, Ask, &[u8]),
    context: &mut Context,
) -> bool {
    let Some(request) = memcache_request(pool, bytes) else { return false };
    let Some(mut gather) = client.take_gather(ask.slot) else { return false };
    let mut keys = gather.keys(ask.next);
    let is_elsewhere = keys.all(|key| pool.choose(key, context).is_ok_and(|s| s != link.server as usize));
    drop(keys);
    if !is_elsewhere {
        client.put_gather(ask.slot, gather, 0);
        return false;
    }
    let asker = Asker { client: ask.client, slot: ask.slot, moves: ask.moves };
    let sent = memcache_many::send(asker, pool, links, (&request, &mut gather, ask.next), context);
    client.put_gather(ask.slot, gather, sent.parts);
    // Keys that went nowhere have no values; others may be next.
    client.pass_values_on(ask.slot, context);
    client.end_part(ask.slot, sent.failed, context);
    true
}
