//! What memcache clients get from the core, with servers that are there, gone, or slow.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use alongside_ambassador::core::Terms;
use alongside_ambassador::counters::Standing;
use serde_json::{Value, json};
use std::sync::Arc;
use world::terms::{document, terms, terms_of};
use world::{Health, World, ask, key_of};

fn world(servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    world::of("memcache", servers, more)
}

#[test]
fn each_key_goes_to_its_server_and_answers_come_in_order() {
    let (mut world, _, keys) = world(3, &json!({}));
    let client = world.connect();
    let sets: String = keys.iter().map(|key| format!("set {key} 0 0 3\r\nabc\r\n")).collect();
    assert_eq!(ask(&mut world, client, &sets), "STORED\r\n".repeat(3));
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(world.server(index).store.keys().collect::<Vec<_>>(), [key.as_bytes()]);
    }
    let gets: String = keys.iter().rev().map(|key| format!("get {key}\r\ndelete {key}\r\n")).collect();
    let expected: String =
        keys.iter().rev().map(|key| format!("VALUE {key} 0 3\r\nabc\r\nEND\r\nDELETED\r\n")).collect();
    assert_eq!(ask(&mut world, client, &gets), expected);
}

#[test]
fn a_get_of_many_keys_is_split_and_joined() {
    let (mut world, terms, keys) = world(3, &json!({}));
    let client = world.connect();
    for (index, key) in keys.iter().enumerate() {
        world.server(index).store.insert(key.clone().into_bytes(), key.clone().into_bytes());
    }
    let got = ask(&mut world, client, &format!("get {} missing {} {}\r\n", keys[2], keys[1], keys[0]));
    let value = |key: &String| format!("VALUE {key} 0 {}\r\n{key}\r\n", key.len());
    assert_eq!(got, keys.iter().rev().map(value).collect::<String>() + "END\r\n");
    assert_eq!(terms.counters.sum().fragments, 3);
}

/// Behind a message that is not whole so many bytes are copied first, then eight times as many: at the ends of these copies, and
/// a byte before and behind, ends what is looked for.
const COPIES_END: [usize; 2] = [512, 512 + 4096];

#[test]
fn values_are_whole_wherever_a_copy_of_what_was_read_ends() {
    let (mut world, _, keys) = world(2, &json!({"timeout_ms": null}));
    let client = world.connect();
    world.is_cutting = false;
    let (key, other) = (&keys[0], &keys[1]);
    world.server(1).store.insert(other.clone().into_bytes(), b"o".to_vec());
    ask(&mut world, client, &format!("get {key} {other}\r\n"));
    let block = |value: &str| format!("VALUE {key} 0 {}\r\n{value}\r\n", value.len());
    let asked = format!("get {key}\r\nget {key} {other}\r\ndelete {key}\r\n");
    for (end, first) in COPIES_END.iter().flat_map(|&end| [1, 10, 30].map(|first| (end, first))) {
        // The copy ends within the value, its line end, the END behind it, and the next answer's first line.
        for bytes in end + first - 60..=end + first + 3 {
            let value: String = (b'a'..=b'z').cycle().take(bytes).map(char::from).collect();
            world.server(0).store.insert(key.clone().into_bytes(), value.clone().into_bytes());
            world.first_bytes = Some(first);
            let got = ask(&mut world, client, &asked);
            let expected = format!("{0}END\r\n{0}VALUE {other} 0 1\r\no\r\nEND\r\nDELETED\r\n", block(&value));
            assert!(got == expected, "{bytes} bytes, {first} of the answer first");
        }
    }
    assert_eq!(world.core.holdings().bytes, 0);
}

#[test]
fn keys_of_a_dead_server_are_misses_beside_others_and_an_error_alone() {
    let (mut world, terms, keys) = world(3, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &format!("set {} 0 0 1\r\nx\r\n", keys[0]));
    world.kill(1);
    let got =
        ask(&mut world, client, &format!("get {} {}\r\nget {}\r\nget {}\r\n", keys[0], keys[1], keys[1], keys[0]));
    let value = format!("VALUE {} 0 1\r\nx\r\nEND\r\n", keys[0]);
    assert_eq!(got, format!("{value}SERVER_ERROR Connection refused\r\n{value}"));
    assert_eq!(terms.servers[1].standing(), Standing::Down);
    let all_dead = ask(&mut world, client, &format!("get {} {}\r\n", keys[1], keys[1]));
    assert_eq!(all_dead, "SERVER_ERROR Connection refused\r\n");
}

