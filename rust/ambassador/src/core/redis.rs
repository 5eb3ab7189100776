//! What Redis clients ask, and where it goes.

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::resp::commands::{Command, Kind, Local, Split, Why as Refusal, find};
use alongside_protocols::resp::{Fault, Inline, Message, Request, request_with};

use super::Why;
use super::client::Client;
use super::context::Context;
use super::ids::Slab;
use super::link::{Ask, Link, What};
use super::memcache::{ask_on, count_failure};
use super::pool::Pool;
use super::slots::SlotKind;
use super::words::write_error;
use super::{local, redis_many, users};
use crate::counters::Class;

/// The longest part of a client's words that an error repeats.
const REPEATED_BYTES_MAX: usize = 128;

/// What is answered to a request that has more bytes than are waited for.
const TOO_LARGE: &[u8] = b"-ERR Protocol error: too big request\r\n";

/// Begin what is whole of a client's commands; return how many bytes are done with.
pub(super) fn read(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    bytes: &[u8],
    context: &mut Context,
) -> usize {
    let mut done = 0;
    let mut commands = 0;
    while done < bytes.len() && !client.is_deaf {
        if client.is_full() {
            client.hold(context);
            break;
        }
        let (limits, bytes_max) = pool.request_limits(client.is_known);
        match request_with(&bytes[done..], &limits, &mut client.progress, &mut context.args) {
            Parsed::More { need } if need.max(bytes.len() - done) > bytes_max => {
                done = bytes.len();
                end_with(client, pool, TOO_LARGE, context);
            }
            Parsed::More { .. } => break,
            Parsed::Whole(Ok(message)) => {
                done += message.bytes();
                commands += u64::from(!matches!(message, Message::Empty { .. }));
                match message {
                    Message::Command(request) => begin(client, pool, links, &request, context),
                    Message::Inline(inline) => begin_inline(client, pool, links, &inline, context),
                    // twemproxy ends the connection.
                    Message::Empty { .. } if pool.is_strict() => break_off(client, pool, context),
                    Message::Empty { .. } => {}
                }
            }
            Parsed::Whole(Err(fault)) => {
                done = bytes.len();
                end_with_fault(client, pool, &fault, context);
            }
        }
    }
    pool.lane.commands.add(commands);
    context.forget_room();
    done
}

/// Begin a command that was typed: as an array, which every server reads.
#[cold]
fn begin_inline(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    inline: &Inline<'_>,
    context: &mut Context,
) {
    if pool.is_strict() {
        return break_off(client, pool, context);
    }
    let mut array = context.buffers.take();
    inline.write(&mut array);
    match request_with(&array, &pool.resp_limits, &mut Progress::default(), &mut context.args) {
        Parsed::Whole(Ok(Message::Command(request))) => begin(client, pool, links, &request, context),
        Parsed::Whole(Err(fault)) => end_with_fault(client, pool, &fault, context),
        // Whatever it was: it has one answer.
        _ => refuse(client, pool, &[b"this is no command"], context),
    }
    context.buffers.give(array);
}

/// Answer bytes that are no request: nobody knows where the next one begins.
#[cold]
fn end_with_fault(client: &mut Client, pool: &Pool, fault: &Fault, context: &mut Context) {
    let mut line = Vec::new();
    fault.write(&mut line);
    end_with(client, pool, &line, context);
}

/// Tell a client what cannot be read on of what it sends, and end its connection.
fn end_with(client: &mut Client, pool: &Pool, line: &[u8], context: &mut Context) {
    pool.lane.refused.add(1);
    if pool.is_strict() {
        return break_off(client, pool, context);
    }
    client.answer(line, context);
    client.is_deaf = true;
    pool.lane.client_err.add(1);
    client.end(context);
}

fn break_off(client: &mut Client, pool: &Pool, context: &mut Context) {
    pool.lane.client_err.add(1);
    client.break_off(context);
}

/// Refuse a command with an error.
pub(super) fn refuse(client: &mut Client, pool: &Pool, text: &[&[u8]], context: &mut Context) {
    pool.lane.refused.add(1);
    let mut line = Vec::new();
    write_error(&mut line, &text.concat());
    client.answer(&line, context);
}

