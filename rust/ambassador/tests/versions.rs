//! What is believed of servers about RESP3, by which signs, and what of it counts against them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;

use alongside_ambassador::core::{Terms, Why};
use alongside_ambassador::counters::Standing;
use alongside_protocols::resp::Version;
use serde_json::{Value, json};
use world::redis::{ask, newer, send};
use world::terms::{document, terms_of};
use world::{Health, World};

const REFUSED: &str =
    "-NOPROTO a server of this pool does not speak RESP3; tell the client to speak RESP2 (protocol=2)\r\n";
const OLDER: &str = "-ERR Server does not speak RESP3\r\n";

fn world(servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    world::of("redis", servers, more)
}

fn get(key: &str) -> String {
    format!("GET {key}")
}

#[test]
fn who_takes_connections_and_ends_them_keeps_nobody_from_resp3_and_has_failed() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 3}}));
    world.server(1).health = Health::Closing;
    for _ in 0..3 {
        assert_eq!(terms.servers[1].standing(), Standing::Good);
        newer(&mut world);
    }
    assert_eq!(terms.servers[1].standing(), Standing::Ejected);
    let (old, new) = (world.connect(), newer(&mut world));
    assert_eq!(ask(&mut world, old, &[&get(&k[1])]), "$-1\r\n");
    assert_eq!(ask(&mut world, new, &[&get(&k[1])]), "_\r\n");
}

#[test]
fn a_connection_that_breaks_once_is_no_refusal() {
    let (mut world, _, k) = world(1, &json!({}));
    let client = world.connect();
    world.server(0).health = Health::Silent;
    send(&mut world, client, &["HELLO 3"]);
    world.settle();
    world.break_links(0, Why::Reset);
    world.server(0).health = Health::Good;
    world.settle();
    assert!(world.take(client).starts_with("%7\r\n"));
    assert_eq!(ask(&mut world, client, &[&get(&k[0])]), "_\r\n");
}

#[test]
fn a_password_is_taken_before_resp3_is_asked_for() {
    let server_user = json!({"name": "default", "password": "/p"});
    let more = json!({"server_user": server_user, "database": 3, "ejection": {"failures": 1}});
    let (mut world, terms, k) = world(2, &more);
    world.server(1).hangs_up = true;
    let client = world.connect();
    for _ in 0..2 {
        assert_eq!(ask(&mut world, client, &["HELLO 3", &get(&k[1])]), format!("{REFUSED}$-1\r\n"));
        assert_eq!(terms.servers[1].standing(), Standing::Good);
        world.run_ms(60);
    }
    assert_eq!(terms.servers[1].sum().server_eof, 0);
}

#[test]
fn who_is_older_now_is_not_connected_to_by_each_command() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 1}}));
    let client = newer(&mut world);
    assert_eq!(ask(&mut world, client, &[&get(&k[1])]), "_\r\n");
    for hangs_up in [false, true] {
        world.run_ms(1_100);
        world.server(1).newest = if hangs_up { Version::Three } else { Version::Two };
        world.server(1).hangs_up = hangs_up;
        world.break_links(1, Why::Ended);
        world.settle();
        ask(&mut world, client, &[&get(&k[1])]);
        let before = world.server(1).accepted;
        for _ in 0..10 {
            assert_eq!(ask(&mut world, client, &[&get(&k[1])]), OLDER);
        }
        assert!(world.server(1).accepted <= before + 1, "{} connections", world.server(1).accepted - before);
        assert_eq!(terms.servers[1].standing(), Standing::Good);
        let other = world.connect();
        assert_eq!(ask(&mut world, other, &["HELLO 3", &get(&k[1])]), format!("{REFUSED}$-1\r\n"));
        world.server(1).newest = Version::Three;
        world.server(1).hangs_up = false;
        world.run_ms(60);
        assert_eq!(ask(&mut world, client, &[&get(&k[1])]), "_\r\n");
    }
}

