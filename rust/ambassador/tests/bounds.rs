//! What is bounded ends in order: who reaches a bound is told or closed, and nobody else notices.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use alongside_ambassador::core::Terms;
use alongside_ambassador::counters::Standing;
use serde_json::{Value, json};
use std::sync::Arc;
use world::redis::command;
use world::{Health, World, ask};

fn world(protocol: &str, servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    let (mut world, terms, keys) = world::of(protocol, servers, more);
    world.is_cutting = false;
    (world, terms, keys)
}

#[test]
fn a_client_that_does_not_read_what_one_command_brings_is_closed() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"limits": {"answers_bytes_max": 100_000}}));
    let (greedy, other) = (world.connect(), world.connect());
    world.server(0).store.insert(keys[0].clone().into_bytes(), vec![b'v'; 20_000]);
    world.client(greedy).is_slow = true;
    world.send(greedy, format!("get {}\r\n", [keys[0].as_str(); 400].join(" ")).as_bytes());
    world.settle();
    assert!(world.client(greedy).is_closed);
    assert!(world.core.holdings().bytes < 1_000, "{:?}", world.core.holdings());
    let sum = terms.counters.sum();
    assert_eq!((sum.limited, sum.client_err, sum.client_connections), (1, 1, 1));
    let got = ask(&mut world, other, format!("get {}\r\n", keys[0]).as_bytes());
    assert!(got.starts_with("VALUE") && got.ends_with("END\r\n"));
    assert_eq!(terms.servers[0].sum().server_connections, 1);
}

#[test]
fn a_client_that_waits_for_another_answer_first_is_bounded_too() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"limits": {"answers_bytes_max": 100_000}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    world.server(1).store.insert(keys[1].clone().into_bytes(), vec![b'v'; 20_000]);
    world.send(client, format!("get {}\r\nget {}\r\n", keys[0], [keys[1].as_str(); 10].join(" ")).as_bytes());
    world.settle();
    assert!(world.client(client).is_closed);
    assert_eq!(terms.counters.sum().limited, 1);
}

#[test]
fn values_that_wait_for_others_before_them_are_bounded_too() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"limits": {"answers_bytes_max": 100_000}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    world.server(1).store.insert(keys[1].clone().into_bytes(), vec![b'v'; 20_000]);
    world.send(client, format!("get {} {}\r\n", keys[0], [keys[1].as_str(); 10].join(" ")).as_bytes());
    world.settle();
    assert!(world.client(client).is_closed);
    assert_eq!((terms.counters.sum().limited, world.core.holdings().bytes), (1, 0));
}

#[test]
fn more_than_the_bound_comes_to_who_reads_while_it_comes() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"limits": {"answers_bytes_max": 100_000}}));
    let client = world.connect();
    ask(&mut world, client, format!("get {}\r\n", keys.join(" ")).as_bytes());
    (0..2).for_each(|index| world.server(index).health = Health::Silent);
    world.send(client, format!("get {}\r\n", [keys.join(" ").as_str(); 100].join(" ")).as_bytes());
    world.step(50);
    let value = |key: &str| format!("VALUE {key} 0 2000\r\n{}\r\n", "v".repeat(2_000));
    // One is always some values ahead.
    world.say(1, value(&keys[1]).repeat(20).as_bytes());
    for round in 0..100 {
        world.say(0, value(&keys[0]).as_bytes());
        world.say(1, if round < 80 { value(&keys[1]) } else { String::new() }.as_bytes());
        world.step(50);
        // What is ahead, and a piece that is not long enough yet.
        assert!(world.core.holdings().bytes < 42_000 + 18_000, "{:?}", world.core.holdings());
    }
    (0..2).for_each(|index| world.say(index, b"END\r\n"));
    world.settle();
    assert!(world.take(client) == (value(&keys[0]) + &value(&keys[1])).repeat(100) + "END\r\n");
    assert_eq!((terms.counters.sum().limited, world.core.holdings().bytes), (0, 0));
}

