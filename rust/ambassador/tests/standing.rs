//! How servers stand: what counts against them and what does not, and what is shown of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use alongside_ambassador::counters::Standing;
use serde_json::json;
use std::sync::Arc;
use world::redis::command;
use world::terms::{document, terms_of};
use world::{Health, World, ask, key_of, of as world};

fn get(world: &mut World, client: usize, key: &str) -> String {
    ask(world, client, &format!("get {key}\r\n"))
}

fn get_redis(world: &mut World, client: usize, key: &str) -> String {
    ask(world, client, &command(&[b"GET", key.as_bytes()]))
}

/// Let time pass without a step where nothing happens.
fn sleep_ms(world: &mut World, ms: u64) {
    let end_us = world.now_us + ms * 1_000;
    while world.now_us < end_us {
        world.pass(end_us);
    }
}

#[test]
fn a_server_that_refuses_our_password_is_ejected() {
    let more = json!({"server_user": {"name": "default", "password": "/p"}, "ejection": {"failures": 3}});
    let (mut world, terms, k) = world("redis", 2, &more);
    let client = world.connect();
    world.server(0).store.insert(b"password".to_vec(), b"another".to_vec());
    let refused = "-ERR Server refused the password or database\r\n";
    assert_eq!(get_redis(&mut world, client, &k[0]), refused);
    assert_eq!(get_redis(&mut world, client, &k[0]), refused);
    assert_eq!(world.server(0).accepted, 1, "not every command connects to be refused");
    sleep_ms(&mut world, 1_000);
    assert_eq!(terms.servers[0].standing(), Standing::Ejected);
    assert_eq!(get_redis(&mut world, client, &k[0]), "$-1\r\n");
    world.server(0).store.clear();
    sleep_ms(&mut world, 1_000);
    assert_eq!(terms.servers[0].standing(), Standing::Good);
}

#[test]
fn nothing_is_written_before_the_database_is_chosen() {
    let more = json!({"server_user": {"name": "default", "password": "/p"}, "database": 5});
    let (mut world, _, k) = world("redis", 1, &more);
    let client = world.connect();
    world.server(0).store.insert(b"databases".to_vec(), b"1".to_vec());
    world.send(client, &command(&[b"SET", k[0].as_bytes(), b"x"]));
    world.settle();
    assert_eq!(world.take(client), "-ERR Server refused the password or database\r\n");
    assert_eq!(world.server(0).store.len(), 1, "it was written to another database");
    world.server(0).store.clear();
    sleep_ms(&mut world, 1_000);
    world.send(client, &command(&[b"SET", k[0].as_bytes(), b"x"]));
    world.settle();
    assert_eq!(world.take(client), "+OK\r\n");
}

#[test]
fn a_server_that_has_no_room_for_us_refuses_the_connection() {
    let full = [
        ("memcache", "ERROR Too many open connections\r\n", "SERVER_ERROR Connection refused\r\n"),
        ("redis", "-ERR max number of clients reached\r\n", "-ERR Connection refused\r\n"),
    ];
    for (protocol, said, got) in full {
        let (mut world, terms, k) = world(protocol, 2, &json!({"ejection": {"failures": 1}}));
        let client = world.connect();
        let ask = if protocol == "redis" { get_redis } else { get };
        world.server(0).health = Health::Silent;
        ask(&mut world, client, &k[0]);
        world.say(0, said.as_bytes());
        world.settle();
        assert_eq!(world.take(client), got);
        assert_eq!((terms.servers[0].standing(), terms.servers[0].sum().responses), (Standing::Ejected, 0));
    }
}

#[test]
fn a_redis_that_loads_or_is_busy_fails_and_one_that_takes_no_writes_does_not() {
    let cases = [
        ("-LOADING Redis is loading the dataset in memory\r\n", Standing::Ejected),
        ("-BUSY Redis is busy running a script.\r\n", Standing::Ejected),
        ("-OOM command not allowed when used memory > 'maxmemory'.\r\n", Standing::Good),
    ];
    for (said, standing) in cases {
        let (mut world, terms, k) = world("redis", 2, &json!({"ejection": {"failures": 2}}));
        let client = world.connect();
        world.server(0).health = Health::Silent;
        for expected in [Standing::Good, standing] {
            get_redis(&mut world, client, &k[0]);
            world.say(0, said.as_bytes());
            world.settle();
            assert_eq!(world.take(client), said, "the client is told what the server said");
            assert_eq!(terms.servers[0].standing(), expected, "{said}");
        }
    }
}

