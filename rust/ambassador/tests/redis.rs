//! What Redis clients get from the core, with servers that are there, gone, or slow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use alongside_ambassador::core::Terms;
use alongside_ambassador::counters::Standing;
use serde_json::{Value, json};
use std::sync::Arc;
use world::redis::command;
use world::{Health, World};

fn world(servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    world::of("redis", servers, more)
}

/// Send commands whose words spaces part, let them be answered, return what came.
fn ask(world: &mut World, client: usize, commands: &[&str]) -> String {
    for words in commands {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        world.send(client, &command(&words));
    }
    world.settle();
    world.take(client)
}

#[test]
fn each_key_goes_to_its_server_and_answers_come_in_order() {
    let (mut world, _, keys) = world(3, &json!({}));
    let client = world.connect();
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(ask(&mut world, client, &[&format!("SET {key} v{index}")]), "+OK\r\n");
        assert_eq!(world.server(index).store.len(), 1);
    }
    let gets: Vec<String> = keys.iter().rev().map(|key| format!("get {key}")).collect();
    let gets: Vec<&str> = gets.iter().map(String::as_str).collect();
    assert_eq!(ask(&mut world, client, &gets), "$2\r\nv2\r\n$2\r\nv1\r\n$2\r\nv0\r\n");
    let nested = ask(&mut world, client, &[&format!("LRANGE {} 0 -1", keys[0]), "PING"]);
    assert_eq!(nested, "*2\r\n*1\r\n:1\r\n$-1\r\n+PONG\r\n");
}

#[test]
fn commands_of_many_keys_are_split_and_merged() {
    let (mut world, terms, k) = world(3, &json!({}));
    let client = world.connect();
    let mset = format!("MSET {} a {} bb {} ccc", k[2], k[0], k[1]);
    let mget = format!("MGET {} none {} {} {}", k[1], k[0], k[2], k[1]);
    let exists = format!("EXISTS {} {} none {}", k[0], k[1], k[2]);
    let del = format!("DEL {} {} none {}", k[0], k[1], k[0]);
    let got = ask(&mut world, client, &[&mset, &mget, &exists, &del, &mget]);
    let first = "*5\r\n$3\r\nccc\r\n$-1\r\n$2\r\nbb\r\n$1\r\na\r\n$3\r\nccc\r\n";
    let last = "*5\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\na\r\n$-1\r\n";
    assert_eq!(got, format!("+OK\r\n{first}:3\r\n:2\r\n{last}"));
    assert!(terms.counters.sum().fragments >= 10);
}

#[test]
fn each_of_many_keys_gets_its_own_value() {
    let (mut world, _, _) = world(5, &json!({}));
    let client = world.connect();
    // Longer and shorter than what is copied at once, some more than once, some missing.
    let keys: Vec<String> =
        (0..500).map(|n| format!("k{}{}", n * 7919 % 300, "-".repeat(n * 7919 % 300 % 40))).collect();
    let pairs: Vec<String> = keys.iter().take(250).map(|key| format!("{key} value-of-{key}")).collect();
    assert_eq!(ask(&mut world, client, &[&format!("MSET {}", pairs.join(" "))]), "+OK\r\n");
    assert!((0..5).all(|server| world.server(server).store.len() > 20));
    let known = |key: &String| keys[..250].contains(key);
    let value =
        |key: &String| if known(key) { format!("${}\r\nvalue-of-{key}\r\n", key.len() + 9) } else { "$-1\r\n".into() };
    let expected: String = keys.iter().map(value).collect();
    let got = ask(&mut world, client, &[&format!("MGET {}", keys.join(" "))]);
    assert_eq!(got, format!("*500\r\n{expected}"));
    let there = keys.iter().filter(|key| known(key)).count();
    assert!((300..500).contains(&there));
    assert_eq!(ask(&mut world, client, &[&format!("EXISTS {}", keys.join(" "))]), format!(":{there}\r\n"));
}

#[test]
fn a_dead_servers_keys_are_errors_inside_the_array() {
    let (mut world, _, k) = world(3, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &[&format!("SET {} x", k[0])]);
    world.kill(1);
    let got = ask(
        &mut world,
        client,
        &[
            &format!("MGET {} {} {}", k[1], k[0], k[1]),
            &format!("DEL {} {}", k[0], k[1]),
            &format!("MSET {} 1 {} 2", k[1], k[0]),
            &format!("GET {}", k[0]),
            &format!("GET {}", k[1]),
        ],
    );
    let error = "-ERR Connection refused\r\n";
    assert_eq!(got, format!("*3\r\n{error}$1\r\nx\r\n{error}{error}{error}$1\r\n2\r\n{error}"));
}

