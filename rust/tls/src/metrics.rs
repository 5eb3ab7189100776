//! What TLS counts. The labels are the words of the outcomes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the certificate in the folder of `acme` is called.
pub(crate) const ACME: &str = "acme";
/// What the files that clients are verified with are called.
pub(crate) const CLIENTS: &str = "clients.authorities";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabel {
    listener: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabel {
    listener: String,
    certificate: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabel {
    listener: String,
    certificate: String,
    outcome: &'static str,
}

/// What became of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client is in, by a new session.
    Done,
    /// The client is in, by a session from before.
    Resumed,
    /// It answered an authority's challenge, which is all such a connection is for.
    Challenge,
    /// It took too long, or had to make room.
    Timeout,
    /// The client went away.
    Closed,
    /// The client speaks something else.
    NotTls,
    /// No version, cipher or signature in common.
    Incompatible,
    /// No certificate is for that name.
    UnknownName,
    /// The client offers no protocol that is spoken here.
    Protocol,
    /// The client's certificate is missing or not good.
    ClientCertificate,
    /// The client broke off, mostly since it does not trust our certificate.
    ByClient,
    /// There is no certificate yet.
    NoCertificate,
    /// Anything else.
    Failed,
}

impl Outcome {
    /// Every outcome, in the order of their declaration: each shows itself from the beginning.
    const ALL: [Self; 13] = [
        Self::Done,
        Self::Resumed,
        Self::Challenge,
        Self::Timeout,
        Self::Closed,
        Self::NotTls,
        Self::Incompatible,
        Self::UnknownName,
        Self::Protocol,
        Self::ClientCertificate,
        Self::ByClient,
        Self::NoCertificate,
        Self::Failed,
    ];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Resumed => "resumed",
            Self::Challenge => "challenge",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::UnknownName => "unknown_name",
            Self::Protocol => "protocol",
            Self::ClientCertificate => "client_certificate",
            Self::ByClient => "by_client",
            Self::NoCertificate => "no_certificate",
            Self::Failed => "failed",
        }
    }
}

/// What became of files that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// They are in force.
    Taken,
    /// They are not good, and what was in force stays.
    Refused,
}

impl Reload {
    const ALL: [Self; 2] = [Self::Taken, Self::Refused];

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        }
    }
}

/// All metrics of TLS in a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    expiry: Family<CertificateLabel, Gauge>,
    handshakes: Family<HandshakeLabel, Counter>,
    reloads: Family<ReloadLabel, Counter>,
    stale: Family<CertificateLabel, Gauge>,
}

impl Metrics {
    /// Returns the metrics, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            expiry: Family::default(),
            handshakes: Family::default(),
            reloads: Family::default(),
            stale: Family::default(),
        };
        let tls = registry.sub_registry_with_prefix("alongside_tls");
        let expiry = "Seconds until a certificate expires; less than 0 where it did";
        tls.register("certificate_expiry_seconds", expiry, metrics.expiry.clone());
        tls.register("handshakes", "Handshakes that are over, by what became of them", metrics.handshakes.clone());
        tls.register("reloads", "Files that changed, by what became of them", metrics.reloads.clone());
        let stale = "1 while the newest files are not good and older ones are in force, else 0";
        tls.register("certificate_stale", stale, metrics.stale.clone());
        metrics
    }

    /// Returns what a listener counts with.
    pub(crate) fn listener(&self, name: &str) -> ListenerMetrics {
        let handshakes = Outcome::ALL.map(|outcome| {
            let label = HandshakeLabel { listener: name.to_owned(), outcome: outcome.as_str() };
            self.handshakes.get_or_create_owned(&label)
        });
        ListenerMetrics { metrics: self.clone(), listener: name.to_owned(), handshakes }
    }

    /// Forgets a listener that is gone, with the certificates it had; `acme` and `clients.authorities` go with it.
    pub fn forget<'c>(&self, listener: &str, certificates: impl IntoIterator<Item = &'c str>) {
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            self.handshakes.remove(&HandshakeLabel { listener: listener.to_owned(), outcome });
        }
        certificates
            .into_iter()
            .chain([ACME, CLIENTS])
            .for_each(|certificate| self.forget_certificate(listener, certificate));
    }

    /// Forgets a certificate that is gone; what verifies clients counts as `clients.authorities`.
    pub fn forget_certificate(&self, listener: &str, certificate: &str) {
        let label = CertificateLabel { listener: listener.to_owned(), certificate: certificate.to_owned() };
        self.expiry.remove(&label);
        self.stale.remove(&label);
        for outcome in Reload::ALL.map(Reload::as_str) {
            let CertificateLabel { listener, certificate } = label.clone();
            self.reloads.remove(&ReloadLabel { listener, certificate, outcome });
        }
    }
}

/// What one listener counts with.
#[derive(Debug)]
pub(crate) struct ListenerMetrics {
    metrics: Metrics,
    listener: String,
    handshakes: [Counter; Outcome::ALL.len()],
}

impl ListenerMetrics {
    pub(crate) fn handshake(&self, outcome: Outcome) {
        self.handshakes[outcome as usize].inc();
    }

    pub(crate) fn reload(&self, certificate: &str, outcome: Reload) {
        let (listener, certificate) = (self.listener.clone(), certificate.to_owned());
        let label = ReloadLabel { listener, certificate, outcome: outcome.as_str() };
        self.metrics.reloads.get_or_create(&label).inc();
    }

    /// Shows a certificate from the beginning.
    pub(crate) fn show(&self, certificate: &str, is_stale: bool) {
        for outcome in Reload::ALL.map(Reload::as_str) {
            let (listener, certificate) = (self.listener.clone(), certificate.to_owned());
            let _ = self.metrics.reloads.get_or_create(&ReloadLabel { listener, certificate, outcome });
        }
        self.stale(certificate, is_stale);
    }

    pub(crate) fn stale(&self, certificate: &str, is_stale: bool) {
        self.metrics.stale.get_or_create(&self.of(certificate)).set(i64::from(is_stale));
    }

    pub(crate) fn expiry(&self, certificate: &str, seconds: i64) {
        self.metrics.expiry.get_or_create(&self.of(certificate)).set(seconds);
    }

    fn of(&self, certificate: &str) -> CertificateLabel {
        CertificateLabel { listener: self.listener.clone(), certificate: certificate.to_owned() }
    }
}