#[test]
fn a_good_answer_between_two_failures_makes_up_for_the_first() {
    let (mut world, terms, k) = world("redis", 2, &json!({"ejection": {"failures": 2}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    for said in ["-LOADING a\r\n", "$-1\r\n", "-LOADING a\r\n"] {
        get_redis(&mut world, client, &k[0]);
        world.say(0, said.as_bytes());
        world.settle();
        assert_eq!(world.take(client), said);
    }
    assert_eq!(terms.servers[0].standing(), Standing::Good);
    // The same of answers that come at once.
    world.is_cutting = false;
    let said = "$-1\r\n-BUSY a\r\n$-1\r\n-BUSY a\r\n";
    (0..4).for_each(|_| {
        get_redis(&mut world, client, &k[0]);
    });
    world.say(0, said.as_bytes());
    world.settle();
    assert_eq!(world.take(client), said);
    assert_eq!(terms.servers[0].standing(), Standing::Good);
    get_redis(&mut world, client, &k[0]);
    world.say(0, b"-BUSY a\r\n");
    world.settle();
    assert_eq!(terms.servers[0].standing(), Standing::Ejected, "two in a row, in two turns");
}

#[test]
fn who_has_answered_already_refuses_no_connection_by_the_same_words() {
    let full =
        [("memcache", "ERROR Too many open connections\r\n"), ("redis", "-ERR max number of clients reached\r\n")];
    for (protocol, said) in full {
        let (mut world, terms, k) = world(protocol, 2, &json!({"ejection": {"failures": 1}}));
        let client = world.connect();
        let ask = if protocol == "redis" { get_redis } else { get };
        ask(&mut world, client, &k[0]);
        world.server(0).health = Health::Silent;
        ask(&mut world, client, &k[0]);
        world.say(0, said.as_bytes());
        world.settle();
        assert_eq!(world.take(client), said);
        assert_eq!(terms.servers[0].standing(), Standing::Good);
    }
}

#[test]
fn an_old_link_says_nothing_of_the_server_that_has_its_place() {
    let counters = Arc::default();
    let mut swapped = document("memcache", 2, &json!({"ejection": {"failures": 1}}));
    let before = terms_of(&swapped, &counters);
    swapped["servers"].as_array_mut().unwrap().reverse();
    let after = terms_of(&swapped, &counters);
    let (mut world, keys) = (World::new(&before, 7), [key_of(&before, 0)]);
    let client = world.connect();
    world.server(0).health = Health::Silent;
    get(&mut world, client, &keys[0]);
    world.move_away("127.0.0.1:7000");
    world.look_up("127.0.0.1:7000");
    world.apply(&after);
    world.run_ms(150);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\n");
    assert_eq!(before.servers[1].standing(), Standing::Good);
    assert_eq!(counters.sum().server_ejects, 0);
}

#[test]
fn a_name_that_moved_is_followed_once() {
    let (mut world, _, keys) = world("memcache", 1, &json!({"connections": 2}));
    let (one, other) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    get(&mut world, one, &keys[0]);
    world.move_away("127.0.0.1:7000");
    for _ in 0..3 {
        world.look_up("127.0.0.1:7000");
        world.settle();
        get(&mut world, other, &keys[0]);
    }
    assert_eq!(world.open_links().len(), 2, "the old link, and the new one of the other client");
    world.server(0).health = Health::Good;
    world.settle();
    assert_eq!((world.take(one), world.take(other)), ("END\r\n".to_owned(), "END\r\n".repeat(3)));
    assert_eq!((world.open_links().len(), world.server(0).accepted), (1, 2));
}

#[test]
fn a_look_that_goes_to_the_old_address_is_had_anew() {
    let (mut world, terms, keys) = world("memcache", 1, &json!({"retry_ms": 60_000}));
    let client = world.connect();
    world.server(0).health = Health::Unreachable;
    world.send(client, format!("get {}\r\n", keys[0]).as_bytes());
    sleep_ms(&mut world, 1_250);
    assert_eq!((terms.servers[0].standing(), terms.servers[0].sum().probes), (Standing::Down, 1));
    world.move_away("127.0.0.1:7000");
    world.server(0).health = Health::Good;
    world.look_up("127.0.0.1:7000");
    world.settle();
    sleep_ms(&mut world, 100);
    assert_eq!(terms.servers[0].standing(), Standing::Good);
}

#[test]
fn a_server_that_only_takes_connections_is_silent() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"ejection": {"failures": 1}}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    get(&mut world, client, &keys[0]);
    world.run_ms(150);
    assert_eq!(terms.servers[0].standing(), Standing::Ejected);
}

#[test]
fn looks_alone_eject_a_server_that_no_command_tries() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({"ejection": {"failures": 3}}));
    let client = world.connect();
    world.server(0).health = Health::Unreachable;
    get(&mut world, client, &keys[0]);
    sleep_ms(&mut world, 2_000);
    assert_eq!(terms.servers[0].standing(), Standing::Ejected);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\n");
    assert_eq!(get(&mut world, client, &keys[0]), "END\r\n");
}