#[test]
fn a_server_that_comes_back_is_used_by_the_next_command() {
    let (mut world, _, keys) = world(2, &json!({"retry_ms": 30_000}));
    let client = world.connect();
    world.kill(0);
    assert!(ask(&mut world, client, &format!("get {}\r\n", keys[0])).starts_with("SERVER_ERROR"));
    world.server(0).health = Health::Good;
    assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[0])), "END\r\n");
}

#[test]
fn an_ejected_server_comes_back_by_a_probe_and_no_client_pays_for_it() {
    let (mut world, terms, keys) = world(3, &json!({"ejection": {"failures": 1}}));
    let client = world.connect();
    assert_eq!(ask(&mut world, client, &format!("set {} 0 0 1\r\nx\r\n", keys[1])), "STORED\r\n");
    world.kill(1);
    for _ in 0..50 {
        assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[1])), "END\r\n", "its keys are others'");
        world.run_ms(10);
    }
    assert_eq!(terms.servers[1].standing(), Standing::Ejected);
    assert!(terms.servers[1].sum().probes_failed > 3);
    world.server(1).health = Health::Good;
    for _ in 0..20 {
        assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[1])), "END\r\n");
        world.run_ms(10);
    }
    assert_eq!(terms.servers[1].standing(), Standing::Good);
    assert_eq!(ask(&mut world, client, &format!("set {} 0 0 1\r\ny\r\n", keys[1])), "STORED\r\n");
    assert_eq!(world.server(1).store.len(), 1);
    assert_eq!(terms.counters.sum().server_ejects, 1);
}

#[test]
fn no_more_servers_are_ejected_than_allowed() {
    let (mut world, terms, keys) = world(3, &json!({"ejection": {"failures": 1, "servers_percent_min": 60}}));
    let client = world.connect();
    world.kill(0);
    world.kill(1);
    for key in &keys {
        ask(&mut world, client, &format!("get {key}\r\n"));
    }
    let ejected = terms.servers.iter().filter(|server| server.standing() == Standing::Ejected).count();
    assert_eq!(ejected, 1);
    assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[2])), "END\r\n");
}

#[test]
fn a_late_answer_fails_its_own_command_and_is_given_to_nobody() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &format!("set {} 0 0 4\r\nlate\r\n", keys[0]));
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {}\r\nget {}\r\n", keys[0], keys[1]).as_bytes());
    world.run_ms(150);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\nEND\r\n");
    assert_eq!(world.core.holdings().graves, 1);
    world.server(0).health = Health::Good;
    assert_eq!(ask(&mut world, client, &format!("delete {}\r\n", keys[0])), "DELETED\r\n");
    assert_eq!(world.core.holdings().graves, 0);
    assert_eq!(terms.servers[0].sum().timed_out, 1);
}

#[test]
fn a_server_that_stays_silent_is_ejected_and_its_link_given_up() {
    let (mut world, terms, keys) = world(2, &json!({"ejection": {"failures": 1}, "retry_ms": 10_000}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys[0]));
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {}\r\n", keys[0]).as_bytes());
    world.run_ms(150);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\n");
    assert_eq!(terms.servers[0].standing(), Standing::Ejected);
    assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[0])), "END\r\n");
    world.run_ms(2_000);
    assert_eq!(world.open_links(), ["127.0.0.1:7001"]);
}

