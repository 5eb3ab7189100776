//! A get of many keys is answered as one memcached that had them all would answer it, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use alongside_ambassador::core::Terms;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use world::memcached::{serve, value_block};
use world::{Health, World, ask};

const SERVERS: usize = 3;

/// What one memcached has.
type One = HashMap<Vec<u8>, Vec<u8>>;

/// A world whose servers have every second of so many keys, and one memcached that has them all.
fn world(keys: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>, One) {
    let (mut world, terms, _) = world::of("memcache", SERVERS, more);
    let keys: Vec<String> = (0..keys).map(|number| format!("key:{number}")).collect();
    let mut one = HashMap::new();
    for (number, key) in keys.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        let value = format!("{key}={}", "v".repeat(number % 60)).into_bytes();
        world.server(terms.explain(key.as_bytes()).home).store.insert(key.clone().into_bytes(), value.clone());
        one.insert(key.clone().into_bytes(), value);
    }
    (world, terms, keys, one)
}

/// What one memcached answers.
fn answer(one: &mut One, asked: &str) -> String {
    let mut out = Vec::new();
    serve(one, &mut asked.as_bytes().to_vec(), &mut out);
    String::from_utf8(out).unwrap()
}

/// So many keys by chance, some of them several times.
fn some(world: &mut World, keys: &[String], count: usize) -> String {
    (0..count).map(|_| format!(" {}", keys[world.random.place(keys.len())])).collect()
}

#[test]
fn keys_are_answered_in_their_order_whatever_comes_in_pieces() {
    let (mut world, terms, keys, mut one) = world(60, &json!({}));
    let client = world.connect();
    for round in 0..200 {
        let gets: Vec<String> = (0..4).map(|_| some(&mut world, &keys, 2 + round % 40)).collect();
        let asked = format!(
            "get{}\r\ngets  {}  \r\nset {} 0 0 1\r\nx\r\nget {}\r\ngat 0{}\r\nversion\r\ngats 0{}\r\nget{}\r\n",
            gets[0], gets[1], keys[1], keys[0], gets[2], gets[1], gets[3]
        );
        let expected = answer(&mut one, &asked).replace("VERSION 1.6.18\r\n", "");
        let got = ask(&mut world, client, &asked);
        let version = got.lines().find(|line| line.starts_with("VERSION")).unwrap();
        assert_eq!(got.replace(&format!("{version}\r\n"), ""), expected, "round {round}");
    }
    let sum = terms.counters.sum();
    assert_eq!((sum.keys_lost, sum.refused, world.core.holdings().bytes), (0, 0, 0));
}

#[test]
fn the_order_is_the_keys_wherever_answers_are_cut_and_whoever_comes_first() {
    let (mut world, _, mut keys) = world::of("memcache", SERVERS, &json!({"timeout_ms": null}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys.join(" ")));
    (0..SERVERS).for_each(|index| world.server(index).health = Health::Silent);
    keys.push("nothing".to_owned());
    let value =
        |key: usize, value: &str| String::from_utf8(value_block(keys[key].as_bytes(), value.as_bytes())).unwrap();
    // Of the first key's three askings the second came too late for a value that was there before.
    let asked = format!("get {0} {1} {0} {2} {1} {0}\r\nget {1} {2}\r\n", keys[0], keys[1], keys[2]);
    let answers = [
        format!("{}{}END\r\n", value(0, "END\r\n"), value(0, "VALUE")),
        format!("{}{}END\r\n{}END\r\n", value(1, "b"), value(1, ""), value(1, "d")),
        format!("{}END\r\nEND\r\n", value(2, "\r\nc")),
    ];
    let v = value;
    let first = [v(0, "END\r\n"), v(1, "b"), v(0, "VALUE"), v(2, "\r\nc"), v(1, ""), "END\r\n".into()].concat();
    let expected = format!("{first}{}END\r\n", v(1, "d"));
    world.is_cutting = false;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for cut in 0..=answers.iter().map(String::len).max().unwrap() {
            world.send(client, asked.as_bytes());
            world.step(50);
            for index in order {
                let (start, _) = answers[index].split_at(cut.min(answers[index].len()));
                world.say(index, start.as_bytes());
                world.step(50);
            }
            for index in order {
                let (_, end) = answers[index].split_at(cut.min(answers[index].len()));
                world.say(index, end.as_bytes());
                world.step(50);
            }
            assert_eq!(world.take(client), expected, "cut at {cut}, {order:?}");
            assert_eq!((world.core.holdings().bytes, world.core.holdings().slots), (0, 0));
        }
    }
}

