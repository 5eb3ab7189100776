//! Gets that many clients ask at once go to a memcache server in one line, and each client gets what is its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;

use alongside_ambassador::core::{ClientId, Core, Effect, LinkId, Terms, Why};
use serde_json::{Value, json};
use world::memcached::value_block;
use world::terms::terms;
use world::{Health, World, ask};

/// From so many clients on.
const CLIENTS: usize = 8;
const END: &str = "END\r\n";
const INVALID: &str = "SERVER_ERROR Server sent an invalid answer\r\n";

/// A world with so many clients and a server that says what the test says.
fn world(clients: usize, more: &Value) -> (World, Arc<Terms>, Vec<usize>) {
    let (mut world, terms, _) = world::of("memcache", 1, more);
    let clients: Vec<usize> = (0..clients).map(|_| world.connect()).collect();
    world.is_cutting = false;
    ask(&mut world, clients[0], "get x\r\n");
    world.server(0).health = Health::Silent;
    (world, terms, clients)
}

/// Each client sends its own; return what the server is told.
fn send(world: &mut World, clients: &[usize], each: &[&str]) -> String {
    assert_eq!(clients.len(), each.len());
    clients.iter().zip(each).for_each(|(client, bytes)| world.send(*client, bytes.as_bytes()));
    world.settle();
    world.hear(0)
}

fn gets(keys: &str) -> Vec<String> {
    keys.split(' ').map(|key| format!("get {key}\r\n")).collect()
}

/// Each client asks for a key; return what the server is told.
fn get(world: &mut World, clients: &[usize], keys: &str) -> String {
    send(world, clients, &gets(keys).iter().map(String::as_str).collect::<Vec<_>>())
}

/// What the clients get when the server says so.
fn told(world: &mut World, clients: &[usize], said: &str) -> Vec<String> {
    world.say(0, said.as_bytes());
    world.settle();
    clients.iter().map(|client| world.take(*client)).collect()
}

fn value(key: &str, value: &str) -> String {
    String::from_utf8(value_block(key.as_bytes(), value.as_bytes())).unwrap()
}

/// Nobody waits for anything.
fn is_settled(world: &World) -> bool {
    let holdings = world.core.holdings();
    (holdings.asks, holdings.slots, holdings.waiting, holdings.bytes, holdings.graves) == (0, 0, 0, 0, 0)
}

#[test]
fn the_server_is_told_in_one_line_and_each_gets_its_own() {
    let (mut world, terms, clients) = world(CLIENTS, &json!({}));
    assert_eq!(get(&mut world, &clients, "a b c d e f g h"), "get a b c d e f g h\r\n");
    assert_eq!(world.core.holdings().waiting, CLIENTS);
    let has = ["b", "c", "f", "g"];
    let said = has.map(|key| value(key, &key.repeat(9))).concat() + END;
    let expected = ["", "b", "c", "", "", "f", "g", ""].map(|key| match key {
        "" => END.to_owned(),
        key => value(key, &key.repeat(9)) + END,
    });
    assert_eq!(told(&mut world, &clients, &said), expected);
    assert!(is_settled(&world));
    let sum = terms.servers[0].sum();
    // Those of the beginning are there too.
    assert_eq!((sum.joined, sum.requests, sum.responses), (7, 9, 9));
    assert_eq!(sum.request_bytes, ("get x\r\n".len() + "get a b c d e f g h\r\n".len()) as u64);
}

#[test]
fn each_is_answered_by_its_own_value_wherever_answers_are_cut() {
    let (mut world, _, clients) = world(CLIENTS, &json!({"timeout_ms": null}));
    let values = ["END\r\n", "VALUE d 0 1\r\n", ""].map(|text| value("d", text));
    let values = [value("a", "1"), values[0].clone(), values[1].clone(), value("e", ""), values[2].clone()];
    // The third of those who ask for `d` comes last.
    let (keys, has) = ("a b d d e f d g", [0, 2, 3, 4, 6]);
    let said = values.concat() + END;
    for cut in 0..=said.len() {
        assert_eq!(get(&mut world, &clients, keys), format!("get {keys}\r\n"));
        let first = told(&mut world, &clients, &said[..cut]);
        let mut end = 0;
        for (client, value) in has.iter().zip(&values) {
            end += value.len();
            let expected = if end <= cut { value.clone() + END } else { String::new() };
            assert_eq!(first[*client], expected, "cut at {cut}");
        }
        let last = told(&mut world, &clients, &said[cut..]);
        for client in 0..CLIENTS {
            let value = has.iter().position(|has| *has == client).map_or("", |at| values[at].as_str());
            assert_eq!(first[client].clone() + &last[client], value.to_owned() + END, "cut at {cut}");
        }
        assert!(is_settled(&world));
    }
}