#[test]
fn a_merged_answer_is_bounded_too() {
    let (mut world, terms, keys) = world("redis", 2, &json!({"limits": {"answers_bytes_max": 100_000}}));
    let client = world.connect();
    world.server(0).store.insert(keys[0].clone().into_bytes(), vec![b'v'; 20_000]);
    let words = [vec!["MGET", &keys[1]], vec![keys[0].as_str(); 10]].concat();
    world.send(client, &command(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()));
    world.settle();
    assert!(world.client(client).is_closed);
    assert_eq!((terms.counters.sum().limited, world.core.holdings().bytes), (1, 0));
}

#[test]
fn an_answer_too_large_to_be_kept_fails_its_command_alone() {
    let more = json!({"ejection": {"failures": 1}, "limits": {"server_bytes_max": 65_536}});
    let (mut world, terms, k) = world("redis", 1, &more);
    let (one, other) = (world.connect(), world.connect());
    world.server(0).store.insert(b"large".to_vec(), vec![b'v'; 100_000]);
    world.server(0).store.insert(b"part".to_vec(), vec![b'v'; 20_000]);
    world.server(0).store.insert(k[0].clone().into_bytes(), b"x".to_vec());
    for is_cutting in [false, true] {
        world.is_cutting = is_cutting;
        let asked = [
            command(&[b"GET", k[0].as_bytes()]),
            command(&[b"GET", b"large"]),
            command(&[b"MGET", b"part", b"part", b"part", b"nothing", b"part"]),
            command(&[b"GET", k[0].as_bytes()]),
        ];
        world.send(one, &asked.concat());
        let mine = ask(&mut world, other, &command(&[b"GET", k[0].as_bytes()]));
        let error = "-ERR The server's answer is too large\r\n";
        assert_eq!(world.take(one), format!("$1\r\nx\r\n{error}{error}$1\r\nx\r\n"));
        assert_eq!(mine, "$1\r\nx\r\n");
    }
    let sum = terms.servers[0].sum();
    assert_eq!((terms.servers[0].standing(), sum.server_err, sum.failed), (Standing::Good, 0, 4));
    assert_eq!((terms.counters.sum().limited, world.open_links().len()), (4, 1));
    assert_eq!((world.core.holdings().waiting, world.core.holdings().asks), (0, 0));
}

#[test]
fn an_answer_is_passed_over_for_as_long_as_it_comes() {
    let more = json!({"ejection": {"failures": 1}, "timeout_ms": 400, "limits": {"server_bytes_max": 65_536}});
    let (mut world, terms, k) = world("redis", 1, &more);
    let (one, other) = (world.connect(), world.connect());
    ask(&mut world, one, &command(&[b"GET", k[0].as_bytes()]));
    world.server(0).health = Health::Silent;
    world.send(one, &command(&[b"GET", b"large"]));
    world.settle();
    world.say(0, format!("${}\r\n", 100_000).as_bytes());
    for _ in 0..40 {
        world.say(0, &[b'v'; 2_500]);
        world.run_ms(100);
    }
    world.send(other, &command(&[b"GET", k[0].as_bytes()]));
    world.settle();
    world.say(0, b"\r\n$1\r\nx\r\n");
    world.settle();
    assert_eq!(world.take(one), "-ERR The server's answer is too large\r\n");
    assert_eq!(world.take(other), "$1\r\nx\r\n");
    let sum = terms.servers[0].sum();
    assert_eq!(
        (terms.servers[0].standing(), sum.server_timedout, sum.failed, sum.timed_out),
        (Standing::Good, 0, 1, 0)
    );
    assert_eq!((world.open_links().len(), world.core.holdings().asks), (1, 0));
}

#[test]
fn quiet_commands_are_waited_for_as_others_are() {
    let (mut world, terms, keys) = world("memcache", 1, &json!({"limits": {"client_requests_max": 8}}));
    let (client, other) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    let said: String = (0..1_000).map(|i| format!("set {} 0 0 4 noreply\r\n{i:04}\r\n", keys[0])).collect();
    world.send(client, said.as_bytes());
    world.settle();
    assert!(world.client(client).is_paused);
    assert_eq!(world.core.holdings().asks, 8);
    world.server(0).health = Health::Good;
    for _ in 0..10 {
        world.settle();
    }
    let got = ask(&mut world, client, format!("get {}\r\n", keys[0]).as_bytes());
    assert_eq!(got, format!("VALUE {} 0 4\r\n0999\r\nEND\r\n", keys[0]));
    assert_eq!(ask(&mut world, other, b"get nothing\r\n"), "END\r\n");
    assert_eq!((terms.counters.sum().limited, terms.servers[0].sum().requests), (0, 1_002));
}

