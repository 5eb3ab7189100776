//! Clients of RESP3 and of RESP2 beside each other, with servers that speak both, or RESP2 alone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;

use alongside_ambassador::core::{Terms, Why};
use alongside_ambassador::counters::Standing;
use alongside_protocols::resp::Version;
use serde_json::{Value, json};
use world::redis::{ask, newer, send};
use world::{Health, World};

const REFUSED: &str =
    "-NOPROTO a server of this pool does not speak RESP3; tell the client to speak RESP2 (protocol=2)\r\n";

fn world(servers: usize, more: &Value) -> (World, Arc<Terms>, Vec<String>) {
    world::of("redis", servers, more)
}

#[test]
fn each_client_is_answered_in_its_version() {
    let (mut world, _, k) = world(3, &json!({}));
    let (old, new) = (world.connect(), newer(&mut world));
    let get = format!("GET {}", k[0]);
    let hash = format!("HGETALL {}", k[1]);
    let mget = format!("MGET {} {} {}", k[2], k[0], k[1]);
    let asked = [get.as_str(), &hash, &mget, "CLIENT GETNAME", "COMMAND DOCS"];
    for client in [new, old, new] {
        let null = if client == new { "_\r\n" } else { "$-1\r\n" };
        let map = if client == new { "%1\r\n$1\r\na\r\n,1.5\r\n" } else { "*2\r\n$1\r\na\r\n$3\r\n1.5\r\n" };
        let docs = if client == new { "%0\r\n" } else { "*0\r\n" };
        let all = format!("{null}{map}*3\r\n{null}{null}{null}{null}{docs}");
        assert_eq!(ask(&mut world, client, &asked), all);
    }
    let (shown, before) = (ask(&mut world, new, &["INFO"]), ask(&mut world, old, &["INFO"]));
    assert!(shown.starts_with('=') && shown.contains("\r\ntxt:# Server\r\n") && before.starts_with('$'), "{shown}");
    let set = format!("MSET {} 1 {} 2", k[0], k[1]);
    let del = format!("DEL {} {} none", k[0], k[1]);
    for client in [new, old] {
        let loaded = ["SCRIPT LOAD s", "SCRIPT EXISTS s! t!"];
        let asked = [&set, loaded[0], loaded[1], &del, "FROB", "PING"];
        let all = "+OK\r\n$2\r\ns!\r\n*2\r\n:1\r\n:0\r\n:2\r\n-ERR unknown command 'FROB'\r\n+PONG\r\n";
        assert_eq!(ask(&mut world, client, &asked), all);
    }
}

#[test]
fn a_version_is_kept_until_another_is_asked_for() {
    let (mut world, _, k) = world(2, &json!({}));
    let client = newer(&mut world);
    let get = format!("GET {}", k[0]);
    for (words, head, null) in [
        ("HELLO", "%7", "_\r\n"),
        ("HELLO 3", "%7", "_\r\n"),
        ("HELLO 4", "-NOPROTO unsupported protocol version", "_\r\n"),
        ("HELLO 3 FROB", "-ERR Syntax error in HELLO option 'FROB'", "_\r\n"),
        ("HELLO 2", "*14", "$-1\r\n"),
        ("HELLO", "*14", "$-1\r\n"),
        ("HELLO 3 SETNAME me", "%7", "_\r\n"),
        ("CLIENT GETNAME", "$2", "_\r\n"),
        ("RESET", "+RESET", "$-1\r\n"),
        ("CLIENT GETNAME", "$-1", "$-1\r\n"),
    ] {
        let got = ask(&mut world, client, &[words, &get]);
        assert!(got.starts_with(&format!("{head}\r\n")) && got.ends_with(null), "{words}: {got}");
    }
}

#[test]
fn links_of_resp3_are_opened_when_somebody_speaks_it() {
    let (mut world, terms, k) = world(2, &json!({"connections": 2, "preconnect": true}));
    let old = world.connect();
    ask(&mut world, old, &[&format!("GET {}", k[0])]);
    assert_eq!(world.open_links().len(), 4);
    let news = [newer(&mut world), newer(&mut world), newer(&mut world)];
    for new in news {
        assert_eq!(ask(&mut world, new, &[&format!("GET {}", k[0]), &format!("GET {}", k[1])]), "_\r\n_\r\n");
    }
    assert_eq!(world.open_links().len(), 8);
    assert_eq!(terms.servers[0].sum().server_connections, 4);
    assert_eq!(world.core.holdings().waiting, 0);
}

