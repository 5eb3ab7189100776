//! Handshakes: names, protocols, versions, resumption, time.

use super::{Authority, Folder, Server, client, client_by, ders, document, key_der, meet, meet_at};
use crate::Refused;
use alongside_document::Protocol;
use alongside_transport::{Deadline, deadline};
use rustls::client::Resumption;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::json;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server with certificates of these names, called by their number.
fn several(folder: &Folder, authority: &Authority, names: &[&[&str]], more: serde_json::Value) -> Server {
    let numbers: Vec<String> = (0..names.len()).map(|number| number.to_string()).collect();
    let pairs: Vec<_> = names
        .iter()
        .zip(&numbers)
        .map(|(names, number)| (number.as_str(), folder.pair(number, &authority.leaf(names))))
        .collect();
    Server::new(&document(&pairs, more))
}

fn shown(folder: &Folder, number: &str) -> rustls_pki_types::CertificateDer<'static> {
    ders(&std::fs::read_to_string(folder.0.join(number).join("tls.crt")).unwrap()).remove(0)
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_an_unknown_one_an_alert() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let names: &[&[&str]] = &[&["a.example"], &["*.b.example", "127.0.0.1"]];
    let server = several(&folder, &authority, names, json!({}));
    let config = Arc::new(client(&authority));
    for (name, number) in [("a.example", "0"), ("x.b.example", "1")] {
        let (session, seen) = meet(&server, &config, name).await;
        assert_eq!(session.unwrap().host.as_deref(), Some(name));
        assert_eq!(seen.unwrap().certificate, shown(&folder, number));
    }
    let (session, seen) = meet(&server, &config, "x.y.b.example").await;
    assert!(matches!(session, Err(Refused::UnknownName(Some(name))) if &*name == "x.y.b.example"));
    assert!(seen.unwrap_err().contains("UnrecognisedName"));
    // Who names an address sends no name.
    let (session, seen) = meet_at(&server, &config, "127.0.0.1", Some([127, 0, 0, 1].into())).await;
    assert_eq!(session.unwrap().host, None);
    assert_eq!(seen.unwrap().certificate, shown(&folder, "1"));
    let (session, _) = meet(&server, &config, "127.0.0.1").await;
    // Who names nothing, at an address that none holds, is shown the first; whether that will do is the client's affair.
    assert!(!matches!(session, Err(Refused::UnknownName(_))), "{session:?}");
    assert_eq!(server.handshakes("unknown_name"), "1");
}

#[tokio::test]
async fn a_default_serves_unknown_names_and_none_and_a_single_certificate_all() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let names: &[&[&str]] = &[&["a.example"], &["other.test", "127.0.0.1"]];
    let server = several(&folder, &authority, names, json!({ "default": "1" }));
    let config = Arc::new(client(&authority));
    for name in ["other.test", "127.0.0.1"] {
        assert_eq!(meet(&server, &config, name).await.1.unwrap().certificate, shown(&folder, "1"));
    }
    let (session, seen) = meet(&server, &config, "unknown.test").await;
    assert!(matches!(session, Err(Refused::ByClient(_) | Refused::Closed(_))), "{session:?}");
    assert!(seen.unwrap_err().contains("not valid for name"));
    let single = several(&folder, &authority, &[&["a.example", "127.0.0.1"]], json!({}));
    for name in ["a.example", "127.0.0.1"] {
        assert!(meet(&single, &config, name).await.1.is_ok());
    }
}

fn offering(authority: &Authority, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = client(authority);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// A server, what its client offers, and what they agree on.
type Case<'c> = (&'c Server, &'c [&'c [u8]], Option<Protocol>);

#[tokio::test]
async fn protocols_are_agreed_on_or_refused_by_their_alert() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let names: &[&[&str]] = &[&["a.example"]];
    let both = several(&folder, &authority, names, json!({}));
    let two = several(&folder, &authority, names, json!({ "protocols": ["h2"] }));
    let cases: [Case<'_>; 7] = [
        (&both, &[b"h2", b"http/1.1"], Some(Protocol::Http2)),
        (&both, &[b"http/1.1", b"h2"], Some(Protocol::Http2)),
        (&both, &[b"http/1.1"], Some(Protocol::Http1)),
        (&both, &[], Some(Protocol::Http1)),
        (&both, &[b"foo"], None),
        (&two, &[b"http/1.1"], None),
        (&two, &[], None),
    ];
    for (server, offered, expected) in cases {
        let (session, seen) = meet(server, &offering(&authority, offered), "a.example").await;
        match expected {
            Some(protocol) => {
                assert_eq!(session.unwrap().protocol, protocol);
                assert_eq!(seen.unwrap().protocol.is_some(), !offered.is_empty());
            }
            None => {
                assert!(matches!(session, Err(Refused::Protocol)), "{session:?}");
                assert!(seen.unwrap_err().contains("NoApplicationProtocol"));
            }
        }
    }
}