#[test]
fn a_server_that_keeps_no_order_is_understood() {
    let (mut world, _, clients) = world(CLIENTS, &json!({}));
    get(&mut world, &clients, "a b a c d e f a");
    let said = [value("d", "4"), value("a", "1"), value("c", "3"), value("a", "1"), value("a", "1")].concat() + END;
    let expected = ["a1", "", "a1", "c3", "d4", "", "", "a1"].map(|of| match of {
        "" => END.to_owned(),
        of => value(&of[..1], &of[1..]) + END,
    });
    assert_eq!(told(&mut world, &clients, &said), expected);
    assert!(is_settled(&world));
}

#[test]
fn what_is_no_plain_get_has_its_own_line_and_its_turn() {
    let (mut world, _, clients) = world(CLIENTS, &json!({}));
    let commands = ["get a\r\nget b\r\n", "gets c\r\n", "get d\r\nset e 0 0 1\r\ne\r\n", "get e\r\n"];
    let others =
        ["get f\r\n", "get  g\r\nget  gg\nget gg \nget gg\n", "get h i\r\n", "get j\r\nmg k\r\nget l\r\nget m\r\n"];
    let lines = [
        ("get a b\r\n", value("b", "2") + END),
        ("gets c\r\n", END.to_owned()),
        ("get d\r\n", END.to_owned()),
        ("set e 0 0 1\r\ne\r\n", "STORED\r\n".to_owned()),
        ("get e f\r\n", value("e", "e") + END),
        ("get  g\r\n", END.to_owned()),
        ("get  gg\n", value("gg", "7") + END),
        ("get gg \n", END.to_owned()),
        ("get gg\n", END.to_owned()),
        ("get h i\r\n", END.to_owned()),
        ("get j\r\n", value("j", "10") + END),
        ("mg k\r\n", "EN\r\n".to_owned()),
        ("get l m\r\n", value("l", "12") + &value("m", "13") + END),
    ];
    let sent = send(&mut world, &clients, &[commands, others].concat());
    assert_eq!(sent, lines.iter().map(|(line, _)| *line).collect::<String>());
    let said: String = lines.into_iter().map(|(_, said)| said).collect();
    let expected = [
        END.to_owned() + &value("b", "2") + END,
        END.to_owned(),
        END.to_owned() + "STORED\r\n",
        value("e", "e") + END,
        END.to_owned(),
        [END, &value("gg", "7"), END, END, END].concat(),
        END.to_owned(),
        [&value("j", "10"), END, "EN\r\n", &value("l", "12"), END, &value("m", "13"), END].concat(),
    ];
    assert_eq!(told(&mut world, &clients, &said), expected);
    assert!(is_settled(&world));
}

#[test]
fn few_clients_and_strict_pools_have_a_line_for_each_get() {
    for (clients, more) in [(CLIENTS - 1, json!({})), (2 * CLIENTS, json!({"is_strict": true}))] {
        let (mut world, terms, clients) = world(clients, &more);
        let keys = vec!["a"; clients.len()].join(" ");
        assert_eq!(get(&mut world, &clients, &keys), gets(&keys).concat());
        assert!(told(&mut world, &clients, &END.repeat(clients.len())).iter().all(|got| got == END));
        assert_eq!(terms.servers[0].sum().joined, 0);
    }
}

#[test]
fn a_line_has_its_end() {
    let (mut world, _, clients) = world(100, &json!({}));
    let keys: Vec<String> = (0..100).map(|number| format!("{number}")).collect();
    let sent = get(&mut world, &clients, &keys.join(" "));
    assert_eq!(sent, format!("get {}\r\nget {}\r\n", keys[..64].join(" "), keys[64..].join(" ")));
    let said = keys[..64].iter().map(|key| value(key, key)).collect::<String>() + END + END;
    let got = told(&mut world, &clients, &said);
    assert!(got[..64].iter().zip(&keys).all(|(got, key)| *got == value(key, key) + END));
    assert!(got[64..].iter().all(|got| got == END));
    let long = |number: &String| format!("{number}{}", "k".repeat(248));
    let sent = get(&mut world, &clients, &keys.iter().map(long).collect::<Vec<_>>().join(" "));
    assert!(sent.lines().all(|line| line.len() <= 2_000) && sent.lines().count() < 18);
    assert_eq!(
        sent.replace("\r\nget", "").trim_end(),
        format!("get {}", keys.iter().map(long).collect::<Vec<_>>().join(" "))
    );
    let lines = sent.lines().count();
    let last = long(&keys[99]);
    let said = END.repeat(lines - 1) + &value(&last, "v") + END;
    let got = told(&mut world, &clients, &said);
    assert!(got[..99].iter().all(|got| got == END) && got[99] == value(&last, "v") + END);
    assert!(is_settled(&world));
}