/// A world with a client that asks two servers, which say what the test says, for their keys: three times for both.
fn asking() -> (World, usize, impl Fn(usize, usize) -> String) {
    let (mut world, _, keys) = world::of("memcache", 2, &json!({"timeout_ms": null}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys.join(" ")));
    (0..2).for_each(|index| world.server(index).health = Health::Silent);
    world.send(client, format!("get {0} {1} none {0} {1} {0} {1}\r\n", keys[0], keys[1]).as_bytes());
    world.settle();
    let value = move |key: usize, bytes: usize| {
        String::from_utf8(value_block(keys[key].as_bytes(), "v".repeat(bytes).as_bytes())).unwrap()
    };
    (world, client, value)
}

/// What the client gets when a server says so much more.
fn told(world: &mut World, client: usize, server: usize, said: &str) -> String {
    world.say(server, said.as_bytes());
    world.settle();
    world.take(client)
}

#[test]
fn a_short_answer_goes_out_whole() {
    let (mut world, client, value) = asking();
    let parts = [(1, value(1, 9)), (0, value(0, 7)), (0, value(0, 8).repeat(2) + "END\r\n"), (1, value(1, 9))];
    for (server, part) in parts {
        assert_eq!(told(&mut world, client, server, &part), "");
    }
    let values = [value(0, 7), value(1, 9), value(0, 8), value(1, 9), value(0, 8), value(1, 5)];
    assert_eq!(told(&mut world, client, 1, &(value(1, 5) + "END\r\n")), values.concat() + "END\r\n");
    assert_eq!(world.core.holdings().bytes, 0);
}

#[test]
fn of_a_long_answer_each_piece_goes_out_when_it_is_long_enough() {
    let (mut world, client, value) = asking();
    assert_eq!(told(&mut world, client, 1, &value(1, 20_000)), "", "it is not its turn");
    assert!(told(&mut world, client, 0, &value(0, 9)) == value(0, 9) + &value(1, 20_000));
    assert_eq!(told(&mut world, client, 0, &value(0, 16_300)), "", "it is too short");
    assert!(told(&mut world, client, 1, &value(1, 100)) == value(0, 16_300) + &value(1, 100));
    assert_eq!(world.core.holdings().bytes, 0);
}

#[test]
fn what_waited_for_a_server_that_fails_goes_out_if_it_is_long_enough() {
    let (mut world, client, value) = asking();
    assert_eq!(told(&mut world, client, 1, &value(1, 9_000).repeat(2)), "", "it is not its turn");
    world.kill(0);
    world.settle();
    assert!(world.take(client) == value(1, 9_000).repeat(2));
    assert_eq!(told(&mut world, client, 1, "END\r\n"), "END\r\n");
}

#[test]
fn short_values_that_waited_for_a_server_that_fails_go_out_with_the_end() {
    let (mut world, client, value) = asking();
    assert_eq!(told(&mut world, client, 1, &value(1, 9).repeat(2)), "");
    world.kill(0);
    world.settle();
    assert_eq!(world.take(client), "");
    assert_eq!(told(&mut world, client, 1, "END\r\n"), value(1, 9).repeat(2) + "END\r\n");
}

