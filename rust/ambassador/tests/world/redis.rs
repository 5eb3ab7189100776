//! A Redis for tests.

use std::collections::HashMap;

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::resp::{Limits, Message, Version, request};

use super::World;

/// What is spoken on a connection, and the newest that its server could.
#[derive(Clone, Copy)]
pub struct Spoken {
    pub version: Version,
    pub newest: Version,
}

/// Answer what is whole at the beginning of `input`, taking it off.
pub fn serve(store: &mut HashMap<Vec<u8>, Vec<u8>>, spoken: &mut Spoken, input: &mut Vec<u8>, out: &mut Vec<u8>) {
    let mut done = 0;
    while let Parsed::Whole(parsed) = request(&input[done..], &Limits::default(), &mut Progress::default()) {
        let message = parsed.expect("servers get only good requests");
        done += message.bytes();
        let Message::Command(request) = message else { panic!("servers get only arrays") };
        let args: Vec<Vec<u8>> = request.args().map(<[u8]>::to_vec).collect();
        if args[0].eq_ignore_ascii_case(b"HELLO") {
            hello(store, spoken, &args, out);
        } else {
            answer(store, spoken.version, &args, out);
        }
    }
    input.drain(..done);
}

/// Tell whether a whole `HELLO` is in what a server was sent.
pub fn has_hello(input: &[u8]) -> bool {
    memchr::memmem::find(input, b"HELLO\r\n$1\r\n3\r\n").is_some()
}

fn hello(store: &HashMap<Vec<u8>, Vec<u8>>, spoken: &mut Spoken, args: &[Vec<u8>], out: &mut Vec<u8>) {
    assert_eq!(args[1], b"3", "nobody asks a server for less");
    let refusal = set(store, b"hello", b"");
    if !refusal.is_empty() {
        out.extend_from_slice(&refusal);
        return;
    }
    if spoken.newest == Version::Two {
        out.extend_from_slice(b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n");
        return;
    }
    spoken.version = Version::Three;
    out.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n");
}

fn answer(store: &mut HashMap<Vec<u8>, Vec<u8>>, version: Version, args: &[Vec<u8>], out: &mut Vec<u8>) {
    let name = String::from_utf8(args[0].to_ascii_uppercase()).unwrap();
    let bulk = |value| bulk_of(version, value);
    match (name.as_str(), args.len()) {
        ("PING", 1) => out.extend_from_slice(b"+PONG\r\n"),
        ("AUTH", _) if *args.last().unwrap() == set(store, b"password", b"secret") => out.extend_from_slice(b"+OK\r\n"),
        ("AUTH", _) => out.extend_from_slice(b"-WRONGPASS no\r\n"),
        ("SELECT", 2) if args[1] > set(store, b"databases", b"9") => {
            out.extend_from_slice(b"-ERR DB index is out of range\r\n");
        }
        ("SELECT", 2) => out.extend_from_slice(b"+OK\r\n"),
        ("GET", 2) => out.extend_from_slice(&bulk(store.get(&args[1]).map(Vec::as_slice))),
        ("SET", 3) => {
            if version == Version::Three {
                // Nobody asked to be told.
                out.extend_from_slice(b">2\r\n+invalidate\r\n_\r\n");
            }
            store.insert(args[1].clone(), args[2].clone());
            out.extend_from_slice(b"+OK\r\n");
        }
        ("MGET", _) => {
            out.extend_from_slice(format!("*{}\r\n", args.len() - 1).as_bytes());
            for key in &args[1..] {
                out.extend_from_slice(&bulk(store.get(key).map(Vec::as_slice)));
            }
        }
        ("MSET", _) => {
            for pair in args[1..].chunks(2) {
                store.insert(pair[0].clone(), pair[1].clone());
            }
            out.extend_from_slice(b"+OK\r\n");
        }
        ("DEL", _) => {
            let count = args[1..].iter().filter(|&key| store.remove(key).is_some()).count();
            out.extend_from_slice(format!(":{count}\r\n").as_bytes());
        }
        ("EXISTS", _) => {
            let count = args[1..].iter().filter(|&key| store.contains_key(key)).count();
            out.extend_from_slice(format!(":{count}\r\n").as_bytes());
        }
        ("SCRIPT", 2) if args[1] == b"LOAD" => out.extend_from_slice(b"-ERR syntax\r\n"),
        ("SCRIPT", _) => script(store, args, out),
        ("HGETALL", 2) if version == Version::Three => out.extend_from_slice(b"%1\r\n$1\r\na\r\n,1.5\r\n"),
        ("HGETALL", 2) => out.extend_from_slice(b"*2\r\n$1\r\na\r\n$3\r\n1.5\r\n"),
        ("LRANGE", 4) => out.extend_from_slice(b"*2\r\n*1\r\n:1\r\n$-1\r\n"),
        _ => out.extend_from_slice(format!("-ERR unknown command '{name}'\r\n").as_bytes()),
    }
}

/// What the server is set to by a key of that name.
fn set(store: &HashMap<Vec<u8>, Vec<u8>>, name: &[u8], unless_set: &[u8]) -> Vec<u8> {
    store.get(name).map_or(unless_set, Vec::as_slice).to_vec()
}

/// Keep scripts beside the values; a script's sum is the script with a `!`.
fn script(store: &mut HashMap<Vec<u8>, Vec<u8>>, args: &[Vec<u8>], out: &mut Vec<u8>) {
    let place = |sum: &[u8]| [b"script ", sum].concat();
    match args[1].to_ascii_uppercase().as_slice() {
        b"LOAD" => {
            let sum = [&args[2], &b"!"[..]].concat();
            store.insert(place(&sum), args[2].clone());
            out.extend_from_slice(&bulk(Some(&sum)));
        }
        b"EXISTS" => {
            out.extend_from_slice(format!("*{}\r\n", args.len() - 2).as_bytes());
            for sum in &args[2..] {
                let found = u8::from(store.contains_key(&place(sum)));
                out.extend_from_slice(format!(":{found}\r\n").as_bytes());
            }
        }
        b"FLUSH" => {
            store.retain(|key, _| !key.starts_with(b"script "));
            out.extend_from_slice(b"+OK\r\n");
        }
        other => panic!("SCRIPT {}", other.escape_ascii()),
    }
}

/// A value as a bulk string, or none.
pub fn bulk(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
        None => b"$-1\r\n".to_vec(),
    }
}

/// The same in a version of the protocol.
pub fn bulk_of(version: Version, value: Option<&[u8]>) -> Vec<u8> {
    match (version, value) {
        (Version::Three, None) => b"_\r\n".to_vec(),
        _ => bulk(value),
    }
}

/// Send commands whose words spaces part.
pub fn send(world: &mut World, client: usize, commands: &[&str]) {
    for words in commands {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        world.send(client, &command(&words));
    }
}

/// Send commands, let them be answered, return what came.
pub fn ask(world: &mut World, client: usize, commands: &[&str]) -> String {
    send(world, client, commands);
    world.settle();
    world.take(client)
}

/// Return a client that speaks RESP3.
pub fn newer(world: &mut World) -> usize {
    let client = world.connect();
    let hello = ask(world, client, &["HELLO 3"]);
    assert!(hello.starts_with("%7\r\n$6\r\nserver\r\n") && hello.contains("proto\r\n:3\r\n"), "{hello}");
    client
}

/// A command as an array.
pub fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    args.iter().for_each(|arg| out.extend_from_slice(&bulk(Some(arg))));
    out
}