/// Return a client's word so that it can stand in an error's line.
pub(super) fn repeated(word: &[u8]) -> Vec<u8> {
    let printable = |&byte: &u8| if byte.is_ascii_graphic() { byte } else { b'?' };
    word.iter().take(REPEATED_BYTES_MAX).map(printable).collect()
}

/// Begin a command whose arguments stand at the context's spots.
#[inline]
fn begin(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, request: &Request<'_>, context: &mut Context) {
    let name = request.name();
    let command = find(name);
    if pool.is_strict() && !command.is_some_and(|command| command.fits_twemproxy(request.count)) {
        pool.lane.refused.add(1);
        return break_off(client, pool, context);
    }
    let Some(command) = command else {
        return refuse(client, pool, &[b"unknown command '", &repeated(name), b"'"], context);
    };
    if !client.is_known && !users::is_free(command) {
        pool.lane.refused.add(1);
        let lines: [&[u8]; 2] = [b"-NOAUTH Authentication required.\r\n", b"-NOAUTH Authentication required\r\n"];
        return client.answer(lines[usize::from(pool.is_strict())], context);
    }
    let keys_max = pool.terms.pool.limits.keys_max as usize;
    if request.count > keys_max && command.keys(request).nth(keys_max).is_some() {
        return refuse(client, pool, &[b"too many keys in one command"], context);
    }
    match command.kind {
        Kind::ByKey(_) => by_key(client, pool, links, (command, request), context),
        Kind::Streams if command.is_blocking(request) => refuse_for(client, pool, command, Refusal::Blocking, context),
        Kind::Counted | Kind::Script | Kind::Streams => movable(client, pool, links, (command, request), context),
        Kind::Split(split) => {
            if command.keys(request).nth(1).is_none() {
                by_key(client, pool, links, (command, request), context);
            } else {
                redis_many::begin(client, pool, links, (command, request, split), context);
            }
        }
        Kind::Together => together(client, pool, links, (command, request), context),
        Kind::Scripts => scripts(client, pool, links, request, context),
        Kind::Anywhere => anywhere(client, pool, links, request, context),
        Kind::Local(Local::Command) if pool.is_strict() => anywhere(client, pool, links, request, context),
        Kind::Local(which) => local::redis(client, pool, links, (which, request), context),
        Kind::Refused(why) => refuse_for(client, pool, command, why, context),
    }
}

fn refuse_for(client: &mut Client, pool: &Pool, command: &Command, why: Refusal, context: &mut Context) {
    let text: [&[u8]; 4] = [b"'", command.name.as_bytes(), b"' is not supported: ", why.text().as_bytes()];
    refuse(client, pool, &text, context);
}

