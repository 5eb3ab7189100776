//! Texts that mean something: names, addresses, networks, Host fields, socket paths.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The most bytes of a UNIX socket's path, the final zero byte not counted.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The most bytes of a name, a host or a Host field.
const NAME_BYTES_MAX: usize = 255;
/// The most bytes of a file's path; the kernel's limit.
const FILE_PATH_BYTES_MAX: usize = 4096;
/// The most bytes of a host's name in DNS.
const HOST_NAME_BYTES_MAX: usize = 253;
/// The most bytes of a directory's address.
const URL_BYTES_MAX: usize = 2048;
/// What stands before the path of a program's socket.
const SOCKET_PREFIX: &str = "unix:";

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct TextError {
    /// What is wrong, without the value.
    pub what: &'static str,
    /// What to write instead.
    pub remedy: String,
}

fn refuse<T>(what: &'static str, remedy: impl Into<String>) -> Result<T, TextError> {
    Err(TextError { what, remedy: remedy.into() })
}

/// A name or id: 1 to 255 visible ASCII characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Return the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Name, TextError> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("is no name", "write 1 to 255 visible ASCII characters without spaces");
        }
        Ok(Name(text.to_owned()))
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A `HOST:PORT` where HOST is a name, an IPv4 address or an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    host: String,
    port: u16,
}

impl Address {
    /// Return the text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Return the host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Return the port, 0 to 65535; 0 only where the address is listened on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Return the host as an IP address, or `None` where it is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for Address {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Address, TextError> {
        const REMEDY: &str = "write HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or photos.internal:8080";
        let Some((host, port)) = text.rsplit_once(':') else { return refuse("has no port", REMEDY) };
        let port = match port.parse::<u16>() {
            Ok(number) if port.bytes().all(|byte| byte.is_ascii_digit()) => number,
            _ => return refuse("has no port from 0 to 65535", REMEDY),
        };
        let host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return refuse("has no IPv6 address in its brackets", REMEDY),
            None if host.is_empty() => {
                return refuse("has no host", "write one before the colon; 0.0.0.0 listens on every address");
            }
            None if host.contains("//") => return refuse("is a URL", REMEDY),
            None if host.contains(':') => return refuse("has an IPv6 address without brackets", REMEDY),
            None if !is_host(host) => return refuse("has no valid host", REMEDY),
            None => host,
        };
        Ok(Address { text: text.to_owned(), host: host.to_owned(), port })
    }
}

/// Tell whether a text is an IPv4 address or a host name.
fn is_host(text: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(of_name) {
        return false;
    }
    // What has only digits and dots is meant as an address: 300.1.1.1 is a mistake, not a name.
    text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'.')) || text.parse::<std::net::Ipv4Addr>().is_ok()
}

/// A network in CIDR notation, such as `127.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Tell whether an address lies in it; an IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl FromStr for Network {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Network, TextError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return refuse("has no prefix length", format!("write {}", IpNet::from(ip)));
        }
        match text.parse::<IpNet>() {
            Ok(net) if net == net.trunc() => Ok(Network(net)),
            Ok(net) => refuse("has bits set after its prefix", format!("write {}", net.trunc())),
            Err(_) => refuse("is no network", "write ADDRESS/PREFIX, such as 127.0.0.0/8 or fd00::/8"),
        }
    }
}

/// A value for the Host field: a host, or a host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostField(String);

impl HostField {
    /// Return the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostField {
    type Err = TextError;
    fn from_str(text: &str) -> Result<HostField, TextError> {
        let is_bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .map_or_else(|| is_host(text), |inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        if is_bare || text.parse::<Address>().is_ok_and(|address| address.port() != 0) {
            return Ok(HostField(text.to_owned()));
        }
        refuse("is no value for the Host field", "write HOST or HOST:PORT, such as photos.example or [::1]:8000")
    }
}

/// The absolute path of a UNIX socket, 2 to 107 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SocketPath(String);

impl SocketPath {
    /// Return the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for SocketPath {
    type Err = TextError;
    fn from_str(text: &str) -> Result<SocketPath, TextError> {
        if !text.starts_with('/') || text.len() < 2 || text.contains('\0') {
            return refuse("is no absolute path", "write it from the root, such as /run/alongside/admin.sock");
        }
        if text.len() > SOCKET_PATH_BYTES_MAX {
            return refuse("is too long for a UNIX socket", "choose a path of at most 107 bytes");
        }
        Ok(SocketPath(text.to_owned()))
    }
}

/// The absolute path of a file or folder, 2 to 4096 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

impl FilePath {
    /// Return the path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for FilePath {
    type Err = TextError;
    fn from_str(text: &str) -> Result<FilePath, TextError> {
        if !text.starts_with('/') || text.len() < 2 || text.contains('\0') {
            return refuse("is no absolute path", "write it from the root, such as /etc/tls");
        }
        if text.len() > FILE_PATH_BYTES_MAX {
            return refuse("is too long for a path", "choose a path of at most 4096 bytes");
        }
        Ok(FilePath(text.to_owned()))
    }
}

/// A host's name in lower case, such as `photos.example`; `*.example` stands for every name one label below.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// Return the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = TextError;
    fn from_str(text: &str) -> Result<HostName, TextError> {
        let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(of_label)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let name = text.strip_prefix("*.").unwrap_or(text);
        if name.len() > HOST_NAME_BYTES_MAX || !name.split('.').all(is_label) || !is_host(name) {
            return refuse("is no host's name", "write one in lower case, such as photos.example or *.example");
        }
        Ok(HostName(text.to_owned()))
    }
}

