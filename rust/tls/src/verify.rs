//! What certificates of clients are verified with: authorities, and lists of what these revoked.

use crate::files::{CLIENTS_BYTES_MAX, Content, Fault, Part, Reason, digest};
use crate::pair::all;
use alongside_document::{ClientMode, Clients};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

/// The bytes of the files that clients are verified with.
pub struct Files {
    authorities: Content,
    revoked: Option<Content>,
}

/// Returns the files that are followed.
pub fn paths(clients: &Clients) -> Vec<PathBuf> {
    let revoked = clients.revoked.as_ref().map(|path| path.as_path().to_owned());
    [Some(clients.authorities.as_path().to_owned()), revoked].into_iter().flatten().collect()
}

impl Files {
    /// Reads the files as they stand.
    pub fn read(clients: &Clients) -> Result<Self, Fault> {
        let read = |part, path: &alongside_document::FilePath| {
            Content::read(part, path.as_path().to_owned(), CLIENTS_BYTES_MAX)
        };
        Ok(Self {
            authorities: read(Part::Authorities, &clients.authorities)?,
            revoked: clients.revoked.as_ref().map(|path| read(Part::Revoked, path)).transpose()?,
        })
    }

    /// Returns a number that differs between contents, within this process.
    pub fn digest(&self) -> u64 {
        digest([Some(&self.authorities), self.revoked.as_ref()].into_iter().flatten())
    }
}

/// Returns what verifies clients. Where lists of the revoked are given, a client whose own authority has none is
/// refused; where every authority has one, so are those whose authority was revoked itself. A list that is past its next
/// update counts on: an old one is better than none.
///
/// # Errors
/// A [`Fault`]: the files are not good.
pub fn verifier(
    files: &Files,
    mode: ClientMode,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let authorities: Vec<CertificateDer<'static>> = all(&files.authorities, "certificate")?;
    let broken = |what: String| files.authorities.fault(Reason::Broken(what));
    let mut roots = RootCertStore::empty();
    let mut subjects = Vec::new();
    for authority in authorities {
        let (_, parsed) = X509Certificate::from_der(&authority).map_err(|error| broken(error.to_string()))?;
        subjects.push(parsed.subject().as_raw().to_vec());
        roots.add(authority.clone()).map_err(|error| broken(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(content) = &files.revoked {
        let (lists, covers_all) = lists(content, &subjects)?;
        builder = builder.with_crls(lists);
        if !covers_all {
            builder = builder.only_check_end_entity_revocation();
        }
    }
    if mode == ClientMode::Asked {
        builder = builder.allow_unauthenticated();
    }
    let refused = |error: rustls::server::VerifierBuilderError| {
        files.revoked.as_ref().unwrap_or(&files.authorities).fault(Reason::Broken(error.to_string()))
    };
    builder.build().map_err(refused)
}

/// Returns the lists of a file, and whether each authority has one.
fn lists(content: &Content, subjects: &[Vec<u8>]) -> Result<(Vec<CertificateRevocationListDer<'static>>, bool), Fault> {
    let lists: Vec<CertificateRevocationListDer<'static>> = all(content, "list of revoked certificates")?;
    let mut issuers = Vec::new();
    for list in &lists {
        let (_, parsed) = CertificateRevocationList::from_der(list)
            .map_err(|error| content.fault(Reason::Broken(error.to_string())))?;
        let issuer = parsed.issuer().as_raw().to_vec();
        if !subjects.contains(&issuer) {
            return Err(content.fault(Reason::OtherList(parsed.issuer().to_string())));
        }
        issuers.push(issuer);
    }
    Ok((lists, subjects.iter().all(|subject| issuers.contains(subject))))
}
