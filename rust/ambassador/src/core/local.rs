//! Commands that are answered here.

use alongside_protocols::memcache::{self, Kind, Verb};
use alongside_protocols::resp::Request;
use alongside_protocols::resp::commands::{ALL, Local};

use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::Link;
use super::pool::Pool;
use super::redis::{refuse, repeated};
use super::words::{write_array, write_bulk, write_integer, write_map, write_null, write_text};
use super::{ClientId, hello, users};

/// What we call ourselves; the number before it is memcached's whose commands we know.
const VERSION: &str = concat!("VERSION 1.6.18-alongside-", env!("CARGO_PKG_VERSION"), "\r\n");

/// The Redis whose commands we know.
pub(super) const REDIS_VERSION: &str = "7.0.0";

/// Answer a memcache command.
pub(super) fn memcache(client: &mut Client, pool: &Pool, request: &memcache::Request<'_>, context: &mut Context) {
    pool.lane.answered_here.add(1);
    let answer: &[u8] = match request.kind() {
        Kind::Version => VERSION.as_bytes(),
        Kind::Verbosity => b"OK\r\n",
        Kind::Stats if request.rest().next().is_none() => return client.answer(&stats(pool), context),
        // libmemcached's memccapable takes no error of 80 bytes or more.
        Kind::Stats => b"CLIENT_ERROR no such statistics here; ask a server for its own\r\n",
        Kind::FlushAll => {
            pool.lane.refused.add(1);
            b"SERVER_ERROR flush_all is not allowed for this pool\r\n"
        }
        Kind::Quit => {
            client.is_deaf = true;
            return client.end(context);
        }
        Kind::Meta if request.verb == Verb::MetaNoop => b"MN\r\n",
        _ => b"ERROR\r\n",
    };
    if !request.is_quiet {
        client.answer(answer, context);
    }
}

/// Return what `stats` shows: this thread's part of the pool.
fn stats(pool: &Pool) -> Vec<u8> {
    let lane = &pool.lane;
    let figures = [
        ("curr_connections", lane.client_connections.get()),
        ("total_connections", lane.client_connections_total.get()),
        ("cmd_total", lane.commands.get()),
        ("cmd_refused", lane.refused.get()),
        ("cmd_limited", lane.limited.get()),
        ("forward_errors", lane.forward_error.get()),
        ("keys_lost", lane.keys_lost.get()),
        ("server_ejects", lane.server_ejects.get()),
    ];
    let mut out = Vec::new();
    let mut stat = |name: &str, value: &str| out.extend_from_slice(format!("STAT {name} {value}\r\n").as_bytes());
    stat("version", concat!("alongside-", env!("CARGO_PKG_VERSION")));
    stat("pool", pool.terms.pool.name.as_str());
    figures.iter().for_each(|(name, value)| stat(name, &value.to_string()));
    for server in &pool.servers {
        stat(&format!("server_{}_standing", server.name), server.standing.as_str());
        stat(&format!("server_{}_requests", server.name), &server.lane.requests.get().to_string());
    }
    out.extend_from_slice(b"END\r\n");
    out
}

