//! TLS to servers: whom their certificates must come from, and what they are shown.

use crate::acceptor::milliseconds_now;
use crate::config;
use crate::files::{CLIENTS_BYTES_MAX, Content, Fault, Part, Reason, digest};
use crate::followed::{Followed, Found};
use crate::following;
use crate::pair::{self, Pair, Place, all};
use alongside_document::{Problem, ServerTls};
use alongside_transport::watch::Watch;
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The TLS that servers of one pool are spoken to in. Connections keep what they began with; new ones get what is in force.
pub struct Connector {
    pool: Box<str>,
    terms: ServerTls,
    provider: Arc<CryptoProvider>,
    followed: Mutex<Followed<Arc<ClientConfig>>>,
    config: ArcSwap<ClientConfig>,
    changed: Arc<Notify>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Connector")
    }
}

impl Connector {
    /// Reads all files of a pool's `server_tls`. `before` is the one in force of the same pool: what it has of the same files is
    /// taken over where they are not good now.
    ///
    /// # Errors
    /// The problem, with its path below the document's `server_tls`.
    pub fn open(pool: &str, terms: &ServerTls, before: Option<&Arc<Self>>) -> Result<Arc<Self>, Problem> {
        let provider = config::provider();
        let now_s = milliseconds_now() / 1000;
        let good = Files::read(terms).and_then(|files| Ok((files.digest(now_s), files.config(&provider)?)));
        let old = before.filter(|before| before.terms == *terms).map(|before| before.config.load_full());
        let (followed, config) = match (good, old) {
            (Ok((digest, config)), _) => (Followed::new(digest, Arc::clone(&config)), config),
            (Err(_), Some(config)) => (Followed::default(), config),
            (Err(fault), None) => return Err(problem(&fault)),
        };
        Ok(Arc::new(Self {
            pool: pool.into(),
            terms: terms.clone(),
            provider,
            followed: Mutex::new(followed),
            config: ArcSwap::new(config),
            changed: Arc::default(),
        }))
    }

    /// What new connections begin with.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.load_full()
    }

    /// The name that every server's certificate must have; none: its host.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.terms.name.as_ref().map(|name| name.as_str())
    }

    /// Follows the files, for as long as the connector lives. It reads files, and so belongs on the control side.
    pub fn follow(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let watch = Watch::new(self.paths(), &self.changed);
        following::follow(Arc::downgrade(self), watch, Self::look)
    }

    fn paths(&self) -> Vec<PathBuf> {
        let shown = place(&self.terms).map(|place| place.paths()).unwrap_or_default();
        [self.terms.authorities.as_path().to_owned()].into_iter().chain(shown).collect()
    }

    /// Looks at the files at a time in milliseconds; true where somebody may be writing.
    fn look(&self, now_ms: i64) -> bool {
        let files = Files::read(&self.terms);
        let digest = files.as_ref().map(|files| files.digest(now_ms / 1000)).map_err(Clone::clone);
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = followed.look(now_ms, digest, || files.and_then(|files| files.config(&self.provider)));
        let pool = &*self.pool;
        match &found {
            Found::Same | Found::Doubtful => {}
            Found::Taken => {
                if let Some(config) = followed.get() {
                    self.config.store(Arc::clone(config));
                }
                tracing::info!(event = "server_tls_taken", pool);
            }
            Found::Refused(reason) => tracing::warn!(event = "server_tls_refused", pool, reason),
            Found::GoodAgain => tracing::info!(event = "server_tls_good_again", pool),
        }
        found == Found::Doubtful
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // Who follows sees that nothing is left to follow.
        self.changed.notify_one();
    }
}

/// The bytes of what a connector is made of.
struct Files {
    authorities: Content,
    shown: Option<pair::Files>,
}

impl Files {
    fn read(terms: &ServerTls) -> Result<Self, Fault> {
        let authorities = terms.authorities.as_path().to_owned();
        Ok(Self {
            authorities: Content::read(Part::Authorities, authorities, CLIENTS_BYTES_MAX)?,
            shown: place(terms).map(|place| place.read()).transpose()?,
        })
    }

    fn digest(&self, now_s: i64) -> u64 {
        let shown = self.shown.as_ref().map_or(0, |files| files.digest(now_s));
        digest([&self.authorities]) ^ shown.rotate_left(1)
    }

    fn config(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<ClientConfig>, Fault> {
        let broken = |error: rustls::Error| self.authorities.fault(Reason::Broken(error.to_string()));
        let mut roots = RootCertStore::empty();
        for authority in all::<CertificateDer<'static>>(&self.authorities, "certificate")? {
            roots.add(authority).map_err(broken)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(broken)?.with_root_certificates(roots);
        Ok(Arc::new(match &self.shown {
            Some(files) => {
                let now_s = milliseconds_now() / 1000;
                let certified = Pair::check(files, provider, now_s)?.certified;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => builder.with_no_client_auth(),
        }))
    }
}

fn place(terms: &ServerTls) -> Option<Place> {
    let path = terms.certificate.as_ref()?.as_path().to_owned();
    Some(Place { path, key: terms.key.as_ref().map(|key| key.as_path().to_owned()), staple: None })
}

fn problem(fault: &Fault) -> Problem {
    let field = match fault.part {
        Part::Key => "key",
        Part::Authorities | Part::Revoked => "authorities",
        Part::Chain | Part::Staple => "certificate",
    };
    Problem::new(field, fault.to_string(), fault.reason.remedy())
}