#[test]
fn who_spoke_resp3_and_hangs_up_at_it_now_is_not_blamed() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 1}}));
    let (client, old) = (newer(&mut world), world.connect());
    ask(&mut world, client, &[&get(&k[1])]);
    world.run_ms(1_100);
    world.server(1).hangs_up = true;
    world.break_links(1, Why::Ended);
    world.settle();
    for _ in 0..4 {
        assert_eq!(ask(&mut world, old, &[&get(&k[1])]), "$-1\r\n");
        assert!(ask(&mut world, client, &[&get(&k[1])]).starts_with("-ERR "));
        world.run_ms(20);
    }
    assert_eq!(terms.servers[1].standing(), Standing::Good);
    let other = world.connect();
    assert_eq!(ask(&mut world, other, &["HELLO 3"]), REFUSED);
}

#[test]
fn who_is_elsewhere_now_is_asked_anew() {
    let (mut world, _, k) = world(2, &json!({"retry_ms": 60_000}));
    world.server(1).newest = Version::Two;
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &[&get(&k[1]), "HELLO 3"]), format!("$-1\r\n{REFUSED}"));
    world.server(1).newest = Version::Three;
    world.move_away("127.0.0.1:7001");
    world.look_up("127.0.0.1:7001");
    assert!(ask(&mut world, client, &["HELLO 3"]).starts_with("%7\r\n"));
}

#[test]
fn who_has_another_address_after_a_reload_is_asked_anew() {
    let more = json!({"retry_ms": 60_000, "connections": 2});
    let (mut world, terms, k) = world(2, &more);
    world.server(1).newest = Version::Two;
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &["HELLO 3", &get(&k[1])]), format!("{REFUSED}$-1\r\n"));
    let mut changed = document("redis", 2, &more);
    changed["servers"][1]["address"] = json!("127.0.0.1:7101");
    world.apply(&terms_of(&changed, &terms.counters));
    assert!(ask(&mut world, client, &["HELLO 3"]).starts_with("%7\r\n"));
    let others = [newer(&mut world), newer(&mut world)];
    for client in others {
        assert_eq!(ask(&mut world, client, &[&get(&k[1])]), "_\r\n");
    }
    // Connections of RESP3 go as the others do, by their number and their address.
    let of = |world: &World, address: &str| world.open_links().iter().filter(|open| *open == address).count();
    assert_eq!((of(&world, "127.0.0.1:7001"), of(&world, "127.0.0.1:7101")), (0, 2));
    changed["connections"] = json!(1);
    world.apply(&terms_of(&changed, &terms.counters));
    world.settle();
    assert_eq!(of(&world, "127.0.0.1:7101"), 1);
    changed["servers"][1]["address"] = json!("127.0.0.1:7001");
    world.server(1).newest = Version::Three;
    world.apply(&terms_of(&changed, &terms.counters));
    assert_eq!(ask(&mut world, client, &[&get(&k[1])]), "_\r\n");
    assert_eq!((of(&world, "127.0.0.1:7001"), of(&world, "127.0.0.1:7101")), (1, 0));
}

#[test]
fn who_cannot_be_asked_by_our_own_fault_does_not_consent() {
    let (mut world, terms, k) = world(2, &json!({"limits": {"requests_max": 8}, "timeout_ms": 10_000}));
    let (old, client) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    let asked = get(&k[0]);
    send(&mut world, old, &[asked.as_str(); 8]);
    world.settle();
    assert_eq!(
        ask(&mut world, client, &["HELLO 3", "HELLO"]).split("\r\n").next(),
        Some("-ERR Too many commands wait")
    );
    assert_eq!(terms.counters.sum().limited, 1);
    world.server(0).health = Health::Good;
    world.settle();
    world.server(1).health = Health::Unreachable;
    send(&mut world, client, &["HELLO 3"]);
    world.settle();
    world.take(client);
    world.break_links(1, Why::Own);
    world.settle();
    assert_eq!(world.take(client), "-ERR No more connections can be made here\r\n");
    assert_eq!(terms.servers[1].standing(), Standing::Good);
}

