//! What a client's certificate says of it.

use crate::pair::address;
use rustls_pki_types::CertificateDer;
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A client that showed a certificate, which was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The certificate in DER.
    pub certificate: CertificateDer<'static>,
    /// Its subject as text, such as `CN=jane, O=Example`; anybody may be called so by another authority.
    pub subject: Box<str>,
    /// Its names in DNS.
    pub dns_names: Vec<Box<str>>,
    /// Its URIs, such as SPIFFE's.
    pub uris: Vec<Box<str>>,
    /// Its e-mail addresses.
    pub emails: Vec<Box<str>>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Client {
    /// Reads a certificate; `None`: it is none.
    #[must_use]
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let mut client = Self {
            certificate: certificate.clone().into_owned(),
            subject: parsed.subject().to_string().into(),
            dns_names: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            addresses: Vec::new(),
        };
        let names = parsed.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => client.dns_names.push((*name).into()),
                GeneralName::URI(name) => client.uris.push((*name).into()),
                GeneralName::RFC822Name(name) => client.emails.push((*name).into()),
                GeneralName::IPAddress(bytes) => client.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Some(client)
    }
}
