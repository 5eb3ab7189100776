//! What simulated clients say, and what may be answered.

use std::collections::{BTreeMap, BTreeSet};

use alongside_ambassador::core::Terms;
use alongside_document::PoolProtocol;
use alongside_protocols::incremental::{Parsed, Progress};
use alongside_protocols::memcache::{Expect, Piece, piece, reply};
use alongside_protocols::resp::{Limits, ReplyProgress, Type, Version, reply as resp_reply};

use super::memcached::value_block;
use super::random::Random;
use super::redis::{bulk, bulk_of, command};

/// Keys of one client.
const KEYS: usize = 8;
/// Quiet commands of a flood, and the bytes of their values: more than a server may have waiting.
const FLOOD: usize = 160;
const FLOOD_BYTES: usize = 9_000;

/// A client's model of its own keys: it is the only one that writes them.
pub struct Speaker {
    number: usize,
    /// Values of keys whose home never fails; those of other keys nobody can know.
    known: BTreeMap<String, Option<String>>,
    /// Keys that have another home than when they were written last.
    doubtful: BTreeSet<String>,
    /// Whether a failed part ends the connection.
    is_strict: bool,
    /// Whether all servers speak RESP3 that never fail, and whether any server does not.
    may_speak_three: bool,
    may_refuse_three: bool,
}

/// What an answer must be.
pub enum Expected {
    /// These bytes: nothing that failed was concerned.
    Exactly(Vec<u8>),
    /// Values of several keys in their order: these bytes, none of a key without a value, or perhaps a value of that key.
    Values(Vec<Result<Vec<u8>, String>>),
    /// Elements in order: these bytes, or where there are none a value of that key, null or an error.
    Elements(Vec<Result<Vec<u8>, String>>),
    /// Perhaps an answer of any kind, then `MN`.
    UntilNoop(String),
    /// The answer to a wish to speak that version: it is granted, or perhaps it is refused.
    Version { version: Version, may_grant: bool, may_refuse: bool },
    /// One answer of any kind; values in it belong to that key.
    Any(String),
}

impl Speaker {
    pub fn new(number: usize, is_strict: bool, [may_speak_three, may_refuse_three]: [bool; 2]) -> Speaker {
        let (known, doubtful) = (BTreeMap::new(), BTreeSet::new());
        Speaker { number, known, doubtful, is_strict, may_speak_three, may_refuse_three }
    }

    /// These keys have another home from now on: what it knows of them nobody can tell, before they are written again.
    pub fn doubt(&mut self, has_moved: &dyn Fn(&str) -> bool) {
        let keys = (0..KEYS).map(|number| self.named(number));
        let moved: Vec<String> = keys.filter(|key| has_moved(key)).collect();
        self.doubtful.extend(moved);
    }

    fn named(&self, number: usize) -> String {
        format!("c{}:{}", self.number, number * 7919)
    }

    fn key(&self, random: &mut Random) -> String {
        self.named(random.place(KEYS))
    }

    fn value(key: &str, random: &mut Random) -> String {
        let length = if random.is_so(20) { random.place(20_000) } else { random.place(40) };
        format!("{key}={}", "x".repeat(length))
    }

    /// Say something; return the bytes, and what must be answered if anything is.
    pub fn speak(&mut self, terms: &Terms, sick: &[String], random: &mut Random) -> (Vec<u8>, Option<Expected>) {
        let doubtful = self.doubtful.clone();
        let is_sick = |key: &str| sick.contains(&home(terms, key));
        let is_well = |key: &str| !doubtful.contains(key) && !is_sick(key);
        match terms.pool.protocol {
            _ if self.is_strict => self.speak_strictly(terms, &is_sick, &is_well, random),
            PoolProtocol::Memcache => self.speak_memcache(&is_well, random),
            PoolProtocol::Redis if random.is_so(60) => {
                let version = if random.is_so(700) { Version::Three } else { Version::Two };
                let number = version.number().to_string();
                let is_newer = version == Version::Three;
                // Who fails does not refuse by that, but for one whose connection breaks just between its answer to the first
                // command and that to `HELLO 3`, as it does where RESP3 is not known.
                let may_refuse = is_newer && (self.may_refuse_three || !sick.is_empty());
                let may_grant = !is_newer || self.may_speak_three;
                let expected = Expected::Version { version, may_grant, may_refuse };
                (command(&[b"HELLO", number.as_bytes()]), Some(expected))
            }
            PoolProtocol::Redis => self.speak_redis(&is_well, random),
        }
    }

