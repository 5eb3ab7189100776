//! What rustls is told: one configuration for each certificate and policy.

use crate::tickets::Tickets;
use alongside_document::{Protocol, Tls, Version};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The protocol of connections that answer an authority's challenge (RFC 8737).
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// Returns a protocol's name in ALPN.
pub const fn protocol_name(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http2 => b"h2",
        Protocol::Http1 => b"http/1.1",
    }
}

/// Returns the cryptography of this process.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Shows what was chosen before: of certificates with different keys the first whose signatures the client can check.
#[derive(Debug)]
struct Shown(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_for = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let (first, others) = self.0.split_first()?;
        Some(Arc::clone(if others.is_empty() { first } else { self.0.iter().find(is_for).unwrap_or(first) }))
    }
}

/// Shows nobody anything.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Returns the configuration of a listener for clients of one policy, still without a certificate; no early data, since
/// that can be sent again by others.
///
/// # Errors
/// The cryptography has no cipher for these versions.
pub fn template(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Option<&Arc<Tickets>>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[_] = match tls.version_min {
        Version::V12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        Version::V13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Nothing));
    config.alpn_protocols = tls.protocols.iter().map(|&protocol| protocol_name(protocol).to_vec()).collect();
    config.max_early_data_size = 0;
    // All that is spoken is good; ours is the order, so that a client's mistake does not choose.
    config.ignore_client_order = true;
    // What can be resumed is in the client's ticket; nothing is kept here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if let Some(tickets) = tickets {
        config.ticketer = Arc::clone(tickets) as Arc<dyn ProducesTickets>;
    }
    Ok(config)
}

/// Returns that configuration with a certificate, or with several for the same whose keys are of different kinds.
pub fn showing(template: &ServerConfig, certified: Vec<Arc<CertifiedKey>>) -> Arc<ServerConfig> {
    let mut config = template.clone();
    config.cert_resolver = Arc::new(Shown(certified));
    Arc::new(config)
}

/// Returns the configuration of a connection that answers a challenge by a certificate.
///
/// # Errors
/// The cryptography has no cipher for the versions.
pub fn challenge(
    provider: &Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Shown(vec![certified])));
    config.alpn_protocols = vec![CHALLENGE_PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}