#[test]
fn quiet_commands_do_not_shift_the_order() {
    let (mut world, _, keys) = world(2, &json!({}));
    let client = world.connect();
    let asked = format!(
        "set {0} 0 0 1 noreply\r\na\r\ndelete nothing noreply\r\nget {0}\r\nmg miss v q\r\nms {0} 1 q\r\nb\r\nmg {0} v q\r\nmn\r\n",
        keys[0]
    );
    let expected = format!("VALUE {} 0 1\r\na\r\nEND\r\nVA 1\r\nb\r\nMN\r\n", keys[0]);
    assert_eq!(ask(&mut world, client, &asked), expected);
    assert_eq!(world.core.holdings().slots, 0);
}

#[test]
fn what_concerns_no_server_is_answered_here_and_in_order() {
    let (mut world, _, keys) = world(2, &json!({}));
    let client = world.connect();
    let got = ask(&mut world, client, &format!("get {}\r\nversion\r\nverbosity 1\r\nfrob\r\nflush_all\r\n", keys[0]));
    let lines: Vec<&str> = got.lines().collect();
    assert!(lines[1].starts_with("VERSION 1.6"), "{got}");
    let expected = ["OK", "ERROR", "SERVER_ERROR flush_all is not allowed for this pool"];
    assert_eq!((lines[0], &lines[2..]), ("END", &expected[..]));
    let stats = ask(&mut world, client, "stats\r\nquit\r\n");
    assert!(stats.contains("STAT cmd_total ") && stats.ends_with("END\r\n"), "{stats}");
    assert!(world.client(client).is_closed);
}

#[test]
fn flush_all_reaches_every_server_where_it_is_allowed() {
    let (mut world, _, keys) = world(3, &json!({"may_flush": true}));
    let client = world.connect();
    let sets: String = keys.iter().map(|key| format!("set {key} 0 0 1 noreply\r\na\r\n")).collect();
    assert_eq!(ask(&mut world, client, &format!("{sets}flush_all\r\nget {}\r\n", keys[1])), "OK\r\nEND\r\n");
    assert!((0..3).all(|index| world.server(index).store.is_empty()));
}

#[test]
fn strict_pools_close_as_twemproxy_does() {
    for bytes in
        ["stats\r\n", "flush_all\r\n", "gat 1 a\r\n", "mg a\r\n", "verbosity 1\r\n", "GET a\r\n", "\r\n", "get\r\n"]
    {
        let (mut world, terms, _) = world(2, &json!({"is_strict": true}));
        let client = world.connect();
        assert_eq!(ask(&mut world, client, bytes), "", "{bytes:?}");
        assert!(world.client(client).is_closed, "{bytes:?}");
        assert_eq!(terms.counters.sum().client_err, 1);
    }
    let (mut world, _, keys) = world(2, &json!({"is_strict": true}));
    let client = world.connect();
    world.kill(0);
    let got = ask(&mut world, client, &format!("get {1}\r\nget {0} {1}\r\nget {1}\r\n", keys[0], keys[1]));
    assert_eq!(got, "END\r\nSERVER_ERROR Connection refused\r\n");
    assert!(world.client(client).is_closed);
}

#[test]
fn a_server_that_is_added_takes_its_keys_and_no_command_fails() {
    let counters = Arc::default();
    let before = terms_of(&document("memcache", 3, &json!({})), &counters);
    let after = terms_of(&document("memcache", 4, &json!({})), &counters);
    let mut world = World::new(&before, 3);
    let client = world.connect();
    let key = |i: u32| format!("user:{}:name", i.wrapping_mul(2_654_435_761));
    let asked: String = (0..100).map(|i| format!("set {} 0 0 1\r\nx\r\n", key(i))).collect();
    world.send(client, asked.as_bytes());
    world.step(50);
    world.apply(&after);
    world.send(client, asked.as_bytes());
    world.settle();
    assert_eq!(world.take(client), "STORED\r\n".repeat(200));
    let expected = (0..100).filter(|&i| after.explain(key(i).as_bytes()).home == 3).count();
    assert_eq!(world.server(3).store.len(), expected);
    assert_eq!(world.open_links().len(), 4, "links are kept");
}