#[test]
fn one_silence_is_counted_once() {
    let (mut world, terms, keys) = world("memcache", 1, &json!({}));
    let client = world.connect();
    get(&mut world, client, &keys[0]);
    world.server(0).health = Health::Silent;
    get(&mut world, client, &keys[0]);
    sleep_ms(&mut world, 3_000);
    let sum = terms.servers[0].sum();
    assert_eq!((sum.server_timedout, sum.timed_out, sum.server_connections), (1, 1, 0));
}

#[test]
fn only_what_clients_asked_counts_as_failed_or_answered() {
    let more = json!({"server_user": {"name": "default", "password": "/p"}});
    let (mut world, terms, k) = world("redis", 1, &more);
    let client = world.connect();
    get_redis(&mut world, client, &k[0]);
    world.kill(0);
    get_redis(&mut world, client, &k[0]);
    sleep_ms(&mut world, 2_000);
    let sum = terms.servers[0].sum();
    assert!(sum.probes_failed > 10, "{sum:?}");
    assert_eq!((sum.requests, sum.responses, sum.failed, terms.counters.sum().forward_error), (2, 1, 1, 1));
}

#[test]
fn queues_are_empty_when_their_connections_are_gone() {
    let (mut world, terms, keys) = world("memcache", 1, &json!({"connections": 2}));
    let (one, other) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    let asked = format!("get {}\r\n", keys[0]);
    world.send(one, asked.repeat(2).as_bytes());
    world.send(other, asked.as_bytes());
    world.settle();
    let sum = terms.servers[0].sum();
    assert_eq!((sum.in_queue, sum.in_queue_bytes), (0, 0));
    assert_eq!((sum.out_queue, sum.out_queue_bytes), (3, 3 * asked.len() as u64));
    world.kill(0);
    let sum = terms.servers[0].sum();
    assert_eq!((sum.in_queue, sum.in_queue_bytes, sum.out_queue, sum.out_queue_bytes), (0, 0, 0, 0));
}

#[test]
fn a_core_that_is_given_up_shows_nothing_that_stands() {
    let (mut world, terms, keys) = world("memcache", 2, &json!({}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    world.kill(1);
    get(&mut world, client, &keys[1]);
    get(&mut world, client, &keys[0]);
    assert_eq!((terms.counters.sum().client_connections, terms.counters.sum().waiting), (1, 1));
    drop(world);
    let sum = terms.counters.sum();
    assert_eq!((sum.client_connections, sum.waiting, sum.client_connections_total), (0, 0, 1));
    for server in &terms.servers {
        assert_eq!(
            (server.standing(), server.sum().server_connections, server.sum().out_queue),
            (Standing::Good, 0, 0)
        );
    }
}

#[test]
fn a_late_answer_is_not_waited_for_for_ever_however_long_the_time_out() {
    let (mut world, _, keys) = world("memcache", 1, &json!({"timeout_ms": 3_600_000}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    get(&mut world, client, &keys[0]);
    sleep_ms(&mut world, 3_601_000);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\n");
    assert_eq!(world.open_links().len(), 1);
    sleep_ms(&mut world, 400_000);
    assert!(world.open_links().is_empty());
}
