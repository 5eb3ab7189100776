//! Explaining where a request would go that is described rather than sent, and where a balancer's connections go.

pub mod pooled;

use alongside_http::route::{Explanation, Route};
use alongside_placement::key;
use alongside_tcp::{Balancer, View};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

/// A described request.
#[derive(Debug)]
pub struct Described {
    authority: String,
    uri: String,
    headers: Vec<(String, String)>,
    ip: IpAddr,
}

impl Described {
    /// Reads `url=…&header=Name:%20value&ip=…`.
    pub fn read(query: &str) -> Result<Self, String> {
        let url = value(query, "url")
            .ok_or("url is missing; write ?route=NAME&url=/path, ?tcp=NAME, or ?pool=NAME&key=KEY")?;
        let (authority, uri) = split(&url)?;
        let ip = match value(query, "ip") {
            Some(text) => text.parse().map_err(|_| format!("ip {text:?} is no address"))?,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let headers = values(query, "header").map(|line| match line.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(format!("header {line:?} has no colon; write Name: value")),
        });
        Ok(Self { authority, uri, headers: headers.collect::<Result<_, String>>()?, ip })
    }

    /// Returns where the request would go.
    pub fn by(&self, route: &Route) -> Explanation {
        route.explain(self)
    }
}

/// Returns how a balancer's backends stand now.
pub fn balancer(balancer: &Balancer) -> Value {
    let backend = |backend: View| {
        json!({
            "id": backend.id,
            "address": backend.address,
            "open": backend.open,
            "not_used": backend.left_ms.map(|_| "unreachable"),
            "looked_at_in_ms": backend.left_ms,
        })
    };
    json!({ "name": balancer.name(), "backends": balancer.view().into_iter().map(backend).collect::<Vec<_>>() })
}

/// Returns the bytes of the first value of a parameter of a query.
pub fn bytes(query: &str, name: &str) -> Option<Vec<u8>> {
    let mut pairs = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pairs.next().map(|value| percent_decode_str(value).collect())
}

/// Returns the first value of a parameter of a query, decoded.
pub fn value(query: &str, name: &str) -> Option<String> {
    values(query, name).next()
}

fn values<'q>(query: &'q str, name: &'q str) -> impl Iterator<Item = String> + 'q {
    query
        .split('&')
        .filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
        .map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn split(url: &str) -> Result<(String, String), String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.starts_with('/') { Ok((String::new(), url.to_owned())) } else { Err(bad(url)) };
    };
    if !matches!(scheme, "http" | "https") {
        return Err(bad(url));
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let target = target.split('#').next().unwrap_or_default();
    let uri = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok((authority.to_owned(), uri))
}

fn bad(url: &str) -> String {
    format!("url {url:?} is neither a path nor http(s)://host/path")
}

impl key::Request for Described {
    fn uri(&self) -> &[u8] {
        self.uri.as_bytes()
    }

    fn path(&self) -> &[u8] {
        key::path_of(self.uri.as_bytes())
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let said = found.map(|(_, value)| value.as_bytes());
        if name.eq_ignore_ascii_case("host") { said.or(Some(self.authority.as_bytes())) } else { said }
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case("cookie"));
        lines.find_map(|(_, line)| key::find_cookie(line.as_bytes(), name))
    }

    fn query(&self, name: &str) -> Option<&[u8]> {
        key::find_query(self.uri.as_bytes(), name)
    }

    fn ip(&self) -> IpAddr {
        self.ip
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alongside_placement::key::Request;

    #[test]
    fn reads_paths_urls_and_headers() {
        let described = Described::read("url=http%3A%2F%2Fh%2Fa%3Fx%3D1%23f&header=X-User:%20ann&ip=10.0.0.1").unwrap();
        assert_eq!(described.uri(), b"/a?x=1");
        assert_eq!(described.path(), b"/a");
        assert_eq!(described.header("x-user"), Some(&b"ann"[..]));
        assert_eq!(described.header("host"), Some(&b"h"[..]));
        assert_eq!(described.ip().to_string(), "10.0.0.1");
        assert_eq!(Described::read("url=/a").unwrap().uri(), b"/a");
        assert_eq!(Described::read("url=http://h").unwrap().uri(), b"/");
    }

    #[test]
    fn finds_a_cookie_in_any_of_the_cookie_headers() {
        let described = Described::read("url=/&header=Cookie:a=1&header=cookie:sid%20=%20x").unwrap();
        assert_eq!(described.cookie("sid"), Some(&b"x"[..]));
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Described::read("").unwrap_err().contains("url"));
        assert!(Described::read("url=ftp://x/").unwrap_err().contains("ftp"));
        assert!(Described::read("url=/&ip=x").unwrap_err().contains("ip"));
        assert!(Described::read("url=/&header=x").unwrap_err().contains("colon"));
    }
}
