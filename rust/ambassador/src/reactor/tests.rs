use super::turn::Command;
use super::*;
use crate::core::Credentials;
use alongside_transport::admission::Admission;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

const DEADLINE: Duration = Duration::from_secs(30);

/// Begins a memcache that has its own name as every key's value; returns where.
fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(&stream, name));
        }
    });
    address
}

fn answer(mut stream: &TcpStream, name: &str) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let said = match line.strip_prefix("get ") {
            Some(key) => format!("VALUE {key} 0 {}\r\n{name}\r\nEND\r\n", name.len()),
            None => "VERSION 1\r\n".to_owned(),
        };
        if stream.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}

/// Returns an engine of one pool of one server.
fn engine(address: &str) -> Engine {
    let text = format!(
        r#"{{"schema": 1, "epoch": 1, "generation": 1, "pools": [
            {{"name": "main", "protocol": "memcache", "servers": [{{"name": "s", "address": "{address}"}}]}}]}}"#
    );
    let pool = alongside_document::parse(text.as_bytes()).unwrap().pools.remove(0);
    let terms = Terms::new(pool, Vec::<Credentials>::new(), None, Arc::default()).unwrap();
    let engine = Engine::new(1);
    engine.start(1).unwrap();
    engine.apply(vec![Arc::new(terms)], Connectors::new());
    engine
}

/// Returns a client's end of a connection to the pool.
fn client(engine: &Engine) -> BufReader<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    theirs.set_nonblocking(true).unwrap();
    ours.set_read_timeout(Some(DEADLINE)).unwrap();
    let admitted = Arc::<Admission>::default().admit(Ipv4Addr::LOCALHOST.into(), 10, None).unwrap();
    engine.adopt(&"main".into(), theirs, None, admitted);
    BufReader::new(ours)
}

fn get(client: &mut BufReader<TcpStream>) -> String {
    client.get_mut().write_all(b"get k\r\n").unwrap();
    let mut answer = String::new();
    while !answer.ends_with("END\r\n") {
        assert!(client.read_line(&mut answer).unwrap() > 0, "it ended after {answer:?}");
    }
    answer.split("\r\n").nth(1).unwrap().to_owned()
}

fn is_over(mut client: BufReader<TcpStream>) -> bool {
    // A connection may end by a reset.
    client.read(&mut [0]).is_ok_and(|count| count == 0)
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

#[test]
fn clients_do_not_notice_when_a_servers_name_moves() {
    let (old, new) = (server("old"), server("new"));
    let name: Arc<str> = "cache.invalid:11211".into();
    let engine = engine(&name);
    let say = |address: SocketAddr| {
        engine.0.names.take(&name, Ok(vec![address]));
        engine.threads()[0].tell(Command::Named(Arc::clone(&name)));
    };
    say(old);
    let mut client = client(&engine);
    assert_eq!(get(&mut client), "old");
    say(new);
    let begun = Instant::now();
    while get(&mut client) == "old" {
        assert!(begun.elapsed() < DEADLINE);
    }
    assert_eq!(get(&mut client), "new");
}