#[test]
fn who_speaks_resp2_alone_is_as_good_as_ever() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 1}}));
    world.server(1).newest = Version::Two;
    let client = world.connect();
    let get = format!("GET {}", k[1]);
    assert_eq!(ask(&mut world, client, &["HELLO 3 SETNAME me", &get]), format!("{REFUSED}$-1\r\n"));
    let accepted = world.server(1).accepted;
    assert_eq!(ask(&mut world, client, &["HELLO 3", &get]), format!("{REFUSED}$-1\r\n"));
    assert_eq!(world.server(1).accepted, accepted, "who refused is not asked at once again");
    assert!(terms.servers.iter().all(|server| server.standing() == Standing::Good && server.sum().server_err == 0));
    world.server(1).newest = Version::Three;
    world.run_ms(60);
    assert!(ask(&mut world, client, &["HELLO 3", &get]).ends_with("_\r\n"));
}

#[test]
fn who_ends_the_connection_for_a_word_of_resp3_refuses_it() {
    let (mut world, terms, k) = world(2, &json!({"ejection": {"failures": 1}}));
    let client = world.connect();
    world.server(1).hangs_up = true;
    assert_eq!(ask(&mut world, client, &["HELLO 3"]), REFUSED);
    assert_eq!(terms.servers[1].standing(), Standing::Good);
    assert_eq!(ask(&mut world, client, &[&format!("GET {}", k[1])]), "$-1\r\n");
}

#[test]
fn who_is_away_does_not_count_and_fails_its_keys_if_it_comes_back_older() {
    let (mut world, _, k) = world(2, &json!({}));
    world.kill(1);
    let client = newer(&mut world);
    let get = [format!("GET {}", k[0]), format!("GET {}", k[1]), format!("MGET {} {}", k[0], k[1])];
    let get: Vec<&str> = get.iter().map(String::as_str).collect();
    let error = "-ERR Connection refused\r\n";
    assert_eq!(ask(&mut world, client, &get), format!("_\r\n{error}*2\r\n_\r\n{error}"));
    world.server(1).health = Health::Good;
    world.server(1).newest = Version::Two;
    world.run_ms(60);
    let error = "-ERR Server does not speak RESP3\r\n";
    assert_eq!(ask(&mut world, client, &get), format!("_\r\n{error}*2\r\n_\r\n{error}"));
    let old = world.connect();
    assert_eq!(ask(&mut world, old, &get[..2]), "$-1\r\n$-1\r\n");
    world.server(1).newest = Version::Three;
    world.run_ms(60);
    assert_eq!(ask(&mut world, client, &get), "_\r\n_\r\n*2\r\n_\r\n_\r\n");
}

#[test]
fn no_command_overtakes_one_of_another_version() {
    let (mut world, _, k) = world(1, &json!({}));
    let client = newer(&mut world);
    world.server(0).health = Health::Silent;
    send(&mut world, client, &[&format!("SET {} x", k[0]), "HELLO 2", &format!("GET {}", k[0]), "HELLO 3", "HELLO"]);
    world.settle();
    assert_eq!((world.open_links().len(), world.take(client)), (1, String::new()), "nothing is asked yet in RESP2");
    world.server(0).health = Health::Good;
    world.settle();
    let got = world.take(client);
    assert!(got.starts_with("+OK\r\n*14\r\n") && got.contains("$1\r\nx\r\n%7\r\n"), "{got}");
    assert_eq!(got.matches("%7\r\n").count(), 2);
    assert_eq!(world.core.holdings().slots, 0);
}

#[test]
fn a_client_goes_on_whatever_becomes_of_what_it_waits_for() {
    let (mut world, _, k) = world(2, &json!({}));
    let client = world.connect();
    let get = format!("GET {}", k[0]);
    world.server(1).health = Health::Silent;
    send(&mut world, client, &[&get, "HELLO 3", &get, "PING"]);
    world.settle();
    assert_eq!(world.take(client), "$-1\r\n");
    // The server that says nothing has its time, and no more.
    world.run_ms(400);
    let got = world.take(client);
    assert!(got.starts_with("%7\r\n") && got.ends_with("_\r\n+PONG\r\n"), "{got}");
    let other = world.connect();
    send(&mut world, other, &["HELLO 3"]);
    world.settle();
    world.break_client(other);
    world.server(1).health = Health::Good;
    world.run_ms(2_000);
    assert_eq!(world.core.holdings().asks, 0);
}