#[test]
fn who_is_known_to_be_older_refuses_though_he_is_away() {
    let (mut world, _, k) = world(2, &json!({}));
    world.server(1).newest = Version::Two;
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &["HELLO 3", &get(&k[1])]), format!("{REFUSED}$-1\r\n"));
    world.kill(1);
    for _ in 0..3 {
        world.run_ms(60);
        assert_eq!(ask(&mut world, client, &["HELLO 3"]), REFUSED);
    }
}

#[test]
fn an_error_that_tells_nothing_of_the_version_is_no_refusal() {
    for (error, is_refusal) in [
        ("-NOAUTH Authentication required.", false),
        ("-DENIED Redis is running in protected mode", false),
        ("-LOADING Redis is loading the dataset in memory", false),
        ("-BUSY Redis is busy running a script.", false),
        ("-NOPROTO unsupported protocol version", true),
        ("-NOPERM this user has no permissions to run the 'hello' command", true),
        ("-ERR unknown command 'HELLO'", true),
    ] {
        let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 1}}));
        world.server(1).store.insert(b"hello".to_vec(), format!("{error}\r\n").into_bytes());
        let (client, old) = (world.connect(), world.connect());
        let got = ask(&mut world, client, &["HELLO 3"]);
        assert_eq!((got == REFUSED, got.starts_with("%7\r\n")), (is_refusal, !is_refusal), "{error}: {got}");
        assert_eq!(ask(&mut world, old, &[&get(&k[1])]), "$-1\r\n");
        let before = world.server(1).accepted;
        for _ in 0..10 {
            let expected = if is_refusal { "$-1\r\n" } else { "-ERR Server does not take RESP3 now\r\n" };
            assert_eq!(ask(&mut world, client, &[&get(&k[1])]), expected, "{error}");
        }
        assert!(world.server(1).accepted <= before + 1, "{} connections", world.server(1).accepted - before);
        assert_eq!(terms.servers[1].standing(), Standing::Good, "{error}");
        world.server(1).store.clear();
        world.run_ms(60);
        let got = ask(&mut world, client, &["HELLO 3", &get(&k[1])]);
        assert!(got.ends_with("_\r\n"), "{error}: {got}");
    }
}

#[test]
fn one_moment_counts_once_whatever_the_connections_speak() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 2}}));
    let (old, new) = (world.connect(), newer(&mut world));
    for why in [Why::Reset, Why::TimedOut] {
        for client in [old, new] {
            ask(&mut world, client, &[&get(&k[1])]);
        }
        world.server(1).health = Health::Silent;
        for client in [old, new] {
            send(&mut world, client, &[&get(&k[1])]);
        }
        world.settle();
        if why == Why::Reset {
            world.break_links(1, why);
        } else {
            world.run_ms(120);
        }
        assert_eq!(terms.servers[1].standing(), Standing::Good, "{}", why.as_str());
        world.server(1).health = Health::Good;
        world.run_ms(500);
        world.take(old);
        world.take(new);
    }
    // Failures of one version are as many as ever.
    world.server(1).health = Health::Silent;
    for standing in [Standing::Good, Standing::Ejected] {
        send(&mut world, old, &[&get(&k[1])]);
        world.settle();
        world.break_links(1, Why::Reset);
        assert_eq!(terms.servers[1].standing(), standing);
    }
}

#[test]
fn a_refused_wish_is_counted_once_and_not_against_the_server() {
    let (mut world, terms, _) = world(3, &json!({}));
    world.server(1).newest = Version::Two;
    world.server(2).hangs_up = true;
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &["HELLO 3", "HELLO 3"]), REFUSED.repeat(2));
    let sum = terms.counters.sum();
    assert_eq!((sum.refused, sum.forward_error), (2, 0));
    for server in &terms.servers {
        assert_eq!((server.sum().failed, server.sum().server_eof, server.sum().server_err), (0, 0, 0));
    }
}
