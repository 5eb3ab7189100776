//! OCSP answers that are stapled: what one says, of which certificate, until when, and whether its authority signed it; pure.
//!
//! Source: RFC 6960 section 4.2.1, whose fields are named where they are read.

use crate::files::Reason;
use crate::pair::when;
use x509_parser::asn1_rs::{Any, BitString, Class, FromDer};
use x509_parser::error::X509Error;
use x509_parser::prelude::{ASN1Time, X509Certificate};
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// How far a clock may be behind the authority's, in seconds.
const SKEW_S: i64 = 300;
/// The type of the only kind of answer that is in use: 1.3.6.1.5.5.7.48.1.1.
const BASIC: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 48, 1, 1];
/// `certStatus`: good.
const GOOD: u32 = 0;
/// `certStatus`: revoked.
const REVOKED: u32 = 1;

/// An answer as it was read.
struct Answer<'d> {
    signed: &'d [u8],
    algorithm: AlgorithmIdentifier<'d>,
    signature: BitString<'d>,
    certificates: Vec<X509Certificate<'d>>,
    said: Vec<Said<'d>>,
}

/// What an answer says of one certificate.
struct Said<'d> {
    serial: &'d [u8],
    status: u32,
    begins: ASN1Time,
    ends: Option<ASN1Time>,
}

impl Said<'_> {
    fn is_early(&self, now_s: i64) -> bool {
        self.begins.timestamp() > now_s.saturating_add(SKEW_S)
    }

    fn is_over(&self, now_s: i64) -> bool {
        self.ends.is_some_and(|ends| ends.timestamp() <= now_s)
    }
}

/// Returns a number that changes when the time of something in an answer begins or is over: time alone changes it.
pub fn phase(bytes: &[u8], now_s: i64) -> u64 {
    let Some(answer) = Answer::read(bytes) else { return 0 };
    let begun = |it: &Said<'_>| u64::from(!it.is_early(now_s)) + u64::from(it.is_over(now_s));
    answer.said.iter().map(begun).sum()
}

/// Checks that an answer may be shown with a certificate; its signature where the issuer is known.
///
/// # Errors
/// Why it must not be shown.
pub fn check(
    bytes: &[u8],
    leaf: &X509Certificate<'_>,
    issuer: Option<&X509Certificate<'_>>,
    now_s: i64,
) -> Result<(), Reason> {
    let answer = Answer::read(bytes)
        .ok_or_else(|| Reason::Broken("it is no OCSP answer in DER with a status of 0".to_owned()))?;
    let said = answer.said.iter().find(|said| said.serial == leaf.raw_serial()).ok_or(Reason::OtherStaple)?;
    if issuer.is_some_and(|issuer| !answer.is_signed_for(issuer, said.begins)) {
        return Err(Reason::ForeignStaple);
    }
    match (said.status, said.ends) {
        (REVOKED, _) => Err(Reason::Revoked),
        (GOOD, _) if said.is_early(now_s) => Err(Reason::EarlyStaple(when(said.begins))),
        (GOOD, Some(ends)) if said.is_over(now_s) => Err(Reason::OldStaple(when(ends))),
        (GOOD, _) => Ok(()),
        _ => Err(Reason::UnknownStatus),
    }
}

impl<'d> Answer<'d> {
    fn read(bytes: &'d [u8]) -> Option<Self> {
        let mut file = Reader(bytes);
        let mut response = file.sequence()?;
        let is_successful = file.is_over() && response.universal(10)?.0 == [0];
        let mut inner = response.context(0)?.sequence()?;
        if !is_successful || inner.universal(6)?.0 != BASIC {
            return None;
        }
        let mut basic = inner.universal(4)?.sequence()?;
        let begun = basic.0;
        let mut data = basic.sequence()?;
        let signed = &begun[..begun.len() - basic.0.len()];
        let (rest, algorithm) = AlgorithmIdentifier::from_der(basic.0).ok()?;
        let (rest, signature) = BitString::from_der(rest).ok()?;
        let certificates = Reader(rest).context(0).and_then(|mut it| it.sequence()).map(Reader::certificates);
        // version, responderID, producedAt
        let _ = data.context(0);
        data.next()?;
        data.universal(24)?;
        let mut listed = data.sequence()?;
        let mut said = Vec::new();
        while !listed.is_over() {
            said.push(listed.sequence()?.said()?);
        }
        Some(Self { signed, algorithm, signature, certificates: certificates.unwrap_or_default(), said })
    }