#[test]
fn links_to_an_address_that_is_no_more_end_when_they_are_answered() {
    let counters = Arc::default();
    let mut moved = document("memcache", 2, &json!({}));
    let before = terms_of(&moved, &counters);
    moved["servers"][0]["address"] = json!("127.0.0.1:7009");
    let after = terms_of(&moved, &counters);
    let mut world = World::new(&before, 3);
    let key = key_of(&before, 0);
    let client = world.connect();
    ask(&mut world, client, &format!("set {key} 0 0 1\r\nx\r\n"));
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {key}\r\n").as_bytes());
    world.step(50);
    world.apply(&after);
    world.send(client, format!("get {key}\r\n").as_bytes());
    world.settle();
    assert_eq!(world.take(client), "", "the first answer is missing");
    world.server(0).health = Health::Good;
    world.settle();
    assert_eq!(world.take(client), format!("VALUE {key} 0 1\r\nx\r\nEND\r\nEND\r\n"));
    assert_eq!(world.open_links(), ["127.0.0.1:7009"]);
}

#[test]
fn draining_answers_what_was_asked_and_closes() {
    let (mut world, _, keys) = world(2, &json!({}));
    let (idle, busy) = (world.connect(), world.connect());
    world.server(0).health = Health::Silent;
    world.send(busy, format!("get {}\r\n", keys[0]).as_bytes());
    world.step(50);
    world.core.drain(world.now_us);
    world.settle();
    assert!(world.client(idle).is_closed);
    assert!(!world.client(busy).is_closed);
    world.server(0).health = Health::Good;
    world.settle();
    assert_eq!(world.take(busy), "END\r\n");
    assert!(world.client(busy).is_closed);
    assert!(world.core.client_opened("pool", world.now_us).is_none());
}

#[test]
fn a_pool_that_is_gone_leaves_nothing_behind() {
    let (mut world, _, keys) = world(2, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\nget {}\r\n", keys[0], keys[1]));
    world.core.apply(Vec::new(), world.now_us);
    world.settle();
    assert!(world.client(client).is_closed);
    assert_eq!(world.core.holdings(), alongside_ambassador::core::Holdings::default());
    assert!(world.open_links().is_empty());
}

#[test]
fn says_where_a_key_goes_now() {
    let (mut world, _, keys) = world(3, &json!({"ejection": {"failures": 1}}));
    let client = world.connect();
    let now = |world: &mut World| world.core.explain("pool", keys[0].as_bytes()).unwrap();
    assert_eq!((now(&mut world).home, now(&mut world).server), (0, Some(0)));
    world.kill(0);
    ask(&mut world, client, &format!("get {}\r\n", keys[0]));
    let explained = now(&mut world);
    assert_eq!((explained.home, explained.standing), (0, Standing::Ejected));
    assert!(explained.server.is_some_and(|server| server != 0));
    assert_eq!(world.core.explain("other", b"a"), None);
}

#[test]
fn keys_that_are_asked_for_most_are_known() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    world.is_cutting = false;
    for _ in 0..200 {
        ask(&mut world, client, &format!("get {}\r\n", keys[0]).repeat(20));
    }
    let top = terms.counters.top(5);
    assert_eq!(top[0].0, keys[0].as_bytes());
    assert!((2_000..8_000).contains(&top[0].1), "{top:?}");
}

#[test]
fn an_unreachable_server_costs_one_time_out_and_then_none() {
    let (mut world, terms, keys) = world(2, &json!({"timeout_ms": null, "retry_ms": 500}));
    let client = world.connect();
    world.server(0).health = Health::Unreachable;
    world.send(client, format!("get {}\r\n", keys[0]).as_bytes());
    world.run_ms(250);
    assert_eq!(world.take(client), "SERVER_ERROR Connection timed out\r\n");
    for _ in 0..20 {
        world.run_ms(100);
        let got = ask(&mut world, client, &format!("get {}\r\n", keys[0]));
        assert_eq!(got, "SERVER_ERROR Connection timed out\r\n", "at once");
    }
    world.server(0).health = Health::Good;
    world.run_ms(600);
    assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[0])), "END\r\n");
    assert_eq!(terms.servers[0].standing(), Standing::Good);
}

