//! The tables of `tests/caches`, which `tests/agreement` asks memcached, redis-server and twemproxy for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::memcache::{Limits, Verb, request};
use alongside_protocols::resp::commands::{self, Keys};
use serde_json::Value;

/// As memcached's own limit without options.
const LIMITS: Limits =
    Limits { key_bytes_max: 250, line_bytes_max: 2048, value_bytes_max: 1024 * 1024, keys_max: 1000 };

fn rows(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/caches").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn list<T>(row: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    row[key].as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|item| read(item).unwrap()).collect()
}

fn part(part: &Value) -> Option<Vec<u8>> {
    let text = part.as_str().map(str::to_owned);
    let repeated = || Some(part["repeat"].as_str()?.repeat(part["times"].as_u64()? as usize));
    text.or_else(repeated).map(String::into_bytes)
}

/// Return the lines that answer bytes of which nothing goes to a server.
fn answers(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let used = match request(bytes, &LIMITS, &mut Progress::default()) {
            Parsed::Whole(Ok(request)) if request.verb == Verb::MetaNoop => {
                lines.push("MN\r\n".to_owned());
                request.bytes.len()
            }
            Parsed::Whole(Err(fault)) => {
                if !fault.is_quiet {
                    lines.push(String::from_utf8(fault.answer().to_vec()).unwrap());
                }
                fault.skip as usize
            }
            other => panic!("{other:?}"),
        };
        bytes = &bytes[used..];
    }
    lines
}

#[test]
fn what_is_refused_is_answered_as_the_table_says() {
    let rows = rows("refused.json");
    assert!(rows.len() > 40);
    for row in rows {
        let bytes = list(&row, "send", part).concat();
        let mut wanted = list(&row, "answers", |line| Some(format!("{}\r\n", line.as_str()?)));
        wanted.push("MN\r\n".to_owned());
        assert_eq!(answers(&[&bytes[..], b"mn\r\n"].concat()), wanted, "{}", row["about"]);
    }
}

#[test]
fn commands_are_what_the_table_says() {
    let rows = rows("commands.json");
    assert_eq!(rows.len(), commands::ALL.len());
    for (row, command) in rows.iter().zip(commands::ALL) {
        assert_eq!(row["name"], command.name);
        let takes: Vec<usize> = (1..9).filter(|&count| command.fits_twemproxy(count)).collect();
        assert_eq!(list(row, "takes", |count| Some(count.as_u64()? as usize)), takes, "{}", command.name);
        let Keys { first, last, step } = command.keys;
        let keys = [i64::from(first), i64::from(last), i64::from(step)];
        let wanted = list(row, "keys", Value::as_i64);
        assert_eq!(if wanted.is_empty() { vec![0; 3] } else { wanted }, keys, "{}", command.name);
    }
}

#[test]
fn twemproxy_hashes_what_the_table_says() {
    for row in rows("commands.json") {
        let Some(key) = row["key"].as_u64() else { continue };
        let name = row["name"].as_str().unwrap();
        let most = list(&row, "takes", Value::as_u64).into_iter().max().unwrap();
        let mut bytes = format!("*{most}\r\n${}\r\n{name}\r\n", name.len()).into_bytes();
        (1..most).for_each(|at| bytes.extend_from_slice(format!("$1\r\n{at}\r\n").as_bytes()));
        let limits = alongside_protocols::resp::Limits::default();
        let parsed = alongside_protocols::resp::request(&bytes, &limits, &mut Progress::default());
        let Parsed::Whole(Ok(alongside_protocols::resp::Message::Command(request))) = parsed else { panic!("{name}") };
        let found = commands::find(name.as_bytes()).unwrap().twemproxys_key(&request);
        assert_eq!(found, Some(key.to_string().as_bytes()), "{name}");
    }
}
