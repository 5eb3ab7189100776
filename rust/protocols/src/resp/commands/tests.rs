use super::*;
use crate::resp::{Limits, Message, Parsed, Progress, request};

fn array(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    out
}

fn with<T>(words: &str, look: impl FnOnce(&Command, &Request<'_>) -> T) -> T {
    let bytes = array(&words.split(' ').collect::<Vec<_>>());
    let parsed = request(&bytes, &Limits::default(), &mut Progress::default());
    let Parsed::Whole(Ok(Message::Command(request))) = parsed else { panic!("{words}: {parsed:?}") };
    look(find(request.name()).unwrap(), &request)
}

fn keys(words: &str) -> Vec<String> {
    with(words, |command, request| command.keys(request).map(|key| String::from_utf8(key.to_vec()).unwrap()).collect())
}

fn key(words: &str) -> Option<String> {
    with(words, |command, request| command.key(request).map(|key| String::from_utf8(key.to_vec()).unwrap()))
}

#[test]
fn every_command_is_found_in_any_case_and_nothing_else_is() {
    for command in ALL {
        assert_eq!(find(command.name.as_bytes()), Some(command));
        assert_eq!(find(command.name.to_ascii_lowercase().as_bytes()), Some(command));
        assert!(
            command.name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_-".contains(&byte)),
            "{}",
            command.name
        );
    }
    for other in ["", "GE", "GETT", "G\u{e9}T", "XGET", "get ", "G\0T", "GEORADIUSBYMEMBER_RO2"] {
        assert_eq!(find(other.as_bytes()), None, "{other}");
    }
    assert!(ALL.is_sorted_by(|one, other| one.name < other.name), "the rows are in the order of their names");
}

#[test]
fn keys_are_where_redis_has_them() {
    assert_eq!(keys("get k"), ["k"]);
    assert_eq!(keys("MGET a b c"), ["a", "b", "c"]);
    assert_eq!(keys("MSET a 1 b 2"), ["a", "b"]);
    assert_eq!(keys("BITOP AND d a b"), ["d", "a", "b"]);
    assert_eq!(keys("RENAME a b"), ["a", "b"]);
    assert_eq!(keys("SMOVE a b member"), ["a", "b"]);
    assert_eq!(keys("OBJECT ENCODING k"), ["k"]);
    assert_eq!(keys("EVAL s 2 a b c"), ["a", "b"]);
    assert_eq!(keys("EVAL s 0 a"), [""; 0]);
    assert_eq!(keys("ZUNION 2 a b WITHSCORES"), ["a", "b"]);
    assert_eq!(keys("ZINTER 9 a"), ["a"]);
    assert_eq!(keys("XREAD COUNT 2 streams a b 0 0"), ["a", "b"]);
    assert_eq!(keys("XREADGROUP GROUP STREAMS block NOACK STREAMS a >"), ["a"]);
    assert_eq!(keys("XREAD STREAMS STREAMS 0"), ["STREAMS"]);
    for none in [
        "GET",
        "PING",
        "MSET",
        "XREAD STREAMS a",
        "XREAD COUNT 1",
        "EVAL s",
        "EVAL s x a",
        "EVAL s -1 a",
        "ZUNION",
        "RENAME",
        "OBJECT HELP",
        "TIME",
    ] {
        assert_eq!(keys(none), [""; 0], "{none}");
    }
}

#[test]
fn reading_streams_blocks_where_it_says_so() {
    let is_blocking = |words| with(words, |command, request| command.is_blocking(request));
    assert!(
        is_blocking("XREAD block 0 STREAMS a $") && is_blocking("XREADGROUP GROUP g c COUNT 1 BLOCK 5 STREAMS a >")
    );
    assert!(!is_blocking("XREAD STREAMS BLOCK 0") && !is_blocking("XREADGROUP GROUP BLOCK BLOCK STREAMS a >"));
    assert!(!is_blocking("XREAD COUNT BLOCK STREAMS a 0") && !is_blocking("SET BLOCK BLOCK"));
}

#[test]
fn a_request_is_placed_by_its_first_key() {
    assert_eq!(key("HSET h f v").as_deref(), Some("h"));
    assert_eq!(key("EVALSHA s 1 k a").as_deref(), Some("k"));
    assert_eq!(key("ZDIFF 2 a b").as_deref(), Some("a"));
    assert_eq!(key("GET"), None);
    assert_eq!(key("EVAL s 0"), None);
    let twemproxys = |words| {
        with(words, |command, request| String::from_utf8(command.twemproxys_key(request).unwrap().to_vec()).unwrap())
    };
    assert_eq!(twemproxys("ZDIFF 2 a b"), "2");
    assert_eq!(twemproxys("EVAL s 0 x"), "x");
    assert_eq!(twemproxys("HSET h f v"), "h");
}

#[test]
fn twemproxy_counts_arguments() {
    let fits = |name: &str| -> Vec<usize> {
        (0..8).filter(|&count| find(name.as_bytes()).unwrap().fits_twemproxy(count)).collect()
    };
    assert_eq!(fits("GET"), [2]);
    assert_eq!(fits("SET"), [2, 3, 4, 5, 6, 7]);
    assert_eq!(fits("MSET"), [3, 5, 7]);
    assert_eq!(fits("EVAL"), [4, 5, 6, 7]);
    assert_eq!(fits("PING"), [1]);
    assert_eq!(fits("ECHO"), [0; 0]);
    assert!(!find(b"MULTI").unwrap().is_twemproxys() && find(b"LOLWUT").unwrap().is_twemproxys());
}
