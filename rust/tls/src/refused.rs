//! Why a client is not let in, and whose fault that is.

use crate::metrics::Outcome;
use rustls::Error;
use std::io;

/// A handshake that led to no session. All but `NoCertificate` are the client's doing.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The handshake took too long, or had to make room.
    #[error("the handshake took longer than its limit")]
    Timeout,
    /// The client went away.
    #[error("the client went away: {0}")]
    Closed(io::Error),
    /// It answered an authority's challenge; there is nothing to serve.
    #[error("it answered a challenge")]
    Challenge,
    /// The client speaks something else.
    #[error("the client does not speak TLS: {0}")]
    NotTls(Error),
    /// No version, cipher or signature in common.
    #[error("client and server have nothing in common: {0}")]
    Incompatible(Error),
    /// No certificate is for the name that the client asks for, or for none.
    #[error("no certificate is for {0:?}")]
    UnknownName(Option<Box<str>>),
    /// The client offers no protocol that is spoken here.
    #[error("the client speaks no protocol that is spoken here")]
    Protocol,
    /// The client's certificate is missing or not good.
    #[error("the client's certificate is not good: {0}")]
    ClientCertificate(Error),
    /// The client broke off.
    #[error("the client broke off: {0}")]
    ByClient(Error),
    /// There is no certificate yet.
    #[error("there is no certificate yet")]
    NoCertificate,
    /// Anything else.
    #[error("the handshake failed: {0}")]
    Failed(io::Error),
}

impl Refused {
    /// Returns what it is counted as.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout => Outcome::Timeout,
            Self::Closed(_) => Outcome::Closed,
            Self::Challenge => Outcome::Challenge,
            Self::NotTls(_) => Outcome::NotTls,
            Self::Incompatible(_) => Outcome::Incompatible,
            Self::UnknownName(_) => Outcome::UnknownName,
            Self::Protocol => Outcome::Protocol,
            Self::ClientCertificate(_) => Outcome::ClientCertificate,
            Self::ByClient(_) => Outcome::ByClient,
            Self::NoCertificate => Outcome::NoCertificate,
            Self::Failed(_) => Outcome::Failed,
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Closed(error),
                _ => Self::Failed(error),
            };
        };
        match tls {
            Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => Self::NotTls(tls.clone()),
            Error::PeerIncompatible(_) => Self::Incompatible(tls.clone()),
            Error::NoApplicationProtocol => Self::Protocol,
            Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_)
            | Error::NoCertificatesPresented
            | Error::UnsupportedNameType => Self::ClientCertificate(tls.clone()),
            Error::AlertReceived(_) => Self::ByClient(tls.clone()),
            _ => Self::Failed(error),
        }
    }
}