#[test]
fn what_a_server_says_in_place_of_values_is_said_to_all_and_no_line_is_joined_after_it() {
    let (mut world, _, clients) = world(CLIENTS, &json!({}));
    let keys = "a b c d e f g h";
    get(&mut world, &clients, keys);
    let error = "SERVER_ERROR out of memory writing get response\r\n";
    let mut expected = vec![error.to_owned(); CLIENTS];
    expected[1] = value("b", "2") + END;
    assert_eq!(told(&mut world, &clients, &(value("b", "2") + error)), expected);
    assert!(is_settled(&world));
    assert_eq!(get(&mut world, &clients, keys), gets(keys).concat());
    assert!(told(&mut world, &clients, &END.repeat(CLIENTS)).iter().all(|got| got == END));
}

#[test]
fn a_value_that_nobody_waits_for_fails_those_who_were_not_answered() {
    for stray in [value("z", "1"), value("b", "2")] {
        let (mut world, terms, clients) = world(CLIENTS, &json!({}));
        get(&mut world, &clients, "a b c d e f g h");
        let mut expected = vec![INVALID.to_owned(); CLIENTS];
        expected[1] = value("b", "2") + END;
        assert_eq!(told(&mut world, &clients, &(value("b", "2") + &stray)), expected);
        assert_eq!(terms.servers[0].sum().failed, CLIENTS as u64 - 1);
        assert!(is_settled(&world));
    }
}

#[test]
fn who_has_its_value_fails_neither_with_the_server_nor_by_time_out() {
    let is_killed = |world: &mut World| world.kill(0);
    let is_late = |world: &mut World| world.run_ms(300);
    let reset = ("SERVER_ERROR Connection reset by peer\r\n", &is_killed as &dyn Fn(&mut World));
    let late = ("SERVER_ERROR Connection timed out\r\n", &is_late as &dyn Fn(&mut World));
    for (said, fail) in [reset, late] {
        let (mut world, terms, clients) = world(CLIENTS, &json!({"timeout_ms": 100}));
        get(&mut world, &clients, "a b c d e f g h");
        let got = told(&mut world, &clients, &[value("b", "2"), value("g", "7")].concat());
        assert_eq!((got[1].clone(), got[6].clone()), (value("b", "2") + END, value("g", "7") + END));
        fail(&mut world);
        world.settle();
        let got: Vec<String> = clients.iter().map(|client| world.take(*client)).collect();
        for (at, got) in got.iter().enumerate() {
            assert_eq!(got, if [1, 6].contains(&at) { "" } else { said });
        }
        let sum = terms.servers[0].sum();
        assert_eq!(sum.failed + sum.timed_out, CLIENTS as u64 - 2);
        assert_eq!(terms.counters.sum().forward_error, CLIENTS as u64 - 2);
    }
}

#[test]
fn what_comes_too_late_is_nobodys_and_what_comes_after_it_is() {
    let (mut world, _, clients) = world(CLIENTS, &json!({"timeout_ms": 100}));
    get(&mut world, &clients, "a b c d e f g h");
    world.run_ms(150);
    clients.iter().for_each(|client| assert!(world.take(*client).starts_with("SERVER_ERROR")));
    assert_eq!(get(&mut world, &clients, "b a b c d e f g"), "get b a b c d e f g\r\n");
    let late = value("a", "old") + &value("b", "old") + END;
    let got = told(&mut world, &clients, &(late + &value("b", "new") + &value("b", "new") + END));
    let expected = ["b", "", "b", "", "", "", "", ""].map(|key| match key {
        "" => END.to_owned(),
        key => value(key, "new") + END,
    });
    assert_eq!(got, expected);
    assert!(is_settled(&world));
}

#[test]
fn who_is_gone_leaves_the_others_theirs() {
    let (mut world, _, mut clients) = world(CLIENTS, &json!({}));
    get(&mut world, &clients, "a b c d e f g h");
    for gone in [0, 3] {
        world.break_client(clients.remove(gone));
    }
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let expected = ["b", "c", "d", "f", "g", "h"].map(|key| value(key, key) + END);
    assert_eq!(told(&mut world, &clients, &(keys.map(|key| value(key, key)).concat() + END)), expected);
    assert!(is_settled(&world));
}