#[test]
fn what_answers_nothing_ends_the_link_and_fails_what_was_asked() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys[0]));
    world.say(0, b"STORED\r\n");
    world.settle();
    assert_eq!(terms.servers[0].sum().server_err, 1);
    assert_eq!(ask(&mut world, client, &format!("get {}\r\n", keys[0])), "END\r\n", "over a new link");
    world.server(0).health = Health::Silent;
    world.send(client, format!("get {}\r\nget {}\r\n", keys[0], keys[1]).as_bytes());
    world.settle();
    world.say(0, b"VALUE what is this\r\n");
    world.settle();
    assert_eq!(world.take(client), "SERVER_ERROR Server sent an invalid answer\r\nEND\r\n");
}

#[test]
fn bytes_that_are_no_request_are_answered_and_the_rest_goes_on_if_it_can() {
    let (mut world, _, keys) = world(2, &json!({"limits": {"value_bytes_max": 10}}));
    let client = world.connect();
    let large = format!("set {0} 0 0 100\r\n{1}\r\nget {0}\r\n", keys[0], "x".repeat(100));
    assert_eq!(ask(&mut world, client, &large), "SERVER_ERROR object too large for cache\r\nEND\r\n");
    let bad = format!("set {0} 0 0 2\r\nabc\r\nget {0}\r\n", keys[0]);
    assert!(ask(&mut world, client, &bad).ends_with("END\r\n"));
    world.send(client, b"\x80\x00binary");
    world.settle();
    assert!(world.take(client).starts_with("CLIENT_ERROR "));
    assert!(world.client(client).is_closed);
}

#[test]
fn a_gat_of_many_keys_is_asked_in_lines_that_servers_wait_for() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    let sets: String = keys.iter().map(|key| format!("set {key} 0 0 1\r\nx\r\n")).collect();
    ask(&mut world, client, &sets);
    let before = terms.servers[0].sum().requests;
    let asked = format!("gats {}0   {} none\r\n", " ".repeat(3_000), format!("{} {} ", keys[0], keys[1]).repeat(1_000));
    let got = ask(&mut world, client, &asked);
    assert!(keys.iter().all(|key| got.matches(&format!("VALUE {key} ")).count() == 1_000));
    assert!(got.ends_with("x\r\nEND\r\n") && got.matches("END").count() == 1);
    assert!((5..9).contains(&(terms.servers[0].sum().requests - before)), "{}", terms.servers[0].sum().requests);
    assert_eq!(world.core.holdings().waiting, 0);
}

#[test]
fn a_get_of_many_long_keys_is_asked_whatever_its_line_has() {
    let (mut world, _, _) = world(2, &json!({"limits": {"keys_max": 40_000}}));
    let client = world.connect();
    world.is_cutting = false;
    let keys: String = (0..20_000).map(|i| format!(" {i:0220}")).collect();
    assert_eq!(ask(&mut world, client, &format!("get{keys}\r\n")), "END\r\n");
}

#[test]
fn lines_that_no_server_waits_for_reach_none() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    let (k, spaces) = (&keys[0], " ".repeat(1_100));
    let long =
        format!("mg {k}{spaces}v\r\nset {k} 0 0 9{spaces}\r\nflush_all\r\ndelete {k} noreply{spaces}\r\nget {k}\r\n");
    let refused = "CLIENT_ERROR bad command line format\r\n";
    assert_eq!(ask(&mut world, client, &long), format!("{refused}{refused}END\r\n"));
    assert_eq!((terms.counters.sum().refused, terms.servers[0].sum().requests), (3, 1));
}

#[test]
fn a_value_that_is_too_large_leaves_no_old_one_behind() {
    let (mut world, _, keys) = world(2, &json!({"limits": {"value_bytes_max": 10}}));
    let client = world.connect();
    let large = |verb: &str| format!("{verb} {} 0 0 100\r\n{}\r\n", keys[0], "x".repeat(100));
    let put = format!("set {} 0 0 1\r\na\r\n", keys[0]);
    let get = format!("get {}\r\n", keys[0]);
    let got = ask(&mut world, client, &format!("{put}{}{get}{put}{}{get}", large("set"), large("append")));
    let refused = "SERVER_ERROR object too large for cache\r\n";
    let value = format!("VALUE {} 0 1\r\na\r\nEND\r\n", keys[0]);
    assert_eq!(got, format!("STORED\r\n{refused}END\r\nSTORED\r\n{refused}{value}"));
    assert_eq!(world.core.holdings().waiting, 0);
}

