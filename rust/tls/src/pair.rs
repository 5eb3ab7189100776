//! A certificate's chain and its key: read from files, and checked before anybody is shown it.

use crate::choice::Holds;
use crate::files::{Content, Fault, PAIR_BYTES_MAX, Part, Reason, digest};
use crate::staple;
use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// Where a pair lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A file with the chain, or a folder with `tls.crt` and `tls.key`.
    pub path: PathBuf,
    /// The key's file; none for the folder's, or for one in the chain's own file.
    pub key: Option<PathBuf>,
    /// The file of the OCSP answer.
    pub staple: Option<PathBuf>,
}

impl From<&alongside_document::Certificate> for Place {
    fn from(certificate: &alongside_document::Certificate) -> Self {
        let owned = |path: &alongside_document::FilePath| path.as_path().to_owned();
        Self {
            path: owned(&certificate.path),
            key: certificate.key.as_ref().map(owned),
            staple: certificate.staple.as_ref().map(owned),
        }
    }
}

/// The bytes of a pair's files, from one moment where they lie in one folder that is swapped.
pub struct Files {
    chain: Content,
    /// None: the key is in the chain's file.
    key: Option<Content>,
    staple: Option<Result<Content, Fault>>,
}

impl Place {
    /// Returns the files that are followed.
    pub fn paths(&self) -> Vec<PathBuf> {
        let inner = [self.path.join("tls.crt"), self.path.join("tls.key")];
        let is_folder = self.path.is_dir() || !self.path.exists();
        let own = [Some(self.path.clone()), self.key.clone(), self.staple.clone()];
        own.into_iter().flatten().chain(inner.into_iter().filter(|_| is_folder)).collect()
    }

    /// Reads the files as they stand.
    pub fn read(&self) -> Result<Files, Fault> {
        let (chain, key) = if self.path.is_dir() {
            // A Secret's folder is swapped by this link: what lies behind it belongs together.
            let data = self.path.join(SWAPPED).canonicalize().ok();
            let own = |name: &str| of_folder(&self.path, data.as_deref(), name);
            (own("tls.crt"), self.key.clone().or_else(|| Some(own("tls.key"))))
        } else {
            (self.path.clone(), self.key.clone())
        };
        let read = |part, path| Content::read(part, path, PAIR_BYTES_MAX);
        Ok(Files {
            chain: read(Part::Chain, chain)?,
            key: key.map(|key| read(Part::Key, key)).transpose()?,
            staple: self.staple.clone().map(|staple| read(Part::Staple, staple)),
        })
    }
}

/// The link by which a Secret's folder is swapped.
const SWAPPED: &str = "..data";

/// Returns where a folder's file lies: behind the link that is swapped, as it is now, if the file leads there.
fn of_folder(folder: &Path, data: Option<&Path>, name: &str) -> PathBuf {
    let path = folder.join(name);
    let link = std::fs::read_link(&path).ok();
    match (data, link.as_deref().and_then(|link| link.strip_prefix(SWAPPED).ok())) {
        (Some(data), Some(rest)) => data.join(rest),
        _ => path,
    }
}

impl Files {
    /// Returns a number that differs between contents, within this process, and changes when an OCSP answer's time begins
    /// or is over.
    pub fn digest(&self, now_s: i64) -> u64 {
        let staple = self.staple.as_ref().and_then(|staple| staple.as_ref().ok());
        let phase = staple.map_or(0, |content| staple::phase(&content.bytes, now_s));
        digest([Some(&self.chain), self.key.as_ref(), staple].into_iter().flatten()).wrapping_add(phase)
    }
}

/// A chain and its key that may be shown.
#[derive(Debug)]
pub struct Pair {
    /// The chain, the leaf first, its key, and the OCSP answer if there is a good one.
    pub certified: Arc<CertifiedKey>,
    /// What the certificate is for.
    pub holds: Holds,
    /// When it expires, in seconds since 1970.
    pub expires_s: i64,
    /// Why it goes without its OCSP answer.
    pub unstapled: Option<Fault>,
}

