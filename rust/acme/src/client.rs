//! The way to the authority: HTTPS with a limit for everything, and what its last answer said about waiting.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long an answer may take, whole.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a file with authorities.
const AUTHORITIES_BYTES_MAX: u64 = 16 * 1024 * 1024;

type Https = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>;

/// What the last answer was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Last {
    /// Its status; nothing where there was no answer.
    pub status: Option<StatusCode>,
    /// When the authority wants to be asked again, in seconds since 1970.
    pub retry_after_s: Option<i64>,
}

/// A client of an authority's server.
#[derive(Clone)]
pub struct Client {
    https: Https,
    last: Arc<Mutex<Last>>,
}

impl Client {
    /// Returns a client that trusts the authorities in a PEM file, or the system's.
    ///
    /// # Errors
    /// Why these cannot be used.
    pub fn new(authorities: Option<&Path>) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new();
        let connector = match authorities {
            Some(path) => connector.with_tls_config(trusting(path)?),
            None => connector.try_with_platform_verifier().map_err(|error| error.to_string())?,
        };
        let connector = connector.https_only().enable_http1().build();
        let https = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { https, last: Arc::default() })
    }

    /// What the last answer was.
    pub fn last(&self) -> Last {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (answer, last) = (self.https.request(request), Arc::clone(&self.last));
        Box::pin(async move {
            let whole = async {
                let (parts, body) = answer.await.map_err(|error| Error::Other(Box::new(error)))?.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(Error::Other)?;
                Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
            };
            let too_late = |_| Error::Other("there was no answer in time".into());
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, whole).await.map_err(too_late).flatten();
            *last.lock().unwrap_or_else(PoisonError::into_inner) = answer.as_ref().map(said).unwrap_or_default();
            answer.map(BytesResponse::from)
        })
    }
}

fn trusting(path: &Path) -> Result<ClientConfig, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > AUTHORITIES_BYTES_MAX {
        return Err(format!("it is larger than {AUTHORITIES_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn said<B>(answer: &Response<B>) -> Last {
    let wait = answer.headers().get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Last {
        status: Some(answer.status()),
        retry_after_s: wait.and_then(|text| retry_after_s(text, crate::seconds(SystemTime::now()))),
    }
}

/// Returns the time that a Retry-After field means.
//= RFC 9110 section 10.2.3: seconds, or a date.
fn retry_after_s(text: &str, now_s: i64) -> Option<i64> {
    let text = text.trim();
    let seconds = text.parse::<u32>().ok().map(|seconds| now_s.saturating_add(i64::from(seconds)));
    seconds.or_else(|| httpdate::parse_http_date(text).ok().map(crate::seconds))
}

#[cfg(test)]
mod tests {
    use super::retry_after_s;

    #[test]
    fn reads_both_forms_of_a_time_to_wait() {
        let cases = [
            ("120", Some(1_120)),
            (" 0 ", Some(1_000)),
            ("Thu, 01 Jan 1970 00:33:20 GMT", Some(2_000)),
            ("-1", None),
            ("99999999999999999999", None),
            ("soon", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(retry_after_s(text, 1_000), expected, "{text:?}");
        }
    }
}