#[test]
fn a_meta_value_that_is_too_large_leaves_no_old_one_behind() {
    let (mut world, _, keys) = world(2, &json!({"limits": {"value_bytes_max": 10}}));
    let client = world.connect();
    // Two keys in base64 that stay in it: as they are sent, the mock server keeps them.
    for (key, flags) in [(keys[0].as_str(), ""), (keys[1].as_str(), " MA q"), ("a2V5IDE=", " b"), ("a2V5IDI=", " T0 b")]
    {
        let is_base64 = if flags.ends_with('b') { " b" } else { "" };
        let put = format!("ms {key} 1{is_base64}\r\na\r\n");
        let large = format!("ms {key} 100{flags}\r\n{}\r\n", "x".repeat(100));
        let get = format!("mg {key} v{is_base64}\r\n");
        let got = ask(&mut world, client, &format!("{put}{get}{large}{get}"));
        assert_eq!(got, "HD\r\nVA 1\r\na\r\nSERVER_ERROR object too large for cache\r\nEN\r\n", "{key}");
    }
    assert_eq!(world.core.holdings().waiting, 0);
}

#[test]
fn what_a_server_says_in_place_of_values_is_passed_on() {
    let (mut world, terms, keys) = world(2, &json!({}));
    let client = world.connect();
    ask(&mut world, client, &format!("get {}\r\n", keys[0]));
    world.server(0).health = Health::Silent;
    for (more, answer) in [(&keys[0], "SERVER_ERROR out of memory\r\n"), (&keys[1], "END\r\n")] {
        world.send(client, format!("get {} {more}\r\n", keys[0]).as_bytes());
        world.settle();
        world.say(0, b"SERVER_ERROR out of memory\r\n");
        world.settle();
        assert_eq!(world.take(client), answer);
    }
    assert_eq!(terms.counters.sum().keys_lost, 3);
}

#[test]
fn a_server_that_takes_a_block_for_commands_shifts_nobodys_answers() {
    let (mut world, terms, keys) = world(2, &json!({"ejection": {"failures": 1}}));
    let (client, other) = (world.connect(), world.connect());
    ask(&mut world, client, &format!("get {}\r\n", keys[0]));
    world.server(0).health = Health::Silent;
    world.send(client, format!("ms {} 9\r\nflush_all\r\n", keys[0]).as_bytes());
    world.settle();
    world.send(other, format!("delete {}\r\n", keys[0]).as_bytes());
    world.settle();
    world.say(0, b"ERROR\r\nOK\r\nNOT_FOUND\r\n");
    world.settle();
    assert_eq!(world.take(client), "ERROR\r\n");
    assert_eq!(world.take(other), "SERVER_ERROR Server does not know a command that came before\r\n");
    assert_eq!(terms.servers[0].standing(), Standing::Good, "a client's command is no fault of its");
}

#[test]
fn servers_are_connected_to_beforehand_where_that_is_asked_for() {
    let (mut world, terms, _) = world(3, &json!({"preconnect": true, "connections": 2}));
    world.settle();
    assert_eq!(world.open_links().len(), 6);
    assert_eq!(terms.servers[0].sum().server_connections, 2);
    world.run_ms(1_100);
    world.break_links(0, alongside_ambassador::core::Why::Ended);
    world.settle();
    assert_eq!(world.open_links().len(), 6, "idle connections are made anew");
    assert_eq!(terms.servers[0].sum().server_eof, 2);
}

#[test]
fn a_random_pool_spreads_whatever_the_key() {
    let terms = terms("memcache", 3, &json!({"placement": {"function": "random"}}));
    let mut world = World::new(&terms, 7);
    let client = world.connect();
    ask(&mut world, client, &"get same\r\n".repeat(300));
    assert!(terms.servers.iter().all(|server| server.sum().requests > 50));
}
