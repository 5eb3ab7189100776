//! The handshake, within its time.

use crate::choice::Asking;
use crate::client::Client;
use crate::config::{self, CHALLENGE_PROTOCOL, protocol_name};
use crate::following;
use crate::keeper::Keeper;
use crate::metrics::{Metrics, Outcome};
use crate::refused::Refused;
use alongside_document::{Problem, Protocol, Tls};
use alongside_transport::Deadline;
use alongside_transport::watch::Watch;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, HandshakeKind, ServerConfig, ServerConnection};
use rustls_pki_types::UnixTime;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// The most challenges that are answered at a time.
const CHALLENGES_MAX: usize = 128;

/// Configurations by the hosts whose challenges are answered.
type Challenges = RwLock<HashMap<Box<str>, Arc<ServerConfig>>>;

/// One listener's TLS. Connections keep what they began with; new ones get what is in force.
pub struct Acceptor {
    keeper: Keeper,
    protocols: Vec<Protocol>,
    handshake_timeout_ms: u64,
    challenges: Arc<Challenges>,
    changed: Arc<Notify>,
}

/// A client that is in.
#[derive(Debug)]
pub struct Session<S> {
    /// What is said inside.
    pub stream: TlsStream<S>,
    /// What is spoken there.
    pub protocol: Protocol,
    /// The host that the client asked for, in lower case (SNI).
    pub host: Option<Box<str>>,
    /// Whether it was asked for a certificate.
    pub asks_for_certificate: bool,
    /// What its certificate says, where it showed one.
    pub client: Option<Client>,
}

/// What a client's first message asks for.
struct Hello {
    host: Option<Box<str>>,
    is_challenge: bool,
    /// It offers nothing, and so speaks HTTP/1.1.
    offers_nothing: bool,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Reads all files of a listener's `tls`. `before` is the acceptor in force of the same listener: its tickets stay
    /// good, what it has in force of the same files is taken over where they are not good now, and both answer the same challenges.
    ///
    /// # Errors
    /// Every problem, with paths below the document's `tls`, such as `certificates[0].path`.
    pub fn open(
        name: &str,
        tls: &Tls,
        before: Option<&Arc<Self>>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, Vec<Problem>> {
        let keeper =
            Keeper::open(name, tls, before.map(|before| &before.keeper), metrics.listener(name), seconds_now())?;
        let challenges = before.map(|before| Arc::clone(&before.challenges)).unwrap_or_default();
        Ok(Arc::new(Self {
            keeper,
            protocols: tls.protocols.clone(),
            handshake_timeout_ms: tls.handshake_timeout_ms,
            challenges,
            changed: Arc::new(Notify::new()),
        }))
    }

    /// Lets a client in. The deadline is set to the handshake's time, as of one who may have to make room; set it anew
    /// afterwards. `local` is the address that the client came to, for who asks for no name.
    ///
    /// # Errors
    /// [`Refused`]: the client is not in; it was told why where TLS has a word for it, and it is counted.
    pub async fn accept<S>(&self, stream: S, local: Option<IpAddr>, deadline: &Deadline) -> Result<Session<S>, Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        deadline.set_idle(self.handshake_timeout_ms);
        let result = deadline.within(self.shake(stream, local)).await.unwrap_or(Err(Refused::Timeout));
        self.keeper.metrics.handshake(match &result {
            Ok(session) if is_resumed(session.stream.get_ref().1) => Outcome::Resumed,
            Ok(_) => Outcome::Done,
            Err(refused) => refused.outcome(),
        });
        result
    }