#[test]
fn what_a_client_asks_counts_with_its_bytes() {
    let (mut world, _, keys) = world("memcache", 1, &json!({"limits": {"client_bytes_max": 65_536}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    for quiet in ["", " noreply"] {
        let value = "v".repeat(20_000);
        let said = format!("set {} 0 0 {}{quiet}\r\n{value}\r\n", keys[0], value.len()).repeat(5);
        world.send(client, said.as_bytes());
    }
    world.settle();
    assert_eq!(world.core.holdings().asks, 4);
    world.server(0).health = Health::Good;
    world.settle();
    world.settle();
    assert_eq!(world.take(client), "STORED\r\n".repeat(5));
}

#[test]
fn what_every_server_is_asked_counts_with_all_its_bytes() {
    let (mut world, _, _) = world("redis", 3, &json!({"limits": {"client_bytes_max": 65_536}}));
    let client = world.connect();
    (0..3).for_each(|index| world.server(index).health = Health::Silent);
    world.send(client, &command(&[b"SCRIPT", b"LOAD", &[b's'; 10_000]]).repeat(9));
    world.settle();
    assert_eq!(world.core.holdings().asks, 3 * 3, "no more than a third of it is begun");
}

#[test]
fn what_is_known_of_keys_counts_with_their_command() {
    let (mut world, _, keys) = world("redis", 2, &json!({"limits": {"client_bytes_max": 65_536}}));
    let client = world.connect();
    (0..2).for_each(|index| world.server(index).health = Health::Silent);
    let many: Vec<&[u8]> = std::iter::once(&b"MGET"[..]).chain((0..1000).map(|n| keys[n % 2].as_bytes())).collect();
    world.send(client, &command(&many).repeat(9));
    world.settle();
    let each = command(&many).len() + 1000 * (4 + 8);
    assert_eq!(world.core.holdings().asks, 2 * (65_536 / each + 1));
}

/// An MGET of one key, and so many times of another.
fn mget(keys: &[String], times: usize) -> Vec<u8> {
    command(&[vec![b"MGET".as_slice(), keys[0].as_bytes()], vec![keys[1].as_bytes(); times]].concat())
}

#[test]
fn errors_that_stand_for_keys_are_no_way_round_the_bound() {
    let (mut world, terms, keys) = world("redis", 2, &json!({"limits": {"answers_bytes_max": 65_536}}));
    let client = world.connect();
    world.kill(1);
    let error = "-ERR Connection refused\r\n";
    let few = ask(&mut world, client, &mget(&keys, 2000));
    assert_eq!(few, format!("*2001\r\n$-1\r\n{}", error.repeat(2000)));
    assert_eq!(ask(&mut world, client, &mget(&keys, 3000)), "");
    assert_eq!((terms.counters.sum().limited, world.core.holdings().bytes), (1, 0));
    assert_eq!(world.core.holdings().clients, 0, "more than may wait ends it");
}

#[test]
fn errors_of_a_command_that_nobody_is_asked_are_bounded_too() {
    let limits = json!({"limits": {"answers_bytes_max": 65_536, "requests_max": 1}});
    let (mut world, terms, keys) = world("redis", 2, &limits);
    let (waiting, client) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    world.send(waiting, &command(&[b"GET", keys[0].as_bytes()]));
    world.settle();
    let error = "-ERR Too many commands wait\r\n";
    assert_eq!(ask(&mut world, client, &mget(&keys, 100)), format!("*101\r\n{}", error.repeat(101)));
    let limited = terms.counters.sum().limited;
    assert_eq!(ask(&mut world, client, &mget(&keys, 3000)), "");
    assert_eq!(world.core.holdings().clients, 1, "who waits stays");
    assert!(terms.counters.sum().limited > limited + 2, "for two parts, and the client");
}

#[test]
fn a_quiet_command_that_fails_says_nothing() {
    let (mut world, _, keys) = world("memcache", 2, &json!({"may_flush": true}));
    let client = world.connect();
    world.kill(0);
    let said = format!(
        "set {0} 0 0 1 noreply\r\na\r\nflush_all noreply\r\nget {1}\r\nset {0} 0 0 1 noreply\r\na\r\nget {0}\r\n",
        keys[0], keys[1]
    );
    assert_eq!(ask(&mut world, client, said.as_bytes()), "END\r\nSERVER_ERROR Connection refused\r\n");
    assert_eq!(world.core.holdings().slots, 0);
}

#[test]
fn a_request_of_redis_is_bounded_as_a_whole() {
    let limits = json!({"limits": {"request_bytes_max": 65_536, "value_bytes_max": 10_000}});
    let (mut world, terms, k) = world("redis", 1, &limits);
    let value = vec![b'v'; 10_000];
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &command(&[b"SET", k[0].as_bytes(), &value])), "+OK\r\n");
    world.send(client, b"*1001\r\n$4\r\nMSET\r\n");
    for _ in 0..20 {
        world.send(client, &[&b"$1\r\na\r\n$10000\r\n"[..], &value, b"\r\n"].concat());
        world.step(100);
    }
    world.settle();
    assert_eq!(world.take(client), "-ERR Protocol error: too big request\r\n");
    assert!(world.client(client).is_closed);
    assert_eq!((world.core.holdings().bytes, terms.counters.sum().client_err), (0, 1));
}

#[test]
fn who_has_not_said_who_it_is_may_say_little() {
    let users = json!({"users": [{"name": "default", "password": "/p"}]});
    let (mut world, _, _) = world("redis", 1, &users);
    let long = vec![b'p'; 20_000];
    for said in [b"*11\r\n".to_vec(), command(&[b"AUTH", &long])] {
        let client = world.connect();
        assert!(ask(&mut world, client, &said).starts_with("-ERR Protocol error: invalid "));
        assert!(world.client(client).is_closed);
    }
    let client = world.connect();
    let said = [command(&[b"AUTH", b"secret"]), command(&[b"GET", &long])].concat();
    assert_eq!(ask(&mut world, client, &said), "+OK\r\n$-1\r\n");
}

#[test]
fn a_client_that_asks_for_too_much_is_not_read_until_it_has_less() {
    let (mut world, _, keys) = world::of("memcache", 2, &json!({"limits": {"client_requests_max": 4}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {}\r\n", keys[0]).repeat(10).as_bytes());
    world.settle();
    assert!(world.client(client).is_paused);
    assert_eq!(world.core.holdings().slots, 4);
    world.server(0).health = Health::Good;
    world.settle();
    assert_eq!(world.take(client), "END\r\n".repeat(10));
    assert!(!world.client(client).is_paused);
}

#[test]
fn a_client_that_reads_nothing_holds_no_more_than_its_limit() {
    let (mut world, _, keys) = world::of("memcache", 1, &json!({"limits": {"client_bytes_max": 65_536}}));
    let client = world.connect();
    world.server(0).store.insert(keys[0].clone().into_bytes(), vec![b'v'; 20_000]);
    world.client(client).is_slow = true;
    world.is_cutting = false;
    for _ in 0..100 {
        world.send(client, format!("get {}\r\n", keys[0]).as_bytes());
        world.step(100);
    }
    assert!(world.core.holdings().bytes < 65_536 + 5 * 21_000, "{:?}", world.core.holdings());
    world.client(client).is_slow = false;
    world.run_ms(50);
    assert_eq!(world.take(client).matches("END\r\n").count(), 100);
    assert_eq!(world.core.holdings().bytes, 0);
}

#[test]
fn commands_beyond_the_pools_limit_get_an_error() {
    let (mut world, terms, keys) = world::of("memcache", 1, &json!({"limits": {"requests_max": 3}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {}\r\n", keys[0]).repeat(5).as_bytes());
    world.settle();
    world.server(0).health = Health::Good;
    world.settle();
    let full = "SERVER_ERROR Too many commands wait\r\n";
    assert_eq!(world.take(client), format!("{}{}", "END\r\n".repeat(3), full.repeat(2)));
    assert_eq!(terms.counters.sum().limited, 2);
}