    /// Say what twemproxy knows, and only what cannot end the connection: it fails no command of several keys.
    fn speak_strictly(
        &mut self,
        terms: &Terms,
        is_sick: &dyn Fn(&str) -> bool,
        is_well: &dyn Fn(&str) -> bool,
        random: &mut Random,
    ) -> (Vec<u8>, Option<Expected>) {
        loop {
            let (known, doubtful) = (self.known.clone(), self.doubtful.clone());
            let (bytes, expected) = match terms.pool.protocol {
                PoolProtocol::Memcache => self.speak_memcache(is_well, random),
                PoolProtocol::Redis => self.speak_redis(is_well, random),
            };
            let text = String::from_utf8_lossy(&bytes);
            let is_known = !["mg ", "verbosity", "frob", "HELLO"].iter().any(|word| text.starts_with(word));
            let keys = keys_of(&bytes);
            if is_known && (keys.len() < 2 || !keys.iter().any(|key| is_sick(key))) {
                return (bytes, expected);
            }
            (self.known, self.doubtful) = (known, doubtful);
        }
    }

    /// Write without hearing of it, more at once than fits anywhere; the last of each key counts.
    pub fn flood(&mut self, random: &mut Random) -> Vec<u8> {
        let mut said = Vec::new();
        for number in 0..FLOOD {
            let key = self.key(random);
            let value = format!("{key}={number}{}", "f".repeat(FLOOD_BYTES));
            said.extend_from_slice(format!("set {key} 0 0 {} noreply\r\n{value}\r\n", value.len()).as_bytes());
            self.write(key, Some(value));
        }
        said
    }

    fn write(&mut self, key: String, value: Option<String>) -> Option<String> {
        self.doubtful.remove(&key);
        self.known.insert(key, value).flatten()
    }

    fn speak_memcache(&mut self, is_well: &dyn Fn(&str) -> bool, random: &mut Random) -> (Vec<u8>, Option<Expected>) {
        let key = self.key(random);
        let known = self.known.get(&key).cloned().flatten();
        let well =
            |answer: Vec<u8>| Some(if is_well(&key) { Expected::Exactly(answer) } else { Expected::Any(key.clone()) });
        match random.below(12) {
            0..=3 => {
                let block = known.map(|value| value_block(key.as_bytes(), value.as_bytes())).unwrap_or_default();
                (format!("get {key}\r\n").into_bytes(), well([block, b"END\r\n".to_vec()].concat()))
            }
            4..=5 => {
                let value = Self::value(&key, random);
                let is_quiet = random.is_so(300);
                let quiet = if is_quiet { " noreply" } else { "" };
                let said = format!("set {key} 0 0 {}{quiet}\r\n{value}\r\n", value.len());
                let expected = if is_quiet { None } else { well(b"STORED\r\n".to_vec()) };
                self.write(key, Some(value));
                (said.into_bytes(), expected)
            }
            6 => {
                self.write(key.clone(), None);
                let answer: &[u8] = if known.is_some() { b"DELETED\r\n" } else { b"NOT_FOUND\r\n" };
                (format!("delete {key}\r\n").into_bytes(), well(answer.to_vec()))
            }
            7..=8 => {
                let keys: Vec<String> = (0..1 + random.place(6)).map(|_| self.key(random)).collect();
                let block = |key: &String| match self.known.get(key).cloned().flatten() {
                    _ if !is_well(key) => Err(key.clone()),
                    value => Ok(value.map(|value| value_block(key.as_bytes(), value.as_bytes())).unwrap_or_default()),
                };
                let expected = Expected::Values(keys.iter().map(block).collect());
                (format!("get {}\r\n", keys.join(" ")).into_bytes(), Some(expected))
            }
            9 => {
                let answer = match known {
                    Some(value) => [format!("VA {}\r\n", value.len()).as_bytes(), value.as_bytes(), b"\r\n"].concat(),
                    None => Vec::new(),
                };
                // Quiet misses are hidden, failures are not: what comes before MN is told apart there.
                let is_sure = is_well(&key);
                let answer = [answer, b"MN\r\n".to_vec()].concat();
                let expected = Some(if is_sure { Expected::Exactly(answer) } else { Expected::UntilNoop(key.clone()) });
                (format!("mg {key} v q\r\nmn\r\n").into_bytes(), expected)
            }
            10 => (b"verbosity 1\r\n".to_vec(), Some(Expected::Exactly(b"OK\r\n".to_vec()))),
            _ => (b"frob\r\n".to_vec(), Some(Expected::Exactly(b"ERROR\r\n".to_vec()))),
        }
    }