    /// Whether the certificate's issuer signed it, or somebody whom the issuer let sign answers when it was made: that an
    /// answer is old is another fault. What nobody here can check is left to the clients.
    fn is_signed_for(&self, issuer: &X509Certificate<'_>, made: ASN1Time) -> bool {
        let key = issuer.public_key();
        self.is_signed_by(key)
            || self.certificates.iter().any(|responder| {
                let usage = responder.extended_key_usage().ok().flatten();
                responder.validity().is_valid_at(made)
                    && usage.is_some_and(|usage| usage.value.ocsp_signing)
                    && is_good(key, &responder.signature_algorithm, &responder.verify_signature(Some(key)))
                    && self.is_signed_by(responder.public_key())
            })
    }

    fn is_signed_by(&self, key: &SubjectPublicKeyInfo<'_>) -> bool {
        let verified = verify_signature(key, &self.algorithm, &self.signature, self.signed);
        is_good(key, &self.algorithm, &verified)
    }
}

/// Whether a signature is the key's, or of a kind that nobody here can check though it is one for such a key.
fn is_good(key: &SubjectPublicKeyInfo<'_>, how: &AlgorithmIdentifier<'_>, verified: &Result<(), X509Error>) -> bool {
    match verified {
        Ok(()) => true,
        Err(X509Error::SignatureUnsupportedAlgorithm) => family(&key.algorithm) == family(how),
        Err(_) => false,
    }
}

/// Returns the numbers that a kind of key and its signatures have in common: those of RSA's, of elliptic curves', of Ed25519.
fn family(algorithm: &AlgorithmIdentifier<'_>) -> Vec<u64> {
    algorithm.algorithm.iter().into_iter().flatten().take(4).collect()
}

/// Bytes of DER that are read part by part.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> Option<Any<'d>> {
        let (rest, any) = Any::from_der(self.0).ok()?;
        self.0 = rest;
        Some(any)
    }

    /// Returns what is in the next part, if it is of this class and tag; else that part is still to be read.
    fn inside(&mut self, class: Class, tag: u32) -> Option<Self> {
        let begun = self.0;
        let any = self.next().filter(|any| any.class() == class && any.tag().0 == tag);
        if any.is_none() {
            self.0 = begun;
        }
        any.map(|any| Self(any.data))
    }

    fn universal(&mut self, tag: u32) -> Option<Self> {
        self.inside(Class::Universal, tag)
    }

    fn context(&mut self, tag: u32) -> Option<Self> {
        self.inside(Class::ContextSpecific, tag)
    }

    fn sequence(&mut self) -> Option<Self> {
        self.universal(16)
    }

    fn time(&mut self) -> Option<ASN1Time> {
        let (rest, time) = ASN1Time::from_der(self.0).ok()?;
        self.0 = rest;
        Some(time)
    }

    fn said(mut self) -> Option<Said<'d>> {
        let mut id = self.sequence()?;
        // hashAlgorithm, issuerNameHash, issuerKeyHash
        id.sequence()?;
        id.universal(4)?;
        id.universal(4)?;
        let serial = id.universal(2)?.0;
        let status = self.next()?.tag().0;
        let begins = self.time()?;
        let ends = match self.context(0) {
            Some(mut it) => Some(it.time()?),
            None => None,
        };
        Some(Said { serial, status, begins, ends })
    }

    fn certificates(mut self) -> Vec<X509Certificate<'d>> {
        std::iter::from_fn(|| {
            let (rest, certificate) = X509Certificate::from_der(self.0).ok()?;
            self.0 = rest;
            Some(certificate)
        })
        .collect()
    }
}
