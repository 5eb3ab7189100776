//! TLS to servers.

use super::*;
use alongside_document::ServerTls;
use alongside_tls::Connector;
use rcgen::{CertificateParams, KeyPair};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// A file that goes away with its test.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What servers show, and what clients of theirs trust.
struct Certified {
    config: Arc<rustls::ServerConfig>,
    authorities: File,
}

/// Makes a certificate of 127.0.0.1 that is its own authority.
fn certified(test: &str) -> Certified {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = std::env::temp_dir().join(format!("alongside-pools-{test}-{}.pem", std::process::id()));
    std::fs::write(&path, certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    Certified { config: Arc::new(config), authorities: File(path) }
}

/// Begins a memcache that speaks TLS; returns where, and the first byte that each connection began with.
fn server(certified: &Certified) -> (SocketAddr, Receiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (first, firsts) = channel();
    let config = Arc::clone(&certified.config);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut byte = [0];
            if stream.peek(&mut byte).is_ok_and(|count| count == 1) {
                let _ = first.send(byte[0]);
            }
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || answer(rustls::StreamOwned::new(tls, stream), &|_| "secret".to_owned()));
        }
    });
    (address, firsts)
}

fn secured(address: SocketAddr, certified: &Certified) -> Arc<Terms> {
    let tls = format!(r#", "server_tls": {{"authorities": "{}"}}"#, certified.authorities.0.display());
    terms(&address.to_string(), &tls)
}

fn connectors(terms: &Terms) -> Connectors {
    let tls: &ServerTls = terms.pool.server_tls.as_ref().unwrap();
    HashMap::from([("main".to_owned(), Connector::open("main", tls, None).unwrap())])
}

/// What a TLS client says first: a record of its handshake.
const HANDSHAKE: u8 = 22;

#[test]
fn servers_are_spoken_to_by_tls() {
    let certified = certified("spoken");
    let (address, firsts) = server(&certified);
    let terms = secured(address, &certified);
    let engine = engine_of(Arc::clone(&terms), connectors(&terms));
    assert_eq!(get(&mut client(&engine)), "secret");
    assert_eq!(firsts.recv_timeout(DEADLINE).unwrap(), HANDSHAKE);
}

#[test]
fn no_server_is_spoken_to_in_clear_for_want_of_what_speaks_tls() {
    let certified = certified("clear");
    let (address, firsts) = server(&certified);
    let engine = engine_of(secured(address, &certified), Connectors::new());
    assert_eq!(get(&mut client(&engine)), "SERVER_ERROR TLS to the server failed");
    assert!(firsts.try_recv().is_err());
}

#[test]
fn a_pool_that_goes_keeps_what_speaks_tls_for_as_long_as_a_client_waits() {
    let certified = certified("goes");
    let (address, firsts) = server(&certified);
    let terms = secured(address, &certified);
    let mut kept = connectors::Kept::default();
    kept.follow(&[Arc::clone(&terms)], &connectors(&terms));
    kept.follow(&[], &Connectors::new());
    assert!(kept.of(&terms).is_some());
    drop((address, firsts));
    let successor = secured(SocketAddr::from(([127, 0, 0, 1], 1)), &certified);
    assert!(kept.of(&successor).is_none());
    drop(terms);
    kept.follow(&[], &Connectors::new());
    assert_eq!(kept.len(), 0);
}

#[test]
fn a_server_without_tls_is_told_as_that_and_not_as_silent() {
    let certified = certified("plain");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"ERROR\r\n");
        }
    });
    let terms = secured(address, &certified);
    let engine = engine_of(Arc::clone(&terms), connectors(&terms));
    assert_eq!(get(&mut client(&engine)), "SERVER_ERROR TLS to the server failed");
}