/// Where a program listens: `HOST:PORT`, the port not 0, or `unix:` and an absolute path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target(String);

impl Target {
    /// Return the text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Return the path of a UNIX socket, or `None` where it is `HOST:PORT`.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.0.strip_prefix(SOCKET_PREFIX).map(Path::new)
    }
}

impl FromStr for Target {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Target, TextError> {
        match text.strip_prefix(SOCKET_PREFIX) {
            Some(path) => drop(path.parse::<SocketPath>()?),
            None if text.parse::<Address>()?.port() == 0 => {
                return refuse("has port 0", "write the port that is listened on");
            }
            None => {}
        }
        Ok(Target(text.to_owned()))
    }
}

/// An address in the web that starts with `https://`, at most 2048 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url(String);

impl Url {
    /// Return the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Url {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Url, TextError> {
        const REMEDY: &str = "write https://HOST/PATH, such as https://acme.example/directory";
        let Some(rest) = text.strip_prefix("https://") else { return refuse("does not start with https://", REMEDY) };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let is_graphic = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if text.len() > URL_BYTES_MAX || !is_graphic || authority.parse::<HostField>().is_err() {
            return refuse("is no address of a directory", REMEDY);
        }
        Ok(Url(text.to_owned()))
    }
}

/// Give a text type its conversions, its display and its schema: a string with a format that the checks know.
macro_rules! text_type {
    ($type:ident, $format:literal, $pattern:literal, $description:literal, $text:expr) => {
        impl TryFrom<String> for $type {
            type Error = TextError;
            fn try_from(text: String) -> Result<$type, TextError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = $text;
                write!(f, "{}", text(self))
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format, "pattern": $pattern, "description": $description})
            }
        }
    };
}

text_type!(
    Name,
    "name",
    "^[!-~]{1,255}$",
    "A name or id: 1 to 255 visible ASCII characters without spaces.",
    |value: &Name| value.0.clone()
);
text_type!(
    Address,
    "address",
    "^(\\[[0-9A-Fa-f:.]+\\]|[0-9A-Za-z._-]{1,255}):[0-9]{1,5}$",
    "HOST:PORT, where HOST is a name, an IPv4 address or an IPv6 address in brackets.",
    |value: &Address| value.text.clone()
);
text_type!(
    Network,
    "network",
    "^[0-9A-Fa-f:.]+/[0-9]{1,3}$",
    "A network in CIDR notation, such as 127.0.0.0/8.",
    |value: &Network| value.0
);
text_type!(
    HostField,
    "host-field",
    "^(\\[[0-9A-Fa-f:.]+\\]|[0-9A-Za-z._-]{1,255})(:[0-9]{1,5})?$",
    "A value for the Host field: HOST or HOST:PORT.",
    |value: &HostField| value.0.clone()
);
text_type!(
    SocketPath,
    "socket-path",
    "^/.{1,106}$",
    "The absolute path of a UNIX socket, 2 to 107 bytes.",
    |value: &SocketPath| value.0.clone()
);
text_type!(
    FilePath,
    "file-path",
    "^/.{1,4095}$",
    "The absolute path of a file or folder, 2 to 4096 bytes.",
    |value: &FilePath| value.0.clone()
);
text_type!(
    HostName,
    "host-name",
    "^(\\*\\.)?[0-9a-z._-]{1,253}$",
    "A host's name in lower case; *.example stands for every name one label below.",
    |value: &HostName| value.0.clone()
);
text_type!(
    Target,
    "target",
    "^(unix:/.{1,106}|(\\[[0-9A-Fa-f:.]+\\]|[0-9A-Za-z._-]{1,255}):[0-9]{1,5})$",
    "Where a program listens: HOST:PORT, the port not 0, or unix: and an absolute path.",
    |value: &Target| value.0.clone()
);
text_type!(
    Url,
    "https-url",
    "^https://[!-~]{1,2040}$",
    "An address in the web that starts with https://.",
    |value: &Url| value.0.clone()
);
