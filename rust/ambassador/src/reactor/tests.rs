mod addresses;
mod ends;
mod secured;

use super::commands::Command;
use super::*;
use crate::core::Credentials;
use alongside_transport::admission::Admission;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(30);

/// Begins a memcache that has its own name as every key's value; returns where.
fn server(name: &'static str) -> SocketAddr {
    server_that(move |_| name.to_owned())
}

/// Begins a memcache whose values are made for each key; returns where.
fn server_that(value: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let value = Arc::new(value);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let value = Arc::clone(&value);
            std::thread::spawn(move || answer(stream, &*value));
        }
    });
    address
}

fn answer(stream: impl Read + Write, value: &dyn Fn(&str) -> String) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|count| count > 0) {
        let said = match line.trim_end().strip_prefix("get ") {
            Some(keys) => {
                let said = |key| (key, value(key));
                let values = keys
                    .split(' ')
                    .map(said)
                    .map(|(key, value)| format!("VALUE {key} 0 {}\r\n{value}\r\n", value.len()));
                values.collect::<String>() + "END\r\n"
            }
            None => "VERSION 1\r\n".to_owned(),
        };
        line.clear();
        if stream.get_mut().write_all(said.as_bytes()).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

/// Returns the pool "main" of one server, with more fields.
fn terms(address: &str, more: &str) -> Arc<Terms> {
    let text = format!(
        r#"{{"schema": 1, "epoch": 1, "generation": 1, "pools": [{{"name": "main", "protocol": "memcache",
            "servers": [{{"name": "s", "address": "{address}"}}] {more}}}]}}"#
    );
    let pool = alongside_document::parse(text.as_bytes()).unwrap().pools.remove(0);
    Arc::new(Terms::new(pool, Vec::<Credentials>::new(), None, Arc::default()).unwrap())
}

/// Returns an engine of one pool of one server.
fn engine(address: &str) -> Engine {
    engine_of(terms(address, ""), Connectors::new())
}

fn engine_of(terms: Arc<Terms>, connectors: Connectors) -> Engine {
    let engine = Engine::new(1);
    engine.start(1).unwrap();
    engine.apply(vec![terms], connectors);
    engine
}

/// Has the lookup of a name say these addresses.
fn say(engine: &Engine, name: &Arc<str>, addresses: &[SocketAddr]) {
    engine.0.names.take(name, Ok(addresses.to_vec()));
    engine.threads()[0].tell(Command::Named(Arc::clone(name)));
}

/// Returns both ends of a connection; the second never waits.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    theirs.set_nonblocking(true).unwrap();
    ours.set_read_timeout(Some(DEADLINE)).unwrap();
    (ours, theirs)
}

fn admitted() -> Admitted {
    Arc::<Admission>::default().admit(Ipv4Addr::LOCALHOST.into(), 10, None).unwrap()
}

/// Returns a client's end of a connection to the pool.
fn client(engine: &Engine) -> BufReader<TcpStream> {
    let (ours, theirs) = pair();
    engine.adopt(&"main".into(), theirs, None, admitted());
    BufReader::new(ours)
}

fn get(client: &mut BufReader<TcpStream>) -> String {
    client.get_mut().write_all(b"get k\r\n").unwrap();
    said(client)
}

/// Returns the value of an answer, or its error.
fn said(client: &mut BufReader<TcpStream>) -> String {
    let mut answer = String::new();
    while !answer.ends_with("END\r\n") && !answer.starts_with("SERVER_ERROR") {
        assert!(client.read_line(&mut answer).unwrap() > 0, "it ended after {answer:?}");
    }
    let line = if answer.starts_with("SERVER_ERROR") { 0 } else { 1 };
    answer.split("\r\n").nth(line).unwrap().to_owned()
}

/// Waits for what comes about in time.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
}

fn is_over(mut client: BufReader<TcpStream>) -> bool {
    // A connection may end by a reset.
    client.read(&mut [0]).is_ok_and(|count| count == 0)
}

#[test]
fn many_that_ask_in_one_turn_are_answered_when_nobody_asks_after_them() {
    let terms = terms(&server("s").to_string(), r#", "connect_timeout_ms": 3600000"#);
    let engine = engine_of(terms, Connectors::new());
    assert_eq!(get(&mut client(&engine)), "s");
    // Until the thread has looked at what was due, and nothing would have it look again.
    std::thread::sleep(Duration::from_millis(200));
    let thread = engine.threads()[0].clone();
    let all = (0..20).map(|_| {
        let (mut ours, theirs) = pair();
        ours.write_all(b"get k\r\n").unwrap();
        let socket = Socket::Tcp(mio::net::TcpStream::from_std(theirs));
        // The thread is not woken before all have asked.
        let arrival = Arrival { pool: "main".into(), socket, tls: None, admitted: admitted() };
        thread.commands.send(Command::Adopt(Box::new(arrival))).unwrap();
        BufReader::new(ours)
    });
    let mut all: Vec<_> = all.collect();
    thread.waker.wake().unwrap();
    assert!(all.iter_mut().all(|client| said(client) == "s"));
}

#[test]
fn a_panic_ends_the_client_whose_work_it_was_and_no_other() {
    let engine = engine(&server("s").to_string());
    let (mut first, mut second) = (client(&engine), client(&engine));
    assert_eq!((get(&mut first), get(&mut second)), ("s".to_owned(), "s".to_owned()));
    engine.threads()[0].tell(Command::Panic(Some(0)));
    assert!(is_over(first));
    assert_eq!(get(&mut second), "s");
    assert_eq!(get(&mut client(&engine)), "s");
}

#[test]
fn a_panic_at_a_clients_work_ends_the_links_that_it_may_have_half_written_and_blames_no_server() {
    let engine = engine(&server("s").to_string());
    let (mut first, mut second) = (client(&engine), client(&engine));
    assert_eq!((get(&mut first), get(&mut second)), ("s".to_owned(), "s".to_owned()));
    assert_eq!(engine.links_made(), 1);
    engine.threads()[0].tell(Command::Panic(Some(0)));
    assert!(is_over(first));
    assert_eq!(get(&mut second), "s");
    assert_eq!(engine.links_made(), 2);
    let served = engine.pools()["main"].clone();
    assert_eq!(served.terms.servers[0].standing(), crate::counters::Standing::Good);
}

#[test]
fn a_panic_that_is_no_clients_work_ends_all_and_the_thread_goes_on() {
    let engine = engine(&server("s").to_string());
    let mut first = client(&engine);
    assert_eq!(get(&mut first), "s");
    engine.threads()[0].tell(Command::Panic(None));
    assert!(is_over(first));
    let mut second = client(&engine);
    assert_eq!(get(&mut second), "s");
    let sum = engine.counters("main").unwrap().sum();
    assert_eq!((sum.client_connections_total, sum.commands), (2, 2));
    assert_eq!(sum.client_connections, 1, "what stood before stands no more");
}
