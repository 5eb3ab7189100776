//! The document's part for TLS and for the program behind it; the comments are the schema's descriptions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::texts::{FilePath, HostField, HostName, Name, Target, Url};

/// TLS on a listener, version 1.2 and 1.3.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Where certificates and their keys lie; with `acme` there may be none.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub certificates: Vec<Certificate>,
    /// The name of the certificate for clients that ask for a host that none has, or for none. Null, where there are several
    /// certificates, refuses the former, and gives the latter the one that holds the address they came to, else the first.
    /// A single certificate always serves everybody.
    #[serde(default)]
    pub default: Option<Name>,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub version_min: Version,
    /// What is offered to clients by ALPN, the first preferred; at least one.
    #[serde(default = "protocols")]
    #[schemars(length(min = 1, max = 2))]
    pub protocols: Vec<Protocol>,
    /// Certificates of clients; null where none is asked for.
    #[serde(default)]
    pub clients: Option<Clients>,
    /// How certificates are got from an authority; null where they all lie in files.
    #[serde(default)]
    pub acme: Option<Acme>,
    /// How long a handshake may take, in milliseconds, 1 to an hour.
    #[serde(default = "handshake_timeout_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub handshake_timeout_ms: u64,
    /// How long a session can be resumed, in seconds, 0 to a week; keys of tickets are renewed as often. 0 for no resumption.
    #[serde(default = "session_s")]
    #[schemars(range(max = 604_800))]
    pub session_s: u32,
    /// Not ready while a certificate expires within so many seconds, 0 to ten years; null where that makes no difference.
    #[serde(default)]
    #[schemars(range(max = 315_360_000))]
    pub ready_expiry_s: Option<u32>,
}

/// A certificate's chain and its key, in files that are followed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate's name, unique in its listener; it is a metric's label.
    pub name: Name,
    /// A PEM file with the chain, or a folder with `tls.crt` and `tls.key`.
    pub path: FilePath,
    /// A PEM file with the key; null for the folder's, or for a key in the chain's own file.
    #[serde(default)]
    pub key: Option<FilePath>,
    /// A file with an OCSP answer in DER to staple; null for none.
    #[serde(default)]
    pub staple: Option<FilePath>,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Version {
    /// 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Protocol {
    /// HTTP/2.
    #[serde(rename = "h2")]
    Http2,
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
}

/// Certificates of clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// Whether a client without one is let in.
    pub mode: ClientMode,
    /// A PEM file with the authorities that they must come from; it is followed.
    pub authorities: FilePath,
    /// A PEM file with lists of revoked certificates; it is followed. Null for none.
    #[serde(default)]
    pub revoked: Option<FilePath>,
    /// The hosts that ask for one; none for all. A request for one of them on a connection that was opened for another host gets a 421.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub hosts: Vec<HostName>,
}

/// Whether a client without a certificate is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientMode {
    /// It is not.
    Required,
    /// It is; one that is shown must be good.
    Asked,
}

/// How certificates are got from an authority (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// The address of the authority's directory, https only.
    pub directory: Url,
    /// The hosts that one certificate is got for, at least one.
    #[schemars(length(min = 1, max = 100))]
    pub domains: Vec<HostName>,
    /// How the authority is shown that the hosts are ours.
    #[serde(default)]
    pub challenge: Challenge,
    /// Whom the authority writes to, such as `mailto:ops@example.org`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub contacts: Vec<Name>,
    /// The folder that keeps the account, keys and certificates, all of mode 0600.
    pub folder: FilePath,
    /// A PEM file with the authorities that the directory's own certificate must come from; null for the system's.
    #[serde(default)]
    pub authorities: Option<FilePath>,
}

/// How the authority is shown that a host is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Challenge {
    /// By a certificate on this listener, which must be reached at port 443.
    #[default]
    TlsAlpn01,
    /// By an answer of a listener that serves a redirect, which must be reached at port 80.
    Http01,
}

/// A program that requests are passed on to, as they are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The program's name, unique among all that listeners serve.
    pub name: Name,
    /// Where it listens: `HOST:PORT`, the port not 0, or `unix:` and the path of its socket.
    pub address: Target,
    /// What it speaks.
    #[serde(default)]
    pub speaks: Speaks,
    /// The Host field it gets; null to pass the client's.
    #[serde(default)]
    pub host: Option<HostField>,
    /// How long clients should ask by https alone (Strict-Transport-Security), in seconds, at most ten years; null to say nothing.
    #[serde(default)]
    #[schemars(range(max = 315_360_000))]
    pub hsts_s: Option<u32>,
}

/// What a program speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaks {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from its first byte.
    H2c,
}

/// A listener without TLS that sends everybody to the one with it. It answers an authority's challenges too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The redirect's name, unique among all that listeners serve.
    pub name: Name,
    /// The port that clients are sent to, 1 to 65535.
    #[serde(default = "https_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u32,
}

fn protocols() -> Vec<Protocol> {
    vec![Protocol::Http2, Protocol::Http1]
}

const fn handshake_timeout_ms() -> u64 {
    10_000
}

const fn session_s() -> u32 {
    43_200
}

const fn https_port() -> u32 {
    443
}