#[tokio::test]
async fn versions_from_the_oldest_that_is_allowed() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let names: &[&[&str]] = &[&["a.example"]];
    let old = Arc::new(client_by(&authority, None, &[&TLS12]));
    let new = Arc::new(client_by(&authority, None, &[&TLS13]));
    let server = several(&folder, &authority, names, json!({}));
    assert!(meet(&server, &old, "a.example").await.0.is_ok());
    assert!(meet(&server, &new, "a.example").await.0.is_ok());
    let server = several(&folder, &authority, names, json!({ "version_min": "1.3" }));
    let (session, seen) = meet(&server, &old, "a.example").await;
    assert!(matches!(session, Err(Refused::Incompatible(_))), "{session:?}");
    assert!(seen.unwrap_err().contains("ProtocolVersion"));
    assert!(meet(&server, &new, "a.example").await.0.is_ok());
}

#[tokio::test]
async fn sessions_are_resumed_also_over_reloads_and_without_early_data() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    for version in [&TLS12, &TLS13] {
        let names: &[&[&str]] = &[&["a.example"]];
        let mut server = several(&folder, &authority, names, json!({}));
        let mut config = client_by(&authority, None, &[version]);
        config.enable_early_data = true;
        let config = Arc::new(config);
        assert_eq!(meet(&server, &config, "a.example").await.1.unwrap().kind, HandshakeKind::Full);
        let seen = meet(&server, &config, "a.example").await.1.unwrap();
        assert!(seen.kind == HandshakeKind::Resumed && !seen.is_early);
        server.reload(&document(&[("0", folder.0.join("0"))], json!({ "handshake_timeout_ms": 5000 })));
        assert_eq!(meet(&server, &config, "a.example").await.1.unwrap().kind, HandshakeKind::Resumed);
        server.reload(&document(&[("0", folder.0.join("0"))], json!({ "session_s": 0 })));
        for _ in 0..2 {
            assert_eq!(meet(&server, &config, "a.example").await.1.unwrap().kind, HandshakeKind::Full);
        }
        assert_eq!(server.handshakes("resumed"), "2");
    }
}

#[tokio::test]
async fn a_challenge_is_answered_by_its_own_certificate_and_nothing_is_served() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let server = several(&folder, &authority, &[&["a.example"]], json!({}));
    let leaf = authority.leaf(&["new.example"]);
    let key = crate::config::provider().key_provider.load_private_key(key_der(&leaf.key)).unwrap();
    server.acceptor.challenge("New.example", CertifiedKey::new(ders(&leaf.chain), key)).unwrap();
    let key = crate::config::provider().key_provider.load_private_key(key_der(&leaf.key)).unwrap();
    server.acceptor.challenge("a.example", CertifiedKey::new(ders(&leaf.chain), key)).unwrap();
    let challenger = offering(&authority, &[b"acme-tls/1"]);
    let (session, seen) = meet(&server, &challenger, "new.example").await;
    assert!(matches!(session, Err(Refused::Challenge)), "{session:?}");
    // The handshake was whole, and the connection is over.
    assert!(seen.unwrap_err().contains("eof"));
    assert_eq!(server.handshakes("challenge"), "1");
    let (session, _) = meet(&server, &offering(&authority, &[b"acme-tls/1", b"h2"]), "a.example").await;
    assert_eq!(session.unwrap().protocol, Protocol::Http2);
    server.acceptor.unchallenge("new.example");
    assert!(matches!(meet(&server, &challenger, "new.example").await.0, Err(Refused::Protocol)));
}

#[tokio::test]
async fn what_is_no_tls_or_goes_away_is_told_apart() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let server = several(&folder, &authority, &[&["a.example"]], json!({}));
    let deadline = Deadline::new();
    for (sent, outcome) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], "not_tls"), (&[22, 3, 1][..], "closed"), (b"", "closed")] {
        let (inside, mut outside) = tokio::io::duplex(1024);
        outside.write_all(sent).await.unwrap();
        outside.shutdown().await.unwrap();
        let refused = server.acceptor.accept(inside, None, &deadline).await.err().unwrap();
        assert_eq!(refused.outcome().as_str(), outcome, "{refused}");
    }
}

#[tokio::test]
async fn a_handshake_that_stands_still_ends_in_time_or_makes_room() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let server = several(&folder, &authority, &[&["a.example"]], json!({ "handshake_timeout_ms": 250 }));
    let deadline = Deadline::new();
    for is_shed in [false, true] {
        let (inside, mut outside) = tokio::io::duplex(1024);
        outside.write_all(&[22, 3, 1]).await.unwrap();
        let time = async {
            for _ in 0..if is_shed { 0 } else { 5 } {
                tokio::task::yield_now().await;
                deadline::tick();
            }
            tokio::task::yield_now().await;
            assert!(!is_shed || deadline::shed_oldest_idle());
        };
        let (result, ()) = tokio::join!(server.acceptor.accept(inside, None, &deadline), time);
        assert!(matches!(result, Err(Refused::Timeout)), "{result:?}");
        assert_eq!(outside.read(&mut [0]).await.unwrap(), 0);
    }
    assert_eq!(server.handshakes("timeout"), "2");
}

#[tokio::test]
async fn tickets_are_of_no_use_to_another_listener() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let one = several(&folder, &authority, &[&["a.example"]], json!({}));
    let other = several(&folder, &authority, &[&["a.example"]], json!({}));
    let mut config = client(&authority);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    assert!(meet(&one, &config, "a.example").await.1.is_ok());
    assert_eq!(meet(&other, &config, "a.example").await.1.unwrap().kind, HandshakeKind::Full);
}
