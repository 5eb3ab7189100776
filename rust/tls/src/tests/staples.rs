//! OCSP answers: which are stapled, and what is said of the others.

use super::{Authority, Folder, Leaf, Server, ders, document, key_der, meet};
use crate::files::Part;
use crate::pair::{Pair, Place};
use crate::staple::phase;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair, SerialNumber, SigningKey, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// 1 January 2024, in seconds since 1970, and the days after it.
const NEW_YEAR_S: i64 = 1_704_067_200;
const DAY_S: i64 = 86_400;
const FIRST: &str = "20240101000000Z";
const EIGHTH: &str = "20240108000000Z";
const SERIAL: u8 = 0x4d;

/// Returns a part in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let inside = parts.concat();
    let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
    let head = if inside.len() < 128 { vec![tag, length[1]] } else { vec![tag, 0x82, length[0], length[1]] };
    [head, inside].concat()
}

/// An answer of one certificate.
struct Answer {
    status: Vec<u8>,
    serial: u8,
    begins: &'static str,
    ends: Option<&'static str>,
}

impl Default for Answer {
    fn default() -> Self {
        Self { status: vec![0x80, 0], serial: SERIAL, begins: FIRST, ends: Some(EIGHTH) }
    }
}

impl Answer {
    fn signed(&self, key: &impl SigningKey, certificate: Option<&[u8]>) -> Vec<u8> {
        let time = |text: &str| der(0x18, &[text.as_bytes()]);
        let sha1 = der(0x30, &[&[6, 5, 0x2b, 14, 3, 2, 26]]);
        let id = der(0x30, &[&sha1, &der(4, &[&[7; 20]]), &der(4, &[&[8; 20]]), &[2, 1, self.serial]]);
        let ends = self.ends.map(|ends| der(0xa0, &[&time(ends)])).unwrap_or_default();
        let single = der(0x30, &[&id, &self.status, &time(self.begins), &ends]);
        let responder = der(0xa2, &[&der(4, &[&[8; 20]])]);
        let data = der(0x30, &[&responder, &time(FIRST), &der(0x30, &[&single])]);
        let ecdsa = der(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let signature = der(3, &[&[0], &key.sign(&data).unwrap()]);
        let certificates = certificate.map(|it| der(0xa0, &[&der(0x30, &[it])])).unwrap_or_default();
        let basic = der(0x30, &[&data, &ecdsa, &signature, &certificates]);
        let kind = der(6, &[&[0x2b, 6, 1, 5, 5, 7, 48, 1, 1]]);
        der(0x30, &[&[10, 1, 0], &der(0xa0, &[&der(0x30, &[&kind, &der(4, &[&basic])])])])
    }
}

/// A pair with its authority in its chain, and the answer's file.
struct Stapled {
    folder: Folder,
    authority: Authority,
    place: Place,
}

impl Stapled {
    fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new("authority"));
        let leaf = numbered(&authority);
        let chain = [leaf.chain, authority.pem()].concat();
        let path = folder.pair("pair", &Leaf { chain, key: leaf.key });
        let staple = Some(folder.0.join("ocsp"));
        Self { place: Place { path, key: None, staple }, folder, authority }
    }

    fn put(&self, answer: &[u8]) -> PathBuf {
        self.folder.write("ocsp", answer)
    }

    /// Says what is wrong with the answer, a day after New Year.
    fn fault(&self, answer: &[u8]) -> Option<String> {
        self.put(answer);
        let files = self.place.read().unwrap();
        // The certificates of these tests are good from 1975 on.
        let pair = Pair::check(&files, &crate::config::provider(), NEW_YEAR_S + DAY_S).unwrap();
        assert_eq!(pair.certified.ocsp.as_deref(), pair.unstapled.is_none().then_some(answer));
        pair.unstapled.map(|fault| {
            assert_eq!(fault.part, Part::Staple);
            assert!(!fault.reason.remedy().is_empty());
            fault.reason.to_string()
        })
    }
}

fn numbered(authority: &Authority) -> Leaf {
    authority.leaf_by(&["a.example"], |params| params.serial_number = Some(SerialNumber::from_slice(&[SERIAL])))
}

#[test]
fn an_answer_is_stapled_that_the_authority_signed_for_the_certificate_and_this_time() {
    let stapled = Stapled::new();
    let own = stapled.authority.0.key();
    let fault = |answer: Answer| stapled.fault(&answer.signed(own, None));
    let good = Answer::default();
    assert_eq!(fault(Answer::default()), None);
    assert_eq!(fault(Answer { ends: None, ..Answer::default() }), None, "newer ones are there at any time");
    let revoked = der(0xa1, &[&der(0x18, &[FIRST.as_bytes()])]);
    let cases = [
        (Answer { serial: SERIAL + 1, ..Answer::default() }, "holds no OCSP answer for this certificate"),
        (
            Answer { status: revoked, ..Answer::default() },
            "holds an OCSP answer that says that the certificate is revoked",
        ),
        (
            Answer { status: vec![0x82, 0], ..Answer::default() },
            "holds an OCSP answer whose authority does not know the certificate",
        ),
        (
            Answer { ends: Some("20240102000000Z"), ..Answer::default() },
            "holds an OCSP answer that was good until Tue, 02 Jan 2024",
        ),
        (
            Answer { begins: EIGHTH, ..Answer::default() },
            "holds an OCSP answer that is not good before Mon, 08 Jan 2024",
        ),
    ];
    for (answer, expected) in cases {
        let found = fault(answer).unwrap();
        assert!(found.starts_with(expected), "{found}");
    }
    let whole = good.signed(own, None);
    let broken = "is broken: it is no OCSP answer in DER with a status of 0";
    for end in 1..whole.len() {
        assert_eq!(stapled.fault(&whole[..end]).as_deref(), Some(broken), "{end}");
    }
    assert_eq!(stapled.fault(&[&*whole, &[0]].concat()).as_deref(), Some(broken));
    assert_eq!(stapled.fault(&[0x30, 3, 10, 1, 6]).as_deref(), Some(broken), "the authority had no answer");
    assert_eq!(stapled.fault(&[]).as_deref(), Some("is empty"));
}

