//! Which version of Redis' protocol a client is answered in.
//!
//! Servers are asked for theirs by links of their own, which there are when a client wants RESP3. A client gets it if no server
//! of the pool refuses; what cannot be asked now does not count. After that, each answer comes from a link of its version.

use alongside_protocols::resp::{Request, Version};

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::local::{REDIS_VERSION, number_of};
use super::memcache::{ask_on, count_failure};
use super::pool::{HELLO_3, Pool};
use super::redis::{refuse, repeated};
use super::server::Speaks;
use super::slots::{Slot, SlotKind};
use super::words::{write_array, write_bulk, write_integer, write_map};
use super::{ClientId, Why, users};
use crate::counters::Class;

/// What is answered where a server does not speak RESP3.
pub(super) const REFUSED: &[u8] =
    b"-NOPROTO a server of this pool does not speak RESP3; tell the client to speak RESP2 (protocol=2)\r\n";

/// Answer `HELLO [VERSION [AUTH USER PASSWORD] [SETNAME NAME]]`.
pub(super) fn hello(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    request: &Request<'_>,
    context: &mut Context,
) {
    let mut args = request.args().skip(1);
    let wanted = match args.next() {
        None => client.version,
        Some(b"2") => Version::Two,
        Some(b"3") => Version::Three,
        Some(_) => {
            pool.lane.refused.add(1);
            return client.answer(b"-NOPROTO unsupported protocol version\r\n", context);
        }
    };
    let mut name = None;
    while let Some(option) = args.next() {
        if option.eq_ignore_ascii_case(b"AUTH")
            && let (Some(user), Some(password)) = (args.next(), args.next())
        {
            if !users::is_one_of(pool, user, password) {
                return users::wrong(client, pool, context);
            }
            client.is_known = true;
        } else if option.eq_ignore_ascii_case(b"SETNAME")
            && let Some(word) = args.next()
        {
            name = Some(word);
        } else {
            return refuse(client, pool, &[b"Syntax error in HELLO option '", &repeated(option), b"'"], context);
        }
    }
    if !client.is_known {
        pool.lane.refused.add(1);
        return client.answer(
            b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH \
              <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the \
              same time\r\n",
            context,
        );
    }
    if let Some(name) = name {
        client.call(name);
    }
    if wanted == Version::Three && client.version == Version::Two {
        ask_servers(client, pool, links, context);
    } else {
        agree(client, wanted, context);
    }
}

/// Speak a version with a client, and say so in it.
fn agree(client: &mut Client, version: Version, context: &mut Context) {
    let mut out = context.buffers.take();
    write(&mut out, client.id, version);
    client.answer(&out, context);
    context.buffers.give(out);
    client.speak(version);
}

/// Ask those servers for RESP3 that have not spoken it yet; the client is answered when all have said what they speak.
fn ask_servers(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, context: &mut Context) {
    let count = pool.servers.len();
    if (0..count).any(|server| pool.no_resp3(server, context) == Some(Why::Version)) {
        return answer_refused(client, pool, context);
    }
    let mut asked = Vec::new();
    for server in 0..count {
        if pool.servers[server].speaks == Speaks::Three {
            continue;
        }
        match pool.link_speaking(server, (client.id.index, Version::Three), links, context) {
            Ok(id) => asked.push(id),
            // Nobody consented whom we could not ask.
            Err(why @ (Why::Full | Why::Own)) => {
                count_failure(pool, why);
                return client.answer_failure(why, context);
            }
            Err(_) if matches!(pool.servers[server].speaks, Speaks::TwoAlone { .. }) => {
                return answer_refused(client, pool, context);
            }
            Err(_) => {}
        }
    }
    if asked.is_empty() {
        return agree(client, Version::Three, context);
    }
    let ask = Ask::new(client.id, client.slots.next(), What::Version, Class::Other);
    let (left, asked_bytes) = (asked.len() as u32, HELLO_3.len() * asked.len());
    asked.into_iter().for_each(|id| ask_on(pool, links, id, ask, HELLO_3, context));
    client.slots.push(Slot { kind: SlotKind::Version, left, asked_bytes, ..Slot::default() });
    client.await_all();
}

fn answer_refused(client: &mut Client, pool: &Pool, context: &mut Context) {
    pool.lane.refused.add(1);
    client.answer(REFUSED, context);
}

/// Append the answer to a `HELLO` that is granted.
pub(super) fn write(out: &mut Vec<u8>, client: ClientId, version: Version) {
    write_map(out, version, 7);
    for (key, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        write_bulk(out, key.as_bytes());
        write_bulk(out, value.as_bytes());
    }
    for (key, value) in [("proto", u64::from(version.number())), ("id", number_of(client))] {
        write_bulk(out, key.as_bytes());
        write_integer(out, value);
    }
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        write_bulk(out, key.as_bytes());
        write_bulk(out, value.as_bytes());
    }
    write_bulk(out, b"modules");
    write_array(out, 0);
}

/// Answer `RESET`: the client is as it was when it came.
pub(super) fn reset(client: &mut Client, pool: &Pool, context: &mut Context) {
    client.answer(b"+RESET\r\n", context);
    client.forget_name();
    client.is_known = pool.terms.users.is_empty();
    client.speak(Version::Two);
}