/// Pass a command on to the server of its first key.
#[inline]
pub(super) fn by_key(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (command, request): (&Command, &Request<'_>),
    context: &mut Context,
) {
    let key = if pool.is_strict() { command.twemproxys_key(request) } else { command.key(request) };
    let Some(key) = key else {
        let name = command.name.to_ascii_lowercase();
        let text: [&[u8]; 3] = [b"wrong number of arguments for '", name.as_bytes(), b"' command"];
        return refuse(client, pool, &text, context);
    };
    pool.sample(key, context);
    let server = pool.choose(key, context);
    pass_on(client, pool, links, (class_of(command), server, request.bytes), context);
}

/// Pass a command on to a server.
#[inline]
fn pass_on(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (class, server, bytes): (Class, Result<usize, Why>, &[u8]),
    context: &mut Context,
) {
    match server.and_then(|server| pool.link_speaking(server, client.speaker(), links, context)) {
        Ok(id) => {
            let ask = Ask::new(client.id, client.expect(SlotKind::Whole, bytes.len()), What::Reply, class);
            ask_on(pool, links, id, ask, bytes, context);
        }
        Err(why) => {
            count_failure(pool, why);
            client.answer_failure(why, context);
        }
    }
}

/// Pass a command on whose words say which of them are keys. With none, a script may run anywhere, and any server says
/// what is wrong with another command. A script is not asked for all of its keys, which are the client's matter.
fn movable(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (command, request): (&Command, &Request<'_>),
    context: &mut Context,
) {
    if command.key(request).is_none() && request.count >= 3 && !pool.is_strict() {
        anywhere(client, pool, links, request, context);
    } else if command.kind == Kind::Script {
        by_key(client, pool, links, (command, request), context);
    } else {
        together(client, pool, links, (command, request), context);
    }
}

/// Let every server know, or forget, a script.
fn scripts(client: &mut Client, pool: &mut Pool, links: &mut Slab<Link>, request: &Request<'_>, context: &mut Context) {
    let Some(word) = request.arg(1) else {
        return refuse(client, pool, &[b"wrong number of arguments for 'script' command"], context);
    };
    let split = match word.to_ascii_uppercase().as_slice() {
        b"LOAD" | b"FLUSH" => Split::Same,
        b"EXISTS" => Split::Least,
        _ => {
            let why = Refusal::Server.text().as_bytes();
            return refuse(client, pool, &[b"'SCRIPT ", &repeated(word), b"' is not supported: ", why], context);
        }
    };
    redis_many::everywhere(client, pool, links, (request, split), context);
}

fn anywhere(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    request: &Request<'_>,
    context: &mut Context,
) {
    let server = pool.choose_any(context);
    pass_on(client, pool, links, (Class::Other, server, request.bytes), context);
}

/// Pass a command on if all its keys live on one server.
fn together(
    client: &mut Client,
    pool: &mut Pool,
    links: &mut Slab<Link>,
    (command, request): (&Command, &Request<'_>),
    context: &mut Context,
) {
    let mut servers = command.keys(request).map(|key| pool.choose(key, context));
    let first = servers.next();
    let is_one = servers.all(|server| Some(server) == first);
    if !is_one && !pool.is_strict() && pool.is_by_key() {
        pool.lane.refused.add(1);
        let line = b"-CROSSSLOT Keys in request don't live on one server; a hash tag keeps them together\r\n";
        return client.answer(line, context);
    }
    by_key(client, pool, links, (command, request), context);
}

/// Return what a command does, for latencies.
#[rustfmt::skip]
pub(super) fn class_of(command: &Command) -> Class {
    match command.name {
        "GET" => Class::Read,
        "SET" => Class::Write,
        "EVAL" | "EVALSHA" | "EVAL_RO" | "EVALSHA_RO" | "FCALL" | "FCALL_RO" | "SORT" | "OBJECT" | "MEMORY" => Class::Other,
        "BITCOUNT" | "BITFIELD_RO" | "BITPOS" | "DUMP" | "EXISTS" | "EXPIRETIME" | "GEODIST" | "GEOHASH" | "GEOPOS"
        | "GEORADIUSBYMEMBER_RO" | "GEORADIUS_RO" | "GEOSEARCH" | "GETBIT" | "GETRANGE" | "HEXISTS" | "HGET" | "HGETALL"
        | "HKEYS" | "HLEN" | "HMGET" | "HRANDFIELD" | "HSCAN" | "HSTRLEN" | "HVALS" | "LCS" | "LINDEX" | "LLEN" | "LPOS"
        | "LRANGE" | "MGET" | "PEXPIRETIME" | "PFCOUNT" | "PTTL" | "SCARD" | "SDIFF" | "SINTER" | "SINTERCARD"
        | "SISMEMBER" | "SMEMBERS" | "SMISMEMBER" | "SORT_RO" | "SRANDMEMBER" | "SSCAN" | "STRLEN" | "SUBSTR" | "SUNION"
        | "TTL" | "TYPE" | "XINFO" | "XLEN" | "XPENDING" | "XRANGE" | "XREAD" | "XREVRANGE" | "ZCARD" | "ZCOUNT" | "ZDIFF" | "ZINTER"
        | "ZINTERCARD" | "ZLEXCOUNT" | "ZMSCORE" | "ZRANDMEMBER" | "ZRANGE" | "ZRANGEBYLEX" | "ZRANGEBYSCORE" | "ZRANK"
        | "ZREVRANGE" | "ZREVRANGEBYLEX" | "ZREVRANGEBYSCORE" | "ZREVRANK" | "ZSCAN" | "ZSCORE" | "ZUNION" => Class::Read,
        _ => Class::Write,
    }
}