#[test]
fn gets_of_which_nothing_was_sent_go_to_another_server() {
    let (mut world, terms, _) = world::of("memcache", 2, &json!({"ejection": {"failures": 1}}));
    let clients: Vec<usize> = (0..CLIENTS).map(|_| world.connect()).collect();
    let is_its = |key: &String| terms.explain(key.as_bytes()).home == 0;
    let keys: Vec<String> = (0..).map(|number| format!("\u{1}{number}\u{2}")).filter(is_its).take(CLIENTS).collect();
    for key in &keys {
        world.server(1).store.insert(key.clone().into_bytes(), key.clone().into_bytes());
    }
    world.kill(0);
    clients.iter().zip(&keys).for_each(|(client, key)| world.send(*client, format!("get {key}\r\n").as_bytes()));
    world.settle();
    for (client, key) in clients.iter().zip(&keys) {
        assert_eq!(world.take(*client), value(key, key) + END);
    }
    let sum = terms.servers[0].sum();
    assert_eq!((sum.moved_away, sum.joined), (CLIENTS as u64, CLIENTS as u64 - 1));
    assert!(is_settled(&world));
}

#[test]
fn white_space_that_may_end_a_word_has_a_line_of_its_own() {
    let (mut world, _, clients) = world(CLIENTS, &json!({}));
    let keys = "a b\tc \u{b}d e\u{c} f g h\u{1}";
    let keys = keys.to_owned() + " i";
    let sent = get(&mut world, &clients, &keys);
    assert_eq!(sent, "get a\r\nget b\tc\r\nget \u{b}d\r\nget e\u{c}\r\nget f g h\u{1} i\r\n");
    assert!(told(&mut world, &clients, &END.repeat(5)).iter().all(|got| got == END));
}

/// A core with clients, and a connected link to each server.
struct Bare {
    core: Core,
    clients: Vec<ClientId>,
    links: Vec<LinkId>,
}

fn bare(servers: usize, more: &Value) -> Bare {
    let mut core = Core::new(1);
    core.apply(vec![terms("memcache", servers, more)], 1);
    let clients = (0..CLIENTS).map(|_| core.client_opened("pool", 1).unwrap()).collect();
    let mut effects = Vec::new();
    core.take_effects(&mut effects);
    let link_of = |at: usize| {
        effects.iter().find_map(|effect| match effect {
            Effect::Connect { link, server, .. } if *server == at => Some(*link),
            _ => None,
        })
    };
    let links: Vec<LinkId> = (0..servers).map(|at| link_of(at).unwrap()).collect();
    links.iter().for_each(|link| core.link_connected(*link, 1));
    Bare { core, clients, links }
}

/// A core with one server.
fn alone() -> (Core, Vec<ClientId>, LinkId) {
    let Bare { core, clients, links } = bare(1, &json!({"preconnect": true, "timeout_ms": 100}));
    (core, clients, links[0])
}

#[test]
fn a_server_that_answers_before_it_is_asked_gives_nobody_what_is_anothers() {
    for said in
        ["END\r\n", "VALUE a 0 1\r\n1\r\nEND\r\n", "VALUE a 0 1\r\n", "VALUE b 0 1\r\n2\r\nEND\r\n", "ERROR\r\n"]
    {
        for before in 1..=2 {
            let (mut core, clients, link) = alone();
            for client in &clients[..before] {
                core.client_read(*client, b"get a\r\n", 1);
            }
            core.link_read(link, said.as_bytes(), 1);
            core.client_read(clients[2], b"get b\r\n", 1);
            assert_eq!(core.client_output(clients[0]), INVALID.as_bytes(), "{said:?}, {before}");
            assert_eq!(core.client_output(clients[2]), b"", "{said:?}, {before}");
            let holdings = core.holdings();
            // It is asked on a new link.
            assert_eq!((holdings.links, holdings.asks, holdings.slots), (1, 1, 1));
        }
    }
}

/// What a client gets, taken off.
fn take(core: &mut Core, client: ClientId) -> String {
    let got = String::from_utf8(core.client_output(client).to_vec()).unwrap();
    core.client_wrote(client, got.len(), 1);
    got
}

fn offered(core: &mut Core, link: LinkId) -> String {
    String::from_utf8(core.link_output(link).to_vec()).unwrap()
}

