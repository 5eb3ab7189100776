//! A request of HTTP/2 as a head of HTTP/1.1, so that one guard and one engine serve both.

use super::incoming::{Framing, write_field};
use data_encoding::BASE64;
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::{HeaderMap, Method, Request};
use std::io::Write;

/// A request's head, written anew.
#[derive(Debug)]
pub(crate) struct Written {
    /// The head, its empty line included.
    pub head: Vec<u8>,
    /// How what follows is framed.
    pub framing: Framing,
}

/// Why a request is not one that can be written; it is answered 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwritable {
    /// CONNECT to somewhere, or a protocol that is no websocket.
    #[error("a tunnel to somewhere")]
    Tunnel,
    /// The scheme is neither http nor https.
    #[error("the scheme")]
    Scheme,
    /// It has no authority, or two.
    #[error("the authority")]
    Authority,
    /// The target is not one.
    #[error("the target")]
    Target,
}

/// Returns a request's head as HTTP/1.1 has it. `is_over`: its stream ended with its head.
///
/// What stands in it was checked by the frames' reader (names, values, fields of a hop), or is checked by the guard that reads
/// what is written here.
pub(crate) fn write<B>(request: &Request<B>, is_over: bool) -> Result<Written, Unwritable> {
    let uri = request.uri();
    let websocket = request.extensions().get::<h2::ext::Protocol>();
    let is_tunnel = request.method() == Method::CONNECT;
    if is_tunnel && websocket.is_none_or(|protocol| protocol.as_str() != "websocket") {
        return Err(Unwritable::Tunnel);
    }
    if !uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https")) {
        return Err(Unwritable::Scheme);
    }
    let authority = authority(request)?;
    let target = uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    //= RFC 9113 section 8.3.1: a path is there, and `*` with OPTIONS alone.
    let is_all = target == "*" && request.method() == Method::OPTIONS;
    if !target.starts_with('/') && !is_all {
        return Err(Unwritable::Target);
    }
    let mut head = Vec::with_capacity(512);
    //= RFC 8441 section 5: what opens a websocket is CONNECT in the one version and GET in the other.
    let method = if is_tunnel { "GET" } else { request.method().as_str() };
    // Writing to a vector cannot fail.
    let _ = write!(head, "{method} {target} HTTP/1.1\r\nhost: {authority}\r\n");
    let framing = framing(request.headers(), is_tunnel, is_over);
    write_fields(request.headers(), &mut head);
    match framing {
        Framing::None | Framing::Length => {}
        Framing::Chunks => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Tunnel => write_upgrade(&mut head),
    }
    head.extend_from_slice(b"\r\n");
    Ok(Written { head, framing })
}

/// Returns the one authority that a request names.
//= RFC 9113 section 8.3.1: Host must not differ from :authority, and one of them is there.
fn authority<B>(request: &Request<B>) -> Result<&str, Unwritable> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let host = host.map(|value| value.to_str().map_err(|_| Unwritable::Authority)).transpose()?;
    match (request.uri().authority().map(http::uri::Authority::as_str), host) {
        _ if second.is_some() => Err(Unwritable::Authority),
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => Err(Unwritable::Authority),
        (Some(authority), _) => Ok(authority),
        (None, Some(host)) => Ok(host),
        (None, None) => Err(Unwritable::Authority),
    }
}

fn framing(fields: &HeaderMap, is_tunnel: bool, is_over: bool) -> Framing {
    match fields.get(CONTENT_LENGTH) {
        _ if is_tunnel => Framing::Tunnel,
        Some(_) => Framing::Length,
        None if is_over => Framing::None,
        None => Framing::Chunks,
    }
}

fn write_fields(fields: &HeaderMap, head: &mut Vec<u8>) {
    for (name, value) in fields.iter().filter(|(name, _)| *name != HOST && *name != COOKIE) {
        write_field(name.as_str(), value.as_bytes(), head);
    }
    //= RFC 9113 section 8.2.3: crumbs of a cookie are one field elsewhere.
    for (number, crumb) in fields.get_all(COOKIE).iter().enumerate() {
        head.extend_from_slice(if number == 0 { b"cookie: " } else { b"; " });
        head.extend_from_slice(crumb.as_bytes());
    }
    if fields.contains_key(COOKIE) {
        head.extend_from_slice(b"\r\n");
    }
}

/// Bytes of a websocket's key.
const KEY_BYTES: usize = 16;

/// Appends what asks for a websocket in HTTP/1.1.
fn write_upgrade(head: &mut Vec<u8>) {
    let mut key = [0_u8; KEY_BYTES];
    for part in key.chunks_exact_mut(8) {
        part.copy_from_slice(&alongside_transport::random::next().to_le_bytes());
    }
    head.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: ");
    head.extend_from_slice(BASE64.encode(&key).as_bytes());
    head.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> http::request::Builder {
        Request::builder().method("GET").uri(uri)
    }

    fn head(request: &Request<()>, is_over: bool) -> String {
        String::from_utf8(write(request, is_over).unwrap().head).unwrap()
    }

    #[test]
    fn a_request_is_written_as_http_1_has_it() {
        let request = get("https://a.example/p?q=1").header("accept", "*/*").body(()).unwrap();
        assert_eq!(head(&request, true), "GET /p?q=1 HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n\r\n");
    }

    #[test]
    fn a_body_has_the_length_that_it_says_or_chunks() {
        let long = get("https://a/").header("content-length", "5").body(()).unwrap();
        assert_eq!(write(&long, false).unwrap().framing, Framing::Length);
        let open = get("https://a/").body(()).unwrap();
        assert_eq!(write(&open, false).unwrap().framing, Framing::Chunks);
        assert!(head(&open, false).ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"));
    }

    #[test]
    fn crumbs_become_one_cookie() {
        let request =
            get("https://a/").header("cookie", "a=1").header("x", "y").header("cookie", "b=2").body(()).unwrap();
        assert!(head(&request, true).ends_with("\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n"));
    }

    #[test]
    fn a_websocket_is_asked_for_by_get() {
        let mut request = Request::builder().method("CONNECT").uri("https://a/chat").body(()).unwrap();
        assert_eq!(write(&request, false).unwrap_err(), Unwritable::Tunnel);
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        let written = write(&request, false).unwrap();
        let text = String::from_utf8(written.head).unwrap();
        assert_eq!(written.framing, Framing::Tunnel);
        assert!(text.starts_with(
            "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: "
        ));
        assert!(text.ends_with("==\r\n\r\n"), "{text}");
        request.extensions_mut().insert(h2::ext::Protocol::from_static("connect-udp"));
        assert_eq!(write(&request, false).unwrap_err(), Unwritable::Tunnel);
    }

    #[test]
    fn authority_and_host_are_one() {
        let both = |host: &str| write(&get("https://a.example/").header("host", host).body(()).unwrap(), true).err();
        assert_eq!(both("A.example"), None);
        assert_eq!(both("b.example"), Some(Unwritable::Authority));
        let twice = get("https://a/").header("host", "a").header("host", "a").body(()).unwrap();
        assert_eq!(write(&twice, true).unwrap_err(), Unwritable::Authority);
        let odd = get("ftp://a/").body(()).unwrap();
        assert_eq!(write(&odd, true).unwrap_err(), Unwritable::Scheme);
        let none = get("/p").header("host", "a").body(()).unwrap();
        assert_eq!(write(&none, true).unwrap_err(), Unwritable::Scheme);
    }
}
