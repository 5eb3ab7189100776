//! TLS to servers.

use super::*;
use crate::listener::{Listener, State};
use alongside_document::{Limits, ServerTls};
use alongside_tls::{Acceptor, Connector};
use alongside_transport::accept::Accept;
use prometheus_client::registry::Registry;
use rcgen::{CertificateParams, KeyPair};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

/// A folder that goes away with its test.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is shown, and what is trusted.
struct Certified {
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
    /// The certificate and its key, as files.
    folder: Folder,
}

/// Makes a certificate of 127.0.0.1 that is its own authority.
fn certified(test: &str) -> Certified {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let folder = Folder(std::env::temp_dir().join(format!("alongside-pools-{test}-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::write(folder.0.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(folder.0.join("tls.key"), key.serialize_pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Certified { server: Arc::new(server), client: Arc::new(client), folder }
}

/// Begins a memcache that speaks TLS; returns where, and the first byte that each connection began with.
fn server(certified: &Certified) -> (SocketAddr, Receiver<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (first, firsts) = channel();
    let config = Arc::clone(&certified.server);
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
    let tls = format!(r#", "server_tls": {{"authorities": "{}"}}"#, certified.folder.0.join("tls.crt").display());
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

#[test]
fn a_client_that_shakes_hands_while_its_pool_gets_another_name_comes_to_it() {
    let certified = certified("renamed");
    let tls = format!(r#"{{"certificates": [{{"name": "default", "path": "{}"}}]}}"#, certified.folder.0.display());
    let metrics = alongside_tls::Metrics::register(&mut Registry::default());
    let acceptor = Acceptor::open("web", &serde_json::from_str(&tls).unwrap(), None, &metrics).unwrap();
    let engine = engine("127.0.0.1:1");
    let served = engine.pools()["main"].clone();
    let state = |pool: &str| {
        State::new(pool, served.entrance(), engine.clone(), Some(Arc::clone(&acceptor)), &Limits::default())
    };
    let listener = Arc::new(Listener::new(state("before"), Arc::default()));
    let (ours, theirs) = super::pair();
    let config = Arc::clone(&certified.client);
    let said = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let admitted = Arc::<Admission>::default().admit(Ipv4Addr::LOCALHOST.into(), 10, None).unwrap();
        let stream = tokio::net::TcpStream::from_std(theirs).unwrap();
        listener.serve(stream, Ipv4Addr::LOCALHOST.into(), admitted);
        listener.state.store(Arc::new(state("main")));
        let ask = move || {
            let tls = rustls::ClientConnection::new(config, "127.0.0.1".try_into().unwrap()).unwrap();
            let mut client = BufReader::new(rustls::StreamOwned::new(tls, ours));
            client.get_mut().write_all(b"version\r\n").unwrap();
            let mut said = String::new();
            client.read_line(&mut said).map(|_| said)
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    });
    assert!(said.as_ref().is_ok_and(|said| said.starts_with("VERSION ")), "{said:?}");
}