/// Answer a Redis command.
pub(super) fn redis(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (which, request): (Local, &Request<'_>),
    context: &mut Context,
) {
    pool.lane.answered_here.add(1);
    match (which, request.arg(1), request.count) {
        (Local::Ping, None, _) => client.answer(b"+PONG\r\n", context),
        (Local::Ping, Some(word), 2) | (Local::Echo, Some(word), 2) => {
            let mut out = context.buffers.take();
            write_bulk(&mut out, word);
            client.answer(&out, context);
            context.buffers.give(out);
        }
        (Local::Select, Some(b"0"), 2) => client.answer(b"+OK\r\n", context),
        (Local::Select, Some(_), 2) => refuse(client, pool, &[b"DB index is out of range"], context),
        (Local::Auth, ..) => users::auth(client, pool, request, context),
        (Local::Hello, ..) => hello::hello(client, pool, links, request, context),
        (Local::Reset, ..) => hello::reset(client, pool, context),
        (Local::Quit, ..) => {
            if !pool.is_strict() {
                client.answer(b"+OK\r\n", context);
            }
            client.is_deaf = true;
            client.end(context);
        }
        (Local::Command, word, _) => commands(client, pool, word, context),
        (Local::Info, ..) => {
            let mut out = Vec::new();
            write_text(&mut out, client.version, &info(pool));
            client.answer(&out, context);
        }
        (Local::Client, Some(word), _) => about_client(client, pool, word, request, context),
        (Local::Ping, ..) => wrong_number(client, pool, "ping", context),
        (Local::Echo, ..) => wrong_number(client, pool, "echo", context),
        (Local::Select, ..) => wrong_number(client, pool, "select", context),
        (Local::Client, None, _) => wrong_number(client, pool, "client", context),
    }
}

fn wrong_number(client: &mut Client, pool: &Pool, name: &str, context: &mut Context) {
    refuse(client, pool, &[b"wrong number of arguments for '", name.as_bytes(), b"' command"], context);
}

/// Return a number that no other client of this thread has.
pub(super) fn number_of(client: ClientId) -> u64 {
    (u64::from(client.generation) << 32) + u64::from(client.index) + 1
}

/// Answer `COMMAND`, as far as clients ask for it when they start.
fn commands(client: &mut Client, pool: &Pool, word: Option<&[u8]>, context: &mut Context) {
    let mut out = Vec::new();
    match word {
        Some(word) if word.eq_ignore_ascii_case(b"COUNT") => write_integer(&mut out, ALL.len() as u64),
        Some(word) if word.eq_ignore_ascii_case(b"DOCS") => write_map(&mut out, client.version, 0),
        None => write_array(&mut out, 0),
        Some(word) => {
            let text: [&[u8]; 3] = [b"unknown subcommand '", &repeated(word), b"'. Try COMMAND COUNT."];
            return refuse(client, pool, &text, context);
        }
    }
    client.answer(&out, context);
}

/// Return what `INFO` shows: this thread's part of the pool.
fn info(pool: &Pool) -> String {
    let lane = &pool.lane;
    let mut text = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\nalongside_version:{}\r\npool:{}\r\n\
         # Clients\r\nconnected_clients:{}\r\n\
         # Stats\r\ntotal_connections_received:{}\r\ntotal_commands_processed:{}\r\nrefused_commands:{}\r\n\
         forward_errors:{}\r\nserver_ejects:{}\r\n# Servers\r\n",
        env!("CARGO_PKG_VERSION"),
        pool.terms.pool.name.as_str(),
        lane.client_connections.get(),
        lane.client_connections_total.get(),
        lane.commands.get(),
        lane.refused.get(),
        lane.forward_error.get(),
        lane.server_ejects.get(),
    );
    for server in &pool.servers {
        let requests = server.lane.requests.get();
        text.push_str(&format!("{}:standing={},requests={requests}\r\n", server.name, server.standing.as_str()));
    }
    text
}

/// Answer `CLIENT …`, as far as libraries say it when they connect.
fn about_client(client: &mut Client, pool: &Pool, word: &[u8], request: &Request<'_>, context: &mut Context) {
    let mut out = Vec::new();
    match (word.to_ascii_uppercase().as_slice(), request.arg(2)) {
        (b"SETNAME", Some(name)) => {
            client.call(name);
            out.extend_from_slice(b"+OK\r\n");
        }
        (b"GETNAME", None) => match client.name() {
            Some(name) => write_bulk(&mut out, name),
            None => write_null(&mut out, client.version),
        },
        (b"SETINFO", Some(_)) => out.extend_from_slice(b"+OK\r\n"),
        (b"ID", None) => write_integer(&mut out, number_of(client.id)),
        _ => {
            let text: [&[u8]; 3] =
                [b"'CLIENT ", &repeated(word), b"' is not supported: it concerns a server, not keys"];
            return refuse(client, pool, &text, context);
        }
    }
    client.answer(&out, context);
}
