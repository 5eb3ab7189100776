//! Certificates of clients: who is let in, told what, and judged anew.

use super::{Authority, Folder, Leaf, Server, client_by, document, meet};
use crate::Refused;
use rcgen::{ExtendedKeyUsagePurpose, SerialNumber};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A server that looks at its clients, and who may sign for these.
struct Door {
    folder: Folder,
    authority: Authority,
    clients: Authority,
}

impl Door {
    fn new() -> Self {
        let door =
            Self { folder: Folder::new(), authority: Authority::new("servers"), clients: Authority::new("clients") };
        door.folder.pair("pair", &door.authority.leaf(&["a.example", "b.example"]));
        door.folder.write("clients.pem", door.clients.pem());
        door
    }

    fn tls(&self, mode: &str, more: Value) -> alongside_document::Tls {
        let mut clients = json!({ "mode": mode, "authorities": self.folder.0.join("clients.pem") });
        clients.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        document(&[("a", self.folder.0.join("pair"))], json!({ "clients": clients }))
    }

    fn with_list(&self) -> Value {
        json!({ "revoked": self.folder.0.join("revoked.pem") })
    }

    fn config(&self, own: Option<&Leaf>) -> Arc<ClientConfig> {
        Arc::new(client_by(&self.authority, own, &[&TLS13, &TLS12]))
    }
}

