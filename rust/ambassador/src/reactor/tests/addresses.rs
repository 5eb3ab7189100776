//! Where servers are: names with several addresses, names that move.

use super::*;
use std::sync::mpsc;

const NAME: &str = "cache.invalid:11211";

/// Holds an address where nobody listens.
fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// Holds an address where nobody answers: its queue is full, so that the kernel drops who comes.
fn silent() -> (Vec<socket2::Socket>, SocketAddr) {
    let (listener, address) = refusing();
    listener.listen(0).unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.set_nonblocking(true).unwrap();
        // It is under way, or waits for ever.
        let _ = full.connect(&address.into());
        held.push(full);
    }
    (held, address)
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let (_held, refuses) = refusing();
    let name: Arc<str> = NAME.into();
    let engine = engine(&name);
    say(&engine, &name, &[refuses, server("second")]);
    assert_eq!(get(&mut client(&engine)), "second");
}

/// An address that the kernel refuses to connect to, at once: one of a link that it does not name.
fn unusable() -> SocketAddr {
    "[fe80::1]:11211".parse().unwrap()
}

#[test]
fn the_next_address_is_tried_when_one_cannot_be_used() {
    let (_held, refuses) = refusing();
    for addresses in [[unusable(), refuses, server("second")], [refuses, unusable(), server("second")]] {
        let name: Arc<str> = NAME.into();
        let engine = engine(&name);
        say(&engine, &name, &addresses);
        assert_eq!(get(&mut client(&engine)), "second");
    }
}

#[test]
fn a_server_that_refuses_at_one_address_and_cannot_be_reached_at_the_other_refuses() {
    let (_held, refuses) = refusing();
    for addresses in [[refuses, unusable()], [unusable(), refuses]] {
        let name: Arc<str> = NAME.into();
        let engine = engine(&name);
        say(&engine, &name, &addresses);
        assert_eq!(get(&mut client(&engine)), "SERVER_ERROR Connection refused", "{addresses:?}");
    }
}

#[test]
fn the_next_address_is_tried_when_one_is_silent() {
    let (_held, silent) = silent();
    let name: Arc<str> = NAME.into();
    let engine = engine_of(terms(&name, r#", "connect_timeout_ms": 6000"#), Connectors::new());
    say(&engine, &name, &[silent, server("second")]);
    assert_eq!(get(&mut client(&engine)), "second");
}

#[test]
fn clients_do_not_notice_when_a_servers_name_moves() {
    let (old, new) = (server("old"), server("new"));
    let name: Arc<str> = NAME.into();
    let engine = engine(&name);
    say(&engine, &name, &[old]);
    let mut client = client(&engine);
    assert_eq!(get(&mut client), "old");
    say(&engine, &name, &[new]);
    until(|| get(&mut client) != "old");
    assert_eq!(get(&mut client), "new");
}

#[test]
fn what_was_asked_before_a_name_moved_is_answered_by_where_it_was() {
    let (asked, is_asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (asked, goes_on) = (Mutex::new(asked), Mutex::new(goes_on));
    let old = server_that(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        goes_on.lock().unwrap().recv().unwrap();
        "old".to_owned()
    });
    let name: Arc<str> = NAME.into();
    let engine = engine(&name);
    say(&engine, &name, &[old]);
    let (mut first, mut second) = (client(&engine), client(&engine));
    first.get_mut().write_all(b"get k\r\n").unwrap();
    is_asked.recv_timeout(DEADLINE).unwrap();
    say(&engine, &name, &[server("new")]);
    assert_eq!(get(&mut second), "new");
    go_on.send(()).unwrap();
    assert_eq!(said(&mut first), "old");
    assert_eq!(get(&mut first), "new");
}