#[test]
fn ten_thousand_keys_are_in_order_with_commands_behind_them() {
    let (mut world, terms, keys, mut one) = world(4_000, &json!({}));
    let client = world.connect();
    for is_cutting in [false, true] {
        world.is_cutting = is_cutting;
        for verb in ["get", "gat 30"] {
            let all = some(&mut world, &keys, 10_000);
            let behind = format!("set {0} 0 0 1\r\nx\r\nget {0} {1}\r\n", keys[2], keys[0]);
            let expected = answer(&mut one, &format!("get{all}\r\n{behind}"));
            world.send(client, format!("{verb}{all}\r\n{behind}").as_bytes());
            (0..20).for_each(|_| world.settle());
            assert!(world.take(client) == expected, "{verb}");
        }
    }
    let holdings = world.core.holdings();
    assert_eq!((terms.counters.sum().keys_lost, holdings.waiting, holdings.bytes), (0, 0, 0));
}

#[test]
fn keys_of_a_dead_server_are_left_out_and_a_slow_one_is_waited_for() {
    let (mut world, terms, keys, mut one) = world(60, &json!({}));
    let client = world.connect();
    let asked = format!("get {}\r\nget {}\r\n", keys.join(" "), keys[0]);
    assert_eq!(ask(&mut world, client, &asked), answer(&mut one, &asked));
    world.server(0).health = Health::Silent;
    world.send(client, asked.as_bytes());
    world.settle();
    world.server(0).health = Health::Good;
    world.settle();
    assert_eq!(world.take(client), answer(&mut one, &asked));
    world.kill(1);
    let asked = format!("get {}\r\n", keys.join(" "));
    one.retain(|key, _| terms.explain(key).home != 1);
    assert_eq!(ask(&mut world, client, &asked), answer(&mut one, &asked), "at once");
    world.server(2).health = Health::Silent;
    world.send(client, asked.as_bytes());
    world.run_ms(150);
    one.retain(|key, _| terms.explain(key).home == 0);
    assert_eq!(world.take(client), answer(&mut one, &asked), "after a time-out");
    assert_eq!(world.core.holdings().bytes, 0);
}

#[test]
fn keys_that_go_to_another_server_keep_their_places() {
    let (mut world, terms, keys, one) = world(60, &json!({"ejection": {"failures": 1}}));
    let client = world.connect();
    for (key, value) in &one {
        (0..SERVERS).for_each(|index| drop(world.server(index).store.insert(key.clone(), value.clone())));
    }
    world.kill(1);
    let asked = format!("get {}\r\ngat 0 {}\r\n", keys.join(" "), keys.join(" "));
    let expected = answer(&mut one.clone(), &asked);
    assert_eq!(ask(&mut world, client, &asked), expected);
    assert!(terms.servers[1].sum().moved_away > 1);
}

#[test]
fn strict_pools_keep_the_order_too() {
    let (mut world, _, keys, mut one) = world(60, &json!({"is_strict": true}));
    let client = world.connect();
    for _ in 0..20 {
        let asked = format!("get{}\r\nget{}\r\n", some(&mut world, &keys, 30), some(&mut world, &keys, 3));
        assert_eq!(ask(&mut world, client, &asked), answer(&mut one, &asked));
    }
}

#[test]
fn a_server_that_keeps_no_order_has_its_values_passed_on() {
    let (mut world, _, keys) = world::of("memcache", 2, &json!({"timeout_ms": null}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys.join(" ")));
    (0..2).for_each(|index| world.server(index).health = Health::Silent);
    let value = |key: &str| String::from_utf8(value_block(key.as_bytes(), b"v")).unwrap();
    world.send(client, format!("get {0} {0} {1}\r\nversion\r\n", keys[0], keys[1]).as_bytes());
    world.settle();
    world.say(0, format!("{}{}END\r\n", value("other"), value(&keys[0])).as_bytes());
    // The other server keeps it, and stays in its place.
    let unique = value(&keys[1]).replacen(" 1\r\n", " 1 77\r\n", 1);
    world.say(1, format!("{unique}END\r\n").as_bytes());
    world.settle();
    let got = world.take(client);
    let values = [value(&keys[0]), unique, value("other")].concat();
    assert!(got.starts_with(&format!("{values}END\r\nVERSION")), "{got}");
    assert_eq!(world.core.holdings().bytes, 0);
}