    fn speak_redis(&mut self, is_well: &dyn Fn(&str) -> bool, random: &mut Random) -> (Vec<u8>, Option<Expected>) {
        let key = self.key(random);
        let known = self.known.get(&key).cloned().flatten();
        let well =
            |answer: Vec<u8>| Some(if is_well(&key) { Expected::Exactly(answer) } else { Expected::Any(key.clone()) });
        match random.below(10) {
            0..=3 => {
                let answer = bulk(known.as_deref().map(str::as_bytes));
                (command(&[b"GET", key.as_bytes()]), well(answer))
            }
            4..=5 => {
                let value = Self::value(&key, random);
                let said = command(&[b"set", key.as_bytes(), value.as_bytes()]);
                let expected = well(b"+OK\r\n".to_vec());
                self.write(key, Some(value));
                (said, expected)
            }
            6..=7 => {
                let keys: Vec<String> = (0..1 + random.place(6)).map(|_| self.key(random)).collect();
                let element = |key: &String| match self.known.get(key).cloned().flatten() {
                    _ if !is_well(key) => Err(key.clone()),
                    value => Ok(bulk(value.as_deref().map(str::as_bytes))),
                };
                let mut words: Vec<&[u8]> = vec![b"MGET"];
                words.extend(keys.iter().map(String::as_bytes));
                let is_one = keys.len() == 1 && !is_well(&keys[0]);
                let expected = if is_one {
                    Expected::Any(keys[0].clone())
                } else {
                    Expected::Elements(keys.iter().map(element).collect())
                };
                (command(&words), Some(expected))
            }
            8 => {
                let keys: Vec<String> = (0..1 + random.place(4)).map(|_| self.key(random)).collect();
                let mut words: Vec<&[u8]> = vec![b"DEL"];
                words.extend(keys.iter().map(String::as_bytes));
                let said = command(&words);
                let is_all_well = keys.iter().all(|key| is_well(key));
                let gone = keys.iter().filter(|key| self.write((*key).clone(), None).is_some()).count();
                let exactly = Expected::Exactly(format!(":{gone}\r\n").into_bytes());
                (said, Some(if is_all_well { exactly } else { Expected::Any(String::new()) }))
            }
            _ => (command(&[b"PING"]), Some(Expected::Exactly(b"+PONG\r\n".to_vec()))),
        }
    }
}

/// Return the name of a key's server.
pub fn home(terms: &Terms, key: &str) -> String {
    terms.pool.servers[terms.explain(key.as_bytes()).home].name.as_str().to_owned()
}

/// Return the keys of what was said, in order.
pub fn keys_of(said: &[u8]) -> Vec<String> {
    let is_key = |word: &&str| word.starts_with('c') && word.contains(':') && !word.contains('=');
    String::from_utf8_lossy(said).split_ascii_whitespace().filter(is_key).map(str::to_owned).collect()
}

impl Expected {
    /// Some of its keys may have another home when it is asked: anything of theirs will do.
    pub fn loosen(&mut self, keys: &[String], has_moved: &dyn Fn(&str) -> bool) {
        let moved: Vec<&String> = keys.iter().filter(|key| has_moved(key)).collect();
        let Some(&first) = moved.first() else { return };
        match self {
            Expected::Values(blocks) => {
                for (block, key) in blocks.iter_mut().zip(keys).filter(|(_, key)| has_moved(key)) {
                    *block = Err(key.clone());
                }
            }
            Expected::Elements(elements) if elements.len() > 1 => {
                for (element, key) in elements.iter_mut().zip(keys).filter(|(_, key)| has_moved(key)) {
                    *element = Err(key.clone());
                }
            }
            Expected::Exactly(bytes) if bytes.ends_with(b"MN\r\n") => *self = Expected::UntilNoop(first.clone()),
            Expected::Exactly(_) | Expected::Elements(_) => *self = Expected::Any(first.clone()),
            Expected::UntilNoop(_) | Expected::Any(_) | Expected::Version { .. } => {}
        }
    }

    /// Take the answer off the beginning of what came, in the version that is spoken; `None` while it is not whole.
    pub fn take(&self, got: &mut Vec<u8>, protocol: PoolProtocol, spoken: &mut Version) -> Option<()> {
        let length = match protocol {
            PoolProtocol::Memcache => self.memcache(got)?,
            PoolProtocol::Redis => self.redis(got, spoken)?,
        };
        got.drain(..length);
        Some(())
    }

    fn exactly(expected: &[u8], got: &[u8]) -> Option<usize> {
        let common = expected.len().min(got.len());
        let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert!(expected[..common] == got[..common], "expected {:?}, got {:?}", shown(expected), shown(got));
        (common == expected.len()).then_some(common)
    }