impl Pair {
    /// Checks what was read, at the time `now_s` in seconds since 1970.
    ///
    /// # Errors
    /// A [`Fault`]: it must not be shown.
    pub fn check(files: &Files, provider: &CryptoProvider, now_s: i64) -> Result<Self, Fault> {
        let chain = chain(&files.chain)?;
        let key_file = files.key.as_ref().unwrap_or(&files.chain);
        let key = key(key_file)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| key_file.fault(Reason::Broken(error.to_string())))?;
        let chain = ordered(chain, |leaf| CertifiedKey::new(vec![leaf.clone()], Arc::clone(&key)).keys_match().is_ok());
        let mut certified = CertifiedKey::new(chain, key);
        let broken = |what: String| files.chain.fault(Reason::Broken(what));
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => return Err(key_file.fault(Reason::Mismatch)),
            Err(error) => return Err(broken(error.to_string())),
        }
        let leaf = certified.cert[0].clone();
        let (_, leaf) = X509Certificate::from_der(&leaf).map_err(|error| broken(error.to_string()))?;
        let validity = leaf.validity();
        if validity.not_after.timestamp() <= now_s {
            return Err(files.chain.fault(Reason::Expired(when(validity.not_after))));
        }
        if validity.not_before.timestamp() > now_s {
            return Err(files.chain.fault(Reason::NotYet(when(validity.not_before))));
        }
        let above = certified.cert.get(1).unwrap_or(&certified.cert[0]).clone();
        let above = X509Certificate::from_der(&above).ok().map(|(_, above)| above);
        let issuer = above.as_ref().filter(|above| above.subject().as_raw() == leaf.issuer().as_raw());
        let judged = |content: Content| match staple::check(&content.bytes, &leaf, issuer, now_s) {
            Ok(()) => Ok(content.bytes),
            Err(reason) => Err(content.fault(reason)),
        };
        let (staple, unstapled) = match files.staple.clone().map(|content| content.and_then(judged)) {
            None => (None, None),
            Some(Ok(staple)) => (Some(staple), None),
            Some(Err(fault)) => (None, Some(fault)),
        };
        certified.ocsp = staple;
        Ok(Self {
            holds: holds(&leaf, certified.key.algorithm()),
            certified: Arc::new(certified),
            expires_s: validity.not_after.timestamp(),
            unstapled,
        })
    }

    /// Says that its OCSP answer must not be shown any more, if there is one whose time is over.
    pub fn old_staple(&self, now_s: i64) -> Option<Reason> {
        let staple = self.certified.ocsp.as_ref()?;
        let (_, leaf) = X509Certificate::from_der(self.certified.cert.first()?).ok()?;
        staple::check(staple, &leaf, None, now_s).err()
    }

    /// Returns the same without its OCSP answer, and why.
    pub fn without_staple(&self, fault: Fault) -> Self {
        let certified = CertifiedKey { ocsp: None, ..(*self.certified).clone() };
        let (holds, expires_s) = (self.holds.clone(), self.expires_s);
        Self { certified: Arc::new(certified), holds, expires_s, unstapled: Some(fault) }
    }
}

/// Says a time.
pub fn when(time: ASN1Time) -> String {
    time.to_rfc2822().unwrap_or_else(|_| time.timestamp().to_string())
}

/// Says what is wrong with PEM.
pub fn pem_reason(error: &pem::Error) -> Reason {
    match error {
        pem::Error::MissingSectionEnd { .. } => Reason::Broken("it is cut off".to_owned()),
        error => Reason::Broken(error.to_string()),
    }
}

/// Returns all of one kind that a PEM file holds, at least one.
pub fn all<T: PemObject>(content: &Content, what: &'static str) -> Result<Vec<T>, Fault> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&content.bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(content.fault(Reason::Nothing(what))),
        Ok(found) => Ok(found),
        Err(error) => Err(content.fault(pem_reason(&error))),
    }
}

fn chain(content: &Content) -> Result<Vec<CertificateDer<'static>>, Fault> {
    all(content, "certificate")
}

fn key(content: &Content) -> Result<PrivateKeyDer<'static>, Fault> {
    match PrivateKeyDer::from_pem_slice(&content.bytes) {
        _ if is_encrypted(&content.bytes) => Err(content.fault(Reason::Encrypted)),
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(content.fault(Reason::Nothing("private key"))),
        Err(error) => Err(content.fault(pem_reason(&error))),
    }
}

/// Whether a key in PEM asks for a password: in PKCS#8's form, or in OpenSSL's older one.
fn is_encrypted(bytes: &[u8]) -> bool {
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Returns a chain with the certificate of the key first and each issuer after whom it issued; what issued nobody last.
fn ordered(
    mut rest: Vec<CertificateDer<'static>>,
    is_leaf: impl Fn(&CertificateDer<'static>) -> bool,
) -> Vec<CertificateDer<'static>> {
    let Some(leaf) = rest.iter().position(is_leaf) else { return rest };
    let mut chain = vec![rest.remove(leaf)];
    let names = |der: &CertificateDer<'_>| {
        X509Certificate::from_der(der)
            .ok()
            .map(|(_, certificate)| (certificate.subject().as_raw().to_vec(), certificate.issuer().as_raw().to_vec()))
    };
    while let Some((_, issuer)) = chain.last().and_then(names) {
        let Some(next) = rest.iter().position(|der| names(der).is_some_and(|(subject, _)| subject == issuer)) else {
            break;
        };
        chain.push(rest.remove(next));
    }
    chain.append(&mut rest);
    chain
}

/// Returns what a certificate is for: its alternative names. The common name counts no more, as for every browser.
fn holds(leaf: &X509Certificate<'_>, key: SignatureAlgorithm) -> Holds {
    let mut holds = Holds { names: Vec::new(), addresses: Vec::new(), key };
    let names = leaf.subject_alternative_name().ok().flatten();
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::DNSName(name) => holds.names.push((*name).into()),
            GeneralName::IPAddress(bytes) => holds.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    holds
}

/// Returns the address of 4 or 16 bytes.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
