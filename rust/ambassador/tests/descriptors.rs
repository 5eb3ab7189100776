//! What becomes of servers when this process has no descriptor left. It has a process of its own: the limit is for all of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use alongside_ambassador::Engine;
use alongside_ambassador::core::Terms;
use alongside_ambassador::counters::Standing;
use alongside_ambassador::reactor::Connectors;
use alongside_transport::admission::Admission;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Begins a memcache that answers one line to each; returns where.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        // Taking a connection fails as well while there are no descriptors.
        for mut stream in listener.incoming().filter_map(Result::ok) {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok()) {
                    stream.write_all(b"END\r\n").unwrap();
                }
            });
        }
    });
    address
}

fn get(client: &mut BufReader<TcpStream>, key: &str) -> String {
    client.get_mut().write_all(format!("get {key}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    answer.trim_end().to_owned()
}

#[test]
fn servers_are_not_blamed_for_a_want_of_descriptors() {
    let text = format!(
        r#"{{"schema": 1, "epoch": 1, "generation": 1, "pools": [{{"name": "main", "protocol": "memcache",
            "ejection": {{"failures": 1}}, "servers": [{{"name": "s", "address": "{}"}}]}}]}}"#,
        server()
    );
    let pool = alongside_document::parse(text.as_bytes()).unwrap().pools.remove(0);
    let terms = Arc::new(Terms::new(pool, Vec::new(), None, Arc::default()).unwrap());
    let engine = Engine::new(1);
    engine.start(1).unwrap();
    engine.apply(vec![Arc::clone(&terms)], Connectors::new());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = BufReader::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    client.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let theirs = listener.accept().unwrap().0;
    theirs.set_nonblocking(true).unwrap();
    let admitted = Arc::<Admission>::default().admit(Ipv4Addr::LOCALHOST.into(), 10, None).unwrap();
    engine.adopt(&"main".into(), theirs, None, admitted);

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    for _ in 0..3 {
        assert_eq!(get(&mut client, "k"), "SERVER_ERROR No more connections can be made here");
    }
    assert_eq!(terms.servers[0].standing(), Standing::Good);
    assert_eq!(terms.servers[0].sum().ejections, 0);
    drop(held);
    // The server's own thread needs two descriptors for each that comes.
    assert_eq!(get(&mut client, "k"), "END");
}