#[test]
fn what_was_offered_is_not_changed_and_may_be_answered_before_it_counts_as_written() {
    let (mut core, clients, link) = alone();
    core.client_read(clients[0], b"get a\r\n", 1);
    core.client_read(clients[1], b"get b\r\n", 1);
    assert_eq!(offered(&mut core, link), "get a b\r\n");
    core.client_read(clients[2], b"get c\r\n", 1);
    core.client_read(clients[3], b"get d\r\n", 1);
    assert_eq!(offered(&mut core, link), "get a b\r\nget c d\r\n");
    core.client_read(clients[4], b"get e\r\n", 1);
    let said = value("b", "2") + END + &value("c", "3") + &value("d", "4") + END;
    core.link_read(link, said.as_bytes(), 1);
    let expected = [END.to_owned(), value("b", "2") + END, value("c", "3") + END, value("d", "4") + END];
    for (client, expected) in clients.iter().zip(expected) {
        assert_eq!(take(&mut core, *client), expected);
    }
    core.link_wrote(link, "get a b\r\nget c d\r\n".len(), 1);
    assert_eq!(offered(&mut core, link), "get e\r\n");
    core.link_read(link, END.as_bytes(), 1);
    assert_eq!(take(&mut core, clients[4]), END);
}

#[test]
fn of_a_line_that_is_cut_off_what_was_sent_fails_and_the_rest_goes_to_another_server() {
    let more = json!({"ejection": {"failures": 1}, "preconnect": true});
    let Bare { mut core, clients, links } = bare(2, &more);
    let [link, other] = links[..] else { panic!("two servers") };
    let mut is_its = |key: &String| core.explain("pool", key.as_bytes()).unwrap().home == 0;
    let keys: Vec<String> =
        (100..).map(|number| format!("k{number}")).filter(|key| is_its(key)).take(CLIENTS).collect();
    for (client, key) in clients.iter().zip(&keys) {
        core.client_read(*client, format!("get {key}\r\n").as_bytes(), 1);
    }
    assert_eq!(offered(&mut core, link), format!("get {}\r\n", keys.join(" ")));
    core.link_wrote(link, "get k100 k".len(), 1);
    core.link_closed(link, Why::Reset, 1);
    for client in &clients[..2] {
        assert_eq!(take(&mut core, *client), "SERVER_ERROR Connection reset by peer\r\n");
    }
    let asked: String = keys[2..].iter().map(|key| format!("get {key}\r\n")).collect();
    assert_eq!(offered(&mut core, other), asked);
    let said: String = keys[2..].iter().map(|key| value(key, key) + END).collect();
    core.link_read(other, said.as_bytes(), 1);
    for (client, key) in clients.iter().zip(&keys).skip(2) {
        assert_eq!(take(&mut core, *client), value(key, key) + END);
    }
    assert_eq!((core.holdings().asks, core.holdings().slots), (0, 0));
}

#[test]
fn of_a_line_the_first_may_be_late_and_the_others_not() {
    let (mut core, clients, link) = alone();
    for (number, (client, key)) in clients.iter().zip("abcdefgh".chars()).enumerate() {
        core.client_read(*client, format!("get {key}\r\n").as_bytes(), 1 + number as u64 * 20_000);
    }
    let line = offered(&mut core, link);
    assert_eq!(line, "get a b c d e f g h\r\n");
    core.link_wrote(link, line.len(), 140_001);
    // The first four were asked more than the time-out ago.
    core.turn(175_000);
    assert_eq!(core.holdings().graves, 4);
    let said = ["a", "c", "f"].map(|key| value(key, key)).concat() + END;
    core.link_read(link, said.as_bytes(), 175_000);
    for (number, (client, key)) in clients.into_iter().zip("abcdefgh".chars()).enumerate() {
        let expected = match (number, key) {
            (0..4, _) => "SERVER_ERROR Connection timed out\r\n".to_owned(),
            (_, 'f') => value("f", "f") + END,
            _ => END.to_owned(),
        };
        assert_eq!(take(&mut core, client), expected, "{key}");
    }
    assert_eq!((core.holdings().asks, core.holdings().graves, core.holdings().bytes), (0, 0, 0));
}

#[test]
fn a_server_without_room_is_understood_also_in_pieces_and_before_it_is_asked() {
    let full = b"ERROR Too many open connections\r\n";
    for cut in 0..=full.len() {
        let (mut core, clients, link) = alone();
        core.client_read(clients[0], b"get a\r\n", 1);
        core.link_read(link, &full[..cut], 1);
        core.link_read(link, &full[cut..], 1);
        assert_eq!(take(&mut core, clients[0]), "SERVER_ERROR Connection refused\r\n", "cut at {cut}");
    }
}