    async fn shake<S>(&self, stream: S, local: Option<IpAddr>) -> Result<Session<S>, Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        let hello = Hello::of(&start.client_hello());
        if let Some(config) = self.challenge_config(&hello) {
            let mut stream = start.into_stream(config).await?;
            // What comes next is up to the authority, which has seen what it came for.
            let _ = stream.shutdown().await;
            return Err(Refused::Challenge);
        }
        if hello.offers_nothing && !self.protocols.contains(&Protocol::Http1) {
            refuse(&mut start.io, AlertDescription::NoApplicationProtocol).await;
            return Err(Refused::Protocol);
        }
        let host = hello.host.as_deref();
        let asks = self.keeper.asking.asks(host);
        let (config, verifier) = {
            let serving = self.keeper.serving();
            let config = serving.config(host, local, asks).cloned();
            (config.ok_or(serving.has_any()), serving.verifier.clone().filter(|_| asks))
        };
        let config = match config {
            Ok(config) => config,
            Err(has_any) => {
                refuse(&mut start.io, AlertDescription::UnrecognisedName).await;
                return Err(if has_any { Refused::UnknownName(hello.host) } else { Refused::NoCertificate });
            }
        };
        let stream = start.into_stream(config).await?;
        self.session(stream, hello.host, verifier)
    }

    /// Says who came in.
    fn session<S>(
        &self,
        stream: TlsStream<S>,
        host: Option<Box<str>>,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Session<S>, Refused> {
        let connection = stream.get_ref().1;
        let asks_for_certificate = verifier.is_some();
        if let Some(verifier) = verifier.filter(|_| is_resumed(connection)) {
            verify_again(connection, &*verifier)?;
        }
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        let client = shown.filter(|_| asks_for_certificate).and_then(Client::read);
        let protocol = match connection.alpn_protocol() {
            Some(name) if name == protocol_name(Protocol::Http2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok(Session { stream, protocol, host, asks_for_certificate, client })
    }

    /// Follows the files, for as long as the acceptor lives. It reads files, and so belongs on the control side. End it when
    /// another acceptor of the same listener takes this one's place: the connections of this one may go on for long.
    pub fn follow(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let watch = Watch::new(self.keeper.paths(), &self.changed);
        following::follow(Arc::downgrade(self), watch, |acceptor, now_ms| acceptor.keeper.look(now_ms))
    }

    /// Has the files looked at now, by whoever follows.
    pub fn look_now(&self) {
        self.changed.notify_one();
    }

    /// Returns each certificate's name and how long it is good for, in seconds; less than 0 where it is over.
    pub fn expiry_s(&self) -> impl Iterator<Item = (String, i64)> + use<> {
        self.keeper.expiry_s(seconds_now()).into_iter()
    }

    /// Brings the metrics up to date that change by themselves, before they are shown.
    pub fn refresh_metrics(&self) {
        self.keeper.refresh_metrics(seconds_now());
    }

    /// Tells whether every certificate is there, and good for as long as the document asks.
    ///
    /// # Errors
    /// Why it is not ready.
    pub fn is_ready(&self) -> Result<(), String> {
        self.keeper.is_ready(seconds_now())
    }

    /// Answers an authority's challenge for a host by a certificate (TLS-ALPN-01), until it is told otherwise; it begins
    /// with the next connection.
    ///
    /// # Errors
    /// [`rustls::Error`]: as many challenges as there may be are answered already, or the cryptography refuses.
    pub fn challenge(&self, host: &str, certified: CertifiedKey) -> Result<(), rustls::Error> {
        let config = config::challenge(&config::provider(), Arc::new(certified))?;
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        if challenges.len() >= CHALLENGES_MAX && !challenges.contains_key(host) {
            return Err(rustls::Error::General(format!("{CHALLENGES_MAX} challenges are answered already")));
        }
        challenges.insert(host.to_ascii_lowercase().into(), config);
        Ok(())
    }

    /// Answers the challenge for a host no more.
    pub fn unchallenge(&self, host: &str) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).remove(&*host.to_ascii_lowercase());
    }

    fn challenge_config(&self, hello: &Hello) -> Option<Arc<ServerConfig>> {
        let host = hello.host.as_deref().filter(|_| hello.is_challenge)?;
        self.challenges.read().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    /// Whether a request for `authority` (`HOST` or `HOST:PORT`) may come in by a connection whose client was asked for a
    /// certificate, or was not, and showed one, or did not: the same is asked of that host's clients now. Where not, the
    /// answer is 421.
    #[must_use]
    pub fn serves(&self, (is_asked, has_shown): (bool, bool), authority: &str) -> bool {
        let needs = self.keeper.is_required() && is_asked && self.keeper.asking != Asking::Nobody;
        self.keeper.asking.serves(is_asked, authority) && (has_shown || !needs)
    }
}

#[cfg(test)]
impl Acceptor {
    /// Looks at all files once, as who follows does.
    pub(crate) fn look_once(&self, now_ms: i64) -> bool {
        self.keeper.look(now_ms)
    }

    /// Tells whether it is ready at a time.
    pub(crate) fn is_ready_at(&self, now_s: i64) -> Result<(), String> {
        self.keeper.is_ready(now_s)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // Who follows sees that nothing is left to follow.
        self.changed.notify_one();
    }
}

impl Hello {
    fn of(hello: &rustls::server::ClientHello<'_>) -> Self {
        let offered: Option<Vec<&[u8]>> = hello.alpn().map(Iterator::collect);
        Self {
            host: hello.server_name().map(|name| name.to_ascii_lowercase().into()),
            is_challenge: offered.as_deref() == Some(&[CHALLENGE_PROTOCOL]),
            offers_nothing: offered.is_none(),
        }
    }
}

fn seconds_now() -> i64 {
    milliseconds_now() / 1000
}

/// Returns the milliseconds since 1970.
pub(crate) fn milliseconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn is_resumed(connection: &ServerConnection) -> bool {
    connection.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// Judges the certificate of a resumed session once more: it may have expired since.
fn verify_again(connection: &ServerConnection, verifier: &dyn ClientCertVerifier) -> Result<(), Refused> {
    let Some((client, above)) = connection.peer_certificates().and_then(<[_]>::split_first) else { return Ok(()) };
    match verifier.verify_client_cert(client, above, UnixTime::now()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::ClientCertificate(error)),
    }
}

/// Tells a client in TLS that it is refused, before any handshake; whether it hears it makes no difference.
///
//= RFC 8446 section 6: a record of type alert (21), version 3.3, 2 bytes: fatal (2) and the description.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, why: AlertDescription) {
    let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, u8::from(why)]).await;
    let _ = stream.shutdown().await;
}
