//! What the tests stand on: authorities that are made anew, folders that go away, clients in memory.

mod clients;
mod following;
mod handshakes;
mod pairs;
mod staples;

use crate::{Acceptor, Metrics, Refused, Session};
use alongside_document::Tls;
use alongside_transport::Deadline;
use prometheus_client::registry::Registry;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rcgen::{CertificateRevocationListParams, DnType, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use std::cell::Cell;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// An authority that signs what it is asked to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Leaf {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(Self::params(name), KeyPair::generate().unwrap()).unwrap())
    }

    pub fn below(&self, name: &str) -> Self {
        Self(CertifiedIssuer::signed_by(Self::params(name), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate for names, changed by `change`.
    pub fn leaf_by(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Leaf { chain: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }

    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_by(names, |_| {})
    }

    /// Makes a client's certificate with that serial number.
    pub fn client(&self, serial: u8) -> Leaf {
        self.leaf_by(&["client.example"], |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[serial]));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.distinguished_name.push(DnType::CommonName, "jane");
        })
    }

    /// Makes a list of revoked serial numbers.
    pub fn list(&self, revoked: &[u8]) -> String {
        let revoked = revoked.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[serial]),
            revocation_time: rcgen::date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2024, 2, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A folder that goes away with its test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("alongside-tls-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// Writes a file beside and renames it into place, as a careful writer does.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(self.0.join("beside"), content).unwrap();
        std::fs::rename(self.0.join("beside"), &path).unwrap();
        path
    }

    /// Writes a pair into a folder of this one.
    pub fn pair(&self, name: &str, leaf: &Leaf) -> PathBuf {
        self.write(&format!("{name}/tls.key"), &leaf.key);
        self.write(&format!("{name}/tls.crt"), &leaf.chain);
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A listener's `tls` with certificates by name, and more fields.
pub fn document(certificates: &[(&str, PathBuf)], more: Value) -> Tls {
    let certificates: Vec<Value> =
        certificates.iter().map(|(name, path)| json!({ "name": name, "path": path })).collect();
    let mut tls = json!({ "certificates": certificates });
    tls.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
    serde_json::from_value(tls).unwrap()
}

/// An acceptor and what it counts.
pub struct Server {
    pub acceptor: Arc<Acceptor>,
    looks: Cell<i64>,
    registry: Registry,
    metrics: Metrics,
}

impl Server {
    pub fn new(tls: &Tls) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let acceptor = match Acceptor::open("web", tls, None, &metrics) {
            Ok(acceptor) => acceptor,
            Err(problems) => panic!("{problems:?}"),
        };
        Self { acceptor, looks: Cell::new(0), registry, metrics }
    }

    /// Takes another document, as a reload does.
    pub fn reload(&mut self, tls: &Tls) {
        self.acceptor =
            Acceptor::open("web", tls, Some(&self.acceptor), &self.metrics).unwrap_or_else(|it| panic!("{it:?}"));
    }

    /// Returns a line of the metrics by its beginning, without it.
    pub fn metric(&self, name: &str) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none").trim().to_owned()
    }

    pub fn handshakes(&self, outcome: &str) -> String {
        self.metric(&format!("alongside_tls_handshakes_total{{listener=\"web\",outcome=\"{outcome}\"}}"))
    }
}

/// What a client saw.
#[derive(Debug)]
pub struct Seen {
    pub kind: HandshakeKind,
    pub protocol: Option<Vec<u8>>,
    pub certificate: CertificateDer<'static>,
    pub is_early: bool,
}

/// Both ends of a handshake.
pub type Met = (Result<Session<DuplexStream>, Refused>, Result<Seen, String>);

/// Lets a client meet an acceptor, which sends one byte.
pub async fn meet(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Met {
    meet_at(server, config, name, None).await
}

pub async fn meet_at(server: &Server, config: &Arc<ClientConfig>, name: &str, local: Option<IpAddr>) -> Met {
    let (inside, outside) = tokio::io::duplex(64 * 1024);
    let deadline = Deadline::new();
    let serve = async {
        let mut session = server.acceptor.accept(inside, local, &deadline).await?;
        session.stream.write_all(b"!").await.unwrap();
        session.stream.flush().await.unwrap();
        Ok(session)
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let ask = async {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let mut stream = connector.connect(name, outside).await.map_err(|error| error.to_string())?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map_err(|error| error.to_string())?;
        let connection = stream.get_ref().1;
        Ok(Seen {
            kind: connection.handshake_kind().unwrap(),
            protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            certificate: connection.peer_certificates().unwrap()[0].clone(),
            is_early: connection.is_early_data_accepted(),
        })
    };
    tokio::join!(serve, ask)
}

/// A client that trusts an authority.
pub fn client(authority: &Authority) -> ClientConfig {
    client_by(authority, None, &[&rustls::version::TLS13, &rustls::version::TLS12])
}

pub fn client_by(
    authority: &Authority,
    own: Option<&Leaf>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(crate::config::provider());
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    match own {
        Some(own) => builder.with_client_auth_cert(ders(&own.chain), key_der(&own.key)).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

pub fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    use rustls_pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

pub fn key_der(pem: &str) -> PrivateKeyDer<'static> {
    use rustls_pki_types::pem::PemObject;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}
