//! Key expressions: what of a request is hashed.
//!
//! A subset of CEL's syntax: `request.uri`, `request.path`, `request.ip`, `request.headers["name"]`,
//! `request.cookies["name"]`, `request.query["name"]`, texts in single or double quotes, joined by `+`.
//! Values are the bytes as sent, not decoded, and simply stand one after the other, so that nginx's
//! `hash $request_uri$http_x` has the same key; what a request does not have is empty.

mod parse;
mod request;

use std::fmt;
use std::net::IpAddr;

pub use request::{find_cookie, find_query, path_of};

/// The most bytes of an expression.
pub const KEY_BYTES_MAX: usize = 4096;

/// What a request offers to a key.
pub trait Request {
    /// Return the target as sent, path and query.
    fn uri(&self) -> &[u8];
    /// Return the target's path as sent, without the query.
    fn path(&self) -> &[u8];
    /// Return the first value of a header; the name is in lower case.
    fn header(&self, name: &str) -> Option<&[u8]>;
    /// Return the first value of a cookie; names are compared exactly.
    fn cookie(&self, name: &str) -> Option<&[u8]>;
    /// Return the first value of a query parameter; names are compared exactly, undecoded.
    fn query(&self, name: &str) -> Option<&[u8]>;
    /// Return the client's address.
    fn ip(&self) -> IpAddr;
}

/// Why a text is no key expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {column}; {remedy}")]
pub struct KeyError {
    /// What is wrong.
    pub what: String,
    /// Where, counted in characters from 1.
    pub column: usize,
    /// What to write instead.
    pub remedy: String,
}

/// A checked key expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Uri,
    Path,
    Ip,
    Header(String),
    Cookie(String),
    Query(String),
    Text(String),
}

impl Key {
    /// Read an expression of at most [`KEY_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &str) -> Result<Key, KeyError> {
        parse::terms(text).map(|terms| Key { terms })
    }

    /// Return whether requests for one URL have one key, whoever sends them.
    #[must_use]
    pub fn is_of_target(&self) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Uri | Term::Path | Term::Query(_) | Term::Text(_) => true,
            // The host is part of the URL.
            Term::Header(name) => name == "host",
            Term::Ip | Term::Cookie(_) => false,
        })
    }

    /// Return a request's key where it is one part of the request as it stands; else `evaluate` makes it.
    #[must_use]
    pub fn borrow<'r>(&'r self, request: &'r impl Request) -> Option<&'r [u8]> {
        match self.terms.as_slice() {
            [only] => only.bytes(request),
            _ => None,
        }
    }

    /// Append a request's key to `out`, which is not cleared.
    pub fn evaluate(&self, request: &impl Request, out: &mut Vec<u8>) {
        for term in &self.terms {
            match term.bytes(request) {
                Some(bytes) => out.extend_from_slice(bytes),
                None => out.extend_from_slice(request.ip().to_canonical().to_string().as_bytes()),
            }
        }
    }
}

impl Term {
    /// Return its value where that stands somewhere as bytes; an address does not.
    fn bytes<'r>(&'r self, request: &'r impl Request) -> Option<&'r [u8]> {
        match self {
            Term::Uri => Some(request.uri()),
            Term::Path => Some(request.path()),
            Term::Ip => None,
            Term::Header(name) => Some(request.header(name).unwrap_or_default()),
            Term::Cookie(name) => Some(request.cookie(name).unwrap_or_default()),
            Term::Query(name) => Some(request.query(name).unwrap_or_default()),
            Term::Text(text) => Some(text.as_bytes()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, term) in self.terms.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { " + " })?;
            match term {
                Term::Uri => f.write_str("request.uri")?,
                Term::Path => f.write_str("request.path")?,
                Term::Ip => f.write_str("request.ip")?,
                Term::Header(name) => write!(f, "request.headers[{}]", quoted(name))?,
                Term::Cookie(name) => write!(f, "request.cookies[{}]", quoted(name))?,
                Term::Query(name) => write!(f, "request.query[{}]", quoted(name))?,
                Term::Text(text) => f.write_str(&quoted(text))?,
            }
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Request for Plain {
        fn uri(&self) -> &[u8] {
            b"/p?id=1"
        }
        fn path(&self) -> &[u8] {
            b"/p"
        }
        fn header(&self, name: &str) -> Option<&[u8]> {
            (name == "x-user").then_some(b"u")
        }
        fn cookie(&self, _: &str) -> Option<&[u8]> {
            Some(b"c")
        }
        fn query(&self, _: &str) -> Option<&[u8]> {
            Some(b"q")
        }
        fn ip(&self) -> IpAddr {
            IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
        }
    }

    #[test]
    fn a_key_that_stands_in_the_request_is_the_one_that_would_be_made() {
        for (text, key, is_there) in [
            ("request.uri", "/p?id=1", true),
            ("request.path", "/p", true),
            ("request.headers['x-user']", "u", true),
            ("request.headers['x-none']", "", true),
            ("request.cookies['a']", "c", true),
            ("request.query['id']", "q", true),
            ("'all'", "all", true),
            ("request.ip", "127.0.0.1", false),
            ("request.path + request.ip", "/p127.0.0.1", false),
            ("request.path + request.path", "/p/p", false),
        ] {
            let expression = Key::parse(text).unwrap();
            let mut made = Vec::new();
            expression.evaluate(&Plain, &mut made);
            assert_eq!(made, key.as_bytes(), "{text}");
            assert_eq!(expression.borrow(&Plain), is_there.then_some(key.as_bytes()), "{text}");
        }
    }
}