#[tokio::test]
async fn good_clients_are_let_in_and_others_told_what_is_wrong() {
    let door = Door::new();
    door.folder.write("revoked.pem", door.clients.list(&[7]));
    let server = Server::new(&door.tls("required", door.with_list()));
    let by = |change: fn(&mut rcgen::CertificateParams)| {
        door.clients.leaf_by(&["client.example"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(params);
        })
    };
    let expired = by(|params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let for_servers = by(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let foreign = Authority::new("clients").client(1);
    let cases = [
        (None, "CertificateRequired"),
        (Some(expired), "CertificateExpired"),
        (Some(for_servers), ""),
        (Some(foreign), ""),
        (Some(Authority::new("other").client(1)), "UnknownCA"),
        (Some(door.clients.client(7)), "CertificateRevoked"),
    ];
    for version in [&TLS13, &TLS12] {
        for (own, alert) in &cases {
            let config = Arc::new(client_by(&door.authority, own.as_ref(), &[version]));
            let (session, seen) = meet(&server, &config, "a.example").await;
            assert!(matches!(session, Err(Refused::ClientCertificate(_))), "{alert}: {session:?}");
            let told = seen.unwrap_err();
            // Version 1.2 has no word for a missing certificate.
            assert!(told.contains(alert) || *alert == "CertificateRequired", "{told}");
        }
        let good = door.clients.client(1);
        let config = Arc::new(client_by(&door.authority, Some(&good), &[version]));
        let session = meet(&server, &config, "a.example").await.0.unwrap();
        let client = session.client.unwrap();
        assert!(session.asks_for_certificate);
        assert_eq!((&*client.subject, &*client.dns_names), ("CN=jane", &["client.example".into()][..]));
        assert_eq!(client.certificate, super::ders(&good.chain)[0]);
    }
    assert_eq!(server.handshakes("client_certificate"), "12");
}

#[tokio::test]
async fn who_is_asked_may_have_none_but_no_bad_one() {
    let door = Door::new();
    let server = Server::new(&door.tls("asked", json!({})));
    let session = meet(&server, &door.config(None), "a.example").await.0.unwrap();
    assert!(session.asks_for_certificate && session.client.is_none());
    let other = Authority::new("other").client(1);
    let refused = meet(&server, &door.config(Some(&other)), "a.example").await.0;
    assert!(matches!(refused, Err(Refused::ClientCertificate(_))));
}

#[tokio::test]
async fn only_hosts_that_are_listed_ask_and_requests_do_not_cross_over() {
    let door = Door::new();
    let server = Server::new(&door.tls("required", json!({ "hosts": ["a.example"] })));
    let session = meet(&server, &door.config(None), "b.example").await.0.unwrap();
    assert!(!session.asks_for_certificate);
    assert!(server.acceptor.serves(session.host.as_deref(), "b.example:8443"));
    assert!(!server.acceptor.serves(session.host.as_deref(), "A.example:8443"));
    assert!(meet(&server, &door.config(None), "a.example").await.0.is_err());
    // A session of the open host is of no use at the other, whatever the client tries.
    let own = door.clients.client(1);
    let session = meet(&server, &door.config(Some(&own)), "a.example").await.0.unwrap();
    assert!(session.client.is_some());
    assert!(!server.acceptor.serves(session.host.as_deref(), "b.example"));
}

#[tokio::test]
async fn a_session_ends_with_what_verified_its_client() {
    for version in [&TLS12, &TLS13] {
        let door = Door::new();
        door.folder.write("revoked.pem", door.clients.list(&[]));
        let mut server = Server::new(&door.tls("required", door.with_list()));
        let own = door.clients.client(7);
        let config = Arc::new(client_by(&door.authority, Some(&own), &[version]));
        let kind = async |server: &Server| meet(server, &config, "a.example").await.1.map(|seen| seen.kind);
        assert_eq!(kind(&server).await, Ok(HandshakeKind::Full));
        let (session, seen) = meet(&server, &config, "a.example").await;
        assert_eq!(seen.unwrap().kind, HandshakeKind::Resumed);
        assert_eq!(&*session.unwrap().client.unwrap().subject, "CN=jane");
        // The same files by another document: sessions go on.
        server.reload(&door.tls("required", door.with_list()));
        assert_eq!(kind(&server).await, Ok(HandshakeKind::Resumed));
        // Another authority beside: everybody begins anew.
        let both = [door.clients.pem(), Authority::new("more").pem()].concat();
        door.folder.write("clients.pem", both);
        server.look();
        assert!(kind(&server).await.is_ok());
        assert_eq!(server.handshakes("resumed"), "2");
        assert_eq!(kind(&server).await, Ok(HandshakeKind::Resumed));
        // It is revoked: its session is of no use.
        door.folder.write("revoked.pem", door.clients.list(&[7]));
        server.look();
        assert!(kind(&server).await.is_err());
        // A mode that lets more in, or fewer, is another policy.
        door.folder.write("revoked.pem", door.clients.list(&[]));
        server.look();
        assert_eq!(kind(&server).await, Ok(HandshakeKind::Full));
        server.reload(&door.tls("asked", door.with_list()));
        assert_eq!(kind(&server).await, Ok(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn a_session_ends_with_the_certificate_of_its_client() {
    let door = Door::new();
    let server = Server::new(&door.tls("required", json!({})));
    let expires_s = crate::now_s() + 1;
    let own = door.clients.leaf_by(&["client.example"], |params| {
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(expires_s);
    });
    let config = door.config(Some(&own));
    assert!(meet(&server, &config, "a.example").await.0.is_ok());
    while crate::now_s() <= expires_s {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (session, seen) = meet(&server, &config, "a.example").await;
    assert!(matches!(session, Err(Refused::ClientCertificate(_))), "{session:?}");
    assert!(seen.is_err());
}

#[tokio::test]
async fn an_open_session_is_not_resumed_where_a_certificate_is_asked_for_since() {
    let door = Door::new();
    let mut server = Server::new(&document(&[("a", door.folder.0.join("pair"))], json!({})));
    let config = door.config(None);
    assert!(meet(&server, &config, "a.example").await.0.is_ok());
    server.reload(&door.tls("required", json!({})));
    assert!(meet(&server, &config, "a.example").await.0.is_err());
}

#[tokio::test]
async fn bad_files_for_clients_keep_the_old_ones_and_are_refused_at_the_start() {
    let door = Door::new();
    door.folder.write("revoked.pem", door.clients.list(&[7]));
    let server = Server::new(&door.tls("required", door.with_list()));
    let (authorities, list) = (door.clients.pem(), door.clients.list(&[7]));
    let other = Authority::new("other");
    let cases = [
        ("clients.pem", String::new(), "authorities", "is empty"),
        ("clients.pem", list.clone(), "authorities", "holds no certificate in PEM"),
        ("clients.pem", authorities[..99].to_owned(), "authorities", "is broken: it is cut off"),
        ("revoked.pem", String::new(), "revoked", "is empty"),
        ("revoked.pem", authorities.clone(), "revoked", "holds no list of revoked certificates in PEM"),
        ("revoked.pem", list[..99].to_owned(), "revoked", "is broken: it is cut off"),
        ("revoked.pem", other.list(&[1]), "revoked", "holds a list of CN=other, who is not among the authorities"),
    ];
    for (number, (name, content, field, expected)) in cases.into_iter().enumerate() {
        let good = std::fs::read_to_string(door.folder.0.join(name)).unwrap();
        let path = door.folder.write(name, content);
        server.look();
        server.look();
        let label = "listener=\"web\",certificate=\"clients.authorities\"";
        assert_eq!(server.metric(&format!("alongside_tls_certificate_stale{{{label}}}")), "1");
        let refused = format!("alongside_tls_reloads_total{{{label},outcome=\"refused\"}}");
        assert_eq!(server.metric(&refused), (number + 1).to_string());
        assert!(meet(&server, &door.config(Some(&door.clients.client(1))), "a.example").await.0.is_ok());
        assert!(meet(&server, &door.config(Some(&door.clients.client(7))), "a.example").await.0.is_err());
        let mut registry = prometheus_client::registry::Registry::default();
        let metrics = crate::Metrics::register(&mut registry);
        let tls = door.tls("required", door.with_list());
        let problems = crate::Acceptor::open("web", &tls, None, &metrics).err().unwrap();
        assert_eq!(problems[0].path, format!("clients.{field}"));
        assert!(problems[0].what.starts_with(&format!("{} {expected}", path.display())), "{}", problems[0].what);
        door.folder.write(name, good);
        server.look();
        assert_eq!(server.metric(&format!("alongside_tls_certificate_stale{{{label}}}")), "0");
    }
}

#[tokio::test]
async fn a_list_binds_those_whose_authority_wrote_it_and_refuses_who_has_none() {
    let door = Door::new();
    let second = Authority::new("second");
    door.folder.write("clients.pem", [door.clients.pem(), second.pem()].concat());
    door.folder.write("revoked.pem", door.clients.list(&[7]));
    let server = Server::new(&door.tls("required", door.with_list()));
    assert!(meet(&server, &door.config(Some(&door.clients.client(1))), "a.example").await.0.is_ok());
    assert!(meet(&server, &door.config(Some(&second.client(1))), "a.example").await.0.is_err());
    door.folder.write("revoked.pem", [door.clients.list(&[7]), second.list(&[])].concat());
    server.look();
    assert!(meet(&server, &door.config(Some(&second.client(1))), "a.example").await.0.is_ok());
}

#[tokio::test]
async fn an_authority_that_was_revoked_is_none() {
    let door = Door::new();
    let mut between = Authority::params("between");
    between.serial_number = Some(SerialNumber::from_slice(&[9]));
    let key = rcgen::KeyPair::generate().unwrap();
    let between = Authority(rcgen::CertifiedIssuer::signed_by(between, key, &door.clients.0).unwrap());
    door.folder.write("clients.pem", [door.clients.pem(), between.pem()].concat());
    let own = between.client(1);
    let own = Leaf { chain: [&*own.chain, &between.pem()].concat(), key: own.key };
    door.folder.write("revoked.pem", [door.clients.list(&[9]), between.list(&[])].concat());
    let server = Server::new(&door.tls("required", door.with_list()));
    assert!(meet(&server, &door.config(Some(&own)), "a.example").await.0.is_err());
    assert!(meet(&server, &door.config(Some(&door.clients.client(9))), "a.example").await.0.is_err());
    assert!(meet(&server, &door.config(Some(&door.clients.client(1))), "a.example").await.0.is_ok());
    // The same number of another authority is another certificate.
    door.folder.write("revoked.pem", [door.clients.list(&[]), between.list(&[9])].concat());
    server.look();
    assert!(meet(&server, &door.config(Some(&between.client(1))), "a.example").await.0.is_ok());
}

#[tokio::test]
async fn a_client_of_one_between_is_let_in_without_lists_and_refused_where_that_one_has_none() {
    let door = Door::new();
    let between = door.clients.below("between");
    let own = between.client(1);
    let own = Leaf { chain: [&*own.chain, &between.pem()].concat(), key: own.key };
    let server = Server::new(&door.tls("required", json!({})));
    assert!(meet(&server, &door.config(Some(&own)), "a.example").await.0.is_ok());
    door.folder.write("revoked.pem", door.clients.list(&[]));
    let server = Server::new(&door.tls("required", door.with_list()));
    assert!(meet(&server, &door.config(Some(&own)), "a.example").await.0.is_err());
}

#[tokio::test]
async fn more_authorities_than_clients_can_be_told_of_are_verified_with() {
    let door = Door::new();
    let others: String = (0..70).map(|number| Authority::new(&format!("{number:01000}")).pem()).collect();
    door.folder.write("clients.pem", [others, door.clients.pem()].concat());
    let server = Server::new(&door.tls("required", json!({})));
    assert!(meet(&server, &door.config(Some(&door.clients.client(1))), "a.example").await.0.is_ok());
}
