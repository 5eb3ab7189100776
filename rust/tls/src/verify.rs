//! What certificates of clients are verified with: authorities, and lists of what these revoked.

use crate::files::{CLIENTS_BYTES_MAX, Content, Fault, Part, Reason, digest};
use crate::pair::all;
use alongside_document::{ClientMode, Clients};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::prelude::{CertificateRevocationList, FromDer, RevokedCertificate, X509Certificate};

/// The most bytes of authorities' names that clients are told, so that they know which certificate to show.
const HINTS_BYTES_MAX: usize = 16 * 1024;

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

/// An authority of the bundle.
struct Authority {
    der: CertificateDer<'static>,
    subject: Vec<u8>,
    /// By whom, and with which serial number: what a list of its own authority names it by.
    issued: (Vec<u8>, Vec<u8>),
}

/// Lists of what was revoked.
#[derive(Default)]
struct Lists {
    ders: Vec<CertificateRevocationListDer<'static>>,
    /// Issuer and serial number of each.
    revoked: HashSet<(Vec<u8>, Vec<u8>)>,
}

/// Returns what verifies clients. Where lists of the revoked are given, a client whose own authority has none is refused,
/// and an authority that another one revoked is none. A list that is past its next update counts on: an old one is better
/// than none.
///
/// # Errors
/// A [`Fault`]: the files are not good.
pub fn verifier(
    files: &Files,
    mode: ClientMode,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let authorities = authorities(&files.authorities)?;
    let lists = files.revoked.as_ref().map(|content| lists(content, &authorities)).transpose()?.unwrap_or_default();
    let broken = |what: String| files.authorities.fault(Reason::Broken(what));
    let mut roots = RootCertStore::empty();
    for authority in authorities.iter().filter(|authority| !lists.revoked.contains(&authority.issued)) {
        roots.add(authority.der.clone()).map_err(|error| broken(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder = builder.with_crls(lists.ders);
    if authorities.iter().map(|authority| authority.subject.len()).sum::<usize>() > HINTS_BYTES_MAX {
        builder = builder.clear_root_hint_subjects();
    }
    if mode == ClientMode::Asked {
        builder = builder.allow_unauthenticated();
    }
    let refused = |error: rustls::server::VerifierBuilderError| {
        files.revoked.as_ref().unwrap_or(&files.authorities).fault(Reason::Broken(error.to_string()))
    };
    builder.build().map_err(refused)
}

fn authorities(content: &Content) -> Result<Vec<Authority>, Fault> {
    let parsed = |der: CertificateDer<'static>| {
        let (_, it) =
            X509Certificate::from_der(&der).map_err(|error| content.fault(Reason::Broken(error.to_string())))?;
        let subject = it.subject().as_raw().to_vec();
        let issued = (it.issuer().as_raw().to_vec(), it.raw_serial().to_vec());
        Ok(Authority { subject, issued, der: der.clone() })
    };
    all(content, "certificate")?.into_iter().map(parsed).collect()
}

fn lists(content: &Content, authorities: &[Authority]) -> Result<Lists, Fault> {
    let mut lists = Lists { ders: all(content, "list of revoked certificates")?, ..Lists::default() };
    for list in &lists.ders {
        let (_, parsed) = CertificateRevocationList::from_der(list)
            .map_err(|error| content.fault(Reason::Broken(error.to_string())))?;
        let issuer = parsed.issuer().as_raw();
        if !authorities.iter().any(|authority| authority.subject == issuer) {
            return Err(content.fault(Reason::OtherList(parsed.issuer().to_string())));
        }
        // Only those that could be an authority's are looked up.
        let of = |revoked: &RevokedCertificate<'_>| (issuer.to_vec(), revoked.raw_serial().to_vec());
        let is_authority = |it: &(Vec<u8>, Vec<u8>)| authorities.iter().any(|authority| authority.issued == *it);
        lists.revoked.extend(parsed.iter_revoked_certificates().map(of).filter(is_authority));
    }
    Ok(lists)
}