#[test]
fn a_strict_pool_fails_the_whole_array_and_answers_no_quit() {
    let (mut world, _, k) = world(2, &json!({"is_strict": true}));
    let client = world.connect();
    world.kill(1);
    let got = ask(&mut world, client, &[&format!("MGET {} {}", k[1], k[0]), &format!("GET {}", k[0]), "QUIT"]);
    assert_eq!(got, "-ERR Connection refused\r\n$-1\r\n");
    assert!(world.client(client).is_closed);
    for empty in [b"\r\n".as_slice(), b"*0\r\n", b"*-1\r\n"] {
        let client = world.connect();
        world.send(client, empty);
        world.settle();
        assert!(world.client(client).is_closed, "{}", empty.escape_ascii());
    }
    for refused in ["ECHO a", "GET", "SELECT 0", "FROB"] {
        let client = world.connect();
        assert_eq!(ask(&mut world, client, &[refused]), "");
        assert!(world.client(client).is_closed, "{refused}");
    }
}

#[test]
fn what_concerns_no_server_is_answered_here() {
    let (mut world, _, _) = world(2, &json!({}));
    let client = world.connect();
    let said = [
        ("PING", "+PONG\r\n"),
        ("PING hi", "$2\r\nhi\r\n"),
        ("ECHO hi", "$2\r\nhi\r\n"),
        ("SELECT 0", "+OK\r\n"),
        ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
        ("RESET", "+RESET\r\n"),
        ("COMMAND DOCS", "*0\r\n"),
        ("CLIENT SETINFO LIB-NAME redis-py", "+OK\r\n"),
        ("CLIENT GETNAME", "$-1\r\n"),
        ("CLIENT SETNAME me", "+OK\r\n"),
        ("CLIENT GETNAME", "$2\r\nme\r\n"),
        ("AUTH default any", "+OK\r\n"),
        ("AUTH me any", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        ("FROB a", "-ERR unknown command 'FROB'\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("XREAD BLOCK 0 STREAMS a $", "-ERR 'XREAD' is not supported: it would block the requests of others\r\n"),
        ("SCRIPT KILL", "-ERR 'SCRIPT KILL' is not supported: it concerns a server, not keys\r\n"),
        ("SCRIPT", "-ERR wrong number of arguments for 'script' command\r\n"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MULTI", "-ERR 'MULTI' is not supported: transactions need a connection to one server\r\n"),
    ];
    for (words, answer) in said {
        assert_eq!(ask(&mut world, client, &[words]), answer, "{words}");
    }
    assert!(ask(&mut world, client, &["HELLO 2"]).starts_with("*14\r\n$6\r\nserver\r\n"));
    assert!(ask(&mut world, client, &["INFO"]).contains("redis_version:"));
    world.send(client, b"PING\r\nECHO \"a b\"\r\n\r\n");
    world.settle();
    assert_eq!(world.take(client), "+PONG\r\n$3\r\na b\r\n");
    assert_eq!(ask(&mut world, client, &["QUIT", "PING"]), "+OK\r\n");
    assert!(world.client(client).is_closed);
}

#[test]
fn keys_that_must_be_together_are_refused_when_they_are_not() {
    let (mut world, _, k) = world(2, &json!({"placement": {"hash_tag": "{}"}}));
    let client = world.connect();
    assert!(ask(&mut world, client, &[&format!("RENAME {} {}", k[0], k[1])]).starts_with("-CROSSSLOT "));
    for words in ["LMPOP 2 {} {} LEFT", "ZUNION 2 {} {}", "XREAD STREAMS {} {} 0 0", "SINTERCARD 2 {} {}"] {
        let words = words.replacen("{}", &k[0], 1).replacen("{}", &k[1], 1);
        assert!(ask(&mut world, client, &[&words]).starts_with("-CROSSSLOT "), "{words}");
    }
    let eval = format!("EVAL script 2 {} {}", k[0], k[1]);
    let asked =
        ["RENAME {a}1 {a}2", "EVAL return 1 {a}1 {a}2", "EVAL return 0", "ZUNION 2 {a}1 {a}2", "ZUNION 0 a", &eval];
    let together = ask(&mut world, client, &asked);
    assert_eq!(together.matches("unknown command").count(), 6, "servers were asked: {together}");
}

#[test]
fn every_server_knows_every_script() {
    let (mut world, _, k) = world(3, &json!({"ejection": {"failures": 2}}));
    let client = world.connect();
    let load = ["SCRIPT LOAD s"; 1];
    assert_eq!(ask(&mut world, client, &load), "$2\r\ns!\r\n");
    assert!((0..3).all(|index| world.server(index).store.contains_key(b"script s!".as_slice())));
    world.server(1).store.clear();
    assert_eq!(ask(&mut world, client, &["SCRIPT EXISTS s! t!"]), "*2\r\n:0\r\n:0\r\n");
    let again = ask(&mut world, client, &["script load s", "SCRIPT EXISTS s! t!", "SCRIPT LOAD", "SCRIPT FLUSH"]);
    assert_eq!(again, "$2\r\ns!\r\n*2\r\n:1\r\n:0\r\n-ERR syntax\r\n+OK\r\n");
    world.kill(1);
    assert_eq!(ask(&mut world, client, &load), "-ERR Connection refused\r\n");
    ask(&mut world, client, &[&format!("GET {}", k[1])]);
    assert_eq!(ask(&mut world, client, &load), "$2\r\ns!\r\n", "who is left out is not asked");
    world.kill(0);
    world.kill(2);
    ask(&mut world, client, &[&format!("GET {}", k[0]), &format!("GET {}", k[2])]);
    assert!(ask(&mut world, client, &load).starts_with("-ERR "));
}

#[test]
fn a_typed_command_over_a_limit_has_its_answer_too() {
    let (mut world, _, _) = world(2, &json!({"limits": {"keys_max": 100, "value_bytes_max": 50}}));
    let client = world.connect();
    world.send(client, format!("DEL{}\r\nPING\r\n", " k".repeat(300)).as_bytes());
    world.settle();
    assert_eq!(world.take(client), "-ERR too many keys in one command\r\n+PONG\r\n");
    let pushed = ask(&mut world, client, &[&format!("RPUSH k{}", " v".repeat(1_000)), "PING"]);
    assert_eq!(pushed, "-ERR unknown command 'RPUSH'\r\n+PONG\r\n", "values are no keys");
    world.send(client, format!("GET {}\r\nPING\r\n", "k".repeat(51)).as_bytes());
    world.settle();
    assert_eq!(world.take(client), "-ERR Protocol error: invalid bulk length\r\n");
    assert!(world.client(client).is_closed);
}

#[test]
fn answers_that_redis_gives_are_passed_on_however_deep_and_long() {
    let (mut world, terms, k) = world(1, &json!({}));
    let client = world.connect();
    let get = format!("GET {}", k[0]);
    ask(&mut world, client, &[&get]);
    world.server(0).health = Health::Silent;
    for answer in [format!("{}:1\r\n", "*1\r\n".repeat(500)), format!("+{}\r\n", "x".repeat(200_000))] {
        world.send(client, &command(&get.split(' ').map(str::as_bytes).collect::<Vec<_>>()));
        world.settle();
        world.say(0, answer.as_bytes());
        world.settle();
        assert!(world.take(client) == answer);
    }
    assert_eq!(terms.servers[0].sum().server_err, 0);
}

#[test]
fn bytes_that_are_no_request_are_answered_and_end_the_connection() {
    let (mut world, _, k) = world(2, &json!({}));
    let client = world.connect();
    world.send(client, &command(&[b"GET", k[0].as_bytes()]));
    world.send(client, b"*2\r\n$3\r\nGET\r\n+a\r\n");
    world.settle();
    assert_eq!(world.take(client), "$-1\r\n-ERR Protocol error: expected '$', got '+'\r\n");
    assert!(world.client(client).is_closed);
}

#[test]
fn clients_say_who_they_are_where_that_is_wanted() {
    let users = json!([{"name": "default", "password": "/p"}, {"name": "me", "password": "/p"}]);
    let (mut world, _, k) = world(2, &json!({"users": users}));
    let client = world.connect();
    let get = format!("GET {}", k[0]);
    assert_eq!(ask(&mut world, client, &[&get, "PING"]), "-NOAUTH Authentication required.\r\n".repeat(2));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(ask(&mut world, client, &["AUTH secre", "AUTH you secret", "AUTH secretly"]), wrong.repeat(3));
    assert_eq!(ask(&mut world, client, &["AUTH secret", &get]), "+OK\r\n$-1\r\n");
    for words in ["AUTH me secret", "HELLO 2 AUTH me secret SETNAME x"] {
        let other = world.connect();
        assert!(ask(&mut world, other, &[words, &get]).ends_with("$-1\r\n"));
    }
}

#[test]
fn servers_are_told_who_comes_and_which_database() {
    let server_user = json!({"name": "default", "password": "/p"});
    let (mut world, terms, k) = world(2, &json!({"server_user": server_user, "database": 3}));
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &[&format!("GET {}", k[0])]), "$-1\r\n");
    assert_eq!(world.core.holdings().waiting, 0);
    let sum = terms.servers[0].sum();
    assert_eq!((sum.requests, sum.responses), (1, 1), "what we say and hear ourselves is not counted");
}

#[test]
fn an_ejected_server_comes_back_by_a_probe() {
    let (mut world, terms, k) = world(3, &json!({"ejection": {"failures": 2}}));
    let client = world.connect();
    let get = format!("GET {}", k[1]);
    ask(&mut world, client, &[&get]);
    world.kill(1);
    for _ in 0..2 {
        ask(&mut world, client, &[&get]);
    }
    assert_eq!(terms.servers[1].standing(), Standing::Ejected);
    assert_eq!(ask(&mut world, client, &[&get]), "$-1\r\n");
    world.server(1).health = Health::Good;
    world.run_ms(60);
    assert_eq!(terms.servers[1].standing(), Standing::Good);
    assert_eq!(ask(&mut world, client, &[&get]), "$-1\r\n");
}

#[test]
fn a_server_that_refuses_our_password_fails_its_commands() {
    let server_user = json!({"name": "default", "password": "/p"});
    let (mut world, _, k) = world(2, &json!({"server_user": server_user}));
    let client = world.connect();
    world.send(client, &command(&[b"GET", k[0].as_bytes()]));
    world.server(0).health = Health::Silent;
    world.settle();
    world.say(0, b"-WRONGPASS no\r\n");
    world.settle();
    assert_eq!(world.take(client), "-ERR Server refused the password or database\r\n");
}