    fn memcache(&self, got: &[u8]) -> Option<usize> {
        match self {
            Expected::Exactly(expected) => Expected::exactly(expected, got),
            Expected::Values(blocks) => values(blocks, got),
            Expected::Any(key) => any_memcache(key, got),
            Expected::UntilNoop(_) if got.starts_with(b"MN\r\n") => Some(4),
            Expected::UntilNoop(key) => {
                let first = any_memcache(key, got)?;
                Expected::exactly(b"MN\r\n", &got[first..]).map(|length| first + length)
            }
            Expected::Elements(_) | Expected::Version { .. } => unreachable!("memcache has no such answers"),
        }
    }

    fn redis(&self, got: &[u8], spoken: &mut Version) -> Option<usize> {
        let null = bulk_of(*spoken, None);
        let spelt = |bytes: &[u8]| if bytes == b"$-1\r\n" { null.clone() } else { bytes.to_vec() };
        if let Expected::Exactly(expected) = self {
            return Expected::exactly(&spelt(expected), got);
        }
        // An answer to the wish for a version is in it.
        let version = if matches!(self, Expected::Version { .. }) { Version::Three } else { *spoken };
        let limits = Limits { version, ..Limits::default() };
        let Parsed::Whole(found) = resp_reply(got, &limits, &mut ReplyProgress::default()) else {
            return None;
        };
        let found = found.expect("a good answer");
        match self {
            Expected::Version { version, may_grant, may_refuse } => match found.kind {
                Type::Error => {
                    assert!(*may_refuse && found.word() == b"NOPROTO", "refused: {}", found.bytes.escape_ascii())
                }
                kind => {
                    assert!(*may_grant, "granted what a server does not speak");
                    assert_eq!(kind, if *version == Version::Three { Type::Map } else { Type::Array });
                    *spoken = *version;
                }
            },
            Expected::Any(key) => {
                assert!(!found.bytes.starts_with(b"$") || found.bytes == null || is_of(key, found.bytes));
            }
            Expected::Elements(elements) if !found.is_error() => {
                assert_eq!(found.elements().len(), elements.len());
                for (found, expected) in found.elements().zip(elements) {
                    match expected {
                        Ok(bytes) => assert!(found.bytes == spelt(bytes), "another value"),
                        Err(key) => assert!(found.is_error() || found.bytes == null || is_of(key, found.bytes)),
                    }
                }
            }
            // A whole array fails only where all its keys are of one server.
            _ => assert!(matches!(self, Expected::Elements(elements) if elements.iter().all(Result::is_err))),
        }
        Some(found.bytes.len())
    }
}

/// Return how long an answer of values is, which come in the order of their keys; those of some keys may be missing.
fn values(all: &[Result<Vec<u8>, String>], got: &[u8]) -> Option<usize> {
    let (mut blocks, mut at) = (all.iter(), 0);
    let is_sure = |block: &Result<Vec<u8>, String>| block.as_ref().is_ok_and(|block| !block.is_empty());
    loop {
        let Parsed::Whole(found) = piece(&got[at..], &mut Progress::default()) else { return None };
        let found = found.expect("a good answer");
        at += found.bytes().len();
        match found {
            Piece::Value(value) => {
                let is_its = |block: &Result<Vec<u8>, String>| match block {
                    Ok(block) if block.is_empty() => false,
                    Ok(block) => {
                        assert!(block == value.bytes, "another value, or in another order");
                        true
                    }
                    Err(key) => value.key == key.as_bytes() && is_of(key, value.bytes),
                };
                assert!(blocks.any(is_its), "a value of another key, or in another order");
            }
            Piece::End(_) => {
                assert!(!blocks.any(is_sure), "values of servers that never failed are missing");
                return Some(at);
            }
            Piece::Error(_) => {
                assert!(all.iter().any(Result::is_err) && !blocks.any(is_sure), "an error though no server failed");
                return Some(at);
            }
        }
    }
}

/// Tell whether an answer's value is one that was stored under that key.
fn is_of(key: &str, answer: &[u8]) -> bool {
    let block = &answer[memchr::memchr(b'\n', answer).map_or(0, |end| end + 1)..];
    block.starts_with(format!("{key}=").as_bytes())
}

/// Return how long one answer of any kind is.
fn any_memcache(key: &str, got: &[u8]) -> Option<usize> {
    let expect = match got {
        [b'V', b'A', b'L', ..] | [b'E', b'N', b'D', ..] => Expect::Values,
        [b'V', b'A', b' ', ..] | [b'M', b'N', ..] => Expect::Meta,
        _ if got.len() < 4 => return None,
        _ => Expect::Line,
    };
    let Parsed::Whole(found) = reply(got, expect, &mut Progress::default()) else { return None };
    let found = found.expect("a good answer");
    let has_value = got.starts_with(b"VALUE") || got.starts_with(b"VA ");
    assert!(!has_value || is_of(key, found.bytes), "a value of another key");
    Some(found.bytes.len())
}
