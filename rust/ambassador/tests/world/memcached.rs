//! A memcached for tests.

use std::collections::HashMap;

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::memcache::{Kind, Limits, Request, Verb, request};

/// Answer what is whole at the beginning of `input`, taking it off.
pub fn serve(store: &mut HashMap<Vec<u8>, Vec<u8>>, input: &mut Vec<u8>, out: &mut Vec<u8>) {
    let limits = Limits { value_bytes_max: 1 << 20, ..Limits::default() };
    let mut done = 0;
    see_whether_it_would_wait(input);
    while let Parsed::Whole(parsed) = request(&input[done..], &limits, &mut Progress::default()) {
        match parsed {
            Ok(request) => {
                done += request.bytes.len();
                see_whether_it_would_wait(&input[done..]);
                answer(store, &request, out);
            }
            Err(fault) => {
                done += usize::try_from(fault.skip).unwrap();
                out.extend_from_slice(fault.answer());
            }
        }
    }
    input.drain(..done);
}

/// Fail where memcached would close the connection: it waits for the end of a long line only if it sees a `get`.
fn see_whether_it_would_wait(bytes: &[u8]) {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap();
    let spaces = line.iter().take_while(|&&byte| byte == b' ').count();
    let is_get = spaces <= 100 && (line[spaces..].starts_with(b"get ") || line[spaces..].starts_with(b"gets "));
    assert!(line.len() < 1024 || is_get, "a line of {} bytes: {}", line.len(), line[..64].escape_ascii());
}

fn answer(store: &mut HashMap<Vec<u8>, Vec<u8>>, request: &Request<'_>, out: &mut Vec<u8>) {
    let key = request.key().to_vec();
    let line = match request.kind() {
        Kind::Get | Kind::Gat => {
            let show = if matches!(request.verb, Verb::Gets | Verb::Gats) { unique_block } else { value_block };
            for key in request.keys() {
                if let Some(value) = store.get(key) {
                    out.extend_from_slice(&show(key, value));
                }
            }
            "END".to_owned()
        }
        Kind::Store if request.verb == Verb::Add && store.contains_key(&key) => "NOT_STORED".to_owned(),
        Kind::Store => {
            store.insert(key, request.block.to_vec());
            "STORED".to_owned()
        }
        Kind::Delete if store.remove(&key).is_some() => "DELETED".to_owned(),
        Kind::Touch if store.contains_key(&key) => "TOUCHED".to_owned(),
        Kind::Delete | Kind::Touch | Kind::Arithmetic => "NOT_FOUND".to_owned(),
        Kind::Version => "VERSION 1.6.18".to_owned(),
        Kind::FlushAll => {
            store.clear();
            "OK".to_owned()
        }
        Kind::Meta => return meta(store, request, out),
        Kind::Stats | Kind::Verbosity | Kind::Quit => "ERROR".to_owned(),
    };
    assert!(!request.is_quiet, "nothing is asked quietly: {:?}", String::from_utf8_lossy(request.bytes));
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn meta(store: &mut HashMap<Vec<u8>, Vec<u8>>, request: &Request<'_>, out: &mut Vec<u8>) {
    let key = request.key();
    match request.verb {
        Verb::MetaGet => match store.get(key) {
            Some(value) => {
                out.extend_from_slice(format!("VA {}\r\n", value.len()).as_bytes());
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(b"EN\r\n"),
        },
        Verb::MetaSet => {
            store.insert(key.to_vec(), request.block.to_vec());
            out.extend_from_slice(b"HD\r\n");
        }
        Verb::MetaDelete if store.remove(key).is_some() => out.extend_from_slice(b"HD\r\n"),
        _ => out.extend_from_slice(b"NF\r\n"),
    }
}

/// A value as `get` shows it.
pub fn value_block(key: &[u8], value: &[u8]) -> Vec<u8> {
    [b"VALUE ", key, format!(" 0 {}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}

/// A value as `gets` shows it: its unique number is one of what it is, and as long as memcached's may be.
pub fn unique_block(key: &[u8], value: &[u8]) -> Vec<u8> {
    let unique = [key, value].concat().iter().fold(u64::MAX, |hash, &byte| hash.rotate_left(7) ^ u64::from(byte));
    [b"VALUE ", key, format!(" 0 {} {unique}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}