#[test]
fn who_signs_an_answer_is_the_issuer_or_whom_it_lets_sign() {
    let (stapled, other) = (Stapled::new(), Authority::new("authority"));
    let answer = Answer::default();
    let may = |authority: &Authority, purpose| {
        authority.leaf_by(&["ocsp.example"], |params| params.extended_key_usages = vec![purpose])
    };
    let by = |leaf: &Leaf| {
        let key = KeyPair::try_from(&key_der(&leaf.key)).unwrap();
        stapled.fault(&answer.signed(&key, Some(&ders(&leaf.chain)[0])))
    };
    assert_eq!(by(&may(&stapled.authority, ExtendedKeyUsagePurpose::OcspSigning)), None);
    let foreign = Some("holds an OCSP answer that the certificate's authority did not sign".to_owned());
    assert_eq!(by(&may(&stapled.authority, ExtendedKeyUsagePurpose::ServerAuth)), foreign);
    let until = |last: u8| {
        stapled.authority.leaf_by(&["ocsp.example"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            (params.not_before, params.not_after) = (date_time_ymd(2023, 12, 1), date_time_ymd(2024, 1, last));
        })
    };
    // Who could sign when it was made may be gone by now, a day later: then the answer alone says how old it is.
    assert_eq!(by(&until(2)), None);
    assert_eq!(by(&until(31)), None);
    assert_eq!(by(&may(&other, ExtendedKeyUsagePurpose::OcspSigning)), foreign);
    assert_eq!(stapled.fault(&answer.signed(other.0.key(), None)), foreign);
    // Nobody knows here who signs for a certificate without its issuer.
    stapled.folder.pair("pair", &numbered(&stapled.authority));
    assert_eq!(stapled.fault(&answer.signed(other.0.key(), None)), None);
}

#[test]
fn time_alone_begins_and_ends_an_answer() {
    let stapled = Stapled::new();
    let answer = Answer::default().signed(stapled.authority.0.key(), None);
    let at = |days: i64| NEW_YEAR_S + days * DAY_S;
    assert_eq!([-1, 0, 6, 7, 8].map(|days| phase(&answer, at(days))), [0, 1, 1, 2, 2]);
    assert_eq!(phase(b"none", at(0)), 0);
    // The same files are looked at anew then.
    stapled.put(&answer);
    let files = stapled.place.read().unwrap();
    assert_eq!(files.digest(at(1)), files.digest(at(6)));
    assert_ne!(files.digest(at(6)), files.digest(at(7)));
    assert_ne!(files.digest(at(-1)), files.digest(at(0)));
}

#[tokio::test]
async fn an_answer_that_is_over_is_left_out_and_keeps_nobody_from_starting() {
    let stapled = Stapled::new();
    let old = Answer { ends: Some(EIGHTH), ..Answer::default() }.signed(stapled.authority.0.key(), None);
    let mut made = document(&[("a", stapled.place.path.clone())], json!({}));
    made.certificates[0].staple = serde_json::from_value(json!(stapled.put(&old))).unwrap();
    let server = Server::new(&made);
    assert!(!server.look(), "it is no doubt: nobody is writing");
    stapled.put(b"no answer");
    server.look();
    assert_eq!(server.metric("alongside_tls_certificate_stale{listener=\"web\",certificate=\"a\"}"), "0");
}

/// A client that keeps the answer that it is shown, and believes everything.
#[derive(Debug, Default)]
struct Keeping(Mutex<Vec<u8>>);

impl ServerCertVerifier for Keeping {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

async fn shown(server: &Server) -> Vec<u8> {
    let keeping = Arc::new(Keeping::default());
    let config = ClientConfig::builder_with_provider(crate::config::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&keeping) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    meet(server, &Arc::new(config), "a.example").await.1.unwrap();
    let found = keeping.0.lock().unwrap();
    found.clone()
}

#[tokio::test]
async fn an_answer_that_ends_while_its_pairs_files_are_bad_is_left_out() {
    let stapled = Stapled::new();
    let key = stapled.authority.0.key();
    let good = Answer { ends: Some("20900101000000Z"), ..Answer::default() }.signed(key, None);
    let mut made = document(&[("a", stapled.place.path.clone())], json!({}));
    made.certificates[0].staple = serde_json::from_value(json!(stapled.put(&good))).unwrap();
    let server = Server::new(&made);
    assert_eq!(shown(&server).await, good);
    let after_ms = 3_786_912_000_000 + 1_000;
    std::fs::write(stapled.place.path.join("tls.crt"), "broken").unwrap();
    server.look();
    assert_eq!(shown(&server).await, good, "it is good for years");
    server.acceptor.look_once(after_ms);
    assert_eq!(shown(&server).await, b"", "the certificate in force goes on without it");
    // A good pair comes with what there is for it.
    let newer = Answer { ends: None, ..Answer::default() }.signed(key, None);
    stapled.put(&newer);
    let leaf = numbered(&stapled.authority);
    let chain = [leaf.chain, stapled.authority.pem()].concat();
    stapled.folder.pair("pair", &Leaf { chain, key: leaf.key });
    server.acceptor.look_once(after_ms + 1_000);
    assert_eq!(shown(&server).await, newer);
}
