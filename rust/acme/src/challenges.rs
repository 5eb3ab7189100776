//! Answers to an authority's challenges, shown by every process that shares the folder: the authority may ask any of them.

use alongside_document::Challenge;
use alongside_tls::Acceptor;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whoever gives answers at `/.well-known/acme-challenge/`.
pub trait Answers: Send + Sync {
    /// Gives this answer to whoever asks for a token, until it is taken away.
    fn put(&self, token: &str, answer: &str);
    /// Takes an answer away.
    fn remove(&self, token: &str);
}

/// An answer that an authority waits for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Due {
    /// The host that it is about.
    pub host: String,
    /// What the authority calls it by.
    pub token: String,
    /// The answer.
    pub answer: String,
}

/// The answers that are shown; none any more when this is dropped.
pub struct Shown {
    kind: Challenge,
    acceptor: Arc<Acceptor>,
    answers: Arc<dyn Answers>,
    due: Vec<Due>,
}

impl Shown {
    /// Returns one that shows nothing yet.
    pub fn new(kind: Challenge, acceptor: Arc<Acceptor>, answers: Arc<dyn Answers>) -> Self {
        Self { kind, acceptor, answers, due: Vec::new() }
    }

    /// Shows these and no others.
    ///
    /// # Errors
    /// Why one of them cannot be shown.
    pub fn set(&mut self, due: &[Due]) -> Result<(), String> {
        let (kept, gone): (Vec<Due>, Vec<Due>) =
            std::mem::take(&mut self.due).into_iter().partition(|it| due.contains(it));
        self.due = kept;
        gone.iter().for_each(|it| self.hide(it));
        for it in due {
            if !self.due.contains(it) {
                self.show(it)?;
                self.due.push(it.clone());
            }
        }
        Ok(())
    }

    fn show(&self, due: &Due) -> Result<(), String> {
        match self.kind {
            Challenge::Http01 => self.answers.put(&due.token, &due.answer),
            Challenge::TlsAlpn01 => {
                let certified = certified(due).map_err(|error| error.to_string())?;
                self.acceptor.challenge(&due.host, certified).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn hide(&self, due: &Due) {
        match self.kind {
            Challenge::Http01 => self.answers.remove(&due.token),
            Challenge::TlsAlpn01 => self.acceptor.unchallenge(&due.host),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.due.iter().for_each(|due| self.hide(due));
    }
}

/// Returns the certificate that answers a challenge.
//= RFC 8737 section 3: for this host alone, with the digest of the answer in a critical extension.
fn certified(due: &Due) -> Result<CertifiedKey, Box<dyn std::error::Error>> {
    let digest = ring::digest::digest(&ring::digest::SHA256, due.answer.as_bytes());
    let mut params = CertificateParams::new([due.host.clone()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest.as_ref())];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}
