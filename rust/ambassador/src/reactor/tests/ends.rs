//! How clients and pools end, and what is written to who is slow to read.

use super::*;
use crate::counters::Standing;
use std::net::Shutdown;
use std::sync::mpsc;

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    const COUNT: usize = 40;
    let engine = engine(&server_that(|key| key.repeat(1_000_000)).to_string());
    let mut client = client(&engine);
    let asked: String = (0..COUNT).map(|number| format!("get {}\r\n", number % 10)).collect();
    client.get_mut().write_all(asked.as_bytes()).unwrap();
    // More than the sockets hold waits.
    let pool = engine.counters("main").unwrap();
    until(|| pool.sum().commands > 0);
    for number in 0..COUNT {
        let value = said(&mut client);
        assert_eq!((value.len(), &value[..1]), (1_000_000, &*(number % 10).to_string()));
    }
}

#[test]
fn a_client_that_says_no_more_gets_what_it_waits_for() {
    let engine =
        engine_of(terms(&server("s").to_string(), r#", "limits": {"client_requests_max": 2}"#), Connectors::new());
    let mut client = client(&engine);
    client.get_mut().write_all("get k\r\n".repeat(300).as_bytes()).unwrap();
    client.get_ref().shutdown(Shutdown::Write).unwrap();
    for _ in 0..300 {
        assert_eq!(said(&mut client), "s");
    }
    assert!(is_over(client));
}

#[test]
fn a_pool_that_goes_while_a_client_waits_ends_with_its_answer() {
    let (asked, is_asked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (asked, goes_on) = (Mutex::new(asked), Mutex::new(goes_on));
    let address = server_that(move |_| {
        asked.lock().unwrap().send(()).unwrap();
        goes_on.lock().unwrap().recv().unwrap();
        "late".to_owned()
    });
    let engine = engine(&address.to_string());
    let mut client = client(&engine);
    client.get_mut().write_all(b"get k\r\n").unwrap();
    is_asked.recv_timeout(DEADLINE).unwrap();
    engine.apply(Vec::new(), Connectors::new());
    go_on.send(()).unwrap();
    assert_eq!(said(&mut client), "late");
    assert!(is_over(client));
}

#[test]
fn what_was_written_before_an_end_is_not_taken_back_for_what_still_comes() {
    let (mut ours, theirs) = super::pair();
    let socket = Socket::Tcp(mio::net::TcpStream::from_std(theirs));
    let mut connection = connection::Connection::new(socket, None);
    assert_eq!(connection.write(b"answer").unwrap(), 6);
    connection.finish();
    // More than the sockets hold.
    let work = std::thread::spawn(move || {
        ours.write_all(&vec![b'x'; 10_000_000]).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).unwrap();
        answer
    });
    until(|| connection.is_over(&mut [0; 4096]) || work.is_finished());
    drop(connection);
    assert_eq!(work.join().unwrap(), "answer");
}

#[test]
fn a_connection_that_is_over_is_waited_for_until_the_other_side_ends_or_for_a_while() {
    let connection = |stream| connection::Connection::new(Socket::Tcp(mio::net::TcpStream::from_std(stream)), None);
    let mut leaving = leaving::Leaving::default();
    let (ours, theirs) = super::pair();
    leaving.take(connection(theirs), &mut [0; 16], 0);
    let (gone, theirs) = super::pair();
    leaving.take(connection(theirs), &mut [0; 16], 0);
    drop(gone);
    until(|| {
        leaving.look(&mut [0; 16], leaving.next_us().unwrap().min(1_000_000));
        leaving.len() == 1
    });
    leaving.look(&mut [0; 16], 3_000_000);
    assert_eq!((leaving.len(), leaving.next_us()), (0, None));
    assert!(is_over(BufReader::new(ours)));
}

#[test]
fn a_key_is_explained_by_the_pools_that_the_thread_has() {
    let engine = engine(&server("s").to_string());
    let block_on = |work| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
    let (terms, explained) = block_on(engine.explain("main", b"k")).unwrap();
    assert!(Arc::ptr_eq(&terms, &engine.pools()["main"].terms));
    assert_eq!((explained.server, explained.standing), (Some(0), Standing::Good));
    assert!(block_on(engine.explain("other", b"k")).is_none());
}