#[test]
fn what_nobody_asked_for_is_passed_over() {
    let (mut world, terms, k) = world(1, &json!({}));
    let client = newer(&mut world);
    let get = format!("GET {}", k[0]);
    // The server of this test tells of each value that is set.
    assert_eq!(ask(&mut world, client, &[&format!("SET {} x", k[0]), &get]), "+OK\r\n$1\r\nx\r\n");
    world.say(0, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n>0\r\n");
    assert_eq!(ask(&mut world, client, &[&get]), "$1\r\nx\r\n");
    assert_eq!(terms.servers[0].sum().server_err, 0);
    world.server(0).health = Health::Silent;
    send(&mut world, client, &[&get]);
    world.settle();
    world.say(0, b"|1\r\n+ttl\r\n:1\r\n$1\r\ny\r\n");
    world.settle();
    assert_eq!(world.take(client), "|1\r\n+ttl\r\n:1\r\n$1\r\ny\r\n", "what belongs to an answer is passed on");
    send(&mut world, client, &[&get]);
    world.settle();
    world.say(0, b"*1\r\n>0\r\n");
    world.settle();
    assert_eq!(world.take(client), "-ERR Server sent an invalid answer\r\n");
}

#[test]
fn a_link_of_resp2_has_no_types_of_resp3() {
    for answer in [&b"_\r\n"[..], b"%0\r\n", b">0\r\n+OK\r\n", b",1\r\n"] {
        let (mut world, _, k) = world(1, &json!({}));
        let client = world.connect();
        world.server(0).health = Health::Silent;
        send(&mut world, client, &[&format!("GET {}", k[0])]);
        world.settle();
        world.say(0, answer);
        world.settle();
        assert_eq!(world.take(client), "-ERR Server sent an invalid answer\r\n", "{}", answer.escape_ascii());
    }
}

#[test]
fn answers_of_many_parts_may_have_attributes_and_errors_of_any_bytes() {
    let (mut world, _, k) = world(2, &json!({}));
    let client = newer(&mut world);
    for (index, key) in k.iter().enumerate() {
        world.server(index).store.insert(key.as_bytes().to_vec(), b"v".to_vec());
    }
    for index in 0..2 {
        world.server(index).health = Health::Silent;
    }
    send(&mut world, client, &[&format!("MGET {} {}", k[0], k[1]), &format!("DEL {} {}", k[0], k[1])]);
    world.settle();
    world.say(0, b"|1\r\n+a\r\n%1\r\n+b\r\n_\r\n*1\r\n|1\r\n+ttl\r\n:5\r\n#t\r\n|1\r\n+a\r\n+b\r\n:1\r\n");
    world.say(1, b"!8\r\nERR\r\n no\r\n:2\r\n");
    world.settle();
    assert_eq!(world.take(client), "*2\r\n|1\r\n+ttl\r\n:5\r\n#t\r\n!8\r\nERR\r\n no\r\n:3\r\n");
}

#[test]
fn an_answer_of_resp3_that_is_too_large_is_passed_over() {
    let (mut world, _, k) = world(1, &json!({"limits": {"server_bytes_max": 70_000, "value_bytes_max": 50_000}}));
    let client = newer(&mut world);
    let get = format!("GET {}", k[0]);
    for head in [&b"~20000\r\n"[..], b"%10000\r\n", b"|1\r\n+a\r\n+b\r\n*20000\r\n"] {
        world.server(0).health = Health::Silent;
        send(&mut world, client, &[&get, &get]);
        world.settle();
        world.say(0, &[head, &b",1.5\r\n".repeat(20_000), b"_\r\n"].concat());
        world.settle();
        assert_eq!(world.take(client), "-ERR The server's answer is too large\r\n_\r\n");
    }
}

#[test]
fn everybody_says_who_he_is_in_resp3_too() {
    let users = json!([{"name": "me", "password": "/p"}]);
    let server_user = json!({"name": "default", "password": "/p"});
    let more = json!({"users": users, "server_user": server_user, "database": 3});
    let (mut world, terms, k) = world(2, &more);
    let client = world.connect();
    let get = format!("GET {}", k[0]);
    assert!(ask(&mut world, client, &["HELLO 3"]).starts_with("-NOAUTH HELLO must be called"));
    assert!(ask(&mut world, client, &["HELLO 3 AUTH me wrong"]).starts_with("-WRONGPASS "));
    let got = ask(&mut world, client, &["HELLO 3 AUTH me secret", &get, "RESET", &get]);
    assert!(got.starts_with("%7\r\n") && got.ends_with("_\r\n+RESET\r\n-NOAUTH Authentication required.\r\n"), "{got}");
    assert_eq!(terms.servers[0].sum().server_err, 0);
    world.server(0).store.insert(b"password".to_vec(), b"other".to_vec());
    world.break_links(0, Why::Ended);
    let got = ask(&mut world, client, &["HELLO 3 AUTH me secret", &get]);
    assert!(got.ends_with("-ERR Server refused the password or database\r\n"), "{got}");
}
